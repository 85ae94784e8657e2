"""Targets of estimators that lie on a GPU: what scikit-learn's checks and NumPy do with those of the host.

Only the values that occur among labels come to the host, not the labels.
"""

from typing import Any

import numpy as np

from ..checks.device import check_finite
from ..devices import memory


def check_targets(name: str, y: Any) -> Any:
    """Finite targets of shape (n,) or (n, n_outputs), of any numeric dtype."""
    shape = memory.as_array(y).shape
    if len(shape) not in (1, 2) or 0 in shape:
        raise ValueError(f"{name} must have shape (n_samples,) or (n_samples, n_outputs), got {shape}.")
    return check_finite(name, y)


def values_of(y: Any) -> np.ndarray:
    """The values that occur, sorted, on the host."""
    return memory.to_host(memory.array_module().unique(y))


def is_multilabel(name: str, y: Any) -> bool:
    """Whether checked y is a 0/1 matrix of several labels a sample, and not one label each."""
    xp = memory.array_module()
    if y.ndim == 2:
        if not bool(((y == 0) | (y == 1)).all()):
            raise ValueError(
                f"{name} of shape {y.shape} must be a matrix of 0 and 1 for several labels a sample, or one "
                "column of labels for one."
            )
        return True
    if y.dtype.kind == "f" and bool((y != xp.floor(y)).any()):
        raise ValueError(
            f"Unknown label type: continuous. {name} has values that are not whole, but a classifier needs "
            "classes; MLPRegressor predicts numbers."
        )
    return False


def class_at(classes: np.ndarray, index: Any) -> Any:
    """Labels of shape (n,) on the GPU of their numbers; what is no number, such as a string, on the host."""
    if classes.dtype.kind in "biuf":
        return memory.to_device(classes)[index]
    return classes[memory.to_host(index)]
