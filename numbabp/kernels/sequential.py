"""The sequential kernels: training of one network sample by sample, any depth, rule and loss.

`train_sgd` is the fast path, plain per-sample SGD; `train_general` takes every update rule, mini-batches,
L1 and clipping. Reference: `train` in tests/reference.py.
"""

from typing import Any, NamedTuple

import numpy as np

from ..compiler.compiling import kernel, scalar_function, subroutine
from ..functions.losses import ACCURACY
from .layers import (
    _ONE,
    _TWO,
    BIASES,
    BY_COLUMNS,
    FAN_IN,
    FAN_OUT,
    FORM,
    INPUTS,
    OUTPUTS,
    WEIGHTS,
    accuracy,
    backward_activation,
    forward,
    metric,
    output_gradient,
    transpose_narrow,
)
from .shuffling import shuffle
from .update_rules import ADAMW, add_penalties, apply, clip_norm, clip_values, numbers, shrink_weights

# Entries of Run.position.
EPOCH, SAMPLE, STEP, BATCH = range(4)
# Columns of Run.sums before the metrics.
LOSS, WEIGHT, FIRST_METRIC = range(3)
_ZERO = np.uint64(0)
ROWS_SIZE = np.uint64(2048)
"""Weights that `_step_rows` takes at a time, about."""
# What the kernels return.
PAUSED, DIVERGED = range(2)


class Samples(NamedTuple):
    """The training data, with T the network's dtype."""

    inputs: np.ndarray  # T (n, n_inputs)
    targets: np.ndarray  # T (n, n_outputs)
    weights: np.ndarray  # T (n,), or (0,) where every sample weighs 1
    order: np.ndarray  # int64 (n,), the order of the current epoch


class Model(NamedTuple):
    """What is trained, and what its rule carries from step to step."""

    parameters: np.ndarray  # T (n_parameters,)
    moments: np.ndarray  # T (N_MOMENTS, n_parameters)
    gradient: np.ndarray  # T, for train_general: of the mini-batch under way (n_parameters,), or of some rows
    units: np.ndarray  # T (3, n_units), scratch: pre-activations, activations, delta
    scratch: np.ndarray  # T (n,), for layers.transpose_narrow
    layout: np.ndarray  # uint64 (n_layers, 8), see layers.layout
    loss: int


class Run(NamedTuple):
    """Where training stands, and what it records."""

    position: np.ndarray  # int64 (4,): epoch, sample in it, steps so far, samples in the mini-batch
    random: np.ndarray  # uint64 (1,), state of the shuffle; (0,) for a fixed order
    learning_rates: np.ndarray  # float64 (epochs,)
    metrics: np.ndarray  # int64 (n_metrics,), codes from losses.METRICS
    sums: np.ndarray  # float64 (epochs, 2 + n_metrics): weighted loss, weight, weighted metrics


@scalar_function
def observe(model: Any, samples: Any, run: Any, s: Any, weight: Any, z: Any, a: Any, delta: Any) -> bool:
    """Loss and output gradient of sample s, whose forward pass is done; on record unless it is not finite."""
    loss = output_gradient(model.loss, model.layout, z, a, samples.targets, s, delta)
    if not np.isfinite(loss):
        return False
    sums = run.sums[run.position[EPOCH]]
    sums[LOSS] += weight * loss
    sums[WEIGHT] += weight
    for m in range(run.metrics.size):
        code = run.metrics[m]
        if code == ACCURACY:  # the usual one is inlined
            value = accuracy(model.loss, model.layout, a, samples.targets, s)
        else:
            value = metric(code, model.loss, model.layout, z, a, samples.targets, s)
        sums[FIRST_METRIC + m] += weight * value
    return True


@scalar_function
def _predict(model: Any, samples: Any, run: Any, s: Any, weight: Any) -> bool:
    """Forward pass of sample s and what `observe` does."""
    z, a, delta = model.units[0], model.units[1], model.units[2]
    for i in range(samples.inputs.shape[1]):
        a[i] = samples.inputs[s, i]
    forward(model.parameters, model.layout, z, a)
    return observe(model, samples, run, s, weight, z, a, delta)


@scalar_function
def sample_weight(samples: Any, s: Any) -> Any:
    """Factor of the sample's gradient and loss."""
    return samples.weights[s] if samples.weights.size > 0 else samples.targets.dtype.type(1)


@scalar_function
def begin_epoch(samples: Any, run: Any) -> None:
    """Draw the epoch's order, where it is not fixed."""
    if run.position[SAMPLE] == 0 and run.random.size > 0:
        shuffle(samples.order, run.random)


@scalar_function
def end_epoch(samples: Any, run: Any) -> None:
    """Go on to the next epoch, where this one's samples are all done."""
    if run.position[SAMPLE] == samples.order.size:
        run.position[SAMPLE] = 0
        run.position[EPOCH] += 1


@scalar_function
def _update_row(w: Any, row: Any, n: Any, shrink: Any, g: Any, delta: Any, out: Any) -> None:
    """W[i] -= shrink W[i] + g delta.

    Not (1 - shrink) W[i]: for small penalties that factor has few digits of shrink left in float32.
    """
    for k in range(n):
        w[row + k] -= shrink * w[row + k] + g * delta[out + k]


@scalar_function
def _send_back(w: Any, row: Any, n: Any, delta: Any, out: Any) -> Any:
    """Sum of W[i] delta over the units of a layer."""
    total = w.dtype.type(0)
    for k in range(n):
        total += w[row + k] * delta[out + k]
    return total


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
                if not _predict(model, samples, run, s, weight):
                    until = i
                    status = DIVERGED
                    break
                _step_sgd(model, real(rate) * weight, shrink, updated)
                position[STEP] += 1
        position[SAMPLE] = until
        end_epoch(samples, run)
    transpose_narrow(model.parameters, model.layout, model.scratch, True)
    return status


@subroutine
def _add_gradient(model: Any, weight: Any) -> None:
    """Backpropagate delta from the output layer and add weight x gradient to model.gradient."""
    parameters, gradient, layout = model.parameters, model.gradient, model.layout
    z, a, delta = model.units[0], model.units[1], model.units[2]
    for layer in range(len(layout) - 1, -1, -1):
        backward_activation(model.loss, layout, layer, z, a, delta)
        fan_in = layout[layer, FAN_IN]
        fan_out = layout[layer, FAN_OUT]
        w = layout[layer, WEIGHTS]
        b = layout[layer, BIASES]
        x = layout[layer, INPUTS]
        out = layout[layer, OUTPUTS]
        for k in range(fan_out):
            gradient[b + k] += weight * delta[out + k]
        for i in range(fan_in):
            row = w + i * fan_out
            g = weight * a[x + i]
            for k in range(fan_out):
                gradient[row + k] += g * delta[out + k]
            if layer > 0:
                delta[x + i] = _send_back(parameters, row, fan_out, delta, out)


@subroutine
def _finish_batch(model: Any, rule: Any, run: Any) -> None:
    """One step with the mean gradient of the mini-batch, which is cleared."""
    parameters, gradient, layout = model.parameters, model.gradient, model.layout
    scale = gradient.dtype.type(1.0 / run.position[BATCH])
    for j in range(gradient.size):
        gradient[j] *= scale
    if rule.l1 > 0 or rule.l2 > 0:
        for layer in range(len(layout)):
            w, b = layout[layer, WEIGHTS], layout[layer, BIASES]
            add_penalties(rule, parameters, w, gradient, w, b - w)
    if rule.clip_value > 0:
        clip_values(rule, gradient, gradient.size)
    if rule.clip_norm > 0:
        clip_norm(rule, gradient)
    run.position[STEP] += 1
    rate = run.learning_rates[run.position[EPOCH]]
    if rule.code == ADAMW:
        for layer in range(len(layout)):
            w, b = layout[layer, WEIGHTS], layout[layer, BIASES]
            shrink_weights(parameters, w, b - w, gradient.dtype.type(rate * rule.l2))
    step = numbers(rule, parameters, rate, run.position[STEP])
    apply(rule.code, step, parameters, model.moments, _ZERO, gradient, _ZERO, np.uint64(gradient.size))
    for j in range(gradient.size):
        gradient[j] = 0
    run.position[BATCH] = 0


@subroutine
def _step_rows(model: Any, rule: Any, run: Any, weight: Any) -> None:
    """One step of one sample, some rows of weights at a time: their gradient never leaves the first cache.

    784-512-10 in float32 took 0.56 of the time of a whole gradient with adam, 0.43 with momentum.
    """
    parameters, rows, layout = model.parameters, model.gradient, model.layout
    z, a, delta = model.units[0], model.units[1], model.units[2]
    real = parameters.dtype.type
    run.position[STEP] += 1
    rate = run.learning_rates[run.position[EPOCH]]
    step = numbers(rule, parameters, rate, run.position[STEP])
    decay = real(rate * rule.l2)
    for layer in range(len(layout) - 1, -1, -1):
        backward_activation(model.loss, layout, layer, z, a, delta)
        fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
        w, b = layout[layer, WEIGHTS], layout[layer, BIASES]
        x, out = layout[layer, INPUTS], layout[layer, OUTPUTS]
        at_once = ROWS_SIZE // fan_out + _ONE
        for first in range(_ZERO, fan_in, at_once):
            last = min(first + at_once, fan_in)
            start = w + first * fan_out
            n = (last - first) * fan_out
            for i in range(first, last):
                g = weight * a[x + i]
                if layer > 0:
                    delta[x + i] = _send_back(parameters, w + i * fan_out, fan_out, delta, out)
                for k in range(fan_out):
                    rows[(i - first) * fan_out + k] = g * delta[out + k]
            if rule.l1 > 0 or rule.l2 > 0:
                add_penalties(rule, parameters, start, rows, _ZERO, n)
            if rule.clip_value > 0:
                clip_values(rule, rows, n)
            if rule.code == ADAMW:
                shrink_weights(parameters, start, n, decay)
            apply(rule.code, step, parameters, model.moments, start, rows, _ZERO, n)
        for k in range(fan_out):
            rows[k] = weight * delta[out + k]
        if rule.clip_value > 0:
            clip_values(rule, rows, fan_out)
        apply(rule.code, step, parameters, model.moments, b, rows, _ZERO, fan_out)


@kernel
def train_general(
    model: Any,
    samples: Any,
    rule: Any,
    run: Any,
    batch_size: Any,
    stop_epoch: Any,
    max_samples: Any,
) -> int:
    """Any update rule, mini-batch size, penalty and clipping; otherwise as `train_sgd`.

    `batch_size` samples, less those of weight 0, make a step; the last mini-batch of an epoch may be shorter.
    A call may end within a mini-batch: its gradient so far stays in model.gradient.
    """
    position = run.position
    n_samples = samples.order.size
    by_rows = batch_size == 1 and rule.clip_norm == 0
    done = 0
    while position[EPOCH] < stop_epoch and done < max_samples:
        begin_epoch(samples, run)
        until = min(n_samples, position[SAMPLE] + max_samples - done)
        done += until - position[SAMPLE]
        for i in range(position[SAMPLE], until):
            s = samples.order[i]
            weight = sample_weight(samples, s)
            if weight != 0:
                if not _predict(model, samples, run, s, weight):
                    position[SAMPLE] = i
                    return DIVERGED
                if by_rows:
                    _step_rows(model, rule, run, weight)
                else:
                    _add_gradient(model, weight)
                    position[BATCH] += 1
            if position[BATCH] > 0 and ((i + 1) % batch_size == 0 or i + 1 == n_samples):
                _finish_batch(model, rule, run)
        position[SAMPLE] = until
        end_epoch(samples, run)
    return PAUSED
