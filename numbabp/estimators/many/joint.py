"""Estimators of one kind fitted at once, as a population: what a search and an ensemble share."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from ...devices.placement import beside, module_of, where
from ...errors import DivergenceError
from ...history import PopulationHistory
from ...planning.plan import Plan
from ...population import Population, fit_until
from ...training.checkpoints.keeper import Checkpoint
from ...training.population_setup import PER_NETWORK
from ...training.state import draw_order_seed
from ..base import BaseMLP
from ..parameters import LBFGS, batch_size_of, rate_falls_to_zero, run_options, schedule
from ..training import beginning, fitting
from ..training.beginning import begin_like, with_counts
from ..training.convergence import warn_unless_converged
from ..training.diagnosis import warn_unless_learnt
from ..training.fitting import Fitting


class ApartError(ValueError):
    """Of networks that no kernel trains together where they are to be trained, whatever each is by itself."""


def why_alone(model: BaseMLP, X: Any) -> str:
    """What a population does not do as the estimator does, or ""."""
    # whatever a subclass does, it would not be done
    if type(model).fit is not BaseMLP.fit:
        return f"{type(model).__name__} has a fit of its own"
    # networks would end or go on by themselves
    for name in ("early_stopping", "warm_start"):
        if getattr(model, name):
            return f"{name}={getattr(model, name)!r}"
    if model.solver == LBFGS:
        return f"solver={LBFGS!r}"
    if model.learning_rate == "adaptive":
        return "learning_rate='adaptive'"
    # what is recorded of all networks is allocated beforehand
    if model.max_iter != "auto" and model.max_iter > fitting.EPOCHS_A_CALL:
        return f"max_iter={model.max_iter}, more than {fitting.EPOCHS_A_CALL}"
    # kernels of populations have plain steps for it, one a sample
    if sparse.issparse(X) and (model.solver != "sgd" or batch_size_of(model, X.shape[0]) > 1):
        return f"X is sparse with solver={model.solver!r} and batch_size={model.batch_size!r}"
    return ""


def begin(
    models: Sequence[BaseMLP], X: Any, y: Any, sample_weight: Any, bootstraps: Any = None
) -> list[Fitting]:
    """Do what the fit of each model does before the first step; `bootstraps` draws samples for each.

    The samples are checked and encoded once for all.
    """
    with where(X):
        first = beginning.begin(models[0], X, y, sample_weight)
        fittings = [first, *(begin_like(first, model) for model in models[1:])]
        if bootstraps is None:
            return fittings
        n = len(first.samples.Y)
        drawn = [np.bincount(bootstraps.randint(n, size=n), minlength=n) for _ in models]
        return [with_counts(*pair) for pair in zip(fittings, drawn, strict=True)]


def train_together(
    fittings: Sequence[Fitting],
    n_threads: int | None = None,
    stop: threading.Event | None = None,
    checkpoint: Checkpoint | None = None,
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
    fittings
        As from `begin`.
    n_threads : int, optional
        At most; by default all that there are.
    stop : threading.Event, optional
        Ends training when it is set, by a KeyboardInterrupt.
    checkpoint : Checkpoint, optional
        Where training is kept, and gone on from.

    Raises
    ------
    ApartError
        If they are to be trained on a GPU, and no kernel there trains such networks together.
    """
    models = [each.model for each in fittings]
    first, samples = models[0], fittings[0].samples
    n = len(samples.Y)
    options = [
        {"learning_rate": each.model.learning_rate_init_, **run_options(each.model, n, each.penalty)}
        for each in fittings
    ]
    per_network = {name: np.array([own[name] for own in options]) for name in PER_NETWORK}
    population = Population.from_networks([model.inner_network_ for model in models])
    plan = _planned(population, samples.X, first, options[0])
    never = first.n_iter_no_change == np.inf or rate_falls_to_zero(first)
    how = {
        **options[0],
        **per_network,
        **schedule(first, n),
        "sample_weight": _common(samples.X, [each.samples.weights for each in fittings]),
        "epochs": first.max_iter_,
        "tol": first.tol,
        "n_iter_no_change": None if never else first.n_iter_no_change,
        "kernel": plan.kernel,
        "n_threads": n_threads,
        "checkpoint": checkpoint,
    }
    history = _train(population, models, samples.X, samples.Y, stop, how)
    for i, error in history.diverged.items():
        history.diverged[i] = fittings[i].located(error.epoch, error)
    for i, each in enumerate(fittings):
        each.record(history.loss[i, : history.n_epochs[i]])
    return population


def _planned(population: Population, X: Any, model: BaseMLP, options: dict[str, Any]) -> Plan:
    """As for one thread, so that no bit depends on how many there are."""
    try:
        return population.plan(X, epochs=model.max_iter_, **(options | {"n_threads": 1}))
    except ValueError as error:
        raise ApartError(f"{type(model).__name__}s can't be trained together: {error}") from None


def finish(fitting: Fitting, error: DivergenceError | None) -> None:
    """Raise or warn as the fit of the model would have done in the end."""
    if error is not None:
        raise error
    model = fitting.model
    warn_unless_converged(model)
    warn_unless_learnt(model, model.inner_network_, fitting.samples)


def _train(
    population: Population,
    models: Sequence[BaseMLP],
    X: Any,
    Y: Any,
    stop: threading.Event | None,
    how: dict[str, Any],
) -> PopulationHistory:
    """Train a population in the first network's order; models get its networks, as if each had fitted."""
    generator = models[0].inner_network_.random_state
    history = fit_until(stop, population, X, Y, random_state=generator, **how)
    for model, network in zip(models, population.views(), strict=True):
        network.random_state = model.inner_network_.random_state
        if network.random_state is not generator:
            draw_order_seed(network.random_state, how["shuffle"], len(Y))  # as its own fit would have done
        model.inner_network_ = network
    return history


def _common(X: Any, weights: Sequence[Any]) -> Any:
    """Factors of the samples' steps where X lies: None, of shape (n,) for all models, or a row for each."""
    first = weights[0]
    if first is None:
        return None
    with where(X):
        if all(own is not None and bool((own == first).all()) for own in weights):  # which is faster
            return first
        return beside(X, module_of(X).stack(weights))
