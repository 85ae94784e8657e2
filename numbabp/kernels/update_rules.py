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
adamw        adam, with W -= eta l2 W apart from g             (Loshchilov and Hutter 2019)
============ =================================================================================
"""

from typing import Any, NamedTuple

import numpy as np

from ..compiling import subroutine
from .layers import BIASES, FAN_IN, FAN_OUT, WEIGHTS

SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADAM, ADAMW = range(7)
UPDATE_RULES: dict[str, int] = {
    "sgd": SGD,
    "momentum": MOMENTUM,
    "nesterov": NESTEROV,
    "adagrad": ADAGRAD,
    "rmsprop": RMSPROP,
    "adam": ADAM,
    "adamw": ADAMW,
}
N_MOMENTS: dict[str, int] = {
    "sgd": 0,
    "momentum": 1,
    "nesterov": 1,
    "adagrad": 1,
    "rmsprop": 1,
    "adam": 2,
    "adamw": 2,
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


@subroutine
def add_penalties(rule: Any, parameters: Any, layout: Any, gradient: Any) -> None:
    """G += l2 W + l1 sign(W), on weights, never on biases; adamw's l2 is kept apart."""
    real = parameters.dtype.type
    l1 = real(rule.l1)
    l2 = real(0.0 if rule.code == ADAMW else rule.l2)
    for layer in range(len(layout)):
        start = layout[layer, WEIGHTS]
        for j in range(layout[layer, FAN_IN] * layout[layer, FAN_OUT]):
            w = parameters[start + j]
            sign = real(1) if w > real(0) else (real(-1) if w < real(0) else real(0))
            gradient[start + j] += l2 * w + l1 * sign


@subroutine
def clip(rule: Any, gradient: Any) -> None:
    """Cut each element to +-clip_value, then scale the whole down to norm clip_norm."""
    real = gradient.dtype.type
    if rule.clip_value > 0:
        highest = real(rule.clip_value)
        for j in range(gradient.size):
            g = gradient[j]
            gradient[j] = highest if g > highest else (-highest if g < -highest else g)
    if rule.clip_norm > 0:
        square = 0.0
        for j in range(gradient.size):
            square += np.float64(gradient[j]) * np.float64(gradient[j])
        norm = np.sqrt(square)
        if norm > rule.clip_norm:
            scale = real(rule.clip_norm / norm)
            for j in range(gradient.size):
                gradient[j] *= scale


@subroutine
def apply(rule: Any, parameters: Any, layout: Any, gradient: Any, moments: Any, rate: Any, t: Any) -> None:
    """One step of the parameters; `moments` has the rows that the rule keeps (`N_MOMENTS`)."""
    real = parameters.dtype.type
    eta = real(rate)
    epsilon = real(rule.epsilon)
    n = parameters.size
    if rule.code == SGD:
        for j in range(n):
            parameters[j] -= eta * gradient[j]
    elif rule.code == MOMENTUM:
        mu = real(rule.momentum)
        for j in range(n):
            moments[0, j] = mu * moments[0, j] + gradient[j]
            parameters[j] -= eta * moments[0, j]
    elif rule.code == NESTEROV:
        mu = real(rule.momentum)
        for j in range(n):
            moments[0, j] = mu * moments[0, j] + gradient[j]
            parameters[j] -= eta * (gradient[j] + mu * moments[0, j])
    elif rule.code == ADAGRAD:
        for j in range(n):
            moments[0, j] += gradient[j] * gradient[j]
            parameters[j] -= eta * gradient[j] / (np.sqrt(moments[0, j]) + epsilon)
    elif rule.code == RMSPROP:
        rho = real(rule.rho)
        for j in range(n):
            moments[0, j] = rho * moments[0, j] + real(1 - rule.rho) * gradient[j] * gradient[j]
            parameters[j] -= eta * gradient[j] / (np.sqrt(moments[0, j]) + epsilon)
    else:
        if rule.code == ADAMW:
            shrink_weights(parameters, layout, real(rate * rule.l2))
        beta_1 = real(rule.beta_1)
        beta_2 = real(rule.beta_2)
        step_1 = eta / real(1 - rule.beta_1**t)
        correction_2 = real(1 / (1 - rule.beta_2**t))
        for j in range(n):
            moments[0, j] = beta_1 * moments[0, j] + real(1 - rule.beta_1) * gradient[j]
            moments[1, j] = beta_2 * moments[1, j] + real(1 - rule.beta_2) * gradient[j] * gradient[j]
            parameters[j] -= step_1 * moments[0, j] / (np.sqrt(moments[1, j] * correction_2) + epsilon)


@subroutine
def shrink_weights(parameters: Any, layout: Any, factor: Any) -> None:
    """W -= factor W, biases left alone."""
    for layer in range(len(layout)):
        start = layout[layer, WEIGHTS]
        for j in range(layout[layer, BIASES] - start):
            parameters[start + j] -= factor * parameters[start + j]
