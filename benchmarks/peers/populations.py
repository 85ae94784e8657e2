"""Populations against their peers: nanoseconds of one network's step when many networks are trained.

    python benchmarks/peers/populations.py [--only WORD] [--repeats 5] [--markdown FILE]

All systems in turn, medians of the repeats, float32, sigmoid throughout, binary cross-entropy, the same
samples, initial weights and order. Before it is timed, JAX has to arrive at numbabp's parameters after one
epoch. JAX is vmap over the networks of lax.scan over the samples, jitted, on one thread. scikit-learn trains
a few of the networks, since all would take minutes. CUPS counts weights without biases. Last comes how the
time of a network's step grows with the number of networks on XOR, with as many steps in all for each number.
"""

import argparse
import os
import statistics
import time
import warnings
from pathlib import Path

import machine

if __name__ == "__main__":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from jax_sgd import make_train
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import numbabp as nbp
from numbabp.data.datasets import xor

FEW = 4
"""Networks that scikit-learn trains on each thread."""


def xor_task():
    X, y = xor()
    return (2, 10, 1), X.astype(np.float32), y[:, np.newaxis].astype(np.float32), 4096, 100


def digits_task():
    images, y = load_digits(return_X_y=True)
    return (64, 32, 10), (images / 16).astype(np.float32), np.eye(10, dtype=np.float32)[y], 1024, 1


TASKS = {"4096 x 2-10-1, XOR, 100 epochs": xor_task, "1024 x 64-32-10, digits, 1 epoch": digits_task}
RATE = 0.05


class Case:
    """One population, and each system's way to train it from the same start."""

    def __init__(self, task):
        self.sizes, self.X, self.Y, self.n, self.epochs = task()
        self.population = nbp.Population(
            self.sizes, self.n, loss="binary_cross_entropy", dtype="float32", random_state=0
        )
        self.start = self.population.parameters.copy()
        self.options = {"learning_rate": RATE, "epochs": self.epochs, "shuffle": False, "progress": False}

    def numbabp(self, n_threads):
        self.population.parameters[:] = self.start
        self.population.fit(self.X, self.Y, n_threads=n_threads, **self.options)

    def one_by_one(self, share):
        """Network.fit, of a part of the networks."""
        for i in range(0, self.n, share):
            network = self.networks[i]
            network.parameters[:] = self.start[i]
            network.fit(self.X, self.Y, **self.options)

    def prepare_networks(self, share):
        self.networks = {i: self.population[i] for i in range(0, self.n, share)}

    def prepare_jax(self):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_platforms", "cpu")
        self.jax = jax
        self.jitted = jax.jit(jax.vmap(make_train(jax, RATE), in_axes=(0, None, None, None)))
        rows, layers, at = self.start, [], 0
        for fan_in, fan_out in zip(self.sizes, self.sizes[1:], strict=False):
            W = rows[:, at : at + fan_in * fan_out].reshape(-1, fan_in, fan_out)
            at += fan_in * fan_out
            layers.append((jnp.array(W), jnp.array(rows[:, at : at + fan_out])))
            at += fan_out
        self.jax_start, self.jax_samples = layers, (jnp.array(self.X), jnp.array(self.Y))

    def with_jax(self, epochs=None):
        result = self.jitted(self.jax_start, *self.jax_samples, epochs or self.epochs)
        return self.jax.block_until_ready(result)[0]

    def check_jax(self):
        """Largest difference from numbabp's parameters after one epoch."""
        layers = self.with_jax(1)
        found = np.concatenate(
            [np.asarray(array).reshape(self.n, -1) for pair in layers for array in pair], axis=1
        )
        self.population.parameters[:] = self.start
        self.population.fit(self.X, self.Y, **{**self.options, "epochs": 1})
        difference = float(np.abs(found - self.population.parameters).max())
        if not difference < 1e-4:
            raise SystemExit(f"JAX does something else: parameters differ by {difference:.1e}.")

    def with_sklearn(self, n_jobs):
        y = self.Y[:, 0] if self.Y.shape[1] == 1 else self.Y
        Parallel(n_jobs=n_jobs)(
            delayed(fit_sklearn)(self.sizes, self.X, y.astype(int), self.epochs, seed)
            for seed in range(FEW * n_jobs)
        )


def fit_sklearn(sizes, X, y, epochs, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        MLPClassifier(
            hidden_layer_sizes=sizes[1:-1],
            activation="logistic",
            solver="sgd",
            batch_size=1,
            alpha=0,
            learning_rate_init=RATE,
            momentum=0,
            shuffle=False,
            max_iter=epochs,
            tol=0,
            n_iter_no_change=10**9,
            random_state=seed,
        ).fit(X, y)


def measure(case, repeats):
    """Median nanoseconds of a network's step by system, and the least and the most."""
    steps = case.epochs * len(case.X)
    share = max(1, case.n // 64)
    systems = {
        "numbabp, 1 thread": (lambda: case.numbabp(1), case.n),
        "numbabp, 2 threads": (lambda: case.numbabp(2), case.n),
        "Network.fit, one by one": (lambda: case.one_by_one(share), -(-case.n // share)),
        "scikit-learn, joblib with 2 processes": (lambda: case.with_sklearn(2), 2 * FEW),
    }
    case.prepare_networks(share)
    try:
        case.prepare_jax()
        case.check_jax()
        systems["JAX vmap + scan, 1 thread"] = (case.with_jax, case.n)
    except ImportError:
        print("JAX is not installed.")
    times = {name: [] for name in systems}
    for function, _ in systems.values():
        function()  # compiles
    for _ in range(repeats):
        for name, (function, n) in systems.items():
            started = time.perf_counter()
            function()
            times[name].append((time.perf_counter() - started) / (n * steps) * 1e9)
    return times


GROWTH = "growth"
SIZES = (256, 1024, 4096, 16384, 65536)
EPOCHS_OF_ALL = 500 * SIZES[-1]


def measure_growth(n_threads, repeats):
    """Nanoseconds of a network's step, a list for each of `SIZES`, in turn."""
    sizes, X, Y, _, _ = xor_task()
    options = {"learning_rate": RATE, "shuffle": False, "n_threads": n_threads}
    times = {n: [] for n in SIZES}
    for repeat in range(repeats + 1):
        for n in SIZES:
            population = nbp.Population(
                sizes, n, loss="binary_cross_entropy", dtype="float32", random_state=0
            )
            started = time.perf_counter()
            population.fit(X, Y, epochs=EPOCHS_OF_ALL // n, progress=False, **options)
            taken = time.perf_counter() - started
            if repeat > 0:  # in the first the system has to find memory for the histories
                times[n].append(taken / (EPOCHS_OF_ALL * len(X)) * 1e9)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="WORD", default="", help="tasks with this in their names")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it there too")
    arguments = parser.parse_args()
    lines = ["| task | system | ns a network and step | least to most | times numbabp's on 1 thread | CUPS |"]
    lines.append("|---|---|---:|---:|---:|---:|")
    print("\n".join(lines))
    for name, task in TASKS.items():
        if arguments.only not in name:
            continue
        case = Case(task)
        times = measure(case, arguments.repeats)
        own = times["numbabp, 1 thread"]
        for system, taken in times.items():
            ratio = statistics.median(a / b for a, b in zip(taken, own, strict=True))
            median = statistics.median(taken)
            cups = case.population[0].n_weights / median * 1e9
            lines.append(
                f"| {name} | {system} | {median:,.4g} | {min(taken):,.4g} to {max(taken):,.4g} "
                f"| {ratio:,.3g} | {cups:.2e} |"
            )
            print(lines[-1], flush=True)
    if arguments.only in GROWTH:
        growth = ["| 2-10-1, XOR | " + " | ".join(f"{n:,} networks" for n in SIZES) + " |"]
        growth.append("|---|" + "---:|" * len(SIZES))
        for n_threads in (1, 2):
            times = measure_growth(n_threads, arguments.repeats)
            medians = [f"{statistics.median(times[n]):.3g}" for n in SIZES]
            growth.append(f"| ns a network and step, {n_threads} thread{'s' * (n_threads > 1)} | ")
            growth[-1] += " | ".join(medians) + " |"
        print("\n".join(["", *growth]))
        lines += ["", *growth]
    about = machine.environment() | {"threads": "as said"}
    if arguments.markdown:
        text = ["# Populations and their peers", "", *__doc__.split("\n\n", 2)[2].strip().splitlines(), ""]
        text += [*lines, "", "Measured on", "", *(f"- {key}: {value}" for key, value in about.items())]
        arguments.markdown.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
