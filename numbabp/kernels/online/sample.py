"""The step of one sample, and what it is taken with.

It is made of the pieces of the sequential and of the general kernel, and takes the steps that they take.
Reference: `train` in tests/reference.py.
"""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.compiling import scalar_function
from ...compiler.constants import constant
from ...compiler.views import flat
from ...functions.losses import BINARY_CROSS_ENTROPY, CATEGORICAL_CROSS_ENTROPY, POISSON
from ..adaptive.train import forward_in_order, step_adaptive
from ..general import add_gradient, finish_batch, step_rows
from ..layers import forward, observe, output_gradient, transpose_narrow
from ..layout import ZERO
from ..sequential import step_sgd
from ..state import BATCH, EPOCH, STEP, Model, Run, Samples
from ..update_rules import Rule

# How a step is taken: plain SGD, without or with narrow layers transposed meanwhile; from the gradient of
# some rows at a time; from the whole gradient; by an adaptive rule without and with an L2 penalty.
PLAIN, TRANSPOSED_SGD, BY_ROWS, WHOLE, ADAPTIVE, PENALISED = range(6)


class Learner(NamedTuple):
    """A network that learns one sample at a time, as compiled code takes it."""

    model: Model
    samples: Samples
    """Of one row, the next sample; its inputs are the memory of those of the network, among the units."""
    rule: Rule
    run: Run
    plain_layout: Any
    """uint64 (n_layers, 8): of the parameters between steps, when no layer is transposed."""
    takes: Any
    """How a step is taken."""
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
    model, run = learner.model, learner.run
    sums = run.sums[run.position[EPOCH]]
    for j in range(sums.size):
        sums[j] = 0
    _transpose(learner, False)
    z, a, delta = model.units[0], model.units[1], model.units[2]
    _forward(learner, model)
    is_done = observe(model, learner.samples, run, 0, weight, z, a, delta)
    if is_done:
        _take_step(learner, weight)
    _transpose(learner, True)
    return is_done


@scalar_function
def learn_unobserved(learner: Any, weight: Any) -> float:
    """The same with nothing on record; returns the loss, without the weight."""
    model = learner.model
    _transpose(learner, False)
    z, a, delta = model.units[0], model.units[1], model.units[2]
    _forward(learner, model)
    loss = output_gradient(model.loss, model.level, model.layout, z, a, learner.samples.targets, 0, delta)
    if np.isfinite(loss) and weight > 0:
        _take_step(learner, weight)
    _transpose(learner, True)
    return loss


@scalar_function
def _forward(learner: Any, model: Any) -> None:
    """Forward pass of the inputs, with the sums in the order that `fit` has them in."""
    if learner.takes >= ADAPTIVE:
        forward_in_order(model, False)
    else:
        forward(model, model.units[0], model.units[1])


@scalar_function
def _transpose(learner: Any, back: Any) -> None:
    model = learner.model
    if learner.takes == TRANSPOSED_SGD:
        transpose_narrow(model.parameters, model.layout, model.scratch, back)


@scalar_function
def _take_step(learner: Any, weight: Any) -> None:
    """From delta of the output layer."""
    model, rule, run = learner.model, learner.rule, learner.run
    real = model.parameters.dtype.type
    if learner.takes <= TRANSPOSED_SGD:
        rate = run.learning_rates[0]
        step_sgd(model, real(rate) * weight, real(rate * rule.l2), learner.updated)
        run.position[STEP] += 1
    elif learner.takes == BY_ROWS:
        step_rows(model, rule, run, weight)
    elif learner.takes == ADAPTIVE:  # a next sample is not known: these inputs take its place
        step_adaptive(model, rule, run, weight, flat(learner.samples.inputs), ZERO, constant(0))
    elif learner.takes == PENALISED:
        step_adaptive(model, rule, run, weight, flat(learner.samples.inputs), ZERO, constant(1))
    else:
        add_gradient(model, weight)
        run.position[BATCH] = 1
        finish_batch(model, rule, run)


@scalar_function
def _between_steps(learner: Any, gradient: Any) -> Any:
    """The model as it lies between steps, with no layer transposed, and with a place for a gradient."""
    model = learner.model
    return Model(
        model.parameters,
        model.moments,
        gradient,
        model.units,
        model.scratch,
        learner.plain_layout,
        model.loss,
        model.hidden,
        model.output,
        model.metrics,
        model.level,
    )


@scalar_function
def look_at_sample(learner: Any) -> None:
    """Forward pass of the learner's sample, with the parameters as they lie between steps."""
    model = learner.model
    _forward(learner, _between_steps(learner, model.gradient))


@scalar_function
def gradient_of_sample(learner: Any, out: Any) -> float:
    """Loss of the learner's sample; its gradient, without penalties, goes into `out` T (n_parameters,)."""
    model, samples = learner.model, learner.samples
    look_at_sample(learner)
    z, a, delta = model.units[0], model.units[1], model.units[2]
    loss = output_gradient(model.loss, model.level, learner.plain_layout, z, a, samples.targets, 0, delta)
    for j in range(out.size):
        out[j] = 0
    add_gradient(_between_steps(learner, out), out.dtype.type(1))
    return loss
