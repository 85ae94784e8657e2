"""Compiling ahead: small runs of each kind, after which what they compile lies in the cache folder.

For those who build images, or don't want a course to begin with waiting. Kernels that are made for the sizes
of one network (those of GPUs) are not among them: nobody knows which sizes will come.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, product
from typing import Any

import numpy as np
from scipy import sparse

from ..checks.arguments import check_choice
from ..compiler.caching import cache_folder
from ..compiler.compile_events import compiling_watched, without_collecting
from ..estimators.classifier import MLPClassifier
from ..estimators.regressor import MLPRegressor
from ..kernels.sequential import train_sgd
from ..kernels.tiny.rows import tiny_widths
from ..network import Network
from ..population import Population
from .smoke import DTYPES

EPOCHS: dict[str, Any] = {"epochs": 2, "learning_rate": 0.1, "progress": False}
N_SAMPLES, N_INPUTS, N_CLASSES = 40, 5, 3
LARGE = 128
"""Units of layers that are shared out."""
WIDE, MANY_SAMPLES = 512, 1000
"""Inputs and units whose velocity is made of recent samples, where there are so many."""


@dataclass(frozen=True)
class Warmed:
    """A kind of use in a dtype, warmed."""

    use: str
    dtype: str
    compiled: int
    """Kernels; others were in the folder already."""
    seconds: float
    folder: str
    """Where machine code is kept."""


def warm(uses: Sequence[str] = (), dtypes: Sequence[str] = DTYPES) -> Iterator[Warmed]:
    """Compile what the uses compile, one after the other; each as soon as it is done.

    Parameters
    ----------
    uses
        Names of `USES`; all by default.
    dtypes
        "float64" and "float32".

    Raises
    ------
    ValueError
        For a use or a dtype that is not known.
    OSError
        If there is no folder to keep machine code in.
    """
    for use in uses:
        check_choice("uses", use, USES)
    for dtype in dtypes:
        check_choice("dtype", dtype, DTYPES)
    folder = cache_folder(train_sgd)
    if folder is None:
        raise OSError("no folder can be written for machine code; set NUMBA_CACHE_DIR to one that can")
    return _warmed(uses or tuple(USES), dtypes, folder)


def _warmed(uses: Sequence[str], dtypes: Sequence[str], folder: str) -> Iterator[Warmed]:
    for use, dtype in product(uses, dtypes):
        compiled = count()
        started = time.perf_counter()
        with compiling_watched(partial(next, compiled)), without_collecting(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of so few epochs
            USES[use](dtype)
        yield Warmed(use, dtype, next(compiled), time.perf_counter() - started, folder)


def _samples(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.random.RandomState(0)
    X = drawn.standard_normal((N_SAMPLES, N_INPUTS)).astype(dtype)
    return X, np.arange(N_SAMPLES) % N_CLASSES


def _network(dtype: str, n_hidden: int = 4, **options: Any) -> Network:
    of = {"loss": "categorical_cross_entropy", "random_state": 0, "dtype": dtype, **options}
    return Network((N_INPUTS, n_hidden, N_CLASSES), **of)


def _networks(dtype: str) -> None:
    X, y = _samples(dtype)
    for options in (
        {"kernel": "sequential"},
        {"kernel": "blocked"},
        {"kernel": "general", "update_rule": "momentum"},
        {"kernel": "general", "update_rule": "adam"},
        {"batch_size": 8, "update_rule": "adam"},
    ):
        network = _network(dtype)
        network.fit(X, y, **EPOCHS, **options)
    for n_hidden in tiny_widths(np.dtype(dtype).itemsize):
        for rule in ("sgd", "momentum"):
            _network(dtype, n_hidden).fit(X, y, kernel="tiny", update_rule=rule, **EPOCHS)
    _network(dtype).fit(X, y, kernel="blocked", update_rule="momentum", **EPOCHS)
    _of_large_layers(dtype)
    _network(dtype).fit(sparse.csr_matrix(X), y, **EPOCHS)
    network.predict(X)
    network.forward(X[:1])
    network.evaluate(X, y)
    _network(dtype, numerics="strict").fit(X, y, kernel="sequential", **EPOCHS)


def _of_large_layers(dtype: str) -> None:
    """Kernels that the planner takes for such layers, whatever is asked for by name."""
    X, y = _samples(dtype)
    deep: dict[str, Any] = {"loss": "categorical_cross_entropy", "random_state": 0, "dtype": dtype}
    Network((N_INPUTS, LARGE, LARGE, N_CLASSES), **deep).fit(X, y, kernel="shared", **EPOCHS)
    wide = Network((WIDE, WIDE, N_CLASSES), **deep)
    X, y = np.resize(X, (MANY_SAMPLES, WIDE)) / WIDE, np.resize(y, MANY_SAMPLES)
    wide.fit(X, y, kernel="blocked", update_rule="momentum", **EPOCHS)


def _populations(dtype: str) -> None:
    X, y = _samples(dtype)
    of: dict[str, Any] = {"loss": "categorical_cross_entropy", "dtype": dtype, "random_state": 0}
    for kernel in ("lanes", "each"):
        population = Population((N_INPUTS, 4, N_CLASSES), 20, **of)
        population.fit(X, y, kernel=kernel, **EPOCHS)
    population.predict(X)
    population.evaluate(X, y)


def _streams(dtype: str) -> None:
    X, y = _samples(dtype)
    for rule in ("sgd", "adam"):
        how: dict[str, Any] = {"learning_rate": 0.1, "update_rule": rule}
        _network(dtype).fit_stream([(X, y)], standardize=True, progress=False, **how)
        learner = _network(dtype).online(**how)
        learner.learn_one(X[0], y[0])
        learner.predict_one(X[0])


def _estimators(dtype: str) -> None:
    X, y = _samples(dtype)
    for model, targets in ((MLPClassifier, y), (MLPRegressor, X[:, 0].astype(float))):
        fitted = model(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
        fitted.fit(X, targets).predict(X)
        more = {"classes": np.unique(y)} if model is MLPClassifier else {}
        anew = model(hidden_layer_sizes=(4,), random_state=0)
        anew.partial_fit(X, targets, **more)
        for i in range(3):  # the short way begins with the second row
            anew.partial_fit(X[i : i + 1], targets[i : i + 1])


USES: dict[str, Callable[[str], None]] = {
    "networks": _networks,
    "populations": _populations,
    "streams": _streams,
    "estimators": _estimators,
}
"""What is run for each use, for a dtype."""
