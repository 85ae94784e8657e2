"""Tables in files: CSV, NPZ and Parquet into columns, and rows into CSV."""

import csv
import io
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic_files import write_atomically
from .tables import MISSING, Table, TableError, is_number

ROWS_AT_A_TIME = 20_000
"""Rows of a CSV file that are in memory as text at any time."""


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
        raise TableError(f"{path}: {error.strerror or _said(error)}.") from None
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
            header = [name.strip() for name in next(rows, [])]
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
    if all(is_number(name) for name in header):
        raise TableError(f"{path}: the first line must be a header of column names, but it has only numbers.")


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """Columns of the arrays of an archive."""
    try:
        # opened here, because np.load leaves files open that are not archives
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ValueError("it is a single array, not an archive")
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, MemoryError):
        raise
    except (
        Exception
    ) as error:  # a damaged file may raise anything: zlib.error, NotImplementedError, SyntaxError
        raise TableError(f"{path}: damaged, or not an NPZ file of plain arrays: {_said(error)}.") from None
    columns: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        columns.update(_columns_of(path, name, array))
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise TableError(f"{path}: arrays have different lengths: {lengths}.")
    return columns


def _columns_of(path: Path, name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """An array of one dimension as a column, or one of two, X say, as X0, X1, ..."""
    if array.ndim not in (1, 2) or array.dtype.kind not in "biufU":
        raise TableError(
            f"{path}: array {name!r} has shape {array.shape} and dtype {array.dtype}; "
            "columns must be one- or two-dimensional arrays of numbers or text."
        )
    parts = {name: array} if array.ndim == 1 else {f"{name}{j}": part for j, part in enumerate(array.T)}
    dtype = object if array.dtype.kind == "U" else float
    return {name: part.astype(dtype) for name, part in parts.items()}


def _read_parquet(path: Path) -> dict[str, np.ndarray]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise TableError(
            f"{path}: reading Parquet needs pyarrow; install numbabp with the extra 'stream'."
        ) from None
    try:
        table = parquet.read_table(path)
        return {name: _parquet_column(table.column(name)) for name in table.column_names}
    except (OSError, MemoryError):
        raise
    except Exception as error:  # also UnicodeDecodeError of text that is none, when it is first looked at
        raise TableError(f"{path}: damaged, or not a Parquet file: {_said(error)}.") from None


def _parquet_column(column: Any) -> np.ndarray:
    import pyarrow

    kind, types = column.type, pyarrow.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return column.cast(pyarrow.float64()).to_numpy()
    return np.array(["" if v is None else str(v) for v in column.to_pylist()], dtype=object)


def _said(error: Exception) -> str:
    """What a library says of a file, in one line."""
    return " ".join(str(error).split()).removesuffix(".") or type(error).__name__
