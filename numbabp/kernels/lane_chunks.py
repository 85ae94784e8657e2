"""What the lanes kernel works on: a population, its samples, and a chunk of networks in vectors."""

from typing import Any, NamedTuple

import numpy as np

from ..arrays import aligned_zeros
from ..compiling import subroutine
from ..vectors import LANES
from .layers import BIASES, BY_ROWS, FAN_IN, FAN_OUT, FORM, INPUTS, OUTPUTS, WEIGHTS, n_units

SAMPLES = 8
"""Samples of a block of the first layer."""
BLOCKED_INPUTS = 8
"""From so many inputs on the first layer goes in blocks."""
# Entries of Chunk.position.
NETWORK, EPOCH, SAMPLE = range(3)
L = np.uint64(LANES)
# Where Chunk.lanes has the networks' numbers, those of the epoch and those of the step.
N_NUMBERS = 10
RATE, MOMENTUM, L2, SHRINK, WEIGHT, STEP_RATE, STEP_SHRINK, STEP_MOMENTUM, STEP_L2, STEP_LOSS = (
    np.uint64(LANES * row) for row in range(N_NUMBERS)
)
# Where Chunk.sums has the epoch's weighted losses, weights and weighted accuracies.
N_SUMS = 3
LOSS, WEIGHT_SUM, ACCURACY = (np.uint64(LANES * row) for row in range(N_SUMS))


class Networks(NamedTuple):
    """The population, with T its dtype."""

    parameters: np.ndarray  # T (n_networks, n_parameters)
    moments: np.ndarray  # T (n_networks, n_parameters), velocities; (0, 0) for sgd
    rates: np.ndarray  # float64 (n_rates, epochs), learning rates
    rate_of: np.ndarray  # int64 (n_networks,), row of `rates`
    same_rates: bool  # in every epoch
    momentum: np.ndarray  # T (n_networks,)
    l2: np.ndarray  # T (n_networks,)
    nesterov: bool
    with_l2: bool  # whether one of `l2` is not 0
    diverged: np.ndarray  # uint8 (n_networks,), 1 where the loss or a parameter stopped being finite
    losses: np.ndarray  # float64 (n_networks, epochs), means over the epoch's samples
    accuracies: np.ndarray  # float64 (n_networks, epochs), or (0, 0) where they are not wanted
    loss: int
    tol: float
    n_iter_no_change: int  # a network ends after more epochs than this without a loss lower by tol; 0: never
    stopped: np.ndarray  # int64 (n_networks,), epochs after which training ended so; 0 where it did not


class PopulationSamples(NamedTuple):
    """The training data."""

    inputs: np.ndarray  # T (n, n_inputs)
    targets: np.ndarray  # T (n, n_outputs)
    weights: np.ndarray  # T (n_networks, n), (1, n) for all networks, (0, 0) where every sample weighs 1
    seed: np.ndarray  # uint64 (1,) of the shuffles; (0,) for a fixed order


class Block(NamedTuple):
    """A block's samples and what their steps do to the first layer; K is `SAMPLES`, see `lane_blocks`."""

    inputs: np.ndarray  # T (n_inputs * K,), of every input the block's samples
    gram: np.ndarray  # T (K * K,), products of the samples
    products: np.ndarray  # T (K * n_first * LANES,), of the samples with the block's first weights
    updates: np.ndarray  # T, likewise, the steps' updates; (0,) where the first layer goes step by step
    kept: np.ndarray  # T (K * LANES,), what is left of each step's update after the penalties since
    left: np.ndarray  # T (LANES,), and of the block's first weights


class Chunk(NamedTuple):
    """One thread's networks under way."""

    parameters: np.ndarray  # T (n_parameters * LANES,)
    velocity: np.ndarray  # T, likewise, or (0,)
    z: np.ndarray  # T (n_units * LANES,), pre-activations
    a: np.ndarray  # T, likewise, activations
    delta: np.ndarray
    update: np.ndarray  # T, likewise: delta times the sample's weight and, without velocity, the rate
    lanes: np.ndarray  # T (N_NUMBERS * LANES,), numbers of each network
    sums: np.ndarray  # float64 (N_SUMS * LANES,)
    best: np.ndarray  # float64 (LANES,), lowest loss of an epoch yet
    waited: np.ndarray  # int64 (LANES,), epochs in a row that did not improve it
    layout: np.ndarray  # uint64 (n_layers, 8), see `lanes_layout`
    place: np.ndarray  # uint64 (n_parameters,), where a network's parameters are in `parameters`
    block: Block
    order: np.ndarray  # int64 (n,)
    random: np.ndarray  # uint64 (1,) or (0,)
    position: np.ndarray  # int64 (3,): the chunk's first network, epoch, sample


def lanes_layout(layout: np.ndarray) -> np.ndarray:
    """The layout of a chunk: offsets, and how many numbers a layer of units is, in lanes."""
    rows = layout.copy()
    rows[:, [FAN_OUT, WEIGHTS, BIASES, INPUTS, OUTPUTS]] *= L
    rows[:, FORM] = BY_ROWS
    return rows


def places(layout: np.ndarray) -> np.ndarray:
    """Where a network's parameters are in a chunk: in the first layer the weights of a unit lie together.

    They are what is read in a row. By inputs instead, weights of a unit of 32 are 4096 bytes apart, in the
    same lines of the first cache: a step of 64-32-10 took seven times as long.
    """
    n_parameters = int(layout[-1, BIASES] + layout[-1, FAN_OUT])
    place = np.arange(n_parameters, dtype=np.uint64)
    fan_in, fan_out = int(layout[0, FAN_IN]), int(layout[0, FAN_OUT])
    weights = slice(int(layout[0, WEIGHTS]), int(layout[0, WEIGHTS]) + fan_in * fan_out)
    place[weights] = place[weights].reshape(fan_out, fan_in).T.ravel()
    return place * L


def make_block(layout: np.ndarray, dtype: np.dtype, has_velocity: bool) -> Block:
    """Arrays for blocks, which pay from some inputs on and are for steps of the present gradient alone."""
    n_inputs, n_first = int(layout[0, FAN_IN]), int(layout[0, FAN_OUT])
    k = 0 if has_velocity or n_inputs < BLOCKED_INPUTS else SAMPLES
    return Block(
        aligned_zeros(n_inputs * k, dtype),
        aligned_zeros(k * k, dtype),
        aligned_zeros(k * n_first * LANES, dtype),
        aligned_zeros(k * n_first * LANES, dtype),
        aligned_zeros(k * LANES, dtype),
        aligned_zeros(LANES, dtype),
    )


def make_chunk(
    layout: np.ndarray, dtype: np.dtype, n_samples: int, has_velocity: bool, seed: np.ndarray, first: int
) -> Chunk:
    """Arrays for one thread that begins with network `first`."""
    n_parameters = int(layout[-1, BIASES] + layout[-1, FAN_OUT])
    z, a, delta, update = aligned_zeros((4, n_units(layout) * LANES), dtype)
    return Chunk(
        aligned_zeros(n_parameters * LANES, dtype),
        aligned_zeros(n_parameters * LANES if has_velocity else 0, dtype),
        z,
        a,
        delta,
        update,
        aligned_zeros(N_NUMBERS * LANES, dtype),
        aligned_zeros(N_SUMS * LANES, np.dtype(np.float64)),
        np.full(LANES, np.inf),
        np.zeros(LANES, np.int64),
        lanes_layout(layout),
        places(layout),
        make_block(layout, dtype, has_velocity),
        np.arange(n_samples, dtype=np.int64),
        seed.copy(),
        np.array([first, 0, 0], np.int64),
    )


@subroutine
def load_chunk(networks: Any, samples: Any, chunk: Any, first: Any, n: Any) -> None:
    """Lanes from the rows of the first of n networks on; lanes beyond them repeat the last."""
    chunk.position[EPOCH] = 0
    chunk.position[SAMPLE] = 0
    for j in range(chunk.order.size):
        chunk.order[j] = j
    for j in range(chunk.random.size):
        chunk.random[j] = samples.seed[j]
    for j in range(chunk.block.updates.size):
        chunk.block.updates[j] = 0
    for lane in range(LANES):
        chunk.best[lane] = np.inf
        chunk.waited[lane] = 0
        network = first + min(lane, n - 1)
        for p in range(networks.parameters.shape[1]):
            chunk.parameters[chunk.place[p] + np.uint64(lane)] = networks.parameters[network, p]
        if chunk.velocity.size > 0:
            for p in range(networks.parameters.shape[1]):
                chunk.velocity[chunk.place[p] + np.uint64(lane)] = networks.moments[network, p]
        chunk.lanes[MOMENTUM + np.uint64(lane)] = networks.momentum[network]
        chunk.lanes[L2 + np.uint64(lane)] = networks.l2[network]


@subroutine
def unload_lane(networks: Any, chunk: Any, network: Any, lane: Any) -> None:
    """A network's row from its lane; if its parameters are not finite, it has diverged."""
    check = networks.parameters.dtype.type(0)
    for p in range(networks.parameters.shape[1]):
        value = chunk.parameters[chunk.place[p] + np.uint64(lane)]
        networks.parameters[network, p] = value
        check += value - value
    if chunk.velocity.size > 0:
        for p in range(networks.parameters.shape[1]):
            networks.moments[network, p] = chunk.velocity[chunk.place[p] + np.uint64(lane)]
    if not np.isfinite(check):
        networks.diverged[network] = 1


@subroutine
def unload_chunk(networks: Any, chunk: Any, first: Any, n: Any) -> None:
    """Rows from the lanes, of all networks whose training has not ended before."""
    for lane in range(n):
        if networks.stopped[first + lane] == 0:
            unload_lane(networks, chunk, first + lane, lane)


@subroutine
def freeze_lanes(networks: Any, chunk: Any, first: Any, n: Any) -> None:
    """Mark the networks whose loss is not finite, and make zeros of their lanes."""
    real = chunk.parameters.dtype.type
    for lane in range(L):
        if np.isfinite(chunk.lanes[STEP_LOSS + lane]):
            continue
        network = first + min(np.int64(lane), n - 1)
        if networks.stopped[network] == 0:
            networks.diverged[network] = 1
        chunk.lanes[STEP_LOSS + lane] = real(0)
        for p in range(lane, np.uint64(chunk.parameters.size), L):
            chunk.parameters[p] = real(0)
        for p in range(lane, np.uint64(chunk.velocity.size), L):
            chunk.velocity[p] = real(0)
        for j in range(lane, np.uint64(chunk.block.updates.size), L):
            chunk.block.products[j] = real(0)
            chunk.block.updates[j] = real(0)
        for j in range(lane, np.uint64(chunk.z.size), L):
            chunk.z[j] = real(0)
            chunk.a[j] = real(0)
            chunk.delta[j] = real(0)
