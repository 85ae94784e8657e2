"""A part of a mini-batch of networks in lanes, layer by layer: forward, losses, backward, gradient or step.

Four samples go together through a weight, which is loaded once for them: both what goes back through it and
its gradient are sums in registers.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function, subroutine
from ...compiler.vectors import load, n_lanes, splat, store
from ...functions.activations import SIGMOID, sigmoid
from ..layout import FOUR, ONE, THREE, TWO, ZERO
from .adaptive import set_rows
from .batches import begin_batch, ends_batch, set_sample, take_inputs, take_targets
from .chunks import BATCH_TAKEN, STEP_WEIGHT
from .layers import (
    activate_layer,
    activate_units,
    layer_of,
    multiply_units_by_derivative,
    put_unit,
    step,
    step_weight,
    take_loss,
)

# --- forward ---------------------------------------------------------------------------------------


@scalar_function
def _input(x: Any, own: Any, at: Any) -> Any:
    """A number of the gathered inputs, or with own orders a vector."""
    if own is not None:  # known when a kernel is compiled
        return load(x, at * n_lanes(x))
    return x[at]


@scalar_function
def _put_four(batch: Any, at: Any, of_four: Any) -> None:
    """Keep the pre-activations of four samples."""
    z, L = batch.z, n_lanes(batch.z)
    z_0, z_1, z_2, z_3 = of_four
    store(z, at, z_0)
    store(z, at + L, z_1)
    store(z, at + TWO * L, z_2)
    store(z, at + THREE * L, z_3)


@scalar_function
def _first_layer(chunk: Any, own: Any, layer: Any, count: Any) -> None:
    """z = b + W^T x of the first layer."""
    w, batch, L = chunk.parameters, chunk.batch, n_lanes(chunk.parameters)
    x, rows = batch.inputs, batch.rows
    for k in range(ZERO, layer.size, L):
        for t in range(ZERO, count, FOUR):
            z_0 = load(w, layer.biases + k)
            z_1 = z_2 = z_3 = z_0
            for i in range(layer.fan_in):
                weight, at = load(w, k * layer.fan_in + i * L), i * rows + t
                z_0 = z_0 + _input(x, own, at) * weight
                z_1 = z_1 + _input(x, own, at + ONE) * weight
                z_2 = z_2 + _input(x, own, at + TWO) * weight
                z_3 = z_3 + _input(x, own, at + THREE) * weight
            _put_four(batch, (layer.outputs + k) * rows + t * L, (z_0, z_1, z_2, z_3))


@scalar_function
def _later_layer(chunk: Any, layer: Any, count: Any) -> None:
    """z = b + W^T a of a layer after the first."""
    w, batch, L = chunk.parameters, chunk.batch, n_lanes(chunk.parameters)
    a, rows = batch.a, batch.rows
    for k in range(ZERO, layer.size, L):
        for t in range(ZERO, count * L, FOUR * L):
            z_0 = load(w, layer.biases + k)
            z_1 = z_2 = z_3 = z_0
            for i in range(layer.fan_in):
                weight = load(w, layer.weights + i * layer.size + k)
                at = (layer.inputs + i * L) * rows + t
                z_0 = z_0 + load(a, at) * weight
                z_1 = z_1 + load(a, at + L) * weight
                z_2 = z_2 + load(a, at + TWO * L) * weight
                z_3 = z_3 + load(a, at + THREE * L) * weight
            _put_four(batch, (layer.outputs + k) * rows + t, (z_0, z_1, z_2, z_3))


@scalar_function
def _activate(chunk: Any, layer: Any, count: Any) -> None:
    """Activations of a hidden layer."""
    batch, L = chunk.batch, n_lanes(chunk.parameters)
    for k in range(ZERO, layer.size, L):
        start = (layer.outputs + k) * batch.rows
        if layer.activation == SIGMOID:
            for at in range(start, start + count * L, L):
                store(batch.a, at, sigmoid(load(batch.z, at)))
        else:
            activate_units(layer.activation, batch.z, batch.a, start, count * L)


@subroutine
def _forward(networks: Any, chunk: Any, own: Any, count: Any) -> None:
    """Pre-activations of every layer, and activations of the hidden ones."""
    for i in range(len(chunk.layout)):
        layer = layer_of(networks, chunk, i)
        if i == 0:
            _first_layer(chunk, own, layer, count)
        else:
            _later_layer(chunk, layer, count)
        if i < len(chunk.layout) - 1:
            _activate(chunk, layer, count)


@subroutine
def _take_losses(networks: Any, samples: Any, chunk: Any, first: Any, n: Any, j: Any, count: Any) -> None:
    """Losses and accuracies, sample by sample as without mini-batches, and the updates of the outputs."""
    batch, L, last = chunk.batch, n_lanes(chunk.parameters), len(chunk.layout) - 1
    layer, rows = layer_of(networks, chunk, last), batch.rows
    zero = splat(batch.update.dtype.type(0))
    for t in range(count):
        s = j + np.int64(t)
        set_sample(samples, chunk, first, n, s)
        take_targets(chunk.own, samples, s)
        for k in range(ZERO, layer.size, L):
            put_unit(chunk, layer, k, load(batch.z, (layer.outputs + k) * rows + t * L))
        activate_layer(networks, chunk, layer, last)
        take_loss(networks, samples, chunk, chunk.order[s])
        for k in range(layer.outputs, layer.outputs + layer.size, L):
            store(batch.update, k * rows + t * L, load(chunk.update, k))
    for t in range(count, (count + THREE) // FOUR * FOUR):
        for k in range(layer.outputs, layer.outputs + layer.size, L):
            store(batch.update, k * rows + t * L, zero)


# --- backward --------------------------------------------------------------------------------------


@scalar_function
def _sum_so_far(chunk: Any, j: Any, g: Any, begins: Any) -> Any:
    """The gradient at j with the four samples' share g."""
    if begins:
        return g
    return load(chunk.batch.gradient, j) + g


@scalar_function
def _take_weight(networks: Any, chunk: Any, j: Any, old: Any, g: Any, begins: Any, ends: Any) -> None:
    """Add four samples' share to the gradient of the weight `old` at j; step it, if they are the last."""
    g = _sum_so_far(chunk, j, g, begins)
    if ends:
        step_weight(networks, chunk, j, old, g)
    else:
        store(chunk.batch.gradient, j, g)


@scalar_function
def _biases(networks: Any, chunk: Any, layer: Any, count: Any, begins: Any, ends: Any) -> None:
    """The same of a layer's biases, with all samples of the part."""
    update, rows, L = chunk.batch.update, chunk.batch.rows, n_lanes(chunk.parameters)
    for k in range(ZERO, layer.size, L):
        at, j = (layer.outputs + k) * rows, layer.biases + k
        g = load(update, at)
        for t in range(L, count * L, L):
            g = g + load(update, at + t)
        g = _sum_so_far(chunk, j, g, begins)
        if ends:
            step(networks, chunk, j, load(chunk.parameters, j), g)
        else:
            store(chunk.batch.gradient, j, g)


@scalar_function
def _first_weights(
    networks: Any, chunk: Any, own: Any, layer: Any, count: Any, begins: Any, ends: Any
) -> None:
    """Gradient of the first layer's weights."""
    w, batch, L = chunk.parameters, chunk.batch, n_lanes(chunk.parameters)
    x, update, rows = batch.inputs, batch.update, batch.rows
    for k in range(ZERO, layer.size, L):
        for t in range(ZERO, count, FOUR):
            of_unit = (layer.outputs + k) * rows + t * L
            u_0, u_1 = load(update, of_unit), load(update, of_unit + L)
            u_2, u_3 = load(update, of_unit + TWO * L), load(update, of_unit + THREE * L)
            for i in range(layer.fan_in):
                at, j = i * rows + t, k * layer.fan_in + i * L
                g = _input(x, own, at) * u_0 + _input(x, own, at + ONE) * u_1
                g = g + _input(x, own, at + TWO) * u_2 + _input(x, own, at + THREE) * u_3
                begun, over = begins and t == ZERO, ends and t + FOUR >= count
                _take_weight(networks, chunk, j, load(w, j), g, begun, over)


@scalar_function
def _weights_of_unit(
    networks: Any, chunk: Any, layer: Any, row: Any, at: Any, t: Any, begins: Any, ends: Any
) -> None:
    """Gradient of the weights at `row` of a unit below, and what goes back to it, for four samples from t on.

    The unit's activations are at `at`, and so will be what goes back.
    """
    w, batch, L = chunk.parameters, chunk.batch, n_lanes(chunk.parameters)
    a, update, rows = batch.a, batch.update, batch.rows
    back_0 = splat(a.dtype.type(0))
    back_1 = back_2 = back_3 = back_0
    for k in range(ZERO, layer.size, L):
        of_unit, old = (layer.outputs + k) * rows + t, load(w, row + k)
        u_0, u_1 = load(update, of_unit), load(update, of_unit + L)
        u_2, u_3 = load(update, of_unit + TWO * L), load(update, of_unit + THREE * L)
        back_0 = back_0 + old * u_0
        back_1 = back_1 + old * u_1
        back_2 = back_2 + old * u_2
        back_3 = back_3 + old * u_3
        g = load(a, at) * u_0 + load(a, at + L) * u_1
        g = g + load(a, at + TWO * L) * u_2 + load(a, at + THREE * L) * u_3
        _take_weight(networks, chunk, row + k, old, g, begins, ends)
    store(update, at, back_0)
    store(update, at + L, back_1)
    store(update, at + TWO * L, back_2)
    store(update, at + THREE * L, back_3)


@scalar_function
def _later_weights(
    networks: Any, chunk: Any, layer: Any, below: Any, count: Any, begins: Any, ends: Any
) -> None:
    """Gradient of the weights of a layer after the first, and the updates of the layer below."""
    batch, L = chunk.batch, n_lanes(chunk.parameters)
    a, update = batch.a, batch.update
    row = layer.weights
    for unit in range(ZERO, below.size, L):
        start = (layer.inputs + unit) * batch.rows
        for t in range(ZERO, count * L, FOUR * L):
            begun, over = begins and t == ZERO, ends and t + FOUR * L >= count * L
            _weights_of_unit(networks, chunk, layer, row, start + t, t, begun, over)
        if below.activation == SIGMOID:
            for at in range(start, start + count * L, L):
                value = load(a, at)
                store(update, at, load(update, at) * (value - value * value))
        else:
            multiply_units_by_derivative(below.activation, batch.z, a, update, start, count * L)
        row += layer.size


@subroutine
def _backward(networks: Any, chunk: Any, own: Any, count: Any, begins: Any, ends: Any) -> None:
    """Gradients of all layers, or with those of a mini-batch's last part the step."""
    for i in range(len(chunk.layout) - 1, -1, -1):
        layer = layer_of(networks, chunk, i)
        _biases(networks, chunk, layer, count, begins, ends)
        if i > 0:
            below = layer_of(networks, chunk, i - 1)
            _later_weights(networks, chunk, layer, below, count, begins, ends)
        else:
            _first_weights(networks, chunk, own, layer, count, begins, ends)


@scalar_function
def train_part(networks: Any, samples: Any, chunk: Any, first: Any, n: Any, j: Any, count: Any) -> None:
    """The part of a mini-batch that has `count` samples from the order's entry j on."""
    L = n_lanes(chunk.lanes)
    begins, ends = j % chunk.batch.size == 0, ends_batch(chunk, j, count)
    if begins:
        begin_batch(networks, samples, chunk, first, n, j)
    take_inputs(chunk, chunk.own, samples, j, count)
    _forward(networks, chunk, chunk.own, count)
    _take_losses(networks, samples, chunk, first, n, j, count)
    if ends:
        if samples.weights.shape[0] > 0:  # a step is taken, whatever the last sample's weight
            store(chunk.lanes, STEP_WEIGHT * L, load(chunk.lanes, BATCH_TAKEN * L))
        set_rows(networks.rule, chunk)
    _backward(networks, chunk, chunk.own, count, begins, ends)
