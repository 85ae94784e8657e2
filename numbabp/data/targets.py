"""Columns to be predicted: classes or amounts, as networks learn them, and back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .columns import BOOLEAN, DATE, FEW, NUMBER, TEXT, UNDECIDED, Column, TableError
from .tables import Table, listed

CLASSIFICATION, REGRESSION = "classification", "regression"
LABELS = "labels"
"""The task of several targets that are classes of their own, whatever they hold."""
EXACT = 2**53
"""Whole numbers up to here are told apart in float64."""
_RESTS = (r"[_\-.:= ]?\d+$", r"[_\-.:= ][^_\-.:= ]*$", r"[_\-.:= ].*$")
"""What the names of one-hot columns end with: a number, or what follows the last or the first separator."""


@dataclass(frozen=True)
class Targets:
    """What is to be predicted, as a table has it.

    Attributes
    ----------
    columns : tuple of Column
        One of classes, or several of two classes each, or one or more of amounts.
    task : {"classification", "regression"}
    one_hot : tuple of str
        The table's columns of 0 and 1 that the one column of classes was made of, each the name of a class;
        empty where the table has the columns themselves.
    """

    columns: tuple[Column, ...]
    task: str
    one_hot: tuple[str, ...] = ()


def read_targets(table: Table, names: Sequence[str], task: str = "auto") -> Targets:
    """One or several target columns of a table, and whether they hold classes or amounts.

    Several are what scikit-learn takes for y of several columns: amounts, or classes of two each; or, unless
    task says otherwise, one class if every row has a single 1 in them, and 0 else.

    Raises
    ------
    TableError
        For what `read_target` refuses in one, for a mixture, and for more than two classes in one of several.
    """
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise TableError(f"{table.path}: --target {twice[0]} is given twice.")
    if task not in (LABELS, REGRESSION) and are_one_hot([table.column(name) for name in names]):
        column = one_of(table, names, _name_of_one(table, names))
        _classes(f"{table.path}: target {column.name!r}", column, CLASSIFICATION)  # raises for a single one
        return Targets((column,), CLASSIFICATION, tuple(names))
    read = {name: read_target(table, name, task) for name in names}
    columns = tuple(column for column, _ in read.values())
    classes = [column for column, kind in read.values() if kind == CLASSIFICATION]
    if len(names) == 1 or not classes:
        return Targets(columns, REGRESSION if not classes else CLASSIFICATION)
    way_out = "train a model for each"
    if all(column.kind != TEXT for column in classes):
        way_out = f"--task regression takes whole numbers for amounts, or {way_out}"
    if len(classes) < len(columns):
        amounts = [name for name, (_, kind) in read.items() if kind == REGRESSION]
        raise TableError(
            f"{table.path}: targets must be all classes or all amounts, but "
            f"{listed([column.name for column in classes], 3)} would be classes, {listed(amounts, 3)} "
            f"amounts; {way_out}."
        )
    for column in columns:
        labels = np.unique(labels_of(column))
        if len(labels) > 2:
            raise TableError(
                f"{table.path}: several targets of classes must have two classes each, but {column.name!r} "
                f"has {len(labels)}, such as {listed(labels.tolist(), 3)}; {way_out}."
            )
    return Targets(columns, CLASSIFICATION)


def read_target(table: Table, name: str, task: str = "auto") -> tuple[Column, str]:
    """The target column of a table, and whether it holds classes or amounts.

    Where task is "auto", text, booleans or at most 20 different whole numbers mean classification, as
    "labels" does.

    Raises
    ------
    TableError
        For missing or infinite values, a constant column, dates, and texts that are not quite numbers or are
        hardly classes.
    """
    column = table.column(name)
    what = f"{table.path}: target {name!r}"
    task = CLASSIFICATION if task == LABELS else task
    if column.trouble is not None and (task != CLASSIFICATION or column.trouble.kind == UNDECIDED):
        classes = "; or --task classification takes the texts for classes"
        raise TableError(f"{what}: {column.trouble}{'' if column.trouble.kind == UNDECIDED else classes}.")
    if column.kind == DATE:
        raise TableError(f"{what} has dates, which are neither classes nor amounts.")
    missing = np.flatnonzero(column.is_missing)
    if len(missing):
        raise TableError(
            f"{table.path}: column {name!r} has no value in row {missing[0] + 1}{_others(missing)}, "
            "but is the target: leave such rows out, in the file or with --missing."
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


def are_one_hot(columns: Sequence[Column]) -> bool:
    """Whether several columns hold 0 and 1 alone, and every row a single 1: an indicator of classes."""
    if len(columns) < 2 or not all(column.kind in (NUMBER, BOOLEAN) for column in columns):
        return False
    ones = np.zeros(len(columns[0]), int)
    for column in columns:
        values = np.asarray(column.values, float)
        if not ((values == 0) | (values == 1)).all():  # NaN, a missing value, is neither
            return False
        ones += values == 1
    return bool((ones == 1).all())


def one_of(table: Table, columns: Sequence[str], name: str) -> Column:
    """Columns that hold a single 1 a row as one column of texts: the name of the column that has it.

    Raises
    ------
    TableError
        For a row of anything else, and if it is the same column in every row.
    """
    ones = np.zeros((table.n_rows, len(columns)), bool)
    for place, column in enumerate(map(table.column, columns)):
        if column.kind not in (NUMBER, BOOLEAN):
            raise TableError(
                f"{table.path}: column {column.name!r} has {column.kind}s, but 1 for its class and 0 for "
                "others were learnt."
            )
        values = np.asarray(column.values, float)
        bad = np.flatnonzero((values != 0) & (values != 1))
        if len(bad):
            found = "no value" if np.isnan(values[bad[0]]) else f"{values[bad[0]]:g}"
            raise TableError(
                f"{table.path}: column {column.name!r} has {found} in row {bad[0] + 1}{_others(bad)}, but 1 "
                "for its class and 0 for others were learnt."
            )
        ones[:, place] = values == 1
    counts = ones.sum(axis=1)
    bad = np.flatnonzero(counts != 1)
    if len(bad):
        raise TableError(
            f"{table.path}: row {bad[0] + 1}{_others(bad)} has {counts[bad[0]]} ones in the columns "
            f"{listed(columns, 3)}, but each row must have one, in the column of its class."
        )
    return Column(name, TEXT, np.array(columns, object)[ones.argmax(axis=1)])


def _name_of_one(table: Table, columns: Sequence[str]) -> str:
    """What to call the class that such columns hold: what their names begin with, if it is a word."""
    name = "class"
    for rest in _RESTS:  # of species_setosa and species_sativa `species`, not `species_s`
        stems = {re.sub(rest, "", column) for column in columns}
        if len(stems) == 1:
            name = stems.pop() or name
            break
    while name in table.columns:
        name += "_"
    return name


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
        Of the columns.
    classes : tuple of ndarray, or None for amounts
        Of each column, sorted; int64, float64, bool or str. Where there are several columns, two of each.
    mean, scale : ndarray of float64, shape (len(names),)
        Of amounts, which are learnt in units of their own spread.
    is_one_hot : bool
        Whether tables have, instead of the one column, a column of 0 and 1 for each of its classes, with the
        class's name. The classes are in the columns' order then.
    """

    names: tuple[str, ...]
    classes: tuple[np.ndarray, ...] | None
    mean: np.ndarray
    scale: np.ndarray
    is_one_hot: bool = False

    @classmethod
    def of_classes(cls, columns: Sequence[Column], one_hot: Sequence[str] = ()) -> "Target":
        """From all labels, or the columns of `Targets.one_hot`, some of which may be 0 in every row."""
        names = tuple(column.name for column in columns)
        if one_hot:
            return cls(names, (np.array(one_hot, str),), np.zeros(1), np.ones(1), True)
        classes = tuple(np.unique(labels_of(column)) for column in columns)
        return cls(names, classes, np.zeros(len(names)), np.ones(len(names)))

    @classmethod
    def of_amounts(cls, columns: Sequence[Column]) -> "Target":
        """From the rows to train on."""
        from sklearn.preprocessing import StandardScaler

        values = np.column_stack([np.asarray(column.values, float) for column in columns])
        scaler = StandardScaler().fit(values)
        return cls(tuple(column.name for column in columns), None, scaler.mean_, scaler.scale_)

    @property
    def are_several(self) -> bool:
        """Whether there is more than one column."""
        return len(self.names) > 1

    @property
    def columns(self) -> tuple[str, ...]:
        """What a table must have for the true values."""
        if self.is_one_hot and self.classes is not None:
            return tuple(self.classes[0].tolist())
        return self.names

    def found_in(self, table: Table) -> list[Column]:
        """True values, a column for each of `names`.

        Raises
        ------
        TableError
            If the table lacks one of `columns`, or they don't hold a single 1 a row.
        """
        if self.is_one_hot:
            return [one_of(table, self.columns, self.names[0])]
        return [table.column(name) for name in self.names]

    def told(self) -> list[str]:
        """What is made of several columns, in short lines."""
        if not self.is_one_hot:
            return []
        return [
            f"{self.names[0]!r}, one class a row: the column that is 1 of {listed(self.columns, 6)} "
            "(--task labels takes each for a label of its own)"
        ]

    @property
    def n_outputs(self) -> int:
        """Outputs of the network: one a column, but one a class of one column of more than two."""
        if self.classes is None or self.are_several:
            return len(self.names)
        return 1 if len(self.classes[0]) == 2 else len(self.classes[0])

    @property
    def loss(self) -> str:
        """What such outputs are learnt by."""
        if self.classes is None:
            return "squared_error"
        return "categorical_cross_entropy" if len(self.classes[0]) > 2 else "binary_cross_entropy"

    @property
    def metric(self) -> str:
        """How predictions for one column are measured."""
        return "R^2" if self.classes is None else "accuracy"

    @property
    def overall_metric(self) -> str:
        """How predictions for all columns are measured, as scikit-learn's `score` does."""
        if not self.are_several:
            return self.metric
        return "mean R^2" if self.classes is None else "subset accuracy"

    def encoded(self, columns: Sequence[Column], first_row: int = 1) -> np.ndarray:
        """What the network is to learn: indices of classes, or standardised amounts, (n,) of one column.

        Of several columns (n, len(names)). Messages call the first row by the number `first_row`.

        Raises
        ------
        TableError
            For a class that is not one of `classes`, and for texts, infinite and missing values of amounts.
        """
        if self.classes is None:
            amounts = [_amounts(column, first_row) for column in columns]
            values = (np.column_stack(amounts) - self.mean) / self.scale
        else:
            of_each = zip(columns, self.classes, strict=True)
            values = np.column_stack([_places(column, classes, first_row) for column, classes in of_each])
        return values if self.are_several else values[:, 0]

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Of each class: float64 (n, n_classes); of the second class of each of several columns."""
        outputs = outputs.astype(float)
        if self.are_several:
            return outputs
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def probabilities_of_each(self, outputs: np.ndarray) -> list[np.ndarray]:
        """Of each class of each column: float64 (n, n_classes)."""
        if not self.are_several:
            return [self.probabilities(outputs)]
        return [np.column_stack([1 - p, p]) for p in self.probabilities(outputs).T]

    def decoded(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Labels or amounts, (n,), by the columns' names."""
        if self.classes is None:
            return dict(zip(self.names, (outputs.astype(float) * self.scale + self.mean).T, strict=True))
        of_each = zip(self.names, self.classes, self.probabilities_of_each(outputs), strict=True)
        return {name: classes[probabilities.argmax(axis=1)] for name, classes, probabilities in of_each}

    def as_json(self) -> dict[str, Any]:
        """As model files hold it: a list of classes, or of such lists; floats have all their digits."""
        classes: list[Any] | None = None
        if self.classes is not None:
            of_each = [labels.tolist() for labels in self.classes]
            classes = of_each if self.are_several else of_each[0]
        return {
            "names": list(self.names),
            "classes": classes,
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            **({"one_hot": True} if self.is_one_hot else {}),
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
        one_hot = described.get("one_hot", False)
        if not isinstance(one_hot, bool) or (one_hot and len(names) > 1):
            raise ValueError("one_hot must be true or false, and true of one target alone")
        if one_hot:
            columns = strings(described, "classes")
            if len(columns) < 2:
                raise ValueError("classes of one_hot must be names of at least two columns")
            return cls(tuple(names), (np.array(columns),), mean, scale, True)
        if len(names) == 1:
            return cls(tuple(names), (_classes_from_json(classes),), mean, scale)
        if not isinstance(classes, list) or len(classes) != len(names):
            raise ValueError("classes must be null, or a list for each of several targets")
        of_each = tuple(map(_classes_from_json, classes))
        if any(len(labels) != 2 for labels in of_each):
            raise ValueError("classes of several targets must be two of each")
        return cls(tuple(names), of_each, mean, scale)


def _amounts(column: Column, first_row: int) -> np.ndarray:
    """Numbers of a column, if all are there."""
    if column.kind == TEXT:
        raise TableError(f"column {column.name!r} has text, but amounts were learnt.")
    values = np.asarray(column.values, float)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        row = first_row + bad[0]
        raise TableError(f"column {column.name!r} has no finite value in row {row}{_others(bad)}.")
    return values


def _places(column: Column, classes: np.ndarray, first_row: int) -> np.ndarray:
    """Indices of a column's labels among the classes."""
    labels = labels_of(column, classes.dtype.kind == "U")
    order = np.argsort(classes)  # those of one-hot columns are in the columns' order
    places = order[np.searchsorted(classes, labels, sorter=order).clip(0, len(classes) - 1)]
    wrong = np.flatnonzero(classes[places] != labels)
    if len(wrong):
        raise TableError(
            f"column {column.name!r} has {labels[wrong[0]]} in row {first_row + wrong[0]}, "
            f"which is not one of the {len(classes)} classes that were learnt."
        )
    return places


def _classes_from_json(labels: Any) -> np.ndarray:
    """Labels of one column."""
    kinds = {type(label) for label in labels} if isinstance(labels, list) else set()
    if len(kinds) != 1 or not kinds <= {int, float, bool, str} or len(labels) < 2:
        raise ValueError("classes must be null, or at least two labels of one kind for a target")
    try:
        array = np.array(labels)
    except OverflowError:
        raise ValueError("classes must be within int64") from None
    if array.dtype.kind not in "ifbU" or not (array[1:] > array[:-1]).all():
        raise ValueError("classes must be sorted, all different and within int64")
    return array


def labels_of(column: Column, as_text: bool = False) -> np.ndarray:
    """Labels of a column of classes: bool, int64 of whole numbers, float64, or str."""
    if column.kind == TEXT or as_text:
        return column.texts().astype(str)
    if column.kind == BOOLEAN:
        return np.asarray(column.values).astype(bool)
    values = np.asarray(column.values, float)
    return values.astype(np.int64) if (values == np.floor(values)).all() else values
