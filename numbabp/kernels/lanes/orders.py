"""Samples that lanes take each in an order of its own: drawn lane by lane, and gathered into vectors.

Where all networks take the same order, a sample's inputs and targets are one number for all lanes; here they
are vectors, gathered before the step that leads to the sample. A lane's order is drawn as `Network.fit` draws
it, by `shuffling.shuffle` from the network's seed. A step of 2-10-1 in float32 takes 12 ns, with one order
for all 5.2; network by network, as rows lie, it was gathered in 3 ns more. Blocks of samples, whose products
all lanes would have to share, are not for it: 64-32-10 takes 400 ns, where one order for all takes 206.
"""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.arrays import aligned_zeros
from ...compiler.compiling import scalar_function, subroutine
from ...compiler.vectors import lanes_of, load, n_lanes, store, where_greater
from ..layout import ONE, TWO, ZERO
from ..shuffling import shuffle


class OwnOrders(NamedTuple):
    """Of a chunk's networks; LANES is how many numbers of T a vector has."""

    order: np.ndarray  # uint32 (LANES, n), of the epoch, which is read along a row
    random: np.ndarray  # uint64 (LANES,), states of the shuffles
    sample: np.ndarray  # uint32 (2 * LANES,), of the present step and of the next one
    inputs: np.ndarray  # T (2 * n_inputs * LANES,), likewise
    targets: np.ndarray  # T (2 * n_outputs * LANES,)


def make_own_orders(n_samples: int, n_inputs: int, n_outputs: int, dtype: np.dtype) -> OwnOrders:
    """Arrays for one thread's chunk."""
    lanes = lanes_of(dtype)
    return OwnOrders(
        np.zeros((lanes, n_samples), np.uint32),
        np.zeros(lanes, np.uint64),
        np.zeros(2 * lanes, np.uint32),
        aligned_zeros(2 * n_inputs * lanes, dtype),
        aligned_zeros(2 * n_outputs * lanes, dtype),
    )


def are_sound(own: OwnOrders) -> bool:
    """Whether a kernel may go on from them: every order has each sample once, and samples are there."""
    n = own.order.shape[1]
    is_permuted = bool((np.sort(own.order, axis=1) == np.arange(n)).all())
    return is_permuted and bool((own.sample < n).all())


@subroutine
def begin_own(own: Any, samples: Any, first: Any, n: Any) -> None:
    """Orders of the first of n networks on as they are before the first epoch, and the first samples."""
    if own is not None:  # known when a kernel is compiled, here and below
        for lane in range(own.order.shape[0]):
            own.random[lane] = samples.seed[first + min(np.int64(lane), n - 1)]
            for j in range(own.order.shape[1]):
                own.order[lane, j] = j
        take_following(own, samples, 0)
        advance(own)


@subroutine
def take_following(own: Any, samples: Any, j: Any) -> None:
    """Gather what the next step needs: the sample at place j of the orders, drawn anew for place 0."""
    if own is not None:
        if j == 0:
            for lane in range(own.order.shape[0]):
                shuffle(own.order[lane], own.random[lane : lane + 1])
        lanes = n_lanes(own.inputs)
        n_inputs, n_outputs = np.uint64(samples.inputs.shape[1]), np.uint64(samples.targets.shape[1])
        for lane in range(lanes):
            own.sample[lanes + lane] = own.order[lane, np.uint64(j)]
        for i in range(n_inputs):
            for lane in range(lanes):
                s = np.uint64(own.sample[lanes + lane])
                own.inputs[(n_inputs + i) * lanes + lane] = samples.inputs[s, i]
        for k in range(n_outputs):
            for lane in range(lanes):
                s = np.uint64(own.sample[lanes + lane])
                own.targets[(n_outputs + k) * lanes + lane] = samples.targets[s, k]


@scalar_function
def advance(own: Any) -> None:
    """Make the next step's samples the present ones."""
    if own is not None:
        lanes = n_lanes(own.inputs)
        of_inputs, of_targets = np.uint64(own.inputs.size) // TWO, np.uint64(own.targets.size) // TWO
        for j in range(ZERO, of_inputs, lanes):
            store(own.inputs, j, load(own.inputs, of_inputs + j))
        for j in range(ZERO, of_targets, lanes):
            store(own.targets, j, load(own.targets, of_targets + j))
        for lane in range(lanes):
            own.sample[lane] = own.sample[lanes + lane]


@scalar_function
def sample_of(own: Any, s: Any, lane: Any) -> Any:
    """The row of a lane's present sample, which is s where all take the same order."""
    if own is not None:
        return np.int64(own.sample[lane])
    return s


@scalar_function
def input_of(own: Any, samples: Any, s: Any, i: Any) -> Any:
    """Input i of the present sample: of s, one for all lanes, or a vector."""
    if own is not None:
        return load(own.inputs, np.uint64(i) * n_lanes(own.inputs))
    return samples.inputs[s, i]


@scalar_function
def next_input_of(own: Any, samples: Any, s: Any, i: Any) -> Any:
    """The same of the next sample."""
    if own is not None:
        return load(own.inputs, (np.uint64(samples.inputs.shape[1]) + np.uint64(i)) * n_lanes(own.inputs))
    return samples.inputs[s, i]


@scalar_function
def target_of(own: Any, samples: Any, s: Any, k: Any) -> Any:
    """Target k of the present sample, likewise."""
    if own is not None:
        return load(own.targets, np.uint64(k) * n_lanes(own.targets))
    return samples.targets[s, k]


@scalar_function
def of_lane(own: Any, y: Any, k: Any, lane: Any) -> Any:
    """Target k of a lane's present sample, which is y where all take the same order."""
    if own is not None:
        return own.targets[np.uint64(k) * n_lanes(own.targets) + np.uint64(lane)]
    return y


@scalar_function
def right_of(own: Any, a: Any, start: Any, n: Any, is_binary: Any, right: Any, wrong: Any) -> Any:
    """`right` in lanes whose n outputs from a[start] on predict the targets, else `wrong`."""
    L, real = n_lanes(a), a.dtype.type
    half = wrong + real(0.5)
    if is_binary:
        for k in range(n):
            y, outputs = load(own.targets, k * L), load(a, start + k * L)
            of_one = where_greater(outputs, half, right, wrong)
            right = where_greater(y, half, of_one, where_greater(outputs, half, wrong, right))
        return right
    highest_y, highest_a = load(own.targets, ZERO), load(a, start)
    wanted = predicted = wrong
    for k in range(ONE, n):
        y, outputs, number = load(own.targets, k * L), load(a, start + k * L), wrong + real(k)
        wanted = where_greater(y, highest_y, number, wanted)
        highest_y = where_greater(y, highest_y, y, highest_y)
        predicted = where_greater(outputs, highest_a, number, predicted)
        highest_a = where_greater(outputs, highest_a, outputs, highest_a)
    return where_greater(wanted, predicted, wrong, where_greater(predicted, wanted, wrong, right))
