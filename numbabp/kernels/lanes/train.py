"""The lanes kernel: many small networks at once, each in a lane of the processor's vectors.

The network's index is innermost: a chunk of as many networks as a vector takes (`compiler.vectors`) has its
parameters in T (n_parameters, LANES) and its units in T (n_units, LANES), so that every scalar operation of
one network is a vector operation over all of them, however small the layers. Chunks are independent: a chunk
is loaded from the rows of the population's parameters, trained through all epochs, and stored again, while
its arrays stay in the first cache.

A network takes the steps that `sequential.train_sgd` would take with it alone, up to rounding; sgd,
momentum, nesterov and, see `adaptive`, the rules of means of squares, with a learning rate, momentum, L2 and
sample weights of its own, and the same order of samples for all or, see `orders`, one of its own. Reference:
`train` in tests/reference.py, network by network. Compiled for constant sizes 2-10-1 took the same time, 5.8
ns in float32 on a Xeon: 34 vector operations a hidden unit, of which the processor begins 1.5 a cycle.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function, subroutine, training_kernel
from ...compiler.vectors import accumulate, any_nan, load, n_lanes, splat, store, where_greater
from ..shuffling import shuffle
from .adaptive import set_rows
from .batch_layers import train_part
from .batches import part_from
from .blocks import begin_block, end_block, shrink_kept
from .chunks import (
    AT_EPOCH,
    AT_NETWORK,
    AT_SAMPLE,
    BLOCK_LOSS,
    BLOCK_RIGHT,
    BLOCK_WEIGHT,
    EPOCH_RATE,
    EPOCH_SHRINK,
    IS_BEST,
    LOSS_SUM,
    NETWORK_L2,
    NETWORK_MOMENTUM,
    RIGHT_SUM,
    SAMPLES,
    STEP_FACTOR,
    STEP_L2,
    STEP_MOMENTUM,
    STEP_RATE,
    STEP_SHRINK,
    STEP_WEIGHT,
    WEIGHT_SUM,
    freeze_lanes,
    load_chunk,
    unload_best,
    unload_chunk,
)
from .layers import backward, begin_forward, first_units, forward, take_loss
from .orders import advance, begin_own, sample_of, take_following


@subroutine
def _set_step(samples: Any, chunk: Any, first: Any, n: Any, s: Any) -> None:
    """The lanes' numbers for sample s; one of weight 0 changes nothing."""
    numbers = chunk.lanes
    real, lanes = numbers.dtype.type, n_lanes(numbers)
    for lane in range(lanes):
        weight = real(1)
        if samples.weights.shape[0] == 1:
            weight = samples.weights[0, sample_of(chunk.own, s, lane)]
        elif samples.weights.shape[0] > 1:
            weight = samples.weights[first + min(np.int64(lane), n - 1), sample_of(chunk.own, s, lane)]
        taken = real(1) if weight > real(0) else real(0)
        rate = taken * numbers[EPOCH_RATE * lanes + lane]
        numbers[STEP_WEIGHT * lanes + lane] = weight
        numbers[STEP_FACTOR * lanes + lane] = weight if chunk.velocity.size > 0 else weight * rate
        numbers[STEP_RATE * lanes + lane] = rate
        numbers[STEP_SHRINK * lanes + lane] = taken * numbers[EPOCH_SHRINK * lanes + lane]
        numbers[STEP_L2 * lanes + lane] = taken * numbers[NETWORK_L2 * lanes + lane]
        momentum = numbers[NETWORK_MOMENTUM * lanes + lane]
        numbers[STEP_MOMENTUM * lanes + lane] = momentum if weight > real(0) else real(1)
        numbers[BLOCK_WEIGHT * lanes + lane] += weight


@subroutine
def _begin_epoch(networks: Any, samples: Any, chunk: Any, first: Any, n: Any) -> None:
    """The epoch's rates, and no losses yet."""
    for j in range(chunk.sums.size):
        chunk.sums[j] = 0.0
    if networks.same_rates and chunk.position[AT_EPOCH] > 0:
        return
    real, lanes = chunk.parameters.dtype.type, n_lanes(chunk.parameters)
    for lane in range(lanes):
        network = first + min(np.int64(lane), n - 1)
        rate = networks.rates[networks.rate_of[network], chunk.position[AT_EPOCH]]
        chunk.lanes[EPOCH_RATE * lanes + lane] = rate
        chunk.lanes[EPOCH_SHRINK * lanes + lane] = real(rate * networks.l2[network])
    if samples.weights.shape[0] == 0:
        _set_step(samples, chunk, first, n, 0)


@scalar_function
def _begin(networks: Any, samples: Any, chunk: Any, batch: Any) -> None:
    """The first layer for the first sample, unless blocks or parts begin with it."""
    if batch is None and chunk.block.updates.size == 0:
        begin_forward(networks, chunk, samples, chunk.order[0])


@scalar_function
def _train_some(networks: Any, samples: Any, chunk: Any, batch: Any, first: Any, n: Any, j: Any) -> Any:
    """A block of samples from the order's entry j on, or a part of a mini-batch; how many they are."""
    _clear_sums(chunk)
    if batch is not None:  # known when a kernel is compiled
        count = part_from(chunk, j)
        train_part(networks, samples, chunk, first, n, j, count)
        if j + np.int64(count) == chunk.order.size:
            take_following(chunk.own, samples, _following(chunk, chunk.order.size - 1))
    else:
        count = np.uint64(min(SAMPLES, chunk.order.size - j))
        _train_block(networks, samples, chunk, first, n, j, count)
    _sum_up(networks, samples, chunk, first, n)
    return np.int64(count)


@scalar_function
def _train_block(networks: Any, samples: Any, chunk: Any, first: Any, n: Any, j: Any, count: Any) -> None:
    """Steps with `count` samples from the order's entry j on."""
    in_blocks = chunk.block.updates.size > 0
    is_weighted = samples.weights.shape[0] > 0
    s = chunk.order[j]
    if in_blocks:
        begin_block(chunk, samples, j, count)
        begin_forward(networks, chunk, samples, s)
    for t in range(count):
        following = _following(chunk, j + np.int64(t))
        take_following(chunk.own, samples, following)
        if in_blocks and t + np.uint64(1) == count:
            following = -1  # its products are yet to come
        if is_weighted:
            _set_step(samples, chunk, first, n, s)
        set_rows(networks.rule, chunk)
        forward(networks, chunk)
        take_loss(networks, samples, chunk, s)
        if in_blocks and networks.with_l2:
            shrink_kept(chunk, t)
        backward(networks, chunk, samples, (s, following, t))
        advance(chunk.own)
        s = following
    if in_blocks:
        end_block(chunk, networks.with_l2, count)


@scalar_function
def _following(chunk: Any, j: Any) -> Any:
    """The sample after the order's entry j; after the last one, the first of the next epoch's order."""
    if j + 1 < chunk.order.size:
        return chunk.order[j + 1]
    if chunk.random.size > 0:
        shuffle(chunk.order, chunk.random)
    return chunk.order[0]


@scalar_function
def _clear_sums(chunk: Any) -> None:
    """Begin the sums of a block."""
    zero, lanes = splat(chunk.lanes.dtype.type(0)), n_lanes(chunk.lanes)
    store(chunk.lanes, BLOCK_LOSS * lanes, zero)
    store(chunk.lanes, BLOCK_WEIGHT * lanes, zero)
    store(chunk.lanes, BLOCK_RIGHT * lanes, zero)


@scalar_function
def _sum_up(networks: Any, samples: Any, chunk: Any, first: Any, n: Any) -> None:
    """Add a block's sums to the epoch's; networks that diverged in it are frozen."""
    loss = load(chunk.lanes, BLOCK_LOSS * n_lanes(chunk.lanes))
    if any_nan(loss - loss):
        freeze_lanes(networks, chunk, first, n)
    _add_sums(networks, samples, chunk)


@scalar_function
def _add_sums(networks: Any, samples: Any, chunk: Any) -> None:
    """Add a block's sums to the epoch's."""
    numbers, sums, lanes = chunk.lanes, chunk.sums, n_lanes(chunk.lanes)
    accumulate(sums, LOSS_SUM * lanes, load(numbers, BLOCK_LOSS * lanes))
    if samples.weights.shape[0] > 0:
        accumulate(sums, WEIGHT_SUM * lanes, load(numbers, BLOCK_WEIGHT * lanes))
    if networks.accuracies.size > 0:
        accumulate(sums, RIGHT_SUM * lanes, load(numbers, BLOCK_RIGHT * lanes))


@subroutine
def _record(networks: Any, samples: Any, chunk: Any, first: Any, n: Any) -> bool:
    """The epoch's means; a network that no longer improves ends. True once every one has ended."""
    lanes = n_lanes(chunk.lanes)
    row = chunk.position[AT_EPOCH] * networks.parameters.shape[0] + first
    _record_means(networks, samples, chunk, networks.losses, row, n, LOSS_SUM * lanes)
    if networks.accuracies.size > 0:
        _record_means(networks, samples, chunk, networks.accuracies, row, n, RIGHT_SUM * lanes)
    _validate(networks, chunk.validation, row, n)
    if networks.n_iter_no_change == 0 and networks.patience == 0:
        return False
    return _end_where_no_change(networks, chunk, row, first, n)


@subroutine
def _validate(networks: Any, validation: Any, row: Any, n: Any) -> None:
    """Mean loss and accuracy of the chunk's networks on samples that they do not learn from."""
    if validation is not None:  # known when a kernel is compiled
        samples, chunk = validation.samples, validation.chunk
        lanes, n_samples = n_lanes(chunk.lanes), samples.inputs.shape[0]
        for j in range(chunk.sums.size):
            chunk.sums[j] = 0.0
        for block in range(0, n_samples, SAMPLES):
            _clear_sums(chunk)
            for s in range(block, min(block + SAMPLES, n_samples)):
                first_units(networks, chunk, samples, s)
                forward(networks, chunk)
                take_loss(networks, samples, chunk, s)
            _add_sums(networks, samples, chunk)
        _record_means(networks, samples, chunk, validation.losses, row, n, LOSS_SUM * lanes)
        if networks.accuracies.size > 0:
            _record_means(networks, samples, chunk, validation.accuracies, row, n, RIGHT_SUM * lanes)


@scalar_function
def _record_means(
    networks: Any, samples: Any, chunk: Any, means: Any, row: Any, n: Any, of_sums: Any
) -> None:
    """Means of a chunk's sums from of_sums on; a chunk of four steps takes a tenth longer without vectors."""
    lanes, sums = n_lanes(chunk.lanes), chunk.sums
    share = 1.0 / chunk.order.size
    if samples.weights.shape[0] == 0 and np.uint64(n) == lanes:
        for k in range(np.uint64(0), lanes, n_lanes(sums)):
            store(means, np.uint64(row) + k, share * load(sums, of_sums + k))
        return
    for lane in range(n):
        j = np.uint64(lane)
        if samples.weights.shape[0] > 0:
            share = 1.0 / sums[WEIGHT_SUM * lanes + j]
        means[row + lane] = sums[of_sums + j] * share


@subroutine
def _end_where_no_change(networks: Any, chunk: Any, row: Any, first: Any, n: Any) -> bool:
    """End the networks whose loss has not improved for long; whether every one has ended.

    By one of the two rules of `training.stopping.Patience`: with patience that of early stopping.
    """
    epoch, numbers = chunk.position[AT_EPOCH], chunk.lanes
    real, lanes = numbers.dtype.type, n_lanes(numbers)
    stops_early = networks.patience > 0
    for lane in range(lanes):
        numbers[IS_BEST * lanes + lane] = real(0)
    for lane in range(n):
        loss, enough = networks.watched[row + lane], chunk.best[lane] - networks.tol
        improved = loss < enough if stops_early else loss <= enough
        chunk.waited[lane] = 0 if improved else chunk.waited[lane] + 1
        if loss < chunk.best[lane]:
            chunk.best[lane] = loss
            numbers[IS_BEST * lanes + np.uint64(lane)] = real(1)
    if chunk.best_parameters.size > 0:
        _keep_best(chunk)
    most = networks.patience - 1 if stops_early else networks.n_iter_no_change
    all_ended = True
    for lane in range(n):
        if networks.stopped[first + lane] > 0:
            continue
        if chunk.waited[lane] > most:
            # its lane goes on beside the others, but what it computes is not looked at
            unload_best(networks, chunk, first + lane, lane)
            networks.stopped[first + lane] = epoch + 1
            networks.n_epochs[first + lane] = epoch + 1
        else:
            all_ended = False
    return all_ended


@subroutine
def _keep_best(chunk: Any) -> None:
    """Copy the parameters of the networks whose epoch was the best one yet."""
    lanes = n_lanes(chunk.lanes)
    is_best, half = load(chunk.lanes, IS_BEST * lanes), splat(chunk.lanes.dtype.type(0.5))
    best = chunk.best_parameters
    for p in range(np.uint64(0), np.uint64(best.size), lanes):
        store(best, p, where_greater(is_best, half, load(chunk.parameters, p), load(best, p)))


@training_kernel
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
    done = 0
    while position[AT_NETWORK] < stop_network and done < max_samples:
        first = position[AT_NETWORK]
        n = min(np.int64(n_lanes(chunk.parameters)), stop_network - first)
        if position[AT_EPOCH] == 0 and position[AT_SAMPLE] == 0:
            load_chunk(networks, samples, chunk, first, n)
            begin_own(chunk.own, samples, first, n)
            if chunk.random.size > 0:
                shuffle(chunk.order, chunk.random)
            _begin(networks, samples, chunk, chunk.batch)
        while position[AT_EPOCH] < networks.rates.shape[1] and done < max_samples:
            if position[AT_SAMPLE] == 0:
                _begin_epoch(networks, samples, chunk, first, n)
            j = position[AT_SAMPLE]
            until = min(n_samples, j + max_samples - done)
            done -= j
            while j < until:  # and on to a block's end, which changes the last bits
                j += _train_some(networks, samples, chunk, chunk.batch, first, n, j)
            done += j
            position[AT_SAMPLE] = j
            if j == n_samples:
                all_ended = _record(networks, samples, chunk, first, n)
                position[AT_SAMPLE] = 0
                position[AT_EPOCH] = networks.rates.shape[1] if all_ended else position[AT_EPOCH] + 1
        unload_chunk(networks, chunk, first, n)
        if position[AT_EPOCH] == networks.rates.shape[1]:
            position[AT_NETWORK] += n
            position[AT_EPOCH] = 0
    return done
