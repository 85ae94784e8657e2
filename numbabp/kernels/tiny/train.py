"""The tiny kernel: sgd, momentum and nesterov of one small hidden layer, whose units are a vector's lanes.

A step of a tiny network is a chain of dependent operations - product, exponential, division, sum, ... - that
a processor can't overlap, so what counts is its length. The hidden units are a vector of one, two or four
cache lines, beyond the units 0; several outputs are a vector, too; and all else is known at run time alone,
so that one compilation serves many networks. Larger layers gain by the single pass over the weights, in which
a row's step and its product with the next sample go together. At 2-10-1 a step takes 69 ns in float32 and 80
in float64, of the sequential kernel's 120 and 125, and at 64-32-10 262 of 482 and 417 of 637 in blocks. With
momentum 2-10-1 takes 1.1 times that, of 3.2 in the general kernel, 64-32-10 1.5 of 3.8, and where the weights
come from the second cache 1.95 of 3.4.
Measured and left out: vectors of 8 numbers in float32 (79 ns beside 64 at 2-8-1), vectors of eight lines (at
64-100-10 in float32 as fast as blocks, at 64-64-10 in float64 slower), and outputs in float64 always as
vectors of 16 (117 ns beside 95 at 4-8-3). Reference: `train` in tests/reference.py.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...compiler.compiling import scalar_function, training_kernel
from ...compiler.constants import one_of
from ...compiler.vectors import load_of, number_of, splat_of, store, where_greater
from ...functions import activations as act
from ...functions import losses
from ..layers import record
from ..layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, ONE, OUTPUTS, TWO
from ..powers import step_rates
from ..state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, Model, begin_epoch, end_epoch, sample_weight
from .rows import MOST_OUTPUTS, keep_bias, load, load_bias, rows_of, unload
from .units import Hidden, activated, observed, pre_activation

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


class Velocity(NamedTuple):
    """What momentum and nesterov keep of steps before."""

    rows: Any  # as of `Form`
    momentum: Any
    of_velocity: Any  # the epoch's rates, as `powers.step_rates` gives them
    of_gradient: Any


class Pace(NamedTuple):
    """An epoch's rates."""

    rate: Any  # of a gradient in an update; 1 where there are velocities, which have rates of their own
    shrink: Any  # of a weight, the same way
    velocity: Any  # Velocity, or None for sgd


def tiny_is_usual(activations: tuple[str, ...], loss: str, metrics: Sequence[str], n_outputs: int) -> bool:
    """Whether the kernel will do that is compiled without the loops over arrays, in half of the time."""
    hidden, output = activations
    least = 2 if output == "softmax" else 1
    usual = hidden in USUAL_HIDDEN and (output, loss) in USUAL_OUTPUTS
    return usual and least <= n_outputs <= MOST_OUTPUTS and not set(metrics) - {"accuracy"}


@scalar_function
def _pace(velocities: Any, rule: Any, rate: Any, real: Any) -> Any:
    """An epoch's rates; see `powers.step_rates`."""
    if velocities is None:
        return Pace(real(rate), real(rate * rule.l2), None)
    mu, of_velocity, of_gradient = step_rates(rule, rate)
    velocity = Velocity(velocities, real(mu), real(of_velocity), real(of_gradient))
    return Pace(real(1), real(rule.l2), velocity)


@scalar_function
def _stepped(velocity: Any, old: Any, v: Any, update: Any) -> Any:
    """Weights and velocities after an update, which with velocities is a gradient."""
    if velocity is None:
        return old - update, v
    v = velocity.momentum * v + update
    return old - (velocity.of_velocity * v + velocity.of_gradient * update), v


@scalar_function
def _step_row(model: Any, hidden: Any, velocity: Any, at: Any, shrink: Any, update: Any) -> Any:
    """A row of weights after its step, which is stored; `update` is 0 beyond the units."""
    old = load_of(model.scratch, at, hidden.width)
    if velocity is None:
        new = (old - shrink * old) - update
    else:
        v = load_of(velocity.rows, at, hidden.width)
        new, v = _stepped(velocity, old, v, shrink * old + update)
        store(velocity.rows, at, v)
    store(model.scratch, at, new)
    return new


@scalar_function
def _step_output_bias(model: Any, velocity: Any, o: Any, update: Any) -> None:
    j = model.layout[1, BIASES] + o
    if velocity is None:
        model.parameters[j] -= update
    else:
        model.parameters[j], model.moments[0, j] = _stepped(
            velocity, model.parameters[j], model.moments[0, j], update
        )


@scalar_function
def _real_units(hidden: Any, vector: Any) -> Any:
    """The vector with 0 beyond the units, also where it was not finite."""
    zero = hidden.is_unit - hidden.is_unit
    return where_greater(hidden.is_unit, zero, vector, zero)


@scalar_function
def _step_outputs(model: Any, hidden: Any, a: Any, rate: Any, shrink: Any) -> Any:
    """Step of the output layer; what goes back through the weights after it."""
    padded, last = number_of(hidden.width), model.layout[1]
    columns, _, _ = rows_of(model, padded)
    back = a - a
    for o in range(last[FAN_OUT]):
        d = model.units[2, last[OUTPUTS] + o]
        g = rate * d
        update = _real_units(hidden, g * a)
        w = _step_row(model, hidden, hidden.velocity, columns + o * padded, shrink, update)
        back = back + d * w
        _step_output_bias(model, hidden.velocity, o, g)
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
        w = _step_row(model, hidden, hidden.velocity, j * padded, shrink, samples.inputs[s, j] * update)
        even = even + samples.inputs[following, j] * w
        j += ONE
        w = _step_row(model, hidden, hidden.velocity, j * padded, shrink, samples.inputs[s, j] * update)
        odd = odd + samples.inputs[following, j] * w
    if n_inputs % TWO == ONE:
        j = n_inputs - ONE
        w = _step_row(model, hidden, hidden.velocity, j * padded, shrink, samples.inputs[s, j] * update)
        even = even + samples.inputs[following, j] * w
    return even + odd


@scalar_function
def _train(
    model: Any, samples: Any, rule: Any, run: Any, form: Any, updated: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """See `train_tiny`."""
    rows, width, padded, real = model.scratch, form.width, number_of(form.width), model.parameters.dtype.type
    _, at, _ = rows_of(model, padded)
    load(model, form.velocities, padded)
    bias, of_bias = load_bias(form.velocities, rows, at, width)
    is_unit = load_of(rows, at + padded, width)
    position = run.position
    z, of_sample = bias, np.int64(-1)  # the sample that z is of
    status = PAUSED
    done = 0
    while position[EPOCH] < stop_epoch and done < max_samples and status == PAUSED:
        begin_epoch(samples, run)
        pace = _pace(form.velocities, rule, run.learning_rates[position[EPOCH]], real)
        hidden = Hidden(width, is_unit, pace.velocity)
        until = min(samples.order.size, position[SAMPLE] + max_samples - done)
        done += until - position[SAMPLE]
        for j in range(position[SAMPLE], until):
            s = samples.order[j]
            weight = sample_weight(samples, s)
            if weight == 0:  # no step
                continue
            if s != of_sample:
                z = pre_activation(model, samples, hidden, bias, s)
            rate = pace.rate * weight
            a, slope = activated(model, hidden, z)
            slope = rate * slope
            loss, update = observed(model, samples, hidden, s, a, slope)
            if not np.isfinite(loss):  # the sample has changed nothing
                until = j
                status = DIVERGED
                break
            record(model, samples, run, s, weight, loss, model.units[0], model.units[1])
            back = _step_outputs(model, hidden, a, rate, pace.shrink)
            update = _real_units(hidden, back * slope if updated else update)
            bias, of_bias = _stepped(hidden.velocity, bias, of_bias, update)
            # after an epoch's last sample comes the first again, unless the order is drawn anew
            of_sample = samples.order[j + 1] if j + 1 < until else samples.order[0]
            z = _step_inputs(model, samples, hidden, pace.shrink, update, bias, s, of_sample)
            position[STEP] += 1
        position[SAMPLE] = until
        end_epoch(samples, run)
    keep_bias(form.velocities, rows, at, bias, of_bias)
    unload(model, form.velocities, padded)
    return status


@scalar_function
def _compiled_for(model: Any, loss: Any, hidden: Any, output: Any, metrics: Any) -> Model:
    """The model with its functions as numbers of types that decide comparisons, or as any."""
    return Model(
        model.parameters,
        model.moments,
        model.gradient,
        model.units,
        model.scratch,
        model.layout,
        loss,
        hidden,
        output,
        metrics,
        model.level,
    )


@training_kernel
def train_tiny(
    model: Any, samples: Any, rule: Any, run: Any, form: Any, updated: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """What `sequential.train_sgd` does, for one hidden layer, and momentum and nesterov.

    Parameters
    ----------
    model
        With a scratch of `tiny_scratch` numbers, and with metrics not None where `tiny_is_usual`.
    form
        `Form`, its width `constants.known` of `tiny_width`.
    samples, rule, run, updated, stop_epoch, max_samples
        As there.

    Returns
    -------
    int
        As there.
    """
    hidden, output = model.layout[0, ACTIVATION], model.layout[1, ACTIVATION]
    if model.metrics is None:
        of = _compiled_for(model, model.loss, hidden, output, None)
    else:
        loss, metrics = _USUAL_LOSS(model.loss), _NONE_OR_ACCURACY(run.metrics.size)
        of = _compiled_for(model, loss, _USUAL_HIDDEN(hidden), _USUAL_OUTPUT(output), metrics)
    return _train(of, samples, rule, run, form, updated, stop_epoch, max_samples)
