"""A trace, made by a step with a copy of the parameters."""

from typing import Any

import numpy as np

from ..architecture import Architecture
from ..devices.placement import is_on_device
from ..kernels.layout import FAN_OUT, OUTPUTS
from ..kernels.online.looked_at import take_one_step
from ..options import Options
from .gradients import Gradients
from .models import as_numerics_ask, model_of, samples_on_host
from .trace import Trace


def trace_step(
    architecture: Architecture,
    parameters: np.ndarray,
    sample: tuple[Any, Any],
    learning_rate: float | None,
    propagate: str,
) -> Trace:
    """The trace of one sample, as users give it; see `InspectsSteps.trace`."""
    options = Options(learning_rate=1.0 if learning_rate is None else learning_rate, propagate=propagate)
    is_updated = options.propagate == "updated"
    if is_updated and learning_rate is None:
        raise ValueError(
            "propagate='updated' sends delta back through the weights of an update: give a learning_rate."
        )
    inputs, targets = samples_on_host(architecture, *_as_rows(architecture, *sample))
    if len(inputs) != 1:
        raise ValueError(f"trace is of one sample, but x has {len(inputs)}.")
    after = parameters.copy()
    model = model_of(architecture, after)
    rate = 0.0 if learning_rate is None else options.learning_rate
    loss = as_numerics_ask(architecture, take_one_step)(model, inputs, targets, rate, is_updated)
    z, a, delta = (_by_layer(architecture, row) for row in model.units)
    below = (inputs[0], *a[:-1])
    has_rate = learning_rate is not None
    return Trace(
        architecture,
        inputs[0].copy(),
        targets[0].copy(),
        _copies(architecture.weights_of(parameters)),
        _copies(architecture.biases_of(parameters)),
        z,
        a,
        float(loss),
        delta,
        Gradients(tuple(map(np.outer, below, delta)), _copies(delta)),
        options.learning_rate if has_rate else None,
        options.propagate,
        architecture.weights_of(after) if has_rate else None,
        architecture.biases_of(after) if has_rate else None,
    )


def _as_rows(architecture: Architecture, x: Any, y: Any) -> tuple[Any, Any]:
    """One sample with a first axis for it."""
    if not (hasattr(x, "tocsr") or is_on_device(x)):  # which the checks deal with
        x = np.atleast_2d(np.asarray(x))
    if is_on_device(y):
        return x, y
    y = np.asarray(y)
    if y.ndim == 0:
        return x, y.reshape(1)
    return x, y.reshape(1, -1) if y.ndim == 1 and len(y) == architecture.n_outputs else y


def _by_layer(architecture: Architecture, units: np.ndarray) -> tuple[np.ndarray, ...]:
    """Copies of each layer's part of a kernel's units."""
    rows = architecture.layout.astype(np.int64)
    return tuple(units[row[OUTPUTS] : row[OUTPUTS] + row[FAN_OUT]].copy() for row in rows)


def _copies(arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(array.copy() for array in arrays)
