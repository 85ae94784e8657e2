"""The naive implementation that every kernel is compared with: plain NumPy, one sample at a time.

Written to be read beside a textbook, not to be fast, and independent of the package: nothing here
imports it. All arithmetic is float64, whatever the dtype of the arrays given; the same oracle
serves float32 networks, whose parameters and samples float64 represents exactly.

A network is two lists: ``weights[l]`` of shape (fan_in, fan_out) and ``biases[l]`` of shape
(fan_out,), with ``activations[l]`` the name of layer l's activation.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.special import erf, xlogy

LEAKY_SLOPE = 0.01
UPDATE_RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
FULL_BATCH_RULES = ("rprop",)


# --- activations ----------------------------------------------------------------------------------


def sigmoid(z):
    """1 / (1 + exp(-z)), with the exponential taken of -|z| so that it cannot overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def sigmoid_derivative(z):
    e = np.exp(-np.abs(z))
    return e / (1.0 + e) ** 2


def softmax(z):
    e = np.exp(z - np.max(z))
    return e / np.sum(e)


def normal_cdf(z):
    return 0.5 * (1.0 + erf(z / np.sqrt(2.0)))


def normal_pdf(z):
    return np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)


# name: (activation, derivative), both functions of the pre-activation z, elementwise
ELEMENTWISE = {
    "identity": (lambda z: z + 0.0, lambda z: np.ones_like(z)),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "relu": (lambda z: np.where(z > 0, z, 0.0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": (
        lambda z: np.where(z > 0, z, LEAKY_SLOPE * z),
        lambda z: np.where(z > 0, 1.0, LEAKY_SLOPE),
    ),
    "elu": (
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0.0))),
        lambda z: np.where(z > 0, 1.0, np.exp(np.minimum(z, 0.0))),
    ),
    "softplus": (lambda z: np.logaddexp(0.0, z), sigmoid),
    "silu": (
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) + z * sigmoid_derivative(z),
    ),
    "gelu": (
        lambda z: z * normal_cdf(z),
        lambda z: normal_cdf(z) + z * normal_pdf(z),
    ),
}
# the same, but for outputs alone: a hidden layer of exponentials soon overflows
OF_OUTPUTS_ALONE = {"exp": (np.exp, np.exp)}
ACTIVATIONS = (*ELEMENTWISE, *OF_OUTPUTS_ALONE, "softmax")
# The activations whose derivative jumps at z = 0: rounding decides on which side a sample falls.
KINKED_ACTIVATIONS = ("relu", "leaky_relu")


def activate(name, z):
    return softmax(z) if name == "softmax" else {**ELEMENTWISE, **OF_OUTPUTS_ALONE}[name][0](z)


def activation_delta(name, z, gradient):
    """dLoss/dz of a layer from `gradient`, the dLoss/da of its activation."""
    if name == "softmax":  # the Jacobian da_i/dz_j = p_i ([i = j] - p_j), applied to the gradient
        p = softmax(z)
        return p * (gradient - np.sum(p * gradient))
    return gradient * {**ELEMENTWISE, **OF_OUTPUTS_ALONE}[name][1](z)


# --- losses ---------------------------------------------------------------------------------------

QUANTILE = 0.3125  # the level of every quantile loss here, which float32 holds exactly
# name: (loss, dLoss/da), of the output activation a and the target y
OF_OUTPUTS = {
    "squared_error": (lambda a, y: 0.5 * np.sum((a - y) ** 2), lambda a, y: a - y),
    "absolute_error": (lambda a, y: np.sum(np.abs(a - y)), lambda a, y: np.sign(a - y)),
    "huber": (
        lambda a, y: np.sum(np.where(np.abs(a - y) <= 1, 0.5 * (a - y) ** 2, np.abs(a - y) - 0.5)),
        lambda a, y: np.clip(a - y, -1.0, 1.0),
    ),
    "quantile": (
        lambda a, y: np.sum(np.maximum(QUANTILE * (y - a), (1.0 - QUANTILE) * (a - y))),
        lambda a, y: np.where(a > y, 1.0 - QUANTILE, np.where(a < y, -QUANTILE, 0.0)),
    ),
}
LOSSES = ("binary_cross_entropy", "categorical_cross_entropy", "poisson", *OF_OUTPUTS)
# The output activation that a loss is defined with; the other losses go with any.
REQUIRED_OUTPUT = {
    "binary_cross_entropy": "sigmoid",
    "categorical_cross_entropy": "softmax",
    "poisson": "exp",
}


def loss_value(loss, output_activation, z, y):
    """The loss of one sample from the output layer's pre-activations `z` and the target `y`."""
    if loss == "binary_cross_entropy":  # -y log s(z) - (1 - y) log(1 - s(z))
        return np.sum(np.logaddexp(0.0, z) - y * z)
    if loss == "categorical_cross_entropy":  # -sum y log p, with log p = z - log sum exp z
        return np.sum(y * (np.logaddexp.reduce(z) - z))
    if loss == "poisson":  # y log(y / a) - y + a, half the deviance
        return np.sum(xlogy(y, y) - y * z - y + np.exp(z))
    return OF_OUTPUTS[loss][0](activate(output_activation, z), y)


def output_delta(loss, output_activation, z, y):
    """dLoss/dz of the output layer, in the combined form for the losses that require an output."""
    if loss == "binary_cross_entropy":
        return sigmoid(z) - y
    if loss == "categorical_cross_entropy":
        return softmax(z) * np.sum(y) - y
    if loss == "poisson":
        return np.exp(z) - y
    a = activate(output_activation, z)
    return activation_delta(output_activation, z, OF_OUTPUTS[loss][1](a, y))


def pairs():
    """Every (output activation, loss) that is allowed."""
    required = [(activation, loss) for loss, activation in REQUIRED_OUTPUT.items()]
    return required + [(a, loss) for loss in OF_OUTPUTS for a in ACTIVATIONS]


def metric(name, loss, a, y):
    """A prequential metric of one sample, measured on the outputs `a`."""
    if name == "binary_cross_entropy":
        return -np.sum(y * np.log(a) + (1.0 - y) * np.log(1.0 - a))
    if name == "categorical_cross_entropy":
        return -np.sum(y * np.log(a))
    if name == "poisson":
        return np.sum(xlogy(y, y / a) - y + a)
    if name == "accuracy":
        if len(a) == 1 or loss == "binary_cross_entropy":  # every label right
            return float(np.all((a > 0.5) == (y > 0.5)))
        return float(np.argmax(a) == np.argmax(y))
    return OF_OUTPUTS[name][0](a, y)


# --- one sample -----------------------------------------------------------------------------------


def forward(weights, biases, activations, x):
    """Every layer's pre-activation, and every layer's input followed by the output."""
    pre_activations, values = [], [np.asarray(x, np.float64)]
    for W, b, activation in zip(weights, biases, activations, strict=True):
        pre_activations.append(values[-1] @ W + b)
        values.append(activate(activation, pre_activations[-1]))
    return pre_activations, values


def outputs(weights, biases, activations, X):
    """The outputs for every row of X, of shape (n, n_outputs)."""
    return np.array([forward(weights, biases, activations, x)[1][-1] for x in X])


def sample_loss(weights, biases, activations, loss, x, y):
    pre_activations, _ = forward(weights, biases, activations, x)
    return loss_value(loss, activations[-1], pre_activations[-1], y)


def gradient(weights, biases, activations, loss, x, y):
    """Backpropagation of one sample: dLoss/dW and dLoss/db of every layer."""
    z, a = forward(weights, biases, activations, x)
    delta = output_delta(loss, activations[-1], z[-1], y)
    weight_gradients, bias_gradients = [], []
    for layer in reversed(range(len(weights))):
        weight_gradients.insert(0, np.outer(a[layer], delta))
        bias_gradients.insert(0, delta)
        if layer > 0:
            delta = activation_delta(activations[layer - 1], z[layer - 1], weights[layer] @ delta)
    return weight_gradients, bias_gradients


def central_differences(weights, biases, activations, loss, x, y, step=1e-5):
    """The same gradient from the loss alone, one parameter at a time."""
    weights = [np.array(W, np.float64) for W in weights]
    biases = [np.array(b, np.float64) for b in biases]

    def differentiate(parameters):
        result = np.empty_like(parameters)
        for index in np.ndindex(parameters.shape):
            kept = parameters[index]
            parameters[index] = kept + step
            above = sample_loss(weights, biases, activations, loss, x, y)
            parameters[index] = kept - step
            below = sample_loss(weights, biases, activations, loss, x, y)
            parameters[index] = kept
            result[index] = (above - below) / (2.0 * step)
        return result

    return [differentiate(W) for W in weights], [differentiate(b) for b in biases]


# --- update rules ---------------------------------------------------------------------------------


class Rule:
    """One update rule with its state; `step` changes the parameters in place.

    momentum and nesterov: Sutskever et al. 2013 in the form of PyTorch and Keras; adagrad: Duchi et
    al. 2011; rmsprop: Hinton's lecture 6e; adam: Kingma and Ba 2015, Algorithm 1; adamw: Loshchilov
    and Hutter 2019, Algorithm 2; rprop: Igel and Huesken 2000, iRprop-, with the constants of Riedmiller
    and Braun 1993, whose first steps are of the learning rate.
    """

    def __init__(self, name, n_arrays, *, momentum=0.9, rho=0.9, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        assert name in (*UPDATE_RULES, *FULL_BATCH_RULES), name
        self.name, self.momentum, self.rho = name, momentum, rho
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.first = [0.0] * n_arrays  # velocity, or first moment
        self.second = [0.0] * n_arrays  # sum, or running mean, of the squared gradient
        self.t = 0

    def step(self, parameters, gradients, learning_rate, decoupled_decay):
        """One step; `decoupled_decay` is adamw's decay coefficient, one an array."""
        self.t += 1
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            if self.name == "rprop":
                p -= self.resilient(i, g, learning_rate)
                continue
            decay = decoupled_decay[i] * p
            p -= learning_rate * (self.direction(i, g) + decay)

    def resilient(self, i, g, first_size):
        """What rprop subtracts from array `i`: sizes are in `second`, the last gradients in `first`."""
        size = np.full(np.shape(g), first_size) if self.t == 1 else self.second[i]
        product = self.first[i] * g
        size = np.where(product > 0, np.minimum(1.2 * size, 50.0), np.where(product < 0, 0.5 * size, size))
        self.first[i], self.second[i] = np.where(product < 0, 0.0, g), size
        return size * np.sign(self.first[i])

    def direction(self, i, g):
        """What is multiplied by the learning rate and subtracted from array `i`."""
        name = self.name
        if name == "sgd":
            return g
        if name in ("momentum", "nesterov"):
            self.first[i] = self.momentum * self.first[i] + g
            return self.first[i] if name == "momentum" else g + self.momentum * self.first[i]
        if name in ("adagrad", "rmsprop"):
            if name == "adagrad":
                self.second[i] = self.second[i] + g**2
            else:
                self.second[i] = self.rho * self.second[i] + (1.0 - self.rho) * g**2
            return g / (np.sqrt(self.second[i]) + self.epsilon)
        self.first[i] = self.beta_1 * self.first[i] + (1.0 - self.beta_1) * g
        self.second[i] = self.beta_2 * self.second[i] + (1.0 - self.beta_2) * g**2
        unbiased_first = self.first[i] / (1.0 - self.beta_1**self.t)
        unbiased_second = self.second[i] / (1.0 - self.beta_2**self.t)
        return unbiased_first / (np.sqrt(unbiased_second) + self.epsilon)


def clip(gradients, clip_value, clip_norm):
    """Every element into [-clip_value, clip_value], then the norm of them all to clip_norm."""
    if clip_value is not None:
        gradients = [np.clip(g, -clip_value, clip_value) for g in gradients]
    if clip_norm is not None:
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
        if norm > clip_norm:
            gradients = [g * (clip_norm / norm) for g in gradients]
    return gradients


# --- training -------------------------------------------------------------------------------------


class Trained(NamedTuple):
    """What `train` returns; the lists hold one entry a layer, the arrays one entry an epoch."""

    weights: list
    biases: list
    loss: np.ndarray
    metrics: dict
    rule: Rule
    # The smallest |z| met at an activation whose derivative jumps there, the smallest |a - y| met by
    # absolute_error or quantile and the smallest |W| under an L1 penalty: how far the whole trajectory
    # stayed from where rounding decides.
    margin: float


def train(
    weights,
    biases,
    X,
    Y,
    *,
    activations,
    loss,
    learning_rates,
    order=None,
    update_rule="sgd",
    rule=None,
    batch_size=1,
    l1=0.0,
    l2=0.0,
    clip_value=None,
    clip_norm=None,
    sample_weight=None,
    propagate="exact",
    monitor=(),
    **rule_options,
):
    """Train a copy of the network step by step.

    `learning_rates` holds one rate an epoch, and so says how many epochs there are; `order` one
    array of sample numbers an epoch (default: as they stand). `rule` continues with the state of
    an earlier call. A sample of weight 0 is passed over; a mini-batch holds `batch_size` places
    of the order, and its gradient is the mean over its samples of non-zero weight.
    """
    weights = [np.array(W, np.float64) for W in weights]
    biases = [np.array(b, np.float64) for b in biases]
    n_layers = len(weights)
    X, Y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
    if sample_weight is None:
        sample_weight = np.ones(len(X))
    if order is None:
        order = [np.arange(len(X))] * len(learning_rates)
    if rule is None:
        rule = Rule(update_rule, 2 * n_layers, **rule_options)
    coupled_l2, decoupled = (0.0, l2) if rule.name == "adamw" else (l2, 0.0)
    losses, metrics = [], {name: [] for name in monitor}
    margin = np.inf

    def penalty(W):
        return coupled_l2 * W + l1 * np.sign(W)

    for learning_rate, indices in zip(learning_rates, order, strict=True):
        epoch_loss, epoch_metrics = [], {name: [] for name in monitor}
        for start in range(0, len(indices), batch_size):
            batch = [i for i in indices[start : start + batch_size] if sample_weight[i] != 0]
            if not batch:
                continue
            for i in batch:
                z, a = forward(weights, biases, activations, X[i])
                epoch_loss.append(loss_value(loss, activations[-1], z[-1], Y[i]))
                for name in monitor:
                    epoch_metrics[name].append(metric(name, loss, a[-1], Y[i]))
                margin = min(margin, distance_from_kinks(activations, loss, z, a[-1], Y[i]))
            if l1 > 0:
                margin = min(margin, *(np.min(np.abs(W)) for W in weights))
            if propagate == "updated":
                assert rule.name == "sgd" and batch_size == 1 and clip_norm is None
                delta = output_delta(loss, activations[-1], z[-1], Y[i]) * sample_weight[i]
                for layer in reversed(range(n_layers)):
                    W, b = weights[layer], biases[layer]
                    step = [np.outer(a[layer], delta) + penalty(W), delta]
                    step = clip(step, clip_value, None)
                    W -= learning_rate * step[0]
                    b -= learning_rate * step[1]
                    if layer > 0:  # back through W as it is now, after its update
                        name = activations[layer - 1]
                        delta = activation_delta(name, z[layer - 1], W @ delta)
                continue
            weight_gradients = [np.zeros_like(W) for W in weights]
            bias_gradients = [np.zeros_like(b) for b in biases]
            for i in batch:
                of_weights, of_biases = gradient(weights, biases, activations, loss, X[i], Y[i])
                for layer in range(n_layers):
                    share = sample_weight[i] / len(batch)
                    weight_gradients[layer] += share * of_weights[layer]
                    bias_gradients[layer] += share * of_biases[layer]
            for layer in range(n_layers):
                weight_gradients[layer] += penalty(weights[layer])
            step = clip([*weight_gradients, *bias_gradients], clip_value, clip_norm)
            decay = [decoupled] * n_layers + [0.0] * n_layers
            rule.step([*weights, *biases], step, learning_rate, decay)
        seen = [sample_weight[i] for i in indices if sample_weight[i] != 0]
        losses.append(np.average(epoch_loss, weights=seen))
        for name in monitor:
            metrics[name].append(np.average(epoch_metrics[name], weights=seen))
    metrics = {name: np.array(values) for name, values in metrics.items()}
    return Trained(weights, biases, np.array(losses), metrics, rule, margin)


def distance_from_kinks(activations, loss, z, output, y):
    distances = [np.inf]
    for name, pre_activation in zip(activations, z, strict=True):
        if name in KINKED_ACTIVATIONS:
            distances.append(np.min(np.abs(pre_activation)))
    if loss in ("absolute_error", "quantile"):
        distances.append(np.min(np.abs(output - y)))
    return min(distances)


def largest_relative_error(found, expected):
    """The largest difference in units of the largest entry of all the expected arrays."""
    pairs = list(zip(found, expected, strict=True))
    assert all(np.shape(f) == np.shape(e) for f, e in pairs)
    scale = max(np.max(np.abs(e)) for _, e in pairs)
    return float(max(np.max(np.abs(f - e)) for f, e in pairs) / scale)


def lecun_normal(layer_sizes, seed):
    """Weights sqrt(1 / fan_in) N(0, 1) drawn layer by layer from one RandomState; biases zero."""
    random_state = np.random.RandomState(seed)
    weights = [
        np.sqrt(1.0 / fan_in) * random_state.standard_normal((fan_in, fan_out))
        for fan_in, fan_out in pairwise(layer_sizes)
    ]
    return weights, [np.zeros(fan_out) for fan_out in layer_sizes[1:]]
