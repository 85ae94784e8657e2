"""Weights over the epochs as a moving picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks.arguments import check_integer
from ..history import pyplot
from ..network import Network
from .diagram import largest, new_diagram


class Recorder:
    """A callback of `Network.fit` that keeps the parameters before the first and after every epoch.

    Parameters
    ----------
    net : Network
        The network that is trained.

    Attributes
    ----------
    parameters : list of ndarray of shape (n_parameters,)
        Copies of `Network.parameters`: at first as they are now, then after each epoch.
    losses : list of float
        The prequential loss of each epoch.

    Examples
    --------
    >>> import numbabp as nbp
    >>> net = nbp.Network((2, 1), loss="binary_cross_entropy", random_state=0)
    >>> recorder = nbp.plotting.Recorder(net)
    >>> history = net.fit([[0, 1], [1, 0]], [0, 1], epochs=3, callback=recorder)
    >>> len(recorder.parameters), len(recorder.losses)
    (4, 3)
    """

    def __init__(self, net: Network) -> None:
        self._net = net
        self.parameters = [net.parameters.copy()]
        self.losses: list[float] = []

    def __call__(self, epoch: int, metrics: dict[str, float]) -> None:
        """Keep what an epoch has left."""
        self.parameters.append(self._net.parameters.copy())
        self.losses.append(metrics["loss"])


def weights_animation(
    net: Network,
    parameters: Sequence[np.ndarray],
    *,
    losses: Sequence[float] = (),
    input_names: Sequence[str] | None = None,
    frames: int = 60,
    interval: int = 100,
) -> Any:
    """Weights over the epochs: the network's diagram, and below it every weight against the epoch.

    Parameters
    ----------
    net : Network
        Whose parameters they are.
    parameters : sequence of ndarray of shape (n_parameters,)
        Those before training and after each epoch, as `Recorder.parameters` has them.
    losses : sequence of float, optional
        Of the epochs, such as `Recorder.losses`, for the title.
    input_names
        As for `network_diagram`.
    frames : int
        Of more epochs so many are shown, evenly chosen. One takes about 0.1 s.
    interval : int
        Milliseconds a frame.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        ``.to_jshtml()`` is HTML with buttons, for notebooks; ``.save("weights.gif", writer="pillow")`` a GIF.

    Raises
    ------
    ValueError
        For parameters of another network, or layers too large for a diagram.
    ImportError
        If matplotlib is not installed (the extra `plot`).
    """
    plt = pyplot()
    from matplotlib.animation import FuncAnimation

    interval = check_integer("interval", interval, minimum=1)
    table = np.asarray(parameters, float)
    if table.ndim != 2 or table.shape[1] != net.n_parameters or not len(table):
        raise ValueError(
            f"parameters must be arrays of {net.n_parameters}, the network's, got shape {table.shape}."
        )
    n_frames = min(len(table), check_integer("frames", frames, minimum=1))
    shown = np.linspace(len(table) - 1, 0, n_frames)[::-1].round().astype(int)  # the last one in any case
    of = net.architecture
    rows = [(of.weights_of(row), of.biases_of(row)) for row in table]
    height = max(net.layer_sizes)
    figure, (top, below) = plt.subplots(
        2, 1, figsize=(6.4, 7.2), layout="constrained", height_ratios=[max(2.0, 0.3 * height), 1.4]
    )
    diagram = new_diagram(net, input_names, numbers=False, ax=top)
    scale = max(largest(weights) for weights, _ in rows)
    markers = _draw_curves(below, rows)

    def show(frame: int) -> list[Any]:
        weights, biases = rows[frame]
        text = "before training" if frame == 0 else f"after epoch {frame}"
        if 0 < frame <= len(losses):
            text += f", loss {losses[frame - 1]:.4f}"
        top.set_title(text, fontsize="medium")
        markers.set_xdata([frame, frame])
        return [*diagram.show(weights, biases, scale), markers]

    show(0)
    animation = FuncAnimation(figure, show, frames=shown.tolist(), interval=interval, blit=False)
    plt.close(figure)  # or notebooks would show its first frame, too
    return animation


def _draw_curves(ax: Any, rows: Sequence[tuple[Any, Any]]) -> Any:
    """Every weight against the epoch, a colour a layer; returns the line at the epoch that is shown."""
    epochs = np.arange(len(rows))
    for layer in range(len(rows[0][0])):
        values = np.array([weights[layer].ravel() for weights, _ in rows])
        lines = ax.plot(epochs, values, color=f"C{layer}", linewidth=0.9, alpha=0.7)
        lines[0].set_label(f"weights[{layer}]")
    ax.set(xlabel="epoch", ylabel="weight")
    ax.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    ax.legend(loc="upper left", fontsize="small")
    return ax.axvline(0, color="black", linewidth=1)
