"""A mini-batch through the layers, forwards and backwards; products go through BLAS."""

import math
from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function, subroutine
from ...compiler.views import matrix_at
from ...functions import activations as act
from ..products.blas import add_product
from .state import ACTIVATION, BIASES, EXP, FAN_IN, FAN_OUT, LOGISTIC, RELU, SOFTMAX, TANH, UNITS, WEIGHTS


@scalar_function
def sample(data: Any, position: Any) -> Any:
    """Number of the sample at a position of the order."""
    return data.order[position] if data.order.size > 0 else np.int64(position)


@scalar_function
def is_copied(data: Any) -> bool:
    """Whether a batch's inputs have to be copied together, because they lie apart."""
    return data.order.size > 0 and len(data.inputs) > 0


@subroutine
def copy_inputs(model: Any, data: Any, first: Any, rows: Any) -> None:
    """To the head of the units (rows, n_inputs)."""
    x = matrix_at(model.units, 0, rows, data.inputs.shape[1])
    for t in range(rows):
        source, row = data.inputs[data.order[first + t]], x[t]
        for i in range(np.uint64(source.size)):
            row[i] = source[i]


@subroutine
def _sparse_product(data: Any, first: Any, z: Any, w: Any) -> None:
    """Z = X W for the batch from position `first`."""
    rows, width = z.shape
    for t in range(rows):
        s, row = sample(data, first + t), z[t]
        row[:] = z.dtype.type(0)
        for j in range(data.starts[s], data.starts[s + 1]):
            value, weights = data.values[j], w[data.columns[j]]
            for k in range(np.uint64(width)):
                row[k] += value * weights[k]


@subroutine
def _add_sparse_gradient(data: Any, first: Any, g: Any, delta: Any) -> None:
    """G += X^T delta for the batch from position `first`."""
    rows, width = delta.shape
    for t in range(rows):
        s, row = sample(data, first + t), delta[t]
        for j in range(data.starts[s], data.starts[s + 1]):
            value, gradient = data.values[j], g[data.columns[j]]
            for k in range(np.uint64(width)):
                gradient[k] += value * row[k]


@subroutine
def _activate(code: Any, z: Any, bias: Any) -> None:
    """Add the biases to pre-activations (rows, width) and apply the activation in place; softmax is apart."""
    real = z.dtype.type
    rows, width = z.shape
    for t in range(rows):
        row = z[t]
        if code == RELU:
            for k in range(np.uint64(width)):
                a = row[k] + bias[k]
                row[k] = real(0) if a < real(0) else a
        elif code == LOGISTIC:
            for k in range(np.uint64(width)):
                row[k] = act.sigmoid(row[k] + bias[k])
        elif code == TANH:
            for k in range(np.uint64(width)):
                row[k] = act.tanh(row[k] + bias[k])
        else:
            for k in range(np.uint64(width)):
                row[k] += bias[k]


@subroutine
def _activate_outputs(code: Any, a: Any) -> None:
    """What `_activate` leaves of softmax and exp, neither of them for hidden layers."""
    rows, width = a.shape
    for t in range(rows):
        row = a[t]
        if code == SOFTMAX:
            highest = row[0]
            for k in range(np.uint64(width)):
                highest = row[k] if row[k] > highest else highest
            total = a.dtype.type(0)
            for k in range(np.uint64(width)):
                e = act.exp(row[k] - highest)
                row[k] = e
                total += e
            for k in range(np.uint64(width)):
                row[k] /= total
        elif code == EXP:
            for k in range(np.uint64(width)):
                row[k] = math.exp(row[k])  # that may be infinite, which act.exp is not


@subroutine
def times_derivative(code: Any, a: Any, delta: Any) -> None:
    """Multiply delta by f'(z), with the activations a = f(z)."""
    real = a.dtype.type
    n = np.uint64(a.size)
    a, delta = a.reshape(a.size), delta.reshape(delta.size)
    if code == RELU:
        for k in range(n):
            delta[k] = real(0) if a[k] == real(0) else delta[k]
    elif code == LOGISTIC:
        for k in range(n):
            delta[k] *= a[k] * (real(1) - a[k])
    elif code == TANH:
        for k in range(n):
            delta[k] *= real(1) - a[k] * a[k]


@scalar_function
def _x_log_y(x: Any, y: Any) -> float:
    """X log y, and 0 where x is 0."""
    return 0.0 if x == 0 else x * math.log(y)


@scalar_function
def _sample_loss(code: Any, a: Any, y: Any, epsilon: Any) -> float:
    """Loss of one sample; probabilities are kept `epsilon` away from 0 and 1."""
    loss = 0.0
    for k in range(a.size):
        p, target = np.float64(a[k]), np.float64(y[k])
        if code in (SOFTMAX, LOGISTIC):
            p = min(max(p, epsilon), 1 - epsilon) if p == p else p
            loss -= _x_log_y(target, p)
            if code == LOGISTIC:
                loss -= _x_log_y(1 - target, 1 - p)
        elif code == EXP:
            loss += _x_log_y(target, target / p) - target + p
        else:
            loss += 0.5 * (target - p) * (target - p) / a.size
    return loss


@subroutine
def output_deltas(model: Any, data: Any, first: Any, rows: Any) -> float:
    """Sum of the losses times the samples' weights, with dLoss/dz, a - y times the weight, left in deltas."""
    last = len(model.layout) - 1
    code = model.layout[last, ACTIVATION]
    width, start = model.layout[last, FAN_OUT], model.layout[last, UNITS]
    outputs = matrix_at(model.units, start, rows, width)
    deltas = matrix_at(model.deltas, start - model.layout[0, UNITS], rows, width)
    epsilon = np.float64(np.finfo(model.units.dtype).eps)
    total = 0.0
    for t in range(rows):
        s = sample(data, first + t)
        a, y, delta = outputs[t], data.targets[s], deltas[t]
        loss = _sample_loss(code, a, y, epsilon)
        for k in range(np.uint64(a.size)):
            delta[k] = a[k] - y[k]
        if data.weights.size > 0:
            weight = data.weights[s]
            loss *= weight
            for k in range(np.uint64(a.size)):
                delta[k] *= weight
        total += loss
    return total


@subroutine
def _product_of_one(z: Any, x: Any, w: Any) -> None:
    """Z = W^T x for a single sample, four rows of W at a time: BLAS takes twice as long for it."""
    n, width = w.shape
    z[:] = z.dtype.type(0)
    for i in range(0, n, 4):
        # missing ones of the four count as 0 times the first
        i1, i2, i3 = min(i + 1, n - 1), min(i + 2, n - 1), min(i + 3, n - 1)
        x0 = x[i]
        x1 = x[i1] if i1 > i else z.dtype.type(0)
        x2 = x[i2] if i2 > i1 else z.dtype.type(0)
        x3 = x[i3] if i3 > i2 else z.dtype.type(0)
        w0, w1, w2, w3 = w[i], w[i1], w[i2], w[i3]
        for k in range(np.uint64(width)):
            z[k] += (x0 * w0[k] + x1 * w1[k]) + (x2 * w2[k] + x3 * w3[k])


@subroutine
def forward(model: Any, data: Any, x: Any, first: Any, rows: Any) -> None:
    """Activations of all layers for the batch from position `first`; `x` are its inputs unless sparse."""
    parameters, layout = model.parameters, model.layout
    for layer in range(len(layout)):
        fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
        weights = matrix_at(parameters, layout[layer, WEIGHTS], fan_in, fan_out)
        z = matrix_at(model.units, layout[layer, UNITS], rows, fan_out)
        below = x if layer == 0 else matrix_at(model.units, layout[layer - 1, UNITS], rows, fan_in)
        if layer == 0 and data.starts.size > 0:
            _sparse_product(data, first, z, weights)
        elif rows == 1:
            _product_of_one(z[0], below[0], weights)
        else:
            add_product(0, z, below, weights)
        start = layout[layer, BIASES]
        _activate(layout[layer, ACTIVATION], z, parameters[start : start + fan_out])
    last = len(layout) - 1
    outputs = matrix_at(model.units, layout[last, UNITS], rows, layout[last, FAN_OUT])
    _activate_outputs(layout[last, ACTIVATION], outputs)


@subroutine
def send_back(model: Any, layer: Any, rows: Any) -> None:
    """Deltas of the layer below, from those of this one and the weights of the forward pass."""
    layout = model.layout
    fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
    inputs = layout[0, UNITS]  # have no deltas
    deltas = matrix_at(model.deltas, layout[layer, UNITS] - inputs, rows, fan_out)
    below = matrix_at(model.deltas, layout[layer - 1, UNITS] - inputs, rows, fan_in)
    add_product(0, below, deltas, matrix_at(model.parameters, layout[layer, WEIGHTS], fan_in, fan_out).T)
    activations = matrix_at(model.units, layout[layer - 1, UNITS], rows, fan_in)
    times_derivative(layout[layer - 1, ACTIVATION], activations, below)


@subroutine
def layer_gradient(model: Any, data: Any, x: Any, layer: Any, first: Any, rows: Any, keep: Any) -> None:
    """G = keep G + sum over the batch of the layer's gradients; `keep` is 0 or 1."""
    layout = model.layout
    fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
    deltas = matrix_at(model.deltas, layout[layer, UNITS] - layout[0, UNITS], rows, fan_out)
    of_weights = matrix_at(model.gradient, layout[layer, WEIGHTS], fan_in, fan_out)
    if layer > 0:
        add_product(
            keep, of_weights, matrix_at(model.units, layout[layer - 1, UNITS], rows, fan_in).T, deltas
        )
    elif data.starts.size > 0:
        if keep == 0:
            of_weights[:, :] = deltas.dtype.type(0)
        _add_sparse_gradient(data, first, of_weights, deltas)
    else:
        add_product(keep, of_weights, x.T, deltas)


@subroutine
def bias_gradient(model: Any, layer: Any, rows: Any, keep: Any) -> None:
    """G = keep G + sum of the batch's deltas, for the layer's biases."""
    layout = model.layout
    fan_out = layout[layer, FAN_OUT]
    deltas = matrix_at(model.deltas, layout[layer, UNITS] - layout[0, UNITS], rows, fan_out)
    gradient = model.gradient[layout[layer, BIASES] : layout[layer, BIASES] + fan_out]
    if keep == 0:
        gradient[:] = deltas.dtype.type(0)
    for t in range(rows):
        row = deltas[t]
        for k in range(np.uint64(fan_out)):
            gradient[k] += row[k]
