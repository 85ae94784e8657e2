"""Columns to be predicted: classes or amounts, as networks learn them, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .columns import BOOLEAN, DATE, FEW, TEXT, UNDECIDED, Column, TableError
from .tables import Table

CLASSIFICATION, REGRESSION = "classification", "regression"
EXACT = 2**53
"""Whole numbers up to here are told apart in float64."""


def read_target(table: Table, name: str, task: str = "auto") -> tuple[Column, str]:
    """The target column of a table, and whether it holds classes or amounts.

    Where task is "auto", text, booleans or at most 20 different whole numbers mean classification.

    Raises
    ------
    TableError
        For missing or infinite values, a constant column, dates, and texts that are not quite numbers or are
        hardly classes.
    """
    column = table.column(name)
    what = f"{table.path}: target {name!r}"
    if column.trouble is not None and (task != CLASSIFICATION or column.trouble.kind == UNDECIDED):
        classes = "; or --task classification takes the texts for classes"
        raise TableError(f"{what}: {column.trouble}{'' if column.trouble.kind == UNDECIDED else classes}.")
    if column.kind == DATE:
        raise TableError(f"{what} has dates, which are neither classes nor amounts.")
    missing = np.flatnonzero(column.is_missing)
    if len(missing):
        raise TableError(
            f"{table.path}: column {name!r} has no value in row {missing[0] + 1}{_others(missing)}, "
            "but is the target: leave such rows out."
        )
    if column.kind == TEXT:
        return _classes(what, column, task), CLASSIFICATION
    values = np.asarray(column.values, float)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise TableError(f"{what} has an infinite value in row {bad[0] + 1}{_others(bad)}.")
    distinct = np.unique(values)
    if len(distinct) < 2:
        raise TableError(f"{what} is {distinct[0]} in every row; there is nothing to learn.")
    if task == "auto":
        are_whole = (distinct == np.floor(distinct)).all() and len(distinct) <= FEW
        task = CLASSIFICATION if are_whole or column.kind == BOOLEAN else REGRESSION
    if task == CLASSIFICATION and np.abs(distinct).max() > EXACT:
        raise TableError(
            f"{what} has numbers too large to be told apart; --text {name} takes them for names."
        )
    return column, task


def _others(rows: np.ndarray) -> str:
    return f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""


def _classes(what: str, column: Column, task: str) -> Column:
    distinct = set(column.values)
    if task == REGRESSION:
        raise TableError(f"{what} has text ({column.values[0]!r} in row 1); use --task classification.")
    if len(distinct) < 2:
        raise TableError(f"{what} is {column.values[0]} in every row; there is nothing to learn.")
    if task == "auto" and len(distinct) > FEW and 2 * len(distinct) > len(column):
        raise TableError(
            f"{what} has {len(distinct)} different texts in {len(column)} rows, such as "
            f"{column.values[0]!r}: hardly classes; --task classification takes them for such."
        )
    return column


@dataclass(frozen=True)
class Target:
    """What a network's outputs stand for.

    Attributes
    ----------
    names : tuple of str
        Of the columns: several only for amounts.
    classes : ndarray, or None for amounts
        Sorted; int64, float64, bool or str.
    mean, scale : ndarray of float64, shape (len(names),)
        Of amounts, which are learnt in units of their own spread.
    """

    names: tuple[str, ...]
    classes: np.ndarray | None
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of_classes(cls, column: Column) -> "Target":
        """From all labels."""
        return cls((column.name,), np.unique(labels_of(column)), np.zeros(1), np.ones(1))

    @classmethod
    def of_amounts(cls, columns: Sequence[Column]) -> "Target":
        """From the rows to train on."""
        from sklearn.preprocessing import StandardScaler

        values = np.column_stack([np.asarray(column.values, float) for column in columns])
        scaler = StandardScaler().fit(values)
        return cls(tuple(column.name for column in columns), None, scaler.mean_, scaler.scale_)

    @property
    def n_outputs(self) -> int:
        """Outputs of the network: one a class, but one for two classes; one an amount."""
        if self.classes is None:
            return len(self.names)
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def loss(self) -> str:
        """What such outputs are learnt by."""
        if self.classes is None:
            return "squared_error"
        return "binary_cross_entropy" if self.n_outputs == 1 else "categorical_cross_entropy"

    @property
    def metric(self) -> str:
        """How predictions are measured."""
        return "R^2" if self.classes is None else "accuracy"

    def encoded(self, columns: Sequence[Column]) -> np.ndarray:
        """What the network is to learn: indices of classes, or standardised amounts, (n,) of one.

        Raises
        ------
        TableError
            For a class that is not one of `classes`.
        """
        if self.classes is None:
            values = np.column_stack([np.asarray(column.values, float) for column in columns])
            scaled = (values - self.mean) / self.scale
            return scaled[:, 0] if len(self.names) == 1 else scaled
        labels = labels_of(columns[0], self.classes.dtype.kind == "U")
        places = np.searchsorted(self.classes, labels).clip(0, len(self.classes) - 1)
        wrong = np.flatnonzero(self.classes[places] != labels)
        if len(wrong):
            raise TableError(
                f"column {self.names[0]!r} has {labels[wrong[0]]} in row {wrong[0] + 1}, "
                f"which is not one of the {len(self.classes)} classes that were learnt."
            )
        return places

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Of each class: float64 (n, n_classes)."""
        outputs = outputs.astype(float)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def decoded(self, outputs: np.ndarray) -> np.ndarray:
        """Labels, (n,), or amounts, (n,) of one and (n, len(names)) of several."""
        if self.classes is not None:
            return self.classes[self.probabilities(outputs).argmax(axis=1)]
        values = outputs.astype(float) * self.scale + self.mean
        return values[:, 0] if len(self.names) == 1 else values

    def as_json(self) -> dict[str, Any]:
        """As model files hold it; floats are written with all their digits."""
        return {
            "names": list(self.names),
            "classes": None if self.classes is None else self.classes.tolist(),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
        }

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> "Target":
        """The same again.

        Raises
        ------
        ValueError
            If the description is damaged; it says what is wrong.
        """
        from .described import numbers, strings

        names = strings(described, "names")
        mean, scale = (numbers(described, key, len(names)) for key in ("mean", "scale"))
        classes = described.get("classes", "absent")
        if classes is None:
            return cls(tuple(names), None, mean, scale)
        kinds = {type(label) for label in classes} if isinstance(classes, list) else set()
        if len(names) != 1 or len(kinds) != 1 or not kinds <= {int, float, bool, str} or len(classes) < 2:
            raise ValueError("classes must be null, or at least two labels of one kind for one target")
        try:
            array = np.array(classes)
        except OverflowError:
            raise ValueError("classes must be within int64") from None
        if array.dtype.kind not in "ifbU" or not (array[1:] > array[:-1]).all():
            raise ValueError("classes must be sorted, all different and within int64")
        return cls(tuple(names), array, mean, scale)


def labels_of(column: Column, as_text: bool = False) -> np.ndarray:
    """Labels of a column of classes: bool, int64 of whole numbers, float64, or str."""
    if column.kind == TEXT or as_text:
        return column.texts().astype(str)
    if column.kind == BOOLEAN:
        return np.asarray(column.values).astype(bool)
    values = np.asarray(column.values, float)
    return values.astype(np.int64) if (values == np.floor(values)).all() else values
