"""Populations trained by two Dask workers that are killed at random: is a run lost, does a bit differ?

    python benchmarks/dask_kills.py [--quick] [--runs 200] [--minutes M] [--seed 0] [--json PATH]

Each run trains one of `POPULATIONS` on a `LocalCluster` with two workers of one thread, while at one to three
random moments one of them is killed, or both, or the client's connection to the scheduler is cut. Beside
every second run three processes do nothing but keep the processors busy. A run is lost if `fit` raises, or
takes longer than `MOST_SECONDS`; it differs if a bit of parameters, moments, steps or history is not that of
training here. `--seed` is the first run's, and the next ones count on: what was drawn is drawn again.
Exit status 1 if any run was lost or differed. `--quick` are 6 runs. Not an asv suite.
"""

import argparse
import collections
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from distributed import Client, LocalCluster

import numbabp as nbp
from numbabp.training.shared_out import sizes

MOST_SECONDS = 900.0
N_BUSY = 3
QUICK, FULL = 6, 200
WHOM = ("one", "one", "both", "both", "connection")
"""Each as often as it stands here."""

draw = np.random.RandomState(0)
X = draw.standard_normal((3000, 40))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)
POPULATIONS = {
    "lanes": (64, {"kernel": "lanes", "update_rule": "momentum", "epochs": 40}),
    "some diverge": (
        64,
        {"kernel": "lanes", "learning_rate": np.where(np.arange(64) % 9 == 4, 1e30, 0.05), "epochs": 40},
    ),
    "each, adam": (24, {"kernel": "each", "update_rule": "adam", "own_order": True, "epochs": 10}),
    "each, blocked": (24, {"kernel": "each", "update_rule": "momentum", "epochs": 15}),
}
"""Networks, and how they are trained: some seconds of one processor each."""
PIECES = 0.7
"""Seconds of a task, so that most networks are trained in several."""


def new_population(name: str) -> nbp.Population:
    return nbp.Population((40, 16, 1), POPULATIONS[name][0], loss="binary_cross_entropy", random_state=0)


def fit(population: nbp.Population, name: str, **more) -> None:
    options = {"learning_rate": 0.01, "random_state": 1, "progress": False, **POPULATIONS[name][1]}
    population.fit(X, Y, **options, **more)


def bits(population: nbp.Population) -> str:
    """A digest of all that training has made."""
    history = population.history
    state = population._rule_state
    arrays = [population.parameters, state.moments, state.steps, history.n_epochs]
    arrays += [history[name] for name in sorted(history)]
    result = hashlib.sha256()
    for array in arrays:
        result.update(np.ascontiguousarray(array).tobytes())
    result.update(repr([(i, str(error)) for i, error in sorted(history.diverged.items())]).encode())
    return result.hexdigest()


@contextmanager
def busy(n: int):
    """So many processes that do nothing but be busy, as long as this one lives."""
    program = f"import os\nwhile os.getppid() == {os.getpid()}: sum(range(10**6))"
    others = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(n)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


class Killing(threading.Thread):
    """Kills workers, or cuts the connection, at moments that are drawn."""

    def __init__(self, cluster: LocalCluster, client: Client, draw: random.Random) -> None:
        super().__init__(daemon=True)
        self._cluster, self._client = cluster, client
        n = draw.randint(1, 3)
        # from when the samples are sent until some time after all should be over
        pauses = [draw.choice((draw.uniform(0, 0.5), draw.uniform(0, 8))) for _ in range(n)]
        self.planned = [(draw.choice(WHOM), pause) for pause in pauses]
        self._which, self.over, self.done = draw.random(), threading.Event(), []

    def run(self) -> None:
        for whom, pause in self.planned:
            if self.over.wait(pause):
                return
            if whom == "connection":
                connection = self._client.scheduler_comm
                if connection is not None:  # else the last cut is not mended yet
                    self._client.loop.add_callback(connection.comm.abort)
                    self.done.append(whom)
                continue
            pids = [nanny.pid for nanny in self._cluster.workers.values()]
            pids = [pid for pid in pids if pid is not None]
            chosen = pids if whom == "both" else pids[: 1 if self._which < 0.5 else None][-1:]
            for pid in chosen:
                try:
                    os.kill(pid, signal.SIGKILL)
                    self.done.append(whom)
                except ProcessLookupError:  # it has died before, and its nanny does not know yet
                    pass


class Workers:
    """Two workers of one thread, and a client of theirs; new ones when a run was lost."""

    def __enter__(self) -> "Workers":
        self._begin()
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def renew(self) -> None:
        self._end()
        self._begin()

    def _begin(self) -> None:
        self.cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=100
        )
        self.client = Client(self.cluster)

    def _end(self) -> None:
        for each in (self.client, self.cluster):
            try:
                each.close(timeout=30)
            except Exception as error:
                print(f"closing: {error!r}", flush=True)


def one_run(workers: Workers, name: str, expected: str, draw: random.Random, is_busy: bool) -> dict:
    """What became of it."""
    population, chunk = new_population(name), draw.choice((None, 8, 16))
    outcome = {"population": name, "busy": is_busy, "chunk_size": chunk}
    killing, found = Killing(workers.cluster, workers.client, draw), {}

    def train() -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of waiting for workers
                fit(population, name, client=workers.client, chunk_size=chunk)
            found["bits"] = bits(population)
        except BaseException as error:
            found["error"] = "".join(traceback.format_exception(error))

    training = threading.Thread(target=train, daemon=True)
    started = time.monotonic()
    with busy(N_BUSY if is_busy else 0):
        killing.start()
        training.start()
        training.join(MOST_SECONDS)
        outcome["seconds"] = round(time.monotonic() - started, 1)
        killing.over.set()
        killing.join()
    outcome["killed"] = killing.done
    if "bits" not in found:
        outcome["lost"] = found.get("error", f"it took longer than {MOST_SECONDS} s")
        workers.renew()
    elif found["bits"] != expected:
        outcome["differs"] = True
    return outcome


def summary(outcomes: list[dict]) -> dict:
    """Counts, of idle and of busy processors."""
    result = {}
    for what, is_busy in (("with idle processors", False), ("beside three busy processes", True)):
        of_these = [outcome for outcome in outcomes if outcome["busy"] is is_busy]
        killed = collections.Counter(whom for outcome in of_these for whom in outcome["killed"])
        seconds = sorted(outcome["seconds"] for outcome in of_these) or [0.0]
        result[what] = {
            "runs": len(of_these),
            "lost": sum("lost" in outcome for outcome in of_these),
            "different": sum("differs" in outcome for outcome in of_these),
            "workers killed alone": killed["one"],
            "workers killed with the other": killed["both"],
            "connections cut": killed["connection"],
            "seconds, median": seconds[len(seconds) // 2],
            "seconds, most": seconds[-1],
        }
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so many")
    parser.add_argument("--seed", type=int, default=0, help="of the first run; the next ones count on")
    parser.add_argument("--json", type=Path, help="where to write what became of every run")
    given = parser.parse_args()
    runs = given.runs or (QUICK if given.quick else FULL)
    sizes.LONGEST_TASK = PIECES
    expected = {}
    for name in POPULATIONS:
        started = time.monotonic()
        fit(population := new_population(name), name)
        expected[name] = bits(population)
        print(f"{name}: {time.monotonic() - started:.1f} s here", flush=True)
    outcomes: list[dict] = []
    end = time.monotonic() + 60 * given.minutes
    with Workers() as workers:
        for seed in range(given.seed, given.seed + runs):
            if time.monotonic() > end:
                break
            name = list(POPULATIONS)[seed // 2 % len(POPULATIONS)]
            outcome = {
                "seed": seed,
                **one_run(workers, name, expected[name], random.Random(seed), seed % 2 == 1),
            }
            outcomes.append(outcome)
            print(json.dumps(outcome), flush=True)
    found = summary(outcomes)
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps({"summary": found, "runs": outcomes}, indent=1) + "\n")
    return int(any("lost" in outcome or "differs" in outcome for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
