"""The loop of a population: networks shared out to threads, progress, interruption."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..devices.processor import blas_threads
from ..errors import DivergenceError
from ..history import Ends, PopulationHistory
from ..samples import Samples
from .checkpoints.keeper import Keeper
from .checkpoints.plans import described_for_many
from .checkpoints.standing import Standing, take
from .checkpoints.until import Until
from .engines.population_each import Each
from .engines.population_engine import PopulationEngine
from .engines.population_registry import make_population_engine
from .progress import ProgressBar
from .shard import Records, Shard, Trained
from .slicing import ENDING, Slices
from .threads import Gate, share_out
from .watching.watch import PopulationCallback, Watch

OF_WATCH = "watch."
"""What the names of its arrays begin with in a checkpoint."""


class Place(NamedTuple):
    """Where a run is: its turn, whether with all networks or those to be done alone, and by what."""

    turn: int
    is_alone: bool
    engine: PopulationEngine | None


def in_turns(which: np.ndarray, n_at_once: int) -> list[slice]:
    """Some of the networks, bool (n_networks,), as neighbours, so many at a time at most."""
    edges = np.flatnonzero(np.diff(which, prepend=False, append=False)).tolist()
    return [
        slice(first, min(first + n_at_once, end))
        for begin, end in zip(edges[::2], edges[1::2], strict=True)
        for first in range(begin, end, n_at_once)
    ]


class Ended(KeyboardInterrupt):
    """`PopulationTraining.stop` was set, by another thread or as its time was up."""


@dataclass
class PopulationTraining:
    """The training of a shard in place: one call of `Population.fit`; see there for the arguments."""

    shard: Shard
    samples: Samples
    n_at_once: int
    progress: bool | None
    stop: threading.Event = field(default_factory=threading.Event)
    """Ends training once it is set."""
    keeper: Keeper | Until | None = None
    """Writes checkpoints."""
    found: Standing | None = None
    """Where to go on from, which belongs to this run."""
    callback: PopulationCallback | None = None
    callback_every: int = 1

    records: Records = field(init=False)
    stop_reason: str = field(init=False, default="finished")
    seconds_compiling: float = field(init=False, default=0.0)
    seconds_before: float = field(init=False, default=0.0)
    """Of other processes that this one goes on from."""
    left: np.ndarray = field(init=False)
    """bool (n_networks,): those that turns train, or those not finished where others train them."""
    begun_elsewhere: dict[int, Standing] = field(init=False, default_factory=dict)
    """Where some of these stand that other processes train, by the number of the first."""

    def __post_init__(self) -> None:
        shard = self.shard
        self.records = Records.new(
            shard.metric_names, len(shard), shard.epochs, is_written=self.keeper is not None
        )
        self.left = np.ones(len(shard), bool)
        self.watch: Watch | None = None
        if self.callback is not None:
            self.watch = Watch(self.callback, self.callback_every, shard, self.records)
        self._gate, self._started = Gate(self.stop), time.perf_counter()
        self._at: Place = Place(0, False, None)
        if self.found is not None:
            try:
                self._go_on(self.found)
            except KeyboardInterrupt:
                self._go_on(self.found)  # all of it: nothing of it must be mixed with what was here
                raise
        self._steps_done = [0] * shard.plan.n_threads

    @property
    def turns(self) -> list[slice]:
        """The networks that are left, `n_at_once` at a time."""
        return in_turns(self.left, self.n_at_once)

    def __call__(self) -> None:
        """Train; on Ctrl-C every network is left after its last finished step."""
        begun = self._at
        with self.under_way(), blas_threads(1):
            for turn, rows in enumerate(self.turns[begun.turn :], start=begun.turn):
                shard, records = self.shard.part(rows), self.records.part(rows)
                alone: list[int] = []
                if turn > begun.turn or not begun.is_alone:
                    engine = make_population_engine(shard, self.samples, records, self.stop)
                    self._run(engine, Place(turn, False, engine))
                    alone = engine.to_do_alone
                if alone or (turn == begun.turn and begun.is_alone):
                    called_off = None if self.watch is None else self.watch.looked.called_off
                    each = Each(shard, self.samples, records, self.stop, alone, called_off)
                    self._run(each, Place(turn, True, each))
            self._at = Place(len(self.turns), False, None)
            if self.keeper is not None and begun.turn < len(self.turns) and not self.stop.is_set():
                self.keeper.finish(self.standing())

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
            ends = self.shard.n_iter_no_change is not None or self.shard.options.early_stopping
            ends |= self.watch is not None and bool(self.watch.looked.called_off.any())
            leave_out = self.stop_reason == "interrupted" or ends
            try:
                self.records.end(leave_out)
            except KeyboardInterrupt:
                self.records.end(leave_out)
                raise
            if self.keeper is not None:
                self.keeper.close()

    @property
    def trained(self) -> Trained:
        """The outcome, to be sent to where `take` is called."""
        return Trained(self.shard.parameters, self.shard.state, self.records)

    def take(self, rows: slice, trained: Trained) -> None:
        """Put in place what training has made, elsewhere, of some of the networks."""
        trained.put_into(self.shard, self.records, rows)
        self.left[rows] = False
        self.begun_elsewhere.pop(rows.start, None)
        self._steps_done[0] += len(trained.parameters) * self.shard.epochs * self.samples.n
        self._show()

    def note_begun(self, rows: slice, standing: Standing) -> None:
        """Keep where some of the networks stand that are trained elsewhere."""
        self.begun_elsewhere[rows.start] = standing
        self._show()

    def keep_last(self) -> None:
        """Write the last checkpoint of a run that is shared out, if there are any."""
        if self.keeper is not None:
            self.keeper.finish(self.standing())

    def standing(self) -> Standing:
        """Where the run stands, while no thread is training: all that `found` needs to go on from there."""
        shard, records, at = self.shard, self.records, self._at
        kept = Standing({}, {}) if at.engine is None else at.engine.kept()
        facts = {
            "plan": described_for_many(shard.plan),
            "turn": at.turn,
            "is_alone": at.is_alone,
            "engine": kept.facts if at.engine is not None else None,
            "seconds": self.seconds_before + time.perf_counter() - self._started - self.seconds_compiling,
            "order_seed": shard.order_seed,
            "parts": {str(first): part.facts for first, part in self.begun_elsewhere.items()},
        }
        watched = Standing({}, {}) if self.watch is None else self.watch.kept()
        if self.watch is not None:
            facts["watch"] = watched.facts
        diverged = [(i, each.epoch, each.sample, each.learning_rate) for i, each in records.diverged.items()]
        changing = {
            **{f"engine.{name}": array for name, array in kept.arrays.items()},
            **{f"history.{name}": rows.T[: records.epochs_done] for name, rows in records.metrics.items()},
            **self._rows(),
            "diverged": np.array(diverged, float).reshape(-1, 4),
            "left": self.left.astype(np.uint8),
            **{OF_WATCH + name: array for name, array in watched.arrays.items()},
        }
        of_parts = {
            f"part.{first}.{name}": array
            for first, part in self.begun_elsewhere.items()
            for name, array in part.arrays.items()
        }
        return Standing(facts, changing, {"seeds": shard.seeds, **of_parts})

    def _rows(self) -> dict[str, np.ndarray]:
        """What there is of every network, by name."""
        state, records = self.shard.state, self.records
        return {
            "parameters": self.shard.parameters,
            "moments": state.moments,
            "steps": state.steps,
            "n_epochs": records.n_epochs,
            "stopped": records.stopped,
        }

    def _go_on(self, found: Standing) -> None:
        """From where another process has come to."""
        arrays, facts = found.arrays, found.facts
        for name, values in self._rows().items():
            values[...] = take(arrays, name, values)
        for name, values in self.records.metrics.items():
            done = values.T[: self.records.epochs_done]
            done[...] = take(arrays, f"history.{name}", done)
        for i, epoch, sample, rate in arrays["diverged"].tolist():
            self.records.note_divergence(int(i), DivergenceError(int(epoch), int(sample), rate))
        self.shard.order_seed, self.shard.seeds = facts["order_seed"], arrays["seeds"]
        if self.watch is not None:
            self.watch.go_on(found.part(OF_WATCH, facts["watch"]))
        self.seconds_before = facts["seconds"]
        self.left[:] = arrays["left"]
        self.begun_elsewhere = {
            int(first): found.part(f"part.{first}.", of_part) for first, of_part in facts["parts"].items()
        }
        turn = facts["turn"]
        if facts["engine"] is None:  # between two
            for rows in self.turns[:turn]:
                self.left[rows] = False
            turn = 0
        self._at = Place(turn, facts["is_alone"], None)

    def _begin(self, engine: PopulationEngine, at: "Place") -> None:
        """An engine's run, or what another process has left to do of it."""
        found = self.found
        if found is not None and found.facts["engine"] is not None:
            is_it = (found.facts["turn"], found.facts["is_alone"]) == (at.turn, at.is_alone)
            if is_it:
                engine.go_on(found.part("engine.", found.facts["engine"]))
        self._at = at
        if self.keeper is not None:
            engine.step_aside = self._step_aside

    def _step_aside(self, thread: int) -> None:
        """Let what waits for all threads to pause have its turn; called inside the gate."""
        self._gate.__exit__()
        try:
            if thread == 0:
                self._show()
        finally:
            self._gate.__enter__()

    def _look(self) -> None:
        """See whether it is to end, or time for a checkpoint; called outside of the gate, by one thread."""
        engine = self._at.engine
        can_be_kept = engine is None or engine.can_be_kept
        if can_be_kept or self.keeper is None:
            ENDING.look()
        if self.keeper is not None and can_be_kept:
            self.keeper.look(self.standing, self._gate.closed)

    def _run(self, engine: PopulationEngine, at: "Place") -> None:
        """Train the networks of an engine."""
        self._begin(engine, at)
        slices = [Slices(engine.first_slice) for _ in range(engine.n_threads)]

        def work(thread: int, task: Any) -> None:
            try:
                train(thread, task)
            except KeyboardInterrupt:
                if thread == 0:  # else it was let off where it waited
                    raise

        def train(thread: int, task: Any) -> None:
            with self._gate:
                engine.begin(thread, task)
            is_finished = False
            while not is_finished and not self.stop.is_set():
                started = time.perf_counter()
                with self._gate:
                    steps, is_finished, done, asked = engine.advance(thread, slices[thread].length)
                if done:
                    elapsed = time.perf_counter() - started
                    slices[thread].took(done, elapsed, engine.slice_seconds, asked)
                self._steps_done[thread] += steps
                if thread == 0:
                    self._show()

        with engine.open():
            try:
                started = time.perf_counter()
                engine.compile()
                self.seconds_compiling += time.perf_counter() - started
                with ENDING.looked_for():
                    self._share_out(engine, work, None if at.is_alone else self.watch)
                if self.stop.is_set():
                    raise Ended
            except KeyboardInterrupt:
                if self.keeper is not None and engine.can_be_kept:
                    self.keeper.finish(self.standing())
                raise
            finally:
                try:
                    engine.catch_up()
                except KeyboardInterrupt:
                    engine.catch_up()
                    raise

    def _share_out(
        self, engine: PopulationEngine, work: Callable[[int, Any], None], watch: Watch | None
    ) -> None:
        """Train all networks; up to each look, after which it goes on without those that are to end."""
        if watch is None:
            share_out(engine.tasks, engine.n_threads, work, self._show, self.stop)
            return
        engine.end(watch.looked.called_off)  # what an interruption left undone
        while not watch.is_over:
            until, before = watch.next, watch.looked.until
            engine.pause_at(until)
            share_out(engine.tasks, engine.n_threads, work, self._show, self.stop)
            if self.stop.is_set():
                return
            watch.look(until, engine.look(before))
            engine.end(watch.looked.called_off)
            self._show()

    def history(self, seconds: float) -> PopulationHistory:
        """What has come of a training that took so long in this process and has ended, so or so."""
        records, shard = self.records, self.shard
        rates = shard.learning_rates[:, : records.metrics["loss"].shape[1]]
        goes_back = shard.options.early_stopping
        why = "early stopping" if goes_back else "no change"
        reasons = dict.fromkeys(np.flatnonzero(records.stopped).tolist(), why)
        if self.watch is not None:
            reasons |= dict.fromkeys(np.flatnonzero(self.watch.looked.called_off).tolist(), "callback")
        return PopulationHistory(
            {**records.metrics, "learning_rate": rates},
            records.diverged,
            self.stop_reason,
            self.seconds_before + seconds - self.seconds_compiling,
            Ends(records.n_epochs, reasons, goes_back),
            records.digests(shard.parameters) if shard.architecture.is_strict else None,
        )

    def _show(self) -> None:
        self._look()
        if self._bar.is_shown:
            total = len(self.shard) * self.samples.n
            n_epochs = self.records.n_epochs
            begun = np.flatnonzero(n_epochs)[-1000:]
            losses = self.records.metrics["loss"][begun, n_epochs[begun] - 1]
            loss = float(np.median(losses)) if losses.size else float("nan")
            self._bar.update(sum(self._steps_done) / total, loss)
