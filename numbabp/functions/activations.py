"""Activation functions and their derivatives, each written once as a scalar function.

A derivative takes the pre-activation z and the activation a = f(z), whichever serves. Constants take z's
own type, so that float32 arithmetic stays float32 in compiled code. Softmax is not a function of
one unit: kernels compute it over a whole layer with `exp`.
"""

import math
from typing import Any

from ..compiler.compiling import scalar_function
from . import elementary
from .elementary import exp, exp_or_infinity, expm1, log1p_unit, logistic
from .erf import erf

LEAKY_RELU_SLOPE = 0.01
_SQRT_HALF = math.sqrt(0.5)
_INVERSE_SQRT_TWO_PI = 1 / math.sqrt(2 * math.pi)


@scalar_function
def identity(z: Any) -> Any:
    return z


@scalar_function
def identity_derivative(z: Any, a: Any) -> Any:
    return type(z)(1)


@scalar_function
def sigmoid(z: Any) -> Any:
    return logistic(z)


@scalar_function
def sigmoid_derivative(z: Any, a: Any) -> Any:
    return a * (type(z)(1) - a)


@scalar_function
def tanh(z: Any) -> Any:
    return elementary.tanh(z)


@scalar_function
def tanh_derivative(z: Any, a: Any) -> Any:
    real = type(z)
    return (real(1) - a) * (real(1) + a)


@scalar_function
def relu(z: Any) -> Any:
    real = type(z)
    return real(0) if z < real(0) else z


@scalar_function
def relu_derivative(z: Any, a: Any) -> Any:
    real = type(z)
    return real(1) if z > real(0) else real(0)


@scalar_function
def leaky_relu(z: Any) -> Any:
    real = type(z)
    return z if z > real(0) else z * real(LEAKY_RELU_SLOPE)


@scalar_function
def leaky_relu_derivative(z: Any, a: Any) -> Any:
    real = type(z)
    return real(1) if z > real(0) else real(LEAKY_RELU_SLOPE)


@scalar_function
def elu(z: Any) -> Any:
    """Z for z > 0, else e^z - 1 (Clevert, Unterthiner and Hochreiter 2016, alpha = 1)."""
    return z if z > type(z)(0) else expm1(z)


@scalar_function
def elu_derivative(z: Any, a: Any) -> Any:
    real = type(z)
    return real(1) if z > real(0) else a + real(1)


@scalar_function
def softplus(z: Any) -> Any:
    """log(1 + e^z), as max(z, 0) + log(1 + e^-|z|): no overflow and no cancellation."""
    real = type(z)
    return (z if z > real(0) else real(0)) + log1p_unit(exp(-abs(z)))


@scalar_function
def softplus_derivative(z: Any, a: Any) -> Any:
    return sigmoid(z)


@scalar_function
def silu(z: Any) -> Any:
    return z * sigmoid(z)


@scalar_function
def silu_derivative(z: Any, a: Any) -> Any:
    s = sigmoid(z)
    return s + a * (type(z)(1) - s)


@scalar_function
def gelu(z: Any) -> Any:
    """Z Phi(z) with the normal distribution function Phi, by erf (Hendrycks and Gimpel 2016)."""
    real = type(z)
    return z * real(0.5) * (real(1) + erf(z * real(_SQRT_HALF)))


@scalar_function
def gelu_derivative(z: Any, a: Any) -> Any:
    real = type(z)
    distribution = real(0.5) * (real(1) + erf(z * real(_SQRT_HALF)))
    density = real(_INVERSE_SQRT_TWO_PI) * exp(real(-0.5) * z * z)
    return distribution + z * density


@scalar_function
def exponential(z: Any) -> Any:
    """e^z, for outputs: the mean of counts whose logarithm is z. Infinite where it overflows."""
    return exp_or_infinity(z)


@scalar_function
def exponential_derivative(z: Any, a: Any) -> Any:
    return a


# Codes that compiled kernels branch on, in the order of the names.
IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, SOFTPLUS, SILU, GELU, SOFTMAX, EXP = range(11)
ACTIVATIONS: dict[str, int] = {
    "identity": IDENTITY,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "elu": ELU,
    "softplus": SOFTPLUS,
    "silu": SILU,
    "gelu": GELU,
    "softmax": SOFTMAX,
    "exp": EXP,
}
OF_OUTPUTS_ALONE: tuple[str, ...] = ("softmax", "exp")
"""Not for hidden layers: the one looks beyond a unit, the other overflows where it is fed to another."""
HIDDEN_ACTIVATIONS: tuple[str, ...] = tuple(name for name in ACTIVATIONS if name not in OF_OUTPUTS_ALONE)
