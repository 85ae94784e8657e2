"""Parts of a column of a text file, as whoever splits the lines hands them over, and the column of them."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np

from ..columns import NUMBER, Column, as_texts, column_of_texts, without_missing
from ..numerals import plain_number
from .reading import Reading


class Chunk(Protocol):
    """Some values of a column, one below the other."""

    def numbers(self, none: frozenset[str]) -> np.ndarray | None:
        """float64 (n,), NaN for texts that stand for no value; None unless the others are numbers."""
        ...

    def texts(self, distinct: dict[str, str]) -> np.ndarray:
        """Objects (n,), each a str without spaces around it, one for all that are equal."""
        ...


class TextChunk:
    """Values as Python's texts."""

    def __init__(self, values: Sequence[str]) -> None:
        self._values = values

    def numbers(self, none: frozenset[str]) -> np.ndarray | None:
        """As Python reads numbers, but for underscores."""
        values = self._values
        if "_" not in "".join(values):
            with suppress(ValueError):
                return np.fromiter(map(float, values), float, len(values))
        of_text = {text: _number(text, none) for text in set(values)}
        if None in of_text.values():
            return None
        return np.array([of_text[text] for text in values], float)

    def texts(self, distinct: dict[str, str]) -> np.ndarray:
        """As `Chunk.texts`."""
        return np.array([distinct.setdefault(text, text) for text in map(str.strip, self._values)], object)


def _number(text: str, none: frozenset[str]) -> float | None:
    return float("nan") if text.strip().lower() in none else plain_number(text)


class ColumnReader:
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

    def add(self, chunk: Chunk) -> None:
        """Take the next values."""
        if self.turned_into_text:
            return
        self.has_rows = True
        if not self._is_text:
            numbers = chunk.numbers(self._none)
            if numbers is not None:
                self._parts.append(numbers)
                return
            self._is_text = True
            self.turned_into_text = bool(self._parts)
        self._parts.append(chunk.texts(self._distinct))

    def column(self, name: str, reading: Reading) -> Column:
        """The column of all values."""
        values = np.concatenate(self._parts)
        if not self._is_text:
            return Column(name, NUMBER, without_missing(values, reading.missing))
        if name in reading.texts:
            return as_texts(name, values, reading.missing)
        return column_of_texts(name, values, reading.missing, reading.decimal)
