"""Steps of adagrad, rmsprop, adam and adamw in lanes: the formulas of `update_rules` for vectors.

What the rule makes of a step's number is the same for all weights, so it is set once a step, lane by lane: a
sample of weight 0 leaves parameters, moments and the number of steps as they are.
"""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.compiling import scalar_function, subroutine
from ...compiler.vectors import load, n_lanes, square_root, store
from ..update_rules import ADAGRAD, RMSPROP, numbers
from .chunks import (
    EPOCH_RATE,
    STEP_CORRECTION,
    STEP_ETA,
    STEP_KEEP,
    STEP_KEEP_2,
    STEP_TAKE,
    STEP_TAKE_2,
    STEP_WEIGHT,
)


class Rows(NamedTuple):
    """The rule's numbers in a step, a vector each; see `update_rules.Numbers`."""

    eta: Any
    keep: Any
    take: Any
    keep_2: Any
    take_2: Any
    correction: Any


@subroutine
def set_rows(rule: Any, chunk: Any) -> None:
    """The rule's numbers for the step that each lane takes next, of which it keeps count."""
    if rule is not None:  # known when a kernel is compiled
        rows, steps = chunk.lanes, chunk.steps
        real, lanes = rows.dtype.type, n_lanes(rows)
        before = steps[0]
        of_step = numbers(rule, chunk.sums, 1.0, before + 1)  # of the rate 1, as rates differ
        for lane in range(lanes):
            is_taken = rows[STEP_WEIGHT * lanes + lane] > real(0)
            if steps[lane] != before:  # nearly always lanes have taken as many steps
                before = steps[lane]
                of_step = numbers(rule, chunk.sums, 1.0, before + 1)
            rows[STEP_ETA * lanes + lane] = (
                real(of_step.eta * np.float64(rows[EPOCH_RATE * lanes + lane])) if is_taken else real(0)
            )
            rows[STEP_KEEP * lanes + lane] = real(of_step.keep) if is_taken else real(1)
            rows[STEP_TAKE * lanes + lane] = real(of_step.take) if is_taken else real(0)
            rows[STEP_KEEP_2 * lanes + lane] = real(of_step.keep_2) if is_taken else real(1)
            rows[STEP_TAKE_2 * lanes + lane] = real(of_step.take_2) if is_taken else real(0)
            rows[STEP_CORRECTION * lanes + lane] = real(of_step.correction)
        for lane in range(lanes):
            steps[lane] += 1 if rows[STEP_WEIGHT * lanes + lane] > real(0) else 0


@scalar_function
def _rows(chunk: Any) -> Rows:
    rows, lanes = chunk.lanes, n_lanes(chunk.lanes)
    return Rows(
        load(rows, STEP_ETA * lanes),
        load(rows, STEP_KEEP * lanes),
        load(rows, STEP_TAKE * lanes),
        load(rows, STEP_KEEP_2 * lanes),
        load(rows, STEP_TAKE_2 * lanes),
        load(rows, STEP_CORRECTION * lanes),
    )


@scalar_function
def adaptive_step(rule: Any, chunk: Any, j: Any, old: Any, g: Any) -> Any:
    """The parameters `old` at j after a step with gradient g; their moments are stored."""
    moments, step = chunk.velocity, _rows(chunk)
    epsilon = moments.dtype.type(rule.epsilon)
    if rule.code == ADAGRAD:
        s = load(moments, j) + g * g
        store(moments, j, s)
        return old - step.eta * g / (square_root(s) + epsilon)
    if rule.code == RMSPROP:
        s = step.keep * load(moments, j) + step.take * g * g
        store(moments, j, s)
        return old - step.eta * g / (square_root(s) + epsilon)
    second = j + np.uint64(moments.size) // np.uint64(2)
    m = step.keep * load(moments, j) + step.take * g
    s = step.keep_2 * load(moments, second) + step.take_2 * g * g
    store(moments, j, m)
    store(moments, second, s)
    return old - step.eta * m / (square_root(s * step.correction) + epsilon)
