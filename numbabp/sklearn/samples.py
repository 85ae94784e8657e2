"""scikit-learn's checked samples and parameters as the kernels of mini-batches take them."""

from typing import Any

import numpy as np
from scipy import sparse

from ..checks.host_samples import for_kernels
from ..functions.activations import ACTIVATIONS
from ..kernels.layout import layout
from ..kernels.minibatch.batch import Batch, BatchSamples, batch_layout, batch_samples, make_batch
from ..kernels.sparse import SparseSamples
from ..kernels.state import Model, Run, Samples
from ..kernels.update_rules import SGD, Rule
from ..planning.network_cpu import threads_of_products

NAMES = {"logistic": "sigmoid", **{name: name for name in ("identity", "tanh", "relu", "softmax", "exp")}}
"""scikit-learn's activations, and what they are called here."""
NO_RULE = Rule(SGD, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def make_samples(X: Any, y: np.ndarray, sample_weight: np.ndarray | None, dtype: np.dtype) -> BatchSamples:
    """Dense or sparse samples as they stand; what has the right dtype and lies by rows is not copied."""
    targets = np.ascontiguousarray(y, dtype)
    weights = np.empty(0, dtype) if sample_weight is None else np.ascontiguousarray(sample_weight, dtype)
    about = targets, weights, np.arange(len(targets))
    if not sparse.issparse(X):
        given: Any = Samples(np.ascontiguousarray(X, dtype), *about)
    else:
        rows = X.tocsr()
        columns = rows.indices.astype(np.int32, copy=False).view(np.uint32)
        starts = rows.indptr.astype(np.int64, copy=False)
        given = SparseSamples(rows.data.astype(dtype, copy=False), columns, starts, *about)
    found = batch_samples(given)
    return BatchSamples._make([array if array is None else for_kernels(array) for array in found])


def make_model(
    parameters: np.ndarray,
    moments: np.ndarray,
    layers: tuple[list[int], tuple[str, str]],
    samples: BatchSamples,
    room: tuple[int, int],
) -> tuple[Model, Batch]:
    """The parameters with room for a batch.

    Parameters
    ----------
    parameters, moments
        Layer by layer, the weights and then the biases; T (n_parameters,) and (n, n_parameters).
    layers
        Their sizes, with the inputs, and scikit-learn's names of the hidden and the output activation.
    samples
        To be trained with.
    room
        Samples of a batch, and how many are taken at a time (see `make_batch`).
    """
    sizes, (hidden, output) = layers
    names = [hidden] * (len(sizes) - 2) + [output]
    own = layout(tuple(sizes), tuple(ACTIVATIONS[NAMES[name]] for name in names))
    by_blas = threads_of_products(min(room[0], samples.order.size), sizes) > 1
    batch, gradient = make_batch(own, samples, room[0], NO_RULE, by_blas, room[1])
    nothing, dtype = np.empty(0, parameters.dtype), parameters.dtype
    own = batch_layout(own, len(batch.picks), samples.starts is not None)
    model = Model(parameters, moments, gradient, np.empty((3, 0), dtype), nothing, own, loss=-1)
    return model, batch._replace(penalties=np.zeros(1))


def make_run(rate: float = 0.0, steps: int = 0) -> Run:
    """The record of one epoch before it begins, after so many steps."""
    position, no_shuffle = np.array([0, 0, steps, 0]), np.empty(0, np.uint64)
    return Run(position, no_shuffle, np.array([rate]), np.empty(0, np.int64), np.zeros((1, 2)))
