"""The inner loop: nanoseconds a step and connection updates per second (CUPS), through Network.fit."""

import itertools
import json
import time
import traceback
from pathlib import Path

import numpy as np
import scipy.sparse

import numbabp as nbp

MOMENTUM = {"update_rule": "momentum", "l2": 1e-4}
ROWS = {  # layer sizes, further options of fit
    "2-10-1": ((2, 10, 1), {}),
    "2-10-1 tiny": ((2, 10, 1), {"kernel": "tiny"}),
    "2-10-1 sequential": ((2, 10, 1), {"kernel": "sequential"}),
    "64-32-10": ((64, 32, 10), {}),
    "64-32-10 blocked": ((64, 32, 10), {"kernel": "blocked"}),
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
REPEATS = 3
ROUNDS = 5
TIMINGS = Path("inner_loop_timings.json")
"""In the folder that asv makes for a suite and keeps until all of it is done."""


def n_updated(row):
    """Weights that a step updates; of sparse samples only those of the non-zeros."""
    sizes, _ = ROWS[row]
    n_inputs = NON_ZEROS if "CSR" in row else sizes[0]
    return sum(a * b for a, b in itertools.pairwise((n_inputs, *sizes[1:])))


class InnerLoop:
    """Per-sample training, all sigmoid, binary cross-entropy; the best of some runs of about SECONDS.

    What else goes on in a machine comes in bursts of seconds. So all rows are timed in turn, in one process,
    and that ROUNDS times; and both units are from the same times.
    """

    params = (list(ROWS), ["float32", "float64"])
    param_names = ("network", "dtype")
    version = "1"  # raise it when what is measured changes: asv then draws no older results

    def setup_cache(self):
        """Write what a step of each row takes, or why it can't be told."""
        ready, timings = {}, {}
        for row, dtype in itertools.product(*self.params):
            try:
                benchmark = InnerLoop()
                benchmark.setup(row, dtype)
                ready[f"{row} {dtype}"] = benchmark
            except Exception:
                timings[f"{row} {dtype}"] = traceback.format_exc()
        for name, benchmark in itertools.chain.from_iterable([ready.items()] * ROUNDS):
            timings[name] = min(timings.get(name, float("inf")), benchmark.ns_per_step())
        TIMINGS.write_text(json.dumps(timings))

    setup_cache.timeout = 1200

    def setup(self, row, dtype):
        if TIMINGS.exists():
            return
        sizes, self.options = ROWS[row]
        generator = np.random.default_rng(0)
        n = 4 if sizes[0] == 2 else 1000
        if "CSR" in row:
            columns = generator.integers(0, sizes[0], n * NON_ZEROS)
            starts = np.arange(0, n * NON_ZEROS + 1, NON_ZEROS)
            values = generator.random(n * NON_ZEROS).astype(dtype)
            self.X = scipy.sparse.csr_matrix((values, columns, starts), shape=(n, sizes[0]))
        else:
            self.X = generator.standard_normal((n, sizes[0])).astype(dtype)
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
        timing = json.loads(TIMINGS.read_text())[f"{row} {dtype}"]
        if isinstance(timing, str):
            raise RuntimeError(timing)
        return timing

    def track_cups(self, row, dtype):
        return n_updated(row) / self.track_ns_per_step(row, dtype) * 1e9

    track_ns_per_step.unit = "ns"
    track_cups.unit = "weights/s"
