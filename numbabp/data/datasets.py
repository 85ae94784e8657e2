"""Data to try things on: XOR, and the sets that scikit-learn brings along."""

from dataclasses import dataclass

import numpy as np

from ..checks.arguments import check_choice

BUNDLED = ("xor", "iris", "wine", "breast_cancer", "digits", "diabetes")


@dataclass(frozen=True)
class Dataset:
    """Samples with their names.

    Attributes
    ----------
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)
        Class names (str) for classification, numbers for regression.
    feature_names : list of str
    target_name : str
    task : {"classification", "regression"}
    """

    X: np.ndarray
    y: np.ndarray
    feature_names: list[str]
    target_name: str
    task: str


def xor() -> tuple[np.ndarray, np.ndarray]:
    """The four samples of exclusive or: X of shape (4, 2), y of shape (4,), float64."""
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return X, np.array([0.0, 1.0, 1.0, 0.0])


def load_dataset(name: str) -> Dataset:
    """One of the bundled data sets.

    Parameters
    ----------
    name : str
        xor, iris, wine, breast_cancer, digits or diabetes.

    Raises
    ------
    ValueError
        For another name.
    """
    check_choice("dataset", name, BUNDLED)
    if name == "xor":
        X, y = xor()
        return Dataset(X, y.astype(int).astype(str), ["a", "b"], "xor", "classification")
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    features = [str(feature) for feature in bunch.feature_names]
    if name == "diabetes":
        return Dataset(bunch.data, bunch.target, features, "progression", "regression")
    labels = np.asarray(bunch.target_names).astype(str)[bunch.target]
    return Dataset(bunch.data, labels, features, "class", "classification")
