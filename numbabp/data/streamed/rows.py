"""Whole rows of a text that comes in parts."""

from collections.abc import Iterable, Iterator

import numpy as np

from ..columns import TableError

LONGEST_ROW = 1 << 26
"""Bytes: a longer one rather has a quotation mark that is never closed."""
_QUOTE = ord('"')


def whole_rows(name: str, parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks that end where rows do.

    Raises
    ------
    TableError
        For a row that does not end.
    """
    rest = b""
    for part in parts:
        block = rest + part
        end = end_of_rows(block)
        if end:
            yield block[:end]
        rest = block[end:]
        if len(rest) > LONGEST_ROW:
            start = rest[:40].decode(errors="replace")
            raise TableError(
                f"{name}: the row that begins with {start!r} has not ended after {len(rest)} bytes; "
                "is there a quotation mark that is never closed?"
            )
    if rest:
        yield rest


def end_of_rows(block: bytes) -> int:
    """Where the last row ends that is all there: behind the last end of a line outside of quotation marks."""
    end = block.rfind(b"\n") + 1
    if b'"' not in block:
        return end
    n_quotes = block.count(b'"', 0, end)
    while n_quotes % 2:
        before = block.rfind(b"\n", 0, end - 1) + 1
        n_quotes -= block.count(b'"', before, end)
        end = before
    return end


def are_quotes_plain(block: bytes, separator: bytes) -> bool:
    """Whether quotation marks stand around whole fields, so that all readers of CSV agree on them.

    Every other mark opens a field, or is the second of a doubled one; the others close one, or are the first.
    """
    if b'"' not in block:
        return True
    beside = np.zeros(256, bool)
    beside[[*separator, *b'\n\r"']] = True
    values = np.frombuffer(b"\n" + block + b"\n", np.uint8)
    places = np.flatnonzero(values == _QUOTE)
    is_paired = len(places) % 2 == 0
    return is_paired and bool(
        beside[values[places[::2] - 1]].all() and beside[values[places[1::2] + 1]].all()
    )
