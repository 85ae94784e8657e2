"""Tests of GPUs: on one where there is one, else in Numba's simulator (NUMBA_ENABLE_CUDASIM=1)."""

import sys
from pathlib import Path

import pytest

from numbabp.devices import memory

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.on_gpu import simulator


@pytest.fixture(autouse=True, scope="session")
def quick_simulator():
    if not memory.is_simulated():
        yield
        return
    with simulator.quick_simulator():
        yield


@pytest.fixture(autouse=True, scope="session")
def gpu():
    """The GPU that CuPy uses, or the simulated one."""
    if memory.why_no_gpu():
        pytest.skip(memory.why_no_gpu())
    return memory.device_of(memory.current_index())
