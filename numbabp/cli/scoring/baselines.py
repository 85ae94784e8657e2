"""What a constant and a linear model reach on the rows that a network is measured on; what to change below.

A network that a linear model beats has been trained badly, or was given too little to train on: it could be
that linear model.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.pipeline import Score
from ...data.split import Split
from ...history import History

MOST_VALUES = 5_000_000
"""Rows x columns x classes that the linear model is fitted to, for a second or two; of more rows, a part."""
R2_MARGIN = 0.01
"""By so much a network's R^2 may be below a linear model's without a word."""


@dataclass(frozen=True)
class Baselines:
    """Scores on one part of the rows, fitted to the training rows.

    Attributes
    ----------
    part : str
        "test", "validation" or "training": the last that there is of training, validation, test.
    n_rows : int
        Rows of that part.
    constant, linear : Score
        Of the most frequent class or the mean, and of logistic or ridge regression on the standardised
        columns, for each target by itself; NaN for a linear model that can't be fitted.
    n_fitted : int
        Rows that the linear model was fitted to.
    """

    part: str
    n_rows: int
    constant: Score
    linear: Score
    n_fitted: int

    @classmethod
    def of(cls, split: Split, seed: int) -> "Baselines":
        """Fit both with scikit-learn's defaults."""
        from sklearn.dummy import DummyClassifier, DummyRegressor
        from sklearn.linear_model import LogisticRegression, Ridge
        from threadpoolctl import threadpool_limits

        target = split.pipeline.target
        constant: Any = DummyRegressor()
        linear: Any = Ridge()
        if target.classes is not None:
            constant = _OneEach(DummyClassifier())
            linear = _OneEach(LogisticRegression(max_iter=200))
        part, (inputs, targets) = list(split.parts.items())[-1]
        width = split.inputs.shape[1] * (1 if target.classes is None else target.n_outputs)
        most = max(1000, MOST_VALUES // width)
        rows: Any = slice(None)
        if split.n_training > most:
            rows = np.random.RandomState(seed).choice(split.n_training, most, replace=False)

        def score(model: Any, rows: Any) -> Score:
            model.fit(split.inputs[rows], split.targets[rows])
            return split.pipeline.measured(model, inputs, targets)

        # one that has not converged is a baseline, too; threads that wait for each other on a busy machine
        # took 4.5 s for digits where one takes 0.1 s
        with warnings.catch_warnings(action="ignore"), threadpool_limits(1, user_api="blas"):
            return cls(
                part,
                len(targets),
                score(constant, slice(None)),
                score(linear, rows),
                min(most, split.n_training),
            )

    def to_dict(self) -> dict[str, Any]:
        """What goes into JSON."""
        return {
            "part": self.part,
            "constant": self.constant.overall,
            "linear": self.linear.overall,
            "constant_by_target": dict(self.constant.by_target),
            "linear_by_target": dict(self.linear.by_target),
            "n_fitted_linear": self.n_fitted,
        }


class _OneEach:
    """A classifier for each target by itself."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._fitted: list[Any] = []

    def fit(self, X: np.ndarray, y: np.ndarray) -> None:
        from sklearn.base import clone
        from sklearn.dummy import DummyClassifier

        columns = list(np.atleast_2d(y.T))
        # of rows of one class scikit-learn's linear models make nothing: others are not known to be there
        models = [self._model if len(np.unique(column)) > 1 else DummyClassifier() for column in columns]
        self._fitted = [clone(model).fit(X, column) for model, column in zip(models, columns, strict=True)]

    def predict(self, X: np.ndarray) -> np.ndarray:
        predicted = [model.predict(X) for model in self._fitted]
        return predicted[0] if len(predicted) == 1 else np.column_stack(predicted)


@dataclass(frozen=True)
class Comparison:
    """A network's score beside those of simpler models.

    Attributes
    ----------
    what : str
        Such as "validation accuracy", or "validation accuracy of 'a'" for one of several targets.
    training : float
        The network's score on the rows that it has learnt.
    score, constant, linear : float
        On the part that is told of.
    margin : float
        By how much it may be below the linear model's without a word.
    """

    what: str
    training: float
    score: float
    constant: float
    linear: float
    margin: float

    @property
    def shortfall(self) -> str:
        """What it is below, or nothing; nothing, too, where a score is NaN."""
        if self.score <= self.constant:
            return f"no better than a constant's, {self.constant:.4f}"
        if self.score < self.linear - self.margin:
            return f"below a linear model's, {self.linear:.4f}"
        return ""


def comparisons(split: Split, scores: Mapping[str, Score], baselines: Baselines) -> list[Comparison]:
    """Of all targets together, then of each if there are several.

    A row more or less is chance: an accuracy may be below the linear model's by two standard errors of it,
    with a row added that is right and one that is wrong (Agresti and Coull), for those that are all right.
    """
    target, part, n_rows = split.pipeline.target, baselines.part, baselines.n_rows

    def margin(linear: float) -> float:
        if target.classes is None or math.isnan(linear):
            return R2_MARGIN
        share = (linear * n_rows + 1) / (n_rows + 2)
        return 2 * math.sqrt(share * (1 - share) / n_rows)

    def compared(what: str, name: str | None = None) -> Comparison:
        linear = baselines.linear.of(name)
        return Comparison(
            f"{part} {what}",
            scores["training"].of(name),
            scores[part].of(name),
            baselines.constant.of(name),
            linear,
            margin(linear),
        )

    each = target.names if target.are_several else ()
    return [
        compared(target.overall_metric),
        *(compared(f"{target.metric} of {name!r}", name) for name in each),
    ]


def complaint(history: History, found: Sequence[Comparison]) -> str:
    """What is wrong with a network that a baseline beats, and what to change; else empty.

    It is about the first comparison that the network loses, and names others.
    """
    lost = [comparison for comparison in found if comparison.shortfall]
    if not lost:
        return ""
    first, *others = lost
    text = f"{first.what} {first.score:.4f} is {first.shortfall}"
    if others:
        text += f" (likewise {', '.join(other.what for other in others[:3])}"
        text += f" and {len(others) - 3} more)" if len(others) > 3 else ")"
    text += f": {_advice(history, first)}."
    if first.linear <= first.constant + first.margin:
        text += " A linear model is no better, either: the columns may say little of the target."
    return text


def _advice(history: History, found: Comparison) -> str:
    """What to change, by how the loss went."""
    loss, has_stopped = history.loss, history.stop_reason == "early stopping"
    if found.training > max(found.score, found.constant) + 0.1:
        stop = "" if has_stopped else "--early-stopping, "
        return (
            f"training {found.training:.4f} is much better, so the network has learnt its rows by heart; "
            f"try {stop}a higher --l2, a lower --learning-rate, or fewer units in --hidden"
        )
    if has_stopped:
        return f"early stopping ended training after {len(loss)} epochs; try a lower --learning-rate"
    if loss[-1] > 1.05 * loss.min():
        return "the training loss has risen again; try a lower --learning-rate"
    before = loss[-1 - max(1, len(loss) // 10)] if len(loss) > 1 else math.inf
    if loss[-1] < 0.98 * before:
        return "the training loss was still falling; try more --epochs or a higher --learning-rate"
    return "try another --learning-rate, --update-rule adam, or other units in --hidden"
