"""An epoch of mini-batches by the kernel, in slices short enough for Ctrl-C."""

import time
from typing import Any

import numpy as np

from ..kernels.minibatch.batch import Batch, BatchSamples
from ..kernels.minibatch.train import train_minibatch
from ..kernels.state import EPOCH, LOSS, STEP, WEIGHTLESS, Model
from ..kernels.update_rules import ADAM_HAT, MOMENTUM, NESTEROV, SGD, Rule
from ..training.slicing import SLICE_SECONDS, Slices
from .samples import make_run
from .vectors import as_vector, by_kinds, by_layers

OPERATIONS_A_SLICE = 2e8
"""Multiply-adds of the first slice, before it is known how fast they are: some 20 ms."""


def moments_of(optimizer: Any) -> tuple[list[np.ndarray], ...]:
    """The lists of arrays that scikit-learn's optimizer carries from step to step."""
    return (optimizer.ms, optimizer.vs) if hasattr(optimizer, "ms") else (optimizer.velocities,)


def moment_vectors(optimizer: Any) -> np.ndarray:
    """The same as vectors (n, n_parameters), of which the optimizer's lists then hold views."""
    lists = moments_of(optimizer)
    arrays = [array for moment in lists for array in by_layers(moment)]
    vector, n = as_vector(arrays), len(lists[0])
    for i, moment in enumerate(lists):
        moment[:] = by_kinds(arrays[i * n : (i + 1) * n])
    return vector.reshape(len(lists), -1)


def make_rule(optimizer: Any, alpha: float) -> tuple[Rule, float, float]:
    """The kernel's rule for scikit-learn's optimizer as it stands, with the penalty's strength.

    With it come the learning rate and the gain of gradients: the rate is within scikit-learn's velocities,
    and so in the gradients, with its sign.
    """
    if hasattr(optimizer, "ms"):
        betas = float(optimizer.beta_1), float(optimizer.beta_2)
        rule = Rule(ADAM_HAT, 0.0, 0.0, *betas, float(optimizer.epsilon), 0.0, float(alpha), 0.0, 0.0)
        return rule, float(optimizer.learning_rate_init), 1.0
    momentum, rate = float(optimizer.momentum), float(optimizer.learning_rate)
    code = SGD if momentum == 0 else NESTEROV if optimizer.nesterov else MOMENTUM
    rule = Rule(code, momentum, 0.0, 0.0, 0.0, 0.0, 0.0, float(alpha), 0.0, 0.0)
    return (rule, rate, 1.0) if code == SGD else (rule, -1.0, -rate)


class Epochs:
    """Trains a model in place, epoch by epoch.

    Parameters
    ----------
    model, batch, samples
        For the kernel.
    optimizer
        scikit-learn's, whose moments are the model's.
    alpha
        Strength of the L2 penalty.
    """

    def __init__(
        self, model: Model, batch: Batch, samples: BatchSamples, optimizer: Any, alpha: float
    ) -> None:
        self._model, self._batch, self._samples = model, batch, samples
        self._optimizer, self._alpha = optimizer, alpha
        self._slices = Slices(OPERATIONS_A_SLICE / (3 * model.parameters.size * batch.size))

    def run(self, order: np.ndarray | None) -> float:
        """Take all samples in this order, or as they stand; the mean loss, with the penalty.

        Raises
        ------
        ZeroDivisionError
            If the weights of a batch sum to zero. The batches before have changed the model.
        """
        samples = self._samples if order is None else self._samples._replace(order=order)
        rule, rate, gain = make_rule(self._optimizer, self._alpha)
        n, size = len(samples.targets), self._batch.size
        batch = self._batch._replace(gain=gain, penalties=np.zeros(1))
        run = make_run(rate, getattr(self._optimizer, "t", 0))
        position = run.position
        while position[EPOCH] == 0:
            before, began = position[STEP], time.perf_counter()
            status = train_minibatch(self._model, samples, rule, run, batch, 1, self._slices.length * size)
            self._count(int(position[STEP] - before))
            if status == WEIGHTLESS:
                raise ZeroDivisionError("Weights sum to zero, can't be normalized")
            self._slices.took(int(position[STEP] - before), time.perf_counter() - began, SLICE_SECONDS)
        return float(run.sums[0, LOSS] + batch.penalties[0]) / n

    def _count(self, n_batches: int) -> None:
        """Bring adam's step and the rate of the last one up to date."""
        optimizer = self._optimizer
        if hasattr(optimizer, "ms"):
            optimizer.t += n_batches
            correction = np.sqrt(1 - optimizer.beta_2**optimizer.t) / (1 - optimizer.beta_1**optimizer.t)
            optimizer.learning_rate = optimizer.learning_rate_init * correction
