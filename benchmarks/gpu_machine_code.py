"""What the kernels of populations become for a GPU: registers, spills, shared memory. No GPU is needed.

    python benchmarks/gpu_machine_code.py [--kernels thread,warp,block] [--sizes 2-10-1,64-32-10]
           [--dtypes float32,float64] [--rules sgd,adam] [--capabilities 9.0]

prints a table in Markdown, a row a kernel that a plan may take, compiled as for a training: to PTX, and that
to a cubin by the toolkit's wheels, which the extras `cuda12` and `cuda13` install. A row takes some seconds.
Not an asv suite.
"""

import argparse
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.on_gpu.cards import MULTIPROCESSORS
from numbabp.planning.catalogue import BLOCK, CUDA, KERNELS

ON_GPU = tuple(kernel.name for kernel in KERNELS if kernel.device == CUDA and kernel.for_many)
RULES = BLOCK.rules
LOSSES = {
    "2-10-1": "binary_cross_entropy",
    "4-10-3": "categorical_cross_entropy",
    "64-32-10": "categorical_cross_entropy",
    "784-32-10": "categorical_cross_entropy",
}
"""By the sizes of the networks that docs/gpu.md names."""
DTYPES = ("float32", "float64")
HEADER = """\
| kernel | network | dtype | rule | compute capability | registers | at most | stack | spills \
| shared, static | dynamic |
|---|---|---|---|---|---:|---:|---:|---:|---:|---:|"""


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
        from numbabp.planning.mappings import mappings, specialisation

        sizes = tuple(map(int, self.sizes.split("-")))
        architecture = Architecture.checked(sizes, loss=LOSSES[self.sizes], dtype=self.dtype)
        # a penalty takes a few registers more
        of = specialisation(architecture, Options(update_rule=self.rule), self.rule != "sgd", weighted=False)
        return mappings(of, device_of(self.capability))[self.kernel]

    def machine_code(self):
        """Its machine code; some seconds."""
        from numbabp.compiler import cuda as compiling
        from numbabp.kernels.cuda.population import signatures
        from numbabp.training.engines.population_cuda import make_train

        train = make_train(self.mapping())
        return compiling.machine_code(train, signatures.of_population(self.dtype), self.capability)


def cases(
    kernels=ON_GPU, sizes=tuple(LOSSES), dtypes=DTYPES, rules=RULES, capabilities=tuple(MULTIPROCESSORS)
):
    """All those that a plan may take."""
    every = (Case(*values) for values in product(kernels, sizes, dtypes, rules, capabilities))
    return [case for case in every if not isinstance(case.mapping(), str)]


def device_of(capability):
    """A GPU of a compute capability; how many multiprocessors it has does not matter here."""
    from numbabp.devices.memory import Device

    of = MULTIPROCESSORS[capability]
    return Device(0, "any", capability, 1, 1e9, of.shared_per_block, of.shared, 1e12, 2**20)


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


def markdown_row(case, mapping, code):
    """A row below `HEADER`."""
    columns = (case.kernel, case.sizes, case.dtype, case.rule, "{}.{}".format(*case.capability))
    figures = (code.registers, mapping.registers, code.stack, code.spills, code.shared, mapping.shared)
    return f"| {' | '.join([*columns, *(f'{figure:,}' for figure in figures)])} |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    capabilities = {"{}.{}".format(*key): key for key in MULTIPROCESSORS}
    choices = {
        "kernels": ON_GPU, "sizes": LOSSES, "dtypes": DTYPES, "rules": RULES, "capabilities": capabilities,
    }  # fmt: skip
    for name, allowed in choices.items():
        parser.add_argument(f"--{name}", default=",".join(allowed), help="by default %(default)s")
    wanted = {name: value.split(",") for name, value in vars(parser.parse_args()).items()}
    for name, values in wanted.items():
        if not set(values) <= set(choices[name]):
            parser.error(f"--{name} must be some of {', '.join(choices[name])}, got {','.join(values)}")
    missing = what_is_missing()
    if missing:
        sys.exit(f"nothing can be compiled here: {missing}")
    wanted["capabilities"] = [capabilities[text] for text in wanted["capabilities"]]
    print(HEADER)
    for case in cases(**wanted):
        print(markdown_row(case, case.mapping(), case.machine_code()), flush=True)


if __name__ == "__main__":
    main()
