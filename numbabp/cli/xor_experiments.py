"""The XOR experiments of the course notebook, for the demo, the smoke run and the tests.

A 2-10-1 network, all sigmoid, learns exclusive or. The notebook sends delta back through weights already
updated, trains on the squared error, and prints the sum of the binary cross-entropies of the four samples,
each taken before its own update, and the accuracy in percent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.datasets import xor
from ..history import History
from ..network import Network

FAITHFUL_LOSSES = {
    0: 3.4737521571212318,
    65: 3.491876218919175,
    66: 3.4891911065517616,
    127: 2.968925623935632,
    128: 2.955637323757989,
    181: 1.7989431569565686,
}
"""Losses that the notebook prints, by epoch."""
FAITHFUL_ACCURACIES = {0: 25.0, 65: 25.0, 127: 50.0, 181: 100.0}
"""Accuracies in percent that the notebook prints, by epoch."""
NOTEBOOK: dict[str, Any] = {"shuffle": False, "propagate": "updated"}
"""How the notebook trains: options of `Network.fit`."""
ZEROS_LOSSES = {0: 2.383938269247035, 1: 2.3940150790588524}
ZEROS_ACCURACIES = {0: 100.0, 1: 75.0, 2: 50.0, 3: 50.0, 4: 50.0}


@dataclass(frozen=True)
class Experiment:
    """A finished run: the network, its history, and the notebook's two columns."""

    network: Network
    history: History
    losses: np.ndarray
    """Sum over the four samples, by epoch."""
    accuracies: np.ndarray
    """Percent, by epoch."""
    weights: list[tuple[np.ndarray, ...]]
    """Of both layers after every epoch, where the experiment is about them; else empty."""


def learn(
    epochs: int = 500,
    random_state: int = 0,
    init: str = "lecun_normal",
    hidden: tuple[int, ...] = (10,),
    learning_rate: float = 1.0,
    activation: str = "sigmoid",
) -> Experiment:
    """Exclusive or as one would train it: binary cross-entropy, exact backpropagation, learning rate 1."""
    network = Network(
        (2, *hidden, 1),
        hidden_activation=activation,
        loss="binary_cross_entropy",
        init=init,
        random_state=random_state,
    )
    return _run(network, "loss", learning_rate=learning_rate, epochs=epochs)


def n_right(network: Network) -> int:
    """Of the four samples, how many come out on the right side of 1/2."""
    X, y = xor()
    return int(((network.forward(X)[:, 0] > 0.5) == (y > 0.5)).sum())


def difference_of_units(network: Network) -> float:
    """Largest difference between two hidden units: in a weight to or from them, or in a bias."""
    (first, second), (bias, _) = network.weights, network.biases
    return float(
        max(np.ptp(values, axis=axis).max() for values, axis in ((first, 1), (second, 0), (bias, 0)))
    )


def faithful(dtype: str = "float64", kernel: str = "auto") -> Experiment:
    """The notebook's run: 200 epochs at learning rate 1."""
    return _notebook("lecun_normal", dtype, learning_rate=1.0, epochs=200, kernel=kernel)


def zeros(dtype: str = "float64", kernel: str = "auto") -> Experiment:
    """The notebook's failure: from weights of zero, climbing for 5 epochs, the hidden units never differ."""
    return _notebook("zeros", dtype, keep_weights=True, learning_rate=-1.0, epochs=5, kernel=kernel)


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {"learn": learn, "faithful": faithful, "zeros": zeros}
"""By the name that the command line has for them."""


def notebook_network(dtype: str = "float64", init: str = "lecun_normal") -> Network:
    """The notebook's network, before training."""
    return Network(
        (2, 10, 1), output_activation="sigmoid", loss="squared_error", init=init, dtype=dtype, random_state=0
    )


def _notebook(init: str, dtype: str, **options: Any) -> Experiment:
    return _run(notebook_network(dtype, init), "binary_cross_entropy", **NOTEBOOK, **options)


def _run(network: Network, printed_loss: str, keep_weights: bool = False, **options: Any) -> Experiment:
    X, y = xor()
    kept: list[tuple[np.ndarray, ...]] = []

    def keep(epoch: int, metrics: dict[str, float]) -> None:
        kept.append(tuple(weights.copy() for weights in network.weights))

    history = network.fit(
        X,
        y,
        # what is recorded anyway needs no kernel with all metrics
        monitor=() if printed_loss == "loss" else (printed_loss, "accuracy"),
        callback=keep if keep_weights else None,
        progress=False,
        **options,
    )
    return Experiment(network, history, len(X) * history[printed_loss], 100 * history.accuracy, kept)
