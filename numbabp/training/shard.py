"""Networks of a population with all that their training needs, and what it makes of them."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..architecture import Architecture
from ..errors import DivergenceError
from ..kernels.lanes.batches import numbers_beside
from ..options import Options
from ..planning.plan import Plan
from ..planning.problem import Problem
from ..tensor_files import digest
from .state import RuleState, draw_order_seed


@dataclass
class Shard:
    """Networks, all of a population or some, and how to train them, checked: everything but the samples.

    It can be pickled, and trains to the same bits wherever that is done on a processor of the same kind.
    """

    problem: Problem
    """Its options have a constant schedule, as `rates` says what becomes of the one asked for."""
    plan: Plan
    parameters: np.ndarray  # T (n_networks, n_parameters)
    state: RuleState
    weights: Any
    """T (n_networks, n), of samples for each network, or (0, 0); on the GPU of the samples, or the host."""
    numbers: dict[str, np.ndarray]
    """learning_rate, momentum and l2, float64 (n_networks,) each."""
    rates: np.ndarray  # float64 (n_rates, epochs), different learning rates
    rate_of: np.ndarray  # int64 (n_networks,), row of `rates`
    seeds: np.ndarray
    """int64 (n_networks,), of each network's own orders of samples; (0,) where all take the same."""
    order_seed: int
    """Of the orders that all take."""
    tol: float = 0.0
    n_iter_no_change: int | None = None

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def architecture(self) -> Architecture:
        """The networks'."""
        return self.problem.architecture

    @property
    def options(self) -> Options:
        """How to take a step, but for `numbers` and `rates`."""
        return self.problem.options

    @property
    def epochs(self) -> int:
        """Passes over the samples."""
        return self.problem.epochs

    @property
    def metric_names(self) -> list[str]:
        """What is recorded."""
        names = ["loss", *self.architecture.metric_names(self.options.monitor)]
        return names + [f"validation_{name}" for name in names] if self.problem.n_validation else names

    @property
    def bytes_of_history(self) -> int:
        """What a network's history takes."""
        of_rates = len(self.rates) > 1
        return 8 * self.epochs * (of_rates + len(self.metric_names))

    @property
    def bytes_of_copies(self) -> int:
        """What a network's training takes for so long, beside its parameters and history."""
        n_moments = self.state.moments.shape[1]
        copies = self.architecture.nbytes * (1 + 2 * n_moments)
        if self.problem.is_watched:  # which all stay under way, with their orders and best parameters
            copies += self.architecture.nbytes * (2 + n_moments) + 8 * self.problem.n_samples
            of_batch = numbers_beside(self.architecture.layer_sizes, self.options.batch_size)
            copies += self.architecture.dtype.itemsize * of_batch
        return copies

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
            parameters=self.parameters[rows],
            state=self.state.part(rows),
            weights=self.weights[rows],
            numbers={name: values[rows] for name, values in self.numbers.items()},
            rates=self.rates if len(used) == len(self.rates) else self.rates[used],
            rate_of=rate_of,
            seeds=self.seeds[rows],
        )

    def draw_orders(self, generator: np.random.RandomState) -> None:
        """Draw what the orders of samples come from: a seed for each network, or one for all."""
        if self.problem.own_order:
            self.seeds = generator.randint(0, 2**31 - 1, size=len(self.parameters), dtype=np.int64)
        else:
            self.order_seed = draw_order_seed(generator, self.options.shuffle, self.problem.n_samples)

    def order_seed_of(self, i: int) -> int:
        """Seed of network i's orders of samples."""
        return int(self.own_order_seeds(slice(i, i + 1))[0]) if len(self.seeds) else self.order_seed

    def own_order_seeds(self, rows: slice = slice(None)) -> np.ndarray:
        """The same of networks that have their own orders, all or some, uint64."""
        generator, found = np.random.RandomState(0), []
        for seed in self.seeds[rows].tolist():
            generator.seed(seed)  # a new one takes 140 us, this 4
            found.append(draw_order_seed(generator, self.options.shuffle, self.problem.n_samples))
        return np.array(found, np.uint64)


@dataclass
class Records:
    """What the training of networks records: an entry a network.

    Attributes
    ----------
    metrics : dict of ndarray
        float64 (n_networks, epochs) each; until the end anything beyond `n_epochs`, then NaN. Epochs that no
        network comes to are memory that is asked for, and not touched.
    n_epochs : ndarray of int64
        Finished.
    stopped : ndarray of int64
        Epochs after which training ended by itself, as the loss improved no more or a callback said so, or 0.
    diverged : dict of int to DivergenceError
        By the network's number in the whole population, of which the first here is `first`.
    """

    metrics: dict[str, np.ndarray]
    n_epochs: np.ndarray
    stopped: np.ndarray
    diverged: dict[int, DivergenceError] = field(default_factory=dict)
    first: int = 0

    def digests(self, parameters: np.ndarray) -> list[str]:
        """Of each network's run, with parameters T (n_networks, n_parameters), as `History.digest` is."""
        rows = zip(parameters, *self.metrics.values(), self.n_epochs, strict=True)
        return [digest([], own, *(values[:done] for values in metrics)) for own, *metrics, done in rows]

    @classmethod
    def new(cls, names: list[str], n: int, epochs: int, is_written: bool = False) -> "Records":
        """For n networks that have not begun; zeros, if it comes into files."""
        # in one piece, which gets large pages, and epoch by epoch, as networks in lanes record;
        # zeros, as what other programs' memory held is nobody's business
        memory = (np.zeros if is_written else np.empty)((len(names), epochs, n))
        metrics = {name: values.T for name, values in zip(names, memory, strict=True)}
        return cls(metrics, np.zeros(n, np.int64), np.zeros(n, np.int64))

    def part(self, rows: slice) -> "Records":
        """Views of those of some networks."""
        return Records(
            {name: values[rows] for name, values in self.metrics.items()},
            self.n_epochs[rows],
            self.stopped[rows],
            self.diverged,
            self.first + rows.start,
        )

    def note_divergence(self, i: int, error: DivergenceError) -> None:
        """Of the i-th network here."""
        self.diverged[self.first + i] = error

    @property
    def own_diverged(self) -> list[int]:
        """The networks here that have diverged, by their numbers here."""
        numbers = range(self.first, self.first + len(self.n_epochs))
        return [i - self.first for i in self.diverged if i in numbers]

    @property
    def epochs_done(self) -> int:
        """Those that a network has finished."""
        return int(self.n_epochs.max(initial=0))

    def end(self, leave_out: bool) -> None:
        """Leave NaN for the epochs that networks did not finish, and out those that none did, if asked."""
        if leave_out:
            done = max(1, self.epochs_done)
            self.metrics = {name: values[:, :done] for name, values in self.metrics.items()}
        for i in np.flatnonzero(self.n_epochs < self.metrics["loss"].shape[1]):
            for values in self.metrics.values():
                values[i, self.n_epochs[i] :] = np.nan


class Trained(NamedTuple):
    """What training has made of a shard; can be sent to where the others are."""

    parameters: np.ndarray
    state: RuleState
    records: Records

    def put_into(self, shard: Shard, records: Records, rows: slice) -> None:
        """Put it in place, as some networks of a larger shard."""
        shard.parameters[rows] = self.parameters
        state = shard.state.part(rows)
        state.moments[...] = self.state.moments
        state.steps[...] = self.state.steps
        into = records.part(rows)
        for name, values in self.records.metrics.items():
            into.metrics[name][:, : values.shape[1]] = values
        into.n_epochs[...] = self.records.n_epochs
        into.stopped[...] = self.records.stopped
        for i, error in self.records.diverged.items():
            into.note_divergence(i, error)
