"""Words that threads tell each other by: whole numbers in memory, read and changed one at a time.

Numba has no atomic operations for the processor. A word read here is followed, and a word written preceded,
by what the source says, also on processors that change the order of reads and writes. Without the compiler
(`NUMBA_DISABLE_JIT=1`) there is one thread only.
"""

import platform
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...compiler.vectors import call

WORD = 8
"""Bytes."""
HAS_PAUSE = platform.machine() in ("x86_64", "AMD64")
"""Whether there is an instruction for a thread that looks at a word again and again."""


def load_word(words: Any, at: Any) -> Any:
    """words[at]; what its writer wrote before is seen by now."""
    return words[at]


def store_word(words: Any, at: Any, value: Any) -> None:
    """words[at] = value, seen after all that was written before, and before all that is written next."""
    words[at] = value


def replace_word(words: Any, at: Any, expected: Any, value: Any) -> bool:
    """Whether words[at] was `expected`, and is `value` now; else nothing is done."""
    if words[at] != expected:
        return False
    words[at] = value
    return True


def pause() -> None:
    """Let a moment pass, some ten nanoseconds."""


def fetch(array: Any, at: Any) -> None:
    """Have the cache line of array[at], which will be read, brought nearer meanwhile; it may lie anywhere."""


def _place(context: Any, builder: Any, words: Any, array: Any, at: Any) -> Any:
    return builder.gep(context.make_array(words)(context, builder, array).data, [at])


def _load_word(typingctx: Any, words: Any, at: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(place, "acquire", WORD)

    return types.int64(words, types.int64), codegen


def _store_word(typingctx: Any, words: Any, at: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, position, number = arguments
        # an exchange, as a store alone lets later ones pass
        builder.atomic_rmw(
            "xchg", _place(context, builder, signature.args[0], array, position), number, "seq_cst"
        )
        return context.get_dummy_value()

    return types.void(words, types.int64, types.int64), codegen


def _replace_word(typingctx: Any, words: Any, at: Any, expected: Any, value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, position, before, number = arguments
        place = _place(context, builder, signature.args[0], array, position)
        result = builder.cmpxchg(place, before, number, "seq_cst", "seq_cst")
        return builder.extract_value(result, 1)

    return types.boolean(words, types.int64, types.int64, types.int64), codegen


def _pause(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if HAS_PAUSE:
            call(builder, "llvm.x86.sse2.pause", ir.VoidType(), [])
        return context.get_dummy_value()

    return types.void(), codegen


def _fetch(typingctx: Any, array: Any, at: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32 = ir.IntType(32)
        place = _place(context, builder, signature.args[0], *arguments)
        pointer = builder.bitcast(place, ir.IntType(8).as_pointer())
        to_read, first_cache, of_data = (ir.Constant(i32, n) for n in (0, 3, 1))
        call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, to_read, first_cache, of_data])
        return context.get_dummy_value()

    return types.void(array, types.uint64), codegen


if not numba.config.DISABLE_JIT:
    load_word, store_word = intrinsic(_load_word), intrinsic(_store_word)
    replace_word, pause, fetch = intrinsic(_replace_word), intrinsic(_pause), intrinsic(_fetch)
