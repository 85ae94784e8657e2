"""What the tiny kernel makes of a sample: activations, loss, and what goes back to the hidden units."""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.compiling import scalar_function, subroutine
from ...compiler.constants import constant
from ...compiler.vectors import (
    highest,
    load_of,
    number_of,
    of_a_line,
    put,
    splat_of,
    store,
    total,
    where_greater,
)
from ...functions import activations as act
from ...functions import losses
from ...functions.elementary import exp, log_from_one, logistic_awaited
from ..layers import activate, backward_activation, multiply_by_derivative, output_gradient
from ..layout import BIASES, FAN_IN, FAN_OUT, ONE, OUTPUTS, TWO
from .rows import MOST_OUTPUTS, rows_of


class Hidden(NamedTuple):
    """The hidden layer."""

    width: Any  # constant, how many numbers its vectors have
    is_unit: Any  # vector, 1 where there is a unit and 0 beyond
    velocity: Any  # as of `Pace`


@scalar_function
def pre_activation(model: Any, samples: Any, hidden: Any, bias: Any, s: Any) -> Any:
    """z = b + W^T x, with two sums so that one need not wait for the other."""
    w, padded, n_inputs = model.scratch, number_of(hidden.width), model.layout[0, FAN_IN]
    even, odd = bias, splat_of(w.dtype.type(0), hidden.width)
    for i in range(n_inputs // TWO):
        j = i * TWO
        even = even + samples.inputs[s, j] * load_of(w, j * padded, hidden.width)
        odd = odd + samples.inputs[s, j + ONE] * load_of(w, (j + ONE) * padded, hidden.width)
    if n_inputs % TWO == ONE:
        j = n_inputs - ONE
        even = even + samples.inputs[s, j] * load_of(w, j * padded, hidden.width)
    return even + odd


@scalar_function
def activated(model: Any, hidden: Any, z: Any) -> Any:
    """Activations and derivatives of the hidden units."""
    one = splat_of(model.parameters.dtype.type(1), hidden.width)
    if model.hidden == act.SIGMOID:
        a = logistic_awaited(z)
        return a, a * (one - a)
    if model.hidden == act.TANH:
        a = act.tanh(z)
        return a, (one - a) * (one + a)
    if model.hidden == act.RELU:
        zero = one - one
        return where_greater(z, zero, z, zero), where_greater(z, zero, one, zero)
    return _otherwise_activated(model, hidden, z, one)


@subroutine
def _otherwise_activated(model: Any, hidden: Any, z: Any, one: Any) -> Any:
    """The same by loops over the arrays of units."""
    if model.metrics is None:
        zs, activations, slopes = model.units[0], model.units[1], model.units[2]
        start, n = model.layout[0, OUTPUTS], number_of(hidden.width)
        store(zs, start, z)
        store(slopes, start, one)
        activate(model.hidden, zs, activations, start, n)
        multiply_by_derivative(model.hidden, zs, activations, slopes, start, n)
        z, one = load_of(activations, start, hidden.width), load_of(slopes, start, hidden.width)
    return z, one


@subroutine
def _observed_in_memory(model: Any, samples: Any, s: Any) -> float:
    """Loss of sample s by loops over the arrays of units, which have z, and get outputs and their delta."""
    zs, activations, delta, last = model.units[0], model.units[1], model.units[2], model.layout[1]
    loss = np.nan
    if model.metrics is None:  # those that are usual don't come here
        activate(model.output, zs, activations, last[OUTPUTS], last[FAN_OUT])
        loss = output_gradient(
            model.loss, model.level, model.layout, zs, activations, samples.targets, s, delta
        )
        backward_activation(model.loss, model.layout, 1, zs, activations, delta)
    return loss


@scalar_function
def _observed_alone(model: Any, samples: Any, s: Any, z: Any) -> Any:
    """Loss of sample s and delta of the only output, which stay in registers."""
    out, y = model.layout[1, OUTPUTS], samples.targets[s, 0]
    model.units[0, out] = z
    if model.loss == losses.BINARY_CROSS_ENTROPY:
        a = logistic_awaited(z)
        loss, d = np.float64(losses.binary_cross_entropy(z, y)), a - y
    elif model.loss == losses.SQUARED_ERROR and model.output == act.SIGMOID:
        a = logistic_awaited(z)
        loss = np.float64(losses.squared_error(a, y))
        d = losses.squared_error_gradient(a, y) * act.sigmoid_derivative(z, a)
    elif model.loss == losses.SQUARED_ERROR and model.output == act.IDENTITY:
        a = z
        loss, d = np.float64(losses.squared_error(a, y)), losses.squared_error_gradient(a, y)
    else:
        loss = _observed_in_memory(model, samples, s)
        a, d = model.units[1, out], model.units[2, out]
    model.units[1, out], model.units[2, out] = a, d
    return loss, d


@subroutine
def _observed_together(model: Any, samples: Any, hidden: Any, s: Any, a: Any, width: Any) -> float:
    """Loss of sample s; outputs and their delta, vectors of `width`, to the arrays of units."""
    rows, out, padded = model.scratch, model.layout[1, OUTPUTS], number_of(hidden.width)
    columns, _, targets = rows_of(model, padded)
    real = rows.dtype.type
    z = splat_of(real(-1e30), width)  # of exponential 0 beyond the outputs
    for o in range(model.layout[1, FAN_OUT]):
        rows[targets + o] = samples.targets[s, o]
        w = load_of(rows, columns + o * padded, hidden.width)
        z = put(z, o, model.parameters[model.layout[1, BIASES] + o] + total(a * w))
    y, is_output = load_of(rows, targets, width), load_of(rows, targets + np.uint64(MOST_OUTPUTS), width)
    zero, one = splat_of(real(0), width), splat_of(real(1), width)
    store(model.units[0], out, z)
    if model.loss == losses.BINARY_CROSS_ENTROPY:
        loss, outputs = losses.binary_cross_entropies(z, y, zero)
        delta = outputs - y
    elif model.loss == losses.CATEGORICAL_CROSS_ENTROPY:
        below = z - highest(z)
        e = exp(below)
        mass = total(e)
        outputs = e * (real(1) / mass)
        loss, delta = y * (log_from_one(mass) - below), outputs * total(y) - y
    elif model.loss == losses.SQUARED_ERROR and model.output == act.SIGMOID:
        outputs = logistic_awaited(z)
        error = outputs - y
        loss, delta = real(0.5) * error * error, error * (outputs * (one - outputs))
    elif model.loss == losses.SQUARED_ERROR and model.output == act.IDENTITY:
        outputs, delta = z, z - y
        loss = real(0.5) * delta * delta
    else:
        return _observed_in_memory(model, samples, s)
    store(model.units[1], out, outputs)
    store(model.units[2], out, delta)
    return np.float64(total(where_greater(is_output, zero, loss, zero)))


@scalar_function
def observed(model: Any, samples: Any, hidden: Any, s: Any, a: Any, slope: Any) -> Any:
    """Loss of sample s, whose hidden activations are a, and what goes back to the hidden units.

    The outputs' delta is left in the arrays of units.
    """
    rows, width, padded, last = model.scratch, hidden.width, number_of(hidden.width), model.layout[1]
    columns, _, _ = rows_of(model, padded)
    real = rows.dtype.type
    if last[FAN_OUT] == ONE:  # the weights are multiplied by what is known before delta is
        w = load_of(rows, columns, width)
        loss, d = _observed_alone(model, samples, s, model.parameters[last[BIASES]] + total(a * w))
        return loss, d * (w * slope)
    if last[FAN_OUT] <= number_of(of_a_line(rows)):
        loss = _observed_together(model, samples, hidden, s, a, of_a_line(rows))
    elif last[FAN_OUT] <= np.uint64(MOST_OUTPUTS):
        loss = _observed_together(model, samples, hidden, s, a, constant(MOST_OUTPUTS))
    else:
        for o in range(last[FAN_OUT]):
            w = load_of(rows, columns + o * padded, width)
            model.units[0, last[OUTPUTS] + o] = model.parameters[last[BIASES] + o] + total(a * w)
        loss = _observed_in_memory(model, samples, s)
    back = splat_of(real(0), width)
    for o in range(last[FAN_OUT]):
        back = back + model.units[2, last[OUTPUTS] + o] * load_of(rows, columns + o * padded, width)
    return loss, back * slope
