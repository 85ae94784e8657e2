"""One sample at a time: the step that `numbabp.online` calls from Python, and compiled code by `numbabp.jit`.

It is made of the pieces of the sequential and of the general kernel, and takes the steps that they take.
Reference: `train` in tests/reference.py.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..compiler.compiling import scalar_function, short_kernel, subroutine
from ..compiler.constants import constant, constant_or_none
from ..compiler.views import table_at, vector_at
from ..functions.losses import BINARY_CROSS_ENTROPY, CATEGORICAL_CROSS_ENTROPY, POISSON
from .general import add_gradient, finish_batch, step_rows
from .layers import forward, predict, transpose_narrow
from .sequential import step_sgd
from .state import BATCH, EPOCH, STEP, Model, Run, Samples
from .update_rules import Rule

# How a step is taken: plain SGD; from the gradient of some rows at a time; from the whole gradient.
PLAIN, BY_ROWS, WHOLE = range(3)
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


class Learner(NamedTuple):
    """A network that learns one sample at a time, as compiled code takes it."""

    model: Model
    samples: Samples
    """Of one row, which is the next sample."""
    rule: Rule
    run: Run
    plain_layout: Any
    """uint64 (n_layers, 8): of the parameters between steps, when no layer is transposed."""
    takes: Any
    """PLAIN, BY_ROWS or WHOLE."""
    updated: Any
    """propagate="updated"."""


@scalar_function
def is_finite(values: Any, n: Any) -> bool:
    """Whether n numbers are; one sum tells, as 0 x is NaN for any that isn't."""
    total = values.dtype.type(0)
    for i in range(n):
        total += values[i] * values.dtype.type(0)
    return total == 0


@scalar_function
def are_targets(loss: Any, targets: Any, n: Any) -> bool:
    """Whether the loss takes n numbers as its targets."""
    good = is_finite(targets, n)
    if loss == BINARY_CROSS_ENTROPY or loss == CATEGORICAL_CROSS_ENTROPY:  # noqa: SIM109  # constants
        for k in range(n):
            good &= (targets[k] >= 0) & (targets[k] <= 1)
    elif loss == POISSON:
        for k in range(n):
            good &= targets[k] >= 0
    return good


@scalar_function
def learn_sample(learner: Any, weight: Any) -> bool:
    """One step with the learner's sample, unless its loss is not finite; run's sums are this one's."""
    model, samples, rule, run = learner.model, learner.samples, learner.rule, learner.run
    real = model.parameters.dtype.type
    sums = run.sums[run.position[EPOCH]]
    for j in range(sums.size):
        sums[j] = 0
    if learner.takes == PLAIN:
        transpose_narrow(model.parameters, model.layout, model.scratch, False)
    is_done = predict(model, samples, run, 0, weight)
    if is_done:
        if learner.takes == PLAIN:
            rate = run.learning_rates[0]
            step_sgd(model, real(rate) * weight, real(rate * rule.l2), learner.updated)
            run.position[STEP] += 1
        elif learner.takes == BY_ROWS:
            step_rows(model, rule, run, weight)
        else:
            add_gradient(model, weight)
            run.position[BATCH] = 1
            finish_batch(model, rule, run)
    if learner.takes == PLAIN:
        transpose_narrow(model.parameters, model.layout, model.scratch, True)
    return is_done


@scalar_function
def look_at_sample(learner: Any) -> None:
    """Forward pass of the learner's sample, with the parameters as they lie between steps."""
    model = learner.model
    z, a = model.units[0], model.units[1]
    for i in range(learner.samples.inputs.shape[1]):
        a[i] = learner.samples.inputs[0, i]
    plain = Model(
        model.parameters,
        model.moments,
        model.gradient,
        model.units,
        model.scratch,
        learner.plain_layout,
        model.loss,
        model.hidden,
        model.output,
        model.metrics,
        model.level,
    )
    forward(plain, z, a)


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
    """PLAIN, BY_ROWS or WHOLE."""


@scalar_function
def _learner(places: Any, real: Any, codes: Any, updated: Any) -> Any:
    """The learner whose arrays are at these places; `real` is the network's dtype."""
    plain_layout = table_at(places, LAYOUT, np.uint64)
    layout = plain_layout
    if codes.takes == PLAIN:
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
