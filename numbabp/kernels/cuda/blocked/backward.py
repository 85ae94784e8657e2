"""A sample's deltas back through the blocked kernel, and what becomes of them."""

from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import cuda
from ....functions.units import derivative
from ...layout import ACTIVATION, FAN_IN, FAN_OUT, OUTPUTS
from ...powers import V_FROM_G, W_FROM_G
from .parts import (
    add_inner_products,
    add_own_inner_products,
    ask_for_parts,
    ask_for_vector,
    clear_parts,
    copy_vector,
    read_parts,
    store_vector,
    write_parts,
)
from .places import (
    A_AT,
    ABSENT,
    ALIGNED_UNITS,
    BACKWARD_AT,
    DELTA_AT,
    N_ROWS,
    OWN,
    OWN_AT,
    STRIDE,
    TILE,
    place,
    start_of,
    weights_at,
)
from .products import add_row, first_unit, matrix_of, rows_of_warp
from .state import MU, OF_GRADIENT, OF_VELOCITY
from .sums import dot, over_samples, total_of, warp_sum


@scalar_function
def step_bias(block: Any, pool: Any, bias: Any, velocity: Any, delta: Any, has_velocity: Any) -> None:
    """One step of the bias pool[bias], which has no penalty (equation 2), and of pool[velocity]."""
    rates = block.rates
    step = rates[OF_GRADIENT] * delta
    if has_velocity:
        pool[velocity] = rates[MU] * pool[velocity] + delta
        step += rates[OF_VELOCITY] * pool[velocity]
    pool[bias] -= step


@scalar_function
def output_dots(block: Any, scratch: Any, me: Any, last: Any, t: Any) -> None:
    """Inner products of the output layer's deltas with those before, a sample a thread (equation 9)."""
    n_units, of_history = place(scratch, last, FAN_OUT), place(scratch, last, DELTA_AT)
    for j in range(me.thread, t, me.n):
        if of_history != ABSENT:
            total = dot(scratch.pool, of_history + j * n_units, scratch.delta, 0, n_units, 1)
        else:
            start = start_of(scratch, last, OUTPUTS) + np.int64(j) * n_units
            total = dot(block.delta, start, scratch.delta, 0, n_units, 1)
        scratch.dots[j] = total * scratch.of_gradient[t - 1 - j]


@device_function
def backward(
    network: Any, block: Any, scratch: Any, me: Any, phase: Any, layer: Any, t: Any, has_velocity: Any
) -> None:
    """Send sample t's delta of a layer back to the one below it, and step that one's biases (equation 9)."""
    n_units, fan_out = place(scratch, layer, FAN_IN), place(scratch, layer, FAN_OUT)
    of_output = layer == len(network.layout) - 1
    if of_output:  # every block has all of its deltas
        output_dots(block, scratch, me, layer, t)
    else:
        above = start_of(scratch, layer, OUTPUTS) + np.int64(t) * fan_out
        is_aligned = place(scratch, layer, ALIGNED_UNITS) != 0
        held = ask_for_vector(block.delta, above, me, fan_out, is_aligned)
        n_rows = place(scratch, layer, N_ROWS)
        ask_for_parts(block, scratch, me, phase, n_rows, t)
        store_vector(block.delta, above, scratch, me, fan_out, is_aligned, held)
        read_parts(block, scratch, me, phase, n_rows, t, t)
    clear_parts(scratch, me, t)
    below = layer - 1
    round = np.int32(0)
    while first_unit(me, round) < n_units:
        if not of_output:
            rows(network, block, scratch, me, layer, round, t, has_velocity)
        cuda.syncthreads()
        add_earlier_inputs(network, block, scratch, me, layer, round, t, has_velocity)
        cuda.syncthreads()
        if me.thread < me.group:
            differentiate(network, block, scratch, me, layer, round, t, has_velocity)
        cuda.syncthreads()
        if layer > 1:  # the layer below has one below it that will ask for them
            of_history = place(scratch, below, DELTA_AT)
            if of_history != ABSENT:
                add_own_inner_products(
                    of_history + round * me.group, place(scratch, below, STRIDE), scratch, me, t
                )
            else:
                first = first_unit(me, round)
                start = start_of(scratch, below, OUTPUTS) + first
                add_inner_products(
                    block.delta, start, n_units, scratch, me, min(me.group, n_units - first), t
                )
        round = np.int32(round + 1)
    if layer > 1:
        write_parts(block, scratch, me, phase, t)


@device_function
def rows(
    network: Any, block: Any, scratch: Any, me: Any, layer: Any, round: Any, t: Any, has_velocity: Any
) -> None:
    """Into `scratch.back`: the layer's deltas times the group's rows of weights, a row a warp at a time."""
    zero = block.a.dtype.type(0)
    fan_out, tile = place(scratch, layer, FAN_OUT), place(scratch, layer, TILE)
    above = start_of(scratch, layer, OUTPUTS) + np.int64(t) * fan_out
    is_aligned = place(scratch, layer, ALIGNED_UNITS) != 0
    weights = matrix_of(network.parameters, scratch, layer)
    velocity = matrix_of(network.velocity, scratch, layer)
    for number in range(rows_of_warp(me)):
        sums = (zero, zero, zero, zero)
        carried = (zero, zero, zero, zero)
        begin = np.int32(0)
        while begin < fan_out:
            if fan_out > tile and (begin > 0 or number > 0 or round > 0):
                cuda.syncthreads()
                copy_vector(block.delta, above + begin, scratch, me, fan_out - begin, is_aligned, 0)
                cuda.syncthreads()
            visit = (round, number)
            sums = add_row(weights, scratch, me, layer, visit, begin, True, sums)
            if has_velocity:
                carried = add_row(velocity, scratch, me, layer, visit, begin, False, carried)
            begin = np.int32(begin + tile)
        total = scratch.of_weights[t] * total_of(sums)
        if has_velocity:
            total += scratch.of_velocity[t] * total_of(carried)
        total = warp_sum(total)
        row = number * me.n_warps + me.warp
        if me.lane == 0 and row < me.group:
            scratch.back[row] = total


@scalar_function
def add_earlier_inputs(
    network: Any, block: Any, scratch: Any, me: Any, layer: Any, round: Any, t: Any, has_velocity: Any
) -> None:
    """Into `scratch.shares`: slices of the sums over the samples before, and over outputs above."""
    below = layer - 1
    of_history, n_units = place(scratch, below, A_AT), place(scratch, layer, FAN_IN)
    unit = first_unit(me, round) + me.unit
    total = block.a.dtype.type(0)
    if of_history != ABSENT:
        own = of_history + round * me.group + me.unit
        stride = place(scratch, below, STRIDE)
        total = over_samples(scratch.pool, own, stride, scratch.dots, me.slice, me.n_slices, t)
    elif unit < n_units:
        start = start_of(scratch, below, OUTPUTS) + unit
        total = over_samples(block.a, start, n_units, scratch.dots, me.slice, me.n_slices, t)
    if layer == len(network.layout) - 1 and unit < n_units:
        fan_out, kept = place(scratch, layer, FAN_OUT), place(scratch, layer, BACKWARD_AT)
        row = weights_at(scratch, layer) + np.int64(unit) * fan_out
        own = kept + (round * me.group + me.unit) * fan_out
        for k in range(me.slice, fan_out, me.n_slices):
            weight = scratch.pool[own + k] if kept != ABSENT else network.parameters[row + k]
            weight *= scratch.of_weights[t]
            if has_velocity:
                weight += scratch.of_velocity[t] * network.velocity[row + k]
            total += weight * scratch.delta[k]
    scratch.shares[me.thread] = total


@scalar_function
def differentiate(
    network: Any, block: Any, scratch: Any, me: Any, layer: Any, round: Any, t: Any, has_velocity: Any
) -> None:
    """One thread a unit adds up row and slices, and steps the unit's bias."""
    below, pool = layer - 1, scratch.pool
    n_units, n_own = place(scratch, below, FAN_OUT), place(scratch, below, OWN)
    own = round * me.group + me.unit
    unit = first_unit(me, round) + me.unit
    at = start_of(scratch, below, OUTPUTS) + np.int64(t) * n_units + unit
    bias = place(scratch, below, OWN_AT) + own
    delta = block.a.dtype.type(0)
    if unit < n_units:
        of_activations = place(scratch, below, A_AT)
        here = of_activations + t * place(scratch, below, STRIDE) + own
        a = pool[here] if of_activations != ABSENT else block.a[at]
        if layer < len(network.layout) - 1:
            delta = scratch.back[me.unit]
        for i in range(me.n_slices):
            delta += scratch.shares[i * me.group + me.unit]
        delta *= derivative(network.layout[below, ACTIVATION], pool[bias + n_own], a)
        block.delta[at] = delta
        step_bias(block, pool, bias, bias + 2 * n_own, delta, has_velocity)
    of_history = place(scratch, below, DELTA_AT)
    if of_history != ABSENT:
        pool[of_history + t * place(scratch, below, STRIDE) + own] = delta
    scratch.fresh[me.unit] = delta


@scalar_function
def scale_deltas(network: Any, block: Any, scratch: Any, me: Any, n_steps: Any, n_samples: Any) -> None:
    """Each sample's deltas times their coefficients at the end (equation 8); 0 after the last step."""
    powers = block.powers
    zero = block.z.dtype.type(0)
    for layer in range(len(network.layout)):
        n_units = place(scratch, layer, FAN_OUT)
        t = me.block
        while t < n_samples:  # `range` would divide by a step that is not a constant
            start = start_of(scratch, layer, OUTPUTS) + np.int64(t) * n_units
            for at in range(start + me.thread, start + n_units, me.n):
                if t < n_steps:
                    delta = block.delta[at]
                    block.z[at] = powers[n_steps - 1 - t, W_FROM_G] * delta
                    block.delta[at] = powers[n_steps - 1 - t, V_FROM_G] * delta
                else:  # nothing of it may count, not even as 0 times something that is not finite
                    block.z[at] = zero
                    block.delta[at] = zero
                    block.a[at] = zero
            t = np.int32(t + me.n_blocks)
