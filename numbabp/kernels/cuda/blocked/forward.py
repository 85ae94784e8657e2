"""A sample forwards through the blocked kernel: hidden layers, the output layer's sums, and the loss."""

import math
from typing import Any

import numpy as np
from numba import float64

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import cuda
from ....functions import activations as act
from ....functions import losses
from ....functions.units import activated, derivative, gradient_of_output, loss_of_output
from ...layers import metric
from ...layout import ACTIVATION, FAN_IN, FAN_OUT, INPUTS, OUTPUTS
from ...state import FIRST_METRIC, LOSS, WEIGHT
from ..quads import QUAD, store_quad
from .parts import (
    add_inner_products,
    add_own_inner_products,
    add_products,
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
    ALIGNED_INPUTS,
    DELTA_AT,
    N_ROWS,
    OWN,
    OWN_AT,
    STRIDE,
    TILE,
    place,
    start_of,
)
from .products import add_columns, first_unit, matrix_of
from .sums import WARP, over_samples, warp_max, warp_sum


@device_function
def forward(
    network: Any, block: Any, scratch: Any, me: Any, phase: Any, layer: Any, sample: Any, has_velocity: Any
) -> None:
    """Pre-activations and activations of a hidden layer for a sample (equation 5)."""
    t = sample.t
    fan_in, n_units = place(scratch, layer, FAN_IN), place(scratch, layer, FAN_OUT)
    before_output = layer == len(network.layout) - 2
    width = np.int32(t + place(scratch, layer + 1, FAN_OUT)) if before_output else np.int32(t)
    inputs = start_of(scratch, layer, INPUTS) + np.int64(t) * fan_in
    is_aligned = place(scratch, layer, ALIGNED_INPUTS) != 0
    if layer > 0:
        held = ask_for_vector(block.a, inputs, me, fan_in, is_aligned)
        n_rows = place(scratch, layer - 1, N_ROWS)
        ask_for_parts(block, scratch, me, phase, n_rows, t)
        store_vector(block.a, inputs, scratch, me, fan_in, is_aligned, held)
        read_parts(block, scratch, me, phase, n_rows, t, t)
    else:  # its inputs are the samples, whose products came before the launch
        for j in range(me.thread, t, me.n):
            scratch.dots[j] = scratch.of_gradient[t - 1 - j] * scratch.gram[j]
    clear_parts(scratch, me, width)
    round = np.int32(0)
    while first_unit(me, round) < n_units:
        if layer > 0:
            products(network, block, scratch, me, layer, round, t, has_velocity)
        cuda.syncthreads()
        add_earlier(block, scratch, me, layer, round, t)
        cuda.syncthreads()
        if me.thread < me.group:
            activate(network, block, scratch, me, layer, round, t, has_velocity)
        cuda.syncthreads()
        of_history = place(scratch, layer, A_AT)
        if of_history != ABSENT:
            add_own_inner_products(
                of_history + round * me.group, place(scratch, layer, STRIDE), scratch, me, t
            )
        else:
            first = first_unit(me, round)
            start = start_of(scratch, layer, OUTPUTS) + first
            add_inner_products(block.a, start, n_units, scratch, me, min(me.group, n_units - first), t)
        if before_output:  # so that no block has to read all of the output layer's weights
            add_products(network, scratch, me, round, t, has_velocity)
        round = np.int32(round + 1)
    write_parts(block, scratch, me, phase, width)


@device_function
def products(
    network: Any, block: Any, scratch: Any, me: Any, layer: Any, round: Any, t: Any, has_velocity: Any
) -> None:
    """Into `scratch.sums`: every part's share of the inputs times the weights of the group's units."""
    zero = block.a.dtype.type(0)
    fan_in, tile = place(scratch, layer, FAN_IN), place(scratch, layer, TILE)
    inputs = start_of(scratch, layer, INPUTS) + np.int64(t) * fan_in
    is_aligned = place(scratch, layer, ALIGNED_INPUTS) != 0
    weights = matrix_of(network.parameters, scratch, layer)
    velocity = matrix_of(network.velocity, scratch, layer)
    sums = (zero, zero, zero, zero)
    carried = (zero, zero, zero, zero)
    begin = np.int32(0)
    while begin < fan_in:
        if fan_in > tile and (begin > 0 or round > 0):
            cuda.syncthreads()
            copy_vector(block.a, inputs + begin, scratch, me, fan_in - begin, is_aligned, 0)
            cuda.syncthreads()
        sums = add_columns(weights, scratch, me, layer, round, begin, True, sums)
        if has_velocity:
            carried = add_columns(velocity, scratch, me, layer, round, begin, False, carried)
        begin = np.int32(begin + tile)
    x, y = scratch.of_weights[t], zero
    if has_velocity:
        y = scratch.of_velocity[t]
    cuda.syncthreads()  # others may still read what parts left in there
    store_quad(
        scratch.sums,
        QUAD * me.thread,
        (
            x * sums[0] + y * carried[0],
            x * sums[1] + y * carried[1],
            x * sums[2] + y * carried[2],
            x * sums[3] + y * carried[3],
        ),
    )


@scalar_function
def add_earlier(block: Any, scratch: Any, me: Any, layer: Any, round: Any, t: Any) -> None:
    """Into `scratch.shares`: slices of the sums over inputs, and over the samples before."""
    of_history = place(scratch, layer, DELTA_AT)
    unit = first_unit(me, round) + me.unit
    n_units = place(scratch, layer, FAN_OUT)
    total = block.delta.dtype.type(0)
    if of_history != ABSENT:
        own = of_history + round * me.group + me.unit
        stride = place(scratch, layer, STRIDE)
        total = over_samples(scratch.pool, own, stride, scratch.dots, me.slice, me.n_slices, t)
    elif unit < n_units:
        start = start_of(scratch, layer, OUTPUTS) + unit
        total = over_samples(block.delta, start, n_units, scratch.dots, me.slice, me.n_slices, t)
    if layer > 0:
        for part in range(me.slice, me.n_parts, me.n_slices):
            total += scratch.sums[part * me.group + me.unit]
    scratch.shares[me.thread] = total


@scalar_function
def activate(
    network: Any, block: Any, scratch: Any, me: Any, layer: Any, round: Any, t: Any, has_velocity: Any
) -> None:
    """One thread a unit adds up the slices."""
    pool = scratch.pool
    n_units, of_history = place(scratch, layer, FAN_OUT), place(scratch, layer, A_AT)
    own = round * me.group + me.unit
    unit = first_unit(me, round) + me.unit
    at = start_of(scratch, layer, OUTPUTS) + np.int64(t) * n_units + unit
    here = of_history + t * place(scratch, layer, STRIDE) + own
    a = block.a.dtype.type(0)
    if unit < n_units:
        z = pool[place(scratch, layer, OWN_AT) + own]
        for i in range(me.n_slices):
            z += scratch.shares[i * me.group + me.unit]
        if layer == 0:
            before = pool[here] if of_history != ABSENT else block.z[at]
            z += scratch.of_weights[t] * before
            if has_velocity:
                z += scratch.of_velocity[t] * block.carried[np.int64(t) * n_units + unit]
        a = activated(network.layout[layer, ACTIVATION], z)
        pool[place(scratch, layer, OWN_AT) + place(scratch, layer, OWN) + own] = z
        block.a[at] = a
    if of_history != ABSENT:
        pool[here] = a
    scratch.fresh[me.unit] = a


@device_function
def output_sums(
    network: Any, samples: Any, block: Any, scratch: Any, me: Any, phase: Any, sample: Any, has_velocity: Any
) -> None:
    """Pre-activations of the output layer into `scratch.z`."""
    dots, t = scratch.dots, sample.t
    last = len(network.layout) - 1
    n_units = place(scratch, last, FAN_OUT)
    for k in range(me.thread, n_units, me.n):  # what is asked for here is there before the parts are
        scratch.pool[place(scratch, last, A_AT) + k] = samples.targets[sample.row, k]
    if last > 0:
        for j in range(me.thread, t + 1, me.n):
            if t + 1 < sample.n:
                scratch.gram[j] = block.gram[np.int64(t + 1) * sample.n + j]
        n_rows, width = place(scratch, last - 1, N_ROWS), np.int32(t + n_units)
        ask_for_parts(block, scratch, me, phase, n_rows, width)
        read_parts(block, scratch, me, phase, n_rows, t, width)
    else:
        for j in range(me.thread, t, me.n):
            dots[j] = scratch.of_gradient[t - 1 - j] * block.gram[np.int64(t) * sample.n + j]
        for k in range(me.thread, n_units, me.n):
            dots[t + k] = scratch.of_weights[t] * block.z[np.int64(t) * n_units + k]
            if has_velocity:
                dots[t + k] += scratch.of_velocity[t] * block.carried[np.int64(t) * n_units + k]
    cuda.syncthreads()
    for first in range(0, n_units, WARP):
        k = first + me.lane
        total = block.z.dtype.type(0)
        if k < n_units:
            total = earlier_outputs(block, scratch, me, last, k, t)
        scratch.shares[me.thread] = total
        cuda.syncthreads()
        if me.warp == 0 and k < n_units:
            total = scratch.pool[place(scratch, last, OWN_AT) + k] + dots[t + k]
            for warp in range(me.n_warps):
                total += scratch.shares[warp * WARP + me.lane]
            scratch.z[k] = total
        cuda.syncthreads()


@scalar_function
def earlier_outputs(block: Any, scratch: Any, me: Any, last: Any, k: Any, t: Any) -> Any:
    """A warp's share of the sum over the samples before, for an output."""
    of_history, n_units = place(scratch, last, DELTA_AT), place(scratch, last, FAN_OUT)
    if of_history != ABSENT:
        start = of_history + k
        return over_samples(scratch.pool, start, n_units, scratch.dots, me.warp, me.n_warps, t)
    start = start_of(scratch, last, OUTPUTS) + k
    return over_samples(block.delta, start, n_units, scratch.dots, me.warp, me.n_warps, t)


@scalar_function
def output_of(code: Any, z: Any, highest: Any, total: Any) -> Any:
    """An output's activation; for softmax, `total` is the sum of exponentials of z less the highest."""
    if code == act.SOFTMAX:
        return act.exp(z - highest) / total
    return activated(code, z)


@device_function
def predict(network: Any, block: Any, scratch: Any, me: Any, sample: Any) -> Any:
    """Loss of a sample and delta of the output layer, from `scratch.z`.

    Every warp of every block does the same to the bit, so that all of them stop or none; the first warp
    writes down what comes of it. If the loss is not finite, it changes nothing.
    """
    real = block.z.dtype.type
    t, z, loss, level = sample.t, scratch.z, network.loss, network.level
    last = len(network.layout) - 1
    n_units, code = place(scratch, last, FAN_OUT), network.layout[last, ACTIVATION]
    targets, of_history = place(scratch, last, A_AT), place(scratch, last, DELTA_AT)
    highest, total, mass = real(0), real(0), real(0)
    if code == act.SOFTMAX:  # the highest z first, so that no exponential overflows
        highest = z[min(me.lane, n_units - 1)]
        for k in range(me.lane, n_units, WARP):
            highest = z[k] if z[k] > highest else highest
        highest = warp_max(highest)
        for k in range(me.lane, n_units, WARP):
            total += act.exp(z[k] - highest)
        total = warp_sum(total)
    if loss == losses.CATEGORICAL_CROSS_ENTROPY:  # targets need not sum to 1
        for k in range(me.lane, n_units, WARP):
            mass += scratch.pool[targets + k]
        mass = warp_sum(mass)
    normaliser = real(math.log(total)) if code == act.SOFTMAX else total
    value, mean = 0.0, real(0)
    has_mean = code == act.SOFTMAX and loss > losses.LAST_JOINT
    for k in range(me.lane, n_units, WARP):
        y, a = scratch.pool[targets + k], output_of(code, z[k], highest, total)
        shifted = z[k] - highest if code == act.SOFTMAX else z[k]
        value += loss_of_output(loss, level, shifted, a, y, normaliser)
        if has_mean:  # the Jacobian of softmax needs a sum over the layer
            mean += a * gradient_of_output(loss, level, a, y, mass)
    value = warp_sum(value)
    if has_mean:
        mean = warp_sum(mean)
    if not math.isfinite(value):
        return value
    if me.warp == 0:
        for k in range(me.lane, n_units, WARP):
            y, a = scratch.pool[targets + k], output_of(code, z[k], highest, total)
            gradient = gradient_of_output(loss, level, a, y, mass)
            if has_mean:
                gradient = a * (gradient - mean)
            elif loss > losses.LAST_JOINT:  # else it is dLoss/dz already
                gradient *= derivative(code, z[k], a)
            gradient *= sample.weight
            scratch.a[k] = a
            scratch.delta[k] = gradient
            if of_history != ABSENT:
                scratch.pool[of_history + t * n_units + k] = gradient
            if me.block == me.n_blocks - 1:  # one copy for the block's end
                block.delta[np.int64(t) * n_units + k] = gradient
    return value


@scalar_function
def keep_record(
    network: Any, samples: Any, record: Any, scratch: Any, sample: Any, epoch: Any, value: Any
) -> None:
    """One thread of all adds up losses and metrics."""
    s, weight = sample.row, float64(sample.weight)
    record.sums[epoch, LOSS] += weight * value
    record.sums[epoch, WEIGHT] += weight
    for m in range(len(record.metrics)):
        of_sample = metric(
            record.metrics[m],
            network.loss,
            network.level,
            network.layout,
            scratch.z,
            scratch.a,
            samples.targets,
            s,
        )
        record.sums[epoch, FIRST_METRIC + m] += weight * of_sample
