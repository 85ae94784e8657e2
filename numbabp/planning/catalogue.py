"""The kernels that there are: a row for each, and the one place that says what it can't do.

Tables, lists of allowed names and the smoke run come from the rows; nobody else compares a kernel's name but
the registry of engines.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from ..checks.host import check_choice
from ..kernels.cuda.blocked.geometry import MAX_LENGTH, MAX_OUTPUTS
from ..kernels.update_rules import UPDATE_RULES
from ..options import LINEAR_RULES, PLAIN_GRADIENT
from .mappings import Mapping, mappings, specialisation
from .problem import Problem

CPU, CUDA = "cpu", "cuda"
TINY_INPUTS, TINY_HIDDEN, TINY_OUTPUTS = 4, 64, 1
"""Largest network of the tiny kernel, one hidden layer; others gained nothing from constant sizes."""
TINY_COMPILE_SECONDS = 2.0
"""What compiling for the network's sizes takes; it has to be saved by the run."""
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
    refuses : callable
        refuses(kernel, problem) is why it can't train so, or "".
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
    in_blocks : bool
        Whether it takes samples in blocks of a length that may be asked for.
    in_lanes : bool
        Whether it trains networks in the lanes of vectors.
    """

    name: str
    what: str
    refuses: Callable[["Kernel", Problem], str]
    device: str = CPU
    for_many: bool = False
    rules: tuple[str, ...] = LINEAR_RULES
    propagates: tuple[str, ...] = ("exact",)
    named: bool = True
    in_blocks: bool = False
    in_lanes: bool = False
    compile_seconds: float = 0.0
    """What compiling takes for sizes that have not been compiled for, where that has to be saved by a run."""


def refusal(kernel: Kernel, problem: Problem) -> str:
    """Why a kernel can't do what a problem asks for, in half a sentence; empty if it can."""
    return kernel.refuses(kernel, problem)


def kernels(problem: Problem, device: str) -> tuple[Kernel, ...]:
    """Those for one network or for populations on a kind of device, which X decides about, too."""
    found = (row for row in KERNELS if row.device == device and row.for_many == problem.is_population)
    if problem.is_population:
        return tuple(found)
    return tuple(row for row in found if row.named != (problem.is_sparse and device == CPU))


def check_kernel(problem: Problem) -> None:
    """Raise ValueError for a kernel that is not known for one network, or for a population."""
    names = kernel_names(problem.is_population)
    kernel = problem.options.kernel
    if not problem.is_population:
        check_choice("kernel", kernel, names)
    elif kernel not in names:
        raise ValueError(f"kernel={kernel!r} is not known for a population; allowed: {', '.join(names)}.")


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


def compile_seconds(name: str) -> float:
    """What compiling a kernel for a network's sizes takes, where a run has to save that; else 0."""
    return max(row.compile_seconds for row in KERNELS if row.name == name)


def takes_single_steps(problem: Problem) -> Kernel:
    """The kernel that does the same on the CPU sample by sample, or batch by batch."""
    return GENERAL if refusal(SEQUENTIAL, problem) else SEQUENTIAL


def mapping_of(kernel: Kernel, problem: Problem) -> Mapping | str:
    """How a kernel for GPUs is laid out over the problem's one; or why it does not fit."""
    assert problem.place.device is not None
    name = kernel.name if kernel.for_many else BLOCK.name
    of = specialisation(problem.architecture, problem.options, problem.with_l2, problem.weighted)
    return mappings(of, problem.place.device)[name]


# Reasons of kernels for one network


def _not_a_step_at_once(kernel: Kernel, problem: Problem) -> str:
    """Of kernels that update a layer as soon as its delta is known."""
    options = problem.options
    if options.not_linear:
        return f"{options.not_linear} needs the whole gradient before a step"
    if options.update_rule not in kernel.rules:
        return f"update_rule={options.update_rule!r} keeps a velocity"
    return ""


def _not_tiny(kernel: Kernel, problem: Problem) -> str:
    sizes, largest = problem.architecture.layer_sizes, (TINY_INPUTS, TINY_HIDDEN, TINY_OUTPUTS)
    why = _not_a_step_at_once(kernel, problem)
    if why or (len(sizes) == 3 and all(n <= most for n, most in zip(sizes, largest, strict=True))):
        return why
    return f"it is for one hidden layer, at most {'-'.join(map(str, largest))}"


def _not_general(kernel: Kernel, problem: Problem) -> str:
    if problem.options.propagate in kernel.propagates:
        return ""
    return f"propagate={problem.options.propagate!r} goes with the step of one layer at a time"


def _not_in_blocks(kernel: Kernel, problem: Problem) -> str:
    what = problem.options.not_linear
    return f"{what} makes steps that are not linear in the gradients" if what else ""


def _not_sparse(kernel: Kernel, problem: Problem) -> str:
    allowed_values = {
        "update_rule": kernel.rules,
        **{name: (plain,) for name, plain in PLAIN_GRADIENT.items()},
        "propagate": kernel.propagates,
        "kernel": ("auto",),
        "block_length": (None,),
    }
    for name, allowed in allowed_values.items():
        value = getattr(problem.options, name)
        if value not in allowed:
            return (
                f"{name}={value!r} is not possible with a sparse X, whose steps pass over the weights of "
                f"absent columns; allowed: {', '.join(map(repr, allowed))}"
            )
    return ""


def _never_on_gpu(problem: Problem) -> str:
    """What no kernel for one network on a GPU does, if it is asked for."""
    options = problem.options
    if options.propagate != "exact":
        return f"propagate={options.propagate!r}"
    is_named = options.kernel != "auto"
    return f"kernel={options.kernel!r}" if is_named and CUDA not in devices_of(options.kernel, False) else ""


def _not_in_blocks_on_gpu(kernel: Kernel, problem: Problem) -> str:
    options, n_outputs = problem.options, problem.architecture.n_outputs
    what = _never_on_gpu(problem)
    if not what and n_outputs > MAX_OUTPUTS:
        what = f"an output layer of {n_outputs}, more than {MAX_OUTPUTS},"
    if not what and options.block_length is not None and options.block_length > MAX_LENGTH:
        what = f"block_length={options.block_length}, more than {MAX_LENGTH},"
    what = what or options.not_linear or ""
    return f"{what} is not possible on a GPU in blocks" if what else ""


def _not_in_one_block(kernel: Kernel, problem: Problem) -> str:
    options = problem.options
    others = set(options.monitor) - {"accuracy"}
    what = _never_on_gpu(problem)
    if not what and options.block_length is not None:
        what = f"block_length={options.block_length}"
    if not what and options.update_rule not in kernel.rules:
        what = f"update_rule={options.update_rule!r}"
    if not what and options.alters_gradient:
        what = f"{options.alters_gradient}={getattr(options, options.alters_gradient)!r}"
    if not what and others:
        what = f"monitor={tuple(sorted(others))}"
    return f"{what} is not possible on a GPU in one block" if what else _does_not_fit(kernel, problem)


# Reasons of kernels for populations


def _not_in_lanes(kernel: Kernel, problem: Problem) -> str:
    return _not_together(kernel, problem, "lanes", "in lanes")


def _never(kernel: Kernel, problem: Problem) -> str:
    return ""


def _not_on_gpu(kernel: Kernel, problem: Problem) -> str:
    return _not_together(kernel, problem, "kernels for GPUs", "on a GPU") or _does_not_fit(kernel, problem)


def _not_together(kernel: Kernel, problem: Problem, who: str, where: str) -> str:
    """Of kernels that train many networks at once; `who` and `where` tell of them in messages."""
    options = problem.options
    if problem.is_sparse:
        return "X is sparse"
    if problem.own_order:
        return f"own_order=True: networks {where} take the same order"
    if options.update_rule not in kernel.rules:
        *rules, last = kernel.rules
        return f"update_rule={options.update_rule!r}: {who} take {', '.join(rules)} and {last}"
    name = options.alters_gradient
    if name:
        return f"{name}={getattr(options, name)}: {who} take {name}={PLAIN_GRADIENT[name]}"
    if options.propagate not in kernel.propagates:
        return f"propagate={options.propagate!r}: {who} take 'exact'"
    if set(options.monitor) - {"accuracy"}:
        return f"monitor={tuple(options.monitor)}: {who} record the loss and the accuracy"
    return ""


def _does_not_fit(kernel: Kernel, problem: Problem) -> str:
    """Why the problem's GPU can't hold it: registers, shared memory."""
    found = mapping_of(kernel, problem)
    return found if isinstance(found, str) else ""


_ONE_LAYER_AT_A_TIME = ("exact", "updated")
SEQUENTIAL = Kernel(
    "sequential",
    "plain SGD, a sample at a time",
    _not_a_step_at_once,
    rules=("sgd",),
    propagates=_ONE_LAYER_AT_A_TIME,
)
GENERAL = Kernel("general", "every rule, mini-batches, L1, clipping", _not_general, rules=ALL_RULES)
BLOCK = Kernel(
    "block",
    "a block of a GPU's threads a network, weights in shared memory",
    _not_on_gpu,
    device=CUDA,
    for_many=True,
    rules=(*LINEAR_RULES, "adam"),
)
KERNELS = (
    SEQUENTIAL,
    Kernel(
        "tiny",
        "plain SGD compiled for the network's sizes",
        _not_tiny,
        rules=("sgd",),
        propagates=_ONE_LAYER_AT_A_TIME,
        compile_seconds=TINY_COMPILE_SECONDS,
    ),
    GENERAL,
    Kernel(
        "blocked",
        "blocks of samples, with the same trajectory up to rounding",
        _not_in_blocks,
        propagates=_ONE_LAYER_AT_A_TIME,
        in_blocks=True,
    ),
    Kernel("sparse", "samples with few non-zeros", _not_sparse, named=False),
    Kernel(
        "blocked",
        "blocks of samples of one large network, over a whole GPU",
        _not_in_blocks_on_gpu,
        CUDA,
        in_blocks=True,
    ),
    Kernel(
        "persistent",
        "one network in one block of a GPU's threads, weights in shared memory",
        _not_in_one_block,
        CUDA,
        rules=(*LINEAR_RULES, "adam"),
    ),
    Kernel("lanes", "networks in the lanes of vectors", _not_in_lanes, for_many=True, in_lanes=True),
    Kernel(
        "each",
        "networks one by one, as one network is trained",
        _never,
        for_many=True,
        rules=ALL_RULES,
        propagates=_ONE_LAYER_AT_A_TIME,
    ),
    Kernel(
        "thread",
        "a thread of a GPU a network, weights in its registers",
        _not_on_gpu,
        CUDA,
        for_many=True,
        rules=(*LINEAR_RULES, "adam"),
    ),
    Kernel(
        "warp",
        "a warp of a GPU's threads a network, weights in their registers",
        _not_on_gpu,
        CUDA,
        for_many=True,
        rules=(*LINEAR_RULES, "adam"),
    ),
    BLOCK,
)
"""All rows, those for one network first."""
