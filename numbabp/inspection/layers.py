"""Outputs of every layer."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..inference import predictions


def layer_outputs(architecture: Architecture, parameters: np.ndarray, inputs: Any) -> tuple[Any, ...]:
    """Activations T (n, fan_out) of each layer for checked inputs.

    Each is the output of the network cut off above that layer, so the last one has the bits of `forward`, on
    a GPU and strictly, too. Lower layers are computed again for each: networks have few.
    """
    found = []
    for n in range(1, architecture.n_layers + 1):
        # a loss that goes with any output activation; none is computed
        cut = replace(
            architecture,
            layer_sizes=architecture.layer_sizes[: n + 1],
            activations=architecture.activations[:n],
            loss="squared_error" if n < architecture.n_layers else architecture.loss,
        )
        found.append(predictions.outputs(cut, parameters[: cut.n_parameters], inputs)[1])
    return tuple(found)
