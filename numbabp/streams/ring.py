"""Rows between the thread that reads and the one that trains: written in place, trained where they lie."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..compiler.arrays import aligned_zeros
from ..devices import memory
from ..samples import Samples
from ..training.threads import PAUSE_SECONDS


class StoppedError(Exception):
    """Nobody takes what would be read."""


class Place:
    """Some rows of a ring, to be written before they are `Ring.publish`-ed."""

    def __init__(self, inputs: Any, targets: Any, weights: Any) -> None:
        self.inputs, self.targets, self.weights = inputs, targets, weights

    def __len__(self) -> int:
        return len(self.inputs)


class Ring:
    """Rows of samples that one thread writes and another one takes, each in its own time.

    The counts only grow, and each is written by one thread, after the rows that it tells of. So there is no
    lock that Ctrl-C could leave locked.

    Parameters
    ----------
    architecture
        Of the network, which has so many inputs and outputs, and their dtype T.
    capacity
        Rows.
    on_gpu
        Whether they lie on the current GPU.
    """

    def __init__(self, architecture: Architecture, capacity: int, on_gpu: bool = False) -> None:
        dtype = architecture.dtype
        self.capacity = capacity
        self._zeros: Callable[..., Any] = memory.zeros if on_gpu else aligned_zeros
        self._inputs = self._zeros((capacity, architecture.n_inputs), dtype)
        self._targets = self._zeros((capacity, architecture.n_outputs), dtype)
        self._weights: Any = np.empty(0, dtype)
        self._no_weights = np.empty(0, dtype)
        self._written = self._published = self._taken = self._freed = 0
        self._marks: deque[tuple[int, Any]] = deque()
        self._is_stopped = False

    # for the thread that writes

    def place(self, most: int) -> Place:
        """Room for some of `most` rows, as soon as there is any.

        Raises
        ------
        StoppedError
            If nobody will take them.
        """
        while not (free := self.capacity - (self._written - self._freed)):
            self.check_going_on()
            time.sleep(PAUSE_SECONDS)
        self.check_going_on()
        start = self._written % self.capacity
        rows = slice(start, start + min(most, free, self.capacity - start))
        return Place(self._inputs[rows], self._targets[rows], self._weights[rows])

    def weigh(self) -> None:
        """Have weights from now on: those of the rows before are 1."""
        if not self._weights.size:
            weights = self._zeros(self.capacity, self._inputs.dtype)
            weights[...] = 1
            self._weights = weights

    def hold(self, n: int) -> None:
        """Go on behind the first n rows of the place that was given last."""
        self._written += n

    def publish(self, mark: Any = None) -> None:
        """Give away all rows so far; with a mark they are taken up to here, or to another mark."""
        if mark is not None:
            self._marks.append((self._written, mark))
        self._published = self._written

    @property
    def n_marks(self) -> int:
        """Of rows that were not taken."""
        return len(self._marks)

    def check_going_on(self) -> None:
        """Raise StoppedError if nobody will take any more."""
        if self._is_stopped:
            raise StoppedError

    # for the thread that takes

    @property
    def waiting(self) -> int:
        """Rows that may be taken."""
        return self._published - self._taken

    @property
    def until_end(self) -> int:
        """Rows that lie one behind the other, from the next one that is taken on."""
        return self.capacity - self._taken % self.capacity

    def take(self, n: int) -> tuple[Samples, Any]:
        """The next n rows, or those up to the last mark before, and that mark.

        They stay as they are until they are `free`-d.
        """
        start, mark = self._taken % self.capacity, None
        while self._marks and self._marks[0][0] <= self._taken + n:
            at, mark = self._marks.popleft()
        if mark is not None:
            n = at - self._taken
        elif self._marks:
            n = 0
        rows = slice(start, start + n)
        self._taken += n
        weights: Any = self._weights[rows] if self._weights.size else self._no_weights
        return Samples(self._inputs[rows], self._targets[rows], weights), mark

    def free(self) -> None:
        """Let what was taken be written over."""
        self._freed = self._taken

    def stop(self) -> None:
        """Tell the thread that writes that it need not go on."""
        self._is_stopped = True
