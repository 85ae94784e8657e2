"""Checks of what users pass in: each returns the checked value or raises an error that names the argument."""

import math
import numbers
from collections.abc import Collection
from typing import Any

import numpy as np


def check_choice(name: str, value: Any, allowed: Collection[str]) -> str:
    """One of the allowed names."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={value!r} is not known; allowed: {', '.join(sorted(allowed))}.")
    return value


def check_integer(name: str, value: Any, *, minimum: int) -> int:
    """An integer of at least `minimum`; bool is not one."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}.")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}.")
    return int(value)


def check_real(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    open_minimum: bool = False,
    open_maximum: bool = False,
) -> float:
    """A finite real number between the bounds, which are allowed unless said to be open."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}.")
    number = float(value)
    too_low = number <= minimum if open_minimum else number < minimum
    too_high = number >= maximum if open_maximum else number > maximum
    if not math.isfinite(number) or too_low or too_high:
        bounds = []
        if minimum > -math.inf:
            bounds.append(f"{'greater than' if open_minimum else 'at least'} {minimum:g}")
        if maximum < math.inf:
            bounds.append(f"{'less than' if open_maximum else 'at most'} {maximum:g}")
        raise ValueError(f"{name} must be {' and '.join(['finite', *bounds])}, got {value!r}.")
    return number


def check_bool(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def check_learning_rate(name: str, value: Any) -> float:
    """A finite number other than 0; negative ones climb the loss."""
    rate = check_real(name, value)
    if rate == 0:
        raise ValueError(f"{name} must not be 0, or nothing would be learnt.")
    return rate


def check_layer_sizes(value: Any) -> tuple[int, ...]:
    """(n_inputs, ..., n_outputs), at least one layer."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise TypeError(f"layer_sizes must be a sequence (n_inputs, ..., n_outputs), got {value!r}.")
    sizes = tuple(check_integer(f"layer_sizes[{i}]", size, minimum=1) for i, size in enumerate(value))
    if len(sizes) < 2:
        raise ValueError(
            f"layer_sizes must have at least two entries (n_inputs, ..., n_outputs), got {sizes}."
        )
    return sizes


def check_dtype(value: Any) -> np.dtype:
    """Float32 or float64, in native byte order."""
    try:
        dtype = np.dtype(value)
    except TypeError:
        dtype = None
    if value is None or dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype={value!r} is not supported; allowed: 'float32', 'float64'.")
    return dtype


def check_random_state(value: Any) -> np.random.RandomState:
    """scikit-learn's convention: None, an int seed, or a RandomState."""
    if value is None:
        return np.random.mtrand._rand
    if isinstance(value, np.random.RandomState):
        return value
    if isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_):
        if not 0 <= int(value) < 2**32:
            raise ValueError(f"random_state must be between 0 and 2**32 - 1, got {value}.")
        return np.random.RandomState(int(value))
    raise ValueError(f"random_state must be None, an int or a numpy.random.RandomState, got {value!r}.")


def check_inputs(name: str, value: Any, n_columns: int, dtype: np.dtype) -> np.ndarray:
    """Finite samples of shape (n, n_columns), C-contiguous; not copied where they already are."""
    array = _numeric_array(name, value)
    _check_input_shape(name, array, n_columns)
    return _finite(name, array, dtype)


def check_sparse_inputs(name: str, value: Any, n_columns: int, dtype: np.dtype) -> Any:
    """Finite samples as a `scipy.sparse.csr_array` of shape (n, n_columns) that names no entry twice.

    Its arrays are those of `value` where nothing has to be converted; `value` itself is left as it is.
    """
    from scipy import sparse

    _check_numeric(name, value.dtype)
    _check_input_shape(name, value, n_columns)
    given = value.tocsr()
    with np.errstate(over="ignore"):  # a float64 too large for float32 is reported below
        values = _writable(np.ascontiguousarray(given.data, dtype=dtype))
    try:
        # a new matrix: what the given one remembers of its order may be out of date
        matrix = sparse.csr_array((values, given.indices, given.indptr), shape=given.shape)
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"{name} is not a valid {given.format} matrix: {error}.") from None
    if not np.isfinite(values.sum(dtype=np.float64)):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            row = np.searchsorted(given.indptr, bad[0], side="right") - 1
            raise ValueError(
                f"{name} must be finite, but {name}[{row}, {given.indices[bad[0]]}] is {given.data[bad[0]]}"
                f" ({len(bad)} such values; dtype {dtype})."
            )
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix


def _check_input_shape(name: str, array: Any, n_columns: int) -> None:
    if array.ndim != 2:
        hint = (
            f" Use {name}.reshape(-1, 1) for one column or {name}.reshape(1, -1) for one sample."
            if array.ndim == 1
            else ""
        )
        raise ValueError(
            f"{name} must have 2 dimensions (n_samples, {n_columns}), got shape {array.shape}.{hint}"
        )
    if array.shape[1] != n_columns:
        raise ValueError(f"{name} has {array.shape[1]} columns, but the network has {n_columns} inputs.")
    if array.shape[0] == 0:
        raise ValueError(f"{name} is empty: shape {array.shape}; at least one sample is needed.")


def check_targets(
    name: str, value: Any, n_samples: int, n_outputs: int, loss: str, dtype: np.dtype
) -> np.ndarray:
    """Finite targets of shape (n_samples, n_outputs), from one or two dimensions or class indices."""
    array = _numeric_array(name, value)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} must have shape ({n_samples},) or ({n_samples}, {n_outputs}), got {array.shape}."
        )
    if len(array) != n_samples:
        raise ValueError(f"{name} has {len(array)} samples, but X has {n_samples}.")
    if array.ndim == 1 and n_outputs > 1:
        if loss != "categorical_cross_entropy":
            raise ValueError(
                f"{name} has shape {array.shape}, but the network has {n_outputs} outputs: "
                f"expected shape ({n_samples}, {n_outputs})."
            )
        return _one_hot(name, array, n_outputs, dtype)
    array = array.reshape(n_samples, -1)
    if array.shape[1] != n_outputs:
        raise ValueError(f"{name} has {array.shape[1]} columns, but the network has {n_outputs} outputs.")
    array = _finite(name, array, dtype)
    if loss.endswith("cross_entropy") and (array.min() < 0 or array.max() > 1):
        raise ValueError(
            f"{name} must lie between 0 and 1 for loss={loss!r}, "
            f"got values from {array.min():g} to {array.max():g}."
        )
    return array


def check_sample_weight(value: Any, n_samples: int, dtype: np.dtype) -> np.ndarray:
    """Finite weights >= 0 of shape (n_samples,), not all 0; None becomes an array of size 0."""
    if value is None:
        return np.empty(0, dtype)
    array = _numeric_array("sample_weight", value)
    if array.shape != (n_samples,):
        raise ValueError(f"sample_weight must have shape ({n_samples},), got {array.shape}.")
    array = _finite("sample_weight", array, dtype)
    if array.min() < 0:
        raise ValueError(f"sample_weight must not be negative, got {array.min():g}.")
    if not array.any():
        raise ValueError("sample_weight must not be 0 for every sample.")
    return array


def check_weights_of_networks(value: Any, n_networks: int, n_samples: int, dtype: np.dtype) -> np.ndarray:
    """Finite weights >= 0, (1, n_samples) for all networks or a row for each; None becomes (0, 0)."""
    if value is None:
        return np.empty((0, 0), dtype)
    array = _numeric_array("sample_weight", value)
    if array.shape not in ((n_samples,), (n_networks, n_samples)):
        raise ValueError(
            f"sample_weight must have shape ({n_samples},) or ({n_networks}, {n_samples}), got {array.shape}."
        )
    array = np.atleast_2d(_finite("sample_weight", array, dtype))
    if array.min() < 0:
        raise ValueError(f"sample_weight must be finite and not negative, got {array.min():g}.")
    if not array.any(axis=1).all():
        raise ValueError("sample_weight must not be 0 for all samples of a network.")
    return array


def _numeric_array(name: str, value: Any) -> np.ndarray:
    if hasattr(value, "tocsr"):
        raise TypeError(f"{name} is a sparse matrix, which is not taken here; use {name}.toarray().")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    _check_numeric(name, array.dtype)
    return array


def _check_numeric(name: str, dtype: np.dtype) -> None:
    if dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be numeric (bool, int or float), got dtype {dtype}. "
            "Convert it first, for instance with np.asarray(..., dtype=float)."
        )


def _finite(name: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    with np.errstate(over="ignore"):  # a float64 too large for float32 is reported below
        converted = _writable(np.ascontiguousarray(array, dtype=dtype))
    if not np.isfinite(converted.sum(dtype=np.float64)):
        bad = np.argwhere(~np.isfinite(converted))
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            raise ValueError(
                f"{name} must be finite, but {name}[{', '.join(map(str, index))}] is {array[index]}"
                f" ({len(bad)} such values; dtype {dtype})."
            )
    return converted


def for_kernels(array: Any) -> Any:
    """Checked samples, dense or CSR, as kernels were compiled for them, after they have been sent around.

    What other processes sent may be marked read-only or lie at odd addresses; only then is it copied.
    """
    if isinstance(array, np.ndarray):
        return _writable(np.require(array, requirements="A"))
    parts = tuple(for_kernels(part) for part in (array.data, array.indices, array.indptr))
    return type(array)(parts, shape=array.shape)


def _writable(array: np.ndarray) -> np.ndarray:
    """The same memory as an array that is not marked read-only (memory-mapped data often is).

    Kernels never write to samples, but Numba would compile them anew for the mark, which takes seconds.
    """
    if array.flags.writeable:
        return array

    class Memory:
        owner = array
        __array_interface__ = {  # noqa: RUF012
            **array.__array_interface__,
            "data": (array.__array_interface__["data"][0], False),
        }

    return np.asarray(Memory())


def _one_hot(name: str, classes: np.ndarray, n_outputs: int, dtype: np.dtype) -> np.ndarray:
    _finite(name, classes, np.dtype(np.float64))
    if (classes != np.floor(classes)).any() or classes.min() < 0 or classes.max() >= n_outputs:
        raise ValueError(
            f"{name} must hold class indices from 0 to {n_outputs - 1}, "
            f"got values from {classes.min():g} to {classes.max():g}."
        )
    return np.eye(n_outputs, dtype=dtype)[classes.astype(np.intp)]
