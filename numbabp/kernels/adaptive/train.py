"""The kernel of single steps of adagrad, rmsprop, adam and adamw, without L1 and clipping.

Reference: `train` in tests/reference.py.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function, training_kernel
from ...compiler.constants import constant
from ...compiler.views import flat
from ..layers import activate_layer, backward_layer, observe
from ..state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, begin_epoch, end_epoch, sample_weight
from ..update_rules import Rule
from .layers import affine_in_order, step_first_layer, step_layer
from .rules import state_of


@scalar_function
def forward_in_order(model: Any, is_begun: Any) -> None:
    """Units of every layer for the inputs at the head of `a`; z of the first one may be there already."""
    z, a = model.units[0], model.units[1]
    for layer in range(len(model.layout)):
        if layer > 0 or not is_begun:
            affine_in_order(model.parameters, model.layout, layer, a, z)
        activate_layer(model, layer, z, a)


@scalar_function
def step_adaptive(
    model: Any, rule: Any, run: Any, weight: Any, inputs: Any, following: Any, penalised: Any
) -> None:
    """One step from delta of the output layer; leaves z of the first layer for inputs[following:].

    `penalised` is 1 where the rule has an L2 penalty, else 0.
    """
    z, a, delta = model.units[0], model.units[1], model.units[2]
    run.position[STEP] += 1
    state = state_of(model, rule, run.learning_rates[run.position[EPOCH]], run.position[STEP])
    for layer in range(len(model.layout) - 1, 0, -1):
        backward_layer(model, layer, z, a, delta)
        step_layer(model, state, layer, weight, penalised)
    backward_layer(model, 0, z, a, delta)
    step_first_layer(model, state, weight, inputs, following, penalised)


@scalar_function
def _next_place(samples: Any, i: Any, until: Any) -> int:
    """Place of the next sample that does not weigh 0, from i on; `until` if there is none before."""
    while i < until and sample_weight(samples, samples.order[i]) == 0:
        i += 1
    return i


@scalar_function
def _train(
    model: Any, samples: Any, rule: Any, run: Any, penalised: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """See `make_train_adaptive`."""
    position, inputs = run.position, flat(samples.inputs)
    n_inputs = np.uint64(samples.inputs.shape[1])
    z, a, delta = model.units[0], model.units[1], model.units[2]
    done = 0
    while position[EPOCH] < stop_epoch and done < max_samples:
        begin_epoch(samples, run)
        until = min(samples.order.size, position[SAMPLE] + max_samples - done)
        done += until - position[SAMPLE]
        i = _next_place(samples, position[SAMPLE], until)
        is_begun = False
        while i < until:
            s = samples.order[i]
            own = np.uint64(s) * n_inputs
            for j in range(n_inputs):
                a[j] = inputs[own + j]
            forward_in_order(model, is_begun)
            weight = sample_weight(samples, s)
            if not observe(model, samples, run, s, weight, z, a, delta):
                position[SAMPLE] = i
                return DIVERGED
            i = _next_place(samples, i + 1, until)
            # after the last one its own inputs again, which nobody uses
            following = np.uint64(samples.order[i]) * n_inputs if i < until else own
            step_adaptive(model, rule, run, weight, inputs, following, penalised)
            is_begun = True
        position[SAMPLE] = until
        end_epoch(samples, run)
    return PAUSED


@cache
def make_train_adaptive(code: int, penalised: bool) -> Callable[..., int]:
    """The kernel compiled for a rule, with or without an L2 penalty.

    Its arguments and what it returns are those of `sequential.train_sgd`, without `updated`; `model.gradient`
    has `layers.scratch_size` numbers. It does not matter to any bit where calls end.
    """
    has_penalty = int(penalised)

    @training_kernel
    def train_adaptive(
        model: Any, samples: Any, rule: Any, run: Any, stop_epoch: Any, max_samples: Any
    ) -> int:
        known = Rule(
            constant(code),
            rule.momentum,
            rule.rho,
            rule.beta_1,
            rule.beta_2,
            rule.epsilon,
            rule.l1,
            rule.l2,
            rule.clip_norm,
            rule.clip_value,
        )
        return _train(model, samples, known, run, constant(has_penalty), stop_epoch, max_samples)

    return train_adaptive
