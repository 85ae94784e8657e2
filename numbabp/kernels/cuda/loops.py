"""Loops that stay as short as they are written, and places in arrays that are not counted from the end.

Compilers unroll a loop of unknown length four to eight times, with two more loops for what is left over. A
kernel whose code runs through once a step waits longer for those instructions to be fetched than they save:
the first-level cache of a multiprocessor holds 2,000 of them.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function
from ...compiler.toolchain import SIMULATED

NO_UNROLLING = r".pragma \22nounroll\22;"
"""In PTX; the quotes as LLVM writes them."""


def rolled() -> None:
    """Said first in a loop's body: the loop is not unrolled."""


def _rolled(typingctx: Any) -> Any:
    from llvmlite import ir
    from numba import types

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # the pragma is for the assembler; LLVM makes no remainders of what all threads have to reach
        call = builder.asm(ir.FunctionType(ir.VoidType(), ()), NO_UNROLLING, "", (), True)
        call.attributes.add("convergent")
        return context.get_dummy_value()

    return types.void(), codegen


if not SIMULATED:
    from numba.cuda.extending import intrinsic

    rolled = intrinsic(_rolled)


@scalar_function
def at(index: Any) -> Any:
    """An index below 2^31 that is not negative: Numba need not ask whether it counts from the end."""
    return np.uint32(index)


@scalar_function
def from_start(index: Any) -> Any:
    """An index of 64 bits that is not negative: a constant added to it becomes part of an instruction."""
    return np.uint64(index)
