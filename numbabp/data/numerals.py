"""Numbers as people write them: decimal points or commas, and marks between thousands.

Nothing is guessed where two readings are possible: `1,010` alone may be 1.010 or 1010, and is left undecided
unless another value of the column or of the table tells which.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_SPACES = " '’\u00a0\u202f"
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_PATTERNS = {
    ".": re.compile(rf"[+-]?(?:(?:\d+|[1-9]\d{{0,2}}(?:[,{_SPACES}]\d{{3}})+)(?:\.\d*)?|\.\d+){_EXPONENT}"),
    ",": re.compile(rf"[+-]?(?:(?:\d+|[1-9]\d{{0,2}}(?:[.{_SPACES}]\d{{3}})+)(?:,\d+)?|,\d+){_EXPONENT}"),
}
_NOT_DIGITS = re.compile(rf"[,{_SPACES}]")
_NEARLY = re.compile(r"[^\w]{0,3}\d[\d.,'’\s]*[^\d]{0,4}")
"""Digits with a unit, a currency or the like around them."""
_UNIT = re.compile(rf"([^\w#+-]{{0,3}}?)\s*([+-]?\d[\d.,{_SPACES}]*?(?:[eE][+-]?\d+)?)\s*([^\d]{{0,4}})")
FEW_UNITS = 3
"""Such as EUR, USD and GBP in one column."""


def plain_number(text: str) -> float | None:
    """A number as Python writes it, or None. Underscores, which Python allows, are none of a number."""
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def number(text: str, decimal: str) -> float | None:
    """A number with this decimal sign, `.` or `,`, and perhaps marks between thousands; else None."""
    text = text.strip().replace("\u2212", "-")  # the minus sign of typesetters
    if _PATTERNS[decimal].fullmatch(text):
        digits = text.replace(".", "").replace(",", ".") if decimal == "," else text
        return float(_NOT_DIGITS.sub("", digits))
    return plain_number(text) if not any(map(str.isdigit, text)) else None  # infinity, say


def is_nearly_number(text: str) -> bool:
    """Whether a text has digits with little around them, as `12 %`, `$1,000` and `<0.1` have."""
    return bool(_NEARLY.fullmatch(text.strip()))


def have_a_unit(texts: Collection[str]) -> bool:
    """Whether all texts are numbers with one of a few units, currencies or the like."""
    parts = [_UNIT.fullmatch(text.strip()) for text in texts]
    units = {(part[1], part[3]) for part in parts if part}
    return len(units) <= FEW_UNITS and all(
        part and (number(part[2], ".") is not None or number(part[2], ",") is not None) for part in parts
    )


@dataclass(frozen=True)
class Numerals:
    """How different texts may be read as numbers.

    Attributes
    ----------
    by_decimal : dict of str to dict
        By decimal sign: the number of each text; only where all texts are numbers with that sign.
    undecided : str or None
        A text that is one number with a decimal point and another with a decimal comma.
    shows : str or None
        The decimal sign that these texts show beyond doubt.
    """

    by_decimal: Mapping[str, Mapping[str, float]]
    undecided: str | None
    shows: str | None

    @classmethod
    def of(cls, texts: Collection[str]) -> "Numerals":
        """Look at different texts, none of which stands for no value."""
        by_decimal: dict[str, dict[str, float]] = {}
        for decimal in _PATTERNS:
            read = {text: number(text, decimal) for text in texts}
            if None not in read.values():
                by_decimal[decimal] = {text: value for text, value in read.items() if value is not None}
        if len(by_decimal) == 2:
            points, commas = by_decimal["."], by_decimal[","]
            undecided = (t for t in texts if points[t] != commas[t] and points[t] == points[t])
            return cls(by_decimal, next(undecided, None), None)
        has_sign = any("." in text or "," in text for text in texts)  # digits alone show nothing
        return cls(by_decimal, None, next(iter(by_decimal), None) if has_sign else None)
