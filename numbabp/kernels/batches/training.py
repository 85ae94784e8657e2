"""Mini-batches as scikit-learn takes them: forward, backward and update of many batches in one compiled call.

The formulas are those of scikit-learn's `MLPClassifier` and `MLPRegressor`, and so are their conventions: the
L2 penalty is divided by the batch's number of samples (or sum of weights), biases have none; the loss that is
reported was taken before the batch's update and holds the penalty; adam's epsilon is added to the root of the
moment that is not yet corrected (Kingma and Ba 2015, end of section 2).
"""

from typing import Any

from ...compiler.compiling import kernel, subroutine
from ...compiler.views import matrix_at
from .passes import (
    bias_gradient,
    copy_inputs,
    forward,
    is_copied,
    layer_gradient,
    output_deltas,
    sample,
    send_back,
    times_derivative,
)
from .state import ACTIVATION, BIASES, FAN_IN, FAN_OUT, UNITS, WEIGHTS
from .updates import numbers, update_from_gradient, update_from_one


@subroutine
def _sum_of_weights(data: Any, first: Any, rows: Any) -> float:
    """Of a batch's samples; their number where they have no weights."""
    if data.weights.size == 0:
        return float(rows)
    total = 0.0
    for t in range(rows):
        total += data.weights[sample(data, first + t)]
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
        if is_copied(data):
            copy_inputs(model, data, position, rows)
            x = matrix_at(model.units, 0, rows, data.inputs.shape[1])
        forward(model, data, x, position, rows)
        batch_loss = output_deltas(model, data, position, rows)
        step = numbers(rule, model.parameters, total_weight, rule.alpha, t)
        step_of_biases = numbers(rule, model.parameters, total_weight, 0.0, t)
        squares = 0.0
        for layer in range(len(layout) - 1, -1, -1):
            start, fan_in, fan_out = layout[layer, WEIGHTS], layout[layer, FAN_IN], layout[layer, FAN_OUT]
            if rows == 1 and (layer > 0 or data.starts.size == 0):
                below = x if layer == 0 else matrix_at(model.units, layout[layer - 1, UNITS], 1, fan_in)
                squares += update_from_one(model, rule.code, step, layer, below[0])
                if layer > 0:
                    deltas = matrix_at(model.deltas, layout[layer - 1, UNITS] - layout[0, UNITS], 1, fan_in)
                    times_derivative(layout[layer - 1, ACTIVATION], below, deltas)
            else:
                if layer > 0:
                    send_back(model, layer, rows)
                layer_gradient(model, data, x, layer, position, rows, 0)
                squares += update_from_gradient(model, rule.code, step, start, fan_in * fan_out)
            bias_gradient(model, layer, rows, 0)
            update_from_gradient(model, rule.code, step_of_biases, layout[layer, BIASES], fan_out)
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
        forward(model, data, x, first, rows)
        loss += output_deltas(model, data, first, rows)
        for layer in range(len(layout) - 1, -1, -1):
            if layer > 0:
                send_back(model, layer, rows)
            keep = 1 if first > 0 else 0
            layer_gradient(model, data, x, layer, first, rows, keep)
            bias_gradient(model, layer, rows, keep)
    total_weight = _sum_of_weights(data, 0, n)
    n_weights = layout[0, BIASES]
    squares = 0.0
    for j in range(n_weights):
        squares += parameters[j] * parameters[j]
        gradient[j] += alpha * parameters[j]
    for j in range(gradient.size):
        gradient[j] /= total_weight
    return (loss + 0.5 * alpha * squares) / total_weight
