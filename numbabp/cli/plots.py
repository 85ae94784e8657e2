"""Pictures of experiments, drawn with matplotlib, which is imported only here and in `History.plot`."""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..atomic_files import check_writable, write_atomically
from ..plotting.style import COLOURS

if TYPE_CHECKING:
    from .sweep import Outcome, Sweep
    from .xor_experiments import Experiment

KINDS = (".png", ".svg", ".pdf")
LOG_EPOCHS = 200
"""From so many epochs on their axis is logarithmic."""
MOST_FIGURES = 12
"""Rows and columns that have room for their figures."""
LOSSES = {
    "binary_cross_entropy": "binary cross-entropy, nats",
    "categorical_cross_entropy": "categorical cross-entropy, nats",
    "squared_error": "half the squared error, standardised",
}


def check(path: Path) -> None:
    """Before any work is done, see whether a picture can be drawn into a file.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        For a file of another kind or in a place where none can be.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError("--plot needs matplotlib; install numbabp with the extra 'plot'.") from None
    if path.suffix.lower() not in KINDS:
        raise ValueError(f"{path}: --plot files must end in .png, .svg or .pdf.")
    check_writable(path)


def write(figure: Any, path: Path) -> None:
    """Put a figure into a file, whole or not at all."""
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix.lower().lstrip("."), dpi=150)
    write_atomically(path, lambda file: file.write(picture.getvalue()))


def draw_xor(run: "Experiment") -> Any:
    """Figure of loss and accuracy of an XOR experiment against the epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    epochs = range(len(run.losses))
    (loss,) = axis.plot(epochs, run.losses, color="tab:blue", label="loss, sum of the 4 samples")
    sizes = "-".join(map(str, run.network.layer_sizes))
    title = f"Exclusive or and a {sizes} network"
    axis.set(xlabel="epoch", ylabel="binary cross-entropy", title=title)
    right = axis.twinx()
    (accuracy,) = right.step(
        epochs, run.accuracies, color="tab:orange", where="mid", alpha=0.7, label="accuracy"
    )
    right.set(ylabel="accuracy in percent", ylim=(0, 105))
    axis.set_ylim(0, 1.05 * np.max(run.losses))
    # the loss above the accuracy, whose axis would cover it
    axis.set_zorder(right.get_zorder() + 1)
    axis.patch.set_visible(False)
    figure.legend(handles=[loss, accuracy], loc="outside lower center", ncols=2)
    return figure


def draw_sweep(result: "Sweep") -> Any:
    """Figure of a sweep: losses of the best settings and, where two parameters vary, a map of all scores."""
    from matplotlib.figure import Figure

    has_map = len(result.varied) == 2
    figure = Figure(figsize=(11 if has_map else 7, 5), layout="constrained")
    axes = figure.subplots(1, 1 + has_map, squeeze=False)[0]
    _draw_losses(axes[0], result)
    if has_map:
        _draw_scores(axes[1], result)
    return figure


def _draw_losses(axis: Any, result: "Sweep") -> None:
    """Median and quantile band of the loss of the best settings against the epoch."""
    from .sweep import heading  # which imports populations

    shown, colours = _shown(result)
    names = list(result.varied)
    epochs = np.arange(1, result.epochs + 1)
    curves = np.array([list(outcome.curves.values()) for outcome in shown])
    top = 1.1 * np.nanmax(curves, initial=0)
    bottom = np.nanmin(curves, initial=top) / 1.1
    for outcome, colour in zip(shown, colours, strict=False):
        label = ", ".join(_text(outcome.parameters[name]) for name in names)
        median, low, high = (outcome.curves[level] for level in ("median", "q10", "q90"))
        if math.isnan(median[-1]):
            label += " (diverged)"
        axis.plot(epochs, median, color=colour, label=label)
        # where more than a tenth diverged the band has no upper edge
        axis.fill_between(epochs, low, np.where(np.isnan(high), top, high), color=colour, alpha=0.15, lw=0)
    axis.set(
        xlabel="epoch",
        ylabel=f"training loss ({LOSSES[shown[0].network.loss]})",
        title=f"Loss: median and 10-90 % of {len(shown[0].seeds)} seeds",
    )
    _scale_epochs(axis, result.epochs)
    scale_losses(axis, bottom, top)
    axis.grid(which="both", alpha=0.2)
    if names:  # else there is one curve, which the title names
        title = ", ".join(map(heading, names))
        if len(shown) < len(result.outcomes):
            title += f" (best {len(shown)} of {len(result.outcomes)})"
        _add_legend(axis, title)


def _shown(result: "Sweep") -> tuple[list["Outcome"], Any]:
    """The best outcomes, as many as there are colours, and theirs."""
    from matplotlib import colormaps

    shown = result.outcomes[: len(COLOURS)]
    if len(result.varied) != 1:
        return shown, COLOURS
    # of a single parameter the values have an order, and so have the colours
    ((name, values),) = result.varied.items()
    shown = sorted(shown, key=lambda outcome: values.index(outcome.parameters[name]))
    return shown, colormaps["viridis"](np.linspace(0, 0.9, len(shown)))


def _scale_epochs(axis: Any, n_epochs: int) -> None:
    """A logarithmic axis for many epochs, since most happens in the first; else whole numbers."""
    if n_epochs >= LOG_EPOCHS:
        axis.set(xscale="log")
    else:
        tick_epochs(axis, n_epochs)
    axis.xaxis.set_major_formatter("{x:g}")


def tick_epochs(axis: Any, n_epochs: int) -> None:
    """Ticks at the first epoch, at round ones and at the last, which is what one looks for."""
    from matplotlib.ticker import MaxNLocator

    between = MaxNLocator(8, steps=[1, 2, 5, 10], integer=True).tick_values(1, n_epochs)
    apart = (n_epochs - 1) / 15  # closer to the ends they would run into these
    ticks = [1, *(tick for tick in between if 1 + apart < tick < n_epochs - apart), n_epochs]
    axis.xaxis.set_ticks(sorted(set(ticks)))


def scale_losses(axis: Any, bottom: float, top: float) -> None:
    """A logarithmic axis for losses that fall far, with figures between powers of ten if these are few."""
    from matplotlib.ticker import LogLocator

    if top > 3 * bottom > 0:
        axis.set(yscale="log")
        if top < 300 * bottom:
            axis.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
            axis.yaxis.set_minor_formatter("{x:g}")
    if top > bottom:  # there is a loss that is finite and not 0
        axis.set_ylim(bottom, top)
    axis.yaxis.set_major_formatter("{x:g}")


def _add_legend(axis: Any, title: str) -> None:
    """Below the figure, in as many columns as the longest label leaves room for."""
    inches = 0.085 * (7 + max(len(line.get_label()) for line in axis.lines))
    axis.figure.legend(
        title=title,
        loc="outside lower left",
        ncols=max(1, min(4, int(axis.figure.get_figwidth() / inches))),
        frameon=False,
        alignment="left",
    )


def _draw_scores(axis: Any, result: "Sweep") -> None:
    """Median score against both parameters, as colours and figures."""
    from .sweep import heading

    (down, rows), (across, columns) = sorted(result.varied.items(), key=lambda item: len(item[1]))
    scores = np.full((len(rows), len(columns)), np.nan)
    for outcome in result.outcomes:
        row, column = rows.index(outcome.parameters[down]), columns.index(outcome.parameters[across])
        scores[row, column] = outcome.score()
    lowest = _lowest_colour(scores)
    image = axis.imshow(scores, cmap="cividis", origin="lower", aspect="auto", vmin=lowest)
    axis.set_facecolor("0.92")
    for (row, column), score in np.ndenumerate(scores[:MOST_FIGURES, :MOST_FIGURES]):
        is_dark = math.isfinite(score) and image.norm(score) < 0.5
        text = "diverged" if math.isnan(score) else f"{score:.3f}" if score > -10 else f"{score:.1e}"
        axis.text(column, row, text, ha="center", va="center", color="white" if is_dark else "black")
    axis.set(
        xlabel=heading(across),
        ylabel=heading(down),
        xticks=range(len(columns)),
        yticks=range(len(rows)),
        xticklabels=map(_text, columns),
        yticklabels=map(_text, rows),
        title=f"Median {result.metric}".replace("R^2", "R$^2$"),
    )
    axis.figure.colorbar(
        image, ax=axis, extend="min" if lowest > np.nanmin(scores, initial=lowest) else "neither"
    )


def _lowest_colour(scores: np.ndarray) -> float:
    """Score at which the darkest colour begins: a few failures must not take the colours from the rest."""
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return 0.0
    lowest, median, highest = np.quantile(finite, [0, 0.5, 1])
    return float(max(lowest, median - 3 * (highest - median)) if median < highest else lowest)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"
