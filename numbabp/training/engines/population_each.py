"""The engine that trains networks of a population one by one, as each would be trained by itself."""

import threading
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ...errors import DivergenceError
from ...planning.problem import Problem
from ...samples import Samples
from ...schedules import GivenRates
from ..checkpoints.pausing import Pausing
from ..checkpoints.plans import planned
from ..checkpoints.sound import check_sound
from ..checkpoints.standing import Standing
from ..loop import Training
from ..shard import Records, Shard
from ..stopping import NoChange
from .population_engine import PopulationEngine, Progress


def _go_on(thread: int) -> None:
    """What a thread does where it may pause, and nobody waits for that."""


class Each(PopulationEngine):
    """Networks one by one, as `Network.fit` trains them; all of the shard, or some."""

    def __init__(
        self,
        shard: Shard,
        samples: Samples,
        records: Records,
        stop: threading.Event,
        networks: Iterable[int] | None = None,
        called_off: np.ndarray | None = None,
    ) -> None:
        super().__init__(shard, samples, records)
        self._stop = stop
        self._of_thread = [0] * self.n_threads
        self._to_do = dict.fromkeys(range(len(shard)) if networks is None else networks)
        """Networks that are not trained to the end,"""
        self._under_way: dict[int, Pausing] = {}
        """where those stand that have begun here,"""
        self._found: dict[int, Standing] = {}
        """and those that another process has begun, or that pause."""
        self._until = shard.epochs
        """Epochs after which networks pause."""
        self._called_off = called_off
        """Epochs after which each ends, or 0; of networks that are done again."""
        self._is_watched = shard.problem.is_watched and networks is None

    @property
    def tasks(self) -> Iterable[int]:
        """Networks."""
        if not self._is_watched:
            return list(self._to_do)
        return [i for i in self._to_do if self.records.n_epochs[i] < self._until]  # others pause

    def begin(self, thread: int, task: int) -> None:
        """See `PopulationEngine`."""
        self._of_thread[thread] = task

    def advance(self, thread: int, max_steps: int) -> Progress:
        """Train the thread's network to the end: its loop has slices of its own."""
        i, shard, records = self._of_thread[thread], self.shard, self.records
        until, before = self._until_of(i), int(records.n_epochs[i])
        training = self._training(i, thread)
        has_ended = until == shard.epochs or not self._is_watched
        try:
            training()
        except DivergenceError as error:
            records.note_divergence(i, error)
            has_ended = True
        except KeyboardInterrupt:
            if not self._stop.is_set():  # it came to this thread
                raise
        finally:
            history = training.history
            if history is not None:
                for name in history:
                    records.metrics[name][i, : history.n_epochs] = history[name]
                records.n_epochs[i] = history.n_epochs
                is_over = history.stop_reason in ("callback", "early stopping")
                if is_over or (has_ended and history.n_epochs == until < shard.epochs):
                    records.stopped[i] = history.n_epochs
                has_ended |= is_over
        if not self._stop.is_set():
            # in this order, for an interruption in between
            if has_ended:
                del self._to_do[i]
            else:
                self._found[i] = self._under_way[i].standing()
                shard.parameters[i] = self._found[i].arrays["parameters"]  # not the best ones
            self._under_way.pop(i, None)
        return Progress((until - before) * self.samples.n, is_finished=True)

    def _until_of(self, i: int) -> int:
        """Epochs after which a network pauses or ends."""
        if self._called_off is not None and self._called_off[i] > 0:
            return int(self._called_off[i])
        return self._until

    def pause_at(self, epoch: int) -> None:
        """See `PopulationEngine`."""
        self._until = epoch

    def look(self, first_epoch: int) -> np.ndarray:
        """See `PopulationEngine`."""
        diverged = np.zeros(len(self.shard), bool)
        diverged[self.records.own_diverged] = True
        return diverged

    def end(self, called_off: np.ndarray) -> None:
        """See `PopulationEngine`."""
        for i in np.flatnonzero(called_off).tolist():
            if i in self._to_do:
                found = self._found[i]
                if "best_parameters" in found.arrays:
                    self.shard.parameters[i] = found.arrays["best_parameters"]
                self.records.stopped[i] = called_off[i]
                del self._to_do[i]
                self._found.pop(i)

    def kept(self) -> Standing:
        """See `PopulationEngine`: the networks under way, each as it is kept by itself."""
        facts: dict[str, Any] = {"networks": {}}
        # there may be too many for the text of a header
        arrays = {"to_do": np.array(list(self._to_do), np.int64)}
        begun = {i: each.standing() for i, each in self._under_way.items() if each.has_begun}
        standings = {**self._found, **begun}
        for i, standing in standings.items():
            facts["networks"][str(i)] = standing.facts
            arrays |= {f"{i}.{name}": array for name, array in standing.arrays.items()}
        return Standing(facts, arrays)

    @property
    def can_be_kept(self) -> bool:
        """See `PopulationEngine`."""
        # of a copy, made at once: threads begin and end networks meanwhile
        return not any(pausing.is_lost for pausing in list(self._under_way.values()))

    def go_on(self, kept: Standing) -> None:
        """See `PopulationEngine`."""
        begun = {int(name): facts for name, facts in kept.facts["networks"].items()}
        self._found = {i: kept.part(f"{i}.", facts) for i, facts in begun.items()}
        self._to_do = dict.fromkeys([*begun, *kept.arrays["to_do"].tolist()])

    def _training(self, i: int, thread: int) -> Training:
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
        found, plan = self._found.get(i), shard.plan.of_network
        if found is not None:
            check_sound(found, samples.n)
            plan = planned(found.facts["plan"], plan, problem)
        pausing = None
        if self.step_aside is not None or self._is_watched:
            step_aside = self.step_aside or _go_on
            pausing = self._under_way[i] = Pausing(partial(step_aside, thread), found)
            self._found.pop(i, None)
        return Training(
            problem,
            plan,
            Samples(samples.inputs, samples.targets, weights),
            shard.parameters[i],
            shard.state.part(i),
            GivenRates(shard.rates[shard.rate_of[i], : self._until_of(i)]),
            shard.order_seed_of(i),
            validation=samples.validation,
            callback=None if shard.n_iter_no_change is None else NoChange(shard.n_iter_no_change, shard.tol),
            stop=self._stop,
            keeper=pausing,
            found=found,
        )
