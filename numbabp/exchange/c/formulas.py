"""Activations and losses as expressions of C, each the same formula as in `numbabp.functions`.

``$f`` stands behind every constant and function of math.h: it is f for float, and nothing for double. z is a
pre-activation, a an activation, y a target, p a probability or a mean that is cut to where its logarithm is
finite.
"""

from typing import NamedTuple

from ...functions.activations import LEAKY_RELU_SLOPE
from ...functions.losses import HUBER_THRESHOLD


class Activation(NamedTuple):
    """Of one unit."""

    value: str
    derivative: str
    needs: str = "a"
    """What the derivative is of: z, a or both."""


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation("1.0$f / (1.0$f + exp$f(-z))", "a * (1.0$f - a)"),
    "tanh": Activation("tanh$f(z)", "(1.0$f - a) * (1.0$f + a)"),
    "relu": Activation("z < 0.0$f ? 0.0$f : z", "a > 0.0$f ? 1.0$f : 0.0$f"),
    "leaky_relu": Activation(
        f"z > 0.0$f ? z : {LEAKY_RELU_SLOPE}$f * z", f"a > 0.0$f ? 1.0$f : {LEAKY_RELU_SLOPE}$f"
    ),
    "elu": Activation("z > 0.0$f ? z : expm1$f(z)", "a > 0.0$f ? 1.0$f : a + 1.0$f"),
    "softplus": Activation(
        "(z > 0.0$f ? z : 0.0$f) + log1p$f(exp$f(-fabs$f(z)))", "1.0$f / (1.0$f + exp$f(-z))", "z"
    ),
    "silu": Activation("z / (1.0$f + exp$f(-z))", "(1.0$f + (z - a)) / (1.0$f + exp$f(-z))", "za"),
    "gelu": Activation(
        "0.5$f * z * (1.0$f + erf$f(0.7071067811865476$f * z))",
        "0.5$f * (1.0$f + erf$f(0.7071067811865476$f * z))\n"
        "                    + 0.3989422804014327$f * z * exp$f(-0.5$f * z * z)",
        "z",
    ),
    "exp": Activation("exp$f(z)", "a"),
}
"""All but the identity, and softmax, which is not a function of one unit."""


class Loss(NamedTuple):
    """Of one output."""

    value: str
    gradient: str
    """dLoss/dz for the losses that belong to their output activation, dLoss/da for the others."""
    lowest: str = ""
    """Where p is cut below, if the loss is of p."""
    highest: str = ""


_EPSILON = "$epsilon"
LOSSES: dict[str, Loss] = {
    "squared_error": Loss("0.5$f * (a - y) * (a - y)", "a - y"),
    "absolute_error": Loss("fabs$f(a - y)", "a > y ? 1.0$f : (a < y ? -1.0$f : a - y)"),
    "huber": Loss(
        f"fabs$f(a - y) > {HUBER_THRESHOLD}$f\n"
        f"            ? {HUBER_THRESHOLD}$f * (fabs$f(a - y) - 0.5$f * {HUBER_THRESHOLD}$f)\n"
        "            : 0.5$f * (a - y) * (a - y)",
        f"a - y > {HUBER_THRESHOLD}$f ? {HUBER_THRESHOLD}$f\n"
        f"            : (a - y < -{HUBER_THRESHOLD}$f ? -{HUBER_THRESHOLD}$f : a - y)",
    ),
    "quantile": Loss(
        "a > y ? (1.0$f - $level) * (a - y) : $level * (y - a)",
        "a > y ? 1.0$f - $level : (a < y ? -$level : a - y)",
    ),
    "binary_cross_entropy": Loss(
        "-(y * log$f(p) + (1.0$f - y) * log$f(1.0$f - p))", "a - y", _EPSILON, f"1.0$f - {_EPSILON}"
    ),
    "categorical_cross_entropy": Loss("-y * log$f(p)", "a * mass - y", _EPSILON),
    "poisson": Loss("y > 0.0$f ? y * log$f(y / p) - (y - p) : p", "a - y", _EPSILON),
}
