"""What a search asks of a fit: where it is kept, when it is to end, and what it would warn of."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sklearn.exceptions import ConvergenceWarning

from ...training.checkpoints.keeper import Checkpoint


class Supervision(NamedTuple):
    """Of one fit; an interruption of it then passes, and is no warning."""

    checkpoint: Checkpoint | None = None
    """Where its run is kept, instead of where the parameter says."""
    stop: threading.Event | None = None
    """Ends it as by Ctrl-C once it is set: for threads that Ctrl-C does not reach."""


@contextmanager
def supervised(model: Any, by: Supervision) -> Iterator[None]:
    """Meanwhile each fit of a `BaseMLP` is supervised."""
    model.supervision = by
    try:
        yield
    finally:
        del model.supervision


_OF_THREAD = threading.local()


@contextmanager
def listening() -> Iterator[list[str]]:
    """Meanwhile what `warn_of_fit` is told in this thread goes into the list, and is no warning.

    Python's own record of warnings is one for all threads.
    """
    before = getattr(_OF_THREAD, "heard", None)
    _OF_THREAD.heard = heard = list[str]()
    try:
        yield heard
    finally:
        _OF_THREAD.heard = before


def warn_of_fit(message: str, stacklevel: int) -> None:
    """Give a ConvergenceWarning of a fit that has ended, unless somebody is `listening`."""
    heard = getattr(_OF_THREAD, "heard", None)
    if heard is None:
        warnings.warn(message, ConvergenceWarning, stacklevel=stacklevel + 1)
    else:
        heard.append(message)
