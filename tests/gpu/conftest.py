"""Tests of GPUs: on one where there is one, else in Numba's simulator (NUMBA_ENABLE_CUDASIM=1)."""

import sys
import threading

import numpy as np
import pytest

from numbabp.kernels.cuda import memory


@pytest.fixture(autouse=True, scope="session")
def quick_simulator():
    """Let the simulator's threads take turns more often, which makes it six times as fast.

    Its main thread looks in a loop whether the others wait, for as long as a turn lasts. But shorter turns
    bring out that two threads may each get a shared array of their own, which a lock prevents.
    """
    if not memory.is_simulated():
        yield
        return
    from numbabp.kernels.cuda import toolchain  # noqa: F401 - imports numba.cuda, without its warnings
    from numba.cuda.simulator.kernelapi import FakeCUDAShared  # isort: skip

    lock = threading.Lock()
    allocate, interval = FakeCUDAShared.array, sys.getswitchinterval()

    def array(self, shape, dtype, alignment=None):
        if shape == 0:
            return allocate(self, shape, dtype, alignment)
        frame = sys._getframe(1)
        line = frame.f_code.co_filename, frame.f_lineno
        with lock:
            if line not in self._allocations:
                self._allocations[line] = np.empty(shape, as_dtype(dtype))
            return self._allocations[line]

    FakeCUDAShared.array = array
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)
    FakeCUDAShared.array = allocate


def as_dtype(of_numba):
    """NumPy's dtype, from either's."""
    from numba import types
    from numba.np import numpy_support

    return numpy_support.as_dtype(of_numba) if isinstance(of_numba, types.Type) else np.dtype(of_numba)


@pytest.fixture(autouse=True, scope="session")
def gpu():
    """The GPU that CuPy uses, or the simulated one."""
    if memory.why_no_gpu():
        pytest.skip(memory.why_no_gpu())
    return memory.device_of(memory.current_index())
