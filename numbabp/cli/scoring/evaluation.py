"""Metrics of predictions, by scikit-learn, and how they are told."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import typer
from sklearn import metrics

from ...data.split import Split
from ...data.targets import Target
from ...network import Network
from ..console import new_table, print_table

MOST_CLASSES = 12
"""Classes whose confusion matrix is printed."""
HEADINGS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "F1, mean of classes",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss, nats",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R^2",
    "mean_r2": "R^2, mean of targets",
    "subset_accuracy": "subset accuracy",
    "hamming_loss": "Hamming loss",
    "micro_f1": "F1, all targets",
    "mean_f1": "F1, mean of targets",
    "mean_roc_auc": "ROC AUC, mean of targets",
}


@dataclass(frozen=True)
class Evaluation:
    """What came of predictions for a target whose values are known.

    Attributes
    ----------
    target : str
    truth, predicted : ndarray of shape (n,)
        Class names, or numbers.
    metrics : dict of str to float
        NaN for one that these rows can't tell.
    classes : list of str
        Of the model, then those that only the data have; empty for numbers.
    confusion : ndarray of int, shape (n_classes, n_classes), or None
        Rows by true class, by predicted class across.
    per_class : list of dict
        Precision, recall, F1, ROC AUC against all others, and rows of each class.
    unknown : list of str
        Classes that only the data have.
    """

    target: str
    truth: np.ndarray
    predicted: np.ndarray
    metrics: dict[str, float]
    classes: Sequence[str] = ()
    confusion: np.ndarray | None = None
    per_class: Sequence[dict[str, Any]] = ()
    unknown: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """What goes into JSON."""
        values: dict[str, Any] = {
            "target": self.target,
            "task": "regression" if self.confusion is None else "classification",
            "n_rows": len(self.truth),
            "metrics": self.metrics,
        }
        if self.confusion is not None:
            values["classes"] = list(self.classes)
            values["confusion_matrix"] = self.confusion.tolist()
            values["per_class"] = list(self.per_class)
            values["classes_unknown_to_the_model"] = list(self.unknown)
        return values


def of_split(split: Split, network: Network) -> list[Evaluation]:
    """Of a network on the last part of a split, for each target, in its units."""
    inputs, truth = list(split.parts.values())[-1]
    target, outputs = split.pipeline.target, network.forward(inputs)
    columns = truth.T if target.are_several else [truth]
    if target.classes is None:
        values = [
            column * scale + mean
            for column, scale, mean in zip(columns, target.scale, target.mean, strict=True)
        ]
    else:
        values = [classes[column] for column, classes in zip(columns, target.classes, strict=True)]
    return of_target(target, values, outputs)


def of_target(target: Target, values: Sequence[np.ndarray], outputs: np.ndarray) -> list[Evaluation]:
    """Of a network's outputs, for each column of the target, whose true values are known.

    Parameters
    ----------
    target : Target
    values : sequence of ndarray of shape (n,)
        True amounts, or names of classes, of each column.
    outputs : ndarray of shape (n, n_outputs)
    """
    if target.classes is None:
        decoded = target.decoded(outputs)
        return [
            of_numbers(name, truth, decoded[name]) for name, truth in zip(target.names, values, strict=True)
        ]
    of_each = zip(target.names, values, target.probabilities_of_each(outputs), target.classes, strict=True)
    return [
        of_classes(name, truth, probabilities, classes.astype(str).tolist())
        for name, truth, probabilities, classes in of_each
    ]


def of_numbers(target: str, truth: np.ndarray, predicted: np.ndarray) -> Evaluation:
    """RMSE and MAE in the target's units, and R^2, NaN where all true values are equal."""
    found = {
        "rmse": float(metrics.root_mean_squared_error(truth, predicted)),
        "mae": float(metrics.mean_absolute_error(truth, predicted)),
        "r2": float(metrics.r2_score(truth, predicted)) if np.ptp(truth) > 0 else math.nan,
    }
    return Evaluation(target, truth, predicted, found)


def of_classes(
    target: str, truth: np.ndarray, probabilities: np.ndarray, model_classes: Sequence[str]
) -> Evaluation:
    """Metrics of probabilities (n, n_classes) of a model's classes for true class names (n,).

    A class that the model does not know makes its rows errors, and the log loss infinite.
    """
    truth = truth.astype(str)
    known = np.array(model_classes, str)
    predicted = known[probabilities.argmax(axis=1)]
    unknown = sorted(set(truth.tolist()) - set(known.tolist()))
    classes = [*known.tolist(), *unknown]
    precision, recall, f1, rows = metrics.precision_recall_fscore_support(
        truth, predicted, labels=classes, zero_division=0.0
    )
    aucs = [_auc(truth == name, probabilities[:, k]) for k, name in enumerate(known)]
    per_class = [
        {
            "class": name,
            "precision": float(precision[k]),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "roc_auc": aucs[k] if k < len(aucs) else math.nan,
            "rows": int(rows[k]),
        }
        for k, name in enumerate(classes)
    ]
    seen = rows > 0
    told = [auc for auc in aucs if not math.isnan(auc)]
    found = {
        "accuracy": float(metrics.accuracy_score(truth, predicted)),
        "balanced_accuracy": float(recall[seen].mean()),
        "macro_f1": float(f1[seen | np.isin(classes, predicted)].mean()),
        "roc_auc": float(np.mean(told)) if told else math.nan,
        "log_loss": math.inf if unknown else _log_loss(truth, probabilities, known),
    }
    confusion = metrics.confusion_matrix(truth, predicted, labels=classes)
    return Evaluation(target, truth, predicted, found, classes, confusion, per_class, unknown)


def _auc(is_class: np.ndarray, probability: np.ndarray) -> float:
    """Of one class against all others; NaN where there are only rows of the one or of the others."""
    if is_class.all() or not is_class.any():
        return math.nan
    return float(metrics.roc_auc_score(is_class, probability))


def _log_loss(truth: np.ndarray, probabilities: np.ndarray, known: np.ndarray) -> float:
    """Mean of -log of the true class's probability, in float64 whatever the network computes in."""
    order = np.argsort(known)  # as scikit-learn takes columns
    wide = probabilities[:, order].astype(np.float64)
    return float(metrics.log_loss(truth, wide / wide.sum(axis=1, keepdims=True), labels=known[order]))


def print_metrics(found: Mapping[str, float]) -> None:
    """A table of metrics."""
    table = new_table("", "")
    for name, value in found.items():
        table.add_row(HEADINGS[name], shown(value))
    print_table(table)


def print_evaluation(found: Evaluation) -> None:
    """Tables of the metrics, of the classes and of which is taken for which."""
    print_metrics(found.metrics)
    if found.confusion is None:
        return
    table = new_table("class", "precision", "recall", "F1", "ROC AUC", "rows")
    for row in found.per_class:
        figures = (shown(row[name]) for name in ("precision", "recall", "f1", "roc_auc"))
        table.add_row(row["class"], *figures, str(row["rows"]))
    print_table(table)
    if len(found.classes) > MOST_CLASSES:
        typer.echo(f"The confusion matrix of {len(found.classes)} classes is in --json and --plot.")
        return
    typer.echo("Rows by true class, and across by predicted class:")
    table = new_table("true", *found.classes)
    for name, counts in zip(found.classes, found.confusion, strict=True):
        table.add_row(name, *map(str, counts.tolist()))
    print_table(table)


def shown(value: float) -> str:
    """A figure for readers."""
    return "-" if math.isnan(value) else f"{value:.4g}"
