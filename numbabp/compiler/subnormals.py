"""Subnormal numbers taken as zero while kernels run.

A saturated unit's activation or derivative is next to the smallest normal number, 1e-38 in float32, and
products with it are subnormal: a processor takes a hundred cycles and more for each. Random labels learned
for long were up to seven times slower for it (64-32-10, float32, 2650 ns a step instead of 365). x86 has a
switch for the thread (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, sections
10.2.3.3 and 10.2.3.4); on other processors nothing is done here.
"""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba import types
from numba.extending import intrinsic

from .compiling import kernel

FLUSH_RESULTS, FLUSH_OPERANDS = 0x8000, 0x0040
"""Bits of the control word."""
_HAS_SWITCH = platform.machine() in ("x86_64", "AMD64") and not numba.config.DISABLE_JIT


@intrinsic
def _swap_control(typingctx: Any, word: Any, flags: Any) -> Any:
    """Set the thread's floating-point control to `word`, or where that is 0 add `flags`; the one before."""
    from llvmlite import ir

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        function = ir.FunctionType(ir.VoidType(), [pointer])
        store = builder.module.declare_intrinsic("llvm.x86.sse.stmxcsr", fnty=function)
        load = builder.module.declare_intrinsic("llvm.x86.sse.ldmxcsr", fnty=function)
        place = builder.alloca(i32)
        builder.call(store, [builder.bitcast(place, pointer)])
        before = builder.load(place)
        word, flags = arguments
        keep = builder.icmp_unsigned("==", word, ir.Constant(i32, 0))
        builder.store(builder.select(keep, builder.or_(before, flags), word), place)
        builder.call(load, [builder.bitcast(place, pointer)])
        return before

    return types.uint32(types.uint32, types.uint32), codegen


@kernel
def _control(word: Any) -> Any:
    return _swap_control(numba.uint32(word), numba.uint32(FLUSH_RESULTS | FLUSH_OPERANDS))


@contextmanager
def flushed_subnormals() -> Iterator[None]:
    """In this thread; what was set before is set again in the end."""
    if not _HAS_SWITCH:
        yield
        return
    before = _control(0)
    try:
        yield
    finally:
        _control(before)
