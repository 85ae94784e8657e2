"""What the lanes kernel works on: a population, its samples, and a chunk of networks in vectors."""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.arrays import aligned_zeros
from ...compiler.compiling import scalar_function, subroutine
from ...compiler.vectors import lanes_of, n_lanes
from ..layout import BIASES, BY_ROWS, FAN_IN, FAN_OUT, FORM, INPUTS, OUTPUTS, WEIGHTS, n_parameters, n_units
from ..update_rules import Rule
from .orders import OwnOrders, make_own_orders

SAMPLES = 8
"""Samples of a block: of the first layer, where it goes in blocks, and of sums in the samples' dtype."""
BLOCKED_INPUTS = 8
"""From so many inputs on the first layer goes in blocks."""
# Entries of Chunk.position.
AT_NETWORK, AT_EPOCH, AT_SAMPLE = range(3)
# Rows of Chunk.lanes, each a vector: numbers of the networks, the epoch and the step, sums of a block of
# samples, and whether an epoch is a network's best.
N_NUMBERS = 22
EPOCH_RATE, NETWORK_MOMENTUM, NETWORK_L2, EPOCH_SHRINK = map(np.uint64, range(4))
STEP_WEIGHT, STEP_FACTOR, STEP_RATE, STEP_SHRINK, STEP_MOMENTUM, STEP_L2 = map(np.uint64, range(4, 10))
BLOCK_LOSS, BLOCK_WEIGHT, BLOCK_RIGHT, IS_BEST = map(np.uint64, range(10, 14))
STEP_ETA, STEP_KEEP, STEP_TAKE, STEP_KEEP_2, STEP_TAKE_2, STEP_CORRECTION = map(np.uint64, range(14, 20))
BATCH_FACTOR, BATCH_TAKEN = map(np.uint64, range(20, N_NUMBERS))
# Rows of Chunk.sums: the epoch's weighted losses, weights and weighted accuracies.
N_SUMS = 3
LOSS_SUM, WEIGHT_SUM, RIGHT_SUM = map(np.uint64, range(N_SUMS))


class Networks(NamedTuple):
    """The population, with T its dtype."""

    parameters: np.ndarray  # T (n_networks, n_parameters)
    moments: np.ndarray  # T (n_networks, N_MOMENTS * n_parameters), such as velocities; (0, 0) for sgd
    steps: np.ndarray  # int64 (n_networks,), taken; only adaptive rules look at it
    rule: Rule | None  # `update_rules.Rule` of an adaptive one; None for others, which compiles none
    rates: np.ndarray  # float64 (n_rates, epochs), learning rates
    rate_of: np.ndarray  # int64 (n_networks,), row of `rates`
    same_rates: bool  # in every epoch
    momentum: np.ndarray  # T (n_networks,)
    l2: np.ndarray  # T (n_networks,)
    nesterov: bool
    with_l2: bool  # whether one of `l2` is not 0
    decoupled: bool  # whether the penalty shrinks weights apart from the gradient, as adamw's
    diverged: np.ndarray  # uint8 (n_networks,), 1 where the loss or a parameter stopped being finite
    losses: np.ndarray  # float64 (epochs * n_networks,), epoch by epoch, means over the epoch's samples
    accuracies: np.ndarray  # float64 (epochs * n_networks,), or (0,) where they are not wanted
    watched: np.ndarray  # those losses, or others likewise, that say whether a network improves
    loss: int
    level: float  # of the quantile loss
    tol: float
    n_iter_no_change: int  # a network ends after more epochs than this without a loss lower by tol; 0: never
    patience: int  # or after so many by the rule of early stopping, see `training.stopping`; 0: never
    n_epochs: np.ndarray  # int64 (n_networks,), epochs that are finished
    stopped: np.ndarray  # int64 (n_networks,), epochs after which training ended so; 0 where it did not


class PopulationSamples(NamedTuple):
    """The training data."""

    inputs: np.ndarray  # T (n, n_inputs)
    targets: np.ndarray  # T (n, n_outputs)
    weights: np.ndarray  # T (n_networks, n), (1, n) for all networks, (0, 0) where every sample weighs 1
    seed: np.ndarray  # uint64 (1,) of the shuffles, (n_networks,) for own orders; (0,) for a fixed order


class Block(NamedTuple):
    """A block's samples and what their steps do to the first layer; K is `SAMPLES`, see `lane_blocks`.

    LANES is how many networks a vector of T takes, here and below.
    """

    inputs: np.ndarray  # T (n_inputs * K,), of every input the block's samples
    gram: np.ndarray  # T (K * K,), products of the samples
    products: np.ndarray  # T (K * n_first * LANES,), of the samples with the block's first weights
    updates: np.ndarray  # T, likewise, the steps' updates; (0,) where the first layer goes step by step
    kept: np.ndarray  # T (K * LANES,), what is left of each step's update after the penalties since
    left: np.ndarray  # T (LANES,), and of the block's first weights


class Validation(NamedTuple):
    """What a chunk's networks are measured on after every epoch, and where."""

    samples: PopulationSamples
    chunk: Any  # a `Chunk` of the same parameters, with units and sums of its own
    losses: np.ndarray  # float64 (epochs * n_networks,), as those of `Networks`
    accuracies: np.ndarray


class Chunk(NamedTuple):
    """One thread's networks under way."""

    parameters: np.ndarray  # T (n_parameters * LANES,)
    velocity: np.ndarray  # T, likewise for each moment of the rule, or (0,)
    steps: np.ndarray  # int64 (LANES,), that each network has taken
    z: np.ndarray  # T (n_units * LANES,), pre-activations
    a: np.ndarray  # T, likewise, activations
    update: np.ndarray  # T, likewise: delta times the sample's weight and, without velocity, the rate
    loss: np.ndarray  # T (LANES,), of one output
    lanes: np.ndarray  # T (N_NUMBERS * LANES,), numbers of each network
    sums: np.ndarray  # float64 (N_SUMS * LANES,)
    best: np.ndarray  # float64 (LANES,), lowest loss of an epoch yet
    waited: np.ndarray  # int64 (LANES,), epochs in a row that did not improve it
    best_parameters: np.ndarray  # T, as `parameters`, of that epoch; (0,) where none are gone back to
    general: bool | None  # None for plain sgd, see `is_plain`
    layout: np.ndarray  # uint64 (n_layers, 8), see `lanes_layout`
    place: np.ndarray  # uint64 (n_parameters,), where a network's parameters are in `parameters`
    block: Block
    order: np.ndarray  # int64 (n,); where each lane has its own the places in these, from 0 on
    random: np.ndarray  # uint64 (1,) or (0,)
    position: np.ndarray  # int64 (3,): the chunk's first network, epoch, sample
    validation: Validation | None  # None where there are no such samples, which compiles nothing for them
    own: OwnOrders | None = None  # None where all take the same order, which compiles nothing for others
    batch: Any = None  # `batches.Batch`; None where every sample is a step, likewise


@scalar_function
def is_plain(chunk: Any) -> bool:
    """Whether steps are of plain sgd, with neither momentum nor penalty.

    That is known when a kernel is compiled, since None is a type of its own, so that none of its weights is
    asked for. A step of 2-10-1 in float32 takes 5.6 ns, with the penalty 6.7.
    """
    return chunk.general is None


def lanes_layout(layout: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The layout of a chunk: offsets, and how many numbers a layer of units is, in lanes."""
    rows = layout.copy()
    rows[:, [FAN_OUT, WEIGHTS, BIASES, INPUTS, OUTPUTS]] *= np.uint64(lanes_of(dtype))
    rows[:, FORM] = BY_ROWS
    return rows


def places(layout: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Where a network's parameters are in a chunk: in the first layer the weights of a unit lie together.

    They are what is read in a row. By inputs instead, weights of a unit of 32 are 4096 bytes apart, in the
    same lines of the first cache: a step of 64-32-10 took seven times as long.
    """
    place = np.arange(n_parameters(layout), dtype=np.uint64)
    fan_in, fan_out = int(layout[0, FAN_IN]), int(layout[0, FAN_OUT])
    weights = slice(int(layout[0, WEIGHTS]), int(layout[0, WEIGHTS]) + fan_in * fan_out)
    place[weights] = place[weights].reshape(fan_out, fan_in).T.ravel()
    return place * np.uint64(lanes_of(dtype))


def make_block(layout: np.ndarray, dtype: np.dtype, by_steps: bool) -> Block:
    """Arrays for blocks, which pay from some inputs on, or none where the first layer goes step by step."""
    n_inputs, n_first = int(layout[0, FAN_IN]), int(layout[0, FAN_OUT])
    k = 0 if by_steps or n_inputs < BLOCKED_INPUTS else SAMPLES
    lanes = lanes_of(dtype)
    return Block(
        aligned_zeros(n_inputs * k, dtype),
        aligned_zeros(k * k, dtype),
        aligned_zeros(k * n_first * lanes, dtype),
        aligned_zeros(k * n_first * lanes, dtype),
        aligned_zeros(k * lanes, dtype),
        aligned_zeros(lanes, dtype),
    )


def make_chunk(
    layout: np.ndarray,
    dtype: np.dtype,
    n_samples: int,
    n_moments: int,
    with_l2: bool,
    seed: np.ndarray,
    first: int,
) -> Chunk:
    """Arrays for one thread that begins with network `first`."""
    lanes = lanes_of(dtype)
    size = lanes * n_parameters(layout)
    float64 = np.dtype(np.float64)
    z, a, update = aligned_zeros((3, n_units(layout) * lanes), dtype)
    return Chunk(
        aligned_zeros(size, dtype),
        aligned_zeros(size * n_moments, dtype),
        np.zeros(lanes, np.int64),
        z,
        a,
        update,
        aligned_zeros(lanes, dtype),
        aligned_zeros(N_NUMBERS * lanes, dtype),
        aligned_zeros(N_SUMS * lanes, float64),
        np.full(lanes, np.inf),
        np.zeros(lanes, np.int64),
        aligned_zeros(0, dtype),
        True if n_moments or with_l2 else None,
        lanes_layout(layout, dtype),
        places(layout, dtype),
        make_block(layout, dtype, n_moments > 0),
        np.arange(n_samples, dtype=np.int64),
        seed.copy(),
        np.array([first, 0, 0], np.int64),
        None,
    )


def with_validation(
    chunk: Chunk, validating: Chunk, samples: PopulationSamples, losses: np.ndarray, accuracies: np.ndarray
) -> Chunk:
    """The chunk with samples to be measured on, in units of another one for so many samples."""
    numbers = validating.lanes.reshape(N_NUMBERS, -1)
    numbers[STEP_WEIGHT] = 1
    own = validating._replace(parameters=chunk.parameters, velocity=chunk.velocity)
    return chunk._replace(validation=Validation(samples, own, losses, accuracies))


def with_own_orders(chunk: Chunk, layout: np.ndarray, n_outputs: int) -> Chunk:
    """The chunk with an order for each lane: blocks, which need the same samples in all, are not for it."""
    dtype, n_samples = chunk.parameters.dtype, chunk.order.size
    return chunk._replace(
        block=make_block(layout, dtype, by_steps=True),
        random=np.empty(0, np.uint64),
        own=make_own_orders(n_samples, int(layout[0, FAN_IN]), n_outputs, dtype),
    )


@subroutine
def load_chunk(networks: Any, samples: Any, chunk: Any, first: Any, n: Any) -> None:
    """Lanes from the rows of the first of n networks on; lanes beyond them repeat the last."""
    lanes = n_lanes(chunk.parameters)
    chunk.position[AT_EPOCH] = 0
    chunk.position[AT_SAMPLE] = 0
    for j in range(chunk.order.size):
        chunk.order[j] = j
    for j in range(chunk.random.size):
        chunk.random[j] = samples.seed[j]
    for j in range(chunk.block.updates.size):
        chunk.block.updates[j] = 0
    for lane in range(lanes):
        chunk.best[lane] = np.inf
        chunk.waited[lane] = 0
        network = first + min(np.int64(lane), n - 1)
        for p in range(networks.parameters.shape[1]):
            chunk.parameters[chunk.place[p] + lane] = networks.parameters[network, p]
        chunk.steps[lane] = networks.steps[network]
        for first_moment in range(0, networks.moments.shape[1], networks.parameters.shape[1]):
            at = np.uint64(first_moment) * lanes + lane
            for p in range(networks.parameters.shape[1]):
                chunk.velocity[at + chunk.place[p]] = networks.moments[network, first_moment + p]
        chunk.lanes[NETWORK_MOMENTUM * lanes + lane] = networks.momentum[network]
        chunk.lanes[NETWORK_L2 * lanes + lane] = networks.l2[network]


@subroutine
def unload_lane(networks: Any, chunk: Any, parameters: Any, network: Any, lane: Any) -> None:
    """A network's row from its lane of some parameters; if these are not finite, it has diverged."""
    check = networks.parameters.dtype.type(0)
    for p in range(networks.parameters.shape[1]):
        value = parameters[chunk.place[p] + np.uint64(lane)]
        networks.parameters[network, p] = value
        check += value - value
    networks.steps[network] = chunk.steps[lane]
    for first_moment in range(0, networks.moments.shape[1], networks.parameters.shape[1]):
        at = np.uint64(first_moment) * n_lanes(chunk.velocity) + np.uint64(lane)
        for p in range(networks.parameters.shape[1]):
            networks.moments[network, first_moment + p] = chunk.velocity[at + chunk.place[p]]
    if not np.isfinite(check):
        networks.diverged[network] = 1


@subroutine
def unload_best(networks: Any, chunk: Any, network: Any, lane: Any) -> None:
    """The same of a network that has ended: with early stopping from its best epoch, if there was one."""
    if chunk.best_parameters.size > 0 and chunk.best[lane] < np.inf:
        unload_lane(networks, chunk, chunk.best_parameters, network, lane)
    else:
        unload_lane(networks, chunk, chunk.parameters, network, lane)


@subroutine
def unload_chunk(networks: Any, chunk: Any, first: Any, n: Any) -> None:
    """Rows from the lanes, of all networks whose training has not ended before; at the end the best ones."""
    is_over = chunk.position[AT_EPOCH] == networks.rates.shape[1]
    for lane in range(n):
        if networks.stopped[first + lane] == 0:
            if is_over:
                unload_best(networks, chunk, first + lane, lane)
            else:
                unload_lane(networks, chunk, chunk.parameters, first + lane, lane)
            networks.n_epochs[first + lane] = chunk.position[AT_EPOCH]


@subroutine
def freeze_lanes(networks: Any, chunk: Any, first: Any, n: Any) -> None:
    """Mark the networks whose loss in a block is not finite, and make zeros of their lanes."""
    real = chunk.parameters.dtype.type
    lanes = n_lanes(chunk.parameters)
    for lane in range(lanes):
        loss = BLOCK_LOSS * lanes + lane
        if np.isfinite(chunk.lanes[loss]):
            continue
        network = first + min(np.int64(lane), n - 1)
        if networks.stopped[network] == 0:
            networks.diverged[network] = 1
        chunk.lanes[loss] = real(0)
        for p in range(lane, np.uint64(chunk.parameters.size), lanes):
            chunk.parameters[p] = real(0)
        for p in range(lane, np.uint64(chunk.velocity.size), lanes):
            chunk.velocity[p] = real(0)
        for j in range(lane, np.uint64(chunk.block.updates.size), lanes):
            chunk.block.updates[j] = real(0)
        for j in range(lane, np.uint64(chunk.z.size), lanes):
            chunk.z[j] = real(0)
            chunk.a[j] = real(0)
            chunk.update[j] = real(0)
        _freeze_batch(chunk.batch, lane, lanes)


@subroutine
def _freeze_batch(batch: Any, lane: Any, lanes: Any) -> None:
    """Make zeros of a lane of the mini-batch under way."""
    if batch is not None:  # known when a kernel is compiled
        zero = batch.a.dtype.type(0)
        for j in range(lane, np.uint64(batch.a.size), lanes):
            batch.z[j] = zero
            batch.a[j] = zero
            batch.update[j] = zero
        for j in range(lane, np.uint64(batch.gradient.size), lanes):
            batch.gradient[j] = zero
