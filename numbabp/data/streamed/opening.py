"""Sources of rows: what kind of file or folder a path names, and the reader that streams it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from ..columns import TableError
from ..files.reading import Reading
from ..table_files import TEXT, kind_of
from ..tables import Table, listed
from .flow import Flow

KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt"), TEXT),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".feather", ".arrow"), "feather"),
}
"""Of files in a folder, by the ends of their names."""


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
    path = os.fspath(path)
    if os.path.isdir(path):
        return _of_folder(path, reading, n_look)
    flow = Flow.of_file(path)
    flow.look(1 << 16)
    if not flow.head:
        raise TableError(f"{flow.name}: the file is empty.")
    kind = kind_of(flow.source(), reading)
    if kind == TEXT:
        from .text import TextRows

        return TextRows(flow, reading, n_look)
    if kind not in KINDS.values():
        raise TableError(
            f"{flow.name}: files of this kind ({kind}) are not streamed, only CSV and its kin, Parquet and "
            "Feather; numbabp train takes it as a whole."
        )
    if not flow.comes_again:
        raise TableError(f"{flow.name}: {kind} files can't be read from a pipe; name the file.")
    from .arrow import ArrowRows

    return ArrowRows(path, [path], kind, None, reading, n_look)


def _of_folder(path: str, reading: Reading, n_look: int) -> Rows:
    """Of the files in a folder and those in it, by their paths in the order of the alphabet."""
    within = Path(path)
    files = sorted(
        file
        for file in within.rglob("*")
        if file.is_file() and not any(part[0] in "._" for part in file.relative_to(within).parts)
    )
    names = {file: file.with_suffix("") if file.suffix.lower() == ".gz" else file for file in files}
    suffixes = {name.suffix.lower() for name in names.values()}
    kinds = {KINDS.get(suffix) for suffix in suffixes}
    if len(kinds) != 1 or None in kinds:
        there_are = f"has files that end in {listed(sorted(suffixes))}" if files else "has no files"
        raise TableError(
            f"{path}: is a folder that {there_are}; those that are streamed must be all of one kind: "
            f"{', '.join(KINDS)}."
        )
    kind = kinds.pop()
    paths = [os.fspath(file) for file in files]
    if kind == TEXT:
        from .text import TextRows

        flow = Flow.of_files(path, paths, reading.has_header is not False)
        if suffixes <= {".tsv", ".tab"} and reading.separator is None:
            reading = replace(reading, separator="\t")
        return TextRows(flow, reading, n_look)
    from .arrow import ArrowRows

    assert kind is not None
    return ArrowRows(path, paths, kind, path, reading, n_look)
