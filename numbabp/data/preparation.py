"""Columns of a table into the inputs of a network, and what model files say of it.

- numbers, booleans (0 and 1) and dates (days since 1970-01-01) are standardised; a missing one is set to the
  mean, and a column that misses values gets another input that is 1 where it does;
- texts become one input a category, and one for missing values if there are any; rare categories share one;
  or they are hashed into a number of inputs;
- columns without a value, and texts that are different in almost every row, are left out.

Scikit-learn fits what is written down here: StandardScaler, SimpleImputer and OneHotEncoder give the same.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .columns import BOOLEAN, DATE, FEW, NEARLY, NUMBER, TEXT, UNDECIDED, Column, TableError
from .dates import days_of_text
from .described import mapping, numbers, strings
from .hashing import Hashing
from .numerals import plain_number
from .tables import Table, listed

LARGEST = 1e100
"""Whose squares can be added up."""
MOST_CATEGORIES = 100
"""Inputs of one column of texts; the rarest categories share the last one."""
HASHED = "hashed"
"""Kind of a column of texts that are hashed."""
UNKNOWN = -1
"""Place of a text that sets no input."""


@dataclass(frozen=True)
class Categories:
    """What a column of texts becomes: inputs for its categories, for missing values, for the rare."""

    names: tuple[str, ...]
    has_missing: bool
    has_rare: bool

    @property
    def n_inputs(self) -> int:
        """Columns of the matrix."""
        return len(self.names) + self.has_missing + self.has_rare


@dataclass(frozen=True)
class Preparation:
    """What is done to a table's columns.

    Attributes
    ----------
    columns : tuple of str
        Those that are learnt from, in the order of the table that was trained on.
    kinds : dict of str to str
        "boolean", "date", "text" or "hashed" of those that are not numbers.
    forms : dict of str to str
        Formats of dates.
    mean, scale : ndarray of float64
        Of the columns that are no texts, in their order.
    gaps : tuple of str
        Columns of numbers that had missing values, so that one more input tells of them.
    categories : dict of str to Categories
    left_out : dict of str to str
        Why a column is not learnt from.
    missing : tuple of str
        Texts that stand for no value besides the common ones.
    hashing : Hashing or None
        Of the columns that are hashed.
    """

    columns: tuple[str, ...]
    kinds: Mapping[str, str]
    forms: Mapping[str, str]
    mean: np.ndarray
    scale: np.ndarray
    gaps: tuple[str, ...]
    categories: Mapping[str, Categories]
    left_out: Mapping[str, str]
    missing: tuple[str, ...] = ()
    hashing: Hashing | None = None

    @classmethod
    def fitted(
        cls,
        table: Table,
        names: Sequence[str],
        rows: np.ndarray,
        missing: Sequence[str] = (),
        n_hashed: int = 0,
        scaled: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None,
    ) -> "Preparation":
        """From the rows to train on; what kinds of columns there are from all.

        With `n_hashed` texts are hashed into so many inputs. `scaled` gives the mean and the scale of columns
        of numbers; by default scikit-learn's StandardScaler does.

        Raises
        ------
        TableError
            If no column is left, for infinite values, and for texts that should be numbers.
        """
        kept, left_out = _kept(table, names, rows, keeps_names=n_hashed > 0)
        if not kept:
            why = "".join(f"; {name!r} {reason}" for name, reason in list(left_out.items())[:5])
            raise TableError(f"{table.path}: there is no column besides the target to learn from{why}.")
        plain = [column for column in kept if column.kind != TEXT]
        texts = [column for column in kept if column.kind == TEXT]
        hashing = Hashing(tuple(c.name for c in texts), n_hashed) if texts and n_hashed else None
        kinds = {column.name: column.kind for column in kept if column.kind != NUMBER}
        if hashing is not None:
            kinds |= dict.fromkeys(hashing.columns, HASHED)
        mean, scale = np.empty(0), np.empty(0)
        if plain:
            values = np.column_stack([_numbers(table, column) for column in plain])
            with np.errstate(over="ignore", invalid="ignore"):  # of sums of numbers that are finite
                mean, scale = (scaled or _by_scikit_learn)(values)
        return cls(
            tuple(column.name for column in kept),
            kinds,
            {column.name: column.form for column in kept if column.kind == DATE and column.form},
            mean,
            scale,
            tuple(column.name for column in plain if column.is_missing.any()),
            {} if hashing is not None else {column.name: _categories(column) for column in texts},
            left_out,
            tuple(missing),
            hashing,
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns that are taken as texts, whatever they look like in another table."""
        return (*self.categories, *self._hashed)

    @property
    def _hashed(self) -> tuple[str, ...]:
        return () if self.hashing is None else self.hashing.columns

    @property
    def n_inputs(self) -> int:
        """Columns of the matrix."""
        n = len(self.mean) + len(self.gaps) + sum(c.n_inputs for c in self.categories.values())
        return n + (0 if self.hashing is None else self.hashing.n_inputs)

    @property
    def input_names(self) -> list[str]:
        """What the columns of the matrix are.

        Raises
        ------
        ValueError
            For columns that are hashed, which several have in common.
        """
        if self.hashing is not None:
            raise ValueError(f"the columns {listed(self.hashing.columns)} are hashed, and so have no inputs.")
        kinds = {DATE: ", in days since 1970-01-01", BOOLEAN: ", 0 or 1"}
        plain_columns = [name for name in self.columns if name not in self.texts]
        plain = [
            f"{name!r}{kinds.get(self.kinds.get(name, NUMBER), '')}; {mean:.9g} where it is missing"
            for name, mean in zip(plain_columns, self.mean.tolist(), strict=True)
        ]
        of_gaps = [f"1 where {name!r} is missing" for name in self.gaps]
        of_categories = []
        for name, own in self.categories.items():
            of_categories += [f"1 where {name!r} is {category!r}" for category in own.names]
            of_categories += [f"1 where {name!r} is missing"] * own.has_missing
            of_categories += [f"1 where {name!r} is of the rare"] * own.has_rare
        return [*plain, *of_gaps, *of_categories]

    def matrix(self, table: Table) -> tuple[np.ndarray, list[str]]:
        """What the network takes, and what there is to say of it.

        Returns
        -------
        inputs : ndarray of float64, shape (n, n_inputs)
            Standardised numbers, marks of missing ones, then categories, each in the columns' order, and
            what is hashed.
        notes : list of str
            On unknown categories, and on missing values where there were none before.

        Raises
        ------
        TableError
            For a column that is not there, or is of another kind.
        """
        notes = list[str]()
        inputs, unmarked = self.filled(table, notes)
        for name, n_missing in unmarked.items():
            notes.append(
                f"column {name!r}: {n_missing} missing values set to the mean; there were none in training"
            )
        self.standardize(inputs)
        return inputs, notes

    def filled(self, table: Table, notes: list[str]) -> tuple[np.ndarray, dict[str, int]]:
        """The same before numbers are standardised, NaN where there is none; errors as for `matrix`.

        Returns
        -------
        inputs : ndarray of float64, shape (n, n_inputs)
        unmarked : dict of str to int
            How many values are missing in columns that missed none before.
        """
        if table.absent is None:
            absent = [name for name in self.columns if name not in table.columns]
            if len(absent) > 1:
                raise TableError(
                    f"{table.path}: there are no columns {listed(absent)}; "
                    f"there are: {listed(table.columns)}."
                )
        n_plain, unmarked = len(self.mean), dict[str, int]()
        inputs = np.zeros((table.n_rows, self.n_inputs))
        plain, gaps = inputs[:, :n_plain], {name: n_plain + j for j, name in enumerate(self.gaps)}
        j, k = 0, n_plain + len(gaps)
        for name in self.columns:
            column = table.column(name)
            if name in self.categories:
                k += self._fill(inputs[:, k:], column, notes)
                continue
            if self.hashing is not None and name in self.hashing.columns:
                self.hashing.add(inputs[:, -self.hashing.n_inputs :], name, column.texts().tolist())
                continue
            plain[:, j] = values = self._plain(table, column)
            j += 1
            if name in gaps:
                inputs[:, gaps[name]] = np.isnan(values)
            elif n_missing := int(np.isnan(values).sum()):
                unmarked[name] = n_missing
        return inputs, unmarked

    def standardize(self, inputs: np.ndarray) -> None:
        """Standardise the numbers of what `filled` gives, in place; missing ones are set to the mean."""
        plain = inputs[:, : len(self.mean)]
        # first: NumPy warns of arithmetic with NaNs of the kind that signals, which files may hold
        np.copyto(plain, self.mean, where=np.isnan(plain))
        plain -= self.mean
        plain /= self.scale

    def _fill(self, inputs: np.ndarray, column: Column, notes: list[str]) -> int:
        """Fill in a column's categories, and say how many inputs they take."""
        own = self.categories[column.name]
        place_of: dict[str | None, int] = {name: place for place, name in enumerate(own.names)}
        if own.has_missing:
            place_of[None] = len(own.names)
        texts = column.texts().tolist()
        for text in dict.fromkeys(texts):  # a column has few different ones
            if text not in place_of:
                place_of[text] = own.n_inputs - 1 if own.has_rare and text is not None else UNKNOWN
        places = np.fromiter(map(place_of.__getitem__, texts), np.intp, len(texts))
        is_known = places != UNKNOWN
        inputs[np.flatnonzero(is_known), places[is_known]] = 1
        names = ("no value" if texts[row] is None else repr(texts[row]) for row in np.flatnonzero(~is_known))
        unknown = Counter(names)
        if unknown:
            shown = ", ".join(f"{text} ({n} rows)" for text, n in list(unknown.items())[:3])
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            notes.append(
                f"column {column.name!r}: not seen in training, taken for none of its categories: "
                f"{shown}{more}"
            )
        return own.n_inputs

    def _plain(self, table: Table, column: Column) -> np.ndarray:
        """Numbers of a column, whatever it is, if it can be what it was in training."""
        what, kind = f"{table.path}: column {column.name!r}", self.kinds.get(column.name, NUMBER)
        if column.kind == TEXT and kind == DATE:
            return self._dates(table, column)
        if column.is_missing.all():  # it shows no kind
            return np.full(len(column), np.nan)
        if column.kind == TEXT:
            trouble = column.trouble
            why = _a_text(column, table.first_row)
            if trouble is not None:
                why = str(replace(trouble, row=trouble.row + table.first_row - 1))
            raise TableError(
                f"{table.path}: column {column.name!r}: {why}, but the model learnt {kind}s from it."
            )
        if (kind == DATE) != (column.kind == DATE):
            raise TableError(f"{what} has {column.kind}s, but the model learnt {kind}s from it.")
        return _numbers(table, column)

    def _dates(self, table: Table, column: Column) -> np.ndarray:
        form = self.forms.get(column.name, "")
        texts = column.values.tolist()
        days_of = {v: float("nan") if v is None else days_of_text(v, form) for v in dict.fromkeys(texts)}
        days = [days_of[text] for text in texts]
        if None in days_of.values():
            row = days.index(None)
            raise TableError(
                f"{table.path}: column {column.name!r} has {column.values[row]!r} in row "
                f"{table.first_row + row}, which is no date as the model learnt them ({form})."
            )
        return np.array(days, float)

    def told(self) -> list[str]:
        """What is done to columns, in short lines."""
        lines = []
        plain = [name for name in self.columns if name not in self.kinds]
        for kind, names in (
            ("numbers", plain),
            ("booleans, as 0 and 1", [n for n, kind in self.kinds.items() if kind == BOOLEAN]),
            ("dates, as days since 1970", [n for n, kind in self.kinds.items() if kind == DATE]),
        ):
            if names:
                lines.append(f"standardised {kind}: {listed(names, 6)}")
        if self.gaps:
            lines.append(f"missing values set to the mean, and marked: {listed(self.gaps, 6)}")
        for name, own in self.categories.items():
            rest = [*["missing"] * own.has_missing, *["the rare"] * own.has_rare]
            what = "category" if len(own.names) == 1 else "categories"
            lines.append(f"{name!r}: {len(own.names)} {what}{''.join(f', {r}' for r in rest)}")
        if self.hashing is not None:
            hashed = listed(self.hashing.columns, 6)
            lines.append(f"hashed into {self.hashing.n_inputs} inputs: {hashed}")
        return lines + [f"left out: {name!r} {why}" for name, why in self.left_out.items()]

    def as_json(self) -> dict[str, Any]:
        """As model files hold it; floats are written with all their digits."""
        hashing = {} if self.hashing is None else {"hashing": self.hashing.as_json()}
        return {
            "columns": list(self.columns),
            "kinds": dict(self.kinds),
            "forms": dict(self.forms),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "gaps": list(self.gaps),
            "categories": {
                name: {"names": list(own.names), "has_missing": own.has_missing, "has_rare": own.has_rare}
                for name, own in self.categories.items()
            },
            "left_out": dict(self.left_out),
            "missing": list(self.missing),
            **hashing,
        }

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> "Preparation":
        """The same again.

        Raises
        ------
        ValueError
            If the description is damaged; it says what is wrong.
        """
        columns = strings(described, "columns")
        kinds, forms, left_out = (mapping(described, key) for key in ("kinds", "forms", "left_out"))
        if not set(kinds) <= set(columns) or not all(
            kind in (BOOLEAN, DATE, TEXT, HASHED) for kind in kinds.values()
        ):
            raise ValueError("kinds must be boolean, date, text or hashed, of columns")
        if not all(isinstance(text, str) for text in (*forms.values(), *left_out.values())):
            raise ValueError("forms and left_out must be texts")
        categories = {name: _from_json(own) for name, own in mapping(described, "categories").items()}
        if set(categories) != {name for name, kind in kinds.items() if kind == TEXT}:
            raise ValueError("categories must be there for all columns of texts, and for no others")
        hashing = Hashing.from_json(mapping(described, "hashing")) if "hashing" in described else None
        hashed = {name for name, kind in kinds.items() if kind == HASHED}
        if hashed != (set() if hashing is None else set(hashing.columns)):
            raise ValueError("hashing must have the columns that are hashed, and no others")
        n_plain = len(columns) - len(categories) - len(hashed)
        gaps, missing = (
            strings(described, key) if described.get(key) != [] else [] for key in ("gaps", "missing")
        )
        if not set(gaps) <= set(columns) - set(categories) - hashed:
            raise ValueError("gaps must be columns of numbers")
        mean, scale = (numbers(described, key, n_plain) for key in ("mean", "scale"))
        return cls(
            tuple(columns),
            kinds,
            forms,
            mean,
            scale,
            tuple(gaps),
            {name: categories[name] for name in columns if name in categories},
            left_out,
            tuple(missing),
            hashing,
        )


def _from_json(described: Any) -> Categories:
    if not isinstance(described, dict):
        raise ValueError("categories must be objects")
    has_missing, has_rare = described.get("has_missing"), described.get("has_rare")
    if not isinstance(has_missing, bool) or not isinstance(has_rare, bool):
        raise ValueError("has_missing and has_rare must be true or false")
    return Categories(tuple(strings(described, "names")), has_missing, has_rare)


def _kept(
    table: Table, names: Sequence[str], rows: np.ndarray, keeps_names: bool
) -> tuple[list[Column], dict[str, str]]:
    """Those rows of columns to learn from, and why the others are not."""
    kept, left_out = [], {}
    for name in names:
        column = table.column(name)
        if _is_broken(column):
            raise TableError(
                f"{table.path}: column {name!r}: {column.trouble}; --ignore {name} leaves it out."
            )
        if column.kind != TEXT:
            _numbers(table, column)  # raises for one that is infinite
        column = column.rows(rows)
        is_missing = column.is_missing
        if is_missing.all():
            left_out[name] = "has no value"
        elif column.kind == TEXT and not keeps_names and _is_a_name(column.values[~is_missing]):
            left_out[name] = "is different in almost every row, as a name is"
        else:
            kept.append(column)
    return kept, left_out


def _is_broken(column: Column) -> bool:
    """Whether texts are meant for numbers: few different ones may as well be categories."""
    if column.trouble is None or column.trouble.kind == NEARLY:
        return False
    return column.trouble.kind == UNDECIDED or len(set(column.values)) > FEW


def _is_a_name(texts: np.ndarray) -> bool:
    n_distinct = len(set(texts))
    return n_distinct > FEW and 2 * n_distinct > len(texts)


def _categories(column: Column) -> Categories:
    is_missing = column.is_missing
    names, counts = np.unique(column.values[~is_missing].astype(str), return_counts=True)
    has_rare = len(names) > MOST_CATEGORIES
    if has_rare:  # of categories that are as frequent as each other the first in the alphabet
        names = np.sort(names[np.argsort(-counts, kind="stable")[: MOST_CATEGORIES - 1]])
    return Categories(tuple(names.tolist()), bool(is_missing.any()), has_rare)


def _by_scikit_learn(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of columns."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(values)
    return scaler.mean_, scaler.scale_


def _numbers(table: Table, column: Column) -> np.ndarray:
    values = np.array(column.values, float)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        others = f" (and {len(infinite) - 1} more)" if len(infinite) > 1 else ""
        raise TableError(
            f"{table.path}: column {column.name!r} has an infinite value in row "
            f"{table.first_row + infinite[0]}{others}; fill such values in, or leave them empty."
        )
    if np.abs(values).max(where=~np.isnan(values), initial=0) > LARGEST:
        raise TableError(f"{table.path}: column {column.name!r} has values too large to be standardised.")
    return values


def _a_text(column: Column, first_row: int) -> str:
    """The first text that is no number, which is what is wrong with the column."""
    for row, text in enumerate(column.values, start=first_row):
        if text is not None and plain_number(text) is None:
            return f"{text!r} in row {row} is text"
    return "has text"
