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

from .numerics import asked

MARK = "numbabp_is_strict"
"""Of an instruction, by which `numerics_cuda` finds what `is_strict` becomes."""
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


@asked(MARK)
def is_strict() -> bool:
    """Whether the kernel is a strict one: a constant in compiled code, and so in what compiles it."""
    return _strict
