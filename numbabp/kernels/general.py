"""The general kernel: every update rule, mini-batches, L1 and clipping, sample by sample.

Reference: `train` in tests/reference.py.
"""

from typing import Any

import numpy as np

from ..compiler.compiling import scalar_function, subroutine, training_kernel
from .layers import backward_activation, predict
from .layout import BIASES, FAN_IN, FAN_OUT, INPUTS, ONE, OUTPUTS, WEIGHTS, ZERO
from .state import BATCH, DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, begin_epoch, end_epoch, sample_weight
from .update_rules import ADAMW, add_penalties, apply, clip_norm, clip_values, numbers, shrink_weights

ROWS_SIZE = np.uint64(2048)
"""Weights that `step_rows` takes at a time, about."""


@scalar_function
def _send_back(w: Any, row: Any, n: Any, delta: Any, out: Any) -> Any:
    """Sum of W[i] delta over the units of a layer."""
    total = w.dtype.type(0)
    for k in range(n):
        total += w[row + k] * delta[out + k]
    return total


@subroutine
def add_gradient(model: Any, weight: Any) -> None:
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
def finish_batch(model: Any, rule: Any, run: Any) -> None:
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
        clip_values(rule, gradient, ZERO, np.uint64(gradient.size))
    if rule.clip_norm > 0:
        clip_norm(rule, gradient)
    run.position[STEP] += 1
    rate = run.learning_rates[run.position[EPOCH]]
    if rule.code == ADAMW:
        for layer in range(len(layout)):
            w, b = layout[layer, WEIGHTS], layout[layer, BIASES]
            shrink_weights(parameters, w, b - w, gradient.dtype.type(rate * rule.l2))
    step = numbers(rule, parameters, rate, run.position[STEP])
    apply(rule.code, step, parameters, model.moments, ZERO, gradient, ZERO, np.uint64(gradient.size))
    for j in range(gradient.size):
        gradient[j] = 0
    run.position[BATCH] = 0


@subroutine
def step_rows(model: Any, rule: Any, run: Any, weight: Any) -> None:
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
        at_once = ROWS_SIZE // fan_out + ONE
        for first in range(ZERO, fan_in, at_once):
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
                add_penalties(rule, parameters, start, rows, ZERO, n)
            if rule.clip_value > 0:
                clip_values(rule, rows, ZERO, n)
            if rule.code == ADAMW:
                shrink_weights(parameters, start, n, decay)
            apply(rule.code, step, parameters, model.moments, start, rows, ZERO, n)
        for k in range(fan_out):
            rows[k] = weight * delta[out + k]
        if rule.clip_value > 0:
            clip_values(rule, rows, ZERO, fan_out)
        apply(rule.code, step, parameters, model.moments, b, rows, ZERO, fan_out)


@training_kernel
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
                if not predict(model, samples, run, s, weight):
                    position[SAMPLE] = i
                    return DIVERGED
                if by_rows:
                    step_rows(model, rule, run, weight)
                else:
                    add_gradient(model, weight)
                    position[BATCH] += 1
            if position[BATCH] > 0 and ((i + 1) % batch_size == 0 or i + 1 == n_samples):
                finish_batch(model, rule, run)
        position[SAMPLE] = until
        end_epoch(samples, run)
    return PAUSED
