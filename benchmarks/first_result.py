"""What a first result takes with nothing cached, and once the kernels are on disk; and what was compiled.

    python benchmarks/first_result.py [--runs N] [--package FOLDER] [--list]

Each run is a process of its own, once in a fresh cache folder and once more in the same. Seconds of wall time
and of processor time of the whole process, imports and Python's own start included, are medians; of a machine
that others use, too, only the processor's count. --package takes numbabp from another checkout; --list names
every function that was compiled, with its seconds. Not an asv suite.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = {
    "demo xor": "command('demo', 'xor')",
    "train --dataset digits": "command('train', '--dataset', 'digits')",
    "MLPClassifier().fit, digits": "estimator()",
}
PROGRAM = """
import contextlib, io, json, os, resource, sys, time
from numba.core.event import Listener, register

compiled, under_way = [], []

class Watch(Listener):
    def on_start(self, event):
        under_way.append([time.process_time(), 0.0])
    def on_end(self, event):
        begun, within = under_way.pop()
        seconds = time.process_time() - begun
        if under_way:
            under_way[-1][1] += seconds
        function = event.data["dispatcher"].py_func
        name = f"{function.__module__}.{function.__qualname__}"
        compiled.append((name, str(event.data["args"]), seconds, seconds - within, len(under_way)))

register("numba:compile", Watch())

def command(*arguments):
    from numbabp.cli import main
    sys.argv = ["numbabp", *arguments]
    with contextlib.suppress(SystemExit):
        main()

def estimator():
    from sklearn.datasets import load_digits
    from numbabp import MLPClassifier
    MLPClassifier().fit(*load_digits(return_X_y=True))

with contextlib.redirect_stdout(io.StringIO()):
    exec(sys.argv[1])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "compiled": compiled}))
"""


def measure(run, package, cache):
    """One process: seconds of wall and processor time, and what it compiled."""
    environment = {**os.environ, "PYTHONPATH": str(package), "NUMBA_CACHE_DIR": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, RUNS[run]],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return {"wall": time.perf_counter() - started, **found}


def kernels_of(found):
    """Kernels as lines: seconds, and how many functions were compiled into it."""
    lines, within = [], 0
    for name, _, seconds, _, depth in found["compiled"]:
        within += 1
        if depth == 0:
            lines.append(f"  {seconds:6.2f} s  {within:3} functions  {name}")
            within = 0
    return lines


def report(runs, package, all_functions):
    """Measure and print."""
    print(f"{'':28}{'cold wall':>10}{'cpu':>8}{'compiling':>11}{'functions':>11}{'warm wall':>11}{'cpu':>8}")
    for run in RUNS:
        cold, warm = [], []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as cache:
                cold.append(measure(run, package, cache))
                warm.append(measure(run, package, cache))
        compiling = [sum(own for *_, own, _ in found["compiled"]) for found in cold]
        columns = [[found[name] for found in kind] for kind in (cold, warm) for name in ("wall", "cpu")]
        wall, cpu, warm_wall, warm_cpu = map(statistics.median, columns)
        print(
            f"{run:28}{wall:10.2f}{cpu:8.2f}{statistics.median(compiling):11.2f}"
            f"{len(cold[0]['compiled']):11}{warm_wall:11.2f}{warm_cpu:8.2f}"
        )
        print(*kernels_of(cold[0]), sep="\n")
        if all_functions:
            for name, of_types, _, own, _ in sorted(cold[0]["compiled"], key=lambda row: -row[3]):
                print(f"      {own:6.3f} s  {name} {of_types[:60]}")
        again = kernels_of(warm[0])
        if again:
            print("  compiled again with the cache:", *again, sep="\n")


def main():
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--package", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    report(arguments.runs, arguments.package.resolve(), arguments.list)


if __name__ == "__main__":
    main()
