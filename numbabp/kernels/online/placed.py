"""Steps called from Python: all that they take is told by one array, of the places where arrays lie."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ...compiler.compiling import scalar_function, short_kernel, subroutine
from ...compiler.constants import constant, constant_or_none
from ...compiler.views import table_at, vector_at
from ..state import STEP, Model, Run, Samples
from ..update_rules import Rule
from .sample import TRANSPOSED_SGD, Learner, are_targets, is_finite, learn_sample, look_at_sample

# What `learn` and `look` return.
DONE, DUE, DIVERGED, WRONG = range(4)
# The arrays that a learner's places tell of.
(
    PARAMETERS,
    MOMENTS,
    GRADIENT,
    UNITS,
    SCRATCH,
    LAYOUT,
    TRANSPOSED,
    INPUTS,
    TARGETS,
    WEIGHTS,
    POSITION,
    RATES,
    METRICS,
    SUMS,
    TOTALS,
    LATEST,
    NUMBERS,
    NO_SHUFFLE,
) = range(18)
# Place of the quantile loss's level among the numbers, behind those of the rule without its code.
LEVEL = len(Rule._fields) - 1
CHECK_EVERY = 1024
"""Steps after which parameters are looked at: whether they are of any use (`training.divergence`)."""


@subroutine
def keep_record(sums: Any, totals: Any, latest: Any) -> None:
    """Add the sample's losses and metrics to all, and put them in the place of the oldest of the latest.

    `totals` (1, 1 + n): the number of samples, then their sums; `latest` (window, n).
    """
    if len(latest) > 0:
        place = np.int64(totals[0, 0]) % len(latest)
        for j in range(sums.size):
            latest[place, j] = sums[j]
    totals[0, 0] += 1
    for j in range(sums.size):
        totals[0, 1 + j] += sums[j]


class Codes(NamedTuple):
    """What a learner's kernels are compiled for."""

    hidden: Any
    """Activation of all hidden layers; `UNKNOWN` where it is more than one, and then `output`, too."""
    output: Any
    loss: Any
    metrics: Any
    """How many, if that is none but the accuracy, else `UNKNOWN`."""
    rule: Any
    takes: Any
    """How a step is taken."""


@scalar_function
def _learner(places: Any, real: Any, codes: Any, updated: Any) -> Any:
    """The learner whose arrays are at these places; `real` is the network's dtype."""
    plain_layout = table_at(places, LAYOUT, np.uint64)
    layout = plain_layout
    if codes.takes == TRANSPOSED_SGD:
        layout = table_at(places, TRANSPOSED, np.uint64)
    n = vector_at(places, NUMBERS, np.float64)
    model = Model(
        vector_at(places, PARAMETERS, real),
        table_at(places, MOMENTS, real),
        vector_at(places, GRADIENT, real),
        table_at(places, UNITS, real),
        vector_at(places, SCRATCH, real),
        layout,
        codes.loss,
        codes.hidden,
        codes.output,
        codes.metrics,
        n[LEVEL],
    )
    run = Run(
        vector_at(places, POSITION, np.int64),
        vector_at(places, NO_SHUFFLE, np.uint64),
        vector_at(places, RATES, np.float64),
        vector_at(places, METRICS, np.int64),
        table_at(places, SUMS, np.float64),
    )
    samples = Samples(
        table_at(places, INPUTS, real),
        table_at(places, TARGETS, real),
        vector_at(places, WEIGHTS, real),
        vector_at(places, METRICS, np.int64),
    )
    rule = Rule(codes.rule, n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8])
    return Learner(model, samples, rule, run, plain_layout, codes.takes, updated)


@cache
def make_online(codes: Codes, updated: bool, dtype: str) -> tuple[Any, Any]:
    """`learn` and `look`, of learners whose arrays are told of by places.

    Parameters
    ----------
    codes
        Of integers.
    updated
        propagate="updated".
    dtype
        Of the network: machine code for another one would take its memory for something else.
    """
    of_hidden, of_output, of_loss, of_metrics, of_rule, of_takes = codes
    real = np.dtype(dtype).type

    @short_kernel
    def learn(places: Any) -> int:
        """One step with what lies among the inputs and targets; see `DONE` and its kin."""
        known = Codes(
            constant_or_none(of_hidden),
            constant_or_none(of_output),
            constant(of_loss),
            constant_or_none(of_metrics),
            constant(of_rule),
            constant(of_takes),
        )
        learner = _learner(places, real, known, updated)
        inputs, targets = learner.samples.inputs[0], learner.samples.targets[0]
        if not is_finite(inputs, inputs.size):
            return WRONG
        if not are_targets(learner.model.loss, targets, targets.size):
            return WRONG
        if not learn_sample(learner, learner.samples.weights[0]):
            return DIVERGED
        keep_record(
            learner.run.sums[0],
            table_at(places, TOTALS, np.float64),
            table_at(places, LATEST, np.float64),
        )
        return DUE if learner.run.position[STEP] % CHECK_EVERY == 0 else DONE

    @short_kernel
    def look(places: Any) -> int:
        """Outputs for what lies among the inputs, left among the units."""
        known = Codes(
            constant_or_none(of_hidden),
            constant_or_none(of_output),
            constant(of_loss),
            constant_or_none(of_metrics),
            constant(of_rule),
            constant(of_takes),
        )
        learner = _learner(places, real, known, updated)
        inputs = learner.samples.inputs[0]
        if not is_finite(inputs, inputs.size):
            return WRONG
        look_at_sample(learner)
        return DONE

    return learn, look
