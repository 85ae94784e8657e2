"""All that a machine with an NVIDIA card should be asked, in ten minutes and one go.

    python benchmarks/on_card.py --output FOLDER [--only PART,...] [--jobs 16]

facts       card, driver, versions; a trivial kernel
kernels     every kernel beside the CPU, each in a process of its own, many at once; so all are compiled, too
tests       pytest -m gpu
table       benchmarks/gpu.py, with docs/gpu.md filled in as FOLDER/gpu.md
sanitizers  memcheck, racecheck and synccheck of compute-sanitizer on every kind of kernel
counters    the time, registers and occupancy that Nsight Compute reads

FOLDER/on_card.json is written anew after every part, FOLDER/logs has all output. The exit status is 1 if
anything failed, and 2 if there is no GPU. racecheck sees shared memory only: what blocks of a grid hand to
each other is looked at on the processor (benchmarks/on_gpu/compiled). Needs pytest-xdist and
pytest-timeout, CUDA's compute-sanitizer and ncu; what is not there is left out and said so.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

ONE_KERNEL = str(ROOT / "benchmarks" / "on_gpu" / "one_kernel.py")
TOOLS = ("/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer")
"""Where CUDA's tools are, if they are not on the PATH."""
SANITIZED = (
    *(("memcheck", kernel) for kernel in ("thread", "warp", "block", "persistent", "blocked", "resident")),
    *(("racecheck", kernel) for kernel in ("warp", "block", "blocked", "resident")),
    *(("synccheck", kernel) for kernel in ("warp", "blocked", "resident")),
)
PROFILED = {
    "thread": ("speed:0", "train", 2),
    "warp": ("speed:1", "train", 2),
    "blocked": ("speed:2", "train_block", 2),
    "resident": ("speed:2", "train_resident", 3),
}
"""What is run, the kernel's name in the machine code, and how many of its launches go by first.

The resident kernel's first launch has no samples, and those after it are short slices."""


@dataclass
class Job:
    """A command, and what came of it."""

    name: str
    command: list[str] = field(repr=False)
    seconds: float
    """At most; then it is killed, with what it has started."""
    keep: str = "."
    """Lines of its output that match are kept."""
    passed: bool | None = None
    note: str = ""
    took: float = 0.0
    lines: list[str] = field(default_factory=list)

    def run(self, logs, environment):
        """Run it; everything that it prints goes into a file of its name."""
        started = time.perf_counter()
        path = logs / f"{re.sub('[^A-Za-z0-9.-]+', '_', self.name)}.log"
        with open(path, "wb") as log:
            process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=ROOT,
                start_new_session=True,
            )  # fmt: skip
            try:
                status = process.wait(self.seconds)
                self.passed, self.note = status == 0, "" if status == 0 else f"exit status {status}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self.passed, self.note = False, f"killed after {self.seconds:.0f} s"
        self.took = round(time.perf_counter() - started, 1)
        text = path.read_text(errors="replace")
        self.lines = [line.strip() for line in text.splitlines() if re.search(self.keep, line)]
        if not self.passed and not self.lines:
            self.lines = text.splitlines()[-3:]
        return self


def tool(name):
    """A program of CUDA's, or None."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(TOOLS))


class Visit:
    """One go at the machine: its parts are the methods that PARTS names, each gives jobs."""

    def __init__(self, folder, at_once, simulate):
        self.folder, self.at_once, self.simulate = folder, at_once, simulate
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        self.environment = {
            **os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }  # fmt: skip
        if simulate:
            self.environment["NUMBA_ENABLE_CUDASIM"] = "1"
        self.done = {}

    def facts(self):
        code = (
            "import sys; from benchmarks.gpu import environment; from numbabp.devices import memory\n"
            "print(*map(': '.join, environment().items()), sep='\\n')\n"
            "sys.exit(f'no GPU: {memory.why_no_gpu()}' if memory.why_no_gpu() else 0)"
        )
        yield Job("facts", [sys.executable, "-W", "error::DeprecationWarning", "-c", code], 60)
        if tool("nvidia-smi"):
            query = "--query-gpu=name,driver_version,clocks.sm,clocks.max.sm,temperature.gpu,memory.used"
            yield Job("nvidia-smi", [tool("nvidia-smi"), query, "--format=csv"], 20)

    def kernels(self):
        from benchmarks.on_gpu.tasks import checks

        what = [f"{check.kernel}:{check.dtype}:{check.update_rule}" for check in checks(self.simulate)]
        if not self.simulate:  # where the others would take hours
            what += ["opt-in", "speed:0", "speed:1", "speed:2"]
        yield from (Job(name, [sys.executable, ONE_KERNEL, name], 120, '^{"|Error') for name in what)

    def tests(self):
        options = ["-n", str(max(1, self.at_once - 2)), "--dist", "worksteal", "--timeout", "100"]
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu", "-p", "no:cacheprovider"]
        command += ["-p", "no:benchmark"]  # which warns beside xdist, and warnings are errors
        yield Job("tests", [*command, *options], 280, "^(FAILED|ERROR)|passed|failed")

    def table(self):
        markdown = self.folder / "gpu.md"
        shutil.copy(ROOT / "docs" / "gpu.md", markdown)
        command = [
            sys.executable,
            "benchmarks/gpu.py",
            "--minutes",
            "3",
            "--seconds",
            "0.8",
            "--repeats",
            "3",
        ]
        files = ["--json", str(self.folder / "gpu.json"), "--markdown", str(markdown)]
        simulate = ["--simulate"] if self.simulate else []
        threads = ["env", f"OPENBLAS_NUM_THREADS={os.cpu_count()}"]
        yield Job("table", [*threads, *command, *files, *simulate], 250, r"s left\]|FAILED")

    def sanitizers(self):
        program = tool("compute-sanitizer")
        if program is None or self.simulate:
            return
        # what cuda-bindings asks an older driver for, and is told that there is none, is no error of ours
        options = ["--report-api-errors", "no", "--error-exitcode", "9", "--print-limit", "10"]
        for check, kernel in SANITIZED:
            command = [program, "--tool", check, *options, sys.executable, ONE_KERNEL]
            yield Job(f"{check} {kernel}", [*command, f"{kernel}:float64:sgd"], 90, 'SUMMARY|^{"')

    def counters(self):
        program = tool("ncu")
        if program is None or self.simulate:
            return
        options = ["--clock-control", "none", "--set", "basic", "--section", "SpeedOfLight"]
        options += ["--section", "WarpStateStats", "-c", "1"]
        wanted = (
            "Duration|Registers Per|Occupancy  |Throughput  |Grid Size|Block Size|No Eligible|Issued Warp"
        )
        for name, (what, kernel, first) in PROFILED.items():
            command = [program, *options, "-s", str(first), "-k", f"regex:{kernel}"]
            command += [sys.executable, ONE_KERNEL, what]
            yield Job(f"counters {name}", command, 45, wanted)

    PARTS = ("facts", "kernels", "tests", "table", "sanitizers", "counters")
    ALONE = ("table", "counters")
    """Parts whose jobs run one after the other, as they take times."""

    def run(self, part):
        """All jobs of a part; whether none has failed."""
        started, jobs = time.perf_counter(), list(getattr(self, part)())
        print(f"=== {part}", flush=True)
        if not jobs:
            print("left out: the tool is not here", flush=True)
        with ThreadPoolExecutor(1 if part in self.ALONE else self.at_once) as pool:
            for job in pool.map(lambda job: job.run(self.logs, self.environment), jobs):
                verdict = "passed" if job.passed else f"FAILED ({job.note})"
                print(f"{job.name}: {verdict}, {job.took} s", *job.lines, sep="\n    ", flush=True)
        self.done[part] = {
            "seconds": round(time.perf_counter() - started, 1),
            "jobs": [{k: v for k, v in asdict(job).items() if k not in ("command", "keep")} for job in jobs],
        }
        self.write()
        return all(job.passed for job in jobs)

    def write(self):
        from numbabp.atomic_files import write_atomically

        text = json.dumps(self.done, indent=1) + "\n"
        write_atomically(self.folder / "on_card.json", lambda file: file.write(text.encode()))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--only", default=",".join(Visit.PARTS), metavar="PART,...")
    parser.add_argument("--jobs", type=int, default=min(16, os.cpu_count()), help="at once (%(default)s)")
    parser.add_argument("--simulate", action="store_true", help="in Numba's simulator, to see that it runs")
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    if unknown := set(parts) - set(Visit.PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are: {', '.join(Visit.PARTS)}.")
    visit = Visit(arguments.output.resolve(), arguments.jobs, arguments.simulate)
    failed = []
    for part in parts:
        if not visit.run(part):
            failed.append(part)
            if part == "facts":
                sys.exit(2)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
