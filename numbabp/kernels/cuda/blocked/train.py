"""The blocked kernel on a GPU: one large network, the trajectory of per-sample SGD up to rounding.

Within a block of samples all weights are only read: they are those of the block's start plus a sum of
products of inputs and deltas (docs/blocked.md; numbers in brackets are its equations). So one launch takes
the block's samples one after the other, with the weights streaming through all multiprocessors; before it and
after it come matrix products (`numbabp.training.engines.blocked_cuda`).

A layer's units are dealt out to the blocks of threads in groups of neighbours. A block that owns a group
reads those columns of the layer's weights forwards, and those rows of the next layer's backwards, whole: a
unit is done without a word from other blocks. What a later phase needs of all units together - inner products
with the samples before, the output layer's sums - every block leaves as a row of `Block.parts`, and after the
next barrier every block adds up all rows. The output layer itself, with the loss, every block computes alike.
That makes 2 L - 3 barriers of the grid a sample for L layers of weights, none for one layer.

Reference: `train` in tests/reference.py.
"""

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import float64

from ....compiler.compiling import scalar_function
from ....compiler.cuda import kernel
from ....compiler.toolchain import SIMULATED, cuda
from ....functions import activations as act
from ....functions import losses
from ....functions.units import activated, derivative, gradient_of_output, loss_of_output
from ...layers import metric
from ...layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS
from ...powers import V_FROM_G, V_FROM_V, V_FROM_W, W_FROM_G, W_FROM_V, W_FROM_W
from ...state import DIVERGED, FIRST_METRIC, LOSS, WEIGHT
from .geometry import MAX_GROUP, MAX_OUTPUTS, MAX_PARTS, MAX_THREADS

WARP = 4 if SIMULATED else 32
"""Threads that take a row of weights together."""
LOADS = 16
"""Weights that a thread asks for before it waits for the first.

With 256 threads of float32 that is 16 KiB under way on a multiprocessor. Bandwidth times latency is, by
estimate, 13 KiB for each of an H200's 132 from its second-level cache (5.5 TB/s, 0.3 us), and 25 KiB from its
memory (4.8 TB/s, 0.7 us)."""
FEW_LOADS = 4
"""The same for what is left over."""
# Entries of Record.state.
STATUS, STEPS, NUMBER, AT = range(4)
# Entries of Block.rates.
MOMENTUM, OF_VELOCITY, OF_GRADIENT = range(3)


class Network(NamedTuple):
    """What is trained."""

    parameters: Any  # T (n_parameters,)
    velocity: Any  # T (n_parameters,), or (0,) for plain SGD
    layout: Any  # uint64 (n_layers, 8), from `block_layout`
    loss: int


class Samples(NamedTuple):
    """The training data, and which of it comes when."""

    targets: Any  # T (n, n_outputs)
    weights: Any  # T (n,), or (0,) where every sample weighs 1
    rows: Any  # int64 (n,), the samples of an epoch in order, without those of weight 0


class Block(NamedTuple):
    """A block of n <= K samples; a layer's z, a and delta are (n, fan_out) matrices from K OUTPUTS on."""

    z: Any  # T, pre-activations; of layer 0 at first the samples times W_0; at the end deltas for W_K
    a: Any  # T, activations
    delta: Any  # T, dLoss/dz times the sample's weight; at the end deltas for v_K
    carried: Any  # T (n, fan_out of layer 0) at the front, samples times v_0
    gram: Any  # T (n, n) at the front, inner products of the samples
    powers: Any  # T (K + 1, 6), of equation 4
    rates: Any  # T (3,), of equation 2
    parts: Any  # T (2, blocks of threads, K + n_outputs), see above; one is read while the other is written


class Record(NamedTuple):
    """What training leaves beside the parameters."""

    metrics: Any  # int64 (n_metrics,)
    sums: Any  # float64 (epochs, 2 + n_metrics), as in `state.Run`
    state: Any  # int64 (4,): status; steps of the last block; block that diverged, and at which sample


class Threads(NamedTuple):
    """Who a thread is."""

    thread: Any
    n: Any  # threads of its block
    lane: Any
    warp: Any
    n_warps: Any
    unit: Any  # in a group
    slice: Any  # the threads of one unit have a slice of its sum each
    n_slices: Any
    group: Any  # units of a group
    block: Any
    n_blocks: Any


class Scratch(NamedTuple):
    """A block's shared memory, T; what of it is in use."""

    sums: Any  # (threads,)
    dots: Any  # (K + n_outputs,), what `parts` add up to
    parts: Any  # (K + n_outputs,), the block's own
    fresh: Any  # (group,), activations or deltas of the group's units
    back: Any  # (group,), rows of weights times delta
    z: Any  # (n_outputs,), of the output layer, like the rest
    a: Any
    delta: Any
    biases: Any
    velocity: Any  # if there is one


def block_layout(layout: np.ndarray) -> tuple[np.ndarray, int]:
    """A network's layout for blocks, and the units of a sample.

    The output layer's units come first, so that their offset is 0 in shared memory too. Every layer begins at
    a multiple of 32 numbers.
    """
    rows = layout.copy()
    offset = 0
    for layer in (len(rows) - 1, *range(len(rows) - 1)):
        rows[layer, OUTPUTS] = offset
        offset += -(-int(rows[layer, FAN_OUT]) // 32) * 32
    rows[1:, INPUTS] = rows[:-1, OUTPUTS]
    return rows, offset


@scalar_function
def _dot_column(
    matrix: Any, start: Any, stride: Any, vector: Any, x: Any, slice: Any, n_slices: Any, n: Any
) -> Any:
    """A slice's share of the sum over i < n of vector[x + i] matrix[start + i stride].

    A slice has runs of neighbours. All loads of a turn are asked for before one is waited for. Offsets are
    unsigned: a signed index might be negative and count from the end, which every load would ask first.
    """
    zero = matrix.dtype.type(0)
    total = zero
    turn = n_slices * LOADS
    whole = n // turn * turn
    row, step = np.uint64(stride), np.uint64(turn)
    i, end = np.uint64(slice * LOADS), np.uint64(whole)
    inputs, at = np.uint64(x), np.uint64(start)
    while i < end:
        for k in range(LOADS):
            j = i + np.uint64(k)
            total += vector[inputs + j] * matrix[at + j * row]
        i += step
    run = (n - whole + n_slices - 1) // n_slices
    i, end = np.uint64(whole + slice * run), np.uint64(min(n, whole + (slice + 1) * run))
    while i < end:
        for k in range(FEW_LOADS):
            wanted = i + np.uint64(k)
            j = wanted if wanted < end else i  # a missing one repeats the first, and does not count
            product = vector[inputs + j] * matrix[at + j * row]
            total += product if wanted < end else zero
        i += np.uint64(FEW_LOADS)
    return total


@scalar_function
def _dot_row(matrix: Any, start: Any, vector: Any, x: Any, lane: Any, n: Any) -> Any:
    """A lane's share of the sum over k < n of vector[x + k] matrix[start + k], for a warp."""
    zero = matrix.dtype.type(0)
    total = zero
    k, end = np.uint64(lane), np.uint64(n)
    inputs, at = np.uint64(x), np.uint64(start)
    while k + np.uint64((LOADS - 1) * WARP) < end:
        for i in range(LOADS):
            j = k + np.uint64(i * WARP)
            total += vector[inputs + j] * matrix[at + j]
        k += np.uint64(LOADS * WARP)
    while k < end:
        for i in range(FEW_LOADS):
            wanted = k + np.uint64(i * WARP)
            j = wanted if wanted < end else k
            product = vector[inputs + j] * matrix[at + j]
            total += product if wanted < end else zero
        k += np.uint64(FEW_LOADS * WARP)
    return total


@scalar_function
def _dot_weights_column(
    network: Any,
    powers: Any,
    t: Any,
    start: Any,
    stride: Any,
    vector: Any,
    x: Any,
    slice: Any,
    n_slices: Any,
    n: Any,
    has_velocity: Any,
) -> Any:
    """`_dot_column` with the weights of sample t, but for what the block's earlier samples changed (5)."""
    total = powers[t, W_FROM_W] * _dot_column(
        network.parameters, start, stride, vector, x, slice, n_slices, n
    )
    if has_velocity:
        total += powers[t, W_FROM_V] * _dot_column(
            network.velocity, start, stride, vector, x, slice, n_slices, n
        )
    return total


@scalar_function
def _dot_weights_row(
    network: Any, powers: Any, t: Any, start: Any, vector: Any, x: Any, lane: Any, n: Any, has_velocity: Any
) -> Any:
    """`_dot_row` with the weights of sample t, but for what the block's earlier samples changed (9)."""
    total = powers[t, W_FROM_W] * _dot_row(network.parameters, start, vector, x, lane, n)
    if has_velocity:
        total += powers[t, W_FROM_V] * _dot_row(network.velocity, start, vector, x, lane, n)
    return total


if SIMULATED:

    @scalar_function
    def _warp_sum(value: Any) -> Any:
        """Sum over the threads of a warp; all threads of the block call it together."""
        values = cuda.shared.array(MAX_THREADS, np.float64)
        thread = cuda.threadIdx.x
        values[thread] = value
        cuda.syncthreads()
        first = thread - thread % WARP
        total = values[first : first + WARP].sum()
        cuda.syncthreads()
        return type(value)(total)

else:

    @scalar_function
    def _warp_sum(value: Any) -> Any:
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, 16)
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, 8)
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, 4)
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, 2)
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, 1)
        return value


@scalar_function
def _block_sum(value: Any, sums: Any, n: Any) -> Any:
    """Sum over the first n threads of the block, or all if they are fewer; `sums` is float64, shared."""
    sums[cuda.threadIdx.x] = value
    cuda.syncthreads()
    total = 0.0
    for i in range(min(n, cuda.blockDim.x)):
        total += sums[i]
    cuda.syncthreads()
    return total


@scalar_function
def _n_groups(n_units: Any, group: Any) -> Any:
    return (n_units + group - 1) // group


@scalar_function
def _read_parts(block: Any, scratch: Any, me: Any, phase: Any, n_rows: Any, t: Any, width: Any) -> None:
    """Add up what the blocks left of the phase before; the first t are inner products (equation 6)."""
    parts, sums = block.parts, scratch.sums
    zero = parts.dtype.type(0)
    before = (phase + 1) % 2
    for first in range(0, width, WARP):
        c = first + me.lane
        total = zero
        if c < width:
            for row in range(me.warp, n_rows, LOADS * me.n_warps):
                for k in range(LOADS):
                    wanted = row + k * me.n_warps
                    value = parts[before, wanted if wanted < n_rows else row, c]
                    total += value if wanted < n_rows else zero
        sums[me.thread] = total
        cuda.syncthreads()
        if me.warp == 0 and c < width:
            total = zero
            for warp in range(me.n_warps):
                total += sums[warp * WARP + me.lane]
            scratch.dots[c] = total * block.powers[t - 1 - c, W_FROM_G] if c < t else total
        cuda.syncthreads()


@scalar_function
def _clear_parts(scratch: Any, me: Any, width: Any) -> None:
    for c in range(me.thread, width, me.n):
        scratch.parts[c] = scratch.parts.dtype.type(0)


@scalar_function
def _add_inner_products(
    scratch: Any, me: Any, rows: Any, start: Any, n_units: Any, first: Any, t: Any
) -> None:
    """Add the group's share of the inner products of sample t's units with those of the samples before."""
    count = min(me.group, n_units - first)
    for c in range(me.thread, t, me.n):
        scratch.parts[c] += _dot_column(rows, start + c * n_units + first, 1, scratch.fresh, 0, 0, 1, count)


@scalar_function
def _add_products(
    network: Any, block: Any, scratch: Any, me: Any, first: Any, t: Any, has_velocity: Any
) -> None:
    """Add the share of the output layer's sums that comes from a group of the last hidden layer."""
    layout = network.layout
    last = len(layout) - 1
    fan_in, fan_out = np.int64(layout[last, FAN_IN]), np.int64(layout[last, FAN_OUT])
    row = np.int64(layout[last, WEIGHTS]) + first * fan_out
    count = min(me.group, fan_in - first)
    for k in range(me.thread, fan_out, me.n):
        scratch.parts[t + k] += _dot_weights_column(
            network, block.powers, t, row + k, fan_out, scratch.fresh, 0, 0, 1, count, has_velocity
        )


@scalar_function
def _write_parts(block: Any, scratch: Any, me: Any, phase: Any, width: Any) -> None:
    cuda.syncthreads()
    for c in range(me.thread, width, me.n):
        block.parts[phase % 2, me.block, c] = scratch.parts[c]


@scalar_function
def _forward(
    network: Any,
    block: Any,
    scratch: Any,
    me: Any,
    phase: Any,
    layer: Any,
    t: Any,
    n_samples: Any,
    has_velocity: Any,
) -> None:
    """Pre-activations and activations of a hidden layer for sample t (equation 5)."""
    layout, powers = network.layout, block.powers
    zero = block.z.dtype.type(0)
    length = len(powers) - 1
    fan_in, n_units = np.int64(layout[layer, FAN_IN]), np.int64(layout[layer, FAN_OUT])
    weights, biases = np.int64(layout[layer, WEIGHTS]), np.int64(layout[layer, BIASES])
    inputs = length * np.int64(layout[layer, INPUTS]) + t * fan_in
    units = length * np.int64(layout[layer, OUTPUTS])
    code = layout[layer, ACTIVATION]
    before_output = layer == len(layout) - 2
    width = t + np.int64(layout[layer + 1, FAN_OUT]) if before_output else t
    if layer == 0:
        for j in range(me.thread, t, me.n):
            scratch.dots[j] = powers[t - 1 - j, W_FROM_G] * block.gram[t * n_samples + j]
        cuda.syncthreads()
    else:
        _read_parts(block, scratch, me, phase, min(me.n_blocks, _n_groups(fan_in, me.group)), t, t)
    _clear_parts(scratch, me, width)
    for first in range(me.block * me.group, n_units, me.n_blocks * me.group):
        unit = first + me.unit
        total = zero
        if unit < n_units:
            total = _dot_column(block.delta, units + unit, n_units, scratch.dots, 0, me.slice, me.n_slices, t)
            if layer > 0:
                total += _dot_weights_column(
                    network,
                    powers,
                    t,
                    weights + unit,
                    n_units,
                    block.a,
                    inputs,
                    me.slice,
                    me.n_slices,
                    fan_in,
                    has_velocity,
                )
        scratch.sums[me.thread] = total
        cuda.syncthreads()
        if me.thread < me.group:
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
        _add_inner_products(scratch, me, block.a, units, n_units, first, t)
        if before_output:
            _add_products(network, block, scratch, me, first, t, has_velocity)
    _write_parts(block, scratch, me, phase, width)


@scalar_function
def _output_sums(
    network: Any, block: Any, scratch: Any, me: Any, phase: Any, t: Any, n_samples: Any, has_velocity: Any
) -> None:
    """Pre-activations of the output layer into `scratch.z`."""
    layout, powers, dots = network.layout, block.powers, scratch.dots
    zero = block.z.dtype.type(0)
    last = len(layout) - 1
    fan_in, n_units = np.int64(layout[last, FAN_IN]), np.int64(layout[last, FAN_OUT])
    if last > 0:
        n_rows = min(me.n_blocks, _n_groups(fan_in, me.group))
        _read_parts(block, scratch, me, phase, n_rows, t, t + n_units)
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
            total = _dot_column(block.delta, k, n_units, dots, 0, me.warp, me.n_warps, t)
        scratch.sums[me.thread] = total
        cuda.syncthreads()
        if me.warp == 0 and k < n_units:
            total = scratch.biases[k] + dots[t + k]
            for warp in range(me.n_warps):
                total += scratch.sums[warp * WARP + me.lane]
            scratch.z[k] = total
        cuda.syncthreads()


@scalar_function
def _predict(
    network: Any,
    samples: Any,
    block: Any,
    record: Any,
    scratch: Any,
    me: Any,
    sums: Any,
    t: Any,
    s: Any,
    weight: Any,
    epoch: Any,
) -> bool:
    """Loss of sample s and delta of the output layer, from `scratch.z`; False if the loss is not finite.

    Every block does the same to the bit, so that all of them stop or none. The last one, which has the fewest
    units, keeps the record.
    """
    real = block.z.dtype.type
    loss, targets = network.loss, samples.targets
    last = len(network.layout) - 1
    n_units, code = np.int64(network.layout[last, FAN_OUT]), network.layout[last, ACTIVATION]
    z, a, delta = scratch.z, scratch.a, scratch.delta
    normaliser = real(0)
    highest = real(0)
    if code == act.SOFTMAX:
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
        total = _block_sum(total, sums, n_units)
        normaliser = real(math.log(total))
        for k in range(me.thread, n_units, me.n):
            a[k] /= real(total)
    else:
        for k in range(me.thread, n_units, me.n):
            a[k] = activated(code, z[k])
    mass = real(0)
    if loss == losses.CATEGORICAL_CROSS_ENTROPY:
        total = 0.0
        for k in range(me.thread, n_units, me.n):
            total += targets[s, k]
        mass = real(_block_sum(total, sums, n_units))
    value = 0.0
    mean = 0.0
    for k in range(me.thread, n_units, me.n):
        y = targets[s, k]
        value += loss_of_output(loss, z[k] - highest if code == act.SOFTMAX else z[k], a[k], y, normaliser)
        gradient = gradient_of_output(loss, a[k], y, mass)
        if loss > losses.CATEGORICAL_CROSS_ENTROPY:  # else it is dLoss/dz already
            if code == act.SOFTMAX:
                mean += gradient * a[k]
            else:
                gradient *= derivative(code, z[k], a[k])
        delta[k] = gradient
    value = _block_sum(value, sums, n_units)
    if code == act.SOFTMAX and loss > losses.CATEGORICAL_CROSS_ENTROPY:
        mean = _block_sum(mean, sums, n_units)
        for k in range(me.thread, n_units, me.n):
            delta[k] = a[k] * (delta[k] - real(mean))
    if not math.isfinite(value):
        return False
    for k in range(me.thread, n_units, me.n):
        delta[k] *= weight
        if me.block == me.n_blocks - 1:
            block.delta[t * n_units + k] = delta[k]
    cuda.syncthreads()
    if me.block == me.n_blocks - 1 and me.thread == 0:
        record.sums[epoch, LOSS] += float64(weight) * value
        record.sums[epoch, WEIGHT] += float64(weight)
        for m in range(len(record.metrics)):
            of_sample = metric(record.metrics[m], loss, network.layout, z, a, targets, s)
            record.sums[epoch, FIRST_METRIC + m] += float64(weight) * of_sample
    return True


@scalar_function
def _step_bias(block: Any, biases: Any, velocity: Any, i: Any, delta: Any, has_velocity: Any) -> None:
    """One step of a bias, which has no penalty (equation 2)."""
    rates = block.rates
    step = rates[OF_GRADIENT] * delta
    if has_velocity:
        velocity[i] = rates[MOMENTUM] * velocity[i] + delta
        step += rates[OF_VELOCITY] * velocity[i]
    biases[i] -= step


@scalar_function
def _output_dots(block: Any, scratch: Any, me: Any, n_units: Any, t: Any) -> None:
    """Inner products of the output layer's deltas with those before, a sample a warp (equation 9)."""
    for first in range(0, t, me.n_warps):
        j = first + me.warp
        total = block.delta.dtype.type(0)
        if j < t:
            total = _dot_row(block.delta, j * n_units, scratch.delta, 0, me.lane, n_units)
        total = _warp_sum(total)
        if j < t and me.lane == 0:
            scratch.dots[j] = total * block.powers[t - 1 - j, W_FROM_G]
    cuda.syncthreads()


@scalar_function
def _backward(
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
    if of_output:
        _output_dots(block, scratch, me, fan_out, t)
    else:
        _read_parts(block, scratch, me, phase, min(me.n_blocks, _n_groups(fan_out, me.group)), t, t)
    _clear_parts(scratch, me, t)
    for first in range(me.block * me.group, n_units, me.n_blocks * me.group):
        for begin in range(0, me.group, me.n_warps):  # a row of weights a warp
            row = begin + me.warp
            total = zero
            if row < me.group and first + row < n_units:
                start = weights + (first + row) * fan_out
                if of_output:
                    total = _dot_weights_row(
                        network, powers, t, start, scratch.delta, 0, me.lane, fan_out, has_velocity
                    )
                else:
                    total = _dot_weights_row(
                        network, powers, t, start, block.delta, above, me.lane, fan_out, has_velocity
                    )
            total = _warp_sum(total)
            if row < me.group and me.lane == 0:
                scratch.back[row] = total
        unit = first + me.unit
        total = zero
        if unit < n_units:
            total = _dot_column(block.a, units + unit, n_units, scratch.dots, 0, me.slice, me.n_slices, t)
        scratch.sums[me.thread] = total
        cuda.syncthreads()
        if me.thread < me.group:
            delta = zero
            if unit < n_units:
                at = units + t * n_units + unit
                delta = scratch.back[me.thread]
                for i in range(me.n_slices):
                    delta += scratch.sums[i * me.group + me.thread]
                delta *= derivative(code, block.z[at], block.a[at])
                block.delta[at] = delta
                _step_bias(block, network.parameters, network.velocity, biases + unit, delta, has_velocity)
            scratch.fresh[me.thread] = delta
        cuda.syncthreads()
        if layer > 1:
            _add_inner_products(scratch, me, block.delta, units, n_units, first, t)
    if layer > 1:
        _write_parts(block, scratch, me, phase, t)


@scalar_function
def _scale_deltas(network: Any, block: Any, me: Any, n_steps: Any, n_samples: Any) -> None:
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


@cache
def make_train_block(has_velocity: bool) -> Any:
    """The kernel for networks with a velocity, or without."""

    @kernel
    def train_block(
        network: Any,
        samples: Any,
        block: Any,
        record: Any,
        group: Any,
        epoch: Any,
        number: Any,
        first: Any,
        n_samples: Any,
    ) -> None:
        """Steps of one block of samples: biases and `block` change, weights stay as they are.

        Launched with no more blocks of threads than fit on the GPU at once, for one layer with one.

        Parameters
        ----------
        network, samples, block, record
            See `Network`, `Samples`, `Block` and `Record`. block.z begins with the samples times W_0.
        group
            Units that a block of threads takes at a time; divides the number of threads.
        epoch
            Row of record.sums.
        number
            Of this block among those that follow each other. If one diverges, those after it take no step.
        first, n_samples
            The block's samples are samples.rows[first : first + n_samples].
        """
        grid = cuda.cg.this_grid()
        # sizes are constants, and so are the addresses: a thread has better use for its registers
        sums = cuda.shared.array(MAX_THREADS, float64)
        scratch = Scratch(
            cuda.shared.array(MAX_THREADS, network.parameters.dtype),
            cuda.shared.array(MAX_PARTS, network.parameters.dtype),
            cuda.shared.array(MAX_PARTS, network.parameters.dtype),
            cuda.shared.array(MAX_GROUP, network.parameters.dtype),
            cuda.shared.array(MAX_GROUP, network.parameters.dtype),
            cuda.shared.array(MAX_OUTPUTS, network.parameters.dtype),
            cuda.shared.array(MAX_OUTPUTS, network.parameters.dtype),
            cuda.shared.array(MAX_OUTPUTS, network.parameters.dtype),
            cuda.shared.array(MAX_OUTPUTS, network.parameters.dtype),
            cuda.shared.array(MAX_OUTPUTS, network.parameters.dtype),
        )
        real = network.parameters.dtype.type
        last = len(network.layout) - 1
        n_outputs = np.int64(network.layout[last, FAN_OUT])
        thread, n_threads = np.int32(cuda.threadIdx.x), np.int32(cuda.blockDim.x)
        me = Threads(
            thread,
            n_threads,
            np.int32(thread % WARP),
            np.int32(thread // WARP),
            np.int32(n_threads // WARP),
            np.int32(thread % group),
            np.int32(thread // group),
            np.int32(n_threads // group),
            np.int32(group),
            np.int32(cuda.blockIdx.x),
            np.int32(cuda.gridDim.x),
        )
        # every block has the output layer's biases for itself, to step them without a barrier
        biases = np.int64(network.layout[last, BIASES])
        for k in range(thread, n_outputs, n_threads):
            scratch.biases[k] = network.parameters[biases + k]
            if has_velocity:
                scratch.velocity[k] = network.velocity[biases + k]
        cuda.syncthreads()
        goes_on = record.state[STATUS] != DIVERGED
        phase = 0
        t = np.int64(0)
        while goes_on and t < n_samples:
            s = samples.rows[first + t]
            weight = samples.weights[s] if samples.weights.size > 0 else real(1)
            for layer in range(last):
                _forward(network, block, scratch, me, phase, layer, t, n_samples, has_velocity)
                grid.sync()
                phase += 1
            _output_sums(network, block, scratch, me, phase, t, n_samples, has_velocity)
            goes_on = _predict(network, samples, block, record, scratch, me, sums, t, s, weight, epoch)
            if goes_on:
                for k in range(thread, n_outputs, n_threads):
                    _step_bias(block, scratch.biases, scratch.velocity, k, scratch.delta[k], has_velocity)
                for layer in range(last, 0, -1):
                    _backward(network, block, scratch, me, phase, layer, t, has_velocity)
                    if layer > 1:  # below layer 1 the next sample's first phase goes on, unit by unit
                        grid.sync()
                        phase += 1
                t += np.int64(1)
        grid.sync()
        _scale_deltas(network, block, me, t, n_samples)
        if me.block == 0:
            for k in range(thread, n_outputs, n_threads):
                network.parameters[biases + k] = scratch.biases[k]
                if has_velocity:
                    network.velocity[biases + k] = scratch.velocity[k]
            if thread == 0:
                record.state[STEPS] = t
                if not goes_on and record.state[STATUS] != DIVERGED:
                    record.state[STATUS] = DIVERGED
                    record.state[NUMBER] = number
                    record.state[AT] = t

    return train_block


@kernel
def carry_weights(network: Any, block: Any, record: Any) -> None:
    """Weights and velocity as the steps of a block carry them on, but for its gradients (equation 8).

    For L2 or a velocity; else they stay as they are.
    """
    layout, powers = network.layout, block.powers
    n_steps = record.state[STEPS]
    parameters, velocity = network.parameters, network.velocity
    begin = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for layer in range(len(layout)):
        first = np.int64(layout[layer, WEIGHTS])
        for i in range(first + begin, np.int64(layout[layer, BIASES]), cuda.gridDim.x * cuda.blockDim.x):
            old = parameters[i]
            new = powers[n_steps, W_FROM_W] * old
            if velocity.size > 0:
                new += powers[n_steps, W_FROM_V] * velocity[i]
                velocity[i] = powers[n_steps, V_FROM_W] * old + powers[n_steps, V_FROM_V] * velocity[i]
            parameters[i] = new
