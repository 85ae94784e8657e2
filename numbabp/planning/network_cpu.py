"""Plans for one network on the CPU."""

from collections.abc import Iterator
from dataclasses import replace

from ..architecture import Architecture
from ..devices import processor
from ..kernels.layout import NARROW
from . import catalogue
from .cpu_costs import Machine, this_machine
from .plan import Plan
from .problem import Problem
from .refusals import refusal

BLOCK_LENGTHS = (8, 12, 16, 24, 32, 48, 64, 128, 256)
"""Lengths that the planner considers; any other may be asked for."""
DELAYED_LEAST = 4096
"""Weights of the smallest hidden layer that is worth delaying; smaller ones stay in the first cache."""
THREADED_FLOPS = 1e9
"""Smallest product that is worth more than one thread."""


def candidates(problem: Problem) -> Iterator[Plan]:
    """Every plan with its prediction, or with `why_not` where the problem rules it out."""
    machine = this_machine()
    for kernel in catalogue.kernels(problem, catalogue.CPU):
        shapes = _shapes_of_blocks(kernel, problem) if kernel.in_blocks else [_plain(kernel, problem)]
        why = refusal(kernel, problem)
        if why:  # of blocks, those of the first length say it for all
            lengths = {shapes[0].block_length}
            yield from (replace(plan, why_not=why) for plan in shapes if plan.block_length in lengths)
        else:
            yield from (_predicted(machine, problem, plan) for plan in shapes)


def predicted_ns(machine: Machine, architecture: Architecture, velocity: bool, plan: Plan) -> float:
    """What the model says of a step on dense samples, by a plan whose own prediction does not matter."""
    sizes = architecture.layer_sizes, architecture.dtype.itemsize
    if plan.block_length:
        return machine.ns_per_blocked_step(
            *sizes, plan.block_length, plan.sub_block, plan.delayed_layers, velocity
        )
    return {
        "sequential": machine.ns_per_step,
        "tiny": machine.ns_per_tiny_step,
        "general": machine.ns_per_general_step,
    }[plan.kernel](*sizes)


def blas_threads_that_matter(architecture: Architecture) -> int:
    """Threads that BLAS may use, where the products of the longest block are worth more than one."""
    flops = 2.0 * BLOCK_LENGTHS[-1] * architecture.n_inputs * architecture.layer_sizes[1]
    return processor.most_blas_threads() if flops >= THREADED_FLOPS else 1


def _predicted(machine: Machine, problem: Problem, plan: Plan) -> Plan:
    architecture = problem.architecture
    itemsize, touched = architecture.dtype.itemsize, float(architecture.n_weights)
    if problem.n_nonzeros is None:
        ns = predicted_ns(machine, architecture, problem.options.update_rule != "sgd", plan)
    else:
        ns = machine.ns_per_sparse_step(architecture.layer_sizes, itemsize, problem.n_nonzeros)
        touched -= (architecture.n_inputs - problem.n_nonzeros) * architecture.layer_sizes[1]
    return replace(
        plan,
        ns_per_step=ns,
        seconds=ns * max(1, problem.n_steps) * 1e-9,
        flops=4.0 * touched,
        bytes=3.0 * itemsize * touched,
    )


def _plain(kernel: catalogue.Kernel, problem: Problem) -> Plan:
    return Plan(
        kernel.name, problem.architecture.dtype.name, only_one="X is sparse" if problem.is_sparse else ""
    )


def _shapes_of_blocks(kernel: catalogue.Kernel, problem: Problem) -> list[Plan]:
    """Lengths of blocks, each with and without hidden layers delayed."""
    options, sizes = problem.options, problem.architecture.layer_sizes
    delayed_layers = () if options.update_rule != "sgd" else _delayed_layers(sizes)
    lengths = BLOCK_LENGTHS if options.block_length is None else (options.block_length,)
    plan = _plain(kernel, problem)
    return [
        replace(
            plan,
            block_length=length,
            sub_block=min(length, 16 if length > 16 else 8),
            delayed_layers=delayed,
            n_threads=_n_threads(2.0 * length * sizes[0] * sizes[1], options.n_threads),
        )
        for length in lengths
        for delayed in {(), delayed_layers}
    ]


def _delayed_layers(layer_sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Hidden layers that are large enough to be read only, within a sub-block."""
    return tuple(
        layer
        for layer in range(1, len(layer_sizes) - 1)
        if layer_sizes[layer + 1] > NARROW and layer_sizes[layer] * layer_sizes[layer + 1] >= DELAYED_LEAST
    )


def _n_threads(flops: float, wanted: int | None) -> int:
    if flops < THREADED_FLOPS:
        return 1
    most = processor.most_blas_threads()
    return most if wanted is None else min(wanted, most)
