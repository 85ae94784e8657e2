"""Training on a sparse X with steps that need dense rows: a slice of them at a time, never the whole."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..compiler.compiling import kernel
from ..errors import DivergenceError
from ..kernels import shuffling
from ..network import Network
from .validation import Samples, rows_of

SLICE_BYTES = 1 << 22
"""Rows are made dense about this many bytes at a time."""

_shuffle = kernel(shuffling.shuffle)


def train(
    network: Network,
    samples: Samples,
    rates: np.ndarray,
    watch: Callable[[int, dict[str, float]], bool],
    options: dict[str, Any],
) -> None:
    """Train for an epoch with each of the rates, or until `watch` says that they should end.

    Parameters
    ----------
    network, samples
        The samples have a sparse X.
    rates
        Learning rate of each epoch.
    watch
        Called after every epoch as the callback of `Network.fit`.
    options
        As for `Network.partial_fit`, with batch_size and shuffle.
    """
    options, shuffle = options | {"shuffle": False}, options["shuffle"]
    order = np.arange(len(samples.Y))
    random = np.array([network.random_state.randint(0, 2**63 - 1, dtype=np.int64)], np.uint64)
    for epoch, rate in enumerate(rates):
        if shuffle:  # as the kernels do
            _shuffle(order, random)
        loss = _epoch(network, samples, order, options | {"learning_rate": float(rate)})
        if watch(epoch, {"loss": loss}):
            return


def _epoch(network: Network, samples: Samples, order: np.ndarray, options: dict[str, Any]) -> float:
    """One pass over the rows; the mean loss."""
    losses, shares = [], []
    for slice_ in _slices(len(order), samples.X.shape[1], options["batch_size"]):
        rows = order[slice_]
        weights = rows_of(samples.weights, rows)
        # `Network.partial_fit` refuses samples without any weight, which float32 makes of 1e-46
        if weights is not None and not weights.any():
            continue
        dense = samples.X[rows].toarray()
        try:
            history = network.partial_fit(dense, samples.Y[rows], sample_weight=weights, **options)
        except DivergenceError as error:
            raise DivergenceError(0, int(rows[error.sample]), options["learning_rate"]) from None
        losses.append(float(history.loss[0]))
        shares.append(len(rows) if weights is None else float(weights.sum()))
    return float(np.average(losses, weights=shares))


def _slices(n_rows: int, n_columns: int, multiple: int) -> Iterator[slice]:
    """Slices of rows, each about `SLICE_BYTES` when dense, in whole mini-batches."""
    step = max(1, SLICE_BYTES // (8 * n_columns) // multiple) * multiple
    for start in range(0, n_rows, step):
        yield slice(start, min(n_rows, start + step))
