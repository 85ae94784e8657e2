"""What stands before and behind a network: columns of a table in, class labels or units of the target out."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..loading import save
from ..network import Network
from ..storage import MAX_HEADER_BYTES
from .datasets import Dataset
from .described import mapping
from .preparation import Preparation
from .targets import Target

FORMAT = 1
"""Of what model files say of a table."""
OTHER_BYTES = 1 << 13
"""Of a header, for all but the table."""


class Predictor(Protocol):
    """A network, or whatever else learns the same: class indices or standardised amounts."""

    def predict(self, X: Any) -> Any:
        """Of shape (n,), or (n, n_targets) of several targets."""
        ...


@dataclass(frozen=True)
class Pipeline:
    """What is done to columns, and what the outputs stand for.

    Attributes
    ----------
    preparation : Preparation
    target : Target
    """

    preparation: Preparation
    target: Target

    @classmethod
    def fitted(cls, samples: Dataset, rows: np.ndarray) -> "Pipeline":
        """From the given rows, and the classes of all."""
        preparation = Preparation.fitted(samples.table, samples.feature_names, rows, samples.missing)
        if samples.task == "classification":
            return cls(preparation, Target.of_classes(samples.targets, samples.one_hot))
        return cls(preparation, Target.of_amounts([column.rows(rows) for column in samples.targets]))

    @staticmethod
    def is_described(metadata: Mapping[str, Any]) -> bool:
        """Whether a model file's metadata are of a network with a pipeline."""
        return "table" in metadata

    @classmethod
    def loaded(
        cls, path: str | os.PathLike[str], metadata: Mapping[str, Any], network: Network
    ) -> "Pipeline":
        """From a model file's metadata.

        Raises
        ------
        ValueError
            If they are not a pipeline's, are damaged, or do not fit the network.
        """
        name = os.fspath(path)
        if not cls.is_described(metadata):
            raise ValueError(f"{name}: a network, but not one saved by numbabp train: load it from Python.")
        try:
            described = mapping(metadata, "table")
            if described.get("format") != FORMAT:
                raise ValueError(
                    f"format {described.get('format')!r} is not known; this numbabp reads {FORMAT}"
                )
            preparation = Preparation.from_json(mapping(described, "preparation"))
            target = Target.from_json(mapping(described, "target"))
            if (preparation.n_inputs, target.n_outputs) != (network.n_inputs, network.n_outputs):
                raise ValueError(
                    f"they make {preparation.n_inputs} inputs and take {target.n_outputs} outputs, "
                    f"but the network has {network.n_inputs} and {network.n_outputs}"
                )
        except ValueError as error:
            raise ValueError(
                f"{name}: what its metadata say of columns and classes can't be right: {error}."
            ) from None
        return cls(preparation, target)

    def told(self) -> list[str]:
        """What is done to columns, in short lines."""
        return [*self.preparation.told(), *self.target.told()]

    def check_size(self) -> None:
        """Before the training, see whether a model file can hold what is to be said.

        Raises
        ------
        ValueError
            If not.
        """
        n_bytes = len(json.dumps(json.dumps(self._described())))  # as one string in the file's own JSON
        if n_bytes + OTHER_BYTES > MAX_HEADER_BYTES:
            n_columns = len(self.preparation.columns)
            raise ValueError(
                f"{n_columns} columns are too many for a model file: what is to be kept of them takes "
                f"{n_bytes} bytes of {MAX_HEADER_BYTES}; leave some out with --ignore."
            )

    def digest(self) -> str:
        """What two pipelines have in common only if all that is done to columns and outputs is the same."""
        return hashlib.sha256(json.dumps(self._described()).encode()).hexdigest()

    def _described(self) -> dict[str, Any]:
        described = {"preparation": self.preparation.as_json(), "target": self.target.as_json()}
        return {"table": {"format": FORMAT, **described}}

    def save(self, network: Network, path: str | os.PathLike[str]) -> None:
        """Write network and pipeline."""
        save(network, path, self._described(), training_state=False)

    def save_unfinished(self, network: Network, path: str | os.PathLike[str]) -> None:
        """`save` a network whose training was interrupted.

        Raises
        ------
        ValueError
            If training had not begun, or the parameters are no longer finite.
        """
        if network.history is None:
            raise ValueError("training had not begun.")
        self.save(network, path)

    def network_arguments(self, hidden: tuple[int, ...], activation: str, dtype: str) -> dict[str, Any]:
        """Arguments of `Network` and `Population`."""
        return {
            "layer_sizes": (self.preparation.n_inputs, *hidden, self.target.n_outputs),
            "hidden_activation": activation,
            "loss": self.target.loss,
            "init": "he_normal" if activation.endswith("relu") else "glorot_uniform",
            "dtype": dtype,
        }

    @property
    def metric(self) -> str:
        """What `score` is."""
        return self.target.overall_metric

    def score(self, network: Predictor, inputs: np.ndarray, targets: np.ndarray) -> float:
        """What `Score.overall` is."""
        return self.measured(network, inputs, targets).overall

    def measured(self, network: Predictor, inputs: np.ndarray, targets: np.ndarray) -> "Score":
        """Accuracy, or R^2, which is the same in standardised units; NaN where all targets are equal."""
        predicted = network.predict(inputs)
        columns = zip(_columns(targets), _columns(predicted), strict=True)
        if self.target.classes is not None:
            right = np.column_stack([truth == guess for truth, guess in columns])
            each, overall = right.mean(axis=0).tolist(), float(right.all(axis=1).mean())
        else:
            each = [_r2(truth, guess) for truth, guess in columns]
            defined = [value for value in each if not math.isnan(value)]
            overall = float(np.mean(defined)) if defined else math.nan
        return Score(overall, dict(zip(self.target.names, each, strict=True)))


@dataclass(frozen=True)
class Score:
    """How good predictions are.

    Attributes
    ----------
    overall : float
        Part of the rows in which all targets are right; or the mean of the targets' R^2, of those that vary.
    by_target : dict of str to float
        Accuracy or R^2 of each.
    """

    overall: float
    by_target: Mapping[str, float]

    def of(self, name: str | None) -> float:
        """That of one target, or of all together."""
        return self.overall if name is None else self.by_target[name]


def _columns(values: np.ndarray) -> np.ndarray:
    """Rows that are columns of (n,) or (n, n_targets)."""
    return np.atleast_2d(values.T)


def _r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    spread = ((truth - truth.mean()) ** 2).sum()
    return float(1 - ((truth - predicted) ** 2).sum() / spread) if spread > 0 else math.nan
