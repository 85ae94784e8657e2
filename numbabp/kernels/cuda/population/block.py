"""A network a block: for those that fit into a block's shared memory. One network is trained by one block.

Rows of weights lie an odd number of numbers apart, so that neither a row nor a column of them meets in one
bank. Forwards, threads share out the columns of a layer, and its rows where there are more threads than
columns; backwards a thread takes a row: its update and its sum for the delta below are one pass. Indices in
the loops over weights are unsigned, since those that may count from the end take twice the instructions.
"""

import math
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ....compiler.toolchain import SIMULATED
from ....functions.activations import SOFTMAX, exp
from ....functions.elementary import log
from ....functions.losses import CATEGORICAL_CROSS_ENTROPY, LAST_JOINT
from ....functions.units import (
    activated,
    derivative,
    gradient_of_output,
    highest_of,
    is_right,
    loss_of_output,
    sum_of,
)
from ...layout import ONE
from .arithmetic import make_step_bias, make_step_weight
from .batches import Part
from .chaining import chain
from .kernel import Pieces, block_barrier, make_kernel
from .specialisation import Specialisation

LEAST_THREADS, MOST_THREADS = (6, 6) if SIMULATED else (32, 512)
"""Of a block; more would leave a thread too few registers, and barriers cost more."""


class _Places:
    """Where a block keeps each layer's weights (fan_in, stride) and biases in shared memory."""

    def __init__(self, of: Specialisation) -> None:
        self.strides = [fan_out + 1 - fan_out % 2 for fan_out in of.layer_sizes[1:]]
        lengths = []
        for (fan_in, fan_out), stride in zip(pairwise(of.layer_sizes), self.strides, strict=True):
            lengths += [fan_in * stride, fan_out]
        starts = [0, *accumulate(lengths)]
        self.weights, self.biases, self.n_own = starts[0:-1:2], starts[1::2], starts[-1]
        self.parts = []
        layers = zip(pairwise(of.layer_sizes), self.strides, self.weights, self.biases, strict=True)
        for (fan_in, fan_out), stride, w, b in layers:
            self.parts += [Part(w, fan_in * fan_out, True, fan_out, stride), Part(b, fan_out, False)]


def n_threads(of: Specialisation) -> int:
    """Of a block: about 16 weights of the largest layer for each, in whole warps."""
    most = max(fan_in * fan_out for fan_in, fan_out in pairwise(of.layer_sizes))
    return max(LEAST_THREADS, min(MOST_THREADS, most // 16 // 32 * 32))


def shared_bytes(of: Specialisation, threads: int) -> int:
    """Dynamic shared memory of a block."""
    units = 3 * of.n_units + max(threads, of.layer_sizes[-1])
    return of.itemsize * (_Places(of).n_own * (1 + of.n_kept) + units)


@cache
def make_train(of: Specialisation, max_registers: int | None = None) -> Any:
    """The kernel for a specialisation, launched with a block of any size for each network.

    `shared_bytes` tells how much shared memory it takes; see `kernel.make_kernel`.
    """
    places, layers = _Places(of), range(of.n_layers)
    arrays = range(-1, of.n_kept)  # -1 for the parameters
    pieces = Pieces(
        0,
        1,
        places.n_own,
        of.n_units,
        0,
        True,
        places.parts,
        _sum_of_block,
        chain([_make_transfer(of, places, layer, moment, True) for layer in layers for moment in arrays]),
        chain([_make_forward(of, places, layer) for layer in layers]),
        _make_outputs(of),
        chain([_make_backward(of, places, layer) for layer in reversed(layers)]),
        chain([_make_transfer(of, places, layer, moment, False) for layer in layers for moment in arrays]),
    )
    return make_kernel(of, pieces, max_registers)


@scalar_function
def _sum_of_block(team: Any, value: Any) -> Any:
    """Of roots, whose squares may be too large for the dtype; the step that follows ends with a barrier."""
    team.seen_loss[team.lane] = math.sqrt(value)
    block_barrier()
    total = 0.0
    for lane in range(team.n_lanes):
        root = np.float64(team.seen_loss[lane])
        total += root * root
    return total


def _make_transfer(of: Specialisation, places: _Places, layer: int, moment: int, is_load: bool) -> Any:
    """Between shared memory and the device's: parameters, or one of the moments."""
    fan_in, fan_out = of.layer_sizes[layer : layer + 2]
    w, b, n_weights = of.weights_at[layer], of.biases_at[layer], fan_in * fan_out
    own_w, own_b, stride = places.weights[layer], places.biases[layer], places.strides[layer]
    here, there = max(0, moment) * places.n_own, max(0, moment) * of.n_parameters
    of_parameters = moment < 0

    @scalar_function
    def load(team: Any, networks: Any, i: Any) -> None:
        into = team.parameters if of_parameters else team.moments
        values = networks.parameters[i] if of_parameters else networks.moments[i]
        for p in range(team.lane, n_weights, team.n_lanes):
            into[here + own_w + p // fan_out * stride + p % fan_out] = values[there + w + p]
        for k in range(team.lane, fan_out, team.n_lanes):
            into[here + own_b + k] = values[there + b + k]

    @scalar_function
    def store(team: Any, networks: Any, i: Any) -> None:
        values = team.parameters if of_parameters else team.moments
        into = networks.parameters[i] if of_parameters else networks.moments[i]
        for p in range(team.lane, n_weights, team.n_lanes):
            into[there + w + p] = values[here + own_w + p // fan_out * stride + p % fan_out]
        for k in range(team.lane, fan_out, team.n_lanes):
            into[there + b + k] = values[here + own_b + k]

    return load if is_load else store


def _make_forward(of: Specialisation, places: _Places, layer: int) -> Any:
    fan_in, fan_out = map(np.uint64, of.layer_sizes[layer : layer + 2])
    w, b, stride = map(np.uint64, (places.weights[layer], places.biases[layer], places.strides[layer]))
    code, out, x = of.codes[layer], np.uint64(of.outputs_at[layer]), np.uint64(of.outputs_at[layer - 1])
    is_first, zero = layer == 0, of.real(0)

    @scalar_function
    def forward(team: Any, s: Any, weight: Any) -> None:
        """z = b + W^T a, a = f(z); softmax has to wait for all z."""
        lane, n_lanes = np.uint64(team.lane), np.uint64(team.n_lanes)
        width = min(fan_out, n_lanes)
        groups, group = n_lanes // width, lane // width
        if group < groups:
            for k in range(lane % width, fan_out, width):
                total = zero
                for j in range(group, fan_in, groups):
                    a = team.inputs[s, j] if is_first else team.a[x + j]
                    total += a * team.parameters[w + j * stride + k]
                if groups > ONE:
                    team.seen_loss[group * width + k] = total
                else:
                    team.z[out + k] = total
        block_barrier()
        for k in range(lane, fan_out, n_lanes):
            total = team.parameters[b + k]
            if groups > ONE:
                for g in range(groups):
                    total += team.seen_loss[g * width + k]
            else:
                total += team.z[out + k]
            team.z[out + k] = total
            team.a[out + k] = total if code == SOFTMAX else activated(code, total)
        block_barrier()

    return forward


def _make_outputs(of: Specialisation) -> Any:
    loss, level, monitored, n = of.loss, of.level, of.monitored, of.layer_sizes[-1]
    out, code = of.outputs_at[-1], of.codes[-1]
    of_activations = loss > LAST_JOINT
    zero = of.real(0)

    @scalar_function
    def outputs(team: Any, s: Any, weight: Any) -> Any:
        z, a, delta, targets = team.z, team.a, team.delta, team.targets
        normaliser = mass = total = zero
        if code == SOFTMAX:  # `forward` has left z in a
            highest = highest_of(a, out, n)
            block_barrier()
            for k in range(team.lane, n, team.n_lanes):
                z[out + k] -= highest
                a[out + k] = exp(z[out + k])
            block_barrier()
            total = sum_of(a, out, n)
            normaliser = log(total)
            block_barrier()
            for k in range(team.lane, n, team.n_lanes):
                a[out + k] /= total
        if loss == CATEGORICAL_CROSS_ENTROPY:
            for k in range(n):
                mass += targets[s, k]
        for k in range(team.lane, n, team.n_lanes):
            y = targets[s, k]
            team.seen_loss[k] = loss_of_output(loss, level, z[out + k], a[out + k], y, normaliser)
            delta[out + k] = weight * gradient_of_output(loss, level, a[out + k], y, mass)
        if of_activations and code == SOFTMAX:  # its Jacobian needs a sum over all threads
            block_barrier()
            mean = zero
            for k in range(n):
                mean += delta[out + k] * a[out + k]
            block_barrier()
            for k in range(team.lane, n, team.n_lanes):
                delta[out + k] = a[out + k] * (delta[out + k] - mean)
        elif of_activations:
            for k in range(team.lane, n, team.n_lanes):
                delta[out + k] *= derivative(code, z[out + k], a[out + k])
        block_barrier()
        return sum_of(team.seen_loss, 0, n), monitored and is_right(loss, a, out, n, targets, s)

    return outputs


def _make_backward(of: Specialisation, places: _Places, layer: int) -> Any:
    fan_in, fan_out = map(np.uint64, of.layer_sizes[layer : layer + 2])
    w, b, stride = map(np.uint64, (places.weights[layer], places.biases[layer], places.strides[layer]))
    out, x = np.uint64(of.outputs_at[layer]), np.uint64(of.outputs_at[layer - 1])
    code_below = of.codes[layer - 1]
    n, zero = np.uint64(places.n_own), of.real(0)
    step_weight, step_bias = make_step_weight(of, n), make_step_bias(of, n)

    @scalar_function
    def update_biases(team: Any, step: Any) -> None:
        for k in range(np.uint64(team.lane), fan_out, np.uint64(team.n_lanes)):
            step_bias(step, team.parameters, team.moments, b + k, team.delta[out + k])

    @scalar_function
    def backward_first(team: Any, s: Any, step: Any) -> None:
        lane, n_lanes = np.uint64(team.lane), np.uint64(team.n_lanes)
        width = min(fan_out, n_lanes)
        groups, group = n_lanes // width, lane // width
        if group < groups:
            for k in range(lane % width, fan_out, width):
                d = team.delta[out + k]
                for j in range(group, fan_in, groups):
                    p = w + j * stride + k
                    old = team.parameters[p]
                    step_weight(step, team.parameters, team.moments, p, old, team.inputs[s, j], d)
        update_biases(team, step)
        block_barrier()

    @scalar_function
    def backward(team: Any, s: Any, step: Any) -> None:
        for j in range(np.uint64(team.lane), fan_in, np.uint64(team.n_lanes)):
            a = team.a[x + j]
            total = zero
            for k in range(fan_out):
                p = w + j * stride + k
                old, d = team.parameters[p], team.delta[out + k]
                total += old * d
                step_weight(step, team.parameters, team.moments, p, old, a, d)
            team.delta[x + j] = total * derivative(code_below, team.z[x + j], a)
        update_biases(team, step)
        block_barrier()

    return backward if layer else backward_first
