"""Checks of samples that lie on a GPU, done there: what `checks` does with those in the host's memory.

Every array is reduced to a few numbers, and those of X, y and sample_weight come to the host together: one
wait for the GPU, however many arrays there are. Arrays of other libraries are taken as they are, by the CUDA
array interface; what fits already is not copied.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..devices import memory
from ..devices.placement import gpu_of, is_on_device, where
from . import host_samples as checks


def check_inputs(name: str, value: Any, n_columns: int, dtype: np.dtype) -> Any:
    """Finite samples of shape (n, n_columns), contiguous, on the GPU where they lie."""
    with where(value):
        return _concluded(_inputs(name, value, n_columns, dtype))[0]


def check_samples(
    X: Any,
    y: Any,
    sample_weight: Any,
    n_columns: int,
    n_outputs: int,
    loss: str,
    dtype: Any,
    prefix: str = "",
) -> tuple[Any, Any, Any]:
    """Samples on a GPU, and what belongs to them.

    Parameters
    ----------
    X
        Device array of shape (n, n_columns), of any numeric dtype.
    y
        As `checks.check_targets` takes it, on the same GPU or in the host's memory, from where it is copied.
    sample_weight
        As `checks.check_sample_weight` takes it, likewise.
    n_columns, n_outputs, loss, dtype
        The network's.
    prefix
        Of the names X and y in messages.

    Returns
    -------
    inputs, targets, weights
        Contiguous device arrays T (n, n_columns), T (n, n_outputs) and T (n,), or (0,) without weights.

    Raises
    ------
    ValueError, TypeError
        As for samples in the host's memory; or if X and y lie on different GPUs.
    """
    gpu_of({prefix + "X": X, prefix + "y": y, "sample_weight": sample_weight})
    shape = memory.as_array(X).shape
    n = shape[0] if shape else 0
    with where(X):
        inputs, targets, weights = _concluded(
            _inputs(prefix + "X", X, n_columns, dtype),
            _targets(prefix + "y", y, n, n_outputs, loss, dtype),
            _weights(sample_weight, n, dtype),
        )
    return inputs, targets, weights


def check_finite(name: str, value: Any) -> Any:
    """Finite numbers of any shape and numeric dtype, contiguous."""
    array = _numeric_array(name, value)
    with where(array):
        return _concluded(_finite(name, array, array.dtype))[0]


def check_weights(value: Any, X: Any, may_all_be_0: bool = False, dtype: Any = None) -> Any:
    """Finite weights >= 0, not all 0, of the samples X on a GPU; copied there from the host.

    They have X's dtype, if no other is given.
    """
    with where(X):
        return _concluded(_weights(value, len(X), np.dtype(dtype or X.dtype), may_all_be_0))[0]


def check_weights_of_networks(value: Any, n_networks: int, X: Any) -> Any:
    """As `checks.check_weights_of_networks`, on the GPU where the samples X lie."""
    array = _numeric_array("sample_weight", value)
    checks.check_shape_for_networks(array, n_networks, len(X))

    def in_range(array: Any, least: float, least_of_largest: float) -> Any:
        checks.check_range_for_networks(least, least_of_largest)
        return array

    with where(X):
        rows = array.reshape(-1, len(X))
        return _concluded(_finite("sample_weight", rows, X.dtype, _range_of_rows, in_range))[0]


def check_features(X: Any, finite: bool = True) -> Any:
    """Samples of shape (n, n_features), n_features >= 1, contiguous; float32, or else float64.

    Without `finite` their values are not looked at, which saves waiting for the GPU.
    """
    array = _numeric_array("X", X)
    n_columns = array.shape[1] if array.ndim == 2 else "n_features"
    checks.check_input_shape("X", array, n_columns)
    if not array.shape[1]:
        raise ValueError(f"X has 0 feature(s), of shape {array.shape}; at least one is needed.")
    dtype = np.dtype(array.dtype if array.dtype in (np.float32, np.float64) else np.float64)
    with where(array):
        return _concluded(_finite("X", array, dtype))[0] if finite else memory.to_device(array, dtype)


@dataclass(frozen=True)
class _Measured:
    """An array whose shape and dtype are as they must be, and what has been measured of its values."""

    numbers: list[Any]
    """On the GPU, each an array of no dimensions."""
    conclude: Callable[..., Any]
    """Called with these numbers on the host, in order: returns the checked array, or raises."""


def _concluded(*measured: _Measured) -> list[Any]:
    """The checked arrays, with one copy to the host of the numbers of all of them."""
    numbers = [number for one in measured for number in one.numbers]
    gathered = memory.empty(len(numbers), np.float64)
    for i, number in enumerate(numbers):
        gathered[i] = number
    on_host = iter(memory.to_host(gathered).tolist())
    return [one.conclude(*(next(on_host) for _ in one.numbers)) for one in measured]


def _inputs(name: str, value: Any, n_columns: int, dtype: np.dtype) -> _Measured:
    array = _numeric_array(name, value)
    checks.check_input_shape(name, array, n_columns)
    return _finite(name, array, dtype)


def _targets(name: str, value: Any, n_samples: int, n_outputs: int, loss: str, dtype: np.dtype) -> _Measured:
    if not is_on_device(value):  # nothing to measure on the GPU; its turn comes when that of X is over
        return _Measured(
            [],
            lambda: memory.to_device(checks.check_targets(name, value, n_samples, n_outputs, loss, dtype)),
        )
    array = checks.check_target_shape(name, _numeric_array(name, value), n_samples, n_outputs, loss)
    if array.ndim == 1:
        return _one_hot(name, array, n_outputs, dtype)
    if not checks.has_range(loss):
        return _finite(name, array, dtype)

    def in_range(array: Any, least: float, most: float) -> Any:
        checks.check_target_range(name, loss, least, most)
        return array

    return _finite(name, array, dtype, _range, in_range)


def _one_hot(name: str, classes: Any, n_outputs: int, dtype: np.dtype) -> _Measured:
    is_real = classes.dtype.kind == "f"  # integers have no fractions: that saves a pass over them

    def measure(classes: Any) -> list[Any]:
        fractions = [(classes != memory.array_module().floor(classes)).any()] if is_real else []
        return [*_range(classes), *fractions]

    def columns(classes: Any, least: float, most: float, has_fractions: float = False) -> Any:
        checks.check_class_indices(name, n_outputs, bool(has_fractions), least, most)
        return (classes[:, None] == memory.to_device(np.arange(n_outputs))).astype(dtype)

    return _finite(name, classes, classes.dtype, measure, columns)


def _weights(value: Any, n_samples: int, dtype: np.dtype, may_all_be_0: bool = False) -> _Measured:
    if not is_on_device(value):  # or None; as for targets
        return _Measured(
            [], lambda: memory.to_device(checks.check_sample_weight(value, n_samples, dtype, may_all_be_0))
        )
    array = _numeric_array("sample_weight", value)
    checks.check_weight_shape(array, n_samples)

    def not_negative(array: Any, least: float, most: float) -> Any:
        checks.check_weight_range(least, 1.0 if may_all_be_0 else most)
        return array

    return _finite("sample_weight", array, dtype, _range, not_negative)


def _finite(
    name: str,
    array: Any,
    dtype: np.dtype,
    measure: Callable[[Any], list[Any]] = lambda array: [],
    conclude: Callable[..., Any] = lambda array: array,
) -> _Measured:
    """The array in its dtype, contiguous, if it is finite.

    Parameters
    ----------
    measure
        Gives further numbers of the converted array.
    conclude
        Called with the converted array and these numbers on the host: returns the checked one, or raises.
    """
    with np.errstate(all="ignore"):  # a float64 too large for float32 is reported below
        converted = memory.to_device(array, dtype)
        numbers = [converted.sum(dtype=np.float64), *measure(converted)]

    def conclude_if_finite(total: float, *others: float) -> Any:
        if not math.isfinite(total):
            _find_not_finite(name, array, converted, dtype)
        return conclude(converted, *others)

    return _Measured(numbers, conclude_if_finite)


def _find_not_finite(name: str, array: Any, converted: Any, dtype: np.dtype) -> None:
    """Raise for the first number that is not finite; there is none if only the sum has overflowed."""
    xp = memory.array_module()
    bad = xp.argwhere(~xp.isfinite(converted))
    if len(bad):
        index = tuple(memory.to_host(bad[0]).tolist())
        raise checks.not_finite(name, index, memory.to_host(array[index])[()], len(bad), dtype)


def _range(array: Any) -> list[Any]:
    return [array.min(), array.max()]


def _range_of_rows(array: Any) -> list[Any]:
    return [array.min(), array.max(axis=1).min()]


def _numeric_array(name: str, value: Any) -> Any:
    array = memory.as_array(value)
    checks.check_numeric(name, array.dtype)
    return array
