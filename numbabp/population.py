"""Populations: many networks of one architecture, trained at once on the same samples."""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np

from . import storage
from .architecture import Architecture, OfArchitecture
from .checks.arguments import check_bool, check_choice, check_integer, check_random_state
from .checks.population import check_memory, check_seeds
from .compiler.arrays import aligned_zeros
from .devices import memory
from .devices.placement import gpu_of, is_on_device, resolve, where
from .exchange.exporting import ExportsToONNX
from .functions.initializers import INITIALIZERS, draw_weights_of_seeds
from .history import PopulationHistory, place_of_best
from .inference import predictions
from .inference.ensemble import Ensemble
from .inference.predictions import decide
from .network import OF_SEVERAL_EPOCHS, Network
from .options import Options
from .planning.plan import Plan
from .planning.planner import make_plan
from .samples import Samples, check_inputs, how_many
from .storage import PathLike
from .tensor_files import of_file
from .training.checkpoints.keeper import Checkpoint
from .training.checkpoints.kept_state import Going, going_of_many, kept_of_many
from .training.exclusive import TrainedAlone
from .training.population_loop import PopulationTraining
from .training.population_setup import OF_FIT, OF_PLAN, OF_RUN, How, Run
from .training.state import RuleState
from .training.watching.watch import PopulationCallback


class Population(OfArchitecture, ExportsToONNX):
    """Many networks of one architecture, each with weights, learning rate and penalty of its own.

    Network i takes the steps that it would take alone, up to rounding, and begins where
    ``Network(..., random_state=seeds[i])`` begins.

    Parameters
    ----------
    layer_sizes : sequence of int
        (n_inputs, ..., n_outputs), as for `Network`.
    n_networks : int
        How many.
    hidden_activation, output_activation, loss, quantile, init, dtype, numerics
        As for `Network`, for all networks.
    random_state : None, int, numpy.random.RandomState, or sequence of n_networks ints
        A seed for each network's initial weights; or what draws the seeds, and then the orders of samples.

    Attributes
    ----------
    architecture : Architecture
        Of every network.
    parameters : ndarray of shape (n_networks, n_parameters)
        A row is the `parameters` of one network.
    seeds : ndarray of int64, shape (n_networks,)
    history : PopulationHistory or None
        Of the last `fit` or `partial_fit`.

    Raises
    ------
    ValueError, TypeError
        For an argument that is not allowed, naming it and what is.
    MemoryError
        If the parameters would not fit into memory; it says how many networks would.

    Examples
    --------
    >>> import numbabp as nbp
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> population = nbp.Population((2, 10, 1), 64, loss="binary_cross_entropy", random_state=0)
    >>> history = population.fit(X, y, learning_rate=1.0, epochs=1000)
    >>> history.loss.shape
    (64, 1000)
    >>> population.best().predict(X)
    array([0, 1, 1, 0])
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        n_networks: int,
        *,
        hidden_activation: str | Sequence[str] = "sigmoid",
        output_activation: str | None = None,
        loss: str = "squared_error",
        init: str = "lecun_normal",
        dtype: Any = "float64",
        random_state: int | np.random.RandomState | Sequence[int] | None = None,
        quantile: float = 0.5,
        numerics: str = "fast",
    ) -> None:
        n_networks = check_integer("n_networks", n_networks, minimum=1)
        architecture = Architecture.checked(
            layer_sizes, hidden_activation, output_activation, loss, dtype, quantile, numerics
        )
        init = check_choice("init", init, INITIALIZERS)
        check_memory(n_networks, architecture.nbytes, "parameters")
        seeds, generator = check_seeds(random_state, n_networks)
        parameters = np.zeros((n_networks, architecture.n_parameters), architecture.dtype)
        networks = [architecture.weights_of(row) for row in parameters]
        draw_weights_of_seeds(networks, init, seeds.tolist())
        self._set(architecture, init, parameters, seeds, generator)

    @classmethod
    def from_networks(
        cls, networks: Sequence[Network], random_state: int | np.random.RandomState | None = None
    ) -> "Population":
        """Population of copies of networks, which must be of one architecture and dtype.

        Parameters
        ----------
        networks
            At least one.
        random_state
            Draws the orders of samples.
        """
        networks = list(networks)
        if not networks or not all(isinstance(network, Network) for network in networks):
            raise TypeError("networks must be a sequence of at least one Network.")
        first = networks[0]
        for i, network in enumerate(networks):
            for name in ("layer_sizes", "activations", "loss", "quantile", "dtype", "numerics"):
                own, expected = getattr(network, name), getattr(first, name)
                if own != expected:
                    raise ValueError(f"networks[{i}] has {name} {own}, but networks[0] has {expected}.")
        rows = np.array([network.parameters for network in networks])
        generator = check_random_state(random_state)
        return cls._of(first.architecture, first.init, rows, np.full(len(rows), -1), generator)

    @classmethod
    def _of(
        cls,
        architecture: Architecture,
        init: str,
        parameters: np.ndarray,
        seeds: np.ndarray,
        random_state: np.random.RandomState,
        rule_state: RuleState | None = None,
    ) -> "Population":
        self = cls.__new__(cls)
        self._set(architecture, init, parameters, seeds, random_state)
        self._rule_state = rule_state
        return self

    def _set(
        self,
        architecture: Architecture,
        init: str,
        parameters: np.ndarray,
        seeds: np.ndarray,
        random_state: np.random.RandomState,
    ) -> None:
        self.architecture, self.init, self.parameters = architecture, init, parameters
        self.seeds, self.random_state = seeds, random_state
        self.history: PopulationHistory | None = None
        self._rule_state: RuleState | None = None

    @property
    def n_networks(self) -> int:
        """How many networks."""
        return len(self.parameters)

    def __len__(self) -> int:
        return self.n_networks

    def __repr__(self) -> str:
        return f"<Population of {self.n_networks}: <Network {self.architecture}>>"

    @overload
    def __getitem__(self, index: int) -> Network: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> "Population": ...
    def __getitem__(self, index: Any) -> Any:
        """A copy: of network i, or, for a slice or a list of indices, of some as a population."""
        if isinstance(index, int | np.integer):
            parameters = aligned_zeros(self.n_parameters, self.dtype)
            parameters[:] = self.parameters[index]
            return Network.of(
                self.architecture,
                parameters,
                init=self.init,
                random_state=np.random.RandomState(int(self.seeds[index]) % 2**32),
                history=None if self.history is None else self.history[int(index)],
            )
        rows = self.parameters[index]
        if rows.ndim != 2 or not len(rows):
            raise IndexError(f"index {index!r} selects no networks.")
        random_state = np.random.RandomState()
        random_state.set_state(self.random_state.get_state())
        return self._of(
            self.architecture, self.init, np.array(rows), np.array(self.seeds[index]), random_state
        )

    def views(self) -> list[Network]:
        """The networks themselves, each with its row of `parameters`, its rule's state and its history."""
        state, history = self._rule_state, self.history
        return [
            Network.of(
                self.architecture,
                row,
                init=self.init,
                history=None if history is None else history[i],
                rule_state=None if state is None else state.part(i),
            )
            for i, row in enumerate(self.parameters)
        ]

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        learning_rate: Any = 0.1,
        momentum: Any = 0.9,
        l2: Any = 0.0,
        epochs: int = 100,
        own_order: bool = False,
        random_state: int | np.random.RandomState | None = None,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        tol: float | None = None,
        n_iter_no_change: int | None = None,
        callback: PopulationCallback | None = None,
        callback_every: int = 1,
        chunk_size: int | None = None,
        progress: bool | None = None,
        client: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 30.0,
        resume: bool = True,
        **options: Any,
    ) -> "PopulationHistory":
        """Train every network from its present parameters on.

        Parameters
        ----------
        X, y
            Samples for all networks, as for `Network.fit`.
        learning_rate, momentum, l2 : float or array-like of shape (n_networks,)
            As for `Network.fit`.
        epochs : int
            Passes over the samples.
        own_order : bool
            Shuffle for each network anew; one order for all, the default, is 2 to 3 times as fast in lanes.
        random_state : None, int or RandomState
            Draws the orders of samples; by default the population's own goes on. All networks take the order
            that ``Network.fit`` takes with this random_state, or with own_order network i takes that of
            ``Network.fit(random_state=RandomState(s))`` for the i-th seed s drawn.
        sample_weight : array-like of shape (n,) or (n_networks, n), optional
            Factors >= 0: a fold or a bootstrap of its own for each network is a weight of 0, 1, 2, ... They
            may lie on the GPU where X does.
        validation_data : tuple (X, y), optional
            Every network is measured on them at the end of every epoch; recorded as "validation_loss" and so
            on. Not on a GPU.
        early_stopping, patience : bool, int
            A network's training ends when its validation loss (or without such data the prequential one) has
            not improved by more than tol in patience epochs in a row; it goes back to the parameters of its
            best epoch. Its history is NaN from there on, without epochs that no network came to. Not on GPUs.
        tol, n_iter_no_change : float, int, optional
            Another rule, that of `MLPClassifier`: it ends when for more than n_iter_no_change epochs in a row
            its training loss has not improved by tol (default: 0 with early_stopping, else 1e-4).
        callback : callable, optional
            Called as callback(epoch, population_epoch) after every `callback_every` epochs, and after the
            last, with a `PopulationEpoch` of all networks. A true result ends the training of all, an array
            of bool, shape (n_networks,), that of those named; with early_stopping they go back to their best
            epoch. It changes no bit of the others. Not on GPUs, with a client, or with chunk_size.
        chunk_size : int, optional
            Train so many networks at a time: what training takes beside the parameters is less. With a
            client, so many in each task; by default as the workers' threads and memory suggest.
        progress : bool, optional
            Show a progress bar; by default if standard error is a terminal, and in notebooks.
        client : dask.distributed.Client, optional
            Train on its workers, in tasks that take one thread each for 30 s or little more; what takes
            longer goes on in another one. On processors of the same kind the results are those of training
            here to the last bit. What a lost worker had begun is done again by others; where there are none
            they are waited for, as long as Dask's setting numbabp.wait-for-workers says (5 minutes).
        checkpoint, checkpoint_every, resume
            As for `Network.fit`, with the same epochs, any number of threads, and any client; what a client
            has begun can be gone on with without one, but not the other way round.
        **options
            Further arguments of `Network.fit` on how to take a step: update_rule, shuffle, schedule, monitor,
            ..., device, n_threads; and kernel: "lanes" or "each", or on a GPU "thread", "warp" or "block",
            override the choice of `plan` (`numbabp.planning.catalogue` tells of each).

        Returns
        -------
        PopulationHistory
            Also kept as `history`.

        Raises
        ------
        ValueError, TypeError
            For an argument that is not allowed; the population is unchanged.
        MemoryError
            If there is not enough memory; it says how many networks would fit.
        KeyboardInterrupt
            On Ctrl-C; every network is left after its last finished step, with a client after its last
            finished task.
        RuntimeError
            If a task fails on the client's workers again and again, or these are gone for too long, networks
            being left as on Ctrl-C; or if another thread is training this population.
        ImportError
            If a client is given, but distributed is not installed (the extra `dask`).

        Notes
        -----
        A network that diverges is left at its last parameters before, has NaN in the history from that epoch
        on, and is named in ``history.diverged``; the others go on.
        """
        how = {"learning_rate": learning_rate, "momentum": momentum, "l2": l2, **options}
        run = Run(
            epochs,
            own_order,
            random_state,
            sample_weight,
            tol,
            n_iter_no_change,
            chunk_size,
            progress,
            client,
            validation_data=validation_data,
            callback=callback,
            callback_every=callback_every,
            checkpoint=Checkpoint.asked(checkpoint, checkpoint_every, resume),
        )
        return self._train(X, y, how, run)

    def partial_fit(self, X: Any, y: Any, **options: Any) -> "PopulationHistory":
        """Train for one pass over the samples; arguments as for `fit`, but epochs."""
        for name in {"epochs", *OF_SEVERAL_EPOCHS} & set(options):
            raise TypeError(f"partial_fit takes no {name!r}: it is one pass.")
        return self.fit(X, y, epochs=1, **{"progress": False, **options})

    def plan(self, X: Any, *, epochs: int = 100, own_order: bool = False, **options: Any) -> Plan:
        """How `fit` would train on X, without doing it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_inputs), or int
            Samples, of which only the number matters; or that number.
        epochs, own_order
            As for `fit`.
        **options
            Arguments of `fit` on how to take a step, and kernel, device, n_threads.

        Returns
        -------
        Plan
            ``print(population.plan(X).explain())`` shows the choice and the alternatives.

        Raises
        ------
        ValueError, TypeError
            For what `fit` would not take.
        """
        of_run = {name: options.pop(name) for name in OF_RUN if name in options}
        run = Run(epochs, own_order, **of_run)
        run.check()
        how = How.checked("Population.plan", options, self.n_networks, OF_PLAN)
        run = run.checked(how.options)
        place = resolve(how.options.device, gpu_of({"X": X}))
        with where(X):
            n_samples, n_nonzeros = how_many(self.architecture, X)
        return make_plan(run.problem(self.architecture, how, n_samples, n_nonzeros, place))

    def forward(self, X: Any) -> Any:
        """Outputs of every network.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_inputs)
            As for `Network.forward`.

        Returns
        -------
        ndarray of shape (n_networks, n, n_outputs)
            NumPy's; or CuPy's, on the GPU of X.

        Raises
        ------
        MemoryError
            If they would not fit into the memory; it says of how many networks they would.
        """
        inputs = check_inputs(self.architecture, "X", X)
        self.architecture.check_finite(self.parameters)
        with where(inputs):
            available = memory.free_bytes() if is_on_device(inputs) else None
            each = inputs.shape[0] * self.architecture.n_outputs * self.dtype.itemsize
            check_memory(self.n_networks, each, "outputs of so many samples", available=available)
            return predictions.forward(self.architecture, self.parameters, inputs)

    def predict(self, X: Any) -> Any:
        """Predictions of every network, shape (n_networks, ...) before that of `Network.predict`."""
        return decide(self.architecture, self.forward(X))

    def evaluate(
        self, X: Any, y: Any, sample_weight: Any = None, monitor: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Mean loss and metrics of every network on given samples, without training.

        Parameters
        ----------
        X, y, sample_weight, monitor
            As for `Network.evaluate`.

        Returns
        -------
        dict
            "loss" and the metrics by name, NumPy arrays of shape (n_networks,).
        """
        samples = Samples.checked(self.architecture, X, y, sample_weight)
        self.architecture.check_finite(self.parameters)
        names = self.architecture.metric_names(Options(monitor=monitor).monitor)
        return predictions.measure(self.architecture, self.parameters, samples, names)

    def best_index(self, metric: str = "loss") -> int:
        """Index of the network whose metric, as `PopulationHistory.kept`, is best: high accuracy, low others.

        Raises
        ------
        RuntimeError
            If there is no history yet, or every network has diverged.
        """
        if self.history is None:
            raise RuntimeError("there is no history yet: call fit first.")
        values = self.history.kept(metric)
        if np.isnan(values).all():
            raise RuntimeError("every network has diverged.")
        return place_of_best(values, metric)

    def best(self, metric: str = "loss") -> Network:
        """A copy of the network at `best_index`."""
        return self[self.best_index(metric)]

    def ensemble(self) -> Ensemble:
        """A predictor that averages the outputs of all networks that have not diverged."""
        diverged = self.history.diverged if self.history is not None else {}
        kept = [i for i in range(self.n_networks) if i not in diverged]
        if not kept:
            raise RuntimeError("every network has diverged.")
        return Ensemble(self[kept])

    def save(self, path: str | os.PathLike[str], *, training_state: bool = True) -> None:
        """Write the population to a safetensors file, atomically; all parameters, and the seeds.

        With `training_state` also the update rule's moments and steps and the random state, with which
        training goes on as if it had never been saved; but not the history.
        """
        check_bool("training_state", training_state)
        kept = kept_of_many(self.random_state, self._rule_state) if training_state else None
        storage.write_population(path, self.architecture, self.init, self.parameters, self.seeds, kept)

    @classmethod
    def load(cls, path: PathLike) -> "Population":
        """Read a population from a file that `save` wrote; checks and errors as for `numbabp.load`."""
        stored = storage.read_population(path)
        assert stored.seeds is not None
        going = Going(np.random.RandomState(), None, None)
        if stored.kept is not None:
            with of_file(path):
                going = going_of_many(stored.kept, stored.architecture, len(stored.seeds))
        parts = stored.architecture, stored.init, stored.parameters, stored.seeds, going.random_state
        return cls._of(*parts, going.rule_state)

    def _train(self, X: Any, y: Any, given: Mapping[str, Any], run: Run) -> PopulationHistory:
        with TrainedAlone(self):
            run.check()
            how = How.checked("Population.fit", given, self.n_networks, OF_FIT)
            run = run.checked(how.options)
            place = resolve(how.options.device, gpu_of({"X": X, "y": y, "sample_weight": run.sample_weight}))
            with where(X):
                samples = Samples.checked(self.architecture, X, y)
                weights = run.weights(self.n_networks, samples)
                validation = run.validation(self.architecture, samples)
            samples = replace(samples, weights=weights, validation=validation)
            self.architecture.check_finite(self.parameters)
            state = RuleState.going_on(self._rule_state, how.options.update_rule, self.parameters)
            state.check_finite()
            asked = how, samples.n, samples.n_nonzeros, place, samples
            problem = run.problem(self.architecture, *asked)
            plan = make_plan(problem)
            generator = check_random_state(
                self.random_state if run.random_state is None else run.random_state
            )
            training = run.begin(
                problem, plan, how, samples, self.parameters, state, (generator, self.random_state)
            )
            self._rule_state = state
            started = time.perf_counter()
            try:
                run.do(training)
            finally:
                try:
                    self._record(training, started)
                except KeyboardInterrupt:
                    self._record(training, started)
                    raise
            assert self.history is not None
            return self.history

    def _record(self, training: PopulationTraining, started: float) -> None:
        """Keep the history of a training that has ended, so or so."""
        self.history = training.history(time.perf_counter() - started)


def fit_until(
    stop: threading.Event | None, population: Population, X: Any, y: Any, **arguments: Any
) -> PopulationHistory:
    """`Population.fit` without progress, which ends as by Ctrl-C once `stop` is set."""
    of_run = {name: arguments.pop(name) for name in Run._fields if name in arguments}
    return population._train(X, y, arguments, Run(**of_run, progress=False, stop=stop))
