"""Plans for one network on the CPU."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from ..architecture import Architecture
from ..devices import processor
from ..kernels.adaptive.rules import is_adaptive
from ..kernels.momentum.split import most_that_count
from ..kernels.shared.crew import MOST_THREADS
from ..kernels.update_rules import N_MOMENTS
from ..options import LINEAR_RULES, MOMENTUM_RULES, Options
from . import catalogue
from .cpu_costs import Machine, this_machine
from .plan import Plan
from .problem import Problem
from .refusals import large_layers, refusal

BLOCK_LENGTHS = (8, 12, 16, 24, 32, 48, 64, 128, 256)
"""Lengths that the planner considers; any other may be asked for."""
SWEPT_STEPS = 32
"""Steps that the shared kernel's hidden weights wait for: their writing costs more than the corrections."""
SHARED_BYTES = 1e6
"""Large layers' weights from which on a second thread is worth its phases."""
THREADED_FLOPS = 1e9
"""Smallest product that is worth more than one thread."""


MOST_RECENT = 4096
"""Samples; with a momentum of 0.99 they are 1,834 in float32, 4,050 in float64."""


def candidates(problem: Problem) -> Iterator[Plan]:
    """Every plan with its prediction, or with `why_not` where the problem rules it out."""
    machine = this_machine()
    dtype = problem.architecture.dtype.name
    only_one = "X is sparse" if problem.is_sparse else ""
    for kernel in catalogue.kernels(problem, catalogue.CPU):
        if kernel.in_parts:
            shapes = _shapes_of_parts(problem)
        else:
            shapes = _shapes_of_blocks(problem) if kernel.in_blocks else [_shape_of_batch(problem)]
        why = refusal(kernel, problem)
        if why:  # of blocks, those of the first length say it for all
            shapes = [shape for shape in shapes if shape.block_length == shapes[0].block_length]
        for shape in shapes:
            predicted = {"why_not": why} if why else _prediction(machine, problem, kernel, shape)
            yield Plan(kernel.name, dtype, only_one=only_one, **shape._asdict(), **predicted)


class Shape(NamedTuple):
    """How a kernel goes about it, if it has more than one way; as in `Plan`."""

    block_length: int = 0
    sub_block: int = 0
    delayed_layers: tuple[int, ...] = ()
    n_recent: int = 0
    n_threads: int = 1


def takes_adaptive_steps(architecture: Architecture, options: Options) -> bool:
    """Whether the general kernel's steps are those of `numbabp.kernels.adaptive`."""
    return options.batch_size == 1 and is_adaptive(options.rule) and not architecture.is_strict


def predicted_ns(
    machine: Machine, architecture: Architecture, options: Options, kernel: str, shape: "Shape | Plan"
) -> float:
    """What the model says of a step of a kernel on dense samples."""
    sizes = architecture.layer_sizes, architecture.dtype.itemsize
    if kernel == catalogue.SHARED.name:
        return machine.ns_per_shared_step(
            *sizes, shape.block_length, shape.sub_block, shape.delayed_layers, shape.n_threads
        )
    has_velocity = options.update_rule in MOMENTUM_RULES
    if shape.block_length:
        return machine.ns_per_blocked_step(
            *sizes, shape.block_length, shape.sub_block, shape.delayed_layers, has_velocity, shape.n_recent
        )
    if kernel == catalogue.GENERAL.name and takes_adaptive_steps(architecture, options):
        return machine.ns_per_adaptive_step(*sizes, N_MOMENTS[options.update_rule])
    steps: dict[str, Callable[[Sequence[int], int], float]] = {
        "sequential": machine.ns_per_step,
        "tiny": partial(machine.ns_per_tiny_step, has_velocity=has_velocity),
        "general": partial(
            machine.ns_per_general_step, has_velocity=has_velocity and options.batch_size == 1
        ),
    }
    return steps[kernel](*sizes)


def threads_that_matter(problem: Problem) -> tuple[int, int]:
    """Threads that the longest block's or batch's products may be worth, and those for parts of layers."""
    length = max(BLOCK_LENGTHS[-1], problem.options.batch_size)
    flops = 2.0 * length * problem.architecture.n_weights
    of_products = processor.most_blas_threads() if flops >= THREADED_FLOPS else 1
    return of_products, threads_of_parts(problem.architecture, problem.options.n_threads)


def _prediction(machine: Machine, problem: Problem, kernel: catalogue.Kernel, shape: Shape) -> dict[str, Any]:
    """Fields of a plan."""
    architecture = problem.architecture
    itemsize, touched = architecture.dtype.itemsize, float(architecture.n_weights)
    if problem.n_nonzeros is not None:
        touched -= (architecture.n_inputs - problem.n_nonzeros) * architecture.layer_sizes[1]
    if kernel.in_batches:
        ns = machine.ns_per_minibatch_step(
            architecture.layer_sizes,
            itemsize,
            min(problem.options.batch_size, problem.n_samples),
            N_MOMENTS[problem.options.update_rule],
            architecture.n_inputs if problem.n_nonzeros is None else problem.n_nonzeros,
        )
    elif problem.n_nonzeros is None:
        ns = predicted_ns(machine, architecture, problem.options, kernel.name, shape)
    else:
        ns = machine.ns_per_sparse_step(architecture.layer_sizes, itemsize, problem.n_nonzeros)
    of_call, of_parameter = kernel.call_ns
    beside = of_call + of_parameter * architecture.n_parameters
    if shape.n_recent:
        split = architecture.layer_sizes, itemsize, shape.n_recent, shape.delayed_layers
        beside += problem.n_rates * machine.ns_per_split(*split)
    return {
        "ns_per_step": ns,
        "seconds": (ns * max(1, problem.n_steps) + beside) * 1e-9,
        "flops": 4.0 * touched,
        "bytes": 3.0 * itemsize * touched,
    }


def _shape_of_batch(problem: Problem) -> Shape:
    """Of kernels that take no blocks: threads for the products of mini-batches."""
    options, sizes = problem.options, problem.architecture.layer_sizes
    length = min(options.batch_size, problem.n_samples)
    if length == 1:
        return Shape()
    return Shape(n_threads=threads_of_products(length, sizes, options.n_threads))


def threads_of_products(length: int, layer_sizes: Sequence[int], most: int | None = None) -> int:
    """Threads that products of so many samples with a network's weights are worth."""
    return _n_threads(2.0 * length * max(m * n for m, n in pairwise(layer_sizes)), most)


def _shapes_of_blocks(problem: Problem) -> list[Shape]:
    """Lengths of blocks, each with and without hidden layers delayed."""
    options, sizes = problem.options, problem.architecture.layer_sizes
    lengths = BLOCK_LENGTHS if options.block_length is None else (options.block_length,)
    return [
        Shape(
            length,
            min(length, 16 if length > 16 else 8),
            delayed,
            n_recent,
            _n_threads(2.0 * length * sizes[0] * sizes[1], options.n_threads),
        )
        for length in lengths
        for delayed, n_recent in _ways_of_blocks(problem)
    ]


def _ways_of_blocks(problem: Problem) -> set[tuple[tuple[int, ...], int]]:
    """Hidden layers that are delayed, and samples that velocities are made of.

    A delayed layer's velocity is never kept: it would be read as often as the weights.
    """
    layers, n_recent = large_layers(problem.architecture.layer_sizes), _n_recent(problem)
    has_velocity = N_MOMENTS[problem.options.update_rule] > 0
    ways: set[tuple[tuple[int, ...], int]] = {((), 0), ((), n_recent)}
    return ways | {(layers, n_recent)} if n_recent or not has_velocity else ways


def _n_recent(problem: Problem) -> int:
    """Samples that a velocity may be made of; 0 where they would be too many, or there is none."""
    options = problem.options
    if options.update_rule not in LINEAR_RULES or N_MOMENTS[options.update_rule] == 0:
        return 0
    count = most_that_count(options.momentum, problem.architecture.dtype)
    return count if count <= MOST_RECENT else 0


def _shapes_of_parts(problem: Problem) -> list[Shape]:
    """Lengths of blocks, with large layers in parts, on all the threads that are worth it."""
    options, architecture = problem.options, problem.architecture
    lengths = BLOCK_LENGTHS if options.block_length is None else (options.block_length,)
    layers = large_layers(architecture.layer_sizes)
    n_threads = threads_of_parts(architecture, options.n_threads)
    return [Shape(length, min(length, SWEPT_STEPS), layers, n_threads=n_threads) for length in lengths]


def threads_of_parts(architecture: Architecture, wanted: int | None) -> int:
    """Threads that share out the parts of a network's large layers."""
    sizes = architecture.layer_sizes
    weights = sum(sizes[layer] * sizes[layer + 1] for layer in large_layers(sizes))
    if weights * architecture.dtype.itemsize < SHARED_BYTES:
        return 1
    return min(processor.n_threads(wanted), processor.most_blas_threads(), MOST_THREADS)


def _n_threads(flops: float, wanted: int | None) -> int:
    if flops < THREADED_FLOPS:
        return 1
    most = processor.most_blas_threads()
    return most if wanted is None else min(wanted, most)
