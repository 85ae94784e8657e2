"""numbabp.sklearn against scikit-learn: the same fits in turn, in one process and on one thread.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.sklearn_twin

Each row is the median over rounds of the time that an epoch takes, and the median of the rounds' ratios. Both
classes are given the same samples and settings, so they take the same steps; the largest difference of their
parameters after the last round is told beside, relative to the largest parameter.
"""

import argparse
import os
import statistics
import time
import warnings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sklearn import neural_network as theirs
from sklearn.exceptions import ConvergenceWarning

from numbabp import sklearn as ours

ADAM = {"solver": "adam", "batch_size": 200}
SGD = {"solver": "sgd", "learning_rate_init": 0.01}
ROWS = [
    ("784-512-512-10", ADAM, 2000),
    ("784-100-10", ADAM, 4000),
    ("64-100-10", ADAM, 8000),
    ("20-100-2", ADAM, 8000),
    ("784-512-512-10", {**SGD, "batch_size": 32}, 640),
    ("784-100-10", {**SGD, "batch_size": 32}, 1280),
    ("64-100-10", {**SGD, "batch_size": 32}, 3200),
    ("784-512-512-10", {**SGD, "batch_size": 1}, 30),
    ("784-100-10", {**SGD, "batch_size": 1}, 200),
    ("64-100-10", {**SGD, "batch_size": 1}, 500),
    ("20-100-2", {**SGD, "batch_size": 1}, 500),
    ("784-100-10", {"solver": "lbfgs"}, 2000),
    ("64-100-10", {"solver": "lbfgs"}, 2000),
]
"""Layers, settings, samples."""


def samples(sizes, n, dtype):
    """Inputs between 0 and 1 of which half are zero, as in pictures, and classes that depend on them."""
    rng = np.random.RandomState(0)
    X = np.maximum(rng.uniform(-1, 1, (n, sizes[0])), 0).astype(dtype)
    scores = X @ rng.standard_normal((sizes[0], sizes[-1]))
    return X, np.argmax(scores - scores.mean(0), axis=1)


def measure(layers, settings, n, dtype, rounds):
    """Seconds an epoch of theirs and of ours, the ratio, and how far the parameters are from each other."""
    sizes = [int(size) for size in layers.split("-")]
    X, y = samples(sizes, n, dtype)
    epochs = 6
    settings = {**settings, "hidden_layer_sizes": sizes[1:-1], "max_iter": epochs, "random_state": 0}
    models = [module.MLPClassifier(**settings) for module in (theirs, ours)]
    models[1].fit(X, y)  # compiles
    took = ([], [])
    for i in range(rounds):
        for which in ((0, 1), (1, 0))[i % 2]:
            start = time.process_time()
            models[which].fit(X, y)
            took[which].append((time.process_time() - start) / epochs)
    ratio = statistics.median(a / b for a, b in zip(*took, strict=True))
    a, b = (np.concatenate([p.ravel() for p in m.coefs_ + m.intercepts_]) for m in models)
    return *map(statistics.median, took), ratio, np.abs(a - b).max() / np.abs(a).max()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="rows whose text has this in it")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| network | solver | batch | dtype | scikit-learn, ms | twin, ms | times as fast | apart |")
    print("|---|---|--:|---|--:|--:|--:|--:|")
    for layers, settings, n in ROWS:
        for dtype in ("float32", "float64"):
            text = f"| {layers} | {settings['solver']} | {settings.get('batch_size', 'all')} | {dtype}"
            if arguments.only in text:
                their, our, ratio, apart = measure(layers, settings, n, dtype, arguments.rounds)
                print(
                    f"{text} | {1e3 * their:.1f} | {1e3 * our:.1f} | {ratio:.1f} | {apart:.0e} |", flush=True
                )


if __name__ == "__main__":
    main()
