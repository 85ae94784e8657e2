"""What the two estimators share: parameters, training, and the way from X to what the network puts out."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..atomic_files import PathLike
from ..errors import DivergenceError
from ..exchange.onnx_graph import Tensor
from ..network import Network
from . import onnx
from .in_c import WritesC
from .parameters import LBFGS
from .training.beginning import begin, begin_epoch
from .training.convergence import warn_unless_converged
from .training.diagnosis import warn_unless_learnt
from .training.fitting import Fitted, Fitting
from .training.one_row import Settings, learn_row
from .training.supervision import Supervision
from .validation import check_unlabelled
from .views import Views

_REASON = "in batches of fewer than all rows, a weight of w is one place in the order, and not w of them."
EXPECTED_FAILED_CHECKS = {
    "check_sample_weight_equivalence_on_dense_data": _REASON,
    "check_sample_weight_equivalence_on_sparse_data": _REASON,
}
"""For `sklearn.utils.estimator_checks.check_estimator`; scikit-learn exempts its own SGD estimators likewise.

These checks want a sample of weight w to be worth w copies of it. That holds for steps with all rows in one
batch, and for the minimum that all steps seek, but not for a few epochs of smaller batches, which would hold
other rows in another order. Their other wish, that a weight of 0 is no sample, is met.
"""


class BaseMLP(WritesC, BaseEstimator):
    """A multi-layer perceptron; subclasses have the parameters, and say what is predicted."""

    inner_network_: Network
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    should_stop_: bool
    learning_rate_init_: float
    max_iter_: int
    _fitted: Fitted
    supervision: Supervision | None = None
    """While a search fits it."""
    settings_of_rows: Settings | None = None
    """Of the last `partial_fit`, see `learn_row`."""

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "settings_of_rows"}

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
        return hasattr(self, "inner_network_")

    @property
    def network_(self) -> Network:
        """The network for inputs and targets as they are given: with standardize=True a copy."""
        return self._fitted.standardization.folded(self.inner_network_)

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of `network_`, one array of shape (fan_in, fan_out) a layer; may be assigned to.

        That is all at once, or layer by layer. With standardize=True they are copies, whose elements can't be
        assigned to one by one.
        """
        return self._parts("weights")

    @coefs_.setter
    def coefs_(self, values: Any) -> None:
        check_is_fitted(self)
        self._parts("weights").take(values)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of `network_`, one array of shape (fan_out,) a layer; likewise."""
        return self._parts("biases")

    @intercepts_.setter
    def intercepts_(self, values: Any) -> None:
        check_is_fitted(self)
        self._parts("biases").take(values)

    def _parts(self, name: str) -> Views:
        network, called = self.network_, {"weights": "coefs_", "biases": "intercepts_"}[name]
        parts = getattr(network, name)
        if network is self.inner_network_:
            return Views(called, parts)
        for part in parts:  # what is assigned to a copy would be lost without a word
            part.flags.writeable = False

        def take(values: list[np.ndarray]) -> None:
            by_name = {"weights": network.weights, "biases": network.biases, name: values}
            parameters = self._fitted.standardization.unfolded(by_name["weights"], by_name["biases"])
            self.inner_network_.parameters[:] = parameters

        return Views(called, parts, take)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Any:
        """Train for at most `max_iter` epochs, or iterations of "lbfgs".

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, n_features)
            Samples. A sparse X stays sparse, and is trained with on the CPU. An array on a GPU stays there.
        y : array-like of shape (n,) or (n, n_outputs)
            Labels or numbers; a 0/1 matrix for several labels a sample.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0 of the samples' gradients, and of their losses and scores. Only their ratios count:
            they are divided by their mean, in `partial_fit` by that of all rows so far, of which later ones
            count more. A sample of weight 0 is as if it were not there, so that a label of such samples only
            is no class. With all samples in one batch and alpha=0 a weight is worth as many copies.
            (`numbabp.estimators.weights` tells more, and where scikit-learn differs.)
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
            If the loss or the parameters stop being finite, or grow beyond any use; the last ones before are
            kept, or with early stopping the best.
        """
        self.__dict__.pop("settings_of_rows", None)  # its own may be others, of another network
        goes_on = self.warm_start and hasattr(self, "inner_network_")
        fitting = begin(self, X, y, sample_weight, X_val, y_val, self._fitted if goes_on else None)
        try:
            reason = fitting.minimise() if self.solver == LBFGS else self._take_epochs(fitting, goes_on)
            warn_unless_converged(self, reason)
            warn_unless_learnt(self, self.inner_network_, fitting.samples)
        except KeyboardInterrupt:
            if self.supervision is not None:
                raise
            # what was learnt is worth keeping, as scikit-learn does
            warnings.warn("Training interrupted by user.", stacklevel=2)
        except DivergenceError as error:
            raise fitting.located(self.n_iter_, error) from None
        return self

    def _take_epochs(self, fitting: Fitting, goes_on: bool) -> str:
        """Until max_iter of them have been, or the rule says that it is time; no further reason for that."""
        watch = fitting.watch()
        if goes_on:
            watch.take_present_for_best()
        found = fitting.found(watch)
        try:
            if found is not None:
                fitting.run(found, self.max_iter_ - found, watch, resume=True)
            # in several runs where epochs are many, and in one for each adaptive rate
            while self.n_iter_ < self.max_iter_ and not self.should_stop_:
                fitting.run(self.n_iter_, self.max_iter_ - self.n_iter_, watch)
        finally:  # however training ends
            if watch.best_parameters is not None:
                self.inner_network_.parameters[:] = watch.best_parameters
        return ""

    def _partial_fit(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, classes: Any = None
    ) -> Any:
        """One epoch; `classes` of a classifier's first call."""
        fitted = self._fitted if hasattr(self, "inner_network_") else None
        is_plain = sample_weight is None and X_val is None and y_val is None
        if fitted is not None and is_plain and (learnt := learn_row(self, X, y, fitted)) is not None:
            self._fitted = learnt
            return self
        fitting = begin_epoch(self, X, y, sample_weight, X_val, y_val, classes, fitted)
        try:
            fitting.run(len(self.loss_curve_), 1, fitting.watch())
        except DivergenceError as error:
            raise fitting.located(0, error) from None
        self.settings_of_rows = Settings.of(self)
        return self

    def outputs(self, X: Any) -> Any:
        """Outputs (n, n_outputs) of the network, in units of the targets, for X as `predict` takes it."""
        return self._before_and_after_activation(X)[1]

    def _before_and_after_activation(self, X: Any) -> tuple[Any, Any]:
        """Pre-activations of the network's output layer, and outputs in units of the targets."""
        check_is_fitted(self)
        return self._fitted.before_and_after_activation(self.inner_network_, check_unlabelled(self, X))

    def to_onnx(self, path: PathLike | None = None, *, dtype: Any = None) -> Any:
        """The model in ONNX, which ONNX Runtime and many others run, from X as it comes.

        Its input is called X, of shape (n, n_features). A classifier's outputs are "label" and
        "probabilities", a regressor's is "prediction", in the shapes of `predict` and `predict_proba`. Labels
        that are numbers are int64.

        Parameters
        ----------
        path : str or path-like, optional
            A file to write the model to, whole or not at all.
        dtype : {"float32", "float64"}, optional
            Of X and of the network's arithmetic; by default that of the X that it was fitted to.
            Standardisation is in float64 in any case.

        Returns
        -------
        onnx.ModelProto
            Of opset 13, checked by onnx.checker.

        Raises
        ------
        ImportError
            If onnx, the extra `onnx`, is not installed.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        TypeError
            For labels that are neither numbers nor strings.
        ValueError
            For another dtype, or a parameter that is not finite.
        OSError
            If the file can't be written; an existing one is left as it is.

        See Also
        --------
        numbabp.register_with_skl2onnx : For pipelines.
        """
        check_is_fitted(self)
        return onnx.export(self._fitted, self.inner_network_, dtype, path)

    def in_onnx(self, X: Tensor) -> dict[str, Tensor]:
        """Add what it computes to a graph of ONNX's operators, for a tensor (n, n_features) of any dtype."""
        return onnx.outputs(X, self._fitted, self.inner_network_)

    def dtype_in_onnx(self, dtype: np.dtype) -> np.dtype:
        """Dtype of a regressor's output there, where arithmetic is of a dtype."""
        return self._fitted.standardization.dtype_of_outputs(dtype)
