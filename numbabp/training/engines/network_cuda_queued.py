"""Engines for one network whose launches follow each other, and which wait for the GPU at a call's end alone.

Samples that weigh nothing take no step, and no part in a launch.
"""

from abc import abstractmethod
from typing import Any

import numpy as np

from ...devices import memory
from ...kernels.cuda.blocked.state import AT, NUMBER, STATUS
from ...kernels.shuffling import draw_order
from ...kernels.state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP
from .network_cuda import CudaEngine


class Queued(CudaEngine):
    """One network, by launches that take some of an epoch's samples each.

    A launch that comes to a loss that is not finite ends there, and says so in the record's state; those that
    follow it change nothing.
    """

    _on_device: Any
    """Samples on the GPU, with `rows`: those of an epoch in order."""
    _record: Any
    """With `sums`, like the run's, and `state`, whose entries `blocked.state` names."""

    @abstractmethod
    def _until(self, start: int, left: int) -> int:
        """Where in its epoch a launch ends that begins at `start`, in a call with so many samples left."""

    @abstractmethod
    def _use_rate(self, rate: float) -> None:
        """Let the GPU know the learning rate from now on."""

    @abstractmethod
    def _train(self, epoch: int, number: int, first: int, n: int) -> None:
        """The steps of `_on_device.rows[first : first + n]`, by the launch of this number in a call."""

    def _prepare_queue(self) -> None:
        weights = self.subject.samples.weights
        self._weights = memory.to_host(weights) if len(weights) else None
        self._epoch, self._rate = -1, 0.0
        self._at = np.zeros(0, np.int64)
        draw_order(np.zeros(0, np.int64), np.zeros(1, np.uint64))  # compiles

    def _advance(self, stop_epoch: int, max_samples: int) -> int:
        run, order = self.subject.run, self.subject.samples.order
        position = run.position
        first_epoch = int(position[EPOCH])
        self._is_ahead = True  # from the first launch on, should an exception come
        self._epoch = -1  # the run may have gone back to where it was before the last call
        # of each: epoch, positions of the epoch's samples, first of them, steps before
        launches: list[tuple[int, np.ndarray, int, int]] = []
        done = 0
        while position[EPOCH] < stop_epoch and done < max_samples:
            epoch, start = int(position[EPOCH]), int(position[SAMPLE])
            if epoch != self._epoch:
                self._begin_epoch(epoch)
            until = min(order.size, self._until(start, max_samples - done))
            first, last = (int(i) for i in np.searchsorted(self._at, (start, until)))
            if last > first:
                self._train(epoch, len(launches), first, last - first)
            launches.append((epoch, self._at, first, int(position[STEP])))
            done += until - start
            position[STEP] += last - first
            position[SAMPLE] = until
            if until == order.size:
                position[SAMPLE] = 0
                position[EPOCH] += 1
        if not launches:
            return PAUSED
        state = memory.to_host(self._record.state)
        last_epoch = launches[-1][0]
        run.sums[first_epoch : last_epoch + 1] = memory.to_host(
            self._record.sums[first_epoch : last_epoch + 1]
        )
        if state[STATUS] != DIVERGED:
            return PAUSED
        memory.copy_to(self._record.state, np.zeros_like(state))
        epoch, at, first, steps = launches[state[NUMBER]]
        position[EPOCH], position[SAMPLE] = epoch, at[first + state[AT]]
        position[STEP] = steps + state[AT]
        return DIVERGED

    def _begin_epoch(self, epoch: int) -> None:
        """Draw the order, and let the GPU know it, without samples of weight 0, sums so far and the rate."""
        run, order = self.subject.run, self.subject.samples.order
        if run.position[SAMPLE] == 0 and run.random.size > 0:
            draw_order(order, run.random)
        self._at = np.arange(order.size) if self._weights is None else np.flatnonzero(self._weights[order])
        memory.copy_to(self._on_device.rows[: self._at.size], order[self._at])
        memory.copy_to(self._record.sums[epoch], run.sums[epoch])
        rate = float(run.learning_rates[epoch])
        if rate != self._rate:
            self._use_rate(rate)
            self._rate = rate
        self._epoch = epoch
