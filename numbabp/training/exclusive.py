"""One training at a time for each network: another thread's would undo the steps of the first one."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_busy: set[tuple[int, int]] = set()
"""Processes and objects: not a lock in each, which could be neither copied nor pickled."""


@contextmanager
def trained_alone(trained: Any) -> Iterator[None]:
    """Meanwhile no other call trains the same object.

    Raises
    ------
    RuntimeError
        If one does already, in another thread or around this one, from whose callback it was made.
    """
    key = os.getpid(), id(trained)  # what is held here keeps its id
    with _lock:
        if key in _busy:
            raise RuntimeError(
                f"{trained!r} is being trained already, in another thread or by the fit whose callback this "
                "is: train a copy (copy.deepcopy), or wait for the other call to end."
            )
        _busy.add(key)
    try:
        yield
    finally:
        with _lock:
            _busy.discard(key)
