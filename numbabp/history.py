"""What training recorded, epoch by epoch."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


class History(Mapping[str, np.ndarray]):
    """Metrics of a training run: a mapping from metric names to float64 arrays, one entry an epoch.

    "loss" and the monitored metrics are prequential: the mean, over the epoch's samples, of the value on the
    prediction made just before the sample's own update. Validation metrics are measured at the end of the
    epoch.

    Parameters
    ----------
    metrics
        Arrays of equal length by name; "loss" among them.
    learning_rate
        The rate of each epoch.
    stop_reason
        Why training ended: "finished", "early stopping", "callback", "learning rate" or "interrupted".
    seconds
        Wall time of the run, without the compiling before it.
    """

    def __init__(
        self,
        metrics: Mapping[str, np.ndarray],
        *,
        learning_rate: np.ndarray,
        stop_reason: str = "finished",
        seconds: float = 0.0,
    ) -> None:
        self._metrics = {name: np.asarray(values, float) for name, values in metrics.items()}
        self.learning_rate = np.asarray(learning_rate, float)
        self.stop_reason = stop_reason
        self.seconds = seconds

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            return self._metrics[name]
        except KeyError:
            raise KeyError(
                f"{name!r} was not recorded; recorded: {', '.join(self._metrics)}. "
                "Name further metrics in fit(monitor=...)."
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.6g}" for name, values in self.items() if len(values))
        return f"<History: {self.n_epochs} epochs, {self.stop_reason}{'; last: ' + last if last else ''}>"

    @property
    def loss(self) -> np.ndarray:
        """Prequential loss, shape (n_epochs,)."""
        return self["loss"]

    @property
    def accuracy(self) -> np.ndarray:
        """Prequential accuracy between 0 and 1, shape (n_epochs,).

        Raises
        ------
        AttributeError
            If it was not recorded (squared, absolute and Huber losses record it when monitored).
        """
        if "accuracy" not in self._metrics:
            raise AttributeError("accuracy was not recorded; ask for it with fit(monitor=('accuracy',)).")
        return self["accuracy"]

    @property
    def n_epochs(self) -> int:
        """Epochs that were finished."""
        return len(self.loss)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, as JSON takes them."""
        return {
            **{name: values.tolist() for name, values in self.items()},
            "learning_rate": self.learning_rate.tolist(),
            "stop_reason": self.stop_reason,
            "seconds": self.seconds,
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw the curves against the epoch: losses on the left axis, accuracies on the right one.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed (the extra `plot`).
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise ImportError(
                "plotting needs matplotlib: install it, or numbabp with the extra 'plot'."
            ) from None

        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
        epochs = np.arange(1, self.n_epochs + 1)
        losses = [name for name in self if "accuracy" not in name]
        accuracies = [name for name in self if "accuracy" in name]
        colours = iter(plt.rcParams["axes.prop_cycle"].by_key()["color"])
        lines = [
            ax.plot(epochs, self[name], color=next(colours), label=name.replace("_", " "))[0]
            for name in losses
        ]
        ax.set(xlabel="epoch", ylabel="loss")
        if accuracies:
            right = ax.twinx()
            lines += [
                right.plot(epochs, self[name], color=next(colours), ls="--", label=name.replace("_", " "))[0]
                for name in accuracies
            ]
            right.set(ylabel="accuracy", ylim=(-0.03, 1.03))
        ax.legend(handles=lines, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=min(len(lines), 3))
        return ax
