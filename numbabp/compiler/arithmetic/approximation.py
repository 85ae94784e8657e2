"""Approximate arithmetic: the exponential of a GPU's own instruction, in float32.

By ex2.approx and a product with log2(e) before it, e^x is within 2 + 1.173 |x| units in the last place
(NVIDIA, CUDA C++ Programming Guide, "Intrinsic Functions", __expf, which is the same).
`functions.elementary` asks `is_approximate` where it makes a difference. On processors nothing is
approximate.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .numerics import asked

MARK = "numbabp_is_approximate"
"""Of an instruction, by which `numerics_cuda` finds what `is_approximate` becomes."""


@asked(MARK)
def is_approximate() -> bool:
    """Whether the kernel is an approximate one: a constant in compiled code."""
    return False


@intrinsic
def power_of_two_nearly(typingctx: Any, x: Any) -> Any:
    """2^x of a float32 by a GPU's instruction; only where `is_approximate`. 0 below 2^-126."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if x != types.float32 or not type(context).__module__.startswith("numba.cuda."):
            return arguments[0]  # there is no such instruction, and nobody comes here
        number = ir.FloatType()
        name = "llvm.nvvm.ex2.approx.ftz.f"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, [number]), name)
        return builder.call(function, arguments)

    return x(x), codegen
