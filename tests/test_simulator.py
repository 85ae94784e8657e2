"""The tests of GPUs, in Numba's simulator: every thread of a kernel in Python, NumPy in CuPy's place."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = sorted((TESTS / "gpu").glob("test_*.py"), key=lambda path: path.stat().st_size)


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
def test_tests_of_gpus_pass_in_the_simulator():
    # in processes of their own, since Numba decides when it is imported; two, as each keeps to one core
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    processes = [
        subprocess.Popen(
            [*command, *map(str, files)],
            cwd=TESTS.parent,
            env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for files in (FILES[::2], FILES[1::2])
    ]
    outputs = [process.communicate()[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output
        assert " passed" in output and " skipped" not in output, output
