"""One vector with many rows: products with all of them, and sums of them, by registers.

What hidden layers do for one sample. Rows pass the caches once, in either direction: a pass that begins where
the one before has ended finds the first of them still there.
"""

from typing import Any

import numpy as np

from ...compiler.arithmetic.registers import (
    full_register,
    multiply_add,
    put_some,
    register_size,
    take,
    take_some,
)
from ...compiler.compiling import scalar_function, subroutine
from ...compiler.vectors import store, total
from ..layout import ONE, ZERO

EIGHT = np.uint64(8)
"""Rows that share the loads of the vector."""


@scalar_function
def _starts(row: Any, last: Any, width: Any) -> Any:
    """Where eight rows begin; missing ones repeat the last."""
    end = last - ONE
    return (
        (row * width, min(row + ONE, end) * width),
        (min(row + np.uint64(2), end) * width, min(row + np.uint64(3), end) * width),
        (min(row + np.uint64(4), end) * width, min(row + np.uint64(5), end) * width),
        (min(row + np.uint64(6), end) * width, min(row + np.uint64(7), end) * width),
    )


@scalar_function
def _add_products(sums: Any, v: Any, rows: Any, at: Any, i: Any) -> Any:
    """Of two rows."""
    first = multiply_add(v, take(rows, at[0] + i), sums[0])
    return first, multiply_add(v, take(rows, at[1] + i), sums[1])


@scalar_function
def _add_some_products(sums: Any, v: Any, rows: Any, at: Any, i: Any, n: Any) -> Any:
    """The same of the first n numbers of a register."""
    first = multiply_add(v, take_some(rows, at[0] + i, n), sums[0])
    return first, multiply_add(v, take_some(rows, at[1] + i, n), sums[1])


@scalar_function
def _row_of(step: Any, first: Any, last: Any, is_downward: Any) -> Any:
    """The first of the eight rows that come after so many others."""
    return first + (last - ONE - first - step) // EIGHT * EIGHT if is_downward else first + step


@subroutine
def multiply_rows(products: Any, vector: Any, rows: Any, first: Any, last: Any, is_downward: Any) -> None:
    """Put vector . rows[j] into products[j - first], for first <= j < last.

    Parameters
    ----------
    products, vector, rows
        T (last - first or more,), (n,), (_, n or more), by rows.
    first, last
        int64.
    is_downward
        Whether the last rows come first.
    """
    width, n = np.uint64(rows.shape[1]), np.uint64(len(vector))
    flat, start, end = rows.reshape(rows.size), np.uint64(first), np.uint64(last)
    size = register_size(flat)
    whole = n - n % size
    zero = full_register(flat, flat.dtype.type(0))
    for step in range(ZERO, end - start, EIGHT):
        row = _row_of(step, start, end, is_downward)
        at = _starts(row, end, width)
        s0 = s1 = s2 = s3 = (zero, zero)
        for i in range(ZERO, whole, size):
            v = take(vector, i)
            s0 = _add_products(s0, v, flat, at[0], i)
            s1 = _add_products(s1, v, flat, at[1], i)
            s2 = _add_products(s2, v, flat, at[2], i)
            s3 = _add_products(s3, v, flat, at[3], i)
        if whole < n:
            left = n - whole
            v = take_some(vector, whole, left)
            s0 = _add_some_products(s0, v, flat, at[0], whole, left)
            s1 = _add_some_products(s1, v, flat, at[1], whole, left)
            s2 = _add_some_products(s2, v, flat, at[2], whole, left)
            s3 = _add_some_products(s3, v, flat, at[3], whole, left)
        to = row - start
        most = end - ONE - start
        # a missing one is the last one again
        products[min(to + np.uint64(7), most)] = total(s3[1])
        products[min(to + np.uint64(6), most)] = total(s3[0])
        products[min(to + np.uint64(5), most)] = total(s2[1])
        products[min(to + np.uint64(4), most)] = total(s2[0])
        products[min(to + np.uint64(3), most)] = total(s1[1])
        products[min(to + np.uint64(2), most)] = total(s1[0])
        products[min(to + ONE, most)] = total(s0[1])
        products[to] = total(s0[0])


@scalar_function
def _coefficients(coefficients: Any, to: Any, n: Any) -> Any:
    """Two of them from a place on, 0 in place of missing ones."""
    zero = coefficients.dtype.type(0)
    return (
        coefficients[to] if to < n else zero,
        coefficients[to + ONE] if to + ONE < n else zero,
    )


@scalar_function
def _add_two(x: Any, c: Any, rows: Any, at: Any, i: Any) -> Any:
    return multiply_add(c[1], take(rows, at[1] + i), multiply_add(c[0], take(rows, at[0] + i), x))


@scalar_function
def _add_some_of_two(x: Any, c: Any, rows: Any, at: Any, i: Any, n: Any) -> Any:
    x = multiply_add(c[0], take_some(rows, at[0] + i, n), x)
    return multiply_add(c[1], take_some(rows, at[1] + i, n), x)


@subroutine
def add_rows(target: Any, coefficients: Any, rows: Any, first: Any, last: Any, is_downward: Any) -> None:
    """Target += the sum of coefficients[j - first] rows[j], for first <= j < last; as `multiply_rows`."""
    width, n = np.uint64(rows.shape[1]), np.uint64(len(target))
    flat, start, end = rows.reshape(rows.size), np.uint64(first), np.uint64(last)
    size = register_size(flat)
    whole = n - n % size
    for step in range(ZERO, end - start, EIGHT):
        row = _row_of(step, start, end, is_downward)
        at = _starts(row, end, width)
        to = row - start
        c0 = _coefficients(coefficients, to, end - start)
        c1 = _coefficients(coefficients, to + np.uint64(2), end - start)
        c2 = _coefficients(coefficients, to + np.uint64(4), end - start)
        c3 = _coefficients(coefficients, to + np.uint64(6), end - start)
        for i in range(ZERO, whole, size):
            x = _add_two(_add_two(take(target, i), c0, flat, at[0], i), c1, flat, at[1], i)
            store(target, i, _add_two(_add_two(x, c2, flat, at[2], i), c3, flat, at[3], i))
        if whole < n:
            left = n - whole
            x = take_some(target, whole, left)
            x = _add_some_of_two(x, c0, flat, at[0], whole, left)
            x = _add_some_of_two(x, c1, flat, at[1], whole, left)
            x = _add_some_of_two(x, c2, flat, at[2], whole, left)
            put_some(target, whole, _add_some_of_two(x, c3, flat, at[3], whole, left), left)
