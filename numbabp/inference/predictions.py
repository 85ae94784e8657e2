"""Outputs of networks, measurements and decisions, computed where the samples lie."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..devices.placement import is_on_device, where
from ..samples import Samples
from . import host


def outputs(architecture: Architecture, parameters: np.ndarray, inputs: Any) -> tuple[Any, Any]:
    """Pre-activations and activations T (n, n_outputs) of one network's output layer, for checked inputs."""
    return _at(inputs).outputs(architecture, parameters, inputs)


def forward(architecture: Architecture, parameters: np.ndarray, inputs: Any) -> Any:
    """Outputs T (n_networks, n, n_outputs) of networks with parameters T (n_networks, n_parameters)."""
    return _at(inputs).forward(architecture, parameters, inputs)


def measure(
    architecture: Architecture, parameters: np.ndarray, samples: Samples, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Mean loss and named metrics of networks on checked samples, float64 (n_networks,) by name."""
    on = samples.inputs, samples.targets, samples.weights
    return _at(samples.inputs).measure(architecture, parameters, *on, names)


def measure_one(
    architecture: Architecture, parameters: np.ndarray, samples: Samples, names: Sequence[str]
) -> dict[str, float]:
    """Mean loss and named metrics of one network with parameters T (n_parameters,)."""
    if samples.is_on_device:
        found = measure(architecture, parameters[np.newaxis], samples, names)
    else:
        found = host.measure_one(
            architecture, parameters, samples.inputs, samples.targets, samples.weights, names
        )
    return {name: float(values[0]) for name, values in found.items()}


def decide(architecture: Architecture, outputs: Any) -> Any:
    """Predictions from outputs of shape (..., n_outputs), as `Network.predict` tells."""
    with where(outputs):
        if architecture.loss == "binary_cross_entropy":
            outputs = (outputs > 0.5).astype(np.int64)
        elif architecture.activations[-1] == "softmax":
            return outputs.argmax(axis=-1)
    return outputs[..., 0] if architecture.n_outputs == 1 else outputs


def _at(inputs: Any) -> ModuleType:
    """What computes where the inputs lie."""
    if is_on_device(inputs):
        from . import device  # not before it is needed: it needs CuPy

        return device
    return host
