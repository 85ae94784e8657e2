"""Tests of GPUs: on one where there is one, else in Numba's simulator (NUMBA_ENABLE_CUDASIM=1)."""

import pytest

from numbabp.kernels.cuda import memory


@pytest.fixture(autouse=True, scope="session")
def gpu():
    """The GPU that CuPy uses, or the simulated one."""
    if memory.why_no_gpu():
        pytest.skip(memory.why_no_gpu())
    return memory.device_of(memory.current_index())
