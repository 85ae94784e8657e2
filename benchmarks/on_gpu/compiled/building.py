"""Machine code of the processor from the IR of a kernel."""

import re
from typing import Any, NamedTuple

import llvmlite.binding as llvm

from .host_ir import DYNAMIC, SharedArray, SharedMemory, to_host
from .libdevice import part_of_libdevice
from .recording import Site, annotated
from .runtime import library
from .versions import NotUnderstood

ENTRY = "entry"
_KERNEL = re.compile(r'@"?([^"\s]+?)"?, !"kernel"')


class Built(NamedTuple):
    """A kernel's machine code, and what a launch has to know of it."""

    code: bytes
    """An object file, in which `entry(arguments)` runs one thread."""
    kinds: tuple[str, ...]
    """LLVM's types of the arguments, flat."""
    shared: tuple[SharedArray, ...]
    static_bytes: int
    is_cooperative: bool
    """Whether all blocks have to run at once."""
    sites: tuple[Site, ...]
    """Of accesses and barriers, if they are on record."""


def build(texts: list[str], record: bool) -> Built:
    """Machine code of the modules that `lowering.nvvm_ir` returns."""
    library()  # whose functions are looked for
    name = next(found[1] for found in map(_KERNEL.search, texts) if found)
    shared = SharedMemory()
    modules = [to_host(text, shared) for text in texts]
    kinds = _parameters(name, modules)
    machine = _machine()
    linked = llvm.parse_assembly(_stub(name, kinds))
    for text in modules:
        linked.link_in(llvm.parse_assembly(text.replace(DYNAMIC, str(shared.n_bytes))))
    linked.triple, linked.data_layout = machine.triple, str(machine.target_data)
    _make_internal(linked)
    _simplify(linked, machine)
    sites: list[Site] = []
    if record:
        text, sites = annotated(str(linked))
        linked = llvm.parse_assembly(text)
    functions = {function.name for function in linked.functions if function.is_declaration}
    of_libdevice = {function for function in functions if function.startswith("__nv_")}
    if of_libdevice:
        linked.link_in(llvm.parse_assembly(part_of_libdevice(of_libdevice)))
        _make_internal(linked)
    _optimise(linked, machine)
    _check(linked)
    return Built(
        machine.emit_object(linked),
        tuple(kinds),
        tuple(shared.arrays),
        shared.n_bytes,
        "wait_for_count" in functions,
        tuple(sites),
    )


def load(code: bytes) -> tuple[Any, int]:
    """What keeps the code of an object file in memory, and its entry's address."""
    library()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine, engine.get_function_address(ENTRY)


def _machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(opt=1, cpu=llvm.get_host_cpu_name(), jit=True)


def _parameters(name: str, modules: list[str]) -> list[str]:
    """Types of a kernel's parameters, which are numbers and pointers."""
    for text in modules:
        found = re.search(rf'^define void @"?{re.escape(name)}"?\((.*)\)', text, re.MULTILINE)
        if found:
            return [parameter.rsplit(" ", 1)[0] for parameter in found[1].split(", ")]
    raise NotUnderstood(f"no definition of {name}")


def _stub(name: str, kinds: list[str]) -> str:
    """entry(arguments), which calls a kernel with what lies in an array of 8 bytes an argument."""
    loads = "".join(
        f"  %place{i} = getelementptr i64, ptr %arguments, i64 {i}\n"
        f"  %value{i} = load {kind}, ptr %place{i}\n"
        for i, kind in enumerate(kinds)
    )
    values = ", ".join(f"{kind} %value{i}" for i, kind in enumerate(kinds))
    return (
        f'declare void @"{name}"({", ".join(kinds)})\n'
        f'define void @{ENTRY}(ptr %arguments) {{\n{loads}  call void @"{name}"({values})\n  ret void\n}}\n'
    )


def _make_internal(module: Any) -> None:
    """Let everything but the entry be inlined, and dropped."""
    for function in module.functions:
        if not function.is_declaration and function.name != ENTRY:
            function.linkage = "internal"


def _simplify(module: Any, machine: Any) -> None:
    """Local variables into registers, so that accesses which are left are to memory that others see, too.

    Functions first, since all are inlined, many of them in many places.
    """
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_always_inliner_pass()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_global_dead_code_eliminate_pass()
    _run(passes, module, machine, 0)


def _optimise(module: Any, machine: Any) -> None:
    _run(None, module, machine, 1)


def _run(passes: Any, module: Any, machine: Any, level: int) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    (passes or builder.getModulePassManager()).run(module, builder)


def _check(module: Any) -> None:
    """That nothing is called which is nowhere."""
    names = [function.name for function in module.functions if function.is_declaration]
    missing = [name for name in names if not name.startswith("llvm.") and not llvm.address_of_symbol(name)]
    if missing:
        raise NotUnderstood(f"the runtime has no {', '.join(missing)}")
    if " asm " in str(module):
        raise NotUnderstood("assembler is left in the IR")
