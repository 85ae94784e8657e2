"""Streams as users give them: what of them is a batch, and which one it was that is not allowed."""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Any

from ..architecture import Architecture
from ..devices.memory import Device
from . import arrow
from .batches import Batch, Convert, Passed, Rest, array_batch, scaled
from .place import Place
from .tables import Columns, Tables


class Source:
    """A stream, which gives checked batches once.

    Parameters
    ----------
    architecture
        Of the network.
    given
        An iterable of batches; a table, dataset or reader, or a path of files with such.
    columns
        Which columns of tables are what.
    convert
        Makes (X, y) or (X, y, sample_weight) of a batch.
    scaler
        Transforms inputs, after it has seen them.
    with_gaps
        Whether inputs may be missing, as NaN or null.
    gpu
        Where the network is trained, and batches may lie; None for the CPU.

    Raises
    ------
    ValueError, TypeError
        For what is no stream, or lacks a target.
    """

    def __init__(
        self,
        architecture: Architecture,
        given: Any,
        columns: Columns,
        convert: Convert | None = None,
        scaler: Any = None,
        with_gaps: bool = False,
        gpu: Device | None = None,
    ) -> None:
        self._gpu = gpu
        self._architecture, self._columns, self._convert = architecture, columns, convert
        self._scaler, self._with_gaps = scaler, with_gaps
        self._tables = Tables(architecture, columns, with_gaps)
        columns.check()
        if scaler is not None and not callable(getattr(scaler, "transform", None)):
            raise TypeError(
                f"scaler must be an object with transform, and perhaps partial_fit, got {scaler!r}; "
                "standardize=True needs none."
            )
        is_table = isinstance(given, str | os.PathLike) or arrow.is_table(given)
        if convert is not None and not callable(convert):
            raise TypeError(f"convert must be callable, got {convert!r}.")
        if is_table and not columns.targets and convert is None:
            raise ValueError("of a table, target='column' has to say what is to be learnt.")
        self._given = given
        if not is_table and not isinstance(given, Iterable):
            raise TypeError(
                "batches must be an iterable of (X, y) or (X, y, sample_weight), a table, dataset or reader "
                f"of pyarrow, or a path, got {given!r}."
            )

    def batches(self, place: Place | None = None) -> Iterator[Batch]:
        """Checked batches, of the rows behind a place.

        Raises
        ------
        ValueError, TypeError
            For one that is not allowed, naming its number, from 0, and its first row's in the stream.
        CheckpointError
            If the rows up to the place are not there, or others.
        """
        first = 0 if place is None else place.n_rows
        n_rows = 0
        with closing(self._all(first)) as found:
            for batch in found:
                start, n_rows = n_rows, n_rows + len(batch)
                if isinstance(batch, Passed) or n_rows < first:
                    continue
                if start >= first:
                    yield batch
                    continue
                assert place is not None
                place.check(batch, first - 1 - start)
                if n_rows > first:
                    yield Rest(batch, first - start)
        if place is not None:
            place.check_length(n_rows)

    def _all(self, first: int) -> Generator[Batch | Passed, None, None]:
        """All batches; those that end before the row before `first` need not be read."""
        if self._scaler is not None:  # it is shown again what it was shown
            first = 0
        stream = self._given
        if isinstance(stream, str | os.PathLike) or arrow.is_table(stream):
            stream = arrow.record_batches(stream, self._columns, first)
        iterator, n_rows = iter(stream), 0
        try:
            for number, given in enumerate(iterator):
                n = len(given) if isinstance(given, Passed) else self._rows_of(given)
                if n is not None and n_rows + n < first:
                    n_rows += n
                    yield Passed(n)
                    continue
                for batch in self._named(given, number, n_rows):
                    n_rows += len(batch)
                    yield batch
        finally:
            # what it has brought ahead is lost, so nobody can go on with it
            if isinstance(iterator, Generator):
                iterator.close()

    def _named(self, given: Any, number: int, n_rows: int) -> list[Batch]:
        """Checked batches; what is wrong with them is said with their place."""
        try:
            return [scaled(batch, self._scaler) for batch in self._checked(given)]
        except (ValueError, TypeError) as error:
            where = f"batch {number} (from row {n_rows} of the stream on)"
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{where}: {error}") from error

    def _rows_of(self, given: Any) -> int | None:
        """How many rows a batch has that need not be looked at to know."""
        if self._convert is not None:
            return None
        if isinstance(given, tuple | list) and len(given) in (2, 3):
            shape = getattr(given[0], "shape", None)
            return int(shape[0]) if shape else None
        return getattr(given, "num_rows", None)

    def _checked(self, given: Any) -> Iterable[Batch]:
        if self._convert is not None:
            given = self._convert(given)
        elif self._columns.targets and arrow.is_table(given):
            batches = arrow.record_batches(given, self._columns)
            return [self._tables.batch(table) for table in batches if table.num_rows]
        batch = array_batch(self._architecture, given, self._with_gaps, self._gpu)
        return [] if batch is None else [batch]
