"""numbabp's activations in operators of ONNX, by the formulas of `functions.activations`.

ONNX Runtime has Elu, Erf, LeakyRelu and Softplus for float32 alone, on a CPU. Its Sigmoid is right to some
units in the last place of 1, not of itself: at -17.8 that of float32 is 5 times too large, at -30 that of
float64 off by 1e-3 of itself. So Sigmoid is taken for float32, where a probability has no more digits after
the point, but not in silu. The others are made of exp, tanh and log, which lose no digits so: expm1(z) is
2 t / (1 - t) with t = tanh(z / 2), for z <= 0; log1p(e) is e log(u) / (u - 1) with u = 1 + e as it is
rounded, and e where u is 1 (Kahan).
"""

import math
from collections.abc import Callable

import numpy as np

from ..functions.activations import LEAKY_RELU_SLOPE
from ..functions.erf import END64, tail64
from .onnx_graph import Tensor

Activation = Callable[[Tensor], Tensor]


def activate(activation: str, z: Tensor) -> Tensor:
    """What an activation makes of pre-activations of shape (..., n_units), of the graph's dtype."""
    own = _OF_FLOAT32 if z.graph.dtype == np.float32 else _OF_FLOAT64
    return {**_OF_BOTH, **own}[activation](z)


def _expm1(z: Tensor) -> Tensor:
    """e^z - 1 for z <= 0."""
    t = (z * 0.5).of("Tanh")
    return (t + t) / (1.0 - t)


def _erf(x: Tensor) -> Tensor:
    """sign(x) (1 - e^(-a Q(a))) with a = abs(x), as `functions.erf` has it."""
    a = abs(x).of("Min", END64)
    return -x.of("Sign") * _expm1(-(a * tail64(a)))


def _gelu_with(erf: Activation) -> Activation:
    return lambda z: z * 0.5 * (1.0 + erf(z * math.sqrt(0.5)))


def _elu(z: Tensor) -> Tensor:
    return z.of("Greater", 0.0).of("Where", z, _expm1(z.of("Min", 0.0)))


def _softplus(z: Tensor) -> Tensor:
    """max(z, 0) + log1p(e^-abs(z))."""
    e = (-abs(z)).of("Exp")
    u = 1.0 + e
    return z.of("Max", 0.0) + u.of("Equal", 1.0).of("Where", e, e * u.of("Log") / (u - 1.0))


_OF_BOTH: dict[str, Activation] = {
    "identity": lambda z: z,
    "tanh": lambda z: z.of("Tanh"),
    "relu": lambda z: z.of("Relu"),
    "silu": lambda z: z / (1.0 + (-z).of("Exp")),
    "softmax": lambda z: z.of("Softmax", axis=-1),
    "exp": lambda z: z.of("Exp"),
}
_OF_FLOAT32: dict[str, Activation] = {
    "sigmoid": lambda z: z.of("Sigmoid"),
    "leaky_relu": lambda z: z.of("LeakyRelu", alpha=LEAKY_RELU_SLOPE),
    "elu": lambda z: z.of("Elu", alpha=1.0),
    "softplus": lambda z: z.of("Softplus"),
    "gelu": _gelu_with(lambda x: x.of("Erf")),
}
_OF_FLOAT64: dict[str, Activation] = {
    "sigmoid": lambda z: 1.0 / (1.0 + (-z).of("Exp")),
    "leaky_relu": lambda z: z.of("Max", z * LEAKY_RELU_SLOPE),
    "elu": _elu,
    "softplus": _softplus,
    "gelu": _gelu_with(_erf),
}
