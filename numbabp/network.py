"""The network: an architecture with parameters; predictions and training."""

import copy
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import storage
from .architecture import Architecture
from .checks.arguments import check_bool, check_choice, check_random_state
from .compiler.arrays import aligned_zeros
from .devices.placement import gpu_of, resolve
from .exchange.c.exported import WritesC
from .exchange.exporting import ExportsItself
from .functions.initializers import INITIALIZERS, draw_weights
from .history import History
from .inference import predictions
from .inspection.inspected import InspectsSteps
from .online.one_by_one import LearnsOneByOne
from .options import NAMES, Options, check_names, options_of, takes_options
from .planning.plan import Plan
from .planning.planner import make_plan
from .samples import Samples, check_inputs, how_many
from .streams.fitting import LearnsFromStreams
from .training.checkpoints import identities
from .training.checkpoints.keeper import Checkpoint
from .training.checkpoints.kept_state import Going, kept_of
from .training.exclusive import TrainedAlone
from .training.loop import Callback, Training
from .training.network_setup import Run
from .training.state import Inner, RuleState, draw_order_seed

OF_A_RUN = (
    *("epochs", "random_state", "sample_weight", "validation_data", "callback"),
    *("checkpoint", "checkpoint_every", "resume"),
)
"""Arguments of `fit` that are no options of a step."""
OF_SEVERAL_EPOCHS = ("early_stopping", "patience")
"""Options that make no sense for one."""


class Network(LearnsOneByOne, LearnsFromStreams, InspectsSteps, ExportsItself, WritesC):
    """A multi-layer perceptron, trained sample by sample.

    Layer l computes ``activation(inputs @ weights[l] + biases[l])``.

    Parameters
    ----------
    layer_sizes : sequence of int
        (n_inputs, ..., n_outputs); two entries make a network without hidden layer.
    hidden_activation : str or sequence of str
        One of identity, sigmoid, tanh, relu, leaky_relu (slope 0.01), elu (alpha 1), softplus, silu, gelu
        (exact), for all hidden layers; or one name for each of them.
    output_activation : str, optional
        One of the same, softmax or exp. By default the one that belongs to the loss: sigmoid for binary
        cross-entropy, softmax for categorical cross-entropy, exp for poisson (these allow no other),
        identity otherwise.
    loss : str
        Per sample, summed over the outputs: binary_cross_entropy, categorical_cross_entropy,
        squared_error (half the squares), absolute_error, huber (threshold 1), or of counts and other numbers
        >= 0 poisson (half the Poisson deviance, y log(y / a) - y + a), or quantile (pinball loss: the
        residual times `quantile` where y is above the output, and times 1 - quantile where it is below).
    init : str
        lecun_normal, zeros, glorot_uniform, glorot_normal, he_normal, he_uniform; biases start at zero.
    dtype : {"float64", "float32"}
        Of the parameters and of all arithmetic.
    random_state : None, int or numpy.random.RandomState
        Draws the initial weights, then the seeds of shuffles.
    quantile : float
        Between 0 and 1: for loss="quantile" what part of the targets is to lie below the outputs.
    numerics : {"fast", "strict", "approximate"}
        strict: the same bits on every processor (docs/strict.md); approximate: see docs/gpu.md.

    Attributes
    ----------
    architecture : Architecture
        Layer sizes, activations, loss and dtype, which are fixed.
    layer_sizes, activations : tuple
        Activations are one a layer, the output's last.
    parameters : ndarray of shape (n_parameters,)
        All parameters in one array: weights and biases of the first layer, of the second, ...
    random_state : numpy.random.RandomState
        Goes on from the initial weights to the shuffles.
    history : History or None
        Of the last `fit` or `partial_fit`.

    Raises
    ------
    ValueError, TypeError
        For an argument that is not allowed, naming it and what is.

    Examples
    --------
    >>> import numbabp as nbp
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = nbp.Network((2, 10, 1), loss="binary_cross_entropy", random_state=0)
    >>> history = net.fit(X, y, learning_rate=1.0, epochs=1000)
    >>> net.predict(X)
    array([0, 1, 1, 0])
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        *,
        hidden_activation: str | Sequence[str] = "sigmoid",
        output_activation: str | None = None,
        loss: str = "squared_error",
        init: str = "lecun_normal",
        dtype: Any = "float64",
        random_state: int | np.random.RandomState | None = None,
        quantile: float = 0.5,
        numerics: str = "fast",
    ) -> None:
        architecture = Architecture.checked(
            layer_sizes, hidden_activation, output_activation, loss, dtype, quantile, numerics
        )
        init = check_choice("init", init, INITIALIZERS)
        parameters = aligned_zeros(architecture.n_parameters, architecture.dtype)
        self._set(architecture, init, parameters, check_random_state(random_state))
        draw_weights(self.weights, init, self.random_state)

    @classmethod
    def of(
        cls,
        architecture: Architecture,
        parameters: np.ndarray,
        *,
        init: str = "lecun_normal",
        random_state: np.random.RandomState | None = None,
        history: History | None = None,
        rule_state: RuleState | None = None,
        inner: Inner | None = None,
    ) -> "Network":
        """Network of given parameters, which it keeps by reference.

        Parameters
        ----------
        architecture
            What they belong to.
        parameters
            T (n_parameters,), contiguous.
        init
            What they were drawn by.
        random_state
            Goes on to the shuffles; by default NumPy's global one.
        history, rule_state, inner
            Of the training that made them.
        """
        self = cls.__new__(cls)
        self._set(architecture, init, parameters, check_random_state(random_state))
        self.history, self._rule_state, self._inner = history, rule_state, inner
        return self

    def _set(
        self,
        architecture: Architecture,
        init: str,
        parameters: np.ndarray,
        random_state: np.random.RandomState,
    ) -> None:
        self.architecture, self.init, self.parameters = architecture, init, parameters
        self.random_state = random_state
        self.history: History | None = None
        self._rule_state: RuleState | None = None

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        """Views of the weights, ``weights[l]`` of shape (fan_in, fan_out); may be assigned to as a whole."""
        return self.architecture.weights_of(self.parameters)

    @weights.setter
    def weights(self, values: Sequence[Any]) -> None:
        _assign("weights", self.weights, values)

    @property
    def biases(self) -> tuple[np.ndarray, ...]:
        """Views of the biases, ``biases[l]`` of shape (fan_out,); may be assigned to as a whole."""
        return self.architecture.biases_of(self.parameters)

    @biases.setter
    def biases(self, values: Sequence[Any]) -> None:
        _assign("biases", self.biases, values)

    def __repr__(self) -> str:
        return f"<Network {self.architecture}>"

    def forward(self, X: Any) -> Any:
        """Outputs of the network.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_inputs)
            Finite numbers, converted to the network's dtype. What is sparse is not made dense. An array on a
            GPU, CuPy's or any with the CUDA array interface, stays there and is computed with there.

        Returns
        -------
        ndarray of shape (n, n_outputs)
            NumPy's; or CuPy's, on the GPU of X.
        """
        return self.before_and_after_activation(X)[1]

    def before_and_after_activation(self, X: Any) -> tuple[Any, Any]:
        """Pre-activations and outputs of the output layer, each as `forward` gives the outputs."""
        inputs = check_inputs(self.architecture, "X", X)
        self.architecture.check_finite(self.parameters)
        return predictions.outputs(self.architecture, self.parameters, inputs)

    def predict(self, X: Any) -> Any:
        """Predictions: what `forward` gives, decided.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_inputs)
            As for `forward`.

        Returns
        -------
        ndarray
            NumPy's; or CuPy's, on the GPU of X. Binary cross-entropy: 0 or 1 for each output, of shape (n,)
            for one, (n, n_outputs) for several. Softmax output: the most probable class, shape (n,).
            Otherwise the outputs themselves, shape (n,) for one.
        """
        return self.decide(self.forward(X))

    def decide(self, outputs: Any) -> Any:
        """Predictions from outputs of shape (..., n_outputs), as `predict` tells."""
        return predictions.decide(self.architecture, outputs)

    def evaluate(
        self, X: Any, y: Any, sample_weight: Any = None, monitor: Sequence[str] = ()
    ) -> dict[str, float]:
        """Mean loss and metrics on given samples, without training.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        monitor
            Further metrics, as for `fit`; the cross-entropies give "accuracy" unasked.

        Returns
        -------
        dict
            "loss" and the metrics by name.
        """
        names = self.architecture.metric_names(Options(monitor=monitor).monitor)
        samples = Samples.checked(self.architecture, X, y, sample_weight)
        self.architecture.check_finite(self.parameters)
        return predictions.measure_one(self.architecture, self.parameters, samples, names)

    @takes_options()
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int | None = 100,
        random_state: int | np.random.RandomState | None = None,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        callback: Callback | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 30.0,
        resume: bool = True,
        **options: Any,
    ) -> History:
        """Train from the present parameters on.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_inputs)
            Finite numbers. A sparse matrix (SciPy's, best CSR) is not made dense: with update_rule
            sgd, momentum or nesterov, batch_size=1, l1=0 and no clipping a step costs what its non-zeros do,
            else it also passes over all weights. It goes with propagate="exact".
        y : array-like of shape (n, n_outputs), or (n,) for one output
            Targets. With categorical cross-entropy also class indices of shape (n,).
        learning_rate : float
            Finite and not 0; a negative rate climbs the loss.
        epochs : int, optional
            Passes over the samples; with None training goes on until a callback, early stopping, the adaptive
            schedule or Ctrl-C ends it.
        shuffle : bool
            A new order every epoch, or the order of X.
        random_state : None, int or RandomState
            Seeds the shuffles; by default the network's own random state goes on.
        batch_size : int
            Samples a step, which is with their mean gradient.
        update_rule : str
            sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, rprop (`numbabp.kernels.update_rules`).
            rprop needs all samples as batch_size, and begins with steps of learning_rate. What a rule carries
            from step to step goes on in the next call with the same rule.
        momentum, rho, beta_1, beta_2, epsilon : float
            Numbers of the rules, as their formulas name them.
        l1, l2 : float
            Penalties l1 abs(W) + l2/2 W^2 on weights in every step; l2 is adamw's decoupled decay.
        clip_norm, clip_value : float, optional
            Largest norm of a step's gradient, and largest size of its elements (first value, then norm).
        schedule : str or callable
            Learning rate by epoch: constant, invscaling, exponential, step, cosine, adaptive
            (`numbabp.schedules`), or a function of the epoch, from 0, that returns the rate.
        schedule_options : dict, optional
            Numbers of a named schedule.
        sample_weight : array-like of shape (n,), optional
            Factors >= 0 of the samples' gradients and losses. A sample of weight 0 is passed over.
        propagate : {"exact", "updated"}
            Send delta back through the weights of the forward pass, or through those that the layer's
            update has just changed (a common textbook shortcut; plain SGD only).
        monitor : sequence of str
            Further prequential metrics: "accuracy" or the names of losses.
        validation_data : tuple (X, y), optional
            Measured at the end of every epoch, recorded as "validation_loss" and so on.
        early_stopping : bool
            Stop when the validation loss (or without such data the prequential one) has not improved by more
            than `tol` in `patience` epochs in a row, and go back to the parameters of the best epoch.
        patience, tol : int, float
            See early_stopping; the adaptive schedule uses tol too.
        callback : callable, optional
            Called as callback(epoch, metrics) after every epoch; a true result ends training.
        checkpoint : str or path-like, optional
            A file in which the run is kept: the same call, in another process too, goes on from where the
            file stands and ends with the bits of a run that was never stopped; one that is finished returns
            at once what it found. docs/reliability.md tells what is in it and what is promised.
        checkpoint_every : float
            Seconds between two checkpoints. The last one is written when training ends, also by Ctrl-C.
        resume : bool
            False begins anew, and replaces the checkpoint.
        progress : bool, optional
            Show a progress bar; by default on a terminal and in notebooks.
        device : {"auto", "cpu", "cuda", "cuda:0", "cuda:1", ...}
            Where to train: "cuda" is the GPU that CuPy uses, "cuda:1" GPU 1, "auto" the GPU on which X lies,
            else a GPU if `plan` predicts that the run, with what it has to copy, ends sooner there. An X on a
            GPU (CuPy's, or any with the CUDA array interface) stays there; y and sample_weight may lie there
            or in the host's memory. A GPU does sgd, momentum and nesterov with l2, batch_size=1, no clipping
            and propagate="exact".
        kernel : {"auto", "sequential", "tiny", "general", "minibatch", "blocked", "shared", ...}
            "auto" takes what `plan` predicts to be fastest; "blocked" is for both devices, "persistent" and
            "resident" for GPUs (`numbabp.planning.catalogue` tells of each). All give the same trajectory up
            to rounding; the same kernel with the same block length gives the same bits.
        block_length : int, optional
            Samples of a block; asks for the blocked kernel, or the shared one.
        n_threads : int, optional
            Most threads, for large layers and large products; by default as many as BLAS is set to use.

        Returns
        -------
        History
            Also kept as `history`.

        Raises
        ------
        ValueError, TypeError
            For an argument that is not allowed, or a checkpoint that is damaged, of another run or can't be
            written; the network is unchanged.
        NoGPUError
            If `device` asks for a GPU that can't be used, saying why; it is a RuntimeError.
        DivergenceError
            If the loss, the parameters or the rule's moments stop being finite, or grow beyond any use; the
            last parameters before, which predict finite numbers, are kept.
        RuntimeError
            If another thread is training this network.
        KeyboardInterrupt
            On Ctrl-C; the network is left after its last finished step, `history` after the last epoch.
        """
        checked = Options.named("Network.fit", options, OF_A_RUN)
        kept_at = Checkpoint.asked(checkpoint, checkpoint_every, resume)
        run = Run(epochs, random_state, sample_weight, validation_data, callback, kept_at)
        return self._train(X, y, checked, run)

    def plan(self, X: Any, *, epochs: int | None = 100, **options: Any) -> Plan:
        """How `fit` would train on X, without doing it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_inputs), or int
            Samples, of which only the number matters; or that number.
        epochs : int, optional
            How long the run would be; None, without end.
        **options
            Arguments of `fit` on how to take a step, and kernel, block_length, n_threads.

        Returns
        -------
        Plan
            ``print(net.plan(X).explain())`` shows the choice, the alternatives and their predicted times.

        Raises
        ------
        ValueError
            If the options ask for something that is not possible.
        """
        checked = Options.named("plan", options, ["epochs"])
        place = resolve(checked.device, gpu_of({"X": X}))
        asked = *how_many(self.architecture, X), place, checked, self._rule_state
        run = Run(epochs)
        run.check()
        return make_plan(run.problem(self.architecture, *asked))

    @takes_options(*OF_SEVERAL_EPOCHS)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        random_state: int | np.random.RandomState | None = None,
        progress: bool | None = False,
        **options: Any,
    ) -> History:
        """Train for one pass over the samples, as they come.

        Parameters
        ----------
        X, y, sample_weight, random_state, progress
            As for `fit`.
        **options
            Further arguments of `fit` on how to take a step: learning_rate, shuffle, update_rule, ...

        Returns
        -------
        History
            Of this one epoch.
        """
        is_plain = sample_weight is None and random_state is None and not progress
        if is_plain and (history := self.learn_row(X, y, options)) is not None:
            return history
        check_names("partial_fit", options, NAMES - set(OF_SEVERAL_EPOCHS))
        checked = options_of({**options, "progress": progress})
        return self._train(X, y, checked, Run(1, random_state, sample_weight))

    def astype(self, dtype: Any) -> "Network":
        """Copy with the parameters in another dtype, without history and rule state."""
        twin = copy.copy(self)
        architecture = self.architecture.with_dtype(dtype)
        parameters = aligned_zeros(self.n_parameters, architecture.dtype)
        parameters[:] = self.parameters
        twin._set(architecture, self.init, parameters, copy.deepcopy(self.random_state))
        twin._inner = self._inner and self._inner.astype(architecture.dtype)
        return twin

    def save(self, path: str | os.PathLike[str], *, training_state: bool = True) -> None:
        """Write the network to a safetensors file, atomically; see `numbabp.loading.save`."""
        self.save_with(path, None, training_state)

    def save_with(self, path: str | os.PathLike[str], metadata: Any, training_state: bool) -> None:
        """`save` with metadata; see `numbabp.loading.save`."""
        check_bool("training_state", training_state)
        going = Going(self.random_state, self._rule_state, self.history, self._inner)
        kept = kept_of(going) if training_state else None
        storage.write_network(path, self.architecture, self.init, self.parameters, metadata, kept)

    def _train(self, X: Any, y: Any, options: Options, run: Run) -> History:
        with TrainedAlone(self):
            run.check()
            data_on = gpu_of({"X": X, "y": y, "sample_weight": run.sample_weight})
            place = resolve(options.device, data_on)  # before the checks, which are done where X lies
            samples = Samples.checked(self.architecture, X, y, run.sample_weight)
            self.architecture.check_finite(self.parameters)
            state = self.rule_state(options.update_rule)
            state.check_finite()
            validation = run.validation(self.architecture, X)
            generator = run.generator(self.random_state)
            asked = samples.n, samples.n_nonzeros, place, options, self._rule_state
            problem = run.problem(self.architecture, *asked)
            plan = make_plan(problem)
            rates = run.rates(options)
            kept = run.kept(
                lambda: identities.of_run(self.architecture, options, samples, validation),
                rates,
                self.random_state,
                samples.n,
            )
            if kept is not None:
                plan = kept.plan(plan, problem)
            order_seed = draw_order_seed(generator, options.shuffle, samples.n)
            begun_with = problem, plan, samples, self.parameters, state, rates, order_seed
            training = Training(
                *begun_with,
                validation,
                run.callback,
                run.stop,
                keeper=kept and kept.keeper,
                found=kept and kept.standing,
            )
            if kept is not None:
                kept.put_back_random_states()
            self._rule_state = state  # also for copies that a callback makes
            try:
                return training()
            finally:
                self.history = training.history or self.history  # or it has not begun


def fit_until(stop: threading.Event | None, network: Network, X: Any, y: Any, **arguments: Any) -> History:
    """`Network.fit` with a checkpoint that has been checked; ends as by Ctrl-C once `stop` is set."""
    of_run = {name: arguments.pop(name) for name in Run._fields if name in arguments}
    return network._train(X, y, Options.named("Network.fit", arguments), Run(**of_run, stop=stop))


def _assign(name: str, views: tuple[np.ndarray, ...], values: Sequence[Any]) -> None:
    """Copy values into views, after all of them have been checked."""
    if len(values) != len(views):
        raise ValueError(f"{name} must have {len(views)} arrays, one a layer, got {len(values)}.")
    arrays = [np.asarray(value, dtype=views[0].dtype) for value in values]
    for i, (view, array) in enumerate(zip(views, arrays, strict=True)):
        if array.shape != view.shape:
            raise ValueError(f"{name}[{i}] must have shape {view.shape}, got {array.shape}.")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}[{i}] must be finite.")
    for view, array in zip(views, arrays, strict=True):
        view[...] = array
