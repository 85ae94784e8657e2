"""The IR that numba-cuda hands to NVVM, with the lines of Python that instructions come from."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from numba.cuda.compiler import CUDACompiler
from numba.cuda.core.targetconfig import TargetConfig
from numba.cuda.cudadrv import nvvm
from numba.cuda.dispatcher import CUDADispatcher

from numbabp.compiler.cuda import lowered
from numbabp.compiler.linking import UNUSED_PASSES
from numbabp.compiler.operators import remembered_operators

from .versions import NotUnderstood

UNUSED = frozenset(step.__name__ for step in UNUSED_PASSES)
"""Names of passes that change nothing in functions of the package; numba-cuda's are called as Numba's."""


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
    with ExitStack() as quickly:
        quickly.enter_context(_lines_of_device_functions(with_lines))
        for way in (_no_collections, _quickly_compared_flags, _without_unused_passes, remembered_operators):
            quickly.enter_context(way())
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
    """Type inference makes so many objects that looking for those in circles takes a sixth of its time.

    What numba-cuda keeps of a kernel, it keeps until the process ends, and it is not looked through again: at
    the end that took 12 s of the 93 that a process with 24 kernels took.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.collect()
            gc.freeze()
            gc.enable()


@contextmanager
def _quickly_compared_flags() -> Iterator[None]:
    """Every look into numba-cuda's caches compares flags, option by option: a ninth of lowering.

    Options that neither has been given are the same, whatever their defaults.
    """
    compare, hash_value = TargetConfig.__eq__, TargetConfig.__hash__

    def is_same(self: Any, other: Any) -> Any:
        if type(self) is not type(other):
            return compare(self, other)
        ours, theirs = self._values, other._values
        return ours == theirs or all(
            ours.get(name, option.default) == theirs.get(name, option.default)
            for name, option in ((name, self.options[name]) for name in ours.keys() | theirs.keys())
        )

    @cache
    def hash_of(kind: type) -> int:
        return hash_value(kind())  # of the options' names alone

    TargetConfig.__eq__, TargetConfig.__hash__ = is_same, lambda self: hash_of(type(self))
    try:
        yield
    finally:
        TargetConfig.__eq__, TargetConfig.__hash__ = compare, hash_value


@contextmanager
def _without_unused_passes() -> Iterator[None]:
    """Passes for what no function of the package has take each of them apart: a sixth of lowering."""
    define = CUDACompiler.define_pipelines

    def define_pipelines(self: Any) -> Any:
        pipelines = define(self)
        for pipeline in pipelines:
            pipeline.passes = [(step, text) for step, text in pipeline.passes if step.__name__ not in UNUSED]
            pipeline.finalize()
        return pipelines

    CUDACompiler.define_pipelines = define_pipelines
    try:
        yield
    finally:
        CUDACompiler.define_pipelines = define
