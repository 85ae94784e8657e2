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
    """

    pipeline: Pipeline
    inputs: np.ndarray
    targets: np.ndarray
    held_out: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(cls, samples: Dataset, validation_fraction: float, seed: int) -> "Split":
        """Set part of the n rows aside at random: n times the fraction, rounded down; of XOR's four none."""
        n = len(samples.X)
        order = np.random.RandomState(seed).permutation(n)
        n_held_out = int(validation_fraction * n)
        held_out, kept = order[:n_held_out], order[n_held_out:]
        if len(kept) < 2:
            raise ValueError(f"{n} rows are too few to train on.")
        pipeline = Pipeline.fitted(samples, kept)

        def part(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return pipeline.inputs(samples.X[rows]), pipeline.targets(samples.y[rows])

        return cls(pipeline, *part(kept), part(held_out) if n_held_out else None)

    @property
    def n_training(self) -> int:
        """Rows to train on."""
        return len(self.targets)

    @property
    def n_validation(self) -> int:
        """Rows to measure on."""
        return 0 if self.held_out is None else len(self.held_out[1])

    def scores(self, network: Network) -> dict[str, float]:
        """Score on each part."""
        scores = {"training": self.pipeline.score(network, self.inputs, self.targets)}
        if self.held_out is not None:
            scores["validation"] = self.pipeline.score(network, *self.held_out)
        return scores
