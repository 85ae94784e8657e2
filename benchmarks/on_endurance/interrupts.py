"""Ctrl-C at random moments into trainings, thousands in one process, and what must be true after each.

    python -m benchmarks.on_endurance.interrupts --interrupts 1000 [--seed 0] [--compiling 0]

Prints JSON: how many SIGINTs fell where, and each failure. --compiling is of how many fits whose kernels are
compiled, which takes seconds each.
"""

import _thread
import argparse
import faulthandler
import gc
import json
import os
import random
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
from numba.core import config

import numbabp as nbp
from numbabp.training import slicing

from .cases import kept_often, of_network, of_population, samples
from .failure import Failure

TWICE = 0.1
"""Share of the interrupts that are followed by another one at once, which need not leave a history."""
RENEWED = 40
"""After so many fits a model is made anew."""
THREADS_END_SECONDS = 20.0
STUCK_SECONDS = 120.0
"""What takes longer hangs: all stacks are printed, and that is the end."""


class Sender:
    """A process that sends this one SIGINT, so that neither waits for the other's Python."""

    def __init__(self):
        asked, self._ask = os.pipe()
        self._told, tell = os.pipe()
        trained = os.getpid()
        self.process = os.fork()
        if not self.process:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.close(self._ask)
            os.close(self._told)
            while message := os.read(asked, 16):
                for delay in struct.unpack("dd", message):
                    if delay >= 0:
                        time.sleep(delay)
                        os.kill(trained, signal.SIGINT)
                os.write(tell, b".")
            os._exit(0)
        os.close(asked)
        os.close(tell)

    def send(self, delay, then=-1.0):
        """Some seconds from now on, and perhaps again so long after that."""
        os.write(self._ask, struct.pack("dd", delay, then))

    def wait(self):
        """Until it has."""
        os.read(self._told, 1)

    def close(self):
        os.close(self._ask)
        os.waitpid(self.process, 0)


class Interrupts:
    """Of one process: SIGINT is Ctrl-C within `at_once`, and nothing outside."""

    def __init__(self, draw):
        self._draw, self._is_open, self.n_sent = draw, False, 0
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        self._sender = Sender()

    def _interrupt(self, *_):
        if self._is_open:
            raise KeyboardInterrupt

    def close(self):
        self._sender.close()
        signal.signal(signal.SIGINT, self._before)

    def at_once(self, work, seconds):
        """Do some work of about so many seconds, with Ctrl-C; whether that came, and came twice."""
        delay = self._draw.uniform(0, 1.05 * seconds)
        is_twice = self._draw.random() < TWICE
        came = False
        faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
        try:
            self._is_open = True
            self._sender.send(delay, self._draw.uniform(0, 0.003) if is_twice else -1.0)
            work()
            self._is_open = False
        except KeyboardInterrupt:
            self._is_open, came = False, True
        except Exception:
            self._is_open = False
            raise Failure(f"another error: {traceback.format_exc()}") from None
        finally:
            self._sender.wait()
            faulthandler.cancel_dump_traceback_later()
        self.n_sent += 1 + is_twice
        return came, is_twice


class OtherThread:
    """A thread that was there before any training, and says whether subnormals are zero in it."""

    def __init__(self):
        self._asked, self._answers = SimpleQueue(), SimpleQueue()
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self):
        while True:
            self._asked.get()
            self._answers.put(subnormals_are_zero())

    def subnormals_are_zero(self):
        self._asked.put(None)
        return self._answers.get(timeout=60)


def subnormals_are_zero():
    """Whether they are in this thread, as results and as operands."""
    smallest = sys.float_info.min
    products = np.multiply(smallest, 0.5) == 0 or smallest / float(len("ab")) == 0
    return bool(products or np.multiply(5e-324, 1e300) == 0)


def subnormals_are_zero_in_products():
    """Whether they are in any thread that BLAS shares a product out to."""
    tiny = np.full((256, 256), sys.float_info.min)
    return bool((tiny @ np.diag(np.full(256, 0.5)) == 0).any())


def n_threads():
    """Of Python's, those that `threading` does not know of among them."""
    return _thread._count()


class Trainee(NamedTuple):
    """A kind of training: how to make its model, the options of a fit, which rule's moments to look at."""

    is_population: bool
    options: dict
    sizes: tuple[int, ...] = (20, 16, 1)
    sparse: bool = False

    def model(self):
        how = {"loss": "binary_cross_entropy", "random_state": 0}
        return nbp.Population(self.sizes, 12, **how) if self.is_population else nbp.Network(self.sizes, **how)

    def fit(self, model, path=None):
        X, y = samples(self.sizes[0], self.sparse)
        model.fit(X, y, **{"learning_rate": 1e-3, **self.options}, checkpoint=path, resume=path is not None)

    def digest(self, model):
        if self.is_population:
            return of_population(model, model.history)
        return of_network(model)


TRAINEES = {
    "sequential": Trainee(False, {"epochs": 40}),
    "tiny": Trainee(False, {"epochs": 150, "kernel": "tiny"}, (4, 6, 1)),
    "adam": Trainee(False, {"epochs": 15, "update_rule": "adam"}),
    "minibatch": Trainee(False, {"epochs": 60, "update_rule": "adam", "batch_size": 32}),
    "blocked": Trainee(False, {"epochs": 30, "block_length": 16}),
    "blocked, momentum": Trainee(False, {"epochs": 20, "block_length": 16, "update_rule": "momentum"}),
    "sparse": Trainee(False, {"epochs": 30}, sparse=True),
    "validation": Trainee(
        False, {"epochs": 20, "early_stopping": True, "patience": 30, "monitor": ("squared_error",)}
    ),
    "lanes": Trainee(True, {"epochs": 8, "kernel": "lanes", "n_threads": 2}),
    "lanes, momentum": Trainee(True, {"epochs": 8, "kernel": "lanes", "update_rule": "momentum"}),
    "each": Trainee(True, {"epochs": 5, "kernel": "each", "own_order": True, "n_threads": 2}),
}


class Interrupted:
    """Fits of one kind that are interrupted, and what must be true after each."""

    def __init__(self, trainee, interrupts, other, folder):
        self._trainee, self._interrupts, self._other, self._folder = trainee, interrupts, other, folder
        model = trainee.model()
        trainee.fit(model)  # compiles
        self._seconds = self._timed(None)
        self._n_threads = n_threads()
        self._expected = None
        self._renew()

    def _renew(self):
        self._model, self._n_fits = self._trainee.model(), 0

    def _timed(self, path):
        model, began = self._trainee.model(), time.perf_counter()
        self._trainee.fit(model, path)
        return time.perf_counter() - began

    def once(self):
        """One fit, interrupted or not; where the interrupt fell."""
        if self._n_fits == RENEWED:
            self._renew()
        self._n_fits += 1
        model = self._model
        history, parameters = model.history, model.parameters.copy()
        began = time.perf_counter()
        came, is_twice = self._interrupts.at_once(lambda: self._trainee.fit(model), self._seconds)
        if not came:  # other work on the machine comes and goes
            self._seconds += 0.3 * (time.perf_counter() - began - self._seconds)
        self._check(model)
        began = model.history is not history
        if not began and not is_twice and (model.parameters != parameters).any():
            raise Failure("parameters have changed, and the history is that of the fit before")
        if began:
            self._check_history(model, came)
        return "twice" if is_twice else "after the end" if not came else "training" if began else "before"

    def to_the_end(self):
        """Runs with a checkpoint, interrupted until one ends, with the bits of one left alone."""
        if self._expected is None:
            model = self._trainee.model()
            self._trainee.fit(model)
            self._expected = self._trainee.digest(model)
        path, n = self._folder / "run", 0
        while True:
            model = self._trainee.model()
            seconds = self._seconds * (1 + 0.2 * (n // 5))
            came, _ = self._interrupts.at_once(lambda model=model: self._trainee.fit(model, path), seconds)
            n += 1
            self._check(model)
            if not came:
                break
        if self._trainee.digest(model) != self._expected:
            raise Failure(f"gone on with after {n - 1} interrupts, it ended otherwise")
        if os.listdir(self._folder) != ["run"]:
            raise Failure(f"{os.listdir(self._folder)} are there in the end")
        path.unlink()
        return n

    def _check(self, model):
        """What must be true whenever an interrupt came."""
        if subnormals_are_zero() or self._other.subnormals_are_zero():
            raise Failure("subnormals are zero")
        until = time.monotonic() + THREADS_END_SECONDS
        while n_threads() > self._n_threads:
            if time.monotonic() > until:
                raise Failure("there are threads still at work")
            time.sleep(0.001)
        if not gc.isenabled():
            raise Failure("garbage is no longer collected")
        if not np.isfinite(model.parameters).all():
            raise Failure("there are parameters that are not finite")

    def _check_history(self, model, came):
        history = model.history
        reasons = ("interrupted",) if came else ("finished", "early stopping")
        # an interrupt may come when all is done
        if history.stop_reason not in (*reasons, "finished", "early stopping"):
            raise Failure(f"its history ended by {history.stop_reason!r}")
        each = [history[i] for i in range(model.n_networks)] if self._trainee.is_population else [history]
        for one in each:
            lengths = {len(values) for values in one.values()} | {len(one.learning_rate)}
            if lengths != {one.n_epochs} or one.n_epochs > self._trainee.options["epochs"]:
                raise Failure(f"its history has columns of {lengths} epochs")
            losses = {name: values for name, values in one.items() if not name.startswith("validation")}
            if not all(np.isfinite(values).all() for values in losses.values()):
                raise Failure("its history has losses that are not finite")
            if not came and one.stop_reason == "finished" and one.n_epochs < self._trainee.options["epochs"]:
                raise Failure(f"it finished after {one.n_epochs} epochs")


class Compiling:
    """Fits whose kernel is made for their sizes, interrupted while it is compiled, and gone on with."""

    def __init__(self, interrupts, folder):
        self._interrupts, self._n, self._seconds = interrupts, 0, 3.0
        config.CACHE_DIR = folder  # empty, for kernels that are made from now on

    def once(self):
        """Whether the interrupt came before the end."""
        sizes = (2 + self._n % 3, 3 + self._n // 3, 1)
        self._n += 1
        began = time.perf_counter()
        came, _ = self._interrupts.at_once(lambda: self._fitted(sizes, "tiny"), self._seconds)
        if not came:
            self._seconds = time.perf_counter() - began
        if not gc.isenabled():
            raise Failure("garbage is no longer collected")
        found, expected = self._fitted(sizes, "tiny"), self._fitted(sizes, "sequential")
        if not np.allclose(found, expected, rtol=1e-9, atol=1e-12):
            raise Failure(
                f"after an interrupt while it was compiled, the kernel of {sizes} finds something else"
            )
        return came

    @staticmethod
    def _fitted(sizes, kernel):
        X, y = samples(sizes[0])
        net = nbp.Network(sizes, loss="binary_cross_entropy", random_state=0)
        net.fit(X, y, epochs=2, learning_rate=0.01, kernel=kernel)
        return net.parameters


def interrupted_while_compiling(n, draw):
    """So many fits; a report."""
    failures, n_came = [], 0
    interrupts = Interrupts(draw)
    with tempfile.TemporaryDirectory() as folder:
        compiling = Compiling(interrupts, folder)
        for _ in range(n):
            try:
                n_came += compiling.once()
            except Failure as failure:
                failures.append(f"compiling: {failure}")
    interrupts.close()
    return {"while compiling": n_came, "failures": failures}


def interrupted(n, draw, names=tuple(TRAINEES)):
    """So many interrupts; a report."""
    slicing.SLICE_SECONDS = 0.002
    kept_often()
    other, fell, failures = OtherThread(), Counter(), []
    n_ends = 0
    interrupts = Interrupts(draw)
    folder = tempfile.TemporaryDirectory()
    subjects = {}
    try:
        while interrupts.n_sent < n and len(failures) < 20:
            name = draw.choice(names)
            try:
                if name not in subjects:
                    own = Path(tempfile.mkdtemp(dir=folder.name))
                    subjects[name] = Interrupted(TRAINEES[name], interrupts, other, own)
                if draw.random() < 0.1:
                    fell["with a checkpoint"] += subjects[name].to_the_end()
                    n_ends += 1
                else:
                    fell[subjects[name].once()] += 1
            except Failure as failure:
                failures.append(f"{name}, after {interrupts.n_sent}: {failure}")
                subjects.pop(name)
            if draw.random() < 0.01 and subnormals_are_zero_in_products():
                failures.append(f"{name}, after {interrupts.n_sent}: subnormals are zero in products")
    finally:
        interrupts.close()
        folder.cleanup()
    return {"interrupts": interrupts.n_sent, "fits": dict(fell), "ends": n_ends, "failures": failures}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="by default all")
    parser.add_argument("--interrupts", type=int, default=1000)
    parser.add_argument("--compiling", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    names, draw = tuple(arguments.names) or tuple(TRAINEES), random.Random(arguments.seed)
    report = interrupted(arguments.interrupts, draw, names)
    if arguments.compiling:
        more = interrupted_while_compiling(arguments.compiling, draw)
        report |= {**more, "failures": report["failures"] + more["failures"]}
    print(json.dumps(report))
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
