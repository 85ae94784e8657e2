"""Tasks shared out to this process's threads.

Ctrl-C comes to the calling thread between any two instructions, also those of Python's own threads, events,
conditions and futures, whose locks it then leaves locked to all others, or a thread at work that nobody
knows of. So there are none of these here, but flags, and locks that are the interpreter's own.
"""

import _thread
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

LOOK_SECONDS = 0.05
"""How often the calling thread looks after the others, progress and Ctrl-C."""
PAUSE_SECONDS = 0.0005
"""How often a thread looks whether a gate has changed."""
LEAST_SHARE = 0.85
"""Of the time that a thread was awake; below it, another program has had its processor."""
LEAST_TURN_SECONDS = 0.01
"""Shorter ones say little of that."""
MOST_TURNS_AWAY = 32
"""Of 0.05 to 0.15 s: little is lost by looking, and a free processor is found after some seconds."""
_NONE = object()


class Gate:
    """Through which threads go to work, one slice at a time, and which can be closed while all are outside.

    ``with gate:`` is a slice; ``with gate.closed():`` waits for those under way, and holds up the next ones.
    It is for one thread to close; where Ctrl-C has left it closed, `stop` lets the others off.

    Parameters
    ----------
    stop
        Once set, KeyboardInterrupt is raised where a thread waits for the gate.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop, self._is_closed = stop, False
        self._inside: set[int] = set()

    def __enter__(self) -> None:
        me = threading.get_ident()
        self._inside.add(me)
        while self._is_closed:
            self._inside.discard(me)
            if self._stop.is_set():
                raise KeyboardInterrupt
            time.sleep(PAUSE_SECONDS)
            self._inside.add(me)

    def __exit__(self, *error: object) -> None:
        self._inside.discard(threading.get_ident())

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Meanwhile nobody is inside; to be called from outside."""
        me = {threading.get_ident()}
        try:
            self._is_closed = True  # who comes now sees this, or is seen inside
            while self._inside - me:
                time.sleep(PAUSE_SECONDS)
            yield
        finally:
            self._is_closed = False


class Work:
    """Some work for a thread of its own, to be waited for and, until it has begun, to be called off.

    Attributes
    ----------
    is_done : bool
        Whether it has ended, or never will begin.
    error : BaseException or None
        What it has raised.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._claim, self._under_way = _thread.allocate_lock(), _thread.allocate_lock()
        self._under_way.acquire()
        self.is_done = False
        self.error: BaseException | None = None

    def start(self) -> None:
        """Have a thread do it; RuntimeError if there are too many."""
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        try:
            self._work()
        except BaseException as error:
            self.error = error
        self.is_done = True
        self._under_way.release()

    def call_off(self) -> None:
        """Let it never begin, if it has not."""
        if self._claim.acquire(blocking=False):
            self.is_done = True

    def wait(self, seconds: float = threading.TIMEOUT_MAX) -> None:
        """Until it is done, so long at most."""
        until = time.monotonic() + seconds
        # in parts, as Ctrl-C may come when the lock has just been taken
        while not self.is_done and (left := until - time.monotonic()) > 0:
            if self._under_way.acquire(timeout=min(left, LOOK_SECONDS)):
                self._under_way.release()


class Attendance:
    """Which of the threads that help another one find a processor free, and so are of use.

    One that shares its processor with another program is mostly late, and where there are more threads than
    processors it takes the time of the thread that it helps. It stays away for a turn, then for 4, 16 and 32,
    until it finds its processor free again.

    Parameters
    ----------
    n_threads
        The helped one, which is thread 0, and those that help.
    """

    def __init__(self, n_threads: int) -> None:
        self._away, self._next_time = [0] * n_threads, [1] * n_threads
        self._has_help = False

    def present(self) -> list[int]:
        """The threads that take part in the next turn."""
        here = [thread for thread, away in enumerate(self._away) if away == 0]
        self._away = [max(0, away - 1) for away in self._away]
        self._has_help = len(here) > 1
        return here

    @contextmanager
    def noted(self, thread: int) -> Iterator["Naps"]:
        """Measure how much of a turn, but for its naps, the calling thread of this number had a processor."""
        naps = Naps()
        began, cpu = time.perf_counter(), time.thread_time()
        yield naps
        awake = time.perf_counter() - began - naps.seconds
        if awake > LEAST_TURN_SECONDS:
            self.note(thread, (time.thread_time() - cpu) / awake)

    def note(self, thread: int, share: float) -> None:
        """Take into account that a thread had a processor for a share of its time."""
        if share > LEAST_SHARE:
            if self._has_help:  # else nobody was in the first one's way
                self._next_time[thread] = 1
            return
        for other in [thread] if thread > 0 else range(1, len(self._away)):
            self._away[other] = self._next_time[thread]
        self._next_time[thread] = min(4 * self._next_time[thread], MOST_TURNS_AWAY)


class Naps:
    """What a thread has slept of its own will."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def take(self, seconds: float) -> None:
        """Sleep, which lets the scheduler put another thread here."""
        began = time.perf_counter()
        time.sleep(seconds)
        self.seconds += time.perf_counter() - began


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

    others = [Work(partial(take_tasks, thread)) for thread in range(1, n_threads)]
    try:
        for other in others:
            other.start()
        take_tasks(0)
        for other in others:
            while not other.is_done:
                other.wait(LOOK_SECONDS)
                look()
                _raise_errors(others)
    except BaseException:
        stop.set()
        raise
    finally:
        _wait_for(others)
    _raise_errors(others)


def _wait_for(works: Iterable[Work]) -> None:
    """Until no thread is at it, however often Ctrl-C comes: what it changes must not be looked at before."""
    interrupted = False
    for work in works:
        while not work.is_done:
            try:
                work.call_off()
                work.wait()
            except KeyboardInterrupt:
                interrupted = True
    if interrupted:
        raise KeyboardInterrupt


def _raise_errors(works: Iterable[Work]) -> None:
    """Raise what one has raised."""
    for work in works:
        if work.error is not None:
            raise work.error
