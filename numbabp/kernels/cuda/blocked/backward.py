"""A sample's deltas back through the blocked kernel, and what becomes of them."""

from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import cuda
from ....functions.units import derivative
from ...layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS
from ...powers import V_FROM_G, W_FROM_G
from .parts import add_inner_products, clear_parts, n_groups, read_parts, write_parts
from .state import MU, OF_GRADIENT, OF_VELOCITY, Weights
from .sums import dot_column, dot_row, dot_weights_row, warp_sum


@scalar_function
def step_bias(block: Any, biases: Any, velocity: Any, i: Any, delta: Any, has_velocity: Any) -> None:
    """One step of a bias, which has no penalty (equation 2)."""
    rates = block.rates
    step = rates[OF_GRADIENT] * delta
    if has_velocity:
        velocity[i] = rates[MU] * velocity[i] + delta
        step += rates[OF_VELOCITY] * velocity[i]
    biases[i] -= step


@device_function
def output_dots(block: Any, scratch: Any, me: Any, n_units: Any, t: Any) -> None:
    """Inner products of the output layer's deltas with those before, a sample a warp (equation 9)."""
    for first in range(0, t, me.n_warps):
        j = first + me.warp
        total = block.delta.dtype.type(0)
        if j < t:
            total = dot_row(block.delta, j * n_units, scratch.delta, 0, me.lane, n_units)
        total = warp_sum(total)
        if j < t and me.lane == 0:
            scratch.dots[j] = total * block.powers[t - 1 - j, W_FROM_G]
    cuda.syncthreads()


@device_function
def backward(
    network: Any, block: Any, scratch: Any, me: Any, phase: Any, layer: Any, t: Any, has_velocity: Any
) -> None:
    """Send sample t's delta of a layer back to the one below it, and step that one's biases (equation 9)."""
    layout, powers = network.layout, block.powers
    zero = block.z.dtype.type(0)
    length = len(powers) - 1
    n_units, fan_out = np.int64(layout[layer, FAN_IN]), np.int64(layout[layer, FAN_OUT])
    weights, biases = np.int64(layout[layer, WEIGHTS]), np.int64(layout[layer - 1, BIASES])
    units = length * np.int64(layout[layer, INPUTS])
    above = length * np.int64(layout[layer, OUTPUTS]) + t * fan_out
    code = layout[layer - 1, ACTIVATION]
    of_output = layer == len(layout) - 1
    of_sample = Weights(network, powers, t, has_velocity)
    if of_output:  # every block has all of its deltas
        output_dots(block, scratch, me, fan_out, t)
    else:
        read_parts(block, scratch, me, phase, min(me.n_blocks, n_groups(fan_out, me.group)), t, t)
    clear_parts(scratch, me, t)
    for first in range(me.block * me.group, n_units, me.n_blocks * me.group):
        for begin in range(0, me.group, me.n_warps):  # a row of weights a warp
            row = begin + me.warp
            total = zero
            if row < me.group and first + row < n_units:
                start = weights + (first + row) * fan_out
                if of_output:  # whose delta lies in shared memory
                    total = dot_weights_row(of_sample, start, scratch.delta, 0, me.lane, fan_out)
                else:
                    total = dot_weights_row(of_sample, start, block.delta, above, me.lane, fan_out)
            total = warp_sum(total)
            if row < me.group and me.lane == 0:
                scratch.back[row] = total
        unit = first + me.unit
        total = zero
        if unit < n_units:
            total = dot_column(block.a, units + unit, n_units, scratch.dots, 0, me.slice, me.n_slices, t)
        scratch.sums[me.thread] = total
        cuda.syncthreads()
        if me.thread < me.group:  # one thread a unit adds up row and slices
            delta = zero
            if unit < n_units:
                at = units + t * n_units + unit
                delta = scratch.back[me.thread]
                for i in range(me.n_slices):
                    delta += scratch.sums[i * me.group + me.thread]
                delta *= derivative(code, block.z[at], block.a[at])
                block.delta[at] = delta
                step_bias(block, network.parameters, network.velocity, biases + unit, delta, has_velocity)
            scratch.fresh[me.thread] = delta
        cuda.syncthreads()
        if layer > 1:  # the layer below has one below it that will ask for them
            add_inner_products(scratch, me, block.delta, units, n_units, first, t)
    if layer > 1:
        write_parts(block, scratch, me, phase, t)


@scalar_function
def scale_deltas(network: Any, block: Any, me: Any, n_steps: Any, n_samples: Any) -> None:
    """Each sample's deltas times their coefficients at the end (equation 8); 0 after the last step."""
    layout, powers = network.layout, block.powers
    zero = block.z.dtype.type(0)
    length = len(powers) - 1
    for layer in range(len(layout)):
        n_units = np.int64(layout[layer, FAN_OUT])
        start = length * np.int64(layout[layer, OUTPUTS])
        for i in range(me.block * me.n + me.thread, n_samples * n_units, me.n_blocks * me.n):
            t = i // n_units
            at = start + i
            if t < n_steps:
                delta = block.delta[at]
                block.z[at] = powers[n_steps - 1 - t, W_FROM_G] * delta
                block.delta[at] = powers[n_steps - 1 - t, V_FROM_G] * delta
            else:  # nothing of it may count, not even as 0 times something that is not finite
                block.z[at] = zero
                block.delta[at] = zero
                block.a[at] = zero
