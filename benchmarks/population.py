"""Populations: nanoseconds that one network's step takes when many are trained at once."""

import time

import numpy as np

import numbabp as nbp

ROWS = {  # layer sizes, networks, epochs
    "4096 x 2-10-1": ((2, 10, 1), 4096, 100),
    "1024 x 64-32-10": ((64, 32, 10), 1024, 1),
}
REPEATS = 5


class PopulationTraining:
    """Population.fit, all sigmoid, binary cross-entropy, common order; the best of some runs."""

    params = (list(ROWS), ["float32", "float64"], [1, 2])
    param_names = ("population", "dtype", "threads")
    version = "1"  # raise it when what is measured changes: asv then draws no older results

    def setup(self, row, dtype, n_threads):
        if not hasattr(nbp, "Population"):
            raise NotImplementedError  # an older commit, for which asv skips this
        sizes, n_networks, self.epochs = ROWS[row]
        generator = np.random.default_rng(0)
        n = 4 if sizes[0] == 2 else 200
        self.X = generator.standard_normal((n, sizes[0])).astype(dtype)
        self.y = (generator.random((n, sizes[-1])) < 0.5).astype(dtype)
        self.population = nbp.Population(
            sizes, n_networks, loss="binary_cross_entropy", dtype=dtype, random_state=0
        )
        self.train(n_threads)  # compiles

    def train(self, n_threads):
        started = time.perf_counter()
        self.population.fit(
            self.X,
            self.y,
            learning_rate=0.01,
            epochs=self.epochs,
            shuffle=False,
            n_threads=n_threads,
            progress=False,
        )
        return time.perf_counter() - started

    def track_ns_per_network_step(self, row, dtype, n_threads):
        seconds = min(self.train(n_threads) for _ in range(REPEATS))
        return 1e9 * seconds / (self.population.n_networks * self.epochs * len(self.X))

    track_ns_per_network_step.unit = "ns"
