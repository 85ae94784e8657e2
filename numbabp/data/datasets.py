"""Data to try things on: XOR, and the sets that scikit-learn brings along."""

from dataclasses import dataclass

import numpy as np

from ..checks.arguments import check_choice
from .columns import NUMBER, Column, as_texts
from .tables import Table

BUNDLED = ("xor", "iris", "wine", "breast_cancer", "digits", "diabetes")


@dataclass(frozen=True)
class Dataset:
    """A table with what is to be learnt from it.

    Attributes
    ----------
    table : Table
    feature_names : list of str
    targets : tuple of Column
        One of classes, or several of two classes each, or one or more of amounts.
    task : {"classification", "regression"}
    missing : tuple of str
        Texts that stood for no value besides the common ones.
    one_hot : tuple of str
        The table's columns of 0 and 1 that the one target was made of, see `Targets`.
    """

    table: Table
    feature_names: list[str]
    targets: tuple[Column, ...]
    task: str
    missing: tuple[str, ...] = ()
    one_hot: tuple[str, ...] = ()

    @property
    def X(self) -> np.ndarray:
        """Features of a table of numbers: float64 (n, n_features)."""
        return np.column_stack([self.table.column(name).values for name in self.feature_names])

    @property
    def y(self) -> np.ndarray:
        """Class names (str), or numbers: (n,), or (n, n_targets) of several."""
        are_classes = self.task == "classification"
        columns = [c.texts().astype(str) if are_classes else c.values for c in self.targets]
        return columns[0] if len(columns) == 1 else np.column_stack(columns)

    @property
    def strata(self) -> np.ndarray | None:
        """What should be as frequent in each part of the rows: classes, or of several targets all together.

        None for amounts, and for several targets whose rarest combination stands in one row alone: of many
        targets most combinations may, and which rows are set aside would hang on that.
        """
        if self.task != "classification":
            return None
        if len(self.targets) == 1:
            return self.y
        _, combination, counts = np.unique(self.y, axis=0, return_inverse=True, return_counts=True)
        return None if (counts < 2).any() else combination.reshape(-1).astype(str)


def xor() -> tuple[np.ndarray, np.ndarray]:
    """The four samples of exclusive or: X of shape (4, 2), y of shape (4,), float64."""
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return X, np.array([0.0, 1.0, 1.0, 0.0])


def two_spirals() -> tuple[np.ndarray, np.ndarray]:
    """Two spirals of 97 points and three turns each, wound into one another, of radius 3.

    (Lang and Witbrock, "Learning to Tell Two Spirals Apart", Proceedings of the 1988 Connectionist Models
    Summer School; their radius is 6.5.)

    Returns
    -------
    X : ndarray of shape (194, 2)
        First one spiral, then the other, which is the first mirrored at the origin.
    y : ndarray of shape (194,)
        1 and 0.
    """
    i = np.arange(97)
    angle, radius = np.pi / 16 * i, 3 * (104 - i) / 104
    spiral = np.column_stack([radius * np.sin(angle), radius * np.cos(angle)])
    return np.concatenate([spiral, -spiral]), np.repeat([1.0, 0.0], len(i))


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
        return _dataset(name, X, ["a", "b"], Column("xor", NUMBER, y), "classification")
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    features = [str(feature) for feature in bunch.feature_names]
    if name == "diabetes":
        return _dataset(name, bunch.data, features, Column("progression", NUMBER, bunch.target), "regression")
    labels = np.asarray(bunch.target_names).astype(str).astype(object)[bunch.target]
    return _dataset(name, bunch.data, features, as_texts("class", labels), "classification")


def _dataset(name: str, X: np.ndarray, features: list[str], target: Column, task: str) -> Dataset:
    columns = {feature: Column(feature, NUMBER, X[:, j]) for j, feature in enumerate(features)}
    return Dataset(Table(name, columns), features, (target,), task)
