"""Arrow's tables, datasets, readers and files, and pandas' tables, as streams of batches."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..architecture import Architecture
from ..checks import host_samples as host
from .batches import Batch, Passed, all_finite_as

BATCH_BYTES, LEAST_ROWS = 1 << 22, 64
"""Of a record batch that is asked for: little enough that those read ahead take little memory."""
PAGES_BYTES = 1 << 16
"""Read at a time of each column of a Parquet file."""
ROWS_IN_CACHE = 512
"""Written column by column, so that the lines they share stay in the cache."""
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


class Columns(NamedTuple):
    """Which columns are what."""

    target: str | Sequence[str] | None = None
    features: Sequence[str] | None = None
    sample_weight: str | None = None

    @property
    def targets(self) -> list[str]:
        """Their names."""
        if self.target is None:
            return []
        return [self.target] if isinstance(self.target, str) else list(self.target)

    def named(self) -> list[str] | None:
        """All of them, to be read; None for all that there are."""
        if self.features is None:
            return None
        own = [*self.features, *self.targets, *([] if self.sample_weight is None else [self.sample_weight])]
        return list(dict.fromkeys(own))

    def check(self) -> None:
        """Raise unless these are names."""
        if self.target is None:
            for name in ("features", "sample_weight"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} names columns of tables, which needs target='column', too.")
        if isinstance(self.features, str):
            raise TypeError(f"features must be a list of columns, got the string {self.features!r}.")
        for name in (*self.targets, *(self.features or ()), self.sample_weight or ""):
            if not isinstance(name, str):
                raise TypeError(f"target, features and sample_weight must be names of columns, got {name!r}.")


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


class ArrowBatch:
    """A record batch, as a batch of samples.

    Parameters
    ----------
    architecture
        Of the network.
    table
        The record batch; its columns are found by their names.
    columns
        Which are what; features default to all that are nothing else.
    with_gaps
        Whether inputs may be missing, as NaN or null.
    """

    def __init__(
        self, architecture: Architecture, table: Any, columns: Columns, with_gaps: bool = False
    ) -> None:
        dtype, n = architecture.dtype, table.num_rows
        targets, features = columns.targets, columns.features
        own = [_numbers(table, name) for name in targets]
        if features is None:
            others = {*targets, columns.sample_weight}
            features = [name for name in table.schema.names if name not in others]
        if len(features) != architecture.n_inputs:
            raise ValueError(
                f"there are {len(features)} features ({_some(features)}), but the network has "
                f"{architecture.n_inputs} inputs; features=[...] says which columns are."
            )
        self._n = n
        self._inputs = [_numbers(table, name, with_gaps) for name in features]
        y = own[0] if len(own) == 1 else np.column_stack(own)
        self.targets = host.check_targets("y", y, n, architecture.n_outputs, architecture.loss, dtype)
        weights = None if columns.sample_weight is None else _numbers(table, columns.sample_weight)
        self.weights = host.check_sample_weight(weights, n, dtype, may_all_be_0=True)
        for name, values in zip(features, self._inputs, strict=True):
            if values.dtype.kind == "f":
                _check_finite(name, values, dtype, with_gaps)

    @property
    def n_inputs(self) -> int:
        """See `Batch`."""
        return len(self._inputs)

    def __len__(self) -> int:
        return self._n

    def write(self, out: np.ndarray, start: int) -> None:
        """See `Batch`."""
        for first in range(0, len(out), ROWS_IN_CACHE):
            rows = out[first : first + ROWS_IN_CACHE]
            of = slice(start + first, start + first + len(rows))
            for column, values in enumerate(self._inputs):
                rows[:, column] = values[of]


def _check_finite(name: str, values: np.ndarray, dtype: np.dtype, with_gaps: bool) -> None:
    if all_finite_as(values, dtype):
        return
    with np.errstate(over="ignore"):
        bad = np.flatnonzero(np.isinf(values.astype(dtype)) | (np.isnan(values) & (not with_gaps)))
    if len(bad):
        raise ValueError(
            f"column {name!r} must be finite, but is {values[bad[0]]} in row {bad[0]} of the batch "
            f"({len(bad)} such values; dtype {dtype})."
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")


def _numbers(table: Any, name: str, with_gaps: bool = False) -> np.ndarray:
    """A column as numbers, NaN for what is missing if it may be."""
    from pyarrow import types

    found = table.schema.get_all_field_indices(name)
    if len(found) != 1:
        if found:
            raise ValueError(f"there are {len(found)} columns {name!r}; one is needed.")
        raise ValueError(f"there is no column {name!r}; there are {_some(table.schema.names)}.")
    column = table.column(found[0])
    kind = column.type
    if not (
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    ):
        raise TypeError(
            f"column {name!r} holds {kind}, which are no numbers; leave it out with features=[...], or make "
            "numbers of it with convert=..."
        )
    if column.null_count and not with_gaps:
        row = column.is_null().to_pylist().index(True)
        raise ValueError(
            f"column {name!r} has no value in row {row} of the batch ({column.null_count} such rows); of "
            "features, missing='mean' or a number says what stands in."
        )
    if types.is_decimal(kind) or column.null_count:
        column = column.cast("float64")
    return column.to_numpy(zero_copy_only=False)


def arrow_batches(
    architecture: Architecture, given: Any, columns: Columns, with_gaps: bool
) -> Iterator[Batch]:
    """Checked batches of a batch that `is_table`; `given` is a batch of a stream, or the stream itself."""
    for table in record_batches(given, columns):
        if table.num_rows:
            yield ArrowBatch(architecture, table, columns, with_gaps)
