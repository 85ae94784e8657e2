"""Check of backpropagation by central differences."""

from typing import Any

import numpy as np

from .architecture import Architecture
from .checks.host_samples import check_inputs
from .inference.predictions import measure_one
from .kernels import state
from .kernels.general import train_general
from .network import Network
from .options import Options
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
    """Gradient of the training kernel: the velocity after one full-batch step of momentum from rest."""
    options = Options(update_rule="momentum", batch_size=samples.n)
    moments = np.zeros((1, architecture.n_parameters))
    model = state.Model(
        parameters.copy(),
        moments,
        np.zeros(architecture.n_parameters),
        np.zeros((3, architecture.n_units)),
        np.empty(0),
        architecture.layout,
        architecture.loss_code,
        level=architecture.quantile,
    )
    order = np.arange(samples.n, dtype=np.int64)
    of_kernel = state.Samples(samples.inputs, samples.targets, samples.weights, order)
    run = state.Run(
        np.zeros(4, np.int64),
        np.empty(0, np.uint64),
        np.ones(1),
        np.empty(0, np.int64),
        np.zeros((1, 2)),
    )
    train_general(model, of_kernel, options.rule, run, samples.n, 1, samples.n)
    return moments[0]
