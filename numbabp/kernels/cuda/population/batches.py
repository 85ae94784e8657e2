"""Steps that need a gradient as a whole: that of a mini-batch, or one to be scaled down to a norm.

A team adds up its gradient behind the moments of its parameters (`arithmetic.make_step_weight`), and takes
the step here. Reference: `finish_batch` of `kernels.general`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....compiler.compiling import scalar_function
from ...update_rules import step_parameter
from .arithmetic import make_clipped, make_penalised
from .chaining import chain, chain_of_sums
from .specialisation import Specialisation

FunctionOfPart = Callable[..., Any]


class Part(NamedTuple):
    """Some of a team's parameters: `n` in rows of `length`, which begin `stride` apart."""

    start: int
    n: int
    are_weights: bool
    length: int = 1
    stride: int = 1
    are_copies: bool = False
    """Whether others among the team's parameters are the same numbers."""


def make_finish(
    of: Specialisation,
    n_own: int,
    parts: Sequence[Part],
    in_shared: bool,
    sum_of_team: Callable[[Any, float], float],
) -> Callable[..., None]:
    """finish(team, step, common, count): a step by the gradient of `count` samples, which is cleared.

    Parameters
    ----------
    of
        What the kernel is compiled for.
    n_own
        Parameters that a thread has, or, `in_shared` memory, a block.
    parts
        All of those.
    sum_of_team
        Its sum over a team's threads, for all of them.
    """
    real, clips_norm = of.real, of.clips_norm
    take = chain([_make_take(of, n_own, part, in_shared) for part in parts])
    square_of = chain_of_sums([_make_square(of, n_own, part, in_shared) for part in parts])

    @scalar_function
    def finish(team: Any, step: Any, common: Any, count: Any) -> None:
        scale = real(1.0 / count)
        if clips_norm:
            norm = math.sqrt(sum_of_team(team, square_of(team, step, scale)))
            scale = real(common.clip_norm / norm) if norm > common.clip_norm else real(1)
        take(team, step, scale)

    return finish


def _make_altered(of: Specialisation, n_own: int, part: Part) -> FunctionOfPart:
    """altered(team, step, p, scale): an element of the gradient's mean, with its penalties, cut off."""
    gradient, are_weights = n_own * of.n_moments, part.are_weights
    penalised, clipped = make_penalised(of), make_clipped(of)

    @scalar_function
    def altered(team: Any, step: Any, p: Any, scale: Any) -> Any:
        g = team.moments[gradient + p] * scale
        return clipped(step, penalised(step, team.parameters[p], g) if are_weights else g)

    return altered


def _make_square(of: Specialisation, n_own: int, part: Part, in_shared: bool) -> FunctionOfPart:
    """square_of(team, step, scale): of the altered gradient, which takes the place of the sum.

    In float64, as on the CPU: squares overflow float32 long before what they are squares of.
    """
    start, n, _, length, stride, are_copies = part
    gradient, altered = n_own * of.n_moments, _make_altered(of, n_own, part)

    @scalar_function
    def square_of(team: Any, step: Any, scale: Any) -> float:
        total = 0.0
        for j in range(team.lane if in_shared else 0, n, team.n_lanes if in_shared else 1):
            p = start + j // length * stride + j % length
            g = altered(team, step, p, scale)
            team.moments[gradient + p] = g
            if not are_copies:
                total += np.float64(g) * np.float64(g)
        return total

    return square_of


def _make_take(of: Specialisation, n_own: int, part: Part, in_shared: bool) -> FunctionOfPart:
    """take(team, step, scale): the step of a part; where norms are clipped, its gradient is altered."""
    start, n, are_weights, length, stride, _ = part
    rule, zero, clips_norm, shrinks = of.rule, of.real(0), of.clips_norm, of.shrinks and are_weights
    gradient, altered = n_own * of.n_moments, _make_altered(of, n_own, part)

    @scalar_function
    def take(team: Any, step: Any, scale: Any) -> None:
        parameters, moments = team.parameters, team.moments
        for j in range(team.lane if in_shared else 0, n, team.n_lanes if in_shared else 1):
            p = start + j // length * stride + j % length
            g = moments[gradient + p] * scale if clips_norm else altered(team, step, p, scale)
            if shrinks:
                parameters[p] -= step.l2 * parameters[p]
            step_parameter(rule, step.numbers, parameters, moments, n_own, p, g)
            moments[gradient + p] = zero

    return take
