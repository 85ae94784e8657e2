"""The mean loss of all samples as a function of the parameters, with its gradient: what L-BFGS asks for."""

import numpy as np

from ..kernels.minibatch.batch import BatchSamples
from ..kernels.minibatch.gradient import mean_gradient
from ..kernels.state import LOSS
from .samples import make_model, make_run
from .vectors import by_kinds, by_layers, views

CHUNK = 256
"""Samples at a time, whose activations stay in the cache while gradients are added up."""


class Objective:
    """Loss and gradient at a vector of parameters, in which all weights come first.

    Parameters
    ----------
    arrays
        Weights, then biases, for their shapes and dtype.
    activations
        scikit-learn's names, of the hidden layers and of the output layer.
    alpha
        Strength of the L2 penalty.
    samples
        All of them, in the same dtype.
    """

    def __init__(
        self, arrays: list[np.ndarray], activations: tuple[str, str], alpha: float, samples: BatchSamples
    ) -> None:
        self._alpha, self._samples, self._arrays = float(alpha), samples, arrays
        n, self._n_weights = len(samples.targets), sum(array.size for array in arrays if array.ndim == 2)
        sizes = [len(arrays[0]), *(array.size for array in arrays if array.ndim == 1)]
        parameters = np.empty(sum(array.size for array in arrays), arrays[0].dtype)
        no_moments = np.empty((0, parameters.size), parameters.dtype)
        layers = sizes, activations
        self._model, self._batch = make_model(parameters, no_moments, layers, samples, (n, min(CHUNK, n)))
        weight = samples.weights.sum(dtype=np.float64) if samples.weights.size else n
        self._penalty = self._alpha / float(weight)

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean loss with the penalty, and its gradient in an array of its own."""
        model, run = self._model, make_run()
        np.concatenate(
            [array.ravel() for array in by_layers(views(parameters, self._arrays))], out=model.parameters
        )
        mean_gradient(model, self._samples, run, self._batch)
        layered = views(model.gradient, by_layers(self._arrays))
        gradient = np.concatenate([array.ravel() for array in by_kinds(layered)])
        weights = parameters[: self._n_weights]
        gradient[: self._n_weights] += self._penalty * weights
        loss = run.sums[0, LOSS] / len(self._samples.targets) + 0.5 * self._penalty * float(weights @ weights)
        return float(loss), gradient
