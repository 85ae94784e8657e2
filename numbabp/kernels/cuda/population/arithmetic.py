"""What strict kernels compute in another way than fast ones: as the CPU's strict kernels do, bit for bit.

Those take the weight of a sample into the step instead of delta, powers and rates in float64, losses and the
logarithm of softmax's sum, too; and what is of no consequence for 0. Which function a kernel takes is chosen
here, when it is made; `kernel` asks `of.strict` itself where sums and positions are its own variables.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ....compiler.compiling import scalar_function
from ....functions.elementary import log, power
from ....functions.units import settled
from ...update_rules import ADAM, ADAMW, RMSPROP, RPROP, Numbers, step_parameter
from .specialisation import Specialisation


class Step(NamedTuple):
    """How to take a step; T is the networks' dtype."""

    rate: Any
    """Strictly times the sample's weight."""
    weight: Any
    l2: Any
    """For steps that are linear in the gradient strictly times the rate; of adamw, times the rate."""
    l1: Any
    clip_value: Any
    numbers: Any
    """See `update_rules.step_parameter`."""


def real_of_sums(of: Specialisation) -> type:
    """What losses and rates are taken in."""
    return np.float64 if of.strict else of.real


def make_settled(of: Specialisation) -> Callable[[Any], Any]:
    """settled(x): a hidden activation or a delta, see `kernels.layers`."""
    least = of.real(math.sqrt(np.finfo(of.dtype_name).tiny))

    @scalar_function
    def fast(x: Any) -> Any:
        return x

    @scalar_function
    def strict(x: Any) -> Any:
        return settled(x, least)

    return strict if of.strict else fast


def make_log_of_sum(of: Specialisation) -> Callable[..., Any]:
    """log_of_sum(total, values, start, n): of the values, whose total in their dtype is known."""

    @scalar_function
    def fast(total: Any, values: Any, start: Any, n: Any) -> Any:
        return log(total)

    @scalar_function
    def strict(total: Any, values: Any, start: Any, n: Any) -> Any:
        exact = 0.0
        for k in range(n):
            exact += values[start + k]
        return log(exact)

    return strict if of.strict else fast


@scalar_function
def _is_adam(code: Any) -> bool:
    return code in (ADAM, ADAMW)


@scalar_function
def powers_at(code: Any, common: Any, t: Any) -> tuple[float, float]:
    """beta_1^t and beta_2^t, for adam and adamw."""
    return (power(common.beta_1, t), power(common.beta_2, t)) if _is_adam(code) else (1.0, 1.0)


def make_next_powers(of: Specialisation) -> Callable[..., Any]:
    """next_powers(common, powers, t): those of step t from those of the step before."""
    rule = of.rule

    @scalar_function
    def fast(common: Any, powers: Any, t: Any) -> tuple[float, float]:
        return (powers[0] * common.beta_1, powers[1] * common.beta_2) if _is_adam(rule) else powers

    @scalar_function
    def strict(common: Any, powers: Any, t: Any) -> tuple[float, float]:
        return powers_at(rule, common, t)

    return strict if of.strict else fast


@scalar_function
def numbers_of_step(code: Any, like: Any, common: Any, rate: Any, momentum: Any, powers: Any, t: Any) -> Any:
    """What `update_rules.step_parameter` needs of a rule at step t, in the dtype of the array `like`.

    `powers` are beta_1^t and beta_2^t: fast kernels multiply them on, as a power costs more than a small
    step.
    """
    real = like.dtype.type
    zero, epsilon = real(0), real(common.epsilon)
    if _is_adam(code):
        return Numbers(
            real(rate / (1.0 - powers[0])),
            real(common.beta_1),
            real(1.0 - common.beta_1),
            real(common.beta_2),
            real(1.0 - common.beta_2),
            real(1.0 / (1.0 - powers[1])),
            epsilon,
        )
    if code == RMSPROP:
        return Numbers(real(rate), real(common.rho), real(1.0 - common.rho), zero, zero, zero, epsilon)
    if code == RPROP and t > 1:
        return Numbers(zero, zero, zero, zero, zero, zero, zero)
    return Numbers(real(rate), real(momentum), zero, zero, zero, zero, epsilon)


def make_step(of: Specialisation) -> Callable[..., Any]:
    """step_of(like, common, rate, weight, momentum, l2, powers, t): the `Step` of number t."""
    real, rule, linear, shrinks, strictly = of.real, of.rule, of.is_linear, of.shrinks, of.strict

    @scalar_function
    def step_of(
        like: Any, common: Any, rate: Any, weight: Any, momentum: Any, l2: Any, powers: Any, t: Any
    ) -> Any:
        numbers = numbers_of_step(rule, like, common, rate, momentum, powers, t)
        l1, clip_value = real(common.l1), real(common.clip_value)
        if strictly:
            decay = real(rate * l2 if linear or shrinks else l2)
            return Step(real(rate) * weight, weight, decay, l1, clip_value, numbers)
        return Step(rate, weight, rate * l2 if shrinks else l2, l1, clip_value, numbers)

    return step_of


def make_penalised(of: Specialisation) -> Callable[..., Any]:
    """penalised(step, w, g): G + l2 W + l1 sign(W), of a weight."""
    zero, one, with_l1 = of.real(0), of.real(1), of.with_l1
    with_l2 = of.with_l2 and not of.shrinks

    @scalar_function
    def penalised(step: Any, w: Any, g: Any) -> Any:
        if with_l1:
            sign = one if w > zero else (-one if w < zero else zero)
            return g + ((step.l2 * w if with_l2 else zero) + step.l1 * sign)
        return g + step.l2 * w if with_l2 else g

    return penalised


def make_clipped(of: Specialisation) -> Callable[..., Any]:
    """clipped(step, g): cut off at +-clip_value."""
    clips = of.clips_values

    @scalar_function
    def clipped(step: Any, g: Any) -> Any:
        highest = step.clip_value
        return (highest if g > highest else (-highest if g < -highest else g)) if clips else g

    return clipped


def make_step_weight(of: Specialisation, n: Any) -> Callable[..., None]:
    """step_weight(step, parameters, moments, p, old, a, d): of n parameters, p by a d and its penalty.

    Where a step needs the whole gradient, a d is added to that, which lies behind the moments.
    """
    rule, linear, plain, gathers, strictly = of.rule, of.is_linear, of.is_plain, of.gathers, of.strict
    shrinks, penalised, clipped, gradient = of.shrinks, make_penalised(of), make_clipped(of), n * of.n_moments

    @scalar_function
    def step_weight(step: Any, parameters: Any, moments: Any, p: Any, old: Any, a: Any, d: Any) -> None:
        if gathers:
            moments[gradient + p] += (step.weight * a) * d if strictly else a * d
        elif linear and strictly:
            parameters[p] = old - (step.l2 * old + (step.rate * a) * d)
        elif plain:
            parameters[p] = old - a * (step.rate * d)
        else:
            g = clipped(step, penalised(step, old, (step.weight * a) * d if strictly else a * d))
            if shrinks:
                parameters[p] = old - step.l2 * old
            step_parameter(rule, step.numbers, parameters, moments, n, p, g)

    return step_weight


def make_step_bias(of: Specialisation, n: Any) -> Callable[..., None]:
    """step_bias(step, parameters, moments, p, d): of n parameters, p, which has no penalty."""
    rule, linear, gathers, strictly = of.rule, of.is_linear, of.gathers, of.strict
    clipped, gradient = make_clipped(of), n * of.n_moments

    @scalar_function
    def step_bias(step: Any, parameters: Any, moments: Any, p: Any, d: Any) -> None:
        if linear and strictly:
            parameters[p] -= step.rate * d
            return
        g = step.weight * d if strictly else d
        if gathers:
            moments[gradient + p] += g
        else:
            step_parameter(rule, step.numbers, parameters, moments, n, p, clipped(step, g))

    return step_bias
