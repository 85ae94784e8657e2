"""A step of a chunk of the lanes kernel, layer by layer: forward, loss, backward and update.

What goes back through the layers is not delta but the update: delta times the sample's weight and, without
velocity, the learning rate. All that is linear, so nothing is multiplied twice; and a unit's update steps
the unit's bias, and in the first layer its weights, while it is at hand. Vectors stored count: a 512-bit
store takes two cycles on some processors, as long as two of its multiplications.
"""

from typing import Any, NamedTuple

from ...compiler.compiling import scalar_function, subroutine
from ...compiler.vectors import load, n_lanes, splat, store, where_greater
from ...functions import losses
from ...functions.activations import SIGMOID, SOFTMAX, sigmoid
from ...functions.elementary import exp, log_from_one
from ..layers import activate, multiply_by_derivative
from ..layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, INPUTS, ONE, OUTPUTS, TWO, WEIGHTS, ZERO
from .adaptive import adaptive_step
from .blocks import first_pre_activation, keep_update
from .chunks import (
    BLOCK_LOSS,
    BLOCK_RIGHT,
    STEP_FACTOR,
    STEP_L2,
    STEP_MOMENTUM,
    STEP_RATE,
    STEP_SHRINK,
    STEP_WEIGHT,
    is_plain,
)
from .orders import input_of, next_input_of, of_lane, right_of, target_of


@scalar_function
def _number(chunk: Any, row: Any) -> Any:
    """A row of `Chunk.lanes`."""
    return load(chunk.lanes, row * n_lanes(chunk.lanes))


@scalar_function
def _add_to_number(chunk: Any, row: Any, vector: Any) -> None:
    at = row * n_lanes(chunk.lanes)
    store(chunk.lanes, at, load(chunk.lanes, at) + vector)


class Layer(NamedTuple):
    """A row of the layout, read once before a loop: the compiler would read it again after every store."""

    fan_in: int
    size: int
    weights: int
    biases: int
    inputs: int
    outputs: int
    activation: int
    keeps_z: bool  # not a, since it has not the sigmoid, or is the output of a cross-entropy


@scalar_function
def layer_of(networks: Any, chunk: Any, layer: Any) -> Layer:
    """The layer of this number."""
    row = chunk.layout[layer]
    code = row[ACTIVATION]
    keeps_z = code != SIGMOID or only_z(networks, chunk, layer)
    return Layer(
        row[FAN_IN], row[FAN_OUT], row[WEIGHTS], row[BIASES], row[INPUTS], row[OUTPUTS], code, keeps_z
    )


@scalar_function
def only_z(networks: Any, chunk: Any, layer: Any) -> bool:
    """Whether a layer is the output of a cross-entropy, whose activations `take_loss` computes."""
    return layer == len(chunk.layout) - 1 and networks.loss <= losses.CATEGORICAL_CROSS_ENTROPY


# --- forward ---------------------------------------------------------------------------------------


@scalar_function
def _pre_activation_of_sample(chunk: Any, samples: Any, layer: Any, s: Any, k: Any) -> Any:
    """z = b + W^T x of the first layer's unit at k, whose inputs are one number for all lanes."""
    w, L = chunk.parameters, n_lanes(chunk.parameters)
    total = load(w, layer.biases + k)
    for i in range(layer.fan_in):
        total = total + input_of(chunk.own, samples, s, i) * load(w, k * layer.fan_in + i * L)
    return total


@scalar_function
def _pre_activation(chunk: Any, layer: Any, k: Any) -> Any:
    """z = b + W^T a of a later layer's unit at k, with two sums so that one need not wait for the other."""
    w, a, L = chunk.parameters, chunk.a, n_lanes(chunk.a)
    fan_in, size, x, row = layer.fan_in, layer.size, layer.inputs, layer.weights + k
    odd = fan_in % TWO
    even_sum = load(w, layer.biases + k)
    if odd == ONE:
        even_sum = even_sum + load(a, x) * load(w, row)
    odd_sum = splat(a.dtype.type(0))
    for i in range(odd, fan_in, TWO):
        even_sum = even_sum + load(a, x + i * L) * load(w, row + i * size)
        odd_sum = odd_sum + load(a, x + (i + ONE) * L) * load(w, row + (i + ONE) * size)
    return even_sum + odd_sum


@scalar_function
def put_unit(chunk: Any, layer: Any, k: Any, z: Any) -> None:
    """Keep the activation of a layer's unit at k if it is a sigmoid, else its pre-activation."""
    if layer.keeps_z:
        store(chunk.z, layer.outputs + k, z)
    else:
        store(chunk.a, layer.outputs + k, sigmoid(z))


@subroutine
def begin_forward(networks: Any, chunk: Any, samples: Any, s: Any) -> None:
    """The first layer for the very first sample, or a block's; otherwise `backward` before has done it."""
    if chunk.block.updates.size == 0:
        first_units(networks, chunk, samples, s)
        return
    layer = layer_of(networks, chunk, 0)
    for k in range(ZERO, layer.size, n_lanes(chunk.a)):
        bias = load(chunk.parameters, layer.biases + k)
        z = first_pre_activation(chunk, networks.with_l2, layer.size, bias, ZERO, k)
        put_unit(chunk, layer, k, z)


@subroutine
def first_units(networks: Any, chunk: Any, samples: Any, s: Any) -> None:
    """The first layer for a sample by itself."""
    layer = layer_of(networks, chunk, 0)
    for k in range(ZERO, layer.size, n_lanes(chunk.a)):
        put_unit(chunk, layer, k, _pre_activation_of_sample(chunk, samples, layer, s, k))


@scalar_function
def forward(networks: Any, chunk: Any) -> None:
    """Activations of every layer after the first layer's units.

    Sigmoids keep no pre-activations; and of the output there may be only these, see `only_z`.
    """
    for i in range(len(chunk.layout)):
        layer = layer_of(networks, chunk, i)
        if i > 0:
            for k in range(ZERO, layer.size, n_lanes(chunk.a)):
                put_unit(chunk, layer, k, _pre_activation(chunk, layer, k))
        activate_layer(networks, chunk, layer, i)


@scalar_function
def activate_layer(networks: Any, chunk: Any, layer: Any, i: Any) -> None:
    """Activations of layer i from its pre-activations, where `put_unit` has kept these alone."""
    if layer.activation != SIGMOID and not only_z(networks, chunk, i):
        activate_units(layer.activation, chunk.z, chunk.a, layer.outputs, layer.size)


@subroutine
def activate_units(code: Any, z: Any, a: Any, start: Any, size: Any) -> None:
    """a = f(z) of the `size` numbers from `start` on, for softmax all of a layer's."""
    if code == SOFTMAX:
        _softmax(z, a, start, size)
    else:
        activate(code, z, a, start, size)


@subroutine
def multiply_units_by_derivative(code: Any, z: Any, a: Any, gradient: Any, start: Any, size: Any) -> None:
    """Gradient *= f'(z) of as many numbers."""
    multiply_by_derivative(code, z, a, gradient, start, size)


@scalar_function
def _exponentials(z: Any, out: Any, start: Any, size: Any) -> Any:
    """out = e^(z - max z) over the units of one layer; that maximum and their sum, lane by lane."""
    L = n_lanes(z)
    highest = load(z, start)
    for k in range(L, size, L):
        other = load(z, start + k)
        highest = where_greater(other, highest, other, highest)
    total = splat(z.dtype.type(0))
    for k in range(ZERO, size, L):
        e = exp(load(z, start + k) - highest)
        store(out, start + k, e)
        total = total + e
    return highest, total


@subroutine
def _softmax(z: Any, a: Any, start: Any, size: Any) -> None:
    """a = e^(z - max z) / sum, lane by lane, over the units of one layer."""
    L = n_lanes(a)
    _, total = _exponentials(z, a, start, size)
    scale = splat(a.dtype.type(1)) / total
    for k in range(ZERO, size, L):
        store(a, start + k, load(a, start + k) * scale)


# --- loss ------------------------------------------------------------------------------------------


@scalar_function
def _binary_cross_entropy(chunk: Any, samples: Any, s: Any) -> Any:
    """Losses log(1 + e^z) - y z, outputs a = sigmoid(z), and the updates of their delta a - y."""
    L = n_lanes(chunk.a)
    last = len(chunk.layout) - 1
    start, size = chunk.layout[last, OUTPUTS], chunk.layout[last, FAN_OUT]
    factor = _number(chunk, STEP_FACTOR)
    zero = splat(chunk.a.dtype.type(0))
    loss = zero
    for k in range(ZERO, size, L):
        y = target_of(chunk.own, samples, s, k // L)
        of_output, a = losses.binary_cross_entropies(load(chunk.z, start + k), y, zero)
        store(chunk.a, start + k, a)
        store(chunk.update, start + k, factor * (a - y))
        loss = loss + of_output
    return loss


@subroutine
def _categorical_cross_entropy(chunk: Any, samples: Any, s: Any) -> Any:
    """Losses -sum y_k log a_k, outputs a = softmax(z), and the updates of their delta a sum(y) - y."""
    L = n_lanes(chunk.a)
    last = len(chunk.layout) - 1
    start, size = chunk.layout[last, OUTPUTS], chunk.layout[last, FAN_OUT]
    mass = target_of(chunk.own, samples, s, ZERO)
    for k in range(ONE, size // L):
        mass = mass + target_of(chunk.own, samples, s, k)
    highest, total = _exponentials(chunk.z, chunk.a, start, size)
    normaliser = highest + log_from_one(total)
    scale = splat(chunk.a.dtype.type(1)) / total
    factor = _number(chunk, STEP_FACTOR)
    loss = splat(chunk.a.dtype.type(0))
    for k in range(ZERO, size, L):
        y = target_of(chunk.own, samples, s, k // L)
        loss = loss + y * (normaliser - load(chunk.z, start + k))
        a = load(chunk.a, start + k) * scale
        store(chunk.a, start + k, a)
        store(chunk.update, start + k, factor * (mass * a - y))
    return loss


@subroutine
def _loss_of_activations(networks: Any, chunk: Any, samples: Any, s: Any) -> Any:
    """Losses of the other kinds, and the outputs' updates, by way of dLoss/da but for a joint loss."""
    L = n_lanes(chunk.a)
    last = len(chunk.layout) - 1
    start, size, code = (
        chunk.layout[last, OUTPUTS],
        chunk.layout[last, FAN_OUT],
        chunk.layout[last, ACTIVATION],
    )
    z, a, update = chunk.z, chunk.a, chunk.update
    factor = _number(chunk, STEP_FACTOR)
    loss = splat(chunk.a.dtype.type(0))
    for k in range(ZERO, size, L):
        _losses(networks, chunk, update, chunk.loss, start + k, samples.targets[s, k // L], k // L)
        loss = loss + load(chunk.loss, ZERO)
    if networks.loss > losses.LAST_JOINT and code == SOFTMAX:
        _times_softmax_jacobian(a, update, start, size)
    elif networks.loss > losses.LAST_JOINT:
        multiply_units_by_derivative(code, z, a, update, start, size)
    for k in range(start, start + size, L):
        store(update, k, factor * load(update, k))
    return loss


@subroutine
def _losses(networks: Any, chunk: Any, gradient: Any, out: Any, start: Any, y: Any, k: Any) -> None:
    """Losses of output k's lanes at out[: LANES], and their gradients dLoss/da; dLoss/dz of joint ones.

    Its target is y, where lanes have none of their own.
    """
    z, a, own = chunk.z, chunk.a, chunk.own
    L, loss = n_lanes(a), networks.loss
    if loss == losses.POISSON:
        for lane in range(L):
            out[lane] = losses.poisson(z[start + lane], a[start + lane], of_lane(own, y, k, lane))
            gradient[start + lane] = a[start + lane] - of_lane(own, y, k, lane)
    elif loss == losses.SQUARED_ERROR:
        for lane in range(L):
            out[lane] = losses.squared_error(a[start + lane], of_lane(own, y, k, lane))
            gradient[start + lane] = losses.squared_error_gradient(a[start + lane], of_lane(own, y, k, lane))
    elif loss == losses.ABSOLUTE_ERROR:
        for lane in range(L):
            out[lane] = losses.absolute_error(a[start + lane], of_lane(own, y, k, lane))
            gradient[start + lane] = losses.absolute_error_gradient(a[start + lane], of_lane(own, y, k, lane))
    elif loss == losses.QUANTILE:
        level = a.dtype.type(networks.level)
        for lane in range(L):
            out[lane] = losses.pinball(a[start + lane], of_lane(own, y, k, lane), level)
            gradient[start + lane] = losses.pinball_gradient(a[start + lane], of_lane(own, y, k, lane), level)
    else:
        for lane in range(L):
            out[lane] = losses.huber(a[start + lane], of_lane(own, y, k, lane))
            gradient[start + lane] = losses.huber_gradient(a[start + lane], of_lane(own, y, k, lane))


@subroutine
def _times_softmax_jacobian(a: Any, gradient: Any, start: Any, size: Any) -> None:
    """dLoss/dz_k = a_k (g_k - sum_j g_j a_j) of the gradient g by the activations, lane by lane."""
    L = n_lanes(a)
    mean = load(a, start) * load(gradient, start)
    for k in range(L, size, L):
        mean = mean + load(a, start + k) * load(gradient, start + k)
    for k in range(start, start + size, L):
        store(gradient, k, load(a, k) * (load(gradient, k) - mean))


@scalar_function
def take_loss(networks: Any, samples: Any, chunk: Any, s: Any) -> None:
    """Losses and accuracies of sample s, added to the block's, and the updates of the outputs."""
    if networks.loss == losses.BINARY_CROSS_ENTROPY:
        loss = _binary_cross_entropy(chunk, samples, s)
    elif networks.loss == losses.CATEGORICAL_CROSS_ENTROPY:
        loss = _categorical_cross_entropy(chunk, samples, s)
    else:
        loss = _loss_of_activations(networks, chunk, samples, s)
    if samples.weights.shape[0] > 0:
        loss = _number(chunk, STEP_WEIGHT) * loss
    _add_to_number(chunk, BLOCK_LOSS, loss)
    if networks.accuracies.size > 0:
        _add_to_number(chunk, BLOCK_RIGHT, _weight_of_right(networks, samples, chunk, chunk.own, s))


@scalar_function
def _weight_of_right(networks: Any, samples: Any, chunk: Any, own: Any, s: Any) -> Any:
    """The sample's weight where the prediction is right, else 0; see `layers.accuracy`."""
    L = n_lanes(chunk.a)
    last = len(chunk.layout) - 1
    start, n = chunk.layout[last, OUTPUTS], chunk.layout[last, FAN_OUT] // L
    a = chunk.a
    right = _number(chunk, STEP_WEIGHT)
    wrong = splat(chunk.a.dtype.type(0))
    if own is not None:  # known when a kernel is compiled
        is_binary = n == ONE or networks.loss == losses.BINARY_CROSS_ENTROPY
        return right_of(own, a, start, n, is_binary, right, wrong)
    if n == ONE or networks.loss == losses.BINARY_CROSS_ENTROPY:
        half = a.dtype.type(0.5)
        for k in range(n):
            outputs = load(a, start + k * L)
            if samples.targets[s, k] > half:
                right = where_greater(outputs, splat(half), right, wrong)
            else:
                right = where_greater(outputs, splat(half), wrong, right)
        return right
    wanted: Any = ZERO
    for k in range(n):
        if samples.targets[s, k] > samples.targets[s, wanted]:
            wanted = k
    highest = load(a, start + wanted * L)
    for k in range(n):  # of equal outputs the first is the prediction
        outputs = load(a, start + k * L)
        if k < wanted:
            right = where_greater(highest, outputs, right, wrong)
        else:
            right = where_greater(outputs, highest, wrong, right)
    return right


# --- backward --------------------------------------------------------------------------------------


@scalar_function
def step(networks: Any, chunk: Any, j: Any, old: Any, g: Any) -> Any:
    """Step of the vector of parameters `old` at j, without penalty: g is its update. The new vector."""
    new = _stepped(networks, networks.rule, chunk, j, old, g)
    store(chunk.parameters, j, new)
    return new


@scalar_function
def _stepped(networks: Any, rule: Any, chunk: Any, j: Any, old: Any, g: Any) -> Any:
    """That new vector, by the rule of the networks; velocities and moments are stored."""
    if rule is not None:  # known when a kernel is compiled
        return adaptive_step(rule, chunk, j, old, g)
    v = chunk.velocity
    if not is_plain(chunk) and v.size > 0:
        mu = _number(chunk, STEP_MOMENTUM)
        velocity = mu * load(v, j) + g
        store(v, j, velocity)
        g = _number(chunk, STEP_RATE) * (g + mu * velocity if networks.nesterov else velocity)
    return old - g


@scalar_function
def step_weight(networks: Any, chunk: Any, j: Any, old: Any, g: Any) -> Any:
    """The same with penalty, for weights."""
    if not is_plain(chunk) and networks.with_l2:
        if networks.decoupled:
            old = old - _number(chunk, STEP_SHRINK) * old
        else:
            of_penalty = STEP_L2 if chunk.velocity.size > 0 else STEP_SHRINK
            g = g + _number(chunk, of_penalty) * old
    return step(networks, chunk, j, old, g)


@scalar_function
def _step_first_unit(
    networks: Any, chunk: Any, samples: Any, sample: Any, layer: Any, k: Any, bias: Any, update: Any
) -> None:
    """The first layer's unit at k: a step of its weights, and on to the next sample.

    Processors load and store what is stepped while they compute the activation.
    """
    w, L, (s, following, t) = chunk.parameters, n_lanes(chunk.parameters), sample
    if chunk.block.updates.size > 0:
        keep_update(chunk, layer.size, t, k, update)
        if following >= 0:
            z = first_pre_activation(chunk, networks.with_l2, layer.size, bias, t + ONE, k)
            put_unit(chunk, layer, k, z)
        return
    z = bias
    for i in range(layer.fan_in):
        j = k * layer.fan_in + i * L
        weight = step_weight(networks, chunk, j, load(w, j), input_of(chunk.own, samples, s, i) * update)
        z = z + next_input_of(chunk.own, samples, following, i) * weight
    put_unit(chunk, layer, k, z)


@scalar_function
def _step_unit(
    networks: Any,
    chunk: Any,
    samples: Any,
    sample: Any,
    is_first: Any,
    layer: Any,
    k: Any,
    update: Any,
) -> None:
    """What the update of a layer's unit at k is for: its bias, and what is before it."""
    j = layer.biases + k
    bias = step(networks, chunk, j, load(chunk.parameters, j), update)
    if is_first:
        _step_first_unit(networks, chunk, samples, sample, layer, k, bias, update)
    else:
        store(chunk.update, layer.outputs + k, update)


@scalar_function
def _step_weights(networks: Any, chunk: Any, samples: Any, sample: Any, i: Any) -> None:
    """Step of the weights of layer i > 0, with what goes back through those of the forward pass."""
    w, a, update, L = chunk.parameters, chunk.a, chunk.update, n_lanes(chunk.a)
    layer, below = layer_of(networks, chunk, i), layer_of(networks, chunk, i - 1)
    is_sigmoid, is_first = below.activation == SIGMOID, i == 1
    of_first = load(update, layer.outputs)
    row = layer.weights
    for unit in range(ZERO, below.size, L):
        value, old = load(a, layer.inputs + unit), load(w, row)
        back = old * of_first
        step_weight(networks, chunk, row, old, value * of_first)
        for k in range(L, layer.size, L):
            of_unit, old = load(update, layer.outputs + k), load(w, row + k)
            back = back + old * of_unit
            step_weight(networks, chunk, row + k, old, value * of_unit)
        row += layer.size
        if is_sigmoid:
            back = back * (value - value * value)
            _step_unit(networks, chunk, samples, sample, is_first, below, unit, back)
        else:
            store(update, layer.inputs + unit, back)


@scalar_function
def backward(networks: Any, chunk: Any, samples: Any, sample: Any) -> None:
    """Backpropagate and update, from the last layer to the first, which goes on to the next sample.

    `sample` is the row of the sample, of the next one, or -1 at a block's end, and the sample's number in its
    block.
    """
    update = chunk.update
    last = len(chunk.layout) - 1
    for i in range(last, -1, -1):
        layer = layer_of(networks, chunk, i)
        if i == last or layer.activation != SIGMOID:
            if i < last:
                multiply_units_by_derivative(
                    layer.activation, chunk.z, chunk.a, update, layer.outputs, layer.size
                )
            for k in range(ZERO, layer.size, n_lanes(update)):
                of_unit = load(update, layer.outputs + k)
                _step_unit(networks, chunk, samples, sample, i == 0, layer, k, of_unit)
        if i > 0:
            _step_weights(networks, chunk, samples, sample, i)
