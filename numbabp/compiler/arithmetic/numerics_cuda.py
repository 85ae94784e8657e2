"""Strict kernels for GPUs: the IR that numba-cuda makes, less what makes it quick (see `strictness`).

Functions are lowered once, for fast kernels and for strict ones; what tells the two apart is done in the
text. Then NVVM is told to contract nothing, and its quotients and roots are rounded to nearest as they are.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from numba.cuda import dispatcher
from numba.cuda.codegen import CUDACodeLibrary

from .strictness import MARK

_FLAGS = re.compile(r"(?<= )(?:(?:fast|contract|reassoc|nsz|arcp|afn) )+")
_MARK = re.compile(rf'(%"{re.escape(MARK)}[.\d]*" = or i1) [^,]+, .*')
_QUOTIENT = re.compile(r'call float @"?__nv_fast_fdividef"?\(float ([^,]+), float ([^)]+)\)')
_APPROXIMATION = re.compile(r"call [^\n]*@\"?(__nv_fast_\w+)")


class StrictLibrary(CUDACodeLibrary):  # type: ignore[misc, unused-ignore]
    """A kernel's code whose IR is strict."""

    _llvm_strs: list[str] | None
    _nvvm_options: dict[str, Any]

    @property
    def llvm_strs(self) -> list[str]:
        """See `CUDACodeLibrary`."""
        if self._llvm_strs is None:
            self._llvm_strs = [as_strict(str(module)) for module in self.modules]
        return self._llvm_strs

    def contract_nothing(self) -> None:
        """Tell NVVM, before it is asked for PTX."""
        self._nvvm_options = {**self._nvvm_options, "fma": False}


def as_strict(text: str) -> str:
    """IR of a function in which `strictness.is_strict` is true, and nothing is left to LLVM's freedom.

    Raises
    ------
    NotImplementedError
        If there is an approximation in it that is not known.
    """
    text = _QUOTIENT.sub(r"fdiv float \1, \2", _MARK.sub(r"\1 true, true", _FLAGS.sub("", text)))
    if found := _APPROXIMATION.search(text):
        raise NotImplementedError(f"strict kernels have no {found[1]}")
    return text


def make_strict(library: Any) -> None:
    """Let a kernel's code be strict, of which no text has been made yet."""
    library.__class__ = StrictLibrary
    library.contract_nothing()


def compiling_strictly(compiled: Any) -> Callable[..., Any]:
    """A dispatcher's `compile`, by which its kernel becomes strict."""
    compile_kernel = compiled.compile

    @wraps(compile_kernel)
    def compile_strict(signature: Any) -> Any:
        with _kernels_made_strict(compiled.py_func):
            return compile_kernel(signature)

    return compile_strict


@contextmanager
def _kernels_made_strict(function: Callable[..., Any]) -> Iterator[None]:
    """What numba-cuda makes of a function meanwhile, before it asks for text."""
    compile_cuda = dispatcher.compile_cuda

    def compile_one(py_func: Any, *arguments: Any, **options: Any) -> Any:
        result = compile_cuda(py_func, *arguments, **options)
        if py_func is function:
            make_strict(result.library)
        return result

    dispatcher.compile_cuda = compile_one
    try:
        yield
    finally:
        dispatcher.compile_cuda = compile_cuda
