"""Tasks shared out to this process's threads."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

LOOK_SECONDS = 0.05
"""How often the calling thread looks after the others, progress and Ctrl-C."""
_NONE = object()


class Gate:
    """Through which threads go to work, one slice at a time, and which can be closed while all are outside.

    ``with gate:`` is a slice; ``with gate.closed():`` waits for those under way, and holds up the next ones.
    """

    def __init__(self) -> None:
        self._change, self._inside, self._is_closed = threading.Condition(), 0, False

    def __enter__(self) -> None:
        with self._change:
            self._change.wait_for(lambda: not self._is_closed)
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._change:
            self._inside -= 1
            self._change.notify_all()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Meanwhile nobody is inside; to be called from outside."""
        with self._change:
            self._is_closed = True
        try:
            with self._change:
                self._change.wait_for(lambda: self._inside == 0)
            yield
        finally:
            with self._change:
                self._is_closed = False
                self._change.notify_all()


def share_out(
    tasks: Iterable[Any],
    n_threads: int,
    work: Callable[[int, Any], None],
    look: Callable[[], None],
    stop: threading.Event,
) -> None:
    """Call work(thread, task) for all tasks on so many threads, of which this one is the first.

    Parameters
    ----------
    tasks
        Taken one by one, as threads become free.
    n_threads
        They have the numbers from 0 on.
    work
        What raises in one thread ends all, and is raised here.
    look
        Called in this thread after its tasks, and while it waits for the others.
    stop
        Once set, no further task is begun. Set here if there is an exception, so that `work` may see it.
    """
    waiting, lock = iter(tasks), threading.Lock()
    others: list[Future[None]] = []

    def take_tasks(thread: int) -> None:
        # threads help themselves: one that waited to be given work would wait 0.1 ms and more
        while not stop.is_set():
            with lock:
                task = next(waiting, _NONE)
            if task is _NONE:
                return
            try:
                work(thread, task)
            except BaseException:
                stop.set()  # for the thread that looks after the others, too, which may be at work for long
                raise
            if thread == 0:
                look()
                _raise_errors(others)

    if n_threads == 1:
        take_tasks(0)
        return
    with ThreadPoolExecutor(n_threads - 1) as pool:
        try:
            others += [pool.submit(take_tasks, thread) for thread in range(1, n_threads)]
            take_tasks(0)
            while not all(future.done() for future in others):
                wait(others, timeout=LOOK_SECONDS)
                look()
                _raise_errors(others)
        except BaseException:
            stop.set()
            raise
        _raise_errors(others)


def _raise_errors(futures: Iterable["Future[None]"]) -> None:
    """Raise what a finished one has raised."""
    for future in futures:
        if future.done():
            future.result()
