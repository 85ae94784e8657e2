"""The mean loss of all samples as a function of the parameters, with its gradient: what L-BFGS asks for."""

import numpy as np

from ..compiler.subnormals import flushed_subnormals
from ..kernels.batches.state import Data
from ..kernels.batches.training import loss_and_gradient
from .samples import make_model

CHUNK = 256
"""Samples at a time, whose activations stay in the cache while gradients are added up."""


class Objective:
    """Loss and gradient at a vector of parameters.

    Parameters
    ----------
    coefs
        Weights, for their shapes and dtype.
    activations
        scikit-learn's names, of the hidden layers and of the output layer.
    alpha
        Strength of the L2 penalty.
    data
        All samples, in the same dtype.
    """

    def __init__(
        self, coefs: list[np.ndarray], activations: tuple[str, str], alpha: float, data: Data
    ) -> None:
        self._alpha, self._data = float(alpha), data
        self._chunk = min(CHUNK, len(data.targets))
        parameters = np.empty(sum(w.size + w.shape[1] for w in coefs), coefs[0].dtype)
        self._model = make_model(parameters, (), coefs, activations, (self._chunk, False))

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean loss with the penalty, and its gradient in an array of its own."""
        self._model.parameters[:] = parameters
        with flushed_subnormals():
            loss = loss_and_gradient(self._model, self._data, self._alpha, self._chunk)
        return loss, self._model.gradient.copy()
