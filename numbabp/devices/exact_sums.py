"""Sums that have the same bits in whatever order they are added up: on every processor, and on a GPU.

NumPy and CuPy add up in orders of their own, which depend on vectors and on blocks of threads, so that the
last bits of their sums differ. Those of whole numbers have no last bits to differ in. So each number is split
into two whole ones (after Demmel and Nguyen 2015, "Parallel Reproducible Summation", IEEE Transactions on
Computers 64): how many units of 2^-32 of a power of two above the largest of all, and how many of 2^-32 of
such a unit. What is left is 2^-65 of that power at most, where float64 itself has 2^-53 of each number.

All else is done number by number with what the two round alike: differences, products, nearest whole numbers.
Powers of numbers and logarithms are not among it. Totals are divided on the host.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import memory
from .placement import beside, is_on_device, module_of

BITS = 32
"""Of a whole number, of which 2^30 add up within int64."""
LEAST_EXPONENT = -990
"""Of the power of two above all numbers: with a lower one there would be infinitely many units in 1."""
NUMBERS_THERE = 1 << 20
"""Taken at a time on a GPU: so many whole numbers add up within 2^53, up to which float64 has them all,"""
NUMBERS_HERE = 1 << 15
"""and on the host, where they stay in the cache."""

Terms = Callable[[slice, Any], Any]
"""Of some rows, real (m, n_columns): in the float64 array that is given, or in another, which is only read.

Where `column_sums` has to find the largest, they are asked for twice.
"""


def rows_at_once(like: Any, n_columns: int) -> int:
    """How many rows to take at a time, where an array lies."""
    return max(1, (NUMBERS_THERE if is_on_device(like) else NUMBERS_HERE) // max(1, n_columns))


def column_sums(
    terms: Terms, shape: tuple[int, int], like: Any, largest: np.ndarray | None = None, divisor: int = 1
) -> np.ndarray:
    """Sums of columns of numbers that are worked out in parts.

    Parameters
    ----------
    terms
        Gives the numbers of some rows.
    shape
        (n, n_columns)
    like
        An array that lies where they do.
    largest
        Of each column's absolute values, in the host's memory, if it is known. More than that is allowed, and
        as much less precise.
    divisor
        Of the sums, from 1. A quotient is rounded once: the mean of what is all the same is that number.

    Returns
    -------
    float64 (n_columns,)
        In the host's memory. Of columns that are not finite, infinity, whatever its sign, or NaN.
    """
    n, n_columns = shape
    xp, step = module_of(like), rows_at_once(like, n_columns)
    room = (memory.empty if is_on_device(like) else np.empty)((min(n, step), n_columns), np.float64)
    if n == 1:  # to the last bit, however small, but for the sign of zero, which sums do not have
        return memory.to_host(terms(slice(0, 1), room)[0]).astype(np.float64) / divisor + 0.0
    parts = [slice(start, min(start + step, n)) for start in range(0, n, step)]
    if largest is None:
        found = xp.zeros(n_columns)
        for rows in parts:
            part = room[: rows.stop - rows.start]
            found = xp.maximum(found, xp.abs(terms(rows, part), out=part).max(axis=0))
        largest = memory.to_host(found)
    is_finite = np.isfinite(largest)
    exponents = np.maximum(np.frexp(np.where(is_finite, largest, 0.0))[1], LEAST_EXPONENT)
    bits = min(BITS, 62 - n.bit_length())
    units = beside(like, np.ldexp(1.0, bits - exponents))
    totals = [xp.zeros(n_columns, np.int64) for _ in range(2)]
    room_of_whole = xp.empty_like(room)
    # what is not finite is no whole number either
    with np.errstate(invalid="ignore", over="ignore"):
        for rows in parts:
            part, whole = room[: rows.stop - rows.start], room_of_whole[: rows.stop - rows.start]
            xp.multiply(terms(rows, part), units, out=part)
            for total in totals:
                xp.rint(part, out=whole)
                total += whole.sum(axis=0).astype(np.int64)
                part -= whole
                part *= 2.0**bits
    coarse, fine = (memory.to_host(total).tolist() for total in totals)
    # a quotient of Python's whole numbers is rounded once, however large they are
    below = divisor << bits
    quotients = [((high << bits) + low) / below for high, low in zip(coarse, fine, strict=True)]
    return np.where(is_finite, np.ldexp(quotients, exponents - bits), largest)


def sums_of(values: Any, divisor: int = 1) -> np.ndarray:
    """`column_sums` of an array (n, n_columns) of real numbers."""

    def terms(rows: slice, out: Any) -> Any:
        out[...] = values[rows]
        return out

    return column_sums(terms, values.shape, values, divisor=divisor)


def sum_of(values: Any, divisor: int = 1) -> float:
    """Likewise of an array (n,)."""
    return float(sums_of(values[:, None], divisor)[0])
