"""Columns of tables: numbers, booleans, dates and texts, and what a text is read as."""

import datetime
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from .dates import days_of_array, days_of_text, formats_of, not_like_the_first
from .numerals import Numerals, have_a_unit, is_nearly_number, number, plain_number

NUMBER, BOOLEAN, DATE, TEXT = "number", "boolean", "date", "text"
UNDECIDED, SLIP, NEARLY, WITH_UNIT = "undecided", "slip", "nearly", "with unit"
MISSING = frozenset({"", "na", "n/a", "nan", "-nan", "null", "none", "nat", "?", "<na>", "#n/a", "#na"})
"""Texts that stand for no value, in lower case."""
BOOLEANS = {"false": 0.0, "true": 1.0}
FEW = 20
"""Different values that are taken for classes or categories rather than for amounts."""
MOSTLY = 0.5
"""Part of a column's different texts that are numbers, from which on the others are taken for slips."""

LONGEST_SHOWN = 40
"""Characters of a value in a message."""


class TableError(ValueError):
    """Something about a file or its columns that the user can mend."""


def said(error: Exception) -> str:
    """What a library says of a file, in one line."""
    return " ".join(str(error).split()).removesuffix(".") or type(error).__name__


@dataclass(frozen=True)
class Trouble:
    """Why texts that look like something else were left as they are, and what can be done about it.

    Attributes
    ----------
    text : str
        The one that it is about.
    row : int
        Where it stands, from 1.
    why, way_out : str
    kind : {"undecided", "slip", "nearly", "with unit"}
        Texts may be one number or date or another; some are none among many numbers; most have little around
        digits; and the same, such as a percent sign, around numbers.
    """

    text: str
    row: int
    why: str
    way_out: str
    kind: str

    def __str__(self) -> str:
        return f"{self.text!r} in row {self.row} {self.why}; {self.way_out}"


@dataclass(frozen=True)
class Column:
    """A column, read.

    Attributes
    ----------
    name : str
    kind : {"number", "boolean", "date", "text"}
    values : ndarray of shape (n,)
        Numbers of any type (days since 1970-01-01 of dates, 0 and 1 of booleans), NaN where there is no
        value; of texts objects, each a str, or None where there is no value.
    form : str
        How texts were read: the format of dates; `,` for numbers with decimal commas, `.` for those with
        commas between thousands; "" for anything plain.
    trouble : Trouble, optional
        What may be wrong with texts.
    """

    name: str
    kind: str
    values: np.ndarray
    form: str = ""
    trouble: Trouble | None = None

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, rows: np.ndarray) -> "Column":
        """The column of some of the rows."""
        return replace(self, values=self.values[rows])

    @property
    def is_missing(self) -> np.ndarray:
        """Where there is no value: bool (n,)."""
        if self.kind == TEXT:
            return np.array([value is None for value in self.values.tolist()])
        return np.isnan(self.values) if self.values.dtype.kind == "f" else np.zeros(len(self), bool)

    def texts(self) -> np.ndarray:
        """Values as texts, None where there is none: whole numbers without a point, False and True."""
        if self.kind == TEXT:
            return self.values
        distinct, places = np.unique(self.values, return_inverse=True)
        return np.array([self._text(value) for value in distinct.tolist()], object)[places]

    def _text(self, value: float) -> str | None:
        if value != value:
            return None
        if self.kind == BOOLEAN:
            return str(bool(value))
        return str(int(value)) if float(value).is_integer() else str(value)


def column_of_texts(
    name: str, values: Iterable[str | None], missing: Iterable[str] = (), decimal: str | None = None
) -> Column:
    """Read texts as numbers, booleans or dates if all are, apart from those missing; else as texts.

    Parameters
    ----------
    name : str
    values : iterable of str or None
    missing : iterable of str
        Texts that stand for no value, besides `MISSING`.
    decimal : {".", ","}, optional
        What the decimal sign is where these texts don't show it.
    """
    values = list(values)
    stripped = {value: None if value is None else value.strip() for value in dict.fromkeys(values)}
    none = none_of(missing)
    distinct = [t for t in dict.fromkeys(stripped.values()) if t is not None and t.lower() not in none]
    read = _read(distinct, decimal)
    if read.kind != TEXT:
        number_of = {value: read.numbers.get(text, float("nan")) for value, text in stripped.items()}
        found = np.fromiter(map(number_of.__getitem__, values), float, len(values))
        if read.kind == NUMBER:
            found = without_missing(found, missing)
        return Column(name, read.kind, found, read.form)
    kept = set(distinct)
    text_of = {value: text if text in kept else None for value, text in stripped.items()}
    texts = np.array(list(map(text_of.__getitem__, values)), object)
    trouble = read.trouble
    if trouble is not None:
        row = next(row for row, value in enumerate(values, start=1) if stripped[value] == trouble.text)
        trouble = replace(trouble, row=row)
    return Column(name, TEXT, texts, "", trouble)


def without_missing(values: np.ndarray, missing: Iterable[str]) -> np.ndarray:
    """Numbers with NaN for those that are told to stand for no value, -999 say, however they are written."""
    told = [number for text in missing if (number := plain_number(text)) is not None and number == number]
    is_missing = np.isin(values, told) if told else np.zeros(0, bool)
    return np.where(is_missing, np.nan, values) if is_missing.any() else values


def none_of(missing: Iterable[str]) -> frozenset[str]:
    """Texts that stand for no value, in lower case: `MISSING` and others."""
    return MISSING | {text.strip().lower() for text in missing}


def as_texts(name: str, values: Iterable[str | None], missing: Iterable[str] = ()) -> Column:
    """A column of texts, whatever they look like."""
    none, values = none_of(missing), list(values)
    stripped = {value: None if value is None else value.strip() for value in dict.fromkeys(values)}
    text_of = {v: None if text is None or text.lower() in none else text for v, text in stripped.items()}
    return Column(name, TEXT, np.array(list(map(text_of.__getitem__, values)), object))


def column_of_array(
    name: str, values: np.ndarray, missing: Iterable[str] = (), as_text: bool = False
) -> Column:
    """A column of an array of one dimension: of numbers, booleans, dates, texts, or objects.

    Of any other kind it has the trouble that says so: it may be one that nobody asks for.
    """
    kind = values.dtype.kind
    if values.ndim != 1 or kind not in "iufbmMSUTO":
        what = f"of shape {values.shape[1:]}" if values.ndim != 1 else f"of dtype {values.dtype}"
        return _strange(name, [str(value) for value in values], 0, what)
    if kind in "SUTO":
        objects = values.tolist()
        texts = [_decoded(value) for value in objects] if kind == "S" else objects
        return _column_of_objects(name, texts, missing, as_text)
    if kind in "iufb":
        of_numbers = Column(name, NUMBER, without_missing(values, missing))
        column = Column(name, BOOLEAN, values) if kind == "b" else of_numbers
    elif kind == "M":
        column = Column(name, DATE, days_of_array(values))
    else:
        column = Column(name, NUMBER, days_of_array(values.astype("timedelta64[us]").view("datetime64[us]")))
    return Column(name, TEXT, column.texts()) if as_text else column


def _column_of_objects(name: str, values: list[Any], missing: Iterable[str], as_text: bool) -> Column:
    """A column of Python's objects: of booleans, numbers or dates where all are, else of texts of them."""
    present = [value for value in values if not _is_none(value)]
    nan = float("nan")
    if all(isinstance(value, str) for value in present) or as_text:
        read = as_texts if as_text else column_of_texts
        return read(name, (None if _is_none(value) else str(value) for value in values), missing)
    if all(isinstance(value, bool | np.bool_) for value in present):
        return Column(name, BOOLEAN, np.array([nan if _is_none(v) else float(v) for v in values]))
    if all(isinstance(v, numbers.Real | Decimal) and not isinstance(v, bool) for v in present):
        found = np.array([nan if _is_none(v) else float(v) for v in values])
        return Column(name, NUMBER, without_missing(found, missing))
    if all(isinstance(value, datetime.date) for value in present):
        moments = np.array([None if _is_none(value) else str(value) for value in values], "datetime64[us]")
        return Column(name, DATE, days_of_array(moments))
    if all(isinstance(value, datetime.timedelta) for value in present):
        days = [nan if _is_none(value) else value / datetime.timedelta(days=1) for value in values]
        return Column(name, NUMBER, np.array(days, float))
    texts = [None if _is_none(value) else str(value) for value in values]
    for row, value in enumerate(values):
        if not (_is_none(value) or isinstance(value, _TAKEN)):
            return _strange(name, texts, row, f"of type {type(value).__name__}")
    return column_of_texts(name, texts, missing)


_TAKEN = (str, bool, numbers.Real, Decimal, datetime.date, np.generic)


def _decoded(value: bytes) -> str:
    """Text of bytes, UTF-8 or else Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _strange(name: str, texts: list[str | None], row: int, what: str) -> Column:
    """A column of what can't be learnt from, lists or images say."""
    text = texts[row] or ""
    shown = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
    trouble = Trouble(shown, row + 1, f"is {what}", "numbers, texts or dates are needed", UNDECIDED)
    return Column(name, TEXT, np.array(texts, object), "", trouble)


def _is_none(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or pandas' NA, which is equal to nothing, not even to itself."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # pandas' NA has no truth value
        return True
    except ValueError:  # neither has an array, which is said elsewhere
        return False


@dataclass(frozen=True)
class _Read:
    """What different texts are, with the number of each unless they are texts."""

    kind: str
    numbers: Mapping[Any, float]
    form: str = ""
    trouble: Trouble | None = None


def _read(distinct: list[str], decimal: str | None) -> _Read:
    if decimal != ",":  # most columns of numbers are plain
        plain = {text: plain_number(text) for text in distinct}
        if None not in plain.values():
            return _Read(NUMBER, {text: value for text, value in plain.items() if value is not None})
    if all(text.lower() in BOOLEANS for text in distinct):
        return _Read(BOOLEAN, {text: BOOLEANS[text.lower()] for text in distinct})
    numerals = Numerals.of(distinct)
    sign = numerals.shows or decimal or ("." if numerals.undecided is None else None)
    if sign is not None and sign in numerals.by_decimal:
        has_commas = any("," in text or ("." in text and sign == ",") for text in distinct)
        return _Read(NUMBER, numerals.by_decimal[sign], sign if has_commas else "")
    if numerals.undecided is not None:
        return _Read(TEXT, {}, trouble=_of_points_and_commas(numerals))
    days = {
        form: {text: days_of_text(text, form) or 0.0 for text in distinct} for form in formats_of(distinct)
    }
    if not days:
        return _Read(TEXT, {}, trouble=_of_mixed_dates(distinct) or _slip(distinct))
    form, of_form = next(iter(days.items()))
    if all(others == of_form for others in days.values()):
        return _Read(DATE, of_form, form)
    return _Read(TEXT, {}, trouble=_of_days_and_months(next(t for t in distinct if len(_days(days, t)) > 1)))


def _days(days: Mapping[str, Mapping[str, float]], text: str) -> set[float]:
    return {of_form[text] for of_form in days.values()}


def _of_points_and_commas(numerals: Numerals) -> Trouble:
    text = numerals.undecided or ""
    point, comma = (_short(numerals.by_decimal[sign][text]) for sign in ".,")
    why = f"may be {comma} or {point}"
    return Trouble(text, 0, why, "say --decimal , for the former, --decimal . for the latter", UNDECIDED)


def _of_days_and_months(text: str) -> Trouble:
    why = "is a date whose day and month can't be told apart"
    return Trouble(text, 0, why, "write the year first", UNDECIDED)


def _of_mixed_dates(distinct: list[str]) -> Trouble | None:
    """A text that is written otherwise than the first, where most are dates."""
    others = not_like_the_first(distinct)
    if not others:
        return None
    why = f"is not written as the date {distinct[0]!r} is"
    return Trouble(others[0], 0, why, "write dates alike, the year first", SLIP)


def _slip(distinct: list[str]) -> Trouble | None:
    """A text among numbers that is none, or nearly one."""
    others = [text for text in distinct if number(text, ".") is None and number(text, ",") is None]
    if len(others) < (1 - MOSTLY) * len(distinct):
        if not others:  # some have decimal commas, some decimal points
            text = next((text for text in distinct if number(text, ".") is None), distinct[0])
            return Trouble(text, 0, "has another decimal sign than others", "write them alike", UNDECIDED)
        more = f" (and {len(others) - 1} more such texts)" if len(others) > 1 else ""
        way_out = f"--missing {others[0]!r} takes it for no value, --text the column for categories"
        return Trouble(others[0], 0, f"is no number, but most others are{more}", way_out, SLIP)
    nearly = [text for text in distinct if is_nearly_number(text)]
    if len(nearly) > MOSTLY * len(distinct):
        way_out = "write plain numbers, or take the column for categories with --text"
        kind = WITH_UNIT if have_a_unit(nearly) else NEARLY
        return Trouble(nearly[0], 0, "is a number with something around it", way_out, kind)
    return None


def _short(value: float) -> str:
    return str(int(value)) if value.is_integer() else str(value)
