"""Populations: many networks of one architecture, trained at once on the same samples."""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import ModuleType
from typing import Any, overload

import numpy as np

from .checks.host import check_integer, check_random_state, check_real, check_weights_of_networks
from .devices import memory
from .devices.placement import CPU, gpu_of, is_on_device, resolve, where, where_X_lies
from .errors import DivergenceError
from .history import History
from .network import Network
from .options import Options
from .planning.population_cpu import ON_GPU, PopulationPlan, make_population_plan
from .schedules import check_schedule, learning_rates
from .training.population_loop import CommonSamples, PopulationState, PopulationTraining, Shard, each_network

PER_NETWORK = ("learning_rate", "momentum", "l2")
"""Arguments of `fit` that may be one number for each network."""


class Population:
    """Many networks of one architecture, each with weights, learning rate and penalty of its own.

    Network i takes the steps that it would take alone, up to rounding, and begins where
    ``Network(..., random_state=seeds[i])`` begins.

    Parameters
    ----------
    layer_sizes : sequence of int
        (n_inputs, ..., n_outputs), as for `Network`.
    n_networks : int
        How many.
    hidden_activation, output_activation, loss, init, dtype
        As for `Network`, for all networks.
    random_state : None, int, numpy.random.RandomState, or sequence of n_networks ints
        A seed for each network's initial weights; or what draws the seeds, and then the orders of samples.

    Attributes
    ----------
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
    ) -> None:
        n_networks = check_integer("n_networks", n_networks, minimum=1)
        self._network = Network(
            layer_sizes,
            hidden_activation=hidden_activation,
            output_activation=output_activation,
            loss=loss,
            init=init,
            dtype=dtype,
            _draw=False,
        )
        check_memory(n_networks, self._network.parameters.nbytes, "parameters")
        self.seeds, self.random_state = _check_seeds(random_state, n_networks)
        self.parameters = np.zeros((n_networks, self._network.n_parameters), self.dtype)
        generator = np.random.RandomState()
        for seed, network in zip(
            self.seeds.tolist(), each_network(self._network, self.parameters), strict=True
        ):
            generator.seed(seed)
            network.draw(generator)
        self.history: PopulationHistory | None = None
        self._rule_state: PopulationState | None = None

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
            for name in ("layer_sizes", "activations", "loss", "dtype"):
                own, expected = getattr(network, name), getattr(first, name)
                if own != expected:
                    raise ValueError(f"networks[{i}] has {name} {own}, but networks[0] has {expected}.")
        rows = np.array([network.parameters for network in networks])
        return cls._of(first, rows, np.full(len(rows), -1), check_random_state(random_state))

    @classmethod
    def _of(
        cls, network: Network, parameters: np.ndarray, seeds: np.ndarray, random_state: np.random.RandomState
    ) -> "Population":
        self = cls.__new__(cls)
        self._network = network.astype(network.dtype)
        self.parameters, self.seeds, self.random_state = parameters, seeds, random_state
        self.history = None
        self._rule_state = None
        return self

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """(n_inputs, ..., n_outputs)."""
        return self._network.layer_sizes

    @property
    def activations(self) -> tuple[str, ...]:
        """One a layer, the output's last."""
        return self._network.activations

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self._network.loss

    @property
    def dtype(self) -> np.dtype:
        """Of the parameters."""
        return self._network.dtype

    @property
    def n_networks(self) -> int:
        """How many networks."""
        return len(self.parameters)

    def __len__(self) -> int:
        return self.n_networks

    def __repr__(self) -> str:
        return f"<Population of {self.n_networks}: {self._network!r}>"

    @overload
    def __getitem__(self, index: int) -> Network: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> "Population": ...
    def __getitem__(self, index: Any) -> Any:
        """A copy: of network i, or, for a slice or a list of indices, of some as a population."""
        if isinstance(index, int | np.integer):
            network = self._network.astype(self.dtype)
            network.parameters[:] = self.parameters[index]
            network.random_state = np.random.RandomState(int(self.seeds[index]) % 2**32)
            if self.history is not None:
                network.history = self.history[int(index)]
            return network
        rows = self.parameters[index]
        if rows.ndim != 2 or not len(rows):
            raise IndexError(f"index {index!r} selects no networks.")
        random_state = np.random.RandomState()
        random_state.set_state(self.random_state.get_state())
        return self._of(self._network, np.array(rows), np.array(self.seeds[index]), random_state)

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
        tol: float = 1e-4,
        n_iter_no_change: int | None = None,
        chunk_size: int | None = None,
        progress: bool | None = None,
        client: Any = None,
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
            Shuffle for each network anew; by default all take the samples in the same order, which is faster.
        random_state : None, int or RandomState
            Draws the orders of samples; by default the population's own goes on. All networks take the order
            that ``Network.fit`` takes with this random_state, or with own_order network i takes that of
            ``Network.fit(random_state=RandomState(s))`` for the i-th seed s drawn.
        sample_weight : array-like of shape (n,) or (n_networks, n), optional
            Factors >= 0: a fold or a bootstrap of its own for each network is a weight of 0, 1, 2, ...
        tol, n_iter_no_change : float, int, optional
            A network's training ends when for more than n_iter_no_change epochs in a row its training loss
            has not improved by at least tol, as that of `MLPClassifier`; its history is NaN from there on.
            None: all epochs.
        chunk_size : int, optional
            Train so many networks at a time: what training takes beside the parameters is less. With a
            client, so many in each task; by default as the workers' threads and memory suggest.
        progress : bool, optional
            Show a progress bar; by default if standard error is a terminal.
        client : dask.distributed.Client, optional
            Train on its workers, in tasks that take one thread each; see `numbabp.training.distribution`. On
            processors of the same kind the results are those of training here to the last bit. What a lost
            worker had begun is done again by others.
        **options
            Further arguments of `Network.fit` on how to take a step: update_rule, shuffle, schedule, monitor,
            ..., device, n_threads; and kernel: "lanes" or "each", or on a GPU "thread", "warp" or "block",
            override the choice of `plan`.

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
            On Ctrl-C; every network is left after its last finished step. With a client, those of finished
            tasks are trained, and the others unchanged.
        RuntimeError
            If a task fails on the client's workers again and again; networks are left as on Ctrl-C.
        ImportError
            If a client is given, but distributed is not installed (the extra `dask`).

        Notes
        -----
        A network that diverges is left at its last finite parameters, has NaN in the history from that epoch
        on, and is named in ``history.diverged``; the others go on.
        """
        training = self._training(
            X,
            y,
            {"learning_rate": learning_rate, "momentum": momentum, "l2": l2},
            epochs,
            own_order,
            random_state,
            sample_weight,
            chunk_size,
            progress,
            options,
            check_real("tol", tol, minimum=0),
            None
            if n_iter_no_change is None
            else check_integer("n_iter_no_change", n_iter_no_change, minimum=1),
            client,
        )
        started = time.perf_counter()
        try:
            if client is None:
                training()
            else:
                from .training.distribution import train_on

                train_on(client, training)
        finally:
            self.history = PopulationHistory(
                {**training.metrics, "learning_rate": training.shard.learning_rates},
                training.diverged,
                training.stop_reason,
                time.perf_counter() - started - training.seconds_compiling,
                training.n_epochs,
                training.stopped,
            )
        return self.history

    def partial_fit(self, X: Any, y: Any, **options: Any) -> "PopulationHistory":
        """Train for one pass over the samples; arguments as for `fit`, but epochs."""
        if "epochs" in options:
            raise TypeError("partial_fit takes no 'epochs': it is one pass.")
        return self.fit(X, y, epochs=1, **{"progress": False, **options})

    def plan(self, X: Any, *, epochs: int = 100, own_order: bool = False, **options: Any) -> PopulationPlan:
        """How `fit` would train on X, without doing it; X may also be the number of samples.

        Returns
        -------
        PopulationPlan
            ``print(population.plan(X).explain())`` shows the choice and the alternatives.
        """
        kernel = options.pop("kernel", "auto")
        how = Options(**options)
        place = resolve(how.device, gpu_of({"X": X}))
        with where(X):
            inputs = None if isinstance(X, int) else self._network._check_inputs("X", X)
        return make_population_plan(
            self._network,
            self.n_networks,
            X if inputs is None else inputs.shape[0],
            epochs,
            how,
            own_order,
            kernel,
            _mean_nonzeros(inputs),
            place,
            how.l2 > 0,
        )

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
        inputs = self._network._check_inputs("X", X)
        with where(inputs):
            self._check_memory_of_outputs(inputs)
            return self._inference(inputs).forward(self._network, self.parameters, inputs)

    def predict(self, X: Any) -> Any:
        """Predictions of every network, shape (n_networks, ...) before that of `Network.predict`."""
        return self._network.decide(self.forward(X))

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
        checked = self._network._check_samples(X, y, sample_weight)
        names = self._network.metric_names(Options(monitor=monitor).monitor)
        return self._inference(checked[0]).measure(self._network, self.parameters, *checked, names)

    @staticmethod
    def _inference(inputs: Any) -> ModuleType:
        """What computes outputs where the samples lie."""
        if is_on_device(inputs):
            from .inference import device as device_inference

            return device_inference
        from .inference import host as population_inference

        return population_inference

    def _check_memory_of_outputs(self, inputs: Any) -> None:
        available = memory.free_bytes() if is_on_device(inputs) else None
        each = inputs.shape[0] * self._network.n_outputs * self.dtype.itemsize
        check_memory(self.n_networks, each, "outputs of so many samples", available=available)

    def best_index(self, metric: str = "loss") -> int:
        """Index of the network whose last value of a recorded metric is best: high accuracy, low others.

        Raises
        ------
        RuntimeError
            If there is no history yet, or every network has diverged.
        """
        if self.history is None:
            raise RuntimeError("there is no history yet: call fit first.")
        values = self.history.last(metric)
        if np.isnan(values).all():
            raise RuntimeError("every network has diverged.")
        return int(np.nanargmax(values) if "accuracy" in metric else np.nanargmin(values))

    def best(self, metric: str = "loss") -> Network:
        """A copy of the network at `best_index`."""
        return self[self.best_index(metric)]

    def ensemble(self) -> "Ensemble":
        """A predictor that averages the outputs of all networks that have not diverged."""
        diverged = self.history.diverged if self.history is not None else {}
        kept = [i for i in range(self.n_networks) if i not in diverged]
        if not kept:
            raise RuntimeError("every network has diverged.")
        return Ensemble(self[kept])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the population to a safetensors file, atomically; see `numbabp.storage.save_population`."""
        from .storage import save_population

        save_population(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Population":
        """Read a population from a file that `save` wrote; see `numbabp.storage.load_population`."""
        from .storage import load_population

        return load_population(path)

    def _training(
        self,
        X: Any,
        y: Any,
        numbers: dict[str, Any],
        epochs: int,
        own_order: bool,
        random_state: Any,
        sample_weight: Any,
        chunk_size: int | None,
        progress: bool | None,
        more: dict[str, Any],
        tol: float,
        n_iter_no_change: int | None,
        client: Any,
    ) -> PopulationTraining:
        """Everything checked, and nothing changed yet."""
        n = self.n_networks
        epochs = check_integer("epochs", epochs, minimum=1)
        if chunk_size is not None:
            check_integer("chunk_size", chunk_size, minimum=1)
        kernel = more.pop("kernel", "auto")
        stop = more.pop("_stop", None)
        refused = {"early_stopping", "patience", "block_length", "progress"}
        for name in more:
            if name not in Options.__dataclass_fields__ or name in refused:
                allowed = ", ".join(sorted({*Options.__dataclass_fields__} - refused | {"kernel"}))
                raise TypeError(f"Population.fit takes no {name!r}; allowed: {allowed}.")
        per_network = {name: _check_numbers(name, value, n) for name, value in numbers.items()}
        options = []
        for i in _distinct(per_network):
            own: dict[str, Any] = {name: float(values[i]) for name, values in per_network.items()}
            options.append(Options(**own, **more))
        if options[0].schedule == "adaptive":
            raise ValueError("schedule='adaptive' is for one network; allowed here: the other schedules.")
        if is_on_device(sample_weight):
            raise TypeError(
                "sample_weight of a population must be in the host's memory: copy it with its get()."
            )
        place = resolve(options[0].device, gpu_of({"X": X, "y": y}))
        if client is not None and (place.device is not None or kernel in ON_GPU):
            raise ValueError(
                "a client's workers train on their CPUs: device must be 'auto' or 'cpu' with one."
            )
        with where(X):
            inputs, targets, _ = self._network._check_samples(X, y, None)
        weights = check_weights_of_networks(sample_weight, n, len(targets), self.dtype)
        none = np.empty((0, 0), self.dtype)
        common, own_weights = (weights, none) if len(weights) == 1 else (none, weights)
        with_l2 = bool(per_network["l2"].any())
        plan = make_population_plan(
            self._network,
            n,
            len(targets),
            epochs,
            options[0],
            own_order,
            kernel,
            _mean_nonzeros(inputs),
            CPU if client is not None else place,
            with_l2,
            weights.size > 0,
        )
        state = self._rule_state
        if state is None or state.update_rule != options[0].update_rule:
            state = PopulationState.new(options[0].update_rule, self.parameters)
        generator = self.random_state if random_state is None else check_random_state(random_state)
        rates, rate_of = _rates(options[0], per_network["learning_rate"], epochs)
        shard = Shard(
            self._network,
            self.parameters,
            state,
            own_weights,
            per_network,
            rates,
            rate_of,
            np.empty(0, np.int64),
            0,
            # the schedule has given its rates
            replace(options[0], schedule="constant", schedule_options=None, n_threads=1, progress=False),
            plan,
            with_l2,
            tol,
            n_iter_no_change,
        )
        samples = CommonSamples(inputs, targets, common)
        if client is None:
            n_at_once = n if chunk_size is None else min(chunk_size, n)
            copies, advice = shard.bytes_of_copies * n_at_once // n, "; chunk_size trains them in turns"
            check_memory(n, shard.bytes_of_history + copies, "history and state of training", advice)
        else:
            from .training.distribution import networks_of_a_task

            n_at_once = networks_of_a_task(client, shard, samples, chunk_size)
        shard.draw_orders(generator, own_order)
        training = PopulationTraining(shard, samples, n_at_once, progress, stop or threading.Event())
        self._rule_state = state
        return training


class PopulationHistory(Mapping[Any, Any]):
    """Metrics of a population's training: arrays of shape (n_networks, epochs) by name.

    ``history[i]`` is the `History` of network i.

    Attributes
    ----------
    diverged : dict of int to DivergenceError
        The networks that left the finite numbers; their rows are NaN from that epoch on.
    stop_reason : str
        "finished" or "interrupted"; then epochs that were not finished are NaN.
    seconds : float
        Wall time, without that of compiling the lanes kernel.
    n_epochs : ndarray of int64, shape (n_networks,)
        Epochs that each network has finished.
    """

    def __init__(
        self,
        metrics: Mapping[str, np.ndarray],
        diverged: Mapping[int, DivergenceError],
        stop_reason: str,
        seconds: float,
        n_epochs: np.ndarray,
        stopped: np.ndarray,
    ) -> None:
        self._metrics = dict(metrics)
        self._stopped = stopped
        self.n_epochs = n_epochs
        self.diverged = dict(diverged)
        self.stop_reason = stop_reason
        self.seconds = seconds

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int | np.integer):
            finished = int(self.n_epochs[key])
            reason = "no change" if self._stopped[key] else self.stop_reason
            metrics = {name: values[key, :finished] for name, values in self._rows().items()}
            return History(
                metrics,
                learning_rate=self._metrics["learning_rate"][key, :finished],
                stop_reason="diverged" if int(key) % len(self.loss) in self.diverged else reason,
                seconds=self.seconds,
            )
        if key not in self._metrics:
            raise KeyError(f"{key!r} was not recorded; recorded: {', '.join(self._metrics)}.")
        return self._metrics[key]

    def _rows(self) -> dict[str, np.ndarray]:
        return {name: values for name, values in self._metrics.items() if name != "learning_rate"}

    def __iter__(self) -> Any:
        return iter(self._rows())

    def __len__(self) -> int:
        return len(self._rows())

    def last(self, metric: str = "loss") -> np.ndarray:
        """Values of each network's last finished epoch, shape (n_networks,); NaN for those that diverged."""
        values = self[metric]
        last = values[np.arange(len(values)), np.maximum(self.n_epochs, 1) - 1]
        last[list(self.diverged)] = np.nan
        return last

    def __repr__(self) -> str:
        n, epochs = self.loss.shape
        last = self.last()
        text = f"{n} networks, {epochs} epochs, {self.stop_reason}"
        if np.isfinite(last).any():
            text += f"; last loss: median {np.nanmedian(last):.6g}, best {np.nanmin(last):.6g}"
        return f"<PopulationHistory: {text}{f'; {len(self.diverged)} diverged' if self.diverged else ''}>"

    @property
    def loss(self) -> np.ndarray:
        """Prequential loss, shape (n_networks, epochs)."""
        return self._metrics["loss"]

    @property
    def accuracy(self) -> np.ndarray:
        """Prequential accuracy between 0 and 1, shape (n_networks, epochs)."""
        if "accuracy" not in self._metrics:
            raise AttributeError("accuracy was not recorded; ask for it with fit(monitor=('accuracy',)).")
        return self._metrics["accuracy"]


class Ensemble:
    """The mean of the outputs of many networks, with their spread as uncertainty."""

    def __init__(self, population: Population) -> None:
        self.population = population

    @where_X_lies
    def forward(self, X: Any) -> Any:
        """Mean outputs, shape (n, n_outputs); CuPy's, on the GPU of X, if it lies on one."""
        return self.population.forward(X).mean(axis=0)

    @where_X_lies
    def std(self, X: Any) -> Any:
        """Standard deviation of the outputs over the networks, shape (n, n_outputs); likewise."""
        return self.population.forward(X).std(axis=0)

    def predict(self, X: Any) -> Any:
        """As `Network.predict`, from the mean outputs."""
        return self.population._network.decide(self.forward(X))


def check_memory(
    n_networks: int, bytes_each: int, what: str, advice: str = "", available: int | None = None
) -> None:
    """Raise MemoryError, before anything is allocated, if so many networks' arrays would not fit.

    `available` bytes are those of the host's memory by default.
    """
    available = _available_memory() if available is None else available
    if n_networks * bytes_each > available:
        raise MemoryError(
            f"n_networks={n_networks}: {what} of a network take {bytes_each:,} bytes, and {available:,} are "
            f"available, enough for {max(0, available // bytes_each):,} networks{advice}."
        )


def _available_memory() -> int:
    """Bytes that can be had without swapping; a large number where the system does not say."""
    with suppress(OSError, ValueError), open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return 2**62


def _check_seeds(random_state: Any, n: int) -> tuple[np.ndarray, np.random.RandomState]:
    """A seed for each network, and what draws the orders of samples."""
    if random_state is None or isinstance(random_state, int | np.integer | np.random.RandomState):
        generator = check_random_state(random_state)
        return generator.randint(0, 2**31 - 1, size=n, dtype=np.int64), generator
    seeds = np.asarray(random_state)
    if seeds.shape != (n,) or seeds.dtype.kind not in "iu":
        raise ValueError(
            f"random_state must be None, an int, a RandomState, or {n} ints, one for each network; "
            f"got an array of shape {seeds.shape} and dtype {seeds.dtype}."
        )
    if seeds.min() < 0 or seeds.max() >= 2**32:
        raise ValueError("random_state must have seeds between 0 and 2**32 - 1.")
    return seeds.astype(np.int64), check_random_state(int(seeds[0]))


def _check_numbers(name: str, value: Any, n: int) -> np.ndarray:
    """One number for each network; that each is allowed, `Options` checks."""
    if np.ndim(value) == 0:
        check_real(name, value)
        return np.full(n, float(value))
    numbers = np.asarray(value)
    if numbers.shape != (n,) or numbers.dtype.kind not in "iuf":
        raise ValueError(
            f"{name} must be a number or {n} numbers, one for each network; "
            f"got shape {numbers.shape} and dtype {numbers.dtype}."
        )
    return numbers.astype(float)


def _distinct(per_network: dict[str, np.ndarray]) -> np.ndarray:
    """Indices of networks with all the different settings there are, the first network's first."""
    rows = np.column_stack(list(per_network.values()))
    if (rows == rows[0]).all():  # most often, and soon seen
        return np.zeros(1, np.int64)
    return np.sort(np.unique(rows, axis=0, return_index=True)[1])


def _rates(options: Options, of_networks: np.ndarray, epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """The different learning rates of every epoch, (n_rates, epochs), and which of them each network has."""
    schedule_options = check_schedule(options.schedule, options.schedule_options)
    if (of_networks == of_networks[0]).all():
        distinct, rate_of = of_networks[:1], np.zeros(len(of_networks), np.int64)
    else:
        distinct, rate_of = np.unique(of_networks, return_inverse=True)
    rates = [learning_rates(options.schedule, schedule_options, float(rate), epochs) for rate in distinct]
    return np.array(rates), rate_of


def _mean_nonzeros(inputs: Any) -> float | None:
    """Of checked samples; None where they are dense."""
    return inputs.nnz / inputs.shape[0] if hasattr(inputs, "nnz") else None
