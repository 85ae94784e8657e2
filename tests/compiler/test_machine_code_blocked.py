"""The blocked kernel's machine code, made without a GPU: of all there is for one compute capability."""

import multiprocessing
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
pytest.importorskip("cuda.core")
pytest.importorskip("numba_cuda")

from benchmarks.gpu_machine_code import INSTRUCTION_BYTES, instructions_of
from numbabp.compiler.cuda import machine_code
from numbabp.compiler.toolchain import SIMULATED
from numbabp.devices.memory import STATIC_SHARED
from numbabp.kernels.cuda import signatures
from numbabp.kernels.cuda.blocked import train as blocked
from numbabp.kernels.cuda.blocked.geometry import MAX_THREADS, half_turns_held, static_bytes

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(SIMULATED, reason="the simulator makes no machine code"),
]

THE_ONE = (9, 0)
OTHERS = ((7, 5), (8, 0), (10, 0))
DTYPES = ("float32", "float64")
KERNELS = ("steps", "steps with velocity", "carrying weights")
CASES = [
    *product(KERNELS, DTYPES, [THE_ONE]),
    # which has the most numbers to keep
    *product(["steps with velocity"], ["float32"], OTHERS),
]
INSTRUCTIONS = 13_000  # of which a sample's way is the smaller part; a loop unrolled eight times shows
GROUP_OF = {"float32": 16, "float64": 32}
REGISTERS = 64 * 1024  # of a multiprocessor
SPILLED = 300  # bytes, but on the cards that it was written for: some 30 of 255 registers


def compiled(kernel, dtype, capability):
    if kernel == "carrying weights":
        return machine_code(blocked.carry_weights, signatures.of_carry_weights(dtype), capability)
    has_velocity = "velocity" in kernel
    n_held = half_turns_held(np.dtype(dtype).itemsize, has_velocity, MAX_THREADS)
    train_block = blocked.make_train_block(has_velocity, True, MAX_THREADS, GROUP_OF[dtype], n_held)
    return machine_code(train_block, signatures.of_train_block(dtype), capability)


@pytest.fixture(scope="module")
def codes():
    """Of all of them, made by a process a core."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count() or 1, context) as processes:
        yield {case: processes.submit(compiled, *case) for case in CASES}
        processes.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("kernel", "dtype", "capability"), CASES)
def test_nothing_lies_in_memory_of_a_thread(kernel, dtype, capability, codes):
    code = codes[kernel, dtype, capability].result()
    assert code.cubin
    assert max(code.stack, code.spills) <= (0 if capability == THE_ONE else SPILLED)
    assert code.registers * MAX_THREADS <= REGISTERS
    if kernel.startswith("steps"):
        assert "div.s64" not in code.ptx and "rem.s64" not in code.ptx  # a hundred instructions each
        itemsize = np.dtype(dtype).itemsize
        assert 0 < static_bytes(MAX_THREADS, itemsize) - code.shared < 256
        assert code.shared <= STATIC_SHARED
        many = r"ld\.{}\.v4\.[fb]32" if itemsize == 4 else r"ld\.{}\.v2\.[fb]64"
        for memory in ("shared", "global"):
            assert len(re.findall(many.format(memory), code.ptx)) > 20
        assert "ld.global.nc" not in code.ptx  # a cache that knows nothing of what other blocks write
        assert len(instructions_of(code.cubin)) // INSTRUCTION_BYTES < INSTRUCTIONS
    assert ("red.release.gpu" in code.ptx) == kernel.startswith("steps")
    assert "cudaCG" not in code.ptx


def test_a_launch_has_all_blocks_run_at_once_or_is_refused(monkeypatch):
    """As the barrier of the grid needs; numba-cuda asks for it where a function that is called says so."""
    from numba import types
    from numba.cuda.codegen import CUDACodeLibrary

    from numbabp.compiler.cuda import kernel
    from numbabp.kernels.cuda.barriers import barrier_of_grid

    @kernel
    def meet(counts):
        barrier_of_grid(counts, 0, 1, 0, 0)

    asked = []
    get_asm_strs = CUDACodeLibrary.get_asm_strs

    def remember(library, cc=None):
        asked.append(library.use_cooperative)
        return get_asm_strs(library, cc)

    monkeypatch.setattr(CUDACodeLibrary, "get_asm_strs", remember)
    machine_code(meet, (types.Array(types.int32, 1, "C"),), (9, 0))
    assert asked == [True]


def test_a_loop_stays_as_short_as_it_is_written():
    from numba import types

    from numbabp.compiler.cuda import kernel
    from numbabp.compiler.toolchain import cuda
    from numbabp.kernels.cuda.loops import at, rolled

    def products(x, n, y, is_rolled):
        thread = np.int32(cuda.threadIdx.x)
        total, i = x.dtype.type(0), thread
        while i < n:
            if is_rolled is not None:
                rolled()
            total += x[at(i)] * y[at(i)]
            i = np.int32(i + 256)
        y[at(thread)] = total

    number = types.float32[::1]
    counts = {
        of_type: machine_code(kernel(products), (number, types.int32, number, of_type), (9, 0)).cubin
        for of_type in (types.none, types.int32)
    }
    unrolled, short = (len(instructions_of(cubin)) for cubin in counts.values())
    assert short < unrolled / 2
