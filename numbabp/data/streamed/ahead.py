"""A thread that reads ahead, so that the next rows are parsed while the last ones are learnt."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
LOOK_SECONDS = 0.2
"""Between two looks of a thread at whether it is still wanted, and of the main thread at signals."""


def read_ahead(items: Iterable[T], n: int = 2) -> Iterator[T]:
    """The same items, up to n of which are made before they are asked for; errors come where they would.

    A thread that waits for input, as from a pipe that stays open, keeps no one from ending.
    """
    ready: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(n)
    is_over = threading.Event()

    def put(is_item: bool, item: T | BaseException | None) -> bool:
        while not is_over.is_set():
            try:
                ready.put((is_item, item), timeout=LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            for item in items:
                if not put(True, item):
                    return
            put(False, None)
        except BaseException as error:
            put(False, error)

    threading.Thread(target=read, name="numbabp-reads-ahead", daemon=True).start()
    try:
        while True:
            try:
                is_item, item = ready.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, BaseException):
                raise item
            if not is_item:
                return
            yield item  # type: ignore[misc]
    finally:
        is_over.set()
