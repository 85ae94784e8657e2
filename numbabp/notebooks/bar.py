"""A line with a bar below a notebook's cell, which moves while the cell runs."""

import sys
import time
from html import escape
from typing import Any

BETWEEN = 0.1
"""Seconds between two looks that are sent to the browser."""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook: Jupyter's, Colab's, VS Code's."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookBar:
    """What a notebook shows of something under way; as text where it shows no HTML.

    It stays below the cell as it was last, and needs no widgets.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._text, self._share = "", 0.0
        self._sent_at = float("-inf")
        self._is_sent = True

    def show(self, text: str, share: float = 0.0) -> None:
        """Say where it is: in words, and as a share of the whole from 0 to 1."""
        self._text, self._share, self._is_sent = text, share, False
        if time.perf_counter() - self._sent_at >= BETWEEN:
            self._send()

    def close(self) -> None:
        """Have the notebook show what was said last."""
        if not self._is_sent:
            self._send()

    def _send(self) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(self, display_id=True)
        else:
            self._handle.update(self)
        self._sent_at, self._is_sent = time.perf_counter(), True

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        bar = f"<progress value='{self._share:.4f}' max='1'></progress> " if self._share else ""
        return f"<div>{bar}<code>{escape(self._text)}</code></div>"
