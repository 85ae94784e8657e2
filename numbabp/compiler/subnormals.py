"""Subnormal numbers taken as zero while kernels train.

A saturated unit's activation or derivative is next to the smallest normal number, 1e-38 in float32, and
products with it are subnormal: a processor takes a hundred cycles and more for each. Random labels learned
for long were up to seven times slower for it (64-32-10, float32, 2650 ns a step instead of 365). x86 has a
switch for the thread (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, sections
10.2.3.3 and 10.2.3.4); on other processors nothing is done here.

The switch is thrown by a kernel's first instructions and put back by its last ones. There is no Python in
between, and so no place where Ctrl-C or another exception could leave it as it is not to be: a context
manager around kernels left it in one of a few hundred interruptions.
"""

import platform

from llvmlite import ir
from numba.core.lowering import Lower

FLUSH_RESULTS, FLUSH_OPERANDS = 0x8000, 0x0040
"""Bits of the control word."""
_HAS_SWITCH = platform.machine() in ("x86_64", "AMD64")
_WORD = ir.IntType(32)


class FlushingLower(Lower):
    """Numba's translation of a function into LLVM's code, with the switch thrown meanwhile."""

    def lower_normal_function(self, fndesc) -> None:  # type: ignore[no-untyped-def]  # noqa: D102
        super().lower_normal_function(fndesc)
        if _HAS_SWITCH:
            _throw_meanwhile(self.function)


def _throw_meanwhile(function: ir.Function) -> None:
    """Add flags to the thread's control word before all else, and set what it was before every return."""
    builder = ir.IRBuilder()
    builder.position_at_start(function.entry_basic_block)
    before, meanwhile = builder.alloca(_WORD), builder.alloca(_WORD)
    _control(builder, "stmxcsr", before)
    flags = ir.Constant(_WORD, FLUSH_RESULTS | FLUSH_OPERANDS)
    builder.store(builder.or_(builder.load(before), flags), meanwhile)
    _control(builder, "ldmxcsr", meanwhile)
    for block in function.blocks:
        if isinstance(block.terminator, ir.Ret):
            builder.position_before(block.terminator)
            _control(builder, "ldmxcsr", before)


def _control(builder: ir.IRBuilder, instruction: str, place: ir.Value) -> None:
    """Write the control word to memory, or set it from there.

    Between fences, which cost nothing: else LLVM moves what is read and written elsewhere in memory across,
    and with it the arithmetic in between.
    """
    pointer = ir.IntType(8).as_pointer()
    of_type = ir.FunctionType(ir.VoidType(), [pointer])
    function = builder.module.declare_intrinsic(f"llvm.x86.sse.{instruction}", fnty=of_type)
    builder.fence("seq_cst", "singlethread")
    builder.call(function, [builder.bitcast(place, pointer)])
    builder.fence("seq_cst", "singlethread")
