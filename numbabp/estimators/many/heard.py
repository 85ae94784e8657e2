"""Warnings that many fits end with, told as one, with the first fit that it is about."""

import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from sklearn.exceptions import ConvergenceWarning


class Heard(NamedTuple):
    """A fit's warning."""

    message: str
    candidate: dict[str, Any]
    """The fit's parameters, of those that are searched."""
    fold: int


def is_to_be_told(message: str) -> bool:
    """Whether Python's filters of warnings let a fit's warning through; to be called in the caller's thread.

    Raises
    ------
    ConvergenceWarning
        If they make an error of it.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.warn(message, ConvergenceWarning, stacklevel=1)
    is_told = False
    for other in caught:
        if str(other.message) == message and other.category is ConvergenceWarning:
            is_told = True
        else:  # of another thread, which the context has taken, too
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    return is_told


def tell(heard: Sequence[Heard], n_fits: int) -> None:
    """Give one warning for all that differ in numbers alone, at the line that called the caller."""
    groups: dict[str, list[Heard]] = {}
    for one in heard:
        groups.setdefault(re.sub(r"\d[\d.e+-]*", "#", one.message), []).append(one)
    for group in groups.values():
        first = group[0]
        warnings.warn(
            f"{len(group)} of {n_fits} fits (first: {first.candidate!r}, fold {first.fold + 1}) ended with: "
            f"{first.message}",
            ConvergenceWarning,
            stacklevel=3,
        )
