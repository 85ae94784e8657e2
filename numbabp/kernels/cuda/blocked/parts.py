"""What a phase of the blocked kernel leaves for the next one, which needs it of all blocks of threads.

Every block has a row of `Block.parts`, sums over its own units; after the next barrier every block adds up
all rows. A column is the same thread's from its first sum to its last, so that no barrier is needed between.
"""

from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import cuda
from ...layout import FAN_IN, FAN_OUT
from ..quads import QUAD, load_quad, store_quad
from .places import ABSENT, BACKWARD_AT, PARTS, TILE, VECTOR_AT, place, step_of_tile, weights_at
from .products import first_unit
from .sums import WARP, dot, dot_quads

ROWS_AT_ONCE = 8
"""Rows of which a thread asks for a quad before it waits for the first."""
MOST_SHARES = 16
"""Threads that add up the rows of a column."""


@scalar_function
def columns_at_once(me: Any, width: Any) -> Any:
    """How many quads of columns are added up together, as a power of 2, so that none needs a division."""
    power: Any = np.int32(0)
    while (1 << power) * MOST_SHARES < me.n or ((1 << power) * QUAD < width and (1 << power) < me.n):
        power = np.int32(power + 1)
    return power


@scalar_function
def add_rows(block: Any, scratch: Any, me: Any, phase: Any, n_rows: Any, first: Any, power: Any) -> None:
    """Into `scratch.sums`: what the blocks left of the phase before, in quads of columns from `first` on."""
    parts = block.parts
    zero = parts.dtype.type(0)
    length = place(scratch, 0, PARTS)
    column = np.int32(QUAD * (first + (me.thread & ((1 << power) - 1))))
    begin = np.int64(((phase + 1) & 1) * me.n_blocks) * length + column
    n_shares, row = np.int32(me.n >> power), np.int32(me.thread >> power)
    sums = (zero, zero, zero, zero)
    if column < length:
        while row < n_rows:
            for k in range(ROWS_AT_ONCE):
                wanted = np.int32(row + k * n_shares)
                known = (
                    wanted if wanted < n_rows else row
                )  # a missing one repeats the first, and does not count
                quad = load_quad(parts, begin + known * length)
                once = wanted < n_rows
                sums = (
                    sums[0] + (quad[0] if once else zero),
                    sums[1] + (quad[1] if once else zero),
                    sums[2] + (quad[2] if once else zero),
                    sums[3] + (quad[3] if once else zero),
                )
            row = np.int32(row + ROWS_AT_ONCE * n_shares)
    store_quad(scratch.sums, QUAD * me.thread, sums)


@scalar_function
def add_shares(scratch: Any, me: Any, t: Any, width: Any, first: Any, power: Any) -> None:
    """Into `scratch.dots`: the same columns whole; the first t are inner products (equation 6)."""
    columns = np.int32(QUAD << power)
    n_shares = np.int32(me.n >> power)
    for column in range(me.thread, min(columns, width - QUAD * first), me.n):
        total = scratch.sums[column]
        for share in range(1, n_shares):
            total += scratch.sums[share * columns + column]
        c = QUAD * first + column
        scratch.dots[c] = total * scratch.of_gradient[t - 1 - c] if c < t else total


@scalar_function
def ask_for_parts(block: Any, scratch: Any, me: Any, phase: Any, n_rows: Any, width: Any) -> None:
    """Begin to add up the rows of the phase before."""
    add_rows(block, scratch, me, phase, n_rows, 0, columns_at_once(me, width))


@device_function
def read_parts(block: Any, scratch: Any, me: Any, phase: Any, n_rows: Any, t: Any, width: Any) -> None:
    """Add them up, the first t columns being inner products (equation 6).

    A barrier has to follow before anyone reads `scratch.dots`. What was written before, everyone may read.
    """
    power = columns_at_once(me, width)
    cuda.syncthreads()
    add_shares(scratch, me, t, width, 0, power)
    first = np.int32(1 << power)
    while (
        QUAD * first < width
    ):  # columns beyond those that all threads add up together: few networks have any
        cuda.syncthreads()
        add_rows(block, scratch, me, phase, n_rows, first, power)
        cuda.syncthreads()
        add_shares(scratch, me, t, width, first, power)
        first = np.int32(first + (1 << power))


@scalar_function
def vector_quad(values: Any, start: Any, i: Any, n: Any, is_aligned: Any) -> Any:
    """Four numbers of a vector of n that begins at values[start], and zeros behind its end."""
    zero = values.dtype.type(0)
    if is_aligned:
        if i < n:
            return load_quad(values, start + i)
        return zero, zero, zero, zero
    return (
        values[start + i] if i < n else zero,
        values[start + i + 1] if i + 1 < n else zero,
        values[start + i + 2] if i + 2 < n else zero,
        values[start + i + 3] if i + 3 < n else zero,
    )


@scalar_function
def ask_for_vector(values: Any, start: Any, me: Any, n: Any, is_aligned: Any) -> Any:
    """A thread's first two quads of a vector of n, with which most are whole."""
    return (
        vector_quad(values, start, QUAD * me.thread, n, is_aligned),
        vector_quad(values, start, QUAD * (me.n + me.thread), n, is_aligned),
    )


@scalar_function
def store_vector(values: Any, start: Any, scratch: Any, me: Any, n: Any, is_aligned: Any, held: Any) -> None:
    """Put what was asked for, and what else the first tile holds, to where products look for it."""
    at, end = place(scratch, 0, VECTOR_AT), end_of_tile(scratch, me, n)
    first = np.int32(QUAD * me.thread)
    store_quad(scratch.pool, at + first, held[0])
    first = np.int32(first + QUAD * me.n)
    if first < end:
        store_quad(scratch.pool, at + first, held[1])
    copy_vector(values, start, scratch, me, n, is_aligned, 2)


@scalar_function
def copy_vector(
    values: Any, start: Any, scratch: Any, me: Any, n: Any, is_aligned: Any, from_turn: Any
) -> None:
    """As much of a vector as the tile holds, from a thread's quad of this number on."""
    at, end = place(scratch, 0, VECTOR_AT), end_of_tile(scratch, me, n)
    first = np.int32(QUAD * (from_turn * me.n + me.thread))
    while first < end:
        store_quad(scratch.pool, at + first, vector_quad(values, start, first, n, is_aligned))
        first = np.int32(first + QUAD * me.n)


@scalar_function
def end_of_tile(scratch: Any, me: Any, n: Any) -> Any:
    """How much of the tile a vector of n takes, with the zeros that make turns whole."""
    step = np.int32(step_of_tile(me.n, me.n_parts, WARP))
    return np.int32(min((n + step - 1) // step * step, place(scratch, 0, TILE)))


@scalar_function
def clear_parts(scratch: Any, me: Any, width: Any) -> None:
    """Begin the block's own row."""
    for c in range(me.thread, width, me.n):
        scratch.parts[c] = scratch.parts.dtype.type(0)


@scalar_function
def add_inner_products(
    history: Any, start: Any, stride: Any, scratch: Any, me: Any, count: Any, t: Any
) -> None:
    """Add the group's share of the inner products of sample t's units with those of the samples before."""
    for c in range(me.thread, t, me.n):
        scratch.parts[c] += dot(history, start + c * stride, scratch.fresh, 0, count, 1)


@scalar_function
def add_own_inner_products(start: Any, stride: Any, scratch: Any, me: Any, t: Any) -> None:
    """The same, of what lies in shared memory."""
    for c in range(me.thread, t, me.n):
        scratch.parts[c] += dot_quads(scratch.pool, start + c * stride, scratch.fresh, 0, me.group)


@scalar_function
def add_products(network: Any, scratch: Any, me: Any, round: Any, t: Any, has_velocity: Any) -> None:
    """Add the share of the output layer's sums that comes from a group of the last hidden layer."""
    last = len(network.layout) - 1
    n_outputs, kept = place(scratch, last, FAN_OUT), place(scratch, last, BACKWARD_AT)
    first = first_unit(me, round)
    count = np.int32(min(me.group, place(scratch, last, FAN_IN) - first))
    row = weights_at(scratch, last) + first * n_outputs
    # column t + k is thread (t + k) % n's, like the columns before it
    for k in range((me.thread - t) & (me.n - 1), n_outputs, me.n):
        if kept != ABSENT:
            own = kept + round * me.group * n_outputs + k
            total = dot(scratch.pool, own, scratch.fresh, 0, count, n_outputs)
        else:
            total = dot(network.parameters, row + k, scratch.fresh, 0, count, n_outputs)
        total *= scratch.of_weights[t]
        if has_velocity:
            total += scratch.of_velocity[t] * dot(
                network.velocity, row + k, scratch.fresh, 0, count, n_outputs
            )
        scratch.parts[t + k] += total


@scalar_function
def write_parts(block: Any, scratch: Any, me: Any, phase: Any, width: Any) -> None:
    """Leave the block's row to the next phase."""
    row = np.int64((phase & 1) * me.n_blocks + me.block) * place(scratch, 0, PARTS)
    for c in range(me.thread, width, me.n):
        block.parts[row + c] = scratch.parts[c]
