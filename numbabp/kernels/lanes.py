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

import math
from typing import Any, NamedTuple

import numpy as np

from .. import losses
from ..activations import SIGMOID, SOFTMAX, sigmoid
from ..arrays import aligned_zeros
from ..compiling import kernel, scalar_function, subroutine
from ..elementary import exp, log1p_unit
from ..vectors import LANES, any_nan, load, splat, store, where_greater, widen
from .layers import (
    ACTIVATION,
    BIASES,
    BY_ROWS,
    FAN_IN,
    FAN_OUT,
    FORM,
    INPUTS,
    OUTPUTS,
    WEIGHTS,
    activate,
    multiply_by_derivative,
    n_units,
)
from .shuffling import shuffle

# Entries of Progress.position.
NETWORK, EPOCH, SAMPLE = range(3)
_L = np.uint64(LANES)
_ZERO, _ONE, _TWO = np.uint64(0), np.uint64(1), np.uint64(2)
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
    order: np.ndarray  # int64 (n,)
    random: np.ndarray  # uint64 (1,) or (0,)
    position: np.ndarray  # int64 (3,): the chunk's first network, epoch, sample


def lanes_layout(layout: np.ndarray) -> np.ndarray:
    """The layout of a chunk: offsets, and how many numbers a layer of units is, in lanes."""
    rows = layout.copy()
    rows[:, [FAN_OUT, WEIGHTS, BIASES, INPUTS, OUTPUTS]] *= _L
    rows[:, FORM] = BY_ROWS
    return rows


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
        np.arange(n_samples, dtype=np.int64),
        seed.copy(),
        np.array([first, 0, 0], np.int64),
    )


@subroutine
def _load(networks: Any, samples: Any, chunk: Any, first: Any, n: Any) -> None:
    """Lanes from the rows of the first of n networks on; lanes beyond them repeat the last."""
    chunk.position[EPOCH] = 0
    chunk.position[SAMPLE] = 0
    for j in range(chunk.order.size):
        chunk.order[j] = j
    for j in range(chunk.random.size):
        chunk.random[j] = samples.seed[j]
    for lane in range(LANES):
        chunk.best[lane] = np.inf
        chunk.waited[lane] = 0
        network = first + min(lane, n - 1)
        for p in range(networks.parameters.shape[1]):
            chunk.parameters[p * LANES + lane] = networks.parameters[network, p]
        if chunk.velocity.size > 0:
            for p in range(networks.parameters.shape[1]):
                chunk.velocity[p * LANES + lane] = networks.moments[network, p]
        chunk.lanes[MOMENTUM + np.uint64(lane)] = networks.momentum[network]
        chunk.lanes[L2 + np.uint64(lane)] = networks.l2[network]


@subroutine
def _unload_lane(networks: Any, chunk: Any, network: Any, lane: Any) -> None:
    """A network's row from its lane; if its parameters are not finite, it has diverged."""
    check = networks.parameters.dtype.type(0)
    for p in range(networks.parameters.shape[1]):
        value = chunk.parameters[p * LANES + lane]
        networks.parameters[network, p] = value
        check += value - value
    if chunk.velocity.size > 0:
        for p in range(networks.parameters.shape[1]):
            networks.moments[network, p] = chunk.velocity[p * LANES + lane]
    if not np.isfinite(check):
        networks.diverged[network] = 1


@subroutine
def _unload(networks: Any, chunk: Any, first: Any, n: Any) -> None:
    """Rows from the lanes, of all networks whose training has not ended before."""
    for lane in range(n):
        if networks.stopped[first + lane] == 0:
            _unload_lane(networks, chunk, first + lane, lane)


@subroutine
def _set_step(samples: Any, chunk: Any, first: Any, n: Any, s: Any) -> None:
    """The lanes' numbers for sample s; one of weight 0 changes nothing."""
    lanes = chunk.lanes
    real = lanes.dtype.type
    for lane in range(_L):
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
    for lane in range(_L):
        network = first + min(np.int64(lane), n - 1)
        rate = networks.rates[networks.rate_of[network], chunk.position[EPOCH]]
        chunk.lanes[RATE + lane] = rate
        chunk.lanes[SHRINK + lane] = real(rate * networks.l2[network])
    if samples.weights.shape[0] == 0:
        _set_step(samples, chunk, first, n, 0)


@scalar_function
def _affine_of_sample(chunk: Any, samples: Any, s: Any) -> None:
    """z = b + W^T x of the first layer, whose inputs are one number for all lanes."""
    w, z = chunk.parameters, chunk.z
    fan_in, size = chunk.layout[0, FAN_IN], chunk.layout[0, FAN_OUT]
    b, out = chunk.layout[0, BIASES], chunk.layout[0, OUTPUTS]
    for k in range(_ZERO, size, _L):
        total = load(w, b + k)
        for i in range(fan_in):
            total = total + samples.inputs[s, i] * load(w, i * size + k)
        store(z, out + k, total)


@scalar_function
def _affine(chunk: Any, layer: Any) -> None:
    """z = b + W^T a of a later layer, with two sums so that one need not wait for the other."""
    w, a, z = chunk.parameters, chunk.a, chunk.z
    fan_in, size = chunk.layout[layer, FAN_IN], chunk.layout[layer, FAN_OUT]
    b, out = chunk.layout[layer, BIASES], chunk.layout[layer, OUTPUTS]
    x = chunk.layout[layer, INPUTS]
    odd = fan_in % _TWO
    for k in range(_ZERO, size, _L):
        row = chunk.layout[layer, WEIGHTS] + k
        even_sum = load(w, b + k)
        if odd == _ONE:
            even_sum = even_sum + load(a, x) * load(w, row)
        odd_sum = even_sum - even_sum
        for i in range(odd, fan_in, _TWO):
            even_sum = even_sum + load(a, x + i * _L) * load(w, row + i * size)
            odd_sum = odd_sum + load(a, x + (i + _ONE) * _L) * load(w, row + (i + _ONE) * size)
        store(z, out + k, even_sum + odd_sum)


@scalar_function
def _exponentials(z: Any, out: Any, start: Any, size: Any) -> Any:
    """out = e^(z - max z) over the units of one layer; that maximum and their sum, lane by lane."""
    highest = load(z, start)
    for k in range(_L, size, _L):
        other = load(z, start + k)
        highest = where_greater(other, highest, other, highest)
    for k in range(_ZERO, size, _L):
        store(out, start + k, load(z, start + k) - highest)
    for j in range(size):
        out[start + j] = exp(out[start + j])
    total = load(out, start)
    for k in range(_L, size, _L):
        total = total + load(out, start + k)
    return highest, total


@subroutine
def _softmax(chunk: Any, start: Any, size: Any) -> None:
    """a = e^(z - max z) / sum, lane by lane, over the units of one layer."""
    a = chunk.a
    _, total = _exponentials(chunk.z, a, start, size)
    for k in range(_ZERO, size, _L):
        store(a, start + k, load(a, start + k) / total)


@subroutine
def _times_softmax_jacobian(a: Any, delta: Any, start: Any, size: Any) -> None:
    """delta_k = a_k (g_k - sum_j g_j a_j), lane by lane."""
    mean = load(a, start) * load(delta, start)
    for k in range(_L, size, _L):
        mean = mean + load(a, start + k) * load(delta, start + k)
    for k in range(_ZERO, size, _L):
        store(delta, start + k, load(a, start + k) * (load(delta, start + k) - mean))


@scalar_function
def _forward(chunk: Any, samples: Any, s: Any) -> None:
    """Pre-activations and activations of every layer for sample s."""
    layout = chunk.layout
    for layer in range(len(layout)):
        if layer == 0:
            _affine_of_sample(chunk, samples, s)
        else:
            _affine(chunk, layer)
        start, size = layout[layer, OUTPUTS], layout[layer, FAN_OUT]
        if layout[layer, ACTIVATION] == SIGMOID:
            for j in range(start, start + size, _L):
                store(chunk.a, j, sigmoid(load(chunk.z, j)))
        elif layout[layer, ACTIVATION] == SOFTMAX:
            _softmax(chunk, start, size)
        else:
            activate(layout[layer, ACTIVATION], chunk.z, chunk.a, start, size)


@subroutine
def _categorical_cross_entropy(chunk: Any, samples: Any, s: Any, start: Any, size: Any) -> None:
    """Loss -sum y_k log softmax(z)_k and its gradient a sum(y) - y."""
    z, a, delta, lanes = chunk.z, chunk.a, chunk.delta, chunk.lanes
    mass = a.dtype.type(0)
    for k in range(size // _L):
        mass += samples.targets[s, k]
    highest, total = _exponentials(z, delta, start, size)
    store(lanes, STEP_LOSS, total)
    for lane in range(_L):
        lanes[STEP_LOSS + lane] = math.log(lanes[STEP_LOSS + lane])
    normaliser = highest + load(lanes, STEP_LOSS)
    loss = normaliser - normaliser
    for k in range(size // _L):
        y = samples.targets[s, k]
        j = start + k * _L
        loss = loss + y * (normaliser - load(z, j))
        store(delta, j, mass * load(a, j) - y)
    store(lanes, STEP_LOSS, loss)


@subroutine
def _losses(loss: Any, a: Any, delta: Any, out: Any, start: Any, y: Any) -> None:
    """Losses of one output's lanes at out[: LANES], and their gradients dLoss/da in `delta`."""
    if loss == losses.SQUARED_ERROR:
        for lane in range(_L):
            out[lane] = losses.squared_error(a[start + lane], y)
            delta[start + lane] = losses.squared_error_gradient(a[start + lane], y)
    elif loss == losses.ABSOLUTE_ERROR:
        for lane in range(_L):
            out[lane] = losses.absolute_error(a[start + lane], y)
            delta[start + lane] = losses.absolute_error_gradient(a[start + lane], y)
    else:
        for lane in range(_L):
            out[lane] = losses.huber(a[start + lane], y)
            delta[start + lane] = losses.huber_gradient(a[start + lane], y)


@scalar_function
def _softplus(z: Any) -> Any:
    """`activations.softplus` of a vector: max(z, 0) + log(1 + e^-|z|)."""
    zero = z - z
    positive = where_greater(z, zero, z, zero)
    return positive + log1p_unit(exp((z - positive) - positive))


@scalar_function
def _output_gradient(networks: Any, samples: Any, chunk: Any, s: Any) -> None:
    """Losses of sample s, with dLoss/dz (the cross-entropies) or dLoss/da in `delta` of the output layer."""
    last = len(chunk.layout) - 1
    start, size = chunk.layout[last, OUTPUTS], chunk.layout[last, FAN_OUT]
    z, a, delta, update, lanes = chunk.z, chunk.a, chunk.delta, chunk.update, chunk.lanes
    if networks.loss == losses.CATEGORICAL_CROSS_ENTROPY:
        _categorical_cross_entropy(chunk, samples, s, start, size)
        return
    total = splat(a.dtype.type(0))
    for k in range(size // _L):
        y = samples.targets[s, k]
        j = start + k * _L
        if networks.loss == losses.BINARY_CROSS_ENTROPY:
            outputs = load(z, j)
            store(delta, j, load(a, j) - y)
            total = total + (_softplus(outputs) - y * outputs)
        else:
            _losses(networks.loss, a, delta, update, j, y)
            total = total + load(update, _ZERO)
    store(lanes, STEP_LOSS, total)


@scalar_function
def _weight_of_right(networks: Any, samples: Any, chunk: Any, s: Any) -> Any:
    """The sample's weight where the prediction is right, else 0; see `layers.accuracy`."""
    last = len(chunk.layout) - 1
    start, n = chunk.layout[last, OUTPUTS], chunk.layout[last, FAN_OUT] // _L
    a = chunk.a
    right = load(chunk.lanes, WEIGHT)
    wrong = right - right
    if n == _ONE or networks.loss == losses.BINARY_CROSS_ENTROPY:
        half = a.dtype.type(0.5)
        for k in range(n):
            outputs = load(a, start + k * _L)
            if samples.targets[s, k] > half:
                right = where_greater(outputs, splat(half), right, wrong)
            else:
                right = where_greater(outputs, splat(half), wrong, right)
        return right
    wanted: Any = _ZERO
    for k in range(n):
        if samples.targets[s, k] > samples.targets[s, wanted]:
            wanted = k
    highest = load(a, start + wanted * _L)
    for k in range(n):  # of equal outputs the first is the prediction
        outputs = load(a, start + k * _L)
        if k < wanted:
            right = where_greater(highest, outputs, right, wrong)
        else:
            right = where_greater(outputs, highest, wrong, right)
    return right


@subroutine
def _freeze(networks: Any, chunk: Any, first: Any, n: Any) -> None:
    """Mark the networks whose loss is not finite, and make zeros of their lanes."""
    real = chunk.parameters.dtype.type
    for lane in range(_L):
        if np.isfinite(chunk.lanes[STEP_LOSS + lane]):
            continue
        network = first + min(np.int64(lane), n - 1)
        if networks.stopped[network] == 0:
            networks.diverged[network] = 1
        chunk.lanes[STEP_LOSS + lane] = real(0)
        for p in range(lane, np.uint64(chunk.parameters.size), _L):
            chunk.parameters[p] = real(0)
        for p in range(lane, np.uint64(chunk.velocity.size), _L):
            chunk.velocity[p] = real(0)
        for j in range(lane, np.uint64(chunk.z.size), _L):
            chunk.z[j] = real(0)
            chunk.a[j] = real(0)
            chunk.delta[j] = real(0)


@scalar_function
def _observe(networks: Any, samples: Any, chunk: Any, first: Any, n: Any, s: Any) -> None:
    """Losses, output gradients and accuracies of sample s; networks that diverge are frozen."""
    _output_gradient(networks, samples, chunk, s)
    sums, lanes = chunk.sums, chunk.lanes
    loss = load(lanes, STEP_LOSS)
    if any_nan(loss - loss):
        _freeze(networks, chunk, first, n)
    weight = load(lanes, WEIGHT)
    store(sums, LOSS, load(sums, LOSS) + widen(weight * load(lanes, STEP_LOSS)))
    store(sums, WEIGHT_SUM, load(sums, WEIGHT_SUM) + widen(weight))
    right = _weight_of_right(networks, samples, chunk, s)
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
            _unload_lane(networks, chunk, first + lane, lane)
            networks.stopped[first + lane] = epoch + 1
        else:
            all_ended = False
    return all_ended


@scalar_function
def _step_with_velocity(networks: Any, chunk: Any, j: Any, g: Any) -> None:
    """One momentum step of the vector of parameters at j, of gradient g."""
    w, v, lanes = chunk.parameters, chunk.velocity, chunk.lanes
    mu = load(lanes, STEP_MOMENTUM)
    velocity = mu * load(v, j) + g
    store(v, j, velocity)
    taken = g + mu * velocity if networks.nesterov else velocity
    store(w, j, load(w, j) - load(lanes, STEP_RATE) * taken)


@scalar_function
def _step_input_weights(networks: Any, chunk: Any, samples: Any, s: Any) -> None:
    """Step of the first layer's weights; its inputs are one number for all lanes."""
    w, update, lanes = chunk.parameters, chunk.update, chunk.lanes
    fan_in, size, out = chunk.layout[0, FAN_IN], chunk.layout[0, FAN_OUT], chunk.layout[0, OUTPUTS]
    if chunk.velocity.size > 0:
        for i in range(fan_in):
            for k in range(_ZERO, size, _L):
                j = i * size + k
                g = samples.inputs[s, i] * load(update, out + k) + load(lanes, STEP_L2) * load(w, j)
                _step_with_velocity(networks, chunk, j, g)
        return
    for k in range(_ZERO, size, _L):
        of_unit = load(update, out + k)
        for i in range(fan_in):
            old = load(w, i * size + k)
            kept = old - load(lanes, STEP_SHRINK) * old if networks.with_l2 else old
            store(w, i * size + k, kept - samples.inputs[s, i] * of_unit)


@scalar_function
def _step_weights(networks: Any, chunk: Any, layer: Any) -> None:
    """Step of a later layer's weights, and delta sent back through those of the forward pass."""
    w, a, delta, update, lanes = chunk.parameters, chunk.a, chunk.delta, chunk.update, chunk.lanes
    layout = chunk.layout
    size, x, out = layout[layer, FAN_OUT], layout[layer, INPUTS], layout[layer, OUTPUTS]
    for i in range(layout[layer, FAN_IN]):
        row = layout[layer, WEIGHTS] + i * size
        unit = x + i * _L
        value = load(a, unit)
        back = value - value
        for k in range(_ZERO, size, _L):
            old = load(w, row + k)
            back = back + old * load(delta, out + k)
            g = value * load(update, out + k)
            if chunk.velocity.size > 0:
                _step_with_velocity(networks, chunk, row + k, g + load(lanes, STEP_L2) * old)
            else:
                kept = old - load(lanes, STEP_SHRINK) * old if networks.with_l2 else old
                store(w, row + k, kept - g)
        store(delta, unit, back)


@scalar_function
def _backward(networks: Any, chunk: Any, samples: Any, s: Any) -> None:
    """Backpropagate and update, from the last layer to the first."""
    layout, delta, update, lanes = chunk.layout, chunk.delta, chunk.update, chunk.lanes
    last = len(layout) - 1
    factor = load(lanes, WEIGHT)
    if chunk.velocity.size == 0:
        factor = factor * load(lanes, STEP_RATE)
    for layer in range(last, -1, -1):
        size, b, out = layout[layer, FAN_OUT], layout[layer, BIASES], layout[layer, OUTPUTS]
        code = layout[layer, ACTIVATION]
        if layer < last or networks.loss > losses.CATEGORICAL_CROSS_ENTROPY:
            if code == SIGMOID:
                for j in range(out, out + size, _L):
                    a = load(chunk.a, j)
                    store(delta, j, load(delta, j) * (a - a * a))
            elif code == SOFTMAX:
                _times_softmax_jacobian(chunk.a, delta, out, size)
            else:
                multiply_by_derivative(code, chunk.z, chunk.a, delta, out, size)
        for k in range(_ZERO, size, _L):
            store(update, out + k, factor * load(delta, out + k))
        if layer == 0:
            _step_input_weights(networks, chunk, samples, s)
        else:
            _step_weights(networks, chunk, layer)
        for k in range(_ZERO, size, _L):
            step = load(update, out + k)
            if chunk.velocity.size > 0:
                _step_with_velocity(networks, chunk, b + k, step)
            else:
                store(chunk.parameters, b + k, load(chunk.parameters, b + k) - step)


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
    done = 0
    while position[NETWORK] < stop_network and done < max_samples:
        first = position[NETWORK]
        n = min(LANES, stop_network - first)
        if position[EPOCH] == 0 and position[SAMPLE] == 0:
            _load(networks, samples, chunk, first, n)
        while position[EPOCH] < networks.rates.shape[1] and done < max_samples:
            if position[SAMPLE] == 0:
                _begin_epoch(networks, samples, chunk, first, n)
            until = min(n_samples, position[SAMPLE] + max_samples - done)
            done += until - position[SAMPLE]
            for j in range(position[SAMPLE], until):
                s = chunk.order[j]
                if samples.weights.shape[0] > 0:
                    _set_step(samples, chunk, first, n, s)
                _forward(chunk, samples, s)
                _observe(networks, samples, chunk, first, n, s)
                _backward(networks, chunk, samples, s)
            position[SAMPLE] = until
            if until == n_samples:
                all_ended = _record(networks, chunk, first, n)
                position[SAMPLE] = 0
                position[EPOCH] = networks.rates.shape[1] if all_ended else position[EPOCH] + 1
        _unload(networks, chunk, first, n)
        if position[EPOCH] == networks.rates.shape[1]:
            position[NETWORK] += n
            position[EPOCH] = 0
    return done
