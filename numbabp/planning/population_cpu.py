"""Plans for a population on the CPU: in the lanes of vectors, or network by network."""

from collections.abc import Iterator

from ..compiler.vectors import lanes_of
from ..devices import processor
from ..kernels.lanes.batches import numbers_beside
from . import catalogue
from .cpu_costs import NETWORK_SECONDS, Lanes
from .plan import Plan
from .problem import Problem
from .refusals import refusal


def candidates(problem: Problem, alone: Plan) -> Iterator[Plan]:
    """Every plan with its prediction, or with `why_not` where the problem rules it out.

    `alone` is how one network is trained by itself.
    """
    for kernel in catalogue.kernels(problem, catalogue.CPU):
        make = _in_lanes if kernel.in_lanes else _one_by_one
        yield make(kernel, problem, alone, refusal(kernel, problem))


def _in_lanes(kernel: catalogue.Kernel, problem: Problem, alone: Plan, why: str) -> Plan:
    architecture, n_networks = problem.architecture, problem.n_networks
    assert n_networks is not None
    dtype, lanes = architecture.dtype, lanes_of(architecture.dtype)
    n_threads = min(processor.n_threads(problem.options.n_threads), max(1, n_networks))
    of = kernel.name, dtype.name, "cpu", n_networks
    if why:
        return Plan(*of, n_threads=n_threads, n_lanes=lanes, of_network=alone, why_not=why)
    rule = problem.options.update_rule
    own_order = problem.own_order and problem.options.shuffle
    batch_size = min(problem.options.batch_size, problem.n_samples)
    ns = Lanes().ns_per_step(architecture.layer_sizes, dtype.itemsize, lanes, rule, own_order, batch_size)
    chunks = -(-n_networks // lanes)
    threads = min(n_threads, chunks)
    turns = -(-chunks // threads)
    of_chunk = dtype.itemsize * lanes * (architecture.n_parameters + 4 * architecture.n_units)
    if own_order:
        of_chunk += 4 * lanes * problem.n_samples
    of_chunk += dtype.itemsize * lanes * numbers_beside(architecture.layer_sizes, batch_size)
    return Plan(
        *of,
        n_threads=threads,
        n_lanes=lanes,
        of_network=alone,
        ns_per_step=ns,
        seconds=ns * problem.n_steps * 1e-9 * turns * lanes,
        memory_bytes=threads * (of_chunk + 8 * problem.n_samples) + architecture.nbytes * n_networks,
    )


def _one_by_one(kernel: catalogue.Kernel, problem: Problem, alone: Plan, why: str) -> Plan:
    architecture, n_networks = problem.architecture, problem.n_networks
    assert n_networks is not None
    n_threads = min(processor.n_threads(problem.options.n_threads), max(1, n_networks))
    of_thread = 8 * problem.n_samples + 64 * architecture.dtype.itemsize * architecture.n_units
    return Plan(
        kernel.name,
        architecture.dtype.name,
        "cpu",
        n_networks,
        n_threads=n_threads,
        of_network=alone,
        ns_per_step=alone.ns_per_step,
        seconds=(alone.ns_per_step * problem.n_steps * 1e-9 + NETWORK_SECONDS) * -(-n_networks // n_threads),
        memory_bytes=n_threads * of_thread,
        why_not=why,
    )
