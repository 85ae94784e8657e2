"""From dicts to the inputs of a network: which feature is which input, and a row's values into memory."""

import math
import struct
from collections.abc import Callable, Hashable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import murmurhash3_32

from ..kernels.running.rows import HEADER, HIGHEST, LIMIT, PLAIN, ROWS, TOTAL, VALUES

NOT_NUMBERS = (KeyError, struct.error, TypeError, OverflowError)
"""What `Inputs.pack` and a lookup of its values raise for rows that it isn't made for."""


class Row(NamedTuple):
    """A dict that has been looked through."""

    values: list[tuple[int, float]]
    """Of known inputs."""
    numbers: dict[Hashable, float]
    """Of features that are new."""
    texts: list[tuple[Hashable, str]]
    """Those that are new, with their features."""
    hashed: dict[int, float]
    """How many texts fell into which of the inputs that they share, if there are none yet."""

    @property
    def is_known(self) -> bool:
        """Whether nothing is new."""
        return not (self.numbers or self.texts or self.hashed)


class Inputs:
    """The features seen so far, in the order of their inputs, and the memory of `kernels.running.rows`.

    A feature whose values are numbers is an input. A text is one of its own, of 1 where the feature has it
    and 0 elsewhere; or with `n_hashed` the inputs that all texts share, each with its feature hashed into one
    of them (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning").

    Parameters
    ----------
    n_hashed
        0 for an input a text.
    standardize
        Whether numbers are standardised.
    dtype
        Of the network.
    """

    def __init__(self, n_hashed: int, standardize: bool, dtype: Any) -> None:
        self.n_hashed, self.standardize = n_hashed, standardize
        self.limit = HIGHEST if standardize else min(HIGHEST, float(np.finfo(dtype).max))
        """How large numbers may be."""
        self.numbers: dict[Hashable, int] = {}
        self.texts: dict[tuple[Hashable, str], int] = {}
        self.first_hashed: int | None = None
        self.n = 0
        """In use."""
        self.memory: Any = np.zeros(HEADER)
        self.memory[LIMIT] = self.limit
        self._renew()

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self.__dict__ if name not in HANDLES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._renew()

    @property
    def weight(self) -> float:
        """Sum of the weights of the rows so far."""
        return float(self.memory[TOTAL])

    def look_through(self, x: Mapping[Hashable, Any]) -> Row:
        """What is known of a row and what is new; missing are None, NaN and what is not there.

        Raises
        ------
        ValueError, TypeError
            For a value that is neither a finite number nor a text, naming its feature.
        """
        row = Row([], {}, [], {})
        hashed = row.hashed
        for name, value in x.items():
            if value is None:
                continue
            if isinstance(value, str):
                if self.n_hashed:
                    place = self._place_of(name, value)
                    hashed[place] = hashed.get(place, 0.0) + 1.0
                elif (name, value) in self.texts:
                    row.values.append((self.texts[name, value], 1.0))
                else:
                    row.texts.append((name, str(value)))
                continue
            number = number_of(name, value, self.limit)
            if number != number:
                continue
            if name in self.numbers:
                row.values.append((self.numbers[name], number))
            else:
                row.numbers[name] = number
        if self.first_hashed is not None:
            row.values.extend((self.first_hashed + place, number) for place, number in hashed.items())
            hashed.clear()
        return row

    def put(self, values: list[tuple[int, float]]) -> None:
        """Make these the row; all others are missing."""
        self.values[:] = self.nothing
        for i, value in values:
            self.values[i] = value

    def put_known(self, x: Mapping[Hashable, Any]) -> bool:
        """Make this the row, if it has known features and texts only and nothing that needs a second look.

        A sixth of the time that `look_through` takes.
        """
        values, numbers, texts = self.values, self.numbers, self.texts
        values[:] = self.nothing
        try:
            for name, value in x.items():
                if value is None:
                    continue
                if not isinstance(value, str):
                    values[numbers[name]] = value
                elif not self.n_hashed:
                    values[texts[name, value]] = 1.0
                elif self.first_hashed is None:
                    return False
                else:
                    i = self.first_hashed + self._place_of(name, value)
                    values[i] = 1.0 if values[i] != values[i] else values[i] + 1.0
        except NOT_NUMBERS:
            return False
        return True

    def _place_of(self, name: Hashable, text: str) -> int:
        """Where a text is hashed to; the same in every process, unlike Python's hashes."""
        return int(murmurhash3_32(f"{name}={text}".encode(), positive=True)) % self.n_hashed

    def room_for(self, row: Row) -> int:
        """Inputs that there have to be when `add` is called."""
        hashed = self.n_hashed if row.hashed else 0
        return self.n + len(row.numbers) + len(row.texts) + hashed

    def add(self, row: Row, room: int) -> tuple[list[tuple[int, float]], list[int]]:
        """Give what is new its inputs, of which there is room for so many.

        They do not depend on the order of a dict.

        Returns
        -------
        tuple
            All values of the row, and which of the new inputs are not 0 before they are learnt from.
        """
        self._make_room(room)
        values, begin_at_zero = list(row.values), []
        for name in sorted(row.numbers, key=_by_name):
            values.append((self.n, row.numbers[name]))
            if not self.standardize:
                begin_at_zero.append(self.n)
            self.numbers[name] = self._next(not self.standardize)
        for feature in sorted(row.texts, key=_by_text):
            values.append((self.n, 1.0))
            begin_at_zero.append(self.n)
            self.texts[feature] = self._next(True)
        if row.hashed:
            self.first_hashed = self.n
            values.extend((self.n + place, number) for place, number in row.hashed.items())
            begin_at_zero.extend(self._next(True) for _ in range(self.n_hashed))
        self._renew()
        return values, begin_at_zero

    def name_of(self, i: int) -> Hashable:
        """The feature of an input that is a number."""
        return next(name for name, place in self.numbers.items() if place == i)

    def _next(self, plain: bool) -> int:
        """Take an input into use, which is standardised unless `plain`."""
        self._table()[PLAIN, self.n] = plain
        self.n += 1
        return self.n - 1

    def _table(self) -> Any:
        return self.memory[HEADER:].reshape(ROWS, -1)

    def _make_room(self, room: int) -> None:
        present = self._table()
        if room > present.shape[1]:
            memory = np.zeros(HEADER + ROWS * room)
            memory[:HEADER] = self.memory[:HEADER]
            table = memory[HEADER:].reshape(ROWS, room)
            table[:, : present.shape[1]] = present
            table[VALUES, present.shape[1] :] = np.nan
            self.memory = memory

    def _renew(self) -> None:
        self.view: Any = memoryview(self.memory)  # a third of NumPy's time for one number
        self.values: Any = self.view[HEADER : HEADER + self.n]
        self.nothing: Any = np.full(self.n, np.nan).data
        names = list(self.numbers)
        self.n_names: int = len(names)
        # the row must have numbers for all inputs that there are, in this order
        if self.n_names != self.n or not names:
            self.n_names = -1
        self.get: Callable[[Mapping[Hashable, Any]], Any] = _getter(names)
        self.pack = struct.Struct(f"{len(names)}d").pack_into


HANDLES = ("view", "values", "nothing", "n_names", "get", "pack")
"""What is made of the rest."""


def _getter(names: list[Hashable]) -> Callable[[Mapping[Hashable, Any]], Any]:
    """What gives the values of these names as a tuple, and raises a KeyError for one that is missing."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda x: tuple(x[name] for name in names)


def number_of(name: Hashable | None, value: Any, limit: float = HIGHEST) -> float:
    """A value as a number, which may be NaN; of the target where there is no name of a feature."""
    try:
        if isinstance(value, str):  # which float reads
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        allowed = "a number" if name is None else "a number or a text, or None if missing"
        given = f"{value!r} of type {type(value).__name__}"
        raise TypeError(f"{what_is(name)} must be {allowed}, got {given}.") from None
    if abs(number) > limit:
        raise of_size(name, number, limit)
    return number


def what_is(name: Hashable | None) -> str:
    """Of a feature's name; y has none."""
    return "y" if name is None else f"feature {name!r}"


def of_size(name: Hashable | None, number: float, limit: float = HIGHEST) -> ValueError:
    """The error for a number beyond what can be squared, or is one in the network's dtype."""
    allowed = f"no larger than {limit:g}" if math.isfinite(number) else "finite"
    return ValueError(f"{what_is(name)} must be {allowed}, got {number!r}.")


def _by_name(name: Hashable) -> tuple[str, str]:
    return str(name), type(name).__name__


def _by_text(feature: tuple[Hashable, str]) -> tuple[str, str, str]:
    name, text = feature
    return *_by_name(name), text
