"""The inner loop: nanoseconds a step and connection updates per second (CUPS), through Network.fit."""

import time

import numpy as np

import numbabp as nbp

SHAPES = {"2-10-1": (2, 10, 1), "64-32-10": (64, 32, 10), "784-128-10": (784, 128, 10)}
SECONDS = 0.25
REPEATS = 5


class InnerLoop:
    """Plain per-sample SGD, sigmoid, binary cross-entropy; the best of some runs of about SECONDS."""

    params = (list(SHAPES), ["float32", "float64"])
    param_names = ("network", "dtype")

    def setup(self, shape, dtype):
        sizes = SHAPES[shape]
        generator = np.random.default_rng(0)
        n = 4 if shape == "2-10-1" else 1000
        self.X = generator.standard_normal((n, sizes[0])).astype(dtype)
        self.y = (generator.random((n, sizes[-1])) < 0.5).astype(dtype)
        self.net = nbp.Network(sizes, loss="binary_cross_entropy", dtype=dtype, random_state=0)
        self.train(1)  # compiles

    def train(self, epochs):
        started = time.perf_counter()
        self.net.fit(self.X, self.y, learning_rate=0.01, epochs=epochs, shuffle=False, progress=False)
        return time.perf_counter() - started

    def ns_per_step(self):
        epochs = 1
        while (seconds := self.train(epochs)) < SECONDS / 10:
            epochs *= 4
        epochs = max(1, int(epochs * SECONDS / seconds))
        return min(self.train(epochs) for _ in range(REPEATS)) / (epochs * len(self.X)) * 1e9

    def track_ns_per_step(self, shape, dtype):
        return self.ns_per_step()

    def track_cups(self, shape, dtype):
        return self.net.n_weights / self.ns_per_step() * 1e9

    track_ns_per_step.unit = "ns"
    track_cups.unit = "weights/s"
