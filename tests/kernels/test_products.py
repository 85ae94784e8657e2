"""Products by tiles of our own against NumPy's, also at the edges of tiles and of what lies around them."""

import os
import subprocess
import sys

import numpy as np
import pytest

from numbabp.compiler.compiling import kernel
from numbabp.kernels.layout import ONE, ZERO
from numbabp.kernels.products.inner import AT_ONCE, inner_products
from numbabp.kernels.products.rows import add_rows, multiply_rows
from numbabp.kernels.products.tiled import block_size, product
from numbabp.kernels.products.tiles import Grid, rows_of_tile

MARGIN = 40
SIZES = [
    *((m, k, n) for m in (1, 3, 4, 5, 6, 7, 8, 9, 13) for k in (1, 5, 8) for n in (1, 4, 8, 9, 16, 17, 33)),
    *((32, 70, 65), (11, 513, 20), (5, 1030, 70), (200, 20, 100)),
]


@kernel
def multiply(arrays, rows, size, is_transposed):
    c, start, a, b, packed = arrays
    of_c, of_start, of_a, of_b = rows
    product(
        Grid(c, np.uint64(MARGIN), of_c, ONE),
        Grid(start, ZERO, of_start, ONE),
        Grid(a, ONE, of_a, ONE),
        Grid(b, ONE, of_b, ONE),
        is_transposed,
        packed,
        size,
    )


def check(m, k, n, is_transposed, dtype, gap=0, tolerance=1e-12):
    """C = start + A B inside larger arrays, whose other numbers are NaN and must not be read nor written."""
    rs = np.random.RandomState(0)
    A, B, bias = rs.standard_normal((m, k)), rs.standard_normal((k, n)), rs.standard_normal(n)
    stored = B.T if is_transposed else B

    def inside(matrix, at):
        rows, columns = matrix.shape
        flat = np.full(at + rows * (columns + gap) + MARGIN, np.nan, dtype)
        view = flat[at : at + rows * (columns + gap)].reshape(rows, columns + gap)
        view[:, :columns] = matrix
        return flat, np.uint64(columns + gap)

    a, of_a = inside(A, 1)
    b, of_b = inside(stored, 1)
    c, of_c = inside(np.full((m, n), np.nan), MARGIN)
    packed = np.full(block_size(np.dtype(dtype)), np.nan, dtype)
    start = np.append(bias, np.full(MARGIN, np.nan)).astype(dtype)
    size = tuple(np.uint64(s) for s in (m, k, n))
    multiply((c, start, a, b, packed), (of_c, ZERO, of_a, of_b), size, is_transposed)
    found = c[MARGIN : MARGIN + m * (n + gap)].reshape(m, n + gap)
    scale = 1 + np.abs(A) @ np.abs(B)
    assert np.max(np.abs(found[:, :n] - (A @ B + bias)) / scale) < tolerance
    assert np.isnan(found[:, n:]).all() and np.isnan(c[:MARGIN]).all()
    assert np.isnan(c[MARGIN + m * (n + gap) :]).all()


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float32", 1e-5)])
def test_sizes(dtype, tolerance, is_transposed):
    for m, k, n in SIZES:
        for gap in (0, 3):
            check(m, k, n, is_transposed, dtype, gap, tolerance)


def test_rows_of_tiles():
    for m in range(1, 300):
        left, tiles = m, 0
        while left:
            rows = int(rows_of_tile(np.uint64(left)))
            assert 1 <= rows <= left
            left, tiles = left - rows, tiles + 1
        assert tiles <= m // 4 + 1


ALONE = """
from test_products import SIZES, check
for m, k, n in SIZES[::9]:
    for is_transposed in (False, True):
        check(m, k, n, is_transposed, "float64", 2)
print("the same")
"""


def test_without_the_compiler():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=os.path.dirname(__file__),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "the same\n", done.stderr


@kernel
def multiply_all(c, column, x, h):
    for first in range(0, len(x), AT_ONCE):
        inner_products(c, column, x, h, first, min(first + AT_ONCE, len(x)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 5, 16, 33, 400, 1700])
def test_inner_products_of_rows(width, dtype):
    rs = np.random.RandomState(0)
    for n in (1, 3, 8, 13):
        for m in (1, 2, 4, 7, 33):
            X, H = (rs.standard_normal((rows, width)).astype(dtype) for rows in (n, m))
            C = np.full((n, m + 5), np.nan, dtype)
            multiply_all(C, 3, X, H)
            exact = X.astype(float) @ H.astype(float).T
            assert np.abs(C[:, 3 : m + 3] - exact).max() < np.sqrt(width) * 40 * np.finfo(dtype).eps
            assert np.isnan(C[:, :3]).all()
            assert np.isnan(C[:, m + 3 :]).all()


@kernel
def with_rows(products, vector, target, coefficients, rows, first, last, is_downward):
    multiply_rows(products, vector, rows, first, last, is_downward)
    add_rows(target, coefficients, rows, first, last, is_downward)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 5, 16, 33, 400])
def test_a_vector_with_many_rows(width, dtype):
    rs = np.random.RandomState(0)
    error = np.sqrt(width) * 40 * np.finfo(dtype).eps
    for n in (0, 1, 2, 7, 8, 9, 33):
        rows = rs.standard_normal((n + 3, width + 2)).astype(dtype)
        rows[:2] = rows[n + 2 :] = rows[:, width:] = np.nan  # which are not asked for
        vector, start = (rs.standard_normal(width).astype(dtype) for _ in range(2))
        coefficients = rs.standard_normal(n).astype(dtype)
        for is_downward in (False, True):
            products, target = np.full(n + 2, np.nan, dtype), start.copy()
            with_rows(products, vector, target, coefficients, rows, 2, n + 2, is_downward)
            those = rows[2 : n + 2, :width].astype(float)
            assert np.abs(products[:n] - those @ vector).max(initial=0) < error
            assert np.isnan(products[n:]).all()
            assert np.abs(target - start - coefficients @ those).max() < np.sqrt(n + 1) * error
