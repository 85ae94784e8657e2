"""NVIDIA's mathematical functions, which NVVM links with a kernel: those parts that are called."""

import re
from collections.abc import Iterable
from functools import cache

import llvmlite.binding as llvm
from numba.cuda.cudadrv import nvvm

from .host_ir import with_intrinsics
from .versions import NotUnderstood

REFLECTED = {"__CUDA_FTZ": 0, "__CUDA_PREC_DIV": 1, "__CUDA_PREC_SQRT": 1, "__CUDA_ARCH": 900}
"""What NVVM answers for kernels of this package: subnormal numbers stay, and quotients and roots are rounded
to nearest."""

_FUNCTION = re.compile(r"^define [^\n]*@(\w+)\(.*?^}\n", re.MULTILINE | re.DOTALL)
_CALLED = re.compile(r"@(\w+)\(")
_INSTRUCTION = re.compile(
    r'call (\w+) asm (?:sideeffect )?"([\w.]+) +\$[^;\n]*;", "[^"]*"\(([^)]*)\)(?: #\d+)?'
)


def part_of_libdevice(names: Iterable[str]) -> str:
    """IR of the functions of these names and of what they call."""
    functions, rest = _functions()
    needed: dict[str, str] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in functions and name not in needed:
            needed[name] = functions[name]
            pending += _CALLED.findall(functions[name])
    declared: dict[str, str] = {}

    def call(found: re.Match[str]) -> str:
        """An instruction of PTX as a function of the runtime."""
        returns, instruction, arguments = found.groups()
        name = f"ptx_{instruction.replace('.', '_')}"
        kinds = ", ".join(argument.split()[0] for argument in arguments.split(", "))
        declared[name] = f"declare {returns} @{name}({kinds})\n"
        return f"call {returns} @{name}({arguments})"

    body = _INSTRUCTION.sub(call, "".join(needed.values()))
    if " asm " in body:
        raise NotUnderstood("assembler in libdevice: " + body[body.index(" asm ") :].split("\n")[0])
    return "".join([rest, *declared.values(), body])


@cache
def _functions() -> tuple[dict[str, str], str]:
    """Definitions by name, and everything else."""
    text = str(llvm.parse_bitcode(bytes(nvvm.LibDevice().get())))
    text = re.sub(r"^target (triple|datalayout).*$", "", text, flags=re.MULTILINE)
    text = with_intrinsics(text)
    questions = dict(re.findall(r'^(@[\w.]+) = .*c"(__CUDA_\w+)\\00"', text, re.MULTILINE))

    def answer(found: re.Match[str]) -> str:
        question = questions.get(found[1])
        if question not in REFLECTED:
            raise NotUnderstood(f"libdevice asks for {question}")
        return f"add i32 0, {REFLECTED[question]}"

    asks = r"(?:tail )?call i32 @__nvvm_reflect\(ptr [^@)]*(@[\w.]+)\)(?: #\d+)?"
    text = re.sub(asks, answer, text)
    text = re.sub(r"^define (internal )?", "define linkonce_odr ", text, flags=re.MULTILINE)
    return {found[1]: found[0] for found in _FUNCTION.finditer(text)}, _FUNCTION.sub("", text)
