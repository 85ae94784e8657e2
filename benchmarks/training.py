"""The inner loop: time of one per-sample step, and connection updates per second, by network and dtype."""

import time

import numpy as np

import numbabp as nbp

NETWORKS = ("2-10-1", "64-32-10", "784-128-10")
DTYPES = ("float64", "float32")
SECONDS = 0.2
"""The least that a timed call of `fit` takes, so that what comes before the loop is less than 1 % of it."""
CALLS = 5


def ns_per_step(network, n_samples=1000):
    """Median time of a step of plain SGD: sigmoid, binary cross-entropy, a fixed order of samples."""
    generator = np.random.default_rng(0)
    X = generator.standard_normal((n_samples, network.n_inputs))
    y = generator.integers(0, 2, (n_samples, network.n_outputs))
    start = network.parameters.copy()

    def seconds(epochs):
        network.parameters[:] = start
        started = time.perf_counter()
        network.fit(X, y, learning_rate=0.01, epochs=epochs, shuffle=False, progress=False)
        return time.perf_counter() - started

    seconds(1)  # compiles
    epochs = 1
    while seconds(epochs) < SECONDS:
        epochs *= 2
    return float(np.median([seconds(epochs) for _ in range(CALLS)])) / (epochs * n_samples) * 1e9


class Step:
    """Plain per-sample SGD, as `Network.fit` runs it."""

    params = (NETWORKS, DTYPES)
    param_names = ("network", "dtype")

    def setup(self, network, dtype):
        sizes = tuple(map(int, network.split("-")))
        self.network = nbp.Network(sizes, loss="binary_cross_entropy", dtype=dtype, random_state=0)

    def track_ns_per_step(self, network, dtype):
        return ns_per_step(self.network)

    track_ns_per_step.unit = "ns/step"

    def track_cups(self, network, dtype):
        return self.network.n_weights / ns_per_step(self.network) * 1e9

    track_cups.unit = "CUPS"
