"""One sample through the layers, forwards and backwards: the pieces that training kernels are made of.

Parameters, pre-activations `z`, activations `a` and `delta` are flat arrays; `layout` says where each layer's
part lies.
"""

import math
from typing import Any

import numpy as np

from ..compiler.arithmetic.strictness import is_strict
from ..compiler.compiling import scalar_function, subroutine
from ..functions import activations as act
from ..functions import losses
from ..functions.elementary import log
from ..functions.units import is_right, settled
from .layout import (
    ACTIVATION,
    BIASES,
    BY_COLUMNS,
    FAN_IN,
    FAN_OUT,
    FORM,
    FOUR,
    INPUTS,
    ONE,
    OUTPUTS,
    THREE,
    TWO,
    WEIGHTS,
)
from .state import EPOCH, FIRST_METRIC, LOSS, WEIGHT


@subroutine
def transpose_narrow(parameters: Any, layout: Any, scratch: Any, back: Any) -> None:
    """Transpose the weights of the layers BY_COLUMNS in place, or `back`; scratch T holds the largest."""
    for layer in range(len(layout)):
        if layout[layer, FORM] == BY_COLUMNS and layout[layer, FAN_OUT] > ONE:
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
    """z = b + W^T a for one layer, four rows of W at a time: a quarter of the loads and stores of z.

    Strictly each sum runs from the bias through the inputs in their order, as any textbook's loop would have
    it; otherwise four products are a sum of their own, which z need not wait for.
    """
    fan_in = layout[layer, FAN_IN]
    fan_out = layout[layer, FAN_OUT]
    w = layout[layer, WEIGHTS]
    b = layout[layer, BIASES]
    x = layout[layer, INPUTS]
    out = layout[layer, OUTPUTS]
    if layout[layer, FORM] == BY_COLUMNS:  # vectors along the inputs, one sum a unit
        for k in range(fan_out):
            row = w + k * fan_in
            total = parameters[b + k]
            for i in range(fan_in):
                total += a[x + i] * parameters[row + i]
            z[out + k] = total
        return
    # the first one to four rows go with the bias; missing ones of the four count as 0 times the first
    zero = a.dtype.type(0)
    first = (fan_in - ONE) % FOUR + ONE
    a0 = a[x]
    a1 = a[x + ONE] if first > ONE else zero
    a2 = a[x + TWO] if first > TWO else zero
    a3 = a[x + THREE] if first > THREE else zero
    w1 = w + fan_out if first > ONE else w
    w2 = w1 + fan_out if first > TWO else w
    w3 = w2 + fan_out if first > THREE else w
    for k in range(fan_out):
        z[out + k] = _add_four(
            parameters[b + k],
            a0 * parameters[w + k],
            a1 * parameters[w1 + k],
            a2 * parameters[w2 + k],
            a3 * parameters[w3 + k],
        )
    for i in range(first, fan_in, FOUR):
        a0 = a[x + i]
        a1 = a[x + i + ONE]
        a2 = a[x + i + TWO]
        a3 = a[x + i + THREE]
        w0 = w + i * fan_out
        w1 = w0 + fan_out
        w2 = w1 + fan_out
        w3 = w2 + fan_out
        for k in range(fan_out):
            z[out + k] = _add_four(
                z[out + k],
                a0 * parameters[w0 + k],
                a1 * parameters[w1 + k],
                a2 * parameters[w2 + k],
                a3 * parameters[w3 + k],
            )


@scalar_function
def _add_four(total: Any, p0: Any, p1: Any, p2: Any, p3: Any) -> Any:
    if is_strict():
        return (((total + p0) + p1) + p2) + p3
    return total + ((p0 + p1) + (p2 + p3))


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
    elif code == act.EXP:
        for k in range(n):
            a[start + k] = act.exponential(z[start + k])
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
    elif code == act.EXP:
        for k in range(n):
            delta[start + k] *= act.exponential_derivative(z[start + k], a[start + k])


@scalar_function
def _times_softmax_jacobian(a: Any, delta: Any, start: Any, n: Any) -> None:
    """delta_k = a_k (g_k - sum_j g_j a_j), the softmax Jacobian diag(a) - a a^T times g = dLoss/da."""
    mean = a[start] - a[start]
    for k in range(n):
        mean += delta[start + k] * a[start + k]
    for k in range(n):
        delta[start + k] = a[start + k] * (delta[start + k] - mean)


@scalar_function
def _settle(units: Any, start: Any, n: Any) -> None:
    """Take what is of no consequence for 0, strictly: below 1e-19 in float32, 1e-154 in float64.

    So products of two such, of hidden units and deltas, are no subnormal numbers, which strict kernels keep
    and processors are slow with.
    """
    real = units.dtype.type
    for k in range(n):
        units[start + k] = settled(units[start + k], real(math.sqrt(np.finfo(units.dtype).tiny)))


@scalar_function
def activate_layer(model: Any, layer: Any, z: Any, a: Any) -> None:
    """a = f(z) over one layer, with f from the layout unless the kernel is compiled for it."""
    layout = model.layout
    start, n = layout[layer, OUTPUTS], layout[layer, FAN_OUT]
    if model.hidden is None:
        activate(layout[layer, ACTIVATION], z, a, start, n)
    elif layer < len(layout) - 1:
        activate(model.hidden, z, a, start, n)
    else:
        activate(model.output, z, a, start, n)
    if is_strict() and layer < len(layout) - 1:
        _settle(a, start, n)


@scalar_function
def forward(model: Any, z: Any, a: Any) -> None:
    """Pre-activations and activations of every layer, for the inputs at the head of `a`."""
    for layer in range(len(model.layout)):
        affine(model.parameters, model.layout, layer, a, z)
        activate_layer(model, layer, z, a)


@scalar_function
def output_gradient(
    loss: Any, level: Any, layout: Any, z: Any, a: Any, targets: Any, s: Any, delta: Any
) -> float:
    """Loss of sample s, with its gradient left in `delta` of the output layer; `level` is of quantiles.

    The gradient is dLoss/dz for the joint losses, dLoss/da for the others (see `backward_activation`).
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
    elif loss == losses.POISSON:  # with exp: delta = a - y
        for k in range(n):
            y = targets[s, k]
            delta[start + k] = a[start + k] - y
            total += losses.poisson(z[start + k], a[start + k], y)
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
    elif loss == losses.QUANTILE:
        for k in range(n):
            y = targets[s, k]
            total += losses.pinball(a[start + k], y, level)
            delta[start + k] = losses.pinball_gradient(a[start + k], y, level)
    else:
        for k in range(n):
            y = targets[s, k]
            total += losses.huber(a[start + k], y)
            delta[start + k] = losses.huber_gradient(a[start + k], y)
    return total


@scalar_function
def backward_activation(loss: Any, layout: Any, layer: Any, z: Any, a: Any, delta: Any) -> None:
    """From dLoss/da to dLoss/dz for one layer, but for an output layer where the loss gave dLoss/dz."""
    start, n = layout[layer, OUTPUTS], layout[layer, FAN_OUT]
    if layer < len(layout) - 1 or loss > losses.LAST_JOINT:
        multiply_by_derivative(layout[layer, ACTIVATION], z, a, delta, start, n)
    if is_strict():
        _settle(delta, start, n)


@scalar_function
def backward_layer(model: Any, layer: Any, z: Any, a: Any, delta: Any) -> None:
    """`backward_activation`, with the derivative of what the kernel is compiled for."""
    layout = model.layout
    start, n = layout[layer, OUTPUTS], layout[layer, FAN_OUT]
    if model.hidden is None:
        backward_activation(model.loss, layout, layer, z, a, delta)
    elif layer < len(layout) - 1:
        multiply_by_derivative(model.hidden, z, a, delta, start, n)
    elif model.loss > losses.LAST_JOINT:
        multiply_by_derivative(model.output, z, a, delta, start, n)
    if is_strict() and model.hidden is not None:
        _settle(delta, start, n)


@scalar_function
def _categorical_cross_entropy(z: Any, targets: Any, s: Any, start: Any, n: Any) -> float:
    """-sum y_k log softmax(z)_k = sum y_k (logsumexp(z) - z_k)."""
    highest = z[start]
    for k in range(n):
        highest = z[start + k] if z[start + k] > highest else highest
    total = 0.0
    for k in range(n):
        total += act.exp(z[start + k] - highest)
    normaliser = log(total)
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
def metric(code: Any, loss: Any, level: Any, layout: Any, z: Any, a: Any, targets: Any, s: Any) -> float:
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
        elif code == losses.POISSON:
            if activation == act.EXP:
                total += losses.poisson(z[start + k], p, y)
            else:
                total += losses.poisson_of_mean(p, y, epsilon)
        elif code == losses.SQUARED_ERROR:
            total += losses.squared_error(p, y)
        elif code == losses.ABSOLUTE_ERROR:
            total += losses.absolute_error(p, y)
        elif code == losses.QUANTILE:
            total += losses.pinball(p, y, level)
        else:
            total += losses.huber(p, y)
    return total


@scalar_function
def observe(model: Any, samples: Any, run: Any, s: Any, weight: Any, z: Any, a: Any, delta: Any) -> bool:
    """Loss and output gradient of sample s, whose forward pass is done; on record unless it is not finite."""
    loss = output_gradient(model.loss, model.level, model.layout, z, a, samples.targets, s, delta)
    if not np.isfinite(loss):
        return False
    record(model, samples, run, s, weight, loss, z, a)
    return True


@scalar_function
def record(model: Any, samples: Any, run: Any, s: Any, weight: Any, loss: Any, z: Any, a: Any) -> None:
    """Put the loss of sample s on record, and its metrics."""
    sums = run.sums[run.position[EPOCH]]
    sums[LOSS] += weight * loss
    sums[WEIGHT] += weight
    if model.metrics is None:
        for m in range(run.metrics.size):
            code = run.metrics[m]
            if code == losses.ACCURACY:  # the usual one is inlined
                value = accuracy(model.loss, model.layout, a, samples.targets, s)
            else:
                value = metric(code, model.loss, model.level, model.layout, z, a, samples.targets, s)
            sums[FIRST_METRIC + m] += weight * value
    elif model.metrics == 1:
        sums[FIRST_METRIC] += weight * accuracy(model.loss, model.layout, a, samples.targets, s)


@scalar_function
def predict(model: Any, samples: Any, run: Any, s: Any, weight: Any) -> bool:
    """Forward pass of sample s and what `observe` does."""
    z, a, delta = model.units[0], model.units[1], model.units[2]
    for i in range(samples.inputs.shape[1]):
        a[i] = samples.inputs[s, i]
    forward(model, z, a)
    return observe(model, samples, run, s, weight, z, a, delta)
