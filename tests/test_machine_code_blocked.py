"""The blocked kernel's machine code for every supported compute capability, made without a GPU."""

import pytest

pytest.importorskip("cuda.core")
pytest.importorskip("numba_cuda")

from numba import float32, float64, int64, types, uint64

from numbabp.kernels.cuda import blocked
from numbabp.kernels.cuda.compiling import SIMULATED, machine_code
from numbabp.kernels.cuda.geometry import MAX_THREADS

pytestmark = pytest.mark.skipif(SIMULATED, reason="the simulator makes no machine code")

CAPABILITIES = ((7, 5), (8, 0), (9, 0), (10, 0))
REGISTERS = 64 * 1024  # of a multiprocessor


def of(dtype, dimensions=1):
    return types.Array(dtype, dimensions, "C")


def arguments(dtype):
    network = types.NamedTuple([of(dtype), of(dtype), of(uint64, 2), int64], blocked.Network)
    samples = types.NamedTuple([of(dtype, 2), of(dtype), of(int64)], blocked.Samples)
    block = types.NamedTuple([*[of(dtype)] * 5, of(dtype, 2), of(dtype), of(dtype, 3)], blocked.Block)
    record = types.NamedTuple([of(int64), of(float64, 2), of(int64)], blocked.Record)
    return network, samples, block, record


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
@pytest.mark.parametrize("has_velocity", [False, True])
def test_steps_need_no_memory_of_a_thread(has_velocity, dtype, capability):
    kernel = blocked.make_train_block(has_velocity)
    code = machine_code(kernel, (*arguments(dtype), *[int64] * 5), capability)
    assert code.cubin
    assert (code.stack, code.spills) == (0, 0)
    assert code.registers * MAX_THREADS <= REGISTERS
    assert "cudaCGSynchronize" in code.ptx


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", [float32, float64], ids=str)
def test_carrying_weights_needs_no_memory_of_a_thread(dtype, capability):
    network, _, block, record = arguments(dtype)
    code = machine_code(blocked.carry_weights, (network, block, record), capability)
    assert (code.stack, code.spills) == (0, 0)
