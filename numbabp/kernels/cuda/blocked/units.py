"""A block's own units in a stage of the blocked kernel, forwards and backwards: a group of them a round.

Both ways are one piece of code as far as they do the same: it is fetched once, and still there when a sample
comes back.
"""

from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import cuda
from ...layout import FAN_OUT, OUTPUTS
from ..loops import at, rolled
from .backward import differentiate, output_products, rows
from .forward import activate, columns
from .geometry import QUAD
from .parts import leave_inner_products, leave_products, leave_zeros
from .places import A_AT, ABSENT, DELTA_AT, STRIDE, place, start_of
from .products import first_unit
from .sums import over_samples


@device_function
def compute_units(
    network: Any, block: Any, scratch: Any, me: Any, stage: Any, vector: Any, held: Any, has_velocity: Any
) -> None:
    """Activations of the stage's layer (equation 5), or its deltas (9), and what the next stage needs."""
    last = np.int32(len(network.layout) - 1)
    n_units = place(scratch, stage.layer, FAN_OUT)
    round = np.int32(0)
    while first_unit(me, round) < n_units:
        rolled()
        if stage.is_backward:
            if not stage.is_output:
                rows(network, scratch, me, stage, round, vector, held, has_velocity)
        elif stage.number > 0:
            columns(network, scratch, me, stage, round, vector, has_velocity)
        cuda.syncthreads()
        scratch.shares[at(me.thread)] = slice_of_sums(network, block, scratch, me, stage, round, has_velocity)
        cuda.syncthreads()
        if me.thread < me.group:
            finish(network, block, scratch, me, stage, round, has_velocity)
        cuda.syncthreads()
        leave_inner_products(block, scratch, me, stage, round)
        if stage.number == np.int32(
            last - 1
        ):  # so that no block has to read all of the output layer's weights
            leave_products(network, block, scratch, me, stage, round, has_velocity)
        round = np.int32(round + 1)
    if round == 0:
        leave_zeros(block, scratch, me, stage)


@scalar_function
def slice_of_sums(
    network: Any, block: Any, scratch: Any, me: Any, stage: Any, round: Any, has_velocity: Any
) -> Any:
    """A unit's sum over the samples before, and over inputs below or outputs above: a slice of it."""
    layer = stage.layer
    of_history = place(scratch, layer, A_AT if stage.is_backward else DELTA_AT)
    values = block.a if stage.is_backward else block.delta
    unit, n_units = np.int32(first_unit(me, round) + me.unit), place(scratch, layer, FAN_OUT)
    total = values.dtype.type(0)
    if of_history != ABSENT:
        own = np.int32(of_history + round * me.group + me.unit)
        stride = place(scratch, layer, STRIDE)
        total = over_samples(scratch.pool, own, stride, scratch.dots, me.slice, me.n_slices, stage.t)
    elif unit < n_units:
        start = start_of(scratch, layer, OUTPUTS) + unit
        total = over_samples(values, start, n_units, scratch.dots, me.slice, me.n_slices, stage.t)
    if stage.is_output:
        if unit < n_units:
            total += output_products(network, scratch, me, stage, round, has_velocity)
    elif stage.number > 0 and not stage.is_backward:
        for k in range(QUAD):  # parts are four times the slices
            total += scratch.sums[at((me.slice + k * me.n_slices) * me.group + me.unit)]
    return total


@scalar_function
def finish(
    network: Any, block: Any, scratch: Any, me: Any, stage: Any, round: Any, has_velocity: Any
) -> None:
    """One thread a unit adds up the slices."""
    layer = stage.layer
    n_units = place(scratch, layer, FAN_OUT)
    own = np.int32(round * me.group + me.unit)
    unit = np.int32(first_unit(me, round) + me.unit)
    here = start_of(scratch, layer, OUTPUTS) + np.int64(stage.t) * n_units + unit
    value = block.a.dtype.type(0)
    if unit < n_units:
        for i in range(me.n_slices):
            value += scratch.shares[at(i * me.group + me.unit)]
        if stage.is_backward:
            value = differentiate(block, scratch, stage, me.unit, own, here, value, has_velocity)
            block.delta[np.uint64(here)] = value
        else:
            value = activate(block, scratch, stage, own, here, value, has_velocity)
            block.a[np.uint64(here)] = value
    of_history = place(scratch, layer, DELTA_AT if stage.is_backward else A_AT)
    if of_history != ABSENT:
        scratch.pool[at(of_history + stage.t * place(scratch, layer, STRIDE) + own)] = value
    scratch.fresh[at(me.unit)] = value
