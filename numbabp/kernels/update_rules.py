"""The update rules: one step of the parameters from the gradient of a sample or a mini-batch.

g is the gradient with its penalties, clipped; eta the learning rate, t the step counted from 1.

============ =================================================================================
sgd          W -= eta g
momentum     v = mu v + g;  W -= eta v                                        (Polyak 1964)
nesterov     v = mu v + g;  W -= eta (g + mu v)              (Sutskever et al. 2013, rearranged)
adagrad      s += g^2;  W -= eta g / (sqrt(s) + eps)                      (Duchi et al. 2011)
rmsprop      s = rho s + (1 - rho) g^2;  W -= eta g / (sqrt(s) + eps)            (Hinton 2012)
adam         m = b1 m + (1 - b1) g;  s = b2 s + (1 - b2) g^2;
             W -= eta m/(1 - b1^t) / (sqrt(s/(1 - b2^t)) + eps)           (Kingma and Ba 2015)
ADAM_HAT     W -= eta m/(1 - b1^t) sqrt(1 - b2^t) / (sqrt(s) + eps)         (section 2, the end)
adamw        adam, with W -= eta l2 W apart from g             (Loshchilov and Hutter 2019)
rprop        d = min(1.2 d, 50) where g g' > 0; d = 0.5 d, g = 0 where g g' < 0;
             W -= d sign(g);  g' = g                     (iRprop-, Igel and Huesken 2000)
============ =================================================================================

The second form of adam, with its epsilon beside the root of the moment as it is, is scikit-learn's.
rprop is for the gradient of all samples; its d begins as eta, which has no part in later steps. FANN, where
it is the default, begins with 0.1.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..compiler.arithmetic.strictness import is_strict
from ..compiler.compiling import scalar_function, subroutine
from ..compiler.constants import constant, one_of
from ..functions.elementary import power
from ..functions.units import settled

SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADAM, ADAMW, RPROP, ADAM_HAT = range(9)
UPDATE_RULES: dict[str, int] = {
    "sgd": SGD,
    "momentum": MOMENTUM,
    "nesterov": NESTEROV,
    "adagrad": ADAGRAD,
    "rmsprop": RMSPROP,
    "adam": ADAM,
    "adamw": ADAMW,
    "rprop": RPROP,
}
_THEIR_CODES = one_of(SGD, MOMENTUM, NESTEROV, ADAM_HAT)
OF_ALL_SAMPLES = ("rprop",)
"""Rules that compare one step's gradient with the next one's, and so need that of the whole training set."""
FADED, ROOT = 2.0**26, 2.0**6
RPROP_FASTER, RPROP_SLOWER, RPROP_LARGEST = 1.2, 0.5, 50.0
N_MOMENTS: dict[str, int] = {
    "sgd": 0,
    "momentum": 1,
    "nesterov": 1,
    "adagrad": 1,
    "rmsprop": 1,
    "adam": 2,
    "adamw": 2,
    "rprop": 2,
}
"""How many arrays of the parameters' size a rule keeps from step to step."""


class Rule(NamedTuple):
    """An update rule with its numbers, as kernels take it; clip values of 0 mean no clipping."""

    code: int
    momentum: float
    rho: float
    beta_1: float
    beta_2: float
    epsilon: float
    l1: float
    l2: float
    clip_norm: float
    clip_value: float


class Numbers(NamedTuple):
    """What `apply` needs of a rule at one step, in the network's dtype."""

    eta: Any
    """Learning rate; for adam over 1 - b1^t, for rprop 0 after the first step."""
    keep: Any
    """mu, rho or b1."""
    take: Any
    """1 - keep."""
    keep_2: Any
    """b2."""
    take_2: Any
    correction: Any
    """1 / (1 - b2^t)."""
    epsilon: Any


@subroutine
def numbers(rule: Any, like: Any, rate: Any, t: Any) -> Any:
    """The rule's numbers at step t, in the dtype of `like`."""
    real = like.dtype.type
    keep, keep_2, eta, correction, epsilon = rule.momentum, 0.0, rate, 1.0, rule.epsilon
    if rule.code == RMSPROP:
        keep = rule.rho
    elif rule.code == ADAM or rule.code == ADAMW or rule.code == ADAM_HAT:
        keep, keep_2 = rule.beta_1, rule.beta_2
        eta = rate / (1 - power(keep, t))
        correction = 1 / (1 - power(keep_2, t))
        if rule.code == ADAM_HAT:  # beside the root of the corrected moment
            epsilon *= math.sqrt(correction)
    elif rule.code == RPROP and t > 1:
        eta = 0.0
    return Numbers(
        real(eta),
        real(keep),
        real(1 - keep),
        real(keep_2),
        real(1 - keep_2),
        real(correction),
        real(epsilon),
    )


@scalar_function
def as_scikit_learn(rule: Any, l2: Any) -> Any:
    """A rule that scikit-learn has, known to be one, with another penalty."""
    return Rule(
        _THEIR_CODES(rule.code),
        rule.momentum,
        rule.rho,
        rule.beta_1,
        rule.beta_2,
        rule.epsilon,
        constant(0),
        l2,
        constant(0),
        constant(0),
    )


@scalar_function
def without_limits(rule: Any) -> Any:
    """The rule for a gradient that has its penalties and has been clipped."""
    return Rule(
        rule.code, rule.momentum, rule.rho, rule.beta_1, rule.beta_2, rule.epsilon, 0.0, 0.0, 0.0, 0.0
    )


@subroutine
def add_penalties(rule: Any, parameters: Any, start: Any, gradient: Any, first: Any, n: Any) -> float:
    """G += l2 W + l1 sign(W) over n weights from `start` and gradient from `first`; adamw's l2 is apart.

    Returns the sum of the weights' squares.
    """
    real = parameters.dtype.type
    l2 = real(0.0 if rule.code == ADAMW else rule.l2)
    squares = real(0)
    if rule.l1 == 0:  # the usual one is half as long
        for j in range(n):
            w = parameters[start + j]
            gradient[first + j] += l2 * w
            squares += w * w
        return np.float64(squares)
    l1 = real(rule.l1)
    for j in range(n):
        w = parameters[start + j]
        sign = real(1) if w > real(0) else (real(-1) if w < real(0) else real(0))
        gradient[first + j] += l2 * w + l1 * sign
        squares += w * w
    return np.float64(squares)


@subroutine
def sum_of_squares(parameters: Any, start: Any, n: Any) -> float:
    """Of n parameters from `start`."""
    total = parameters.dtype.type(0)
    for j in range(n):
        total += parameters[start + j] * parameters[start + j]
    return np.float64(total)


@subroutine
def clip_values(rule: Any, gradient: Any, first: Any, n: Any) -> None:
    """Cut each of n elements from `first` to +-clip_value."""
    highest = gradient.dtype.type(rule.clip_value)
    for j in range(n):
        g = gradient[first + j]
        gradient[first + j] = highest if g > highest else (-highest if g < -highest else g)


@subroutine
def clip_norm(rule: Any, gradient: Any) -> None:
    """Scale the whole gradient down to norm clip_norm."""
    square = 0.0
    for j in range(gradient.size):
        square += np.float64(gradient[j]) * np.float64(gradient[j])
    norm = np.sqrt(square)
    if norm > rule.clip_norm:
        scale = gradient.dtype.type(rule.clip_norm / norm)
        for j in range(gradient.size):
            gradient[j] *= scale


@scalar_function
def _faded(x: Any) -> Any:
    """What a rule carries along, strictly 0 once it is next to nothing: 8e-31 in float32, 1e-300 in float64.

    Otherwise it would fade into the subnormal numbers, which strict kernels keep, and stay there, as 0.9 of
    the smallest one is the smallest again: 784-128-10 with adam in float32 took 20 times as long.
    """
    return settled(x, type(x)(np.finfo(type(x)).tiny * FADED)) if is_strict() else x


@scalar_function
def _root_of_normal(g: Any) -> Any:
    """G, strictly 0 where its square would be no normal number."""
    return settled(g, type(g)(math.sqrt(np.finfo(type(g)).tiny) * ROOT)) if is_strict() else g


@scalar_function
def momentum_step(step: Any, w: Any, v: Any, g: Any) -> tuple[Any, Any]:
    """One parameter and its velocity after a step."""
    v = _faded(step.keep * v + g)
    return w - step.eta * v, v


@scalar_function
def nesterov_step(step: Any, w: Any, v: Any, g: Any) -> tuple[Any, Any]:
    """One parameter and its velocity after a step."""
    v = _faded(step.keep * v + g)
    return w - step.eta * (g + step.keep * v), v


@scalar_function
def adagrad_step(step: Any, w: Any, s: Any, g: Any) -> tuple[Any, Any]:
    """One parameter and its sum of squares after a step."""
    root = _root_of_normal(g)
    s = s + root * root
    return w - step.eta * g / (math.sqrt(s) + step.epsilon), s


@scalar_function
def rmsprop_step(step: Any, w: Any, s: Any, g: Any) -> tuple[Any, Any]:
    """One parameter and its mean of squares after a step."""
    root = _root_of_normal(g)
    s = _faded(step.keep * s + step.take * root * root)
    return w - step.eta * g / (math.sqrt(s) + step.epsilon), s


@scalar_function
def adam_step(step: Any, w: Any, m: Any, s: Any, g: Any) -> tuple[Any, Any, Any]:
    """One parameter and its two moments after a step."""
    m = _faded(step.keep * m + step.take * g)
    root = _root_of_normal(g)
    s = _faded(step.keep_2 * s + step.take_2 * root * root)
    return w - step.eta * m / (math.sqrt(s * step.correction) + step.epsilon), m, s


@scalar_function
def rprop_step(step: Any, w: Any, last: Any, d: Any, g: Any) -> tuple[Any, Any, Any]:
    """One parameter, its gradient and the size of its steps after a step."""
    real = type(w)
    d = d + step.eta  # which is 0 after the first step, as d is before it
    if last * g > real(0):
        d = d * real(RPROP_FASTER)
        d = real(RPROP_LARGEST) if d > real(RPROP_LARGEST) else d
    elif last * g < real(0):
        d = d * real(RPROP_SLOWER)
        g = real(0)
    sign = real(1) if g > real(0) else (real(-1) if g < real(0) else real(0))
    return w - d * sign, g, d


@scalar_function
def step_parameter(code: Any, step: Any, parameters: Any, moments: Any, n: Any, j: Any, g: Any) -> None:
    """One step of parameter j from its gradient; moments of n each, flat."""
    w = parameters[j]
    if code == SGD:
        parameters[j] = w - step.eta * g
    elif code == MOMENTUM:
        parameters[j], moments[j] = momentum_step(step, w, moments[j], g)
    elif code == NESTEROV:
        parameters[j], moments[j] = nesterov_step(step, w, moments[j], g)
    elif code == ADAGRAD:
        parameters[j], moments[j] = adagrad_step(step, w, moments[j], g)
    elif code == RMSPROP:
        parameters[j], moments[j] = rmsprop_step(step, w, moments[j], g)
    elif code == RPROP:
        parameters[j], moments[j], moments[n + j] = rprop_step(step, w, moments[j], moments[n + j], g)
    else:
        parameters[j], moments[j], moments[n + j] = adam_step(step, w, moments[j], moments[n + j], g)


@subroutine
def apply(
    code: Any, step: Any, parameters: Any, moments: Any, start: Any, gradient: Any, first: Any, n: Any
) -> None:
    """One step of n parameters from `start`, their gradient from `first`; `step` is `numbers` of the rule."""
    if code == SGD:
        for j in range(n):
            parameters[start + j] -= step.eta * gradient[first + j]
    elif code == MOMENTUM:
        for j in range(n):
            parameters[start + j], moments[0, start + j] = momentum_step(
                step, parameters[start + j], moments[0, start + j], gradient[first + j]
            )
    elif code == NESTEROV:
        for j in range(n):
            parameters[start + j], moments[0, start + j] = nesterov_step(
                step, parameters[start + j], moments[0, start + j], gradient[first + j]
            )
    elif code == ADAGRAD:
        for j in range(n):
            parameters[start + j], moments[0, start + j] = adagrad_step(
                step, parameters[start + j], moments[0, start + j], gradient[first + j]
            )
    elif code == RMSPROP:
        for j in range(n):
            parameters[start + j], moments[0, start + j] = rmsprop_step(
                step, parameters[start + j], moments[0, start + j], gradient[first + j]
            )
    elif code == RPROP:
        for j in range(n):
            parameters[start + j], moments[0, start + j], moments[1, start + j] = rprop_step(
                step, parameters[start + j], moments[0, start + j], moments[1, start + j], gradient[first + j]
            )
    else:
        for j in range(n):
            parameters[start + j], moments[0, start + j], moments[1, start + j] = adam_step(
                step, parameters[start + j], moments[0, start + j], moments[1, start + j], gradient[first + j]
            )


@subroutine
def shrink_weights(parameters: Any, start: Any, n: Any, factor: Any) -> None:
    """W -= factor W, adamw's decay."""
    for j in range(n):
        parameters[start + j] -= factor * parameters[start + j]
