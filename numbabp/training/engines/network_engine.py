"""What a training loop knows of a kernel: the protocol of engines for one network."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ...architecture import Architecture
from ...kernels.state import Run
from ...options import Options
from ...planning.plan import Plan


class Subject(NamedTuple):
    """What an engine trains, and on what."""

    architecture: Architecture
    parameters: np.ndarray
    """T (n_parameters,), changed in place, at the latest by `Engine.catch_up`."""
    moments: np.ndarray
    """T (N_MOMENTS, n_parameters), likewise."""
    samples: Any
    """`kernels.state.Samples` or `kernels.sparse.SparseSamples`; the order in the host's memory."""
    options: Options
    run: Run


class Engine(ABC):
    """A kernel with the arrays that it works on.

    Everything that `advance` changes beside the subject's order and run is in `changing`, so that a loop can
    go back to where it was, and everything that a later call needs, so that it can end anywhere.
    """

    stops_after_steps = True
    """Whether an exception in `advance`, such as Ctrl-C, leaves everything as a step has left it."""

    def __init__(self, plan: Plan, subject: Subject) -> None:
        self.plan, self.subject = plan, subject

    @abstractmethod
    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """Train on, up to an epoch or so many samples, and return the kernel's status."""

    @property
    @abstractmethod
    def changing(self) -> tuple[Any, ...]:
        """The arrays that `advance` changes; parameters and moments, where they are trained, come first."""

    def catch_up(self) -> None:  # noqa: B027
        """Take what steps `advance` has put off, and bring the parameters to the subject to be looked at."""

    def reread(self) -> None:  # noqa: B027
        """Take the subject's parameters, after others than `advance` may have changed them."""

    @abstractmethod
    def kept(self) -> dict[str, np.ndarray]:
        """What `put_back` needs to go on bit for bit, beside order and run, by name, in the host's memory."""

    @abstractmethod
    def put_back(self, kept: Mapping[str, np.ndarray]) -> None:
        """Go on from what was `kept`, also by another process, in a run of the same problem."""

    def use_run(self, run: Run) -> None:
        """Record in another run from now on, which has room for more epochs; between two epochs."""
        self.subject = self.subject._replace(run=run)

    def may_overflow(self, learning_rate: float) -> bool:
        """Whether finite parameters may have put off steps to infinity."""
        return False

    @contextmanager
    def open(self) -> Iterator[None]:
        """What it needs is at hand meanwhile, such as its GPU as the current one, and let go afterwards."""
        yield
