"""What engines for one network on a GPU share.

Parameters and moments stay on the GPU from one call to the next; `catch_up` brings them to the host.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...devices import memory
from ...kernels.state import Run
from ...planning.plan import Plan
from ..checkpoints.standing import take
from .network_engine import Engine, Subject

KEPT = ("parameters", "moments", "gradient")
"""Names of what changes; a gradient only where one is gathered."""


class CudaEngine(Engine):
    """One network on a GPU.

    The subject's inputs, targets and weights lie in the host's memory, or on the GPU, and are then taken by
    reference; parameters, moments and the order in the host's.
    """

    stops_after_steps = False  # it may come between a block's launches

    def __init__(self, plan: Plan, subject: Subject) -> None:
        super().__init__(plan, subject)
        self.device = memory.device_of(plan.gpu_index)
        self._is_ahead = False
        """Whether the GPU has taken steps that the host does not know."""
        with memory.on(self.device):
            self._prepare()

    @abstractmethod
    def _prepare(self) -> None:
        """Put on the GPU, which is the current one, what training takes there, and compile."""

    @property
    @abstractmethod
    def changing(self) -> tuple[Any, ...]:
        """Parameters, moments and what else `_on_host` has, on the device in the shapes of the host's."""

    @abstractmethod
    def _advance(self, stop_epoch: int, max_samples: int) -> int: ...

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """See `Engine`."""
        with memory.on(self.device):
            return self._advance(stop_epoch, max_samples)

    def catch_up(self) -> None:
        """Bring parameters and moments to the host."""
        if self._is_ahead:
            with memory.on(self.device):
                for host, device in zip(self._on_host, self.changing, strict=True):
                    host[...] = memory.to_host(device)
            self._is_ahead = False

    def reread(self) -> None:
        """Take parameters and moments from the host."""
        with memory.on(self.device):
            for host, device in zip(self._on_host, self.changing, strict=True):
                if host.size:
                    memory.copy_to(device, host)
        self._is_ahead = False

    def kept(self) -> dict[str, np.ndarray]:
        """See `Engine`."""
        with memory.on(self.device):
            return {name: memory.to_host(array) for name, array in zip(KEPT, self.changing, strict=False)}

    def put_back(self, kept: Mapping[str, np.ndarray]) -> None:
        """See `Engine`."""
        for name, array in zip(KEPT, self._on_host, strict=False):
            array[...] = take(kept, name, array)
        self.reread()

    def use_run(self, run: Run) -> None:
        """See `Engine`; what records lies on the GPU, too."""
        self.catch_up()
        super().use_run(run)
        with memory.on(self.device):
            self._prepare()

    @contextmanager
    def open(self) -> Iterator[None]:
        """See `Engine`."""
        with memory.on(self.device):
            yield

    @property
    def _on_host(self) -> tuple[Any, ...]:
        return self.subject.parameters, self.subject.moments
