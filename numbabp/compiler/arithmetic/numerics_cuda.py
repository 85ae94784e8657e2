"""Kernels for GPUs that are not fast ones: the IR that numba-cuda makes, rewritten (see `numerics`).

Functions are lowered once, for kernels of all numerics; what tells these apart is done in the text. Strict
ones lose what makes IR quick; NVVM is told to contract nothing, and its quotients and roots are rounded to
nearest as they are.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from numba.cuda import dispatcher
from numba.cuda.codegen import CUDACodeLibrary

from . import approximation, strictness
from .numerics import APPROXIMATE, STRICT

_FLAGS = re.compile(r"(?<= )(?:(?:fast|contract|reassoc|nsz|arcp|afn) )+")
_QUOTIENT = re.compile(r'call float @"?__nv_fast_fdividef"?\(float ([^,]+), float ([^)]+)\)')
_APPROXIMATION = re.compile(r"call [^\n]*@\"?(__nv_fast_\w+)")


class RewrittenLibrary(CUDACodeLibrary):  # type: ignore[misc, unused-ignore]
    """A kernel's code, with a change to its IR."""

    _llvm_strs: list[str] | None
    _nvvm_options: dict[str, Any]
    rewrite: Callable[[str], str]

    @property
    def llvm_strs(self) -> list[str]:
        """See `CUDACodeLibrary`."""
        if self._llvm_strs is None:
            self._llvm_strs = [self.rewrite(str(module)) for module in self.modules]
        return self._llvm_strs

    def contract_nothing(self) -> None:
        """Tell NVVM, before it is asked for PTX."""
        self._nvvm_options = {**self._nvvm_options, "fma": False}


def _with_true(mark: str, text: str) -> str:
    """IR in which the functions of a mark return True."""
    return re.sub(rf'(%"{re.escape(mark)}[.\d]*" = or i1) [^,]+, .*', r"\1 true, true", text)


def as_approximate(text: str) -> str:
    """IR of a function in which `approximation.is_approximate` is true."""
    return _with_true(approximation.MARK, text)


def as_strict(text: str) -> str:
    """IR of a function in which `strictness.is_strict` is true, and nothing is left to LLVM's freedom.

    Raises
    ------
    NotImplementedError
        If there is an approximation in it that is not known.
    """
    text = _QUOTIENT.sub(r"fdiv float \1, \2", _with_true(strictness.MARK, _FLAGS.sub("", text)))
    if found := _APPROXIMATION.search(text):
        raise NotImplementedError(f"strict kernels have no {found[1]}")
    return text


REWRITES = {STRICT: as_strict, APPROXIMATE: as_approximate}


def rewrite(library: Any, numerics: str) -> None:
    """Let a kernel's code, of which no text has been made yet, be of these numerics."""
    library.__class__ = RewrittenLibrary
    library.rewrite = REWRITES[numerics]
    if numerics == STRICT:
        library.contract_nothing()


def compiling(compiled: Any, numerics: str) -> Callable[..., Any]:
    """A dispatcher's `compile`, by which its kernel is of these numerics."""
    compile_kernel = compiled.compile

    @wraps(compile_kernel)
    def compile_rewritten(signature: Any) -> Any:
        with _kernels_rewritten(compiled.py_func, numerics):
            return compile_kernel(signature)

    return compile_rewritten


@contextmanager
def _kernels_rewritten(function: Callable[..., Any], numerics: str) -> Iterator[None]:
    """What numba-cuda makes of a function meanwhile, before it asks for text."""
    compile_cuda = dispatcher.compile_cuda

    def compile_one(py_func: Any, *arguments: Any, **options: Any) -> Any:
        result = compile_cuda(py_func, *arguments, **options)
        if py_func is function:
            rewrite(result.library, numerics)
        return result

    dispatcher.compile_cuda = compile_one
    try:
        yield
    finally:
        dispatcher.compile_cuda = compile_cuda
