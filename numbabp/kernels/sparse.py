"""The sparse kernel: per-sample SGD on CSR samples, whose steps touch only what their non-zeros name.

A row of the first layer's weights that a sample does not name still moves, if slowly, by its velocity and by
the penalty. Both are linear in the weight w and its velocity v: a step without gradient takes (w, v) to
A (w, v), s of them to A^s (w, v). So a row stays as it is until a sample names it or the epoch ends, and then
takes all the steps that it has missed at once. Plain SGD without penalty misses none.
Reference: `train` in tests/reference.py, on the dense samples.
"""

from typing import Any, NamedTuple

import numpy as np

from ..compiler.compiling import kernel, scalar_function, subroutine, training_kernel
from .layers import activate, affine, backward_activation, observe, transpose_narrow
from .layout import (
    ACTIVATION,
    BIASES,
    BY_ROWS,
    FAN_OUT,
    FORM,
    FOUR,
    ONE,
    OUTPUTS,
    THREE,
    TWO,
    transpose_layout,
)
from .powers import V_FROM_V, V_FROM_W, W_FROM_V, W_FROM_W, fill_powers, step_rates
from .state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, begin_epoch, end_epoch, sample_weight
from .steps import Step, step_biases, step_layer, step_with_velocity
from .update_rules import SGD, Rule

POWERS = 1024
"""Steps that one look into `Lazy.powers` covers; more are a product of two looks."""
_POWERS = np.uint64(POWERS)


class SparseSamples(NamedTuple):
    """The training data in compressed sparse rows, T the network's dtype; no row names a column twice."""

    values: np.ndarray  # T (n_nonzeros,)
    columns: np.ndarray  # uint32 (n_nonzeros,)
    starts: np.ndarray  # int64 (n + 1,), where each sample's non-zeros begin
    targets: np.ndarray  # T (n, n_outputs)
    weights: np.ndarray  # T (n,), or (0,) where every sample weighs 1
    order: np.ndarray  # int64 (n,), the order of the current epoch


class Lazy(NamedTuple):
    """Which steps each row of the first layer's weights has taken; arrays of size 0 where none is missed."""

    taken: np.ndarray  # int64 (n_inputs,), Run.position[STEP] when the row was last brought up to date
    powers: np.ndarray  # float64 (POWERS + 1, 6), scratch: A^s, in the columns of blocked.py
    high_powers: np.ndarray  # float64 (n // POWERS + 1, 6), scratch: A^(POWERS s)


def lazy_state(rule: Rule, n_inputs: int, n_samples: int, step: int) -> Lazy:
    """State before the first of `n_samples` steps an epoch, `step` steps having been taken before."""
    if rule.code == SGD and rule.l2 == 0:
        return Lazy(np.empty(0, np.int64), np.empty((0, 6)), np.empty((0, 6)))
    return Lazy(
        np.full(n_inputs, step, np.int64), np.empty((POWERS + 1, 6)), np.empty((n_samples // POWERS + 1, 6))
    )


def sparse_samples(inputs: Any, targets: np.ndarray, weights: np.ndarray, order: np.ndarray) -> SparseSamples:
    """Samples of a checked CSR matrix, whose arrays are not copied where their types allow."""
    columns = inputs.indices
    columns = columns.view(np.uint32) if columns.dtype == np.int32 else columns.astype(np.uint32)
    return SparseSamples(inputs.data, columns, inputs.indptr.astype(np.int64), targets, weights, order)


def grows(rule: Rule, rate: float) -> bool:
    """Whether weights grow without a gradient: whether A has an eigenvalue beyond 1."""
    if rule.l2 == 0:
        return False
    powers = np.empty((2, 6))
    fill_powers(powers, rule, rate)
    step = powers[1, [W_FROM_W, W_FROM_V, V_FROM_W, V_FROM_V]].reshape(2, 2)
    return bool(np.abs(np.linalg.eigvals(step)).max() > 1)


def sparse_layout(layout: np.ndarray) -> tuple[np.ndarray, int]:
    """What `layout.transpose_layout` gives, with the first layer by rows: one row to each column of X."""
    others, scratch_size = transpose_layout(layout[1:])
    first = layout[:1].copy()
    first[0, FORM] = BY_ROWS
    return np.concatenate([first, others]), scratch_size


@subroutine
def _fill(lazy: Any, rule: Any, rate: Any) -> None:
    """Powers of A for a learning rate."""
    low, high = lazy.powers, lazy.high_powers
    fill_powers(low, rule, rate)
    w_w, w_v = low[POWERS, W_FROM_W], low[POWERS, W_FROM_V]
    v_w, v_v = low[POWERS, V_FROM_W], low[POWERS, V_FROM_V]
    for column in range(low.shape[1]):
        high[0, column] = low[0, column]
    for s in range(1, len(high)):
        for w, v in ((W_FROM_W, V_FROM_W), (W_FROM_V, V_FROM_V)):
            before_w, before_v = high[s - 1, w], high[s - 1, v]
            high[s, w] = w_w * before_w + w_v * before_v
            high[s, v] = v_w * before_w + v_v * before_v


@scalar_function
def _catch_up_row(parameters: Any, velocity: Any, lazy: Any, row: Any, n: Any, missed: Any) -> None:
    """(W[i], V[i]) = A^missed (W[i], V[i])."""
    real = parameters.dtype.type
    low = lazy.powers[missed % _POWERS]
    w_w, w_v, v_w, v_v = low[W_FROM_W], low[W_FROM_V], low[V_FROM_W], low[V_FROM_V]
    if missed >= _POWERS:
        high = lazy.high_powers[missed // _POWERS]
        w_w, w_v = (
            w_w * high[W_FROM_W] + w_v * high[V_FROM_W],
            w_w * high[W_FROM_V] + w_v * high[V_FROM_V],
        )
        v_w, v_v = (
            v_w * high[W_FROM_W] + v_v * high[V_FROM_W],
            v_w * high[W_FROM_V] + v_v * high[V_FROM_V],
        )
    lost: Any = real(1 - w_w)  # not W[i] times w_w, which in float32 has few digits of it left
    if velocity.size > 0:
        carried, gained, kept = real(w_v), real(v_w), real(v_v)
        # velocities fade for thousands of steps: what is left should not be subnormal, which is slow
        if abs(kept) < real(np.finfo(parameters.dtype).eps) ** 3:
            kept = real(0)
        for k in range(row, row + n):
            w, v = parameters[k], velocity[k]
            parameters[k] = w - (lost * w - carried * v)
            velocity[k] = gained * w + kept * v
    else:
        for k in range(row, row + n):
            parameters[k] -= lost * parameters[k]


@subroutine
def _catch_up_rows(model: Any, velocity: Any, samples: Any, lazy: Any, step: Any, span: Any) -> None:
    """Bring the rows that one sample names up to date; `span` is where its non-zeros begin and end."""
    fan_out = model.layout[0, FAN_OUT]
    for j in range(span[0], span[1]):
        i = samples.columns[j]
        missed = step - lazy.taken[i]
        if missed > 0:
            row = np.uint64(i) * fan_out
            _catch_up_row(model.parameters, velocity, lazy, row, fan_out, np.uint64(missed))
            lazy.taken[i] = step


@subroutine
def _catch_up_all(model: Any, velocity: Any, lazy: Any, step: Any) -> None:
    fan_out = model.layout[0, FAN_OUT]
    for i in range(np.uint64(lazy.taken.size)):
        missed = step - lazy.taken[i]
        if missed > 0:
            _catch_up_row(model.parameters, velocity, lazy, i * fan_out, fan_out, np.uint64(missed))
            lazy.taken[i] = step


@kernel
def catch_up(model: Any, rule: Any, run: Any, lazy: Any) -> None:
    """Bring every row of the first layer's weights up to date after a pause within an epoch."""
    if lazy.taken.size > 0 and run.position[SAMPLE] > 0:
        _fill(lazy, rule, run.learning_rates[run.position[EPOCH]])
        _catch_up_all(model, model.moments.reshape(model.moments.size), lazy, run.position[STEP])


@scalar_function
def _sparse_affine(parameters: Any, layout: Any, samples: Any, span: Any, z: Any) -> None:
    """z = b + W^T x for the first layer, four non-zeros of x at a time."""
    start, stop = span
    fan_out = layout[0, FAN_OUT]
    b = layout[0, BIASES]
    out = layout[0, OUTPUTS]
    values, columns = samples.values, samples.columns
    for k in range(fan_out):
        z[out + k] = parameters[b + k]
    fours = stop - (stop - start) % FOUR
    for j in range(start, fours, FOUR):
        x0, x1, x2, x3 = values[j], values[j + ONE], values[j + TWO], values[j + THREE]
        w0 = np.uint64(columns[j]) * fan_out
        w1 = np.uint64(columns[j + ONE]) * fan_out
        w2 = np.uint64(columns[j + TWO]) * fan_out
        w3 = np.uint64(columns[j + THREE]) * fan_out
        for k in range(fan_out):
            z[out + k] += (x0 * parameters[w0 + k] + x1 * parameters[w1 + k]) + (
                x2 * parameters[w2 + k] + x3 * parameters[w3 + k]
            )
    for j in range(fours, stop):
        x0 = values[j]
        w0 = np.uint64(columns[j]) * fan_out
        for k in range(fan_out):
            z[out + k] += x0 * parameters[w0 + k]


@scalar_function
def _step_rows(
    model: Any,
    velocity: Any,
    samples: Any,
    lazy: Any,
    span: Any,
    delta: Any,
    step: Any,
    shrink: Any,
) -> None:
    """One step of the rows that the sample names, which are up to date."""
    start, stop = span
    parameters = model.parameters
    fan_out, out = model.layout[0, FAN_OUT], model.layout[0, OUTPUTS]
    if velocity.size > 0:
        for j in range(start, stop):
            x = samples.values[j]
            row = np.uint64(samples.columns[j]) * fan_out
            for k in range(fan_out):
                old = parameters[row + k]
                g = x * delta[out + k] + step.l2 * old
                v = step.momentum * velocity[row + k] + g
                velocity[row + k] = v
                parameters[row + k] = old - (step.of_velocity * v + step.of_gradient * g)
    else:
        for j in range(start, stop):
            g = step.of_gradient * samples.values[j]
            row = np.uint64(samples.columns[j]) * fan_out
            for k in range(fan_out):
                parameters[row + k] -= shrink * parameters[row + k] + g * delta[out + k]
    if lazy.taken.size > 0:
        for j in range(start, stop):
            lazy.taken[samples.columns[j]] += 1


@training_kernel
def train_sparse(
    model: Any, samples: Any, rule: Any, run: Any, lazy: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """Per-sample sgd, momentum or nesterov, with L2, on sparse samples; otherwise as `sequential.train_sgd`.

    At the end of an epoch every row is up to date. After a pause within one, `catch_up` makes them so; but
    going on from there is not bit for bit what going on without it is.

    Parameters
    ----------
    model
        See `state.Model`, with a layout from `sparse_layout`; the first layer's part of the units is not
        used.
    samples, lazy
        See `SparseSamples` and `Lazy`.
    rule, run
        See `update_rules.Rule` and `state.Run`.
    stop_epoch, max_samples
        Where to pause.

    Returns
    -------
    int
        `PAUSED`, or `DIVERGED` when the loss of the sample at run.position is not finite; that
        sample has changed nothing.
    """
    real = model.parameters.dtype.type
    parameters, layout = model.parameters, model.layout
    position = run.position
    z, a, delta = model.units[0], model.units[1], model.units[2]
    velocity = model.moments.reshape(model.moments.size)
    n_layers = len(layout)
    transpose_narrow(parameters, layout, model.scratch, False)
    if velocity.size > 0:
        transpose_narrow(velocity, layout, model.scratch, False)
    filled = -1
    status = PAUSED
    done = 0
    while position[EPOCH] < stop_epoch and done < max_samples and status == PAUSED:
        begin_epoch(samples, run)
        rate = run.learning_rates[position[EPOCH]]
        if lazy.taken.size > 0 and filled != position[EPOCH]:  # powers follow from the learning rate
            filled = position[EPOCH]
            _fill(lazy, rule, rate)
        mu, of_velocity, of_gradient = step_rates(rule, rate)
        step = Step(real(mu), real(of_velocity), real(of_gradient), real(rule.l2))
        shrink = real(rate * rule.l2)
        until = min(samples.order.size, position[SAMPLE] + max_samples - done)
        done += until - position[SAMPLE]
        for i in range(position[SAMPLE], until):
            s = samples.order[i]
            weight = sample_weight(samples, s)
            if weight == 0:
                continue
            span = np.uint64(samples.starts[s]), np.uint64(samples.starts[s + 1])
            if lazy.taken.size > 0:  # rows may have missed steps that the forward pass needs
                _catch_up_rows(model, velocity, samples, lazy, position[STEP], span)
            _sparse_affine(parameters, layout, samples, span, z)
            activate(layout[0, ACTIVATION], z, a, layout[0, OUTPUTS], layout[0, FAN_OUT])
            for layer in range(1, n_layers):
                affine(parameters, layout, layer, a, z)
                activate(layout[layer, ACTIVATION], z, a, layout[layer, OUTPUTS], layout[layer, FAN_OUT])
            if not observe(model, samples, run, s, weight, z, a, delta):
                until = i
                status = DIVERGED
                break
            for k in range(layout[n_layers - 1, FAN_OUT]):
                delta[layout[n_layers - 1, OUTPUTS] + k] *= weight
            for layer in range(n_layers - 1, 0, -1):
                backward_activation(model.loss, layout, layer, z, a, delta)
                if velocity.size > 0:
                    step_with_velocity(model, velocity, layer, a, delta, step)
                else:
                    step_layer(parameters, layout, layer, a, delta, step.of_gradient, shrink, False)
            backward_activation(model.loss, layout, 0, z, a, delta)
            _step_rows(model, velocity, samples, lazy, span, delta, step, shrink)
            step_biases(model, velocity, 0, delta, step)
            position[STEP] += 1
        if until == samples.order.size and lazy.taken.size > 0:  # before the rate may change
            _catch_up_all(model, velocity, lazy, position[STEP])
        position[SAMPLE] = until
        end_epoch(samples, run)
    transpose_narrow(parameters, layout, model.scratch, True)
    if velocity.size > 0:
        transpose_narrow(velocity, layout, model.scratch, True)
    return status
