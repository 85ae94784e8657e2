"""One start of a run, in a process that may be killed at any moment.

    python -m benchmarks.on_endurance.starting CASE CHECKPOINT PHASE PIPE

Or, in a twentieth of the time that this takes, in a process forked from one that has imported numbabp and has
neither threads nor compiled code yet.
"""

import importlib
import mmap
import os
import pkgutil
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from numba.core.registry import cpu_target

import numbabp
from numbabp.compiler.compile_events import compiling_watched
from numbabp.training import loop, population_loop
from numbabp.training.slicing import Slices

from .cases import CASES, kept_often

PHASES = ("starting", "compiling", "training", "ending")
"""What a process is at; `Phase` holds the number."""


class Phase:
    """A byte in a file, which is there for others when this process is no more."""

    def __init__(self, path):
        self._path = path
        if not path.exists():
            path.write_bytes(b"\0")
        with open(path, "r+b") as file:
            self._byte = mmap.mmap(file.fileno(), 1)

    def set(self, name):
        self._byte[0] = PHASES.index(name)

    def get(self):
        return PHASES[self._byte[0]]


def watched(phase, compiled):
    """Let this process tell when it compiles, and when it trains; `compiled` gets longer with each kernel."""

    class Watched(Slices):
        def took(self, *arguments, **options):
            phase.set("training")
            super().took(*arguments, **options)

    loop.Slices = population_loop.Slices = Watched

    def begin():
        compiled.append(1)
        phase.set("compiling")

    return compiling_watched(begin, lambda: phase.set("starting"))


def run(name, path, phase_path, pipe, user=None):
    """Run a case to its end, write the digest of what it has found into a pipe, and leave; as some user."""
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(pipe, 2)  # what it complains of belongs to its answer
        warnings.simplefilter("error")
        kept_often()
        phase = Phase(phase_path)
        if user is not None:
            os.setresuid(user, user, user)
            tempfile.tempdir = "/tmp"
        compiled = []
        with watched(phase, compiled):
            found = CASES[name].run(path)
        phase.set("ending")
        os.write(pipe, f"\ncompiled {len(compiled)}\ndigest {found}\n".encode())
        status = 0
    except BaseException:  # told to who has started this
        os.write(pipe, traceback.format_exc().encode())
    finally:
        os._exit(status)


def prepare():
    """Import what runs import, and let Numba know its own functions: else half of a forked start."""
    for module in pkgutil.walk_packages(numbabp.__path__, "numbabp."):
        if not any(part in module.name for part in ("cuda", "__main__", "dask", "smoke", "river", "torch")):
            importlib.import_module(module.name)
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()


class Start:
    """A process that runs a case, and what it has said.

    Parameters
    ----------
    name
        Of the case.
    path
        Of the checkpoint, or None.
    phase_path
        Of the file that says what it is at.
    is_fresh
        Whether it starts with Python, or is forked.
    user
        Whom it belongs to, if that is another one.
    """

    def __init__(self, name, path, phase_path, is_fresh, user=None):
        Phase(phase_path).set("starting")
        self._reader, writer = os.pipe()
        self.process = os.fork()
        if not self.process:
            try:
                if is_fresh:
                    os.set_inheritable(writer, True)
                    told = [name, str(path or ""), str(phase_path), str(writer)]
                    os.execv(sys.executable, [sys.executable, "-m", __name__, *told])
                run(name, path, phase_path, writer, user)
            finally:
                os._exit(1)
        os.close(writer)
        self._said = b""

    def wait(self, seconds):
        """Whether it has ended by itself in this time; else it is still at work."""
        until = time.monotonic() + seconds
        while True:
            left = max(0.0, until - time.monotonic())
            if not select.select([self._reader], [], [], left)[0]:
                return False
            part = os.read(self._reader, 1 << 16)
            if not part:
                os.close(self._reader)
                os.waitpid(self.process, 0)
                return True
            self._said += part

    def kill(self):
        """End it now, whatever it is at."""
        os.kill(self.process, signal.SIGKILL)
        self.wait(60.0)

    @property
    def digest(self):
        """What it has found; None if it did not come so far."""
        last = self._said.decode(errors="replace").rstrip().rpartition("\n")[2]
        return last.removeprefix("digest ") if last.startswith("digest ") else None

    @property
    def compiled_and_said(self):
        """How many kernels it has compiled, and what it has said before its end."""
        before, _, last = self.said.rpartition("compiled ")
        return int(last.split()[0]), before.strip()

    @property
    def said(self):
        """All of it."""
        return self._said.decode(errors="replace").strip()


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]) if sys.argv[2] else None, Path(sys.argv[3]), int(sys.argv[4]))
