"""One step of the parameters from the gradient of a mini-batch, with the penalty, in one pass."""

import math
from typing import Any, NamedTuple

import numpy as np

from ...compiler.compiling import subroutine
from .state import ADAM, FAN_IN, FAN_OUT, MOMENTUM, SGD, UNITS, WEIGHTS

CHUNK = 4096
"""Parameters that are updated at a time."""


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


@subroutine
def numbers(rule: Any, like: Any, total_weight: Any, alpha: Any, t: Any) -> Any:
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
def update_from_gradient(model: Any, code: Any, step: Any, start: Any, n: Any) -> float:
    """`_update` of n parameters; their squares are added up in float64, a chunk after the other."""
    squares = 0.0
    one = model.parameters.dtype.type(1)
    for first in range(start, start + n, CHUNK):
        last = min(first + CHUNK, start + n)
        w, g = model.parameters[first:last], model.gradient[first:last]
        squares += _update(code, step, one, w, g, model.first[first:last], model.second[first:last])
    return squares


@subroutine
def update_from_one(model: Any, code: Any, step: Any, layer: Any, x: Any) -> float:
    """What `send_back`, `layer_gradient` and `update_from_gradient` do for a layer's weights, in one pass.

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
