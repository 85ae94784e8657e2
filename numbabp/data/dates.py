"""Dates in texts, as days since 1970-01-01."""

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import numpy as np

ISO = "ISO 8601"
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?")
_LIKE_A_DATE = re.compile(r"\s*(?:\d{1,4}|[^\W\d]{3,})[-./ ](?:\d{1,2}|[^\W\d]{3,})[-./ ,]+\d")
_DAYS = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d"),
    *("%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S")
FORMATS = (ISO, *(day + time for day in _DAYS for time in _TIMES))
"""In which dates are looked for, in this order."""
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
    if not _LIKE_A_DATE.match(next(iter(texts), "")):  # most texts are no dates: that is to take no time
        return []
    return [form for form in FORMATS if all(days_of_text(text, form) is not None for text in texts)]
