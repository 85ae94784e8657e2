"""Matrix products by tiles of our own, whatever BLAS there is.

Blocks of B are packed into panels; a block stays in the second cache, a panel of it in the first (Goto and
van de Geijn 2008). What BLAS lacks: a product may begin with a bias, and a gradient's rows are used while
they are in the cache.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import subroutine
from ..layout import ONE, ZERO
from .tiles import (
    Grid,
    multiply_tile,
    n_columns,
    pack_panel,
    pack_transposed,
    rows_of_tile,
    tile_width,
)

TERMS = np.uint64(512)
"""Terms of a sum that are done at a time.

With 256, whose panel leaves half of the first cache free, 784 x 512 in float32 and 200 samples ran at 90
GFLOP/s instead of 95.
"""
PANELS = np.uint64(4)
"""Panels of a block, so that B is read in pieces of some cache lines; 8 are no faster."""
AT_ONCE = np.uint64(64)
"""Rows of B that go into all panels of a block before the next ones."""


def packed_size(k: int, n: int, dtype: np.dtype) -> int:
    """Numbers that `pack` writes at most of a matrix (k, n): whole panels, and some rows after the last."""
    width = tile_width(dtype)
    return k * (-(-n // width) * width) + width * width


def block_size(dtype: np.dtype) -> int:
    """Numbers that `product` wants for the blocks that it packs."""
    return packed_size(int(TERMS), int(PANELS) * tile_width(dtype), dtype)


@subroutine
def pack(packed: Any, at: Any, b: Any, is_transposed: Any, k: Any, n: Any) -> None:
    """Panels of B (k, n) from packed[at], one after the other; b is the grid of B^T if it `is_transposed`."""
    width = n_columns(packed)
    if is_transposed:
        for j in range(ZERO, n, width):
            panel = Grid(packed, at + k * j, width, ONE)
            pack_transposed(panel, Grid(b.data, b.at + j * b.row, b.row, b.step), n - j, k)
        return
    for i in range(ZERO, k, AT_ONCE):
        rows = min(AT_ONCE, k - i)
        for j in range(ZERO, n, width):
            panel = Grid(packed, at + k * j + i * width, width, ONE)
            pack_panel(panel, Grid(b.data, b.at + i * b.row + j, b.row, b.step), n - j, rows)


@subroutine
def multiply_packed(c: Any, start: Any, a: Any, packed: Any, at: Any, m: Any, k: Any, n: Any) -> None:
    """C = start + A B, with B (k, n) as `pack` has left it, and the grids as `multiply_tile` takes them."""
    width = n_columns(packed)
    for j in range(ZERO, n, width):
        panel = Grid(packed, at + k * j, width, ONE)
        i = ZERO
        while i < m:
            rows = rows_of_tile(m - i)
            multiply_tile(
                Grid(c.data, c.at + i * c.row + j, c.row, c.step),
                Grid(start.data, start.at + i * start.row + j, start.row, start.step),
                Grid(a.data, a.at + i * a.row, a.row, a.step),
                panel,
                rows,
                n - j,
                k,
            )
            i += rows


@subroutine
def product(c: Any, start: Any, a: Any, b: Any, is_transposed: Any, packed: Any, size: Any) -> None:
    """C = start + A B.

    Parameters
    ----------
    c, start, a, b
        Grids of one dtype, `start`'s not overlapping C's; all of step 1.
    is_transposed
        Whether b is the grid of B^T.
    packed
        T (block_size,), scratch.
    size
        uint64 m, k, n: A is (m, k), B (k, n).
    """
    m, k, n = size
    most = PANELS * n_columns(packed)
    for j in range(ZERO, n, most):
        columns = min(most, n - j)
        for first in range(ZERO, k, TERMS):
            terms = min(TERMS, k - first)
            if is_transposed:
                block = Grid(b.data, b.at + j * b.row + first, b.row, b.step)
            else:
                block = Grid(b.data, b.at + first * b.row + j, b.row, b.step)
            pack(packed, ZERO, block, is_transposed, terms, columns)
            of_c = Grid(c.data, c.at + j, c.row, c.step)
            of_start = Grid(start.data, start.at + j, start.row, start.step)
            of_a = Grid(a.data, a.at + first, a.row, a.step)
            multiply_packed(of_c, of_start if first == ZERO else of_c, of_a, packed, ZERO, m, terms, columns)
