"""The training of a population: networks shared out to threads, progress, interruption, divergence."""

import copy
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from .engines import blas_threads
from .kernels.lane_chunks import NETWORK, Networks, PopulationSamples, make_chunk
from .kernels.lanes import train_lanes
from .kernels.update_rules import N_MOMENTS
from .network import Network
from .options import Options
from .population_plan import PopulationPlan
from .progress import ProgressBar
from .schedules import check_schedule, learning_rates
from .subnormals import flushed_subnormals
from .training import SLICE_SECONDS, DivergenceError, RuleState, Training
from .vectors import LANES

LOOK_SECONDS = 0.05
"""How often the main thread looks after progress and Ctrl-C."""


def each_network(network: Network, parameters: np.ndarray) -> Iterator[Network]:
    """Networks whose parameters are the rows, one after the other."""
    for row in parameters:
        yield view_of(network, row)


def view_of(network: Network, row: np.ndarray) -> Network:
    """A network whose parameters are the row itself."""
    view = copy.copy(network)
    view.parameters = row
    view.history = None
    view._rule_state = None
    return view


@dataclass
class PopulationState:
    """What an update rule carries from one fit to the next, for each network."""

    update_rule: str
    moments: np.ndarray  # T (n_networks, N_MOMENTS, n_parameters)
    steps: np.ndarray  # int64 (n_networks,)

    @classmethod
    def new(cls, update_rule: str, parameters: np.ndarray) -> "PopulationState":
        """State before the first step."""
        n, n_parameters = parameters.shape
        moments = np.zeros((n, N_MOMENTS[update_rule], n_parameters), parameters.dtype)
        return cls(update_rule, moments, np.zeros(n, np.int64))


@dataclass
class PopulationTraining:
    """One call of `Population.fit`, checked; see there for the arguments."""

    network: Network
    parameters: np.ndarray
    state: PopulationState
    inputs: Any
    targets: np.ndarray
    weights: np.ndarray  # (0, 0), (1, n) or (n_networks, n)
    numbers: dict[str, np.ndarray]  # learning_rate, momentum, l2: (n_networks,) each
    options: Options
    epochs: int
    own_order: bool
    generator: np.random.RandomState
    plan: PopulationPlan
    n_at_once: int
    progress: bool | None
    tol: float = 0.0
    n_iter_no_change: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)  # ends training when it is set

    metrics: dict[str, np.ndarray] = field(init=False)
    diverged: dict[int, DivergenceError] = field(init=False, default_factory=dict)
    stopped: np.ndarray = field(init=False)  # int64 (n,): epochs after which the loss improved no more, or 0
    stop_reason: str = field(init=False, default="finished")

    def __post_init__(self) -> None:
        n = len(self.parameters)
        names = ["loss", *self.network.metric_names(self.options.monitor)]
        self.metrics = {name: np.full((n, self.epochs), np.nan) for name in names}
        self.stopped = np.zeros(n, np.int64)
        schedule_options = check_schedule(self.options.schedule, self.options.schedule_options)
        distinct, self._rate_of = np.unique(self.numbers["learning_rate"], return_inverse=True)
        self._rates = np.array(
            [
                learning_rates(self.options.schedule, schedule_options, float(rate), self.epochs)
                for rate in distinct
            ]
        )
        # rows of a table: one for all networks where the rate is
        self.metrics["learning_rate"] = (
            np.broadcast_to(self._rates, (n, self.epochs))
            if len(distinct) == 1
            else self._rates[self._rate_of]
        )
        # what the orders are drawn from: a seed for each network, or one generator, as it is now, for all
        self._seeds = np.empty(0, np.int64)
        self._common = copy.deepcopy(self.generator)
        if self.own_order:
            self._seeds = self.generator.randint(0, 2**31 - 1, size=n, dtype=np.int64)
        elif self.options.shuffle:
            self.generator.randint(0, 2**63 - 1, dtype=np.int64)
        self._steps_done = [0] * self.plan.n_threads

    def __call__(self) -> None:
        """Train; on Ctrl-C every network is left after its last finished step."""
        run = self._in_lanes if self.plan.kernel == "lanes" else self._each
        n = len(self.parameters)
        try:
            with blas_threads(1), ProgressBar(self.epochs, self.progress) as self._bar:
                for first in range(0, n, self.n_at_once):
                    run(first, min(first + self.n_at_once, n))
        except BaseException:
            self.stop_reason = "interrupted"
            raise

    def _share_out(self, tasks: Iterator[Any], work: Callable[[int, Any], None]) -> None:
        """Call work(thread, task) for all tasks, on the plan's threads, and look after them."""
        if self.plan.n_threads == 1:
            self._work_alone(tasks, work)
            return
        with ThreadPoolExecutor(self.plan.n_threads) as pool:
            running: dict[Future[None], int] = {}
            try:
                for thread, task in enumerate(islice(tasks, self.plan.n_threads)):
                    running[pool.submit(work, thread, task)] = thread
                while running:
                    finished, _ = wait(running, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                    self._show()
                    for future in finished:
                        thread = running.pop(future)
                        future.result()
                        for task in islice(tasks, 1):
                            running[pool.submit(work, thread, task)] = thread
            except BaseException:
                self.stop.set()
                raise

    def _work_alone(self, tasks: Iterator[Any], work: Callable[[int, Any], None]) -> None:
        """The same in this thread: Ctrl-C comes between kernel calls."""
        for task in tasks:
            work(0, task)
            self._show()

    def _show(self) -> None:
        total = len(self.parameters) * len(self.targets)
        losses = self.metrics["loss"][:, 0] if self.epochs == 1 else self.metrics["loss"]
        if self._bar.is_shown:
            finished = losses[np.isfinite(losses)]
            loss = float(np.median(finished[-1000:])) if finished.size else float("nan")
            self._bar.update(sum(self._steps_done) / total, loss)

    # in lanes

    def _in_lanes(self, first: int, stop: int) -> None:
        """Train networks from `first` to before `stop` in lanes, chunk by chunk."""
        rows = slice(first, stop)
        n, dtype = stop - first, self.parameters.dtype
        before = self.parameters[rows].copy()
        moments = (
            self.state.moments[rows].reshape(n, -1) if self.state.moments.size else np.zeros((0, 0), dtype)
        )
        moments_before = moments.copy()
        networks = Networks(
            self.parameters[rows],
            moments,
            self._rates,
            np.ascontiguousarray(self._rate_of[rows], np.int64),
            bool((self._rates == self._rates[:, :1]).all()),
            self.numbers["momentum"][rows].astype(dtype),
            self.numbers["l2"][rows].astype(dtype),
            self.options.update_rule == "nesterov",
            bool(self.numbers["l2"].any()),
            np.zeros(n, np.uint8),
            self.metrics["loss"][rows],
            self.metrics["accuracy"][rows] if "accuracy" in self.metrics else np.empty((0, 0)),
            self.network.loss_code,
            self.tol,
            self.n_iter_no_change or 0,
            self.stopped[rows],
        )
        weights = self.weights[rows] if len(self.weights) > 1 else self.weights
        seeds = [self._generator_of(first).randint(0, 2**63 - 1, dtype=np.int64)]
        seed = np.array(seeds if self.options.shuffle else [], np.uint64)  # as Network.fit draws it
        samples = PopulationSamples(self.inputs, self.targets, weights, seed)
        n_samples = len(self.targets)
        chunks = [
            make_chunk(self.network.layout, dtype, n_samples, bool(moments.size), seed, 0)
            for _ in range(self.plan.n_threads)
        ]
        train_lanes(networks, samples, chunks[0], 0, 0)  # compiles, or loads from the cache
        in_chunk = n_samples * self.epochs
        slices = [max(1, int(SLICE_SECONDS / (self.plan.ns_per_step * LANES * 1e-9)))] * len(chunks)
        # tasks of about a slice, but enough of them to keep every thread busy
        per_task = max(1, min(slices[0] // in_chunk, -(-n // (LANES * 4 * len(chunks)))))

        def work(thread: int, begin: int) -> None:
            chunk, end = chunks[thread], min(n, begin + per_task * LANES)
            chunk.position[:] = begin, 0, 0
            while chunk.position[NETWORK] < end and not self.stop.is_set():
                before_call = _steps_of(chunk.position, in_chunk, n_samples)
                started = time.perf_counter()
                with flushed_subnormals():
                    done = train_lanes(networks, samples, chunk, end, slices[thread])
                elapsed = max(time.perf_counter() - started, 1e-9)
                advanced = _steps_of(chunk.position, in_chunk, n_samples) - before_call
                self._steps_done[thread] += advanced * LANES
                if done >= slices[thread]:
                    slices[thread] = max(1, int(done * SLICE_SECONDS / elapsed))
                if len(chunks) == 1:
                    self._show()

        try:
            self._share_out(iter(range(0, n, per_task * LANES)), work)
        finally:
            taken = np.where(networks.stopped > 0, networks.stopped * n_samples, in_chunk)
            diverged = np.flatnonzero(networks.diverged)
            taken[diverged] = 0
            self.state.steps[rows] += taken
            self.parameters[first + diverged] = before[diverged]
            if moments.size:
                moments[diverged] = moments_before[diverged]
            for name in self.metrics:
                if name != "learning_rate":
                    self.metrics[name][first + diverged] = np.nan
            self.stopped[first + diverged] = 0
        # alone, a network that diverges is left at its last finite step
        self._share_out(iter((first + diverged).tolist()), self._train_one)

    # each by itself

    def _each(self, first: int, stop: int) -> None:
        """Train networks from `first` to before `stop` one by one."""
        self._share_out(iter(range(first, stop)), self._train_one)

    def _train_one(self, thread: int, i: int) -> None:
        """Train network i as `Network.fit` does."""
        own: dict[str, Any] = {name: float(values[i]) for name, values in self.numbers.items()}
        options = replace(self.options, **own, n_threads=1, progress=False)
        network = view_of(self.network, self.parameters[i])
        state = RuleState(self.options.update_rule, self.state.moments[i], int(self.state.steps[i]))
        network._rule_state = state
        weights = np.empty(0, self.parameters.dtype)
        if len(self.weights):
            weights = self.weights[i if len(self.weights) > 1 else 0]
        training = Training(
            network,
            self.inputs,
            self.targets,
            weights,
            options,
            self.epochs,
            self._generator_of(i),
            callback=None if self.n_iter_no_change is None else self._no_change(i),
            stop=self.stop,
        )
        try:
            training()
        except DivergenceError as error:
            self.diverged[i] = error
        except KeyboardInterrupt:
            if not self.stop.is_set():  # it came to this thread
                raise
        finally:
            self.state.steps[i] = state.step
            history = network.history
            if history is not None:
                for name in history:
                    self.metrics[name][i, : history.n_epochs] = history[name]
            self._steps_done[thread] += self.epochs * len(self.targets)

    def _generator_of(self, i: int) -> np.random.RandomState:
        """What draws the order of samples of network i."""
        return np.random.RandomState(self._seeds[i]) if self.own_order else copy.deepcopy(self._common)

    def _no_change(self, i: int) -> Callable[[int, dict[str, float]], bool]:
        """Callback that ends the training of network i as `kernels.lanes` does."""
        assert self.n_iter_no_change is not None
        best, waited, allowed = np.inf, 0, self.n_iter_no_change

        def has_ended(epoch: int, metrics: dict[str, float]) -> bool:
            nonlocal best, waited
            waited = 0 if metrics["loss"] <= best - self.tol else waited + 1
            best = min(best, metrics["loss"])
            if waited > allowed:
                self.stopped[i] = epoch + 1
            return waited > allowed

        return has_ended


def _steps_of(position: np.ndarray, in_chunk: int, n_samples: int) -> int:
    """Steps of a chunk up to a position."""
    network, epoch, sample = position.tolist()
    return network // LANES * in_chunk + epoch * n_samples + sample
