"""Tables of pyarrow, and the files that it reads."""

import json
from typing import Any

import numpy as np

from ..columns import TableError, said

INSTALL = "install it with: pip install 'numbabp[tables]'"


def read_parquet(path: str, file: Any) -> dict[str, np.ndarray]:
    """Columns of a Parquet file, but for the index that pandas puts there."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise TableError(f"{path}: reading Parquet needs pyarrow; {INSTALL}") from None
    try:
        return arrays_of(parquet.read_table(file))
    except (TableError, MemoryError):
        raise
    except Exception as error:  # also UnicodeDecodeError of text that is none, when it is first looked at
        raise TableError(f"{path}: damaged, or not a Parquet file: {said(error)}.") from None


def arrays_of(table: Any) -> dict[str, np.ndarray]:
    """Arrays of a pyarrow.Table's columns by name, but for the index of a pandas.DataFrame."""
    index = _index_of(table.schema.metadata)
    found: dict[str, np.ndarray] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in index:
            continue
        if name in found:
            raise TableError(f"the table has the column {name!r} more than once.")
        found[name] = _array(column)
    return found


def _index_of(metadata: dict[bytes, bytes] | None) -> set[str]:
    """Names of the columns that are the index, as pandas notes them down."""
    try:
        described = json.loads((metadata or {}).get(b"pandas", b"{}"))
        return {name for name in described.get("index_columns", ()) if isinstance(name, str)}
    except (ValueError, AttributeError):
        return set()


def _array(column: Any) -> np.ndarray:
    """Numbers as numbers, NaN for null; whatever else as Python's objects, None for null."""
    import pyarrow

    types, kind = pyarrow.types, column.type
    if types.is_dictionary(kind):
        return _array(column.cast(kind.value_type))
    if types.is_decimal(kind) or types.is_integer(kind) or types.is_floating(kind):
        return column.cast(pyarrow.float64()).to_numpy()
    if types.is_boolean(kind) and column.null_count == 0:
        return column.to_numpy()
    if types.is_timestamp(kind) or types.is_date(kind):
        return column.cast(pyarrow.timestamp("us")).to_numpy()
    values = np.empty(len(column), object)
    values[:] = column.to_pylist()
    return values
