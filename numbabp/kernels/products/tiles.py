"""The innermost part of a product of matrices: a tile in registers, and how its operands are packed.

A tile of C has TILE_ROWS rows and `tile_width` columns, as many numbers as registers hold beside a row of B
(Goto and van de Geijn 2008). B comes in panels of that many columns, one row after the other, which
`pack_panel` and `pack_transposed` make. Without the compiler (`NUMBA_DISABLE_JIT=1`) all this is NumPy's.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...compiler.compiling import scalar_function
from ...compiler.vectors import call, filled, has_avx512

FLAGS = ("contract", "nsz")
VECTORS = 2
"""Vectors of a tile's row."""


_HAS_AVX512 = has_avx512()
VECTOR_BYTES = 64 if _HAS_AVX512 else 32
TILE_ROWS = 12 if _HAS_AVX512 else 6
"""Rows of a tile: it takes 24 of AVX-512's 32 registers, or 12 of AVX2's 16, and leaves some for A and B."""
FEW_ROWS = 8 if _HAS_AVX512 else 4
"""Rows of the tile for what is left: 32 rows are 4 tiles of 6 and 2 of 4."""


class Grid(NamedTuple):
    """Numbers in a flat array: (i, k) is data[at + i * row + k * step]."""

    data: Any
    at: Any
    row: Any
    step: Any


def tile_width(dtype: Any) -> int:
    """Columns of a tile."""
    return VECTORS * VECTOR_BYTES // np.dtype(dtype).itemsize


def n_columns(array: Any) -> Any:
    """`tile_width` of the array's dtype, a constant in compiled code."""
    return np.uint64(tile_width(array.dtype))


def _window(grid: Any, rows: Any, columns: Any) -> Any:
    """Some numbers of a grid, to be read or changed."""
    at, row, step = int(grid.at), int(grid.row), int(grid.step)
    size = grid.data.itemsize
    return np.lib.stride_tricks.as_strided(
        grid.data[at:], (int(rows), int(columns)), (row * size, step * size), writeable=True
    )


@scalar_function
def rows_of_tile(left: Any) -> Any:
    """How many of the rows that are left the next tile takes."""
    many, few = np.uint64(TILE_ROWS), np.uint64(FEW_ROWS)
    if left <= few or (many < left and left <= few + few):
        return min(left, few)
    return min(left, many)


def multiply_tile(c: Any, start: Any, a: Any, panel: Any, rows: Any, columns: Any, k: Any) -> None:
    """A tile of C = start + A B, with what exceeds the tile's rows and columns left as it is.

    Parameters
    ----------
    c, start, a
        Grids of one dtype; those of `c` and `start` have step 1, and may be the same.
    panel
        Grid of B's panel, (k, tile_width).
    rows, columns
        uint64, at least 1: `rows_of_tile`, and how many columns are left.
    k
        uint64, terms of each sum, at least 1.
    """
    rows, columns = min(int(rows), TILE_ROWS), min(int(columns), tile_width(c.data.dtype))
    product = _window(a, rows, k) @ _window(panel, k, columns)
    _window(c, rows, columns)[...] = _window(start, rows, columns) + product


def pack_panel(panel: Any, b: Any, columns: Any, k: Any) -> None:
    """Copy k rows of a grid of step 1, up to `tile_width` columns of them, into a panel."""
    columns = min(int(columns), tile_width(b.data.dtype))
    _window(panel, k, columns)[...] = _window(b, k, columns)


def pack_transposed(panel: Any, b: Any, columns: Any, k: Any) -> None:
    """The same of B^T: up to `tile_width` rows of the grid become the columns of a panel.

    In compiled code up to a vector of rows after the k-th are written too.
    """
    columns = min(int(columns), tile_width(b.data.dtype))
    _window(panel, k, columns)[...] = _window(b, columns, k).T


def prefetch(array: Any, index: Any) -> None:
    """Have the cache line of array[index], which will be read and changed, brought nearer meanwhile."""


class _Writer:
    """What the three have in common: vectors of one dtype in LLVM's code."""

    i64 = ir.IntType(64)

    def __init__(self, context: Any, builder: Any, dtype: types.Float) -> None:
        self.context, self.builder, self.itemsize = context, builder, dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.itemsize
        number = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
        self.vector = ir.VectorType(number, self.lanes)
        self.name = f"v{self.lanes}f{dtype.bitwidth}"

    def constant(self, n: int) -> Any:
        return ir.Constant(self.i64, n)

    def grid(self, grid_type: Any, value: Any) -> tuple[Any, Any, Any]:
        """Pointer to a grid's first number, row and step."""
        data, at, row, step = cgutils.unpack_tuple(self.builder, value, 4)
        array = self.context.make_array(grid_type.types[0])(self.context, self.builder, data)
        return self.builder.gep(array.data, [at]), row, step

    def grids(self, of_types: Any, values: Any) -> list[tuple[Any, Any, Any]]:
        """The same of several."""
        return [self.grid(*pair) for pair in zip(of_types, values, strict=True)]

    def place(self, pointer: Any, offset: Any) -> Any:
        return self.builder.gep(pointer, [offset])

    def within(self, r: int, n: Any) -> Any:
        """The r-th of n, or the last."""
        last = self.builder.sub(n, self.constant(1))
        return self.least(self.constant(r), last)

    def least(self, a: Any, b: Any) -> Any:
        return self.builder.select(self.builder.icmp_unsigned("<", a, b), a, b)

    def mask(self, first: int, n: Any) -> Any:
        """Which numbers of a vector, of whose row `first` come before, are among n."""
        places = ir.Constant(ir.VectorType(self.i64, self.lanes), list(range(first, first + self.lanes)))
        return self.builder.icmp_unsigned("<", places, self.splat(n))

    def splat(self, number: Any) -> Any:
        return filled(self.builder, number, self.lanes)

    def load(self, pointer: Any, mask: Any = None) -> Any:
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=self.itemsize)
        align = ir.Constant(ir.IntType(32), self.itemsize)
        zeros = ir.Constant(self.vector, None)
        name = f"llvm.masked.load.{self.name}.p0"
        return call(self.builder, name, self.vector, [pointer, align, mask, zeros])

    def store(self, vector: Any, pointer: Any, mask: Any = None) -> None:
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            self.builder.store(vector, pointer, align=self.itemsize)
            return
        align = ir.Constant(ir.IntType(32), self.itemsize)
        call(
            self.builder,
            f"llvm.masked.store.{self.name}.p0",
            ir.VoidType(),
            [vector, pointer, align, mask],
        )

    def row(self, pointer: Any, vectors: int, columns: Any = None) -> list[Any]:
        """Vectors of a row, or of its first columns."""
        return [
            self.load(
                self.place(pointer, self.constant(v * self.lanes)),
                None if columns is None else self.mask(v * self.lanes, columns),
            )
            for v in range(vectors)
        ]


def _multiply_tile(
    typingctx: Any, c: Any, start: Any, a: Any, panel: Any, rows: Any, columns: Any, k: Any
) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        write = _Writer(context, builder, c.types[0].dtype)
        grids = write.grids(signature.args[:4], arguments[:4])
        n_rows, n_columns, _ = arguments[4:]
        is_narrow = builder.icmp_unsigned("<=", n_columns, write.constant(write.lanes))
        is_low = builder.icmp_unsigned("<=", n_rows, write.constant(FEW_ROWS))
        with builder.if_else(is_narrow) as (narrow, wide):
            with narrow:
                _write_tile(write, TILE_ROWS, 1, grids, arguments[4:])
            with wide, builder.if_else(is_low) as (low, high):
                with low:
                    _write_tile(write, FEW_ROWS, VECTORS, grids, arguments[4:])
                with high:
                    _write_tile(write, TILE_ROWS, VECTORS, grids, arguments[4:])
        return context.get_dummy_value()

    return types.void(c, start, a, panel, types.uint64, types.uint64, types.uint64), codegen


def _write_tile(write: "_Writer", rows: int, vectors: int, grids: list[Any], size: list[Any]) -> None:
    """Code for a tile of constant size."""
    builder = write.builder
    (c_at, c_row, _), (s_at, s_row, _), (a_at, a_row, a_step), (b_at, b_row, _) = grids
    n_rows, n_columns, n_terms = size
    # rows that are missing are the last one again: the same numbers in the same places
    index = [write.within(r, n_rows) for r in range(rows)]
    of_c, of_start, of_a = (
        [write.place(at, builder.mul(i, row)) for i in index]
        for at, row in ((c_at, c_row), (s_at, s_row), (a_at, a_row))
    )
    is_whole = builder.icmp_unsigned(">=", n_columns, write.constant(vectors * write.lanes))
    with builder.if_else(is_whole) as (whole, part):
        with whole:
            sums = [write.row(pointer, vectors) for pointer in of_start]
            from_whole = builder.block
        with part:
            masked = [write.row(pointer, vectors, n_columns) for pointer in of_start]
            from_part = builder.block
    begun = [[builder.phi(write.vector) for _ in range(vectors)] for _ in range(rows)]
    for r, row in enumerate(begun):
        for v, phi in enumerate(row):
            phi.add_incoming(sums[r][v], from_whole)
            phi.add_incoming(masked[r][v], from_part)
    before, loop, after = builder.block, *(builder.append_basic_block(name) for name in ("terms", "sums"))
    builder.branch(loop)
    builder.position_at_end(loop)
    i = builder.phi(write.i64)
    totals = [[builder.phi(write.vector) for _ in range(vectors)] for _ in range(rows)]
    numbers = write.row(write.place(b_at, builder.mul(i, b_row)), vectors)
    term, done = builder.mul(i, a_step), []
    for r in range(rows):
        x = write.splat(builder.load(write.place(of_a[r], term), align=write.itemsize))
        done.append(
            [
                builder.fadd(builder.fmul(x, numbers[v], flags=FLAGS), totals[r][v], flags=FLAGS)
                for v in range(vectors)
            ]
        )
    following = builder.add(i, write.constant(1))
    i.add_incoming(write.constant(0), before)
    i.add_incoming(following, loop)
    for r in range(rows):
        for v in range(vectors):
            totals[r][v].add_incoming(begun[r][v], before)
            totals[r][v].add_incoming(done[r][v], loop)
    builder.cbranch(builder.icmp_unsigned("<", following, n_terms), loop, after)
    builder.position_at_end(after)
    with builder.if_else(is_whole) as (whole, part):
        for block, known in ((whole, None), (part, n_columns)):
            with block:
                for r in range(rows):
                    for v in range(vectors):
                        first = v * write.lanes
                        mask = None if known is None else write.mask(first, known)
                        write.store(done[r][v], write.place(of_c[r], write.constant(first)), mask)


def _pack_panel(typingctx: Any, panel: Any, b: Any, columns: Any, k: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        write = _Writer(context, builder, b.types[0].dtype)
        (to, to_row, _), (b_at, b_row, _) = write.grids(signature.args[:2], arguments[:2])
        n_columns, n_rows = arguments[2:]
        is_whole = builder.icmp_unsigned(">=", n_columns, write.constant(VECTORS * write.lanes))
        with builder.if_else(is_whole) as (whole, part):
            for block, known in ((whole, None), (part, n_columns)):
                with block, cgutils.for_range(builder, n_rows, intp=write.i64) as loop:
                    row = write.row(write.place(b_at, builder.mul(loop.index, b_row)), VECTORS, known)
                    place = write.place(to, builder.mul(loop.index, to_row))
                    for v in range(VECTORS):
                        write.store(row[v], write.place(place, write.constant(v * write.lanes)))
        return context.get_dummy_value()

    return types.void(panel, b, types.uint64, types.uint64), codegen


def _pack_transposed(typingctx: Any, panel: Any, b: Any, columns: Any, k: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        write = _Writer(context, builder, b.types[0].dtype)
        (to, to_row, _), (b_at, b_row, _) = write.grids(signature.args[:2], arguments[:2])
        n_columns, n_terms = arguments[2:]
        lanes = write.lanes
        count = write.constant(lanes)
        rounds = builder.udiv(builder.add(n_terms, write.constant(lanes - 1)), count)
        with cgutils.for_range(builder, rounds, intp=write.i64) as loop:
            first = builder.mul(loop.index, count)
            left = builder.sub(n_terms, first)
            is_whole = builder.icmp_unsigned(">=", left, count)
            for v in range(VECTORS):
                # columns that are missing are the last one again, which nobody reads
                rows = [
                    write.place(
                        b_at,
                        builder.add(builder.mul(write.within(v * lanes + r, n_columns), b_row), first),
                    )
                    for r in range(lanes)
                ]
                with builder.if_else(is_whole) as (whole, part):
                    with whole:
                        of_whole = [write.load(row) for row in rows]
                        from_whole = builder.block
                    with part:
                        of_part = [write.load(row, write.mask(0, left)) for row in rows]
                        from_part = builder.block
                block = []
                for r in range(lanes):
                    phi = builder.phi(write.vector)
                    phi.add_incoming(of_whole[r], from_whole)
                    phi.add_incoming(of_part[r], from_part)
                    block.append(phi)
                for r, row in enumerate(_transposed(builder, block)):
                    at = builder.mul(builder.add(first, write.constant(r)), to_row)
                    write.store(row, write.place(to, builder.add(at, write.constant(v * lanes))))
        return context.get_dummy_value()

    return types.void(panel, b, types.uint64, types.uint64), codegen


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """A square of vectors, transposed by exchanging the quarters of ever smaller squares."""
    rows, n = list(rows), len(rows)
    distance = n // 2
    while distance:
        upper = [lane if not lane & distance else n + lane - distance for lane in range(n)]
        lower = [lane + distance if not lane & distance else n + lane for lane in range(n)]
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), n), places) for places in (upper, lower)]
        for r in range(n):
            if not r & distance:
                pair = rows[r], rows[r + distance]
                rows[r], rows[r + distance] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        distance //= 2
    return rows


def _prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(array)(context, builder, arguments[0]).data
        byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        to_write, second_cache, of_data = (ir.Constant(i32, n) for n in (1, 2, 1))
        call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, to_write, second_cache, of_data])
        return context.get_dummy_value()

    return types.void(array, types.uint64), codegen


def _n_columns(typingctx: Any, array: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.uint64, VECTORS * 8 * VECTOR_BYTES // array.dtype.bitwidth)

    return types.uint64(array), codegen


if not numba.config.DISABLE_JIT:
    multiply_tile = intrinsic(_multiply_tile)
    pack_panel, pack_transposed = intrinsic(_pack_panel), intrinsic(_pack_transposed)
    n_columns, prefetch = intrinsic(_n_columns), intrinsic(_prefetch)
