"""The planner: the fastest predicted plan that does what a problem asks for."""

import logging
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..devices import processor
from ..devices.memory import Device
from ..devices.placement import CPU, WORTH_LOOKING, gpu_at_hand
from ..kernels.update_rules import N_MOMENTS
from . import catalogue, network_cpu, network_cuda, population_cpu, population_cuda
from .cpu_costs import this_machine
from .plan import COMPILING, NOT_ASKED_FOR, TOO_LONG, Plan
from .problem import Problem
from .refusals import check_rule, takes_single_steps

logger = logging.getLogger(__name__)
KEPT = 256
"""Plans that are kept: training sample by sample asks for the same one again and again."""
_kept: OrderedDict[Any, Plan] = OrderedDict()


def make_plan(problem: Problem) -> Plan:
    """The fastest predicted plan.

    Raises
    ------
    ValueError
        If the problem asks for a kernel or a device that can't do what else it asks for.
    """
    catalogue.check_kernel(problem)
    check_rule(problem)
    key = problem.key, this_machine(), _threads_that_matter(problem)
    plan = _kept.get(key)
    if plan is None:
        plan = _make(problem)
        logger.debug("%s, %d samples: %s", problem.architecture, problem.n_samples, plan)
        # a GPU may be found the next time, or have another amount of memory free
        if (
            problem.place.device is None
            and plan.device == "cpu"
            and not (problem.place.is_open and plan.seconds > WORTH_LOOKING)
        ):
            _kept[key] = plan
            if len(_kept) > KEPT:
                _kept.popitem(last=False)
    return plan


def _threads_that_matter(problem: Problem) -> int | tuple[int, int]:
    """Threads that a plan would be made for: the process may be given others, and BLAS, too."""
    if problem.is_population:
        return processor.n_threads(problem.options.n_threads)
    return network_cpu.threads_that_matter(problem)


def step_by_step(problem: Problem, plan: Plan) -> Plan:
    """The same training of one network as by a blocked plan, sample by sample on the CPU."""
    kernel = takes_single_steps(problem)
    return Plan(kernel.name, plan.dtype, flops=plan.flops, bytes=plan.bytes)


def plan_of_one(problem: Problem) -> Plan:
    """How one network of a population would be trained by itself on one thread."""
    own = replace(problem.options, kernel="auto", n_threads=1, device="cpu")
    alone = Problem(
        problem.architecture,
        problem.n_samples,
        problem.epochs,
        own,
        CPU,
        problem.n_nonzeros,
        steps_beside=problem.n_steps * ((problem.n_networks or 1) - 1),
    )
    return replace(make_plan(alone), others=())


def _make(problem: Problem) -> Plan:
    if problem.is_sparse and not problem.is_population:
        return _make_sparse(problem)
    candidates: list[Plan] = []
    gpu, why_no_gpu = problem.place.device, ""
    if gpu is None:
        candidates += _on_cpu(problem)
        gpu, why_no_gpu = _look_for_gpu(problem, candidates)
    if gpu is not None:
        candidates += _on_gpu(replace(problem, place=replace(problem.place, device=gpu)))
    _check_possible(problem, candidates)
    considered = _considered(problem, candidates)
    best = min(considered, key=lambda plan: plan.seconds)
    if not problem.is_population:
        candidates.sort(key=lambda plan: (bool(plan.why_not), plan.seconds))
    possible = [plan for plan in candidates if not plan.why_not]
    others = (_put_aside(problem, plan, possible, considered) for plan in candidates if plan is not best)
    return replace(
        best,
        others=tuple(others),
        asked_for=_is_asked_for(problem),
        no_gpu=why_no_gpu if gpu is None else "",
    )


def _make_sparse(problem: Problem) -> Plan:
    """For one network, which on a sparse X one kernel trains, or none."""
    if problem.place.device is not None:
        asked = problem.options.device
        raise ValueError(f"device={asked!r} is not possible with a sparse X; device='cpu' takes it.")
    plans = list(network_cpu.candidates(problem))
    plan = next((plan for plan in plans if not plan.why_not), None)
    if plan is None:
        raise ValueError(f"{plans[0].why_not}.")
    return plan


def _on_cpu(problem: Problem) -> Iterator[Plan]:
    if problem.is_population:
        return population_cpu.candidates(problem, plan_of_one(problem))
    return network_cpu.candidates(problem)


def _on_gpu(problem: Problem) -> Iterator[Plan]:
    module = population_cuda if problem.is_population else network_cuda
    return module.candidates(problem)


def _look_for_gpu(problem: Problem, on_cpu: Sequence[Plan]) -> tuple[Device | None, str]:
    """A GPU where one may be taken and is worth looking for, or None and why there is none."""
    place, kernel = problem.place, problem.options.kernel
    fastest = min((plan.seconds for plan in on_cpu if not plan.why_not), default=math.inf)
    needs_gpu = catalogue.devices_of(kernel, problem.is_population) == {catalogue.CUDA}
    gpu, why = None, place.reason
    if place.is_open and (needs_gpu or fastest > WORTH_LOOKING):
        architecture = problem.architecture
        of_samples = problem.n_samples * (architecture.n_inputs + architecture.n_outputs)
        arrays = 2 * (1 + N_MOMENTS[problem.options.update_rule])
        of_networks = arrays * (problem.n_networks or 1) * architecture.n_parameters
        gpu, why = gpu_at_hand(architecture.dtype.itemsize * (of_samples + of_networks))
    if needs_gpu and gpu is None:
        raise ValueError(f"kernel={kernel!r} is not possible: it needs a GPU; {why or 'none is used'}.")
    return gpu, why


def _check_possible(problem: Problem, candidates: Sequence[Plan]) -> None:
    """Raise ValueError, with the reasons, if there is no plan for what is asked for."""
    kernel, place = problem.options.kernel, problem.place
    refused = all(plan.why_not for plan in candidates)
    reasons = "; ".join(dict.fromkeys(plan.why_not for plan in candidates))
    if refused and place.device is not None and not problem.is_population:
        raise ValueError(f"{place.reason}, but {reasons}. The CPU does it: device='cpu', with X on the host.")
    if kernel != "auto":
        named = [plan for plan in candidates if plan.kernel == kernel]
        if all(plan.why_not for plan in named):
            why = named[0].why_not if named else "it is the CPU's, and a GPU is asked for"
            raise ValueError(f"kernel={kernel!r} is not possible: {why}.")
    if refused:
        raise ValueError(f"no kernel for GPUs is possible: {reasons}. device='cpu' trains it on the CPU.")
    _check_block_length(problem, candidates)


def _check_block_length(problem: Problem, candidates: Sequence[Plan]) -> None:
    """Raise ValueError for a length of blocks that no plan has."""
    length, kernel = problem.options.block_length, problem.options.kernel
    if length is None:
        return
    names = catalogue.names_in_blocks()
    if kernel not in ("auto", *names):
        raise ValueError(
            f"block_length={length} needs kernel={' or '.join(map(repr, names))}, got {kernel!r}."
        )
    if not any(plan.block_length == length and not plan.why_not for plan in candidates):
        why = next(plan.why_not for plan in candidates if plan.kernel in names)
        raise ValueError(f"block_length={length} is not possible: {why}.")


def _considered(problem: Problem, candidates: Sequence[Plan]) -> list[Plan]:
    """The plans of which the fastest is taken."""
    options = problem.options
    considered = [plan for plan in candidates if not plan.why_not]
    if options.kernel != "auto":
        considered = [plan for plan in considered if plan.kernel == options.kernel]
    elif options.block_length is None:
        considered = [plan for plan in considered if _saves_compiling(problem, plan, considered)]
    if options.block_length is not None:
        return [plan for plan in considered if plan.block_length == options.block_length]
    longest = max(problem.n_samples, network_cpu.BLOCK_LENGTHS[0])
    return [plan for plan in considered if plan.block_length <= longest] or considered


def _saves_compiling(problem: Problem, plan: Plan, possible: Sequence[Plan]) -> bool:
    """Whether the run, with what was before it, saves its share of the time that compiling takes."""
    compile_seconds, runs = catalogue.to_save(plan.kernel, plan.device)
    if not compile_seconds:
        return True
    others = [
        other.ns_per_step
        for other in possible
        if other.device == plan.device and not catalogue.to_save(other.kernel, other.device)[0]
    ]
    steps = problem.n_steps + problem.steps_beside
    return (min(others, default=math.inf) - plan.ns_per_step) * steps * 1e-9 * runs >= compile_seconds


def _put_aside(problem: Problem, plan: Plan, possible: Sequence[Plan], considered: Sequence[Plan]) -> Plan:
    """The plan with the reason why it was not considered, if it might have been."""
    if plan.why_not or any(plan is other for other in considered):
        return plan
    compile_seconds, runs = catalogue.to_save(plan.kernel, plan.device)
    too_short = COMPILING.format(compile_seconds, runs)
    why = too_short if not _saves_compiling(problem, plan, possible) else TOO_LONG
    return replace(plan, why_not=NOT_ASKED_FOR if _is_asked_for(problem) else why)


def _is_asked_for(problem: Problem) -> bool:
    return problem.options.kernel != "auto" or problem.options.block_length is not None
