"""What `fit` and `partial_fit` do before the first step: samples checked and encoded, a network to train."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from ...architecture import Architecture
from ...checks.arguments import check_random_state
from ...checks.host_samples import check_on_host, check_target_range
from ...devices.placement import beside, gpu_of, resolve, where_X_lies
from ...network import Network
from ...options import Options
from ...planning.planner import make_plan
from ...planning.problem import Problem
from ...samples import mean_nonzeros
from ..parameters import (
    LBFGS,
    architecture_of,
    check_parameters,
    epochs_of,
    first_rate,
    new_network,
    penalty_of,
    run_options,
    safe_rate,
    scale_of,
)
from ..standardizing import Standardization
from ..targets import Labels, Targets, check_class_weight, learn_targets, values_of
from ..validation import (
    Samples,
    check_data,
    check_validation,
    hold_out,
    n_held_out_of,
)
from ..weights import MeanWeight, normalised, rows_with_weight, times
from .convergence import Pace
from .fitting import Fitted, Fitting


@where_X_lies
def begin(
    model: BaseEstimator,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    X_val: Any = None,
    y_val: Any = None,
    fitted: Fitted | None = None,
) -> Fitting:
    """Do what `fit` does before the first step; `fitted` is what it goes on from, None for a new network."""
    check_parameters(model)
    targets = None if fitted is None else fitted.targets
    targets, samples = _encoded(model, X, y, sample_weight, targets)
    samples = _with_validation(model, targets, samples, X_val, y_val)
    if samples.validation is not None and not model.early_stopping:
        raise ValueError("X_val and y_val are for early_stopping=True, but early_stopping is False.")
    generator = check_random_state(model.random_state)
    # after all checks, since it draws
    if model.early_stopping and samples.validation is None:
        n_held_out = n_held_out_of(model.validation_fraction, len(samples.Y))
        strata = targets.strata(samples.y, n_held_out)
        samples = hold_out(samples, n_held_out, strata, generator)
    return _start(model, samples, targets, generator if fitted is None else fitted)


@where_X_lies
def begin_epoch(
    model: BaseEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    X_val: Any,
    y_val: Any,
    classes: Any,
    fitted: Fitted | None,
) -> Fitting:
    """Do what `partial_fit` does before its epoch; `classes` are for a new network, which is not `fitted`."""
    check_parameters(model)
    targets = None if fitted is None else fitted.targets
    targets, samples = _encoded(model, X, y, sample_weight, targets, (classes,))
    samples = _with_validation(model, targets, samples, X_val, y_val)
    # how long it has waited is for the caller's next call, too
    if fitted is not None:
        return _start(model, samples, targets, fitted, fitted.pace, in_parts=True)
    generator = check_random_state(model.random_state)
    return _start(model, samples, targets, generator, in_parts=True)


def with_counts(fitting: Fitting, counts: np.ndarray) -> Fitting:
    """The same with samples that each occur `counts` times, none where that is 0; what else there is stays.

    They stay where they are, with weights of 0, so that many networks can be trained on different ones.
    """
    samples, rows = fitting.samples, np.flatnonzero(counts)
    own = samples.of_rows(rows)
    weights = times(own.sample_weight, beside(samples.X, counts[rows].astype(float)))
    weights = _weights(fitting.model, fitting.fitted.targets, own.y, weights)
    factors = normalised(weights, len(rows), MeanWeight().and_of(weights, len(rows)), samples.X.dtype)
    of_all = beside(samples.X, np.zeros(len(counts), samples.X.dtype))
    of_all[beside(of_all, rows)] = 1.0 if factors is None else factors
    return replace(fitting, samples=replace(samples, weights=of_all))


def begin_like(other: Fitting, model: BaseEstimator) -> Fitting:
    """Do what `begin` does for a new network, with samples that it has checked for a model like this.

    They have been standardised, too.
    """
    check_parameters(model)
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(other.model, name):
            setattr(model, name, getattr(other.model, name))
    samples, targets = other.samples, other.fitted.targets
    samples = replace(samples, weights=_weights(model, targets, samples.y, samples.sample_weight))
    generator = check_random_state(model.random_state)
    return _start(model, samples, targets, generator, standardization=other.fitted.standardization)


def _encoded(
    model: BaseEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    targets: Targets | None,
    of_stream: tuple[Any] | None = None,
) -> tuple[Targets, Samples]:
    """What the targets are, if that is not known, and the samples of some weight, checked and encoded.

    Their weights are not divided by their mean yet. `of_stream` is for a part of a stream, and has the
    `classes` of the whole.
    """
    if model.solver == LBFGS:
        check_on_host("X", X)
    X, y, sample_weight = check_data(model, X, y, sample_weight, reset=targets is None)
    samples = Samples(X, y, None, None, np.arange(X.shape[0]), y, sample_weight)  # not yet encoded
    samples = _of_some_weight(samples, sample_weight)
    classes = None if of_stream is None else of_stream[0]
    learned = learn_targets(model, samples.y, classes) if targets is None else targets
    if isinstance(learned, Labels) and not learned.multilabel:
        anew = targets is None and classes is None
        check_class_weight(model.class_weight, values_of(y) if anew else learned.classes)
    weights = _weights(model, learned, samples.y, samples.sample_weight, of_stream is not None)
    n = len(samples.y)
    samples = _of_some_weight(replace(samples, weights=weights), weights)
    # a class of weight 0 is none
    if targets is None and len(samples.y) < n:
        learned = learn_targets(model, samples.y, classes)
    return learned, replace(samples, Y=beside(X, _targets(model, learned, "y", samples.y)))


def _of_some_weight(samples: Samples, weights: Any) -> Samples:
    rows = rows_with_weight(weights)
    return samples if rows is None else samples.of_rows(rows)


def _with_validation(
    model: BaseEstimator, targets: Targets, samples: Samples, X_val: Any, y_val: Any
) -> Samples:
    """Beside what has been given for validation."""
    X_val, y_val = check_validation(model, samples.X, X_val, y_val)
    if X_val is None:
        return samples
    return replace(samples, validation=(X_val, beside(X_val, _targets(model, targets, "y_val", y_val)), None))


def _targets(model: BaseEstimator, targets: Targets, name: str, y: Any) -> Any:
    """Encoded, and within what the loss takes: labels always are."""
    Y = targets.encode(name, y)
    if model.loss == "poisson":
        check_target_range(name, model.loss, float(Y.min()), float(Y.max()))
    return Y


def _weights(
    model: BaseEstimator, targets: Targets, y: Any, sample_weight: Any, partial: bool = False
) -> Any:
    """Weights of the samples, as far as users give them; regressors have no class_weight."""
    factors = targets.class_factors(y, getattr(model, "class_weight", None), partial)
    return times(sample_weight, beside(y if sample_weight is None else sample_weight, factors))


def _start(
    model: BaseEstimator,
    samples: Samples,
    targets: Targets,
    goes_on_from: Fitted | np.random.RandomState,
    pace: Pace | None = None,
    in_parts: bool = False,
    standardization: Standardization | None = None,
) -> Fitting:
    """Give the model a new network, drawn from a generator, or go on with the present one.

    Without a pace, what decides when training ends is forgotten. A standardization is what the samples have
    been through already.
    """
    X, Y = samples.X, samples.Y
    goes_on = isinstance(goes_on_from, Fitted)
    fitted = goes_on_from if isinstance(goes_on_from, Fitted) else None
    # of a stream, what came before counts, too
    mean_weight = fitted.mean_weight if in_parts and fitted is not None else MeanWeight()
    mean_weight = mean_weight.and_of(samples.weights, len(Y))
    weights = normalised(samples.weights, len(Y), mean_weight, X.dtype)
    counted = mean_weight.counted(weights, len(Y), X)
    samples = replace(samples, weights=beside(X, weights))
    architecture = architecture_of(model, X.shape[1], targets)
    penalty = penalty_of(model, Y, samples.weights, in_parts)
    _check_plan(model, samples, architecture, penalty)  # before anything changes
    if fitted is not None:
        _check_unchanged(model.inner_network_, architecture)
        _check_standardized_alike(model, fitted.standardization)
    if standardization is None:
        standardization = _standardization(model, samples, counted, architecture, fitted)
        samples = _standardized(samples, standardization)
    if fitted is None:
        model.inner_network_ = new_network(model, architecture, X.dtype, goes_on_from)
        _begin_record(model, architecture)
    # standardised targets have none
    is_asked = model.learning_rate_init == "auto" and standardization.targets is None
    largeness = targets.largeness(model.loss, Y, weights) if is_asked else 1.0
    scale = scale_of(model, samples.X, largeness, samples.weights, counted)
    if in_parts and fitted is not None:
        scale = fitted.scale.merged(scale)
    safe = safe_rate(model, scale, in_parts)
    # what "auto" stands for is fixed by the samples of the first `fit`; in a stream none fix it
    if model.learning_rate_init != "auto":
        model.learning_rate_init_ = float(model.learning_rate_init)
    elif fitted is None or in_parts:
        model.learning_rate_init_ = first_rate(model, safe, scale)
    if pace is None:
        pace = Pace(model.learning_rate_init_)
        model.should_stop_ = False
    # also for a stream, in whose schedule every part is an epoch
    if not (in_parts and goes_on and model.max_iter == "auto"):
        model.max_iter_ = epochs_of(model, len(Y), safe)
    model.n_iter_ = 0
    fitted = Fitted(targets, pace, mean_weight, standardization, scale)
    model._fitted = fitted  # the estimator's own, which it hands in when it goes on
    if model.solver != LBFGS and model.batch_size != "auto" and model.batch_size > len(Y):
        warnings.warn(
            f"batch_size={model.batch_size} is more than the {len(Y)} samples, which make one batch.",
            stacklevel=3,
        )
    return Fitting(model, samples, fitted, penalty, in_parts)


def _standardization(
    model: BaseEstimator, samples: Samples, weights: Any, architecture: dict[str, Any], fitted: Fitted | None
) -> Standardization:
    """What the samples to be trained with go through, beside those that a model has seen before."""
    on = samples.X, samples.Y, weights
    if fitted is not None:
        return fitted.standardization.with_more(*on)
    if not model.standardize:
        return Standardization()
    # other outputs than sums, and exponentials of sums, have a range of their own
    of_counts = architecture["loss"] == "poisson"
    has_no_range = architecture["output_activation"] == "identity" or of_counts
    return Standardization.of(*on, isinstance(model, RegressorMixin) and has_no_range, of_counts)


def _standardized(samples: Samples, by: Standardization) -> Samples:
    validation = samples.validation
    if validation is not None:
        X, Y, weights = validation
        validation = (by.of_inputs(X), by.of_targets(Y), weights)
    return replace(samples, X=by.of_inputs(samples.X), Y=by.of_targets(samples.Y), validation=validation)


def _check_plan(model: BaseEstimator, samples: Samples, architecture: dict[str, Any], penalty: float) -> None:
    """Raise what training on a GPU would raise, if it is one that is asked for."""
    X, n = samples.X, len(samples.Y)
    place = resolve(model.device, gpu_of({"X": X}))
    if place.device is not None:
        how = Options(**run_options(model, n, penalty))
        of = Architecture.checked(**architecture, dtype=X.dtype)
        make_plan(Problem(of, n, epochs_of(model, n), how, place, mean_nonzeros(X), with_l2=how.l2 > 0))


def _check_unchanged(network: Network, architecture: dict[str, Any]) -> None:
    """Raise unless the network is what the parameters ask for."""
    present = {
        "layer_sizes": network.layer_sizes,
        "hidden_activation": list(network.activations[:-1]),
        "output_activation": network.activations[-1],
        "loss": network.loss,
        "quantile": network.quantile,
    }
    for name, value in architecture.items():
        if value != present[name]:
            raise ValueError(
                f"training goes on with a network of {name}={present[name]!r}, but the "
                f"parameters now ask for {value!r}; fit with warm_start=False begins anew."
            )


def _check_standardized_alike(model: BaseEstimator, present: Standardization) -> None:
    if model.standardize != (present.inputs is not None):
        raise ValueError(
            f"training goes on with a network of standardize={not model.standardize}, but the parameters now "
            f"ask for {model.standardize}; fit with warm_start=False begins anew."
        )


def _begin_record(model: BaseEstimator, architecture: dict[str, Any]) -> None:
    """scikit-learn's attributes, before the first step of a new network."""
    model.t_ = 0
    model.loss_ = np.nan
    model.loss_curve_ = []
    model.best_loss_ = None
    model.validation_scores_ = None
    model.best_validation_score_ = None
    model.n_layers_ = len(architecture["layer_sizes"])
    model.n_outputs_ = architecture["layer_sizes"][-1]
    output_activation = architecture["output_activation"]
    model.out_activation_ = "logistic" if output_activation == "sigmoid" else output_activation
