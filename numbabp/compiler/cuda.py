"""How kernels for GPUs are compiled: Numba's options and its cache, and machine code without a GPU.

The scalar functions that kernels call are the CPU's own: what `compiling` makes known to the compiler is
compiled for GPUs as well.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, wraps
from types import SimpleNamespace
from typing import Any

from .arithmetic.numerics import FAST
from .caching import package_cache
from .compiling import scalar_function
from .toolchain import SIMULATED, cuda

ASKED_FOR = ((7, 5), (9, 0))
"""Compute capabilities from which on functions are lowered in another way.

numba-cuda takes other instructions from 7.5 on, kernels/cuda/barriers.py from 9.0 on. What is older is
lowered for itself.
"""


def kernel(
    function: Callable[..., None] | None = None, *, max_registers: int | None = None, numerics: str = FAST
) -> Any:
    """Compile a function that GPUs run, with its machine code kept on disk where that is possible.

    Products and sums are contracted; division and square roots are those of IEEE 754 unless a scalar function
    says otherwise; NaN and infinity keep their meaning.

    Parameters
    ----------
    max_registers
        Of a thread, to let more of them run at once.
    numerics
        "strict": nothing is contracted and nothing approximated: the operations that the source says, as
        `compiling.strictly` has it on processors. "approximate": see `arithmetic.approximation`. The
        simulator knows neither.
    """
    if function is None:
        return lambda function: kernel(function, max_registers=max_registers, numerics=numerics)
    if SIMULATED:
        return cuda.jit(function)
    from numba.cuda.dispatcher import CUDACache

    # optimised at link time, code would be contracted by the linker, whatever NVVM has been told before, and
    # what is launched would be other code than `machine_code` looks at
    compiled = cuda.jit(function, max_registers=max_registers, lto=False)
    compiled.configure = _without_warnings(compiled.configure)
    compiled.numerics = numerics
    if numerics != FAST:
        from .arithmetic import numerics_cuda

        compiled.compile = numerics_cuda.compiling(compiled, numerics)
    depends_on = _version(), f"max_registers={max_registers}", "lto=False"
    with suppress(RuntimeError, OSError):  # no folder to write to: compiled anew in every process
        kind = "" if numerics == FAST else f"-{numerics}"
        compiled._cache = package_cache(CUDACache, *depends_on, kind=kind)(function)
    return compiled


def device_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """`compiling.scalar_function` for what asks `cuda` for threads or barriers outside its kernel's module.

    The simulator puts its own in the place of `cuda` only in the modules of what it is told of.
    """
    return cuda.jit(function, device=True) if SIMULATED else scalar_function(function)


def _version() -> str:
    """Of numba-cuda; without it, kernels can still be looked at and planned."""
    try:
        import numba_cuda
    except ImportError:
        return "none"
    return numba_cuda.__version__


def _without_warnings(configure: Callable[..., Any]) -> Callable[..., Any]:
    """How a launch is configured, without the warning of fewer than 128 blocks: work may be small."""
    from numba.cuda.dispatcher import config

    @wraps(configure)
    def quiet(*configuration: Any) -> Any:
        wanted = config.CUDA_LOW_OCCUPANCY_WARNINGS
        config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
        try:
            return configure(*configuration)
        finally:
            config.CUDA_LOW_OCCUPANCY_WARNINGS = wanted

    return quiet


@dataclass(frozen=True)
class MachineCode:
    """What a kernel becomes for one compute capability."""

    ptx: str
    cubin: bytes
    registers: int
    """Of a thread."""
    stack: int
    """Bytes of local memory of a thread: arrays that did not fit into registers."""
    spills: int
    """Bytes of registers put aside, stores and loads together."""
    shared: int
    """Bytes of shared memory of a block, without what a launch asks for."""


def machine_code(
    compiled: Any, signature: tuple[Any, ...], compute_capability: tuple[int, int]
) -> MachineCode:
    """Compile a kernel for a GPU that need not be there: to PTX, and that to a cubin.

    Parameters
    ----------
    compiled
        What `kernel` returned.
    signature
        Numba types of its arguments.
    compute_capability
        Such as (9, 0).
    """
    from cuda.core import Linker, LinkerOptions, ObjectCode

    lowered_for = max(
        (asked for asked in ASKED_FOR if asked <= compute_capability), default=compute_capability
    )
    ptx = lowered(compiled, signature, lowered_for).get_asm_str(cc=compute_capability)
    arch = "sm_{}{}".format(*compute_capability)
    options = LinkerOptions(
        arch=arch, ptxas_options=["-v"], max_register_count=compiled.targetoptions.get("max_registers")
    )
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), *_runtime(ptx), options=options)
    cubin = linker.link("cubin").code
    log = linker.get_info_log()

    def number(pattern: str) -> int:
        found = re.findall(pattern, log)
        return sum(map(int, found))

    return MachineCode(
        ptx,
        bytes(cubin),
        number(r"Used (\d+) registers"),
        number(r"(\d+) bytes stack frame"),
        number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
        sum(map(int, re.findall(r"\.shared \.align \d+ \.b8 \S+\[(\d+)\]", ptx))),
    )


@lru_cache(maxsize=len(ASKED_FOR))
def lowered(
    compiled: Any, signature: tuple[Any, ...], compute_capability: tuple[int, int], with_lines: bool = False
) -> Any:
    """A kernel as numba-cuda hands it to NVVM: half of the way to machine code, the same for many GPUs.

    Parameters
    ----------
    compiled, signature, compute_capability
        See `machine_code`.
    with_lines
        Whether instructions name the lines that they come from.

    Returns
    -------
    numba.cuda.codegen.CUDACodeLibrary
        Its `llvm_strs` are texts of LLVM IR, one a function.
    """
    from numba import types
    from numba.cuda.compiler import compile_cuda, kernel_fixup

    options = {"fastmath": False, "opt": 3}  # those of cuda.compile_ptx, which keeps nothing
    with _pretended_device(compute_capability):
        result = compile_cuda(
            compiled.py_func,
            types.void,
            signature,
            lineinfo=with_lines,
            nvvm_options=options,
            cc=compute_capability,
        )
    kernel_fixup(result.library.get_function(result.fndesc.llvm_func_name), debug=False)
    numerics = getattr(compiled, "numerics", FAST)  # only kernels of the package say
    if numerics != FAST:
        from .arithmetic import numerics_cuda

        numerics_cuda.rewrite(result.library, numerics)
    return result.library


def _runtime(ptx: str) -> list[Any]:
    """The device runtime, which barriers over a whole grid are part of, where a kernel needs it."""
    if "cudaCGSynchronize" not in ptx:
        return []
    from cuda.core import ObjectCode
    from cuda.pathfinder import find_static_lib

    return [ObjectCode.from_library(find_static_lib("cudadevrt"))]


@contextmanager
def _pretended_device(compute_capability: tuple[int, int]) -> Iterator[None]:
    """Let numba-cuda, which asks the current device for it, see this compute capability."""
    from numba.cuda import compiler, dispatcher

    device = SimpleNamespace(compute_capability=compute_capability)
    asked = [(module, module.get_current_device) for module in (compiler, dispatcher)]
    try:
        for module, _ in asked:
            module.get_current_device = lambda: device
        yield
    finally:
        for module, original in asked:
            module.get_current_device = original
