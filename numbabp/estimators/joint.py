"""Estimators of one kind fitted at once, as a population: what a search and an ensemble share."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from ..devices.placement import is_on_device
from ..errors import DivergenceError
from ..population import PER_NETWORK, Population, fit_until
from ..training.state import draw_order_seed
from .base import _MLP, EPOCHS_A_CALL, _Samples


def why_alone(model: _MLP, X: Any) -> str:
    """What a population does not do as the estimator does, or ""."""
    if type(model).fit is not _MLP.fit:
        return f"{type(model).__name__} has a fit of its own"
    for name in ("early_stopping", "warm_start"):
        if getattr(model, name):
            return f"{name}={getattr(model, name)!r}"
    if model.learning_rate == "adaptive":
        return "learning_rate='adaptive'"
    if model.max_iter > EPOCHS_A_CALL:
        return f"max_iter={model.max_iter}, more than {EPOCHS_A_CALL}"
    if model.device not in ("auto", "cpu"):
        return f"device={model.device!r}"
    if is_on_device(X):
        return "X lies on a GPU"
    if sparse.issparse(X) and not model._takes_sparse(X.shape[0]):
        return f"X is sparse with solver={model.solver!r} and batch_size={model.batch_size!r}"
    return ""


def begin(
    models: Sequence[_MLP], X: Any, y: Any, weights: Sequence[Any]
) -> tuple[_Samples, list[np.ndarray | None]]:
    """Do what the fit of each model does before the first step, with sample weights of its own.

    Returns
    -------
    The samples, checked and encoded once for all; and the factors of the samples' steps for each model.
    """
    first = models[0]
    samples = first._begin(X, y, weights[0])
    others = zip(models[1:], weights[1:], strict=True)
    return samples, [samples.weights, *(model._begin_like(first, samples, own) for model, own in others)]


def train_together(
    models: Sequence[_MLP],
    samples: _Samples,
    weights: Sequence[np.ndarray | None],
    n_threads: int | None = None,
    stop: threading.Event | None = None,
) -> Population:
    """Train models that have begun as one population.

    Each takes the steps that its own fit would, from its own initial weights with its own learning rate,
    momentum and alpha; in all else the models must be alike. All take the order of samples of the first:
    models with the same random state and architecture have drawn the same initial weights, and would draw the
    same order by themselves.

    Afterwards the networks' parameters are the rows of the population's, and each model has what `fit` would
    have left; what it would have raised, `finish` does.

    Parameters
    ----------
    models, samples, weights
        As from `begin`.
    n_threads : int, optional
        At most; by default all that there are.
    stop : threading.Event, optional
        Ends training when it is set.
    """
    first, n = models[0], len(samples.Y)
    options = [{"learning_rate": model.learning_rate_init_, **model._step_options(n)} for model in models]
    per_network = {name: np.array([own[name] for own in options]) for name in PER_NETWORK}
    population = Population.from_networks([model.network_ for model in models])
    # chosen as for one thread, so that no bit depends on how many there are
    plan = population.plan(samples.X, epochs=first.max_iter, **(options[0] | {"n_threads": 1}))
    history = fit_until(
        stop,
        population,
        samples.X,
        samples.Y,
        sample_weight=_common(weights),
        epochs=first.max_iter,
        shuffle=bool(first.shuffle),
        random_state=first.network_.random_state,
        tol=first.tol,
        n_iter_no_change=None if first.n_iter_no_change == np.inf else first.n_iter_no_change,
        kernel=plan.kernel,
        n_threads=n_threads,
        **first._schedule(n),
        **(options[0] | per_network),
    )
    order_drawn_by = first.network_.random_state
    for i, (model, network) in enumerate(zip(models, population.views(), strict=True)):
        network.random_state = model.network_.random_state
        if network.random_state is not order_drawn_by:
            draw_order_seed(network.random_state, bool(model.shuffle))  # as its own fit would have done
        model.network_ = network
        model._record(n, history.loss[i, : history.n_epochs[i]])
    return population


def finish(model: _MLP, error: DivergenceError | None) -> None:
    """Raise or warn as the fit of the model would have done in the end."""
    if error is not None:
        raise error
    model._warn_unless_converged()


def _common(weights: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Factors of the samples' steps: None, of shape (n,) for all models, or a row for each."""
    first = weights[0]
    if first is None:
        return None
    if all(own is not None and np.array_equal(own, first) for own in weights):  # which is faster
        return first
    return np.array(weights)
