"""One kernel on the GPU, in a process of its own: python benchmarks/on_gpu/one_kernel.py WHAT

WHAT is KERNEL:DTYPE:RULE, 200 steps beside the CPU's; `opt-in`, a block with more shared memory than it may
have unasked; or speed:N, the kernels of row N of the speeds, compiled and run once. It prints a line of JSON;
the exit status is 1 if the trajectories differ. For a sanitizer, a profiler, or many at once (on_card.py).
"""

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

import numbabp as nbp
from benchmarks.gpu import Benchmark
from benchmarks.on_gpu.tasks import Check, tasks
from numbabp.devices import memory


def speed(row):
    """Compile and run the kernels of a row once."""
    task = list(tasks())[int(row)]
    for kernel in task.kernels:
        task.fit(task.model(), 1, device="cuda", kernel=kernel)
    return {"passed": True}


def opt_in():
    """107 KB of dynamic shared memory a block."""
    X, y = np.random.default_rng(0).random((20, 784)), np.arange(20) % 10
    found = []
    for device, kernel in (("cuda", "block"), ("cpu", "auto")):
        population = nbp.Population(
            (784, 32, 10), 3, loss="categorical_cross_entropy", dtype="float64", random_state=0
        )
        options = {"epochs": 3, "learning_rate": 0.05, "shuffle": False, "progress": False}
        population.fit(X, np.eye(10)[y], device=device, kernel=kernel, **options)
        found.append(population.parameters)
    difference = float(np.abs(found[0] - found[1]).max())
    return {"difference": difference, "passed": difference <= 1e-10}


def trajectory(check):
    """200 steps on the GPU and on the CPU."""
    report = SimpleNamespace(simulated=memory.is_simulated())
    difference = float(Benchmark(report, None, 0, 1).compare(check)["difference"])
    return {"difference": difference, "allowed": check.tolerance, "passed": difference <= check.tolerance}


def main(what):
    reason = memory.why_no_gpu()
    if reason:
        sys.exit(f"No GPU here: {reason}.")
    started = time.perf_counter()
    kind, _, rest = what.partition(":")
    if kind == "speed":
        found = speed(rest)
    elif kind == "opt-in":
        found = opt_in()
    else:
        found = trajectory(Check(*what.split(":")))
    print(json.dumps({"what": what, **found, "seconds": round(time.perf_counter() - started, 1)}))
    sys.exit(not found["passed"])


if __name__ == "__main__":
    main(sys.argv[1])
