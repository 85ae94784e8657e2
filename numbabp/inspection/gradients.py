"""Gradients of the loss with respect to weights and biases."""

from typing import Any, NamedTuple

import numpy as np

from ..architecture import Architecture
from ..kernels.online.looked_at import add_gradients
from .models import as_numerics_ask, model_of, samples_on_host


class Gradients(NamedTuple):
    """Derivatives of the loss, in the order and shape of `Network.weights` and `Network.biases`.

    Of each sample, every array has a first axis for the samples.
    """

    weights: tuple[np.ndarray, ...]
    """``weights[l]`` of shape (fan_in, fan_out), or (n, fan_in, fan_out)."""
    biases: tuple[np.ndarray, ...]
    """``biases[l]`` of shape (fan_out,), or (n, fan_out)."""


def gradients_of_samples(
    architecture: Architecture, parameters: np.ndarray, X: Any, y: Any, *, per_sample: bool
) -> np.ndarray:
    """Gradients T (n, n_parameters) of each sample's loss, or their mean (1, n_parameters).

    Parameters
    ----------
    architecture
        The network's.
    parameters
        T (n_parameters,).
    X, y
        Samples in the host's memory, as users give them.
    per_sample
        Whether each sample's is wanted.
    """
    inputs, targets = samples_on_host(architecture, X, y)
    found = np.zeros((len(inputs) if per_sample else 1, architecture.n_parameters), architecture.dtype)
    model = model_of(architecture, np.ascontiguousarray(parameters))
    as_numerics_ask(architecture, add_gradients)(model, inputs, targets, found)
    return found if per_sample else found / architecture.dtype.type(len(inputs))


def by_layer(architecture: Architecture, flat: np.ndarray) -> Gradients:
    """Views of gradients T (n, n_parameters) of samples, or of one (n_parameters,), by layer."""
    rows = np.atleast_2d(flat)
    weights: list[np.ndarray] = []
    biases: list[np.ndarray] = []
    of_layers = architecture.weights_of, architecture.biases_of
    for places, found in zip(of_layers, (weights, biases), strict=True):
        for place in places(np.arange(architecture.n_parameters)):
            first = int(place.flat[0])
            part = rows[:, first : first + place.size].reshape(len(rows), *place.shape)
            found.append(part if flat.ndim > 1 else part[0])
    return Gradients(tuple(weights), tuple(biases))
