"""Whether runs survive what may happen to them: SIGKILL, Ctrl-C, a damaged cache, others that compile, too.

    python benchmarks/endurance.py [--full] [--kills N] [--interrupts N] [--races N] [--seed 0] [PART ...]

The parts are kills, interrupts and caches; each says what it has tried, as JSON, and what failed. What that
is stands in benchmarks/on_endurance: `cases` has the table of runs that are killed, `lives` what must be true
of them, `interrupts` and `caches` likewise. Without --full there are a few of each, in minutes; with it 1,000
kills, 10,000 interrupts, 200 races and every kind of damage. Needs Linux. Not an asv suite.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

AT_ONCE = 2
"""Processes that kill and start again."""
COLD_SHARE = 0.1
"""Part of the kills while nothing is compiled yet."""


def ran(module, arguments, cache=None):
    """What one of the programs in on_endurance reports."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = cache
    command = [sys.executable, "-m", f"benchmarks.on_endurance.{module}", *map(str, arguments)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {"failures": [f"{module} ended with status {done.returncode} and no report"]}


def kills(n, seed, is_full):
    """Of all cases, or a few; by several processes, and one of them with an empty cache."""
    from benchmarks.on_endurance.cases import CASES, COLD, QUICK

    names, cold_names = (list(CASES), list(COLD)) if is_full else (list(QUICK), list(COLD[:1]))
    n_cold = round(COLD_SHARE * n)
    shares = [
        ("lives", ["--kills", (n - n_cold) // AT_ONCE, "--seed", seed + i, *names[i::AT_ONCE]], None)
        for i in range(AT_ONCE)
    ]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        shares.append(("lives", ["--kills", n_cold, "--seed", seed + AT_ONCE, "--cold", *cold_names], folder))
        found = list(pool.map(lambda share: ran(*share), shares))
    by_moment = Counter()
    for report in found:
        by_moment.update(report.get("kills", {}))
    sums = {name: sum(report.get(name, 0) for report in found) for name in ("lives", "starts")}
    failures = [failure for report in found for failure in report["failures"]]
    return {"kills": dict(by_moment), **sums, "cases": len(names), "failures": failures}


def interrupts(n, seed, is_full):
    """Ctrl-C in one process."""
    return ran("interrupts", ["--interrupts", n, "--seed", seed, "--compiling", 50 if is_full else 0])


def caches(n, seed, is_full):
    """Every kind of damage, and races."""
    cases = ["small kernels", "sequential"] if is_full else ["small kernels"]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        return ran("caches", ["--races", n, "--seed", seed, "--cases", *cases], folder)


PARTS = {"kills": (kills, 20, 1000), "interrupts": (interrupts, 200, 10000), "races": (caches, 5, 200)}
"""By what they count: the function, and how many of it without and with --full."""
NAMED = {"kills": "kills", "interrupts": "interrupts", "caches": "races"}


def main():
    """Exit status 1 if there is a failure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[*NAMED, []], help="by default all")
    parser.add_argument("--full", action="store_true")
    for name in PARTS:
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    n_failures = 0
    for part in arguments.parts or NAMED:
        name = NAMED[part]
        work, few, many = PARTS[name]
        asked = getattr(arguments, name)
        began = time.monotonic()
        n = asked if asked is not None else many if arguments.full else few
        report = work(n, arguments.seed, arguments.full)
        print(json.dumps({"part": part, **report, "seconds": round(time.monotonic() - began)}), flush=True)
        n_failures += len(report["failures"])
    return 1 if n_failures else 0


if __name__ == "__main__":
    sys.exit(main())
