"""Tables: named columns of numbers or text, and what of them a network can learn from.

What is done with columns that are not plain numbers, for training and prediction alike:

- a text column among the features is an error that names it (encode it first, for instance with
  scikit-learn's OneHotEncoder in a Pipeline);
- a missing value (an empty field, NA, NaN, null) or an infinite one is an error that names column and row;
- a text target is a class label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Texts that stand for no value, in lower case."""
MOST_CLASSES = 20
"""Different whole numbers of a target that are taken for classes rather than for amounts."""


class TableError(ValueError):
    """Something about a file or its columns that the user can mend."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name: float64 where every value is a number, else objects, each a str."""

    path: str
    columns: Mapping[str, np.ndarray]

    @property
    def n_rows(self) -> int:
        """Rows."""
        return len(next(iter(self.columns.values())))

    def column(self, name: str) -> np.ndarray:
        """One column.

        Raises
        ------
        TableError
            If there is none of that name.
        """
        if name not in self.columns:
            raise TableError(
                f"{self.path}: there is no column {name!r}; there are: {_listed(list(self.columns))}."
            )
        return self.columns[name]

    def features(self, names: Sequence[str]) -> np.ndarray:
        """Matrix of the named columns, float64 (n, len(names)).

        Raises
        ------
        TableError
            For a column that is not there, is text, or has missing or infinite values.
        """
        if not names:
            raise TableError(f"{self.path}: there is no column besides the target to learn from.")
        matrix = np.empty((self.n_rows, len(names)))
        for j, name in enumerate(names):
            column = self.column(name)
            if column.dtype.kind == "O":
                row, value = _first_text(column)
                raise TableError(
                    f"{self.path}: column {name!r} has text ({value!r} in row {row}), but features must "
                    "be numbers; encode it first or leave the column out with --ignore."
                )
            self._check_finite(name, column)
            matrix[:, j] = column
        return matrix

    def target(self, name: str, task: str) -> tuple[np.ndarray, str]:
        """Target column and task.

        Where task is "auto", text or at most 20 different whole numbers mean classification.

        Raises
        ------
        TableError
            For missing values, a constant column, or text with task "regression".
        """
        column = self.column(name)
        is_text = column.dtype.kind == "O"
        if is_text:
            self._check_labels(name, column, task)
        else:
            self._check_finite(name, column)
        distinct = np.unique(column)
        if len(distinct) < 2:
            raise TableError(
                f"{self.path}: target {name!r} is {distinct[0]} in every row; there is nothing to learn."
            )
        if is_text:
            return column, "classification"
        if task == "auto":
            are_whole = (distinct == np.floor(distinct)).all()
            task = "classification" if are_whole and len(distinct) <= MOST_CLASSES else "regression"
        if task == "regression":
            return column, task
        # classes are texts, and one that is a whole number is named without a decimal point
        labels = {value: str(int(value) if value.is_integer() else value) for value in distinct.tolist()}
        return np.array([labels[value] for value in column.tolist()], dtype=object), task

    def _check_labels(self, name: str, column: np.ndarray, task: str) -> None:
        missing = np.flatnonzero([value.lower() in MISSING for value in column])
        if len(missing):
            raise TableError(f"{self.path}: target {name!r} has no value in row {missing[0] + 1}.")
        if task == "regression":
            row, value = _first_text(column)
            raise TableError(
                f"{self.path}: target {name!r} has text ({value!r} in row {row}); use --task classification."
            )

    def _check_finite(self, name: str, column: np.ndarray) -> None:
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            what = "no value" if np.isnan(column[bad[0]]) else "an infinite value"
            others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            raise TableError(
                f"{self.path}: column {name!r} has {what} in row {bad[0] + 1}{others}; "
                "fill such values in or leave the rows out first."
            )


def is_number(text: str) -> bool:
    """Whether a text is a number as Python writes it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first_text(column: np.ndarray) -> tuple[int, str]:
    for row, value in enumerate(column, start=1):
        if value.strip().lower() not in MISSING and not is_number(value):
            return row, str(value)
    return 1, str(column[0])


def _listed(names: list[str], most: int = 12) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
