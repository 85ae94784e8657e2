"""numbabp on a GPU: correctness, ceilings, speed beside the peers', in one run of at most eight minutes.

    python benchmarks/gpu.py [--json FILE] [--markdown FILE] [--minutes 8] [--seconds 1.2] [--repeats 5]
                             [--only ceilings,checks,speeds,overheads,peers] [--simulate]

`--json` is written anew after every row, `--markdown docs/gpu.md` puts the tables where that file has its
results. The exit status is 1 if a trajectory differs from the CPU's, and 2 if there is no GPU. With
--simulate everything runs at toy size in Numba's simulator, to see that the program does. docs/gpu.md tells
what is measured and how. Not an asv suite.
"""

import argparse
import datetime
import importlib.metadata
import os
import statistics
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    if "--simulate" in sys.argv:
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ["CUPY_TF32"] = "0"  # float32 products are float32's, in CuPy and in cuBLAS
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"

PARTS = ("ceilings", "checks", "speeds", "overheads", "peers")
PACKAGES = ("numbabp", "numba", "numba-cuda", "cupy-cuda13x", "cupy-cuda12x", "numpy", "jax", "torch")


def environment():
    """Card, driver, versions, machine and date, as text."""
    from benchmarks.peers.machine import processor
    from numbabp.devices import memory

    found = {"date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")}
    if not memory.why_no_gpu():
        device = memory.device_of(0)
        found["card"] = (
            f"{device.name}, compute capability {'.'.join(map(str, device.compute_capability))}, "
            f"{device.n_multiprocessors} multiprocessors at {device.clock / 1e9:.2f} GHz, "
            f"{device.memory_bandwidth / 1e12:.2f} TB/s, {device.cache_bytes / 2**20:.0f} MiB of cache"
        )
    if not memory.why_no_gpu() and not memory.is_simulated():
        import cupy

        found["driver, for CUDA up to"] = _cuda_version(cupy.cuda.runtime.driverGetVersion())
        found["driver"] = _driver()
        found["CUDA runtime of CuPy"] = _cuda_version(cupy.cuda.runtime.runtimeGetVersion())
    found["processor"] = f"{processor()}; {os.cpu_count()} threads"
    found["python"] = sys.version.split()[0]
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            if not package.startswith("cupy"):
                found[package] = "not installed"
    return found


def _cuda_version(number):
    return f"{number // 1000}.{number % 1000 // 10}"


def _driver():
    try:
        return Path("/sys/module/nvidia/version").read_text().strip()
    except OSError:
        return "unknown"


class Benchmark:
    """Measures what the tables of a report ask for, and calls `keep` after every row of them."""

    def __init__(self, report, budget, seconds, repeats, keep=lambda: None):
        self.report, self.budget, self.seconds, self.repeats = report, budget, seconds, repeats
        self.simulated, self.keep = report.simulated, keep

    def say(self, *words):
        print(f"[{self.budget.left():5.0f} s left]", *words, flush=True)

    def attempt(self, results, key, function):
        """Keep what a row gives, or why it gives nothing."""
        from benchmarks.on_gpu.peers import Unavailable

        try:
            result = function()
        except Unavailable as reason:
            result = {"note": str(reason)}
        except Exception as error:  # a row fails, not the run
            result = {"note": f"failed: {type(error).__name__}: {error}".splitlines()[0], "failed": True}
        results[key] = {"note": "", **result}
        self.keep()
        return results[key]

    # --- ceilings and trajectories ---

    def ceilings(self):
        from benchmarks.on_gpu import ceilings

        for name, unit in ceilings.UNITS.items():
            result = self.attempt(
                self.report.ceilings,
                name,
                lambda name=name: {"figures": ceilings.measure(name, self.repeats)},
            )
            figures = result.get("figures")
            self.say(name, f"{statistics.median(figures):.4g} {unit}" if figures else result["note"])

    def checks(self):
        from benchmarks.on_gpu.tasks import checks

        for check in checks(self.simulated):
            key = (check.kernel, check.dtype, check.update_rule)
            result = self.attempt(self.report.checks, key, lambda check=check: self.compare(check))
            difference = result.get("difference")
            self.say(*key, result["note"] if difference is None else f"{difference:.1e}")

    def compare(self, check):
        """Largest difference of parameters and losses between the GPU's trajectory and the CPU's."""
        import numpy as np

        from benchmarks.on_gpu.peers import difference
        from benchmarks.on_gpu.tasks import checked_task

        task, epochs = checked_task(check, self.simulated)
        found = {}
        for options in ({"device": "cuda", "kernel": check.kernel}, {"device": "cpu"}):
            model = task.model()
            history = task.fit(model, epochs, update_rule=check.update_rule, **options)
            found[options["device"]] = (np.array(model.parameters), np.array(history["loss"]))
        pairs = list(zip(found["cuda"], found["cpu"], strict=True))
        network = f"{task.n_networks} x " * (task.n_networks > 1) + "-".join(map(str, task.sizes))
        return {"difference": max(difference(*pair) for pair in pairs), "network": network}

    # --- speed ---

    def own_speeds(self, task):
        """numbabp on the GPU, each kernel."""
        from benchmarks.on_gpu.gpu_report import own

        for kernel in task.kernels:
            key = (task.name, own(kernel))
            result = self.attempt(
                self.report.speeds, key, lambda kernel=kernel: self.speed_of_fit(task, "cuda", kernel)
            )
            self.tell(key, result)

    def cpu_speed(self, task):
        from benchmarks.on_gpu.gpu_report import CPU

        key = (task.name, CPU)
        self.tell(key, self.attempt(self.report.speeds, key, lambda: self.speed_of_fit(task, "cpu", "auto")))

    def tell(self, key, result):
        rates = result.get("steps_per_second")
        text = f"{statistics.median(rates):.3g} network-steps/s" if rates else ""
        self.say(*key, text, result["note"])

    def speed_of_fit(self, task, device, kernel):
        """Network-steps a second of the whole of numbabp's `fit`, NumPy in and out."""
        from benchmarks.on_gpu.clock import epochs_for, watched_launches

        n = len(task.Y)
        if device == "cpu" and task.n_networks == 1:
            n = min(n, 256)
        kernel, _, numerics = kernel.partition(", ")
        model = task.model(numerics or "fast")
        start = model.parameters.copy()

        def fit(epochs):
            model.parameters[...] = start
            task.fit(model, epochs, n, device=device, kernel=kernel)

        epochs = epochs_for(fit, self.seconds)
        fit(epochs)  # for so many steps another kernel may pay, which is not compiled yet
        steps = task.n_networks * n * epochs
        repeats = self.repeats if device == "cuda" else min(3, self.repeats)
        taken, note = self.repeat(fit, epochs, repeats, self.budget)
        result = {"note": note, "epochs": epochs, "samples": n, "seconds": taken}
        if device == "cuda":
            with watched_launches() as launches:
                fit(epochs)
            result["launches"], result["launches_captured"] = launches.n, launches.n_captured
            # products by cuBLAS and graphs are not among the launches that were watched
            if launches.n and not launches.n_captured and task.n_networks > 1:
                result["device_steps_per_second"] = [steps / launches.seconds]
        return self.figures(task, result, steps)

    def repeat(self, function, epochs, repeats, budget, prepare=None):
        """Seconds of each repeat, of which there is one at least, and a note if time allowed no more."""
        from benchmarks.on_gpu.clock import wall_seconds

        taken = []
        while len(taken) < repeats and (not taken or budget.left() > taken[-1]):
            if prepare is not None:
                prepare()
            taken.append(wall_seconds(function, epochs))
        return taken, "" if len(taken) == repeats else f"{len(taken)} of {repeats} repeats: the time was up"

    def figures(self, task, result, steps):
        return {
            "steps_per_second": [steps / seconds for seconds in result["seconds"]],
            "n_weights": task.n_weights,
            "n_parameters": task.n_parameters,
            **result,
        }

    def overhead(self, task):
        """What share of a `fit` is not training on the card."""
        key = task.name
        result = self.attempt(self.report.overheads, key, lambda: self.overhead_of_fit(task))
        text = f"{result['overhead']:.1%}" if "overhead" in result else ""
        self.say(key, "overhead", text, result["note"])

    def overhead_of_fit(self, task):
        """By the events of kernels, for populations; else from runs of one length and of twice that."""
        from benchmarks.on_gpu.clock import epochs_for, wall_seconds, watched_launches

        model = task.model()
        start = model.parameters.copy()

        def fit(epochs):
            model.parameters[...] = start
            task.fit(model, epochs, device="cuda", kernel=task.kernels[0])

        epochs = epochs_for(fit, self.seconds)
        walls, devices, repeats = [], [], min(3, self.repeats)
        if task.n_networks > 1:
            how = "by events around each launch"
            for _ in range(repeats):
                with watched_launches() as launches:
                    walls.append(wall_seconds(fit, epochs))
                if launches.n == 0 or launches.n_captured:
                    raise RuntimeError(
                        f"of {launches.n} launches through memory.launch {launches.n_captured} were captured"
                    )
                devices.append(launches.seconds)
        else:
            how = "from runs of one length and of twice that"
            twice = []
            for _ in range(repeats):
                walls.append(wall_seconds(fit, epochs))
                twice.append(wall_seconds(fit, 2 * epochs))
            devices = [b - a for a, b in zip(walls, twice, strict=True)]
        wall, device = statistics.median(walls), statistics.median(devices)
        return {
            "wall": wall,
            "device": device,
            "overhead": 1 - device / wall,
            "walls": walls,
            "devices": devices,
            "epochs": epochs,
            "note": how,
        }

    # --- peers ---

    def peers_of(self, task):
        """Rows of the task that are not numbabp's: their names, and what makes the peer."""
        import numpy as np

        from benchmarks.on_gpu import peers

        if task.n_networks > 1:
            return {"JAX, vmap of lax.scan": lambda: peers.Jax(task, not self.simulated)}
        return {
            "PyTorch, eager": lambda: peers.Torch(task),
            "PyTorch, CUDA graph": lambda: peers.TorchGraph(task),
            "CuPy, step by step": lambda: peers.StepByStep(task, np if self.simulated else None),
            "JAX, lax.scan": lambda: peers.Jax(task, not self.simulated),
        }

    def peers(self, task, share):
        """All of a task; each has its share of the time that is left, but is measured once at least."""
        made = self.peers_of(task)
        for i, (name, make) in enumerate(made.items()):
            allowed = self.budget.left() * share / (len(made) - i)
            key = (task.name, name)
            if self.budget.left() <= 0:
                self.report.speeds[key] = result = {"note": "skipped: the time was up"}
            else:
                result = self.attempt(
                    self.report.speeds,
                    key,
                    lambda make=make, allowed=allowed: self.speed_of_peer(task, make(), allowed),
                )
            self.tell(key, result)
            if not self.simulated:
                self.free()

    def free(self):
        """Give back the memory that CuPy keeps for later."""
        import cupy

        cupy.get_default_memory_pool().free_all_blocks()

    def speed_of_peer(self, task, peer, allowed):
        """Network-steps a second, parameters and samples on the card; after 200 steps it has to agree."""
        from benchmarks.on_gpu.clock import Budget, epochs_for
        from benchmarks.on_gpu.tasks import STEPS

        budget = Budget(allowed)
        found = self.agreement(task, peer, min(STEPS, len(task.Y)))
        if not found <= 1e-4:
            return {
                "note": f"not timed: after {STEPS} steps parameters differ by {found:.1e} from numbabp's",
                "difference": found,
                "failed": True,
            }
        n = min(len(task.Y), peer.n_most or len(task.Y))

        def run(epochs):
            peer.train(n, epochs)
            peer.finish()

        peer.prepare()
        epochs = epochs_for(run, self.seconds)
        taken, note = self.repeat(run, epochs, self.repeats, budget, peer.prepare)
        result = {"note": note, "difference": found, "seconds": taken, "epochs": epochs, "samples": n}
        return self.figures(task, result, task.n_networks * n * epochs)

    def agreement(self, task, peer, n):
        """Largest difference of a peer's parameters from those of numbabp on the CPU after n steps."""
        from benchmarks.on_gpu.peers import difference

        peer.prepare()
        peer.train(n, 1)
        peer.finish()
        model = task.model()
        task.fit(model, 1, n, device="cpu")
        return difference(peer.parameters(), model.parameters)

    def run(self, parts):
        """All parts asked for, numbabp's own before the peers."""
        from benchmarks.on_gpu.tasks import tasks, toy_tasks

        made = list(toy_tasks() if self.simulated else tasks())
        if "ceilings" in parts:
            self.ceilings()
        if "checks" in parts:
            self.checks()
        for task in made:
            if "speeds" in parts:
                self.own_speeds(task)
            if "overheads" in parts:
                self.overhead(task)
        if "speeds" in parts:
            for task in made:
                self.cpu_speed(task)
        if "peers" in parts:
            for i, task in enumerate(made):
                self.peers(task, (1 / 4, 1 / 3, 1)[i])
            skipped = [
                key for key, result in self.report.speeds.items() if result["note"].endswith("time was up")
            ]
            if skipped:
                named = "; ".join(f"{system} on {task}" for task, system in skipped)
                self.report.remarks.append(f"For want of time measured less often, or not: {named}.")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("json", "markdown"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help="write it there")
    parser.add_argument("--minutes", type=float, default=8, help="for all (default 8)")
    parser.add_argument("--seconds", type=float, default=1.2, help="length of a timing (default 1.2)")
    parser.add_argument("--repeats", type=int, default=5, help="timings of each row (default 5)")
    parser.add_argument("--only", metavar="PART,...", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--simulate", action="store_true", help="in Numba's simulator, at toy size")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",")
    if unknown := set(arguments.only) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}.")
    return arguments


def main():
    arguments = parse()
    from benchmarks.on_gpu.clock import Budget
    from benchmarks.on_gpu.gpu_report import Report, write_json, write_markdown
    from numbabp.devices import memory

    budget = Budget(60 * arguments.minutes)
    reason = memory.why_no_gpu()
    report = Report(environment(), memory.is_simulated(), reason)

    def keep():  # what was measured outlives a machine that is taken away
        if arguments.json:
            write_json(report, arguments.json)

    print(*(f"{key}: {value}" for key, value in report.environment.items()), sep="\n", flush=True)
    if report.simulated:
        print("simulated: no figure here means anything", flush=True)
    if reason:
        print(f"No GPU here: {reason}. Nothing is measured.", flush=True)
    else:
        seconds, repeats = (0, 1) if report.simulated else (arguments.seconds, arguments.repeats)
        Benchmark(report, budget, seconds, repeats, keep).run(arguments.only)
    keep()
    if arguments.markdown:
        write_markdown(report, arguments.markdown)
    if not reason and not report.simulated:
        print("\n" + report.markdown())
    for check in report.failed_checks:
        print(f"FAILED: {check.kernel}, {check.dtype}, {check.update_rule}", file=sys.stderr)
    sys.exit(2 if reason else bool(report.failed_checks))


if __name__ == "__main__":
    main()
