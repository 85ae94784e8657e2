"""One side of benchmarks/regression.py: trains what its standard input asks for, and tells how long it took.

A request is a line of JSON, and so is its answer:

    {"rows": true}                      every row's name and unit
    {"prepare": ROW}                    makes a row ready; {"steps": ...} of a unit of work
    {"train": ROW, "units": N}          {"wall": seconds, "cpu": seconds} of that much work
    {"forget": ROW}                     {}

What goes wrong is {"error": text}. Rows are those of inner_loop.py and population.py, and are trained through
the public interface alone, so that it works with any commit of the package; the argument is its folder.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1], str(Path(__file__).resolve().parents[1])]

from benchmarks import inner_loop, population  # asv would take classes imported here for more of its own

MOST_SAMPLES = {"inner loop": 250, "population": 50}
"""Of the benchmarks' samples so many are taken: a unit of work has to be short."""


class Inner:
    """A row of inner_loop.py; a unit of work is an epoch."""

    def __init__(self, row, dtype):
        self.benchmark = inner_loop.InnerLoop()
        self.benchmark.setup(row, dtype)
        self.steps = _shorten(self.benchmark, MOST_SAMPLES["inner loop"])

    def train(self, units):
        self.benchmark.train(units)


class Together:
    """A row of population.py on one thread; a unit of work is one call of its fit."""

    def __init__(self, row, dtype):
        self.benchmark = population.PopulationTraining()
        self.benchmark.setup(row, dtype, 1)
        n_samples = _shorten(self.benchmark, MOST_SAMPLES["population"])
        self.steps = self.benchmark.population.n_networks * self.benchmark.epochs * n_samples

    def train(self, units):
        for _ in range(units):
            self.benchmark.train(1)


def _shorten(benchmark, n):
    """Keep the first n samples at most; how many there are then."""
    benchmark.X, benchmark.y = benchmark.X[:n], benchmark.y[:n]
    return benchmark.X.shape[0]


WORK = {
    "inner loop": (Inner, inner_loop.InnerLoop, "ns a step"),
    "population": (Together, population.PopulationTraining, "ns a network's step"),
}


def row_units():
    """Every row that a worker can train, as "part: network, dtype", and its unit."""
    return {
        f"{part}: {row}, {dtype}": unit
        for part, (_, benchmark, unit) in WORK.items()
        for row in benchmark.params[0]
        for dtype in benchmark.params[1]
    }


class Worker:
    """Answers requests."""

    def __init__(self):
        self.ready = {}

    def answer(self, request):
        if "rows" in request:
            return row_units()
        if "prepare" in request:
            return self.prepare(request["prepare"])
        if "train" in request:
            return self.train(self.ready[request["train"]], request["units"])
        del self.ready[request["forget"]]
        return {}

    def prepare(self, name):
        part, rest = name.split(": ", 1)
        row, dtype = rest.rsplit(", ", 1)
        work = self.ready[name] = WORK[part][0](row, dtype)
        return {"steps": work.steps}

    def train(self, work, units):
        wall, cpu = time.perf_counter(), time.process_time()
        work.train(units)
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main():
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what others print is no answer
    worker = Worker()
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as problem:
            answer = {"error": " ".join(f"{type(problem).__name__}: {problem}".split())}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # it is the parent that says so
        main()
