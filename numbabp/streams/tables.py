"""Columns of record batches as samples."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..architecture import Architecture
from ..checks import host_samples as host
from .batches import all_finite_as, plain_targets

BYTES_IN_CACHE = 1 << 19
"""Of inputs, written column by column: the lines that columns share stay in the second cache meanwhile."""


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


class Layout(NamedTuple):
    """Where in a record batch its columns stand."""

    features: list[int]
    targets: list[int]
    weights: int | None


class Tables:
    """Makes batches of samples of record batches, whose columns are looked up once for all of one schema.

    Parameters
    ----------
    architecture
        Of the network.
    columns
        Which are what; features default to all that are nothing else.
    with_gaps
        Whether inputs may be missing, as NaN or null.
    """

    def __init__(self, architecture: Architecture, columns: Columns, with_gaps: bool = False) -> None:
        self._architecture, self._columns, self._with_gaps = architecture, columns, with_gaps
        self._schema: Any = None
        self._layout = Layout([], [], None)

    def batch(self, table: Any) -> "TableBatch":
        """Of a record batch.

        Raises
        ------
        ValueError, TypeError
            For a column that is missing, or holds what is not allowed, naming it and the row.
        """
        if self._schema is None or not self._schema.equals(table.schema):
            self._layout = self._found(table.schema)
            self._schema = table.schema
        of, layout, n = self._architecture, self._layout, table.num_rows
        inputs = [_numbers(table, column, self._with_gaps) for column in layout.features]
        with np.errstate(all="ignore"):
            total = sum(values.sum(dtype=of.dtype) for values in inputs if values.dtype.kind == "f")
        if not np.isfinite(total):
            for column, values in zip(layout.features, inputs, strict=True):
                _check_finite(table.schema.names[column], values, of.dtype, self._with_gaps)
        own = [_numbers(table, column) for column in layout.targets]
        y = own[0] if len(own) == 1 else np.column_stack(own)
        targets = plain_targets(of, y, n)
        if targets is None:
            targets = host.check_targets("y", y, n, of.n_outputs, of.loss, of.dtype)
        weights = None if layout.weights is None else _numbers(table, layout.weights)
        checked = host.check_sample_weight(weights, n, of.dtype, may_all_be_0=True)
        return TableBatch(inputs, targets, checked)

    def _found(self, schema: Any) -> Layout:
        """Where the columns of a schema are."""
        columns, n_inputs = self._columns, self._architecture.n_inputs
        targets = [_column(schema, name) for name in columns.targets]
        weights = None if columns.sample_weight is None else _column(schema, columns.sample_weight)
        names = columns.features
        if names is None:
            others = {*columns.targets, columns.sample_weight}
            names = [name for name in schema.names if name not in others]
        if len(names) != n_inputs:
            raise ValueError(
                f"there are {len(names)} features ({_some(names)}), but the network has {n_inputs} inputs; "
                "features=[...] says which columns are."
            )
        return Layout([_column(schema, name) for name in names], targets, weights)


class TableBatch:
    """A batch of columns: inputs of shape (n,) each; see `Batch`."""

    def __init__(self, inputs: list[np.ndarray], targets: np.ndarray, weights: np.ndarray) -> None:
        self._inputs, self.targets, self.weights = inputs, targets, weights

    @property
    def n_inputs(self) -> int:
        """See `Batch`."""
        return len(self._inputs)

    def __len__(self) -> int:
        return len(self.targets)

    def write(self, out: np.ndarray, start: int) -> None:
        """See `Batch`."""
        step = max(64, BYTES_IN_CACHE // out.strides[0])
        for first in range(0, len(out), step):
            rows = out[first : first + step]
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


def _column(schema: Any, name: str) -> int:
    """Where the column of a name stands, which must hold numbers."""
    from pyarrow import types

    found = schema.get_all_field_indices(name)
    if len(found) > 1:
        raise ValueError(f"there are {len(found)} columns {name!r}; one is needed.")
    if not found:
        raise ValueError(f"there is no column {name!r}; there are {_some(schema.names)}.")
    kind = schema.field(found[0]).type
    of_numbers = types.is_integer, types.is_floating, types.is_boolean, types.is_decimal
    if not any(is_such(kind) for is_such in of_numbers):
        raise TypeError(
            f"column {name!r} holds {kind}, which are no numbers; leave it out with features=[...], or make "
            "numbers of it with convert=..."
        )
    return found[0]


def _numbers(table: Any, index: int, with_gaps: bool = False) -> np.ndarray:
    """A column as numbers, NaN for what is missing if it may be."""
    column = table.column(index)
    if column.null_count and not with_gaps:
        row = column.is_null().to_pylist().index(True)
        raise ValueError(
            f"column {table.schema.names[index]!r} has no value in row {row} of the batch "
            f"({column.null_count} such rows); of features, missing='mean' or a number says what stands in."
        )
    values = column.cast("float64") if column.null_count else column
    found = values.to_numpy(zero_copy_only=False)
    return found if found.dtype != object else column.cast("float64").to_numpy(zero_copy_only=False)
