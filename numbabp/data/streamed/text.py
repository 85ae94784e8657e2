"""CSV and its kin as tables of some thousand rows, parsed by pyarrow.

The first rows are read as `numbabp train` reads a whole file, which settles what stands between fields, the
names, and what kind of column each is. Blocks of whole rows then go to pyarrow, which gives numbers at once;
a block that it refuses, or that readers of CSV differ in, is read by the csv module, which has the messages.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..columns import (
    DATE,
    NUMBER,
    TEXT,
    Column,
    TableError,
    as_texts,
    column_of_texts,
    none_of,
    without_missing,
)
from ..files.arrow import floats_of
from ..files.by_arrow import ArrowChunk
from ..files.chunks import Chunk, TextChunk
from ..files.layouts import SPACES, rows_of
from ..files.reading import Reading
from ..files.text import TextFile, encoding_of
from ..table_files import read_source, with_separator
from ..tables import Table
from .flow import Flow
from .rows import are_quotes_plain, end_of_rows, whole_rows

LOOK_BYTES = 1 << 24
"""Most that is looked at before, in memory as text."""
_WRONG_LENGTH = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")


class TextRows:
    """Rows of a text file, the first of which have been looked at.

    Parameters
    ----------
    flow : Flow
    reading : Reading
        What is known of the file.
    n_look : int
        Rows to look at.

    Attributes
    ----------
    look : Table
        The first rows.
    comes_again : bool
        Whether `tables` can be called more than once.
    """

    def __init__(self, flow: Flow, reading: Reading, n_look: int) -> None:
        self._flow = flow
        self.comes_again = flow.comes_again
        n_bytes = 1 << 16
        flow.look(n_bytes)
        while not flow.is_whole and n_bytes < LOOK_BYTES and flow.head.count(b"\n") <= n_look:
            n_bytes *= 2
            flow.look(n_bytes)
        self._encoding, notes = _encoding(flow)
        text = b"".join(_recoded([flow.head], self._encoding))
        if not flow.is_whole:
            text = text[: end_of_rows(text)] or text
        source = flow.source(_first_rows(text, n_look))
        self._reading = with_separator(source, reading)
        self._file = TextFile.of(source, self._reading, "utf-8-sig")
        if not self._file.has_plain_header:
            raise TableError(
                f"{flow.name}: a header of more than one line can't be streamed; write it in one."
            )
        look = read_source(source, self._reading)
        self.look = replace(look, notes=(*notes, *look.notes))
        signs = {column.form for column in look.columns.values() if column.kind == NUMBER and column.form}
        self._decimal = reading.decimal or (signs.pop() if len(signs) == 1 else None)

    def tables(self, names: Sequence[str], texts: Iterable[str]) -> Iterator[Table]:
        """Columns of these names, block by block, of the kinds that they have in `look`.

        Parameters
        ----------
        names : sequence of str
        texts : iterable of str
            Those to take as texts.

        Raises
        ------
        TableError
            For rows that have more or fewer fields than the header, and for what `Flow.parts` refuses.
        """
        kinds = {name: TEXT if name in set(texts) else self.look.column(name).kind for name in names}
        first_row = 1
        parts = _recoded(self._flow.parts(), self._encoding)
        n_header = self._file.n_skipped + self._file.layout.n_header_rows
        for block in _without_lines(whole_rows(self._flow.name, parts), n_header):
            columns = self._columns(block, kinds, first_row)
            table = Table(self._flow.name, columns, first_row=first_row)
            if columns and table.n_rows:
                yield table
                first_row += table.n_rows

    def _columns(self, block: bytes, kinds: Mapping[str, str], first_row: int) -> dict[str, Column]:
        """Columns of a block, by pyarrow where that gives what Python does."""
        separator = self._file.separator
        if separator != SPACES and separator.isascii() and are_quotes_plain(block, separator.encode()):
            for numbers_at_once in (True, False):
                try:
                    found = self._by_arrow(block, kinds, numbers_at_once)
                except _Refused as refused:
                    if refused.by_all:
                        break
                    continue
                return {n: self._column(n, kinds[n], chunk) for n, chunk in found.items()}
        chunks = self._by_csv(block, kinds, first_row)
        return {name: self._column(name, kinds[name], chunk) for name, chunk in chunks.items()}

    def _by_arrow(
        self, block: bytes, kinds: Mapping[str, str], numbers_at_once: bool
    ) -> dict[str, "Chunk | np.ndarray"]:
        """Numbers, or texts."""
        try:
            import pyarrow
            from pyarrow import csv as arrow_csv
        except ImportError:  # the csv module takes ten times as long, but is always there
            raise _Refused(by_all=True) from None

        layout = self._file.layout
        n_fields = len(layout.names) + layout.n_trailing
        place_of = {name: str(k) for k, name in enumerate(layout.names)}
        types = {
            place_of[name]: pyarrow.float64() if kind == NUMBER and numbers_at_once else pyarrow.string()
            for name, kind in kinds.items()
        }
        try:
            table = arrow_csv.read_csv(
                pyarrow.BufferReader(block),
                arrow_csv.ReadOptions(
                    column_names=list(map(str, range(n_fields))),
                    block_size=max(len(block) + 1, 1 << 10),
                ),
                arrow_csv.ParseOptions(delimiter=self._file.separator, newlines_in_values=True),
                arrow_csv.ConvertOptions(
                    include_columns=list(types),
                    column_types=types,
                    null_values=_spellings(none_of(self._reading.missing)),
                    strings_can_be_null=False,
                    decimal_point=self._decimal or ".",
                ),
            )
        except (pyarrow.ArrowInvalid, UnicodeDecodeError) as error:
            raise _Refused(by_all=bool(_WRONG_LENGTH.search(str(error)))) from None
        found: dict[str, Chunk | np.ndarray] = {}
        for name in kinds:
            values = table.column(place_of[name]).combine_chunks()
            is_number = pyarrow.types.is_floating(values.type)
            found[name] = floats_of(values) if is_number else ArrowChunk(values)
        return found

    def _by_csv(self, block: bytes, kinds: Mapping[str, str], first_row: int) -> dict[str, Chunk]:
        """Texts, by Python's reader."""
        name, layout = self._flow.name, self._file.layout
        n_fields = len(layout.names)
        rows: list[list[str]] = []
        try:
            lines = io.StringIO(block.decode(), newline="")
            for row in rows_of(iter(lines), self._file.separator):
                if layout.n_trailing and len(row) == n_fields + 1 and not row[-1].strip():
                    row.pop()
                if row and len(row) != n_fields:
                    raise TableError(
                        f"{name}: row {first_row + len(rows)} has {len(row)} fields, but the header has "
                        f"{n_fields}; --separator says what stands between fields."
                    )
                if row:
                    rows.append(row)
        except csv.Error as error:
            raise TableError(f"{name}: row {first_row + len(rows)}: {error}.") from None
        except UnicodeDecodeError as error:
            row = first_row + block.count(b"\n", 0, error.start)
            raise TableError(
                f"{name}: row {row} has bytes that are not UTF-8, unlike the first rows; save it as UTF-8."
            ) from None
        places = {name: k for k, name in enumerate(layout.names)}
        return {name: TextChunk([row[places[name]] for row in rows]) for name in kinds}

    def _column(self, name: str, kind: str, chunk: Any) -> Column:
        """The values as what they are in the rows that have been looked at, or as texts if they are not."""
        missing = self._reading.missing
        if kind == NUMBER:
            found = chunk if isinstance(chunk, np.ndarray) else None
            if found is None and self._decimal is None:
                found = chunk.numbers(none_of(missing))
            if found is not None:
                return Column(name, NUMBER, without_missing(found, missing))
        texts = chunk.texts({})
        if kind in (TEXT, DATE):
            return as_texts(name, texts, missing)
        return column_of_texts(name, texts, missing, self._decimal)


class _Refused(Exception):
    """pyarrow refuses a block: its numbers, or all of it."""

    def __init__(self, by_all: bool) -> None:
        super().__init__(by_all)
        self.by_all = by_all


def _spellings(none: frozenset[str]) -> list[str]:
    """What stands for no value, as it may be written; other spellings are left to Python."""
    return sorted(
        {spell(text) for text in none for spell in (str, str.upper, str.capitalize)} | {"NaN", "NaT"}
    )


def _encoding(flow: Flow) -> tuple[str, list[str]]:
    """By what has been looked at, and what there is to say of it."""
    encoding, notes = encoding_of(flow.source())
    if encoding != "utf-8-sig":
        return encoding, notes
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            codecs.getincrementaldecoder(encoding)().decode(flow.head, flow.is_whole)
        except UnicodeDecodeError:
            notes = ["not UTF-8 text, so read as Windows-1252 (Latin-1)"]
        else:
            return encoding, notes
    return "latin-1", notes


def _recoded(parts: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The same in UTF-8 without a byte-order mark."""
    if encoding == "utf-8-sig":
        for k, part in enumerate(parts):
            yield part.removeprefix(codecs.BOM_UTF8) if k == 0 else part
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for part in parts:
        yield decoder.decode(part).encode()
    yield decoder.decode(b"", True).encode()


def _first_rows(text: bytes, n: int) -> bytes:
    """About so many rows of a text: lines, and those that finish a row of several lines."""
    end = 0
    for _ in range(n + 1):  # the header is one
        end = text.find(b"\n", end) + 1
        if not end:
            return text
    return text[: end_of_rows(text[:end]) or len(text)]


def _without_lines(blocks: Iterable[bytes], n: int) -> Iterator[bytes]:
    """Without the first n lines."""
    for block in blocks:
        start = 0
        while n and start < len(block):
            end = block.find(b"\n", start) + 1
            start = end or len(block)
            n -= 1
        if start < len(block):
            yield block[start:]
