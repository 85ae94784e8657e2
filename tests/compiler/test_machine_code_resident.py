"""The resident kernel's machine code, made without a GPU: networks as the planner lays them out."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import gpu_machine_code  # noqa: E402
from benchmarks.gpu_machine_code import RESIDENT, ResidentCase, device_of, figures_of  # noqa: E402

if gpu_machine_code.what_is_missing():
    pytest.skip(gpu_machine_code.what_is_missing(), allow_module_level=True)

from numbabp.devices.memory import STATIC_SHARED  # noqa: E402
from numbabp.kernels.cuda.resident.shape import BESIDE_POOL  # noqa: E402

pytestmark = pytest.mark.once

THREE_HIDDEN = ResidentCase("100-1024-1024-512-10", "float64")
"""Whose threads hold 384 bytes of rows of two layers, and spilled in a form of the kernel before."""
WITH_L2 = [ResidentCase(sizes, dtype, 0.01) for dtype, sizes in RESIDENT.items()]
CASES = [ResidentCase(sizes, dtype) for dtype, sizes in RESIDENT.items()]
INSTRUCTIONS = 13_000  # a loop unrolled eight times shows


@pytest.mark.parametrize(
    "case",
    [*CASES, *(pytest.param(case, marks=pytest.mark.slow) for case in [*WITH_L2, THREE_HIDDEN])],
    ids=str,
)
def test_nothing_lies_in_memory_of_a_thread(case):
    code, shape = case.machine_code(), case.shape()
    device = device_of(case.capability, gpu_machine_code.RESIDENT_ON.n_multiprocessors)
    assert (code.stack, code.spills) == (0, 0)
    assert 0 < code.registers <= case.mapping().registers
    # what the planner counts on beside the pool, and no more than one multiprocessor has
    assert 0 < code.shared <= min(STATIC_SHARED, BESIDE_POOL + shape.itemsize * shape.n_outputs)
    assert code.shared + case.mapping().shared <= shape.all_shared_bytes <= device.shared_per_block
    assert figures_of(code)["instructions"] < INSTRUCTIONS
    assert "div.s64" not in code.ptx and "rem.s64" not in code.ptx  # a hundred instructions each
    many = r"ld\.{}\.v4\.[fb]32" if case.dtype == "float32" else r"ld\.{}\.v2\.[fb]64"
    for memory in ("shared", "global"):
        assert len(re.findall(many.format(memory), code.ptx)) > 5
    assert "ld.global.nc" not in code.ptx  # a cache that knows nothing of what other blocks write
    assert "red.release.gpu" in code.ptx


def test_the_page_has_the_table_of_today():
    """Of docs/gpu.md, "Machine code"; other compilers than those it was made with may take others."""
    text = (ROOT / "docs" / "gpu.md").read_text()
    for case in CASES:
        row = rf"\| `resident` \| {case.sizes} \| {case.dtype} \| \d+ \| 255 \| 0 \| 0 \| \d+ \| "
        assert re.search(row + f"{case.mapping().shared:,} ", text), str(case)
