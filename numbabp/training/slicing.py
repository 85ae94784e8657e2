"""How long a kernel runs before it returns to Python, for Ctrl-C and progress; and what ends a run there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

SLICE_SECONDS = 0.05
"""A kernel returns about this often;"""
SLICE_SHARE = 10
"""but it runs for so many times what the copies and checks between take, which is long for large networks,"""
LONGEST_SLICE_SECONDS = 0.15
"""and never longer than Ctrl-C may wait."""
SLICE_SECONDS_ON_GPU = 0.1
"""Of a population on a GPU: what a launch leaves for the host takes about 1 ms."""


class Slices:
    """How many steps to ask a kernel for, from how long it took for those before.

    Parameters
    ----------
    length
        A first guess.
    """

    def __init__(self, length: float) -> None:
        self.length = max(1, int(length))

    def took(self, done: int, elapsed: float, seconds: float, asked: int | None = None) -> None:
        """Note how long so many steps took, and aim at so many seconds with the next ones.

        It has to have been as many as were `asked` for, by default `length`: a call that ended early, because
        an epoch did, does not say that a longer one would be better.
        """
        wanted = done * seconds / max(elapsed, 1e-9)
        if done >= (self.length if asked is None else asked) or wanted < self.length:
            # one measurement may be far off: by no more than a factor of 4
            self.length = max(1, int(min(max(wanted, self.length / 4), self.length * 4)))


class Ending:
    """Asks the runs of this process to end between two slices, where all that they change fits together.

    An exception out of a signal's handler comes anywhere: between the two halves of what is to be done
    after an epoch, too, from where no run can go on. So who handles signals asks, instead of raising one.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._n_runs = 0

    def ask(self) -> bool:
        """Have the runs that look end as by Ctrl-C; whether there is one."""
        if self._n_runs:
            self.asked.set()
        return self._n_runs > 0

    def look(self) -> None:
        """Raise KeyboardInterrupt if runs are to end."""
        if self.asked.is_set():
            raise KeyboardInterrupt

    @contextmanager
    def looked_for(self) -> Iterator[None]:
        """Meanwhile the main thread looks, after every slice; who runs it looks once more at its end."""
        is_main = threading.current_thread() is threading.main_thread()
        self._n_runs += is_main
        try:
            yield
        finally:
            self._n_runs -= is_main


ENDING = Ending()
"""Of the command line's signals; in other programs nobody asks, and Ctrl-C is Python's."""
