"""`MLPClassifier`: for labels."""

from typing import Any, cast

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted

from ..checks.host_samples import check_nothing_masked
from ..devices.placement import beside, gpu_of, is_on_device, module_of, on_host, where_X_lies
from .base import BaseMLP
from .documentation import ATTRIBUTES, PARAMETERS, documented
from .parameters import takes_epochs
from .targets import Labels, has_several_labels
from .validation import check_data, dense_targets


@documented(parameters=PARAMETERS, attributes=ATTRIBUTES)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Classifier: a multi-layer perceptron trained sample by sample.

    {parameters}
    class_weight : dict, "balanced" or list of dict, optional
        Factors of the weights of each class's samples: by label, or n / (n_classes * samples of the class).
        For several labels a sample a list, one dict a label. As with sample_weight, only ratios count.
    loss : str, default="auto"
        "auto" is binary cross-entropy for two classes and for several labels a sample, categorical
        cross-entropy for more classes. Or "binary_cross_entropy", "categorical_cross_entropy",
        "squared_error", "absolute_error", "huber".
    output_activation : {"sigmoid", "softmax"}, optional
        By default what belongs to the loss, or softmax for more than two classes, else sigmoid.
    init : str, default="glorot_uniform"
        Initial weights, as in `Network`.
    bias_init : {"uniform", "zeros"}, default="uniform"
        Initial biases: within sqrt(6 / (fan_in + fan_out)) of zero, as scikit-learn's, or zero.

    {attributes}
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of the columns of `predict_proba`. With only one in y, a warning says so, and it
        is what is predicted, with probability 1.

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
        alpha: float | str = "auto",
        batch_size: int | str = 1,
        learning_rate: Any = "auto",
        learning_rate_init: float | str = "auto",
        power_t: float = 0.5,
        max_iter: int | str = "auto",
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
        bias_init: str = "uniform",
        standardize: bool = True,
        device: str = "auto",
        checkpoint: Any = None,
    ) -> None:
        self._keep(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def classes_(self) -> np.ndarray:
        """Labels in the order of the columns of `predict_proba`."""
        return self._labels.classes

    @property
    def has_several_labels(self) -> bool:
        """Whether it was fitted to a 0/1 matrix of several labels a sample."""
        return self._labels.multilabel

    @property
    def _labels(self) -> Labels:
        return cast(Labels, self._fitted.targets)

    def _are_classes(self, classes: Any) -> bool:
        """Whether these are the labels of training, in any order; most often they come as they did then."""
        present = self.classes_
        return np.array_equal(classes, present) or np.array_equal(unique_labels(classes), present)

    @available_if(takes_epochs)
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
        first = not hasattr(self, "inner_network_")
        classes = on_host(classes)
        # later parts may have labels that this one lacks, and a network has its outputs from the start
        if first and classes is None and not has_several_labels(y):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        # scikit-learn lets later calls repeat them
        if not first and classes is not None and not self._are_classes(classes):
            raise ValueError(
                f"classes={np.asarray(classes).tolist()} is not the same as in the first call: "
                f"{self.classes_.tolist()}."
            )
        return self._partial_fit(X, y, sample_weight, X_val, y_val, classes)

    @where_X_lies
    def predict(self, X: Any) -> Any:
        """Labels of shape (n,), or 0 and 1 of shape (n, n_labels) for several labels a sample.

        For an X on a GPU they are CuPy's and lie there, but labels that are no numbers are NumPy's.
        """
        outputs = self.outputs(X)
        return self._labels.decode(outputs)

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
        check_nothing_masked("y", y)
        check_nothing_masked("sample_weight", sample_weight)
        if not is_on_device(X) or not self._labels.numeric:
            return super().score(X, dense_targets(y), sample_weight)
        X, y, sample_weight = check_data(self, X, y, sample_weight, reset=False)
        right = self._labels.decode(self.outputs(X)) == beside(X, y)
        if self._labels.multilabel:
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
            For two classes the log-odds of the second, shape (n,), for one class its own; else of shape
            (n, n_classes).
        """
        z, _ = self._before_and_after_activation(X)
        if self._labels.multilabel or len(self.classes_) > 2:
            return z
        return z[:, -1] if self.n_outputs_ == 1 else z[:, 1] - z[:, 0]

    @where_X_lies
    def predict_proba(self, X: Any) -> Any:
        """Probabilities of shape (n, n_classes), in the order of `classes_`; on a GPU if X is."""
        z, outputs = self._before_and_after_activation(X)
        return self._labels.probabilities(z, outputs, self.out_activation_)

    @where_X_lies
    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of `predict_proba`, exact also where probabilities are too close to 0 or 1 to tell."""
        z, _ = self._before_and_after_activation(X)
        return self._labels.log_probabilities(z, self.out_activation_)
