"""The epoch loop: a kernel called in slices, and what is watched between them."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks.host import check_random_state
from ..compiler.subnormals import flushed_subnormals
from ..devices.placement import CPU, Placement
from ..errors import DivergenceError
from ..functions.losses import METRICS
from ..history import History
from ..kernels.state import DIVERGED, EPOCH, FIRST_METRIC, LOSS, SAMPLE, STEP, WEIGHT, Run, Samples
from ..kernels.update_rules import N_MOMENTS
from ..options import Options
from ..planning.planner import Plan, make_plan
from ..schedules import check_schedule, learning_rates
from .engines.network_cpu import make_engine
from .progress import ProgressBar

if TYPE_CHECKING:
    from ..kernels.sparse import SparseSamples
    from ..network import Network

SLICE_SECONDS = 0.05
"""A kernel returns to Python about this often, for Ctrl-C and progress."""
SLICE_SHARE = 10
"""But it runs for so many times what the copies and checks between take, which is long for large networks,"""
LONGEST_SLICE_SECONDS = 0.15
"""and never longer than Ctrl-C may wait."""

Callback = Callable[[int, dict[str, float]], Any]


@dataclass
class RuleState:
    """What an update rule carries from one fit to the next."""

    update_rule: str
    moments: np.ndarray
    step: int = 0

    @classmethod
    def new(cls, update_rule: str, parameters: np.ndarray) -> "RuleState":
        """State before the first step."""
        shape = (N_MOMENTS[update_rule], parameters.size)
        return cls(update_rule, np.zeros(shape, parameters.dtype))


def draw_order_seed(generator: np.random.RandomState, options: Options) -> int:
    """Draw the seed of the shuffles, or nothing where the order is fixed."""
    return int(generator.randint(0, 2**63 - 1, dtype=np.int64)) if options.shuffle else 0


@dataclass
class Training:
    """One run of training: the kernel's arrays, and the loop around the kernel.

    Parameters
    ----------
    network
        Trained in place.
    inputs, targets, weights
        Checked arrays, as in `kernels.state.Samples`, on the host or on the plan's GPU; inputs may also
        be a checked CSR matrix.
    options
        How to train.
    epochs
        Epochs to run.
    generator
        Draws the seed of the shuffles; not used for a fixed order.
    validation
        Checked inputs and targets measured after every epoch.
    callback
        Called after every epoch as callback(epoch, metrics); a true result ends training.
    stop
        Once set, training ends as by Ctrl-C; for runs in threads that Ctrl-C does not reach.
    place
        Where it has to be trained, or may be.
    made_plan, rates, order_seed
        The plan, the learning rate of every epoch, and the seed of the shuffles, where they are made already.
    """

    network: "Network"
    inputs: Any
    targets: np.ndarray
    weights: np.ndarray
    options: Options
    epochs: int
    generator: np.random.RandomState | None = None
    validation: tuple[np.ndarray, np.ndarray] | None = None
    callback: Callback | None = None
    stop: threading.Event | None = None
    place: Placement = CPU
    made_plan: InitVar[Plan | None] = None
    rates: InitVar[np.ndarray | None] = None
    order_seed: InitVar[int | None] = None

    plan: Plan = field(init=False)
    samples: "Samples | SparseSamples" = field(init=False)
    run: Run = field(init=False)
    stop_reason: str = field(init=False, default="finished")

    def __post_init__(self, made_plan: Plan | None, rates: np.ndarray | None, order_seed: int | None) -> None:
        network, options = self.network, self.options
        self._n_samples = len(self.targets)
        is_sparse = hasattr(self.inputs, "nnz")
        n_nonzeros = self.inputs.nnz / self._n_samples if is_sparse else None
        plan = made_plan or make_plan(network, self._n_samples, self.epochs, options, n_nonzeros, self.place)
        schedule_options = check_schedule(options.schedule, options.schedule_options)
        if rates is None:  # before anything is drawn or changed: a schedule of the caller's may raise
            rate = float(options.learning_rate)
            rates = learning_rates(options.schedule, schedule_options, rate, self.epochs)
        if order_seed is None:
            order_seed = draw_order_seed(check_random_state(self.generator), options)
        state = network.rule_state(options.update_rule)
        self._names = network.metric_names(options.monitor)
        self._state = state
        order = np.arange(self._n_samples, dtype=np.int64)
        if n_nonzeros is None:
            self.samples = Samples(self.inputs, self.targets, self.weights, order)
        else:
            from ..kernels.sparse import sparse_samples

            self.samples = sparse_samples(self.inputs, self.targets, self.weights, order)
        position = np.zeros(4, np.int64)
        position[STEP] = state.step
        self._schedule_options = schedule_options
        self.run = Run(
            position,
            np.array([order_seed] if options.shuffle else [], np.uint64),
            rates,
            np.array([METRICS[name] for name in self._names], np.int64),
            np.zeros((self.epochs, FIRST_METRIC + len(self._names))),
        )
        self._use(plan)
        self._validation_metrics: list[dict[str, float]] = []
        # a first guess, well under SLICE_SECONDS: 10 ns a parameter and 200 ns a sample
        absent = 0 if n_nonzeros is None else (network.n_inputs - n_nonzeros) * network.layer_sizes[1]
        self._slice = max(1, int(SLICE_SECONDS / (1e-8 * (network.n_parameters - absent) + 2e-7) / 4))

    def __call__(self) -> History:
        """Run to the end.

        Raises
        ------
        DivergenceError
            If the loss or the parameters stop being finite.
        KeyboardInterrupt
            On Ctrl-C, with the network after its last finished step and `network.history` up to the
            last finished epoch.
        """
        with self._engine.device():
            return self._train()

    def _train(self) -> History:
        self._call_kernel(0, 0)  # compiles, or loads from the cache, before the clock runs
        self._engine.catch_up()  # likewise, before Ctrl-C
        started = time.perf_counter()
        stopping = Stopping(self.options, self._schedule_options)
        watched = (
            self.validation is not None
            or self.callback is not None
            or self.options.early_stopping
            or self.options.schedule == "adaptive"
        )
        try:
            with ProgressBar(self.epochs, self.options.progress) as bar, np.errstate(all="ignore"):
                while self.run.position[EPOCH] < self.epochs:
                    epoch = int(self.run.position[EPOCH])
                    self._advance(epoch + 1 if watched else self.epochs, bar)
                    if watched and self._watch(epoch, stopping):
                        break
            if stopping.best_parameters is not None:
                self._engine.catch_up()  # now, not over them
                self.network.parameters[:] = stopping.best_parameters
        except BaseException:
            self.stop_reason = "interrupted"
            raise
        finally:
            self._engine.catch_up()
            self._state.step = int(self.run.position[STEP])
            self.network.history = self._history(time.perf_counter() - started)
        return self.network.history

    def _advance(self, stop_epoch: int, bar: ProgressBar) -> None:
        """Run the kernel, slice by slice, until `stop_epoch`."""
        position = self.run.position
        snapshot: tuple[np.ndarray, ...] = ()
        while position[EPOCH] < stop_epoch:
            if self.stop is not None and self.stop.is_set():
                raise KeyboardInterrupt
            begun = time.perf_counter()
            snapshot = self._snapshot(snapshot)
            before = self._samples_done()
            started = time.perf_counter()
            try:
                status = self._call_kernel(stop_epoch, self._slice)
            except BaseException:
                if self.plan.device != "cpu":  # it may have come between a block's launches
                    self._restore(snapshot)
                raise
            elapsed = time.perf_counter() - started
            done = self._samples_done() - before
            if status == DIVERGED or not self._is_finite():
                self._raise_divergence(snapshot, stop_epoch, done + (status == DIVERGED))
            between = time.perf_counter() - begun - elapsed
            seconds = max(SLICE_SECONDS, min(SLICE_SHARE * between, LONGEST_SLICE_SECONDS))
            wanted = done * seconds / max(elapsed, 1e-9)
            if done >= self._slice or wanted < self._slice:  # else the epoch's end came first
                self._slice = max(1, int(min(max(wanted, self._slice / 4), self._slice * 4)))
            epoch = int(position[EPOCH])
            at_start = position[SAMPLE] == 0 and epoch > 0
            bar.update(
                epoch + position[SAMPLE] / self._n_samples, self._mean(epoch - 1 if at_start else epoch)
            )

    def _samples_done(self) -> int:
        return int(self.run.position[EPOCH]) * self._n_samples + int(self.run.position[SAMPLE])

    def _use(self, plan: Plan) -> None:
        """Train with the plan's kernel from now on."""
        self.plan = plan
        self._engine = make_engine(
            plan, self.network, self._state.moments, self.samples, self.options, self.run
        )

    def _call_kernel(self, stop_epoch: int, max_samples: int) -> int:
        with flushed_subnormals():
            return self._engine.advance(stop_epoch, max_samples)

    def _is_finite(self) -> bool:
        parameters = self._engine.model.parameters
        rate = self.run.learning_rates[min(self.run.position[EPOCH], self.epochs - 1)]
        if self._engine.may_overflow(float(rate)):
            snapshot = self._snapshot()
            self._engine.catch_up()
            finite = bool(np.isfinite(parameters).all())
            self._restore(snapshot)
            return finite
        # a finite sum settles it quickly; one that is not may come from an overflow of the sum alone
        return bool(np.isfinite(parameters.sum()) or np.isfinite(parameters).all())

    def _snapshot(self, into: tuple[np.ndarray, ...] = ()) -> tuple[np.ndarray, ...]:
        """Copies of everything that a kernel call changes, in the arrays of an earlier snapshot if given.

        Fresh memory for large arrays takes longer than the copy.
        """
        if not into:
            return tuple(array.copy() for array in self._changing())
        for copy, array in zip(into, self._changing(), strict=True):
            copy[...] = array
        return into

    def _changing(self) -> tuple[np.ndarray, ...]:
        run = self.run
        epoch = run.position[EPOCH]
        return (
            self._engine.model.parameters,
            self._engine.model.moments,
            self._engine.model.gradient,
            self.samples.order,
            run.random,
            *self._engine.state,
            run.sums[epoch : epoch + 1],
            run.position,
        )

    def _restore(self, snapshot: tuple[np.ndarray, ...]) -> None:
        self.run.position[:] = snapshot[-1]
        self.run.sums[snapshot[-1][EPOCH] + 1 :] = 0
        for array, copy in zip(self._changing(), snapshot, strict=True):
            array[...] = copy

    def _raise_divergence(self, snapshot: tuple[np.ndarray, ...], stop_epoch: int, n_samples: int) -> None:
        """Go back to the last finite step of the n_samples since `snapshot`, and raise.

        Kernels are deterministic, so the slice can be run again; how far it stays finite is found by
        bisection. A blocked kernel's run is repeated step by step on the CPU, which differs by rounding;
        should it then stay finite, training goes on step by step.
        """
        if self.plan.kernel == "blocked":
            if self.plan.device != "cpu":
                snapshot = self._leave_gpu(snapshot)
            self._use(self.plan.step_by_step(self.options))
            no_gradient = np.zeros_like(self._engine.model.gradient)  # as no mini-batch is under way
            snapshot = (*snapshot[:2], no_gradient, *snapshot[3:])

        def stays_finite(n_samples: int) -> bool:
            self._restore(snapshot)
            return self._call_kernel(stop_epoch, n_samples) != DIVERGED and self._is_finite()

        if stays_finite(n_samples):
            return
        finite, not_finite = 0, n_samples
        while not_finite - finite > 1:
            middle = (finite + not_finite) // 2
            if stays_finite(middle):
                finite = middle
            else:
                not_finite = middle
        self._restore(snapshot)
        status = self._call_kernel(stop_epoch, not_finite)
        at = int(self.run.position[SAMPLE]) - (0 if status == DIVERGED else 1)
        sample = int(self.samples.order[at])  # -1, the last one, where the epoch has just ended
        stays_finite(finite)
        epoch = int(self.run.position[EPOCH])
        raise DivergenceError(epoch, sample, float(self.run.learning_rates[epoch]))

    def _leave_gpu(self, snapshot: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """The snapshot in the host's memory, as from now on the samples are."""
        from ..devices.memory import is_on_device, to_host

        def on_host(array: Any) -> np.ndarray:
            return to_host(array) if is_on_device(array) else array

        self.samples = Samples(*map(on_host, self.samples))
        return tuple(map(on_host, snapshot))

    def _watch(self, epoch: int, stopping: "Stopping") -> bool:
        """Validate, call back, adapt the rate; True if training should end."""
        self._engine.catch_up()
        metrics = {"loss": self._mean(epoch)}
        for m, name in enumerate(self._names):
            metrics[name] = self._mean(epoch, FIRST_METRIC + m)
        watched = metrics["loss"]
        if self.validation is not None:
            measured = self.network.measure(*self.validation, np.empty(0, self.network.dtype), self._names)
            self._validation_metrics.append({f"validation_{name}": value for name, value in measured.items()})
            metrics.update(self._validation_metrics[-1])
            watched = metrics["validation_loss"]
        rate = stopping.next_rate(metrics["loss"], float(self.run.learning_rates[epoch]))
        if self.options.schedule == "adaptive":
            self.run.learning_rates[epoch + 1 :] = rate
        if self.options.early_stopping and stopping.is_over(watched, self.network.parameters):
            self.stop_reason = "early stopping"
        elif rate == 0:
            self.stop_reason = "learning rate"
        if self.callback is not None:
            if self.callback(epoch, metrics):
                self.stop_reason = "callback"
            self._engine.reread()
        return self.stop_reason != "finished"

    def _mean(self, epoch: int, column: int = LOSS) -> float:
        weight = self.run.sums[epoch, WEIGHT]
        return float(self.run.sums[epoch, column] / weight) if weight > 0 else float("nan")

    def _history(self, seconds: float) -> History:
        done = int(self.run.position[EPOCH])
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
            seconds=seconds,
        )


class Stopping:
    """When to stop early, and the adaptive schedule: both count epochs without improvement."""

    def __init__(self, options: Options, schedule_options: Mapping[str, float]) -> None:
        self._options = options
        self._schedule_options = schedule_options
        self._best = np.inf
        self._waited = 0
        self._best_training_loss = np.inf
        self._rate_waited = 0
        self.best_parameters: np.ndarray | None = None

    def is_over(self, loss: float, parameters: np.ndarray) -> bool:
        """Whether `patience` epochs in a row have not improved the best loss by more than tol."""
        if loss < self._best - self._options.tol:
            self._waited = 0
        else:
            self._waited += 1
        if loss < self._best:
            self._best = loss
            self.best_parameters = parameters.copy()
        return self._waited >= self._options.patience

    def next_rate(self, loss: float, rate: float) -> float:
        """Rate of the next epoch under the adaptive schedule; 0 when it would fall below the minimum."""
        if self._options.schedule != "adaptive":
            return rate
        if loss < self._best_training_loss - self._options.tol:
            self._rate_waited = 0
        else:
            self._rate_waited += 1
        self._best_training_loss = min(loss, self._best_training_loss)
        if self._rate_waited < self._schedule_options["patience"]:
            return rate
        self._rate_waited = 0
        lower = rate / self._schedule_options["factor"]
        return lower if abs(lower) >= self._schedule_options["minimum"] else 0.0
