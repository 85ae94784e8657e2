"""One large network whose weights stay on a GPU's chip through a launch of many samples."""

from typing import Any

import numpy as np

from ...devices import memory
from ...kernels.cuda.resident.state import Exchange, Network, Record
from ...kernels.cuda.resident.state import Samples as DeviceSamples
from ...kernels.cuda.resident.train import make_train
from ...planning.gpu_layouts import resident_shape
from .network_cuda_queued import Queued


class Resident(Queued):
    """One network, compiled for its architecture and for the GPU's multiprocessors.

    A launch takes all samples that are left of an epoch, or of a call.
    """

    def _prepare(self) -> None:
        of, parameters, moments, samples, options, run = self.subject
        self.moments = memory.to_device(moments)  # of no rule that it has
        self._prepare_queue()
        shape = resident_shape(of, options, self.device)
        dtype, places = of.dtype, shape.places
        self.network = Network(memory.to_device(parameters), float(options.l2))
        self._on_device = DeviceSamples(
            memory.to_device(samples.inputs),
            memory.to_device(samples.targets),
            memory.to_device(samples.weights),
            memory.zeros(len(samples.order), np.int64),
        )
        exchange = Exchange(
            memory.zeros(places.n_seen, dtype),
            memory.zeros((2, of.n_outputs, shape.rows_of_parts), dtype),
            memory.zeros(2, np.int32),
        )
        self._record = Record(
            memory.to_device(run.metrics),
            memory.zeros(run.sums.shape, np.float64),
            memory.zeros(1, np.float64),
            memory.zeros(4, np.int64),
        )
        arguments = self.network, self._on_device, exchange, self._record
        train, shared = make_train(shape), shape.shared_bytes
        self._start = memory.launcher(train, shape.grid, shape.threads, arguments, shared)
        self._start(0, 0, 0, 0)  # compiles

    def _until(self, start: int, left: int) -> int:
        return start + left

    def _use_rate(self, rate: float) -> None:
        memory.copy_to(self._record.rates, np.array([rate]))

    def _train(self, epoch: int, number: int, first: int, n: int) -> None:
        self._start(epoch, number, first, n)

    @property
    def changing(self) -> tuple[Any, Any]:
        """See `Engine`."""
        return self.network.parameters, self.moments
