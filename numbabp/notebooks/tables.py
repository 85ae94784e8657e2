"""Rows of texts as HTML."""

from collections.abc import Iterable, Sequence
from html import escape

_RIGHT = "style='text-align: right; padding: 0 0.5em'"
_LEFT = "style='text-align: left; padding: 0 0.5em'"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], n_texts: int = 1) -> str:
    """A table whose first `n_texts` columns are texts; numbers, in the others, end below each other."""
    lines = [_row("th", head, n_texts), *(_row("td", row, n_texts) for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def _row(tag: str, cells: Sequence[str], n_texts: int) -> str:
    styles = [_LEFT if column < n_texts else _RIGHT for column in range(len(cells))]
    shown = (f"<{tag} {style}>{escape(cell)}</{tag}>" for style, cell in zip(styles, cells, strict=True))
    return f"<tr>{''.join(shown)}</tr>"


def paragraph(title: str, code: str = "") -> str:
    """A heading, with a line of code below it."""
    return f"<p><b>{escape(title)}</b>{f'<br><code>{escape(code)}</code>' if code else ''}</p>"


def page(*parts: str) -> str:
    """Parts below each other."""
    return f"<div>{''.join(parts)}</div>"
