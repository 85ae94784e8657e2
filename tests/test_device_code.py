"""What the kernels of predictions become, compiled for GPUs that need not be there."""

import importlib.util

import pytest

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed", allow_module_level=True)

from numba import types

from numbabp.kernels.cuda import inference
from numbabp.kernels.cuda.compiling import SIMULATED, machine_code

pytestmark = pytest.mark.skipif(SIMULATED, reason="the simulator compiles nothing")

NUMBERS = {name: types.Array(getattr(types, name), 1, "C") for name in ("float32", "float64")}


def signatures(dtype):
    numbers, matrix = NUMBERS[dtype], types.Array(getattr(types, dtype), 2, "C")
    layout, codes = types.Array(types.uint64, 2, "C"), types.Array(types.int64, 1, "C")
    sums = types.Array(types.float64, 2, "C")
    return {
        "activate_units": (types.int64, numbers, numbers, numbers),
        "softmax_rows": (numbers, numbers, numbers),
        "add_metrics": (layout, codes, types.int64, matrix, matrix, matrix, numbers, sums),
    }


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("compute_capability", [(7, 5), (8, 0), (9, 0), (10, 0)])
def test_kernels_keep_to_registers(dtype, compute_capability):
    for name, signature in signatures(dtype).items():
        code = machine_code(getattr(inference, name), signature, compute_capability)
        assert code.cubin.startswith(b"\x7fELF"), name
        assert (code.stack, code.spills) == (0, 0), name
        assert 0 < code.registers <= 96, name


def test_float32_activations_take_no_double_precision():
    code = machine_code(inference.activate_units, signatures("float32")["activate_units"], (9, 0))
    assert "fma.rn.f32" in code.ptx
    assert "fma.rn.f64" not in code.ptx and "mul.f64" not in code.ptx
