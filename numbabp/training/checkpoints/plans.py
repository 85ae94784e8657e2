"""The plan of a run, as checkpoints hold it: blocks of another length, or another kernel, give other bits."""

from dataclasses import replace
from typing import Any

from ...planning.catalogue import names_in_parts
from ...planning.plan import Plan
from ...planning.planner import step_by_step
from ...planning.problem import Problem
from .files import CheckpointError
from .sound import is_number

DECIDING = ("kernel", "device", "block_length", "sub_block", "delayed_layers", "n_recent", "n_threads")
"""What of one network's plan the bits depend on."""


def described(plan: Plan) -> dict[str, Any]:
    """As JSON takes it."""
    facts = {name: getattr(plan, name) for name in DECIDING}
    return {**facts, "delayed_layers": list(plan.delayed_layers)}


LONGEST_BLOCK, MOST_THREADS = 1 << 20, 1 << 16
"""Beyond what any plan has."""
OF_MANY = ("kernel", "device", "n_lanes")
"""Likewise of a population's; threads share its networks out, and change no bit."""


def described_for_many(plan: Plan) -> dict[str, Any]:
    """Likewise of `described`, for a population."""
    of_network = None if plan.of_network is None else described(plan.of_network)
    return {**{name: getattr(plan, name) for name in OF_MANY}, "of_network": of_network}


def planned_for_many(facts: Any, plan: Plan, problem: Problem) -> Plan:
    """Likewise of `planned`, for a population: with more threads another kernel may be the fastest."""
    if not isinstance(facts, dict) or "of_network" not in facts:
        raise CheckpointError("its plan is not one of numbabp's")
    for candidate in (plan, *plan.others):
        if not all(facts.get(name) == getattr(candidate, name) for name in OF_MANY):
            continue
        of_network = candidate.of_network
        if of_network is not None:
            of_network = planned(facts["of_network"], of_network, problem)
        return replace(candidate, of_network=of_network, others=plan.others)
    raise CheckpointError(
        f"checkpoint is of a run by {facts.get('kernel')!r} on {facts.get('device')} with "
        f"{facts.get('n_lanes')} lanes, which can't be gone on with on this processor."
    )


def planned(facts: Any, plan: Plan, problem: Problem) -> Plan:
    """The plan that was followed before, of the candidates of one that is made now.

    A blocked run that has lost its digits goes on step by step (`loop`), so that this is a candidate, too.

    Raises
    ------
    CheckpointError
        If there is no such candidate any more: another processor, or another GPU.
    """
    if isinstance(facts, dict):
        facts = {"n_recent": 0, **facts}  # older ones know of no other way
    if not isinstance(facts, dict) or set(facts) != set(DECIDING) or not _is_sound(facts, problem):
        raise CheckpointError("its plan is not one of numbabp's")
    in_steps = [step_by_step(problem, plan)] if plan.block_length else []
    for candidate in (plan, *plan.others, *in_steps):
        if candidate.kernel == facts["kernel"] and candidate.device == facts["device"]:
            break
    else:
        raise CheckpointError(
            f"it was trained by the kernel {facts['kernel']!r} on {facts['device']}, which can't do so here"
        )
    if facts["block_length"] and not candidate.block_length:
        raise CheckpointError(f"its block_length {facts['block_length']} is not one of {facts['kernel']!r}")
    own = {**facts, "delayed_layers": tuple(facts["delayed_layers"])}
    if candidate.kernel in names_in_parts():  # whose threads change no bit
        own["n_threads"] = candidate.n_threads
    return replace(candidate, **own, others=plan.others)


def _is_sound(facts: dict[str, Any], problem: Problem) -> bool:
    """Whether its numbers are such as plans have: memory is asked for by them."""
    layers = facts["delayed_layers"]
    return (
        is_number(facts["block_length"], LONGEST_BLOCK)
        and is_number(facts["sub_block"], facts["block_length"])
        and is_number(facts["n_recent"], LONGEST_BLOCK)
        and is_number(facts["n_threads"], MOST_THREADS)
        and isinstance(layers, list)
        and all(is_number(layer, problem.architecture.n_layers - 1) for layer in layers)
    )
