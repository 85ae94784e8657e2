"""What a network with two inputs makes of the plane: its decisions, and its hidden units."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks.arguments import check_integer
from ..history import pyplot
from ..network import Network
from ..samples import Samples
from .style import COLOURS, HIGH, LOW, diverging

N_GRID = 200
"""Points along each side of the plane."""
MARGIN = 0.25
"""Of the samples' range, around them."""
MOST_UNITS = 25
"""Hidden units that are drawn unasked."""
COLUMNS = 5
MARKERS = "osD^vP*X"
"""Of the classes."""
Bounds = Sequence[float]


def decision_boundary(
    net: Network, X: Any, y: Any, *, threshold: float = 0.5, bounds: Bounds | None = None, ax: Any = None
) -> Any:
    """Draw the outputs of a network with two inputs over the plane, the boundary and the samples.

    Parameters
    ----------
    net : Network
        With two inputs. With one output its value is shown as a colour; with several, the largest one.
    X, y
        Samples, as for `Network.fit`.
    threshold : float
        Where an only output goes from one class to the other.
    bounds : sequence of 4 floats, optional
        Least and largest first input, least and largest second one; by default the samples and a margin.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the network has not two inputs, or for samples or bounds that are not allowed.
    ImportError
        If matplotlib is not installed (the extra `plot`).
    """
    plt = pyplot()
    samples = _on_a_plane(net, X, y)
    across, down, points = _grid(samples.inputs, bounds)
    outputs = net.forward(points).reshape(N_GRID, N_GRID, net.n_outputs)
    if ax is None:
        _, ax = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
    if net.n_outputs == 1:
        values = outputs[:, :, 0]
        limits = _around(threshold, values)
        image = ax.pcolormesh(across, down, values, cmap=diverging(), **limits, shading="gouraud")
        bar = ax.figure.colorbar(image, ax=ax, label="output")
        if values.min() < threshold < values.max():
            ax.contour(across, down, values, levels=[threshold], colors="black", linewidths=1.5)
            bar.ax.axhline(threshold, color="black", linewidth=1.5)
    else:
        _draw_classes(ax, across, down, outputs.argmax(axis=2))
    _draw_samples(ax, samples.inputs, _classes(net, samples, threshold))
    ax.set(xlabel="x[0]", ylabel="x[1]", xlim=across[[0, -1]], ylim=down[[0, -1]])
    return ax


def hidden_units(
    net: Network,
    X: Any,
    y: Any,
    *,
    layer: int = 0,
    units: Sequence[int] | None = None,
    bounds: Bounds | None = None,
) -> Any:
    """Draw the activation of each unit of a hidden layer over the plane, and where its pre-activation is 0.

    In the first layer that is a line. Where a network has one output, of the last hidden layer each title
    tells the weight from the unit to it.

    Parameters
    ----------
    net : Network
        With two inputs and a hidden layer.
    X, y
        Samples, as for `Network.fit`.
    layer : int
        Which hidden layer, from 0.
    units : sequence of int, optional
        Which units; by default all, at most 25.
    bounds
        As for `decision_boundary`.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        One a unit, of a new figure, which is ``[0].figure``.

    Raises
    ------
    ValueError
        If the network has not two inputs, or not such a layer or unit.
    ImportError
        If matplotlib is not installed (the extra `plot`).
    """
    plt = pyplot()
    samples = _on_a_plane(net, X, y)
    if net.n_layers == 1:
        raise ValueError(f"{net!r} has no hidden layer.")
    _check_below("layer", layer, net.n_layers - 1)
    n_units = net.layer_sizes[layer + 1]
    chosen = list(range(min(n_units, MOST_UNITS)) if units is None else units)
    for unit in chosen:
        _check_below("units", unit, n_units)
    across, down, points = _grid(samples.inputs, bounds)
    of_layers = net.layer_outputs(points)
    below = points if layer == 0 else of_layers[layer - 1]
    z, a = below @ net.weights[layer] + net.biases[layer], of_layers[layer]
    columns = min(COLUMNS, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    size = (max(3.2, 2.0 * columns + 0.9), 2.1 * rows + 0.7)
    figure, grid = plt.subplots(
        rows, columns, figsize=size, layout="constrained", squeeze=False, sharex=True, sharey=True
    )
    limits = {"vmin": a[:, chosen].min(), "vmax": a[:, chosen].max()}
    classes = _classes(net, samples)
    axes = grid.ravel()[: len(chosen)]
    for ax, unit in zip(axes, chosen, strict=True):
        values, crossed = a[:, unit].reshape(N_GRID, -1), z[:, unit].reshape(N_GRID, -1)
        image = ax.pcolormesh(across, down, values, cmap="cividis", **limits, shading="gouraud")
        if crossed.min() < 0 < crossed.max():
            ax.contour(across, down, crossed, levels=[0], colors="white", linewidths=1.5)
        _draw_samples(ax, samples.inputs, classes, size=28)
        ax.set_title(_title(net, layer, unit), fontsize="small")
    for ax in grid.ravel()[len(chosen) :]:
        ax.remove()
    figure.colorbar(image, ax=list(axes), label=f"activation, {net.activations[layer]}")
    figure.supxlabel("x[0]", fontsize="medium")
    figure.supylabel("x[1]", fontsize="medium")
    return axes


def _check_below(name: str, value: Any, end: int) -> None:
    """Refuse what is no integer from 0 to before `end`."""
    if check_integer(name, value, minimum=0) >= end:
        raise ValueError(f"{name} must be from 0 to {end - 1}, got {value}.")


def _title(net: Network, layer: int, unit: int) -> str:
    is_read_by_one = net.n_outputs == 1 and layer == net.n_layers - 2
    return f"unit {unit}, to output {net.weights[-1][unit, 0]:+.2f}" if is_read_by_one else f"unit {unit}"


def _on_a_plane(net: Network, X: Any, y: Any) -> Samples:
    """Checked samples in the host's memory."""
    if net.n_inputs != 2:
        raise ValueError(f"a plane is of 2 inputs, but the network has {net.n_inputs}.")
    return Samples.checked(net.architecture, X, y).on_host()


def _classes(net: Network, samples: Samples, threshold: float = 0.5) -> np.ndarray:
    if net.n_outputs == 1:
        return (samples.targets[:, 0] > threshold).astype(int)
    return samples.targets.argmax(axis=1)


def _grid(inputs: np.ndarray, bounds: Bounds | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates along both sides, and all points (N_GRID^2, 2), row by row."""
    if bounds is None:
        low, high = inputs.min(axis=0), inputs.max(axis=0)
        margin = MARGIN * np.where(high > low, high - low, 1)
        limits = np.array([low - margin, high + margin], float).T
    elif np.shape(bounds) == (4,):
        limits = np.asarray(bounds, float).reshape(2, 2)
    else:
        limits = np.full((2, 2), np.nan)
    if not (np.isfinite(limits).all() and (limits[:, 0] < limits[:, 1]).all()):
        raise ValueError(
            f"bounds must be four numbers, least and largest x[0], least and largest x[1], got {bounds!r}."
        )
    across, down = (np.linspace(float(low), float(high), N_GRID) for low, high in limits)
    return across, down, np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)


def _around(threshold: float, values: np.ndarray) -> dict[str, float]:
    """Limits of colours with the threshold in the middle."""
    reach = max(np.abs(values - threshold).max(), 1e-12)
    return {"vmin": threshold - reach, "vmax": threshold + reach}


def _draw_classes(ax: Any, across: np.ndarray, down: np.ndarray, classes: np.ndarray) -> None:
    """The class of every point in a light colour, with lines between."""
    from matplotlib.colors import ListedColormap

    n = int(classes.max()) + 1
    colours = ListedColormap([COLOURS[k % len(COLOURS)] for k in range(n)])
    limits = {"vmin": -0.5, "vmax": n - 0.5}
    ax.pcolormesh(across, down, classes, cmap=colours, **limits, shading="nearest", alpha=0.35, linewidth=0)
    for k in range(n):
        of_class = (classes == k).astype(float)
        if 0 < of_class.sum() < of_class.size:
            ax.contour(across, down, of_class, levels=[0.5], colors="black", linewidths=0.8)


def _draw_samples(ax: Any, inputs: np.ndarray, classes: np.ndarray, size: float = 55) -> None:
    """Each class by a colour and a marker; smaller where there are many."""
    size = size if len(inputs) <= 50 else max(8, size / 4)
    for k in np.unique(classes):
        colour = (LOW, HIGH, *COLOURS[2:])[k % len(COLOURS)]
        style = {"color": colour, "marker": MARKERS[k % len(MARKERS)], "edgecolor": "white", "linewidth": 0.8}
        ax.scatter(*inputs[classes == k].T, s=size, zorder=3, label=f"class {k}", **style)
