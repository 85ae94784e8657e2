"""Streams as users give them: what of them is a batch, and which one it was that is not allowed."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

from ..architecture import Architecture
from . import arrow
from .arrow import Columns
from .batches import Batch, Convert, array_batch, scaled


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
    ) -> None:
        self._architecture, self._columns, self._convert = architecture, columns, convert
        self._scaler, self._with_gaps = scaler, with_gaps
        columns.check()
        if scaler is not None and not callable(getattr(scaler, "transform", None)):
            raise TypeError(
                f"scaler must be an object with transform, and perhaps partial_fit, got {scaler!r}; "
                "standardize=True needs none."
            )
        is_path = isinstance(given, str | os.PathLike)
        if convert is not None and not callable(convert):
            raise TypeError(f"convert must be callable, got {convert!r}.")
        if (is_path or arrow.is_table(given)) and not columns.targets and convert is None:
            raise ValueError("of a table, target='column' has to say what is to be learnt.")
        self._given = arrow.as_iterable(given, columns)
        if not isinstance(self._given, Iterable):
            raise TypeError(
                "batches must be an iterable of (X, y) or (X, y, sample_weight), a table, dataset or reader "
                f"of pyarrow, or a path, got {given!r}."
            )

    def batches(self) -> Iterator[Batch]:
        """Checked batches.

        Raises
        ------
        ValueError, TypeError
            For one that is not allowed, naming its number, from 0, and its first row's in the stream.
        """
        n_rows = 0
        for number, given in enumerate(self._given):
            try:
                found = [scaled(batch, self._scaler) for batch in self._checked(given)]
            except (ValueError, TypeError) as error:
                where = f"batch {number} (from row {n_rows} of the stream on)"
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"{where}: {error}") from error
            for batch in found:
                n_rows += len(batch)
                yield batch

    def _checked(self, given: Any) -> Iterable[Batch]:
        if self._convert is not None:
            given = self._convert(given)
        elif self._columns.targets and arrow.is_table(given):
            return arrow.arrow_batches(self._architecture, given, self._columns, self._with_gaps)
        batch = array_batch(self._architecture, given, self._with_gaps)
        return [] if batch is None else [batch]
