"""Loss functions and their gradients with respect to one output, each written once as a scalar function.

The two cross-entropies are taken together with the output activation that belongs to them, from the
pre-activation z: sigmoid with the binary, softmax with the categorical one. Then delta = dLoss/dz is a
difference of probabilities and neither overflows nor loses digits, however large z is
(Bishop, Pattern Recognition and Machine Learning, 2006, section 5.2).
"""

import math
from typing import Any

from ..compiler.compiling import scalar_function
from .activations import softplus

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
def binary_cross_entropy(z: Any, y: Any) -> Any:
    """-y log s(z) - (1 - y) log(1 - s(z)) = log(1 + e^z) - y z, from the pre-activation."""
    return softplus(z) - y * z


@scalar_function
def binary_cross_entropy_of_probability(p: Any, y: Any, epsilon: Any) -> Any:
    """The same from a probability, cut to [epsilon, 1 - epsilon]."""
    real = type(p)
    p = epsilon if p < epsilon else p
    p = real(1) - epsilon if p > real(1) - epsilon else p
    return -(y * math.log(p) + (real(1) - y) * math.log(real(1) - p))


@scalar_function
def categorical_cross_entropy_of_probability(p: Any, y: Any, epsilon: Any) -> Any:
    """-y log p for one class, p cut to at least epsilon."""
    return -y * math.log(epsilon if p < epsilon else p)


# Codes that compiled kernels branch on, in the order of the names.
(
    BINARY_CROSS_ENTROPY,
    CATEGORICAL_CROSS_ENTROPY,
    SQUARED_ERROR,
    ABSOLUTE_ERROR,
    HUBER,
    ACCURACY,
) = range(6)
LOSSES: dict[str, int] = {
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
    "categorical_cross_entropy": CATEGORICAL_CROSS_ENTROPY,
    "squared_error": SQUARED_ERROR,
    "absolute_error": ABSOLUTE_ERROR,
    "huber": HUBER,
}
METRICS: dict[str, int] = {**LOSSES, "accuracy": ACCURACY}
"""What `monitor` may name."""

OUTPUT_ACTIVATION: dict[str, str] = {
    "binary_cross_entropy": "sigmoid",
    "categorical_cross_entropy": "softmax",
    "squared_error": "identity",
    "absolute_error": "identity",
    "huber": "identity",
}
"""The output activation that belongs to a loss; the cross-entropies allow no other."""
