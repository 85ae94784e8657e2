"""Sources of rows: what kind of file or folder a path names, and the reader that streams it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from ..columns import TableError
from ..files.reading import Reading
from ..table_files import TEXT, kind_of
from ..tables import Table
from .flow import Flow

STREAMED = "CSV and its kin, Parquet, Feather and folders of them are streamed"


class Rows(Protocol):
    """Rows that pass by, the first of which have been looked at."""

    look: Table
    """The first rows."""
    comes_again: bool
    """Whether `tables` can be called more than once."""

    def tables(self, names: Sequence[str], texts: Iterable[str]) -> Iterator[Table]:
        """All rows from the first one on, some at a time: columns of these names, some of them as texts."""
        ...


def open_rows(path: str | os.PathLike[str], reading: Reading, n_look: int) -> Rows:
    """Rows of a file, a folder of files, or with `-` of standard input.

    Parameters
    ----------
    path : str or path-like
    reading : Reading
        What is known of it.
    n_look : int
        Rows to look at before.

    Raises
    ------
    TableError
        If it can't be read, or is of a kind that can't be streamed.
    """
    flow = Flow(path)
    flow.look(1 << 16)
    if not flow.head:
        raise TableError(f"{flow.name}: the file is empty.")
    kind = kind_of(flow.source(), reading)
    if kind != TEXT:
        raise TableError(f"{flow.name}: {STREAMED}, but not {kind} files; numbabp train takes it as a whole.")
    from .text import TextRows

    return TextRows(flow, reading, n_look)
