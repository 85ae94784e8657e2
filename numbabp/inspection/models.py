"""A model for kernels that look at a network without training it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..checks import host_samples as host
from ..compiler.arrays import aligned_zeros
from ..compiler.compiling import strictly
from ..kernels.state import Model
from ..samples import Samples


def model_of(architecture: Architecture, parameters: np.ndarray) -> Model:
    """Of parameters T (n_parameters,), which kernels may change: so pass a copy where they do."""
    nothing = np.empty(0, architecture.dtype)
    units = aligned_zeros((3, architecture.n_units), architecture.dtype)
    return Model(
        parameters,
        nothing.reshape(0, 0),
        nothing,
        units,
        nothing,
        architecture.layout,
        architecture.loss_code,
        level=architecture.quantile,
    )


def as_numerics_ask(architecture: Architecture, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel in the arithmetic of the network's training."""
    return strictly(kernel) if architecture.is_strict else kernel


def samples_on_host(architecture: Architecture, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checked inputs T (n, n_inputs) and targets T (n, n_outputs), in rows.

    Nothing comes from a GPU unasked: an X there is a TypeError, a y there a ValueError.
    """
    check = host.check_sparse_inputs if hasattr(X, "tocsr") else host.check_inputs
    samples = Samples.checked(architecture, check("X", X, architecture.n_inputs, architecture.dtype), y)
    inputs = samples.inputs if isinstance(samples.inputs, np.ndarray) else samples.inputs.toarray()
    return np.ascontiguousarray(inputs), np.ascontiguousarray(samples.targets)
