"""Check of backpropagation by central differences."""

from typing import Any

import numpy as np

from .architecture import Architecture
from .checks.host_samples import check_inputs
from .inference.predictions import measure_one
from .inspection.gradients import gradients_of_samples
from .network import Network
from .samples import Samples


def gradient_check(net: Network, X: Any, y: Any, *, step: float = 1e-5) -> float:
    r"""Largest relative error of the backpropagated gradient of the mean loss.

    The gradient is compared, parameter by parameter, with (L(w + h) - L(w - h)) / 2h. All is computed in
    float64, whatever the network's dtype, on a copy.

    Parameters
    ----------
    net : Network
        Unchanged.
    X, y
        Samples, as for `Network.fit`.
    step
        h, relative to max(1, \|w\|).

    Returns
    -------
    float
        The largest \|difference\| / max(\|gradient\|, largest gradient / 1000): parameters whose gradient
        all but vanishes are not divided by it, and the rounding noise of the quotient is taken off first.
        About 1e-9 for smooth activations; relu, leaky_relu, elu, absolute error, quantile and huber have
        kinks, across which a central difference is less exact or wrong.
    """
    twin = net.astype(np.float64)
    architecture = twin.architecture
    samples = Samples.checked(architecture, check_inputs("X", X, twin.n_inputs, twin.dtype), y)
    gradient = _mean_gradient(architecture, twin.parameters, samples)
    difference = np.empty_like(gradient)
    for j, w in enumerate(twin.parameters.copy()):
        h = step * max(1.0, abs(w))
        losses = []
        for value in (w + h, w - h):
            twin.parameters[j] = value
            losses.append(measure_one(architecture, twin.parameters, samples, ())["loss"])
        twin.parameters[j] = w
        difference[j] = (losses[0] - losses[1]) / ((w + h) - (w - h))
    # what rounding alone makes of the quotient
    noise = 4 * np.finfo(float).eps * measure_one(architecture, twin.parameters, samples, ())["loss"] / step
    size = np.maximum(np.abs(gradient), np.abs(difference))
    scale = np.maximum(size, size.max() / 1000)
    if scale.max() == 0:
        return 0.0
    return float((np.maximum(np.abs(gradient - difference) - noise, 0) / scale).max())


def _mean_gradient(architecture: Architecture, parameters: np.ndarray, samples: Samples) -> np.ndarray:
    """By the backward pass of training, which is what is to be checked."""
    inputs, targets = samples.inputs, samples.targets
    return gradients_of_samples(architecture, parameters, inputs, targets, per_sample=False)[0]
