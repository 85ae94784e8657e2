"""An epoch of mini-batches by the kernel, in slices short enough for Ctrl-C."""

import time
from typing import Any

import numpy as np

from ..compiler.subnormals import flushed_subnormals
from ..kernels.batches.state import ADAM, MOMENTUM, NESTEROV, SGD, Data, Model, Rule
from ..kernels.batches.training import train_batches
from ..training.slicing import SLICE_SECONDS, Slices
from .vectors import as_vector

OPERATIONS_A_SLICE = 2e8
"""Multiply-adds of the first slice, before it is known how fast they are: some 20 ms."""


def moments_of(optimizer: Any) -> tuple[list[np.ndarray], ...]:
    """The lists of arrays that scikit-learn's optimizer carries from step to step."""
    return (optimizer.ms, optimizer.vs) if hasattr(optimizer, "ms") else (optimizer.velocities,)


def moment_vectors(optimizer: Any) -> tuple[np.ndarray, ...]:
    """The same as vectors, of which the optimizer's lists then hold views."""
    return tuple(as_vector(moment) for moment in moments_of(optimizer))


def make_rule(optimizer: Any, alpha: float) -> Rule:
    """The kernel's rule for scikit-learn's optimizer as it stands, with the penalty's strength."""
    if hasattr(optimizer, "ms"):
        numbers = 0.0, float(optimizer.beta_1), float(optimizer.beta_2), float(optimizer.epsilon)
        return Rule(ADAM, float(optimizer.learning_rate_init), *numbers, float(alpha))
    momentum = float(optimizer.momentum)
    code = SGD if momentum == 0 else NESTEROV if optimizer.nesterov else MOMENTUM
    return Rule(code, float(optimizer.learning_rate), momentum, 0.0, 0.0, 0.0, float(alpha))


class Epochs:
    """Trains a model in place, epoch by epoch.

    Parameters
    ----------
    model, data
        For the kernel.
    optimizer
        scikit-learn's, whose moments are the model's.
    alpha
        Strength of the L2 penalty.
    batch_size
        Samples a batch.
    """

    def __init__(self, model: Model, data: Data, optimizer: Any, alpha: float, batch_size: int) -> None:
        self._model, self._data, self._optimizer, self._alpha = model, data, optimizer, alpha
        self._batch_size = batch_size
        self._slices = Slices(OPERATIONS_A_SLICE / (3 * model.parameters.size * batch_size))

    def run(self, order: np.ndarray | None) -> float:
        """Take all samples in this order, or as they stand; the mean loss, with the penalty.

        Raises
        ------
        ZeroDivisionError
            If the weights of a batch sum to zero. The batches before have changed the model.
        """
        data = self._data if order is None else self._data._replace(order=order)
        rule = make_rule(self._optimizer, self._alpha)
        n, size = len(data.targets), self._batch_size
        loss = np.zeros(1)
        position = 0
        while position < n:
            stop = min(n, position + self._slices.length * size)
            start, began = position, time.perf_counter()
            with flushed_subnormals():
                t = self._batches_taken
                position = train_batches(self._model, data, rule, size, position, stop, t, loss)
            self._count(-(-(position - start) // size))
            if position < stop:
                raise ZeroDivisionError("Weights sum to zero, can't be normalized")
            n_batches = -(-(stop - start) // size)
            self._slices.took(n_batches, time.perf_counter() - began, SLICE_SECONDS)
        return float(loss[0]) / n

    @property
    def _batches_taken(self) -> int:
        return getattr(self._optimizer, "t", 0)

    def _count(self, n_batches: int) -> None:
        """Bring adam's step and the rate of the last one up to date."""
        optimizer = self._optimizer
        if hasattr(optimizer, "ms"):
            optimizer.t += n_batches
            correction = np.sqrt(1 - optimizer.beta_2**optimizer.t) / (1 - optimizer.beta_1**optimizer.t)
            optimizer.learning_rate = optimizer.learning_rate_init * correction
