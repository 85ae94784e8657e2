"""The blocked kernel: the trajectory of per-sample SGD, up to rounding, at the speed of matrix products.

Within a block of samples the first layer's weights are only read: they are those of the block's start plus
a sum of products of inputs and deltas, which is known through the inputs' Gram matrix. Wide hidden layers go
the same way, in sub-blocks. docs/blocked.md derives every line; numbers in brackets are its equations.
Reference: `train` in tests/reference.py.
"""

from typing import Any, NamedTuple

import numpy as np

from ..compiler.compiling import scalar_function, subroutine, wide_kernel
from .layers import activate, affine, backward_activation, observe, transpose_narrow
from .layout import (
    ACTIVATION,
    BIASES,
    DELAYED,
    FAN_IN,
    FAN_OUT,
    FORM,
    FOUR,
    INPUTS,
    ONE,
    OUTPUTS,
    THREE,
    TWO,
    WEIGHTS,
)
from .powers import V_FROM_G, V_FROM_V, V_FROM_W, W_FROM_G, W_FROM_V, W_FROM_W, fill_powers, step_rates
from .products.blas import add_product, panel_width
from .state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, begin_epoch, end_epoch, sample_weight
from .steps import Step, step_biases, step_layer
from .velocities import step_in_vectors


class Block(NamedTuple):
    """Scratch of a block of up to K samples; row t belongs to its sample t."""

    z: np.ndarray  # T (K, n_units), pre-activations
    a: np.ndarray  # T (K, n_units), activations; the first n_inputs columns are the samples
    delta: np.ndarray  # T (K, n_units), dLoss/dz times the sample's weight
    gram: np.ndarray  # T (K, K), below the diagonal equation 6
    carried: np.ndarray  # T (K, fan_out of the first layer), samples times velocity; (0, 0) for plain SGD
    powers: np.ndarray  # float64 (K + 1, 6), columns as in powers.py
    within: np.ndarray  # T (sub-block,), coefficients of one step's correction
    at: np.ndarray  # int64 (K,), positions of the samples in the order


@scalar_function
def add_rows(target: Any, coefficients: Any, rows: Any, first: Any, last: Any, start: Any, n: Any) -> None:
    """target += sum over first <= j < last of coefficients[j - first] rows[j], in n columns from start."""
    zero = target.dtype.type(0)
    for j in range(first, last, 4):
        # missing ones of the four count as 0 times the first
        j1 = j + 1 if j + 1 < last else j
        j2 = j + 2 if j + 2 < last else j
        j3 = j + 3 if j + 3 < last else j
        c0 = coefficients[j - first]
        c1 = coefficients[j1 - first] if j1 > j else zero
        c2 = coefficients[j2 - first] if j2 > j else zero
        c3 = coefficients[j3 - first] if j3 > j else zero
        for k in range(start, start + n):
            target[k] += (c0 * rows[j, k] + c1 * rows[j1, k]) + (c2 * rows[j2, k] + c3 * rows[j3, k])


@scalar_function
def dot_rows(products: Any, vector: Any, rows: Any, first: Any, last: Any, start: Any, n: Any) -> None:
    """products[j - first] = vector . rows[j] for first <= j < last, over n columns from start."""
    zero = vector.dtype.type(0)
    for j in range(first, last, 4):
        j1 = j + 1 if j + 1 < last else j
        j2 = j + 2 if j + 2 < last else j
        j3 = j + 3 if j + 3 < last else j
        p0, p1, p2, p3 = zero, zero, zero, zero
        for k in range(start, start + n):
            v = vector[k]
            p0 += v * rows[j, k]
            p1 += v * rows[j1, k]
            p2 += v * rows[j2, k]
            p3 += v * rows[j3, k]
        # a missing one is written first and then over
        products[j3 - first] = p3
        products[j2 - first] = p2
        products[j1 - first] = p1
        products[j - first] = p0


@scalar_function
def gather(samples: Any, rows: Any, at: Any, start: Any, until: Any) -> int:
    """Copy the samples of the order's positions start to until, but those of weight 0; how many they are.

    Their positions go to `at`, their inputs to the heads of the rows.
    """
    n = 0
    for i in range(start, until):
        s = samples.order[i]
        if sample_weight(samples, s) != 0:
            row = rows[n]
            for k in range(np.uint64(samples.inputs.shape[1])):
                row[k] = samples.inputs[s, k]
            at[n] = i
            n += 1
    return n


@scalar_function
def _add_scaled(sums: Any, v: Any, y: Any) -> Any:
    return sums[0] + v * y[0], sums[1] + v * y[1], sums[2] + v * y[2], sums[3] + v * y[3]


@subroutine
def fill_gram(block: Any, n: Any, fan_in: Any) -> None:
    """Products of every sample with those before it, in tiles of 4 x 4.

    Half of the work of a general matrix product, and in this form half of its time from 16 to 128 samples;
    BLAS's own symmetric product took 1.5 times as long at 64 samples, 3 times at 16.
    """
    gram, x = block.gram, block.a
    zero = x.dtype.type(0)
    for t in range(0, n, 4):
        t1, t2, t3 = min(t + 1, n - 1), min(t + 2, n - 1), min(t + 3, n - 1)
        for j in range(0, t + 1, 4):
            j1, j2, j3 = min(j + 1, n - 1), min(j + 2, n - 1), min(j + 3, n - 1)
            s0 = s1 = s2 = s3 = (zero, zero, zero, zero)
            for i in range(fan_in):
                y = (x[j, i], x[j1, i], x[j2, i], x[j3, i])
                s0 = _add_scaled(s0, x[t, i], y)
                s1 = _add_scaled(s1, x[t1, i], y)
                s2 = _add_scaled(s2, x[t2, i], y)
                s3 = _add_scaled(s3, x[t3, i], y)
            gram[t, j], gram[t, j1], gram[t, j2], gram[t, j3] = s0
            gram[t1, j], gram[t1, j1], gram[t1, j2], gram[t1, j3] = s1
            gram[t2, j], gram[t2, j1], gram[t2, j2], gram[t2, j3] = s2
            gram[t3, j], gram[t3, j1], gram[t3, j2], gram[t3, j3] = s3


@subroutine
def multiply_first(z: Any, x: Any, weights: Any, length: Any) -> None:
    """Z = X W of the first layer, in panels; `length` is that of whole blocks."""
    fan_in, fan_out = weights.shape
    panel = panel_width(length, fan_in, fan_out)
    for k in range(0, fan_out, panel):
        end = min(k + panel, fan_out)
        add_product(0, z[:, k:end], x, weights[:, k:end])


@subroutine
def _begin_block(model: Any, velocity: Any, block: Any, n: Any) -> None:
    """Samples times first-layer weights (equation 5), and the coefficients of the deltas (equation 6)."""
    real = model.parameters.dtype.type
    fan_in, fan_out = np.int64(model.layout[0, FAN_IN]), np.int64(model.layout[0, FAN_OUT])
    out = np.int64(model.layout[0, OUTPUTS])
    powers = block.powers
    x = block.a[:n, :fan_in]
    weights = model.parameters[: fan_in * fan_out].reshape((fan_in, fan_out))
    multiply_first(block.z[:n, out : out + fan_out], x, weights, len(block.a))
    if velocity.size > 0:
        velocities = velocity[: fan_in * fan_out].reshape((fan_in, fan_out))
        multiply_first(block.carried[:n], x, velocities, len(block.a))
        for t in range(n):
            kept, carried = real(powers[t, W_FROM_W]), real(powers[t, W_FROM_V])
            for k in range(np.uint64(fan_out)):
                unit = np.uint64(out) + k
                block.z[t, unit] = kept * block.z[t, unit] + carried * block.carried[t, k]
    elif powers[1, W_FROM_W] != 1:
        for t in range(n):
            kept = real(powers[t, W_FROM_W])
            for k in range(np.uint64(fan_out)):
                block.z[t, np.uint64(out) + k] *= kept
    fill_gram(block, n, model.layout[0, FAN_IN])
    for t in range(1, n):
        for j in range(t):
            block.gram[t, j] *= real(powers[t - 1 - j, W_FROM_G])


@scalar_function
def correct_first(model: Any, block: Any, first: Any, t: Any) -> None:
    """The first layer's pre-activations of sample t, after the steps of its sub-block (equation 5)."""
    layout, z = model.layout, block.z[t]
    out, fan_out, b = layout[0, OUTPUTS], layout[0, FAN_OUT], layout[0, BIASES]
    add_rows(z, block.gram[t, first:t], block.delta, first, t, out, fan_out)
    for k in range(fan_out):
        z[out + k] += model.parameters[b + k]


@subroutine
def correct_sub_block(model: Any, block: Any, first: Any, last: Any) -> None:
    """The same of samples first to last, after the steps before their sub-block (equation 7)."""
    out, width = np.int64(model.layout[0, OUTPUTS]), np.int64(model.layout[0, FAN_OUT])
    if first > 0:
        add_product(
            1,
            block.z[first:last, out : out + width],
            block.gram[first:last, :first],
            block.delta[:first, out : out + width],
        )


@scalar_function
def _forward(model: Any, block: Any, first: Any, t: Any) -> None:
    """Forward pass of the block's sample t, in the sub-block that began with sample `first`."""
    parameters, layout = model.parameters, model.layout
    real = parameters.dtype.type
    z, a = block.z[t], block.a[t]
    for layer in range(len(layout)):
        fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
        x, out = layout[layer, INPUTS], layout[layer, OUTPUTS]
        b = layout[layer, BIASES]
        if layer == 0:
            correct_first(model, block, first, t)
        else:
            affine(parameters, layout, layer, a, z)
            if layout[layer, FORM] == DELAYED:
                kept = real(block.powers[t - first, W_FROM_W])
                if kept != 1:
                    for k in range(fan_out):
                        z[out + k] = kept * z[out + k] + (1 - kept) * parameters[b + k]
                dot_rows(block.within, a, block.a, first, t, x, fan_in)
                for j in range(first, t):
                    block.within[j - first] *= real(block.powers[t - 1 - j, W_FROM_G])
                add_rows(z, block.within, block.delta, first, t, out, fan_out)
        activate(layout[layer, ACTIVATION], z, a, out, fan_out)


@scalar_function
def _send_back_delayed(model: Any, block: Any, layer: Any, first: Any, t: Any, updated: Any) -> None:
    """Delta of a delayed layer times the weights that it would have at sample t (equation 9)."""
    parameters, layout = model.parameters, model.layout
    real = parameters.dtype.type
    fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
    w, b = layout[layer, WEIGHTS], layout[layer, BIASES]
    x, out = layout[layer, INPUTS], layout[layer, OUTPUTS]
    delta = block.delta[t]
    end = t + 1 if updated else t
    kept = real(block.powers[end - first, W_FROM_W])
    # from the last rows on, of which the way forth has left some in the cache where it can't hold them all:
    # 784-512-512-10 takes 0.87 of the time so in float64, 0.97 in float32
    last = (fan_in - ONE) // FOUR * FOUR
    for step in range(np.uint64(0), fan_in, FOUR):  # four rows at a time; missing ones repeat the last
        i = last - step
        row = w + i * fan_out
        row1 = min(row + fan_out, b - fan_out)
        row2 = min(row1 + fan_out, b - fan_out)
        row3 = min(row2 + fan_out, b - fan_out)
        p0 = p1 = p2 = p3 = real(0)
        for k in range(fan_out):
            d = delta[out + k]
            p0 += parameters[row + k] * d
            p1 += parameters[row1 + k] * d
            p2 += parameters[row2 + k] * d
            p3 += parameters[row3 + k] * d
        delta[x + min(i + THREE, fan_in - ONE)] = kept * p3
        delta[x + min(i + TWO, fan_in - ONE)] = kept * p2
        delta[x + min(i + ONE, fan_in - ONE)] = kept * p1
        delta[x + i] = kept * p0
    dot_rows(block.within, delta, block.delta, first, end, out, fan_out)
    for j in range(first, end):
        block.within[j - first] *= real(block.powers[end - 1 - j, W_FROM_G])
    add_rows(delta, block.within, block.a, first, end, x, fan_in)


@scalar_function
def _backward(
    model: Any, velocity: Any, block: Any, first: Any, t: Any, step: Any, shrink: Any, updated: Any
) -> None:
    """Delta of every layer for the block's sample t; updates what is not delayed."""
    layout = model.layout
    z, a, delta = block.z[t], block.a[t], block.delta[t]
    for layer in range(len(layout) - 1, -1, -1):
        backward_activation(model.loss, layout, layer, z, a, delta)
        if layer == 0:
            step_biases(model, velocity, layer, delta, step)
        elif layout[layer, FORM] == DELAYED:
            _send_back_delayed(model, block, layer, first, t, updated)
            step_biases(model, velocity, layer, delta, step)
        elif velocity.size > 0:
            step_in_vectors(model, velocity, layer, a, delta, step)
        else:
            step_layer(model.parameters, layout, layer, a, delta, step.of_gradient, shrink, updated)


@subroutine
def _catch_up(model: Any, velocity: Any, block: Any, layer: Any, first: Any, last: Any) -> None:
    """Give a layer's weights the steps of samples first to last (equation 8)."""
    if last == first:
        return
    layout, powers = model.layout, block.powers
    real = model.parameters.dtype.type
    fan_in, fan_out = np.int64(layout[layer, FAN_IN]), np.int64(layout[layer, FAN_OUT])
    x, out = np.int64(layout[layer, INPUTS]), np.int64(layout[layer, OUTPUTS])
    inputs = block.a[first:last, x : x + fan_in]
    scaled = block.z[first:last, out : out + fan_out]  # pre-activations have had their use
    n = last - first
    w, b = np.int64(layout[layer, WEIGHTS]), np.int64(layout[layer, BIASES])
    weights = model.parameters[w:b].reshape((fan_in, fan_out))
    kept: Any = real(powers[n, W_FROM_W])
    if velocity.size > 0:
        velocities = velocity[w:b].reshape((fan_in, fan_out))
        carried = real(powers[n, W_FROM_V])
        lost, kept_velocity = real(powers[n, V_FROM_W]), real(powers[n, V_FROM_V])
        for j in range(layout[layer, WEIGHTS], layout[layer, BIASES]):
            old, v = model.parameters[j], velocity[j]
            model.parameters[j] = kept * old + carried * v
            velocity[j] = lost * old + kept_velocity * v
        kept = real(1)
        scale_rows(scaled, block.delta, first, out, powers, V_FROM_G)
        add_product(1, velocities, inputs.T, scaled)
    scale_rows(scaled, block.delta, first, out, powers, W_FROM_G)
    add_product(kept, weights, inputs.T, scaled)


@scalar_function
def scale_rows(scaled: Any, delta: Any, first: Any, out: Any, powers: Any, column: Any) -> None:
    """Each sample's delta times the coefficient that it has at the end."""
    n, width = scaled.shape
    for t in range(n):
        c = scaled.dtype.type(powers[n - 1 - t, column])
        for k in range(np.uint64(width)):
            scaled[t, k] = c * delta[first + t, np.uint64(out) + k]


@scalar_function
def observe_weighted(model: Any, samples: Any, run: Any, s: Any, block: Any, t: Any) -> bool:
    """Sample s's loss, and its gradient times the sample's weight; False where it ends the block."""
    weight = sample_weight(samples, s)
    if not observe(model, samples, run, s, weight, block.z[t], block.a[t], block.delta[t]):
        return False
    last = len(model.layout) - 1
    for k in range(model.layout[last, FAN_OUT]):
        block.delta[t, model.layout[last, OUTPUTS] + k] *= weight
    return True


@subroutine
def _take_steps(model: Any, samples: Any, run: Any, velocity: Any, block: Any, n: Any, how: Any) -> int:
    """The steps of a block's n samples but for the first layer's weights, and how many they were.

    They are fewer than n if a loss is not finite: that sample has changed nothing. `how` is (step, shrink,
    updated) of `_backward`.
    """
    layout = model.layout
    step, shrink, updated = how
    sub_length = len(block.within)
    t, is_finite = 0, True
    for first in range(0, n, sub_length):
        last = min(first + sub_length, n)
        correct_sub_block(model, block, first, last)
        while t < last:
            s = samples.order[block.at[t]]
            _forward(model, block, first, t)
            is_finite = observe_weighted(model, samples, run, s, block, t)
            if not is_finite:
                break
            _backward(model, velocity, block, first, t, step, shrink, updated)
            t += 1
        for layer in range(1, len(layout)):
            if layout[layer, FORM] == DELAYED:  # the others have taken their steps
                _catch_up(model, velocity, block, layer, first, t)
        if not is_finite:  # the next sub-block is not begun
            break
    return t


@wide_kernel
def train_blocked(
    model: Any, samples: Any, rule: Any, run: Any, block: Any, updated: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """Per-sample sgd, momentum or nesterov, with L2; otherwise as `sequential.train_sgd`.

    Blocks begin at multiples of K in the order of samples. A call ends with a block and so may take up to
    K - 1 samples more than `max_samples`.

    Parameters
    ----------
    model, samples, rule, run
        See `state.Model`, `Samples`, `update_rules.Rule` and `Run`; changed in place.
    block
        Scratch, whose sizes are the block's and the sub-blocks' lengths.
    updated
        propagate="updated", for sgd.
    stop_epoch, max_samples
        Where to pause.

    Returns
    -------
    int
        `PAUSED`, or `DIVERGED` when the loss of the sample at run.position is not finite; that
        sample has changed nothing.
    """
    real = model.parameters.dtype.type
    layout = model.layout
    position = run.position
    velocity = model.moments.reshape(model.moments.size)
    length = len(block.a)
    transpose_narrow(model.parameters, layout, model.scratch, False)
    if velocity.size > 0:
        transpose_narrow(velocity, layout, model.scratch, False)
    rated = -1
    status = PAUSED
    done = 0
    while position[EPOCH] < stop_epoch and done < max_samples and status == PAUSED:
        begin_epoch(samples, run)
        rate = run.learning_rates[position[EPOCH]]
        if rated != position[EPOCH]:  # powers follow from the learning rate
            rated = position[EPOCH]
            fill_powers(block.powers, rule, rate)
        mu, of_velocity, of_gradient = step_rates(rule, rate)
        step = Step(real(mu), real(of_velocity), real(of_gradient), real(rule.l2))
        shrink = real(rate * rule.l2)
        start = position[SAMPLE]
        until = min(samples.order.size, start - start % length + length)
        done += until - start
        n = gather(samples, block.a, block.at, start, until)
        if n > 0:  # not where all of them weigh 0
            _begin_block(model, velocity, block, n)
        t = _take_steps(model, samples, run, velocity, block, n, (step, shrink, updated))
        if t < n:
            status = DIVERGED
            until = block.at[t]
        _catch_up(model, velocity, block, 0, 0, t)
        position[STEP] += t
        position[SAMPLE] = until
        end_epoch(samples, run)
    transpose_narrow(model.parameters, layout, model.scratch, True)
    if velocity.size > 0:
        transpose_narrow(velocity, layout, model.scratch, True)
    return status
