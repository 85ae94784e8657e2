"""What ends a command from outside: Ctrl-C, a scheduler's SIGTERM, a terminal that is closed.

The first signal ends training after the slice that is under way, and everything else at once, by
KeyboardInterrupt; commands keep what there is to keep, and say so in one line. The exit status is 128 and the
signal's number, as a shell has it for a program that a signal has ended.
"""

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from ...training.slicing import ENDING

WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
"""Signals that end a command, where the system has them, and what is said of it then."""
AGAIN_SECONDS = 1.0
"""So soon a second one is the first one again: `timeout` sends what it sends both to the program and to its
group, and what runs others passes on a Ctrl-C that the terminal has given them already. Later, it cuts short
what the first one has begun, such as writing a file."""
LOST_SECONDS = 0.05
"""After which a signal comes again whose exception Python could hand to nobody, or would have."""
PRINTS_EXCEPTIONS = "numba"
"""Its parts in C, while it is imported, print those that come amid what they import, and go on."""


class Ended(KeyboardInterrupt):
    """A signal has come.

    Not a KeyboardInterrupt itself: where one leaves a string that is executed, as by what makes named tuples,
    Python notes that nobody handles it, and `python -m` then ends by SIGINT, whatever the status was to be.
    """


class Interrupted(KeyboardInterrupt):
    """A command has been ended, and what there was to keep has been kept: its text tells where."""


class Signals:
    """Those of the process, while its one command runs; a context for the main thread."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._last = 0.0
        self._before: dict[int, Any] = {}
        self._is_told = False

    @property
    def came(self) -> bool:
        """Whether there has been one of which nothing is told yet."""
        return self._first is not None and not self._is_told

    def status(self) -> int:
        """Exit status of a command that was ended."""
        return 128 + self._number

    def line(self, error: BaseException | None = None) -> str:
        """What to tell, once: with the text of an `Interrupted`."""
        self._is_told = True
        word = WORDS[signal.Signals(self._number).name]
        return f"{word}; {error}" if isinstance(error, Interrupted) else f"{word}."

    def __enter__(self) -> "Signals":
        for name in WORDS:
            number = getattr(signal, name, None)
            # who ignores one for us, as nohup does, means it
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        self._hook = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        return self

    def __exit__(self, *error: object) -> None:
        """From here on nothing is left to be ended: Python's own end would make a traceback of a signal."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    @property
    def _number(self) -> int:
        return signal.SIGINT if self._first is None else self._first

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if _is_being_imported(PRINTS_EXCEPTIONS):
            _send_again(number)
            return
        now = time.monotonic()
        is_first = self._first is None
        if not is_first and now - self._last < AGAIN_SECONDS:
            return
        self._first, self._last = number if is_first else self._first, now
        if not (is_first and ENDING.ask()):
            raise Ended

    def _unraisable(self, lost: Any) -> None:
        """Let a signal come again whose exception was raised where Python drops it, as in a finalizer."""
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            self._hook(lost)
            return
        self._last = time.monotonic() - AGAIN_SECONDS
        _send_again(self._number)


SIGNALS = Signals()
"""This process's."""


def _is_being_imported(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))  # which importlib sets meanwhile


def _send_again(number: int) -> None:
    again = threading.Timer(LOST_SECONDS, _send_to_main_thread, [number])
    again.daemon = True
    again.start()


def _send_to_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill"):  # which also wakes it up where it waits
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)
