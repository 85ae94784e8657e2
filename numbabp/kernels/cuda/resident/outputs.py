"""The output layer of the resident kernel, its loss and its delta, which every block computes for itself.

Of its weights a block has only the rows of its own units: blocks tell each other their shares of the sums.
"""

import math
from typing import Any

from ....compiler.compiling import scalar_function
from ....compiler.toolchain import cuda
from ....functions import activations as act
from ....functions.activations import ACTIVATIONS
from ....functions.elementary import log
from ....functions.losses import LAST_JOINT
from ....functions.units import activated, derivative, gradient_of_output, loss_of_output
from ..blocked.geometry import QUAD
from ..blocked.sums import warp_max, warp_sum
from ..loops import from_start, rolled
from ..quads import load_quad
from .columns import ALL_LANES
from .shape import WARP, Shape

FEWEST_LANES = 4
"""That add up what blocks shared of an output."""


def make_transfer(shape: Shape, is_load: bool) -> Any:
    """transfer(me, network): the rows of the own units, and all biases, into shared memory, or back.

    All blocks have the same biases, of which one brings them back.
    """
    places, below, n, threads = shape.places, shape.places.hidden[-1], shape.n_outputs, shape.threads
    own, n_units, rows_at, biases_at = below.own, below.n_units, places.out_rows_at, places.out_biases_at
    weights, biases = places.out_weights, places.out_biases

    @scalar_function
    def transfer(me: Any, network: Any) -> None:
        parameters = network.parameters
        for i in range(me.thread, own * n, threads):
            here, there = from_start(rows_at + i), from_start(weights + me.number * own * n + i)
            exists = me.number * own + i // n < n_units
            if exists and is_load:
                me.pool[here] = parameters[there]
            elif exists:
                parameters[there] = me.pool[here]
        for k in range(me.thread, n, threads):
            if is_load:
                me.pool[from_start(biases_at + k)] = parameters[from_start(biases + k)]
            elif me.number == 0:
                parameters[from_start(biases + k)] = me.pool[from_start(biases_at + k)]

    return transfer


def make_share(shape: Shape) -> Any:
    """share(me, exchange, t): the own units' share of the outputs' sums, for all blocks."""
    places, below, n, threads = shape.places, shape.places.hidden[-1], shape.n_outputs, shape.threads
    own, a_at, rows_at, zero = below.own, below.a_at, places.out_rows_at, shape.real(0)

    @scalar_function
    def share(me: Any, exchange: Any, t: Any) -> None:
        for k in range(me.thread, n, threads):
            rolled()
            total = zero
            for i in range(own):
                total += me.pool[from_start(a_at + i)] * me.pool[from_start(rows_at + i * n + k)]
            exchange.parts[t & 1, k, me.number] = total

    return share


def make_gather(shape: Shape) -> Any:
    """gather(me, exchange, t): the outputs' pre-activations, from what all blocks shared.

    So few lanes an output that all outputs are read at once, if they can: each waits for the second-level
    cache.
    """
    n, zero, length = shape.n_outputs, shape.real(0), shape.rows_of_parts
    biases_at, z_at = shape.places.out_biases_at, shape.places.out_z_at
    lanes = WARP
    while n * lanes > shape.threads and lanes > FEWEST_LANES:
        lanes //= 2
    of_warp = WARP // lanes
    at_once = of_warp * shape.n_warps

    @scalar_function
    def gather(me: Any, exchange: Any, t: Any) -> None:
        part = me.lane & (lanes - 1)
        for first in range(me.warp * of_warp, n, at_once):
            rolled()
            k = first + me.lane // lanes
            row, total = ((t & 1) * n + min(k, n - 1)) * length, zero  # shuffles need all lanes
            for turn in range(0, length, QUAD * lanes):
                quad = load_quad(exchange.parts, row + turn + QUAD * part)
                total += (quad[0] + quad[1]) + (quad[2] + quad[3])
            if lanes > 16:
                total += cuda.shfl_xor_sync(ALL_LANES, total, 16)
            if lanes > 8:
                total += cuda.shfl_xor_sync(ALL_LANES, total, 8)
            if lanes > 4:
                total += cuda.shfl_xor_sync(ALL_LANES, total, 4)
            total += cuda.shfl_xor_sync(ALL_LANES, total, 2)
            total += cuda.shfl_xor_sync(ALL_LANES, total, 1)
            if part == 0 and k < n:
                me.pool[from_start(z_at + k)] = total + me.pool[from_start(biases_at + k)]

    return gather


def make_predict(shape: Shape) -> Any:
    """predict(me, weight, rate): activations and steps of the outputs, by a warp.

    Every block does the same to the bit. If the loss is not finite, nobody asks for the steps.
    """
    places, n, loss = shape.places, shape.n_outputs, shape.loss
    level, code, zero = shape.level, ACTIVATIONS[shape.activations[-1]], shape.real(0)
    z_at, a_at, steps_at = places.out_z_at, places.out_a_at, places.out_steps_at
    extent, is_softmax = _make_extent(shape), code == act.SOFTMAX
    has_mean = is_softmax and loss > LAST_JOINT

    @scalar_function
    def predict(me: Any, weight: Any, rate: Any) -> None:
        scale, mass, mean = rate * weight, zero, zero
        highest, total = extent(me)
        for k in range(me.lane, n, WARP):
            rolled()
            mass += me.targets[0, from_start(k)]
        mass = warp_sum(mass)  # targets need not sum to 1
        for k in range(me.lane, n, WARP):
            rolled()
            y, shifted = me.targets[0, from_start(k)], me.pool[from_start(z_at + k)] - highest
            a = act.exp(shifted) / total if is_softmax else activated(code, shifted)
            gradient = gradient_of_output(loss, level, a, y, mass)
            if has_mean:  # the Jacobian of softmax needs a sum over the layer
                mean += a * gradient
            elif loss > LAST_JOINT:  # else it is dLoss/dz already
                gradient *= derivative(code, shifted, a)
            me.pool[from_start(a_at + k)] = a
            me.pool[from_start(steps_at + k)] = scale * gradient
        if has_mean:
            mean = warp_sum(mean)
            for k in range(me.lane, n, WARP):
                rolled()
                a = me.pool[from_start(a_at + k)]
                gradient = gradient_of_output(loss, level, a, me.targets[0, from_start(k)], mass)
                me.pool[from_start(steps_at + k)] = scale * a * (gradient - mean)

    return predict


def make_judge(shape: Shape) -> Any:
    """judge(me): the sample's loss, by a warp, beside the one that predicts: neither waits for the other.

    Every block does the same to the bit, so that all of them stop or none.
    """
    n, loss, level, z_at = shape.n_outputs, shape.loss, shape.level, shape.places.out_z_at
    code, extent = ACTIVATIONS[shape.activations[-1]], _make_extent(shape)
    is_softmax = code == act.SOFTMAX

    @scalar_function
    def judge(me: Any) -> None:
        highest, total = extent(me)
        normaliser, value = type(total)(log(total)) if is_softmax else total, 0.0
        for k in range(me.lane, n, WARP):
            rolled()
            y, shifted = me.targets[0, from_start(k)], me.pool[from_start(z_at + k)] - highest
            a = act.exp(shifted) / total if is_softmax else activated(code, shifted)
            value += loss_of_output(loss, level, shifted, a, y, normaliser)
        value = warp_sum(value)
        if me.lane == 0:
            me.loss[0] = value

    return judge


def _make_extent(shape: Shape) -> Any:
    """extent(me): the highest pre-activation of a softmax, so that no exponential overflows, and their sum.

    Of other outputs zeros, which change nothing.
    """
    n, z_at, zero = shape.n_outputs, shape.places.out_z_at, shape.real(0)
    is_softmax = ACTIVATIONS[shape.activations[-1]] == act.SOFTMAX

    @scalar_function
    def extent(me: Any) -> tuple[Any, Any]:
        if not is_softmax:
            return zero, zero
        highest, total = me.pool[from_start(z_at + min(me.lane, n - 1))], zero
        for k in range(me.lane, n, WARP):
            rolled()
            z = me.pool[from_start(z_at + k)]
            highest = z if z > highest else highest
        highest = warp_max(highest)
        for k in range(me.lane, n, WARP):
            rolled()
            total += act.exp(me.pool[from_start(z_at + k)] - highest)
        return highest, warp_sum(total)

    return extent


def make_step_biases(shape: Shape) -> Any:
    """step_biases(me): of all outputs, the same in every block."""
    places, n, threads = shape.places, shape.n_outputs, shape.threads
    biases_at, steps_at = places.out_biases_at, places.out_steps_at

    @scalar_function
    def step_biases(me: Any) -> None:
        for k in range(me.thread, n, threads):
            rolled()
            me.pool[from_start(biases_at + k)] -= me.pool[from_start(steps_at + k)]

    return step_biases


@scalar_function
def is_finite(me: Any) -> bool:
    """Whether the sample's loss is."""
    return math.isfinite(me.loss[0])
