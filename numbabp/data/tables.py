"""Tables in files: named columns of numbers or text from CSV, NPZ and Parquet.

What is done with columns that are not plain numbers, for training and prediction alike:

- a text column among the features is an error that names it (encode it first, for instance with
  scikit-learn's OneHotEncoder in a Pipeline);
- a missing value (an empty field, NA, NaN, null) or an infinite one is an error that names column and row;
- a text target is a class label.
"""

import csv
import io
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_atomically

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})

ROWS_AT_A_TIME = 20_000
"""Rows of a CSV file that are in memory as text at any time."""


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
        if column.dtype.kind == "O":
            missing = np.flatnonzero([value.lower() in MISSING for value in column])
            if len(missing):
                raise TableError(f"{self.path}: target {name!r} has no value in row {missing[0] + 1}.")
            if task == "regression":
                row, value = _first_text(column)
                raise TableError(
                    f"{self.path}: target {name!r} has text ({value!r} in row {row}); "
                    "use --task classification."
                )
            task = "classification"
        else:
            self._check_finite(name, column)
        distinct = np.unique(column)
        if len(distinct) < 2:
            raise TableError(
                f"{self.path}: target {name!r} is {distinct[0]} in every row; there is nothing to learn."
            )
        whole = column.dtype.kind == "f" and (distinct == np.floor(distinct)).all()
        if task == "auto":
            task = "classification" if whole and len(distinct) <= 20 else "regression"
        if task == "classification" and column.dtype.kind == "f":
            labels = {value: str(int(value) if value.is_integer() else value) for value in distinct.tolist()}
            column = np.array([labels[value] for value in column.tolist()], dtype=object)
        return column, task

    def _check_finite(self, name: str, column: np.ndarray) -> None:
        bad = np.flatnonzero(~np.isfinite(column))
        if len(bad):
            what = "no value" if np.isnan(column[bad[0]]) else "an infinite value"
            others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            raise TableError(
                f"{self.path}: column {name!r} has {what} in row {bad[0] + 1}{others}; "
                "fill such values in or leave the rows out first."
            )


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table; the ending of the name says how: .csv, .tsv, .npz, .parquet.

    Raises
    ------
    TableError
        If the file is not there, empty, or not what its name says.
    """
    path = Path(path)
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet}
    if path.suffix.lower() not in readers:
        raise TableError(f"{path}: files must end in {', '.join(readers)}.")
    if not path.is_file():
        raise TableError(f"{path}: there is no such file.")
    if path.stat().st_size == 0:
        raise TableError(f"{path}: the file is empty.")
    try:
        columns = readers[path.suffix.lower()](path)
    except OSError as error:
        raise TableError(f"{path}: {error.strerror or error}.") from None
    if not columns:
        raise TableError(f"{path}: there are no columns.")
    table = Table(str(path), columns)
    if table.n_rows == 0:
        raise TableError(f"{path}: there are no rows below the header.")
    return table


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Text of a CSV file; the first row's keys are the header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Put rows into a CSV file, whole or not at all."""
    write_atomically(path, lambda file: file.write(csv_text(rows).encode()))


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    texts: set[str] = set()
    while True:
        readers = _read_csv_once(path, texts)
        turned = {name for name, reader in readers.items() if reader.turned_into_text}
        if not turned:
            return {name: reader.column() for name, reader in readers.items()}
        texts |= turned


def _read_csv_once(path: Path, texts: set[str]) -> dict[str, "_ColumnReader"]:
    """Read a file with the given columns as texts from the start."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(file.readline())
            file.seek(0)
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            header = [name.strip() for name in next(rows)]
            _check_header(path, header)
            readers = {name: _ColumnReader(name in texts) for name in header}
            full_rows = _full_rows(path, rows, len(header))
            while chunk := list(itertools.islice(full_rows, ROWS_AT_A_TIME)):
                for reader, values in zip(readers.values(), zip(*chunk, strict=True), strict=True):
                    reader.add(values)
        except UnicodeDecodeError:
            raise TableError(f"{path}: the file is not UTF-8 text.") from None
        except csv.Error as error:
            raise TableError(f"{path}: line {rows.line_num}: {error}.") from None
    return readers


def _full_rows(path: Path, rows: Any, n_fields: int) -> Iterator[list[str]]:
    """Rows of a csv.reader but for blank lines; all as long as the header."""
    for row in rows:
        if len(row) == n_fields:
            yield row
        elif row:
            raise TableError(
                f"{path}: line {rows.line_num} has {len(row)} fields, but the header has {n_fields}."
            )


class _ColumnReader:
    """Gathers a column chunk by chunk, as numbers for as long as each value is one or missing.

    So a large file is never in memory as text; the few columns that turn into text late are read again.
    """

    def __init__(self, is_text: bool) -> None:
        self.turned_into_text = False
        self._is_text = is_text
        self._parts: list[np.ndarray] = []
        self._distinct: dict[str, str] = {}  # one object for all equal texts

    def add(self, values: Sequence[str]) -> None:
        if self.turned_into_text:
            return
        if not self._is_text:
            try:
                self._parts.append(_numbers(values))
                return
            except ValueError:
                self._is_text = True
                self.turned_into_text = bool(self._parts)
        texts = map(str.strip, values)
        self._parts.append(np.array([self._distinct.setdefault(text, text) for text in texts], object))

    def column(self) -> np.ndarray:
        return np.concatenate(self._parts) if self._parts else np.empty(0)


def _numbers(values: Sequence[str]) -> np.ndarray:
    try:
        return np.array([float(value) for value in values])
    except ValueError:
        return np.array([float("nan" if v.strip().lower() in MISSING else v) for v in values])


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _check_header(path: Path, header: list[str]) -> None:
    if not header:
        raise TableError(f"{path}: the first line is blank, but must be a header of column names.")
    for name in header:
        if not name:
            raise TableError(f"{path}: the header has a column without a name.")
        if header.count(name) > 1:
            raise TableError(f"{path}: the header names the column {name!r} more than once.")
    if all(_is_number(name) for name in header):
        raise TableError(f"{path}: the first line must be a header of column names, but it has only numbers.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays of one dimension are columns; one of two dimensions, X say, becomes X0, X1, ..."""
    import zipfile

    try:
        # opened here, because np.load leaves files open that are not archives
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ValueError("it is a single array, not an archive")
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise TableError(f"{path}: not an NPZ file of plain arrays: {error}.") from None
    columns: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.ndim not in (1, 2) or array.dtype.kind not in "biufU":
            raise TableError(
                f"{path}: array {name!r} has shape {array.shape} and dtype {array.dtype}; "
                "columns must be one- or two-dimensional arrays of numbers or text."
            )
        parts = {name: array} if array.ndim == 1 else {f"{name}{j}": part for j, part in enumerate(array.T)}
        for part_name, part in parts.items():
            columns[part_name] = part.astype(object if part.dtype.kind == "U" else float)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise TableError(f"{path}: arrays have different lengths: {lengths}.")
    return columns


def _read_parquet(path: Path) -> dict[str, np.ndarray]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise TableError(
            f"{path}: reading Parquet needs pyarrow; install numbabp with the extra 'stream'."
        ) from None
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise TableError(f"{path}: not a Parquet file: {error}") from None
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        kind = column.type
        types = pyarrow.types
        if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
            columns[name] = column.cast(pyarrow.float64()).to_numpy()
        else:
            columns[name] = np.array(["" if v is None else str(v) for v in column.to_pylist()], dtype=object)
    return columns


def _first_text(column: np.ndarray) -> tuple[int, str]:
    for row, value in enumerate(column, start=1):
        if value.strip().lower() not in MISSING and not _is_number(value):
            return row, str(value)
    return 1, str(column[0])


def _listed(names: list[str], most: int = 12) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
