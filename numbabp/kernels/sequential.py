"""The sequential kernel: plain SGD of one network sample by sample, any depth and loss.

Reference: `train` in tests/reference.py.
"""

from typing import Any

from ..compiler.compiling import kernel, scalar_function
from .layers import _ONE, _TWO, backward_activation, predict, transpose_narrow
from .layout import BIASES, BY_COLUMNS, FAN_IN, FAN_OUT, FORM, INPUTS, OUTPUTS, WEIGHTS
from .state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, begin_epoch, end_epoch, sample_weight


@scalar_function
def _update_row(w: Any, row: Any, n: Any, shrink: Any, g: Any, delta: Any, out: Any) -> None:
    """W[i] -= shrink W[i] + g delta.

    Not (1 - shrink) W[i]: for small penalties that factor has few digits of shrink left in float32.
    """
    for k in range(n):
        w[row + k] -= shrink * w[row + k] + g * delta[out + k]


@scalar_function
def _update_and_send_back(
    w: Any, row: Any, n: Any, shrink: Any, g: Any, delta: Any, out: Any, updated: Any
) -> Any:
    """What `_update_row` does; returns W[i] delta, with W before or after it."""
    total = w.dtype.type(0)
    for k in range(n):
        d = delta[out + k]
        old = w[row + k]
        new = old - (shrink * old + g * d)
        w[row + k] = new
        total += d * (new if updated else old)
    return total


@scalar_function
def step_layer(
    parameters: Any, layout: Any, layer: Any, a: Any, delta: Any, rate: Any, shrink: Any, updated: Any
) -> None:
    """Update a layer, W -= rate a delta^T + shrink W, and send delta back, in one pass over its weights.

    Delta goes back through the weights of the forward pass, or with `updated` through those just updated; the
    derivative of the layer below is not taken yet.
    """
    real = parameters.dtype.type
    fan_in = layout[layer, FAN_IN]
    fan_out = layout[layer, FAN_OUT]
    w = layout[layer, WEIGHTS]
    b = layout[layer, BIASES]
    x = layout[layer, INPUTS]
    out = layout[layer, OUTPUTS]
    if layer == 0 and layout[layer, FORM] == BY_COLUMNS:
        for k in range(fan_out):
            row = w + k * fan_in
            g = rate * delta[out + k]
            for i in range(fan_in):
                parameters[row + i] -= shrink * parameters[row + i] + g * a[x + i]
    elif layer == 0:
        odd = fan_in % _TWO
        if odd == _ONE:
            _update_row(parameters, w, fan_out, shrink, rate * a[x], delta, out)
        for i in range(odd, fan_in, _TWO):
            g0 = rate * a[x + i]
            g1 = rate * a[x + i + _ONE]
            row0 = w + i * fan_out
            row1 = row0 + fan_out
            for k in range(fan_out):
                d = delta[out + k]
                parameters[row0 + k] -= shrink * parameters[row0 + k] + g0 * d
                parameters[row1 + k] -= shrink * parameters[row1 + k] + g1 * d
    elif layout[layer, FORM] == BY_COLUMNS:
        for k in range(fan_out):
            row = w + k * fan_in
            d = delta[out + k]
            g = rate * d
            for i in range(fan_in):
                old = parameters[row + i]
                new = old - (shrink * old + g * a[x + i])
                parameters[row + i] = new
                back = d * (new if updated else old)
                delta[x + i] = back if k == 0 else delta[x + i] + back
    else:
        odd = fan_in % _TWO
        if odd == _ONE:
            delta[x] = _update_and_send_back(parameters, w, fan_out, shrink, rate * a[x], delta, out, updated)
        for i in range(odd, fan_in, _TWO):
            g0 = rate * a[x + i]
            g1 = rate * a[x + i + _ONE]
            row0 = w + i * fan_out
            row1 = row0 + fan_out
            p0 = p1 = real(0)
            for k in range(fan_out):
                d = delta[out + k]
                old0, old1 = parameters[row0 + k], parameters[row1 + k]
                new0 = old0 - (shrink * old0 + g0 * d)
                new1 = old1 - (shrink * old1 + g1 * d)
                parameters[row0 + k], parameters[row1 + k] = new0, new1
                p0 += d * (new0 if updated else old0)
                p1 += d * (new1 if updated else old1)
            delta[x + i] = p0
            delta[x + i + _ONE] = p1
    for k in range(fan_out):
        parameters[b + k] -= rate * delta[out + k]


@scalar_function
def _step_sgd(model: Any, rate: Any, shrink: Any, updated: Any) -> None:
    """Backpropagate and update, from the last layer to the first."""
    z, a, delta = model.units[0], model.units[1], model.units[2]
    for layer in range(len(model.layout) - 1, -1, -1):
        backward_activation(model.loss, model.layout, layer, z, a, delta)
        step_layer(model.parameters, model.layout, layer, a, delta, rate, shrink, updated)


@kernel
def train_sgd(
    model: Any, samples: Any, rule: Any, run: Any, updated: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """Plain per-sample SGD, with L2, until `stop_epoch` epochs are done or `max_samples` more samples.

    Everything that a later call needs to go on is in `model`, `samples.order` and `run`, so that it does not
    matter to any bit where calls end.

    Parameters
    ----------
    model, samples, rule, run
        See `Model`, `Samples`, `update_rules.Rule` and `Run`; changed in place.
    updated
        propagate="updated".
    stop_epoch, max_samples
        Where to pause.

    Returns
    -------
    int
        `PAUSED`, or `DIVERGED` when the loss of the sample at run.position is not finite; that
        sample has changed nothing.
    """
    real = model.parameters.dtype.type
    position = run.position
    transpose_narrow(model.parameters, model.layout, model.scratch, False)
    status = PAUSED
    done = 0
    while position[EPOCH] < stop_epoch and done < max_samples and status == PAUSED:
        begin_epoch(samples, run)
        rate = run.learning_rates[position[EPOCH]]
        shrink = real(rate * rule.l2)
        until = min(samples.order.size, position[SAMPLE] + max_samples - done)
        done += until - position[SAMPLE]
        for i in range(position[SAMPLE], until):
            s = samples.order[i]
            weight = sample_weight(samples, s)
            if weight != 0:
                if not predict(model, samples, run, s, weight):
                    until = i
                    status = DIVERGED
                    break
                _step_sgd(model, real(rate) * weight, shrink, updated)
                position[STEP] += 1
        position[SAMPLE] = until
        end_epoch(samples, run)
    transpose_narrow(model.parameters, model.layout, model.scratch, True)
    return status
