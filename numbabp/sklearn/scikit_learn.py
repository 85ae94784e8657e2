"""What of scikit-learn's insides is built on, and whether it is what was known.

Methods and classes that begin with an underscore may change with any release. The releases below were read
and have the same training, line by line; with any other one a few small fits are compared first. If they
differ, or can't be made, training goes through scikit-learn's own code.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import sklearn
from sklearn import neural_network

try:
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
except ImportError:  # a later release
    AdamOptimizer = SGDOptimizer = None

__all__ = ["AdamOptimizer", "SGDOptimizer", "trains_as_known"]

KNOWN_RELEASES = ("1.7.", "1.8.", "1.9.")
TRIED: tuple[dict[str, Any], ...] = (
    {"solver": "adam", "alpha": 0.1},
    {"solver": "sgd", "batch_size": 7, "activation": "tanh", "learning_rate": "invscaling"},
    {"solver": "sgd", "nesterovs_momentum": False, "activation": "logistic", "early_stopping": True},
    {"solver": "lbfgs", "activation": "identity"},
)
"""Settings to compare unknown releases by."""
TOLERANCE = 1e-6
"""Of the parameters; where the arithmetic is the same they agree to 1e-14."""


@cache
def trains_as_known(mixin: type) -> bool:
    """Whether the compiled loops do what the installed scikit-learn does; if not, a warning says so.

    Parameters
    ----------
    mixin
        The class with the compiled loops. It asks `_may_compile` for leave to use them.
    """
    if sklearn.__version__.startswith(KNOWN_RELEASES) or _agree(mixin):
        return True
    warnings.warn(
        f"scikit-learn {sklearn.__version__} trains in another way than the releases that numbabp.sklearn "
        f"knows ({', '.join(release + 'x' for release in KNOWN_RELEASES)}): fits run through scikit-learn's "
        "own code, with its results and at its speed.",
        stacklevel=3,
    )
    return False


def _agree(mixin: type) -> bool:
    """Whether both give the same parameters, losses and numbers of epochs on a few small fits."""
    namespace = {"_may_compile": lambda self: True}
    theirs = neural_network.MLPClassifier, neural_network.MLPRegressor
    pairs = [(cls, type(cls.__name__, (mixin, cls), namespace)) for cls in theirs]
    rng = np.random.RandomState(0)
    X, weights = rng.standard_normal((40, 3)), rng.uniform(0.5, 2, 40)
    targets = np.digitize(X[:, 0], [-0.4, 0.4]), X[:, 0] * X[:, 1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return all(
                _same(*(_result(cls, settings, X, y, weights) for cls in pair))
                for settings in TRIED
                for pair, y in zip(pairs, targets, strict=True)
            )
    except Exception:  # whatever a release that nobody knows may raise
        return False


def _result(
    cls: Callable[..., Any], settings: dict[str, Any], X: np.ndarray, y: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    model = cls(hidden_layer_sizes=(4, 3), max_iter=4, random_state=0, **settings)
    model.fit(X, y, sample_weight=weights)
    arrays = [*model.coefs_, *model.intercepts_, [model.loss_, model.n_iter_]]
    return np.concatenate([np.ravel(array) for array in arrays])


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE))
