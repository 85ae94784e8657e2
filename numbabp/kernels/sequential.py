"""The sequential kernel: plain SGD of one network sample by sample, any depth and loss.

Reference: `train` in tests/reference.py.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from ..compiler.compiling import scalar_function, training_kernel
from ..compiler.constants import constant
from ..functions.activations import ACTIVATIONS
from ..functions.losses import LOSSES
from .layers import backward_layer, predict, transpose_narrow
from .state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, Model, begin_epoch, end_epoch, sample_weight
from .steps import step_layer


@scalar_function
def step_sgd(model: Any, rate: Any, shrink: Any, updated: Any) -> None:
    """Backpropagate and update, from the last layer to the first."""
    z, a, delta = model.units[0], model.units[1], model.units[2]
    for layer in range(len(model.layout) - 1, -1, -1):
        backward_layer(model, layer, z, a, delta)
        step_layer(model.parameters, model.layout, layer, a, delta, rate, shrink, updated)


@scalar_function
def _train(
    model: Any, samples: Any, rule: Any, run: Any, updated: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """See `train_sgd`."""
    real = model.parameters.dtype.type
    position = run.position
    transpose_narrow(model.parameters, model.layout, model.scratch, False)
    status = PAUSED
    done = 0
    while position[EPOCH] < stop_epoch and done < max_samples and status == PAUSED:
        begin_epoch(samples, run)
        rate = run.learning_rates[position[EPOCH]]
        shrink = real(rate * rule.l2)
        until = min(samples.order.size, position[SAMPLE] + max_samples - done)
        done += until - position[SAMPLE]
        for i in range(position[SAMPLE], until):
            s = samples.order[i]
            weight = sample_weight(samples, s)
            if weight != 0:
                if not predict(model, samples, run, s, weight):
                    until = i
                    status = DIVERGED
                    break
                step_sgd(model, real(rate) * weight, shrink, updated)
                position[STEP] += 1
        position[SAMPLE] = until
        end_epoch(samples, run)
    transpose_narrow(model.parameters, model.layout, model.scratch, True)
    return status


@training_kernel
def train_sgd(
    model: Any, samples: Any, rule: Any, run: Any, updated: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """Plain per-sample SGD, with L2, until `stop_epoch` epochs are done or `max_samples` more samples.

    Everything that a later call needs to go on is in `model`, `samples.order` and `run`, so that it does not
    matter to any bit where calls end.

    Parameters
    ----------
    model, samples, rule, run
        See `Model`, `Samples`, `update_rules.Rule` and `Run`; changed in place.
    updated
        propagate="updated".
    stop_epoch, max_samples
        Where to pause.

    Returns
    -------
    int
        `PAUSED`, or `DIVERGED` when the loss of the sample at run.position is not finite; that
        sample has changed nothing.
    """
    return _train(model, samples, rule, run, updated, stop_epoch, max_samples)


@cache
def make_train_sgd(hidden: str, output: str, loss: str, metrics: int) -> Callable[..., int]:
    """`train_sgd` compiled for a hidden and an output activation and a loss, in 0.6 of the time.

    `metrics` is 1 where the accuracy is recorded, and 0 where nothing is beside the loss.
    """
    of_hidden, of_output, of_loss = ACTIVATIONS[hidden], ACTIVATIONS[output], LOSSES[loss]

    @training_kernel
    def train_sgd_of(
        model: Any, samples: Any, rule: Any, run: Any, updated: Any, stop_epoch: Any, max_samples: Any
    ) -> int:
        known = Model(
            model.parameters,
            model.moments,
            model.gradient,
            model.units,
            model.scratch,
            model.layout,
            constant(of_loss),
            constant(of_hidden),
            constant(of_output),
            constant(metrics),
            model.level,
        )
        return _train(known, samples, rule, run, updated, stop_epoch, max_samples)

    return train_sgd_of
