"""Mini-batches of populations: in the lanes of vectors, and network by network.

    python benchmarks/batches_in_lanes.py [--repeats 7] [--only WORD]

Nanoseconds on the processor, on one thread, of a network and a sample, the median and the least of the
repeats, which take both ways in turn; one by one only some networks go, as all would take minutes.
"""

import argparse
import statistics
import time

import numpy as np

import numbabp as nbp

CASES = {  # sizes, networks, those one by one, samples, epochs in lanes
    "4,096 x 2-10-1": ((2, 10, 1), 4096, 16, 4, 100),
    "4,096 x 2-10-1, 256 samples": ((2, 10, 1), 4096, 8, 256, 2),
    "1,024 x 64-32-10": ((64, 32, 10), 1024, 4, 256, 1),
    "256 x 20-100-2": ((20, 100, 2), 256, 4, 256, 1),
}
SETTINGS = [(batch_size, rule) for rule in ("sgd", "momentum", "adam") for batch_size in (1, 4, 32)]


def runs_of(case, batch_size, rule, dtype):
    """By kernel, a function that trains, and how many networks and samples it takes."""
    sizes, n_networks, n_alone, n, epochs = case
    generator = np.random.default_rng(0)
    X = generator.standard_normal((n, sizes[0])).astype(dtype)
    y = (generator.random((n, sizes[-1])) < 0.5).astype(dtype)
    how = {"batch_size": batch_size, "update_rule": rule, "learning_rate": 0.001, "n_threads": 1}
    make = {"loss": "binary_cross_entropy", "dtype": dtype, "random_state": 0}
    runs = {}
    for kernel, networks, more in (("lanes", n_networks, 1), ("each", n_alone, 8 if n > 4 else 1)):
        many = nbp.Population(sizes, networks, **make)

        def train(many=many, kernel=kernel, epochs=epochs * more):
            many.fit(X, y, epochs=epochs, kernel=kernel, progress=False, **how)

        runs[kernel] = train, networks * n * epochs * more, many.plan(X, kernel=kernel, **how).ns_per_step
    return runs


def measure(runs, repeats):
    """Nanoseconds of a network and a sample by kernel, a list each."""
    found = {kernel: [] for kernel in runs}
    for repeat in range(repeats + 1):
        for kernel, (train, steps, _) in runs.items():
            started = time.process_time()
            train()
            if repeat > 0:  # the first one compiles
                found[kernel].append((time.process_time() - started) / steps * 1e9)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", metavar="WORD", default="", help="rows that have it in their text")
    arguments = parser.parse_args()
    print(
        "| networks | batch | rule | dtype | in lanes, ns | least | predicted | one by one, ns | least "
        "| ratio |"
    )
    print("|---|--:|---|---|--:|--:|--:|--:|--:|--:|")
    for name, case in CASES.items():
        for batch_size, rule in SETTINGS:
            for dtype in ("float32", "float64"):
                row = f"| {name} | {batch_size} | {rule} | {dtype} |"
                if arguments.only not in row or batch_size > max(case[3], 4):
                    continue
                runs = runs_of(case, batch_size, rule, dtype)
                found = measure(runs, arguments.repeats)
                middle = {kernel: statistics.median(values) for kernel, values in found.items()}
                print(
                    f"{row} {middle['lanes']:.1f} | {min(found['lanes']):.1f} | {runs['lanes'][2]:.1f} "
                    f"| {middle['each']:.0f} | {min(found['each']):.0f} "
                    f"| {middle['each'] / middle['lanes']:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
