"""The IR that numba-cuda hands to NVVM, with the lines of Python that instructions come from."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from numba.cuda.core.targetconfig import TargetConfig
from numba.cuda.cudadrv import nvvm
from numba.cuda.dispatcher import CUDADispatcher

from numbabp.compiler.cuda import lowered

from .versions import NotUnderstood


def nvvm_ir(
    compiled: Any, signature: tuple[Any, ...], capability: tuple[int, int], with_lines: bool
) -> list[str]:
    """A text for each function, those that are the same left out.

    Parameters
    ----------
    compiled
        From `numbabp.compiler.cuda.kernel`.
    signature
        Numba types of its arguments.
    capability
        Compute capability that it is lowered for.
    with_lines
        Of Python; lowering takes longer and IR is twice as long with them.
    """
    with _lines_of_device_functions(with_lines), _no_collections(), _quickly_compared_flags():
        library = lowered(compiled, signature, capability, with_lines)
    return [nvvm.llvm_replace(text) for text in dict.fromkeys(library.llvm_strs)]


@contextmanager
def _lines_of_device_functions(wanted: bool) -> Iterator[None]:
    """numba-cuda's option `lineinfo` is the kernel's own, not that of the functions that it calls."""
    if not wanted:
        yield
        return
    kept = getattr(CUDADispatcher, "compile_device", None)
    if kept is None:
        raise NotUnderstood("CUDADispatcher has no compile_device")

    def compile_device(self: Any, *arguments: Any, **options: Any) -> Any:
        self.targetoptions["lineinfo"] = True
        return kept(self, *arguments, **options)

    CUDADispatcher.compile_device = compile_device
    try:
        yield
    finally:
        CUDADispatcher.compile_device = kept


@contextmanager
def _no_collections() -> Iterator[None]:
    """Type inference makes so many objects that looking for those in circles takes a sixth of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _quickly_compared_flags() -> Iterator[None]:
    """Every look into numba-cuda's caches compares flags, option by option: a ninth of lowering.

    What is the same remains the same, since what differs here is compared as before.
    """
    compare, hash_value = TargetConfig.__eq__, TargetConfig.__hash__

    def is_same(self: Any, other: Any) -> Any:
        same = type(self) is type(other) and self._values == other._values
        return same or compare(self, other)

    @cache
    def hash_of(kind: type) -> int:
        return hash_value(kind())  # of the options' names alone

    TargetConfig.__eq__, TargetConfig.__hash__ = is_same, lambda self: hash_of(type(self))
    try:
        yield
    finally:
        TargetConfig.__eq__, TargetConfig.__hash__ = compare, hash_value
