"""The training of a population: networks shared out to threads, progress, interruption, divergence."""

import copy
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..compiler.subnormals import flushed_subnormals
from ..compiler.vectors import lanes_of
from ..devices.processor import blas_threads
from ..errors import DivergenceError
from ..kernels.lanes.chunks import NETWORK, Networks, PopulationSamples, make_chunk
from ..kernels.lanes.train import train_lanes
from ..kernels.update_rules import N_MOMENTS
from ..network import Network
from ..options import Options
from ..planning.population_cpu import PopulationPlan
from .loop import SLICE_SECONDS, RuleState, Training, draw_order_seed
from .progress import ProgressBar

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

    def part(self, rows: slice) -> "PopulationState":
        """Views of some networks' rows."""
        return PopulationState(self.update_rule, self.moments[rows], self.steps[rows])


class CommonSamples(NamedTuple):
    """The samples that all networks are trained on, checked."""

    inputs: Any  # T (n, n_inputs), or such a CSR matrix
    targets: np.ndarray  # T (n, n_outputs)
    weights: np.ndarray  # T (1, n) for all networks, or (0, 0)

    @property
    def nbytes(self) -> int:
        """Of all three."""
        of_inputs = 12 * self.inputs.nnz if hasattr(self.inputs, "nnz") else self.inputs.nbytes
        return of_inputs + self.targets.nbytes + self.weights.nbytes


@dataclass
class Shard:
    """Networks, all of a population or some, and how to train them, checked: everything but the samples.

    It can be pickled, and trains to the same bits wherever that is done on a processor of the same kind.
    """

    network: Network
    """Of their architecture; its parameters are not used."""
    parameters: np.ndarray  # T (n_networks, n_parameters)
    state: PopulationState
    weights: np.ndarray
    """T (n_networks, n), of samples for each network, or (0, 0)."""
    numbers: dict[str, np.ndarray]
    """learning_rate, momentum and l2, float64 (n_networks,) each."""
    rates: np.ndarray  # float64 (n_rates, epochs), different learning rates
    rate_of: np.ndarray  # int64 (n_networks,), row of `rates`
    seeds: np.ndarray
    """int64 (n_networks,), of each network's own orders of samples; (0,) where all take the same."""
    order_seed: int
    """Of the orders that all take."""
    options: Options
    plan: PopulationPlan
    with_l2: bool
    """Whether one network of the population has L2."""
    tol: float = 0.0
    n_iter_no_change: int | None = None

    @property
    def epochs(self) -> int:
        """Passes over the samples."""
        return self.rates.shape[1]

    @property
    def bytes_of_history(self) -> int:
        """What a network's history takes."""
        of_rates = len(self.rates) > 1
        return 8 * self.epochs * (1 + of_rates + len(self.network.metric_names(self.options.monitor)))

    @property
    def bytes_of_copies(self) -> int:
        """What a network's training takes for so long, beside its parameters and history."""
        return self.parameters[0].nbytes * (1 + 2 * self.state.moments.shape[1])

    @property
    def learning_rates(self) -> np.ndarray:
        """Each network's rates, (n_networks, epochs); one row in memory where they are the same."""
        if len(self.rates) == 1:
            return np.broadcast_to(self.rates, (len(self.parameters), self.epochs))
        return self.rates[self.rate_of]

    def part(self, rows: slice) -> "Shard":
        """Some of the networks, whose parameters and state are views of these."""
        used, rate_of = np.unique(self.rate_of[rows], return_inverse=True)
        return replace(
            self,
            network=view_of(self.network, np.empty(0, self.parameters.dtype)),
            parameters=self.parameters[rows],
            state=self.state.part(rows),
            weights=self.weights[rows],
            numbers={name: values[rows] for name, values in self.numbers.items()},
            rates=self.rates if len(used) == len(self.rates) else self.rates[used],
            rate_of=rate_of,
            seeds=self.seeds[rows],
        )

    def draw_orders(self, generator: np.random.RandomState, own_order: bool) -> None:
        """Draw what the orders of samples come from: a seed for each network, or one for all."""
        if own_order:
            self.seeds = generator.randint(0, 2**31 - 1, size=len(self.parameters), dtype=np.int64)
        else:
            self.order_seed = draw_order_seed(generator, self.options)

    def order_seed_of(self, i: int) -> int:
        """Seed of network i's orders of samples."""
        if len(self.seeds):
            return draw_order_seed(np.random.RandomState(self.seeds[i]), self.options)
        return self.order_seed


class Trained(NamedTuple):
    """What training has made of a shard."""

    parameters: np.ndarray
    moments: np.ndarray
    steps: np.ndarray
    metrics: dict[str, np.ndarray]
    n_epochs: np.ndarray
    stopped: np.ndarray
    diverged: dict[int, DivergenceError]


@dataclass
class PopulationTraining:
    """The training of a shard in place: one call of `Population.fit`; see there for the arguments."""

    shard: Shard
    samples: CommonSamples
    n_at_once: int
    progress: bool | None
    stop: threading.Event = field(default_factory=threading.Event)
    """Ends training once it is set."""

    metrics: dict[str, np.ndarray] = field(init=False)
    """float64 (n_networks, epochs) each; until the end anything beyond `n_epochs`, then NaN."""
    n_epochs: np.ndarray = field(init=False)  # int64 (n,), finished
    diverged: dict[int, DivergenceError] = field(init=False, default_factory=dict)
    stopped: np.ndarray = field(init=False)  # int64 (n,): epochs after which the loss improved no more, or 0
    stop_reason: str = field(init=False, default="finished")
    seconds_compiling: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        shard, n = self.shard, len(self.shard.parameters)
        names = ["loss", *shard.network.metric_names(shard.options.monitor)]
        # in one piece, which gets large pages, and epoch by epoch, as networks in lanes record
        memory = np.empty((len(names), shard.epochs, n))
        self.metrics = {name: values.T for name, values in zip(names, memory, strict=True)}
        self.n_epochs = np.zeros(n, np.int64)
        self.stopped = np.zeros(n, np.int64)
        self._steps_done = [0] * shard.plan.n_threads

    @property
    def turns(self) -> list[slice]:
        """The networks, `n_at_once` at a time."""
        n = len(self.shard.parameters)
        return [slice(first, min(first + self.n_at_once, n)) for first in range(0, n, self.n_at_once)]

    def __call__(self) -> None:
        """Train; on Ctrl-C every network is left after its last finished step."""
        run = {"lanes": self._in_lanes, "each": self._each}.get(self.shard.plan.kernel, self._on_gpu)
        with self.under_way(), blas_threads(1):
            for rows in self.turns:
                run(rows.start, rows.stop)

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
            for i in np.flatnonzero(self.n_epochs < self.shard.epochs):
                for values in self.metrics.values():
                    values[i, self.n_epochs[i] :] = np.nan

    @property
    def trained(self) -> Trained:
        """The outcome, to be sent to where `take` is called."""
        parameters, state = self.shard.parameters, self.shard.state
        return Trained(
            parameters,
            state.moments,
            state.steps,
            self.metrics,
            self.n_epochs,
            self.stopped,
            self.diverged,
        )

    def take(self, rows: slice, trained: Trained) -> None:
        """Put in place what training has made, elsewhere, of some of the networks."""
        self.shard.parameters[rows] = trained.parameters
        self.shard.state.moments[rows] = trained.moments
        self.shard.state.steps[rows] = trained.steps
        for name, values in trained.metrics.items():
            self.metrics[name][rows] = values
        self.n_epochs[rows] = trained.n_epochs
        self.stopped[rows] = trained.stopped
        self.diverged |= {rows.start + i: error for i, error in trained.diverged.items()}
        self._steps_done[0] += len(trained.parameters) * self.shard.epochs * len(self.samples.targets)
        self._show()

    def _share_out(self, tasks: Iterable[Any], work: Callable[[int, Any], None]) -> None:
        """Call work(thread, task) for all tasks on the plan's threads, of which this one is the first."""
        waiting, lock = iter(tasks), threading.Lock()
        others: list[Future[None]] = []

        def take_tasks(thread: int) -> None:
            # threads help themselves: one that waited to be given work would wait 0.1 ms and more
            while not self.stop.is_set():
                with lock:
                    task = next(waiting, None)
                if task is None:
                    return
                work(thread, task)
                if thread == 0:
                    self._show()
                    _raise_errors(others)

        n_others = self.shard.plan.n_threads - 1
        if n_others == 0:
            take_tasks(0)
            return
        with ThreadPoolExecutor(n_others) as pool:
            try:
                others += [pool.submit(take_tasks, 1 + i) for i in range(n_others)]
                take_tasks(0)
                while not all(future.done() for future in others):
                    wait(others, timeout=LOOK_SECONDS)
                    self._show()
                    _raise_errors(others)
            except BaseException:
                self.stop.set()
                raise
            _raise_errors(others)

    def _show(self) -> None:
        if self._bar.is_shown:
            total = len(self.shard.parameters) * len(self.samples.targets)
            begun = np.flatnonzero(self.n_epochs)[-1000:]
            losses = self.metrics["loss"][begun, self.n_epochs[begun] - 1]
            loss = float(np.median(losses)) if losses.size else float("nan")
            self._bar.update(sum(self._steps_done) / total, loss)

    # in lanes

    def _in_lanes(self, first: int, stop: int) -> None:
        """Train networks from `first` to before `stop` in lanes, chunk by chunk."""
        rows, n = slice(first, stop), stop - first
        shard = self.shard if n == len(self.shard.parameters) else self.shard.part(rows)
        parameters, dtype = shard.parameters, shard.parameters.dtype
        lanes = lanes_of(dtype)
        before = parameters.copy()
        moments = shard.state.moments.reshape(n, -1) if shard.state.moments.size else np.zeros((0, 0), dtype)
        moments_before = moments.copy()
        # in turns these are copies, since kernels are compiled for contiguous arrays
        recorded = {
            name: np.ascontiguousarray(self.metrics[name].T[:, rows])
            for name in ("loss", "accuracy")
            if name in self.metrics
        }
        networks = Networks(
            parameters,
            moments,
            shard.rates,
            shard.rate_of,
            bool((shard.rates == shard.rates[:, :1]).all()),
            shard.numbers["momentum"].astype(dtype),
            shard.numbers["l2"].astype(dtype),
            shard.options.update_rule == "nesterov",
            shard.with_l2,
            np.zeros(n, np.uint8),
            recorded["loss"].ravel(),
            recorded.get("accuracy", np.empty(0)).ravel(),
            shard.network.loss_code,
            shard.tol,
            shard.n_iter_no_change or 0,
            self.n_epochs[rows],
            self.stopped[rows],
        )
        seed = np.array([shard.order_seed] if shard.options.shuffle else [], np.uint64)
        weights = shard.weights if len(shard.weights) else self.samples.weights
        samples = PopulationSamples(self.samples.inputs, self.samples.targets, weights, seed)
        n_samples = len(self.samples.targets)
        chunks = [
            make_chunk(shard.network.layout, dtype, n_samples, bool(moments.size), shard.with_l2, seed, 0)
            for _ in range(shard.plan.n_threads)
        ]
        started = time.perf_counter()
        train_lanes(networks, samples, chunks[0], 0, 0)  # compiles, or loads from the cache
        self.seconds_compiling += time.perf_counter() - started
        in_chunk = n_samples * shard.epochs
        slices = [max(1, int(SLICE_SECONDS / (shard.plan.ns_per_step * lanes * 1e-9)))] * len(chunks)
        # tasks of about a slice, but enough of them to keep every thread busy
        per_task = max(1, min(slices[0] // in_chunk, -(-n // (lanes * 8 * len(chunks)))))

        def work(thread: int, begin: int) -> None:
            chunk, end = chunks[thread], min(n, begin + per_task * lanes)
            chunk.position[:] = begin, 0, 0
            while chunk.position[NETWORK] < end and not self.stop.is_set():
                before_call = _steps_of(chunk.position, lanes, in_chunk, n_samples)
                started = time.perf_counter()
                with flushed_subnormals():
                    done = train_lanes(networks, samples, chunk, end, slices[thread])
                elapsed = max(time.perf_counter() - started, 1e-9)
                advanced = _steps_of(chunk.position, lanes, in_chunk, n_samples) - before_call
                self._steps_done[thread] += advanced * lanes
                if done >= slices[thread]:
                    slices[thread] = max(1, int(done * SLICE_SECONDS / elapsed))
                if thread == 0:
                    self._show()

        try:
            self._share_out(range(0, n, per_task * lanes), work)
        finally:
            taken = np.where(networks.stopped > 0, networks.stopped * n_samples, in_chunk)
            diverged = np.flatnonzero(networks.diverged)
            taken[diverged] = 0
            shard.state.steps += taken
            parameters[diverged] = before[diverged]
            if moments.size:
                moments[diverged] = moments_before[diverged]
            self.n_epochs[first + diverged] = 0
            for name, values in recorded.items():
                if not np.may_share_memory(values, self.metrics[name]):
                    self.metrics[name].T[:, rows] = values
            self.stopped[first + diverged] = 0
        if diverged.size:  # alone, a network that diverges is left at its last finite step
            self._share_out((first + diverged).tolist(), self._train_one)

    def _on_gpu(self, first: int, stop: int) -> None:
        """Train networks from `first` to before `stop` on the plan's GPU."""
        from .engines.population_cuda import train_on_gpu

        train_on_gpu(self, slice(first, stop))

    # each by itself

    def _each(self, first: int, stop: int) -> None:
        """Train networks from `first` to before `stop` one by one."""
        self._share_out(range(first, stop), self._train_one)

    def _train_one(self, thread: int, i: int) -> None:
        """Train network i as `Network.fit` does."""
        shard, samples = self.shard, self.samples
        own: dict[str, Any] = {name: float(values[i]) for name, values in shard.numbers.items()}
        network = view_of(shard.network, shard.parameters[i])
        state = RuleState(shard.options.update_rule, shard.state.moments[i], int(shard.state.steps[i]))
        network._rule_state = state
        weights = np.empty(0, shard.parameters.dtype)
        if len(shard.weights):
            weights = shard.weights[i]
        elif len(samples.weights):
            weights = samples.weights[0]
        training = Training(
            network,
            samples.inputs,
            samples.targets,
            weights,
            replace(shard.options, **own),
            shard.epochs,
            callback=None if shard.n_iter_no_change is None else self._no_change(i),
            stop=self.stop,
            made_plan=shard.plan.of_network,
            rates=shard.rates[shard.rate_of[i]],
            order_seed=shard.order_seed_of(i),
        )
        try:
            training()
        except DivergenceError as error:
            self.diverged[i] = error
        except KeyboardInterrupt:
            if not self.stop.is_set():  # it came to this thread
                raise
        finally:
            shard.state.steps[i] = state.step
            history = network.history
            if history is not None:
                for name in history:
                    self.metrics[name][i, : history.n_epochs] = history[name]
                self.n_epochs[i] = history.n_epochs
            self._steps_done[thread] += shard.epochs * len(samples.targets)

    def _no_change(self, i: int) -> Callable[[int, dict[str, float]], bool]:
        """Callback that ends the training of network i as `kernels.lanes` does."""
        best, waited = np.inf, 0
        tol, allowed = self.shard.tol, self.shard.n_iter_no_change
        assert allowed is not None

        def has_ended(epoch: int, metrics: dict[str, float]) -> bool:
            nonlocal best, waited
            waited = 0 if metrics["loss"] <= best - tol else waited + 1
            best = min(best, metrics["loss"])
            if waited > allowed:
                self.stopped[i] = epoch + 1
            return waited > allowed

        return has_ended


def _raise_errors(futures: Iterable["Future[None]"]) -> None:
    """Raise what a finished one has raised."""
    for future in futures:
        if future.done():
            future.result()


def _steps_of(position: np.ndarray, lanes: int, in_chunk: int, n_samples: int) -> int:
    """Steps of a chunk up to a position."""
    network, epoch, sample = position.tolist()
    return network // lanes * in_chunk + epoch * n_samples + sample
