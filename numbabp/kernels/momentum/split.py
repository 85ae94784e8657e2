"""The recurrence of one weight and its velocity, taken apart into a slow and a fast number.

Section 9 of docs/blocked.md; numbers in brackets are its equations.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ...compiler.compiling import scalar_function
from ...functions.elementary import exp, log, minus_log1m_half
from ..powers import step_rates


class Split(NamedTuple):
    """W = S + mix F and v = F - of_weights W, with S and F that go on by themselves (equation 10)."""

    slow: Any  # S_{t+1} = e^slow S_t + slow_gradient G_t; 0 without L2
    fast: Any  # F_{t+1} = e^fast F_t + fast_gradient G_t; log mu without L2
    mix: Any
    of_weights: Any  # 0 without L2
    slow_gradient: Any
    fast_gradient: Any


@scalar_function
def split_of(rule: Any, rate: Any) -> Split:
    """Of momentum and nesterov, mu > 0, in float64; only where `is_apart`."""
    mu, of_velocity, of_gradient = step_rates(rule, rate)
    both = of_velocity + of_gradient
    # 1 minus the larger eigenvalue of A (equation 3), which has product mu (1 - eta_g l2) with the other
    apart = 1.0 - mu + both * rule.l2
    loss = rule.l2 * (of_velocity + of_gradient * (1.0 - mu))
    loss = 2.0 * loss / (apart + math.sqrt(apart * apart - 4.0 * loss))
    fast = mu * (1.0 - of_gradient * rule.l2) / (1.0 - loss)
    carried = of_velocity * mu / (1.0 - loss - mu)
    of_weights = -rule.l2 / (1.0 - both * rule.l2 - fast)
    share = 1.0 / (1.0 + carried * of_weights)
    return Split(
        -minus_log1m_half(loss),
        log(fast),
        carried * share,
        of_weights,
        -share * (both + carried),
        1.0 - of_weights * both,
    )


@scalar_function
def after(logarithm: Any, steps: Any) -> Any:
    """What is left after so many steps; by powers the slow one's rounding would add up."""
    left: float = exp(logarithm * steps)
    return left


@scalar_function
def samples_that_count(fast: Any, unit: Any) -> int:
    """How many samples it takes until no more than `unit` of something is left of it in F.

    With the unit roundoff for `unit` older gradients can be left out of F: what F has of one of them, mix F
    in W, is no more than that part of what S has got by it, and so less than the rounding of the latter.
    """
    return math.ceil(log(unit) / fast)


ROOM = 0.1
"""By how much of 1 - mu a penalty may slow down what is fast."""


def is_apart(momentum: float, l2: float, rate: float) -> bool:
    """Whether the two are apart far enough, with this learning rate, for `most_that_count` to hold."""
    return 0 < momentum < 1 and abs(rate) * l2 <= ROOM * (1 - momentum) ** 2 / 2


def most_that_count(momentum: float, dtype: np.dtype) -> int:
    """`samples_that_count` at most, where the two are apart."""
    if not 0 < momentum < 1:
        return 0
    fast = log(momentum * (1 + ROOM * (1 - momentum)))
    return samples_that_count(fast, np.finfo(dtype).eps / 2)
