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
        self._stop = stop
        self._of_thread = [0] * self.n_threads
        self._to_do = dict.fromkeys(range(len(shard)) if networks is None else networks)
        """Networks that are not trained to the end,"""
        self._under_way: dict[int, Pausing] = {}
        """where those stand that have begun here,"""
        self._found: dict[int, Standing] = {}
        """and those that another process has begun."""

    @property
    def tasks(self) -> Iterable[int]:
        """Networks."""
        return list(self._to_do)

    def begin(self, thread: int, task: int) -> None:
        """See `PopulationEngine`."""
        self._of_thread[thread] = task

    def advance(self, thread: int, max_steps: int) -> Progress:
        """Train the thread's network to the end: its loop has slices of its own."""
        i, shard, records = self._of_thread[thread], self.shard, self.records
        training = self._training(i, thread)
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
                if history.stop_reason in ("callback", "early stopping"):
                    records.stopped[i] = history.n_epochs
        if not self._stop.is_set():
            # in this order, for an interruption in between
            del self._to_do[i]
            self._under_way.pop(i, None)
        return Progress(shard.epochs * self.samples.n, is_finished=True)

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
        return not any(pausing.is_lost for pausing in self._under_way.values())

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
        if self.step_aside is not None:
            pausing = self._under_way[i] = Pausing(partial(self.step_aside, thread), found)
            self._found.pop(i, None)
        return Training(
            problem,
            plan,
            Samples(samples.inputs, samples.targets, weights),
            shard.parameters[i],
            shard.state.part(i),
            GivenRates(shard.rates[shard.rate_of[i]]),
            shard.order_seed_of(i),
            validation=samples.validation,
            callback=None if shard.n_iter_no_change is None else NoChange(shard.n_iter_no_change, shard.tol),
            stop=self._stop,
            keeper=pausing,
            found=found,
        )
