"""Training that leaves the numbers of any use: how it is found, and the way back to the last step before.

A diverging network grows by itself, at last by a power with every step, and from weights that are still
finite it is a step or two to predictions that are not. So the limit is far below a dtype's largest number:
outputs of 1.8e19 in float32, whose squares are still finite, and of 3.4e38 in float64, which no data has.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..checks.finite import all_finite, sum_of_squares

LIMITS = {"float32": math.sqrt(np.finfo(np.float32).max), "float64": float(np.finfo(np.float32).max)}
"""By dtype: outputs for inputs of unit size that go beyond are of no use any more."""
_BOUNDED = ("sigmoid", "tanh", "softmax")


def is_of_use(
    architecture: Architecture, parameters: Any, moments: Any, losses: np.ndarray, by_layers: bool = True
) -> bool:
    """Whether parameters, and what a rule carries with them, can be trained on.

    Parameters
    ----------
    architecture
        Of the network.
    parameters
        T (n_parameters,), or in another layout, as on a GPU.
    moments
        T, any shape.
    losses
        float64: sums of losses of the steps that led here.
    by_layers
        Whether `parameters` lie as the architecture has them.
    """
    limit = LIMITS[architecture.dtype.name]
    if (losses > limit**2).any() or (moments.size and not all_finite(moments)):
        return False
    if not by_layers:
        return all_finite(parameters) and bool(abs(parameters).max() <= limit)
    if sum_of_squares(parameters) <= harmless(architecture):
        return True
    return all_finite(parameters) and reach(architecture, parameters) <= limit


def are_of_use(
    architecture: Architecture, parameters: np.ndarray, moments: np.ndarray, losses: np.ndarray
) -> np.ndarray:
    """`is_of_use` for each of many networks, most of which are settled all at once.

    One by one it took 16 us each, more than half of the time of 20,000 networks of 2-10-1 for 100 epochs.

    Parameters
    ----------
    architecture
        Of each.
    parameters, moments
        T (n_networks, n_parameters) and T (n_networks, ...), or of size 0.
    losses
        float64 (n_networks,): the largest of each network's, in any epoch.

    Returns
    -------
    ndarray of bool, shape (n_networks,)
    """
    with np.errstate(all="ignore"):
        settled = np.einsum("ij,ij->i", parameters, parameters) <= harmless(architecture)
        settled &= losses <= LIMITS[architecture.dtype.name] ** 2
        if moments.size:
            settled &= np.isfinite(moments.sum(axis=tuple(range(1, moments.ndim))))
        for i in np.flatnonzero(~settled):
            settled[i] = is_of_use(architecture, parameters[i], moments[i : i + 1], losses[i : i + 1])
    return settled


def harmless(architecture: Architecture) -> float:
    """Up to which sum of squares of parameters no layer makes too much of what it gets, by any activation."""
    return (LIMITS[architecture.dtype.name] ** (1 / architecture.n_layers) / 2) ** 2


def reach(architecture: Architecture, parameters: np.ndarray) -> float:
    """About how large a network's outputs, before their activation, are for inputs of unit size.

    The root of the mean square of what comes of a layer is taken to be that of what goes in, times the root
    of the sum of the squares of the weights to a unit, plus the biases'.
    """
    size, before = 1.0, (None, *architecture.activations[:-1])
    layers = architecture.weights_of(parameters), architecture.biases_of(parameters)
    for activation, weights, biases in zip(before, *layers, strict=True):
        if activation in _BOUNDED:
            size = 1.0
        flat, fan_out = weights.ravel(), len(biases)
        size = size * math.sqrt(float(flat @ flat) / fan_out) + math.sqrt(float(biases @ biases) / fan_out)
    return size


class Snapshot:
    """Copies of arrays, to go back to; the same memory is used for the next ones.

    Fresh memory for large arrays takes longer than the copy.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.copies = tuple(array.copy() for array in arrays)

    def take(self, arrays: Sequence[Any]) -> None:
        """Copy arrays of the same shapes."""
        for copy, array in zip(self.copies, arrays, strict=True):
            copy[...] = array

    def put_back(self, arrays: Sequence[Any]) -> None:
        """Make the arrays what they were."""
        for array, copy in zip(arrays, self.copies, strict=True):
            array[...] = copy


def last_finite(
    stays_finite: Callable[[np.ndarray], np.ndarray], finite: np.ndarray, not_finite: np.ndarray
) -> np.ndarray:
    """The largest numbers of steps after which runs are still finite, by bisection of all of them at once.

    Kernels are deterministic, so what has diverged can be run again and does the same.

    Parameters
    ----------
    stays_finite
        stays_finite(steps) runs each anew up to a number of steps and tells which stay finite.
    finite, not_finite
        int64 (n_runs,) each: numbers of steps after which a run is known to be finite, and not to be.
    """
    while (not_finite - finite > 1).any():
        middle = np.where(not_finite - finite > 1, (finite + not_finite) // 2, finite)
        stays = stays_finite(middle)
        finite, not_finite = np.where(stays, middle, finite), np.where(stays, not_finite, middle)
    return finite
