"""Vowpal Wabbit's command with --nn, for networks of one hidden layer and one output.

It is `vw` where that is on PATH, else what the wheel of PyPI has instead: `python -m vowpalwabbit`.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from peer import OutOfScope, Peer, Unavailable


def vw_command():
    """How to call it, or None if it is not installed."""
    if shutil.which("vw") is not None:
        return ["vw"]
    return [sys.executable, "-m", "vowpalwabbit"] if importlib.util.find_spec("vowpalwabbit") else None


class VowpalWabbit(Peer):
    """Reads the samples from its own cache file; --sgd switches its adaptive rates off."""

    name = "Vowpal Wabbit"
    comparable = False
    least_seconds = 2.0  # of which a tenth is the process's start
    note = "not comparable in its parameters: initial weights of its own; starts a process, reads a file"

    @classmethod
    def check(cls, problem):
        super().check(problem)
        if len(problem.sizes) != 3 or problem.sizes[-1] != 1 or not problem.plain:
            raise OutOfScope  # --nn has one hidden layer, one output and plain steps
        if problem.dtype != "float32":
            raise OutOfScope  # it computes in float32
        if vw_command() is None:
            raise Unavailable("not installed (pip install vowpalwabbit)")

    def __init__(self, problem):
        super().__init__(problem)
        self.folder = tempfile.TemporaryDirectory()

    def prepare(self):
        """Nothing: every run begins anew."""

    def train(self, n, epochs):
        data = Path(self.folder.name) / f"{n}.txt"
        if not data.exists():
            with data.open("w") as file:
                for x, y in zip(self.problem.X[:n], self.problem.Y[:n], strict=True):
                    features = " ".join(f"{i}:{value:.9g}" for i, value in enumerate(x))
                    file.write(f"{1 if y[0] > 0.5 else -1} | {features}\n")
        hidden = str(self.problem.sizes[1])
        command = [
            *vw_command(),
            "--quiet",
            "--nn",
            hidden,
            "--sgd",
            "--loss_function",
            "logistic",
            "-d",
            str(data),
        ]
        command += ["-l", str(self.rate), "--power_t", "0", "--holdout_off", "-c", "--passes", str(epochs)]
        subprocess.run(command, check=True, capture_output=True)
