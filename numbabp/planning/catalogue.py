"""The kernels that there are, a row for each; `refusals` says what each can't do.

Tables, lists of allowed names and the smoke run come from the rows; nobody else compares a kernel's name but
the registry of engines.
"""

from dataclasses import dataclass
from functools import cache

from ..checks.arguments import check_choice, meant
from ..kernels.update_rules import UPDATE_RULES
from ..options import LINEAR_RULES
from .problem import Problem

CPU, CUDA = "cpu", "cuda"
BLOCKED_COMPILE_SECONDS, BLOCKED_RUNS = 5.0, 10
"""What compiling the blocked kernel takes beyond the sequential one, to be saved by so many runs.

It is compiled once for all sizes, so that one run need not pay for it; and a run that takes the sequential
kernel instead loses half a second at most."""
SHARED_COMPILE_SECONDS = 7.0
"""The same of the shared kernel, and of what helps it."""
ALL_RULES = tuple(UPDATE_RULES)


@dataclass(frozen=True)
class Kernel:
    """One row.

    Attributes
    ----------
    name : str
        As `kernel` of `fit` names it.
    what : str
        What it does, for tables.
    device : str
        "cpu" or "cuda".
    for_many : bool
        Whether it trains populations rather than one network.
    rules : tuple of str
        Update rules that it has.
    propagates : tuple of str
        Values of `propagate` that it takes.
    named : bool
        Whether a caller may ask for it; else X decides.
    takes_sparse : bool
        Whether X may be sparse, for one network on the CPU; a kernel that is not named takes no other.
    in_blocks : bool
        Whether it takes samples in blocks of a length that may be asked for.
    in_parts : bool
        Whether threads share out the parts of a layer.
    in_batches : bool
        Whether a mini-batch's samples go together.
    in_lanes : bool
        Whether it trains networks in the lanes of vectors.
    strict : bool
        Whether it has strict arithmetic.
    """

    name: str
    what: str
    device: str = CPU
    for_many: bool = False
    rules: tuple[str, ...] = LINEAR_RULES
    propagates: tuple[str, ...] = ("exact",)
    named: bool = True
    takes_sparse: bool = False
    in_blocks: bool = False
    in_parts: bool = False
    in_batches: bool = False
    in_lanes: bool = False
    strict: bool = False
    compile_seconds: float = 0.0
    """What compiling takes, where that has to be saved."""
    runs: int = 1
    """How many runs like the one that is planned have to save it."""
    call_ns: tuple[float, float] = (0.0, 0.0)
    """What a call takes beside its steps, and for each parameter, where these are copied there and back."""


def kernels(problem: Problem, device: str) -> tuple[Kernel, ...]:
    """Those for one network or for populations on a kind of device, which X decides about, too."""
    found = (row for row in KERNELS if row.device == device and row.for_many == problem.is_population)
    if problem.is_population:
        return tuple(found)
    if problem.is_sparse and device == CPU:
        return tuple(row for row in found if row.takes_sparse)
    return tuple(row for row in found if row.named)


def check_kernel(problem: Problem) -> None:
    """Raise ValueError for a kernel that is not known for one network, or for a population."""
    names = kernel_names(problem.is_population)
    kernel = problem.options.kernel
    if not problem.is_population:
        check_choice("kernel", kernel, names)
    elif kernel not in names:
        allowed = ", ".join(names)
        raise ValueError(
            f"kernel={kernel!r} is not known for a population; allowed: {allowed}.{meant(kernel, names)}"
        )


@cache
def kernel_names(for_many: bool) -> tuple[str, ...]:
    """What `kernel` may be for one network, or for a population."""
    rows = (row.name for row in KERNELS if row.for_many == for_many and row.named)
    return ("auto", *dict.fromkeys(rows))


def devices_of(name: str, for_many: bool) -> set[str]:
    """Kinds of device that have a kernel of this name."""
    return {row.device for row in KERNELS if row.name == name and row.for_many == for_many}


def names_in_blocks() -> tuple[str, ...]:
    """Kernels that take samples in blocks."""
    return tuple(dict.fromkeys(row.name for row in KERNELS if row.in_blocks))


def names_in_parts() -> tuple[str, ...]:
    """Kernels whose threads share out the parts of a layer; how many they are changes no bit."""
    return tuple(row.name for row in KERNELS if row.in_parts)


def to_save(name: str, device: str) -> tuple[float, int]:
    """What compiling a kernel takes, where it has to be saved, else 0; and by how many runs."""
    row = next(row for row in KERNELS if row.name == name and device.startswith(row.device))
    return row.compile_seconds, row.runs


_ONE_LAYER_AT_A_TIME = ("exact", "updated")
SEQUENTIAL = Kernel(
    "sequential",
    "plain SGD, a sample at a time",
    rules=("sgd",),
    propagates=_ONE_LAYER_AT_A_TIME,
    strict=True,
)
GENERAL = Kernel("general", "every rule, mini-batches, L1, clipping", rules=ALL_RULES, strict=True)
MINIBATCH = Kernel(
    "minibatch", "mini-batches by products of matrices", rules=ALL_RULES, takes_sparse=True, in_batches=True
)
SHARED = Kernel(
    "shared",
    "blocks of samples, large hidden layers read once a step by several threads",
    rules=("sgd",),
    propagates=_ONE_LAYER_AT_A_TIME,
    in_blocks=True,
    in_parts=True,
    compile_seconds=SHARED_COMPILE_SECONDS,
    runs=BLOCKED_RUNS,
)
SPARSE = Kernel("sparse", "samples with few non-zeros", named=False, takes_sparse=True, strict=True)
BLOCK = Kernel(
    "block",
    "a block of a GPU's threads a network, weights in shared memory",
    device=CUDA,
    for_many=True,
    rules=ALL_RULES,
)
RESIDENT = Kernel(
    "resident",
    "one large network over a whole GPU, weights on its chip",
    CUDA,
    rules=("sgd",),
    compile_seconds=10.0,  # for an architecture, and kept on disk; 7.4 measured beside an H200
    runs=3,
)
KERNELS = (
    SEQUENTIAL,
    Kernel(
        "tiny",
        "a sample at a time, one hidden layer whose units are a vector",
        propagates=_ONE_LAYER_AT_A_TIME,
        call_ns=(100.0, 1.5),  # so that a step of one sample is the sequential kernel's
    ),
    GENERAL,
    MINIBATCH,
    Kernel(
        "blocked",
        "blocks of samples, with the same trajectory up to rounding",
        propagates=_ONE_LAYER_AT_A_TIME,
        in_blocks=True,
        compile_seconds=BLOCKED_COMPILE_SECONDS,
        runs=BLOCKED_RUNS,
    ),
    SHARED,
    SPARSE,
    Kernel(
        "blocked",
        "blocks of samples of one large network, over a whole GPU",
        CUDA,
        in_blocks=True,
    ),
    RESIDENT,
    Kernel(
        "persistent",
        "one network in one block of a GPU's threads, weights in shared memory",
        CUDA,
        rules=ALL_RULES,
    ),
    Kernel(
        "lanes",
        "networks in the lanes of vectors",
        for_many=True,
        rules=(*LINEAR_RULES, "adagrad", "rmsprop", "adam", "adamw"),
        in_lanes=True,
    ),
    Kernel(
        "each",
        "networks one by one, as one network is trained",
        for_many=True,
        rules=ALL_RULES,
        propagates=_ONE_LAYER_AT_A_TIME,
        strict=True,
    ),
    Kernel(
        "thread",
        "a thread of a GPU a network, weights in its registers",
        CUDA,
        for_many=True,
        rules=ALL_RULES,
        strict=True,
    ),
    Kernel(
        "warp",
        "a warp of a GPU's threads a network, weights in their registers",
        CUDA,
        for_many=True,
        rules=ALL_RULES,
        strict=True,
    ),
    BLOCK,
)
"""All rows, those for one network first."""
