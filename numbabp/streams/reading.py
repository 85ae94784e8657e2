"""The thread that reads a stream, beside the one that trains."""

import time
import warnings
from collections.abc import Iterator
from contextlib import suppress

from ..training.threads import PAUSE_SECONDS, Work
from .batches import Batch
from .ring import Ring, StoppedError
from .writing import Writer

PATIENCE_SECONDS = 0.05
"""So long rows may wait for others, before they are learnt by themselves."""
END_SECONDS = 2.0
"""So long a source may take to end, when nobody wants more of it."""


class Reader:
    """Writes the rows of batches into a ring, in a thread of its own, from `start` to `end`.

    Parameters
    ----------
    batches
        Checked ones; closed in the thread that reads, if they can be.
    writer
        Of their rows.
    ring
        Where they go.
    """

    def __init__(self, batches: Iterator[Batch], writer: Writer, ring: Ring) -> None:
        self._batches, self._writer, self._ring = batches, writer, ring
        self._work = Work(self._read)

    def start(self) -> None:
        """Begin to read."""
        self._work.start()

    def stop(self) -> None:
        """Have the thread end as soon as it can."""
        self._ring.stop()
        self._work.call_off()

    def end(self) -> None:
        """Wait until the thread has ended; a source that hangs is left alone, with a warning."""
        self.stop()
        self._work.wait(END_SECONDS)
        if not self._work.is_done:
            warnings.warn(
                "the source of a stream still reads, in a thread that can't be ended from outside: it ends "
                "when the source returns.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _read(self) -> None:
        try:
            with suppress(StoppedError):
                for batch in self._batches:
                    self._writer.write(batch)
                    del batch  # not while the next one is read
                    self._ring.check_going_on()
        finally:
            self._writer.finish()
            close = getattr(self._batches, "close", None)
            if close is not None:
                close()

    def wait_for(self, wanted: int, unit: int) -> int:
        """How many rows may be taken: as many as `wanted`, or fewer of a source that takes its time.

        Fewer are a multiple of `unit`, unless the source has ended: then they are all that there are, and 0
        if there are none. A source that has failed has ended, too; see `error`.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            has_ended = self._work.is_done  # before rows are counted: none are to come then
            waiting = self._ring.waiting
            if waiting >= wanted or has_ended:
                return min(waiting, wanted)
            if waiting >= unit and time.monotonic() >= until:
                return waiting - waiting % unit
            time.sleep(PAUSE_SECONDS)

    @property
    def has_ended(self) -> bool:
        """Whether no rows are to come."""
        return self._work.is_done

    @property
    def error(self) -> BaseException | None:
        """What the source has raised, once it has ended."""
        return self._work.error if self._work.is_done else None
