"""The epoch loop of one network: a kernel called in slices, and what is watched between them."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..checks.finite import all_finite
from ..errors import DivergenceError
from ..history import History
from ..inference.predictions import measure_one, outputs
from ..kernels import state as kernel_state
from ..kernels.state import DIVERGED, EPOCH, FIRST_METRIC, LOSS, SAMPLE, STEP, WEIGHT, Run
from ..planning.plan import Plan
from ..planning.planner import step_by_step
from ..planning.problem import Problem
from ..samples import Samples
from ..schedules import Rates
from ..tensor_files import digest
from . import slicing
from .checkpoints import plans
from .checkpoints.keeper import Keeper
from .checkpoints.pausing import Pausing
from .checkpoints.standing import Decided, Remembering, Standing, take
from .divergence import Snapshot, is_of_use, last_finite
from .engines.network_engine import Engine, Subject
from .engines.network_registry import make_engine
from .progress import ProgressBar
from .slicing import Slices
from .state import RuleState
from .stopping import Stopping

Callback = Callable[[int, dict[str, float]], Any]
OF_CALLBACK = "callback."
"""What the names of a callback's arrays begin with in a checkpoint."""


@dataclass
class Training:
    """One run of training of one network: the kernel's arrays, and the loop around the kernel.

    Parameters
    ----------
    problem, plan
        What is to be done, and by which kernel.
    samples
        On the host, or on the plan's GPU; inputs may be a CSR matrix.
    parameters
        T (n_parameters,), trained in place.
    state
        What the update rule carries along; changed in place, too.
    rates
        Learning rates, and how many epochs there are at most.
    order_seed
        Of the shuffles.
    validation
        Samples measured after every epoch.
    callback
        Called after every epoch as callback(epoch, metrics); a true result ends training.
    stop
        Once set, training ends as by Ctrl-C; for runs in threads that Ctrl-C does not reach.
    """

    problem: Problem
    plan: Plan
    samples: Samples
    parameters: np.ndarray
    state: RuleState
    rates: Rates
    order_seed: int
    validation: Samples | None = None
    callback: Callback | None = None
    stop: threading.Event | None = None
    keeper: Keeper | Pausing | None = None
    """Asked after every slice whether this is a place to be kept."""
    found: Standing | None = None
    """Where to go on from, which belongs to this run."""

    history: History | None = field(init=False, default=None)
    """Up to the last finished epoch, once training has begun and ended."""
    stop_reason: str = field(init=False, default="finished")

    def __post_init__(self) -> None:
        options, n_samples = self.problem.options, self.problem.n_samples
        self._names = self.problem.architecture.metric_names(options.monitor)
        position = np.zeros(4, np.int64)
        position[STEP] = self.state.steps
        self._stopping = Stopping(options)
        self.run = Run(
            position,
            np.array([self.order_seed] if options.shuffle else [], np.uint64),
            self.rates.first.copy(),  # an adaptive schedule changes them
            self.problem.architecture.metric_codes(self._names),
            np.zeros((len(self.rates.first), FIRST_METRIC + len(self._names))),
        )
        self._order = np.arange(n_samples, dtype=np.int64)
        # a run that went over to the CPU goes on there
        self._use(self.plan, self.samples.on_host() if self.plan.device == "cpu" else self.samples)
        self._validation_metrics: list[dict[str, float]] = []
        self._n_watched = 0
        self._before_watch: Decided | None = None
        """What is kept of a run that ends amid the watching of an epoch, which is then done again."""
        self._remembers = self.callback if isinstance(self.callback, Remembering) else None  # takes 30 us
        self._has_ended = self._was_over = False
        self._is_sound = True
        """Whether an interruption now would leave what a run can go on from."""
        self._started, self._seconds = time.perf_counter(), 0.0
        self._slices = Slices(_first_guess(self.problem.architecture, self.problem.n_nonzeros))

    def __call__(self) -> History:
        """Run to the end.

        Raises
        ------
        DivergenceError
            If the loss, the parameters or what the rule carries along stop being finite, or of any use.
        KeyboardInterrupt
            On Ctrl-C, with the network after its last finished step and `history` up to the last finished
            epoch.
        """
        with self._engine.open():
            return self._train()

    def _train(self) -> History:
        with ProgressBar(self.rates.epochs, self.problem.options.progress) as bar:
            if self.found is None or not self.found.is_over(self.rates.epochs):
                self._call_kernel(0, 0)  # compiles, or loads from the cache, before the clock runs
                self._engine.catch_up()  # likewise, before Ctrl-C
            if self.found is not None:
                self._take_over(self.found)
            return self._train_with(bar)

    def _train_with(self, bar: ProgressBar) -> History:
        self._started = time.perf_counter()
        try:
            with np.errstate(all="ignore"), slicing.ENDING.looked_for():
                self._go_to_the_end(bar)
            if self._stopping.best_parameters is not None:
                self._engine.catch_up()  # now, not over them
                self.parameters[:] = self._stopping.best_parameters
        except BaseException:
            try:
                if self.keeper is not None and self._is_sound and not self._was_over:
                    self.keeper.finish(self.standing())
            finally:
                self.stop_reason = "interrupted"
            raise
        finally:
            try:
                self._end()
            except KeyboardInterrupt:
                self._end()  # all of it, and from its beginning
                raise
            if self.keeper is not None:
                self.keeper.close()  # last, as it may wait, and warn
        assert self.history is not None
        return self.history

    def _end(self) -> None:
        """Leave the network, its rule's state and the history as of the last step."""
        self._engine.catch_up()
        self.state.steps[...] = self.run.position[STEP]
        self.history = self._history()

    def _take_over(self, found: Standing) -> None:
        """Go on from what another process has left, all of it: Ctrl-C must not mix it with what was here."""
        try:
            self._go_on(found)
        except KeyboardInterrupt:
            self._go_on(found)
            self.stop_reason = "interrupted"
            self._end()
            raise

    def _go_to_the_end(self, bar: ProgressBar) -> None:
        """Train and watch, epoch by epoch, until the last one or a reason to stop."""
        epochs, position = self.rates.epochs, self.run.position
        is_watched = self.validation is not None or self.callback is not None or self._stopping.watches
        while not self._has_ended:
            epoch = int(position[EPOCH])
            if is_watched and self._n_watched < epoch:
                self._watch(self._n_watched)
            elif epochs is not None and epoch >= epochs:
                self._take_time()
                self._has_ended = True
            else:
                if epoch == len(self.run.sums):
                    self._make_room()
                self._advance(epoch + 1 if is_watched else len(self.run.sums), bar)
            if not self._has_ended:
                self._look()
        if self.keeper is not None and not self._was_over:
            self.keeper.finish(self.standing())

    def _look(self) -> None:
        """Where the run can be gone on with: see whether it is to end, or time for a checkpoint."""
        slicing.ENDING.look()
        if self.keeper is not None:
            self.keeper.look(self.standing)

    def standing(self) -> Standing:
        """Where the run stands: all that `found` needs to go on from there bit for bit."""
        run, done = self.run, int(self.run.position[EPOCH])
        decided = self._before_watch or self._decided()
        facts = {
            "plan": plans.described(self.plan),
            "stop_reason": self.stop_reason if self._has_ended else None,
            "seconds": self._take_time(),
            "n_watched": decided.n_watched,
            "epochs": self.rates.epochs,
        }
        names = ["loss", *self._names]
        records = self._validation_metrics[: decided.n_validated]
        validated = [[record[f"validation_{name}"] for name in names] for record in records]
        changing = {
            **(self._engine.kept() if decided.trained is None else decided.trained),
            "position": run.position,
            "order": self._order,
            "random": run.random,
            "learning_rates": run.learning_rates[: done + 1],
            "sums": run.sums[: done + 1],
            "validation": np.array(validated, float).reshape(len(validated), len(names)),
            "stopping": decided.stopping,
        }
        constant = {} if decided.best_parameters is None else {"best_parameters": decided.best_parameters}
        if decided.of_callback is not None:
            facts["callback"] = decided.of_callback.facts
            constant |= {OF_CALLBACK + name: array for name, array in decided.of_callback.arrays.items()}
        if decided.random_states is not None:
            facts |= decided.random_states.facts
            constant |= decided.random_states.arrays
        return Standing(facts, changing, constant)

    def _decided(self) -> Decided:
        """As it is now."""
        return Decided(
            self._n_watched,
            len(self._validation_metrics),
            self._stopping.numbers,
            self._stopping.best_parameters,
            None if self._remembers is None else self._remembers.kept(),
        )

    def _noted(self) -> Decided | None:
        """As it is now, with all that a callback may change; None where nothing is kept."""
        if self.keeper is None:
            return None
        decided = self._decided()
        if self.callback is None or self._remembers is not None:
            return decided
        # random states take 100 us: a network of 2-10-1 has them only for callbacks that may draw
        trained = {name: array.copy() for name, array in self._engine.kept().items()}
        return decided._replace(trained=trained, random_states=self.keeper.random_states())

    def _go_on(self, found: Standing) -> None:
        """From where another process has come to."""
        arrays, n = found.arrays, len(found.arrays["sums"])
        best = take(arrays, "best_parameters", self.parameters) if "best_parameters" in arrays else None
        self._stopping.go_on(take(arrays, "stopping", self._stopping.numbers), best)
        while len(self.run.sums) < n:
            self._make_room()
        run = self.run
        run.position[:] = take(arrays, "position", run.position)
        run.random[:] = take(arrays, "random", run.random)
        run.sums[:n] = take(arrays, "sums", run.sums[:n])
        run.learning_rates[:n] = take(arrays, "learning_rates", run.learning_rates[:n])
        if self._stopping.adapts_rate:
            run.learning_rates[n:] = self._stopping.rate
        self._order[:] = take(arrays, "order", self._order)
        if self._remembers is not None:
            self._remembers.go_on(found.part(OF_CALLBACK, found.facts["callback"]))
        names = [f"validation_{name}" for name in ("loss", *self._names)]
        self._validation_metrics = [
            dict(zip(names, row, strict=True)) for row in arrays["validation"].tolist()
        ]
        self._n_watched = found.facts["n_watched"]
        self._seconds = found.facts["seconds"]
        self._engine.put_back(arrays)  # last, when nothing is wrong
        if found.is_over(self.rates.epochs):
            self.stop_reason, self._has_ended, self._was_over = found.facts["stop_reason"], True, True

    def _take_time(self) -> float:
        """Seconds of the run up to now or to its end, in all processes that it was trained by."""
        now = time.perf_counter()
        if not self._has_ended:
            self._seconds += now - self._started
        self._started = now
        return self._seconds

    def _make_room(self) -> None:
        """Go on with room for twice as many epochs: what a long run takes grows with those that are done."""
        run, stopping = self.run, self._stopping
        have = len(run.sums)
        room = 2 * have if self.rates.epochs is None else min(self.rates.epochs, 2 * have)
        more = self.rates.between(have, room)
        if stopping.adapts_rate:
            more = np.full(len(more), stopping.rate)
        self.run = run._replace(
            learning_rates=np.concatenate([run.learning_rates, more]),
            sums=np.concatenate([run.sums, np.zeros((room - have, run.sums.shape[1]))]),
        )
        self._engine.use_run(self.run)

    def _use(self, plan: Plan, samples: Samples) -> None:
        """Train with the plan's kernel from now on."""
        self.plan = plan
        of = samples.inputs, samples.targets, samples.weights, self._order
        kernel_samples: Any
        if self.problem.is_sparse:
            from ..kernels.sparse import sparse_samples  # compiled for those who need it

            kernel_samples = sparse_samples(*of)
        else:
            kernel_samples = kernel_state.Samples(*of)
        subject = Subject(
            self.problem.architecture,
            self.parameters,
            self.state.moments,
            kernel_samples,
            self.problem.options,
            self.run,
        )
        self._engine: Engine = make_engine(plan, subject)

    def _advance(self, stop_epoch: int, bar: ProgressBar) -> None:
        """Run the kernel, slice by slice, until `stop_epoch`."""
        position, n_samples = self.run.position, self.problem.n_samples
        snapshot: Snapshot | None = None
        while position[EPOCH] < stop_epoch:
            if self.stop is not None and self.stop.is_set():
                raise KeyboardInterrupt
            begun = time.perf_counter()
            if snapshot is None:
                snapshot = Snapshot(self._changing())
            else:
                snapshot.take(self._changing())
            before = self._samples_done()
            started = time.perf_counter()
            self._is_sound = False
            try:
                status = self._call_kernel(stop_epoch, self._slices.length)
            except BaseException:
                if not self._engine.stops_after_steps:
                    self._restore(snapshot)
                self._is_sound = self._is_of_use(snapshot)
                raise
            elapsed = time.perf_counter() - started
            done = self._samples_done() - before
            if status == DIVERGED or not self._is_of_use(snapshot):
                error = self._divergence(snapshot, stop_epoch, done + (status == DIVERGED))
                if error is not None:
                    raise error
                snapshot = None  # the engine is another one now
            self._is_sound = True
            self._look()
            between = time.perf_counter() - begun - elapsed
            share = min(slicing.SLICE_SHARE * between, slicing.LONGEST_SLICE_SECONDS)
            self._slices.took(done, elapsed, max(slicing.SLICE_SECONDS, share))
            epoch = int(position[EPOCH])
            at_start = position[SAMPLE] == 0 and epoch > 0
            bar.update(epoch + position[SAMPLE] / n_samples, self._mean(epoch - 1 if at_start else epoch))

    def _samples_done(self) -> int:
        return int(self.run.position[EPOCH]) * self.problem.n_samples + int(self.run.position[SAMPLE])

    def _call_kernel(self, stop_epoch: int, max_samples: int) -> int:
        return self._engine.advance(stop_epoch, max_samples)

    def _is_of_use(self, since: Snapshot) -> bool:
        """Whether training can go on from here; what is recorded counts from a snapshot on."""
        parameters, moments = self._engine.changing[:2]
        epoch = int(self.run.position[EPOCH])
        losses = self.run.sums[since.copies[-1][EPOCH] : epoch + 1, LOSS]
        of, by_layers = self.problem.architecture, self.plan.device == "cpu"
        rate = self.run.learning_rates[min(self.run.position[EPOCH], len(self.run.sums) - 1)]
        if not self._engine.may_overflow(float(rate)):
            return is_of_use(of, parameters, moments, losses, by_layers)
        snapshot = Snapshot(self._changing())
        self._engine.catch_up()
        result = is_of_use(of, parameters, moments, losses, by_layers)
        self._restore(snapshot)
        return result

    def _predicts(self) -> bool:
        """Whether outputs for the samples trained on are finite."""
        self._engine.catch_up()
        return all_finite(outputs(self.problem.architecture, self.parameters, self.samples.inputs)[1])

    def _changing(self) -> tuple[Any, ...]:
        """Everything that a kernel call changes; the position comes last."""
        run = self.run
        epoch = run.position[EPOCH]
        return (*self._engine.changing, self._order, run.random, run.sums[epoch : epoch + 1], run.position)

    def _restore(self, snapshot: Snapshot) -> None:
        position = snapshot.copies[-1]
        self.run.position[:] = position  # which says where the sums belong
        self.run.sums[position[EPOCH] + 1 :] = 0
        snapshot.put_back(self._changing())

    def _divergence(self, snapshot: Snapshot, stop_epoch: int, n_samples: int) -> DivergenceError | None:
        """Go back to the last step of use of the n_samples since `snapshot`; the error that tells of it.

        A blocked kernel's run is repeated step by step on the CPU, which differs by rounding; should it then
        stay of use, there is no error, and training goes on step by step.
        """
        if self.plan.block_length:
            self._restore(snapshot)
            self._engine.catch_up()
            self._use(step_by_step(self.problem, self.plan), self.samples.on_host())
            snapshot = Snapshot(self._changing())

        def stays_of_use(n_samples: int) -> bool:
            self._restore(snapshot)
            return self._call_kernel(stop_epoch, n_samples) != DIVERGED and self._is_of_use(snapshot)

        def last(is_good: Callable[[int], bool], not_good: int) -> int:
            """Steps since the snapshot, at least 0."""
            bounds = np.array([0]), np.array([not_good])
            return int(last_finite(lambda n: np.array([is_good(int(n[0]))]), *bounds)[0])

        if stays_of_use(n_samples):
            return None
        finite = last(stays_of_use, n_samples)
        if stays_of_use(finite) and not self._predicts():
            finite = last(lambda n: stays_of_use(n) and self._predicts(), finite)
        self._restore(snapshot)
        status = self._call_kernel(stop_epoch, finite + 1)
        at = int(self.run.position[SAMPLE]) - (0 if status == DIVERGED else 1)
        sample = int(self._order[at])  # -1, the last one, where the epoch has just ended
        stays_of_use(finite)
        epoch = int(self.run.position[EPOCH])
        return DivergenceError(epoch, sample, float(self.run.learning_rates[epoch]))

    def _watch(self, epoch: int) -> None:
        """Validate, call back, adapt the rate, and see whether training is to end."""
        stopping = self._stopping
        self._engine.catch_up()
        self._before_watch = self._noted()
        self.state.steps[...] = self.run.position[STEP]  # for copies that a callback makes
        metrics = {"loss": self._mean(epoch)}
        for m, name in enumerate(self._names):
            metrics[name] = self._mean(epoch, FIRST_METRIC + m)
        watched = metrics["loss"]
        if self.validation is not None:
            of = self.problem.architecture
            measured = measure_one(of, self.parameters, self.validation, self._names)
            self._validation_metrics.append({f"validation_{name}": value for name, value in measured.items()})
            metrics.update(self._validation_metrics[-1])
            watched = metrics["validation_loss"]
        rate = stopping.next_rate(metrics["loss"], float(self.run.learning_rates[epoch]))
        if stopping.adapts_rate:
            self.run.learning_rates[epoch + 1 :] = rate
        if stopping.is_over(watched, self.parameters):
            self.stop_reason = "early stopping"
        elif rate == 0:
            self.stop_reason = "learning rate"
        if self.callback is not None:
            if self.callback(epoch, metrics):
                self.stop_reason = "callback"
            # it may have assigned to them, and they are kept, or trained on, next
            self.problem.architecture.check_finite(self.parameters)
            self.state.check_finite()
            self._engine.reread()
        self._take_time()
        # at once, for an interruption in between
        self._n_watched, self._has_ended, self._before_watch = epoch + 1, self.stop_reason != "finished", None

    def _mean(self, epoch: int, column: int = LOSS) -> float:
        weight = self.run.sums[epoch, WEIGHT]
        return float(self.run.sums[epoch, column] / weight) if weight > 0 else float("nan")

    def _history(self) -> History:
        of, done = self.problem.architecture, int(self.run.position[EPOCH])
        sums = self.run.sums[:done]
        metrics = {"loss": sums[:, LOSS] / sums[:, WEIGHT]}
        for m, name in enumerate(self._names):
            metrics[name] = sums[:, FIRST_METRIC + m] / sums[:, WEIGHT]
        if self.validation is not None:
            records = self._validation_metrics
            for name in ["loss", *self._names]:
                values = [record[f"validation_{name}"] for record in records]
                # an interruption may fall between an epoch's end and its validation
                values += [np.nan] * (done - len(values))
                metrics[f"validation_{name}"] = np.array(values, float)
        return History(
            metrics,
            learning_rate=self.run.learning_rates[:done].copy(),
            stop_reason=self.stop_reason,
            seconds=self._take_time(),
            digest=digest([], self.parameters, *metrics.values()) if of.is_strict else None,
        )


def _first_guess(architecture: Architecture, n_nonzeros: float | None) -> float:
    """Steps that take well under `SLICE_SECONDS`: 10 ns a parameter and 200 ns a sample."""
    touched = float(architecture.n_parameters)
    if n_nonzeros is not None:
        touched -= (architecture.n_inputs - n_nonzeros) * architecture.layer_sizes[1]
    return slicing.SLICE_SECONDS / (1e-8 * touched + 2e-7) / 4
