"""Training that ends after so many seconds, where it can be gone on with elsewhere."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from .standing import Standing


class Until:
    """Stands in for a `Keeper`: ends training in time, where it can be gone on with.

    Parameters
    ----------
    seconds
        From the first slice on, as what is compiled before may take long.
    stop
        Set then.
    """

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self._seconds, self._stop = seconds, stop
        self._end: float | None = None
        self.standing: Standing | None = None
        """Where it has ended."""

    def look(
        self,
        standing: Callable[[], Standing],
        paused: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """See `Keeper`."""
        now = time.monotonic()
        if self._end is None:
            self._end = now + self._seconds
        if now >= self._end and self.standing is None:
            with paused():
                self.standing = standing().copied()
            self._stop.set()

    def finish(self, standing: Standing) -> None:
        """See `Keeper`; the networks themselves are what comes back."""

    def close(self) -> None:
        """See `Keeper`."""
