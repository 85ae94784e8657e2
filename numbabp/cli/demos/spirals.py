"""Two spirals, which no line separates, nor a few: a network with two hidden layers tells them apart."""

from typing import Any

import numpy as np
import typer

from ...data.datasets import two_spirals
from ...history import History
from ...network import Network
from ..console import print_json

WIDTH, HEIGHT = 61, 31
"""Characters of the plane as text; a line is about twice as high as a character is wide."""
REACH = 3.3
"""Of the plane that is shown, on each side of the origin."""


def learn(
    epochs: int = 1000,
    random_state: int = 0,
    init: str = "he_normal",
    hidden: tuple[int, ...] = (32, 32),
    learning_rate: float = 0.01,
    activation: str = "relu",
) -> tuple[Network, History]:
    """A network, and how it was trained, with settings by which each of six seeds learnt all 194 points."""
    X, y = two_spirals()
    network = Network(
        (2, *hidden, 1),
        hidden_activation=activation,
        loss="binary_cross_entropy",
        init=init,
        random_state=random_state,
    )
    return network, network.fit(X, y, learning_rate=learning_rate, epochs=epochs, progress=False)


def draw(network: Network) -> Any:
    """Figure of the decision boundary and the points."""
    from ...plotting.planes import decision_boundary

    axis = decision_boundary(network, *two_spirals(), bounds=(-REACH, REACH, -REACH, REACH))
    axis.set_aspect("equal")
    return axis.figure


def report(network: Network, history: History, as_json: bool) -> None:
    """Print how it went, and what the network makes of the plane."""
    X, y = two_spirals()
    n_right = int(((network.forward(X)[:, 0] > 0.5) == y).sum())
    if as_json:
        print_json(
            {
                "loss": history.loss.tolist(),
                "accuracy": history.accuracy.tolist(),
                "n_right": n_right,
                "n_samples": len(y),
            }
        )
        return
    sizes, kinds = "-".join(map(str, network.layer_sizes)), "/".join(network.activations)
    typer.echo(
        f"Two spirals of {len(y)} points, a {sizes} network, {kinds}: binary cross-entropy,\n"
        f"learning rate {history.learning_rate[0]:g}, the points in a new order every epoch.\n"
        "Loss and accuracy are means over the points, of each just before its update."
    )
    every = max(1, history.n_epochs // 10)
    for epoch in range(history.n_epochs):
        if epoch % every == 0 or epoch == history.n_epochs - 1:
            loss, accuracy = history.loss[epoch], 100 * history.accuracy[epoch]
            typer.echo(f"epoch {epoch:4d}   loss {loss:<9.6g}   accuracy {accuracy:.1f} %")
    typer.echo("\nThe plane, # where the network says 1:\n")
    typer.echo(plane(network))
    typer.echo(f"\n{n_right} of the {len(y)} points are on the right side.")


def plane(network: Network) -> str:
    """The decisions as text."""
    across, down = np.linspace(-REACH, REACH, WIDTH), np.linspace(REACH, -REACH, HEIGHT)
    points = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    says_1 = (network.forward(points)[:, 0] > 0.5).reshape(HEIGHT, WIDTH)
    return "\n".join("".join("#" if is_1 else "." for is_1 in row) for row in says_1)
