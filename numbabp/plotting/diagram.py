"""A network as circles and lines."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..history import pyplot
from ..network import Network
from .style import HIGH, LOW

RADIUS = 0.34
"""Of a unit's circle; the distance of two units is 1."""
MOST_UNITS = 40
"""Of a layer, that there is room for."""
MOST_NUMBERED = 2
"""Units on one side of a layer whose weights are labelled with their numbers unasked; more lines cross."""
THINNEST, THICKEST = 0.3, 5.0
"""Lines, in points."""


class Diagram:
    """Circles and lines of a network in an Axes, which may show other weights later.

    Parameters
    ----------
    net : Network
        Its layers.
    ax : matplotlib.axes.Axes
        Where they are drawn.
    input_names : sequence of str
        Of the inputs' circles.
    with_numbers : bool
        Whether weights and biases are written down.
    """

    def __init__(self, net: Network, ax: Any, input_names: Sequence[str], with_numbers: bool) -> None:
        self.ax = ax
        sizes = net.layer_sizes
        height = max(sizes)
        self._apart = max(2.6, 0.42 * height)
        self._places = [
            [(layer * self._apart, (n - 1) / 2 - k) for k in range(n)] for layer, n in enumerate(sizes)
        ]
        self._lines = [self._new_lines(layer) for layer in range(net.n_layers)]
        self._numbers = [self._new_numbers(layer) if with_numbers else [] for layer in range(net.n_layers)]
        self._new_circles(input_names, with_numbers)
        ax.set_aspect("equal")
        ax.axis("off")
        for layer, (places, name) in enumerate(zip(self._places[1:], net.activations, strict=True)):
            kind = "output" if layer == net.n_layers - 1 else "hidden"
            ax.text(places[0][0], -height / 2 - 0.1, f"{kind}\n{name}", ha="center", va="top", fontsize=9)
        ax.text(0, -height / 2 - 0.1, "inputs", ha="center", va="top", fontsize=9)
        ax.set(
            xlim=(-1.4, self._apart * net.n_layers + 0.8),
            ylim=(-height / 2 - 1, height / 2 + 0.1),
        )

    def show(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray], scale: float) -> list[Any]:
        """Give the lines widths and colours by weights, `scale` being that of the thickest one.

        Returns
        -------
        list of matplotlib.artist.Artist
            What has changed.
        """
        for layer, values in enumerate(weights):
            for line, weight in zip(self._lines[layer], values.flat, strict=True):
                share = min(abs(weight) / scale, 1) if scale > 0 else 0
                line.set_linewidth(THINNEST + (THICKEST - THINNEST) * share)
                line.set_color(HIGH if weight > 0 else LOW)
                line.set_alpha(0.25 + 0.65 * share)
            for number, weight in zip(self._numbers[layer], values.flat, strict=False):
                number.set_text(f"{weight:.2f}")
                number.set_color(HIGH if weight > 0 else LOW)
        for texts, of_layer in zip(self._biases, biases, strict=False):  # none without numbers
            for text, bias in zip(texts, of_layer, strict=True):
                text.set_text(f"{bias:.2f}")
        changed = *self._lines, *self._numbers, *self._biases
        return [artist for of_layer in changed for artist in of_layer]

    def _new_lines(self, layer: int) -> list[Any]:
        """In the order of the weights."""
        ends = [(start, end) for start in self._places[layer] for end in self._places[layer + 1]]
        return [self.ax.plot(*zip(*pair, strict=True), zorder=1, solid_capstyle="round")[0] for pair in ends]

    def _new_numbers(self, layer: int) -> list[Any]:
        """On the lines, nearer to the layer with more units, where the lines are apart."""
        starts, ends = self._places[layer], self._places[layer + 1]
        share = 0.72 if len(ends) >= len(starts) else 0.28
        found = []
        for start in starts:
            for end in ends:
                (x, y), (to_x, to_y) = start, end
                angle = np.degrees(np.arctan2(to_y - y, to_x - x))
                found.append(
                    self.ax.text(
                        x + share * (to_x - x),
                        y + share * (to_y - y),
                        "",
                        rotation=angle,
                        rotation_mode="anchor",
                        transform_rotates_text=True,
                        ha="center",
                        va="center",
                        fontsize=7,
                        zorder=2,
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85},
                    )
                )
        return found

    def _new_circles(self, input_names: Sequence[str], with_numbers: bool) -> None:
        """With the inputs' names beside them, and of other units the biases in them."""
        from matplotlib.patches import Circle

        for places in self._places:
            for place in places:
                self.ax.add_patch(Circle(place, RADIUS, facecolor="white", edgecolor="0.3", zorder=3))
        for (x, y), name in zip(self._places[0], input_names, strict=True):
            self.ax.text(x - RADIUS - 0.12, y, name, ha="right", va="center", fontsize=9)
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "zorder": 4}
        of_layers = self._places[1:] if with_numbers else []
        self._biases = [[self.ax.text(*place, "", **style) for place in places] for places in of_layers]


def network_diagram(
    net: Network,
    *,
    input_names: Sequence[str] | None = None,
    numbers: bool | None = None,
    ax: Any = None,
) -> Any:
    """Draw a network as circles and lines: vermilion for positive weights, blue for negative ones.

    The thicker a line the larger its weight, in parts of the largest one; biases stand in the circles.

    Parameters
    ----------
    net : Network
        With at most 40 units a layer.
    input_names : sequence of str, optional
        Of the inputs; x[0], x[1], ... by default.
    numbers : bool, optional
        Write weights and biases down; by default if each layer of weights has one or two units on one side.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        For larger layers, or another number of names than of inputs.
    ImportError
        If matplotlib is not installed (the extra `plot`).
    """
    diagram = new_diagram(net, input_names, numbers, ax)
    diagram.show(net.weights, net.biases, largest(net.weights))
    return diagram.ax


def new_diagram(
    net: Network, input_names: Sequence[str] | None = None, numbers: bool | None = None, ax: Any = None
) -> Diagram:
    """As `network_diagram`, with no weights shown yet."""
    plt = pyplot()
    if max(net.layer_sizes) > MOST_UNITS:
        raise ValueError(
            f"a diagram has room for {MOST_UNITS} units a layer, but the layers have {net.layer_sizes}."
        )
    names = [f"x[{i}]" for i in range(net.n_inputs)] if input_names is None else list(input_names)
    if len(names) != net.n_inputs:
        raise ValueError(f"input_names has {len(names)} names, but the network has {net.n_inputs} inputs.")
    if ax is None:
        height = max(net.layer_sizes)
        width = 2.2 + net.n_layers * max(2.6, 0.42 * height)
        size = min(0.75, 12 / max(width, height + 1.3))
        _, ax = plt.subplots(figsize=(width * size, (height + 1.3) * size), layout="constrained")
    if numbers is None:
        numbers = all(min(pair) <= MOST_NUMBERED for pair in pairwise(net.layer_sizes))
    return Diagram(net, ax, names, numbers)


def largest(weights: Sequence[np.ndarray]) -> float:
    """The largest size of a weight."""
    return max(float(np.abs(values).max()) for values in weights)
