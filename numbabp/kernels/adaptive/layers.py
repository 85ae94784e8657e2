"""A layer's forward pass and its step, in vectors along the rows of its weights."""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.arithmetic.registers import (
    full_register,
    multiply_add,
    register_size,
    take,
    take_some,
)
from ...compiler.compiling import scalar_function
from ...compiler.constants import constant
from ...compiler.vectors import store, total
from ..layout import BIASES, FAN_IN, FAN_OUT, FOUR, INPUTS, ONE, OUTPUTS, THREE, TWO, WEIGHTS, ZERO
from .rules import is_untouched, step_register, step_run

CHUNK = 1024
"""Weights whose gradient is written down at a time, about, where rows are no whole number of registers."""
_CHUNK = np.uint64(CHUNK)


class Layer(NamedTuple):
    """A row of a layout, read once: where a layer's part lies, uint64."""

    fan_in: Any
    fan_out: Any
    weights: Any
    biases: Any
    inputs: Any
    outputs: Any


@scalar_function
def layer_of(layout: Any, layer: Any) -> Any:
    """The layer's row; read anew after stores, 784-128-10 took 33.4 us in float32 instead of 31.3."""
    return Layer(
        layout[layer, FAN_IN],
        layout[layer, FAN_OUT],
        layout[layer, WEIGHTS],
        layout[layer, BIASES],
        layout[layer, INPUTS],
        layout[layer, OUTPUTS],
    )


def scratch_size(layer_sizes: tuple[int, ...]) -> int:
    """Numbers that steps need to write gradients down."""
    return CHUNK + 2 * max(layer_sizes) + 16


@scalar_function
def _dot(w: Any, row: Any, x: Any, first: Any, n: Any) -> Any:
    """Sum of w[row + k] x[first + k]."""
    size = register_size(w)
    whole = n - n % size
    sums = full_register(w, w.dtype.type(0))
    for k in range(ZERO, whole, size):
        sums = multiply_add(take(w, row + k), take(x, first + k), sums)
    if whole < n:
        left = n - whole
        sums = multiply_add(take_some(w, row + whole, left), take_some(x, first + whole, left), sums)
    return total(sums)


@scalar_function
def _add_row(w: Any, row: Any, n: Any, a: Any, z: Any, out: Any) -> None:
    """Z += a W[i]."""
    size = register_size(w)
    for k in range(ZERO, n, size):
        numbers = take_some(w, row + k, min(size, n - k))
        store(z, out + k, multiply_add(a, numbers, take(z, out + k)))


@scalar_function
def _add_four(w: Any, row: Any, n: Any, a: Any, x: Any, z: Any, out: Any) -> None:
    """The same of four rows, in their order."""
    size = register_size(w)
    whole = n - n % size
    for k in range(ZERO, whole, size):
        sums = multiply_add(a[x], take(w, row + k), take(z, out + k))
        sums = multiply_add(a[x + ONE], take(w, row + n + k), sums)
        sums = multiply_add(a[x + TWO], take(w, row + TWO * n + k), sums)
        store(z, out + k, multiply_add(a[x + THREE], take(w, row + THREE * n + k), sums))
    if whole < n:
        left, at = n - whole, row + whole
        sums = multiply_add(a[x], take_some(w, at, left), take(z, out + whole))
        sums = multiply_add(a[x + ONE], take_some(w, at + n, left), sums)
        sums = multiply_add(a[x + TWO], take_some(w, at + TWO * n, left), sums)
        store(z, out + whole, multiply_add(a[x + THREE], take_some(w, at + THREE * n, left), sums))


@scalar_function
def _add_rows(parameters: Any, layer: Any, first: Any, last: Any, a: Any, x: Any, z: Any) -> None:
    """Z += a W of some rows, one after the other; a[x] is the first one's."""
    n, w, out = layer.fan_out, layer.weights, layer.outputs
    whole = last - (last - first) % FOUR
    for i in range(first, whole, FOUR):
        _add_four(parameters, w + i * n, n, a, x + (i - first), z, out)
    for i in range(whole, last):
        _add_row(parameters, w + i * n, n, a[x + (i - first)], z, out)


@scalar_function
def _sum_narrow(parameters: Any, layer: Any, a: Any) -> Any:
    """B + a W of no more columns than a register holds, in four sums that need not wait for each other."""
    w, x, n = layer.weights, layer.inputs, layer.fan_out
    first = take_some(parameters, layer.biases, n)
    second = third = fourth = full_register(parameters, parameters.dtype.type(0))
    whole = layer.fan_in - layer.fan_in % FOUR
    for i in range(ZERO, whole, FOUR):
        row = w + i * n
        first = multiply_add(a[x + i], take_some(parameters, row, n), first)
        second = multiply_add(a[x + i + ONE], take_some(parameters, row + n, n), second)
        third = multiply_add(a[x + i + TWO], take_some(parameters, row + TWO * n, n), third)
        fourth = multiply_add(a[x + i + THREE], take_some(parameters, row + THREE * n, n), fourth)
    for i in range(whole, layer.fan_in):
        first = multiply_add(a[x + i], take_some(parameters, w + i * n, n), first)
    return (first + second) + (third + fourth)


@scalar_function
def _begin(parameters: Any, layer: Any, z: Any) -> None:
    """Z = b."""
    for k in range(layer.fan_out):
        z[layer.outputs + k] = parameters[layer.biases + k]


@scalar_function
def affine_in_order(parameters: Any, layout: Any, number: Any, a: Any, z: Any) -> None:
    """z = b + W^T a; of the first layer the same bits that `step_first_layer` leaves for the next sample."""
    layer = layer_of(layout, number)
    if layer.fan_out == ONE:
        total_of_all = _dot(parameters, layer.weights, a, layer.inputs, layer.fan_in)
        z[layer.outputs] = parameters[layer.biases] + total_of_all
    elif number > 0 and layer.fan_out <= register_size(z):
        store(z, layer.outputs, _sum_narrow(parameters, layer, a))
    else:
        _begin(parameters, layer, z)
        _add_rows(parameters, layer, ZERO, layer.fan_in, a, layer.inputs, z)


@scalar_function
def _rows_at_once(fan_out: Any) -> Any:
    return _CHUNK // fan_out + ONE


@scalar_function
def _step_rows(
    model: Any, state: Any, layer: Any, first: Any, last: Any, weight: Any, penalised: Any
) -> None:
    """A step of some rows by their gradient, written down: vectors go on from row to row.

    Rows of 10 that were loaded and stored under masks, each row's load waiting for the last one's store, took
    64-32-10 in float32 from 1.3 to 2.2 us.
    """
    rows, a, delta = model.gradient, model.units[1], model.units[2]
    n, w, x, out = layer.fan_out, layer.weights, layer.inputs, layer.outputs
    size = register_size(rows)
    for i in range(first, last):
        g = weight * a[x + i]
        for k in range(ZERO, n, size):  # what is too much of a row the next one covers
            store(rows, (i - first) * n + k, g * take(delta, out + k))
    one = rows.dtype.type(1)
    step_run(state, w + first * n, (last - first) * n, one, rows, ZERO, penalised)


@scalar_function
def step_layer(model: Any, state: Any, number: Any, weight: Any, penalised: Any) -> None:
    """Send delta back through a layer's weights, and take their step and the biases'."""
    parameters, layer = state.parameters, layer_of(model.layout, number)
    a, delta = model.units[1], model.units[2]
    n, w, x, out = layer.fan_out, layer.weights, layer.inputs, layer.outputs
    if n == ONE:  # its weights are a row of their own
        for i in range(layer.fan_in):
            delta[x + i] = delta[out] * parameters[w + i]
        step_run(state, w, layer.fan_in, weight * delta[out], a, x, penalised)
    elif n % register_size(delta) == 0:
        for i in range(layer.fan_in):
            row = w + i * n
            delta[x + i] = _dot(parameters, row, delta, out, n)
            step_run(state, row, n, weight * a[x + i], delta, out, penalised)
    else:
        at_once = _rows_at_once(n)
        for first in range(ZERO, layer.fan_in, at_once):
            last = min(first + at_once, layer.fan_in)
            for i in range(first, last):
                delta[x + i] = _dot(parameters, w + i * n, delta, out, n)
            _step_rows(model, state, layer, first, last, weight, penalised)
    step_run(state, layer.biases, n, weight, delta, out, constant(0))


@scalar_function
def step_first_layer(
    model: Any, state: Any, weight: Any, inputs: Any, following: Any, penalised: Any
) -> None:
    """The first layer's step, and z = b + W^T x for the next sample's x = inputs[following:] on the way.

    So weights come from the cache once a step and not twice. Without a penalty, rows whose input and moments
    are 0 stay as they are, and are not even read where the next input is 0, too.
    """
    parameters, layer = state.parameters, layer_of(model.layout, 0)
    z, a, delta = model.units[0], model.units[1], model.units[2]
    n, w, b, out = layer.fan_out, layer.weights, layer.biases, layer.outputs
    step_run(state, b, n, weight, delta, out, constant(0))
    if n == ONE:
        step_run(state, w, layer.fan_in, weight * delta[out], a, ZERO, penalised)
        z[out] = parameters[b] + _dot(parameters, w, inputs, following, layer.fan_in)
    elif n % register_size(z) == 0:
        _begin(parameters, layer, z)
        pairs = layer.fan_in - layer.fan_in % TWO
        for first in range(ZERO, pairs, TWO):
            if penalised == 0 and _are_idle(state, layer, a, first, TWO):
                _pass_idle(state, layer, first, first + TWO, inputs, following + first, z)
            else:
                _step_two(model, state, layer, first, weight, inputs, following + first, penalised)
        if pairs < layer.fan_in:
            step_run(state, w + pairs * n, n, weight * a[pairs], delta, out, penalised)
            _add_rows(parameters, layer, pairs, layer.fan_in, inputs, following + pairs, z)
    else:
        _begin(parameters, layer, z)
        i: Any = ZERO
        while i < layer.fan_in:
            last: Any = i + ONE
            if penalised == 0 and _are_idle(state, layer, a, i, ONE):
                _pass_idle(state, layer, i, last, inputs, following + i, z)
            else:
                end = min(i + _rows_at_once(n), layer.fan_in)
                while last < end and not (penalised == 0 and _are_idle(state, layer, a, last, ONE)):
                    last += ONE
                _step_rows(model, state, layer, i, last, weight, penalised)
                _add_rows(parameters, layer, i, last, inputs, following + i, z)
            i = last


@scalar_function
def _are_idle(state: Any, layer: Any, a: Any, i: Any, rows: Any) -> bool:
    """Whether inputs and moments of one or two rows from i are 0."""
    if a[i] != 0 or a[i + rows - ONE] != 0:
        return False
    return is_untouched(state, layer.weights + i * layer.fan_out, rows * layer.fan_out)


@scalar_function
def _pass_idle(state: Any, layer: Any, i: Any, last: Any, inputs: Any, x: Any, z: Any) -> None:
    """What rows that are left alone add to the next sample's z."""
    if inputs[x] != 0 or inputs[x + (last - i) - ONE] != 0:
        _add_rows(state.parameters, layer, i, last, inputs, x, z)


@scalar_function
def _step_two(
    model: Any, state: Any, layer: Any, i: Any, weight: Any, inputs: Any, x: Any, penalised: Any
) -> None:
    """Two rows of whole registers, from i, which go into the next sample's z from there."""
    z, a, delta = model.units[0], model.units[1], model.units[2]
    n, out = layer.fan_out, layer.outputs
    row = layer.weights + i * n
    g0, g1 = weight * a[i], weight * a[i + ONE]
    x0, x1 = inputs[x], inputs[x + ONE]
    for k in range(ZERO, n, register_size(z)):
        d = take(delta, out + k)
        w0 = step_register(state, row + k, g0 * d, penalised)
        w1 = step_register(state, row + n + k, g1 * d, penalised)
        store(z, out + k, multiply_add(x1, w1, multiply_add(x0, w0, take(z, out + k))))
