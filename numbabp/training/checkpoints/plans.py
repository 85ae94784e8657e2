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
