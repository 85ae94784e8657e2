"""Pictures of a training and of a model's errors, drawn with matplotlib."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...history import History
from ..plots import COLOURS, LOSSES, scale_losses, tick_epochs
from .evaluation import Evaluation

MOST_NAMED = 30
"""Classes that have room for their names."""
MOST_COUNTED = 12
"""Classes that have room for their counts."""
MOST_POINTS = 20_000
"""Of a scatter plot; more are drawn at random."""
MOST_TARGETS = 9
"""Targets that have a picture."""


def draw_evaluation(found: Sequence[Evaluation], title: str) -> Any:
    """Figure of the confusion matrix, or of predicted against true values; of each of several targets."""
    from matplotlib.figure import Figure

    rows, columns = _grid(len(found))
    figure = Figure(
        figsize=(6, 5.4) if len(found) == 1 else (4.2 * columns, 3.9 * rows), layout="constrained"
    )
    _draw_all_errors(figure, found, title)
    return figure


def draw_training(history: History, loss: str, found: Sequence[Evaluation], title: str) -> Any:
    """Figure of the losses against the epoch, and of the errors on the rows that were set aside."""
    from matplotlib.figure import Figure

    rows, columns = _grid(len(found))
    size = (11.5, 5) if len(found) == 1 else (5.7 + 4.2 * columns, max(5, 3.9 * rows))
    figure = Figure(figsize=size, layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=(5.7, size[0] - 5.7))
    left, right = parts
    _draw_losses(left.subplots(), history, loss)
    _draw_all_errors(right, found, title)
    return figure


def _grid(n_pictures: int) -> tuple[int, int]:
    """Rows and columns of so many pictures, of the most at most."""
    columns = math.ceil(math.sqrt(min(n_pictures, MOST_TARGETS)))
    return math.ceil(min(n_pictures, MOST_TARGETS) / columns), columns


def _draw_all_errors(figure: Any, found: Sequence[Evaluation], title: str) -> None:
    """One picture, or one a target."""
    if len(found) == 1:
        _draw_errors(figure.subplots(), found[0], title)
        return
    if len(found) > MOST_TARGETS:
        title += f"; the first {MOST_TARGETS} of {len(found)} targets"
    figure.suptitle(_title(title))
    axes = figure.subplots(*_grid(len(found)), squeeze=False).flat
    for axis, one in zip(axes, found, strict=False):
        _draw_errors(axis, one, one.target)
    for axis in list(axes)[len(found) :]:
        axis.remove()


def _draw_losses(axis: Any, history: History, loss: str) -> None:
    curves = {"training, before each step": history.loss}
    if "validation_loss" in history:
        curves["validation"] = history["validation_loss"]
    for (name, values), colour in zip(curves.items(), COLOURS, strict=False):
        marker = "o" if len(values) == 1 else None
        axis.plot(np.arange(1, len(values) + 1), values, color=colour, label=name, marker=marker)
    lowest, highest = (extreme([extreme(v) for v in curves.values()]) for extreme in (np.nanmin, np.nanmax))
    if lowest > 0 and highest > 10 * lowest:
        scale_losses(axis, lowest / 1.1, highest * 1.1)
    axis.set(xlabel="epoch", ylabel=LOSSES.get(loss, loss.replace("_", " ")), title="Loss")
    tick_epochs(axis, len(history.loss))
    axis.grid(alpha=0.2)
    axis.legend(frameon=False)


def _draw_errors(axis: Any, found: Evaluation, title: str) -> None:
    if found.confusion is None:
        _draw_numbers(axis, found)
    else:
        _draw_confusion(axis, found)
    axis.set_title(_title(title), wrap=True)


def _draw_confusion(axis: Any, found: Evaluation) -> None:
    """Shares of each true class as colours, counts as figures."""
    assert found.confusion is not None
    n_classes = len(found.classes)
    shares = found.confusion / np.maximum(found.confusion.sum(axis=1, keepdims=True), 1)
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if n_classes <= MOST_COUNTED:
        for (row, column), count in np.ndenumerate(found.confusion):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, str(count), ha="center", va="center", color=colour)
    if n_classes <= MOST_NAMED:
        names = [_plain(name if len(name) <= 18 else name[:17] + "…") for name in found.classes]
        upright = max(map(len, names)) * n_classes > 36
        axis.set_xticks(range(n_classes), names, rotation=90 if upright else 0)
        axis.set_yticks(range(n_classes), names)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.figure.colorbar(image, ax=axis, label="share of the true class")


def _draw_numbers(axis: Any, found: Evaluation) -> None:
    """Predicted against true values, and the line where they are equal."""
    truth, predicted = found.truth, found.predicted
    if len(truth) > MOST_POINTS:
        rows = np.random.RandomState(0).choice(len(truth), MOST_POINTS, replace=False)
        truth, predicted = truth[rows], predicted[rows]
    axis.scatter(truth, predicted, s=12, color=COLOURS[0], alpha=max(0.05, min(0.7, 300 / len(truth))), lw=0)
    ends = [min(truth.min(), predicted.min()), max(truth.max(), predicted.max())]
    axis.plot(ends, ends, color="0.4", lw=1, ls="--", label="predicted = true")
    axis.set(xlabel=_plain(f"true {found.target}"), ylabel=_plain(f"predicted {found.target}"))
    axis.grid(alpha=0.2)
    axis.legend(frameon=False)


def _title(text: str) -> str:
    return _plain(text).replace("R^2", "R$^2$")


def _plain(text: str) -> str:
    """A text with dollars as they are, which matplotlib takes for formulas."""
    return text.replace("$", r"\$")
