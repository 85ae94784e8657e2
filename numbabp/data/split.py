"""Rows to train on, and rows set aside to measure on."""

from dataclasses import dataclass

import numpy as np

from ..network import Network
from .datasets import Dataset
from .pipeline import Pipeline


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows set aside to measure on, as networks take them.

    Attributes
    ----------
    pipeline : Pipeline
        Fitted to the rows to train on.
    inputs, targets : ndarray
        To train on.
    held_out : tuple of two ndarrays, or None
        Inputs and targets to measure on.
    notes : list of str
        What there is to say of the table.
    """

    pipeline: Pipeline
    inputs: np.ndarray
    targets: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray] | None
    notes: list[str]

    @classmethod
    def of(cls, samples: Dataset, validation_fraction: float, seed: int) -> "Split":
        """Set part of the n rows aside at random: n times the fraction, rounded down; of XOR's four none."""
        kept, held_out = split_rows(samples, validation_fraction, seed)
        if len(kept) < 2:
            raise ValueError(f"{samples.table.n_rows} rows are too few to train on.")
        pipeline = Pipeline.fitted(samples, kept)
        matrix, notes = pipeline.preparation.matrix(samples.table)
        targets = pipeline.target.encoded(samples.targets)
        aside = (matrix[held_out], targets[held_out]) if len(held_out) else None
        return cls(pipeline, matrix[kept], targets[kept], aside, [*samples.table.notes, *notes])

    @property
    def n_training(self) -> int:
        """Rows to train on."""
        return len(self.targets)

    @property
    def n_validation(self) -> int:
        """Rows to measure on."""
        return 0 if self.held_out is None else len(self.held_out[1])

    def told(self) -> list[str]:
        """How the table was read and what is done to its columns, in short lines."""
        return [*self.notes, *self.pipeline.preparation.told()]

    def scores(self, network: Network) -> dict[str, float]:
        """Score on each part."""
        scores = {"training": self.pipeline.score(network, self.inputs, self.targets)}
        if self.held_out is not None:
            scores["validation"] = self.pipeline.score(network, *self.held_out)
        return scores


def split_rows(samples: Dataset, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows set aside, with the same part of every class where there are classes.

    Rows of a class that has no other are trained on; where fewer rows than classes would be set aside, they
    are drawn from all alike.
    """
    from sklearn.model_selection import train_test_split

    n = samples.table.n_rows
    n_aside = int(fraction * n)
    order = np.random.RandomState(seed).permutation(n)
    if not n_aside or samples.task != "classification":
        return order[n_aside:], order[:n_aside]
    _, places, counts = np.unique(
        samples.targets[0].texts().astype(str), return_inverse=True, return_counts=True
    )
    rows, alone = np.flatnonzero(counts[places] > 1), np.flatnonzero(counts[places] == 1)
    n_classes = (counts > 1).sum()
    if n_aside < n_classes or len(rows) - n_aside < n_classes:
        return order[n_aside:], order[:n_aside]
    kept, aside = train_test_split(rows, test_size=n_aside, stratify=places[rows], random_state=seed)
    return np.concatenate([kept, alone]), aside
