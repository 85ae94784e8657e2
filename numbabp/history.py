"""What training recorded, epoch by epoch: as arrays, tables and curves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .errors import DivergenceError
from .notebooks import tables


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
    digest
        SHA-256 of the parameters at its end and of the metrics, of a network with numerics="strict": two runs
        that have it in common had the same bits. None for others.
    """

    digest: str | None = None

    def __init__(
        self,
        metrics: Mapping[str, np.ndarray],
        *,
        learning_rate: np.ndarray,
        stop_reason: str = "finished",
        seconds: float = 0.0,
        digest: str | None = None,
    ) -> None:
        self._metrics = {name: np.asarray(values, float) for name, values in metrics.items()}
        self.learning_rate = np.asarray(learning_rate, float)
        self.stop_reason = stop_reason
        self.seconds = seconds
        if digest is not None:
            self.digest = digest

    @classmethod
    def of_epoch(cls, names: Sequence[str], values: np.ndarray) -> "History":
        """Of one epoch's metrics and its learning rate, float64, in half the time; views of them."""
        history = cls.__new__(cls)
        history._metrics = {name: values[i : i + 1] for i, name in enumerate(names)}
        history.learning_rate, history.stop_reason, history.seconds = values[-1:], "finished", 0.0
        return history

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

    def _repr_html_(self) -> str:
        title = f"{self.n_epochs} epochs, {self.stop_reason}, {self.seconds:.3g} s"
        return _metrics_as_html(title, self._metrics, np.arange(1, self.n_epochs + 1), "in epoch")

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
            **({"digest": self.digest} if self.digest else {}),
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
        return _draw_metrics(self._metrics, np.arange(1, self.n_epochs + 1), ax, "epoch")

    def to_frame(self) -> Any:
        """A table with a row an epoch, from 1, and a column for each metric and for the learning rate.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return self._frame(np.arange(1, self.n_epochs + 1), "epoch")

    def _frame(self, index: np.ndarray, name: str) -> Any:
        pandas = pandas_for("to_frame")
        columns = {**self._metrics, "learning_rate": self.learning_rate}
        return pandas.DataFrame(columns, index=pandas.Index(index, name=name))


class StreamHistory(History):
    """Metrics of a stream: a mapping from metric names to float64 arrays, one entry a point.

    All are prequential: the mean, over the samples since the point before, of the value on the prediction
    made just before the sample's own update.

    Parameters
    ----------
    metrics, learning_rate, stop_reason, seconds
        As for `History`, by point.
    n_samples
        int64: the samples of the stream up to each point.

    Attributes
    ----------
    n_samples : ndarray of int64, shape (n_points,)
        Samples of the stream up to each point; the last point's are those that were learnt.
    inputs : training.state.Statistics or None
        Running mean, scale and total weight of the inputs, with standardize=True or missing="mean".
    """

    inputs: Any = None

    def __init__(
        self,
        metrics: Mapping[str, np.ndarray],
        *,
        learning_rate: np.ndarray,
        n_samples: np.ndarray,
        stop_reason: str = "finished",
        seconds: float = 0.0,
    ) -> None:
        super().__init__(metrics, learning_rate=learning_rate, stop_reason=stop_reason, seconds=seconds)
        self.n_samples = np.asarray(n_samples, np.int64)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.6g}" for name, values in self.items() if len(values))
        learnt = int(self.n_samples[-1]) if len(self.n_samples) else 0
        return f"<StreamHistory: {learnt} samples, {self.stop_reason}{'; last: ' + last if last else ''}>"

    def _repr_html_(self) -> str:
        learnt = int(self.n_samples[-1]) if len(self.n_samples) else 0
        title = f"{learnt:,} samples, {self.stop_reason}, {self.seconds:.3g} s"
        return _metrics_as_html(title, self._metrics, self.n_samples, "after samples")

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, as JSON takes them."""
        return {**super().to_dict(), "n_samples": self.n_samples.tolist()}

    def plot(self, ax: Any = None) -> Any:
        """As `History.plot`, against the samples learnt."""
        return _draw_metrics(self._metrics, self.n_samples, ax, "samples")

    def to_frame(self) -> Any:
        """As `History.to_frame`, with a row a point, by the samples learnt up to it."""
        return self._frame(self.n_samples, "samples")


class Ends(NamedTuple):
    """How the training of each network of a population ended."""

    n_epochs: np.ndarray  # int64 (n_networks,), finished
    reasons: Mapping[int, str]  # of those that ended by themselves
    goes_back: bool = False  # whether networks have the parameters of their best epoch, not of the last


class PopulationHistory(Mapping[Any, Any]):
    """Metrics of a population's training: arrays of shape (n_networks, epochs) by name.

    ``history[i]`` is the `History` of network i.

    Attributes
    ----------
    diverged : dict of int to DivergenceError
        The networks that left the finite numbers; their rows are NaN from that epoch on.
    stop_reason : str
        "finished" or "interrupted"; then epochs that were not finished are NaN, and those that no network
        has finished are left out.
    seconds : float
        Wall time, without that of compiling the lanes kernel.
    n_epochs : ndarray of int64, shape (n_networks,)
        Epochs that each network has finished.
    digests : list of str or None
        The `History.digest` of each network, which is that of the network trained alone.
    """

    def __init__(
        self,
        metrics: Mapping[str, np.ndarray],
        diverged: Mapping[int, DivergenceError],
        stop_reason: str,
        seconds: float,
        ends: Ends,
        digests: list[str] | None = None,
    ) -> None:
        self._metrics = dict(metrics)
        self._ends = ends
        self.digests = digests
        self.n_epochs = ends.n_epochs
        self.diverged = dict(diverged)
        self.stop_reason = stop_reason
        self.seconds = seconds

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int | np.integer):
            finished = int(self.n_epochs[key])
            reason = self._ends.reasons.get(int(key) % len(self.loss), self.stop_reason)
            metrics = {name: values[key, :finished] for name, values in self._rows().items()}
            return History(
                metrics,
                learning_rate=self._metrics["learning_rate"][key, :finished],
                stop_reason="diverged" if int(key) % len(self.loss) in self.diverged else reason,
                seconds=self.seconds,
                digest=self.digests[key] if self.digests else None,
            )
        if key not in self._metrics:
            raise KeyError(f"{key!r} was not recorded; recorded: {', '.join(self._metrics)}.")
        return self._metrics[key]

    def _rows(self) -> dict[str, np.ndarray]:
        return {name: values for name, values in self._metrics.items() if name != "learning_rate"}

    def __iter__(self) -> Any:
        return iter(self._rows())

    def __len__(self) -> int:
        return len(self._rows())

    def last(self, metric: str = "loss") -> np.ndarray:
        """Values of each network's last finished epoch, shape (n_networks,); NaN for those that diverged."""
        return self._of_epochs(metric, np.maximum(self.n_epochs, 1) - 1)

    @property
    def kept_epochs(self) -> np.ndarray:
        """The epoch, from 0, whose parameters each network has, int64 (n_networks,).

        With early_stopping it is the best one, the first of several such; else the last.
        """
        last = np.maximum(self.n_epochs, 1) - 1
        if not self._ends.goes_back:
            return last
        watched = self._metrics.get("validation_loss", self.loss)
        losses = np.where(np.isnan(watched), np.inf, watched)
        return np.where(np.isfinite(losses).any(axis=1), losses.argmin(axis=1), last)

    def kept(self, metric: str = "loss") -> np.ndarray:
        """Values of each network in its `kept_epochs`, as `last` has those of the last epoch."""
        return self._of_epochs(metric, self.kept_epochs)

    def _of_epochs(self, metric: str, epochs: np.ndarray) -> np.ndarray:
        values = self[metric]
        found = values[np.arange(len(values)), epochs]
        found[list(self.diverged)] = np.nan
        return found

    def __repr__(self) -> str:
        n, epochs = self.loss.shape
        last = self.last()
        text = f"{n} networks, {epochs} epochs, {self.stop_reason}"
        if np.isfinite(last).any():
            text += f"; last loss: median {np.nanmedian(last):.6g}, best {np.nanmin(last):.6g}"
        return f"<PopulationHistory: {text}{f'; {len(self.diverged)} diverged' if self.diverged else ''}>"

    def _repr_html_(self) -> str:
        n, epochs = self.loss.shape
        title = f"{n} networks, {epochs} epochs, {self.stop_reason}, {self.seconds:.3g} s"
        if self.diverged:
            title += f"; {len(self.diverged)} diverged"
        last = {name: self.last(name) for name in self}
        rows = [
            [name, *(f"{q:.6g}" for q in np.nanquantile(values, (0, 0.1, 0.5, 0.9, 1)))]
            for name, values in last.items()
            if np.isfinite(values).any()
        ]
        head = ["last values", "least", "10 %", "median", "90 %", "greatest"]
        return tables.page(tables.paragraph(title), tables.table(head, rows))

    @property
    def loss(self) -> np.ndarray:
        """Prequential loss, shape (n_networks, epochs)."""
        return self._metrics["loss"]

    @property
    def accuracy(self) -> np.ndarray:
        """Prequential accuracy between 0 and 1, shape (n_networks, epochs)."""
        if "accuracy" not in self._metrics:
            raise AttributeError("accuracy was not recorded; ask for it with fit(monitor=('accuracy',)).")
        return self._metrics["accuracy"]

    def plot(self, quantiles: Sequence[float] = (0.1, 0.5, 0.9), ax: Any = None) -> Any:
        """Draw each metric's median over the networks against the epoch, in a band between quantiles.

        Losses are drawn on the left axis, accuracies on the right one. Networks that have diverged or stopped
        are part of it up to their last epoch.

        Parameters
        ----------
        quantiles : sequence of float
            An odd number of them, from 0 to 1: the one in the middle is a line, the others, paired from
            outside, bound bands.
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
        return _draw_quantiles(self._rows(), quantiles, ax)

    def to_frame(self) -> Any:
        """A table with a row for each network and each epoch that it has finished, and a column a metric.

        Its index is the network, from 0, and the epoch, from 1: ``frame.loc[3]`` is network 3, and
        ``frame["loss"].unstack()`` has a row a network. The learning rate is a column, too.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = pandas_for("to_frame")
        done = np.arange(self.loss.shape[1]) < np.asarray(self.n_epochs)[:, None]
        network, epoch = np.nonzero(done)
        index = pandas.MultiIndex.from_arrays([network, epoch + 1], names=["network", "epoch"])
        columns = {**self._rows(), "learning_rate": self._metrics["learning_rate"]}
        return pandas.DataFrame({name: values[done] for name, values in columns.items()}, index=index)


def place_of_best(values: np.ndarray, metric: str) -> int:
    """Where the best of a metric's values is: high accuracy, low others. NaN are passed over, but not all."""
    return int(np.nanargmax(values) if "accuracy" in metric else np.nanargmin(values))


def _metrics_as_html(title: str, metrics: Mapping[str, np.ndarray], x: np.ndarray, where: str) -> str:
    """First, best and last value of each metric (n,); `where` says what x is, at which the best is."""
    rows = []
    for name, values in metrics.items():
        if np.isfinite(values).any():
            best = place_of_best(values, name)
            first, least, last = (f"{value:.6g}" for value in values[[0, best, -1]])
            rows.append([name, first, least, f"{x[best]:,}", last])
    head = ["", "first", "best", where, "last"]
    return tables.page(tables.paragraph(title), tables.table(head, rows))


def pandas_for(what: str) -> Any:
    """The package, or an error that says what needs it."""
    try:
        import pandas
    except ImportError:
        raise ImportError(f"{what} needs pandas: pip install pandas.") from None
    return pandas


def _draw_metrics(metrics: Mapping[str, np.ndarray], x: np.ndarray, ax: Any, label: str) -> Any:
    """A line for each metric (n,) over x; `label` is what x is. See `History.plot`."""

    def draw(axes: Any, values: np.ndarray, **style: Any) -> Any:
        return axes.plot(x, values, **style)[0]

    return _draw(metrics, draw, ax, label)


def _draw_quantiles(metrics: Mapping[str, np.ndarray], quantiles: Sequence[float], ax: Any) -> Any:
    """A line and bands of quantiles for each metric (n_networks, epochs). See `PopulationHistory.plot`."""
    middle, pairs = _paired(quantiles)

    def draw(axes: Any, values: np.ndarray, **style: Any) -> Any:
        # epochs that some network has finished; the others have no quantile
        seen = np.isfinite(values).any(axis=0)
        epochs, values = np.flatnonzero(seen) + 1, values[:, seen]
        for low, high in pairs:
            bounds = np.nanquantile(values, (low, high), axis=0)
            axes.fill_between(epochs, *bounds, color=style["color"], alpha=0.2, lw=0)
        return axes.plot(epochs, np.nanquantile(values, middle, axis=0), **style)[0]

    shown = "median" if middle == 0.5 else f"quantile {middle:g}"
    if pairs:
        shown += " and " + ", ".join(f"{low:g} to {high:g}" for low, high in pairs)
    return _draw(metrics, draw, ax, "epoch", shown)


def _paired(quantiles: Sequence[float]) -> tuple[float, list[tuple[float, float]]]:
    """The one in the middle, and those around it, outermost first."""
    found = sorted(quantiles)
    if len(found) % 2 == 0 or not all(0 <= quantile <= 1 for quantile in found):
        raise ValueError(
            f"quantiles={tuple(quantiles)!r}: an odd number of numbers from 0 to 1 is needed, such as "
            "(0.1, 0.5, 0.9): a line for the one in the middle, and bands between the others."
        )
    half = len(found) // 2
    return found[half], list(zip(found[:half], found[:half:-1], strict=True))


def pyplot() -> Any:
    """matplotlib.pyplot, or an error that says how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            "plotting needs matplotlib: install it, or numbabp with the extra 'plot'."
        ) from None
    return plt


def _draw(
    metrics: Mapping[str, np.ndarray], draw: Callable[..., Any], ax: Any, label: str, shown: str | None = None
) -> Any:
    plt = pyplot()
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    losses = [name for name in metrics if "accuracy" not in name]
    accuracies = [name for name in metrics if "accuracy" in name]
    colours = iter(plt.rcParams["axes.prop_cycle"].by_key()["color"])
    lines = [draw(ax, metrics[name], color=next(colours), label=name.replace("_", " ")) for name in losses]
    ax.set(xlabel=label, ylabel="loss")
    if accuracies:
        right = ax.twinx()
        lines += [
            draw(right, metrics[name], color=next(colours), ls="--", label=name.replace("_", " "))
            for name in accuracies
        ]
        right.set(ylabel="accuracy", ylim=(-0.03, 1.03))
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14)}
    ax.legend(handles=lines, **place, ncols=min(len(lines), 4), title=shown)
    return ax
