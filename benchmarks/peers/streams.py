"""numbabp stream against Vowpal Wabbit with --nn, on the same rows: from files of text to a model, in turn.

    python benchmarks/peers/streams.py [--rows 1000000] [--hidden 32] [--repeats 5] [--folder FOLDER]

Each reads its own kind of file - CSV, and `label |f 0:1.5 1:-0.2 ...` - of the same 28 numbers a row, written
with six digits, as a process of its own that parses, trains and saves a model. Time is that of the process,
its start included; microseconds a row are what a row more costs: the difference to a tenth of the rows. Those
of the processor are the sum over its threads, which tells more where other programs run beside. The loss is
the prequential one that each of them prints last. pyarrow's parser alone is there for comparison: nothing
that reads CSV by it can be faster.

Two cores, busy with other work, 400,000 rows, medians of 3 in turn: numbabp 3.0 us of a processor a row, of
which parsing takes 1.9; `vw --nn 32` 18.9, 6.2 times as long (5.4 by the clock); with --sgd, which leaves its
adaptive rates out, 11.8, 3.9 times as long (3.3 by the clock); pyarrow's parser alone 2.6.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from with_vw import vw_command

N_FEATURES = 28
"""As many as the set of Higgs bosons has."""
SYSTEMS = ("numbabp stream", "vw --nn", "vw --nn --sgd", "pyarrow reads")
PYARROW = """
import sys
from pyarrow import csv
n = sum(batch.num_rows for batch in csv.open_csv(sys.argv[1], csv.ReadOptions(block_size=1 << 20)))
"""


def write_rows(folder, n, seed=0):
    """Two files of the same rows: a class that depends on products of numbers, too."""
    random = np.random.RandomState(seed)
    weights = random.randn(N_FEATURES)
    with (folder / f"{n}.csv").open("w") as table, (folder / f"{n}.vw").open("w") as text:
        table.write(",".join(["label", *(f"x{j}" for j in range(N_FEATURES))]) + "\n")
        for start in range(0, n, 10_000):
            X = random.randn(min(10_000, n - start), N_FEATURES)
            y = X @ weights + 3 * X[:, 0] * X[:, 1] > 0
            for x, label in zip(X.tolist(), y.tolist(), strict=True):
                numbers = [f"{value:.6g}" for value in x]
                table.write(",".join([str(int(label)), *numbers]) + "\n")
                features = " ".join(f"{j}:{number}" for j, number in enumerate(numbers))
                text.write(f"{1 if label else -1} |f {features}\n")


def command_of(system, folder, n, hidden):
    """What is run."""
    table, model = str(folder / f"{n}.csv"), str(folder / "model")
    if system == "pyarrow reads":
        return [sys.executable, "-c", PYARROW, table]
    if system == "numbabp stream":
        options = ["--target", "label", "--hidden", str(hidden), "--activation", "tanh", "--output", model]
        return [sys.executable, "-m", "numbabp", "stream", table, *options, "--json"]
    options = ["--nn", str(hidden), "--loss_function", "logistic", "-f", model, "--no_stdin"]
    if system.endswith("--sgd"):
        options += ["--sgd", "-l", "0.01", "--power_t", "0"]
    return [*vw_command(), *options, "-d", str(folder / f"{n}.vw")]


def processor_seconds():
    """Of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def times_and_loss(system, folder, n, hidden):
    """Of one run: seconds by the clock and of the processor, and the loss."""
    start, before = time.perf_counter(), processor_seconds()
    done = subprocess.run(command_of(system, folder, n, hidden), check=True, capture_output=True, text=True)
    times = time.perf_counter() - start, processor_seconds() - before
    if system == "numbabp stream":
        return times, json.loads(done.stdout)["progress"][-1]["over_all"]["loss"]
    line = next((line for line in done.stderr.splitlines() if line.startswith("average loss")), "= nan")
    return times, float(line.split("=")[1].split()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=None, help="where the rows are kept")
    asked = parser.parse_args()
    systems = [s for s in SYSTEMS if vw_command() is not None or not s.startswith("vw")]
    if len(systems) < len(SYSTEMS):
        print("Vowpal Wabbit is not installed: pip install vowpalwabbit", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        sizes = asked.rows // 10, asked.rows
        for n in sizes:
            if not (folder / f"{n}.vw").exists():
                write_rows(folder, n)
        for system in systems:  # what is compiled once a machine is no part of it
            times_and_loss(system, folder, sizes[0], asked.hidden)
        times = np.empty((asked.repeats, len(systems), len(sizes), 2))
        losses = {}
        for repeat in range(asked.repeats):
            for j, system in enumerate(systems):
                for k, n in enumerate(sizes):
                    times[repeat, j, k], losses[system] = times_and_loss(system, folder, n, asked.hidden)
        report(systems, sizes, times, losses)


def report(systems, sizes, times, losses):
    """A line each; ratios are medians of the ratios to numbabp's within a repeat."""
    per_row = (times[:, :, 1] - times[:, :, 0]) / (sizes[1] - sizes[0]) * 1e6
    print(f"{sizes[1]:,} rows of {N_FEATURES} numbers; medians of {len(times)} runs in turn")
    columns = ["seconds", "ratio", "us a row", "least", "most", "ratio", "us of CPU", "ratio", "loss"]
    print(f"{'':16}" + "".join(f"{column:>11}" for column in columns))
    for j, system in enumerate(systems):
        clock, cpu = per_row[:, j, 0], per_row[:, j, 1]
        cells = [
            np.median(times[:, j, 1, 0]),
            np.median(times[:, j, 1, 0] / times[:, 0, 1, 0]),
            np.median(clock),
            clock.min(),
            clock.max(),
            np.median(clock / per_row[:, 0, 0]),
            np.median(cpu),
            np.median(cpu / per_row[:, 0, 1]),
            losses[system],
        ]
        print(f"{system:16}" + "".join(f"{cell:11.4g}" for cell in cells))


if __name__ == "__main__":
    main()
