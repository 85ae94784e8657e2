"""What kernels become for a GPU: registers, spills, shared memory, instructions. No GPU is needed.

    python benchmarks/gpu_machine_code.py [--kernels thread,warp,block,blocked,resident,inference]
           [--dtypes float32] [--sizes 2-10-1,64-32-10] [--rules sgd,adam] [--capabilities 9.0]
           [--output FILE]
    python benchmarks/gpu_machine_code.py --compare A B

prints a table in Markdown, a row a kernel, compiled as for a training: to PTX, and that to a cubin by the
toolkit's wheels, which the extras `cuda12` and `cuda13` install. Kernels of populations (thread, warp, block)
are those that a plan may take for the sizes and rules; `resident` is compiled for one large network a dtype
on an H100, whatever --sizes says; the others are compiled for any. A row takes some
seconds. Two files made by --output, before a change and after it, tell which kernels it changed: the exit
status of --compare is 1 if any figure or any instruction differs, or a kernel is missing on a side. Not an
asv suite.
"""

import argparse
import hashlib
import json
import struct
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.on_gpu.cards import CARDS, MULTIPROCESSORS
from benchmarks.results import output_file, where_and_with, write_json
from numbabp.planning.catalogue import BLOCK, CUDA, KERNELS

ON_GPU = tuple(kernel.name for kernel in KERNELS if kernel.device == CUDA and kernel.for_many)
GATHERED = ("sgd of batches", "adam of batches")
"""With a norm that their gradients keep to, which kernels gather."""
RULES = (*BLOCK.rules, *GATHERED)
LOSSES = {
    "2-10-1": "binary_cross_entropy",
    "4-10-3": "categorical_cross_entropy",
    "64-32-10": "categorical_cross_entropy",
    "784-32-10": "categorical_cross_entropy",
}
"""By the sizes of the networks that docs/gpu.md names."""
DTYPES = ("float32", "float64")
BLOCKED = ("train_block", "train_block with velocity", "carry_weights")
INFERENCE = ("activate_units", "softmax_rows", "add_metrics")
RESIDENT = {"float32": "784-2048-2048-10", "float64": "784-512-512-10"}
"""Networks whose weights stay on the chip, by dtype."""
RESIDENT_ON = CARDS["H100"]
KERNELS = (*ON_GPU, "blocked", "resident", "inference")
HEADER = """\
| kernel | network | dtype | rule | compute capability | registers | at most | stack | spills \
| shared, static | dynamic | instructions |
|---|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|"""
INSTRUCTION_BYTES = 16
"""From compute capability 7.0 on."""


@dataclass(frozen=True)
class Case:
    """A kernel, and what it is compiled for."""

    kernel: str
    sizes: str
    dtype: str
    rule: str
    capability: tuple[int, int]

    def __str__(self):
        return "{} {} {} {} {}.{}".format(self.kernel, self.sizes, self.dtype, self.rule, *self.capability)

    def mapping(self):
        """How the planner would lay it out, or in a string why it does not."""
        from numbabp.architecture import Architecture
        from numbabp.options import Options
        from numbabp.planning.gpu_layouts import mappings, specialisation

        sizes = tuple(map(int, self.sizes.split("-")))
        architecture = Architecture.checked(sizes, loss=LOSSES[self.sizes], dtype=self.dtype)
        gathers = {"batch_size": 2, "clip_norm": 1.0} if self.rule in GATHERED else {}
        options = Options(update_rule=self.rule.split()[0], **gathers)
        # a penalty takes a few registers more
        of = specialisation(architecture, options, self.rule != "sgd", weighted=False)
        return mappings(of, device_of(self.capability))[self.kernel]

    def machine_code(self):
        """Its machine code; some seconds."""
        from numbabp.compiler import cuda as compiling
        from numbabp.kernels.cuda import signatures
        from numbabp.training.engines.population_cuda import make_train

        train = make_train(self.mapping())
        return compiling.machine_code(train, signatures.of_population(self.dtype), self.capability)


@dataclass(frozen=True)
class OtherCase:
    """A kernel that is compiled for networks of any size."""

    kernel: str
    dtype: str
    capability: tuple[int, int]
    sizes = rule = "any"

    def __str__(self):
        return "{} {} {}.{}".format(self.kernel, self.dtype, *self.capability)

    def mapping(self):
        """No plan lays it out."""

    def machine_code(self):
        """Its machine code; some seconds."""
        from numbabp.compiler import cuda as compiling
        from numbabp.kernels.cuda import inference, signatures
        from numbabp.kernels.cuda.blocked import train
        from numbabp.kernels.cuda.blocked.geometry import MAX_THREADS, half_turns_held

        if self.kernel in INFERENCE:
            compiled = getattr(inference, self.kernel)
            signature = signatures.of_inference(self.dtype)[self.kernel]
        elif self.kernel == "carry_weights":
            compiled, signature = train.carry_weights, signatures.of_carry_weights(self.dtype)
        else:
            has_velocity = "velocity" in self.kernel
            n_held = half_turns_held(4 if self.dtype == "float32" else 8, has_velocity, MAX_THREADS)
            compiled = train.make_train_block(has_velocity, True, n_held=n_held)
            signature = signatures.of_train_block(self.dtype)
        return compiling.machine_code(compiled, signature, self.capability)


@dataclass(frozen=True)
class Limits:
    """What a launch may take: a thread's registers, a block's dynamic shared memory in bytes."""

    registers: int
    shared: int


@dataclass(frozen=True)
class ResidentCase:
    """The kernel of one large network whose weights stay on the chip, compiled for its sizes."""

    sizes: str
    dtype: str
    l2: float = 0.0
    kernel = "resident"
    capability = RESIDENT_ON.compute_capability

    @property
    def rule(self):
        """With or without a penalty."""
        return "sgd with l2" if self.l2 else "sgd"

    def __str__(self):
        return "{} {} {} {} {}.{}".format(self.kernel, self.sizes, self.dtype, self.rule, *self.capability)

    def shape(self):
        """How the planner lays it out."""
        from numbabp.architecture import Architecture
        from numbabp.options import Options
        from numbabp.planning.gpu_layouts import resident_shape

        sizes = tuple(map(int, self.sizes.split("-")))
        architecture = Architecture.checked(sizes, loss="categorical_cross_entropy", dtype=self.dtype)
        device = device_of(self.capability, RESIDENT_ON.n_multiprocessors)
        return resident_shape(architecture, Options(l2=self.l2), device)

    def mapping(self):
        """What a launch may take."""
        from numbabp.kernels.cuda.resident.train import make_train

        shape = self.shape()
        return Limits(make_train(shape).targetoptions["max_registers"], shape.shared_bytes)

    def machine_code(self):
        """Its machine code; some seconds."""
        from numbabp.compiler import cuda as compiling
        from numbabp.kernels.cuda import signatures
        from numbabp.kernels.cuda.resident.train import make_train

        return compiling.machine_code(
            make_train(self.shape()), signatures.of_resident(self.dtype), self.capability
        )


def cases(
    kernels=ON_GPU, sizes=tuple(LOSSES), dtypes=DTYPES, rules=RULES, capabilities=tuple(MULTIPROCESSORS)
):
    """All those that a plan may take."""
    kernels = [kernel for kernel in kernels if kernel in ON_GPU]
    every = (Case(*values) for values in product(kernels, sizes, dtypes, rules, capabilities))
    return [case for case in every if not isinstance(case.mapping(), str)]


def other_cases(kernels=KERNELS, dtypes=DTYPES, capabilities=tuple(MULTIPROCESSORS)):
    """The kernels for one large network, and those for predictions."""
    names = (BLOCKED if "blocked" in kernels else ()) + (INFERENCE if "inference" in kernels else ())
    found = [OtherCase(*values) for values in product(names, dtypes, capabilities)]
    if "resident" in kernels and RESIDENT_ON.compute_capability in capabilities:
        found += [ResidentCase(RESIDENT[dtype], dtype) for dtype in dtypes]
    return found


def device_of(capability, n_multiprocessors=1):
    """A GPU of a compute capability; how many multiprocessors it has matters to `resident` alone."""
    from numbabp.devices.memory import Device

    of = MULTIPROCESSORS[capability]
    return Device(0, "any", capability, n_multiprocessors, 1e9, of.shared_per_block, of.shared, 1e12, 2**20)


def what_is_missing():
    """Why nothing can be compiled here; empty if it can be."""
    try:
        from cuda.core import Linker  # noqa: F401
        from cuda.pathfinder import load_nvidia_dynamic_lib

        from numbabp.compiler.toolchain import SIMULATED

        for library in ("nvvm", "nvJitLink"):
            load_nvidia_dynamic_lib(library)
    except Exception as error:  # what is not installed, or too old
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return "the simulator compiles nothing" if SIMULATED else ""


def instructions_of(cubin):
    """The machine code itself, in bytes: what the file has in its sections of text."""
    offset, (size, count, of_names) = (
        struct.unpack_from("<Q", cubin, 0x28)[0],
        struct.unpack_from("<HHH", cubin, 0x3A),
    )
    headers = [struct.unpack_from("<IIQQQQ", cubin, offset + i * size) for i in range(count)]
    names_at = headers[of_names][4]
    return b"".join(
        cubin[start : start + length]
        for name, *_, start, length in headers
        if cubin[names_at + name :].startswith(b".text.")
    )


def figures_of(code):
    """What JSON says of a kernel's machine code."""
    instructions = instructions_of(code.cubin)
    return {
        "registers": code.registers,
        "stack": code.stack,
        "spills": code.spills,
        "shared": code.shared,
        "instructions": len(instructions) // INSTRUCTION_BYTES,
        "digest": hashlib.sha256(instructions).hexdigest()[:16],
    }


def markdown_row(case, mapping, figures):
    """A row below `HEADER`."""
    columns = (case.kernel, case.sizes, case.dtype, case.rule, "{}.{}".format(*case.capability))
    numbers = (
        figures["registers"],
        mapping.registers if mapping else 255,
        *(figures[name] for name in ("stack", "spills", "shared")),
        mapping.shared if mapping else 0,
        figures["instructions"],
    )
    return f"| {' | '.join([*columns, *(f'{number:,}' for number in numbers)])} |"


def compare(a, b):
    """Print which kernels differ between two files; how many they are."""
    first, second = (json.loads(Path(path).read_text())["kernels"] for path in (a, b))
    differing = [name for name in sorted(first | second) if first.get(name) != second.get(name)]
    for name in differing:
        if name in first and name in second:
            changed = [key for key in first[name] if first[name][key] != second[name][key]]
            print(
                f"{name}: "
                + ", ".join(f"{key} {first[name][key]} and {second[name][key]}" for key in changed)
            )
        else:
            print(f"{name}: only in {a if name in first else b}")
    print(f"{len(differing)} of {len(first | second)} differ.")
    return len(differing)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    capabilities = {"{}.{}".format(*key): key for key in MULTIPROCESSORS}
    choices = {
        "kernels": KERNELS, "sizes": LOSSES, "dtypes": DTYPES, "rules": RULES, "capabilities": capabilities,
    }  # fmt: skip
    for name, allowed in choices.items():
        parser.add_argument(f"--{name}", default=",".join(allowed), help="by default %(default)s")
    parser.add_argument("--output", type=output_file, metavar="FILE", help="the same as JSON")
    parser.add_argument("--compare", nargs=2, metavar=("A", "B"), help="two such files")
    given = parser.parse_args()
    if given.compare:
        sys.exit(int(compare(*given.compare) > 0))
    wanted = {name: getattr(given, name).split(",") for name in choices}
    for name, values in wanted.items():
        if not set(values) <= set(choices[name]):
            parser.error(f"--{name} must be some of {', '.join(choices[name])}, got {','.join(values)}")
    missing = what_is_missing()
    if missing:
        sys.exit(f"nothing can be compiled here: {missing}")
    wanted["capabilities"] = [capabilities[text] for text in wanted["capabilities"]]
    print(HEADER)
    found = {}
    for case in cases(**wanted) + other_cases(wanted["kernels"], wanted["dtypes"], wanted["capabilities"]):
        found[str(case)] = figures = figures_of(case.machine_code())
        print(markdown_row(case, case.mapping(), figures), flush=True)
    if given.output:
        write_json(given.output, {"where and with": where_and_with(), "kernels": found})


if __name__ == "__main__":
    main()
