"""A layer for many samples at once: forwards, backwards, its gradient and its step.

Matrices are views of flat arrays, products BLAS's; what stands between two products goes over rows that are
still in the first cache.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import subroutine
from ...compiler.constants import one_of
from ...compiler.views import matrix_at
from ...functions import activations as act
from ..layers import activate, affine, backward_activation, multiply_by_derivative, observe
from ..layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, INPUTS, ONE, OUTPUTS, WEIGHTS, ZERO
from ..products.blas import add_product
from ..products.tiled import PANELS, TERMS, multiply_packed, pack, product
from ..products.tiles import Grid, n_columns
from ..state import sample_weight
from ..update_rules import ADAMW, add_penalties, apply, clip_values, shrink_weights, sum_of_squares
from .batch import GRADIENT_ROWS
from .reports import observe_canonical

STRIP = np.uint64(1024)
"""Numbers that passes take at a time, about, so that the next pass finds them in the first cache."""


_HIDDEN = one_of(act.IDENTITY, act.SIGMOID, act.TANH, act.RELU)
_OF_ANY_LAYER = one_of(act.IDENTITY, act.SIGMOID, act.TANH, act.RELU, act.SOFTMAX, act.EXP)
"""Activations that scikit-learn has."""


@subroutine
def _activate(model: Any, batch: Any, layer: Any, start: Any, n: Any) -> None:
    """Activations of n units of a layer, from `start`."""
    code = model.layout[layer, ACTIVATION]
    if batch.penalties is None:
        activate(code, batch.z, batch.a, start, n)
    else:
        activate(_OF_ANY_LAYER(code), batch.z, batch.a, start, n)


@subroutine
def _times_derivative(model: Any, batch: Any, layer: Any, start: Any, n: Any) -> None:
    """From dLoss/da to dLoss/dz for n units of a hidden layer, from `start`."""
    code = model.layout[layer, ACTIVATION]
    if batch.penalties is None:
        multiply_by_derivative(code, batch.z, batch.a, batch.delta, start, n)
    else:
        multiply_by_derivative(_HIDDEN(code), batch.z, batch.a, batch.delta, start, n)


@subroutine
def forward_layer(model: Any, samples: Any, batch: Any, layer: Any, n: Any) -> None:
    """Pre-activations and activations of a layer for n samples."""
    parameters, layout = model.parameters, model.layout
    z, a = batch.z, batch.a
    fan_in, fan_out, rows = layout[layer, FAN_IN], layout[layer, FAN_OUT], np.uint64(n)
    w, b, code = layout[layer, WEIGHTS], layout[layer, BIASES], layout[layer, ACTIVATION]
    x, out = layout[layer, INPUTS], layout[layer, OUTPUTS]
    if samples.starts is not None and layer == 0:
        _sparse_product(model, samples, batch, n)
    elif batch.penalties is not None and n == 1:  # a tile would be nearly empty, and BLAS packs
        affine(parameters, layout, layer, a, z)
    elif fan_out == ONE:  # likewise
        for t in range(rows):
            z[out + t] = parameters[b]
            for i in range(fan_in):
                z[out + t] += a[x + t * fan_in + i] * parameters[w + i]
    elif batch.by_blas:
        for t in range(rows):
            for k in range(fan_out):
                z[out + t * fan_out + k] = parameters[b + k]
        whole = matrix_at(parameters, w, fan_in, fan_out)
        add_product(1, matrix_at(z, out, n, fan_out), matrix_at(a, x, n, fan_in), whole)
    else:
        product(
            Grid(z, out, fan_out, ONE),
            Grid(parameters, b, ZERO, ONE),
            Grid(a, x, fan_in, ONE),
            Grid(parameters, w, fan_out, ONE),
            False,
            batch.packed,
            (rows, fan_in, fan_out),
        )
    if code == act.SOFTMAX:  # which is of a row
        for t in range(rows):
            _activate(model, batch, layer, out + t * fan_out, fan_out)
    else:
        _activate(model, batch, layer, out, rows * fan_out)


@subroutine
def _sparse_product(model: Any, samples: Any, batch: Any, n: Any) -> None:
    """Z = b + X W of the first layer, from the samples' non-zeros."""
    parameters, z, layout = model.parameters, batch.z, model.layout
    fan_out, b = layout[0, FAN_OUT], layout[0, BIASES]
    for t in range(n):
        s = samples.order[batch.picks[t]]
        row = layout[0, OUTPUTS] + np.uint64(t) * fan_out
        for k in range(fan_out):
            z[row + k] = parameters[b + k]
        for j in range(samples.starts[s], samples.starts[s + 1]):
            x = samples.values[j]
            w = np.uint64(samples.columns[j]) * fan_out
            for k in range(fan_out):
                z[row + k] += x * parameters[w + k]


@subroutine
def observe_rows(model: Any, samples: Any, run: Any, batch: Any, n: Any, divisor: Any, size: Any) -> int:
    """Losses on record, and delta of the outputs; how many samples are finite, up to one that is not.

    `size` is that of the mini-batch. A view that begins with a sample's row has its outputs where the layout
    has those of the first.
    """
    layout = model.layout
    last = len(layout) - 1
    fan_out, out = layout[last, FAN_OUT], layout[last, OUTPUTS]
    real = batch.delta.dtype.type
    for t in range(n):
        s = samples.order[batch.picks[t]]
        weight = sample_weight(samples, s)
        row = t * np.int64(fan_out)
        z, a, delta = batch.z[row:], batch.a[row:], batch.delta[row:]
        share = real(weight / divisor)
        if batch.penalties is None:
            if not observe(model, samples, run, s, weight, z, a, delta):
                return t
            backward_activation(model.loss, layout, last, z, a, delta)
        else:  # goes on, however far
            observe_canonical(model, samples, run, s, weight / divisor * size, a, delta)
            share *= real(batch.gain)
        for k in range(fan_out):
            delta[out + k] *= share
    return n


@subroutine
def send_back(model: Any, batch: Any, layer: Any, n: Any) -> None:
    """Delta of the layer below, through a layer's weights."""
    parameters, layout, delta = model.parameters, model.layout, batch.delta
    fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
    w, below, out = layout[layer, WEIGHTS], layout[layer, INPUTS], layout[layer, OUTPUTS]
    if fan_out == ONE:  # BLAS took 36 us for what takes 2, with 100 units and 200 samples
        for t in range(np.uint64(n)):
            d, row = delta[out + t], below + t * fan_in
            for i in range(fan_in):
                delta[row + i] = d * parameters[w + i]
    elif batch.by_blas:
        back = matrix_at(parameters, w, fan_in, fan_out).T
        add_product(0, matrix_at(delta, below, n, fan_in), matrix_at(delta, out, n, fan_out), back)
    else:
        product(
            Grid(delta, below, fan_in, ONE),
            Grid(batch.zeros, ZERO, ZERO, ONE),
            Grid(delta, out, fan_out, ONE),
            Grid(parameters, w, fan_out, ONE),
            True,
            batch.packed,
            (np.uint64(n), fan_out, fan_in),
        )
    _times_derivative(model, batch, layer - 1, below, np.uint64(n) * fan_in)


@subroutine
def rows_at_once(batch: Any, fan_in: Any, fan_out: Any) -> int:
    """Rows of a layer's gradient that `weight_gradient` makes at a time."""
    if batch.by_blas:
        return fan_in
    return min(fan_in, GRADIENT_ROWS * (STRIP // (GRADIENT_ROWS * fan_out) + ONE))


@subroutine
def weight_gradient(
    model: Any, batch: Any, layer: Any, n: Any, first: Any, rows: Any, at: Any, kept: Any
) -> None:
    """G = kept G + A^T Delta of some rows of a layer, where G's lie from model.gradient[at].

    Deltas have to have been packed by `pack_deltas`.
    """
    gradient, layout, a, delta = model.gradient, model.layout, batch.a, batch.delta
    fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
    x, d, samples = layout[layer, INPUTS] + first, layout[layer, OUTPUTS], np.uint64(n)
    if batch.by_blas:
        add_product(
            kept,
            matrix_at(gradient, at, fan_in, fan_out),
            matrix_at(a, x, n, fan_in).T,
            matrix_at(delta, d, n, fan_out),
        )
        return
    if fan_out == ONE:
        for i in range(rows):
            gradient[at + i] = kept * gradient[at + i] if kept != 0 else gradient.dtype.type(0)
        for t in range(samples):
            for i in range(rows):
                gradient[at + i] += a[x + t * fan_in + i] * delta[d + t]
        return
    width, nothing = n_columns(delta), Grid(batch.zeros, ZERO, ZERO, ONE)
    whole = (fan_out + width - ONE) // width * width
    for start in range(ZERO, samples, TERMS):
        terms: Any = min(TERMS, samples - start)
        begin = x + start * fan_in
        for r in range(ZERO, rows, GRADIENT_ROWS):
            some = min(GRADIENT_ROWS, rows - r)
            of_a = Grid(a, begin + r, ONE, fan_in)
            if fan_out > PANELS * width:  # read often: columns a power of two apart would share cache lines
                for t in range(terms):
                    for i in range(some):
                        batch.strip[t * GRADIENT_ROWS + i] = a[begin + t * fan_in + r + i]
                of_a = Grid(batch.strip, ZERO, ONE, GRADIENT_ROWS)
            g = Grid(gradient, at + r * fan_out, fan_out, ONE)
            begun = nothing if start == ZERO and kept == 0 else g
            multiply_packed(g, begun, of_a, batch.packed, start * whole, some, terms, fan_out)


@subroutine
def pack_deltas(model: Any, batch: Any, layer: Any, n: Any) -> None:
    """Pack a layer's deltas for `weight_gradient`."""
    layout, delta, samples = model.layout, batch.delta, np.uint64(n)
    fan_out, d = layout[layer, FAN_OUT], layout[layer, OUTPUTS]
    if batch.by_blas or fan_out == ONE:
        return
    width = n_columns(delta)
    whole = (fan_out + width - ONE) // width * width
    for start in range(ZERO, samples, TERMS):
        block = Grid(delta, d + start * fan_out, fan_out, ONE)
        pack(batch.packed, start * whole, block, False, min(TERMS, samples - start), fan_out)


@subroutine
def sparse_gradient(model: Any, samples: Any, batch: Any, n: Any, into: Any, scale: Any) -> None:
    """W or G of the first layer += scale X^T Delta, in the rows that the samples' non-zeros name."""
    delta, fan_out = batch.delta, model.layout[0, FAN_OUT]
    for t in range(n):
        s = samples.order[batch.picks[t]]
        row = model.layout[0, OUTPUTS] + np.uint64(t) * fan_out
        for j in range(samples.starts[s], samples.starts[s + 1]):
            g = scale * samples.values[j]
            w = np.uint64(samples.columns[j]) * fan_out
            for k in range(fan_out):
                into[w + k] += g * delta[row + k]


@subroutine
def bias_gradient(model: Any, batch: Any, layer: Any, n: Any, at: Any, kept: Any) -> None:
    """Sums of a layer's deltas over the samples, in model.gradient[at:], with what is kept of it."""
    gradient, delta = model.gradient, batch.delta
    fan_out, out = model.layout[layer, FAN_OUT], model.layout[layer, OUTPUTS]
    for k in range(fan_out):
        gradient[at + k] = kept * gradient[at + k] if kept != 0 else delta.dtype.type(0)
    for t in range(np.uint64(n)):
        row = out + t * fan_out
        for k in range(fan_out):
            gradient[at + k] += delta[row + k]


@subroutine
def step_weights(model: Any, rule: Any, step: Any, decay: Any, start: Any, first: Any, n: Any) -> float:
    """Penalties, clipping by value and the rule for n weights from `start`, gradient from `first`.

    Returns the sum of the weights' squares before the step, where there is a penalty.
    """
    parameters, gradient = model.parameters, model.gradient
    squares = 0.0
    for at in range(ZERO, n, STRIP):
        size = min(STRIP, n - at)
        w, g = start + at, first + at
        if rule.l1 != 0 or rule.l2 != 0:
            squares += add_penalties(rule, parameters, w, gradient, g, size)
        if rule.clip_value > 0:
            clip_values(rule, gradient, g, size)
        if rule.code == ADAMW:
            shrink_weights(parameters, w, size, decay)
        apply(rule.code, step, parameters, model.moments, w, gradient, g, size)
    return squares


@subroutine
def step_by_rows(model: Any, rule: Any, step: Any, batch: Any, decay: Any, layer: Any) -> float:
    """`send_back`, `weight_gradient` and `step_weights` for a single sample, in one pass over the weights.

    The gradient is an outer product, which is written down some rows at a time, in the first cache.
    """
    parameters, gradient, layout = model.parameters, model.gradient, model.layout
    a, delta = batch.a, batch.delta
    fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
    x, out = layout[layer, INPUTS], layout[layer, OUTPUTS]
    at_once = STRIP // fan_out + ONE
    # the usual penalty goes with the gradient
    is_usual = rule.l1 == 0 and rule.clip_value == 0 and rule.code != ADAMW
    l2 = parameters.dtype.type(rule.l2 if is_usual else 0.0)
    squares = 0.0
    for first in range(ZERO, fan_in, at_once):
        last = min(first + at_once, fan_in)
        start, n = layout[layer, WEIGHTS] + first * fan_out, (last - first) * fan_out
        for i in range(first, last):
            row, w, value = (i - first) * fan_out, start + (i - first) * fan_out, a[x + i]
            if layer > 0:
                back = value - value
                for k in range(fan_out):
                    back += parameters[w + k] * delta[out + k]
                delta[x + i] = back
            for k in range(fan_out):
                gradient[row + k] = value * delta[out + k] + l2 * parameters[w + k]
        if is_usual:
            squares += sum_of_squares(parameters, start, n)
            apply(rule.code, step, parameters, model.moments, start, gradient, ZERO, n)
        else:
            squares += step_weights(model, rule, step, decay, start, ZERO, n)
    if layer > 0:
        _times_derivative(model, batch, layer - 1, x, fan_in)
    return squares


@subroutine
def step_biases(model: Any, rule: Any, step: Any, layer: Any, first: Any) -> None:
    """The same for a layer's biases, which have no penalty; gradient from `first`."""
    b, fan_out = model.layout[layer, BIASES], model.layout[layer, FAN_OUT]
    if rule.clip_value > 0:
        clip_values(rule, model.gradient, first, fan_out)
    apply(rule.code, step, model.parameters, model.moments, b, model.gradient, first, fan_out)
