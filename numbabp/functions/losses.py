"""Loss functions and their gradients with respect to one output, each written once as a scalar function.

The two cross-entropies and the Poisson deviance are taken together with the output activation that belongs to
them, from the pre-activation z: sigmoid with the binary, softmax with the categorical one, exp with the
deviance. Then delta = dLoss/dz is a difference, of probabilities or of means, and neither overflows nor loses
digits, however large z is (Bishop, Pattern Recognition and Machine Learning, 2006, section 5.2; McCullagh and
Nelder, Generalized Linear Models, 1989, section 2.2: the three are canonical links).
"""

import math
from typing import Any

from ..compiler.compiling import scalar_function
from ..compiler.vectors import where_greater
from .activations import softplus
from .elementary import expm1, log, logistic_pair, minus_log1m_half

HUBER_THRESHOLD = 1.0


@scalar_function
def squared_error(a: Any, y: Any) -> Any:
    r = a - y
    return type(a)(0.5) * r * r


@scalar_function
def squared_error_gradient(a: Any, y: Any) -> Any:
    return a - y


@scalar_function
def absolute_error(a: Any, y: Any) -> Any:
    return abs(a - y)


@scalar_function
def absolute_error_gradient(a: Any, y: Any) -> Any:
    real = type(a)
    r = a - y
    return real(1) if r > real(0) else (real(-1) if r < real(0) else r)


@scalar_function
def huber(a: Any, y: Any) -> Any:
    """Half the square up to `HUBER_THRESHOLD`, beyond it linear (Huber 1964)."""
    real = type(a)
    r = abs(a - y)
    threshold = real(HUBER_THRESHOLD)
    if r > threshold:
        return threshold * (r - real(0.5) * threshold)
    return real(0.5) * r * r


@scalar_function
def huber_gradient(a: Any, y: Any) -> Any:
    threshold = type(a)(HUBER_THRESHOLD)
    r = a - y
    return threshold if r > threshold else (-threshold if r < -threshold else r)


@scalar_function
def pinball(a: Any, y: Any, level: Any) -> Any:
    """Level (y - a) for y above a, else (1 - level) (a - y), least for the quantile of that level.

    (Koenker and Bassett 1978, "Regression Quantiles", Econometrica 46(1) 33.)
    """
    real = type(a)
    r = a - y
    return (real(1) - real(level)) * r if r > real(0) else -real(level) * r


@scalar_function
def pinball_gradient(a: Any, y: Any, level: Any) -> Any:
    real = type(a)
    r = a - y
    return real(1) - real(level) if r > real(0) else (-real(level) if r < real(0) else r)


@scalar_function
def binary_cross_entropy(z: Any, y: Any) -> Any:
    """-y log s(z) - (1 - y) log(1 - s(z)) = log(1 + e^z) - y z, from the pre-activation."""
    return softplus(z) - y * z


@scalar_function
def binary_cross_entropies(z: Any, y: Any, zero: Any) -> tuple[Any, Any]:
    """The same of a vector (`compiler.vectors`), and its sigmoids a, from one exponential.

    `zero` is such a vector, too. With b = sigmoid(-z), log(1 + e^z) is max(z, 0) - log(max(a, b)), and
    max(a, b) is 1 - min(a, b).
    """
    a, b = logistic_pair(z)
    smaller, positive = where_greater(z, zero, b, a), where_greater(z, zero, z, zero)
    return (positive - y * z) + minus_log1m_half(smaller), a


@scalar_function
def binary_cross_entropy_of_probability(p: Any, y: Any, epsilon: Any) -> Any:
    """The same from a probability, cut to [epsilon, 1 - epsilon]."""
    real = type(p)
    p = epsilon if p < epsilon else p
    p = real(1) - epsilon if p > real(1) - epsilon else p
    return -(y * log(p) + (real(1) - y) * log(real(1) - p))


@scalar_function
def categorical_cross_entropy_of_probability(p: Any, y: Any, epsilon: Any) -> Any:
    """-y log p for one class, p cut to at least epsilon."""
    return -y * log(epsilon if p < epsilon else p)


@scalar_function
def poisson(z: Any, a: Any, y: Any) -> Any:
    """Half the Poisson deviance, y log(y / a) - y + a, for a = e^z; NaN for negative y.

    (McCullagh and Nelder 1989, section 2.3; scikit-learn's HalfPoissonLoss less what it has for a = y.) With
    u = log(a / y) it is y (e^u - 1 - u), of which no digit is lost where a is about y.
    """
    real = type(z)
    if not y > real(0):
        return a if y == real(0) else real(math.nan)
    u = z - log(y)
    return y * (expm1(u) - u) if abs(u) < real(1) else (a - y) - y * u


@scalar_function
def poisson_of_mean(p: Any, y: Any, epsilon: Any) -> Any:
    """The same from a mean, cut to at least epsilon."""
    real = type(p)
    p = epsilon if p < epsilon else p
    if not y > real(0):
        return p if y == real(0) else real(math.nan)
    return y * log(y / p) - (y - p)


# Codes that compiled kernels branch on, in the order of the names.
(
    BINARY_CROSS_ENTROPY,
    CATEGORICAL_CROSS_ENTROPY,
    POISSON,
    SQUARED_ERROR,
    ABSOLUTE_ERROR,
    HUBER,
    QUANTILE,
    ACCURACY,
) = range(8)
LAST_JOINT = POISSON
"""Up to this code a loss and its output activation are taken together, and give dLoss/dz."""
LOSSES: dict[str, int] = {
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
    "categorical_cross_entropy": CATEGORICAL_CROSS_ENTROPY,
    "poisson": POISSON,
    "squared_error": SQUARED_ERROR,
    "absolute_error": ABSOLUTE_ERROR,
    "huber": HUBER,
    "quantile": QUANTILE,
}
METRICS: dict[str, int] = {**LOSSES, "accuracy": ACCURACY}
"""What `monitor` may name."""

OUTPUT_ACTIVATION: dict[str, str] = {
    "binary_cross_entropy": "sigmoid",
    "categorical_cross_entropy": "softmax",
    "poisson": "exp",
    "squared_error": "identity",
    "absolute_error": "identity",
    "huber": "identity",
    "quantile": "identity",
}
"""The output activation that belongs to a loss."""
JOINT: tuple[str, ...] = tuple(name for name, code in LOSSES.items() if code <= LAST_JOINT)
"""Losses that allow no other."""
