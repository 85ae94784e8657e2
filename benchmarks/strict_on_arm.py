"""Strict kernels translated for ARM, run by an emulator, and compared with this processor's bits.

    python benchmarks/strict_on_arm.py [names of benchmarks/strict_cases.py]

Each call of a kernel that training makes is made once more by a program for aarch64: the kernel's LLVM IR and
the arguments' bytes become an executable, whose arrays must end with the same bytes. It takes qemu's user
mode and a linker for aarch64 (Debian: qemu-user, gcc-aarch64-linux-gnu).

A sparse X is left out: its kernels call a function of Numba's C library, which is not there.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core.caching import NullCache

from benchmarks import strict_cases
from numbabp.training.engines import network_cpu

TRIPLE, LINKER, EMULATOR = "aarch64-unknown-linux-gnu", "aarch64-linux-gnu-gcc", "qemu-aarch64"
USUAL = ("sgd float32", "adam float64", "gelu float64", "2-10-1 float32")


def why_not() -> str:
    """What is missing, or nothing."""
    missing = [command for command in (LINKER, EMULATOR) if shutil.which(command) is None]
    return f"{' and '.join(missing)} not found" if missing else ""


class OnArm:
    """A kernel, called here and on ARM.

    Parameters
    ----------
    kernel
        A strict one.
    folder
        For programs.
    calls
        Takes the number of arrays of every call.
    """

    def __init__(self, kernel: Any, folder: Path, calls: list[int]) -> None:
        self._kernel, self._folder, self._calls = kernel, folder, calls
        kernel._cache = NullCache()  # machine code from a file has no IR

    def __call__(self, *arguments: Any) -> Any:
        """Call both, and compare."""
        arrays = [leaf for leaf in _leaves(arguments) if isinstance(leaf, np.ndarray)]
        before = [array.copy() for array in arrays]
        status = self._kernel(*arguments)
        program = self._program(arguments, before)
        answer = subprocess.run([EMULATOR, program], capture_output=True, check=True).stdout
        for i, array in enumerate(arrays):
            on_arm, answer = answer[: array.nbytes], answer[array.nbytes :]
            if on_arm != array.tobytes():
                raise AssertionError(f"array {i} {array.dtype}{array.shape} ends with other bytes on ARM")
        assert not answer
        self._calls.append(len(arrays))
        return status

    def _program(self, arguments: tuple[Any, ...], arrays: list[np.ndarray]) -> Path:
        """An executable that calls the kernel with these arguments and writes the arrays."""
        found = self._kernel.overloads[tuple(map(numba.typeof, arguments))]
        name = found.fndesc.llvm_func_name
        module = _for_arm(found.library.get_llvm_str(), name)
        path = self._folder / "program"
        harness = _for_arm(_harness(str(module), name, arguments, arrays), "main")
        module.link_in(harness)
        path.with_suffix(".o").write_bytes(_machine().emit_object(module))
        subprocess.run([LINKER, "-static", path.with_suffix(".o"), "-lm", "-o", path], check=True)
        return path


def _machine() -> Any:
    return llvm.Target.from_triple(TRIPLE).create_target_machine(opt=3, reloc="static")


def _for_arm(text: str, name: str) -> Any:
    """A module for ARM of which one function is left with what it calls, optimised for it."""
    text = re.sub(r'(?m)^target .*\n|"(target-cpu|target-features)"="[^"]*"', "", text)
    machine = _machine()
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = TRIPLE, str(machine.target_data)
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "external" if function.name == name else "internal"
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def _harness(module: str, name: str, arguments: tuple[Any, ...], arrays: list[np.ndarray]) -> str:
    """LLVM IR of `main`: the arrays are its data."""
    (line,) = re.findall(rf"(?m)^define .*@{re.escape(_quoted(name))}\((.*)\)", module)
    types = [part.split()[0] for part in _split(line)]
    lines = ["declare i64 @write(i32, ptr, i64)", f"declare i32 @{_quoted(name)}({', '.join(types)})"]
    places = {}
    for i, array in enumerate(arrays):
        data = "".join(f"\\{byte:02x}" for byte in array.tobytes() or b"\0")
        size = max(1, array.nbytes)
        lines.append(f'@array{i} = global [{size} x i8] c"{data}", align 64')
        places[i] = f"@array{i}"
    values = iter(_values(arguments, iter(places.values())))
    given = ["ptr @result", "ptr @error"]
    given += [f"{of_type} {_as(of_type, next(values))}" for of_type in types[2:]]
    assert not list(values)
    lines += ["@result = global i64 0", "@error = global ptr null", "define i32 @main() {"]
    lines.append(f"  %status = call i32 @{_quoted(name)}({', '.join(given)})")
    for i, array in enumerate(arrays):
        lines.append(f"  call i64 @write(i32 1, ptr @array{i}, i64 {array.nbytes})")
    return "\n".join([*lines, "  ret i32 %status", "}"])


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w.$]+", name) else f'"{name}"'


def _split(text: str) -> list[str]:
    """Parameters of a function: commas in brackets are none between them."""
    return re.split(r",\s*(?![^(]*\))", text)


def _leaves(value: Any) -> Iterator[Any]:
    """Of nested tuples."""
    if isinstance(value, tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _values(arguments: tuple[Any, ...], places: Iterator[str]) -> Iterator[Any]:
    """What Numba passes for the arguments, one after the other."""
    for leaf in _leaves(arguments):
        if isinstance(leaf, np.ndarray):
            yield from ("null", "null", leaf.size, leaf.itemsize, next(places), *leaf.shape, *leaf.strides)
        elif leaf is None:
            yield "null"
        else:
            yield leaf


def _as(of_type: str, value: Any) -> str:
    """A constant of LLVM's type."""
    if of_type in ("double", "float"):
        return f"0x{np.float64(value).view(np.uint64):016x}"
    return str(int(value)) if isinstance(value, bool | int | np.integer) else str(value)


def compare(case: strict_cases.Case) -> int:
    """Train a case with every call made on ARM as well; returns how many there were."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    compiled = network_cpu._compiled
    calls: list[int] = []
    with tempfile.TemporaryDirectory() as folder:

        def on_arm(architecture: Any, kernel: Any) -> Any:
            return OnArm(compiled(architecture, kernel), Path(folder), calls)

        with mock.patch.object(network_cpu, "_compiled", on_arm):
            strict_cases.digest(case)
    return len(calls)


def main() -> int:
    """Compare cases, and say so."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=list(USUAL), help="cases, by default a few")
    names = parser.parse_args().names
    if why := why_not():
        print(why, file=sys.stderr)
        return 1
    known = strict_cases.cases()
    for name in names:
        print(f"{name:24} {compare(known[name])} calls of kernels: the same bits on aarch64", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
