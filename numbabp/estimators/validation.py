"""Checks of what estimators are given - X, y, sample_weight, X_val - and samples set aside for validation."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import _check_sample_weight, validate_data

from ..checks.device_samples import check_features, check_finite, check_weights
from ..checks.host_samples import check_nothing_masked
from ..devices.memory import as_array
from ..devices.placement import beside, gpu_of, is_on_device

Validation = tuple[Any, Any, Any]
"""X, encoded y and weights or None."""


@dataclass(frozen=True)
class Samples:
    """What an estimator trains with, checked and encoded."""

    X: Any
    Y: Any
    weights: Any
    """Factors of the samples' gradients, or None for ones; see `weights`."""
    validation: Validation | None
    rows: np.ndarray
    """Of the X that was given."""
    y: Any
    """As it was given, for these rows."""
    sample_weight: Any
    """Likewise; or None."""

    def of_rows(self, rows: np.ndarray) -> "Samples":
        """Those with these numbers, beside the same ones for validation."""
        values = (self.X, self.Y, self.weights, self.rows, self.y, self.sample_weight)
        X, Y, weights, given, y, sample_weight = (rows_of(value, rows) for value in values)
        return Samples(X, Y, weights, self.validation, given, y, sample_weight)


# Samples.


def check_data(
    model: BaseEstimator, X: Any, y: Any, sample_weight: Any, *, reset: bool, suffix: str = ""
) -> tuple[Any, Any, Any]:
    """Arrays of the right shapes and kinds; `suffix` completes the names X and y for messages.

    X and sample_weight lie where X does, y where it does.
    """
    gpu_of({"X" + suffix: X, "y" + suffix: y, "sample_weight": sample_weight})
    check_nothing_masked("y" + suffix, y)
    check_nothing_masked("sample_weight", sample_weight)
    with naming("X" + suffix):
        checked_X = check_inputs(model, X, reset=reset)
    with naming("y" + suffix):
        checked_y = _check_targets(model, "y" + suffix, y)
    with naming(f"X{suffix} and y{suffix}"):
        check_consistent_length(checked_X, checked_y)
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, checked_X)
    return checked_X, checked_y, sample_weight


def check_inputs(model: BaseEstimator, X: Any, *, reset: bool = False, finite: bool = True) -> Any:
    """X as a dense array or a CSR matrix; on a GPU only if `finite` are its values looked at."""
    check_nothing_masked("X", X)
    if is_on_device(X):
        return validate_data(model, check_features(X, finite), reset=reset, skip_check_array=True)
    _check_numbers("X", X)
    dtype = (np.float64, np.float32)
    return validate_data(model, X, accept_sparse="csr", dtype=dtype, order="C", reset=reset)


def _check_numbers(name: str, given: Any) -> None:
    """Raise where X, or numbers y, as users give them, hold strings or dates.

    Even strings that read like numbers; and of dates that are missing NumPy makes the lowest of all numbers.
    """
    if sparse.issparse(given):
        return
    if hasattr(given, "columns") and hasattr(given, "loc"):  # a table: only columns that are not numbers
        given = given.loc[:, [getattr(dtype, "kind", "O") not in "biufc" for dtype in given.dtypes]]
        dates = [column for column, dtype in given.dtypes.items() if getattr(dtype, "kind", "O") in "mM"]
        if dates:
            raise _no_dates(f"{name} has dates or times in column {dates[0]!r}")
    try:
        values = given if isinstance(given, np.ndarray) else np.asarray(given)
    except ValueError:  # of no shape, which others tell better
        return
    if values.dtype.kind in "mM":
        raise _no_dates(f"{name} has dates or times ({values.dtype})")
    if values.dtype.kind not in "OUS":
        return
    for value in values.flat:
        if isinstance(value, str | bytes):
            raise ValueError(
                f"{name} has strings, such as {str(value)!r}, but needs numeric values: convert those that "
                f"stand for numbers, for instance with {name}.astype(float), and encode others."
            )


def _no_dates(what: str) -> ValueError:
    return ValueError(
        f"{what}, but numeric values are needed: convert them, for instance to days since one of them with "
        "(dates - dates.min()) / np.timedelta64(1, 'D')."
    )


def check_unlabelled(model: BaseEstimator, X: Any) -> Any:
    """X of a prediction."""
    with naming("X"):
        return check_inputs(model, X, finite=False)  # `Network.forward` looks at them


def check_validation(model: BaseEstimator, X: Any, X_val: Any, y_val: Any) -> tuple[Any, Any]:
    """X_val and y_val, which go with a checked X; None and None if they are not given."""
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val go together, but only one of them was given.")
    if X_val is None:
        return None, None
    gpu_of({"X": X, "X_val": X_val})
    return check_data(model, X_val, y_val, None, reset=False, suffix="_val")[:2]


def _check_targets(model: BaseEstimator, name: str, y: Any) -> Any:
    """Targets of shape (n,) or (n, n_outputs), where y lies."""
    if y is None:
        raise ValueError(f"{type(model).__name__} requires y to be passed, but the target y is None.")
    if is_on_device(y):
        shape = as_array(y).shape
        if len(shape) not in (1, 2) or 0 in shape:
            raise ValueError(f"{name} must have shape (n_samples,) or (n_samples, n_outputs), got {shape}.")
        y = check_finite(name, y)
    else:
        dtype = None  # labels may be strings
        if isinstance(model, RegressorMixin):
            dtype = "numeric"
            _check_numbers(name, y)
        y = check_array(y, accept_sparse="csr", ensure_2d=False, dtype=dtype, input_name="y", estimator=model)
    y = dense_targets(y)
    return _column(y) if y.ndim == 2 and y.shape[1] == 1 else y


def dense_targets(y: Any) -> Any:
    """Targets that may have been sparse."""
    return y.toarray() if sparse.issparse(y) else y


def _column(y: Any) -> Any:
    """Targets of shape (n, 1) as (n,), with scikit-learn's warning."""
    if not is_on_device(y):
        return column_or_1d(y, warn=True)
    warnings.warn(
        f"A column-vector y was passed when a 1d array was expected: shape {y.shape}.",
        DataConversionWarning,
        stacklevel=3,
    )
    return y[:, 0]


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Name the argument in errors that do not."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{name}\b", str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from None


# Weights.


def check_sample_weight(sample_weight: Any, X: Any) -> Any:
    """Weights of the samples of a checked X, which lie where it does."""
    # in float64 until they have been divided by their mean: float32 would lose small ones
    if is_on_device(X):
        return check_weights(sample_weight, X, dtype=np.float64)
    with naming("sample_weight"):
        return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)


# Samples set aside.


def n_held_out_of(validation_fraction: float, n_samples: int) -> int:
    """How many samples validation takes."""
    n_held_out = int(np.ceil(validation_fraction * n_samples))
    if not 2 <= n_held_out < n_samples:
        raise ValueError(
            f"validation_fraction={validation_fraction} of {n_samples} samples sets {n_held_out} "
            "aside, but early stopping needs at least 2, and not all. Change it, or give X_val and y_val."
        )
    return n_held_out


def hold_out(samples: Samples, n_held_out: int, strata: Any, generator: Any) -> Samples:
    """The samples to train with, beside `n_held_out` for validation with the weights that users gave them.

    With `strata`, labels, both have their proportions.
    """
    kept, held_out = train_test_split(
        np.arange(len(samples.Y)), test_size=n_held_out, random_state=generator, stratify=strata
    )
    of_validation = (samples.X, samples.Y, samples.sample_weight)
    X, Y, weights = (rows_of(values, held_out) for values in of_validation)
    validation = (X, Y, weights if weights is None else weights / weights.max())
    return replace(samples.of_rows(kept), validation=validation)


def rows_of(values: Any, rows: np.ndarray) -> Any:
    """Rows by their numbers, where the values lie; None stays None."""
    return None if values is None else values[beside(values, rows)]
