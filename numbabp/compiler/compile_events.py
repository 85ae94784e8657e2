"""When this process compiles kernels, rather than load them."""

import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core.event import Event, Listener, install_listener, register

logger = logging.getLogger(__name__)
PACKAGE = __name__.partition(".")[0] + "."


class _Outermost(Listener):
    """Passes on when compiling begins and ends, not of every function that is compiled into a kernel."""

    def __init__(self, begin: Callable[[], Any], end: Callable[[], Any]) -> None:
        self._begin, self._end = begin, end
        self._depth = 0

    def on_start(self, event: Event) -> None:
        self._depth += 1
        if self._depth == 1:
            self._begin()

    def on_end(self, event: Event) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._end()


class _Logged(Listener):
    """Tells the log what is compiled and how long that takes, of kernels of this package."""

    def __init__(self) -> None:
        self._under_way: list[tuple[str, float]] = []

    def on_start(self, event: Event) -> None:
        function = event.data["dispatcher"].py_func
        self._under_way.append((f"{function.__module__}.{function.__name__}", time.perf_counter()))

    def on_end(self, event: Event) -> None:
        name, begun = self._under_way.pop()
        if not self._under_way and name.startswith(PACKAGE):
            logger.info("compiled %s in %.2f s", name, time.perf_counter() - begun)


def tell_log() -> None:
    """Tell the log of every kernel that is compiled from now on."""
    register("numba:compile", _Logged())


@contextmanager
def compiling_watched(begin: Callable[[], Any], end: Callable[[], Any] = lambda: None) -> Iterator[None]:
    """Call begin() when a kernel begins to be compiled and end() when it is; neither if it is loaded.

    One kernel is compiled at a time: Numba has a lock for it, which is held during both calls.
    """
    with install_listener("numba:compile", _Outermost(begin, end)):
        yield


@contextmanager
def without_collecting() -> Iterator[None]:
    """Leave unreachable objects where they are meanwhile.

    The collector looks through all that compiling keeps, over and over: a twentieth of the time for a kernel.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
