"""Checks of single arguments: each returns the checked value or raises an error that names the argument."""

import difflib
import math
import numbers
import os
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np


def meant(name: Any, allowed: Iterable[str]) -> str:
    """A question for the end of a message: which of the allowed names may have been meant; else nothing."""
    close = difflib.get_close_matches(name, allowed, n=1) if isinstance(name, str) else []
    return f" Did you mean {close[0]!r}?" if close else ""


def check_choice(name: str, value: Any, allowed: Collection[str]) -> str:
    """One of the allowed names."""
    if not isinstance(value, str) or value not in allowed:
        names = ", ".join(sorted(allowed))
        raise ValueError(f"{name}={value!r} is not known; allowed: {names}.{meant(value, allowed)}")
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


def check_path(name: str, value: Any) -> str:
    """A path of a file, made absolute: where it leads must not change with the working folder."""
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise TypeError(f"{name} must be a path, got {value!r} of type {type(value).__name__}.")
    return os.path.abspath(value)


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
    if value is None or dtype is None or dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
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
