"""Compiling of functions that are only ever linked into kernels.

Numba optimises every function that a kernel calls, and makes machine code of it, before it does the same to
the kernel which they end up in; and a function four calls deep is optimised four times. None of that is used
here, where only kernels are called from Python, nor are the wrappers that Python and C would call a function
by. Without the former the first training ever compiles in 4.6 s instead of 7.1, and its steps are as fast;
without the latter compiling takes a twelfth less.
"""

from typing import Any

from llvmlite import ir
from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, Flags, _LowerResult
from numba.core.compiler_machinery import FunctionPass, LoweringPass, register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import (
    BaseNativeLowering,
    DumpParforDiagnostics,
    InlineOverloads,
    NativeLowering,
    NopythonRewrites,
    NoPythonSupportedFeatureValidation,
)
from numba.core.untyped_passes import (
    FindLiterallyCalls,
    InlineClosureLikes,
    InlineInlinables,
    IRProcessing,
    LiteralPropagationSubPipelinePass,
    LiteralUnroll,
    MakeFunctionToJitFunction,
    RewriteDynamicRaises,
    WithLifting,
)

from .arithmetic.strictness import strictly_compiling
from .arithmetic.subnormals import FlushingLower, KeepingLower
from .constants import DecideComparisons
from .operators import remembered_operators

UNUSED_PASSES = (
    WithLifting,
    InlineClosureLikes,
    RewriteDynamicRaises,
    MakeFunctionToJitFunction,
    InlineInlinables,
    FindLiterallyCalls,
    LiteralUnroll,
    LiteralPropagationSubPipelinePass,
    InlineOverloads,
    NopythonRewrites,
    NoPythonSupportedFeatureValidation,
    DumpParforDiagnostics,
)
"""Passes for what no function here has, such as closures and expressions of whole arrays: most take the
function apart all the same."""


def _passes(state):  # type: ignore[no-untyped-def]
    """Numba's nopython pipeline without those, and with what decides by constants."""
    passes = DefaultPassBuilder.define_nopython_pipeline(state)
    passes.add_pass_after(DecideComparisons, IRProcessing)
    passes.passes = [(step, text) for step, text in passes.passes if step not in UNUSED_PASSES]
    return passes


class _LinkOnlyLibrary(JITCodeLibrary):
    """Code that waits to be linked, optimised and translated with what calls it."""

    def _optimize_functions(self, ll_module) -> None:  # type: ignore[no-untyped-def]
        """As Numba does it, but with one pass manager for all of a module, and none for what is declared."""
        ll_module.data_layout = self._codegen._data_layout
        passes, builder = self._codegen._function_pass_manager()
        for function in ll_module.functions:
            if not function.is_declaration:
                passes.run(function, builder)

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class _FixedFlags(Flags):
    """Flags that no longer change, and are the same object wherever they are the same.

    Numba looks up by them whatever a function calls, an operator too, for each of its implementations, and
    would compute their hash and compare them, tens of thousands of times for a kernel.
    """

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)

    def copy(self) -> "_FixedFlags":
        return self

    @staticmethod
    def of(flags: Flags) -> "_FixedFlags":
        """The one for these flags, of code to be linked."""
        fixed = _FixedFlags(flags)
        fixed.no_compile = fixed.no_cpython_wrapper = fixed.no_cfunc_wrapper = True
        fixed._hash = Flags.__hash__(fixed)
        return _known_flags.setdefault(fixed, fixed)


_known_flags: dict[_FixedFlags, _FixedFlags] = {}


@register_pass(mutates_CFG=False, analysis_only=True)
class _UseLinkOnlyLibrary(FunctionPass):
    _name = "numbabp_use_link_only_library"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state) -> bool:  # type: ignore[no-untyped-def]
        state.library = _LinkOnlyLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class _Register(LoweringPass):
    """Make the function known to its callers; the one for Python has no address and is never called."""

    _name = "numbabp_register_link_only"

    def __init__(self) -> None:
        LoweringPass.__init__(self)

    def run_pass(self, state) -> bool:  # type: ignore[no-untyped-def]
        lowered = state["cr"]
        described = lowered.fndesc
        name = described.qualname.split(".")[-1]
        never_called = _dynfunc.make_function(
            described.lookup_module(), name, "", 0, lowered.env, (state.library,)
        )
        state.targetctx.insert_user_function(never_called, described, [state.library])
        state["cr"] = _LowerResult(described, lowered.call_helper, cfunc=never_called, env=lowered.env)
        return True


class KernelCompiler(CompilerBase):
    """Numba's nopython pipeline, for kernels; for the option `pipeline_class`."""

    def compile_extra(self, func):  # type: ignore[no-untyped-def]  # noqa: D102
        with remembered_operators():
            return super().compile_extra(func)

    def define_pipelines(self):  # type: ignore[no-untyped-def]  # noqa: D102
        passes = _passes(self.state)
        passes.finalize()
        return [passes]


WIDEST = '"prefer-vector-width"="512"'
"""LLVM's attribute of a function whose loops may take vectors of a cache line.

Where a processor has them LLVM takes half as long ones for some, as the first of these ran slower with them.
784-512-10 in blocks takes 0.87 of the time with them in float32, 784-512-512-10 0.88, 784-128-10 in float64
0.93; but the sequential kernel at 2-10-1 and 20-30-20-3 1.1 times.
"""


def _widen(function: ir.Function) -> None:
    set.add(function.attributes, WIDEST)  # llvmlite's own `add` knows attributes without a value alone


class _LinkOnlyLower(Lower):
    """Numba's translation into LLVM's code; what is inlined takes the attributes of its caller."""

    def setup_function(self, fndesc: Any) -> None:
        super().setup_function(fndesc)
        _widen(self.function)


class _WideLower(FlushingLower):
    def setup_function(self, fndesc: Any) -> None:
        super().setup_function(fndesc)
        _widen(self.function)


@register_pass(mutates_CFG=True, analysis_only=False)
class _LinkOnlyLowering(BaseNativeLowering):
    _name = "numbabp_link_only_lowering"

    @property
    def lowering_class(self) -> type:
        return _LinkOnlyLower


@register_pass(mutates_CFG=True, analysis_only=False)
class _WideLowering(BaseNativeLowering):
    _name = "numbabp_wide_lowering"

    @property
    def lowering_class(self) -> type:
        return _WideLower


@register_pass(mutates_CFG=True, analysis_only=False)
class _FlushingLowering(BaseNativeLowering):
    _name = "numbabp_flushing_lowering"

    @property
    def lowering_class(self) -> type:
        return FlushingLower


@register_pass(mutates_CFG=True, analysis_only=False)
class _KeepingLowering(BaseNativeLowering):
    _name = "numbabp_keeping_lowering"

    @property
    def lowering_class(self) -> type:
        return KeepingLower


class TrainingKernelCompiler(KernelCompiler):
    """The same, for kernels that take subnormal numbers as zero."""

    lowering = _FlushingLowering

    def define_pipelines(self):  # type: ignore[no-untyped-def]  # noqa: D102
        passes = _passes(self.state)
        instead = {NativeLowering: self.lowering}
        passes.passes = [(instead.get(step, step), text) for step, text in passes.passes]
        passes.finalize()
        return [passes]


class WideKernelCompiler(TrainingKernelCompiler):
    """The same, for kernels whose loops are long."""

    lowering = _WideLowering


class StrictKernelCompiler(TrainingKernelCompiler):
    """The same, for kernels of strict arithmetic; what they call is compiled for them in that way, too."""

    lowering = _KeepingLowering

    def compile_extra(self, func):  # type: ignore[no-untyped-def]  # noqa: D102
        with strictly_compiling():
            return super().compile_extra(func)


class LinkOnlyCompiler(CompilerBase):
    """The same, up to code that can be linked."""

    def __init__(self, typingctx, targetctx, library, args, return_type, flags, locals):  # type: ignore[no-untyped-def]
        flags = _FixedFlags.of(flags)
        super().__init__(typingctx, targetctx, library, args, return_type, flags, locals)

    def define_pipelines(self):  # type: ignore[no-untyped-def]  # noqa: D102
        passes = _passes(self.state)
        passes.add_pass_after(_UseLinkOnlyLibrary, IRProcessing)
        passes.add_pass_after(_Register, NativeLowering)
        passes.passes = [
            (_LinkOnlyLowering if step is NativeLowering else step, text) for step, text in passes.passes
        ]
        passes.finalize()
        return [passes]
