"""Why a kernel can't do what a problem asks for: the one place that says what is not possible."""

from collections.abc import Callable

from ..kernels.cuda.blocked.geometry import MAX_LENGTH, MAX_METRICS, MAX_OUTPUTS
from ..kernels.layout import NARROW
from ..kernels.tiny.rows import tiny_widths
from ..kernels.update_rules import OF_ALL_SAMPLES
from ..options import PLAIN_GRADIENT
from .catalogue import CPU, CUDA, GENERAL, MINIBATCH, SEQUENTIAL, SPARSE, Kernel, devices_of
from .gpu_layouts import mapping_of, why_not_resident
from .problem import Problem

DELAYED_LEAST = 4096
"""Weights of the smallest layer that is worth delaying, or sweeping; smaller ones stay in the first cache."""


def large_layers(layer_sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Layers after the first that are large enough to be read only, within a sub-block."""
    return tuple(
        layer
        for layer in range(1, len(layer_sizes) - 1)
        if layer_sizes[layer + 1] > NARROW and layer_sizes[layer] * layer_sizes[layer + 1] >= DELAYED_LEAST
    )


def refusal(kernel: Kernel, problem: Problem) -> str:
    """Why a kernel can't do what a problem asks for, in half a sentence; empty if it can."""
    if problem.architecture.is_strict and not kernel.strict:
        if problem.is_sparse:
            return "numerics='strict' takes these steps only with a dense X; X.toarray() makes one"
        if kernel.device == CUDA:
            return "numerics='strict' needs sums in order, which threads of a block share out"
        return "numerics='strict' needs sums in an order that this kernel has not"
    return _REASONS[kernel.name, kernel.device](kernel, problem)


def check_rule(problem: Problem) -> None:
    """Raise ValueError for a rule that needs the gradient of all samples and would not get it."""
    options, n = problem.options, problem.n_samples
    if options.update_rule in OF_ALL_SAMPLES and options.batch_size < n:
        raise ValueError(
            f"update_rule={options.update_rule!r} compares the gradients of all samples, one step's with the "
            f"next one's, but batch_size={options.batch_size} takes the {n} samples in parts; set "
            f"batch_size={n}."
        )


def takes_single_steps(problem: Problem) -> Kernel:
    """The kernel that does the same on the CPU sample by sample, or batch by batch."""
    return GENERAL if refusal(SEQUENTIAL, problem) else SEQUENTIAL


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
    sizes, dtype = problem.architecture.layer_sizes, problem.architecture.dtype
    why, most = _not_a_step_at_once(kernel, problem), tiny_widths(dtype.itemsize)[-1]
    if why or (len(sizes) == 3 and sizes[1] <= most):
        return why
    return f"it is for one hidden layer of at most {most} units in {dtype.name}"


def _not_general(kernel: Kernel, problem: Problem) -> str:
    if problem.options.propagate in kernel.propagates:
        return ""
    return f"propagate={problem.options.propagate!r} goes with the step of one layer at a time"


def _not_in_batches(kernel: Kernel, problem: Problem) -> str:
    if problem.is_sparse:
        why = _not_with_sparse(kernel, problem)
        if not why and not _not_sparse(SPARSE, problem):
            why = "the sparse kernel takes these steps without a pass over all weights"
        return why
    if problem.options.batch_size == 1:
        return "batch_size=1: there are no products of matrices in a step of one sample"
    return _not_general(kernel, problem)


def _not_in_blocks(kernel: Kernel, problem: Problem) -> str:
    what = problem.options.not_linear
    return f"{what} makes steps that are not linear in the gradients" if what else ""


def _not_shared(kernel: Kernel, problem: Problem) -> str:
    if why := _not_in_blocks(kernel, problem) or _not_a_step_at_once(kernel, problem):
        return why
    if not large_layers(problem.architecture.layer_sizes):
        return "no layer after the first is large enough to be shared out"
    return ""


def _not_sparse(kernel: Kernel, problem: Problem) -> str:
    options = problem.options
    why = _not_with_sparse(kernel, problem)
    if not why and (options.not_linear or options.kernel == MINIBATCH.name):
        what = options.not_linear or f"kernel={options.kernel!r}"
        return f"{what} makes steps that pass over the weights of absent columns"
    return why


def _not_with_sparse(kernel: Kernel, problem: Problem) -> str:
    """Of all kernels that take a sparse X."""
    allowed_values = {
        "propagate": kernel.propagates,
        "kernel": ("auto", MINIBATCH.name),
        "block_length": (None,),
    }
    for name, allowed in allowed_values.items():
        value = getattr(problem.options, name)
        if value not in allowed:
            return (
                f"{name}={value!r} is not possible with a sparse X; allowed: {', '.join(map(repr, allowed))}"
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


def _not_on_chip(kernel: Kernel, problem: Problem) -> str:
    options, architecture = problem.options, problem.architecture
    what = _never_on_gpu(problem)
    if not what and options.block_length is not None:
        what = f"block_length={options.block_length}"
    if not what and options.update_rule not in kernel.rules:
        what = f"update_rule={options.update_rule!r}"
    what = what or options.not_linear or ""
    if not what and architecture.n_outputs > MAX_OUTPUTS:
        what = f"an output layer of {architecture.n_outputs}, more than {MAX_OUTPUTS},"
    if not what and len(architecture.metric_names(options.monitor)) > MAX_METRICS:
        what = f"monitor of more than {MAX_METRICS}"
    if what:
        return f"{what} is not possible on a GPU with weights on the chip"
    assert problem.place.device is not None
    return why_not_resident(architecture, options, problem.place.device)


def _not_in_one_block(kernel: Kernel, problem: Problem) -> str:
    options = problem.options
    others = set(options.monitor) - {"accuracy"}
    what = _never_on_gpu(problem)
    if not what and options.block_length is not None:
        what = f"block_length={options.block_length}"
    if not what and options.update_rule not in kernel.rules:
        what = f"update_rule={options.update_rule!r}"
    if not what and others:
        what = f"monitor={tuple(sorted(others))}"
    return f"{what} is not possible on a GPU in one block" if what else _does_not_fit(kernel, problem)


# Reasons of kernels for populations


def _not_in_lanes(kernel: Kernel, problem: Problem) -> str:
    why, options = _not_together(kernel, problem, "lanes"), problem.options
    name = options.alters_mean_gradient
    if not why and name:
        why = f"{name}={getattr(options, name)}: lanes take {name}={PLAIN_GRADIENT[name]}"
    return why


def _never(kernel: Kernel, problem: Problem) -> str:
    return ""


def _not_on_gpu(kernel: Kernel, problem: Problem) -> str:
    why, options = _not_together(kernel, problem, "kernels for GPUs"), problem.options
    if not why and (problem.n_validation or options.early_stopping or problem.is_watched):
        what = "early_stopping=True" if options.early_stopping else "callback"
        what = "validation_data" if problem.n_validation else what
        why = f"{what}: kernels for GPUs train all networks to the end, without a look in between"
    if not why and problem.architecture.is_strict and options.clip_norm is not None:
        why = f"clip_norm={options.clip_norm}: numerics='strict' needs the norm's sum in order"
    return why or _does_not_fit(kernel, problem)


def _not_together(kernel: Kernel, problem: Problem, who: str) -> str:
    """Of kernels that train many networks at once; `who` tells of them in messages."""
    options = problem.options
    if problem.is_sparse:
        return "X is sparse"
    if options.update_rule not in kernel.rules:
        *rules, last = kernel.rules
        return f"update_rule={options.update_rule!r}: {who} take {', '.join(rules)} and {last}"
    if options.propagate not in kernel.propagates:
        return f"propagate={options.propagate!r}: {who} take 'exact'"
    if set(options.monitor) - {"accuracy"}:
        return f"monitor={tuple(options.monitor)}: {who} record the loss and the accuracy"
    return ""


def _does_not_fit(kernel: Kernel, problem: Problem) -> str:
    """Why the problem's GPU can't hold it: registers, shared memory."""
    found = mapping_of(kernel, problem)
    return found if isinstance(found, str) else ""


_REASONS: dict[tuple[str, str], Callable[[Kernel, Problem], str]] = {
    ("sequential", CPU): _not_a_step_at_once,
    ("tiny", CPU): _not_tiny,
    ("general", CPU): _not_general,
    ("minibatch", CPU): _not_in_batches,
    ("blocked", CPU): _not_in_blocks,
    ("shared", CPU): _not_shared,
    ("sparse", CPU): _not_sparse,
    ("blocked", CUDA): _not_in_blocks_on_gpu,
    ("resident", CUDA): _not_on_chip,
    ("persistent", CUDA): _not_in_one_block,
    ("lanes", CPU): _not_in_lanes,
    ("each", CPU): _never,
    ("thread", CUDA): _not_on_gpu,
    ("warp", CUDA): _not_on_gpu,
    ("block", CUDA): _not_on_gpu,
}
"""By the kernel's name and device."""
