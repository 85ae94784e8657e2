"""One sample through the layers, forwards and backwards: the pieces that training kernels are made of.

Parameters, pre-activations `z`, activations `a` and `delta` are flat arrays; a `layout` row says where each
layer's part lies (see `layout`). Offsets are unsigned, because a signed index may be negative and count from
the end, which keeps LLVM from seeing contiguous memory: with them the loops over `k` vectorise, without
slices, whose reference counts cost more than a tiny network's whole step (96 ns against 420 at 2-10-1).
"""

import math
from typing import Any

import numpy as np

from ..compiler.compiling import scalar_function, subroutine
from ..functions import activations as act
from ..functions import losses
from .units import is_right

# Columns of a layout.
FAN_IN, FAN_OUT, WEIGHTS, BIASES, INPUTS, OUTPUTS, ACTIVATION, FORM = range(8)
# Forms of a layer while a kernel runs: weights (fan_in, fan_out) row by row; transposed, for vectors along
# the longer side; row by row and updated only once a sub-block (see blocked.py).
BY_ROWS, BY_COLUMNS, DELAYED = range(3)

NARROW = 15
"""Widest layer that kernels transpose while they run: one of fewer outputs leaves vectors half empty.

784-128-10 took 0.9 of the time in float32, 64-32-10 0.8.
"""

_ONE = np.uint64(1)
_TWO = np.uint64(2)
_THREE = np.uint64(3)
_FOUR = np.uint64(4)


def layout(layer_sizes: tuple[int, ...], activation_codes: tuple[int, ...]) -> np.ndarray:
    """Where each layer's parameters and units lie.

    Parameters
    ----------
    layer_sizes
        (n_inputs, ..., n_outputs).
    activation_codes
        One code from `numbabp.functions.activations.ACTIVATIONS` a layer.

    Returns
    -------
    ndarray of uint64, shape (n_layers, 8)
        Fan-in, fan-out, offsets of weights and biases in the parameters, offsets of the layer's inputs and
        outputs among the units (the network's inputs come first, each layer on a cache line), activation
        code, form.
    """
    rows = []
    parameter, unit = 0, 0
    outputs = _padded(layer_sizes[0])
    for fan_in, fan_out, code in zip(layer_sizes, layer_sizes[1:], activation_codes, strict=False):
        biases = parameter + fan_in * fan_out
        form = BY_COLUMNS if fan_out == 1 else BY_ROWS  # with one output they are the same
        rows.append((fan_in, fan_out, parameter, biases, unit, outputs, code, form))
        parameter, unit, outputs = biases + fan_out, outputs, outputs + _padded(fan_out)
    return np.array(rows, dtype=np.uint64)


def _padded(n: int) -> int:
    """Units that a layer of n takes up: each layer begins on a cache line (numbabp.compiler.arrays.LINE)."""
    return -(-n // 16) * 16


def n_units(layout: np.ndarray) -> int:
    """Length of the arrays of units that belong to a layout."""
    return int(layout[-1, OUTPUTS]) + _padded(int(layout[-1, FAN_OUT]))


def transpose_layout(layout: np.ndarray) -> tuple[np.ndarray, int]:
    """The layout with narrow layers `BY_COLUMNS`, and how many weights the largest one of them has."""
    fan_in, fan_out = layout[:, FAN_IN], layout[:, FAN_OUT]
    narrow = (fan_out <= NARROW) & (fan_out < fan_in)
    transposed = layout.copy()
    transposed[narrow, FORM] = BY_COLUMNS
    return transposed, int((fan_in * fan_out)[narrow].max(initial=0))


@subroutine
def transpose_narrow(parameters: Any, layout: Any, scratch: Any, back: Any) -> None:
    """Transpose the weights of the layers BY_COLUMNS in place, or `back`; scratch T holds the largest."""
    for layer in range(len(layout)):
        if layout[layer, FORM] == BY_COLUMNS and layout[layer, FAN_OUT] > _ONE:
            rows = layout[layer, FAN_OUT] if back else layout[layer, FAN_IN]
            columns = layout[layer, FAN_IN] if back else layout[layer, FAN_OUT]
            w = layout[layer, WEIGHTS]
            for i in range(rows):
                for k in range(columns):
                    scratch[k * rows + i] = parameters[w + i * columns + k]
            for j in range(rows * columns):
                parameters[w + j] = scratch[j]


@scalar_function
def affine(parameters: Any, layout: Any, layer: Any, a: Any, z: Any) -> None:
    """z = b + W^T a for one layer, four rows of W at a time: a quarter of the loads and stores of z."""
    fan_in = layout[layer, FAN_IN]
    fan_out = layout[layer, FAN_OUT]
    w = layout[layer, WEIGHTS]
    b = layout[layer, BIASES]
    x = layout[layer, INPUTS]
    out = layout[layer, OUTPUTS]
    if layout[layer, FORM] == BY_COLUMNS:
        for k in range(fan_out):
            row = w + k * fan_in
            total = parameters[b + k]
            for i in range(fan_in):
                total += a[x + i] * parameters[row + i]
            z[out + k] = total
        return
    # the first one to four rows go with the bias; missing ones of the four count as 0 times the first
    zero = a.dtype.type(0)
    first = (fan_in - _ONE) % _FOUR + _ONE
    a0 = a[x]
    a1 = a[x + _ONE] if first > _ONE else zero
    a2 = a[x + _TWO] if first > _TWO else zero
    a3 = a[x + _THREE] if first > _THREE else zero
    w1 = w + fan_out if first > _ONE else w
    w2 = w1 + fan_out if first > _TWO else w
    w3 = w2 + fan_out if first > _THREE else w
    for k in range(fan_out):
        z[out + k] = parameters[b + k] + (
            (a0 * parameters[w + k] + a1 * parameters[w1 + k])
            + (a2 * parameters[w2 + k] + a3 * parameters[w3 + k])
        )
    for i in range(first, fan_in, _FOUR):
        a0 = a[x + i]
        a1 = a[x + i + _ONE]
        a2 = a[x + i + _TWO]
        a3 = a[x + i + _THREE]
        w0 = w + i * fan_out
        w1 = w0 + fan_out
        w2 = w1 + fan_out
        w3 = w2 + fan_out
        for k in range(fan_out):
            z[out + k] += (a0 * parameters[w0 + k] + a1 * parameters[w1 + k]) + (
                a2 * parameters[w2 + k] + a3 * parameters[w3 + k]
            )


@scalar_function
def softmax(z: Any, a: Any, start: Any, n: Any) -> None:
    """a = e^(z - max z) / sum, over one layer."""
    highest = z[start]
    for k in range(n):
        highest = z[start + k] if z[start + k] > highest else highest
    for k in range(n):
        a[start + k] = act.exp(z[start + k] - highest)
    total = a[start] - a[start]
    for k in range(n):
        total += a[start + k]
    for k in range(n):
        a[start + k] /= total


@subroutine
def activate(code: Any, z: Any, a: Any, start: Any, n: Any) -> None:
    """a = f(z) over the units start <= j < start + n: one branch a layer, not one a unit."""
    if code == act.SIGMOID:
        for k in range(n):
            a[start + k] = act.sigmoid(z[start + k])
    elif code == act.RELU:
        for k in range(n):
            a[start + k] = act.relu(z[start + k])
    elif code == act.TANH:
        for k in range(n):
            a[start + k] = act.tanh(z[start + k])
    elif code == act.SOFTMAX:
        softmax(z, a, start, n)
    elif code == act.LEAKY_RELU:
        for k in range(n):
            a[start + k] = act.leaky_relu(z[start + k])
    elif code == act.ELU:
        for k in range(n):
            a[start + k] = act.elu(z[start + k])
    elif code == act.SOFTPLUS:
        for k in range(n):
            a[start + k] = act.softplus(z[start + k])
    elif code == act.SILU:
        for k in range(n):
            a[start + k] = act.silu(z[start + k])
    elif code == act.GELU:
        for k in range(n):
            a[start + k] = act.gelu(z[start + k])
    else:
        for k in range(n):
            a[start + k] = act.identity(z[start + k])


@subroutine
def multiply_by_derivative(code: Any, z: Any, a: Any, delta: Any, start: Any, n: Any) -> None:
    """delta *= f'(z) over one layer: from dLoss/da to dLoss/dz."""
    if code == act.SIGMOID:
        for k in range(n):
            delta[start + k] *= act.sigmoid_derivative(z[start + k], a[start + k])
    elif code == act.RELU:
        for k in range(n):
            delta[start + k] *= act.relu_derivative(z[start + k], a[start + k])
    elif code == act.TANH:
        for k in range(n):
            delta[start + k] *= act.tanh_derivative(z[start + k], a[start + k])
    elif code == act.SOFTMAX:
        _times_softmax_jacobian(a, delta, start, n)
    elif code == act.LEAKY_RELU:
        for k in range(n):
            delta[start + k] *= act.leaky_relu_derivative(z[start + k], a[start + k])
    elif code == act.ELU:
        for k in range(n):
            delta[start + k] *= act.elu_derivative(z[start + k], a[start + k])
    elif code == act.SOFTPLUS:
        for k in range(n):
            delta[start + k] *= act.softplus_derivative(z[start + k], a[start + k])
    elif code == act.SILU:
        for k in range(n):
            delta[start + k] *= act.silu_derivative(z[start + k], a[start + k])
    elif code == act.GELU:
        for k in range(n):
            delta[start + k] *= act.gelu_derivative(z[start + k], a[start + k])


@scalar_function
def _times_softmax_jacobian(a: Any, delta: Any, start: Any, n: Any) -> None:
    """delta_k = a_k (g_k - sum_j g_j a_j), the softmax Jacobian diag(a) - a a^T times g = dLoss/da."""
    mean = a[start] - a[start]
    for k in range(n):
        mean += delta[start + k] * a[start + k]
    for k in range(n):
        delta[start + k] = a[start + k] * (delta[start + k] - mean)


@scalar_function
def forward(parameters: Any, layout: Any, z: Any, a: Any) -> None:
    """Pre-activations and activations of every layer, for the inputs at the head of `a`."""
    for layer in range(len(layout)):
        affine(parameters, layout, layer, a, z)
        activate(layout[layer, ACTIVATION], z, a, layout[layer, OUTPUTS], layout[layer, FAN_OUT])


@scalar_function
def output_gradient(loss: Any, layout: Any, z: Any, a: Any, targets: Any, s: Any, delta: Any) -> float:
    """Loss of sample s, with its gradient left in `delta` of the output layer.

    The gradient is dLoss/dz for the cross-entropies, dLoss/da for the others (see `backward_activation`).
    """
    last = len(layout) - 1
    start = layout[last, OUTPUTS]
    n = layout[last, FAN_OUT]
    total = 0.0
    if loss == losses.BINARY_CROSS_ENTROPY:  # with sigmoid: delta = a - y
        for k in range(n):
            delta[start + k] = a[start + k] - targets[s, k]
            total += losses.binary_cross_entropy(z[start + k], targets[s, k])
    elif loss == losses.CATEGORICAL_CROSS_ENTROPY:  # with softmax: delta = a sum(y) - y
        mass = a[start] - a[start]
        for k in range(n):
            mass += targets[s, k]
        for k in range(n):
            delta[start + k] = a[start + k] * mass - targets[s, k]
        total = _categorical_cross_entropy(z, targets, s, start, n)
    elif loss == losses.SQUARED_ERROR:
        for k in range(n):
            y = targets[s, k]
            total += losses.squared_error(a[start + k], y)
            delta[start + k] = losses.squared_error_gradient(a[start + k], y)
    elif loss == losses.ABSOLUTE_ERROR:
        for k in range(n):
            y = targets[s, k]
            total += losses.absolute_error(a[start + k], y)
            delta[start + k] = losses.absolute_error_gradient(a[start + k], y)
    else:
        for k in range(n):
            y = targets[s, k]
            total += losses.huber(a[start + k], y)
            delta[start + k] = losses.huber_gradient(a[start + k], y)
    return total


@scalar_function
def backward_activation(loss: Any, layout: Any, layer: Any, z: Any, a: Any, delta: Any) -> None:
    """From dLoss/da to dLoss/dz for one layer, but for an output layer where the loss gave dLoss/dz."""
    if layer < len(layout) - 1 or loss > losses.CATEGORICAL_CROSS_ENTROPY:
        multiply_by_derivative(
            layout[layer, ACTIVATION], z, a, delta, layout[layer, OUTPUTS], layout[layer, FAN_OUT]
        )


@scalar_function
def _categorical_cross_entropy(z: Any, targets: Any, s: Any, start: Any, n: Any) -> float:
    """-sum y_k log softmax(z)_k = sum y_k (logsumexp(z) - z_k)."""
    highest = z[start]
    for k in range(n):
        highest = z[start + k] if z[start + k] > highest else highest
    total = 0.0
    for k in range(n):
        total += act.exp(z[start + k] - highest)
    normaliser = math.log(total)
    loss = 0.0
    for k in range(n):
        loss += targets[s, k] * (normaliser - (z[start + k] - highest))
    return loss


@scalar_function
def accuracy(loss: Any, layout: Any, a: Any, targets: Any, s: Any) -> float:
    """1.0 where the prediction is right, else 0.0 (see `units.is_right`)."""
    last = len(layout) - 1
    right = is_right(loss, a, layout[last, OUTPUTS], layout[last, FAN_OUT], targets, s)
    return 1.0 if right else 0.0


@subroutine
def metric(code: Any, loss: Any, layout: Any, z: Any, a: Any, targets: Any, s: Any) -> float:
    """One monitored metric of sample s, from the outputs before its update."""
    last = len(layout) - 1
    start = layout[last, OUTPUTS]
    n = layout[last, FAN_OUT]
    activation = layout[last, ACTIVATION]
    if code == losses.ACCURACY:
        return accuracy(loss, layout, a, targets, s)
    if code == losses.CATEGORICAL_CROSS_ENTROPY and activation == act.SOFTMAX:
        return _categorical_cross_entropy(z, targets, s, start, n)
    epsilon = a.dtype.type(np.finfo(a.dtype).eps)
    total = 0.0
    for k in range(n):
        p = a[start + k]
        y = targets[s, k]
        if code == losses.BINARY_CROSS_ENTROPY:
            if activation == act.SIGMOID:
                total += losses.binary_cross_entropy(z[start + k], y)
            else:
                total += losses.binary_cross_entropy_of_probability(p, y, epsilon)
        elif code == losses.CATEGORICAL_CROSS_ENTROPY:
            total += losses.categorical_cross_entropy_of_probability(p, y, epsilon)
        elif code == losses.SQUARED_ERROR:
            total += losses.squared_error(p, y)
        elif code == losses.ABSOLUTE_ERROR:
            total += losses.absolute_error(p, y)
        else:
            total += losses.huber(p, y)
    return total
