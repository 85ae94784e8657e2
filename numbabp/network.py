"""The network: layer sizes, parameters, predictions and training."""

import copy
import numbers
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .checks.host import (
    check_choice,
    check_dtype,
    check_inputs,
    check_integer,
    check_layer_sizes,
    check_random_state,
    check_sample_weight,
    check_sparse_inputs,
    check_targets,
)
from .compiler.arrays import aligned_zeros
from .devices.placement import gpu_of, is_on_device, resolve, where
from .functions.activations import ACTIVATIONS, HIDDEN_ACTIVATIONS
from .functions.initializers import INITIALIZERS
from .functions.losses import LOSSES, METRICS, OUTPUT_ACTIVATION
from .history import History
from .kernels.inference import activate_rows, sum_metrics
from .kernels.layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS, layout
from .options import Options
from .planning.planner import Plan, make_plan
from .schedules import Schedule
from .training.loop import Callback, RuleState, Training

CHUNK_BYTES = 1 << 23
"""`forward` takes as many rows at a time as keep a layer's units about this large.

100,000 x 64 rows took 0.6 of the time of whole matrices on one thread; with 1 MiB as well, but then threaded
BLAS waited for its threads so often that a busy machine made it 1.7 times slower than whole matrices.
"""


class Network:
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
        One of the same or softmax. By default the one that belongs to the loss: sigmoid for binary
        cross-entropy, softmax for categorical cross-entropy (these allow no other), identity otherwise.
    loss : str
        Per sample, summed over the outputs: binary_cross_entropy, categorical_cross_entropy,
        squared_error (half the squares), absolute_error, huber (threshold 1).
    init : str
        lecun_normal, zeros, glorot_uniform, glorot_normal, he_normal, he_uniform; biases start at zero.
    dtype : {"float64", "float32"}
        Of the parameters and of all arithmetic.
    random_state : None, int or numpy.random.RandomState
        Draws the initial weights, then the seeds of shuffles.

    Attributes
    ----------
    layer_sizes : tuple of int
    activations : tuple of str
        One a layer, the output's last.
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
        _draw: bool = True,
    ) -> None:
        self.layer_sizes = check_layer_sizes(layer_sizes)
        self.loss = check_choice("loss", loss, LOSSES)
        self.activations = _check_activations(
            hidden_activation, output_activation, self.loss, len(self.layer_sizes) - 2
        )
        self.init = check_choice("init", init, INITIALIZERS)
        self.dtype = check_dtype(dtype)
        self.random_state = check_random_state(random_state)
        codes = tuple(ACTIVATIONS[name] for name in self.activations)
        self.layout = layout(self.layer_sizes, codes)
        self.parameters = aligned_zeros(int(self.layout[-1, BIASES] + self.layout[-1, FAN_OUT]), self.dtype)
        self.history: History | None = None
        self._rule_state: RuleState | None = None
        if _draw:  # else the caller has the weights
            self.draw(self.random_state)

    def draw(self, random_state: np.random.RandomState) -> None:
        """Draw the initial weights, layer by layer; biases are left as they are."""
        for weights in self.weights:
            fan_in, fan_out = weights.shape
            weights[...] = INITIALIZERS[self.init](fan_in, fan_out, random_state)

    @property
    def n_layers(self) -> int:
        """Layers with weights."""
        return len(self.layout)

    @property
    def n_inputs(self) -> int:
        """Columns of X."""
        return self.layer_sizes[0]

    @property
    def n_outputs(self) -> int:
        """Units of the output layer."""
        return self.layer_sizes[-1]

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return self.parameters.size

    @property
    def n_weights(self) -> int:
        """Weights alone: the connections that CUPS counts."""
        return sum(a * b for a, b in zip(self.layer_sizes, self.layer_sizes[1:], strict=False))

    @property
    def loss_code(self) -> int:
        """The loss as kernels know it."""
        return LOSSES[self.loss]

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        """Views of the weights, ``weights[l]`` of shape (fan_in, fan_out); may be assigned to as a whole."""
        return tuple(
            self.parameters[int(row[WEIGHTS]) : int(row[BIASES])].reshape(int(row[FAN_IN]), int(row[FAN_OUT]))
            for row in self.layout
        )

    @weights.setter
    def weights(self, values: Sequence[Any]) -> None:
        _assign("weights", self.weights, values)

    @property
    def biases(self) -> tuple[np.ndarray, ...]:
        """Views of the biases, ``biases[l]`` of shape (fan_out,); may be assigned to as a whole."""
        return tuple(
            self.parameters[int(row[BIASES]) : int(row[BIASES] + row[FAN_OUT])] for row in self.layout
        )

    @biases.setter
    def biases(self, values: Sequence[Any]) -> None:
        _assign("biases", self.biases, values)

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.layer_sizes))
        return (
            f"<Network {sizes}, {'/'.join(self.activations)}, {self.loss}, {self.dtype}, "
            f"{self.n_parameters} parameters>"
        )

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
        return self._outputs(self._check_inputs("X", X))[1]

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
        with where(outputs):
            if self.loss == "binary_cross_entropy":
                outputs = (outputs > 0.5).astype(np.int64)
            elif self.activations[-1] == "softmax":
                return outputs.argmax(axis=-1)
        return outputs[..., 0] if self.n_outputs == 1 else outputs

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
        options = Options(monitor=monitor)
        inputs, targets, weights = self._check_samples(X, y, sample_weight)
        return self.measure(inputs, targets, weights, self.metric_names(options.monitor))

    def metric_names(self, monitor: Sequence[str]) -> list[str]:
        """What is recorded beside the loss: the metrics monitored, and for a cross-entropy the accuracy."""
        own = ["accuracy"] if self.loss.endswith("cross_entropy") else []
        return list(dict.fromkeys([*monitor, *own]))

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        learning_rate: float = 0.1,
        epochs: int = 100,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        batch_size: int = 1,
        update_rule: str = "sgd",
        momentum: float = 0.9,
        rho: float = 0.9,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        l1: float = 0.0,
        l2: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        schedule: Schedule = "constant",
        schedule_options: Mapping[str, float] | None = None,
        sample_weight: Any = None,
        propagate: str = "exact",
        monitor: Sequence[str] = (),
        validation_data: tuple[Any, Any] | None = None,
        early_stopping: bool = False,
        patience: int = 10,
        tol: float = 0.0,
        callback: Callback | None = None,
        progress: bool | None = None,
        device: str = "auto",
        kernel: str = "auto",
        block_length: int | None = None,
        n_threads: int | None = None,
    ) -> History:
        """Train from the present parameters on.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_inputs)
            Finite numbers. A sparse matrix (SciPy's, best CSR) is not made dense: a step costs what the
            sample's non-zeros do. It goes with update_rule sgd, momentum or nesterov, batch_size=1, l1=0, no
            clipping and propagate="exact".
        y : array-like of shape (n, n_outputs), or (n,) for one output
            Targets. With categorical cross-entropy also class indices of shape (n,).
        learning_rate : float
            Finite and not 0; a negative rate climbs the loss.
        epochs : int
            Passes over the samples.
        shuffle : bool
            A new order every epoch, or the order of X.
        random_state : None, int or RandomState
            Seeds the shuffles; by default the network's own random state goes on.
        batch_size : int
            Samples a step: more than 1 makes steps with the mean gradient of a mini-batch.
        update_rule : str
            sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw; formulas in
            `numbabp.kernels.update_rules`. What a rule carries from step to step goes on in the next call
            with the same rule.
        momentum, rho, beta_1, beta_2, epsilon : float
            Numbers of the rules: mu of momentum and nesterov, rho of rmsprop, the two betas of adam and
            adamw, and the epsilon of adagrad, rmsprop, adam and adamw.
        l1, l2 : float
            Penalties l1 abs(W) + l2/2 W^2 on weights, not biases, in every step; adamw takes l2 as its
            decoupled decay.
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
            Stop when the validation loss (without validation data the prequential loss) has not improved by
            more than `tol` in `patience` epochs in a row, and go back to the parameters of the best epoch.
        patience, tol : int, float
            See early_stopping; the adaptive schedule uses tol too.
        callback : callable, optional
            Called as callback(epoch, metrics) after every epoch; a true result ends training.
        progress : bool, optional
            Show a progress bar; by default if standard error is a terminal.
        device : {"auto", "cpu", "cuda", "cuda:0", "cuda:1", ...}
            Where to train: "cuda" is the GPU that CuPy uses, "cuda:1" GPU 1, "auto" the GPU on which X lies,
            else a GPU if `plan` predicts that the run, with what it has to copy, ends sooner there. An X on a
            GPU, CuPy's or any with the CUDA array interface, stays there; y and sample_weight may lie there
            too, or in the host's memory, from where they are copied. A GPU does sgd, momentum and nesterov
            with l2, batch_size=1, no clipping and propagate="exact".
        kernel : {"auto", "sequential", "general", "blocked", "tiny"}
            "auto" takes what `plan` predicts to be the fastest. All give the same trajectory up to rounding;
            the same kernel with the same block length gives the same bits.
        block_length : int, optional
            Samples of a block; asks for the blocked kernel.
        n_threads : int, optional
            Most threads for the products of large blocks; by default as many as BLAS is set to use.

        Returns
        -------
        History
            Also kept as `history`.

        Raises
        ------
        ValueError, TypeError
            For an argument that is not allowed; the network is unchanged.
        NoGPUError
            If `device` asks for a GPU that can't be used, saying why; it is a RuntimeError.
        DivergenceError
            If the loss or the parameters stop being finite; the last finite parameters are kept.
        KeyboardInterrupt
            On Ctrl-C; the network is left after its last finished step, `history` up to the last finished
            epoch.
        """
        options = Options(
            learning_rate=learning_rate,
            batch_size=batch_size,
            update_rule=update_rule,
            momentum=momentum,
            rho=rho,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            l1=l1,
            l2=l2,
            clip_norm=clip_norm,
            clip_value=clip_value,
            schedule=schedule,
            schedule_options=schedule_options,
            propagate=propagate,
            monitor=monitor,
            early_stopping=early_stopping,
            patience=patience,
            tol=tol,
            shuffle=shuffle,
            progress=progress,
            device=device,
            kernel=kernel,
            block_length=block_length,
            n_threads=n_threads,
        )
        return self._train(X, y, sample_weight, options, epochs, random_state, validation_data, callback)

    def plan(self, X: Any, *, epochs: int = 100, **options: Any) -> Plan:
        """How `fit` would train on X, without doing it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_inputs), or int
            Samples, of which only the number matters; or that number.
        epochs : int
            How long the run would be.
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
        for name in options:
            if name not in Options.__dataclass_fields__:
                allowed = ", ".join(sorted(Options.__dataclass_fields__))
                raise TypeError(f"plan takes no {name!r}; allowed: {allowed}.")
        checked = Options(**options)
        place = resolve(checked.device, gpu_of({"X": X}))
        n_nonzeros = None
        if isinstance(X, numbers.Integral):
            n_samples = check_integer("X", X, minimum=1)
        else:
            inputs = self._check_inputs("X", X)
            n_samples = inputs.shape[0]
            if hasattr(inputs, "nnz"):
                n_nonzeros = inputs.nnz / n_samples
        epochs = check_integer("epochs", epochs, minimum=1)
        return make_plan(self, n_samples, epochs, checked, n_nonzeros, place)

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
        allowed = set(Options.__dataclass_fields__) - {"early_stopping", "patience"}
        for name in options:
            if name not in allowed:
                raise TypeError(f"partial_fit takes no {name!r}; allowed: {', '.join(sorted(allowed))}.")
        return self._train(
            X, y, sample_weight, Options(**options, progress=progress), 1, random_state, None, None
        )

    def astype(self, dtype: Any) -> "Network":
        """Copy with the parameters in another dtype, without history and rule state."""
        twin = copy.copy(self)
        twin.dtype = check_dtype(dtype)
        twin.parameters = aligned_zeros(self.n_parameters, twin.dtype)
        twin.parameters[:] = self.parameters
        twin.history = None
        twin._rule_state = None
        twin.random_state = copy.deepcopy(self.random_state)
        return twin

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, atomically; see `numbabp.storage.save`."""
        from .storage import save

        save(self, path)

    def rule_state(self, update_rule: str) -> RuleState:
        """What the update rule carries from step to step, begun anew if the last one was another."""
        state = self._rule_state
        if state is None or state.update_rule != update_rule:
            state = self._rule_state = RuleState.new(update_rule, self.parameters)
        return state

    def measure(
        self, inputs: Any, targets: np.ndarray, weights: np.ndarray, names: Sequence[str]
    ) -> dict[str, float]:
        """Mean loss and named metrics of checked samples."""
        if is_on_device(inputs):
            from .inference.device import measure

            found = measure(self, self.parameters[np.newaxis], inputs, targets, weights, names)
            return {name: float(values[0]) for name, values in found.items()}
        z, a = self._outputs(inputs)
        means = self._means(z[np.newaxis], a[np.newaxis], targets, weights, names)
        return dict(zip(["loss", *names], means[:, 0].tolist(), strict=True))

    def _means(
        self, z: np.ndarray, a: np.ndarray, targets: np.ndarray, weights: np.ndarray, names: Sequence[str]
    ) -> np.ndarray:
        """Mean loss and metrics (1 + n_metrics, n_networks) of outputs T (n_networks, n, n_outputs)."""
        outputs_only = self.layout[-1:].copy()
        outputs_only[0, [INPUTS, OUTPUTS]] = 0
        metrics = np.array([METRICS[name] for name in names], np.int64)
        delta = np.empty(self.n_outputs, self.dtype)
        sums = np.zeros((len(z), 2 + len(names)))
        for own_z, own_a, own_sums in zip(z, a, sums, strict=True):
            sum_metrics(
                outputs_only, self.loss_code, metrics, own_z, own_a, targets, weights, delta, own_sums
            )
        return (sums[:, [0, *range(2, sums.shape[1])]] / sums[:, 1:2]).T

    @np.errstate(all="ignore")  # an overflow shows in the result
    def _outputs(self, inputs: Any) -> tuple[np.ndarray, np.ndarray]:
        """Pre-activations and activations of the output layer for checked inputs, dense or sparse."""
        if is_on_device(inputs):
            from .inference.device import outputs

            return outputs(self, inputs)
        n = inputs.shape[0]
        z = np.empty((n, self.n_outputs), self.dtype)
        a = np.empty((n, self.n_outputs), self.dtype)
        is_sparse = not isinstance(inputs, np.ndarray)
        widest = max(self.layer_sizes[1:] if is_sparse else self.layer_sizes)
        rows = min(n, max(64, CHUNK_BYTES // (self.dtype.itemsize * widest)))
        scratch = np.empty((2, rows * widest), self.dtype)
        for start in range(0, n, rows):
            units = inputs[start : start + rows]
            stop = start + units.shape[0]
            for layer, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
                shape = (stop - start, len(biases))
                if layer == self.n_layers - 1:
                    product, activated = z[start:stop], a[start:stop]
                else:
                    product, activated = (part[: shape[0] * shape[1]].reshape(shape) for part in scratch)
                if is_sparse and layer == 0:
                    product[...] = units @ weights
                else:
                    np.matmul(units, weights, out=product)
                product += biases
                code, n_units = self.layout[layer, ACTIVATION], self.layout[layer, FAN_OUT]
                activate_rows(code, product.reshape(-1), activated.reshape(-1), n_units)
                units = activated
        return z, a

    def _check_inputs(self, name: str, X: Any) -> Any:
        """Checked samples: an array, on a GPU if X lies there, or a CSR matrix where X is sparse."""
        if is_on_device(X):
            from .checks.device import check_inputs as check_on_device

            return check_on_device(name, X, self.n_inputs, self.dtype)
        check = check_sparse_inputs if hasattr(X, "tocsr") else check_inputs
        return check(name, X, self.n_inputs, self.dtype)

    def _check_samples(self, X: Any, y: Any, sample_weight: Any, prefix: str = "") -> tuple[Any, Any, Any]:
        """Checked samples, targets and weights, all on a GPU if X lies there, else in the host's memory."""
        if is_on_device(X):
            from .checks.device import check_samples

            return check_samples(
                X, y, sample_weight, self.n_inputs, self.n_outputs, self.loss, self.dtype, prefix
            )
        gpu_of({prefix + "X": X, prefix + "y": y, "sample_weight": sample_weight})
        inputs = self._check_inputs(prefix + "X", X)
        n = inputs.shape[0]
        targets = check_targets(prefix + "y", y, n, self.n_outputs, self.loss, self.dtype)
        return inputs, targets, check_sample_weight(sample_weight, n, self.dtype)

    def _train(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        options: Options,
        epochs: int,
        random_state: int | np.random.RandomState | None,
        validation_data: tuple[Any, Any] | None,
        callback: Callback | None,
    ) -> History:
        epochs = check_integer("epochs", epochs, minimum=1)
        data_on = gpu_of({"X": X, "y": y, "sample_weight": sample_weight})
        place = resolve(options.device, data_on)  # before the checks, which are done where X lies
        inputs, targets, weights = self._check_samples(X, y, sample_weight)
        validation = None
        if validation_data is not None:
            if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
                raise TypeError("validation_data must be a tuple (X, y).")
            X_validation, y_validation = validation_data
            gpu_of({"X": X, "validation_data X": X_validation, "validation_data y": y_validation})
            validation = self._check_samples(X_validation, y_validation, None, "validation_data ")[:2]
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, got {callback!r}.")
        generator = self.random_state if random_state is None else check_random_state(random_state)
        training = Training(
            self, inputs, targets, weights, options, epochs, generator, validation, callback, place=place
        )
        return training()


def _check_activations(
    hidden: str | Sequence[str], output: str | None, loss: str, n_hidden: int
) -> tuple[str, ...]:
    names = [hidden] * n_hidden if isinstance(hidden, str) else hidden
    if isinstance(hidden, str):
        check_choice("hidden_activation", hidden, HIDDEN_ACTIVATIONS)
    elif not isinstance(hidden, Sequence):
        raise TypeError(f"hidden_activation must be a name or a sequence of names, got {hidden!r}.")
    if len(names) != n_hidden:
        raise ValueError(
            f"hidden_activation names {len(names)} activations, but there are {n_hidden} hidden layers."
        )
    for i, name in enumerate(names):
        check_choice(f"hidden_activation[{i}]", name, HIDDEN_ACTIVATIONS)
    own = OUTPUT_ACTIVATION[loss]
    if output is None:
        output = own
    check_choice("output_activation", output, ACTIVATIONS)
    if loss.endswith("cross_entropy") and output != own:
        raise ValueError(f"output_activation={output!r} does not go with loss={loss!r}, which needs {own!r}.")
    return (*names, output)


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
