"""The plan of a run, as checkpoints hold it: blocks of another length, or another kernel, give other bits."""

from dataclasses import replace
from typing import Any

from ...planning.plan import Plan

DECIDING = ("kernel", "device", "block_length", "sub_block", "delayed_layers", "n_threads")
"""What of one network's plan the bits depend on."""


def described(plan: Plan) -> dict[str, Any]:
    """As JSON takes it."""
    facts = {name: getattr(plan, name) for name in DECIDING}
    return {**facts, "delayed_layers": list(plan.delayed_layers)}


OF_MANY = ("kernel", "device", "n_lanes")
"""Likewise of a population's; threads share its networks out, and change no bit."""


def planned_for_many(facts: Any, plan: Plan) -> Plan:
    """Likewise of `planned`, for a population: with more threads another kernel may be the fastest."""
    for candidate in (plan, *plan.others):
        if facts == {name: getattr(candidate, name) for name in OF_MANY}:
            return replace(candidate, others=plan.others)
    raise ValueError(
        f"checkpoint is of a run by {facts.get('kernel')!r} on {facts.get('device')} with "
        f"{facts.get('n_lanes')} lanes, which can't be gone on with on this processor."
    )


def planned(facts: Any, plan: Plan) -> Plan:
    """The plan that was followed before, of the candidates of one that is made now.

    Raises
    ------
    ValueError
        If there is no such candidate any more: another processor, or another GPU.
    """
    if not isinstance(facts, dict) or set(facts) != set(DECIDING):
        raise ValueError("its plan is not one of numbabp's")
    for candidate in (plan, *plan.others):
        if candidate.kernel == facts["kernel"] and candidate.device == facts["device"]:
            break
    else:
        raise ValueError(
            f"it was trained by the kernel {facts['kernel']!r} on {facts['device']}, which can't do so here"
        )
    if facts["block_length"] and not candidate.block_length:
        raise ValueError(f"its block_length {facts['block_length']} is not one of {facts['kernel']!r}")
    own = {**facts, "delayed_layers": tuple(facts["delayed_layers"])}
    return replace(candidate, **own, others=plan.others)
