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
from ...update_rules import ADAM, SGD, Numbers, step_parameter
from .specialisation import Specialisation


class Step(NamedTuple):
    """How to take a step."""

    rate: Any
    """Strictly times the sample's weight."""
    weight: Any
    l2: Any
    """For plain SGD strictly times the rate."""
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
def powers_at(code: Any, common: Any, t: Any) -> tuple[float, float]:
    """beta_1^t and beta_2^t, for adam."""
    return (power(common.beta_1, t), power(common.beta_2, t)) if code == ADAM else (1.0, 1.0)


def make_next_powers(of: Specialisation) -> Callable[..., Any]:
    """next_powers(common, powers, t): those of step t from those of the step before."""
    rule = of.rule

    @scalar_function
    def fast(common: Any, powers: Any, t: Any) -> tuple[float, float]:
        return (powers[0] * common.beta_1, powers[1] * common.beta_2) if rule == ADAM else powers

    @scalar_function
    def strict(common: Any, powers: Any, t: Any) -> tuple[float, float]:
        return powers_at(rule, common, t)

    return strict if of.strict else fast


@scalar_function
def numbers_of_step(code: Any, like: Any, common: Any, rate: Any, momentum: Any, powers: Any) -> Any:
    """What `update_rules.step_parameter` needs of a rule at a step, in the dtype of the array `like`.

    `powers` are beta_1^t and beta_2^t: fast kernels multiply them on, as a power costs more than a small
    step.
    """
    real = like.dtype.type
    if code == ADAM:
        return Numbers(
            real(rate / (1.0 - powers[0])),
            real(common.beta_1),
            real(1.0 - common.beta_1),
            real(common.beta_2),
            real(1.0 - common.beta_2),
            real(1.0 / (1.0 - powers[1])),
            real(common.epsilon),
        )
    zero = real(0)
    return Numbers(real(rate), real(momentum), zero, zero, zero, zero, zero)


def make_step(of: Specialisation) -> Callable[..., Any]:
    """step_of(numbers, rate, weight, l2): a `Step`."""
    real, plain = of.real, of.rule == SGD

    @scalar_function
    def fast(numbers: Any, rate: Any, weight: Any, l2: Any) -> Any:
        return Step(rate, weight, l2, numbers)

    @scalar_function
    def strict(numbers: Any, rate: Any, weight: Any, l2: Any) -> Any:
        return Step(real(rate) * weight, weight, real(rate * l2 if plain else l2), numbers)

    return strict if of.strict else fast


def make_step_weight(of: Specialisation, n: int) -> Callable[..., None]:
    """step_weight(step, parameters, moments, p, old, a, d): of n parameters, p by a d and its penalty."""
    rule, plain = of.rule, of.is_plain

    @scalar_function
    def fast(step: Any, parameters: Any, moments: Any, p: Any, old: Any, a: Any, d: Any) -> None:
        if plain:
            parameters[p] = old - a * (step.rate * d)
        else:
            step_parameter(rule, step.numbers, parameters, moments, n, p, a * d + step.l2 * old)

    @scalar_function
    def strict(step: Any, parameters: Any, moments: Any, p: Any, old: Any, a: Any, d: Any) -> None:
        if rule == SGD:
            parameters[p] = old - (step.l2 * old + (step.rate * a) * d)
        else:
            g = (step.weight * a) * d + step.l2 * old
            step_parameter(rule, step.numbers, parameters, moments, n, p, g)

    return strict if of.strict else fast


def make_step_bias(of: Specialisation, n: int) -> Callable[..., None]:
    """step_bias(step, parameters, moments, p, d): of n parameters, p, which has no penalty."""
    rule = of.rule

    @scalar_function
    def fast(step: Any, parameters: Any, moments: Any, p: Any, d: Any) -> None:
        step_parameter(rule, step.numbers, parameters, moments, n, p, d)

    @scalar_function
    def strict(step: Any, parameters: Any, moments: Any, p: Any, d: Any) -> None:
        if rule == SGD:
            parameters[p] -= step.rate * d
        else:
            step_parameter(rule, step.numbers, parameters, moments, n, p, step.weight * d)

    return strict if of.strict else fast
