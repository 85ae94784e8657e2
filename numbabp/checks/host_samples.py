"""Checks of samples in the host's memory: each returns the checked array or raises an error that names it."""

from typing import Any

import numpy as np

from ..devices.memory import is_on_device


def check_inputs(name: str, value: Any, n_columns: int, dtype: np.dtype) -> np.ndarray:
    """Finite samples of shape (n, n_columns), C-contiguous; not copied where they already are."""
    array = _numeric_array(name, value)
    check_input_shape(name, array, n_columns)
    return _finite(name, array, dtype)


def check_sparse_inputs(name: str, value: Any, n_columns: int, dtype: np.dtype) -> Any:
    """Finite samples as a `scipy.sparse.csr_array` of shape (n, n_columns) that names no entry twice.

    Its arrays are those of `value` where nothing has to be converted; `value` itself is left as it is.
    """
    from scipy import sparse

    check_on_host(name, getattr(value, "data", None))
    check_numeric(name, value.dtype)
    check_input_shape(name, value, n_columns)
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
            index = int(row), int(given.indices[bad[0]])
            raise not_finite(name, index, given.data[bad[0]], len(bad), dtype)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix


def check_input_shape(name: str, array: Any, n_columns: int | str) -> None:
    """Raise unless it has at least one row of n_columns; a string for them stands for any number."""
    if array.ndim != 2:
        hint = (
            f" Use {name}.reshape(-1, 1) for one column or {name}.reshape(1, -1) for one sample."
            if array.ndim == 1
            else ""
        )
        raise ValueError(
            f"{name} must have 2 dimensions (n_samples, {n_columns}), got shape {array.shape}.{hint}"
        )
    if array.shape[1] != n_columns and not isinstance(n_columns, str):
        raise ValueError(f"{name} has {array.shape[1]} columns, but the network has {n_columns} inputs.")
    if array.shape[0] == 0:
        raise ValueError(f"{name} is empty: shape {array.shape}; at least one sample is needed.")


def check_targets(
    name: str, value: Any, n_samples: int, n_outputs: int, loss: str, dtype: np.dtype
) -> np.ndarray:
    """Finite targets of shape (n_samples, n_outputs), from one or two dimensions or class indices."""
    array = check_target_shape(name, _numeric_array(name, value), n_samples, n_outputs, loss)
    if array.ndim == 1:
        return _one_hot(name, array, n_outputs, dtype)
    array = _finite(name, array, dtype)
    if has_range(loss):
        check_target_range(name, loss, array.min(), array.max())
    return array


def check_target_shape(name: str, array: Any, n_samples: int, n_outputs: int, loss: str) -> Any:
    """The array with a column for each output, or as it is if its one dimension holds class indices."""
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
        return array
    array = array.reshape(n_samples, -1)
    if array.shape[1] != n_outputs:
        raise ValueError(f"{name} has {array.shape[1]} columns, but the network has {n_outputs} outputs.")
    return array


def has_range(loss: str) -> bool:
    """Whether a loss does not take just any number as a target."""
    return loss == "poisson" or loss.endswith("cross_entropy")


def check_target_range(name: str, loss: str, least: float, most: float) -> None:
    """Raise unless values from `least` to `most` are targets of a loss that has a range of them."""
    if loss == "poisson":
        if least < 0:
            raise ValueError(f"{name} must not be negative for loss='poisson', got {least:g}.")
    elif least < 0 or most > 1:
        raise ValueError(
            f"{name} must lie between 0 and 1 for loss={loss!r}, got values from {least:g} to {most:g}."
        )


def check_sample_weight(
    value: Any, n_samples: int, dtype: np.dtype, may_all_be_0: bool = False
) -> np.ndarray:
    """Finite weights >= 0 of shape (n_samples,), not all 0; None becomes an array of size 0."""
    if value is None:
        return np.empty(0, dtype)
    array = _numeric_array("sample_weight", value)
    check_weight_shape(array, n_samples)
    array = _finite("sample_weight", array, dtype)
    check_weight_range(array.min(), 1.0 if may_all_be_0 else array.max())
    return array


def check_weight_shape(array: Any, n_samples: int) -> None:
    """Raise unless there is one weight a sample."""
    if array.shape != (n_samples,):
        raise ValueError(f"sample_weight must have shape ({n_samples},), got {array.shape}.")


def check_weight_range(least: float, most: float) -> None:
    """Raise unless weights from `least` to `most` are not negative and not all 0."""
    if least < 0:
        raise ValueError(f"sample_weight must not be negative, got {least:g}.")
    if most == 0:
        raise ValueError("sample_weight must not be 0 for every sample.")


def check_weights_of_networks(value: Any, n_networks: int, n_samples: int, dtype: np.dtype) -> np.ndarray:
    """Finite weights >= 0, (1, n_samples) for all networks or a row for each; None becomes (0, 0)."""
    if value is None:
        return np.empty((0, 0), dtype)
    array = _numeric_array("sample_weight", value)
    check_shape_for_networks(array, n_networks, n_samples)
    array = np.atleast_2d(_finite("sample_weight", array, dtype))
    check_range_for_networks(array.min(), array.max(axis=1).min())
    return array


def check_shape_for_networks(array: Any, n_networks: int, n_samples: int) -> None:
    """Raise unless there is one weight a sample, for all networks or for each."""
    if array.shape not in ((n_samples,), (n_networks, n_samples)):
        raise ValueError(
            f"sample_weight must have shape ({n_samples},) or ({n_networks}, {n_samples}), got {array.shape}."
        )


def check_range_for_networks(least: float, least_of_largest: float) -> None:
    """Raise unless weights are not negative, nor all 0 for a network, of which each has a largest."""
    if least < 0:
        raise ValueError(f"sample_weight must be finite and not negative, got {least:g}.")
    if least_of_largest == 0:
        raise ValueError("sample_weight must not be 0 for all samples of a network.")


def _numeric_array(name: str, value: Any) -> np.ndarray:
    if hasattr(value, "tocsr"):
        raise TypeError(f"{name} is a sparse matrix, which is not taken here; use {name}.toarray().")
    check_on_host(name, value)
    check_nothing_masked(name, value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    check_numeric(name, array.dtype)
    return array


def check_on_host(name: str, value: Any) -> None:
    """Raise for an array on a GPU, where the host's memory is needed."""
    if is_on_device(value):
        raise TypeError(
            f"{name} lies on a GPU, but is needed in the host's memory: copy it there, with {name}.get() or "
            f"cupy.asnumpy({name})."
        )


def check_nothing_masked(name: str, value: Any) -> None:
    """Raise for an array in which something is masked: NumPy would compute with what is behind the mask."""
    rows = value if isinstance(value, list | tuple) else [value]
    n_masked = sum(np.ma.count_masked(row) for row in rows if np.ma.isMaskedArray(row))
    if n_masked:
        raise ValueError(
            f"{name} is a masked array of which {n_masked} values are masked: put others in their place, "
            f"with {name}.filled(value) or an imputer, or leave these rows out."
        )


def check_numeric(name: str, dtype: np.dtype) -> None:
    """Raise unless an array of this dtype holds numbers."""
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
            raise not_finite(name, index, array[index], len(bad), dtype)
    return converted


def not_finite(name: str, index: tuple[int, ...], value: Any, n_such: int, dtype: np.dtype) -> ValueError:
    """What to raise for an array whose first number that is not finite stands at `index`."""
    return ValueError(
        f"{name} must be finite, but {name}[{', '.join(map(str, index))}] is {value}"
        f" ({n_such} such values; dtype {dtype})."
    )


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
    has_fractions = bool((classes != np.floor(classes)).any())
    check_class_indices(name, n_outputs, has_fractions, classes.min(), classes.max())
    return np.eye(n_outputs, dtype=dtype)[classes.astype(np.intp)]


def check_class_indices(name: str, n_classes: int, has_fractions: bool, least: float, most: float) -> None:
    """Raise unless values from `least` to `most`, with or without fractions, are indices of classes."""
    if has_fractions or least < 0 or most >= n_classes:
        raise ValueError(
            f"{name} must hold class indices from 0 to {n_classes - 1}, "
            f"got values from {least:g} to {most:g}."
        )
