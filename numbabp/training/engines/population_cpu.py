"""Engines for populations on the CPU: networks in the lanes of vectors, and each by itself."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ...compiler.subnormals import flushed_subnormals
from ...compiler.vectors import lanes_of
from ...errors import DivergenceError
from ...kernels.lanes.chunks import AT_NETWORK, Networks, PopulationSamples, make_chunk
from ...kernels.lanes.train import train_lanes
from ...planning.problem import Problem
from ...samples import Samples
from ...schedules import GivenRates
from .. import slicing
from ..loop import Training
from ..shard import Records, Shard
from ..stopping import Patience
from .population_engine import PopulationEngine, Progress


class Lanes(PopulationEngine):
    """Networks in lanes, chunk by chunk; one that diverges is left as it was, to be trained alone."""

    def __init__(self, shard: Shard, samples: Samples, records: Records) -> None:
        super().__init__(shard, samples, records)
        n, dtype = len(shard), shard.parameters.dtype
        self._lanes = lanes_of(dtype)
        self._in_chunk = samples.n * shard.epochs
        moments = shard.state.moments
        self._moments = moments.reshape(n, -1) if moments.size else np.zeros((0, 0), dtype)
        self._before = shard.parameters.copy(), self._moments.copy()
        # in turns these are copies, since kernels are compiled for contiguous arrays
        self._recorded = {
            name: np.ascontiguousarray(records.metrics[name].T)
            for name in ("loss", "accuracy")
            if name in records.metrics
        }
        self._networks = Networks(
            shard.parameters,
            self._moments,
            shard.rates,
            shard.rate_of,
            bool((shard.rates == shard.rates[:, :1]).all()),
            shard.numbers["momentum"].astype(dtype),
            shard.numbers["l2"].astype(dtype),
            shard.options.update_rule == "nesterov",
            shard.problem.with_l2,
            np.zeros(n, np.uint8),
            self._recorded["loss"].ravel(),
            self._recorded.get("accuracy", np.empty(0)).ravel(),
            shard.architecture.loss_code,
            shard.architecture.quantile,
            shard.tol,
            shard.n_iter_no_change or 0,
            records.n_epochs,
            records.stopped,
        )
        seed = np.array([shard.order_seed] if shard.options.shuffle else [], np.uint64)
        weights = shard.weights if len(shard.weights) else samples.weights
        self._samples = PopulationSamples(samples.inputs, samples.targets, weights, seed)
        has_moments, with_l2 = bool(self._moments.size), shard.problem.with_l2
        self._chunks = [
            make_chunk(shard.architecture.layout, dtype, samples.n, has_moments, with_l2, seed, 0)
            for _ in range(self.n_threads)
        ]
        # tasks of about a slice, but enough of them to keep every thread busy
        in_slice = max(1, int(self.first_slice)) // self._in_chunk
        self._per_task = self._lanes * max(1, min(in_slice, -(-n // (self._lanes * 8 * self.n_threads))))
        self._ends = [0] * self.n_threads

    @property
    def tasks(self) -> Iterable[int]:
        """First networks."""
        return range(0, len(self.shard), self._per_task)

    @property
    def first_slice(self) -> float:
        """See `PopulationEngine`; of a chunk."""
        return slicing.SLICE_SECONDS / (self.shard.plan.ns_per_step * self._lanes * 1e-9)

    def compile(self) -> None:
        """See `PopulationEngine`."""
        train_lanes(self._networks, self._samples, self._chunks[0], 0, 0)

    def begin(self, thread: int, task: int) -> None:
        """See `PopulationEngine`."""
        self._chunks[thread].position[:] = task, 0, 0
        self._ends[thread] = min(len(self.shard), task + self._per_task)

    def advance(self, thread: int, max_steps: int) -> Progress:
        """See `PopulationEngine`."""
        chunk, end = self._chunks[thread], self._ends[thread]
        before = self._steps_of(chunk.position)
        with flushed_subnormals():
            done = train_lanes(self._networks, self._samples, chunk, end, max_steps)
        steps = (self._steps_of(chunk.position) - before) * self._lanes
        return Progress(steps, bool(chunk.position[AT_NETWORK] >= end), done, max_steps)

    def _steps_of(self, position: np.ndarray) -> int:
        """Steps of a chunk up to a position."""
        network, epoch, sample = position.tolist()
        return network // self._lanes * self._in_chunk + epoch * self.samples.n + sample

    def catch_up(self) -> None:
        """Count steps, put records in place, and leave networks that have diverged as they were."""
        networks, shard, records = self._networks, self.shard, self.records
        taken = np.where(networks.stopped > 0, networks.stopped * self.samples.n, self._in_chunk)
        diverged = self.to_do_alone
        taken[diverged] = 0
        shard.state.steps += taken
        parameters, moments = self._before
        shard.parameters[diverged] = parameters[diverged]
        if moments.size:
            self._moments[diverged] = moments[diverged]
        for name, values in self._recorded.items():
            if not np.may_share_memory(values, records.metrics[name]):
                records.metrics[name].T[...] = values
        records.n_epochs[diverged] = 0
        records.stopped[diverged] = 0

    @property
    def to_do_alone(self) -> list[int]:
        """Those that have diverged: alone they are left at their last finite step."""
        return np.flatnonzero(self._networks.diverged).tolist()


class Each(PopulationEngine):
    """Networks one by one, as `Network.fit` trains them; all of the shard, or some."""

    def __init__(
        self,
        shard: Shard,
        samples: Samples,
        records: Records,
        stop: threading.Event,
        networks: Iterable[int] | None = None,
    ) -> None:
        super().__init__(shard, samples, records)
        self._networks = range(len(shard)) if networks is None else networks
        self._stop = stop
        self._of_thread = [0] * self.n_threads

    @property
    def tasks(self) -> Iterable[int]:
        """Networks."""
        return self._networks

    def begin(self, thread: int, task: int) -> None:
        """See `PopulationEngine`."""
        self._of_thread[thread] = task

    def advance(self, thread: int, max_steps: int) -> Progress:
        """Train the thread's network to the end: its loop has slices of its own."""
        i, shard, records = self._of_thread[thread], self.shard, self.records
        training = self._training(i)
        try:
            training()
        except DivergenceError as error:
            records.note_divergence(i, error)
        except KeyboardInterrupt:
            if not self._stop.is_set():  # it came to this thread
                raise
        finally:
            history = training.history
            if history is not None:
                for name in history:
                    records.metrics[name][i, : history.n_epochs] = history[name]
                records.n_epochs[i] = history.n_epochs
        return Progress(shard.epochs * self.samples.n, is_finished=True)

    def _training(self, i: int) -> Training:
        shard, samples = self.shard, self.samples
        own: dict[str, Any] = {name: float(values[i]) for name, values in shard.numbers.items()}
        problem = Problem(
            shard.architecture,
            samples.n,
            shard.epochs,
            replace(shard.options, **own),
            n_nonzeros=samples.n_nonzeros,
            with_l2=own["l2"] > 0,
        )
        weights = np.empty(0, shard.parameters.dtype)
        if len(shard.weights):
            weights = shard.weights[i]
        elif len(samples.weights):
            weights = samples.weights[0]
        assert shard.plan.of_network is not None
        return Training(
            problem,
            shard.plan.of_network,
            Samples(samples.inputs, samples.targets, weights),
            shard.parameters[i],
            shard.state.part(i),
            GivenRates(shard.rates[shard.rate_of[i]]),
            shard.order_seed_of(i),
            callback=None if shard.n_iter_no_change is None else self._no_change(i),
            stop=self._stop,
        )

    def _no_change(self, i: int) -> Callable[[int, dict[str, float]], bool]:
        """Callback that ends the training of network i as the lanes kernel does."""
        assert self.shard.n_iter_no_change is not None
        patience = Patience(self.shard.n_iter_no_change, self.shard.tol)

        def has_ended(epoch: int, metrics: dict[str, float]) -> bool:
            is_over = patience.is_over(metrics["loss"])
            if is_over:
                self.records.stopped[i] = epoch + 1
            return is_over

        return has_ended
