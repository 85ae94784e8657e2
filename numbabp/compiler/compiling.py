"""How functions are compiled: the one place for Numba's options and its cache.

`scalar_function` is for the small functions that kernels inline, `kernel` and `training_kernel` for the
compiled loops that Python calls. Only these are cached on disk, since what they call is compiled into them.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import njit, types
from numba.core.caching import FunctionCache
from numba.core.typing import Context
from numba.core.typing.templates import infer_global, make_overload_template

from .arithmetic.strictness import is_strict, while_strict
from .caching import package_cache
from .linking import (
    KernelCompiler,
    LinkOnlyCompiler,
    StrictKernelCompiler,
    TrainingKernelCompiler,
    WideKernelCompiler,
)
from .registries import import_array_functions

import_array_functions()

# NaN and infinity keep their meaning (no "nnan", "ninf"): divergence is detected by them.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}
OPTIONS: dict[str, Any] = {
    "fastmath": FASTMATH,
    "error_model": "numpy",
    "nogil": True,
    "_nrt": False,
}
LINKED: dict[str, Any] = {**OPTIONS, "pipeline_class": LinkOnlyCompiler}
"""Options of everything but kernels."""
INHERITING: dict[str, Any] = {"pipeline_class": LinkOnlyCompiler}
"""Of what does its arithmetic as its caller does, whatever that is."""


def _register(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    """Numba's `register_jitable` for options that leave nothing to be inherited from callers.

    Numba looks up what it has compiled by the flags of the caller, and would compile a function again for
    every other kind of caller: a tenth of the time that kernels of populations take.
    """

    def implementation(*args: Any, **kwargs: Any) -> Callable[..., Any]:
        return function

    @cache
    def dispatcher(strict: bool) -> Any:
        return njit(**{**options, "fastmath": False} if strict else options)(function)

    template = make_overload_template(function, implementation, options, strict=False, inline="never")

    class Once(template):  # type: ignore[misc, valid-type]
        def _get_impl(self, args: Any, kws: Any) -> Any:
            if isinstance(self.context, Context):  # the processor's
                return dispatcher(is_strict()), args
            return super()._get_impl(args, kws)

    infer_global(function, types.Function(Once))
    return function


def scalar_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a small function known to the compiler, to be inlined; from Python it runs as it is."""
    return _register(function, {**LINKED, "forceinline": True})


def exact_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for arithmetic whose order must stay as written, such as a range reduction."""
    return _register(function, {**LINKED, "fastmath": FASTMATH - {"reassoc"}, "forceinline": True})


def subroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a part of a kernel off the fast path, which need not be inlined.

    Flags are inherited by what a function calls: without the False, what an inlined function calls would be
    inlined too, and be compiled once more for a caller that isn't.
    """
    return _register(function, {**LINKED, "forceinline": False})


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop, with its machine code kept on disk where that is possible."""
    return _compiled(function, KernelCompiler)


def training_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a loop that trains, in which subnormal numbers are taken as zero."""
    return _compiled(function, TrainingKernelCompiler)


def wide_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same where loops are long enough for the longest vectors (`linking.WIDEST`)."""
    return _compiled(function, WideKernelCompiler)


def short_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A `training_kernel` that keeps Python's lock: one of a microsecond, which no other thread may enter."""
    return _short(function, TrainingKernelCompiler)


def exact_short_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same with the arithmetic of NumPy, operation by operation, to the last bit."""
    return _short(function, KernelCompiler, fastmath=False)


@cache
def strictly(fast: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that does the arithmetic that its source says, and no other (see `arithmetic.strictness`).

    Subnormal numbers are kept, since processors differ in when they would take a result as zero.

    Parameters
    ----------
    fast
        What `kernel`, `training_kernel` or `short_kernel` returned.
    """
    if numba.config.DISABLE_JIT:
        return while_strict(fast)
    nogil = fast.targetoptions["nogil"]  # type: ignore[attr-defined]
    return _compiled(fast.py_func, StrictKernelCompiler, nogil=nogil, fastmath=False)  # type: ignore[attr-defined]


def _short(function: Callable[..., Any], pipeline: type[KernelCompiler], **others: Any) -> Callable[..., Any]:
    if numba.config.DISABLE_JIT:
        return np.errstate(all="ignore")(function)  # as compiled code is silent
    return _compiled(function, pipeline, nogil=False, **others)


def _compiled(
    function: Callable[..., Any], pipeline: type[KernelCompiler], **others: Any
) -> Callable[..., Any]:
    options = {**OPTIONS, **others}
    compiled = njit(**options, pipeline_class=pipeline, no_cfunc_wrapper=True)(function)
    if not numba.config.DISABLE_JIT:
        # where there is no folder to write to, kernels are compiled anew in every process
        with suppress(RuntimeError, OSError):
            kind = "-strict" if pipeline is StrictKernelCompiler else ""
            compiled._cache = package_cache(FunctionCache, pipeline.__name__, kind=kind)(function)
    return compiled
