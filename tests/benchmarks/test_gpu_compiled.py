"""Kernels as compiled for a GPU, on the processor: what is not understood is said, never passed over."""

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
pytest.importorskip("numba_cuda")
from benchmarks.on_gpu.compiled import runtime  # noqa: E402
from benchmarks.on_gpu.compiled.host_ir import GAP, SharedMemory, to_host  # noqa: E402
from benchmarks.on_gpu.compiled.recording import annotated  # noqa: E402
from benchmarks.on_gpu.compiled.versions import NotUnderstood  # noqa: E402

runs = pytest.mark.skipif(bool(runtime.why_not()), reason=runtime.why_not())


def test_assembler_that_is_not_known_is_told_with_the_versions():
    with pytest.raises(
        NotUnderstood, match=r'assembler in call void asm .*"trap;".*numba-cuda .*\(here .*llvmlite'
    ):
        to_host('  call void asm sideeffect "trap;", ""()', SharedMemory())


def test_an_address_space_that_is_not_known_is_told():
    with pytest.raises(NotUnderstood, match=r"an address space in .*addrspace"):
        to_host("  %a = load i32, i32 addrspace(4)* %b", SharedMemory())


@pytest.mark.parametrize(
    "line",
    [
        "  %a = atomicrmw add ptr %b, i32 1 monotonic",
        "  %a = load atomic i32, ptr %b acquire, align 4",
        "  %a = cmpxchg ptr %b, i32 0, i32 1 acq_rel monotonic",
        "  fence seq_cst",
        "  call void @llvm.memcpy.inline.p0.p0.i64(ptr %a, ptr %b, i64 8, i1 false)",
    ],
)
def test_accesses_that_are_not_known_are_told(line):
    with pytest.raises(NotUnderstood, match="an access to memory: "):
        annotated(line)


SIZE = "i64 ptrtoint (ptr getelementptr ("
COPY = "  call void @llvm.memcpy.p0.p0.i64(ptr align 8 %a, ptr align 8 %b, i64 %n, i1 false)"
FILL = "  call void @llvm.memset.p0.i64(ptr align 8 %a, i8 0, i64 24, i1 false)"


@pytest.mark.parametrize(
    ("line", "accesses"),
    [
        ("  %a = load double, ptr %b, align 8", [f"ptr %b, {SIZE}double, "]),
        ("  store { i32, ptr } %a, ptr %b.1, align 8", [f"ptr %b.1, {SIZE}{{ i32, ptr }}, "]),
        (COPY, ["ptr %b, i64 %n, i32 0", "ptr %a, i64 %n, i32 1"]),
        (FILL, ["ptr %a, i64 24, i32 1"]),
        ("  call void @nvvm_barrier0()", []),
    ],
)
def test_every_access_is_told_of_before_it_is_made(line, accesses):
    text, sites = annotated(line)
    *calls, last = [other for other in text.splitlines() if not other.startswith("declare")]
    assert last == line
    assert len(sites) == 1
    if accesses:
        for call, access in zip(calls, accesses, strict=True):
            assert call.startswith(f"  call void @record_access({access}")
    else:
        assert calls == ["  call void @at_barrier(i32 0)"]


def test_shared_arrays_lie_apart():
    shared = SharedMemory()
    text = to_host(
        '@"a" = addrspace(3) global [3 x double] undef, align 8\n'
        '@"b" = addrspace(3) global [2 x i32] undef, align 4\n'
        '  %x = addrspacecast [2 x i32] addrspace(3)* @"b" to i8*\n',
        shared,
    )
    first, second = shared.arrays
    assert (first.offset, first.n_bytes, second.n_bytes) == (0, 24, 8)
    assert second.offset >= 24 + GAP
    assert f"%x = call i8* @shared_memory(i64 {second.offset})" in text


@runs
def test_a_call_of_what_is_nowhere_is_told():
    from benchmarks.on_gpu.compiled.building import build

    kernel = (
        'define void @"k"(i64 %n) {\n  call void @"llvm.nvvm.new.thing"()\n  ret void\n}\n'
        'declare void @"llvm.nvvm.new.thing"()\n'
        '!0 = !{ void (i64)* @"k", !"kernel", i32 1 }\n'
    )
    with pytest.raises(NotUnderstood, match="the runtime has no nvvm_new_thing"):
        build([kernel], False)


@runs
def test_shuffles_are_those_of_a_warp():
    """PTX ISA, "shfl.sync": by lane, up, down, crosswise; also within segments of 8 lanes."""
    from numba import cuda

    from benchmarks.on_gpu.compiled.building import build
    from benchmarks.on_gpu.compiled.launching import HostKernel
    from benchmarks.on_gpu.compiled.lowering import nvvm_ir

    @cuda.jit
    def shuffle(values):
        i = cuda.threadIdx.x
        v = values[i, 0]
        values[i, 1] = cuda.shfl_sync(0xFFFFFFFF, v, 5)
        values[i, 2] = cuda.shfl_up_sync(0xFFFFFFFF, v, 3)
        values[i, 3] = cuda.shfl_down_sync(0xFFFFFFFF, v, 3)
        values[i, 4] = cuda.shfl_xor_sync(0xFFFFFFFF, v, 6)

    from numba import typeof

    values = np.zeros((64, 5))
    values[:, 0] = lanes = np.arange(64.0)
    kernel = HostKernel(build(nvvm_ir(shuffle, (typeof(values),), (9, 0), False), False))
    kernel.launch(1, 64, (values,))
    lane, first = lanes % 32, lanes // 32 * 32
    expected = [
        first + 5,
        first + np.where(lane < 3, lane, lane - 3),
        first + np.where(lane > 28, lane, lane + 3),
        first + (lane.astype(int) ^ 6),
    ]
    np.testing.assert_array_equal(values[:, 1:].T, expected)
