"""A sample forwards through the blocked kernel: hidden layers, the output layer's sums, and the loss."""

import math
from typing import Any

import numpy as np
from numba import float64

from ....compiler.cuda import device_function
from ....compiler.toolchain import cuda
from ....functions import activations as act
from ....functions import losses
from ....functions.units import activated, derivative, gradient_of_output, loss_of_output
from ...layers import metric
from ...layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS
from ...powers import W_FROM_G, W_FROM_V, W_FROM_W
from ...state import FIRST_METRIC, LOSS, WEIGHT
from .parts import add_inner_products, add_products, clear_parts, n_groups, read_parts, write_parts
from .state import Weights
from .sums import WARP, block_sum, dot_column, dot_weights_column


@device_function
def forward(
    network: Any, block: Any, scratch: Any, me: Any, phase: Any, layer: Any, sample: Any, has_velocity: Any
) -> None:
    """Pre-activations and activations of a hidden layer for a sample (equation 5)."""
    layout, powers, t, n_samples = network.layout, block.powers, sample.t, sample.n
    of_sample = Weights(network, powers, t, has_velocity)
    zero = block.z.dtype.type(0)
    length = len(powers) - 1
    fan_in, n_units = np.int64(layout[layer, FAN_IN]), np.int64(layout[layer, FAN_OUT])
    weights, biases = np.int64(layout[layer, WEIGHTS]), np.int64(layout[layer, BIASES])
    inputs = length * np.int64(layout[layer, INPUTS]) + t * fan_in
    units = length * np.int64(layout[layer, OUTPUTS])
    code = layout[layer, ACTIVATION]
    before_output = layer == len(layout) - 2
    width = t + np.int64(layout[layer + 1, FAN_OUT]) if before_output else t
    if layer == 0:  # its inputs are the samples, whose products came before the launch
        for j in range(me.thread, t, me.n):
            scratch.dots[j] = powers[t - 1 - j, W_FROM_G] * block.gram[t * n_samples + j]
        cuda.syncthreads()
    else:
        read_parts(block, scratch, me, phase, min(me.n_blocks, n_groups(fan_in, me.group)), t, t)
    clear_parts(scratch, me, width)
    for first in range(me.block * me.group, n_units, me.n_blocks * me.group):
        # all threads of a unit take a slice of its sum each
        unit = first + me.unit
        total = zero
        if unit < n_units:
            total = dot_column(block.delta, units + unit, n_units, scratch.dots, 0, me.slice, me.n_slices, t)
            if layer > 0:  # that of layer 0 lies in block.z
                total += dot_weights_column(
                    of_sample, weights + unit, n_units, block.a, inputs, me.slice, me.n_slices, fan_in
                )
        scratch.sums[me.thread] = total
        cuda.syncthreads()
        if me.thread < me.group:  # one thread a unit adds up the slices
            a = zero
            if unit < n_units:
                at = units + t * n_units + unit
                z = network.parameters[biases + unit]
                if layer == 0:
                    z += powers[t, W_FROM_W] * block.z[at]
                    if has_velocity:
                        z += powers[t, W_FROM_V] * block.carried[t * n_units + unit]
                for i in range(me.n_slices):
                    z += scratch.sums[i * me.group + me.thread]
                a = activated(code, z)
                block.z[at] = z
                block.a[at] = a
            scratch.fresh[me.thread] = a
        cuda.syncthreads()
        add_inner_products(scratch, me, block.a, units, n_units, first, t)
        if before_output:  # so that no block has to read all of the output layer's weights
            add_products(network, block, scratch, me, first, t, has_velocity)
    write_parts(block, scratch, me, phase, width)


@device_function
def output_sums(
    network: Any, block: Any, scratch: Any, me: Any, phase: Any, sample: Any, has_velocity: Any
) -> None:
    """Pre-activations of the output layer into `scratch.z`."""
    layout, powers, dots = network.layout, block.powers, scratch.dots
    t, n_samples = sample.t, sample.n
    zero = block.z.dtype.type(0)
    last = len(layout) - 1
    fan_in, n_units = np.int64(layout[last, FAN_IN]), np.int64(layout[last, FAN_OUT])
    if last > 0:
        n_rows = min(me.n_blocks, n_groups(fan_in, me.group))
        read_parts(block, scratch, me, phase, n_rows, t, t + n_units)
    else:
        for j in range(me.thread, t, me.n):
            dots[j] = powers[t - 1 - j, W_FROM_G] * block.gram[t * n_samples + j]
        for k in range(me.thread, n_units, me.n):
            dots[t + k] = powers[t, W_FROM_W] * block.z[t * n_units + k]
            if has_velocity:
                dots[t + k] += powers[t, W_FROM_V] * block.carried[t * n_units + k]
        cuda.syncthreads()
    for first in range(0, n_units, WARP):
        k = first + me.lane
        total = zero
        if k < n_units:
            total = dot_column(block.delta, k, n_units, dots, 0, me.warp, me.n_warps, t)
        scratch.sums[me.thread] = total
        cuda.syncthreads()
        if me.warp == 0 and k < n_units:
            total = scratch.biases[k] + dots[t + k]
            for warp in range(me.n_warps):
                total += scratch.sums[warp * WARP + me.lane]
            scratch.z[k] = total
        cuda.syncthreads()


@device_function
def predict(
    network: Any, samples: Any, block: Any, record: Any, scratch: Any, me: Any, sample: Any, epoch: Any
) -> bool:
    """Loss of a sample and delta of the output layer, from `scratch.z`; False if the loss is not finite.

    Every block does the same to the bit, so that all of them stop or none. The last one, which has the fewest
    units, keeps the record.
    """
    real = block.z.dtype.type
    t, s, weight, sums = sample.t, sample.row, sample.weight, scratch.losses
    loss, targets = network.loss, samples.targets
    last = len(network.layout) - 1
    n_units, code = np.int64(network.layout[last, FAN_OUT]), network.layout[last, ACTIVATION]
    z, a, delta = scratch.z, scratch.a, scratch.delta
    normaliser = real(0)
    highest = real(0)
    if code == act.SOFTMAX:  # the highest z first, so that no exponential overflows
        local = z[me.thread % n_units]
        for k in range(me.thread, n_units, me.n):
            local = z[k] if z[k] > local else local
        scratch.sums[me.thread] = local
        cuda.syncthreads()
        highest = scratch.sums[0]
        for i in range(min(n_units, me.n)):
            highest = scratch.sums[i] if scratch.sums[i] > highest else highest
        total = 0.0
        for k in range(me.thread, n_units, me.n):
            a[k] = act.exp(z[k] - highest)
            total += a[k]
        total = block_sum(total, sums, n_units)
        normaliser = real(math.log(total))
        for k in range(me.thread, n_units, me.n):
            a[k] /= real(total)
    else:
        for k in range(me.thread, n_units, me.n):
            a[k] = activated(code, z[k])
    mass = real(0)  # of the targets, which need not sum to 1
    if loss == losses.CATEGORICAL_CROSS_ENTROPY:
        total = 0.0
        for k in range(me.thread, n_units, me.n):
            total += targets[s, k]
        mass = real(block_sum(total, sums, n_units))
    value = 0.0
    mean = 0.0
    for k in range(me.thread, n_units, me.n):
        y = targets[s, k]
        value += loss_of_output(loss, z[k] - highest if code == act.SOFTMAX else z[k], a[k], y, normaliser)
        gradient = gradient_of_output(loss, a[k], y, mass)
        if loss > losses.CATEGORICAL_CROSS_ENTROPY:  # else it is dLoss/dz already
            if code == act.SOFTMAX:  # its Jacobian needs a sum over the layer, below
                mean += gradient * a[k]
            else:
                gradient *= derivative(code, z[k], a[k])
        delta[k] = gradient
    value = block_sum(value, sums, n_units)
    if code == act.SOFTMAX and loss > losses.CATEGORICAL_CROSS_ENTROPY:
        mean = block_sum(mean, sums, n_units)
        for k in range(me.thread, n_units, me.n):
            delta[k] = a[k] * (delta[k] - real(mean))
    if not math.isfinite(value):
        return False
    for k in range(me.thread, n_units, me.n):
        delta[k] *= weight
        if me.block == me.n_blocks - 1:  # one copy for the samples to come
            block.delta[t * n_units + k] = delta[k]
    cuda.syncthreads()
    if me.block == me.n_blocks - 1 and me.thread == 0:
        record.sums[epoch, LOSS] += float64(weight) * value
        record.sums[epoch, WEIGHT] += float64(weight)
        for m in range(len(record.metrics)):
            of_sample = metric(record.metrics[m], loss, network.layout, z, a, targets, s)
            record.sums[epoch, FIRST_METRIC + m] += float64(weight) * of_sample
    return True
