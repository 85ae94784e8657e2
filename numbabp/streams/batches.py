"""Batches as users give them, checked, and written row by row to where they are trained."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..architecture import Architecture
from ..checks import host_samples as host


class Batch(Protocol):
    """Checked samples that can be written into rows of the network's dtype, or of float64."""

    targets: np.ndarray
    """T (n, n_outputs)"""
    weights: np.ndarray
    """T (n,), or (0,) where every sample weighs 1."""

    def __len__(self) -> int:
        """Rows."""

    def write(self, out: np.ndarray, start: int) -> None:
        """Write inputs from row `start` on into `out`, of shape (m, n_inputs)."""


Convert = Callable[[Any], Any]
"""What makes (X, y) or (X, y, sample_weight) of a batch that is something else."""


class ArrayBatch:
    """A batch of arrays.

    Parameters
    ----------
    architecture
        Of the network.
    X, y, sample_weight
        As for `Network.fit`; the weights may all be 0.
    """

    def __init__(self, architecture: Architecture, X: Any, y: Any, sample_weight: Any = None) -> None:
        dtype = architecture.dtype
        is_plain = type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind in "biuf"
        if is_plain and X.shape[1] == architecture.n_inputs and all_finite_as(X, dtype):
            self._inputs = X
        else:  # it says what is wrong
            self._inputs = host.check_inputs("X", X, architecture.n_inputs, dtype)
        n = len(self._inputs)
        found = _plain_targets(architecture, y, n)
        if found is None:  # likewise
            found = host.check_targets("y", y, n, architecture.n_outputs, architecture.loss, dtype)
        self.targets = found
        self.weights = host.check_sample_weight(sample_weight, n, dtype, may_all_be_0=True)

    def __len__(self) -> int:
        return len(self._inputs)

    def write(self, out: np.ndarray, start: int) -> None:
        """See `Batch`."""
        out[...] = self._inputs[start : start + len(out)]


def all_finite_as(X: np.ndarray, dtype: np.dtype) -> bool:
    """Whether all numbers are finite, and stay so in another dtype."""
    if X.dtype.kind != "f":
        return X.dtype.kind in "biu"
    if X.dtype.itemsize <= dtype.itemsize:
        # not by a dot product: BLAS would take other threads for it, and have them wait in a loop
        with np.errstate(all="ignore"):
            return bool(np.isfinite(X.sum()) or np.isfinite(X).all())
    limit = np.finfo(dtype).max
    return bool(X.size == 0 or (np.min(X) >= -limit and np.max(X) <= limit))


def _plain_targets(architecture: Architecture, y: Any, n: int) -> np.ndarray | None:
    """Targets of one output that are all right, in a third of the time of all checks; None for others."""
    if type(y) is not np.ndarray or architecture.n_outputs != 1 or y.dtype.kind not in "biuf":
        return None
    if y.shape not in ((n,), (n, 1)):
        return None
    targets = y.reshape(n, 1).astype(architecture.dtype)
    if architecture.loss == "binary_cross_entropy":
        return targets if targets.min() >= 0 and targets.max() <= 1 else None
    if host.has_range(architecture.loss) or not np.isfinite(targets.sum()):
        return None
    return targets


def array_batch(architecture: Architecture, given: Any) -> Batch | None:
    """A batch of (X, y) or (X, y, sample_weight); None if it has no rows."""
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        what = f"{type(given).__name__}"
        what += f" of length {len(given)}" if isinstance(given, tuple | list) else ""
        raise TypeError(
            f"a batch must be a tuple (X, y) or (X, y, sample_weight), or with target='column' a table, got "
            f"{what}. One batch alone is given as [(X, y)]."
        )
    if np.ndim(given[0]) == 2 and np.shape(given[0])[0] == 0:
        return None
    return ArrayBatch(architecture, *given)
