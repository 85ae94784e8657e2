"""Data sets to try things on: XOR, and the real ones that scikit-learn carries along."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .checks import check_choice

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Dataset:
    """Samples with their targets and names.

    Attributes
    ----------
    name : str
    X : ndarray of shape (n, n_features), float64
    y : ndarray
        Classification: class indices of shape (n,), int64. Regression: float64 of shape (n,) for one target,
        (n, n_targets) for several.
    feature_names : tuple of str
        Of the columns of X.
    target_names : tuple of str
        Classification: of the classes. Regression: of the targets.
    task : {"classification", "regression"}
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    task: Task


def load_xor() -> Dataset:
    """The four samples of exclusive or, in the order 00, 01, 10, 11."""
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
    y = np.array([0, 1, 1, 0], np.int64)
    return Dataset("xor", X, y, ("a", "b"), ("0", "1"), "classification")


_BUNDLED: dict[str, Task] = {
    "iris": "classification",
    "wine": "classification",
    "breast_cancer": "classification",
    "digits": "classification",
    "diabetes": "regression",
    "linnerud": "regression",
}

DATASETS: tuple[str, ...] = ("xor", *_BUNDLED)
"""What `load_dataset` knows."""


def load_dataset(name: str) -> Dataset:
    """Load a data set by name, from this machine alone.

    Parameters
    ----------
    name : str
        xor, iris, wine, breast_cancer, digits, diabetes (one target) or linnerud (three targets).

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If there is no such data set.
    """
    check_choice("dataset", name, DATASETS)
    if name == "xor":
        return load_xor()
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, f"load_{name}")()
    task = _BUNDLED[name]
    return Dataset(
        name,
        np.ascontiguousarray(bunch.data, np.float64),
        np.ascontiguousarray(bunch.target, np.int64 if task == "classification" else np.float64),
        tuple(map(str, bunch.feature_names)),
        tuple(map(str, bunch.get("target_names", ["target"]))),
        task,
    )
