"""Steps of a layer under sgd, momentum and nesterov, in one pass over its weights with what goes back.

What the kernels that train without a whole gradient share; numbers in brackets are equations of
docs/blocked.md.
"""

from typing import Any, NamedTuple

from ..compiler.arithmetic.strictness import is_strict
from ..compiler.compiling import scalar_function, subroutine
from .layout import (
    BIASES,
    BY_COLUMNS,
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
    ZERO,
)


class Step(NamedTuple):
    """One step of an update rule, W -= eta_v v + eta_g g with v = mu v + g, in the network's dtype."""

    momentum: Any  # mu
    of_velocity: Any  # eta_v
    of_gradient: Any  # eta_g
    l2: Any


@scalar_function
def _update_row(w: Any, row: Any, n: Any, shrink: Any, g: Any, delta: Any, out: Any) -> None:
    """W[i] -= shrink W[i] + g delta.

    Not (1 - shrink) W[i]: for small penalties that factor has few digits of shrink left in float32.
    """
    for k in range(n):
        w[row + k] -= shrink * w[row + k] + g * delta[out + k]


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


@subroutine
def _send_back_in_order(w: Any, first: Any, delta: Any, x: Any, rows: Any, out: Any, n: Any) -> None:
    """Each delta below as a sum along its row, four rows at a time: none waits for another's addition.

    20-100-100-2 in float32 takes 2.2 times the fast mode's time; two at a time, with their update, took 4.
    """
    real = delta.dtype.type
    fours = rows - rows % FOUR
    for i in range(ZERO, fours, FOUR):
        row0 = first + i * n
        row1, row2, row3 = row0 + n, row0 + TWO * n, row0 + THREE * n
        p0 = p1 = p2 = p3 = real(0)
        for k in range(n):
            d = delta[out + k]
            p0 += d * w[row0 + k]
            p1 += d * w[row1 + k]
            p2 += d * w[row2 + k]
            p3 += d * w[row3 + k]
        delta[x + i], delta[x + i + ONE], delta[x + i + TWO], delta[x + i + THREE] = p0, p1, p2, p3
    for i in range(fours, rows):
        total = real(0)
        for k in range(n):
            total += delta[out + k] * w[first + i * n + k]
        delta[x + i] = total


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
    if layer == 0 and layout[layer, FORM] == BY_COLUMNS:  # nothing goes further back than the first layer
        for k in range(fan_out):
            row = w + k * fan_in
            d = delta[out + k]
            g = rate * d
            for i in range(fan_in):
                step = (rate * a[x + i]) * d if is_strict() else g * a[x + i]
                parameters[row + i] -= shrink * parameters[row + i] + step
    elif layer == 0:  # two rows at a time, which halves the loads of delta; first the one left over
        odd = fan_in % TWO
        if odd == ONE:
            _update_row(parameters, w, fan_out, shrink, rate * a[x], delta, out)
        for i in range(odd, fan_in, TWO):
            g0 = rate * a[x + i]
            g1 = rate * a[x + i + ONE]
            row0 = w + i * fan_out
            row1 = row0 + fan_out
            for k in range(fan_out):
                d = delta[out + k]
                parameters[row0 + k] -= shrink * parameters[row0 + k] + g0 * d
                parameters[row1 + k] -= shrink * parameters[row1 + k] + g1 * d
    elif layout[layer, FORM] == BY_COLUMNS:  # a column is a unit's, and adds to every delta below
        for k in range(fan_out):
            row = w + k * fan_in
            d = delta[out + k]
            g = rate * d
            for i in range(fan_in):
                old = parameters[row + i]
                step = (rate * a[x + i]) * d if is_strict() else g * a[x + i]  # the order of rows, or quicker
                new = old - (shrink * old + step)
                parameters[row + i] = new
                back = d * (new if updated else old)
                delta[x + i] = back if k == 0 else delta[x + i] + back
    elif is_strict():
        if not updated:
            _send_back_in_order(parameters, w, delta, x, fan_in, out, fan_out)
        for i in range(fan_in):
            _update_row(parameters, w + i * fan_out, fan_out, shrink, rate * a[x + i], delta, out)
        if updated:
            _send_back_in_order(parameters, w, delta, x, fan_in, out, fan_out)
    else:  # by rows, two at a time as above; a row's sum is one delta below
        odd = fan_in % TWO
        if odd == ONE:
            delta[x] = _update_and_send_back(parameters, w, fan_out, shrink, rate * a[x], delta, out, updated)
        for i in range(odd, fan_in, TWO):
            g0 = rate * a[x + i]
            g1 = rate * a[x + i + ONE]
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
            delta[x + i + ONE] = p1
    for k in range(fan_out):
        parameters[b + k] -= rate * delta[out + k]


@subroutine
def step_with_velocity(model: Any, velocity: Any, layer: Any, a: Any, delta: Any, step: Any) -> None:
    """What `step_layer` does, for momentum and nesterov (equation 2)."""
    parameters, layout = model.parameters, model.layout
    real = parameters.dtype.type
    fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
    w, x, out = layout[layer, WEIGHTS], layout[layer, INPUTS], layout[layer, OUTPUTS]
    by_columns = layout[layer, FORM] == BY_COLUMNS
    rows, columns = (fan_out, fan_in) if by_columns else (fan_in, fan_out)
    if by_columns:
        for i in range(fan_in):
            delta[x + i] = 0
    for r in range(rows):
        along = w + r * columns
        total = real(0)
        d = delta[out + r] if by_columns else a[x + r]
        for c in range(columns):
            old = parameters[along + c]
            g = d * (a[x + c] if by_columns else delta[out + c]) + step.l2 * old
            v = step.momentum * velocity[along + c] + g
            velocity[along + c] = v
            parameters[along + c] = old - (step.of_velocity * v + step.of_gradient * g)
            if by_columns:
                delta[x + c] += d * old
            else:
                total += delta[out + c] * old
        if not by_columns:
            delta[x + r] = total
    step_biases(model, velocity, layer, delta, step)


@scalar_function
def step_biases(model: Any, velocity: Any, layer: Any, delta: Any, step: Any) -> None:
    """Biases have no penalty."""
    parameters, layout = model.parameters, model.layout
    b, out = layout[layer, BIASES], layout[layer, OUTPUTS]
    if velocity.size > 0:
        for k in range(layout[layer, FAN_OUT]):
            g = delta[out + k]
            v = step.momentum * velocity[b + k] + g
            velocity[b + k] = v
            parameters[b + k] -= step.of_velocity * v + step.of_gradient * g
    else:
        for k in range(layout[layer, FAN_OUT]):
            parameters[b + k] -= step.of_gradient * delta[out + k]
