"""Tables in text files: CSV and its kin."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from ..columns import NUMBER, Column, TableError, as_texts, column_of_texts, none_of
from ..numerals import plain_number
from ..tables import Table
from .layouts import Layout, find_separator, rows_of
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
    encoding, notes = _encoding(source)
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


def _encoding(source: Source) -> tuple[str, list[str]]:
    """By the byte-order mark, if there is one."""
    if source.head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", ["read as UTF-16"]
    if b"\0" in source.head:
        raise TableError(f"{source.name}: neither a table of text nor a file of a kind that is known.")
    return "utf-8-sig", []


def _read(source: Source, reading: Reading, encoding: str) -> tuple[dict[str, Column], list[str]]:
    """Columns, and what there is to say of them."""
    with source.opened_as_text(encoding) as file:
        lines = _first_lines(file)
    if not lines:
        raise TableError(f"{source.name}: there is no text in the file.")
    n_skipped = int(lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5)  # Excel's
    lines = lines[n_skipped:]
    separator = reading.separator or find_separator(lines)
    layout = _layout(source, lines, separator, reading)
    texts = set(reading.texts)
    if reading.decimal == ",":  # a plain 1.234 may be a thousand then
        texts |= set(layout.names)
    while True:
        with source.opened_as_text(encoding) as file:
            rows = rows_of(itertools.islice(file, n_skipped, None), separator)
            readers = _read_once(source, rows, layout, reading, texts)
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


def _read_once(
    source: Source, rows: Any, layout: Layout, reading: Reading, texts: set[str]
) -> dict[str, "_ColumnReader"]:
    """Read the file with the given columns as texts from the start."""
    none = none_of(reading.missing)
    readers = {name: _ColumnReader(name in texts, none) for name in layout.names}
    try:
        full_rows = _full_rows(source, rows, layout)
        n_rows = min(ROWS_AT_A_TIME, max(16, FIELDS_AT_A_TIME // len(layout.names)))
        while chunk := list(itertools.islice(full_rows, n_rows)):
            for reader, values in zip(readers.values(), zip(*chunk, strict=True), strict=True):
                reader.add(values)
    except csv.Error as error:
        raise TableError(f"{source.name}: line {rows.line_num}: {error}.") from None
    if not readers[layout.names[0]].has_rows:
        raise TableError(f"{source.name}: there are no rows below the header.")
    return readers


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


class _ColumnReader:
    """Gathers a column chunk by chunk, as numbers for as long as each value is one or missing.

    So a large file is never in memory as text; the few columns that turn into text late are read again.
    """

    def __init__(self, is_text: bool, none: frozenset[str]) -> None:
        self.turned_into_text = False
        self.has_rows = False
        self._is_text = is_text
        self._none = none
        self._parts: list[np.ndarray] = []
        self._distinct: dict[str, str] = {}  # one object for all equal texts

    def add(self, values: Sequence[str]) -> None:
        if self.turned_into_text:
            return
        if not self._is_text:
            numbers = self._numbers(values)
            if numbers is not None:
                self._parts.append(numbers)
                self.has_rows = True
                return
            self._is_text = True
            self.turned_into_text = bool(self._parts)
        texts = map(str.strip, values)
        self._parts.append(np.array([self._distinct.setdefault(text, text) for text in texts], object))
        self.has_rows = True

    def _numbers(self, values: Sequence[str]) -> np.ndarray | None:
        if "_" not in "".join(values):
            with suppress(ValueError):
                return np.fromiter(map(float, values), float, len(values))
        of_text = {text: self._number(text) for text in set(values)}
        if None in of_text.values():
            return None
        return np.array([of_text[text] for text in values], float)

    def _number(self, text: str) -> float | None:
        return float("nan") if text.strip().lower() in self._none else plain_number(text)

    def column(self, name: str, reading: Reading) -> Column:
        values = np.concatenate(self._parts)
        if not self._is_text:
            return Column(name, NUMBER, values)
        if name in reading.texts:
            return as_texts(name, values, reading.missing)
        return column_of_texts(name, values, reading.missing, reading.decimal)
