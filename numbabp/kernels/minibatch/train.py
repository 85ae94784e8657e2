"""The kernel of mini-batches: forward, backward and update by matrix products.

Reference: `train` in tests/reference.py.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import subroutine, training_kernel
from ..layout import BIASES, FAN_IN, FAN_OUT, WEIGHTS, ZERO
from ..state import BATCH, DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, WEIGHTLESS, begin_epoch, end_epoch
from ..update_rules import (
    SGD,
    add_penalties,
    as_scikit_learn,
    clip_norm,
    clip_values,
    numbers,
    without_limits,
)
from .batch import divisor_of, gather
from .gradient import add_gradients
from .layers import (
    bias_gradient,
    forward_layer,
    observe_rows,
    pack_deltas,
    rows_at_once,
    send_back,
    sparse_gradient,
    step_biases,
    step_by_rows,
    step_weights,
    weight_gradient,
)


@subroutine
def _step_at_once(model: Any, samples: Any, rule: Any, run: Any, batch: Any, n: Any) -> float:
    """Backpropagate a whole mini-batch, and use the gradient of a layer as soon as it is there.

    Returns the sum of the weights' squares before it, where that is asked for (see `step_weights`).

    Without BLAS a layer's gradient comes some rows at a time and never leaves the cache.
    """
    parameters, gradient, layout = model.parameters, model.gradient, model.layout
    real = parameters.dtype.type
    rate = run.learning_rates[run.position[EPOCH]]
    step = numbers(rule, parameters, rate, run.position[STEP])
    decay = real(rate * rule.l2)
    squares = 0.0
    for layer in range(len(layout) - 1, -1, -1):
        fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
        w = layout[layer, WEIGHTS]
        size = fan_in * fan_out
        if samples.starts is not None and layer == 0:
            if rule.code == SGD and _is_plain(rule):
                sparse_gradient(model, samples, batch, n, parameters, -step.eta)
            else:
                for j in range(size):
                    gradient[j] = 0
                sparse_gradient(model, samples, batch, n, gradient, real(1))
                squares += step_weights(model, rule, step, decay, w, ZERO, size)
        elif batch.penalties is not None and n == 1:  # a Network's have kernels of their own
            squares += step_by_rows(model, rule, step, batch, decay, layer)
        else:
            if layer > 0:
                send_back(model, batch, layer, n)
            pack_deltas(model, batch, layer, n)
            rows = rows_at_once(batch, fan_in, fan_out)
            for first in range(ZERO, fan_in, rows):
                some = min(rows, fan_in - first)
                weight_gradient(model, batch, layer, n, first, some, ZERO, real(0))
                start = w + first * fan_out
                squares += step_weights(model, rule, step, decay, start, ZERO, some * fan_out)
        bias_gradient(model, batch, layer, n, ZERO, real(0))
        step_biases(model, rule, step, layer, ZERO)
    return squares


@subroutine
def _is_plain(rule: Any) -> bool:
    """Whether a step leaves weights as they are whose gradient is 0, and the gradient as it is."""
    return rule.l1 == 0 and rule.l2 == 0 and rule.clip_value == 0


@subroutine
def _step_with_all(model: Any, rule: Any, run: Any, decay: Any) -> float:
    """One step with the whole gradient in model.gradient; returns what `_step_at_once` does."""
    parameters, layout = model.parameters, model.layout
    rate = run.learning_rates[run.position[EPOCH]]
    step = numbers(rule, parameters, rate, run.position[STEP])
    squares = 0.0
    for layer in range(len(layout)):
        w, b = layout[layer, WEIGHTS], layout[layer, BIASES]
        squares += step_weights(model, rule, step, decay, w, w, b - w)
        step_biases(model, rule, step, layer, b)
    return squares


@subroutine
def _clip_all(model: Any, rule: Any) -> None:
    """Clip the norm of the whole gradient, with penalties and cut to the largest values."""
    gradient, layout = model.gradient, model.layout
    if rule.l1 > 0 or rule.l2 > 0:
        for layer in range(len(layout)):
            w, b = layout[layer, WEIGHTS], layout[layer, BIASES]
            add_penalties(rule, model.parameters, w, gradient, w, b - w)
    if rule.clip_value > 0:
        clip_values(rule, gradient, ZERO, np.uint64(gradient.size))
    clip_norm(rule, gradient)


@subroutine
def _step(model: Any, samples: Any, rule: Any, run: Any, batch: Any, n: Any) -> float:
    """One step from n samples at once, or with the gradient that is already there if n is 0."""
    if batch.penalties is not None:
        return _step_at_once(model, samples, rule, run, batch, n)
    if n > 0:
        return _step_at_once(model, samples, rule, run, batch, n)
    decay = model.parameters.dtype.type(run.learning_rates[run.position[EPOCH]] * rule.l2)
    if rule.clip_norm > 0:
        _clip_all(model, rule)
        return _step_with_all(model, without_limits(rule), run, decay)
    return _step_with_all(model, rule, run, decay)


@training_kernel
def train_minibatch(
    model: Any, samples: Any, rule: Any, run: Any, batch: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """Steps with the mean gradient of mini-batches: any update rule, penalty and clipping.

    A mini-batch of more samples than `batch` has rows for is taken in parts, whose gradients are added up; a
    call ends with a part, and so may take more samples than `max_samples`.

    Parameters
    ----------
    model, rule, run
        See `state.Model`, `update_rules.Rule` and `state.Run`; changed in place. `model.layout` is that of
        `batch_layout`. `model.gradient` has room for all of it where mini-batches come in parts or the norm
        is clipped, else for the largest layer's.
    samples, batch
        See `BatchSamples` and `Batch`.
    stop_epoch, max_samples
        Where to pause.

    Returns
    -------
    int
        `PAUSED`, or `DIVERGED` when the loss of the sample at run.position is not finite; its
        mini-batch has changed nothing but the record. With `batch.penalties` it goes on instead, and returns
        `WEIGHTLESS` at a mini-batch whose weights sum to 0.
    """
    position = run.position
    n_samples, rows = samples.order.size, len(batch.picks)
    at_once = batch.size <= rows and rule.clip_norm == 0
    done = 0
    while position[EPOCH] < stop_epoch and done < max_samples:
        if batch.penalties is None:
            begin_epoch(samples, run)
        start = position[SAMPLE]
        first = start - start % batch.size
        last = min(first + batch.size, n_samples)
        until = min(start + rows, last)
        done += until - start
        divisor = divisor_of(samples, batch, first, last)
        n = gather(samples, batch, start, until)
        if batch.penalties is None:
            own = rule
        else:
            if divisor == 0:
                return WEIGHTLESS
            own = as_scikit_learn(rule, batch.gain * rule.l2 / divisor)
        if n > 0:  # not where all of them weigh 0
            for layer in range(len(model.layout)):
                forward_layer(model, samples, batch, layer, n)
            finite = observe_rows(model, samples, run, batch, n, divisor, last - first)
            if finite < n:
                position[SAMPLE] = batch.picks[finite]
                return DIVERGED
            if batch.penalties is None and not at_once:
                add_gradients(model, samples, batch, n, position[BATCH] > 0)
            position[BATCH] += n
        if until == last and position[BATCH] > 0:
            position[STEP] += 1
            squares = _step(model, samples, own, run, batch, n if at_once else 0)
            if batch.penalties is not None:
                penalty = 0.5 * rule.l2 * squares / divisor
                batch.penalties[position[EPOCH]] += penalty * (last - first)
            position[BATCH] = 0
        position[SAMPLE] = until
        end_epoch(samples, run)
    return PAUSED
