"""Engines of plans for a GPU: kernels with their device arrays, behind the same call as the CPU's.

Parameters and moments stay on the GPU from one call to the next; `Engine.catch_up` brings them to the host.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...devices import memory
from ...kernels.state import Model, Run, Samples
from .network_cpu import Engine

if TYPE_CHECKING:
    from ...network import Network
    from ...options import Options
    from ...planning.planner import Plan


class DeviceTraining(ABC):
    """One network on a GPU.

    Parameters
    ----------
    plan
        For a device "cuda:N".
    network, moments
        Parameters (n_parameters,) and moments (N_MOMENTS, n_parameters) on the host, which `catch_up` writes.
    samples
        Inputs, targets and weights on the host or on the GPU, then taken by reference; the order on the host.
    options, run
        As for the CPU's engines.
    """

    def __init__(
        self,
        plan: "Plan",
        network: "Network",
        moments: np.ndarray,
        samples: Samples,
        options: "Options",
        run: Run,
    ) -> None:
        self.device = memory.device_of(plan.gpu_index)
        self._host = network.parameters, moments
        self._samples, self._options, self._run = samples, options, run
        self._is_ahead = False
        """Whether the GPU has taken steps that the host does not know."""
        with memory.on(self.device):
            self._prepare(plan, network)

    @abstractmethod
    def _prepare(self, plan: "Plan", network: "Network") -> None:
        """Put on the GPU, which is the current one, what training takes there, and compile."""

    @property
    @abstractmethod
    def changing(self) -> tuple[Any, Any]:
        """What a call changes on the device: parameters and moments, in the shapes of the host's."""

    @abstractmethod
    def _advance(self, stop_epoch: int, max_samples: int) -> int: ...

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """Train on as the CPU's kernels do; see `engines.Engine`."""
        with memory.on(self.device):
            return self._advance(stop_epoch, max_samples)

    def catch_up(self) -> None:
        """Bring parameters and moments to the host."""
        if self._is_ahead:
            with memory.on(self.device):
                for host, device in zip(self._host, self.changing, strict=True):
                    host[...] = memory.to_host(device)
            self._is_ahead = False

    def reread(self) -> None:
        """Take parameters and moments from the host."""
        with memory.on(self.device):
            for host, device in zip(self._host, self.changing, strict=True):
                if host.size:
                    memory.copy_to(device, host)
        self._is_ahead = False


def make_cuda_engine(
    plan: "Plan", network: "Network", moments: np.ndarray, samples: Samples, options: "Options", run: Run
) -> Engine:
    """The engine that a plan for a GPU asks for."""
    kind: type[DeviceTraining]
    if plan.kernel == "persistent":
        from .persistent_cuda import PersistentTraining

        kind = PersistentTraining
    else:
        from .blocked_cuda import BlockedTraining

        kind = BlockedTraining
    training = kind(plan, network, moments, samples, options, run)
    parameters, moments = training.changing
    nothing = np.zeros(0, network.dtype)
    units = np.zeros((3, 0), network.dtype)
    return Engine(
        Model(parameters, moments, nothing, units, nothing, network.layout, network.loss_code),
        training.advance,
        catch_up=training.catch_up,
        reread=training.reread,
        device=lambda: memory.on(training.device),
    )
