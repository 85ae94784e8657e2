"""What a text file's first lines tell: what stands between fields, the columns' names, which is an index."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..columns import TableError
from ..numerals import plain_number

SEPARATORS = ",;\t|"
COMMENTS = "#%"
"""Before the header, lines that begin so say something else."""
SPACES = " "
"""Any number of them between fields."""
_INDEX = re.compile(r"Unnamed: 0(?:\.\d+)?|__index_level_\d+__|")
"""Names of a first column that is the index of a pandas.DataFrame, which `to_csv` leaves without a name."""


def without_comments(lines: Sequence[str]) -> list[str]:
    """Lines from the header on.

    The last comment is the header where the next line has as many fields and begins with a number: so
    `numpy.savetxt` writes it.
    """
    n = next((k for k, line in enumerate(lines) if line.strip() and line[0] not in COMMENTS), 0)
    if not n:
        return list(lines)
    separator = find_separator(lines[n:])
    header = re.sub(rf"^[{COMMENTS}]\s+", "", lines[n - 1])
    last, first = ([*next(rows_of(iter([line]), separator), ())] for line in (header, lines[n]))
    if len(last) == len(first) > 1 and _is_number(first[0]) and not _is_number(last[-1]):
        return [header, *lines[n:]]
    return list(lines[n:])


def rows_of(lines: Iterator[str], separator: str) -> Any:
    """Rows of fields."""
    if separator == SPACES:
        lines = (" ".join(line.split()) + "\n" for line in lines)
    return csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=separator != SPACES)


def find_separator(lines: Sequence[str]) -> str:
    """What stands between fields: what gives all lines as many fields as the first, and the most of them."""
    n_fields = {separator: _lengths(lines, separator) for separator in (*SEPARATORS, SPACES)}
    even = {separator: lengths[0] for separator, lengths in n_fields.items() if _are_even(lengths)}
    best = max(even, key=lambda separator: (even[separator], separator != SPACES), default=SPACES)
    if even.get(best, 1) > 1 and best != SPACES:
        return best
    others = max(SEPARATORS, key=lambda separator: n_fields[separator][:1])
    if n_fields[others][:1] > [1]:
        return others
    if even.get(best, 1) > 1 or "," in even:
        return best if even.get(best, 1) > 1 else ","
    return next(iter(even), ",")  # one column: commas in its values are decimal


def _lengths(lines: Sequence[str], separator: str) -> list[int]:
    """Fields of each row that can be read: a quoted field may go on beyond these lines."""
    lengths: list[int] = []
    with suppress(csv.Error):
        lengths.extend(len(row) for row in rows_of(iter(lines), separator) if row)
    return lengths


def _are_even(lengths: Sequence[int]) -> bool:
    """Whether all rows are as long as the header, or longer by a name of the row, as R writes them."""
    others = set(lengths[1:])
    return bool(lengths) and (others <= {lengths[0]} or (others == {lengths[0] + 1} and lengths[0] > 1))


@dataclass(frozen=True)
class Layout:
    """Names of all columns, and what becomes of the first rows.

    Attributes
    ----------
    names : tuple of str
        Of a row's fields.
    index : str or None
        The first of them, if it is an index and no column.
    n_header_rows : int
        1, or 0 where a file has no header.
    n_trailing : int
        Fields without a name that are empty at the end of every row.
    """

    names: tuple[str, ...]
    index: str | None
    n_header_rows: int
    n_trailing: int

    @classmethod
    def of(cls, path: str, rows: Sequence[Sequence[str]], has_header: bool | None) -> "Layout":
        """From a file's first rows.

        Raises
        ------
        TableError
            For a header that is blank, looks like data, or names a column twice.
        """
        if has_header is False:
            return cls(tuple(map(str, range(1, len(rows[0]) + 1))), None, 0, 0)
        header, *data = [[field.strip() for field in row] for row in rows]
        if has_header is None:
            _check_is_header(path, header, data)
        trailing, has_row_names = 0, False
        if data and all(len(row) == len(header) + 1 for row in data) and len(header) > 1:
            trailing = int(not any(row[-1] for row in data))
            has_row_names = not trailing  # as R writes them
        if has_row_names:
            header = ["", *header]
        index = header[0] if len(header) > 1 and _INDEX.fullmatch(header[0]) else None
        names = [name or f"column {k}" for k, name in enumerate(header, start=1)]
        name, count = Counter(names).most_common(1)[0]
        if count > 1:
            raise TableError(f"{path}: the header names the column {name!r} more than once: rename one.")
        return cls(tuple(names), None if index is None else names[0], 1, trailing)


def _check_is_header(path: str, header: Sequence[str], data: Sequence[Sequence[str]]) -> None:
    if not any(header):
        raise TableError(f"{path}: the first line is blank, but must be a header of column names.")
    ways_out = "--no-header calls columns 1, 2, 3 and so on, --header takes it for names"
    if all(_is_number(name) for name in header):
        raise TableError(
            f"{path}: the first line must be a header of column names, but it has only numbers; {ways_out}."
        )
    of_columns = list(zip(*(row for row in data if len(row) == len(header)), strict=True))
    are_numbers = [all(map(_is_number, column)) for column in of_columns]
    is_number = [_is_number(name) for name in header]
    if any(is_number) and are_numbers and is_number == are_numbers:
        number = header[is_number.index(True)]
        raise TableError(f"{path}: the first line looks like data ({number!r} is a number); {ways_out}.")


def _is_number(text: str) -> bool:
    return plain_number(text) is not None
