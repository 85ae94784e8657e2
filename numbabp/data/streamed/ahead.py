"""A thread that reads ahead, so that the next rows are parsed while the last ones are learnt."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
LOOK_SECONDS = 0.2
"""Between two looks at whether more is wanted."""
_END = object()


class _Reader(Generic[T]):
    """Puts items where they wait, until there are no more or nobody wants them."""

    def __init__(self, items: Iterable[T], n: int) -> None:
        self._items = items
        self.ready: queue.Queue[tuple[T | None, object]] = queue.Queue(n)
        self.is_over = threading.Event()

    def __call__(self) -> None:
        end: object = _END
        try:
            for item in self._items:
                if not self._put(item, None):
                    return
        except BaseException as error:
            end = error
        self._put(None, end)

    def _put(self, item: T | None, end: object) -> bool:
        while not self.is_over.is_set():
            try:
                self.ready.put((item, end), timeout=LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def read_ahead(items: Iterable[T], is_wanted: Callable[[], bool], n: int = 2) -> Iterator[T]:
    """The same items, up to n of which are made before they are asked for; errors come where they would.

    They end when none is wanted any more: a thread that waits for input, as from a pipe that stays open,
    keeps nobody from ending.
    """
    reader = _Reader(items, n)
    threading.Thread(target=reader, name="numbabp-reads-ahead", daemon=True).start()
    try:
        while True:
            try:
                item, end = reader.ready.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if is_wanted():
                    continue
                return
            if isinstance(end, BaseException):
                raise end
            if end is _END:
                return
            yield item  # type: ignore[misc]
    finally:
        reader.is_over.set()
