"""`partial_fit` of one row again and again: 1,300 us a call by the way of many rows, some 52 us by this one.

A row goes this way where an earlier call of `partial_fit` has checked the same parameters, and where all
about it is usual; what is not is left, unchanged, to the way of many. What comes of it is the same, to the
last bit.
"""

from dataclasses import dataclass
from operator import is_, itemgetter
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ...history import History
from ..parameters import Scale, first_rate, penalty_of, rates, run_options, safe_rate, schedule_name
from ..weights import MeanWeight
from .convergence import Watch
from .fitting import Fitted

SEQUENCES = ("hidden_layer_sizes", "activation")
"""Parameters that may be lists, which may be changed in place."""


@dataclass(frozen=True)
class Settings:
    """Parameters of an estimator with which a call has trained, and what they come to for one row."""

    names: tuple[str, ...]
    values: tuple[Any, ...]
    lists: tuple[tuple[list[Any], list[Any]], ...]
    """Those of the values that are lists, and copies."""
    options: dict[str, Any]
    """How to take a step, for `Network.learn_row`, but for the rate."""

    @classmethod
    def of(cls, model: BaseEstimator) -> "Settings | None":
        """None where a row takes more than `learn_row` does."""
        has_weights = getattr(model, "class_weight", None) is not None  # regressors have none
        if has_weights or model.batch_size not in (1, "auto") or model.device not in ("auto", "cpu"):
            return None
        given = [getattr(model, name) for name in SEQUENCES]
        if not all(isinstance(value, int | str | tuple | list) for value in given):
            return None
        names = tuple(model.get_params(deep=False))
        lists = tuple((value, value.copy()) for value in given if isinstance(value, list))
        options = run_options(model, 1, penalty_of(model, np.empty((1, 1)), None, True))
        return cls(names, itemgetter(*names)(vars(model)), lists, options)

    def are_of(self, model: BaseEstimator) -> bool:
        """Whether they still are the model's."""
        present = itemgetter(*self.names)(vars(model))
        return all(map(is_, present, self.values)) and all(now == then for now, then in self.lists)


def learn_row(model: BaseEstimator, X: Any, y: Any, fitted: Fitted) -> Fitted | None:
    """`partial_fit` without weights or validation: what the model is then `fitted` to.

    None for what is not usual; then nothing is changed.
    """
    settings = model.settings_of_rows
    if settings is None or not settings.are_of(model) or "feature_names_in_" in vars(model):
        return None
    if fitted.mean_weight.mean != 1.0 or fitted.mean_weight.unit != 1.0:
        return None
    x, target = _row(X, model.n_features_in_), _target(y, fitted)
    if x is None or target is None:
        return None
    standardized = fitted.standardization.with_row(x, target)
    if standardized is None:
        return None
    standardization, x, Y = standardized
    is_asked = model.learning_rate_init == "auto"
    # standardised targets have none
    has_largeness = is_asked and standardization.targets is None
    largeness = fitted.targets.largeness(model.loss, target, None) if has_largeness else 1.0
    scale = fitted.scale.merged(Scale.of_row(x, largeness))
    first = len(model.loss_curve_)
    before = model.learning_rate_init_
    if is_asked:
        model.learning_rate_init_ = first_rate(model, safe_rate(model, scale, True), scale)
    history: History | None = None
    try:
        rate = model.learning_rate_init_
        if schedule_name(model, True) != "constant":
            rate = float(rates(model, first, 1, 1, fitted.pace.rate, True)[0])
        history = model.inner_network_.learn_row(x, Y, {**settings.options, "learning_rate": rate})
    finally:
        if history is None:
            model.learning_rate_init_ = before
    if history is None:
        return None
    model.n_iter_ = 0
    mean_weight = MeanWeight(1.0, fitted.mean_weight.n + 1, 1.0)
    Watch(model, fitted.pace, 1)(first, {"loss": float(history["loss"][0])})
    return Fitted(fitted.targets, fitted.pace, mean_weight, standardization, scale)


def _row(X: Any, n_features: int) -> np.ndarray | None:
    """A copy of shape (1, n_features), of the dtype that `check_inputs` gives, if X is one usual row."""
    if type(X) is list:
        try:
            X = np.array(X)
        except ValueError:  # of no shape
            return None
    if type(X) is not np.ndarray or X.shape != (1, n_features) or X.dtype.kind not in "biuf":
        return None
    return np.array(X, np.float32 if X.dtype.char == "f" else np.float64)


def _target(y: Any, fitted: Fitted) -> np.ndarray | None:
    """What is to come out, float64 (1, n_outputs), if y is one usual label or number."""
    if type(y) is list and len(y) == 1:
        y = np.array(y)
    if type(y) is not np.ndarray or len(y) != 1:
        return None
    return fitted.targets.of_row(y)
