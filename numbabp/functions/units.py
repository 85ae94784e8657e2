"""One unit at a time: activations and losses chosen by their codes.

The CPU's kernels ask for the code once a layer, so that loops over units vectorise (`kernels.layers`). On a
GPU every thread has its own units, and all threads of a warp take the same branch.
"""

from typing import Any

from ..compiler.compiling import scalar_function
from . import activations as act
from . import losses


@scalar_function
def activated(code: Any, z: Any) -> Any:
    """a = f(z), but for softmax, which is not a function of one unit."""
    if code == act.SIGMOID:
        return act.sigmoid(z)
    if code == act.RELU:
        return act.relu(z)
    if code == act.TANH:
        return act.tanh(z)
    if code == act.LEAKY_RELU:
        return act.leaky_relu(z)
    if code == act.ELU:
        return act.elu(z)
    if code == act.SOFTPLUS:
        return act.softplus(z)
    if code == act.SILU:
        return act.silu(z)
    if code == act.GELU:
        return act.gelu(z)
    if code == act.EXP:
        return act.exponential(z)
    return act.identity(z)


@scalar_function
def derivative(code: Any, z: Any, a: Any) -> Any:
    """f'(z), but for softmax."""
    if code == act.SIGMOID:
        return act.sigmoid_derivative(z, a)
    if code == act.RELU:
        return act.relu_derivative(z, a)
    if code == act.TANH:
        return act.tanh_derivative(z, a)
    if code == act.LEAKY_RELU:
        return act.leaky_relu_derivative(z, a)
    if code == act.ELU:
        return act.elu_derivative(z, a)
    if code == act.SOFTPLUS:
        return act.softplus_derivative(z, a)
    if code == act.SILU:
        return act.silu_derivative(z, a)
    if code == act.GELU:
        return act.gelu_derivative(z, a)
    if code == act.EXP:
        return act.exponential_derivative(z, a)
    return act.identity_derivative(z, a)


@scalar_function
def settled(x: Any, least: Any) -> Any:
    """X, or 0 if it is smaller than that in size."""
    return x if abs(x) >= least else type(x)(0)


@scalar_function
def loss_of_output(loss: Any, level: Any, z: Any, a: Any, y: Any, normaliser: Any) -> Any:
    """One output's part of a sample's loss.

    For the categorical cross-entropy z is less the highest z of all outputs, and `normaliser` the logarithm
    of the sum of their exponentials: so nothing is lost where all are large. `level` is the quantile loss's.
    """
    if loss == losses.BINARY_CROSS_ENTROPY:
        return losses.binary_cross_entropy(z, y)
    if loss == losses.CATEGORICAL_CROSS_ENTROPY:
        return y * (normaliser - z)
    if loss == losses.POISSON:
        return losses.poisson(z, a, y)
    if loss == losses.SQUARED_ERROR:
        return losses.squared_error(a, y)
    if loss == losses.ABSOLUTE_ERROR:
        return losses.absolute_error(a, y)
    if loss == losses.QUANTILE:
        return losses.pinball(a, y, level)
    return losses.huber(a, y)


@scalar_function
def gradient_of_output(loss: Any, level: Any, a: Any, y: Any, mass: Any) -> Any:
    """dLoss/dz of one output for the joint losses, dLoss/da for the others; `mass` is the sum of y."""
    if loss == losses.BINARY_CROSS_ENTROPY or loss == losses.POISSON:
        return a - y
    if loss == losses.CATEGORICAL_CROSS_ENTROPY:
        return a * mass - y
    if loss == losses.SQUARED_ERROR:
        return losses.squared_error_gradient(a, y)
    if loss == losses.ABSOLUTE_ERROR:
        return losses.absolute_error_gradient(a, y)
    if loss == losses.QUANTILE:
        return losses.pinball_gradient(a, y, level)
    return losses.huber_gradient(a, y)


@scalar_function
def is_right(loss: Any, a: Any, start: Any, n: Any, targets: Any, s: Any) -> bool:
    """Whether the prediction for sample s is right, from n outputs beginning at a[start].

    One output, or several labels under binary cross-entropy: every output on its target's side
    of 1/2, with 1/2 itself a 0. Otherwise: the largest output is the largest target.
    """
    half = a.dtype.type(0.5)
    if n == 1 or loss == losses.BINARY_CROSS_ENTROPY:
        right = True
        for k in range(n):
            right = right and (a[start + k] > half) == (targets[s, k] > half)
        return right
    predicted = wanted = n - n
    output, target = a[start], targets[s, 0]
    for k in range(n):
        if a[start + k] > output:
            predicted, output = k, a[start + k]
        if targets[s, k] > target:
            wanted, target = k, targets[s, k]
    return predicted == wanted


@scalar_function
def highest_of(values: Any, start: Any, n: Any) -> Any:
    """The largest of n values from `start`."""
    highest = values[start]
    for k in range(1, n):
        highest = values[start + k] if values[start + k] > highest else highest
    return highest


@scalar_function
def sum_of(values: Any, start: Any, n: Any) -> Any:
    """The sum of n values from `start`."""
    total = values[start]
    for k in range(1, n):
        total += values[start + k]
    return total
