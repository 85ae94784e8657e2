"""The part of scikit-learn's perceptrons that is replaced: what runs once a batch or once an evaluation.

scikit-learn's own classes keep everything else - parameters and their checks, labels, initial weights, the
stopping rule, reports, L-BFGS - and its own objects hold all state: weights, biases and moments are views of
vectors that the kernels work on. So what kernels don't know can go through scikit-learn's code at any time.
"""

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from .loop import Epochs, moment_vectors, moments_of
from .objective import Objective
from .samples import NAMES, make_model, make_samples
from .scikit_learn import AdamOptimizer, SGDOptimizer, trains_as_known
from .vectors import as_vector, by_kinds, by_layers

LOSSES = {"log_loss": ("logistic", "softmax"), "squared_error": ("identity",), "poisson": ("exp",)}
"""Output activations that go with a loss: those for which dLoss/dz is output minus target."""


class CompiledTraining:
    """Mixin before scikit-learn's class: the same results from compiled loops."""

    if TYPE_CHECKING:
        t_: int
        _no_improvement_count: int

        def __getattr__(self, name: str) -> Any:
            """Parameters, attributes and methods of scikit-learn's class."""

    def _fit_stochastic(self, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        incremental = rest[-1]
        dtype = self._dtype_to_train_in(X, y)
        if dtype is None or not self._optimizer_fits(dtype, incremental):
            super()._fit_stochastic(X, y, sample_weight, *rest)  # type: ignore[misc]
            return
        self._begin_optimizer(incremental)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        (X, y, sample_weight), validation = self._split(X, y, sample_weight)
        epochs = self._make_epochs(X, y, sample_weight, dtype)
        try:
            self._run_epochs(epochs, len(y), validation, incremental)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        if self.early_stopping:
            self.coefs_, self.intercepts_ = self._best_coefs, self._best_intercepts

    def _may_compile(self) -> bool:
        """Whether the installed scikit-learn is one that the compiled loops agree with."""
        return trains_as_known(CompiledTraining)

    def _dtype_to_train_in(self, X: Any, y: Any) -> np.dtype | None:
        """That of the parameters; None for what only scikit-learn's own code knows."""
        arrays = [*self.coefs_, *self.intercepts_]
        if not self._may_compile() or not all(isinstance(array, np.ndarray) for array in arrays):
            return None
        dtype = arrays[0].dtype
        sizes = [X.shape[1], *(len(b) for b in self.intercepts_)]
        known = (
            dtype in (np.float32, np.float64)
            and all(array.dtype == dtype for array in arrays)
            and np.can_cast(X.dtype, dtype)
            and [w.shape for w in self.coefs_] == list(pairwise(sizes))
            and all(b.ndim == 1 for b in self.intercepts_)
            and y.shape[1] == sizes[-1]
            and self.n_layers_ == len(sizes)
            and self.out_activation_ in LOSSES.get(self.loss, ())
            and self.activation in NAMES
        )
        return dtype if known else None

    def _optimizer_fits(self, dtype: np.dtype, incremental: bool) -> bool:
        """Whether an earlier call's optimizer, if it is to go on, has moments of the parameters' shapes."""
        if not incremental or not hasattr(self, "_optimizer"):
            return True
        if type(self._optimizer) not in (AdamOptimizer, SGDOptimizer):
            return False
        shapes = [array.shape for array in [*self.coefs_, *self.intercepts_]]
        return all(
            [array.shape for array in moment] == shapes and all(array.dtype == dtype for array in moment)
            for moment in moments_of(self._optimizer)
        )

    def _begin_optimizer(self, incremental: bool) -> None:
        """A new one, unless an earlier call's goes on."""
        if incremental and hasattr(self, "_optimizer"):
            return
        parameters = self.coefs_ + self.intercepts_
        if self.solver == "sgd":
            schedule = self.learning_rate_init, self.learning_rate
            self._optimizer = SGDOptimizer(
                parameters, *schedule, self.momentum, self.nesterovs_momentum, self.power_t
            )
        else:
            self._optimizer = AdamOptimizer(
                parameters, self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon
            )

    def _split(self, X: Any, y: Any, sample_weight: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Samples to train on and those to validate with, each X, y and weights; the latter may be None."""
        if not self.early_stopping:
            return (X, y, sample_weight), (None, None, None)
        given = [X, y] if sample_weight is None else [X, y, sample_weight]
        parts = train_test_split(
            *given,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            # several labels a sample are not stratified
            stratify=y if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        if parts[1].shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        if is_classifier(self):
            parts[3] = self._label_binarizer.inverse_transform(parts[3])
        if sample_weight is None:
            parts += [None, None]
        return tuple(parts[::2]), tuple(parts[1::2])

    def _make_epochs(self, X: Any, y: Any, sample_weight: Any, dtype: np.dtype) -> Epochs:
        n_samples = X.shape[0]
        if self.batch_size == "auto":
            batch_size = min(200, n_samples)
        else:
            if self.batch_size > n_samples:
                warnings.warn(
                    "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
                    stacklevel=2,
                )
            batch_size = min(self.batch_size, n_samples)
        samples = make_samples(X, y, sample_weight, dtype)
        layers = [X.shape[1], *(b.size for b in self.intercepts_)], (self.activation, self.out_activation_)
        vectors = self._parameters_as_vector(), moment_vectors(self._optimizer)
        model, batch = make_model(*vectors, layers, samples, (int(batch_size), int(batch_size)))
        return Epochs(model, batch, samples, self._optimizer, self.alpha)

    def _parameters_as_vector(self) -> np.ndarray:
        """Layer by layer; the attributes become views of it."""
        arrays = by_layers([*self.coefs_, *self.intercepts_])
        vector, n = as_vector(arrays), len(self.coefs_)
        arrays = by_kinds(arrays)
        self.coefs_[:], self.intercepts_[:] = arrays[:n], arrays[n:]
        return vector

    def _run_epochs(
        self, epochs: Epochs, n_samples: int, validation: tuple[Any, ...], incremental: bool
    ) -> None:
        """Until the stopping rule, max_iter, or for `partial_fit` a single one."""
        order = np.arange(n_samples)
        self.n_iter_ = 0
        while self.n_iter_ < self.max_iter:
            if self.shuffle:
                # a permutation of the last order, as sklearn.utils.shuffle draws it
                permutation = np.arange(n_samples)
                self._random_state.shuffle(permutation)
                order = order[permutation]
            self.loss_ = epochs.run(order if self.shuffle else None)
            self.n_iter_ += 1
            self.t_ += n_samples
            self.loss_curve_.append(self.loss_)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
            self._update_no_improvement_count(self.early_stopping, *validation)
            self._optimizer.iteration_ends(self.t_)
            if self._no_improvement_count > self.n_iter_no_change:
                if self._optimizer.trigger_stopping(self._why_to_stop(), self.verbose):
                    break
                self._no_improvement_count = 0
            if incremental:
                break
            if self.n_iter_ == self.max_iter:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                    "optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=2,
                )

    def _why_to_stop(self) -> str:
        measured = "Validation score" if self.early_stopping else "Training loss"
        epochs = f"{self.n_iter_no_change:d} consecutive epochs"
        return f"{measured} did not improve more than tol={self.tol:f} for {epochs}."

    def _fit_lbfgs(self, X: Any, y: Any, sample_weight: Any, *rest: Any) -> None:
        self._objectives: dict[np.dtype, Objective | None] = {}
        try:
            super()._fit_lbfgs(X, y, sample_weight, *rest)  # type: ignore[misc]
        finally:
            del self._objectives

    def _loss_grad_lbfgs(
        self, packed: np.ndarray, X: Any, y: Any, sample_weight: Any, *buffers: Any
    ) -> tuple[float, np.ndarray]:
        self._unpack(packed)
        objectives = getattr(self, "_objectives", {})  # for the fit under way; other callers have none
        if packed.dtype not in objectives:
            objectives[packed.dtype] = self._make_objective(X, y, sample_weight)
        objective = objectives[packed.dtype]
        if objective is None:
            return super()._loss_grad_lbfgs(packed, X, y, sample_weight, *buffers)  # type: ignore[misc]
        return objective(packed)

    def _make_objective(self, X: Any, y: Any, sample_weight: Any) -> Objective | None:
        """In the dtype of the parameters; None for what only scikit-learn's own code knows."""
        dtype = self._dtype_to_train_in(X, y)
        if dtype is None:
            return None
        if sample_weight is not None and np.sum(sample_weight) == 0:
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        activations = self.activation, self.out_activation_
        arrays = [*self.coefs_, *self.intercepts_]
        return Objective(arrays, activations, self.alpha, make_samples(X, y, sample_weight, dtype))
