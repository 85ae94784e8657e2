"""Plans for one network on a GPU: by one block, by all with weights on the chip, or in blocks of samples."""

from collections.abc import Iterator

from ..devices.memory import Device
from . import catalogue
from .cuda_costs import ns_per_blocked_step, ns_per_resident_step, transfer_seconds
from .gpu_layouts import mapping_of, resident_shape
from .plan import Plan
from .problem import Problem
from .refusals import refusal

BLOCK_LENGTHS = (16, 32, 64, 128)
"""Of blocks of samples that are considered; any other up to `MAX_LENGTH` may be asked for."""


def candidates(problem: Problem) -> Iterator[Plan]:
    """Every plan for the problem's GPU, with its prediction, or with `why_not` where it is ruled out.

    Samples that do not lie on the GPU have to be copied.
    """
    architecture, options, place = problem.architecture, problem.options, problem.place
    gpu = place.device
    assert gpu is not None
    itemsize, has_moments = architecture.dtype.itemsize, options.update_rule != "sgd"
    n_samples = 0 if place.has_data else problem.n_samples
    copied = n_samples * (architecture.n_inputs + architecture.n_outputs)
    beside = transfer_seconds(itemsize * (copied + 2 * architecture.n_parameters * (1 + has_moments)))
    for kernel in catalogue.kernels(problem, catalogue.CUDA):
        why = refusal(kernel, problem)
        lengths = _lengths(kernel, options.block_length)
        for length in lengths[:1] if why else lengths:
            shape = kernel.name, architecture.dtype.name, f"cuda:{gpu.index}", None, length, length
            if why:
                yield Plan(*shape, why_not=why)
                continue
            ns = _ns_per_step(kernel, problem, gpu, length)
            yield Plan(
                *shape,
                delayed_layers=tuple(range(1, architecture.n_layers)) if length else (),
                ns_per_step=ns,
                seconds=ns * max(1, problem.n_steps) * 1e-9 + beside,
                seconds_beside=beside,
                flops=4.0 * architecture.n_weights,
                bytes=3.0 * itemsize * architecture.n_weights,
            )


def _lengths(kernel: catalogue.Kernel, wanted: int | None) -> tuple[int, ...]:
    """Of blocks of samples to be considered; 0 where there are none."""
    if not kernel.in_blocks:
        return (0,)
    return BLOCK_LENGTHS if wanted is None else (wanted,)


def _ns_per_step(kernel: catalogue.Kernel, problem: Problem, gpu: Device, length: int) -> float:
    architecture = problem.architecture
    if kernel.in_blocks:
        has_moments = problem.options.update_rule != "sgd"
        sizes = architecture.layer_sizes, architecture.dtype.itemsize
        return ns_per_blocked_step(*sizes, length, has_moments, gpu)
    if kernel is catalogue.RESIDENT:
        return ns_per_resident_step(resident_shape(architecture, problem.options, gpu), gpu)
    mapping = mapping_of(kernel, problem)
    assert not isinstance(mapping, str)  # or it would have been refused
    return mapping.seconds(gpu, 1, 1) * 1e9
