"""Mini-batches as scikit-learn takes them: forward, backward and update of many batches in one compiled call.

The formulas are those of scikit-learn's `MLPClassifier` and `MLPRegressor`, and so are their conventions: the
L2 penalty is divided by the batch's number of samples (or sum of weights), biases have none; the loss that is
reported was taken before the batch's update and holds the penalty; adam's epsilon is added to the root of the
moment that is not yet corrected (Kingma and Ba 2015, end of section 2).

Parameters are one vector, all weights first, layer by layer and row by row, then all biases: the order in
which scikit-learn hands them to L-BFGS.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..compiler.compiling import kernel, scalar_function, subroutine
from ..compiler.views import matrix_at
from ..functions import activations as act
from ..kernels.products import add_product

# Columns of a layout.
FAN_IN, FAN_OUT, WEIGHTS, BIASES, UNITS, ACTIVATION = range(6)
# Output activations and hidden ones, by scikit-learn's names; the losses go with the former.
IDENTITY, LOGISTIC, TANH, RELU, SOFTMAX, EXP = range(6)
ACTIVATIONS = {
    "identity": IDENTITY,
    "logistic": LOGISTIC,
    "tanh": TANH,
    "relu": RELU,
    "softmax": SOFTMAX,
    "exp": EXP,
}
SGD, MOMENTUM, NESTEROV, ADAM = range(4)
CHUNK = 4096
"""Parameters that are updated at a time."""


class Model(NamedTuple):
    """What is trained, with T its dtype and B the largest batch; a row of the layout is a layer's."""

    parameters: np.ndarray  # T (n_parameters,)
    first: np.ndarray  # T (n_parameters,), velocity or adam's first moment; (0,) without
    second: np.ndarray  # T (n_parameters,), adam's second moment; (0,) without
    gradient: np.ndarray  # T (n_parameters,), of a batch, not yet divided by its number of samples
    units: np.ndarray  # T (B (n_inputs + ... + n_outputs),), activations of a batch, a layer after the other
    deltas: np.ndarray  # T (B (n_units of all layers),), dLoss/dz
    layout: np.ndarray  # int64 (n_layers, 6): fan-in, fan-out, offsets of weights, biases, units; activation


class Data(NamedTuple):
    """The training data; inputs are dense or, where there are starts, in compressed sparse rows."""

    inputs: np.ndarray  # T (n, n_inputs), or (0, n_inputs)
    values: np.ndarray  # T (n_nonzeros,)
    columns: np.ndarray  # int32 (n_nonzeros,)
    starts: np.ndarray  # int64 (n + 1,); (0,) for dense inputs
    targets: np.ndarray  # T (n, n_outputs)
    weights: np.ndarray  # T (n,), or (0,) where every sample weighs 1
    order: np.ndarray  # int64 (n,), or (0,) for the samples as they stand


class Rule(NamedTuple):
    """An update rule with its numbers."""

    code: int
    rate: float
    momentum: float
    beta_1: float
    beta_2: float
    epsilon: float
    alpha: float


class Numbers(NamedTuple):
    """A rule's numbers at one step, in T; the gradient of a weight w is scale (g + alpha w)."""

    scale: Any  # 1 over the number of samples
    alpha: Any
    rate: Any
    keep: Any
    take: Any
    keep_2: Any
    take_2: Any
    epsilon: Any


@scalar_function
def _sample(data: Any, position: Any) -> Any:
    return data.order[position] if data.order.size > 0 else np.int64(position)


@scalar_function
def _is_copied(data: Any) -> bool:
    """Whether a batch's inputs have to be copied together, because they lie apart."""
    return data.order.size > 0 and len(data.inputs) > 0


@subroutine
def _copy_inputs(model: Any, data: Any, first: Any, rows: Any) -> None:
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
        s, row = _sample(data, first + t), z[t]
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
        s, row = _sample(data, first + t), delta[t]
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
def _times_derivative(code: Any, a: Any, delta: Any) -> None:
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
def _output_deltas(model: Any, data: Any, first: Any, rows: Any) -> float:
    """Sum of the losses times the samples' weights, with dLoss/dz, a - y times the weight, left in deltas."""
    last = len(model.layout) - 1
    code = model.layout[last, ACTIVATION]
    width, start = model.layout[last, FAN_OUT], model.layout[last, UNITS]
    outputs = matrix_at(model.units, start, rows, width)
    deltas = matrix_at(model.deltas, start - model.layout[0, UNITS], rows, width)
    epsilon = np.float64(np.finfo(model.units.dtype).eps)
    total = 0.0
    for t in range(rows):
        s = _sample(data, first + t)
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
def _forward(model: Any, data: Any, x: Any, first: Any, rows: Any) -> None:
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
def _send_back(model: Any, layer: Any, rows: Any) -> None:
    """Deltas of the layer below, from those of this one and the weights of the forward pass."""
    layout = model.layout
    fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
    inputs = layout[0, UNITS]  # have no deltas
    deltas = matrix_at(model.deltas, layout[layer, UNITS] - inputs, rows, fan_out)
    below = matrix_at(model.deltas, layout[layer - 1, UNITS] - inputs, rows, fan_in)
    add_product(0, below, deltas, matrix_at(model.parameters, layout[layer, WEIGHTS], fan_in, fan_out).T)
    activations = matrix_at(model.units, layout[layer - 1, UNITS], rows, fan_in)
    _times_derivative(layout[layer - 1, ACTIVATION], activations, below)


@subroutine
def _layer_gradient(model: Any, data: Any, x: Any, layer: Any, first: Any, rows: Any, keep: Any) -> None:
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
def _bias_gradient(model: Any, layer: Any, rows: Any, keep: Any) -> None:
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


@subroutine
def _numbers(rule: Any, like: Any, total_weight: Any, alpha: Any, t: Any) -> Any:
    """The rule's numbers at step t, for weights with their alpha or for biases with none."""
    real = like.dtype.type
    rate, keep = rule.rate, rule.momentum
    if rule.code == ADAM:
        keep = rule.beta_1
        rate = rate * math.sqrt(1 - rule.beta_2**t) / (1 - rule.beta_1**t)
    return Numbers(
        real(1 / total_weight),
        real(alpha),
        real(rate),
        real(keep),
        real(1 - keep),
        real(rule.beta_2),
        real(1 - rule.beta_2),
        real(rule.epsilon),
    )


@subroutine
def _update(code: Any, step: Any, factor: Any, w: Any, g: Any, m: Any, s: Any) -> Any:
    """One step of the parameters w from their gradient, factor g; sum of their squares before it."""
    n = np.uint64(w.size)
    squares = w.dtype.type(0)
    of_gradient, of_weight = step.scale * factor, step.scale * step.alpha
    if code == ADAM:
        for j in range(n):
            old = w[j]
            squares += old * old
            gradient = of_gradient * g[j] + of_weight * old
            mean = step.keep * m[j] + step.take * gradient
            square = step.keep_2 * s[j] + step.take_2 * (gradient * gradient)
            m[j] = mean
            s[j] = square
            w[j] = old - step.rate * mean / (math.sqrt(square) + step.epsilon)
    elif code == SGD:
        for j in range(n):
            old = w[j]
            squares += old * old
            w[j] = old - step.rate * (of_gradient * g[j] + of_weight * old)
    elif code == MOMENTUM:
        for j in range(n):
            old = w[j]
            squares += old * old
            velocity = step.keep * m[j] - step.rate * (of_gradient * g[j] + of_weight * old)
            m[j] = velocity
            w[j] = old + velocity
    else:
        for j in range(n):
            old = w[j]
            squares += old * old
            down = step.rate * (of_gradient * g[j] + of_weight * old)
            velocity = step.keep * m[j] - down
            m[j] = velocity
            w[j] = old + (step.keep * velocity - down)
    return squares


@subroutine
def _update_from_gradient(model: Any, code: Any, step: Any, start: Any, n: Any) -> float:
    """`_update` of n parameters; their squares are added up in float64, a chunk after the other."""
    squares = 0.0
    one = model.parameters.dtype.type(1)
    for first in range(start, start + n, CHUNK):
        last = min(first + CHUNK, start + n)
        w, g = model.parameters[first:last], model.gradient[first:last]
        squares += _update(code, step, one, w, g, model.first[first:last], model.second[first:last])
    return squares


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
def _update_from_one(model: Any, code: Any, step: Any, layer: Any, x: Any) -> float:
    """What `_send_back`, `_layer_gradient` and `_update_from_gradient` do for a layer's weights, in one pass.

    For a single sample with inputs x the gradient is an outer product, which need not be written down.
    """
    layout = model.layout
    start, fan_in, fan_out = layout[layer, WEIGHTS], layout[layer, FAN_IN], layout[layer, FAN_OUT]
    inputs = layout[0, UNITS]
    delta = model.deltas[layout[layer, UNITS] - inputs : layout[layer, UNITS] - inputs + fan_out]
    below = model.deltas[0:0]
    if layer > 0:
        below = model.deltas[layout[layer - 1, UNITS] - inputs : layout[layer - 1, UNITS] - inputs + fan_in]
    squares = 0.0
    for i in range(fan_in):
        first, last = start + i * fan_out, start + (i + 1) * fan_out
        w = model.parameters[first:last]
        if layer > 0:
            total = w.dtype.type(0)
            for k in range(np.uint64(fan_out)):
                total += w[k] * delta[k]
            below[i] = total
        squares += _update(code, step, x[i], w, delta, model.first[first:last], model.second[first:last])
    return squares


@subroutine
def _sum_of_weights(data: Any, first: Any, rows: Any) -> float:
    """Of a batch's samples; their number where they have no weights."""
    if data.weights.size == 0:
        return float(rows)
    total = 0.0
    for t in range(rows):
        total += data.weights[_sample(data, first + t)]
    return total


@kernel
def train_batches(
    model: Any, data: Any, rule: Any, batch_size: Any, position: Any, stop: Any, t: Any, loss: Any
) -> int:
    """Take the batches from `position` to `stop` in the order of samples, as scikit-learn does.

    Parameters
    ----------
    model, data, rule
        See `Model`, `Data` and `Rule`; the model is changed in place.
    batch_size
        Samples in each batch but the last of an epoch, which has what is left.
    position, stop
        Where in the order to begin and to end; multiples of batch_size, or the number of samples.
    t
        Batches taken before, for adam.
    loss
        float64 (1,): the sum over batches of their mean loss, with the penalty, times their number of
        samples, is added to it.

    Returns
    -------
    int
        Where it ended; that is before `stop` only if a batch's weights sum to zero.
    """
    layout = model.layout
    while position < stop:
        rows = min(batch_size, stop - position)
        total_weight = _sum_of_weights(data, position, rows)
        if total_weight == 0:
            return position
        t += 1
        x = data.inputs[position : position + rows]
        if _is_copied(data):
            _copy_inputs(model, data, position, rows)
            x = matrix_at(model.units, 0, rows, data.inputs.shape[1])
        _forward(model, data, x, position, rows)
        batch_loss = _output_deltas(model, data, position, rows)
        step = _numbers(rule, model.parameters, total_weight, rule.alpha, t)
        step_of_biases = _numbers(rule, model.parameters, total_weight, 0.0, t)
        squares = 0.0
        for layer in range(len(layout) - 1, -1, -1):
            start, fan_in, fan_out = layout[layer, WEIGHTS], layout[layer, FAN_IN], layout[layer, FAN_OUT]
            if rows == 1 and (layer > 0 or data.starts.size == 0):
                below = x if layer == 0 else matrix_at(model.units, layout[layer - 1, UNITS], 1, fan_in)
                squares += _update_from_one(model, rule.code, step, layer, below[0])
                if layer > 0:
                    deltas = matrix_at(model.deltas, layout[layer - 1, UNITS] - layout[0, UNITS], 1, fan_in)
                    _times_derivative(layout[layer - 1, ACTIVATION], below, deltas)
            else:
                if layer > 0:
                    _send_back(model, layer, rows)
                _layer_gradient(model, data, x, layer, position, rows, 0)
                squares += _update_from_gradient(model, rule.code, step, start, fan_in * fan_out)
            _bias_gradient(model, layer, rows, 0)
            _update_from_gradient(model, rule.code, step_of_biases, layout[layer, BIASES], fan_out)
        loss[0] += (batch_loss + 0.5 * rule.alpha * squares) / total_weight * rows
        position += rows
    return position


@kernel
def loss_and_gradient(model: Any, data: Any, alpha: Any, chunk: Any) -> float:
    """Mean loss of all samples with the penalty; its gradient in `model.gradient`.

    Samples are taken in chunks, so that their activations stay in the cache.

    Parameters
    ----------
    model, data
        See `Model` and `Data`; of the model only the gradient and scratch are changed.
    alpha
        Strength of the penalty.
    chunk
        Samples at a time, no more than the model has room for.
    """
    layout, parameters, gradient = model.layout, model.parameters, model.gradient
    n = len(data.targets)
    loss = 0.0
    for first in range(0, n, chunk):
        rows = min(chunk, n - first)
        x = data.inputs[first : first + rows]
        _forward(model, data, x, first, rows)
        loss += _output_deltas(model, data, first, rows)
        for layer in range(len(layout) - 1, -1, -1):
            if layer > 0:
                _send_back(model, layer, rows)
            keep = 1 if first > 0 else 0
            _layer_gradient(model, data, x, layer, first, rows, keep)
            _bias_gradient(model, layer, rows, keep)
    total_weight = _sum_of_weights(data, 0, n)
    n_weights = layout[0, BIASES]
    squares = 0.0
    for j in range(n_weights):
        squares += parameters[j] * parameters[j]
        gradient[j] += alpha * parameters[j]
    for j in range(gradient.size):
        gradient[j] /= total_weight
    return (loss + 0.5 * alpha * squares) / total_weight
