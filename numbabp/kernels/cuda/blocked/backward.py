"""A sample's deltas back through the blocked kernel (equation 9), and what becomes of them."""

from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import cuda
from ....functions.units import derivative
from ...layout import ACTIVATION, FAN_OUT, OUTPUTS
from ...powers import V_FROM_G, W_FROM_G
from ..loops import at, rolled
from .places import A_AT, ABSENT, BACKWARD_AT, OWN, OWN_AT, STRIDE, TILE, place, start_of, weights_at
from .products import add_row, first_unit, matrix_of, rows_of_warp
from .state import MU, OF_GRADIENT, OF_VELOCITY
from .sums import total_of, warp_sum
from .vectors import copy_vector


@scalar_function
def step_bias(scratch: Any, bias: Any, velocity: Any, delta: Any, has_velocity: Any) -> None:
    """One step of a bias in the pool, which has no penalty (equation 2), and of its velocity."""
    pool, rates = scratch.pool, scratch.rates
    step = rates[OF_GRADIENT] * delta
    if has_velocity:
        carried = rates[MU] * pool[at(velocity)] + delta
        pool[at(velocity)] = carried
        step += rates[OF_VELOCITY] * carried
    pool[at(bias)] -= step


@device_function
def rows(
    network: Any, scratch: Any, me: Any, stage: Any, round: Any, vector: Any, held: Any, has_velocity: Any
) -> None:
    """Into `scratch.back`: the deltas above times the group's rows of weights, a row a warp at a time."""
    zero = scratch.pool.dtype.type(0)
    layer = np.int32(stage.layer + 1)
    fan_out, tile = place(scratch, layer, FAN_OUT), place(scratch, layer, TILE)
    weights = matrix_of(network.parameters, scratch, me, layer)
    velocity = matrix_of(network.velocity, scratch, me, layer)
    number = np.int32(0)
    while number < rows_of_warp(me):
        rolled()
        sums = (zero, zero, zero, zero)
        carried = (zero, zero, zero, zero)
        begin = np.int32(0)
        while begin < fan_out:
            if fan_out > tile and (begin > 0 or number > 0 or round > 0):
                cuda.syncthreads()
                copy_vector(vector, begin, scratch, me, 0)
                cuda.syncthreads()
            visit = (round, number)
            sums = add_row(weights, scratch, me, layer, visit, begin, held, sums)
            if has_velocity:
                carried = add_row(velocity, scratch, me, layer, visit, begin, None, carried)
            begin = np.int32(begin + tile)
        total = scratch.of_weights[at(stage.t)] * total_of(sums)
        if has_velocity:
            total += scratch.of_velocity[at(stage.t)] * total_of(carried)
        total = warp_sum(total)
        row = np.int32(number * me.n_warps + me.warp)
        if me.lane == 0 and row < me.group:
            scratch.back[at(row)] = total
        number = np.int32(number + 1)


@scalar_function
def output_products(network: Any, scratch: Any, me: Any, stage: Any, round: Any, has_velocity: Any) -> Any:
    """A slice of a unit's row of the output layer's weights times the deltas there, which all blocks have."""
    last, t = np.int32(stage.layer + 1), stage.t
    fan_out, kept = place(scratch, last, FAN_OUT), place(scratch, last, BACKWARD_AT)
    row = weights_at(scratch, last) + np.int64(first_unit(me, round) + me.unit) * fan_out
    own = np.int32(kept + (round * me.group + me.unit) * fan_out)
    total = scratch.pool.dtype.type(0)
    k = me.slice
    while k < fan_out:
        rolled()
        weight = scratch.pool[at(own + k)] if kept != ABSENT else network.parameters[np.uint64(row + k)]
        weight *= scratch.of_weights[at(t)]
        if has_velocity:
            weight += scratch.of_velocity[at(t)] * network.velocity[np.uint64(row + k)]
        total += weight * scratch.delta[at(k)]
        k = np.int32(k + me.n_slices)
    return total


@scalar_function
def differentiate(
    block: Any, scratch: Any, stage: Any, unit: Any, own: Any, here: Any, total: Any, has_velocity: Any
) -> Any:
    """A unit's delta, from all that its sum has beside a row of weights; steps its bias."""
    pool, layer = scratch.pool, stage.layer
    n_own = place(scratch, layer, OWN)
    kept = place(scratch, layer, A_AT)
    if kept != ABSENT:
        a = pool[at(kept + stage.t * place(scratch, layer, STRIDE) + own)]
    else:
        a = block.a[np.uint64(here)]
    if not stage.is_output:
        total += scratch.back[at(unit)]
    bias = np.int32(place(scratch, layer, OWN_AT) + own)
    delta = total * derivative(place(scratch, layer, ACTIVATION), pool[at(bias + n_own)], a)
    step_bias(scratch, bias, bias + 2 * n_own, delta, has_velocity)
    return delta


@scalar_function
def scale_deltas(network: Any, block: Any, scratch: Any, me: Any, n_steps: Any, n_samples: Any) -> None:
    """Each sample's deltas times their coefficients at the end (equation 8); 0 after the last step."""
    powers = block.powers
    zero = block.z.dtype.type(0)
    for layer in range(len(network.layout)):
        rolled()
        n_units = place(scratch, layer, FAN_OUT)
        t = me.block
        while t < n_samples:
            rolled()
            start = start_of(scratch, layer, OUTPUTS) + np.int64(t) * n_units
            k = me.thread
            while k < n_units:
                rolled()
                here = np.uint64(start + k)
                if t < n_steps:
                    delta = block.delta[here]
                    block.z[here] = powers[n_steps - 1 - t, W_FROM_G] * delta
                    block.delta[here] = powers[n_steps - 1 - t, V_FROM_G] * delta
                else:  # nothing of it may count, not even as 0 times something that is not finite
                    block.z[here] = zero
                    block.delta[here] = zero
                    block.a[here] = zero
                k = np.int32(k + me.n)
            t = np.int32(t + me.n_blocks)
