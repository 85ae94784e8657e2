"""Tables of pyarrow, and the files that it reads."""

import json
import math
import re
from contextlib import suppress
from typing import Any

import numpy as np

from ..columns import TableError, said

_UNNAMED = re.compile(r"__index_level_\d+__")
INSTALL = "install it with: pip install 'numbabp[tables]'"


def read_arrow(path: str, file: Any, kind: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Columns of a Parquet or a Feather file but for the index of pandas, and what to say of that."""
    name = kind.capitalize()
    try:
        from pyarrow import feather, parquet
    except ImportError:
        raise TableError(f"{path}: reading {name} needs pyarrow; {INSTALL}") from None
    try:
        # which can be read even if two columns have the same name
        if kind == "parquet":
            table = parquet.ParquetFile(file).read()
        else:
            table = feather.read_table(file)
            table.validate(full=True)  # its arrays are the file's bytes, and may claim any length
        named = sorted(name for name in _index_of(table.schema.metadata) if not _UNNAMED.fullmatch(name))
        return arrays_of(table), [f"left out: {name!r} is the index of a pandas.DataFrame" for name in named]
    except MemoryError:
        raise
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    except Exception as error:  # also UnicodeDecodeError of text that is none, when it is first looked at
        raise TableError(f"{path}: damaged, or not a {name} file: {said(error)}.") from None


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


def floats_of(column: Any) -> np.ndarray:
    """An array or chunks of float64, NaN for null; `to_numpy` imports pandas, which takes 40 MB."""
    from pyarrow import compute

    chunks = column.chunks if hasattr(column, "chunks") else [column]
    filled = [compute.fill_null(chunk, math.nan) if chunk.null_count else chunk for chunk in chunks]
    arrays = [np.from_dlpack(chunk) for chunk in filled if len(chunk)]
    return arrays[0] if len(arrays) == 1 else np.concatenate([np.empty(0), *arrays])


def _array(column: Any) -> np.ndarray:
    """Numbers as numbers, NaN for null; whatever else as Python's objects, None for null."""
    import pyarrow

    types, kind = pyarrow.types, column.type
    if types.is_dictionary(kind):
        return _array(column.cast(kind.value_type))
    if types.is_decimal(kind) or types.is_integer(kind) or types.is_floating(kind):
        return floats_of(column.cast(pyarrow.float64(), safe=False))  # large whole numbers are rounded
    if types.is_boolean(kind) and column.null_count == 0:
        return column.to_numpy()
    if types.is_timestamp(kind) or types.is_date(kind):
        return column.cast(pyarrow.timestamp("us")).to_numpy()
    if types.is_duration(kind):
        return column.to_numpy()
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        text = column.cast(pyarrow.large_binary())
        with suppress(pyarrow.ArrowInvalid):  # bytes that are no text are told as such
            column = text.cast(pyarrow.large_string())
    values = np.empty(len(column), object)
    values[:] = column.to_pylist()
    return values
