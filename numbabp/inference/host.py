"""Outputs of networks of one architecture, and their measurements, for samples in the host's memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..compiler.arrays import aligned_zeros
from ..compiler.compiling import strictly
from ..kernels.inference import make_activate_rows, make_sum_metrics, outputs_of_rows
from ..kernels.layout import BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS
from ..kernels.state import Model

CHUNK_BYTES = 1 << 23
"""Of one network so many rows are taken at a time that a layer's units have about this size.

100,000 x 64 rows took 0.6 of the time of whole matrices on one thread; with 1 MiB as well, but then threaded
BLAS waited for its threads so often that a busy machine made it 1.7 times slower than whole matrices.
"""
TOGETHER_BYTES = 1 << 20
"""Networks are taken together while their units of a layer take no more than this.

The outputs of 4,096 networks 2-10-1 for 4 samples took 0.6 ms instead of 83, for 1,024 samples 54 instead of
136; networks with more units than this won nothing.
"""
Part = tuple[slice, np.ndarray, np.ndarray]


@np.errstate(all="ignore")  # an overflow shows in the result
def outputs(architecture: Architecture, parameters: np.ndarray, inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pre-activations and activations of one network's output layer.

    Parameters
    ----------
    architecture
        The network's.
    parameters
        T (n_parameters,).
    inputs
        Checked samples, T (n, n_inputs), or a CSR matrix.

    Returns
    -------
    z, a
        T (n, n_outputs).
    """
    n, dtype = inputs.shape[0], architecture.dtype
    z, a = (np.empty((n, architecture.n_outputs), dtype) for _ in range(2))
    if architecture.is_strict:
        _strict_outputs(architecture, parameters, inputs, z, a)
        return z, a
    layers = list(zip(architecture.weights_of(parameters), architecture.biases_of(parameters), strict=True))
    is_sparse = not isinstance(inputs, np.ndarray)
    # the rows of a dense matrix take room, too
    widest = max(architecture.layer_sizes[1:] if is_sparse else architecture.layer_sizes)
    rows = min(n, max(64, CHUNK_BYTES // (dtype.itemsize * widest)))
    scratch = np.empty((2, rows * widest), dtype)
    for start in range(0, n, rows):
        units = inputs[start : start + rows]
        stop = start + units.shape[0]
        for layer, (weights, biases) in enumerate(layers):
            shape = (stop - start, len(biases))
            if layer == len(layers) - 1:
                product, activated = z[start:stop], a[start:stop]
            else:
                product, activated = (part[: shape[0] * shape[1]].reshape(shape) for part in scratch)
            if is_sparse and layer == 0:
                product[...] = units @ weights
            else:
                np.matmul(units, weights, out=product)
            product += biases
            _activate(architecture.activations[layer], product, activated)
            units = activated
    return z, a


def forward(architecture: Architecture, parameters: np.ndarray, inputs: Any) -> np.ndarray:
    """Outputs T (n_networks, n, n_outputs) of networks.

    Parameters
    ----------
    architecture
        The networks'.
    parameters
        T (n_networks, n_parameters).
    inputs
        As for `outputs`.
    """
    found = np.empty((len(parameters), inputs.shape[0], architecture.n_outputs), architecture.dtype)
    for part, _, a in _parts(architecture, parameters, inputs):
        found[part] = a
    return found


def measure(
    architecture: Architecture,
    parameters: np.ndarray,
    inputs: Any,
    targets: np.ndarray,
    weights: np.ndarray,
    names: Sequence[str],
) -> dict[str, np.ndarray]:
    """Mean loss and named metrics, float64 (n_networks,) by name.

    Parameters
    ----------
    architecture, parameters, inputs
        As for `forward`.
    targets
        T (n, n_outputs).
    weights
        T (n,), or (0,) for weights of 1.
    names
        Of `numbabp.functions.losses.METRICS`.
    """
    means = [
        _means(architecture, z, a, targets, weights, names)
        for _, z, a in _parts(architecture, parameters, inputs)
    ]
    return dict(zip(["loss", *names], np.concatenate(means, axis=1), strict=True))


def measure_one(
    architecture: Architecture,
    parameters: np.ndarray,
    inputs: Any,
    targets: np.ndarray,
    weights: np.ndarray,
    names: Sequence[str],
) -> dict[str, np.ndarray]:
    """`measure` for one network with parameters T (n_parameters,); float64 (1,) by name."""
    z, a = outputs(architecture, parameters, inputs)
    means = _means(architecture, z[np.newaxis], a[np.newaxis], targets, weights, names)
    return dict(zip(["loss", *names], means, strict=True))


def _strict_outputs(
    architecture: Architecture, parameters: np.ndarray, inputs: Any, z: np.ndarray, a: np.ndarray
) -> None:
    """`outputs` sample by sample, into z and a; rows of a sparse matrix are taken as dense ones."""
    nothing = np.empty(0, architecture.dtype)
    units = aligned_zeros((2, architecture.n_units), architecture.dtype)
    of = np.ascontiguousarray(parameters), nothing.reshape(0, 0), nothing, units, nothing
    model = Model(*of, architecture.layout, architecture.loss_code)
    rows = max(1, CHUNK_BYTES // (architecture.dtype.itemsize * architecture.n_inputs))
    for start in range(0, len(z), rows):
        part = inputs[start : start + rows]
        dense = part if isinstance(part, np.ndarray) else part.toarray()
        strictly(outputs_of_rows)(
            model, np.ascontiguousarray(dense), z[start : start + rows], a[start : start + rows]
        )


def _activate(activation: str, z: np.ndarray, a: np.ndarray) -> None:
    """Take a = f(z), both contiguous T (..., n_units)."""
    if activation == "identity":
        a[...] = z
    elif activation == "relu":  # what a kernel does, but for the sign of a zero, with nothing to compile
        np.maximum(z, 0, out=a)
    else:
        make_activate_rows(activation)(z.reshape(-1), a.reshape(-1), np.uint64(z.shape[-1]))


def _means(
    architecture: Architecture,
    z: np.ndarray,
    a: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    names: Sequence[str],
) -> np.ndarray:
    """Mean loss and metrics (1 + n_metrics, n_networks) of outputs T (n_networks, n, n_outputs)."""
    outputs_only = architecture.layout[-1:].copy()
    outputs_only[0, [INPUTS, OUTPUTS]] = 0
    metrics = architecture.metric_codes(names)
    delta = np.empty(architecture.n_outputs, architecture.dtype)
    sums = np.zeros((len(z), 2 + len(names)))
    sum_metrics = make_sum_metrics(architecture.loss, set(names) <= {"accuracy"})
    if architecture.is_strict:
        sum_metrics = strictly(sum_metrics)
    for own_z, own_a, own_sums in zip(z, a, sums, strict=True):
        own = (own_z, own_a), targets, weights, delta, own_sums
        sum_metrics(outputs_only, architecture.quantile, metrics, *own)
    return (sums[:, [0, *range(2, sums.shape[1])]] / sums[:, 1:2]).T


def _parts(architecture: Architecture, parameters: np.ndarray, inputs: Any) -> Iterator[Part]:
    """Networks, and their z and a, T (networks, n, n_outputs), which the next ones may overwrite."""
    n, widest = inputs.shape[0], max(architecture.layer_sizes[1:])
    at_once = TOGETHER_BYTES // (architecture.dtype.itemsize * n * widest)
    if at_once > 1 and isinstance(inputs, np.ndarray) and not architecture.is_strict:
        yield from _together(architecture, parameters, inputs, min(at_once, len(parameters)))
        return
    for i, row in enumerate(parameters):
        z, a = outputs(architecture, row, inputs)
        yield slice(i, i + 1), z[np.newaxis], a[np.newaxis]


def _together(
    architecture: Architecture, parameters: np.ndarray, inputs: np.ndarray, at_once: int
) -> Iterator[Part]:
    """So many networks at once: their products are one call of NumPy's, which goes from one to the next."""
    n, widest = len(inputs), max(architecture.layer_sizes[1:])
    scratch = np.empty((2, 2, at_once * n * widest), architecture.dtype)
    layout = architecture.layout.astype(np.int64).tolist()
    for start in range(0, len(parameters), at_once):
        part = parameters[start : start + at_once]
        units = inputs
        for layer, row in enumerate(layout):
            fan_out, b = row[FAN_OUT], row[BIASES]
            weights = part[:, row[WEIGHTS] : b].reshape(len(part), row[FAN_IN], fan_out)
            shape = len(part), n, fan_out
            # the units of the layer before are read meanwhile
            z, a = (array[: len(part) * n * fan_out].reshape(shape) for array in scratch[layer % 2])
            with np.errstate(all="ignore"):  # an overflow shows in the result
                np.matmul(units, weights, out=z)
                z += part[:, np.newaxis, b : b + fan_out]
            _activate(architecture.activations[layer], z, a)
            units = a
        yield slice(start, start + len(part)), z, a
