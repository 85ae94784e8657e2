"""A population on Dask's workers against the same training without Dask: seconds of a whole call of fit.

    python benchmarks/peers/distribution.py [--seconds 60] [--repeats 3] [--markdown FILE]

Three ways in turn, medians of the repeats: here on one thread; on one worker with one thread; on two such
workers. The workers are processes of this machine, which should have two cores with nothing else to do. The
overhead is what one worker takes beyond training here, the gain what two are faster than one; both are
medians of the ratios within the repeats. Every way has to arrive at the same parameters, to the last bit.

The population: 1024 networks 64-32-10, sigmoid, binary cross-entropy, float32, on scikit-learn's digits, for
as many epochs as training here does in the time asked for. (With XOR's four samples an epoch takes a network
less time than its record of the epoch takes on the way back.)
"""

import argparse
import statistics
import time
from pathlib import Path

import machine

if __name__ == "__main__":
    machine.on_one_thread()

import numpy as np
from distributed import Client, LocalCluster
from sklearn.datasets import load_digits

import numbabp as nbp

N_NETWORKS = 1024
HERE, ONE, TWO = "here, 1 thread", "1 worker, 1 thread", "2 workers, 1 thread each"
MOST_OVERHEAD, LEAST_GAIN = 0.05, 1.7
"""What is wanted."""


def train(epochs, client=None):
    """Seconds, and the parameters."""
    images, digits = load_digits(return_X_y=True)
    X, Y = images / 16, np.eye(10)[digits]
    population = nbp.Population(
        (64, 32, 10), N_NETWORKS, loss="binary_cross_entropy", dtype="float32", random_state=0
    )
    options = {"n_threads": 1} if client is None else {"client": client}
    started = time.perf_counter()
    population.fit(X, Y, epochs=epochs, learning_rate=0.05, random_state=0, progress=False, **options)
    return time.perf_counter() - started, population.parameters


def epochs_for(seconds):
    train(1)  # compiles, or loads from the cache
    taken, _ = train(4)
    return max(1, round(4 * seconds / taken))


def measure(epochs, repeats):
    """Seconds by way, one entry a repeat."""
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    times = {HERE: [], ONE: [], TWO: []}
    with (
        LocalCluster(n_workers=1, **options) as one,
        LocalCluster(n_workers=2, **options) as two,
        Client(one) as on_one,
        Client(two) as on_two,
    ):
        ways = {HERE: None, ONE: on_one, TWO: on_two}
        for client in (on_one, on_two):
            client.run(train, 1)  # loads the kernel
        for _ in range(repeats):
            expected = None
            for way, client in ways.items():
                seconds, parameters = train(epochs, client)
                times[way].append(seconds)
                expected = parameters if expected is None else expected
                if not np.array_equal(parameters, expected):
                    raise SystemExit(f"{way}: the parameters are not those of training here.")
    return times


def ratio(times, way, other):
    """Median of the ratios within the repeats."""
    return statistics.median(a / b for a, b in zip(times[way], times[other], strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of training here")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it there too")
    arguments = parser.parse_args()
    epochs = epochs_for(arguments.seconds)
    times = measure(epochs, arguments.repeats)
    lines = ["| way | seconds | least to most |", "|---|---:|---:|"]
    for way, taken in times.items():
        lines.append(f"| {way} | {statistics.median(taken):.4g} | {min(taken):.4g} to {max(taken):.4g} |")
    overhead, gain = ratio(times, ONE, HERE) - 1, ratio(times, ONE, TWO)
    lines += [
        "",
        f"{epochs:,} epochs. Overhead {overhead:.1%} (wanted: under {MOST_OVERHEAD:.0%}); "
        f"two workers are {gain:.2f} times as fast as one (wanted: at least {LEAST_GAIN}).",
    ]
    print("\n".join(lines))
    if arguments.markdown:
        about = machine.environment() | {"threads": "as said"}
        text = ["# Populations on Dask", "", *__doc__.split("\n\n", 2)[2].strip().splitlines(), ""]
        text += [*lines, "", "Measured on", "", *(f"- {key}: {value}" for key, value in about.items())]
        arguments.markdown.write_text("\n".join(text) + "\n")
    return overhead > MOST_OVERHEAD or gain < LEAST_GAIN


if __name__ == "__main__":
    raise SystemExit(int(main()))
