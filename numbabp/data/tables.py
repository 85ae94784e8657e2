"""Tables: named columns of equal length, from files, from other libraries' tables, and from arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .columns import Column, TableError, column_of_array


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name.

    Attributes
    ----------
    path : str
        What messages call it.
    columns : dict of str to Column
    targets : tuple of str
        Columns that the kind of file sets apart to be predicted.
    notes : tuple of str
        What there is to say of how it was read.
    absent : float, optional
        The value of columns that are not there: 0 of files that leave zeros out.
    first_row : int
        What messages call the first row: of a part of a longer table its number there.
    """

    path: str
    columns: Mapping[str, Column]
    targets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    absent: float | None = None
    first_row: int = 1

    @property
    def n_rows(self) -> int:
        """Rows."""
        return len(next(iter(self.columns.values())))

    def column(self, name: str) -> Column:
        """One column.

        Raises
        ------
        TableError
            If there is none of that name.
        """
        if name in self.columns:
            return self.columns[name]
        if self.absent is not None and name not in self.targets:
            return Column(name, "number", np.full(self.n_rows, self.absent))
        raise TableError(f"{self.path}: there is no column {name!r}; there are: {listed(self.columns)}.")

    def rows(self, rows: np.ndarray) -> "Table":
        """Some of the rows."""
        return replace(self, columns={name: column.rows(rows) for name, column in self.columns.items()})

    def with_values_of(self, names: Sequence[str]) -> "Table":
        """Without the rows that miss a value in one of these columns, which it notes; all if all do."""
        has_all = np.ones(self.n_rows, bool)
        for name in names:
            has_all &= ~self.column(name).is_missing
        n_without = self.n_rows - int(has_all.sum())
        if n_without in (0, self.n_rows):
            return self
        note = f"left out: rows without a value of {listed(names, 3)}: {n_without}"
        return replace(self.rows(np.flatnonzero(has_all)), notes=(*self.notes, note))


def table_of(
    data: Any, names: Sequence[str] = (), texts: Iterable[str] = (), missing: Iterable[str] = ()
) -> Table:
    """A table of whatever holds columns, or of an array.

    Parameters
    ----------
    data : Table, pandas.DataFrame, pyarrow.Table, mapping of columns, or array-like of shape (n, n_columns)
        Other libraries' tables that have a method `to_arrow` are taken, too.
    names : sequence of str
        The columns of an array that has no names, in their order.
    texts : iterable of str
        Columns to take as texts, whatever they look like.
    missing : iterable of str
        Texts, and numbers as texts, that stand for no value besides those that always do.

    Raises
    ------
    TableError
        If it is not one of these, or has no rows or columns.
    """
    if isinstance(data, Table):
        return data
    columns = _columns(data, names)
    if not columns:
        raise TableError("the table has no columns.")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name!r} {n}" for name, n in list(lengths.items())[:6])
        raise TableError(f"columns have different lengths: {shown}.")
    if not next(iter(lengths.values())):
        raise TableError("the table has no rows.")
    wanted, missing = set(texts), tuple(missing)
    read = {name: column_of_array(name, values, missing, name in wanted) for name, values in columns.items()}
    return Table("the table", read)


def is_data_frame(data: Any) -> bool:
    """Whether it is pandas' kind of table."""
    return hasattr(data, "columns") and hasattr(data, "iloc")


def listed(names: Iterable[Any], most: int = 12) -> str:
    """Names for a message, not too many."""
    shown = [repr(name) for name in names]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def _columns(data: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays by name."""
    if isinstance(data, Mapping):
        return {str(name): _array(str(name), values) for name, values in data.items()}
    if hasattr(data, "column_names") and hasattr(data, "schema"):
        from .files.arrow import arrays_of

        return arrays_of(data)
    if is_data_frame(data):
        return _unique((str(name), _of_series(data.iloc[:, j])) for j, name in enumerate(data.columns))
    if hasattr(data, "to_arrow"):
        return _columns(data.to_arrow(), names)
    return _of_matrix(data, names)


def _unique(columns: Iterable[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, values in columns:
        if name in found:
            raise TableError(f"the table has the column {name!r} more than once.")
        found[name] = values
    return found


def _of_series(series: Any) -> np.ndarray:
    """An array of a column of pandas: of numbers or dates where it has them, else of objects."""
    kind = getattr(series.dtype, "kind", "O")
    if isinstance(series.dtype, np.dtype):
        return series.to_numpy()
    if kind == "M":  # with a time zone
        return series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
    if kind in "iuf":  # with pandas' own kind of missing values
        return series.to_numpy(dtype=float, na_value=np.nan)
    return series.astype(object).to_numpy()


def _array(name: str, values: Any) -> np.ndarray:
    """A column of one dimension; a list of texts, or of numbers and others, as objects."""
    if hasattr(values, "iloc"):
        return _of_series(values)
    if not isinstance(values, np.ndarray):
        values = list(values)
        as_is = np.array(values) if all(isinstance(value, int | float) for value in values) else None
        if as_is is None or as_is.dtype.kind not in "biuf":
            as_is = np.empty(len(values), object)
            as_is[:] = values
        values = as_is
    if values.ndim != 1:
        raise TableError(f"column {name!r} has shape {values.shape}, but must have one dimension.")
    return values


def _of_matrix(data: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of an array, by the names in their order; of one with fields by their names."""
    array = np.asarray(data)
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim != 2 or array.shape[1] != len(names):
        raise TableError(
            f"an array must have shape (n, {len(names)}), a column for each of {listed(names)}, "
            f"got {array.shape}."
        )
    return dict(zip(names, array.T, strict=True))
