"""Arrow's tables, datasets, readers and files, and pandas' tables, as streams of record batches."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .batches import Passed
from .tables import Columns

BATCH_BYTES, LEAST_ROWS = 1 << 22, 64
"""Of a record batch that is asked for: little enough that those read ahead take little memory."""
PAGES_BYTES = 1 << 16
"""Read at a time of each column of a Parquet file."""
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".feather": "feather",
    ".arrow": "ipc",
    ".orc": "orc",
}
"""Of files, by the ends of their names."""
INSTALL = "install it, or numbabp with the extra 'stream'"


def is_table(given: Any) -> bool:
    """Whether it is something with named columns, or brings such."""
    return (
        hasattr(given, "__arrow_c_stream__")
        or hasattr(given, "__arrow_c_array__")
        or _is_arrow(given, "Dataset", "Scanner", "RecordBatchReader", "Table", "RecordBatch")
        or _is_pandas(given)
    )


def _is_arrow(given: Any, *names: str) -> bool:
    return any(
        of.__module__.partition(".")[0] == "pyarrow" and of.__name__ in names for of in type(given).__mro__
    )


def _is_pandas(given: Any) -> bool:
    return any(
        of.__module__.startswith("pandas.") and of.__name__ == "DataFrame" for of in type(given).__mro__
    )


def record_batches(given: Any, columns: Columns, first: int = 0) -> Iterator[Any]:
    """Record batches of a path, a dataset, or of anything that `is_table`.

    Some that end before the row before `first` may be `Passed` over.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError:
        raise ImportError(f"streams of tables and files need pyarrow: {INSTALL}.") from None

    if isinstance(given, str | os.PathLike):
        given = dataset_of(given)
    if _is_arrow(given, "Dataset"):
        yield from batches_of_dataset(given, columns.named(), first)
    elif _is_arrow(given, "Scanner"):
        yield from given.to_batches()
    elif _is_arrow(given, "RecordBatchReader"):
        yield from given
    elif _is_arrow(given, "RecordBatch"):
        yield given
    elif _is_pandas(given):
        yield from pyarrow.Table.from_pandas(given, preserve_index=False).to_batches()
    elif _is_arrow(given, "Table"):
        yield from given.to_batches()
    elif hasattr(given, "__arrow_c_stream__"):
        yield from pyarrow.RecordBatchReader.from_stream(given)
    else:
        yield pyarrow.record_batch(given)


def batches_of_dataset(dataset: Any, names: list[str] | None, first: int) -> Iterator[Any]:
    """Record batches of a dataset's columns of these names, by default all, in order.

    Groups of rows of Parquet files that end before the row before `first` are `Passed` over.
    The scanner of datasets reads whole groups of rows of a Parquet file, some ahead: 900 MB for groups of a
    million rows of 28 numbers. So such files are read by pages, which took 140 MB and less of a processor.
    """
    columns = dataset.schema.names if names is None else names
    scan = {
        "columns": columns,
        "batch_size": _rows_at_once(len(columns)),
        "batch_readahead": 2,
        "fragment_readahead": 1,
    }
    try:
        fragments = list(dataset.get_fragments())
    except ValueError:  # it is filtered
        yield from dataset.to_batches(**scan)
        return
    n_rows = 0
    for fragment in fragments:
        is_parquet = _is_arrow(fragment, "ParquetFileFragment")
        if is_parquet and set(columns) <= set(fragment.physical_schema.names):
            batches = _batches_by_pages(fragment, columns, first - n_rows)
        else:
            batches = fragment.to_batches(schema=dataset.schema, **scan)
        for batch in batches:
            n_rows += len(batch)
            yield batch


def _batches_by_pages(fragment: Any, columns: list[str], first: int) -> Iterator[Any]:
    from pyarrow import parquet

    groups, n_rows = list(fragment.row_groups), 0
    while groups and n_rows + groups[0].num_rows < first:
        n_rows += groups.pop(0).num_rows
    if n_rows:
        yield Passed(n_rows)
    if not groups:
        return
    with (
        fragment.open() as opened,
        parquet.ParquetFile(opened, pre_buffer=False, buffer_size=PAGES_BYTES) as file,
    ):
        ids = [group.id for group in groups]
        yield from file.iter_batches(_rows_at_once(len(columns)), row_groups=ids, columns=columns)


def _rows_at_once(n_columns: int) -> int:
    return max(LEAST_ROWS, BATCH_BYTES // (8 * max(1, n_columns)))


def dataset_of(path: str | os.PathLike[str]) -> Any:
    """A dataset of a file, or of all files of a folder, whose names tell what they are.

    Raises
    ------
    ValueError
        If they do not, or there is none.
    """
    from pyarrow import dataset

    found = Path(path)
    if not found.exists():
        raise FileNotFoundError(f"{path}: no such file or folder.")
    files = [found]
    if found.is_dir():
        files = sorted(file for file in found.rglob("*") if file.is_file() and file.name[0] not in "._")
    kinds = {FORMATS.get(file.suffix.lower()) for file in files}
    if len(kinds) != 1 or None in kinds:
        raise ValueError(
            f"{path}: files of one kind are needed, by the ends of their names {', '.join(FORMATS)}; "
            "pyarrow.dataset.dataset(path, format=...) takes others."
        )
    return dataset.dataset([os.fspath(file) for file in files], format=kinds.pop())
