"""One kernel on the GPU, in a process of its own: python benchmarks/on_gpu/one_kernel.py WHAT

WHAT is KERNEL:DTYPE:RULE, 200 steps beside the CPU's; `opt-in`, a block with more shared memory than it may
have unasked; or speed:N, the kernels of row N of the speeds, compiled and timed, microseconds a step of all
networks. It prints a line of JSON; the exit status is 1 if the trajectories differ. For a sanitizer, a
profiler, or many at once (on_card.py).

speed:2:THREADSxGROUPxLENGTH,... times the blocked kernel for other geometries than the planner's, a line
each: threads of a block, units of a group, samples of a block; with an s behind it no weights stay in shared
memory, with an r none in registers. Such as speed:2:256x16x64,256x16x128,256x16x64r,256x16x64rs,512x16x64;
new threads, groups, or an r are compiled.
"""

import json
import sys
import time
from contextlib import contextmanager
from functools import partial
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
    """Compile and time the kernels of a row, or one of them for several geometries."""
    row, _, variants = row.partition(":")
    task = list(tasks())[int(row)]
    if not variants:
        times = {kernel: us_per_step(task, kernel) for kernel in task.kernels}
        return {"us_per_step": times, "passed": True}
    times = {}
    for variant in variants.split(","):
        numbers = variant.rstrip("rs")
        threads, group, length = map(int, numbers.split("x"))
        with geometry_of(threads, group, variant[len(numbers) :]):
            times[variant] = us_per_step(task, "blocked", block_length=length)
        print(json.dumps({variant: times[variant]}), flush=True)
    return {"us_per_step": times, "passed": True}


def us_per_step(task, kernel, **options):
    """Of calls of fit, less what does not grow with the number of epochs; the median of three."""
    kernel, _, numerics = kernel.partition(", ")

    def seconds(epochs):
        model = task.model(numerics or "fast")
        started = time.perf_counter()
        task.fit(model, epochs, device="cuda", kernel=kernel, **options)
        return time.perf_counter() - started

    seconds(1)  # compiles
    steps = 4 * len(task.X)
    return round(float(np.median([(seconds(5) - seconds(1)) / steps for _ in range(3)])) * 1e6, 3)


@contextmanager
def geometry_of(threads, group, without):
    """Let the blocked kernel be launched so; without weights in registers (r), in shared memory (s)."""
    from numbabp.training.engines import network_cuda_blocked as engine

    kept = engine.blocked_geometry, engine.static_bytes, engine.half_turns_held
    engine.blocked_geometry = partial(kept[0], threads=threads, groups=(group,))
    if "r" in without:
        engine.half_turns_held = lambda *_: 0
    if "s" in without:  # what is asked for leaves no room for weights, but for a network's units
        engine.static_bytes = lambda *of: kept[1](*of) + 150 * 1024
    try:
        yield
    finally:
        engine.blocked_geometry, engine.static_bytes, engine.half_turns_held = kept


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
