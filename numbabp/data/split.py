"""Rows to train on, and rows set aside to measure on."""

from dataclasses import dataclass

import numpy as np

from ..network import Network
from .datasets import Dataset
from .pipeline import Pipeline, Score


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
        Inputs and targets to measure on, and to stop training by.
    test : tuple of two ndarrays, or None
        The same to measure on alone, where training is stopped by the others.
    notes : list of str
        What there is to say of the table.
    """

    pipeline: Pipeline
    inputs: np.ndarray
    targets: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray] | None
    test: tuple[np.ndarray, np.ndarray] | None
    notes: list[str]

    @classmethod
    def of(
        cls, samples: Dataset, validation_fraction: float, seed: int, test_fraction: float = 0.0
    ) -> "Split":
        """Set parts of the n rows aside at random: n times a fraction, rounded down; of XOR's four none."""
        n = samples.table.n_rows
        kept, held_out = split_rows(samples, np.arange(n), int(validation_fraction * n), seed)
        test = kept[:0]
        if test_fraction:
            kept, test = split_rows(samples, kept, int(test_fraction * n), seed)
        return cls.of_rows(samples, kept, held_out, test)

    @classmethod
    def of_rows(cls, samples: Dataset, kept: np.ndarray, held_out: np.ndarray, test: np.ndarray) -> "Split":
        """From the numbers of the rows of each part; the last two may be empty."""
        if len(kept) < 2:
            raise ValueError(f"{samples.table.n_rows} rows are too few to train on.")
        pipeline = Pipeline.fitted(samples, kept)
        matrix, notes = pipeline.preparation.matrix(samples.table)
        targets = pipeline.target.encoded(samples.targets)

        def part(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return matrix[rows], targets[rows]

        return cls(
            pipeline,
            *part(kept),
            part(held_out) if len(held_out) else None,
            part(test) if len(test) else None,
            [*samples.table.notes, *notes],
        )

    @property
    def parts(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Inputs and targets of training, validation and test, as far as there are such rows."""
        parts = {"training": (self.inputs, self.targets), "validation": self.held_out, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def n_training(self) -> int:
        """Rows to train on."""
        return len(self.targets)

    @property
    def n_validation(self) -> int:
        """Rows to measure on."""
        return 0 if self.held_out is None else len(self.held_out[1])

    @property
    def n_test(self) -> int:
        """Rows to measure on alone."""
        return 0 if self.test is None else len(self.test[1])

    def told(self) -> list[str]:
        """How the table was read and what is done to its columns, in short lines."""
        return [*self.notes, *self.pipeline.told()]

    def scores(self, network: Network) -> dict[str, Score]:
        """Score on each part."""
        return {name: self.pipeline.measured(network, *part) for name, part in self.parts.items()}


def split_rows(samples: Dataset, rows: np.ndarray, n_aside: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of some rows those to keep and those set aside, with the same part of every one of `Dataset.strata`.

    Rows of a class that has no other are kept; where fewer rows than classes would be set aside, they are
    drawn from all alike.
    """
    from sklearn.model_selection import train_test_split

    order = np.random.RandomState(seed).permutation(rows)
    labels = samples.strata
    if not n_aside or labels is None:
        return order[n_aside:], order[:n_aside]
    labels = labels[rows]
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    has_others = counts[places] > 1
    n_classes = (counts > 1).sum()
    if n_aside < n_classes or has_others.sum() - n_aside < n_classes:
        return order[n_aside:], order[:n_aside]
    kept, aside = train_test_split(
        rows[has_others], test_size=n_aside, stratify=places[has_others], random_state=seed
    )
    return np.concatenate([kept, rows[~has_others]]), aside
