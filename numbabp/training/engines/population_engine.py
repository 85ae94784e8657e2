"""What the loop of a population knows of a kernel: the protocol of engines for many networks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ...samples import Samples
from .. import slicing
from ..checkpoints.standing import Standing
from ..shard import Records, Shard


class Progress(NamedTuple):
    """What a call of `PopulationEngine.advance` has done."""

    steps: int
    """Of all networks together."""
    is_finished: bool
    """Whether the task is done."""
    done: int = 0
    """Steps as slices count them, 0 where the call decides itself how many it takes,"""
    asked: int = 0
    """and how many it was to take."""


class PopulationEngine(ABC):
    """A kernel with networks, whose training it records, in tasks that threads share."""

    def __init__(self, shard: Shard, samples: Samples, records: Records) -> None:
        self.shard, self.samples, self.records = shard, samples, records
        self.step_aside: Callable[[int], None] | None = None
        """What a thread calls, if there is something to call, where a call of `advance` may pause."""

    @property
    @abstractmethod
    def tasks(self) -> Iterable[Any]:
        """What can be done at the same time, by `n_threads` threads."""

    @property
    def n_threads(self) -> int:
        """Of the plan."""
        return self.shard.plan.n_threads

    @property
    def first_slice(self) -> float:
        """A first guess of the steps of a call that takes `slice_seconds`."""
        return 1

    @property
    def slice_seconds(self) -> float:
        """What a call of `advance` should take."""
        return slicing.SLICE_SECONDS

    def compile(self) -> None:  # noqa: B027
        """Compile, or load from the cache, what would otherwise be with the first step."""

    @abstractmethod
    def begin(self, thread: int, task: Any) -> None:
        """Make a task the one that a thread advances with."""

    @abstractmethod
    def advance(self, thread: int, max_steps: int) -> Progress:
        """Train on, about so many steps as slices count them."""

    def catch_up(self) -> None:  # noqa: B027
        """Bring parameters, state and records up to date, after the last call or an exception."""

    @abstractmethod
    def kept(self) -> Standing:
        """What `go_on` needs, while no thread is in `begin` or `advance`; beside shard and records."""

    @property
    def can_be_kept(self) -> bool:
        """Whether it is where it can go on from, between two calls of `advance` or after an interruption."""
        return True

    @abstractmethod
    def go_on(self, kept: Standing) -> None:
        """Go on from what was `kept`, also by another process, instead of from the beginning."""

    def pause_at(self, epoch: int) -> None:
        """Have tasks end where their networks have finished so many epochs, until `tasks` are taken anew."""
        raise NotImplementedError

    def look(self, first_epoch: int) -> np.ndarray:
        """Bring parameters and records up to date while tasks pause; which networks have diverged.

        Of what is recorded it is enough to look at epochs from the first one on.
        """
        raise NotImplementedError

    def end(self, called_off: np.ndarray) -> None:
        """End the networks for which epochs are given, int64 (n_networks,), while tasks pause after these.

        Those with 0 go on, and those that have ended already stay as they are.
        """
        raise NotImplementedError

    @property
    def to_do_alone(self) -> list[int]:
        """Networks that have to be trained by themselves after all, from where they began."""
        return []

    @contextmanager
    def open(self) -> Iterator[None]:
        """What it needs is at hand meanwhile, such as its GPU as the current one."""
        yield
