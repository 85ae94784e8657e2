"""Subnormal numbers taken as zero while kernels train.

A saturated unit's activation or derivative is next to the smallest normal number, 1e-38 in float32, and
products with it are subnormal: a processor takes a hundred cycles and more for each. Random labels learned
for long were up to seven times slower for it (64-32-10, float32, 2650 ns a step instead of 365). x86 has a
switch for the thread (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, sections
10.2.3.3 and 10.2.3.4); on other processors nothing is done here.

The switch is thrown just before a kernel's first instruction and put back after its last one, by the
compiled code that Python calls. There is no Python in between, and so no place where Ctrl-C or another
exception could leave it as it is not to be: a context manager around kernels left it in one of a few hundred
interruptions.

Strict kernels put it the other way round: what else runs in the process may have thrown it before, and a
thread may round in another way than to the nearest.
"""

import platform
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.callwrapper import PyCallWrapper
from numba.core.lowering import Lower
from numba.extending import intrinsic

FLUSH_RESULTS, FLUSH_OPERANDS, ROUND = 0x8000, 0x0040, 0x6000
"""Bits of the control word."""
_HAS_SWITCH = platform.machine() in ("x86_64", "AMD64")
_WORD = ir.IntType(32)


class FlushingLower(Lower):
    """Numba's translation of a function into LLVM's code, whose wrapper for Python throws the switch.

    Around the call of the function, not within it: that made a step of 64-32-10 in float32 3 % longer.
    """

    keeps = False
    """Whether subnormal numbers are kept instead, and results are rounded to the nearest."""

    def create_cpython_wrapper(self, release_gil: bool = False) -> None:  # noqa: D102
        context, described = self.context, self.fndesc
        module = context.create_module("wrapper")
        of_type = context.call_conv.get_function_type(described.restype, described.argtypes)
        function = ir.Function(module, of_type, described.llvm_func_name)
        wrapper = PyCallWrapper(
            context,
            module,
            function,
            described,
            self.env,
            call_helper=self.call_helper,
            release_gil=release_gil,
        )
        wrapper.build()
        if _HAS_SWITCH:
            _throw_around_calls(module, function, self.keeps)
        self.library.add_ir_module(module)


class KeepingLower(FlushingLower):
    """The same, but subnormal numbers are kept."""

    keeps = True


def flush() -> int:
    """Throw the switch, in compiled code; returns the word to `put_back`."""
    return 0


def put_back(word: int) -> None:
    """Put the switch back."""


def _flush(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not _HAS_SWITCH:
            return ir.Constant(_WORD, 0)
        before = cgutils.alloca_once(builder, _WORD)  # once, as this may be in a loop
        _set_flags(builder, before, cgutils.alloca_once(builder, _WORD))
        return builder.load(before)

    return types.uint32(), codegen


def _put_back(typingctx: Any, word: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if _HAS_SWITCH:
            place = cgutils.alloca_once_value(builder, arguments[0])
            _control(builder, "ldmxcsr", place)
        return context.get_dummy_value()

    return types.none(types.uint32), codegen


if not numba.config.DISABLE_JIT:
    flush, put_back = intrinsic(_flush), intrinsic(_put_back)


def _set_flags(builder: ir.IRBuilder, before: ir.Value, meanwhile: ir.Value, keeps: bool = False) -> None:
    """Add the flags to the thread's control word, or take them away; `before` is left with what it was."""
    _control(builder, "stmxcsr", before)
    flags = FLUSH_RESULTS | FLUSH_OPERANDS
    if keeps:
        word = builder.and_(builder.load(before), ir.Constant(_WORD, 0xFFFF & ~(flags | ROUND)))
    else:
        word = builder.or_(builder.load(before), ir.Constant(_WORD, flags))
    builder.store(word, meanwhile)
    _control(builder, "ldmxcsr", meanwhile)


def _throw_around_calls(module: ir.Module, function: ir.Function, keeps: bool) -> None:
    """Set flags of the thread's control word before calls of a function, and what they were after them."""
    builder = ir.IRBuilder()
    blocks = [block for other in module.functions for block in other.blocks]
    calls = [call for block in blocks for call in block.instructions if _is_call(call, function)]
    for call in calls:
        builder.position_before(call)
        before = builder.alloca(_WORD)
        _set_flags(builder, before, builder.alloca(_WORD), keeps)
        builder.position_after(call)
        _control(builder, "ldmxcsr", before)


def _is_call(instruction: ir.Instruction, function: ir.Function) -> bool:
    return isinstance(instruction, ir.CallInstr) and instruction.callee is function


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
