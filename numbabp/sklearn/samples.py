"""scikit-learn's checked samples as the kernels take them, and the scratch that a batch of them needs."""

from typing import Any

import numpy as np
from scipy import sparse

from ..checks.host_samples import for_kernels
from ..compiler.arrays import aligned_zeros
from ..kernels.batches.state import ACTIVATIONS, Data, Model

NOTHING = np.empty(0, np.int64)
LARGEST_INDEX = np.iinfo(np.int32).max


def make_data(X: Any, y: np.ndarray, sample_weight: np.ndarray | None, dtype: np.dtype) -> Data:
    """Dense or sparse samples; what has the right dtype and lies by rows is not copied."""
    targets = np.ascontiguousarray(y, dtype)
    weights = np.empty(0, dtype) if sample_weight is None else np.ascontiguousarray(sample_weight, dtype)
    if sparse.issparse(X):
        rows = X.tocsr()
        inputs = np.empty((0, X.shape[1]), dtype)
        values, columns = rows.data.astype(dtype, copy=False), rows.indices.astype(np.int32, copy=False)
        starts = rows.indptr.astype(np.int64, copy=False)
    else:
        inputs = np.ascontiguousarray(X, dtype)
        values, columns, starts = np.empty(0, dtype), np.empty(0, np.int32), np.empty(0, np.int64)
    arrays = (inputs, values, columns, starts, targets, weights, NOTHING)
    return Data(*(for_kernels(array) for array in arrays))


def make_model(
    parameters: np.ndarray,
    moments: tuple[np.ndarray, ...],
    coefs: list[np.ndarray],
    activations: tuple[str, str],
    room: tuple[int, bool],
) -> Model:
    """The parameters with scratch for a batch.

    Parameters
    ----------
    parameters, moments
        Vectors; up to two moments.
    coefs
        Weights, for their shapes.
    activations
        scikit-learn's names, of the hidden layers and of the output layer.
    room
        Samples of the largest batch, and whether there must be room for a copy of their inputs.
    """
    dtype = parameters.dtype
    n_rows, copies = room
    weights, biases = 0, sum(w.size for w in coefs)
    unit = n_rows * coefs[0].shape[0] if copies else 0
    n_inputs = unit
    layout = []
    for layer, w in enumerate(coefs):
        code = ACTIVATIONS[activations[layer == len(coefs) - 1]]
        layout.append((*w.shape, weights, biases, unit, code))
        weights, biases, unit = weights + w.size, biases + w.shape[1], unit + n_rows * w.shape[1]
    first, second = (*moments, np.empty(0, dtype), np.empty(0, dtype))[:2]
    return Model(
        parameters=parameters,
        first=first,
        second=second,
        gradient=aligned_zeros(parameters.size, dtype),
        units=aligned_zeros(unit, dtype),
        deltas=aligned_zeros(unit - n_inputs, dtype),
        layout=np.array(layout, np.int64),
    )
