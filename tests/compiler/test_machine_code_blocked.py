"""The blocked kernel's machine code for every supported compute capability, made without a GPU."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import pytest

pytest.importorskip("cuda.core")
pytest.importorskip("numba_cuda")

from numba import float32, float64, int64, types, uint64

from numbabp.compiler.cuda import machine_code
from numbabp.compiler.toolchain import SIMULATED
from numbabp.kernels.cuda.blocked import train as blocked
from numbabp.kernels.cuda.blocked.geometry import MAX_THREADS

pytestmark = pytest.mark.skipif(SIMULATED, reason="the simulator makes no machine code")

CAPABILITIES = ((7, 5), (8, 0), (9, 0), (10, 0))
DTYPES = {"float32": float32, "float64": float64}
KERNELS = ("steps", "steps with velocity", "carrying weights")
REGISTERS = 64 * 1024  # of a multiprocessor


def of(dtype, dimensions=1):
    return types.Array(dtype, dimensions, "C")


def compiled(kernel, dtype_name, capability):
    dtype = DTYPES[dtype_name]
    network = types.NamedTuple([of(dtype), of(dtype), of(uint64, 2), int64], blocked.Network)
    samples = types.NamedTuple([of(dtype, 2), of(dtype), of(int64)], blocked.Samples)
    block = types.NamedTuple([*[of(dtype)] * 5, of(dtype, 2), of(dtype), of(dtype, 3)], blocked.Block)
    record = types.NamedTuple([of(int64), of(float64, 2), of(int64)], blocked.Record)
    if kernel == "carrying weights":
        return machine_code(blocked.carry_weights, (network, block, record), capability)
    train_block = blocked.make_train_block(kernel == "steps with velocity")
    return machine_code(train_block, (network, samples, block, record, *[int64] * 5), capability)


@pytest.fixture(scope="module")
def codes():
    """Of all of them, made by a process a core."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count() or 1, context) as processes:
        yield {case: processes.submit(compiled, *case) for case in product(KERNELS, DTYPES, CAPABILITIES)}
        processes.shutdown(cancel_futures=True)


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_nothing_lies_in_memory_of_a_thread(kernel, dtype, capability, codes):
    code = codes[kernel, dtype, capability].result()
    assert code.cubin
    assert (code.stack, code.spills) == (0, 0)
    assert code.registers * MAX_THREADS <= REGISTERS
    assert ("cudaCGSynchronize" in code.ptx) == kernel.startswith("steps")
