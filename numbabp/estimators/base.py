"""scikit-learn estimators: `MLPClassifier` and `MLPRegressor`, trained sample by sample."""

import inspect
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import (
    check_array,
    check_consistent_length,
    column_or_1d,
    compute_class_weight,
    compute_sample_weight,
)
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from ..architecture import Architecture
from ..checks.device import check_features, check_weights
from ..checks.host import check_bool, check_choice, check_integer, check_random_state, check_real
from ..compiler.compiling import kernel
from ..devices.memory import to_host
from ..devices.placement import (
    beside,
    check_device,
    gpu_of,
    is_on_device,
    module_of,
    resolve,
    where,
    where_X_lies,
)
from ..errors import DivergenceError
from ..functions.activations import HIDDEN_ACTIVATIONS
from ..functions.losses import LOSSES, OUTPUT_ACTIVATION
from ..kernels import shuffling
from ..network import Network
from ..options import Options
from ..planning.planner import make_plan
from ..planning.problem import Problem
from ..samples import mean_nonzeros
from ..schedules import SCHEDULE_OPTIONS, learning_rates
from .device_labels import check_targets, class_at, is_multilabel, values_of

SOLVERS = ("sgd", "adagrad", "rmsprop", "adam", "adamw")
AUTO_BATCH_SIZE = 200
SPARSE_SLICE_BYTES = 1 << 22
"""Rows of a sparse X are made dense about this many bytes at a time."""
EPOCHS_A_CALL = 10_000
"""Epochs that one call of `Network.fit` is given at most: what it records of them is allocated beforehand."""

_shuffle = kernel(shuffling.shuffle)

_REASON = "a sample of weight w takes one step that is w times as long, not w steps."
EXPECTED_FAILED_CHECKS = {
    "check_sample_weight_equivalence_on_dense_data": _REASON,
    "check_sample_weight_equivalence_on_sparse_data": _REASON,
}
"""For `sklearn.utils.estimator_checks.check_estimator`; scikit-learn exempts its own SGD estimators likewise.

These checks want a sample of weight w to be worth w copies of it, and one of weight 0 no sample. That holds
for the minimum that both seek, not for a few epochs of steps, which come in another order, too.
"""


_PARAMETERS = """\
Every parameter that scikit-learn's class of this name has keeps its name and meaning. Defaults differ only
where that makes plain per-sample SGD:

================== ====== =========================
parameter          here   scikit-learn
================== ====== =========================
solver             "sgd"  "adam"
batch_size         1      "auto", that is min(200, n)
momentum           0.0    0.9
learning_rate_init "auto" 0.001
================== ====== =========================

Inputs should be scaled to about unit variance, for instance with `StandardScaler` in a pipeline.

Parameters
----------
hidden_layer_sizes : int or sequence of int, default=(100,)
    Units of each hidden layer; () makes a linear model.
activation : str or sequence of str, default="relu"
    Of the hidden layers, one name for all or one for each: "identity", "logistic" (or "sigmoid"), "tanh",
    "relu", "leaky_relu", "elu", "softplus", "silu", "gelu".
solver : {"sgd", "adagrad", "rmsprop", "adam", "adamw"}, default="sgd"
    Update rule. "lbfgs" is refused: it does not go sample by sample.
alpha : float, default=0.0001
    Strength of the L2 penalty on weights, divided by batch_size in every step; "adamw" takes it as decoupled
    decay.
batch_size : int or "auto", default=1
    Samples a step.
learning_rate : str or callable, default="constant"
    "constant", "invscaling" and "adaptive" as in scikit-learn, but with every solver; "exponential", "step"
    and "cosine" as in `Network.fit`; or a function of the epoch, from 0, that returns the rate.
learning_rate_init : float or "auto", default="auto"
    First learning rate. "auto" is 0.01 (1 - momentum) for "sgd", 0.01 for "adagrad" and 0.001 for the others.
    With "sgd" a regressor of squared error divides it by the root mean square of the first call's targets,
    where that is more than 1, since the largest rate that does not diverge falls with their size.
power_t : float, default=0.5
    Exponent of "invscaling": the rate is learning_rate_init / (samples seen + 1)^power_t.
max_iter : int, default=200
    Epochs at most.
shuffle : bool, default=True
    Whether every epoch has an order of its own.
random_state : None, int or RandomState, default=None
    Of initial weights, shuffles and the validation split.
tol, n_iter_no_change : float, int, default=1e-4, 10
    Training ends when for more than n_iter_no_change epochs in a row the training loss (with early stopping:
    the validation score) has not improved by at least tol. With learning_rate="adaptive" the rate is then
    divided by 5, and training ends when it is no more than 1e-6.
verbose : bool or int, default=False
    Whether to print the loss of every epoch.
warm_start : bool, default=False
    Whether `fit` goes on from the last solution.
momentum, nesterovs_momentum : float, bool, default=0.0, True
    Of "sgd".
early_stopping, validation_fraction : bool, float, default=False, 0.1
    Whether `fit` sets this part of the samples aside (stratified if possible), or takes X_val and y_val, and
    goes back to the parameters that scored best on it.
beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
    Of "adam" and "adamw"; epsilon also of "adagrad" and "rmsprop".
max_fun : int, default=15000
    Without effect, as in scikit-learn for every solver but "lbfgs".
device : str, default="auto"
    Where to train, as in `Network.fit`: "auto", "cpu", "cuda", or "cuda:0", "cuda:1", ... Predictions are
    made where X lies. An X on a GPU (CuPy's, or any array with the CUDA array interface) stays there, with y
    and sample_weight beside it or in the host's memory, and what is predicted lies there, too; only labels
    that are no numbers come back as NumPy's. class_weight, and early_stopping without X_val, bring the labels
    to the host.\
"""

_ATTRIBUTES = """\
Attributes
----------
network_ : Network
    What was trained.
coefs_, intercepts_ : list of ndarray
    Views of its weights and biases.
loss_, loss_curve_ : float, list of float
    Prequential loss of the last epoch, and of every one since training began; without the penalty.
best_loss_ : float or None
    The lowest of them; None with early stopping.
validation_scores_, best_validation_score_ : list of float, float, or None
    With validation samples: accuracy or R^2 after every epoch, and the best.
should_stop_ : bool
    Whether it is time to end training, as n_iter_no_change says; what `partial_fit` leaves to the caller.
learning_rate_init_ : float
    The number that learning_rate_init stands for.
n_iter_, t_ : int
    Epochs of the last call; samples taken since training began.
n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
    As in scikit-learn.\
"""


@dataclass(frozen=True)
class _Labels:
    """Between class labels and network outputs."""

    classes: np.ndarray
    multilabel: bool
    n_outputs: int
    """One for two classes, unless the output is softmax; else one a class."""

    def encode(self, name: str, y: Any) -> Any:
        """Targets 0 or 1 of shape (n, n_outputs), where y lies."""
        if _is_multilabel(name, y) != self.multilabel:
            kinds = ("one label a sample", "a 0/1 matrix of several labels a sample")
            raise ValueError(
                f"{name} has {kinds[not self.multilabel]}, but training began with {kinds[self.multilabel]}."
            )
        if self.multilabel:
            if y.shape[1] != len(self.classes):
                raise ValueError(
                    f"{name} has {y.shape[1]} labels, but training began with {len(self.classes)}."
                )
            return y.astype(float)
        if is_on_device(y) and not self.numeric:
            raise ValueError(f"{name} has numbers, but the classes of training are {self.classes.tolist()}.")
        xp, classes = module_of(y), beside(y, self.classes)
        index = xp.minimum(xp.searchsorted(classes, y), len(classes) - 1)
        unseen = classes[index] != y
        if unseen.any():
            raise ValueError(
                f"{name} has the labels {_values(y[unseen]).tolist()}, which are not among the classes of "
                f"training: {self.classes.tolist()}."
            )
        return index[:, None].astype(float) if self.n_outputs == 1 else xp.eye(self.n_outputs)[index]

    def decode(self, outputs: Any) -> Any:
        """Labels of shape (n,), or 0 and 1 of shape (n, n_labels); where the outputs lie, if numbers."""
        if self.multilabel:
            return (outputs > 0.5).astype(np.int64)
        one = self.n_outputs == 1
        index = (outputs[:, 0] > 0.5).astype(np.int64) if one else outputs.argmax(axis=1)
        return class_at(self.classes, index) if is_on_device(index) else self.classes[index]

    def score(self, outputs: Any, Y: Any, sample_weight: Any) -> float:
        """Accuracy, for multi-label targets of whole rows."""
        if self.multilabel or self.n_outputs == 1:
            right = ((outputs > 0.5) == (Y > 0.5)).all(axis=1)
        else:
            right = outputs.argmax(axis=1) == Y.argmax(axis=1)
        return float(module_of(right).average(right, weights=sample_weight))

    @property
    def numeric(self) -> bool:
        """Whether labels are numbers, which a GPU's arrays can hold."""
        return self.classes.dtype.kind in "biuf"


@dataclass(frozen=True)
class _Numbers:
    """Between numbers to be predicted and network outputs."""

    n_outputs: int

    def encode(self, name: str, y: Any) -> Any:
        """Targets of shape (n, n_outputs), where y lies."""
        Y = y.reshape(len(y), -1)
        if Y.shape[1] != self.n_outputs:
            raise ValueError(f"{name} has {Y.shape[1]} targets, but training began with {self.n_outputs}.")
        return Y

    def score(self, outputs: Any, Y: Any, sample_weight: Any) -> float:
        """R^2, the mean over the outputs; as in scikit-learn 1 or 0 where the targets are constant."""
        xp = module_of(Y)
        mean = xp.average(Y, axis=0, weights=sample_weight)
        total = xp.average((Y - mean) ** 2, axis=0, weights=sample_weight)
        with np.errstate(over="ignore"):
            residual = xp.average((Y - outputs) ** 2, axis=0, weights=sample_weight)
        r2 = xp.where(total > 0, 1 - residual / xp.where(total > 0, total, 1), residual == 0)
        return float(r2.mean())


Validation = tuple[Any, Any, Any]
"""X, encoded y and weights or None."""


@dataclass(frozen=True)
class _Samples:
    """What an estimator trains with, checked and encoded."""

    X: Any
    Y: Any
    weights: Any
    validation: Validation | None
    rows: np.ndarray
    """Of the X that was given."""
    y: Any
    """As it was given."""


class _Watch:
    """Keeps scikit-learn's record of training and says when it ends; called after every epoch.

    What later calls of `partial_fit` need is kept in the estimator.
    """

    def __init__(self, model: "_MLP", n_samples: int, validation: Validation | None) -> None:
        self._model = model
        self._n_samples = n_samples
        self._validation = validation
        self.best_parameters: np.ndarray | None = None

    def __call__(self, epoch: int, metrics: dict[str, float]) -> bool:
        """Record an epoch; True if the epochs under way should end, for good or for a lower learning rate."""
        model = self._model
        model.n_iter_ += 1
        model.t_ += self._n_samples
        model.loss_ = metrics["loss"]
        model.loss_curve_.append(model.loss_)
        self._say(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")
        improved = self._loss_improved() if self._validation is None else self._score_improved()
        model._waited = 0 if improved else model._waited + 1
        if model._waited <= model.n_iter_no_change:
            model.should_stop_ = False
            return False
        what = "Training loss" if self._validation is None else "Validation score"
        message = f"{what} did not improve more than tol={model.tol:f} for {model.n_iter_no_change} epochs."
        model.should_stop_ = model.learning_rate != "adaptive" or model._rate <= 1e-6
        if not model.should_stop_:
            model._waited = 0
            model._rate /= 5
        self._say(message + (" Stopping." if model.should_stop_ else f" Learning rate {model._rate:g}."))
        return True

    def _loss_improved(self) -> bool:
        model = self._model
        best = np.inf if model.best_loss_ is None else model.best_loss_
        model.best_loss_ = min(best, model.loss_)
        return model.loss_ <= best - model.tol

    def _score_improved(self) -> bool:
        model = self._model
        best = -np.inf if model.best_validation_score_ is None else model.best_validation_score_
        score = self.score()
        if model.validation_scores_ is None:
            model.validation_scores_ = []
        model.validation_scores_.append(score)
        self._say(f"Validation score: {score:f}")
        if score > best:
            self.take_for_best(score)
        return score >= best + model.tol

    def score(self) -> float:
        """Accuracy or R^2 on the validation samples."""
        assert self._validation is not None
        X, Y, sample_weight = self._validation
        with where(X):
            return self._model._targets.score(self._model._outputs(X), Y, sample_weight)

    def take_for_best(self, score: float) -> None:
        """Take the present parameters for the best."""
        self._model.best_validation_score_ = score
        self.best_parameters = self._model.network_.parameters.copy()

    def _say(self, message: str) -> None:
        if self._model.verbose:
            print(message)


class _MLP(BaseEstimator):
    """What the two estimators share; subclasses say what targets are."""

    network_: Network
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    should_stop_: bool
    learning_rate_init_: float
    _targets: Any
    _waited: int
    _rate: float
    _architecture: dict[str, Any]

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Keep the arguments of `__init__` as they are, which is scikit-learn's convention."""
        for name, value in arguments.items():
            if name != "self":
                setattr(self, name, value)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights, one view of shape (fan_in, fan_out) a layer."""
        return list(self.network_.weights)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases, one view of shape (fan_out,) a layer."""
        return list(self.network_.biases)

    # What subclasses say.

    def _learn_targets(self, y: Any, classes: Any = None) -> Any:
        """`_Labels` or `_Numbers` for checked y."""
        raise NotImplementedError

    def _output(self, targets: Any) -> tuple[str, str]:
        """Loss and output activation."""
        raise NotImplementedError

    def _weights(self, y: Any, sample_weight: Any, targets: Any, partial: bool) -> Any:
        """Factors of the samples' steps, or None."""
        return sample_weight

    def _stratify(self, y: Any, targets: Any, n_held_out: int) -> Any:
        """Labels in whose proportions to set validation samples aside."""
        return None

    def _auto_rate(self, Y: Any) -> float:
        """What learning_rate_init="auto" means."""
        if self.solver == "sgd":
            return 0.01 * (1 - self.momentum)
        return 0.01 if self.solver == "adagrad" else 0.001

    # Training.

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Any:
        """Train for at most `max_iter` epochs.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_features)
            Samples. A sparse X stays sparse for solver="sgd" with batch_size=1; otherwise it is made dense in
            slices, never whole. An array on a GPU stays there.
        y : array-like of shape (n,) or (n, n_outputs)
            Labels or numbers; a 0/1 matrix for several labels a sample.
        sample_weight : array-like of shape (n,), optional
            Factors of the samples' steps; a sample of weight 0 is passed over. (scikit-learn divides the
            gradient of a batch by its sum of weights, which would cancel the weight in a batch of one.)
        X_val, y_val : optional
            Validation samples for early_stopping=True, instead of a part of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For a parameter or an argument that is not allowed, naming it.
        NoGPUError
            If `device` asks for a GPU that can't be used, saying why; it is a RuntimeError.
        DivergenceError
            If the loss or the parameters stop being finite; the last finite ones are kept, or with early
            stopping the best.
        """
        goes_on = self.warm_start and hasattr(self, "network_")
        samples = self._begin(X, y, sample_weight, X_val, y_val)
        n_samples = len(samples.Y)
        watch = _Watch(self, n_samples, samples.validation)
        if goes_on and samples.validation is not None:
            watch.take_for_best(watch.score())
        try:
            while self.n_iter_ < self.max_iter and not self.should_stop_:
                epochs = min(self.max_iter - self.n_iter_, EPOCHS_A_CALL)
                rates = self._rates(self.n_iter_, epochs, n_samples)
                self._run(samples.X, samples.Y, samples.weights, rates, watch)
            self._warn_unless_converged()
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        except DivergenceError as error:
            row = int(samples.rows[error.sample])
            raise DivergenceError(self.n_iter_, row, error.learning_rate) from None
        finally:
            if watch.best_parameters is not None:
                self.network_.parameters[:] = watch.best_parameters
        return self

    @where_X_lies
    def _begin(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> "_Samples":
        """Everything that `fit` does before the first step: checks, targets, weights, the network."""
        self._check_parameters()
        goes_on = self.warm_start and hasattr(self, "network_")
        X, y, sample_weight = self._check_data(X, y, sample_weight, reset=not goes_on)
        targets = self._targets if goes_on else self._learn_targets(y)
        Y = beside(X, targets.encode("y", y))
        validation = self._check_validation(X, X_val, y_val, targets)
        if validation is not None and not self.early_stopping:
            raise ValueError("X_val and y_val are for early_stopping=True, but early_stopping is False.")
        weights = self._weights(y, sample_weight, targets, partial=False)
        generator = check_random_state(self.random_state)
        rows = np.arange(len(Y))
        if self.early_stopping and validation is None:
            rows, held_out = self._split(y, targets, generator)
            validation = tuple(_rows_of(values, held_out) for values in (X, Y, sample_weight))
            if validation[2] is not None and not validation[2].any():
                raise ValueError("sample_weight is 0 for every sample that validation_fraction sets aside.")
            X, Y, weights = (_rows_of(values, rows) for values in (X, Y, weights))
        samples = _Samples(X, Y, _some_weight(weights), validation, rows, y)
        self._start(X, Y, targets, None if goes_on else generator)
        self._begin_epochs()
        self.n_iter_ = 0
        return samples

    def _begin_like(self, other: "_MLP", samples: "_Samples", sample_weight: Any) -> np.ndarray | None:
        """What `_begin` does, with samples that it has checked and encoded for another estimator like this.

        Returns
        -------
        Factors of the samples' steps.
        """
        self._check_parameters()
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(other, name):
                setattr(self, name, getattr(other, name))
        if sample_weight is not None:
            sample_weight = _check_weights(sample_weight, samples.X)
        targets = other._targets
        weights = _some_weight(self._weights(samples.y, sample_weight, targets, partial=False))
        self._start(samples.X, samples.Y, targets, check_random_state(self.random_state))
        self.n_iter_ = 0
        return weights

    def _record(self, n_samples: int, losses: Any) -> None:
        """Take over the losses of epochs that were trained elsewhere, as `fit` would have recorded them."""
        watch = _Watch(self, n_samples, None)
        for epoch, loss in enumerate(losses):
            watch(epoch, {"loss": float(loss)})

    def _warn_unless_converged(self) -> None:
        if not self.should_stop_:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=3,
            )

    @where_X_lies
    def _partial_fit(self, X: Any, y: Any, classes: Any, sample_weight: Any, X_val: Any, y_val: Any) -> Any:
        self._check_parameters()
        goes_on = hasattr(self, "network_")
        X, y, sample_weight = self._check_data(X, y, sample_weight, reset=not goes_on)
        targets = self._targets if goes_on else self._learn_targets(y, classes)
        Y = beside(X, targets.encode("y", y))
        validation = self._check_validation(X, X_val, y_val, targets)
        weights = _some_weight(self._weights(y, sample_weight, targets, partial=True))
        self._start(X, Y, targets, None if goes_on else check_random_state(self.random_state))

        self.n_iter_ = 0
        rates = self._rates(len(self.loss_curve_), 1, len(Y))
        self._run(X, Y, weights, rates, _Watch(self, len(Y), validation))
        return self

    def _start(self, X: Any, Y: Any, targets: Any, generator: Any) -> None:
        """A new network, drawn from `generator`; None goes on with the present one."""
        place = resolve(self.device, gpu_of({"X": X}))
        hidden = self._hidden_layer_sizes()
        loss, output_activation = self._output(targets)
        architecture: dict[str, Any] = {
            "layer_sizes": (X.shape[1], *hidden, targets.n_outputs),
            "hidden_activation": self._hidden_activations(len(hidden)),
            "output_activation": output_activation,
            "loss": loss,
        }
        if place.device is not None:  # before anything changes: it may raise
            how = Options(device=self.device, **self._step_options(len(Y)))
            of = Architecture.checked(**architecture, dtype=X.dtype)
            make_plan(Problem(of, len(Y), self.max_iter, how, place, mean_nonzeros(X), with_l2=how.l2 > 0))
        if generator is None:
            for name, value in architecture.items():
                if value != self._architecture[name]:
                    raise ValueError(
                        f"training goes on with a network of {name}={self._architecture[name]!r}, but the "
                        f"parameters now ask for {value!r}; fit with warm_start=False begins anew."
                    )
        else:
            self.network_ = Network(init=self.init, dtype=X.dtype, random_state=generator, **architecture)
            self._architecture = architecture
            self._targets = targets
            self.t_ = 0
            self.loss_ = np.nan
            self.loss_curve_ = []
            self.best_loss_ = None
            self.validation_scores_ = None
            self.best_validation_score_ = None
            self.n_layers_ = len(hidden) + 2
            self.n_outputs_ = targets.n_outputs
            self.out_activation_ = "logistic" if output_activation == "sigmoid" else output_activation
        if self.learning_rate_init != "auto":
            self.learning_rate_init_ = float(self.learning_rate_init)
        elif generator is not None:
            self.learning_rate_init_ = self._auto_rate(Y)
        if generator is not None:
            self._begin_epochs()
        if self.batch_size != "auto" and self.batch_size > len(Y):
            warnings.warn(
                f"batch_size={self.batch_size} is more than the {len(Y)} samples, which make one batch.",
                stacklevel=3,
            )

    def _begin_epochs(self) -> None:
        """Forget what decides when training ends."""
        self._waited, self._rate, self.should_stop_ = 0, self.learning_rate_init_, False

    @where_X_lies
    def _run(self, X: Any, Y: Any, sample_weight: Any, rates: np.ndarray, watch: _Watch) -> None:
        """Train for an epoch with each of the rates, or until `watch` says that they should end."""
        options = self._step_options(len(Y))
        if sparse.issparse(X) and not self._takes_sparse(len(Y)):
            order = np.arange(len(Y))
            random = np.array([self.network_.random_state.randint(0, 2**63 - 1, dtype=np.int64)], np.uint64)
            for epoch, rate in enumerate(rates):
                if self.shuffle:  # as the kernels do
                    _shuffle(order, random)
                if watch(epoch, {"loss": self._sparse_epoch(X, Y, sample_weight, order, float(rate))}):
                    return
        else:
            self.network_.fit(
                X,
                Y,
                sample_weight=sample_weight,
                epochs=len(rates),
                learning_rate=self.learning_rate_init_,
                schedule=lambda epoch: float(rates[epoch]),
                shuffle=bool(self.shuffle),
                callback=watch,
                progress=False,
                device=self.device,
                **options,
            )

    def _sparse_epoch(
        self, X: Any, Y: np.ndarray, sample_weight: Any, order: np.ndarray, rate: float
    ) -> float:
        """One pass over the rows of a sparse X, dense a slice at a time; the mean loss."""
        options = {
            **self._step_options(len(Y)),
            "learning_rate": rate,
            "shuffle": False,
            "device": self.device,
        }
        losses, shares = [], []
        for slice_ in _slices(len(Y), X.shape[1], options["batch_size"]):
            rows = order[slice_]
            weights = _rows_of(sample_weight, rows)
            if weights is not None and not weights.any():
                continue
            dense = X[rows].toarray()
            try:
                history = self.network_.partial_fit(dense, Y[rows], sample_weight=weights, **options)
            except DivergenceError as error:
                raise DivergenceError(0, int(rows[error.sample]), rate) from None
            losses.append(float(history.loss[0]))
            shares.append(len(rows) if weights is None else float(weights.sum()))
        return float(np.average(losses, weights=shares))

    def _batch_size(self, n_samples: int) -> int:
        return min(AUTO_BATCH_SIZE if self.batch_size == "auto" else int(self.batch_size), n_samples)

    def _takes_sparse(self, n_samples: int) -> bool:
        """Whether steps can be taken with a sparse X as it is."""
        return self.solver == "sgd" and self._batch_size(n_samples) == 1

    def _step_options(self, n_samples: int) -> dict[str, Any]:
        """How to take a step, for `Network.fit` and `Network.partial_fit`."""
        batch_size = self._batch_size(n_samples)
        rule = self.solver
        if rule == "sgd" and self.momentum > 0:
            rule = "nesterov" if self.nesterovs_momentum else "momentum"
        return {
            "batch_size": batch_size,
            "update_rule": rule,
            "momentum": self.momentum,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "l2": self.alpha / batch_size,
        }

    def _rates(self, first: int, epochs: int, n_samples: int) -> np.ndarray:
        """Learning rates of `epochs` epochs from number `first` on."""
        rate = self.learning_rate_init_
        if self.learning_rate == "adaptive":
            return np.full(epochs, self._rate)
        if self.learning_rate == "invscaling":  # counts samples, as scikit-learn does
            return rate / (self.t_ + 1.0 + n_samples * np.arange(epochs)) ** self.power_t
        if callable(self.learning_rate):
            return np.array([self.learning_rate(first + epoch) for epoch in range(epochs)], float)
        options = SCHEDULE_OPTIONS[self.learning_rate]
        stop = first + epochs
        return learning_rates(self.learning_rate, options, rate, max(self.max_iter, stop))[first:stop]

    def _schedule(self, n_samples: int) -> dict[str, Any]:
        """The rates of a new network's epochs, for `Population.fit`."""
        if self.learning_rate == "invscaling":
            options = {"power": self.power_t, "samples": n_samples}
            return {"schedule": "invscaling", "schedule_options": options}
        return {"schedule": self.learning_rate}

    # Checks.

    def _check_parameters(self) -> None:
        if self.solver == "lbfgs":
            raise ValueError(
                "solver='lbfgs' is not supported: it does not go sample by sample; "
                f"allowed: {', '.join(SOLVERS)}."
            )
        check_choice("solver", self.solver, SOLVERS)
        self._hidden_activations(len(self._hidden_layer_sizes()))
        if not callable(self.learning_rate):
            check_choice("learning_rate", self.learning_rate, SCHEDULE_OPTIONS)
        if self.learning_rate_init != "auto":
            check_real("learning_rate_init", self.learning_rate_init, minimum=0, open_minimum=True)
        if self.batch_size != "auto":
            check_integer("batch_size", self.batch_size, minimum=1)
        for name in ("alpha", "power_t", "tol"):
            check_real(name, getattr(self, name), minimum=0)
        for name in ("momentum", "beta_1", "beta_2", "validation_fraction"):
            check_real(name, getattr(self, name), minimum=0, maximum=1, open_maximum=True)
        check_real("epsilon", self.epsilon, minimum=0, open_minimum=True)
        for name in ("max_iter", "max_fun"):
            check_integer(name, getattr(self, name), minimum=1)
        if self.n_iter_no_change != np.inf:
            check_integer("n_iter_no_change", self.n_iter_no_change, minimum=1)
        if not isinstance(self.verbose, bool | np.bool_):
            check_integer("verbose", self.verbose, minimum=0)
        for name in ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping"):
            check_bool(name, getattr(self, name))
        check_device(self.device)

    def _hidden_layer_sizes(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        if not hasattr(sizes, "__iter__"):
            return (check_integer("hidden_layer_sizes", sizes, minimum=1),)
        return tuple(
            check_integer(f"hidden_layer_sizes[{i}]", size, minimum=1) for i, size in enumerate(sizes)
        )

    def _hidden_activations(self, n_hidden: int) -> list[str]:
        """Names as `Network` has them, one a hidden layer."""
        allowed = (*HIDDEN_ACTIVATIONS, "logistic")
        if isinstance(self.activation, str) or not hasattr(self.activation, "__iter__"):
            names = [check_choice("activation", self.activation, allowed)] * n_hidden
        else:
            names = [
                check_choice(f"activation[{i}]", name, allowed) for i, name in enumerate(self.activation)
            ]
        if len(names) != n_hidden:
            raise ValueError(
                f"activation has {len(names)} names, but hidden_layer_sizes has {n_hidden} layers."
            )
        return ["sigmoid" if name == "logistic" else name for name in names]

    def _check_data(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, suffix: str = ""
    ) -> tuple[Any, Any, Any]:
        """Arrays of the right shapes and kinds; `suffix` completes the names X and y for messages.

        X and sample_weight lie where X does, y where it does.
        """
        gpu_of({"X" + suffix: X, "y" + suffix: y, "sample_weight": sample_weight})
        with _naming("X" + suffix):
            checked_X = self._check_inputs(X, reset=reset)
        with _naming("y" + suffix):
            if y is None:
                raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
            if is_on_device(y):
                y = check_targets("y" + suffix, y)
            else:
                dtype = "numeric" if isinstance(self, RegressorMixin) else None
                y = check_array(
                    y, accept_sparse="csr", ensure_2d=False, dtype=dtype, input_name="y", estimator=self
                )
            if sparse.issparse(y):
                y = y.toarray()
            if y.ndim == 2 and y.shape[1] == 1:
                y = _column(y)
        with _naming(f"X{suffix} and y{suffix}"):
            check_consistent_length(checked_X, y)
        if sample_weight is not None:
            sample_weight = _check_weights(sample_weight, checked_X)
        return checked_X, y, sample_weight

    def _check_inputs(self, X: Any, *, reset: bool = False, finite: bool = True) -> Any:
        """X as a dense array or a CSR matrix; on a GPU only if `finite` are its values looked at."""
        if is_on_device(X):
            return validate_data(self, check_features(X, finite), reset=reset, skip_check_array=True)
        dtype = (np.float64, np.float32)
        return validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=reset)

    def _check_validation(self, X: Any, X_val: Any, y_val: Any, targets: Any) -> Validation | None:
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together, but only one of them was given.")
        if X_val is None:
            return None
        gpu_of({"X": X, "X_val": X_val})
        X_val, y_val, _ = self._check_data(X_val, y_val, None, reset=False, suffix="_val")
        return X_val, beside(X_val, targets.encode("y_val", y_val)), None

    def _split(self, y: Any, targets: Any, generator: Any) -> tuple[np.ndarray, np.ndarray]:
        """Rows to train with, and rows held out for validation."""
        n_held_out = int(np.ceil(self.validation_fraction * len(y)))
        if not 2 <= n_held_out < len(y):
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {len(y)} samples sets {n_held_out} "
                "aside, but early stopping needs at least 2, and not all. Change it, or give X_val and y_val."
            )
        return train_test_split(
            np.arange(len(y)),
            test_size=n_held_out,
            random_state=generator,
            stratify=self._stratify(y, targets, n_held_out),
        )

    # Predictions.

    def _outputs(self, X: Any, before_activation: bool = False) -> Any:
        """Network outputs, or their pre-activations, for checked X."""
        if before_activation:
            return self.network_.before_and_after_activation(X)[0]
        return self.network_.forward(X)

    def _predict(self, X: Any, before_activation: bool = False) -> Any:
        """`_outputs` for X as users give it."""
        check_is_fitted(self)
        return self._outputs(self._checked_inputs(X), before_activation)

    def _checked_inputs(self, X: Any) -> Any:
        """X of a prediction, checked."""
        with _naming("X"):
            return self._check_inputs(X, finite=False)  # `Network.forward` looks at them


class MLPClassifier(ClassifierMixin, _MLP):
    """Classifier: a multi-layer perceptron trained sample by sample.

    {parameters}
    class_weight : dict, "balanced" or list of dict, optional
        Factors of the steps of each class's samples: by label, or n / (n_classes * samples of the class). For
        several labels a sample a list, one dict a label.
    loss : str, default="auto"
        "auto" is binary cross-entropy for two classes and for several labels a sample, categorical
        cross-entropy for more classes. Or "binary_cross_entropy", "categorical_cross_entropy",
        "squared_error", "absolute_error", "huber".
    output_activation : {"sigmoid", "softmax"}, optional
        By default what belongs to the loss, or softmax for more than two classes, else sigmoid.
    init : str, default="glorot_uniform"
        Initial weights, as in `Network`; biases start at zero.

    {attributes}
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of the columns of `predict_proba`.

    See Also
    --------
    MLPRegressor : For numbers.
    Network : The network underneath.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from numbabp import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(random_state=0).fit(X, y)
    >>> bool(clf.score(X, y) > 0.95)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "sgd",
        alpha: float = 0.0001,
        batch_size: int | str = 1,
        learning_rate: Any = "constant",
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
        max_fun: int = 15000,
        class_weight: Any = None,
        loss: str = "auto",
        output_activation: str | None = None,
        init: str = "glorot_uniform",
        device: str = "auto",
    ) -> None:
        self._keep(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def classes_(self) -> np.ndarray:
        """Labels in the order of the columns of `predict_proba`."""
        return self._targets.classes

    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> "MLPClassifier":
        """Train for one epoch on the given samples.

        n calls with the same samples do what `fit` does in n epochs, with shuffle=False to the last bit.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like of shape (n_classes,)
            Every label that will ever come; needed in the first call, except for several labels a sample.
        X_val, y_val : optional
            Validation samples: their score is added to `validation_scores_`, and `should_stop_` tells whether
            it has not improved for more than `n_iter_no_change` calls. Without them the training loss is
            watched.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError, DivergenceError
            As `fit`.
        """
        first = not hasattr(self, "network_")
        classes = to_host(classes) if is_on_device(classes) else classes
        if first and classes is None and not _has_several_labels(y):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if not first and classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(
                f"classes={np.asarray(classes).tolist()} is not the same as in the first call: "
                f"{self.classes_.tolist()}."
            )
        return self._partial_fit(X, y, classes, sample_weight, X_val, y_val)

    @where_X_lies
    def predict(self, X: Any) -> Any:
        """Labels of shape (n,), or 0 and 1 of shape (n, n_labels) for several labels a sample.

        For an X on a GPU they are CuPy's and lie there, but labels that are no numbers are NumPy's.
        """
        outputs = self._predict(X)
        return self._targets.decode(outputs)

    @where_X_lies
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy, for several labels a sample of whole rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_features)
            Samples; also on a GPU.
        y : array-like of shape (n,) or (n, n_labels)
            True labels; for an X on a GPU also there, or in the host's memory, from where they are copied.
        sample_weight : array-like of shape (n,), optional
            Likewise.
        """
        check_is_fitted(self)
        gpu_of({"X": X, "y": y, "sample_weight": sample_weight})
        if not is_on_device(X) or not self._targets.numeric:
            return super().score(X, y, sample_weight)
        X, y, sample_weight = self._check_data(X, y, sample_weight, reset=False)
        right = self._targets.decode(self._outputs(X)) == beside(X, y)
        if self._targets.multilabel:
            right = right.all(axis=1)
        return float(module_of(right).average(right, weights=sample_weight))

    @where_X_lies
    def decision_function(self, X: Any) -> Any:
        """Pre-activations of the outputs: they tell samples apart where probabilities round to 1.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_features)
            Samples.

        Returns
        -------
        ndarray
            For two classes the log-odds of the second, shape (n,); else of shape (n, n_classes).
        """
        z = self._predict(X, before_activation=True)
        if self._targets.multilabel or len(self.classes_) > 2:
            return z
        return z[:, -1] if self.n_outputs_ == 1 else z[:, 1] - z[:, 0]

    @where_X_lies
    def predict_proba(self, X: Any) -> Any:
        """Probabilities of shape (n, n_classes), in the order of `classes_`; on a GPU if X is."""
        return self._probabilities(self._predict(X))

    def _probabilities(self, outputs: Any) -> Any:
        if self._targets.multilabel or self.out_activation_ == "softmax":
            return outputs
        if self.n_outputs_ == 1:
            return beside(outputs, module_of(outputs).hstack([1 - outputs, outputs]))
        total = outputs.sum(axis=1, keepdims=True)  # one sigmoid a class
        total[total == 0] = np.inf  # every one underflowed
        return outputs / total

    @where_X_lies
    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of `predict_proba`."""
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return module_of(probabilities).log(probabilities)

    def _learn_targets(self, y: Any, classes: Any = None) -> _Labels:
        if _is_multilabel("y", y):
            if classes is not None and len(classes) != y.shape[1]:
                raise ValueError(
                    f"classes has {len(classes)} entries, but y has {y.shape[1]} labels a sample."
                )
            return _Labels(np.arange(y.shape[1]), True, y.shape[1])
        labels = _values(y) if classes is None else unique_labels(classes)
        if len(labels) < 2:
            where = "y" if classes is None else "classes"
            raise ValueError(f"{where} has only one class, {labels.tolist()}; at least two are needed.")
        one_output = len(labels) == 2 and self._output(_Labels(labels, False, 2))[1] == "sigmoid"
        return _Labels(labels, False, 1 if one_output else len(labels))

    def _output(self, targets: _Labels) -> tuple[str, str]:
        loss = check_choice("loss", self.loss, ("auto", *LOSSES))
        output = self.output_activation
        if output is None:
            output = "softmax" if len(targets.classes) > 2 and not targets.multilabel else "sigmoid"
            if loss.endswith("cross_entropy"):
                output = OUTPUT_ACTIVATION[loss]
        check_choice("output_activation", output, ("sigmoid", "softmax"))
        if targets.multilabel and output == "softmax":
            raise ValueError("softmax is for one label a sample, but y has several; use a sigmoid output.")
        if loss == "auto":
            loss = "categorical_cross_entropy" if output == "softmax" else "binary_cross_entropy"
        if loss.endswith("cross_entropy") and output != OUTPUT_ACTIVATION[loss]:
            raise ValueError(
                f"output_activation={output!r} does not go with loss={loss!r}, which needs "
                f"{OUTPUT_ACTIVATION[loss]!r}."
            )
        return loss, output

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not (self.class_weight is None or isinstance(self.class_weight, dict | list)):
            check_choice("class_weight", self.class_weight, ("balanced",))

    def _weights(self, y: Any, sample_weight: Any, targets: Any, partial: bool) -> Any:
        if self.class_weight is None:
            return sample_weight
        if partial and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not for partial_fit, which sees only a part of the samples; "
                "give a dict of weights."
            )
        labels = to_host(y) if is_on_device(y) else y
        if targets.multilabel:
            factors = compute_sample_weight(self.class_weight, labels)
        else:
            by_class = compute_class_weight(self.class_weight, classes=targets.classes, y=labels)
            factors = by_class[np.searchsorted(targets.classes, labels)]
        if factors.min() < 0:
            raise ValueError(f"class_weight must not be negative, got {factors.min():g}.")
        factors = beside(y if sample_weight is None else sample_weight, factors)
        return factors if sample_weight is None else sample_weight * factors

    def _stratify(self, y: Any, targets: Any, n_held_out: int) -> Any:
        if targets.multilabel:
            return None
        y = to_host(y) if is_on_device(y) else y
        counts = np.unique(y, return_counts=True)[1]
        possible = np.min(counts) >= 2 and len(counts) <= min(n_held_out, len(y) - n_held_out)
        return y if possible else None


class MLPRegressor(RegressorMixin, MultiOutputMixin, _MLP):
    """Regressor: a multi-layer perceptron trained sample by sample.

    {parameters}
    loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
        Half the squared residual, its size, or half the square up to 1 and growing linearly from there on.
        The first positional parameter, as in scikit-learn.
    output_activation : str, default="identity"
        Any of the activations of hidden layers.
    init : str, default="glorot_uniform"
        Initial weights, as in `Network`; biases start at zero.

    {attributes}

    See Also
    --------
    MLPClassifier : For labels.
    Network : The network underneath.

    Examples
    --------
    >>> import numpy as np
    >>> from numbabp import MLPRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> y = np.sin(3 * X[:, 0])
    >>> reg = MLPRegressor(learning_rate_init=0.05, random_state=0).fit(X, y)
    >>> bool(reg.score(X, y) > 0.95)
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "sgd",
        alpha: float = 0.0001,
        batch_size: int | str = 1,
        learning_rate: Any = "constant",
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
        max_fun: int = 15000,
        output_activation: str | None = None,
        init: str = "glorot_uniform",
        device: str = "auto",
    ) -> None:
        self._keep(locals())

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> "MLPRegressor":
        """Train for one epoch on the given samples.

        n calls with the same samples do what `fit` does in n epochs, with shuffle=False to the last bit.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        X_val, y_val : optional
            Validation samples: their R^2 is added to `validation_scores_`, and `should_stop_` tells whether
            it has not improved for more than `n_iter_no_change` calls. Without them the training loss is
            watched.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError, DivergenceError
            As `fit`.
        """
        return self._partial_fit(X, y, None, sample_weight, X_val, y_val)

    def predict(self, X: Any) -> Any:
        """Numbers of shape (n,), or (n, n_outputs) for several targets; on a GPU if X is."""
        outputs = self._predict(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    @where_X_lies
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2, the mean over the outputs.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_features)
            Samples; also on a GPU.
        y : array-like of shape (n,) or (n, n_outputs)
            True numbers; for an X on a GPU also there, or in the host's memory, from where they are copied.
        sample_weight : array-like of shape (n,), optional
            Likewise.
        """
        check_is_fitted(self)
        gpu_of({"X": X, "y": y, "sample_weight": sample_weight})
        if not is_on_device(X):
            return super().score(X, y, sample_weight)
        X, y, sample_weight = self._check_data(X, y, sample_weight, reset=False)
        Y = beside(X, self._targets.encode("y", y))
        return self._targets.score(self._outputs(X), Y, sample_weight)

    def _learn_targets(self, y: Any, classes: Any = None) -> _Numbers:
        return _Numbers(1 if y.ndim == 1 else y.shape[1])

    def _output(self, targets: Any) -> tuple[str, str]:
        loss = check_choice("loss", self.loss, ("squared_error", "absolute_error", "huber"))
        output = "identity" if self.output_activation is None else self.output_activation
        return loss, check_choice("output_activation", output, HIDDEN_ACTIVATIONS)

    def _auto_rate(self, Y: Any) -> float:
        rate = super()._auto_rate(Y)
        if self.solver != "sgd" or self.loss != "squared_error":
            return rate
        squares = module_of(Y).square(Y, dtype=float).sum(axis=1)
        return rate / max(1.0, math.sqrt(float(squares.mean())))


for _class in (MLPClassifier, MLPRegressor):
    _class.__doc__ = (
        inspect.cleandoc(_class.__doc__ or "")
        .replace("{parameters}", _PARAMETERS)
        .replace("{attributes}", _ATTRIBUTES)
    )


def _is_multilabel(name: str, y: np.ndarray) -> bool:
    """Whether checked y is a 0/1 matrix of several labels a sample, and not one label each."""
    if is_on_device(y):
        return is_multilabel(name, y)
    kind = type_of_target(y, input_name=name)
    if kind not in ("binary", "multiclass", "multilabel-indicator", "multiclass-multioutput"):
        with _naming(name):
            check_classification_targets(y)
    if kind == "multiclass-multioutput" or (kind == "multilabel-indicator" and not np.isin(y, (0, 1)).all()):
        raise ValueError(
            f"{name} of shape {y.shape} must be a matrix of 0 and 1 for several labels a sample, or one "
            "column of labels for one."
        )
    return kind == "multilabel-indicator"


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Name the argument in errors that do not."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{name}\b", str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from None


def _has_several_labels(y: Any) -> bool:
    """Whether y, as it was given, has a row of labels for each sample."""
    return len(y.shape) == 2 and y.shape[1] > 1 if is_on_device(y) else "multilabel" in type_of_target(y)


def _values(y: Any) -> np.ndarray:
    """The labels that occur, sorted, in the host's memory."""
    return values_of(y) if is_on_device(y) else np.unique(y)


def _column(y: Any) -> Any:
    """Targets of shape (n, 1) as (n,), with scikit-learn's warning."""
    if not is_on_device(y):
        return column_or_1d(y, warn=True)
    warnings.warn(
        f"A column-vector y was passed when a 1d array was expected: shape {y.shape}.",
        DataConversionWarning,
        stacklevel=3,
    )
    return y[:, 0]


def _check_weights(sample_weight: Any, X: Any) -> Any:
    if is_on_device(X):
        return check_weights(sample_weight, X)
    return _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)


def _some_weight(weights: Any) -> Any:
    """Factors of the samples' steps, of which one at least must not be 0."""
    if weights is not None and not weights.any():
        raise ValueError("sample_weight, times class_weight, must not be 0 for every sample.")
    return weights


def _rows_of(values: Any, rows: np.ndarray) -> Any:
    """Rows by their numbers, where the values lie; None stays None."""
    return None if values is None else values[beside(values, rows)]


def _slices(n_rows: int, n_columns: int, multiple: int) -> Iterator[slice]:
    """Slices of rows, each about `SPARSE_SLICE_BYTES` when dense, in whole mini-batches."""
    step = max(1, SPARSE_SLICE_BYTES // (8 * n_columns) // multiple) * multiple
    for start in range(0, n_rows, step):
        yield slice(start, min(n_rows, start + step))
