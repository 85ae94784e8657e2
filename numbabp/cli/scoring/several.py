"""Metrics of predictions for several targets, by scikit-learn, and how they are told."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics

from ..console import new_table, print_table
from .evaluation import Evaluation, print_metrics, shown

OF_NUMBERS = {"r2": "R^2", "rmse": "RMSE", "mae": "MAE"}
OF_CLASSES = {"precision": "precision", "recall": "recall", "f1": "F1", "roc_auc": "ROC AUC"}


@dataclass(frozen=True)
class Evaluations:
    """What came of predictions for several targets.

    Attributes
    ----------
    of_each : list of Evaluation
    positive : list of str
        The second class of each target, which precision, recall and F1 are about; empty for numbers.
    metrics : dict of str to float
        Of all together; NaN for one that these rows can't tell.
    """

    of_each: Sequence[Evaluation]
    positive: Sequence[str]
    metrics: dict[str, float]

    @classmethod
    def of(cls, of_each: Sequence[Evaluation]) -> "Evaluations":
        """From those of each target, all of numbers or all of classes of which the model knows two."""
        if of_each[0].confusion is None:
            return cls(of_each, (), {"mean_r2": _mean([found.metrics["r2"] for found in of_each])})
        positive = [found.classes[1] for found in of_each]
        right = np.column_stack([found.truth == found.predicted for found in of_each])
        pairs = zip(of_each, positive, strict=True)
        indicators = [(found.truth == name, found.predicted == name) for found, name in pairs]
        truth, predicted = map(np.column_stack, zip(*indicators, strict=True))
        rows = [found.per_class[1] for found in of_each]
        together = {
            "subset_accuracy": float(right.all(axis=1).mean()),
            "hamming_loss": float(1 - right.mean()),
            "micro_f1": float(metrics.f1_score(truth, predicted, average="micro", zero_division=0.0)),
            "mean_f1": float(np.mean([row["f1"] for row in rows])),
            "mean_roc_auc": _mean([row["roc_auc"] for row in rows]),
        }
        return cls(of_each, positive, together)

    def to_dict(self) -> dict[str, Any]:
        """What goes into JSON."""
        of_each = [found.to_dict() for found in self.of_each]
        return {
            "targets": [found.target for found in self.of_each],
            "task": of_each[0]["task"],
            "n_rows": of_each[0]["n_rows"],
            "metrics": self.metrics,
            "per_target": of_each,
        }


def print_evaluations(found: Evaluations) -> None:
    """Tables of the metrics of all targets and of each."""
    print_metrics(found.metrics)
    if not found.positive:
        table = new_table("target", *OF_NUMBERS.values())
        for one in found.of_each:
            table.add_row(one.target, *(shown(one.metrics[name]) for name in OF_NUMBERS))
    else:
        table = new_table("target", "class", *OF_CLASSES.values(), "accuracy", "rows")
        for one, name in zip(found.of_each, found.positive, strict=True):
            row = one.per_class[1]
            figures = (shown(row[metric]) for metric in OF_CLASSES)
            table.add_row(one.target, name, *figures, shown(one.metrics["accuracy"]), str(row["rows"]))
    print_table(table)


def _mean(values: Sequence[float]) -> float:
    """Of those that are known."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
