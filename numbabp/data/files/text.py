"""Tables in text files: CSV and its kin."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..columns import MOSTLY, NUMBER, Column, TableError, none_of
from ..tables import Table
from .by_arrow import NotPlainError, chunks_of, is_for_arrow
from .chunks import Chunk, ColumnReader, TextChunk
from .layouts import Layout, find_separator, rows_of, without_comments
from .reading import Reading
from .sources import Source

ROWS_AT_A_TIME = 20_000
"""Rows that are in memory as text at any time, of a table with few columns."""
FIELDS_AT_A_TIME = 100_000
"""Of one with many: what is still in the processor's cache when a column is taken from it."""
LINES_LOOKED_AT = 50
CHARACTERS_LOOKED_AT = 1 << 19


def read_delimited(source: Source, reading: Reading) -> Table:
    """Read a text file whose first line names the columns."""
    encoding, notes = encoding_of(source)
    try:
        columns, found = _read(source, reading, encoding)
    except UnicodeDecodeError:
        encoding = "cp1252"
        notes = ["not UTF-8 text, so read as Windows-1252 (Latin-1)"]
        try:
            columns, found = _read(source, reading, encoding)
        except UnicodeDecodeError:
            columns, found = _read(source, reading, "latin-1")
    signs = {column.form for column in columns.values() if column.kind == NUMBER and column.form}
    if reading.decimal is None and len(signs) == 1:  # columns that leave it open follow those that show it
        columns, _ = _read(source, replace(reading, decimal=signs.pop()), encoding)
    commas = [name for name, column in columns.items() if column.form == ","]
    if commas:
        notes.append(f"decimal commas in {_shown(commas)}")
    thousands = [name for name, column in columns.items() if column.kind == NUMBER and column.form == "."]
    if thousands:
        notes.append(f"commas between thousands in {_shown(thousands)}")
    return Table(source.name, columns, (), (*notes, *found))


def _shown(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def encoding_of(source: Source) -> tuple[str, list[str]]:
    """By the byte-order mark, if there is one, or by the zeros in UTF-16 without."""
    head = source.head
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32", ["read as UTF-32"]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", ["read as UTF-16"]
    n_zeros = [half.count(0) for half in (head[::2], head[1::2])]
    if n_zeros[0] + n_zeros[1] == 0:
        return "utf-8-sig", []
    if min(n_zeros) == 0 and max(n_zeros) > MOSTLY * len(head) / 2:
        return ("utf-16-be" if n_zeros[0] else "utf-16-le"), ["read as UTF-16"]
    raise TableError(
        f"{source.name}: neither a table of text nor a file of a kind that is known; save it as CSV."
    )


def _read(source: Source, reading: Reading, encoding: str) -> tuple[dict[str, Column], list[str]]:
    """Columns, and what there is to say of them."""
    file = TextFile.of(source, reading, encoding)
    layout = file.layout
    texts = set(reading.texts)
    if reading.decimal == ",":  # a plain 1.234 may be a thousand then
        texts |= set(layout.names)
    by_arrow = file.has_plain_header and is_for_arrow(source, encoding, file.separator)
    while True:
        readers, by_arrow = _read_once(file, reading, texts, by_arrow)
        turned = {name for name, reader in readers.items() if reader.turned_into_text}
        if not turned:
            break
        texts |= turned
    columns, notes = {}, []
    for name, reader in readers.items():
        if name == layout.index and name not in reading.texts:
            notes.append(f"first column left out: {name!r} is an index")
        else:
            columns[name] = reader.column(name, reading)
    return columns, notes


def _first_lines(file: Iterator[str]) -> list[str]:
    """Some lines, fewer of a file whose lines are long."""
    lines: list[str] = []
    n_characters = 0
    for line in itertools.islice(file, LINES_LOOKED_AT):
        lines.append(line)
        n_characters += len(line)
        if n_characters > CHARACTERS_LOOKED_AT and len(lines) > 2:
            break
    return lines


def _layout(source: Source, lines: Sequence[str], separator: str, reading: Reading) -> Layout:
    rows: list[list[str]] = []
    with suppress(csv.Error):  # of a quoted field that goes on, or of something that is said later
        rows.extend(rows_of(iter(lines), separator))
    if not rows:
        raise TableError(f"{source.name}: the first line can't be read as a row of fields.")
    return Layout.of(source.name, [rows[0], *filter(None, rows[1:])], reading.has_header)


@dataclass(frozen=True)
class TextFile:
    """Where the rows are, and what they look like.

    Attributes
    ----------
    source : Source
    encoding, separator : str
    n_skipped : int
        Lines before the header.
    layout : Layout
    has_plain_header : bool
        Whether the first row ends where its line does.
    """

    source: Source
    encoding: str
    separator: str
    n_skipped: int
    layout: Layout
    has_plain_header: bool

    @classmethod
    def of(cls, source: Source, reading: Reading, encoding: str) -> "TextFile":
        """Look at the first lines."""
        with source.opened_as_text(encoding) as text:
            lines = _first_lines(text)
        if not lines:
            raise TableError(f"{source.name}: there is no text in the file.")
        is_told = lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5  # Excel's
        kept = lines[1:] if is_told else without_comments(lines)
        separator = reading.separator or find_separator(kept)
        layout = _layout(source, kept, separator, reading)
        is_plain = _is_one_row(kept[0], separator)
        return cls(source, encoding, separator, len(lines) - len(kept), layout, is_plain)


def _is_one_row(line: str, separator: str) -> bool:
    """Whether a row ends where its first line does."""
    try:
        return len(list(rows_of(iter([line]), separator))) == 1
    except csv.Error:
        return False


def _read_once(
    file: TextFile, reading: Reading, texts: set[str], by_arrow: bool
) -> tuple[dict[str, ColumnReader], bool]:
    """Read the file with the given columns as texts from the start; and whether pyarrow could."""
    none = none_of(reading.missing)
    for chunks in [_by_arrow, _by_csv] if by_arrow else [_by_csv]:
        readers = {name: ColumnReader(name in texts, none) for name in file.layout.names}
        with suppress(NotPlainError):
            for chunk in chunks(file):
                for reader, values in zip(readers.values(), chunk, strict=True):
                    reader.add(values)
            break
    if not readers[file.layout.names[0]].has_rows:
        raise TableError(f"{file.source.name}: there are no rows below the header.")
    return readers, chunks is _by_arrow


def _by_arrow(file: TextFile) -> Iterator[Sequence[Chunk]]:
    """Chunks of all columns; what is empty at the end of every row is none of them."""
    n_fields, layout = len(file.layout.names), file.layout
    n_skipped = file.n_skipped + layout.n_header_rows
    found = chunks_of(file.source, file.encoding, file.separator, n_fields + layout.n_trailing, n_skipped)
    for chunk in found:
        if any(value for rest in chunk[n_fields:] for value in rest.texts({})):
            raise NotPlainError("a row has one field more")
        yield chunk[:n_fields]


def _by_csv(file: TextFile) -> Iterator[Sequence[Chunk]]:
    """Chunks of all columns."""
    n_rows = min(ROWS_AT_A_TIME, max(16, FIELDS_AT_A_TIME // len(file.layout.names)))
    with file.source.opened_as_text(file.encoding) as lines:
        rows = rows_of(itertools.islice(lines, file.n_skipped, None), file.separator)
        full_rows = _full_rows(file.source, rows, file.layout)
        try:
            while chunk := list(itertools.islice(full_rows, n_rows)):
                yield list(map(TextChunk, zip(*chunk, strict=True)))
        except csv.Error as error:
            raise TableError(f"{file.source.name}: line {rows.line_num}: {error}.") from None


def _full_rows(source: Source, rows: Any, layout: Layout) -> Iterator[list[str]]:
    """Rows but for the header and blank lines; all as long as the header."""
    n_fields, n_trailing = len(layout.names), layout.n_trailing
    for row in itertools.islice(rows, layout.n_header_rows, None):
        if n_trailing and len(row) == n_fields + 1 and not row[-1].strip():
            row.pop()
        if len(row) == n_fields:
            yield row
        elif row:
            raise TableError(
                f"{source.name}: line {rows.line_num} has {len(row)} fields, but the header has {n_fields}; "
                "--separator says what stands between fields."
            )
