"""Mini-batches of networks in lanes: what is kept of one, and how its parts begin and end.

A mini-batch is taken in parts of up to `PART` samples. A part goes through the layers at once, so that each
weight is read twice for all of its samples (`batch_layers`); the gradients of parts are added up, and with
that of the last one the weights are stepped where they are read, by the rules of `layers`. Between parts all
is in the chunk's arrays: a run may pause there, with the same bits.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ...compiler.arrays import aligned_zeros
from ...compiler.compiling import scalar_function, subroutine
from ...compiler.vectors import lanes_of, n_lanes
from ..layout import FAN_IN, FAN_OUT, FOUR, INPUTS, OUTPUTS, n_parameters
from .chunks import (
    AT_EPOCH,
    BATCH_FACTOR,
    BATCH_TAKEN,
    BLOCK_WEIGHT,
    EPOCH_RATE,
    EPOCH_SHRINK,
    NETWORK_L2,
    NETWORK_MOMENTUM,
    STEP_FACTOR,
    STEP_L2,
    STEP_MOMENTUM,
    STEP_RATE,
    STEP_SHRINK,
    STEP_WEIGHT,
    Chunk,
    make_block,
)

PART = 8
"""Most samples of a part, a multiple of the four that go together through a weight."""


class Batch(NamedTuple):
    """A mini-batch under way; LANES is how many networks a vector of T takes, ROWS samples of a part.

    Samples beyond those of a part, up to a multiple of four, go along with an update of 0.
    """

    inputs: np.ndarray  # T (n_inputs * ROWS,), of every input the part's samples; * LANES with own orders
    z: np.ndarray  # T (n_units * ROWS * LANES,), pre-activations, of every unit the part's samples
    a: np.ndarray  # T, likewise, activations
    update: np.ndarray  # T, likewise, shares of the updates
    gradient: np.ndarray  # T (n_parameters * LANES,), sums of the parts before; or (0,) where one part is all
    rows: np.uint64  # ROWS
    size: int  # samples of a mini-batch, those of weight 0 too


def with_batches(chunk: Chunk, layout: np.ndarray, size: int) -> Chunk:
    """The chunk for mini-batches of `size` samples, more than there are being all of them."""
    dtype, lanes = chunk.parameters.dtype, lanes_of(chunk.parameters.dtype)
    size = min(size, chunk.order.size)
    rows = min(PART, -(-size // int(FOUR)) * int(FOUR))
    z, a, update = aligned_zeros((3, int(layout[:, FAN_OUT].sum()) * rows * lanes), dtype)
    batch = Batch(
        aligned_zeros(int(layout[0, FAN_IN]) * rows * (lanes if chunk.own else 1), dtype),
        z,
        a,
        update,
        aligned_zeros(n_parameters(layout) * lanes if size > FOUR else 0, dtype),
        np.uint64(rows),
        size,
    )
    return chunk._replace(
        layout=_without_gaps(chunk.layout), block=make_block(layout, dtype, by_steps=True), batch=batch
    )


def numbers_beside(layer_sizes: Sequence[int], size: int) -> int:
    """Numbers that a network's mini-batches of `size` samples take beside those without, its inputs apart."""
    n_weights = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(layer_sizes))
    return n_weights + 3 * min(PART, size + 3) * sum(layer_sizes[1:]) if size > 1 else 0


def _without_gaps(layout: np.ndarray) -> np.ndarray:
    """A chunk's layout with units of a layer right after the last one's: a number is a vector there."""
    own, ends = layout.copy(), np.cumsum(layout[:, FAN_OUT])
    own[0, OUTPUTS] = 0
    own[1:, OUTPUTS] = ends[:-1]
    own[1:, INPUTS] = own[:-1, OUTPUTS]
    return own


def arrays_of_batch(chunk: Chunk) -> tuple[np.ndarray, ...]:
    """The arrays of its mini-batch, if it has one, that training changes."""
    batch = chunk.batch
    return () if batch is None else (batch.inputs, batch.z, batch.a, batch.update, batch.gradient)


@scalar_function
def part_from(chunk: Any, j: Any) -> Any:
    """Samples of the part that begins at the order's entry j."""
    batch = chunk.batch
    before = j % batch.size
    return np.uint64(min(np.int64(batch.rows), batch.size - before, chunk.order.size - j))


@scalar_function
def sample_at(chunk: Any, own: Any, j: Any, lane: Any) -> Any:
    """The row of a lane's sample at entry j of its order."""
    if own is not None:  # known when a kernel is compiled, here and below
        return np.int64(own.order[np.int64(lane), j])
    return chunk.order[j]


@scalar_function
def _weight_at(samples: Any, chunk: Any, network: Any, j: Any, lane: Any) -> Any:
    """What that sample weighs for a network."""
    row = network if samples.weights.shape[0] > 1 else 0
    return samples.weights[row, sample_at(chunk, chunk.own, j, lane)]


@scalar_function
def _is_as_before(networks: Any, samples: Any, chunk: Any, j: Any) -> bool:
    """Whether the mini-batch from j on has the numbers of the one before: most of those without weights.

    With batches of 4 samples, 2-10-1 took a sixth longer otherwise.
    """
    batch, n_samples = chunk.batch, chunk.order.size
    if samples.weights.shape[0] > 0 or n_samples - j < batch.size:
        return False
    if j > 0:
        return True
    return networks.same_rates and n_samples % batch.size == 0 and chunk.position[AT_EPOCH] > 0


@subroutine
def begin_batch(networks: Any, samples: Any, chunk: Any, first: Any, n: Any, j: Any) -> None:
    """The lanes' numbers for the mini-batch that begins at the order's entry j."""
    if _is_as_before(networks, samples, chunk, j):
        return
    numbers, is_weighted = chunk.lanes, samples.weights.shape[0] > 0
    real, lanes = numbers.dtype.type, n_lanes(numbers)
    last = min(j + chunk.batch.size, chunk.order.size)
    for lane in range(lanes):
        network, count = first + min(np.int64(lane), n - 1), last - j
        if is_weighted:
            count = 0
            for i in range(j, last):
                count += 1 if _weight_at(samples, chunk, network, i, lane) > real(0) else 0
        taken = real(1) if count > 0 else real(0)
        rate = taken * numbers[EPOCH_RATE * lanes + lane]
        share = taken / real(max(1, count))
        numbers[BATCH_TAKEN * lanes + lane] = taken
        numbers[BATCH_FACTOR * lanes + lane] = share if chunk.velocity.size > 0 else share * rate
        numbers[STEP_RATE * lanes + lane] = rate
        numbers[STEP_SHRINK * lanes + lane] = taken * numbers[EPOCH_SHRINK * lanes + lane]
        numbers[STEP_L2 * lanes + lane] = taken * numbers[NETWORK_L2 * lanes + lane]
        momentum = numbers[NETWORK_MOMENTUM * lanes + lane]
        numbers[STEP_MOMENTUM * lanes + lane] = momentum if count > 0 else real(1)
        numbers[STEP_WEIGHT * lanes + lane] = real(1)
        numbers[STEP_FACTOR * lanes + lane] = numbers[BATCH_FACTOR * lanes + lane]


@subroutine
def set_sample(samples: Any, chunk: Any, first: Any, n: Any, j: Any) -> None:
    """The lanes' numbers for the sample at the order's entry j, if samples have weights."""
    numbers, lanes = chunk.lanes, n_lanes(chunk.lanes)
    if samples.weights.shape[0] == 0:
        return
    for lane in range(lanes):
        weight = _weight_at(samples, chunk, first + min(np.int64(lane), n - 1), j, lane)
        numbers[STEP_WEIGHT * lanes + lane] = weight
        numbers[STEP_FACTOR * lanes + lane] = weight * numbers[BATCH_FACTOR * lanes + lane]
        numbers[BLOCK_WEIGHT * lanes + lane] += weight


@scalar_function
def take_inputs(chunk: Any, own: Any, samples: Any, j: Any, count: Any) -> None:
    """Gather the inputs of the part from the order's entry j on."""
    x, rows = chunk.batch.inputs, chunk.batch.rows
    n_inputs = chunk.layout[0, FAN_IN]
    if own is not None:
        lanes = n_lanes(x)
        for t in range(count):
            for lane in range(lanes):
                own.sample[lane] = own.order[lane, np.uint64(j) + t]
            for i in range(n_inputs):
                for lane in range(lanes):
                    x[(i * rows + t) * lanes + lane] = samples.inputs[np.uint64(own.sample[lane]), i]
    else:
        for t in range(count):
            s = chunk.order[np.uint64(j) + t]
            for i in range(n_inputs):
                x[i * rows + t] = samples.inputs[s, i]


@scalar_function
def take_targets(own: Any, samples: Any, j: Any) -> None:
    """Gather the targets of the samples at entry j of own orders; of others they are where they are."""
    if own is not None:
        lanes = n_lanes(own.targets)
        for lane in range(lanes):
            own.sample[lane] = own.order[lane, np.uint64(j)]
        for k in range(np.uint64(samples.targets.shape[1])):
            for lane in range(lanes):
                own.targets[k * lanes + lane] = samples.targets[np.uint64(own.sample[lane]), k]


@scalar_function
def ends_batch(chunk: Any, j: Any, count: Any) -> bool:
    """Whether the part of `count` samples from the order's entry j on is its mini-batch's last."""
    end = j + np.int64(count)
    return end % chunk.batch.size == 0 or end == chunk.order.size
