"""The inner loop: nanoseconds a step and connection updates per second (CUPS), through Network.fit."""

import time
from itertools import pairwise

import numpy as np
import scipy.sparse

import numbabp as nbp

MOMENTUM = {"update_rule": "momentum", "l2": 1e-4}
ROWS = {  # layer sizes, further options of fit
    "2-10-1": ((2, 10, 1), {}),
    "2-10-1 tiny": ((2, 10, 1), {"kernel": "tiny"}),
    "64-32-10": ((64, 32, 10), {}),
    "784-32-10": ((784, 32, 10), {}),
    "784-128-10": ((784, 128, 10), {}),
    "784-128-10 sequential": ((784, 128, 10), {"kernel": "sequential"}),
    "784-128-10 adam": ((784, 128, 10), {"update_rule": "adam", "learning_rate": 1e-4}),
    "784-512-10": ((784, 512, 10), {}),
    "784-512-10 momentum, L2": ((784, 512, 10), MOMENTUM),
    "784-512-512-10": ((784, 512, 512, 10), {}),
    "50000-64-10 CSR": ((50_000, 64, 10), {}),
}
NON_ZEROS = 60
SECONDS = 0.1
REPEATS = 5


class InnerLoop:
    """Per-sample training, all sigmoid, binary cross-entropy; the best of some runs of about SECONDS."""

    params = (list(ROWS), ["float32", "float64"])
    param_names = ("network", "dtype")

    def setup(self, row, dtype):
        sizes, self.options = ROWS[row]
        generator = np.random.default_rng(0)
        n = 4 if sizes[0] == 2 else 1000
        if "CSR" in row:
            columns = generator.integers(0, sizes[0], n * NON_ZEROS)
            starts = np.arange(0, n * NON_ZEROS + 1, NON_ZEROS)
            values = generator.random(n * NON_ZEROS).astype(dtype)
            self.X = scipy.sparse.csr_matrix((values, columns, starts), shape=(n, sizes[0]))
            self.n_updated = NON_ZEROS * sizes[1] + sizes[1] * sizes[2]
        else:
            self.X = generator.standard_normal((n, sizes[0])).astype(dtype)
            self.n_updated = sum(a * b for a, b in pairwise(sizes))
        self.y = (generator.random((n, sizes[-1])) < 0.5).astype(dtype)
        self.net = nbp.Network(sizes, loss="binary_cross_entropy", dtype=dtype, random_state=0)
        self.train(1)  # compiles

    def train(self, epochs):
        options = {"learning_rate": 0.001, **self.options}
        started = time.perf_counter()
        self.net.fit(self.X, self.y, epochs=epochs, shuffle=False, progress=False, **options)
        return time.perf_counter() - started

    def ns_per_step(self):
        epochs = 1
        while (seconds := self.train(epochs)) < SECONDS / 10:
            epochs *= 4
        epochs = max(1, int(epochs * SECONDS / seconds))
        return min(self.train(epochs) for _ in range(REPEATS)) / (epochs * self.X.shape[0]) * 1e9

    def track_ns_per_step(self, row, dtype):
        return self.ns_per_step()

    def track_cups(self, row, dtype):
        return self.n_updated / self.ns_per_step() * 1e9

    track_ns_per_step.unit = "ns"
    track_cups.unit = "weights/s"
