"""A step of a chunk of the lanes kernel, layer by layer: forward, loss, backward and update."""

import math
from typing import Any

import numpy as np

from .. import losses
from ..activations import SIGMOID, SOFTMAX, sigmoid
from ..compiling import scalar_function, subroutine
from ..elementary import exp, log1p_unit
from ..vectors import load, splat, store, where_greater
from .lane_blocks import affine_of_block, step_in_block
from .lane_chunks import STEP_L2, STEP_LOSS, STEP_MOMENTUM, STEP_RATE, STEP_SHRINK, WEIGHT, L
from .layers import (
    ACTIVATION,
    BIASES,
    FAN_IN,
    FAN_OUT,
    INPUTS,
    OUTPUTS,
    WEIGHTS,
    activate,
    multiply_by_derivative,
)

_ZERO, _ONE, _TWO = np.uint64(0), np.uint64(1), np.uint64(2)


@scalar_function
def _affine_of_sample(chunk: Any, samples: Any, s: Any) -> None:
    """z = b + W^T x of the first layer, whose inputs are one number for all lanes."""
    w, z = chunk.parameters, chunk.z
    fan_in, size = chunk.layout[0, FAN_IN], chunk.layout[0, FAN_OUT]
    b, out = chunk.layout[0, BIASES], chunk.layout[0, OUTPUTS]
    for k in range(_ZERO, size, L):
        total = load(w, b + k)
        for i in range(fan_in):
            total = total + samples.inputs[s, i] * load(w, k * fan_in + i * L)
        store(z, out + k, total)


@scalar_function
def _affine(chunk: Any, layer: Any) -> None:
    """z = b + W^T a of a later layer, with two sums so that one need not wait for the other."""
    w, a, z = chunk.parameters, chunk.a, chunk.z
    fan_in, size = chunk.layout[layer, FAN_IN], chunk.layout[layer, FAN_OUT]
    b, out = chunk.layout[layer, BIASES], chunk.layout[layer, OUTPUTS]
    x = chunk.layout[layer, INPUTS]
    odd = fan_in % _TWO
    for k in range(_ZERO, size, L):
        row = chunk.layout[layer, WEIGHTS] + k
        even_sum = load(w, b + k)
        if odd == _ONE:
            even_sum = even_sum + load(a, x) * load(w, row)
        odd_sum = even_sum - even_sum
        for i in range(odd, fan_in, _TWO):
            even_sum = even_sum + load(a, x + i * L) * load(w, row + i * size)
            odd_sum = odd_sum + load(a, x + (i + _ONE) * L) * load(w, row + (i + _ONE) * size)
        store(z, out + k, even_sum + odd_sum)


@scalar_function
def _exponentials(z: Any, out: Any, start: Any, size: Any) -> Any:
    """out = e^(z - max z) over the units of one layer; that maximum and their sum, lane by lane."""
    highest = load(z, start)
    for k in range(L, size, L):
        other = load(z, start + k)
        highest = where_greater(other, highest, other, highest)
    for k in range(_ZERO, size, L):
        store(out, start + k, load(z, start + k) - highest)
    for j in range(size):
        out[start + j] = exp(out[start + j])
    total = load(out, start)
    for k in range(L, size, L):
        total = total + load(out, start + k)
    return highest, total


@subroutine
def _softmax(chunk: Any, start: Any, size: Any) -> None:
    """a = e^(z - max z) / sum, lane by lane, over the units of one layer."""
    a = chunk.a
    _, total = _exponentials(chunk.z, a, start, size)
    for k in range(_ZERO, size, L):
        store(a, start + k, load(a, start + k) / total)


@subroutine
def _times_softmax_jacobian(a: Any, delta: Any, start: Any, size: Any) -> None:
    """delta_k = a_k (g_k - sum_j g_j a_j), lane by lane."""
    mean = load(a, start) * load(delta, start)
    for k in range(L, size, L):
        mean = mean + load(a, start + k) * load(delta, start + k)
    for k in range(_ZERO, size, L):
        store(delta, start + k, load(a, start + k) * (load(delta, start + k) - mean))


@scalar_function
def forward(networks: Any, chunk: Any, samples: Any, s: Any, t: Any) -> None:
    """Pre-activations and activations of every layer for sample s, which is number t of its block."""
    layout = chunk.layout
    for layer in range(len(layout)):
        if layer > 0:
            _affine(chunk, layer)
        elif chunk.block.updates.size > 0:
            affine_of_block(chunk, networks.with_l2, t)
        else:
            _affine_of_sample(chunk, samples, s)
        start, size = layout[layer, OUTPUTS], layout[layer, FAN_OUT]
        if layout[layer, ACTIVATION] == SIGMOID:
            for j in range(start, start + size, L):
                store(chunk.a, j, sigmoid(load(chunk.z, j)))
        elif layout[layer, ACTIVATION] == SOFTMAX:
            _softmax(chunk, start, size)
        else:
            activate(layout[layer, ACTIVATION], chunk.z, chunk.a, start, size)


@subroutine
def _categorical_cross_entropy(chunk: Any, samples: Any, s: Any, start: Any, size: Any) -> None:
    """Loss -sum y_k log softmax(z)_k and its gradient a sum(y) - y."""
    z, a, delta, lanes = chunk.z, chunk.a, chunk.delta, chunk.lanes
    mass = a.dtype.type(0)
    for k in range(size // L):
        mass += samples.targets[s, k]
    highest, total = _exponentials(z, delta, start, size)
    store(lanes, STEP_LOSS, total)
    for lane in range(L):
        lanes[STEP_LOSS + lane] = math.log(lanes[STEP_LOSS + lane])
    normaliser = highest + load(lanes, STEP_LOSS)
    loss = normaliser - normaliser
    for k in range(size // L):
        y = samples.targets[s, k]
        j = start + k * L
        loss = loss + y * (normaliser - load(z, j))
        store(delta, j, mass * load(a, j) - y)
    store(lanes, STEP_LOSS, loss)


@subroutine
def _losses(loss: Any, a: Any, delta: Any, out: Any, start: Any, y: Any) -> None:
    """Losses of one output's lanes at out[: LANES], and their gradients dLoss/da in `delta`."""
    if loss == losses.SQUARED_ERROR:
        for lane in range(L):
            out[lane] = losses.squared_error(a[start + lane], y)
            delta[start + lane] = losses.squared_error_gradient(a[start + lane], y)
    elif loss == losses.ABSOLUTE_ERROR:
        for lane in range(L):
            out[lane] = losses.absolute_error(a[start + lane], y)
            delta[start + lane] = losses.absolute_error_gradient(a[start + lane], y)
    else:
        for lane in range(L):
            out[lane] = losses.huber(a[start + lane], y)
            delta[start + lane] = losses.huber_gradient(a[start + lane], y)


@scalar_function
def _softplus(z: Any) -> Any:
    """`activations.softplus` of a vector: max(z, 0) + log(1 + e^-|z|)."""
    zero = z - z
    positive = where_greater(z, zero, z, zero)
    return positive + log1p_unit(exp((z - positive) - positive))


@scalar_function
def output_gradient(networks: Any, samples: Any, chunk: Any, s: Any) -> None:
    """Losses of sample s, with dLoss/dz (the cross-entropies) or dLoss/da in `delta` of the output layer."""
    last = len(chunk.layout) - 1
    start, size = chunk.layout[last, OUTPUTS], chunk.layout[last, FAN_OUT]
    z, a, delta, update, lanes = chunk.z, chunk.a, chunk.delta, chunk.update, chunk.lanes
    if networks.loss == losses.CATEGORICAL_CROSS_ENTROPY:
        _categorical_cross_entropy(chunk, samples, s, start, size)
        return
    total = splat(a.dtype.type(0))
    for k in range(size // L):
        y = samples.targets[s, k]
        j = start + k * L
        if networks.loss == losses.BINARY_CROSS_ENTROPY:
            outputs = load(z, j)
            store(delta, j, load(a, j) - y)
            total = total + (_softplus(outputs) - y * outputs)
        else:
            _losses(networks.loss, a, delta, update, j, y)
            total = total + load(update, _ZERO)
    store(lanes, STEP_LOSS, total)


@scalar_function
def weight_of_right(networks: Any, samples: Any, chunk: Any, s: Any) -> Any:
    """The sample's weight where the prediction is right, else 0; see `layers.accuracy`."""
    last = len(chunk.layout) - 1
    start, n = chunk.layout[last, OUTPUTS], chunk.layout[last, FAN_OUT] // L
    a = chunk.a
    right = load(chunk.lanes, WEIGHT)
    wrong = right - right
    if n == _ONE or networks.loss == losses.BINARY_CROSS_ENTROPY:
        half = a.dtype.type(0.5)
        for k in range(n):
            outputs = load(a, start + k * L)
            if samples.targets[s, k] > half:
                right = where_greater(outputs, splat(half), right, wrong)
            else:
                right = where_greater(outputs, splat(half), wrong, right)
        return right
    wanted: Any = _ZERO
    for k in range(n):
        if samples.targets[s, k] > samples.targets[s, wanted]:
            wanted = k
    highest = load(a, start + wanted * L)
    for k in range(n):  # of equal outputs the first is the prediction
        outputs = load(a, start + k * L)
        if k < wanted:
            right = where_greater(highest, outputs, right, wrong)
        else:
            right = where_greater(outputs, highest, wrong, right)
    return right


@scalar_function
def _step_with_velocity(networks: Any, chunk: Any, j: Any, g: Any) -> None:
    """One momentum step of the vector of parameters at j, of gradient g."""
    w, v, lanes = chunk.parameters, chunk.velocity, chunk.lanes
    mu = load(lanes, STEP_MOMENTUM)
    velocity = mu * load(v, j) + g
    store(v, j, velocity)
    taken = g + mu * velocity if networks.nesterov else velocity
    store(w, j, load(w, j) - load(lanes, STEP_RATE) * taken)


@scalar_function
def _step_input_weights(networks: Any, chunk: Any, samples: Any, s: Any) -> None:
    """Step of the first layer's weights; its inputs are one number for all lanes."""
    w, update, lanes = chunk.parameters, chunk.update, chunk.lanes
    fan_in, size, out = chunk.layout[0, FAN_IN], chunk.layout[0, FAN_OUT], chunk.layout[0, OUTPUTS]
    for k in range(_ZERO, size, L):
        of_unit = load(update, out + k)
        for i in range(fan_in):
            j, g = k * fan_in + i * L, samples.inputs[s, i] * of_unit
            old = load(w, j)
            if chunk.velocity.size > 0:
                _step_with_velocity(networks, chunk, j, g + load(lanes, STEP_L2) * old)
            else:
                kept = old - load(lanes, STEP_SHRINK) * old if networks.with_l2 else old
                store(w, j, kept - g)


@scalar_function
def _step_weights(networks: Any, chunk: Any, layer: Any) -> None:
    """Step of a later layer's weights, and delta sent back through those of the forward pass."""
    w, a, delta, update, lanes = chunk.parameters, chunk.a, chunk.delta, chunk.update, chunk.lanes
    layout = chunk.layout
    size, x, out = layout[layer, FAN_OUT], layout[layer, INPUTS], layout[layer, OUTPUTS]
    for i in range(layout[layer, FAN_IN]):
        row = layout[layer, WEIGHTS] + i * size
        unit = x + i * L
        value = load(a, unit)
        back = value - value
        for k in range(_ZERO, size, L):
            old = load(w, row + k)
            back = back + old * load(delta, out + k)
            g = value * load(update, out + k)
            if chunk.velocity.size > 0:
                _step_with_velocity(networks, chunk, row + k, g + load(lanes, STEP_L2) * old)
            else:
                kept = old - load(lanes, STEP_SHRINK) * old if networks.with_l2 else old
                store(w, row + k, kept - g)
        store(delta, unit, back)


@scalar_function
def backward(networks: Any, chunk: Any, samples: Any, s: Any, t: Any) -> None:
    """Backpropagate and update, from the last layer to the first."""
    layout, delta, update, lanes = chunk.layout, chunk.delta, chunk.update, chunk.lanes
    last = len(layout) - 1
    factor = load(lanes, WEIGHT)
    if chunk.velocity.size == 0:
        factor = factor * load(lanes, STEP_RATE)
    for layer in range(last, -1, -1):
        size, b, out = layout[layer, FAN_OUT], layout[layer, BIASES], layout[layer, OUTPUTS]
        code = layout[layer, ACTIVATION]
        if layer < last or networks.loss > losses.CATEGORICAL_CROSS_ENTROPY:
            if code == SIGMOID:
                for j in range(out, out + size, L):
                    a = load(chunk.a, j)
                    store(delta, j, load(delta, j) * (a - a * a))
            elif code == SOFTMAX:
                _times_softmax_jacobian(chunk.a, delta, out, size)
            else:
                multiply_by_derivative(code, chunk.z, chunk.a, delta, out, size)
        for k in range(_ZERO, size, L):
            store(update, out + k, factor * load(delta, out + k))
        if layer > 0:
            _step_weights(networks, chunk, layer)
        elif chunk.block.updates.size > 0:
            step_in_block(chunk, networks.with_l2, t)
        else:
            _step_input_weights(networks, chunk, samples, s)
        for k in range(_ZERO, size, L):
            step = load(update, out + k)
            if chunk.velocity.size > 0:
                _step_with_velocity(networks, chunk, b + k, step)
            else:
                store(chunk.parameters, b + k, load(chunk.parameters, b + k) - step)
