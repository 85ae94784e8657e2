"""Inner products of rows with rows, C = X H', in tiles of registers: BLAS would pack both of them first."""

from typing import Any

import numpy as np

from ...compiler.arithmetic.registers import full_register, multiply_add, register_size, take, take_some
from ...compiler.compiling import scalar_function, subroutine
from ...compiler.vectors import total
from ..layout import FOUR, ONE, THREE, TWO, ZERO

AT_ONCE = 8
"""Rows of X that stay in the first cache while those of H pass by, four at a time."""
PIECE_BYTES = np.uint64(3200)
"""Of a row that goes at once, so that these and those fit; 6 KB at once took 1.2 times as long."""


@scalar_function
def _add_products(sums: Any, v: Any, y: Any) -> Any:
    return (
        multiply_add(v, y[0], sums[0]),
        multiply_add(v, y[1], sums[1]),
        multiply_add(v, y[2], sums[2]),
        multiply_add(v, y[3], sums[3]),
    )


@scalar_function
def _put_sums(c: Any, at: Any, columns: Any, sums: Any, is_first: Any) -> None:
    """Into a row of C, or added to it; of columns that are the same one the first is written last."""
    zero = c.dtype.type(0)
    p0 = zero if is_first else c[at + columns[0]]
    p1 = zero if is_first else c[at + columns[1]]
    p2 = zero if is_first else c[at + columns[2]]
    p3 = zero if is_first else c[at + columns[3]]
    c[at + columns[3]] = p3 + total(sums[3])
    c[at + columns[2]] = p2 + total(sums[2])
    c[at + columns[1]] = p1 + total(sums[1])
    c[at + columns[0]] = p0 + total(sums[0])


@scalar_function
def _tile(c: Any, x: Any, h: Any, rows: Any, columns: Any, piece: Any) -> None:
    """Four rows and four columns of C += X H', over a piece of the terms.

    `c` is (array, row, first column), `x` and `h` are (array, row), all others (first, end).
    """
    (t, n), (j, m), (first, last) = rows, columns, piece
    (of_c, c_row, c_first), (of_x, x_row), (of_h, h_row) = c, x, h
    zero = full_register(of_x, of_x.dtype.type(0))
    s0 = s1 = s2 = s3 = (zero, zero, zero, zero)
    # what is missing is the last one again
    j1, j2, j3 = min(j + ONE, m - ONE), min(j + TWO, m - ONE), min(j + THREE, m - ONE)
    x0, x1 = t * x_row, min(t + ONE, n - ONE) * x_row
    x2, x3 = min(t + TWO, n - ONE) * x_row, min(t + THREE, n - ONE) * x_row
    h0, h1, h2, h3 = j * h_row, j1 * h_row, j2 * h_row, j3 * h_row
    size = register_size(of_x)
    whole = last - (last - first) % size
    for i in range(first, whole, size):
        y = (take(of_h, h0 + i), take(of_h, h1 + i), take(of_h, h2 + i), take(of_h, h3 + i))
        s0 = _add_products(s0, take(of_x, x0 + i), y)
        s1 = _add_products(s1, take(of_x, x1 + i), y)
        s2 = _add_products(s2, take(of_x, x2 + i), y)
        s3 = _add_products(s3, take(of_x, x3 + i), y)
    if whole < last:
        i, k = whole, last - whole
        y = (
            take_some(of_h, h0 + i, k),
            take_some(of_h, h1 + i, k),
            take_some(of_h, h2 + i, k),
            take_some(of_h, h3 + i, k),
        )
        s0 = _add_products(s0, take_some(of_x, x0 + i, k), y)
        s1 = _add_products(s1, take_some(of_x, x1 + i, k), y)
        s2 = _add_products(s2, take_some(of_x, x2 + i, k), y)
        s3 = _add_products(s3, take_some(of_x, x3 + i, k), y)
    at, to, is_first = t * c_row + c_first, (j, j1, j2, j3), first == ZERO
    _put_sums(of_c, at, to, s0, is_first)
    if t + ONE < n:
        _put_sums(of_c, at + c_row, to, s1, is_first)
    if t + TWO < n:
        _put_sums(of_c, at + TWO * c_row, to, s2, is_first)
    if t + THREE < n:
        _put_sums(of_c, at + THREE * c_row, to, s3, is_first)


@subroutine
def inner_products(c: Any, column: Any, x: Any, h: Any, first: Any, last: Any) -> None:
    """Rows `first` to `last` of C = X H', at most `AT_ONCE` of them, from a column of C on.

    Parameters
    ----------
    c, x, h
        T (_, _), (_, k) and (m, k), all by rows.
    column, first, last
        int64.
    """
    m, width = np.uint64(h.shape[0]), np.uint64(x.shape[1])
    of_c = c.reshape(c.size), np.uint64(c.shape[1]), np.uint64(column)
    of_x, of_h = (x.reshape(x.size), width), (h.reshape(h.size), np.uint64(h.shape[1]))
    step = PIECE_BYTES // np.uint64(x.itemsize)
    for i in range(ZERO, width, step):
        piece = i, min(i + step, width)
        for j in range(ZERO, m, FOUR):
            for t in range(np.uint64(first), np.uint64(last), FOUR):
                _tile(of_c, of_x, of_h, (t, np.uint64(last)), (j, m), piece)
