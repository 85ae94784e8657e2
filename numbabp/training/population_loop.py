"""The loop of a population: networks shared out to threads, progress, interruption."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..devices.processor import blas_threads
from ..samples import Samples
from .engines.population_cpu import Each
from .engines.population_engine import PopulationEngine
from .engines.population_registry import make_population_engine
from .progress import ProgressBar
from .shard import Records, Shard, Trained
from .slicing import Slices
from .threads import share_out


@dataclass
class PopulationTraining:
    """The training of a shard in place: one call of `Population.fit`; see there for the arguments."""

    shard: Shard
    samples: Samples
    n_at_once: int
    progress: bool | None
    stop: threading.Event = field(default_factory=threading.Event)
    """Ends training once it is set."""

    records: Records = field(init=False)
    stop_reason: str = field(init=False, default="finished")
    seconds_compiling: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        shard = self.shard
        self.records = Records.new(shard.metric_names, len(shard), shard.epochs)
        self._steps_done = [0] * shard.plan.n_threads

    @property
    def turns(self) -> list[slice]:
        """The networks, `n_at_once` at a time."""
        n = len(self.shard)
        return [slice(first, min(first + self.n_at_once, n)) for first in range(0, n, self.n_at_once)]

    def __call__(self) -> None:
        """Train; on Ctrl-C every network is left after its last finished step."""
        with self.under_way(), blas_threads(1):
            for rows in self.turns:
                shard, records = self.shard.part(rows), self.records.part(rows)
                engine = make_population_engine(shard, self.samples, records, self.stop)
                self._run(engine)
                if engine.to_do_alone:
                    self._run(Each(shard, self.samples, records, self.stop, engine.to_do_alone))

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Show progress, note an interruption, and leave NaN for the epochs that networks did not finish."""
        try:
            with ProgressBar(self.shard.epochs, self.progress) as self._bar:
                yield
        except BaseException:
            self.stop_reason = "interrupted"
            raise
        finally:
            self.records.end()

    @property
    def trained(self) -> Trained:
        """The outcome, to be sent to where `take` is called."""
        return Trained(self.shard.parameters, self.shard.state, self.records)

    def take(self, rows: slice, trained: Trained) -> None:
        """Put in place what training has made, elsewhere, of some of the networks."""
        trained.put_into(self.shard, self.records, rows)
        self._steps_done[0] += len(trained.parameters) * self.shard.epochs * self.samples.n
        self._show()

    def _run(self, engine: PopulationEngine) -> None:
        """Train the networks of an engine."""
        slices = [Slices(engine.first_slice) for _ in range(engine.n_threads)]

        def work(thread: int, task: Any) -> None:
            engine.begin(thread, task)
            is_finished = False
            while not is_finished and not self.stop.is_set():
                started = time.perf_counter()
                steps, is_finished, done, asked = engine.advance(thread, slices[thread].length)
                if done:
                    elapsed = time.perf_counter() - started
                    slices[thread].took(done, elapsed, engine.slice_seconds, asked)
                self._steps_done[thread] += steps
                if thread == 0:
                    self._show()

        with engine.open():
            started = time.perf_counter()
            engine.compile()
            self.seconds_compiling += time.perf_counter() - started
            try:
                share_out(engine.tasks, engine.n_threads, work, self._show, self.stop)
            finally:
                engine.catch_up()

    def _show(self) -> None:
        if self._bar.is_shown:
            total = len(self.shard) * self.samples.n
            n_epochs = self.records.n_epochs
            begun = np.flatnonzero(n_epochs)[-1000:]
            losses = self.records.metrics["loss"][begun, n_epochs[begun] - 1]
            loss = float(np.median(losses)) if losses.size else float("nan")
            self._bar.update(sum(self._steps_done) / total, loss)
