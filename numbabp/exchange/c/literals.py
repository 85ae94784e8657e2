"""Numbers and texts as C has them."""

from collections.abc import Iterable
from typing import Any

import numpy as np

WIDTH = 100
"""Characters of a line that is broken between numbers."""


def literal(value: Any, dtype: np.dtype) -> str:
    """The shortest decimal that C reads as this number of the dtype, to the last bit."""
    number = dtype.type(value)
    return f"{number!s}f" if dtype.itemsize == 4 else repr(float(number))


def array_of(rows: Iterable[np.ndarray], dtype: np.dtype) -> str:
    """Rows of numbers between braces, each beginning on a line of its own."""
    return "{\n" + "\n".join(_broken([literal(number, dtype) for number in row]) for row in rows) + "\n}"


def _broken(words: Iterable[str]) -> str:
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line])


def in_comment(text: str) -> str:
    """A text in ASCII on one line, of which nothing ends a comment or warns in one."""
    line = " ".join(text.splitlines()).encode("ascii", "backslashreplace").decode()
    return line.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
