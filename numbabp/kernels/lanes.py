"""The lanes kernel: many small networks at once, each in a lane of the processor's vectors.

The network's index is innermost: a chunk of `LANES` networks has its parameters in T (n_parameters, LANES)
and its units in T (n_units, LANES), so that every scalar operation of one network is a vector operation over
all of them, however small the layers. Chunks are independent: a chunk is loaded from the rows of the
population's parameters, trained through all epochs, and stored again, while its arrays stay in the first
cache.

A network takes the steps that `sequential.train_sgd` would take with it alone, up to rounding; sgd,
momentum and nesterov, with a learning rate, momentum, L2 and sample weights of its own, and the same order of
samples for all. Reference: `train` in tests/reference.py, network by network.
"""

from typing import Any

import numpy as np

from ..compiling import kernel, scalar_function, subroutine
from ..vectors import any_nan, load, splat, store, widen
from .lane_blocks import begin_block, end_block
from .lane_chunks import (
    ACCURACY,
    EPOCH,
    L2,
    LOSS,
    MOMENTUM,
    NETWORK,
    RATE,
    SAMPLE,
    SAMPLES,
    SHRINK,
    STEP_L2,
    STEP_LOSS,
    STEP_MOMENTUM,
    STEP_RATE,
    STEP_SHRINK,
    WEIGHT,
    WEIGHT_SUM,
    L,
    freeze_lanes,
    load_chunk,
    unload_chunk,
    unload_lane,
)
from .lane_layers import backward, forward, output_gradient, weight_of_right
from .shuffling import shuffle


@subroutine
def _set_step(samples: Any, chunk: Any, first: Any, n: Any, s: Any) -> None:
    """The lanes' numbers for sample s; one of weight 0 changes nothing."""
    lanes = chunk.lanes
    real = lanes.dtype.type
    for lane in range(L):
        weight = real(1)
        if samples.weights.shape[0] == 1:
            weight = samples.weights[0, s]
        elif samples.weights.shape[0] > 1:
            weight = samples.weights[first + min(np.int64(lane), n - 1), s]
        taken = real(1) if weight > real(0) else real(0)
        lanes[WEIGHT + lane] = weight
        lanes[STEP_RATE + lane] = taken * lanes[RATE + lane]
        lanes[STEP_SHRINK + lane] = taken * lanes[SHRINK + lane]
        lanes[STEP_L2 + lane] = taken * lanes[L2 + lane]
        lanes[STEP_MOMENTUM + lane] = lanes[MOMENTUM + lane] if weight > real(0) else real(1)


@subroutine
def _begin_epoch(networks: Any, samples: Any, chunk: Any, first: Any, n: Any) -> None:
    """The epoch's order and rates."""
    if chunk.random.size > 0:
        shuffle(chunk.order, chunk.random)
    zero = splat(0.0)
    store(chunk.sums, LOSS, zero)
    store(chunk.sums, WEIGHT_SUM, zero)
    store(chunk.sums, ACCURACY, zero)
    if networks.same_rates and chunk.position[EPOCH] > 0:
        return
    real = chunk.parameters.dtype.type
    for lane in range(L):
        network = first + min(np.int64(lane), n - 1)
        rate = networks.rates[networks.rate_of[network], chunk.position[EPOCH]]
        chunk.lanes[RATE + lane] = rate
        chunk.lanes[SHRINK + lane] = real(rate * networks.l2[network])
    if samples.weights.shape[0] == 0:
        _set_step(samples, chunk, first, n, 0)


@scalar_function
def _observe(networks: Any, samples: Any, chunk: Any, first: Any, n: Any, s: Any) -> None:
    """Losses, output gradients and accuracies of sample s; networks that diverge are frozen."""
    output_gradient(networks, samples, chunk, s)
    sums, lanes = chunk.sums, chunk.lanes
    loss = load(lanes, STEP_LOSS)
    if any_nan(loss - loss):
        freeze_lanes(networks, chunk, first, n)
    weight = load(lanes, WEIGHT)
    store(sums, LOSS, load(sums, LOSS) + widen(weight * load(lanes, STEP_LOSS)))
    store(sums, WEIGHT_SUM, load(sums, WEIGHT_SUM) + widen(weight))
    right = weight_of_right(networks, samples, chunk, s)
    store(sums, ACCURACY, load(sums, ACCURACY) + widen(right))


@subroutine
def _record(networks: Any, chunk: Any, first: Any, n: Any) -> bool:
    """The epoch's means; a network that no longer improves ends. True once every one has ended."""
    epoch = chunk.position[EPOCH]
    all_ended = True
    for lane in range(n):
        if networks.stopped[first + lane] > 0:
            continue
        j = np.uint64(lane)
        loss = chunk.sums[LOSS + j] / chunk.sums[WEIGHT_SUM + j]
        networks.losses[first + lane, epoch] = loss
        if networks.accuracies.size > 0:
            networks.accuracies[first + lane, epoch] = chunk.sums[ACCURACY + j] / chunk.sums[WEIGHT_SUM + j]
        chunk.waited[lane] = 0 if loss <= chunk.best[lane] - networks.tol else chunk.waited[lane] + 1
        chunk.best[lane] = min(loss, chunk.best[lane])
        if 0 < networks.n_iter_no_change < chunk.waited[lane]:
            # its lane goes on beside the others, but what it computes is no longer stored
            unload_lane(networks, chunk, first + lane, lane)
            networks.stopped[first + lane] = epoch + 1
        else:
            all_ended = False
    return all_ended


@kernel
def train_lanes(networks: Any, samples: Any, chunk: Any, stop_network: Any, max_samples: Any) -> int:
    """Train chunk after chunk, up to network `stop_network`, for `max_samples` steps of a chunk.

    Where it stands is in `chunk.position`; the rows of the networks under way are stored at every return.

    Parameters
    ----------
    networks, samples, chunk
        See `Networks`, `PopulationSamples` and `Chunk`; changed in place.
    stop_network
        First network that is not trained.
    max_samples
        Steps of a chunk until the return, at least 1.

    Returns
    -------
    int
        Steps of a chunk that were taken.
    """
    position = chunk.position
    n_samples = chunk.order.size
    in_blocks = chunk.block.updates.size > 0
    done = 0
    while position[NETWORK] < stop_network and done < max_samples:
        first = position[NETWORK]
        n = min(np.int64(L), stop_network - first)
        if position[EPOCH] == 0 and position[SAMPLE] == 0:
            load_chunk(networks, samples, chunk, first, n)
        while position[EPOCH] < networks.rates.shape[1] and done < max_samples:
            if position[SAMPLE] == 0:
                _begin_epoch(networks, samples, chunk, first, n)
            until = min(n_samples, position[SAMPLE] + max_samples - done)
            if in_blocks:  # whole ones: where they begin changes the last bits
                until = min(n_samples, -(-until // SAMPLES) * SAMPLES)
            done += until - position[SAMPLE]
            for j in range(position[SAMPLE], until):
                s, t = chunk.order[j], np.uint64(j) % np.uint64(SAMPLES)
                if in_blocks and t == 0:
                    begin_block(chunk, samples, j, np.uint64(min(SAMPLES, n_samples - j)))
                if samples.weights.shape[0] > 0:
                    _set_step(samples, chunk, first, n, s)
                forward(networks, chunk, samples, s, t)
                _observe(networks, samples, chunk, first, n, s)
                backward(networks, chunk, samples, s, t)
                if in_blocks and (t == SAMPLES - 1 or j == n_samples - 1):
                    end_block(chunk, networks.with_l2, t + np.uint64(1))
            position[SAMPLE] = until
            if until == n_samples:
                all_ended = _record(networks, chunk, first, n)
                position[SAMPLE] = 0
                position[EPOCH] = networks.rates.shape[1] if all_ended else position[EPOCH] + 1
        unload_chunk(networks, chunk, first, n)
        if position[EPOCH] == networks.rates.shape[1]:
            position[NETWORK] += n
            position[EPOCH] = 0
    return done
