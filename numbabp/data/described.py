"""Checks of what model files say: JSON, which anyone may have changed."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def strings(described: Mapping[str, Any], key: str) -> list[str]:
    """A list of different texts, at least one."""
    value = described.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{key} must be a list of names")
    if len(set(value)) != len(value):
        raise ValueError(f"{key} must have no name twice")
    return value


def numbers(described: Mapping[str, Any], key: str, length: int) -> np.ndarray:
    """A list of so many finite numbers; of a scale, none is 0 or less."""
    value = described.get(key)
    if not isinstance(value, list) or len(value) != length:
        raise ValueError(f"{key} must be a list of {length} numbers")
    if not all(type(number) in (int, float) for number in value):
        raise ValueError(f"{key} must be numbers")
    try:
        array = np.array(value, float)
    except OverflowError:
        raise ValueError(f"{key} must be within float64") from None
    if not np.isfinite(array).all() or (key == "scale" and (array <= 0).any()):
        raise ValueError(f"{key} must be finite{' and positive' if key == 'scale' else ''}")
    return array


def mapping(described: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A JSON object."""
    value = described.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{key} must be an object")
    return value
