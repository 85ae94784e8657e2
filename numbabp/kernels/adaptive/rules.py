"""A step of the rules that divide by a root, for a vector of parameters at a time.

The formulas are those of `kernels.update_rules`; a running mean is m += (1 - b) (g - m): a product less.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ...compiler.arithmetic.registers import (
    is_zero,
    multiply_add,
    multiply_subtract,
    over_root,
    put_some,
    register_size,
    take,
    take_some,
)
from ...compiler.compiling import scalar_function
from ...compiler.vectors import store
from ...compiler.views import flat
from ..layout import ZERO
from ..products.tiles import prefetch
from ..update_rules import ADAGRAD, ADAM, ADAMW, RMSPROP, Rule

ADAPTIVE = (ADAGRAD, RMSPROP, ADAM, ADAMW)
AHEAD = np.uint64(16)
"""Registers that are fetched ahead of the one in work: 784-128-10 takes a twentieth less in float32."""


class State(NamedTuple):
    """What steps change, and what they need of a rule at one of them, in the network's dtype."""

    parameters: Any
    moments: Any
    """T (N_MOMENTS * n_parameters,)"""
    second: Any
    """Where the second moments begin in it."""
    code: Any
    take: Any
    """1 - rho or 1 - b1."""
    take_2: Any
    """1 - b2."""
    minus_eta: Any
    factor: Any
    """Of the root: with adam and adamw 1 / sqrt(1 - b2^t), else 1."""
    epsilon: Any
    l2: Any
    """Penalty that is part of the gradient."""
    decay: Any
    """What adamw takes of a weight, eta l2."""


def is_adaptive(rule: Rule) -> bool:
    """Whether the rule's steps are taken here: without L1 and clipping."""
    return rule.code in ADAPTIVE and rule.l1 == rule.clip_norm == rule.clip_value == 0


@scalar_function
def _two_powers(x: Any, y: Any, t: Any) -> Any:
    """x^t and y^t as `functions.elementary.power` has them, side by side: 40 ns a step less."""
    left: Any = np.int64(t)
    of_x = of_y = 1.0
    while left > 0:
        if left & 1:
            of_x, of_y = of_x * x, of_y * y
        x, y = x * x, y * y
        left >>= 1
    return of_x, of_y


@scalar_function
def state_of(model: Any, rule: Any, rate: Any, t: Any) -> Any:
    """At step t."""
    parameters = model.parameters
    real = parameters.dtype.type
    keep, keep_2, eta, factor = rule.rho, 0.0, rate, 1.0
    if rule.code == ADAM or rule.code == ADAMW:
        keep, keep_2 = rule.beta_1, rule.beta_2
        power, power_2 = _two_powers(keep, keep_2, t)
        eta = rate / (1 - power)
        factor = math.sqrt(1 / (1 - power_2))
    is_apart = rule.code == ADAMW
    return State(
        parameters,
        flat(model.moments),
        np.uint64(parameters.size),
        rule.code,
        real(1 - keep),
        real(1 - keep_2),
        real(-eta),
        real(factor),
        real(rule.epsilon),
        real(0.0 if is_apart else rule.l2),
        real(rate * rule.l2 if is_apart else 0.0),
    )


@scalar_function
def has_two(state: Any) -> Any:
    """Whether the rule keeps two moments."""
    return state.code != ADAGRAD and state.code != RMSPROP


@scalar_function
def _stepped(state: Any, w: Any, m: Any, s: Any, g: Any) -> Any:
    """Weights and moments after a step; `m` is the only moment of adagrad and rmsprop."""
    if state.code == ADAGRAD:
        m = multiply_add(g, g, m)
        return multiply_add(state.minus_eta, over_root(g, m, state.factor, state.epsilon), w), m, s
    if state.code == RMSPROP:
        m = multiply_add(state.take, multiply_subtract(g, g, m), m)
        return multiply_add(state.minus_eta, over_root(g, m, state.factor, state.epsilon), w), m, s
    m = multiply_add(state.take, g - m, m)
    s = multiply_add(state.take_2, multiply_subtract(g, g, s), s)
    return multiply_add(state.minus_eta, over_root(m, s, state.factor, state.epsilon), w), m, s


@scalar_function
def step_register(state: Any, j: Any, g: Any, penalised: Any) -> Any:
    """A step of as many parameters as a register holds, from j, with their gradient; returns them."""
    prefetch(state.parameters, j + AHEAD * register_size(state.parameters))
    prefetch(state.moments, j + AHEAD * register_size(state.parameters))
    w, m = take(state.parameters, j), take(state.moments, j)
    s = m
    if has_two(state):
        prefetch(state.moments, state.second + j + AHEAD * register_size(state.parameters))
        s = take(state.moments, state.second + j)
    if penalised == 1:
        g = multiply_add(state.l2, w, g)
        w = w - state.decay * w
    w, m, s = _stepped(state, w, m, s, g)
    store(state.parameters, j, w)
    store(state.moments, j, m)
    if has_two(state):
        store(state.moments, state.second + j, s)
    return w


@scalar_function
def _step_part(state: Any, j: Any, g: Any, penalised: Any, n: Any) -> None:
    """The same of n parameters, fewer than a register holds."""
    w, m = take_some(state.parameters, j, n), take_some(state.moments, j, n)
    s = m
    if has_two(state):
        s = take_some(state.moments, state.second + j, n)
    if penalised == 1:
        g = multiply_add(state.l2, w, g)
        w = w - state.decay * w
    w, m, s = _stepped(state, w, m, s, g)
    put_some(state.parameters, j, w, n)
    put_some(state.moments, j, m, n)
    if has_two(state):
        put_some(state.moments, state.second + j, s, n)


@scalar_function
def step_run(state: Any, start: Any, n: Any, g: Any, along: Any, first: Any, penalised: Any) -> None:
    """A step of n parameters from `start`, with gradient g along[first:first + n]."""
    size = register_size(along)
    whole = n - n % size
    for k in range(ZERO, whole, size):
        step_register(state, start + k, g * take(along, first + k), penalised)
    if whole < n:
        left = n - whole
        _step_part(state, start + whole, g * take_some(along, first + whole, left), penalised, left)


@scalar_function
def is_untouched(state: Any, start: Any, n: Any) -> bool:
    """Whether all moments of n parameters from `start` are 0; of others mostly the first look tells."""
    size = register_size(state.parameters)
    for k in range(ZERO, n, size):
        left = min(size, n - k)
        if not is_zero(take_some(state.moments, start + k, left)):
            return False
        if has_two(state) and not is_zero(take_some(state.moments, state.second + start + k, left)):
            return False
    return True
