"""One network trained by one block of threads, with its weights in shared memory for a whole launch.

The kernel is that of a population of one network (`kernels.cuda.block`).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from ...devices import memory
from ...kernels.cuda.population import block
from ...kernels.cuda.population.kernel import Common, Networks, Record
from ...kernels.cuda.population.kernel import Samples as DeviceSamples
from ...kernels.shuffling import draw_orders
from ...kernels.state import BATCH, DIVERGED, EPOCH, FIRST_METRIC, LOSS, PAUSED, SAMPLE, STEP, WEIGHT
from ...planning.gpu_layouts import mappings, specialisation
from .network_cuda import CudaEngine

MOST_EPOCHS = 4096
"""Epochs of a launch, whose orders and history are made before and after it."""


class Persistent(CudaEngine):
    """One network in one block, compiled for its architecture."""

    def _prepare(self) -> None:
        architecture, parameters, moments, samples, options, run = self.subject
        weighted = len(samples.weights) > 0
        of = specialisation(architecture, options, options.l2 > 0, weighted)
        mapping = mappings(replace(of, monitored=len(run.metrics) > 0), self.device)["block"]
        assert not isinstance(mapping, str)  # or the plan would not have been possible
        self._mapping = mapping
        dtype, n = architecture.dtype, len(samples.order)
        self._train = block.make_train(mapping.of, mapping.registers)
        weights = memory.to_host(samples.weights) if weighted else np.empty(0, dtype)
        self._weights = np.asarray(weights, float)
        to_device = memory.to_device
        self._gradient = np.zeros(parameters.shape if mapping.of.gathers else 0, dtype)
        """Of a mini-batch under way, where the host keeps it: behind the moments on the GPU."""
        self.networks = Networks(
            to_device(parameters[None]),
            to_device(np.concatenate([moments.ravel(), self._gradient])[None]),
            to_device(run.position[STEP : STEP + 1]),
            None,  # which an adaptive schedule changes from epoch to epoch
            memory.zeros(1, np.int32),
            to_device(np.array([options.momentum], dtype)),
            to_device(np.array([options.l2], dtype)),
        )
        self._on_device = DeviceSamples(
            to_device(samples.inputs),
            to_device(samples.targets),
            to_device(weights[:, None] if weighted else np.empty((0, 0), dtype)),
            None,
        )
        self._views = memory.view((self.networks, self._on_device))
        """What of a launch's arguments is the same in all of them."""
        self._total = float(self._weights.sum()) if weighted else float(n)
        self._launch(np.zeros((1, n), np.int32), 0, 0, 0, np.zeros((2, 1)))  # compiles

    def _advance(self, stop_epoch: int, max_samples: int) -> int:
        position, n = self.subject.run.position, len(self.subject.samples.order)
        left = max_samples
        status = PAUSED
        while position[EPOCH] < stop_epoch and left > 0 and status == PAUSED:
            epoch, begin = int(position[EPOCH]), int(position[SAMPLE])
            # whole epochs, or the part of one that is left to do
            n_epochs = 1 if begin else max(1, min(left // n, stop_epoch - epoch, MOST_EPOCHS))
            end = min(n_epochs * n, begin + left)
            orders = self._draw(n_epochs, begin > 0)
            left -= end - begin
            status = self._slice(epoch, orders, begin, end)
        return status

    def _draw(self, n_epochs: int, is_under_way: bool) -> np.ndarray:
        """The orders of the next epochs; the first of them is drawn already if it is under way."""
        order = self.subject.samples.order
        orders = np.empty((n_epochs, order.size), np.int32)
        orders[0] = order
        draw_orders(order, self.subject.run.random, orders[1 if is_under_way else 0 :])
        return orders

    def _slice(self, epoch: int, orders: np.ndarray, begin: int, end: int) -> int:
        """From one position of these epochs to another."""
        run, order = self.subject.run, self.subject.samples.order
        position, n = run.position, order.size
        self._is_ahead = True
        rows = np.zeros((2, len(orders)))  # loss and accuracy; of an epoch under way the sums
        if begin:
            rows[0, 0] = run.sums[epoch, LOSS]
            rows[1, 0] = run.sums[epoch, FIRST_METRIC] if len(run.metrics) else 0.0
        diverged, steps = self._launch(orders, epoch, begin, end, rows)
        if diverged >= 0:
            end = diverged - epoch * n
        finished, under_way = divmod(end, n)
        sums = run.sums[epoch : epoch + finished]
        sums[:, LOSS], sums[:, WEIGHT] = rows[0, :finished] * self._total, self._total
        sums[:, FIRST_METRIC:] = rows[1, :finished, None] * self._total
        if under_way:
            of_samples = self._weights[orders[finished, :under_way]] if self._weights.size else None
            run.sums[epoch + finished, LOSS] = rows[0, finished]
            run.sums[epoch + finished, WEIGHT] = under_way if of_samples is None else of_samples.sum()
            run.sums[epoch + finished, FIRST_METRIC:] = rows[1, finished]
        position[EPOCH], position[SAMPLE], position[STEP] = epoch + finished, under_way, steps
        if diverged >= 0:
            order[:] = orders[finished]
        return DIVERGED if diverged >= 0 else PAUSED

    def _launch(
        self, orders: np.ndarray, epoch: int, begin: int, end: int, rows: np.ndarray
    ) -> tuple[int, int]:
        """One launch, which fills `rows`: position of a loss that was not finite, or -1, and steps so far."""
        to_device, options, run = memory.to_device, self.subject.options, self.subject.run
        memory.copy_to(self.networks.steps, run.position[STEP : STEP + 1])
        loss, accuracy = (to_device(np.ascontiguousarray(row[:, None])) for row in rows)
        record = Record(
            loss,
            accuracy if len(run.metrics) else memory.zeros((0, 0), np.float64),
            to_device(np.array([self._total])),
            to_device(np.array([-1])),
            to_device(np.array([2**62])),
            to_device(np.array([np.inf])),
            memory.zeros(1, np.int64),
            memory.zeros(1, np.int64),
            to_device(run.position[BATCH : BATCH + 1]),
        )
        common = Common.of_rule(options.rule, options.batch_size, (epoch, begin, end))
        rates = to_device(run.learning_rates[None, epoch : epoch + len(orders)])
        networks, samples = self._views
        arguments = (
            networks._replace(rates=rates),
            samples._replace(orders=to_device(orders)),
            record,
            common,
        )
        memory.launch(self._train, 1, self._mapping.threads, arguments, self._mapping.shared)
        rows[0] = memory.to_host(loss)[:, 0]
        rows[1] = memory.to_host(accuracy)[:, 0]
        run.position[BATCH] = memory.to_host(record.gathered)[0]
        return int(memory.to_host(record.diverged)[0]), int(memory.to_host(self.networks.steps)[0])

    @property
    def changing(self) -> tuple[Any, ...]:
        """See `Engine`."""
        (parameters,), (kept,) = self.networks[:2]
        moments, n = self.subject.moments, self.subject.moments.size
        gathered = (kept[n:],) if self._gradient.size else ()
        return parameters, kept[:n].reshape(moments.shape), *gathered

    @property
    def _on_host(self) -> tuple[Any, ...]:
        return *super()._on_host, *([self._gradient] if self._gradient.size else [])
