"""One training at a time for each network: another thread's would undo the steps of the first one."""

import logging
import os
import sys
import threading
from types import CodeType, FrameType
from typing import Any

logger = logging.getLogger(__name__)
_lock = threading.Lock()
_busy: dict[tuple[int, int], tuple[int, CodeType]] = {}
"""By process and object the thread that trains it, and the method that does: not a lock in each object, which
could be neither copied nor pickled."""


def check_not_trained(trained: Any) -> None:
    """Raise RuntimeError while a `TrainedAlone` has it; 0.03 us while nothing at all is trained."""
    if _busy and (os.getpid(), id(trained)) in _busy:
        with TrainedAlone(trained):
            pass


class TrainedAlone:
    """Meanwhile no other call of a method of `trained` trains it; for a `with` statement in that method.

    An interrupt may come before the `with` statement knows that it has begun. So a mark counts only while its
    method is on the stack of its thread. The log is told what has been trained, and how that ended.

    Raises
    ------
    RuntimeError
        If one does already, in another thread or around this one, from whose callback it was made.
    """

    def __init__(self, trained: Any) -> None:
        self._trained = trained
        self._key = os.getpid(), id(trained)  # what is held here keeps its id
        self._history = trained.history

    def __enter__(self) -> None:
        caller = sys._getframe(1)
        with _lock:
            if self._key in _busy and self._is_under_way(*_busy[self._key], caller):
                raise RuntimeError(
                    f"{self._trained!r} is being trained already, in another thread or by the fit whose "
                    "callback this is: train a copy (copy.deepcopy), or wait for the other call to end."
                )
            _busy[self._key] = threading.get_ident(), caller.f_code

    def __exit__(self, *_: object) -> None:
        with _lock:
            _busy.pop(self._key, None)
        history = self._trained.history
        if history is not self._history:
            logger.info("%r: %r, %.3g s", self._trained, history, history.seconds)

    def _is_under_way(self, thread: int, method: CodeType, caller: FrameType) -> bool:
        frame = sys._current_frames().get(thread)
        while frame is not None:
            if frame is not caller and frame.f_code is method and frame.f_locals.get("self") is self._trained:
                return True
            frame = frame.f_back
        return False
