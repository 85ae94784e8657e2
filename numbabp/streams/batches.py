"""Batches as users give them, checked, and written row by row to where they are trained."""

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..architecture import Architecture
from ..checks import host_samples as host
from ..devices.memory import Device, index_of
from ..devices.placement import gpu_of, is_on_device, on_host
from ..samples import Samples


class Batch(Protocol):
    """Checked samples that can be written into rows of the network's dtype, or of float64."""

    targets: np.ndarray
    """T (n, n_outputs)"""
    weights: np.ndarray
    """T (n,), or (0,) where every sample weighs 1."""

    @property
    def n_inputs(self) -> int:
        """Columns."""

    def __len__(self) -> int:
        """Rows."""

    def write(self, out: np.ndarray, start: int) -> None:
        """Write inputs from row `start` on into `out`, of shape (m, n_inputs)."""


Convert = Callable[[Any], Any]
"""What makes (X, y) or (X, y, sample_weight) of a batch that is something else."""


class _Inputs:
    """Batches whose inputs are one array, on the host or on a GPU."""

    _inputs: Any

    @property
    def n_inputs(self) -> int:
        """See `Batch`."""
        return self._inputs.shape[1]

    def __len__(self) -> int:
        return len(self._inputs)


class ArrayBatch(_Inputs):
    """A batch of arrays.

    Parameters
    ----------
    architecture
        Of the network.
    X, y, sample_weight
        As for `Network.fit`; the weights may all be 0.
    with_gaps
        Whether numbers in X may be missing, which are NaN.
    """

    def __init__(
        self,
        architecture: Architecture,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        with_gaps: bool = False,
    ) -> None:
        dtype = architecture.dtype
        is_plain = type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind in "biuf"
        if is_plain and X.shape[1] == architecture.n_inputs and all_finite_as(X, dtype):
            self._inputs = X
        elif with_gaps:
            self._inputs = _with_gaps(X, architecture.n_inputs, dtype)
        else:  # it says what is wrong
            self._inputs = host.check_inputs("X", X, architecture.n_inputs, dtype)
        n = len(self._inputs)
        found = plain_targets(architecture, y, n)
        if found is None:  # likewise
            found = host.check_targets("y", y, n, architecture.n_outputs, architecture.loss, dtype)
        self.targets = found
        self.weights = host.check_sample_weight(sample_weight, n, dtype, may_all_be_0=True)

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


def _with_gaps(X: Any, n_inputs: int, dtype: np.dtype) -> np.ndarray:
    """Checked inputs, of which some may be NaN."""
    array = np.array(X, float)
    gaps = np.isnan(array)
    array[gaps] = 0
    checked = host.check_inputs("X", array, n_inputs, dtype).astype(float)
    checked[gaps] = np.nan
    return checked


def scaled(batch: Batch, scaler: Any) -> Batch:
    """The batch as a scaler gives it, which has been shown its inputs; the batch itself without one."""
    if scaler is None:
        return batch
    of_inputs = np.empty((len(batch), batch.n_inputs))
    batch.write(of_inputs, 0)
    learn = getattr(scaler, "partial_fit", None)
    if learn is not None:
        takes_weights = "sample_weight" in inspect.signature(learn).parameters
        learn(of_inputs, **({"sample_weight": batch.weights} if takes_weights and batch.weights.size else {}))
    return ScaledBatch(batch, np.asarray(scaler.transform(of_inputs)))


class DeviceBatch(_Inputs):
    """A batch of arrays on a GPU, where they stay; y and the weights may come from the host.

    Parameters
    ----------
    architecture
        Of the network.
    X, y, sample_weight
        As for `Network.fit`; the weights may all be 0.
    """

    def __init__(self, architecture: Architecture, X: Any, y: Any, sample_weight: Any = None) -> None:
        gpu_of({"X": X, "y": y, "sample_weight": sample_weight})
        samples = Samples.checked(architecture, X, y)
        self._inputs, self.targets, self.weights = samples.inputs, samples.targets, samples.weights
        if sample_weight is not None:
            from ..checks.device_samples import check_weights

            self.weights = check_weights(sample_weight, self._inputs, may_all_be_0=True)

    def write(self, out: Any, start: int) -> None:
        """See `Batch`; also to the host."""
        rows = self._inputs[start : start + len(out)]
        out[...] = rows if is_on_device(out) else on_host(rows)


class Passed:
    """Rows that were passed over without a look at them."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n


class Rest:
    """A batch without its first rows."""

    def __init__(self, batch: Batch, first: int) -> None:
        self._batch, self._first = batch, first
        self.targets, self.weights = batch.targets[first:], batch.weights[first:]
        self.n_inputs = batch.n_inputs

    def __len__(self) -> int:
        return len(self.targets)

    def write(self, out: np.ndarray, start: int) -> None:
        """See `Batch`."""
        self._batch.write(out, self._first + start)


class ScaledBatch:
    """A batch with other inputs of the same shape."""

    def __init__(self, batch: Batch, inputs: np.ndarray) -> None:
        if inputs.shape != (len(batch), batch.n_inputs) or np.isinf(inputs).any():
            raise ValueError(
                f"scaler.transform must give finite numbers of shape {(len(batch), batch.n_inputs)}, "
                f"as it was given, got shape {inputs.shape}, {np.isinf(inputs).sum()} of them infinite."
            )
        self.targets, self.weights = batch.targets, batch.weights
        self._inputs = inputs

    @property
    def n_inputs(self) -> int:
        """See `Batch`."""
        return self._inputs.shape[1]

    def __len__(self) -> int:
        return len(self._inputs)

    def write(self, out: np.ndarray, start: int) -> None:
        """See `Batch`."""
        out[...] = self._inputs[start : start + len(out)]


def plain_targets(architecture: Architecture, y: Any, n: int) -> np.ndarray | None:
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


def array_batch(
    architecture: Architecture, given: Any, with_gaps: bool, gpu: Device | None = None
) -> Batch | None:
    """A batch of (X, y) or (X, y, sample_weight), which may lie on the GPU; None if it has no rows."""
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        what = f"{type(given).__name__}"
        what += f" of length {len(given)}" if isinstance(given, tuple | list) else ""
        raise TypeError(
            f"a batch must be a tuple (X, y) or (X, y, sample_weight), or with target='column' a table, got "
            f"{what}. One batch alone is given as [(X, y)]."
        )
    if np.ndim(given[0]) == 2 and np.shape(given[0])[0] == 0:
        return None
    if is_on_device(given[0]):
        _check_place(index_of(given[0]), gpu)
        return DeviceBatch(architecture, *given)
    gpu_of(dict(zip(("X", "y", "sample_weight"), given, strict=False)))
    return ArrayBatch(architecture, *given, with_gaps=with_gaps)


def _check_place(lies_on: int, gpu: Device | None) -> None:
    """Raise for a batch on a GPU that is not the one where the network is trained."""
    if gpu is None or gpu.index != lies_on:
        trains = "the CPU" if gpu is None else f"GPU {gpu.index}"
        raise ValueError(
            f"X lies on GPU {lies_on}, but fit_stream trains on {trains}: device='cuda:{lies_on}' trains "
            "where it lies; or copy it to the host, with X.get() or cupy.asnumpy(X)."
        )
