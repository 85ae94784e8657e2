"""scikit-learn estimators: `MLPClassifier` and `MLPRegressor`, trained sample by sample."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from .activations import HIDDEN_ACTIVATIONS
from .checks import check_bool, check_choice, check_integer, check_learning_rate, check_real
from .network import Network
from .schedules import SCHEDULE_OPTIONS, Schedule, learning_rates
from .training import Options, Stopping

SOLVERS = ("sgd", "adagrad", "rmsprop", "adam", "adamw")
AUTO_BATCH_SIZE = 200
SPARSE_SLICE_BYTES = 1 << 22
"""Rows of a sparse X are made dense about this many bytes at a time."""

_PARAMETERS = """\
    The parameters that scikit-learn's class of this name has keep its names and meanings. The defaults differ
    where per-sample SGD needs it:

    ================== ============== ===========================
    parameter          here           scikit-learn
    ================== ============== ===========================
    solver             "sgd"          "adam"
    batch_size         1              "auto", that is min(200, n)
    momentum           0.0            0.9
    learning_rate_init "auto"         0.001
    ================== ============== ===========================

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Units of each hidden layer.
    activation : str or sequence of str
        Of the hidden layers, one name for all or one for each: scikit-learn's "logistic", "tanh", "relu",
        "identity", and "sigmoid" (the same as "logistic"), "leaky_relu", "elu", "softplus", "silu", "gelu".
    solver : {"sgd", "adagrad", "rmsprop", "adam", "adamw"}
        Update rule. "lbfgs" is not to be had: it is not a per-sample method.
    alpha : float
        Strength of the L2 penalty, divided by `batch_size` in every step.
    batch_size : int or "auto"
        Samples a step.
    learning_rate : str
        "constant", "invscaling" or "adaptive" as in scikit-learn; "exponential", "step" or "cosine" as in
        `Network.fit`.
    learning_rate_init : float or "auto"
        First learning rate. "auto" is 0.001 for classification and 0.0001 for regression, where targets that
        were not scaled to about unit variance make larger rates diverge (all of 20 `make_regression` problems
        at 0.0005, none at 0.0001); with scaled inputs and targets 0.01 is a good start.
    power_t : float
        Exponent of "invscaling".
    max_iter : int
        Epochs at most.
    shuffle : bool
        Whether every epoch has an order of its own.
    random_state : None, int or RandomState
        Of initial weights, shuffles and the validation split.
    tol, n_iter_no_change : float, int
        Training ends when the loss (with early stopping: the validation score) has not improved by tol for
        more than n_iter_no_change epochs in a row.
    verbose : bool
        Print the loss of every epoch.
    warm_start : bool
        Whether `fit` goes on from the last solution.
    momentum, nesterovs_momentum : float, bool
        Of solver="sgd"; momentum 0 is plain SGD, the fastest.
    early_stopping, validation_fraction : bool, float
        Set part of the samples aside, watch the score on them, stop as `n_iter_no_change` says and go
        back to the best parameters. `fit` takes X_val and y_val instead of a part of its samples.
    beta_1, beta_2, epsilon : float
        Of solver="adam" and "adamw"; epsilon also of "adagrad" and "rmsprop".
"""

_ATTRIBUTES = """\
    Attributes
    ----------
    network_ : Network
        What was trained.
    coefs_, intercepts_ : list of ndarray
        Its weights and biases, as views.
    loss_curve_ : list of float
        Prequential loss of every epoch, without penalty.
    loss_, best_loss_ : float
        The last and the lowest of them (best_loss_ is None with early stopping).
    validation_scores_, best_validation_score_ : list of float, float
        With validation data: accuracy or R^2 after every epoch, and the best.
    should_stop_ : bool
        Whether the scores on the validation data given to `partial_fit` say that it is time to stop.
    n_iter_, t_ : int
        Epochs and samples so far.
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn.
"""


class _Watch:
    """Keeps scikit-learn's record of a training run and decides when it ends; called after every epoch."""

    def __init__(self, estimator: "_MLP", validation: tuple[Any, Any] | None, patience: int | None) -> None:
        self._estimator = estimator
        self._validation = validation
        self._patience = patience
        self._waited = 0
        self.best_parameters: np.ndarray | None = None

    def __call__(self, epoch: int, metrics: dict[str, float]) -> bool:
        """Record an epoch; True if training should end."""
        model = self._estimator
        loss = metrics["loss"]
        model.n_iter_ += 1
        model.loss_ = loss
        model.loss_curve_.append(loss)
        if model.verbose:
            print(f"Iteration {model.n_iter_}, loss = {loss:.8f}")
        if self._validation is None:
            improved = model.best_loss_ is None or loss <= model.best_loss_ - model.tol
            model.best_loss_ = loss if model.best_loss_ is None else min(loss, model.best_loss_)
        else:
            improved = self._score(self._validation)
        self._waited = 0 if improved else self._waited + 1
        if self._patience is None or self._waited <= self._patience:
            return False
        if model.verbose:
            print(f"No improvement of more than tol={model.tol} in {self._waited} epochs. Stopping.")
        return True

    def _score(self, validation: tuple[Any, Any]) -> bool:
        model = self._estimator
        score = model._score_encoded(*validation)
        best = model.best_validation_score_
        model.validation_scores_.append(score)
        if model.verbose:
            print(f"Validation score: {score:.6f}")
        if best is None or score > best:
            model.best_validation_score_ = score
            self.best_parameters = model.network_.parameters.copy()
        return best is None or score >= best + model.tol


class _MLP(BaseEstimator):
    """What the two estimators share; subclasses encode targets and score."""

    _auto_rate = 0.001

    network_: Network
    n_iter_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    best_validation_score_: float | None
    validation_scores_: list[float]

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "sgd",
        alpha: float = 0.0001,
        batch_size: int | str = 1,
        learning_rate: str = "constant",
        learning_rate_init: float | str = "auto",
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.0,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        loss: str = "auto",
        output_activation: str | None = None,
        init: str = "glorot_uniform",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.loss = loss
        self.output_activation = output_activation
        self.init = init

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # Subclasses.

    def _encode(self, y: Any, *, first: bool, classes: Any = None) -> np.ndarray:
        """Targets of shape (n, n_outputs) from checked y; learns the encoding if `first`."""
        raise NotImplementedError

    def _output(self) -> tuple[str, str]:
        """Loss and output activation."""
        raise NotImplementedError

    def _weights(self, y: Any, sample_weight: np.ndarray | None, partial: bool) -> np.ndarray | None:
        return sample_weight

    def _score_encoded(self, X: Any, Y: np.ndarray) -> float:
        """Score on encoded targets."""
        raise NotImplementedError

    def _stratify(self, y: Any) -> Any:
        return None

    # Training.

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Any:
        """Train for at most `max_iter` epochs.

        Parameters
        ----------
        X : array-like or CSR matrix of shape (n, n_features)
            Samples; a sparse matrix is made dense in slices, never whole.
        y : array-like of shape (n,) or (n, n_outputs)
            Targets.
        sample_weight : array-like of shape (n,), optional
            Factors of the samples' steps. A sample of weight 0 is passed over.
        X_val, y_val : optional
            Validation samples for `early_stopping`, instead of a part of X.

        Returns
        -------
        self
        """
        self._check_parameters()
        resume = self.warm_start and hasattr(self, "network_")
        X, y, sample_weight = self._check_data(X, y, sample_weight, reset=not resume)
        validation_raw = self._check_validation(X_val, y_val)
        if validation_raw is not None and not self.early_stopping:
            raise ValueError("X_val and y_val are for early_stopping=True, but early_stopping is False.")
        generator = None if resume else check_random_state(self.random_state)
        Y = self._encode(y, first=not resume)
        sample_weight = self._weights(y, sample_weight, partial=False)
        validation = None
        if validation_raw is not None:
            validation = (validation_raw[0], self._encode(validation_raw[1], first=False))
        elif self.early_stopping:
            X, Y, sample_weight, validation = self._split(X, y, Y, sample_weight, generator)
        if not resume:
            self._start(X, Y, generator)
        watch = _Watch(self, validation, None if self.learning_rate == "adaptive" else self.n_iter_no_change)
        try:
            converged = self._run_epochs(X, Y, sample_weight, watch)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            converged = True
        if watch.best_parameters is not None:
            self.network_.parameters[:] = watch.best_parameters
        if not converged and self.n_iter_ >= self.max_iter:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
                "hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _partial_fit(self, X: Any, y: Any, classes: Any, sample_weight: Any, X_val: Any, y_val: Any) -> Any:
        self._check_parameters()
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not set samples aside: use early_stopping=False and give X_val and y_val, "
                "then should_stop_ tells when to stop."
            )
        first = not hasattr(self, "network_")
        X, y, sample_weight = self._check_data(X, y, sample_weight, reset=first)
        validation = self._check_validation(X_val, y_val)
        Y = self._encode(y, first=first, classes=classes)
        sample_weight = self._weights(y, sample_weight, partial=True)
        if validation is not None:
            validation = (validation[0], self._encode(validation[1], first=False))
        if first:
            self._start(X, Y, check_random_state(self.random_state))
        if not hasattr(self, "_partial_watch") or first:
            self._partial_watch = _Watch(self, None, self.n_iter_no_change)
        self._partial_watch._validation = validation
        loss = self._run_epoch(X, Y, sample_weight, self._rates(len(Y), 1)(0))
        self.should_stop_ = self._partial_watch(0, {"loss": loss})
        return self

    def _start(self, X: Any, Y: np.ndarray, generator: Any) -> None:
        loss, output_activation = self._output()
        hidden = self._hidden_layer_sizes()
        self.network_ = Network(
            (X.shape[1], *hidden, Y.shape[1]),
            hidden_activation=self._hidden_activations(len(hidden)),
            output_activation=output_activation,
            loss=loss,
            init=self.init,
            dtype=X.dtype,
            random_state=generator,
        )
        self.n_iter_ = 0
        self.t_ = 0
        self.loss_ = np.nan
        self.loss_curve_ = []
        self.best_loss_ = None
        self.best_validation_score_ = None
        self.validation_scores_ = []
        self.should_stop_ = False
        self.n_layers_ = len(hidden) + 2
        self.n_outputs_ = Y.shape[1]
        self.out_activation_ = {"sigmoid": "logistic"}.get(output_activation, output_activation)

    def _run_epochs(self, X: Any, Y: np.ndarray, sample_weight: Any, watch: _Watch) -> bool:
        """Train until `watch` or the schedule says stop; False if max_iter came first."""
        rates = self._rates(len(Y), self.max_iter)
        adaptive = self.learning_rate == "adaptive"
        schedule_options = {"patience": self.n_iter_no_change + 1, "minimum": 1e-6} if adaptive else None
        options = self._options(len(Y))
        n_before = self.n_iter_
        try:
            if not sparse.issparse(X):
                history = self.network_.fit(
                    X,
                    Y,
                    sample_weight=sample_weight,
                    epochs=self.max_iter,
                    schedule="adaptive" if adaptive else rates,
                    schedule_options=schedule_options,
                    tol=self.tol,
                    callback=watch,
                    progress=False,
                    **options,
                )
                return history.stop_reason in ("callback", "learning rate")
            stopping = Stopping(
                Options(schedule=self.learning_rate if adaptive else rates, tol=self.tol),
                {**SCHEDULE_OPTIONS["adaptive"], **(schedule_options or {})},
            )
            rate = self._first_rate
            for epoch in range(self.max_iter):
                loss = self._run_epoch(X, Y, sample_weight, rate if adaptive else rates(epoch))
                rate = stopping.next_rate(loss, rate)
                if watch(epoch, {"loss": loss}) or rate == 0:
                    return True
            return False
        finally:
            self.t_ += (self.n_iter_ - n_before) * len(Y)

    def _run_epoch(self, X: Any, Y: np.ndarray, sample_weight: Any, rate: float) -> float:
        """One pass over the samples, a sparse X densified slice by slice; the mean loss."""
        options = {**self._options(len(Y)), "learning_rate": rate}
        if not sparse.issparse(X):
            history = self.network_.partial_fit(X, Y, sample_weight=sample_weight, **options)
            self.t_ += len(Y)
            return float(history.loss[0])
        shuffle = options.pop("shuffle")
        order = np.arange(len(Y))
        if shuffle:
            self.network_.random_state.shuffle(order)
        total, weight = 0.0, 0.0
        for rows in _slices(len(Y), X.shape[1], self._batch_size(len(Y))):
            chosen = order[rows]
            weights = None if sample_weight is None else sample_weight[chosen]
            if weights is not None and not weights.any():
                continue
            history = self.network_.partial_fit(
                X[chosen].toarray(), Y[chosen], sample_weight=weights, shuffle=False, **options
            )
            share = len(chosen) if weights is None else weights.sum()
            total += float(history.loss[0]) * share
            weight += share
        return total / weight

    def _options(self, n_samples: int) -> dict[str, Any]:
        batch_size = self._batch_size(n_samples)
        rule = self.solver
        if rule == "sgd" and self.momentum > 0:
            rule = "nesterov" if self.nesterovs_momentum else "momentum"
        return {
            "learning_rate": self._first_rate,
            "batch_size": batch_size,
            "update_rule": rule,
            "momentum": self.momentum,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "l2": self.alpha / batch_size,
            "shuffle": bool(self.shuffle),
        }

    def _rates(self, n_samples: int, epochs: int) -> Callable[[int], float]:
        """Learning rate by epoch of this call; invscaling counts samples, as scikit-learn does."""
        rate, seen = self._first_rate, getattr(self, "t_", 0)
        if self.learning_rate == "invscaling":
            return lambda epoch: rate / (seen + epoch * n_samples + 1) ** self.power_t
        name: Schedule = "constant" if self.learning_rate == "adaptive" else self.learning_rate
        values = learning_rates(name, SCHEDULE_OPTIONS[str(name)], rate, epochs)
        return lambda epoch: float(values[epoch])

    @property
    def _first_rate(self) -> float:
        rate = self.learning_rate_init
        return self._auto_rate if rate == "auto" else float(rate)

    # Checks.

    def _check_parameters(self) -> None:
        if self.solver == "lbfgs":
            raise ValueError(
                "solver='lbfgs' is not supported: it is not a per-sample method; "
                f"allowed: {', '.join(SOLVERS)}."
            )
        check_choice("solver", self.solver, SOLVERS)
        hidden = self._hidden_layer_sizes()
        self._hidden_activations(len(hidden))
        check_choice("learning_rate", self.learning_rate, SCHEDULE_OPTIONS)
        if self.learning_rate_init != "auto":
            check_learning_rate("learning_rate_init", self.learning_rate_init)
        if self.batch_size != "auto":
            check_integer("batch_size", self.batch_size, minimum=1)
        for name in ("alpha", "power_t", "tol"):
            check_real(name, getattr(self, name), minimum=0)
        check_real("epsilon", self.epsilon, minimum=0, open_minimum=True)
        for name in ("momentum", "beta_1", "beta_2"):
            check_real(name, getattr(self, name), minimum=0, maximum=1, open_maximum=name != "momentum")
        for name in ("max_iter", "n_iter_no_change"):
            if getattr(self, name) != np.inf or name == "max_iter":
                check_integer(name, getattr(self, name), minimum=1)
        for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
            check_bool(name, getattr(self, name))
        check_real(
            "validation_fraction",
            self.validation_fraction,
            minimum=0,
            maximum=1,
            open_minimum=True,
            open_maximum=True,
        )

    def _hidden_layer_sizes(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        if not hasattr(sizes, "__iter__"):
            sizes = (sizes,)
        return tuple(
            check_integer(f"hidden_layer_sizes[{i}]", size, minimum=1) for i, size in enumerate(sizes)
        )

    def _hidden_activations(self, n_hidden: int) -> list[str]:
        names = [self.activation] * n_hidden if isinstance(self.activation, str) else self.activation
        if isinstance(self.activation, str) or not hasattr(names, "__iter__"):
            check_choice("activation", self.activation, (*HIDDEN_ACTIVATIONS, "logistic"))
        names = list(names)
        if len(names) != n_hidden:
            raise ValueError(
                f"activation names {len(names)} activations, but hidden_layer_sizes has {n_hidden} layers."
            )
        for i, name in enumerate(names):
            check_choice(f"activation[{i}]", name, (*HIDDEN_ACTIVATIONS, "logistic"))
        return ["sigmoid" if name == "logistic" else name for name in names]

    def _batch_size(self, n_samples: int) -> int:
        wanted = AUTO_BATCH_SIZE if self.batch_size == "auto" else int(self.batch_size)
        return min(wanted, n_samples)

    def _check_data(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[Any, Any, Any]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            dtype=(np.float64, np.float32),
            order="C",
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        return X, y, sample_weight

    def _check_validation(self, X_val: Any, y_val: Any) -> tuple[Any, Any] | None:
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together, but only one of them was given.")
        if X_val is None:
            return None
        X, y, _ = self._check_data(X_val, y_val, None, reset=False)
        return X, y

    def _split(
        self, X: Any, y: Any, Y: np.ndarray, sample_weight: Any, generator: Any
    ) -> tuple[Any, np.ndarray, Any, tuple[Any, np.ndarray]]:
        rows = np.arange(len(Y))
        train, held_out = train_test_split(
            rows,
            test_size=self.validation_fraction,
            random_state=self.network_.random_state if generator is None else generator,
            stratify=self._stratify(y),
        )
        weights = None if sample_weight is None else sample_weight[train]
        return X[train], Y[train], weights, (X[held_out], Y[held_out])

    # Predictions.

    def _outputs(self, X: Any) -> np.ndarray:
        """Network outputs for checked X."""
        if not sparse.issparse(X):
            return self.network_.forward(X)
        return np.concatenate(
            [self.network_.forward(X[rows].toarray()) for rows in _slices(X.shape[0], X.shape[1], 1)]
        )

    def _checked_outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        dtype = (np.float64, np.float32)
        X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=False)
        return self._outputs(X)

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights, one array of shape (fan_in, fan_out) a layer."""
        return list(self.network_.weights)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases, one array of shape (fan_out,) a layer."""
        return list(self.network_.biases)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")


class MLPClassifier(ClassifierMixin, _MLP):
    """Classifier: a multi-layer perceptron trained sample by sample.

    {parameters}
        class_weight : dict or "balanced", optional
            Factors of the classes' samples, as in scikit-learn's other classifiers.
        loss : str
            "auto": binary cross-entropy for two classes and for multi-label targets, categorical
            cross-entropy for several classes. Or "binary_cross_entropy", "categorical_cross_entropy",
            "squared_error", "absolute_error", "huber".
        output_activation : {{"sigmoid", "softmax"}}, optional
            By default softmax for several classes, else sigmoid.
        init : str
            Initial weights, as in `Network`.

    {attributes}
        classes_ : ndarray or list of ndarray
            Class labels.

    See Also
    --------
        Network : The network underneath.
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "sgd",
        alpha: float = 0.0001,
        batch_size: int | str = 1,
        learning_rate: str = "constant",
        learning_rate_init: float | str = "auto",
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.0,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        class_weight: Any = None,
        loss: str = "auto",
        output_activation: str | None = None,
        init: str = "glorot_uniform",
    ) -> None:
        arguments = dict(locals())
        for name in ("self", "class_weight", "__class__"):
            arguments.pop(name, None)
        super().__init__(**arguments)
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> "MLPClassifier":
        """Train for one pass over the samples.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like, optional
            Every label that will ever come; needed in the first call, except for multi-label targets.
        X_val, y_val : optional
            Validation samples: their score is recorded, and `should_stop_` tells when it has not improved
            for more than `n_iter_no_change` calls.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, classes, sample_weight, X_val, y_val)

    def predict(self, X: Any) -> np.ndarray:
        """Class labels of shape (n,), or a 0/1 matrix of shape (n, n_labels) for multi-label targets."""
        return self._decode(self._checked_outputs(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of shape (n, n_classes), in the order of `classes_`."""
        outputs = self._checked_outputs(X)
        if outputs.shape[1] == 1:
            return np.hstack([1 - outputs, outputs])
        if self.network_.activations[-1] == "sigmoid" and not self._is_multilabel:
            outputs = outputs / outputs.sum(axis=1, keepdims=True)
        return outputs

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @property
    def _is_multilabel(self) -> bool:
        return self._binarizer.y_type_.startswith("multilabel")

    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        if self._is_multilabel:
            return (outputs > 0.5).astype(int)
        if outputs.shape[1] == 1:
            return self.classes_[(outputs[:, 0] > 0.5).astype(int)]
        return self.classes_[outputs.argmax(axis=1)]

    def _encode(self, y: Any, *, first: bool, classes: Any = None) -> np.ndarray:
        check_classification_targets(y)
        multilabel = type_of_target(y).startswith("multilabel")
        if first:
            if classes is None and not multilabel and hasattr(self, "_needs_classes"):
                raise ValueError("classes must be passed on the first call to partial_fit.")
            binarizer = LabelBinarizer()
            if multilabel or classes is None:
                binarizer.fit(y)
            else:
                binarizer.fit(classes)
            unseen = np.setdiff1d(unique_labels(y), binarizer.classes_)
            if len(unseen):
                raise ValueError(
                    f"y has labels {unseen.tolist()} that are not in classes={binarizer.classes_.tolist()}."
                )
            self._output_for(binarizer)
            self._binarizer = binarizer
            self.classes_ = binarizer.classes_
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"classes={list(classes)} is not the same as in the first call: {self.classes_.tolist()}."
            )
        if multilabel != self._is_multilabel:
            raise ValueError(
                f"y is a {type_of_target(y)} target, but training began with {self._binarizer.y_type_}."
            )
        if not multilabel:
            unseen = np.setdiff1d(unique_labels(y), self.classes_)
            if len(unseen):
                raise ValueError(
                    f"y has labels {unseen.tolist()} that training has not begun with; "
                    f"known: {self.classes_.tolist()}."
                )
        Y = np.asarray(self._binarizer.transform(y), dtype=float)
        if Y.shape[1] == 1 and self._output()[1] == "softmax":
            Y = np.hstack([1 - Y, Y])
        return Y

    def _output(self) -> tuple[str, str]:
        return self._output_for(self._binarizer)

    def _output_for(self, binarizer: LabelBinarizer) -> tuple[str, str]:
        multilabel = binarizer.y_type_.startswith("multilabel")
        several = not multilabel and len(binarizer.classes_) > 2
        output = self.output_activation
        if self.loss == "categorical_cross_entropy" and output is None:
            output = "softmax"
        if self.loss == "binary_cross_entropy" and output is None:
            output = "sigmoid"
        if output is None:
            output = "softmax" if several else "sigmoid"
        check_choice("output_activation", output, ("sigmoid", "softmax"))
        losses = (
            "binary_cross_entropy",
            "categorical_cross_entropy",
            "squared_error",
            "absolute_error",
            "huber",
        )
        check_choice("loss", self.loss, ("auto", *losses))
        loss = self.loss
        if loss == "auto":
            loss = "categorical_cross_entropy" if output == "softmax" else "binary_cross_entropy"
        if multilabel and output == "softmax":
            raise ValueError(
                "output_activation='softmax' does not go with multi-label targets; use 'sigmoid'."
            )
        needed = {"binary_cross_entropy": "sigmoid", "categorical_cross_entropy": "softmax"}.get(loss, output)
        if output != needed:
            raise ValueError(f"output_activation={output!r} does not go with loss={loss!r}; use {needed!r}.")
        return loss, output

    def _weights(self, y: Any, sample_weight: np.ndarray | None, partial: bool) -> np.ndarray | None:
        if self.class_weight is None:
            return sample_weight
        if partial and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' can't be known from the part of the data that partial_fit sees; "
                "give a dict of weights."
            )
        factors = compute_sample_weight(self.class_weight, y)
        return factors if sample_weight is None else sample_weight * factors

    def _score_encoded(self, X: Any, Y: np.ndarray) -> float:
        outputs = self._outputs(X)
        if Y.shape[1] == 1 or self._is_multilabel:
            return float(((outputs > 0.5) == (Y > 0.5)).all(axis=1).mean())
        return float((outputs.argmax(axis=1) == Y.argmax(axis=1)).mean())

    def _stratify(self, y: Any) -> Any:
        return None if self._is_multilabel else y


class MLPRegressor(RegressorMixin, MultiOutputMixin, _MLP):
    """Regressor: a multi-layer perceptron trained sample by sample.

    {parameters}
        loss : {{"auto", "squared_error", "absolute_error", "huber"}}
            "auto" is "squared_error".
        output_activation : str, optional
            Any activation but softmax; identity by default.
        init : str
            Initial weights, as in `Network`.

    {attributes}

    See Also
    --------
        Network : The network underneath.
    """

    _auto_rate = 0.0001

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> "MLPRegressor":
        """Train for one pass over the samples.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        X_val, y_val : optional
            Validation samples: their R^2 is recorded, and `should_stop_` tells when it has not improved for
            more than `n_iter_no_change` calls.

        Returns
        -------
        self
        """
        return self._partial_fit(X, y, None, sample_weight, X_val, y_val)

    def predict(self, X: Any) -> np.ndarray:
        """Predicted targets of shape (n,) or (n, n_outputs)."""
        outputs = self._checked_outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _encode(self, y: Any, *, first: bool, classes: Any = None) -> np.ndarray:
        Y = np.asarray(y, dtype=float).reshape(len(y), -1)
        if first:
            self._output()
        elif Y.shape[1] != self.n_outputs_ and hasattr(self, "network_"):
            raise ValueError(f"y has {Y.shape[1]} targets, but training began with {self.n_outputs_}.")
        return Y

    def _output(self) -> tuple[str, str]:
        loss = check_choice("loss", self.loss, ("auto", "squared_error", "absolute_error", "huber"))
        output = "identity" if self.output_activation is None else self.output_activation
        check_choice("output_activation", output, HIDDEN_ACTIVATIONS)
        return ("squared_error" if loss == "auto" else loss), output

    def _score_encoded(self, X: Any, Y: np.ndarray) -> float:
        residual = ((Y - self._outputs(X)) ** 2).sum(axis=0)
        total = ((Y - Y.mean(axis=0)) ** 2).sum(axis=0)
        return float(np.mean(1 - residual / np.where(total > 0, total, 1)))


for _class in (MLPClassifier, MLPRegressor):
    _class.__doc__ = (_class.__doc__ or "").format(
        parameters=_PARAMETERS.rstrip(), attributes=_ATTRIBUTES.rstrip()
    )


def _slices(n_rows: int, n_columns: int, multiple: int) -> Iterator[slice]:
    """Slices of rows, each about `SPARSE_SLICE_BYTES` when dense, in whole mini-batches."""
    step = max(1, SPARSE_SLICE_BYTES // (8 * n_columns) // multiple) * multiple
    for start in range(0, n_rows, step):
        yield slice(start, min(n_rows, start + step))
