"""From the checked arguments of `Population.fit` to a training that can begin."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..architecture import Architecture
from ..checks.arguments import check_integer, check_real
from ..checks.host_samples import check_weights_of_networks
from ..checks.population import check_memory, check_numbers, distinct
from ..devices.placement import CPU, Placement, is_on_device
from ..options import NAMES, Options, check_names
from ..planning.catalogue import CUDA, devices_of
from ..planning.plan import Plan
from ..planning.problem import Problem
from ..samples import Samples, check_validation
from ..schedules import check_schedule, learning_rates
from .checkpoints import identities
from .checkpoints.keeper import Checkpoint, own_generators
from .checkpoints.kept_run import KeptRun
from .checkpoints.plans import planned_for_many
from .checkpoints.sound import check_population_sound
from .checkpoints.standing import Standing
from .population_loop import PopulationTraining
from .shard import Shard
from .state import RuleState
from .watching.watch import PopulationCallback, check_callback

PER_NETWORK = ("learning_rate", "momentum", "l2")
"""Arguments of `Population.fit` that may be one number for each network."""
TOL = 1e-4
"""Default of `tol` for n_iter_no_change; early stopping has that of `Network.fit`."""
OF_RUN = ("tol", "n_iter_no_change", "chunk_size", "progress", "client", "callback", "callback_every")
"""Arguments of `fit` that `plan` takes, too."""
OF_PLAN = ("epochs", "own_order", *OF_RUN)
OF_FIT = (
    *OF_PLAN,
    "random_state",
    "sample_weight",
    "validation_data",
    "checkpoint",
    "checkpoint_every",
    "resume",
)
"""Arguments that are no options of a step."""
REFUSED = {"block_length", "progress"}
"""Options of one network's training that a population does not have, or has in its own way."""


class How(NamedTuple):
    """How the networks of a population take their steps."""

    options: Options
    """Of the first network."""
    numbers: dict[str, np.ndarray]
    """What may differ: learning_rate, momentum and l2, float64 (n_networks,) each."""

    @property
    def n_networks(self) -> int:
        """Of how many networks."""
        return len(self.numbers["l2"])

    @classmethod
    def checked(cls, who: str, given: Mapping[str, Any], n_networks: int, own: Collection[str] = ()) -> "How":
        """From keyword arguments of a method, which messages name, with its `own` that are none of a step's.

        Raises
        ------
        ValueError, TypeError
            For what a population does not take.
        """
        check_names(who, given, NAMES - REFUSED, own)
        numbers = {
            name: check_numbers(name, given.get(name, getattr(Options, name)), n_networks)
            for name in PER_NETWORK
        }
        options = [
            Options(**{**given, **{name: float(values[i]) for name, values in numbers.items()}})
            for i in distinct(numbers)
        ]
        if options[0].schedule == "adaptive":
            raise ValueError("schedule='adaptive' is for one network; allowed here: the other schedules.")
        return cls(options[0], numbers)


class Run(NamedTuple):
    """Arguments of `Population.fit` on the run as a whole."""

    epochs: int
    own_order: bool = False
    random_state: Any = None
    sample_weight: Any = None
    tol: float | None = None
    n_iter_no_change: int | None = None
    chunk_size: int | None = None
    progress: bool | None = None
    client: Any = None
    stop: threading.Event | None = None
    """Ends training as by Ctrl-C once it is set: for threads that Ctrl-C does not reach."""
    checkpoint: Checkpoint | None = None
    validation_data: Any = None
    callback: PopulationCallback | None = None
    callback_every: int = 1

    def check(self) -> None:
        """Raise for an argument that is not allowed."""
        check_integer("epochs", self.epochs, minimum=1)
        if self.tol is not None:
            check_real("tol", self.tol, minimum=0)
        for name, value in (("n_iter_no_change", self.n_iter_no_change), ("chunk_size", self.chunk_size)):
            if value is not None:
                check_integer(name, value, minimum=1)
        check_callback(self.callback, self.callback_every)
        if self.callback is not None and self.client is not None:
            raise ValueError(
                "callback goes without a client: its workers train networks in tasks of their own, so that "
                "nobody has all of them after an epoch; the history has every epoch's metrics in the end."
            )
        if self.callback is not None and self.chunk_size is not None:
            raise ValueError(
                f"callback goes without chunk_size={self.chunk_size}, which trains networks in turns: these "
                "do not come to an epoch together."
            )

    def checked(self, options: Options) -> "Run":
        """The same with the tolerance that the rule of ending has by default.

        Raises
        ------
        ValueError
            If two rules are asked for.
        """
        if options.early_stopping and self.n_iter_no_change is not None:
            raise ValueError(
                f"n_iter_no_change={self.n_iter_no_change} goes without early_stopping=True: networks end by "
                "one rule; with early stopping patience says how many epochs it waits."
            )
        return self._replace(tol=Options.tol if options.early_stopping else TOL) if self.tol is None else self

    def validation(self, architecture: Architecture, samples: Samples) -> Samples | None:
        """The samples of `validation_data`, checked, which have to be of the kind of those trained on."""
        validation = check_validation(architecture, samples.inputs, self.validation_data)
        if validation is not None and (validation.n_nonzeros is None) != (samples.n_nonzeros is None):
            kinds = ["dense" if each.n_nonzeros is None else "sparse" for each in (validation, samples)]
            raise ValueError(
                f"validation_data X is {kinds[0]}, but X is {kinds[1]}; both have to be of one kind: "
                "X.toarray() makes a dense one, scipy.sparse.csr_matrix(X) a sparse one."
            )
        return validation

    def weights(self, n_networks: int, samples: Samples) -> Any:
        """Checked weights of samples, T (1, n) for all networks, (n_networks, n) for each, or (0, 0)."""
        if is_on_device(self.sample_weight):
            from ..checks.device_samples import check_weights_of_networks as check_on_device

            return check_on_device(self.sample_weight, n_networks, samples.inputs)
        return check_weights_of_networks(self.sample_weight, n_networks, samples.n, samples.inputs.dtype)

    def problem(
        self,
        architecture: Architecture,
        how: How,
        n_samples: int,
        n_nonzeros: float | None,
        place: Placement,
        samples: Samples | None = None,
    ) -> Problem:
        """What a planner is asked; of the samples it matters whether there are weights, and validation.

        Raises
        ------
        ValueError
            If it asks for a GPU, and there is a client.
        """
        if self.client is not None:  # its workers train on their CPUs
            if place.device is not None or devices_of(how.options.kernel, True) == {CUDA}:
                raise ValueError(
                    "a client's workers train on their CPUs: device must be 'auto' or 'cpu' with one."
                )
            place = CPU
        return Problem(
            architecture,
            n_samples,
            self.epochs,
            how.options,
            place,
            n_nonzeros,
            how.n_networks,
            bool(self.own_order),
            bool(how.numbers["l2"].any()),
            samples is not None and samples.weights.size > 0,
            n_validation=0 if samples is None or samples.validation is None else samples.validation.n,
            is_watched=self.callback is not None,
        )

    def networks_at_once(self, shard: Shard, samples: Samples) -> int:
        """How many are trained at a time, here or in a task.

        Raises
        ------
        MemoryError
            If there is not enough memory for them.
        """
        n = len(shard)
        if self.client is not None:
            from .shared_out.sizes import networks_of_a_task  # needs distributed

            return networks_of_a_task(self.client, shard, samples, self.chunk_size)
        n_at_once = n if self.chunk_size is None else min(self.chunk_size, n)
        copies, advice = shard.bytes_of_copies * n_at_once // n, "; chunk_size trains them in turns"
        check_memory(n, shard.bytes_of_history + copies, "history and state of training", advice)
        return n_at_once

    def begin(
        self,
        problem: Problem,
        plan: Plan,
        how: How,
        samples: Samples,
        parameters: np.ndarray,
        state: RuleState,
        generators: tuple[np.random.RandomState, np.random.RandomState],
    ) -> PopulationTraining:
        """A training that can begin, or go on; nothing is changed yet, but the orders' generator has drawn.

        Parameters
        ----------
        problem, plan
            What is to be done, and by which kernel.
        how
            Whose options the problem has.
        samples
            With weights (1, n) for all networks, (n_networks, n) for each, or (0, 0).
        parameters, state
            Of all networks, changed in place by the training.
        generators
            What draws the orders of samples, and the population's own.
        """
        rates, rate_of = _rates(how.options, how.numbers["learning_rate"], problem.epochs)
        none = np.empty((0, 0), parameters.dtype)
        weights = samples.weights
        common, own = (weights, none) if len(weights) == 1 else (none, weights)
        assert self.tol is not None
        options = replace(
            how.options,
            tol=self.tol,
            schedule="constant",  # it has given its rates
            schedule_options=None,
            kernel="auto",  # as the plan has one
            n_threads=1,
            progress=False,
        )
        shard = Shard(
            replace(problem, options=options),
            plan,
            parameters,
            state,
            own,
            how.numbers,
            rates,
            rate_of,
            seeds=np.empty(0, np.int64),
            order_seed=0,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
        )
        samples = replace(samples, weights=common)
        n_at_once = self.networks_at_once(shard, samples)
        of_orders, own = generators
        kept = self._kept(shard, samples, how.options, own)
        shard.draw_orders(of_orders)
        if kept is not None:
            kept.put_back_random_states()
        return PopulationTraining(
            shard,
            samples,
            n_at_once,
            self.progress,
            self.stop or threading.Event(),
            kept and kept.keeper,
            kept and kept.standing,
            self.callback,
            self.callback_every,
        )

    def _kept(
        self, shard: Shard, samples: Samples, options: Options, own: np.random.RandomState
    ) -> KeptRun | None:
        """What writes checkpoints, and what there is to go on from; None where none are asked for.

        Raises
        ------
        ValueError
            If the file is of another run, damaged, or can't be written.
        """
        if self.checkpoint is None:
            return None
        identity = identities.of_population(shard, samples, options, self)
        kept = KeptRun.opened(
            self.checkpoint, identity, own_generators(population=own, fit=self.random_state)
        )
        if kept.standing is not None:
            check_population_sound(kept.standing, len(shard), shard.epochs)
            if self.client is not None and kept.standing.facts["engine"] is not None:
                raise ValueError(
                    f"checkpoint {self.checkpoint.path} was written amid training without a client: go on "
                    "without one, name another file, or begin anew with resume=False of fit."
                )
            shard.plan = planned_for_many(kept.standing.facts["plan"], shard.plan, shard.problem)
            done = len(kept.standing.arrays["history.loss"])
            self.checkpoint.tell(_are_over(kept.standing, shard.epochs), f"up to {done} of {shard.epochs}")
        return kept

    def do(self, training: PopulationTraining) -> None:
        """Train here, or on the client's workers."""
        if self.client is None:
            training()
        else:
            from .shared_out.population import train_on  # needs distributed

            train_on(self.client, training)


def _are_over(found: Standing, epochs: int) -> bool:
    """Whether all networks have ended."""
    is_over = (found.arrays["n_epochs"] >= epochs) | (found.arrays["stopped"] != 0)
    is_over[found.arrays["diverged"][:, 0].astype(int)] = True
    return bool(is_over.all())


def _rates(options: Options, of_networks: np.ndarray, epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """The different learning rates of every epoch, (n_rates, epochs), and which of them each network has."""
    schedule_options = check_schedule(options.schedule, options.schedule_options)
    if (of_networks == of_networks[0]).all():
        distinct, rate_of = of_networks[:1], np.zeros(len(of_networks), np.int64)
    else:
        distinct, rate_of = np.unique(of_networks, return_inverse=True)
    rates = [learning_rates(options.schedule, schedule_options, float(rate), epochs) for rate in distinct]
    return rates[0][np.newaxis] if len(rates) == 1 else np.array(rates), rate_of
