"""Tables of numbers with a column a unit, as text and as HTML."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..notebooks import tables

MOST_COLUMNS = 10
"""Units that are shown of a layer; of more, the first and the last."""
MOST_ROWS = 10
"""Likewise rows of weights."""
LEFT_OUT = "..."


class Table(NamedTuple):
    """Rows of numbers by label, below heads."""

    heads: Sequence[str]
    rows: Sequence[tuple[str, np.ndarray]]


class Part(NamedTuple):
    """A heading with its formula, and tables."""

    title: str
    formula: str
    tables: Sequence[Table]


def as_text(parts: Iterable[Part]) -> str:
    """Aligned columns, as `print` shows them."""
    return "\n\n".join(_text_of(part) for part in parts)


def _text_of(part: Part) -> str:
    lines = [part.title] + ([f"  {part.formula}"] if part.formula else [])
    for table in part.tables:
        cells = _cells(table)
        width = max(len(row[0]) for row in cells)
        widths = [max(len(row[k]) for row in cells) for k in range(1, len(cells[0]))]
        for label, *values in cells:
            shown = "  ".join(value.rjust(n) for value, n in zip(values, widths, strict=True))
            lines.append(f"  {label:<{width}}  {shown}")
    return "\n".join(lines)


def as_html(parts: Iterable[Part]) -> str:
    """Tables, as notebooks show them."""
    return tables.page(*map(_html_of, parts))


def _html_of(part: Part) -> str:
    return tables.paragraph(part.title, part.formula) + "".join(map(_html_table, part.tables))


def _html_table(table: Table) -> str:
    head, *rows = _cells(table)
    return tables.table(head, rows)


def _cells(table: Table) -> list[list[str]]:
    """Heads and rows as texts, without what there is no room for."""
    rows = [["", *table.heads]]
    # a zero has no sign here: -0 + 0 is 0
    rows += [[label, *(f"{value + 0:.6g}" for value in values)] for label, values in table.rows]
    columns = _kept(len(rows[0]) - 1, MOST_COLUMNS)
    shown = [[row[0], *(LEFT_OUT if k is None else row[k + 1] for k in columns)] for row in rows]
    return _with_few_weights(shown)


def _with_few_weights(rows: list[list[str]]) -> list[list[str]]:
    """The first and the last rows of weights from the units below, where there are many."""
    found: list[list[str]] = []
    kinds = [row[0].partition(" from ")[0] if " from " in row[0] else "" for row in rows]
    start = 0
    while start < len(rows):
        n = 1
        while kinds[start] and start + n < len(rows) and kinds[start + n] == kinds[start]:
            n += 1
        left_out = [LEFT_OUT] * len(rows[0])
        found += [left_out if k is None else rows[start + k] for k in _kept(n, MOST_ROWS)]
        start += n
    return found


def _kept(n: int, most: int) -> list[int | None]:
    """Places that are shown of n, with None for those between."""
    return list(range(n)) if n <= most else [*range(most - 2), None, n - 1]
