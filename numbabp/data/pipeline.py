"""What stands before and behind a network: columns of a table in, class labels or units of the target out."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..loading import save
from ..network import Network
from .datasets import Dataset


class Pipeline:
    """Standardised features for a network, and predictions and scores from its outputs.

    Parameters
    ----------
    settings
        As `fitted` makes them and model files hold them: names, classes, means and deviations.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.feature_names: list[str] = settings["feature_names"]
        self.classes = None if settings["classes"] is None else np.array(settings["classes"])
        self._mean, self._scale = np.array(settings["mean"]), np.array(settings["scale"])

    @classmethod
    def fitted(cls, samples: Dataset, rows: np.ndarray) -> "Pipeline":
        """From the means and deviations of the given rows, and the classes of all."""
        X, y = samples.X[rows], samples.y[rows]
        classes = np.unique(samples.y).tolist() if samples.task == "classification" else None
        mean, scale = _mean_and_scale(X, samples.feature_names)
        target_mean, target_scale = [0.0], [1.0]
        if classes is None:  # numbers are learnt in units of their own spread, classes as they are
            target_mean, target_scale = _mean_and_scale(y[:, np.newaxis], [samples.target_name])
        return cls(
            {
                "feature_names": samples.feature_names,
                "target_name": samples.target_name,
                "classes": classes,
                "mean": mean,
                "scale": scale,
                "target_mean": target_mean[0],
                "target_scale": target_scale[0],
            }
        )

    @classmethod
    def loaded(cls, path: Path, settings: dict[str, Any], network: Network) -> "Pipeline":
        """From a model file's metadata, if they fit its network."""
        if "feature_names" not in settings:
            raise ValueError(f"{path}: a network, but not one saved by numbabp train: load it from Python.")
        if not _fit(settings, network):
            raise ValueError(
                f"{path}: what its metadata say of columns and classes does not fit the network."
            )
        return cls(settings)

    def save(self, network: Network, path: Path) -> None:
        """Write network and settings."""
        save(network, path, self.settings)

    def network_arguments(self, hidden: tuple[int, ...], activation: str, dtype: str) -> dict[str, Any]:
        """Arguments of `Network` and `Population`: an output a class, but one for two classes or a number."""
        n_outputs = 1 if self.classes is None or len(self.classes) == 2 else len(self.classes)
        if self.classes is None:
            loss = "squared_error"
        else:
            loss = "binary_cross_entropy" if n_outputs == 1 else "categorical_cross_entropy"
        return {
            "layer_sizes": (len(self.feature_names), *hidden, n_outputs),
            "hidden_activation": activation,
            "loss": loss,
            "init": "he_normal" if activation.endswith("relu") else "glorot_uniform",
            "dtype": dtype,
        }

    def inputs(self, X: np.ndarray) -> np.ndarray:
        """Standardised features."""
        return (X - self._mean) / self._scale

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Class indices, or the standardised target."""
        if self.classes is None:
            return (y - self.settings["target_mean"]) / self.settings["target_scale"]
        return np.searchsorted(self.classes, y)

    def predictions(self, network: Network, X: np.ndarray) -> dict[str, np.ndarray]:
        """Columns of predictions and of probabilities."""
        outputs = network.forward(self.inputs(X))
        target = self.settings["target_name"]
        if self.classes is None:
            return {target: outputs[:, 0] * self.settings["target_scale"] + self.settings["target_mean"]}
        if outputs.shape[1] == 1:
            outputs = np.hstack([1 - outputs, outputs])
        columns = {target: self.classes[outputs.argmax(axis=1)]}
        columns.update({f"P({name})": outputs[:, k] for k, name in enumerate(self.classes)})
        return columns

    @property
    def metric(self) -> str:
        """What `score` is."""
        return "R^2" if self.classes is None else "accuracy"

    def score(self, network: Network, inputs: np.ndarray, targets: np.ndarray) -> float:
        """Accuracy, or R^2, which is the same in standardised units; NaN where all targets are equal."""
        predicted = network.predict(inputs)
        if self.classes is not None:
            return float((predicted == targets).mean())
        spread = ((targets - targets.mean()) ** 2).sum()
        return float(1 - ((targets - predicted) ** 2).sum() / spread) if spread > 0 else float("nan")


def _mean_and_scale(values: np.ndarray, names: list[str]) -> tuple[list[float], list[float]]:
    """Means and deviations of columns; 1 for the deviation of one that is constant."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = values.mean(axis=0), values.std(axis=0)
    for name in np.array(names)[~np.isfinite(scale)]:
        raise ValueError(f"column {str(name)!r} has values too large to be standardised.")
    return mean.tolist(), np.where(scale > 0, scale, 1.0).tolist()


def _fit(settings: dict[str, Any], network: Network) -> bool:
    """Whether settings are complete, and as many as the network has inputs and outputs."""
    classes = settings.get("classes", "none were saved")
    has_two = isinstance(classes, list) and len(classes) == 2
    n_outputs = 1 if classes is None or has_two else network.n_outputs
    n_classes = 2 if n_outputs == 1 else n_outputs
    return (
        n_outputs == network.n_outputs
        and (classes is None or (_is_list(classes, _is_text, n_classes) and _is_sorted(classes)))
        and _is_list(settings["feature_names"], _is_text, network.n_inputs)
        and _is_list(settings.get("mean"), _is_number, network.n_inputs)
        and _is_list(settings.get("scale"), _is_scale, network.n_inputs)
        and _is_text(settings.get("target_name"))
        and _is_number(settings.get("target_mean"))
        and _is_scale(settings.get("target_scale"))
    )


def _is_list(value: Any, is_kind: Callable[[Any], bool], length: int) -> bool:
    return isinstance(value, list) and len(value) == length and all(map(is_kind, value))


def _is_sorted(classes: list[str]) -> bool:
    return all(a < b for a, b in pairwise(classes))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    """Whether it is one that float64 has: JSON's may have hundreds of digits, or be infinite as 1e999."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _is_scale(value: Any) -> bool:
    return _is_number(value) and value > 0
