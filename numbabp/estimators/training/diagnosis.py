"""Whether a network has learnt anything, and if not, why: what a fit warns of in the end.

Looked at is a sample of the rows that it was trained with, so that it costs next to nothing.
"""

from typing import Any

import numpy as np
from scipy.special import xlogy
from sklearn.base import BaseEstimator

from ...architecture import Architecture
from ...devices.placement import beside, on_host, where
from ...network import Network
from ..parameters import LBFGS
from ..validation import Samples
from .supervision import warn_of_fit

MOST_ROWS = 1000
"""Rows that are looked at."""
LEARNT = 1e-3
"""By what part of a constant's loss that of a network is to be lower."""
ALIKE = 1e-6
"""Outputs of a standardised network, or probabilities, that differ by less are the same."""


def warn_unless_learnt(model: BaseEstimator, network: Network, samples: Samples) -> None:
    """Warn, at the line that called the caller, of predictions that are of no use; says what to change."""
    message = _finding(model, network, samples)
    if message:
        warn_of_fit(f"{type(model).__name__}: {message}", stacklevel=3)


def _finding(model: BaseEstimator, network: Network, samples: Samples) -> str:
    """What there is to say, or nothing."""
    with where(samples.X):
        X, Y, weights = _some_rows(samples)
    if (Y[:1] == Y).all():  # then a constant is right
        return ""
    outputs = network.forward(X)
    if not np.isfinite(outputs).all():
        return "predictions are not finite. A smaller learning_rate_init, or standardize=True, may help."
    unscaled = "" if model.standardize else " standardize=True takes columns of any scale."
    is_lbfgs = model.solver == LBFGS
    if (np.ptp(outputs, axis=0) < ALIKE).all():
        layer = dead_layer(network, X)
        if not layer:
            return (
                f"predictions are the same for every sample after {_passes(model)} with "
                f"{'' if is_lbfgs else f'learning_rate_init={model.learning_rate_init_:g}, '}"
                f"init={model.init!r} and alpha={model.alpha!r}: change one of them." + unscaled
            )
        smaller = f"a smaller learning_rate_init than {model.learning_rate_init_:g}"
        if is_lbfgs:
            smaller = f"a smaller alpha than {model.alpha!r}, another init"
        return (
            f"all units of hidden layer {layer} put out the same for every sample, and so do predictions: "
            f"{smaller}, or an activation other than {network.activations[layer - 1]!r}, keeps them alive."
            + unscaled
        )
    loss, of_constant = network.evaluate(X, Y, weights)["loss"], _loss_of_constant(network, Y, weights)
    if loss < (1 - LEARNT) * of_constant:
        return ""
    if is_lbfgs:
        return (
            f"after {_passes(model)} predictions are no better than a constant, even of samples it was "
            f"trained with: raise max_iter ({model.max_iter_}), lower tol ({model.tol:g}) or alpha "
            f"({model.alpha!r}), or take another init, unless X tells nothing of y." + unscaled
        )
    if model.should_stop_ and model.n_iter_ < model.max_iter_:
        return (
            f"training stopped after {model.n_iter_} epochs, before it had learnt: predictions are no "
            f"better than a constant. It stops when loss does not fall by tol={model.tol:g} for "
            f"n_iter_no_change={model.n_iter_no_change} epochs: raise that, set tol=0, or take "
            "learning_rate='auto', which goes on to max_iter." + unscaled
        )
    falls = len(model.loss_curve_) > 1 and model.loss_curve_[-1] < model.loss_curve_[0]
    change = "raise max_iter or" if falls or loss < (1 + LEARNT) * of_constant else "lower"
    return (
        f"after {model.n_iter_} epochs predictions are no better than a constant, even of samples it was "
        f"trained with: {change} learning_rate_init ({model.learning_rate_init_:g}), or lower alpha "
        f"({model.alpha!r}), unless X tells nothing of y." + unscaled
    )


def _passes(model: BaseEstimator) -> str:
    return f"{model.n_iter_} {'iterations' if model.solver == LBFGS else 'epochs'}"


def _some_rows(samples: Samples) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Rows at equal distances, of those with a weight, in the host's memory."""
    weights = on_host(samples.weights)
    rows = np.arange(len(samples.Y)) if weights is None else np.flatnonzero(weights)
    rows = rows[:: -(-len(rows) // MOST_ROWS)]
    X, Y = (on_host(values[beside(values, rows)]) for values in (samples.X, samples.Y))
    return X, Y, None if weights is None else weights[rows]


def dead_layer(network: Network, X: Any) -> int:
    """The first hidden layer, from 1, all of whose units put out the same for every sample; else 0."""
    for layer in range(1, len(network.layer_sizes) - 1):
        architecture = Architecture.checked(
            network.layer_sizes[: layer + 1],
            network.activations[: layer - 1],
            network.activations[layer - 1],
            "squared_error",
            network.dtype,
        )
        first_layers = Network.of(architecture, network.parameters[: architecture.n_parameters])
        if (np.ptp(first_layers.forward(X), axis=0) < ALIKE).all():
            return layer
    return 0


def _loss_of_constant(network: Network, Y: np.ndarray, weights: np.ndarray | None) -> float:
    """Mean loss of the best constant output, or of one that is about the best."""
    mean = np.average(Y, axis=0, weights=weights)
    if network.loss.endswith("cross_entropy"):
        p = np.stack([mean, 1 - mean]) if network.loss.startswith("binary") else mean
        return float(-(p * np.log(np.where(p > 0, p, 1.0))).sum())
    if network.loss == "poisson":
        # - Y + mean is 0 on average
        with np.errstate(divide="ignore", invalid="ignore"):
            of_rows = xlogy(Y, Y / np.where(mean > 0, mean, 1.0)).sum(axis=1)
        return float(np.average(of_rows, weights=weights))
    best = mean if network.loss == "squared_error" else _quantile(Y, network.quantile, weights)
    residuals = np.abs(Y - best)
    if network.loss == "absolute_error":
        losses = residuals
    elif network.loss == "quantile":
        losses = residuals * np.where(best < Y, network.quantile, 1 - network.quantile)
    else:
        losses = residuals**2 / 2
        if network.loss == "huber":
            losses = np.where(residuals > 1, residuals - 0.5, losses)
    return float(np.average(losses.sum(axis=1), weights=weights))


def _quantile(Y: np.ndarray, level: float, weights: np.ndarray | None) -> np.ndarray:
    """Of every column the least of its numbers up to which lies this part of the weight."""
    order = np.argsort(Y, axis=0)
    of_rows = np.ones(len(Y)) if weights is None else weights.astype(float)
    below = np.cumsum(of_rows[order], axis=0)
    places = (below < level * below[-1]).sum(axis=0)
    return np.take_along_axis(np.take_along_axis(Y, order, axis=0), places[np.newaxis], axis=0)[0]
