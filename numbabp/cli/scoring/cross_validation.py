"""Cross-validation of what `numbabp train` trains."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...data.datasets import Dataset
from ...data.pipeline import Score
from ...data.split import Split
from ...network import Network
from ..console import warn
from .baselines import Baselines

MODELS = ("network", "constant", "linear")


@dataclass(frozen=True)
class Folds:
    """Scores on each fold, of models trained on the others.

    Attributes
    ----------
    metric : str
    is_stratified : bool
    network, constant, linear : ndarray of shape (n_folds,)
        Overall scores.
    by_target : dict of str to dict of str to ndarray
        The same three of each target.
    """

    metric: str
    is_stratified: bool
    network: np.ndarray
    constant: np.ndarray
    linear: np.ndarray
    by_target: Mapping[str, Mapping[str, np.ndarray]]

    @classmethod
    def of(
        cls, metric: str, is_stratified: bool, targets: Sequence[str], scores: Sequence[Sequence[Score]]
    ) -> "Folds":
        """From the scores of `MODELS` on each fold."""
        network, constant, linear = np.array([[score.overall for score in fold] for fold in scores]).T
        by_target = {
            name: {
                model: np.array([fold[k].by_target[name] for fold in scores])
                for k, model in enumerate(MODELS)
            }
            for name in targets
        }
        return cls(metric, is_stratified, network, constant, linear, by_target)

    def to_dict(self) -> dict[str, Any]:
        """What goes into JSON."""
        return {
            "metric": self.metric,
            "folds": len(self.network),
            "stratified": self.is_stratified,
            **_described({model: getattr(self, model) for model in MODELS}),
            "by_target": {name: _described(scores) for name, scores in self.by_target.items()},
        }

    def __str__(self) -> str:
        kind = "stratified " if self.is_stratified else ""
        lowest, highest = self.network.min(), self.network.max()
        return (
            f"{len(self.network)}-fold {kind}cross-validation: {self.metric} {_spread(self.network)} "
            f"({lowest:.4f} to {highest:.4f}); constant {_spread(self.constant)}, "
            f"linear {_spread(self.linear)}"
        )


def check_folds(folds: int, n_rows: int) -> None:
    """Raise ValueError for a number of folds that there can't be."""
    if not 2 <= folds <= n_rows:
        raise ValueError(f"--cv must be at least 2 and at most the number of rows, {n_rows}, got {folds}.")


def cross_validate(
    samples: Dataset,
    folds: int,
    seed: int,
    train: Callable[[Split], Network],
    validation_fraction: float = 0.0,
) -> Folds:
    """Train on all folds but one, for each, and measure on that one.

    Parameters
    ----------
    samples : Dataset
    folds : int
    seed : int
        Of the rows in each fold.
    train
        Gets rows to train on, makes a network of them.
    validation_fraction : float
        Part of the rows to train on that is set aside for early stopping.
    """
    check_folds(folds, samples.table.n_rows)
    found = []
    for split in _splits(samples, folds, seed, validation_fraction):
        network = train(split)
        baselines = Baselines.of(split, seed)
        found.append((split.scores(network)["test"], baselines.constant, baselines.linear))
    target = split.pipeline.target
    return Folds.of(target.overall_metric, samples.strata is not None, target.names, found)


def _splits(samples: Dataset, folds: int, seed: int, validation_fraction: float) -> Iterator[Split]:
    from sklearn.model_selection import KFold, StratifiedKFold

    n, strata = samples.table.n_rows, samples.strata
    if strata is not None:
        counts: Any
        names, counts = np.unique(strata, return_counts=True)
        if counts.min() < folds and len(samples.targets) == 1:
            warn(
                f"class {str(names[counts.argmin()])!r} has {counts.min()} rows, fewer than the {folds} "
                "folds: some folds lack it."
            )
        # scikit-learn refuses if every class has fewer rows than there are folds
        labels = strata if counts.max() >= folds else np.zeros(n)
        parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(n), labels)
    else:
        parts = KFold(folds, shuffle=True, random_state=seed).split(np.zeros(n))
    with warnings.catch_warnings(action="ignore"):  # of classes with few rows, which is said above
        rows = list(parts)
    for kept, fold in rows:
        order = np.random.RandomState(seed).permutation(kept)
        n_validation = int(validation_fraction * len(order))
        yield Split.of_rows(samples, order[n_validation:], order[:n_validation], fold)


def _described(scores: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        name: {"mean": float(v.mean()), "std": float(v.std(ddof=1)), "scores": v.tolist()}
        for name, v in scores.items()
    }


def _spread(scores: np.ndarray) -> str:
    return f"{scores.mean():.4f} +- {scores.std(ddof=1):.4f}"
