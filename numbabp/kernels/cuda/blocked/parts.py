"""What a stage of the blocked kernel leaves for the next one, which needs it of all blocks of threads.

Every block has a row of `Block.parts`, sums over its own units; after the next barrier every block adds up
all rows. Blocks without units leave zeros, and the last row, which is nobody's, is always zeros.
"""

from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ...layout import FAN_IN, FAN_OUT, OUTPUTS
from ..loops import at, rolled
from ..quads import load_quad, store_quad
from .geometry import QUAD
from .places import A_AT, ABSENT, BACKWARD_AT, DELTA_AT, PARTS, STRIDE, place, start_of, weights_at
from .products import first_unit
from .sums import FEW, dot, dot_of_group, dot_quads

ROWS_AT_ONCE = 8
"""Rows of which a thread asks for a quad before it waits for the first."""
MOST_SHARES, FEWEST_SHARES = 16, FEW
"""Threads that add up the rows of a column."""


@scalar_function
def columns_at_once(me: Any, width: Any) -> Any:
    """How many quads of columns are added up together, as a power of 2, so that none needs a division."""
    power: Any = np.int32(0)
    while (1 << power) * MOST_SHARES < me.n:  # the compiler knows the threads
        power = np.int32(power + 1)
    while np.int32(QUAD << power) < width and np.int32(FEWEST_SHARES << power) < me.n:
        rolled()
        power = np.int32(power + 1)
    return power


@scalar_function
def add_rows(
    block: Any, scratch: Any, me: Any, phase: Any, n_rows: Any, width: Any, first: Any, power: Any
) -> None:
    """Into `scratch.sums`: what the blocks left of the phase before, in quads of columns from `first` on."""
    parts = block.parts
    zero = parts.dtype.type(0)
    length = place(scratch, 0, PARTS)
    column = np.int32(QUAD * (first + (me.thread & ((1 << power) - 1))))
    begin = np.int32(((phase + 1) & 1) * (me.n_blocks + 1) * length + column)
    n_shares, row = np.int32(me.n >> power), np.int32(me.thread >> power)
    sums = (zero, zero, zero, zero)
    if column < width:
        while row < n_rows:
            rolled()
            for k in range(ROWS_AT_ONCE):
                known = min(np.int32(row + k * n_shares), me.n_blocks)  # zeros, where there is none
                quad = load_quad(parts, np.int32(begin + known * length))
                sums = sums[0] + quad[0], sums[1] + quad[1], sums[2] + quad[2], sums[3] + quad[3]
            row = np.int32(row + ROWS_AT_ONCE * n_shares)
    store_quad(scratch.sums, QUAD * me.thread, sums)


@scalar_function
def add_shares(scratch: Any, me: Any, t: Any, width: Any, first: Any, power: Any) -> None:
    """Into `scratch.dots`: the same columns whole; the first t are inner products (equation 6)."""
    columns = np.int32(QUAD << power)
    column, n = me.thread, min(columns, np.int32(width - QUAD * first))
    while column < n:
        rolled()
        total = scratch.sums.dtype.type(0)
        share, n_shares = np.int32(0), np.int32(me.n >> power)
        while share < n_shares:
            rolled()
            for k in range(FEWEST_SHARES):
                total += scratch.sums[at((share + k) * columns + column)]
            share = np.int32(share + FEWEST_SHARES)
        c = np.int32(QUAD * first + column)
        scratch.dots[at(c)] = total * scratch.of_gradient[at(t - 1 - c)] if c < t else total
        column = np.int32(column + me.n)


@scalar_function
def leave(block: Any, scratch: Any, me: Any, stage: Any, round: Any, c: Any, total: Any) -> None:
    """Add to the block's own row; a column is always the same thread's."""
    here = at(own_row(scratch, me, stage) + c)
    if round > 0:
        total += block.parts[here]
    block.parts[here] = total


@scalar_function
def own_row(scratch: Any, me: Any, stage: Any) -> Any:
    """Where the block leaves its sums."""
    return np.int32(((stage.phase & 1) * (me.n_blocks + 1) + me.block) * place(scratch, 0, PARTS))


@scalar_function
def leave_zeros(block: Any, scratch: Any, me: Any, stage: Any) -> None:
    """Instead, where the block has no units of the layer."""
    c = me.thread
    while c < stage.width:
        rolled()
        block.parts[at(own_row(scratch, me, stage) + c)] = block.parts.dtype.type(0)
        c = np.int32(c + me.n)


@scalar_function
def leave_inner_products(block: Any, scratch: Any, me: Any, stage: Any, round: Any) -> None:
    """The group's share of the inner products of sample t's units with those of the samples before."""
    layer = stage.layer
    of_history = place(scratch, layer, DELTA_AT if stage.is_backward else A_AT)
    own = np.int32(of_history + round * me.group)
    n_units, first = place(scratch, layer, FAN_OUT), first_unit(me, round)
    start = start_of(scratch, layer, OUTPUTS) + first
    c = me.thread
    while c < stage.n_dots:
        rolled()
        if of_history != ABSENT:
            at_sample = np.int32(own + c * place(scratch, layer, STRIDE))
            total = dot_quads(scratch.pool, at_sample, scratch.fresh, me.group)
        else:
            values = block.delta if stage.is_backward else block.a
            count = min(me.group, np.int32(n_units - first))
            total = dot(values, start + np.int64(c) * n_units, scratch.fresh, count, 1)
        leave(block, scratch, me, stage, round, c, total)
        c = np.int32(c + me.n)


@scalar_function
def leave_products(
    network: Any, block: Any, scratch: Any, me: Any, stage: Any, round: Any, has_velocity: Any
) -> None:
    """The share of the output layer's sums that comes from a group of the last hidden layer."""
    last, t = np.int32(stage.layer + 1), stage.t
    n_outputs, kept = place(scratch, last, FAN_OUT), place(scratch, last, BACKWARD_AT)
    first = first_unit(me, round)
    count = min(me.group, np.int32(place(scratch, last, FAN_IN) - first))
    row = weights_at(scratch, last) + np.int64(first) * n_outputs
    # column t + k is thread (t + k) % n's, like the columns before it
    k = np.int32((me.thread - t) & (me.n - 1))
    while k < n_outputs:
        rolled()
        if kept != ABSENT:
            own = np.int32(kept + round * me.group * n_outputs + k)
            total = dot_of_group(scratch.pool, own, n_outputs, scratch.fresh, me.group)
        else:
            total = dot(network.parameters, row + k, scratch.fresh, count, n_outputs)
        total *= scratch.of_weights[at(t)]
        if has_velocity:
            carried = dot(network.velocity, row + k, scratch.fresh, count, n_outputs)
            total += scratch.of_velocity[at(t)] * carried
        leave(block, scratch, me, stage, round, np.int32(t + k), total)
        k = np.int32(k + me.n)
