"""The tiny kernel: plain per-sample SGD of one small hidden layer, whose units are the lanes of one vector.

A step of a tiny network is a chain of dependent operations - product, exponential, division, sum, ... - that
a processor can't overlap, so what counts is its length. The hidden units are a vector of one, two or four
cache lines, beyond the units 0; several outputs are a vector, too; and all else is known at run time alone,
so that one compilation serves many networks. Larger layers gain by the single pass over the weights, in which
a row's step and its product with the next sample go together. At 2-10-1 a step takes 69 ns in float32 and 80
in float64, of the sequential kernel's 120 and 125, and at 64-32-10 262 of 482 and 417 of 637 in blocks.
Measured and left out: vectors of 8 numbers in float32 (79 ns beside 64 at 2-8-1), vectors of eight lines (at
64-100-10 in float32 as fast as blocks, at 64-64-10 in float64 slower), and outputs in float64 always as
vectors of 16 (117 ns beside 95 at 4-8-3). Reference: `train` in tests/reference.py.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..compiler.arrays import LINE
from ..compiler.compiling import scalar_function, subroutine, training_kernel
from ..compiler.constants import constant, one_of
from ..compiler.vectors import (
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
from ..functions import activations as act
from ..functions import losses
from ..functions.elementary import exp, log_from_one, logistic_awaited
from .layers import activate, backward_activation, multiply_by_derivative, output_gradient, record
from .layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, ONE, OUTPUTS, TWO, WEIGHTS
from .state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, Model, begin_epoch, end_epoch, sample_weight

LINES = (1, 2, 4)
"""Lengths of the vectors of hidden units."""
MOST_OUTPUTS = 16
"""That are a vector."""
USUAL_HIDDEN = frozenset({"sigmoid", "tanh", "relu"})
USUAL_OUTPUTS = frozenset(
    {
        ("sigmoid", "binary_cross_entropy"),
        ("softmax", "categorical_cross_entropy"),
        ("identity", "squared_error"),
        ("sigmoid", "squared_error"),
    }
)
"""Activations, of the output layer with the loss, that take no loops over arrays."""
_USUAL_HIDDEN = one_of(act.SIGMOID, act.TANH, act.RELU)
_USUAL_OUTPUT = one_of(act.SIGMOID, act.SOFTMAX, act.IDENTITY)
_USUAL_LOSS = one_of(losses.BINARY_CROSS_ENTROPY, losses.CATEGORICAL_CROSS_ENTROPY, losses.SQUARED_ERROR)
_NONE_OR_ACCURACY = one_of(0, 1)


class Hidden(NamedTuple):
    """The hidden layer."""

    width: Any  # constant, how many numbers its vectors have
    is_unit: Any  # vector, 1 where there is a unit and 0 beyond


def tiny_widths(itemsize: int) -> tuple[int, ...]:
    """Numbers in the vectors, for a dtype of so many bytes; the last is the most units that there may be."""
    return tuple(lines * LINE // itemsize for lines in LINES)


def tiny_width(n_hidden: int, itemsize: int) -> int:
    """Numbers in the vector of so many hidden units."""
    return next(width for width in tiny_widths(itemsize) if width >= n_hidden)


def tiny_scratch(layer_sizes: tuple[int, ...], width: int) -> int:
    """Numbers in `Model.scratch`, which have to begin as 0: see `_rows`."""
    n_inputs, _, n_outputs = layer_sizes
    return (n_inputs + n_outputs + 2) * width + 2 * MOST_OUTPUTS


def tiny_is_usual(activations: tuple[str, ...], loss: str, metrics: Sequence[str], n_outputs: int) -> bool:
    """Whether the kernel will do that is compiled without the loops over arrays, in half of the time."""
    hidden, output = activations
    least = 2 if output == "softmax" else 1
    usual = hidden in USUAL_HIDDEN and (output, loss) in USUAL_OUTPUTS
    return usual and least <= n_outputs <= MOST_OUTPUTS and not set(metrics) - {"accuracy"}


@scalar_function
def _rows(model: Any, padded: Any) -> Any:
    """Where rows of the scratch begin.

    Each as long as the vector: weights by the inputs; from the first number on, those by the outputs; from
    the second on, the hidden units' biases, and ones where there is a unit. From the third on `MOST_OUTPUTS`
    each: targets, and ones where there is an output.
    """
    columns = model.layout[0, FAN_IN] * padded
    biases = columns + model.layout[1, FAN_OUT] * padded
    return columns, biases, biases + TWO * padded


@subroutine
def _load(model: Any, padded: Any) -> None:
    """Parameters to the scratch."""
    parameters, rows, hidden, output = model.parameters, model.scratch, model.layout[0], model.layout[1]
    columns, biases, targets = _rows(model, padded)
    n = hidden[FAN_OUT]
    for k in range(n):
        for i in range(hidden[FAN_IN]):
            rows[i * padded + k] = parameters[hidden[WEIGHTS] + i * n + k]
        for o in range(output[FAN_OUT]):
            rows[columns + o * padded + k] = parameters[output[WEIGHTS] + k * output[FAN_OUT] + o]
        rows[biases + k] = parameters[hidden[BIASES] + k]
        rows[biases + padded + k] = 1
    for o in range(min(output[FAN_OUT], np.uint64(MOST_OUTPUTS))):
        rows[targets + np.uint64(MOST_OUTPUTS) + o] = 1


@subroutine
def _unload(model: Any, padded: Any) -> None:
    """The scratch to the parameters."""
    parameters, rows, hidden, output = model.parameters, model.scratch, model.layout[0], model.layout[1]
    columns, biases, _ = _rows(model, padded)
    n = hidden[FAN_OUT]
    for k in range(n):
        for i in range(hidden[FAN_IN]):
            parameters[hidden[WEIGHTS] + i * n + k] = rows[i * padded + k]
        for o in range(output[FAN_OUT]):
            parameters[output[WEIGHTS] + k * output[FAN_OUT] + o] = rows[columns + o * padded + k]
        parameters[hidden[BIASES] + k] = rows[biases + k]


# --- forward ---------------------------------------------------------------------------------------


@scalar_function
def _pre_activation(model: Any, samples: Any, hidden: Any, bias: Any, s: Any) -> Any:
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
def _activated(model: Any, hidden: Any, z: Any) -> Any:
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


# --- loss ------------------------------------------------------------------------------------------


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
    columns, _, targets = _rows(model, padded)
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
def _observed(model: Any, samples: Any, hidden: Any, s: Any, a: Any, slope: Any) -> Any:
    """Loss of sample s, whose hidden activations are a, and what goes back to the hidden units.

    The outputs' delta is left in the arrays of units.
    """
    rows, width, padded, last = model.scratch, hidden.width, number_of(hidden.width), model.layout[1]
    columns, _, _ = _rows(model, padded)
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


# --- backward --------------------------------------------------------------------------------------


@scalar_function
def _step_row(model: Any, hidden: Any, at: Any, shrink: Any, update: Any) -> Any:
    """A row of weights after its step, which is stored; `update` is 0 beyond the units."""
    old = load_of(model.scratch, at, hidden.width)
    new = (old - shrink * old) - update
    store(model.scratch, at, new)
    return new


@scalar_function
def _real_units(hidden: Any, vector: Any) -> Any:
    """The vector with 0 beyond the units, also where it was not finite."""
    zero = hidden.is_unit - hidden.is_unit
    return where_greater(hidden.is_unit, zero, vector, zero)


@scalar_function
def _step_outputs(model: Any, hidden: Any, a: Any, rate: Any, shrink: Any) -> Any:
    """Step of the output layer; what goes back through the weights after it."""
    padded, last = number_of(hidden.width), model.layout[1]
    columns, _, _ = _rows(model, padded)
    back = a - a
    for o in range(last[FAN_OUT]):
        d = model.units[2, last[OUTPUTS] + o]
        g = rate * d
        w = _step_row(model, hidden, columns + o * padded, shrink, _real_units(hidden, g * a))
        back = back + d * w
        model.parameters[last[BIASES] + o] -= g
    return back


@scalar_function
def _step_inputs(
    model: Any, samples: Any, hidden: Any, shrink: Any, update: Any, bias: Any, s: Any, following: Any
) -> Any:
    """Step of the hidden layer's weights, and the pre-activations of the following sample, to the bit."""
    padded, n_inputs = number_of(hidden.width), model.layout[0, FAN_IN]
    even, odd = bias, splat_of(model.scratch.dtype.type(0), hidden.width)
    for i in range(n_inputs // TWO):
        j = i * TWO
        w = _step_row(model, hidden, j * padded, shrink, samples.inputs[s, j] * update)
        even = even + samples.inputs[following, j] * w
        j += ONE
        w = _step_row(model, hidden, j * padded, shrink, samples.inputs[s, j] * update)
        odd = odd + samples.inputs[following, j] * w
    if n_inputs % TWO == ONE:
        j = n_inputs - ONE
        w = _step_row(model, hidden, j * padded, shrink, samples.inputs[s, j] * update)
        even = even + samples.inputs[following, j] * w
    return even + odd


@scalar_function
def _train(
    model: Any, samples: Any, rule: Any, run: Any, width: Any, updated: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """See `train_tiny`."""
    rows, padded, real = model.scratch, number_of(width), model.parameters.dtype.type
    _, at, _ = _rows(model, padded)
    _load(model, padded)
    bias = load_of(rows, at, width)
    hidden = Hidden(width, load_of(rows, at + padded, width))
    position = run.position
    z, of_sample = bias, np.int64(-1)  # the sample that z is of
    status = PAUSED
    done = 0
    while position[EPOCH] < stop_epoch and done < max_samples and status == PAUSED:
        begin_epoch(samples, run)
        epoch_rate = run.learning_rates[position[EPOCH]]
        shrink = real(epoch_rate * rule.l2)
        until = min(samples.order.size, position[SAMPLE] + max_samples - done)
        done += until - position[SAMPLE]
        for j in range(position[SAMPLE], until):
            s = samples.order[j]
            weight = sample_weight(samples, s)
            if weight == 0:  # no step
                continue
            if s != of_sample:
                z = _pre_activation(model, samples, hidden, bias, s)
            rate = real(epoch_rate) * weight
            a, slope = _activated(model, hidden, z)
            slope = rate * slope
            loss, update = _observed(model, samples, hidden, s, a, slope)
            if not np.isfinite(loss):  # the sample has changed nothing
                until = j
                status = DIVERGED
                break
            record(model, samples, run, s, weight, loss, model.units[0], model.units[1])
            back = _step_outputs(model, hidden, a, rate, shrink)
            update = _real_units(hidden, back * slope if updated else update)
            bias = bias - update
            # after an epoch's last sample comes the first again, unless the order is drawn anew
            of_sample = samples.order[j + 1] if j + 1 < until else samples.order[0]
            z = _step_inputs(model, samples, hidden, shrink, update, bias, s, of_sample)
            position[STEP] += 1
        position[SAMPLE] = until
        end_epoch(samples, run)
    store(rows, at, bias)
    _unload(model, padded)
    return status


@training_kernel
def train_tiny(
    model: Any, samples: Any, rule: Any, run: Any, width: Any, updated: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """What `sequential.train_sgd` does, for one hidden layer.

    Parameters
    ----------
    model
        With a scratch of `tiny_scratch` numbers, and with metrics not None where `tiny_is_usual`.
    width
        `constants.known` of `tiny_width`.
    samples, rule, run, updated, stop_epoch, max_samples
        As there.

    Returns
    -------
    int
        As there.
    """
    hidden, output = model.layout[0, ACTIVATION], model.layout[1, ACTIVATION]
    if model.metrics is None:
        of = Model(
            model.parameters,
            model.moments,
            model.gradient,
            model.units,
            model.scratch,
            model.layout,
            model.loss,
            hidden,
            output,
            None,
            model.level,
        )
    else:
        of = Model(
            model.parameters,
            model.moments,
            model.gradient,
            model.units,
            model.scratch,
            model.layout,
            _USUAL_LOSS(model.loss),
            _USUAL_HIDDEN(hidden),
            _USUAL_OUTPUT(output),
            _NONE_OR_ACCURACY(run.metrics.size),
            model.level,
        )
    return _train(of, samples, rule, run, width, updated, stop_epoch, max_samples)
