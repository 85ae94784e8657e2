"""Dates in texts, as days since 1970-01-01."""

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import numpy as np

ISO = "ISO 8601"
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?")
_LIKE_A_DATE = re.compile(
    r"\s*(?:(?:[^\W\d]{3}, )?(?:\d{1,4}|[^\W\d]{3,})[-./ ](?:\d{1,2}|[^\W\d]{3,})[-./ ,]+\d"
    r"|(?:\d{4}[-/]\d\d|(?:[^\W\d]{3,}[- ]|\d\d?/)\d{4})\s*$)"
)
_DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y"),
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%a, %d %b %Y"),
)
_SHORT = ("%d.%m.%y", "%d-%m-%y", "%m-%d-%y")
_TWO_DIGITS = re.compile(r"\d\d[.-]\d\d[.-]\d\d")
"""Without zeros before single digits such texts are rather numbers of versions."""
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_MONTHS = ("%Y-%m", "%Y/%m", "%b %Y", "%B %Y", "%b-%Y", "%m/%Y")
FORMATS = (ISO, *(day + time for day in _DAYS for time in _TIMES), *_MONTHS)
"""In which dates are looked for, in this order; months are their first days."""
_EPOCH = datetime(1970, 1, 1)
_DAY = 86400e6
"""Microseconds."""


def days_of_text(text: str, form: str) -> float | None:
    """Days since 1970-01-01, UTC where the text has a time zone; None if it is no date in this format."""
    text = text.strip()
    try:
        if form == ISO:
            if not _ISO.fullmatch(text):
                return None
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None:
                moment = moment.astimezone(UTC).replace(tzinfo=None)
        elif form.startswith(_SHORT) and not _TWO_DIGITS.match(text):
            return None
        else:
            moment = datetime.strptime(text, form)
    except (ValueError, OverflowError):
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) / _DAY


def days_of_array(moments: np.ndarray) -> np.ndarray:
    """Days since 1970-01-01 of datetime64, NaN for NaT."""
    microseconds = moments.astype("datetime64[us]")
    return np.where(np.isnat(microseconds), np.nan, microseconds.astype(np.int64) / _DAY)


def formats_of(texts: Collection[str]) -> list[str]:
    """The formats in which all these texts are dates."""
    return [
        form
        for form in _formats_of_first(texts)
        if all(days_of_text(text, form) is not None for text in texts)
    ]


def _formats_of_first(texts: Collection[str]) -> list[str]:
    first = next(iter(texts), "")
    if not _LIKE_A_DATE.match(first):  # most texts are no dates: that is to take no time
        return []
    return [form for form in FORMATS if days_of_text(first, form) is not None]


def not_like_the_first(texts: Collection[str]) -> list[str]:
    """Where the first text is a date and no format is that of all, those that are not written as the first.

    Empty where these are most, so that the first is hardly meant for a date.
    """
    rests = [[t for t in texts if days_of_text(t, form) is None] for form in _formats_of_first(texts)]
    fewest = min(rests, key=len, default=[])
    return fewest if 2 * len(fewest) <= len(texts) else []
