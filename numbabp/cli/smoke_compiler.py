"""A second process that compiles kernels for the smoke run, which loads them from the cache folder.

Threads would not do: Numba has a lock that lets one thread compile at a time.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..compiler.caching import cache_folder
from ..devices.processor import n_threads
from ..kernels.sequential import train_sgd

PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from numbabp.cli.smoke import compile_kernels; compile_kernels(*sys.argv[2:])"
)


class SecondProcess:
    """The process, from `start` on; it ends with the context at the latest."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._to_come: list[str] = []

    def start(self, dtype: str, kernels: Sequence[str]) -> None:
        """Let these kernels be compiled for a dtype, unless it has begun before or there is no use in it."""
        if self._process is not None or cache_folder(train_sgd) is None or n_threads() < 2:
            return
        root = str(Path(__file__).parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, root, dtype, *kernels],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._to_come = list(kernels)

    def is_busy_with(self, kernel: str) -> bool:
        """Whether a kernel is yet to be finished."""
        return kernel in self._to_come

    def wait_for(self, kernel: str) -> None:
        """Return once a kernel is in the cache folder, or the process has ended."""
        while self.is_busy_with(kernel):
            assert self._process is not None
            assert self._process.stdout is not None
            done = self._process.stdout.readline().strip()
            self._to_come = self._to_come[self._to_come.index(done) + 1 :] if done in self._to_come else []

    def __enter__(self) -> "SecondProcess":
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
