"""Tables: named columns of numbers or texts, read from CSV, NPZ and Parquet files."""

import csv
import itertools
import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .datasets import Dataset

MISSING = frozenset({"", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"})
"""Cells of a CSV file that count as missing, white space around them aside."""

ROWS_AT_A_TIME = 20_000
"""Rows of a CSV file that are in memory as text at any time."""


@dataclass(frozen=True)
class TextColumn:
    """Texts as indices into the distinct ones.

    Attributes
    ----------
    codes : ndarray of shape (n,), int64
        -1 where the text is missing.
    texts : tuple of str
        The distinct texts, in the order of their first appearance.
    """

    codes: np.ndarray
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: np.ndarray) -> "TextColumn":
        return TextColumn(self.codes[rows], self.texts)

    @property
    def is_missing(self) -> np.ndarray:
        """Mask of shape (n,)."""
        return self.codes < 0


Column = np.ndarray | TextColumn
"""Numbers, float64 of shape (n,) with NaN where one is missing; or texts."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Attributes
    ----------
    source : str
        Where it comes from, for messages.
    columns : dict
        Columns by name.
    targets : tuple of str
        Columns to predict, where the source knows.
    """

    source: str
    columns: dict[str, Column]
    targets: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows, at least one."""
        return len(next(iter(self.columns.values())))

    def take(self, rows: np.ndarray) -> "Table":
        """The table of some rows: a mask or indices."""
        return Table(self.source, {name: c[rows] for name, c in self.columns.items()}, self.targets)

    def column(self, name: str) -> Column:
        """A column by name.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if name not in self.columns:
            names = [*self.columns]
            shown = ", ".join(map(repr, names[:12])) + (", ..." if len(names) > 12 else "")
            raise ValueError(f"{self.source} has no column {name!r}; it has {shown}.")
        return self.columns[name]


def is_missing(column: Column) -> np.ndarray:
    """Where a column has no value: mask of shape (n,)."""
    return column.is_missing if isinstance(column, TextColumn) else np.isnan(column)


def table_of_dataset(dataset: Dataset) -> Table:
    """A data set as a table, with classes by name in a column "target"."""
    columns: dict[str, Column] = dict(zip(dataset.feature_names, dataset.X.T, strict=True))
    targets = dataset.target_names
    if dataset.task == "classification":
        columns["target"] = TextColumn(dataset.y, targets)
        targets = ("target",)
    else:
        columns.update(zip(targets, dataset.y.reshape(len(dataset.y), -1).T, strict=True))
    return Table(dataset.name, columns, targets)


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a file into columns.

    Parameters
    ----------
    path : str or path-like
        ``.csv``, ``.tsv`` or ``.txt``: UTF-8 text with a header line; the delimiter is whichever of comma, semicolon, tab
        and ``|`` the header has most of. A column whose every cell is a number, or missing (see `MISSING`), is one of
        numbers, any other one of texts.
        ``.npz``: arrays of equal length; one of two or more dimensions is spread over columns ``X_0``, ``X_1``, ...
        (or the names in an array ``feature_names``), and ``y`` is the target.
        ``.parquet``: numbers, booleans and texts; needs pyarrow.

    Returns
    -------
    Table
        With at least one row.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it can't be read as a table; the message says why and where.
    ImportError
        For a Parquet file without pyarrow.
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], Table]] = {
        ".csv": _read_csv,
        ".tsv": _read_csv,
        ".txt": _read_csv,
        ".npz": _read_npz,
        ".parquet": _read_parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path}: unknown kind of file {path.suffix!r}; known: {', '.join(readers)}.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty.")
    table = reader(path)
    if not table.columns:
        raise ValueError(f"{path} has no columns.")
    if table.n_rows == 0:
        raise ValueError(f"{path} has a header, but no rows.")
    return table


class _ColumnReader:
    """Collects the cells of one CSV column, as numbers for as long as all of them are."""

    def __init__(self, texts: bool) -> None:
        self.codes: dict[str, int] | None = {} if texts else None
        self.parts: list[np.ndarray] = []
        self.was_misread = False

    def add(self, cells: Sequence[str]) -> None:
        if self.was_misread:
            return
        if self.codes is None:
            try:
                self.parts.append(_parse_numbers(cells))
                return
            except ValueError:
                self.was_misread = bool(self.parts)  # the texts of earlier rows are gone: read again
                self.codes = {}
        codes = self.codes
        stripped = [cell.strip() for cell in cells]
        self.parts.append(
            np.array([-1 if s in MISSING else codes.setdefault(s, len(codes)) for s in stripped], np.int64)
        )

    def column(self) -> Column:
        values = np.concatenate(self.parts) if self.parts else np.empty(0)
        return values if self.codes is None else TextColumn(values.astype(np.int64), tuple(self.codes))


def _parse_numbers(cells: Sequence[str]) -> np.ndarray:
    try:
        return np.array(list(map(float, cells)))
    except ValueError:
        return np.array([float("nan" if cell.strip() in MISSING else cell) for cell in cells])


def _read_csv(path: Path) -> Table:
    texts: set[int] = set()
    try:
        while True:
            names, readers = _read_csv_once(path, texts)
            misread = {i for i, reader in enumerate(readers) if reader.was_misread}
            if not misread:
                break
            texts |= misread
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from None
    return Table(str(path), {name: reader.column() for name, reader in zip(names, readers, strict=True)})


def _read_csv_once(path: Path, texts: set[int]) -> tuple[list[str], list[_ColumnReader]]:
    """Read the file with these columns as texts, the others as numbers while that works."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        first_line = file.readline()
        file.seek(0)
        delimiter = max(",;\t|", key=first_line.count)
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            names = [name.strip() for name in next(rows, [])]
            if not names:
                raise ValueError(f"{path}: the first line is blank; it must name the columns.")
            names = [name or f"column_{i}" for i, name in enumerate(names, 1)]
            _check_unique(path, names)
            readers = [_ColumnReader(i in texts) for i in range(len(names))]

            def checked_rows() -> Iterable[list[str]]:
                for row in rows:
                    if len(row) == len(names):
                        yield row
                    elif row:  # blank lines are passed over
                        raise ValueError(
                            f"{path}: line {rows.line_num} has {len(row)} fields, but the header has {len(names)}."
                        )

            remaining = iter(checked_rows())
            while chunk := list(itertools.islice(remaining, ROWS_AT_A_TIME)):
                for reader, cells in zip(readers, zip(*chunk, strict=True), strict=True):
                    reader.add(cells)
        except csv.Error as error:
            raise ValueError(f"{path}: line {rows.line_num}: {error}.") from None
    return names, readers


def _read_npz(path: Path) -> Table:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, EOFError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} can't be read as NPZ: {error}.") from None
    feature_names = arrays.pop("feature_names", None)
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    if len({array.shape[:1] for array in arrays.values()}) > 1 or any(a.ndim == 0 for a in arrays.values()):
        raise ValueError(f"{path}: its arrays must have the same length, but are {shapes}.")
    columns: dict[str, Column] = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "biufUS":
            raise ValueError(f"{path}: array {name!r} has dtype {array.dtype}; numbers or texts are needed.")
        if array.ndim == 1:
            columns[name] = _array_column(array)
            continue
        array = array.reshape(len(array), -1)
        names = [f"{name}_{i}" for i in range(array.shape[1])]
        if feature_names is not None and feature_names.shape == array.shape[1:]:
            names = [str(feature) for feature in feature_names]
            _check_unique(path, names)
        columns.update((n, _array_column(a)) for n, a in zip(names, array.T, strict=True))
    return Table(str(path), columns, ("y",) if "y" in columns else ())


def _array_column(array: np.ndarray) -> Column:
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    texts, codes = np.unique(array, return_inverse=True)
    return TextColumn(codes.astype(np.int64), tuple(texts.tolist()))


def _read_parquet(path: Path) -> Table:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError(
            f"{path}: reading Parquet files needs pyarrow; install it, or numbabp with the extra 'stream'."
        ) from None
    try:
        arrow = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} can't be read as Parquet: {error}") from None
    _check_unique(path, arrow.column_names)
    columns: dict[str, Column] = {}
    for name, column in zip(arrow.column_names, arrow.columns, strict=True):
        if name.startswith("__index_level_"):  # the row labels of a data frame
            continue
        kind = column.type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if pa.types.is_dictionary(kind):
            is_text = True
            column = column.cast(pa.string())
        if is_text:
            encoded = column.combine_chunks().dictionary_encode()
            codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            columns[name] = TextColumn(codes.astype(np.int64), tuple(encoded.dictionary.to_pylist()))
        elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
            columns[name] = column.cast(pa.float64()).to_numpy()
        else:
            raise ValueError(f"{path}: column {name!r} holds {kind}; numbers or texts are needed.")
    return Table(str(path), columns)


def _check_unique(path: Path, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{path} has two columns named {name!r}.")
        seen.add(name)
