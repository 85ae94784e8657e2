"""The output layer of the blocked kernel, which every block of threads computes for itself: sums and loss."""

from typing import Any

import numpy as np
from numba import float64

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import cuda
from ....functions import activations as act
from ....functions import losses
from ....functions.elementary import log
from ....functions.units import activated, derivative, gradient_of_output, loss_of_output
from ...layers import metric
from ...layout import ACTIVATION, FAN_OUT, FORM, OUTPUTS
from ...state import FIRST_METRIC, LOSS, WEIGHT
from ..loops import at, rolled
from .geometry import MAX_METRICS
from .places import A_AT, ABSENT, DELTA_AT, OWN_AT, place, start_of
from .sums import WARP, dot, over_samples, warp_max, warp_sum


@scalar_function
def ask_for_sample(samples: Any, block: Any, scratch: Any, me: Any, sample: Any, last: Any) -> Any:
    """A thread's target, and its inner product of the sample that comes next with those before."""
    target = gram = block.gram.dtype.type(0)
    if me.thread < place(scratch, last, FAN_OUT):
        target = samples.targets[np.uint64(sample.row), at(me.thread)]
    if me.thread <= sample.t and np.int32(sample.t + 1) < sample.n:
        gram = block.gram[at((sample.t + 1) * sample.n + me.thread)]
    return target, gram


@scalar_function
def store_sample(samples: Any, block: Any, scratch: Any, me: Any, sample: Any, last: Any, held: Any) -> None:
    """Put them to where they are looked for, and those that no thread asked for."""
    targets, n_outputs = place(scratch, last, A_AT), place(scratch, last, FAN_OUT)
    k, value = me.thread, held[0]
    while k < n_outputs:
        rolled()
        scratch.pool[at(targets + k)] = value
        k = np.int32(k + me.n)
        if k < n_outputs:
            value = samples.targets[np.uint64(sample.row), at(k)]
    j, value = me.thread, held[1]
    n_others = np.int32(sample.t + 1 if np.int32(sample.t + 1) < sample.n else 0)
    while j < n_others:
        rolled()
        scratch.gram[at(j)] = value
        j = np.int32(j + me.n)
        if j < n_others:
            value = block.gram[at((sample.t + 1) * sample.n + j)]


@scalar_function
def dots_of_samples(scratch: Any, me: Any, t: Any) -> None:
    """Inner products for the first layer, whose inputs are the samples."""
    j = me.thread
    while j < t:
        rolled()
        scratch.dots[at(j)] = scratch.of_gradient[at(t - 1 - j)] * scratch.gram[at(j)]
        j = np.int32(j + me.n)


@scalar_function
def sums_of_samples(block: Any, scratch: Any, me: Any, sample: Any, has_velocity: Any) -> None:
    """For networks of one layer: all that comes from blocks of threads where there are more."""
    dots, t, n_outputs = scratch.dots, sample.t, place(scratch, 0, FAN_OUT)
    k = me.thread
    while k < t:
        rolled()
        dots[at(k)] = scratch.of_gradient[at(t - 1 - k)] * block.gram[at(t * sample.n + k)]
        k = np.int32(k + me.n)
    k = me.thread
    while k < n_outputs:
        rolled()
        here = at(t * n_outputs + k)
        total = scratch.of_weights[at(t)] * block.z[here]
        if has_velocity:
            total += scratch.of_velocity[at(t)] * block.carried[here]
        dots[at(t + k)] = total
        k = np.int32(k + me.n)


@device_function
def output_sums(block: Any, scratch: Any, me: Any, last: Any, t: Any) -> None:
    """Pre-activations of the output layer into `scratch.z`."""
    n_units = place(scratch, last, FAN_OUT)
    first = np.int32(0)
    while first < n_units:
        rolled()
        k = np.int32(first + me.lane)
        total = block.z.dtype.type(0)
        if k < n_units:
            total = earlier_outputs(block, scratch, me, last, k, t)
        scratch.shares[at(me.thread)] = total
        cuda.syncthreads()
        if me.warp == 0 and k < n_units:
            total = scratch.pool[at(place(scratch, last, OWN_AT) + k)] + scratch.dots[at(t + k)]
            for warp in range(me.n_warps):
                total += scratch.shares[at(warp * WARP + me.lane)]
            scratch.z[at(k)] = total
        cuda.syncthreads()
        first = np.int32(first + WARP)


@scalar_function
def earlier_outputs(block: Any, scratch: Any, me: Any, last: Any, k: Any, t: Any) -> Any:
    """A warp's share of the sum over the samples before, for an output."""
    of_history, n_units = place(scratch, last, DELTA_AT), place(scratch, last, FAN_OUT)
    if of_history != ABSENT:
        own = np.int32(of_history + k)
        return over_samples(scratch.pool, own, n_units, scratch.dots, me.warp, me.n_warps, t)
    start = start_of(scratch, last, OUTPUTS) + k
    return over_samples(block.delta, start, n_units, scratch.dots, me.warp, me.n_warps, t)


@scalar_function
def output_of(code: Any, z: Any, highest: Any, total: Any) -> Any:
    """An output's activation; for softmax, `total` is the sum of exponentials of z less the highest."""
    if code == act.SOFTMAX:
        return act.exp(z - highest) / total
    return activated(code, z)


@device_function
def predict(network: Any, block: Any, scratch: Any, me: Any, sample: Any, last: Any) -> None:
    """Loss of a sample, activations, and delta of the output layer, from `scratch.z`: the work of one warp.

    Every block does the same to the bit, so that all of them stop or none. If the loss is not finite, nobody
    asks for the deltas.
    """
    real = block.z.dtype.type
    z, loss, level = scratch.z, network.loss, network.level
    n_units, code = place(scratch, last, FAN_OUT), place(scratch, last, ACTIVATION)
    targets = place(scratch, last, A_AT)
    highest, total, mass = real(0), real(0), real(0)
    if code == act.SOFTMAX:  # the highest z first, so that no exponential overflows
        highest = z[at(min(me.lane, np.int32(n_units - 1)))]
        k = me.lane
        while k < n_units:
            rolled()
            highest = z[at(k)] if z[at(k)] > highest else highest
            k = np.int32(k + WARP)
        highest = warp_max(highest)
    k = me.lane
    while k < n_units:
        rolled()
        mass += scratch.pool[at(targets + k)]
        if code == act.SOFTMAX:
            total += act.exp(z[at(k)] - highest)
        k = np.int32(k + WARP)
    # one beside the other, as each waits five times; targets need not sum to 1
    total, mass = warp_sum(total), warp_sum(mass)
    normaliser = real(log(total)) if code == act.SOFTMAX else total
    value, mean = 0.0, real(0)
    has_mean = code == act.SOFTMAX and loss > losses.LAST_JOINT
    k = me.lane
    while k < n_units:
        rolled()
        y, a = scratch.pool[at(targets + k)], output_of(code, z[at(k)], highest, total)
        shifted = z[at(k)] - highest if code == act.SOFTMAX else z[at(k)]
        value += loss_of_output(loss, level, shifted, a, y, normaliser)
        gradient = gradient_of_output(loss, level, a, y, mass)
        if has_mean:
            mean += a * gradient
        elif loss > losses.LAST_JOINT:  # else it is dLoss/dz already
            gradient *= derivative(code, z[at(k)], a)
        if me.warp == 0:
            scratch.a[at(k)] = a
            keep_delta(block, scratch, me, sample, last, k, gradient)
        k = np.int32(k + WARP)
    if has_mean:  # the Jacobian of softmax needs a sum over the layer
        mean = warp_sum(mean)
        k = me.lane
        while k < n_units and me.warp == 0:
            rolled()
            a, y = scratch.a[at(k)], scratch.pool[at(targets + k)]
            gradient = gradient_of_output(loss, level, a, y, mass)
            keep_delta(block, scratch, me, sample, last, k, a * (gradient - mean))
            k = np.int32(k + WARP)
    value = warp_sum(value)
    if me.warp == 0 and me.lane == 0:
        scratch.loss[0] = value


@scalar_function
def keep_delta(block: Any, scratch: Any, me: Any, sample: Any, last: Any, k: Any, gradient: Any) -> None:
    """An output's delta, to where the sample and those that follow look for it."""
    n_units, of_history = place(scratch, last, FAN_OUT), place(scratch, last, DELTA_AT)
    delta = gradient * sample.weight
    scratch.delta[at(k)] = delta
    if of_history != ABSENT:
        scratch.pool[at(of_history + sample.t * n_units + k)] = delta
    if me.block == np.int32(me.n_blocks - 1):  # one copy for the block's end
        here = start_of(scratch, last, OUTPUTS) + np.int64(sample.t) * n_units + k
        block.delta[np.uint64(here)] = delta


@scalar_function
def output_dots(block: Any, scratch: Any, me: Any, last: Any, t: Any) -> None:
    """Inner products of the output layer's deltas with those before, a sample a thread (equation 9)."""
    n_units, of_history = place(scratch, last, FAN_OUT), place(scratch, last, DELTA_AT)
    j = me.thread
    while j < t:
        rolled()
        if of_history != ABSENT:
            total = dot(scratch.pool, np.int32(of_history + j * n_units), scratch.delta, n_units, 1)
        else:
            start = start_of(scratch, last, OUTPUTS) + np.int64(j) * n_units
            total = dot(block.delta, start, scratch.delta, n_units, 1)
        scratch.dots[at(j)] = total * scratch.of_gradient[at(t - 1 - j)]
        j = np.int32(j + me.n)


@scalar_function
def begin_record(network: Any, record: Any, scratch: Any, epoch: Any) -> None:
    """What one thread of all needs for the record, to where it takes a few cycles instead of hundreds.

    The others would wait for it at the next barrier of the grid.
    """
    last = np.uint64(len(network.layout) - 1)
    for column in range(FORM + 1):
        rolled()
        scratch.output[0, column] = network.layout[last, column]
    for m in range(min(len(record.metrics), MAX_METRICS)):
        rolled()
        scratch.metrics[m] = record.metrics[m]
    for i in range(min(record.sums.shape[1], FIRST_METRIC + MAX_METRICS)):
        rolled()
        scratch.sums_of_epoch[i] = record.sums[epoch, i]


@scalar_function
def keep_record(network: Any, samples: Any, record: Any, scratch: Any, sample: Any, epoch: Any) -> None:
    """That thread adds up losses and metrics."""
    sums, weight = scratch.sums_of_epoch, float64(sample.weight)
    sums[LOSS] += weight * scratch.loss[0]
    sums[WEIGHT] += weight
    for m in range(len(record.metrics)):
        rolled()
        code = scratch.metrics[m] if m < MAX_METRICS else record.metrics[m]
        of_sample = metric(
            code,
            network.loss,
            network.level,
            scratch.output,
            scratch.z,
            scratch.a,
            samples.targets,
            sample.row,
        )
        if m < MAX_METRICS:
            sums[FIRST_METRIC + m] += weight * of_sample
        else:
            record.sums[epoch, FIRST_METRIC + m] += weight * of_sample


@scalar_function
def end_record(record: Any, scratch: Any, epoch: Any) -> None:
    """And leaves the sums."""
    for i in range(min(record.sums.shape[1], FIRST_METRIC + MAX_METRICS)):
        rolled()
        record.sums[epoch, i] = scratch.sums_of_epoch[i]
