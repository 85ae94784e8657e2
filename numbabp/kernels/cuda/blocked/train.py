"""The blocked kernel on a GPU: one large network, the trajectory of per-sample SGD up to rounding.

Within a block of samples all weights are only read: they are those of the block's start plus a sum of
products of inputs and deltas (docs/blocked.md; numbers in brackets are its equations). So one launch takes
the block's samples one after the other, with the weights streaming through all multiprocessors; before it and
after it come matrix products (`numbabp.training.engines.network_cuda_blocked`).

A layer's units are dealt out to the blocks of threads in groups of neighbours. A block that owns a group
reads those columns of the layer's weights forwards, and those rows of the next layer's backwards, whole: a
unit is done without a word from other blocks. What a later phase needs of all units together - inner products
with the samples before, the output layer's sums - every block leaves as a row of `Block.parts`, and after the
next barrier every block adds up all rows. The output layer itself, with the loss, every block computes alike.
That makes 2 L - 3 barriers of the grid a sample for L layers of weights, none for one layer.

Reference: `train` in tests/reference.py.
"""

import math
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
from numba import float64, int64, uint64

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function, kernel
from ....compiler.toolchain import SIMULATED, cuda
from ...layout import BIASES, FAN_IN, FAN_OUT, FORM, OUTPUTS, WEIGHTS
from ...powers import V_FROM_V, V_FROM_W, W_FROM_G, W_FROM_V, W_FROM_W
from ...state import DIVERGED, FIRST_METRIC
from ..barriers import BASE, barrier_of_grid
from ..loops import at, rolled
from ..pinning import pinned
from ..quads import ALIGNMENT
from .backward import scale_deltas, step_bias
from .geometry import MAX_LENGTH, MAX_METRICS, MAX_THREADS, QUAD, scratch_lengths
from .outputs import (
    ask_for_sample,
    begin_record,
    dots_of_samples,
    end_record,
    keep_record,
    output_dots,
    output_sums,
    predict,
    store_sample,
    sums_of_samples,
)
from .parts import add_rows, add_shares, columns_at_once
from .places import (
    A_AT,
    ABSENT,
    BACKWARD_AT,
    N_PLACES,
    N_ROWS,
    OWN,
    OWN_AT,
    STRIDE,
    place,
    start_of,
    weights_at,
)
from .products import first_unit, hold_nothing, hold_rows, keep_columns, keep_rows
from .state import AT, NUMBER, STATUS, STEPS, Sample, Scratch, Stage, Threads
from .sums import WARP
from .units import compute_units
from .vectors import ask_for_vector, store_vector, vector_of

REGISTERS = 64 * 1024
"""Of a multiprocessor."""
N_SUMS, N_COLUMNS = FIRST_METRIC + MAX_METRICS, FORM + 1
"""Of the record, and of a layout."""


@cache
def make_train_block(
    has_velocity: bool, is_aligned: bool, threads: int = MAX_THREADS, group: int = 16, n_held: int = 0
) -> Any:
    """The kernel for networks with a velocity, or without, and for a geometry's threads and group.

    Those two are constants in it, so that threads find their units and weights without divisions. So is what
    `places.is_aligned` says of a network, and how many half turns of rows a thread holds in registers, as
    `geometry.half_turns_held` says.
    """
    n_warps, n_slices, quads = threads // WARP, threads // group, group // QUAD
    ends = (0, *accumulate(scratch_lengths(threads)))
    n_numbers = ends[-1]
    max_registers = None if SIMULATED else min(255, REGISTERS // threads)

    @kernel(max_registers=max_registers)
    def train_block(
        network: Any,
        samples: Any,
        block: Any,
        record: Any,
        epoch: Any,
        number: Any,
        first: Any,
        n_samples: Any,
    ) -> None:
        """Steps of one block of samples: biases and `block` change, weights stay as they are.

        Launched with no more blocks of threads than fit on the GPU at once, for one layer with one, and with
        the shared memory that `places.block_places` tells.

        Parameters
        ----------
        network, samples, block, record
            See `Network`, `Samples`, `Block` and `Record`. block.z begins with the samples times W_0.
        epoch
            Row of record.sums.
        number
            Of this block among those that follow each other. If one diverges, those after it take no step.
        first, n_samples
            The block's samples are samples.rows[first : first + n_samples].
        """
        # of one piece and at places that are constants: one address is enough to find them all
        of_type = network.parameters.dtype
        numbers = pinned(cuda.shared.array(n_numbers, of_type, alignment=ALIGNMENT))
        scratch = Scratch(
            pinned(cuda.shared.array(0, int64, alignment=ALIGNMENT)),
            pinned(cuda.shared.array(0, of_type, alignment=ALIGNMENT)),
            numbers[ends[0] : ends[1]],
            numbers[ends[1] : ends[2]],
            numbers[ends[2] : ends[3]],
            numbers[ends[3] : ends[4]],
            numbers[ends[4] : ends[5]],
            numbers[ends[5] : ends[6]],
            numbers[ends[6] : ends[7]],
            numbers[ends[7] : ends[8]],
            numbers[ends[8] : ends[9]],
            numbers[ends[9] : ends[10]],
            numbers[ends[10] : ends[11]],
            numbers[ends[11] : ends[12]],
            numbers[ends[12] : ends[13]],
            numbers[ends[13] : ends[14]],
            cuda.shared.array(MAX_LENGTH, int64),
            cuda.shared.array(1, float64),
            cuda.shared.array(N_SUMS, float64),
            cuda.shared.array(MAX_METRICS, int64),
            cuda.shared.array((1, N_COLUMNS), uint64),
        )
        thread: Any = np.int32(cuda.threadIdx.x)
        me = Threads(
            thread,
            np.int32(threads),
            np.int32(thread & (WARP - 1)),
            np.int32(thread // WARP),
            np.int32(n_warps),
            np.int32(thread & (group - 1)),
            np.int32(thread // group),
            np.int32(n_slices),
            np.int32(QUAD * (thread & (quads - 1))),
            np.int32(thread // quads),
            np.int32(threads // quads),
            np.int32(group),
            is_aligned,
            n_held,
            np.int32(cuda.blockIdx.x),
            np.int32(cuda.gridDim.x),
        )
        for i in range(thread, len(network.layout) * N_PLACES, threads):
            scratch.places[i] = block.places[i]
        cuda.syncthreads()
        last = np.int32(len(network.layout) - 1)
        n_outputs, own_at = place(scratch, last, FAN_OUT), place(scratch, last, OWN_AT)
        started = record.state[STATUS] != DIVERGED
        if started:
            copy_samples(samples, block, scratch, me, first, n_samples)
            copy_own(network, block, scratch, me, n_samples, has_velocity)
        held = hold_nothing(block.a.dtype.type(0))
        if n_held > 0 and last > 1:
            held = hold_rows(network.parameters, scratch, me, 1)
        cuda.syncthreads()
        goes_on = started
        # of the block with the fewest units
        keeps_record = me.block == np.int32(me.n_blocks - 1) and thread == 0 and started
        if keeps_record:
            begin_record(network, record, scratch, epoch)
        base = block.counts[BASE]
        n_stages = np.int32(max(1, 2 * int(last)))
        phase = np.int32(0)
        t = np.int32(0)
        while goes_on and t < n_samples:
            rolled()
            sample = Sample(t, np.int32(n_samples), scratch.rows[at(t)], scratch.weights[at(t)])
            visit = np.int32(0)
            while visit < n_stages:
                rolled()
                if visit > 0:
                    barrier_of_grid(block.counts, thread, me.n_blocks, base, phase)
                    phase = np.int32(phase + 1)
                stage = stage_of(scratch, last, visit, phase, t)
                vector = vector_of(block, scratch, stage)
                if visit > 0 or last == 0:
                    gather(samples, block, scratch, me, stage, vector, sample, last)
                else:
                    dots_of_samples(scratch, me, t)
                if stage.is_output:
                    cuda.syncthreads()
                    if last == 0:
                        sums_of_samples(block, scratch, me, sample, has_velocity)
                        cuda.syncthreads()
                    output_sums(block, scratch, me, last, t)
                    if me.warp == 0 or SIMULATED:  # whose warps wait for each other to add up their numbers
                        predict(network, block, scratch, me, sample, last)
                    cuda.syncthreads()
                    goes_on = math.isfinite(scratch.loss[0])
                    if not goes_on:  # the sample has changed nothing
                        break
                    if keeps_record:
                        keep_record(network, samples, record, scratch, sample, epoch)
                    k = thread
                    while k < n_outputs:
                        rolled()
                        bias, delta = own_at + k, scratch.delta[at(k)]
                        step_bias(scratch, bias, bias + 2 * n_outputs, delta, has_velocity)
                        k = np.int32(k + threads)
                    output_dots(block, scratch, me, last, t)
                if last > 0:
                    compute_units(network, block, scratch, me, stage, vector, held, has_velocity)
                visit = np.int32(visit + 1)
            if goes_on:
                t = np.int32(t + 1)
        barrier_of_grid(block.counts, thread, me.n_blocks, base, phase)
        scale_deltas(network, block, scratch, me, t, n_samples)
        if started:
            leave_biases(network, scratch, me, has_velocity)
        if keeps_record:
            end_record(record, scratch, epoch)
        if me.block == 0 and thread == 0:
            block.counts[BASE] = base + (phase + 1) * me.n_blocks
            record.state[STEPS] = t
            if started and not goes_on:  # the first to do so is on record
                record.state[STATUS] = DIVERGED
                record.state[NUMBER] = number
                record.state[AT] = t

    return train_block


@scalar_function
def stage_of(scratch: Any, last: Any, number: Any, phase: Any, t: Any) -> Any:
    """The first stages go forwards, one a hidden layer; the one of this number back from the output layer."""
    is_backward = number >= last
    n_dots = (
        np.int32(t) if number < np.int32(2 * last - 1) else np.int32(0)
    )  # below the first layer nobody needs any
    n_outputs = place(scratch, last, FAN_OUT) if number == np.int32(last - 1) else np.int32(0)
    layer = np.int32(2 * last - 1 - number if is_backward else number)
    return Stage(number, phase, t, layer, is_backward, number == last, n_dots, np.int32(n_dots + n_outputs))


@device_function
def gather(
    samples: Any, block: Any, scratch: Any, me: Any, stage: Any, vector: Any, sample: Any, last: Any
) -> None:
    """Wait once for all that a stage needs of other blocks of threads, and for what the sample has.

    That is the vector, and the sums of what they left: t of them are inner products (equation 6), and go to
    `scratch.dots`. A barrier has to follow before anyone reads them; the vector may be read.
    """
    zero = block.a.dtype.type(0)
    before = max(np.int32(0), np.int32(stage.layer - 1))
    if stage.is_output:
        before = stage.layer
    elif stage.is_backward:
        before = np.int32(stage.layer + 1)
    n_rows = place(scratch, before, N_ROWS) if last > 0 else np.int32(0)
    width, of_sample = stage.t, (zero, zero)
    vector_quads = ask_for_vector(vector, me)
    if stage.is_output:
        of_sample = ask_for_sample(samples, block, scratch, me, sample, last)
        width = np.int32(width + place(scratch, last, FAN_OUT))
    power = columns_at_once(me, width)
    first = np.int32(0)
    while (
        first == 0 or np.int32(QUAD * first) < width
    ):  # few networks have more columns than can be added up together
        rolled()
        if first > 0:
            cuda.syncthreads()
        add_rows(block, scratch, me, stage.phase, n_rows, width, first, power)
        if first == 0:
            store_vector(vector, scratch, me, vector_quads)
            if stage.is_output:
                store_sample(samples, block, scratch, me, sample, last, of_sample)
        cuda.syncthreads()
        add_shares(scratch, me, stage.t, width, first, power)
        first = np.int32(first + (1 << power))


@scalar_function
def copy_samples(samples: Any, block: Any, scratch: Any, me: Any, first: Any, n_samples: Any) -> None:
    """Into shared memory: which samples these are, what they weigh, and the powers of equation 4."""
    one = block.powers.dtype.type(1)
    for t in range(me.thread, n_samples, me.n):
        rolled()
        s = samples.rows[first + t]
        scratch.rows[t] = s
        scratch.weights[t] = samples.weights[s] if samples.weights.size > 0 else one
    for t in range(me.thread, len(block.powers), me.n):
        rolled()
        scratch.of_weights[t] = block.powers[t, W_FROM_W]
        scratch.of_velocity[t] = block.powers[t, W_FROM_V]
        scratch.of_gradient[t] = block.powers[t, W_FROM_G]
    for i in range(me.thread, len(block.rates), me.n):
        scratch.rates[i] = block.rates[i]


@scalar_function
def copy_own(network: Any, block: Any, scratch: Any, me: Any, n_samples: Any, has_velocity: Any) -> None:
    """Into shared memory: biases of the block's own units, the first layer's products, weights that stay.

    Every block has the output layer's biases for itself, to step them without a barrier.
    """
    pool, last = scratch.pool, len(network.layout) - 1
    for layer in range(last + 1):
        n_units, n_own, at = (
            place(scratch, layer, FAN_OUT),
            place(scratch, layer, OWN),
            place(scratch, layer, OWN_AT),
        )
        biases = scratch.places[layer * N_PLACES + BIASES]
        for own in range(me.thread, n_own, me.n):
            rolled()
            unit = own if layer == last else unit_of(me, own)
            if unit < n_units:
                pool[at + own] = network.parameters[biases + unit]
                if has_velocity:
                    pool[at + 2 * n_own + own] = network.velocity[biases + unit]
    for layer in range(1, last):
        keep_columns(network.parameters, scratch, me, layer)
        keep_rows(network.parameters, scratch, me, layer)
    if last > 0:
        copy_outputs_rows(network, scratch, me, last)
        copy_products(block, scratch, me, n_samples)


@scalar_function
def unit_of(me: Any, own: Any) -> Any:
    """Of a layer, for one of the block's own."""
    return first_unit(me, own // me.group) + (own & (me.group - 1))


@scalar_function
def copy_outputs_rows(network: Any, scratch: Any, me: Any, last: Any) -> None:
    """The output layer's weights for the block's own units, where they stay; zeros for those it lacks."""
    zero = scratch.pool.dtype.type(0)
    n_units, n_outputs = place(scratch, last, FAN_IN), place(scratch, last, FAN_OUT)
    kept = place(scratch, last, BACKWARD_AT)
    if kept != ABSENT:
        for own in range(place(scratch, last - 1, OWN)):
            rolled()
            unit = unit_of(me, own)
            row = weights_at(scratch, last) + np.int64(unit) * n_outputs
            for k in range(me.thread, n_outputs, me.n):
                rolled()
                weight = network.parameters[row + k] if unit < n_units else zero
                scratch.pool[kept + own * n_outputs + k] = weight


@scalar_function
def copy_products(block: Any, scratch: Any, me: Any, n_samples: Any) -> None:
    """Samples times W_0, to where the activations of the first layer will take their place."""
    n_units, stride, at = place(scratch, 0, FAN_OUT), place(scratch, 0, STRIDE), place(scratch, 0, A_AT)
    if at != ABSENT:
        start = start_of(scratch, 0, OUTPUTS)
        for t in range(me.slice, n_samples, me.n_slices):
            rolled()
            for own in range(me.unit, place(scratch, 0, OWN), me.group):
                rolled()
                unit = unit_of(me, own)
                if unit < n_units:
                    scratch.pool[at + t * stride + own] = block.z[start + np.int64(t) * n_units + unit]


@scalar_function
def leave_biases(network: Any, scratch: Any, me: Any, has_velocity: Any) -> None:
    """Back to the parameters; those of the output layer, of which all blocks have the same, by the first."""
    pool, last = scratch.pool, len(network.layout) - 1
    for layer in range(last + 1):
        n_units, n_own, at = (
            place(scratch, layer, FAN_OUT),
            place(scratch, layer, OWN),
            place(scratch, layer, OWN_AT),
        )
        biases = scratch.places[layer * N_PLACES + BIASES]
        for own in range(me.thread, n_own, me.n):
            rolled()
            unit = own if layer == last else unit_of(me, own)
            if unit < n_units and (layer < last or me.block == 0):
                network.parameters[biases + unit] = pool[at + own]
                if has_velocity:
                    network.velocity[biases + unit] = pool[at + 2 * n_own + own]


@kernel
def carry_weights(network: Any, block: Any, record: Any) -> None:
    """Weights and velocity as the steps of a block carry them on, but for its gradients (equation 8).

    For L2 or a velocity; else they stay as they are.
    """
    layout, powers = network.layout, block.powers
    n_steps = record.state[STEPS]
    parameters, velocity = network.parameters, network.velocity
    begin = np.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
    for layer in range(len(layout)):
        first = np.int64(layout[layer, WEIGHTS])
        for i in range(first + begin, np.int64(layout[layer, BIASES]), cuda.gridDim.x * cuda.blockDim.x):
            old = parameters[i]
            new = powers[n_steps, W_FROM_W] * old
            if velocity.size > 0:
                new += powers[n_steps, W_FROM_V] * velocity[i]
                velocity[i] = powers[n_steps, V_FROM_W] * old + powers[n_steps, V_FROM_V] * velocity[i]
            parameters[i] = new
