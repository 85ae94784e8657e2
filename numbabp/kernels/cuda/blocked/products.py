"""A vector times columns of weights, forwards, and times rows of them, backwards.

The vector lies in shared memory, followed by zeros: so every turn is whole, and what it reads of weights too
many only has to be some of the same layer's. Weights that stay in shared memory (`places`) lie there in the
order in which threads come to them, each beside those of its neighbours; the others come from the
second-level cache or the device's memory.
"""

from typing import Any, NamedTuple

import numpy as np

from ....compiler.compiling import scalar_function
from ...layout import FAN_IN, FAN_OUT
from ..loops import rolled
from ..quads import load_quad, load_quad_of, store_quad
from .geometry import QUAD
from .places import (
    BACKWARD_AT,
    FORWARD_AT,
    HALF_TURN,
    N_BACKWARD,
    N_FORWARD,
    N_HELD,
    TILE,
    TURN,
    VECTOR_AT,
    place,
    weights_at,
)
from .sums import WARP, add_scaled, multiply_add


class Matrix(NamedTuple):
    """A layer's weights, or their velocity."""

    values: Any  # T, of all layers
    start: Any
    below: Any  # number of the last row,
    last: Any  # and of the last column
    is_aligned: Any  # whether quads can be loaded at once


@scalar_function
def matrix_of(values: Any, scratch: Any, me: Any, layer: Any) -> Any:
    """That of a layer."""
    return Matrix(
        values,
        weights_at(scratch, layer),
        np.int32(place(scratch, layer, FAN_IN) - 1),
        np.int32(place(scratch, layer, FAN_OUT) - 1),
        me.is_aligned,
    )


@scalar_function
def first_unit(me: Any, round: Any) -> Any:
    """Of the group of units that the block takes in a round."""
    return np.int32((round * me.n_blocks + me.block) * me.group)


@scalar_function
def row_at(matrix: Any, row: Any) -> Any:
    """Where a row begins among the parameters; the last one, if there is none of this number."""
    known = np.uint32(min(np.int32(row), matrix.below))
    return matrix.start + np.int64(np.uint64(known) * np.uint64(np.uint32(matrix.last + 1)))


@scalar_function
def aligned_quad(matrix: Any, row: Any, column: Any) -> Any:
    """Four weights of a row, from a column on; the last four, where there are no others."""
    known = min(np.int32(column), np.int32(matrix.last - (QUAD - 1)))
    return load_quad_of(matrix.values, row_at(matrix, row), known)


@scalar_function
def any_quad(matrix: Any, row: Any, column: Any) -> Any:
    """The same of a matrix whose rows begin anywhere."""
    values, last, start = matrix.values, matrix.last, row_at(matrix, row)
    return (
        values[np.uint64(start + min(column, last))],
        values[np.uint64(start + min(column + 1, last))],
        values[np.uint64(start + min(column + 2, last))],
        values[np.uint64(start + min(column + 3, last))],
    )


@scalar_function
def turn_down(matrix: Any, row: Any, column: Any) -> Any:
    """Quads of 8 rows, one below the other. All are asked for before one is waited for."""
    if matrix.is_aligned:
        return (
            aligned_quad(matrix, row, column),
            aligned_quad(matrix, row + 1, column),
            aligned_quad(matrix, row + 2, column),
            aligned_quad(matrix, row + 3, column),
            aligned_quad(matrix, row + 4, column),
            aligned_quad(matrix, row + 5, column),
            aligned_quad(matrix, row + 6, column),
            aligned_quad(matrix, row + 7, column),
        )
    return (
        any_quad(matrix, row, column),
        any_quad(matrix, row + 1, column),
        any_quad(matrix, row + 2, column),
        any_quad(matrix, row + 3, column),
        any_quad(matrix, row + 4, column),
        any_quad(matrix, row + 5, column),
        any_quad(matrix, row + 6, column),
        any_quad(matrix, row + 7, column),
    )


@scalar_function
def half_turn_along(matrix: Any, row: Any, column: Any) -> Any:
    """Quads of a row, each beside those of the other lanes."""
    if matrix.is_aligned:
        return (
            aligned_quad(matrix, row, column),
            aligned_quad(matrix, row, column + QUAD * WARP),
            aligned_quad(matrix, row, column + 2 * QUAD * WARP),
            aligned_quad(matrix, row, column + 3 * QUAD * WARP),
        )
    return (
        any_quad(matrix, row, column),
        any_quad(matrix, row, column + QUAD * WARP),
        any_quad(matrix, row, column + 2 * QUAD * WARP),
        any_quad(matrix, row, column + 3 * QUAD * WARP),
    )


@scalar_function
def add_down(pool: Any, x: Any, quads: Any, sums: Any) -> Any:
    """Four columns' sums with 8 rows more; their numbers of the vector begin at pool[x]."""
    a, b = load_quad(pool, x), load_quad(pool, x + QUAD)
    sums = add_scaled(sums, a[0], quads[0])
    sums = add_scaled(sums, a[1], quads[1])
    sums = add_scaled(sums, a[2], quads[2])
    sums = add_scaled(sums, a[3], quads[3])
    sums = add_scaled(sums, b[0], quads[4])
    sums = add_scaled(sums, b[1], quads[5])
    sums = add_scaled(sums, b[2], quads[6])
    return add_scaled(sums, b[3], quads[7])


@scalar_function
def add_along(pool: Any, x: Any, quads: Any, sums: Any) -> Any:
    """A row's four sums with as many quads more; theirs of the vector begin at pool[x]."""
    step = QUAD * WARP
    sums = multiply_add(sums, quads[0], load_quad(pool, x))
    sums = multiply_add(sums, quads[1], load_quad(pool, x + step))
    sums = multiply_add(sums, quads[2], load_quad(pool, x + 2 * step))
    return multiply_add(sums, quads[3], load_quad(pool, x + 3 * step))


@scalar_function
def turns_down(matrix: Any, me: Any) -> Any:
    """That a thread takes through the rows."""
    return np.int32(np.uint32(matrix.below + TURN * me.n_parts) // np.uint32(TURN * me.n_parts))


@scalar_function
def turns_along(matrix: Any) -> Any:
    """That a thread takes through a row."""
    return np.int32(np.uint32(matrix.last + TURN * QUAD * WARP) // np.uint32(TURN * QUAD * WARP))


@scalar_function
def add_columns(
    matrix: Any, scratch: Any, me: Any, layer: Any, round: Any, begin: Any, stays: Any, sums: Any
) -> Any:
    """A thread's part of the vector times four columns, of what lies in the vector's tile from `begin` on."""
    pool, rows = scratch.pool, np.int32(TURN * me.n_parts)
    turns = turns_down(matrix, me)
    first = np.int32(np.uint32(begin) // np.uint32(rows))
    end = min(turns, np.int32(first + np.uint32(place(scratch, layer, TILE)) // np.uint32(rows)))
    m, x = first, np.int32(place(scratch, layer, VECTOR_AT) + TURN * me.part)
    if stays:
        here = np.int32(round * turns)
        kept = min(end, np.int32(place(scratch, layer, N_FORWARD) - here))
        at = np.int32(place(scratch, layer, FORWARD_AT) + QUAD * (TURN * (here + m) * me.n + me.thread))
        step = np.int32(QUAD * me.n)
        while m < kept:
            rolled()
            quads = (
                load_quad(pool, at),
                load_quad(pool, at + step),
                load_quad(pool, at + 2 * step),
                load_quad(pool, at + 3 * step),
                load_quad(pool, at + 4 * step),
                load_quad(pool, at + 5 * step),
                load_quad(pool, at + 6 * step),
                load_quad(pool, at + 7 * step),
            )
            sums = add_down(pool, x, quads, sums)
            m, x, at = np.int32(m + 1), np.int32(x + rows), np.int32(at + TURN * step)
    column = np.int32(first_unit(me, round) + me.quad)
    while m < end:
        rolled()
        quads = turn_down(matrix, np.int32(m * rows + TURN * me.part), column)
        sums = add_down(pool, x, quads, sums)
        m, x = np.int32(m + 1), np.int32(x + rows)
    return sums


@scalar_function
def add_row(
    matrix: Any, scratch: Any, me: Any, layer: Any, visit: Any, begin: Any, held: Any, sums: Any
) -> Any:
    """A lane's part of the vector times a row, of what lies in the vector's tile from `begin` on.

    `visit` counts the rows that a warp takes, (round, number of the row among the warp's in the group). What
    is `held` comes first of all of them, then what stays in shared memory; None, where neither is.
    """
    pool, columns = scratch.pool, np.int32(HALF_TURN * QUAD * WARP)
    round, number = visit
    row = np.int32(first_unit(me, round) + number * me.n_warps + me.warp)
    halves = np.int32(turns_along(matrix) * (TURN // HALF_TURN))
    first = np.int32(np.uint32(begin) // np.uint32(columns))
    end = min(halves, np.int32(first + np.uint32(place(scratch, layer, TILE)) // np.uint32(columns)))
    m, x = first, np.int32(place(scratch, layer, VECTOR_AT) + QUAD * me.lane)
    if held is not None:
        here = np.int32((round * rows_of_warp(me) + number) * halves)
        if me.n_held > 0:
            until = min(end, np.int32(place(scratch, layer, N_HELD) - here))
            sums, m, x = add_held(pool, held[0], np.int32(0 - here), until, sums, m, x)
            sums, m, x = add_held(pool, held[1], np.int32(1 - here), until, sums, m, x)
            sums, m, x = add_held(pool, held[2], np.int32(2 - here), until, sums, m, x)
            sums, m, x = add_held(pool, held[3], np.int32(3 - here), until, sums, m, x)
        here = np.int32(here - place(scratch, layer, N_HELD))
        kept = min(end, np.int32(place(scratch, layer, N_BACKWARD) - here))
        at = np.int32(place(scratch, layer, BACKWARD_AT) + QUAD * (HALF_TURN * (here + m) * me.n + me.thread))
        step = np.int32(QUAD * me.n)
        while m < kept:
            rolled()
            quads = (
                load_quad(pool, at),
                load_quad(pool, at + step),
                load_quad(pool, at + 2 * step),
                load_quad(pool, at + 3 * step),
            )
            sums = add_along(pool, x, quads, sums)
            m, x, at = np.int32(m + 1), np.int32(x + columns), np.int32(at + HALF_TURN * step)
    while np.int32(m + 1) < end:  # two at once
        rolled()
        column = np.int32(m * columns + QUAD * me.lane)
        near = half_turn_along(matrix, row, column)
        far = half_turn_along(matrix, row, column + columns)
        sums = add_along(pool, x, near, sums)
        sums = add_along(pool, x + columns, far, sums)
        m, x = np.int32(m + 2), np.int32(x + 2 * columns)
    if m < end:
        quads = half_turn_along(matrix, row, np.int32(m * columns + QUAD * me.lane))
        sums = add_along(pool, x, quads, sums)
    return sums


@scalar_function
def add_held(pool: Any, quads: Any, wanted: Any, until: Any, sums: Any, m: Any, x: Any) -> Any:
    """The same, if the half turn that is wanted is the next one, m; and which one is next then, and where."""
    if m == wanted and wanted < until:
        return add_along(pool, x, quads, sums), np.int32(m + 1), np.int32(x + HALF_TURN * QUAD * WARP)
    return sums, m, x


@scalar_function
def rows_of_warp(me: Any) -> Any:
    """Rows that a warp takes of a group."""
    return np.int32((me.group + me.n_warps - 1) // me.n_warps)


@scalar_function
def keep_columns(values: Any, scratch: Any, me: Any, layer: Any) -> None:
    """Copy the columns that stay to where `add_columns` looks for them."""
    matrix = matrix_of(values, scratch, me, layer)
    turns = turns_down(matrix, me)
    round, m, step = np.int32(0), np.int32(0), QUAD * me.n
    at = np.int32(place(scratch, layer, FORWARD_AT) + QUAD * me.thread)
    for _ in range(place(scratch, layer, N_FORWARD)):
        rolled()
        column = np.int32(first_unit(me, round) + me.quad)
        quads = turn_down(matrix, np.int32(m * TURN * me.n_parts + TURN * me.part), column)
        store_quad(scratch.pool, at + 0 * step, quads[0])
        store_quad(scratch.pool, at + 1 * step, quads[1])
        store_quad(scratch.pool, at + 2 * step, quads[2])
        store_quad(scratch.pool, at + 3 * step, quads[3])
        store_quad(scratch.pool, at + 4 * step, quads[4])
        store_quad(scratch.pool, at + 5 * step, quads[5])
        store_quad(scratch.pool, at + 6 * step, quads[6])
        store_quad(scratch.pool, at + 7 * step, quads[7])
        at, m = np.int32(at + TURN * step), np.int32(m + 1)
        if m == turns:
            round, m = np.int32(round + 1), np.int32(0)


@scalar_function
def visit_of(me: Any, i: Any, halves: Any) -> Any:
    """Round, row of the warp's in it and half turn of the row, for half turn i of all that the warp takes."""
    visit = np.uint32(i) // np.uint32(halves)  # of 32 bits without signs: the fewest instructions
    m = np.int32(i - visit * halves)
    round = visit // np.uint32(rows_of_warp(me))
    return np.int32(round), np.int32(visit - round * rows_of_warp(me)), m


@scalar_function
def keep_rows(values: Any, scratch: Any, me: Any, layer: Any) -> None:
    """Copy the rows that stay to where `add_row` looks for them."""
    matrix = matrix_of(values, scratch, me, layer)
    halves = turns_along(matrix) * (TURN // HALF_TURN)
    round, number, m = visit_of(me, place(scratch, layer, N_HELD), halves)
    step = QUAD * me.n
    at = np.int32(place(scratch, layer, BACKWARD_AT) + QUAD * me.thread)
    for _ in range(place(scratch, layer, N_BACKWARD)):
        rolled()
        row = np.int32(first_unit(me, round) + number * me.n_warps + me.warp)
        quads = half_turn_along(matrix, row, np.int32(m * HALF_TURN * QUAD * WARP + QUAD * me.lane))
        store_quad(scratch.pool, at + 0 * step, quads[0])
        store_quad(scratch.pool, at + 1 * step, quads[1])
        store_quad(scratch.pool, at + 2 * step, quads[2])
        store_quad(scratch.pool, at + 3 * step, quads[3])
        at, m = np.int32(at + HALF_TURN * step), np.int32(m + 1)
        if m == halves:
            number, m = np.int32(number + 1), np.int32(0)
            if number == rows_of_warp(me):
                round, number = np.int32(round + 1), np.int32(0)


@scalar_function
def held_half_turn(values: Any, scratch: Any, me: Any, layer: Any, i: Any) -> Any:
    """The half turn of this number of the rows that a warp takes."""
    matrix = matrix_of(values, scratch, me, layer)
    round, number, m = visit_of(me, i, turns_along(matrix) * (TURN // HALF_TURN))
    row = np.int32(first_unit(me, round) + number * me.n_warps + me.warp)
    return half_turn_along(matrix, row, np.int32(m * HALF_TURN * QUAD * WARP + QUAD * me.lane))


@scalar_function
def hold_rows(values: Any, scratch: Any, me: Any, layer: Any) -> Any:
    """Four of them, to stay in a thread's registers."""
    return (
        held_half_turn(values, scratch, me, layer, 0),
        held_half_turn(values, scratch, me, layer, 1),
        held_half_turn(values, scratch, me, layer, 2),
        held_half_turn(values, scratch, me, layer, 3),
    )


@scalar_function
def hold_nothing(zero: Any) -> Any:
    """What stands for them in networks that have no such layer."""
    quad = (zero, zero, zero, zero)
    half_turn = (quad, quad, quad, quad)
    return half_turn, half_turn, half_turn, half_turn
