"""What a constant and a linear model reach on the rows that a network is measured on; what to change below.

A network that a linear model beats has been trained badly, or was given too little to train on: it could be
that linear model.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    constant, linear : float
        Of the most frequent class or the mean, and of logistic or ridge regression on the standardised
        columns, as `Pipeline.score` has them; NaN for a linear model that can't be fitted.
    n_fitted : int
        Rows that the linear model was fitted to.
    """

    part: str
    n_rows: int
    constant: float
    linear: float
    n_fitted: int

    @classmethod
    def of(cls, split: Split, seed: int) -> "Baselines":
        """Fit both with scikit-learn's defaults."""
        from sklearn.dummy import DummyClassifier, DummyRegressor
        from sklearn.linear_model import LogisticRegression, Ridge
        from threadpoolctl import threadpool_limits

        classes = split.pipeline.classes
        constant, linear = (
            (DummyRegressor(), Ridge())
            if classes is None
            else (DummyClassifier(strategy="most_frequent"), LogisticRegression(max_iter=200))
        )
        part, (inputs, targets) = list(split.parts.items())[-1]
        width = split.inputs.shape[1] * (1 if classes is None or len(classes) == 2 else len(classes))
        most = max(1000, MOST_VALUES // width)
        rows: Any = slice(None)
        if split.n_training > most:
            rows = np.random.RandomState(seed).choice(split.n_training, most, replace=False)

        def score(model: Any, rows: Any) -> float:
            model.fit(split.inputs[rows], split.targets[rows])
            return split.pipeline.score(model, inputs, targets)

        # one that has not converged is a baseline, too; threads that wait for each other on a busy machine
        # took 4.5 s for digits where one takes 0.1 s
        with warnings.catch_warnings(action="ignore"), threadpool_limits(1, user_api="blas"):
            has_two = len(np.unique(split.targets[rows])) > 1
            return cls(
                part,
                len(targets),
                score(constant, slice(None)),
                score(linear, rows) if has_two else math.nan,
                min(most, split.n_training),
            )

    def to_dict(self) -> dict[str, Any]:
        """What goes into JSON."""
        return {
            "part": self.part,
            "constant": self.constant,
            "linear": self.linear,
            "n_fitted_linear": self.n_fitted,
        }


def complaint(split: Split, history: History, scores: dict[str, float], baselines: Baselines) -> str:
    """What is wrong with a network that a baseline beats, and what to change; else empty.

    A row more or less is chance: an accuracy may be below the linear model's by two standard errors of it,
    with a row added that is right and one that is wrong (Agresti and Coull), for those that are all right.
    """
    score, metric = scores[baselines.part], split.pipeline.metric
    margin = R2_MARGIN
    if split.pipeline.classes is not None and not math.isnan(baselines.linear):
        share = (baselines.linear * baselines.n_rows + 1) / (baselines.n_rows + 2)
        margin = 2 * math.sqrt(share * (1 - share) / baselines.n_rows)
    if score <= baselines.constant:
        than = f"no better than a constant's, {baselines.constant:.4f}"
    elif score < baselines.linear - margin:
        than = f"below a linear model's, {baselines.linear:.4f}"
    else:  # also where a score is NaN
        return ""
    found = f"{baselines.part} {metric} {score:.4f} is {than}: {_advice(history, scores, baselines)}."
    if baselines.linear <= baselines.constant + margin:
        found += " A linear model is no better, either: the columns may say little of the target."
    return found


def _advice(history: History, scores: dict[str, float], baselines: Baselines) -> str:
    """What to change, by how the loss went."""
    loss, has_stopped = history.loss, history.stop_reason == "early stopping"
    if scores["training"] > max(scores[baselines.part], baselines.constant) + 0.1:
        stop = "" if has_stopped else "--early-stopping, "
        return (
            f"training {scores['training']:.4f} is much better, so the network has learnt its rows by heart; "
            f"try {stop}--l2, a lower --learning-rate, or fewer units in --hidden"
        )
    if has_stopped:
        return f"early stopping ended training after {len(loss)} epochs; try a lower --learning-rate"
    if loss[-1] > 1.05 * loss.min():
        return "the training loss has risen again; try a lower --learning-rate"
    before = loss[-1 - max(1, len(loss) // 10)] if len(loss) > 1 else math.inf
    if loss[-1] < 0.98 * before:
        return "the training loss was still falling; try more --epochs or a higher --learning-rate"
    return "try another --learning-rate, --update-rule adam, or other units in --hidden"
