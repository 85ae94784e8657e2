"""Strict arithmetic: the operations that the source says, in its order, each rounded by itself.

So a kernel gives the same bits on every processor that does IEEE 754 arithmetic, whatever the width of its
vectors: nothing is contracted into fused multiply-adds, no sum taken apart, no division made a product.
Kernels are compiled from the same source as others, and so is what they call, but without LLVM's freedom
(`compiler.compiling.FASTMATH`). Where an order that is quick with that freedom is not quick without it, the
source asks `is_strict`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template

MARK = "numbabp_is_strict"
"""Of an instruction, by which `strict_cuda` finds what `is_strict` becomes."""
_strict = False
"""Numba compiles in one thread at a time, and this is changed only there; or runs without the compiler."""


@contextmanager
def strictly_compiling() -> Iterator[None]:
    """What is compiled meanwhile is strict."""
    global _strict
    before, _strict = _strict, True
    try:
        yield
    finally:
        _strict = before


def while_strict(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a strict kernel that is not compiled."""

    @wraps(function)
    def strict(*arguments: Any) -> Any:
        with strictly_compiling():
            return function(*arguments)

    return strict


def is_strict() -> bool:
    """Whether the kernel is a strict one: a constant in compiled code, and so in what compiles it."""
    return _strict


def _compiled(typingctx: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = ir.Constant(ir.IntType(1), _strict)
        return builder.or_(value, value, name=MARK)

    return types.boolean(), codegen


if not numba.config.DISABLE_JIT:
    # not as an `intrinsic`, which could not be called where the simulator of GPUs runs kernels in Python
    _template = make_intrinsic_template(is_strict, _compiled, is_strict.__name__)
    infer(_template)
    infer_global(is_strict, types.Function(_template))
