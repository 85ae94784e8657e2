"""`MLPRegressor`: for numbers."""

from typing import Any

from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..checks.host_samples import check_nothing_masked
from ..devices.placement import beside, gpu_of, is_on_device, where_X_lies
from .base import BaseMLP
from .documentation import ATTRIBUTES, PARAMETERS, documented
from .parameters import takes_epochs
from .validation import check_data, dense_targets


@documented(parameters=PARAMETERS, attributes=ATTRIBUTES)
class MLPRegressor(RegressorMixin, MultiOutputMixin, BaseMLP):
    """Regressor: a multi-layer perceptron trained sample by sample.

    {parameters}
    loss : {"squared_error", "absolute_error", "huber", "poisson", "quantile"}, default="squared_error"
        Half the squared residual, its size, or half the square up to 1 and growing linearly from there on; of
        counts and other numbers >= 0 half the Poisson deviance y log(y / a) - y + a; or the pinball loss,
        least for the `quantile` of y. `score` is R^2 with all of them: for quantiles take
        `sklearn.metrics.d2_pinball_score`. The first positional parameter, as in scikit-learn.
    quantile : float, default=0.5
        For loss="quantile" its level, between 0 and 1: what part of the targets is to lie below predictions.
        Any other than 0.5 is refused with another loss.
    output_activation : str, optional
        By default "exp" for "poisson", which takes no other, and "identity" for the others, which also take
        "exp" and any of the activations of hidden layers.
    init : str, default="glorot_uniform"
        Initial weights, as in `Network`.
    bias_init : {"uniform", "zeros"}, default="uniform"
        Initial biases: within sqrt(6 / (fan_in + fan_out)) of zero, as scikit-learn's, or zero.

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
        output_activation: str | None = None,
        init: str = "glorot_uniform",
        bias_init: str = "uniform",
        quantile: float = 0.5,
        standardize: bool = True,
        device: str = "auto",
        checkpoint: Any = None,
    ) -> None:
        self._keep(locals())

    @available_if(takes_epochs)
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
        return self._partial_fit(X, y, sample_weight, X_val, y_val)

    def predict(self, X: Any) -> Any:
        """Numbers of shape (n,), or (n, n_outputs) for several targets; on a GPU if X is."""
        outputs = self.outputs(X)
        return self._fitted.targets.decode(outputs)

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
        check_nothing_masked("y", y)
        check_nothing_masked("sample_weight", sample_weight)
        if not is_on_device(X):
            return super().score(X, dense_targets(y), sample_weight)
        X, y, sample_weight = check_data(self, X, y, sample_weight, reset=False)
        targets = self._fitted.targets
        Y = beside(X, targets.encode("y", y))
        return targets.score(self.outputs(X), Y, sample_weight)
