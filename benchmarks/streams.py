"""What streams cost: python benchmarks/streams.py [--rounds 3] [--file-mb 200] [--generated-gb 1]

Where training binds: `fit_stream` on batches in memory beside one `fit` on all of them, in turn, by the clock
and by seconds on processors; medians of the rounds' ratios. Where reading binds: a CSV and a Parquet file of
`--file-mb`, learnt by a small network, beside pyarrow's dataset that only reads them, each in a process of
its own, in turn. And the most memory that such a process took, also for `--generated-gb` worth of rows that
are made as they are read. `--memory-only` leaves out what takes time.

A machine that does other things too changes what the clock says; what is on processors it changes less.
"""

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numbabp as nbp

N_FEATURES = 28
GROUP_ROWS = 1 << 20
"""Of a Parquet file, as pyarrow and pandas write them: 235 MB of 28 numbers."""
IN_MEMORY = (
    # layer sizes, dtype, samples, rows of a batch, options
    ((28, 32, 1), "float64", 400_000, 8192, {"kernel": "sequential"}),
    ((28, 32, 1), "float64", 400_000, 100, {"kernel": "sequential"}),
    ((2, 10, 1), "float64", 1_000_000, 8192, {"kernel": "sequential"}),
    ((784, 128, 10), "float32", 30_000, 1024, {"kernel": "blocked", "block_length": 64}),
    ((28, 100, 1), "float32", 200_000, 8192, {"update_rule": "adam", "batch_size": 200}),
    ((28, 32, 1), "float64", 100_000, 8192, {"update_rule": "adam"}),
)


def in_memory(rounds):
    """Rows of the first table."""
    for sizes, dtype, n, rows, options in IN_MEMORY:
        generator = np.random.default_rng(0)
        X = generator.random((n, sizes[0])).astype(dtype)
        y = generator.integers(0, max(2, sizes[-1]), n).astype(float)
        batches = [(X[i : i + rows], y[i : i + rows]) for i in range(0, n, rows)]
        options = {"learning_rate": 0.01, "n_threads": 1, "progress": False, **options}
        loss = "binary_cross_entropy" if sizes[-1] == 1 else "categorical_cross_entropy"

        def network(sizes=sizes, dtype=dtype, loss=loss):
            return nbp.Network(sizes, dtype=dtype, loss=loss, random_state=0)

        def fit(X=X, y=y, options=options, network=network):
            network().fit(X, y, epochs=1, shuffle=False, **options)

        def stream(batches=batches, options=options, network=network):
            network().fit_stream(batches, **options)

        fit(X[:1000], y[:1000])
        stream([(X[:1000], y[:1000])])
        found = []
        for r in range(rounds):
            took = {run: timed(run) for run in ((fit, stream) if r % 2 else (stream, fit))}
            found.append([took[run][clock] for clock in (0, 1) for run in (fit, stream)])
        medians = [statistics.median(column) / n * 1e9 for column in zip(*found, strict=True)]
        ratios = [statistics.median(f[c] / f[c + 1] for f in found) for c in (0, 2)]
        name = f"{'-'.join(map(str, sizes))} {dtype}, {options.get('update_rule', 'sgd')}, batches of {rows}"
        print(
            f"{name:52} fit {medians[0]:8.0f} ns a row, stream {medians[1]:8.0f}: {ratios[0]:5.0%} of its "
            f"speed by the clock; on processors {medians[2]:8.0f} and {medians[3]:8.0f}, {ratios[1]:5.0%}",
            flush=True,
        )


def timed(run):
    """Seconds by the clock and on processors."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - processor


def tables(n_bytes):
    """Tables of so many bytes of numbers, all in all."""
    import pyarrow

    generator = np.random.default_rng(0)
    n_rows = n_bytes // (8 * (N_FEATURES + 1))
    for start in range(0, n_rows, 1 << 16):
        X = generator.standard_normal((min(1 << 16, n_rows - start), N_FEATURES), dtype=np.float32)
        columns = {f"x{j}": X[:, j].astype(float).round(4) for j in range(N_FEATURES)}
        yield pyarrow.table({**columns, "y": (X[:, 0] * X[:, 1] > 0).astype(np.int64)})


def write(path, n_bytes):
    """A file of so many bytes of numbers: as text they are as many, about."""
    from pyarrow import csv, parquet

    writer = None
    for table in tables(n_bytes):
        if writer is None and path.suffix == ".csv":
            writer = csv.CSVWriter(path, table.schema)
        elif writer is None:
            writer = parquet.ParquetWriter(path, table.schema)
        writer.write(table, **({} if path.suffix == ".csv" else {"row_group_size": GROUP_ROWS}))
    writer.close()


def generated(n_bytes):
    """A reader of record batches that are made as they are read: the same rows again and again."""
    import pyarrow

    table = next(tables(1 << 24))
    (batch,) = table.combine_chunks().to_batches()
    batches = (batch for _ in range(max(1, n_bytes // batch.nbytes)))
    return pyarrow.RecordBatchReader.from_batches(table.schema, batches)


def child(job, what, hidden):
    """What a process of its own does; prints rows, seconds by the clock and on processors, and its peak."""
    n_rows = 0
    if job == "read":
        from pyarrow import dataset

        def run():
            nonlocal n_rows
            of = dataset.dataset(what, format=Path(what).suffix[1:])
            n_rows = sum(len(batch) for batch in of.to_batches())
    else:
        net = nbp.Network((N_FEATURES, *hidden, 1), loss="binary_cross_entropy", random_state=0)
        warm = np.zeros((2, N_FEATURES)), np.zeros(2)
        net.fit_stream([warm], n_threads=1)
        import pyarrow.dataset  # noqa: F401 - what is imported first is not part of it

        def run():
            nonlocal n_rows
            source = generated(int(what)) if job == "generated" else what
            n_rows = int(net.fit_stream(source, target="y", n_threads=1).n_samples[-1])

    seconds = timed(run)
    print(json.dumps([n_rows, *seconds, peak_mb()]))


def peak_mb():
    """Of this process; Linux counts in ru_maxrss what the one before had that has started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def in_child(job, what, hidden=()):
    command = [sys.executable, __file__, "--child", job, str(what), *map(str, hidden)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def from_files(rounds, file_mb, with_reading):
    """Rows of the second table."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".parquet", ".csv"):
            path = Path(folder) / f"rows{suffix}"
            write(path, file_mb << 20)
            size = path.stat().st_size >> 20
            found = []
            for r in range(rounds):
                jobs = ("read", "learn") if r % 2 else ("learn", "read")
                took = {job: in_child(job, path) for job in jobs if job == "learn" or with_reading}
                found.append((took.get("read", took["learn"]), took["learn"]))
            clock, processor = (
                statistics.median(learn[c] / read[c] for read, learn in found) for c in (1, 2)
            )
            peaks = [statistics.median(pair[i][3] for pair in found) for i in (0, 1)]
            n_rows, seconds = found[0][1][0], statistics.median(learn[1] for _, learn in found)
            print(
                f"{suffix[1:]:8} {size} MB, {n_rows} rows, {seconds / n_rows * 1e9:.0f} ns a row: takes "
                f"{clock:.2f} times as long as reading it by the clock, {processor:.2f} on processors; peak "
                f"{peaks[1]:.0f} MB, of reading alone {peaks[0]:.0f}",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--file-mb", type=int, default=200)
    parser.add_argument("--generated-gb", type=float, default=1.0)
    parser.add_argument("--memory-only", action="store_true")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        job, what, *hidden = asked.child
        child(job, what, list(map(int, hidden)))
        return
    if not asked.memory_only:
        in_memory(asked.rounds)
    from_files(1 if asked.memory_only else asked.rounds, asked.file_mb, not asked.memory_only)
    n_rows, seconds, _, peak = in_child("generated", int(asked.generated_gb * 2**30))
    print(
        f"{asked.generated_gb:g} GB made as they are read, {n_rows} rows, {seconds / n_rows * 1e9:.0f} ns a "
        f"row: peak {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
