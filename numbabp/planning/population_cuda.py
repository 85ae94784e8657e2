"""Plans for a population on a GPU: a thread, a warp or a block trains each network."""

from collections.abc import Iterator

from . import catalogue
from .cuda_costs import COMPILE_SECONDS, LAUNCH_SECONDS, SHUFFLED_BYTES, TRANSFER
from .gpu_layouts import mapping_of, specialisation_of
from .plan import Plan
from .problem import Problem
from .refusals import refusal


def candidates(problem: Problem) -> Iterator[Plan]:
    """Every plan for the problem's GPU, with its prediction, or with `why_not` where it is ruled out."""
    architecture, gpu, n_networks = problem.architecture, problem.place.device, problem.n_networks
    assert gpu is not None
    assert n_networks is not None
    of_gpu = catalogue.kernels(problem, catalogue.CUDA)
    of = specialisation_of(problem)
    state = n_networks * architecture.nbytes * (1 + of.n_kept)
    orders = n_networks * (4 * problem.n_samples + 8) if of.own_orders else 0
    moved = 2 * state + 8 * problem.epochs * n_networks * (1 + of.monitored)
    if not problem.place.has_data:
        moved += problem.n_samples * (architecture.n_inputs + architecture.n_outputs) * of.itemsize
    # whoever asks for a GPU has decided; whoever leaves it open does so by what it takes in all
    is_open = problem.place.is_open and problem.options.kernel not in {kernel.name for kernel in of_gpu}
    beside = COMPILE_SECONDS if is_open else 0.0
    for kernel in of_gpu:
        shape = kernel.name, architecture.dtype.name, f"cuda:{gpu.index}", n_networks
        why = refusal(kernel, problem)
        mapping = None if why else mapping_of(kernel, problem)
        if mapping is None or isinstance(mapping, str):
            yield Plan(*shape, why_not=why)
            continue
        seconds = mapping.seconds(gpu, n_networks, problem.n_steps)
        if of.own_orders:
            seconds += SHUFFLED_BYTES * n_networks * problem.n_steps / gpu.memory_bandwidth
        yield Plan(
            *shape,
            mapping=mapping,
            ns_per_step=seconds / problem.n_steps / n_networks * 1e9,
            seconds=seconds + LAUNCH_SECONDS + moved / TRANSFER + beside,
            transfer_seconds=moved / TRANSFER,
            memory_bytes=2 * state + orders,
        )
