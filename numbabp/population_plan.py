"""How a population is trained: in lanes, or network by network; and why."""

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .kernels.lane_chunks import BLOCKED_INPUTS
from .kernels.layers import n_units
from .planning import Plan, make_plan
from .vectors import lanes_of

if TYPE_CHECKING:
    from .network import Network
    from .options import Options

KERNELS = ("auto", "lanes", "each")
NETWORK_SECONDS = 4e-4
"""What one network costs when it is trained by itself, beside its steps."""
# Constants of the lanes kernel, ns for float32 and one network, fitted to steps measured between 2-2-1 and
# 200-50-10 on a Zen 4 at 3.7 GHz: a step, a unit, a weight in the first cache, the second, and beyond, and
# a weight of a first layer that goes in blocks.
STEP, UNIT = 1.2, 0.27
WEIGHT, BLOCKED_WEIGHT = (0.05, 0.10, 0.142), (0.05, 0.051, 0.09)
CACHE_BYTES = (3e4, 1e6)
VELOCITY = 1.6
"""What momentum makes of a weight's time."""


@dataclass(frozen=True)
class PopulationPlan:
    """Which kernel a call of `Population.fit` uses, and what that is expected to cost.

    Attributes
    ----------
    kernel : str
        "lanes" trains networks in the lanes of vectors; "each" trains them one by one, as `Network.fit` does.
    n_threads : int
        Threads that share the networks.
    ns_per_step : float
        Predicted nanoseconds of one network's step on one thread.
    seconds : float
        Predicted for the whole call.
    bytes : int
        Of what training takes beside the parameters and the history.
    why_not : str
        Why this plan was not taken, if so.
    of_network : Plan
        How one network is trained by itself: every one for "each", one that diverges for "lanes".
    n_lanes : int
        For "lanes": networks of a vector.
    """

    kernel: str
    n_threads: int
    ns_per_step: float
    seconds: float
    bytes: int
    of_network: Plan
    why_not: str = ""
    n_lanes: int = 0
    asked_for: bool = False
    alternatives: tuple["PopulationPlan", ...] = ()

    def explain(self) -> str:
        """The choice, what it is expected to cost, and why the alternative was not taken."""
        reason = "asked for" if self.asked_for else "the fastest predicted"
        if self.alternatives and self.alternatives[0].why_not and not self.alternatives[0].seconds > 0:
            reason = "the only one possible"
        threads = "1 thread" if self.n_threads == 1 else f"{self.n_threads} threads"
        lines = [
            f"{self._name()} on the cpu, {threads}: {reason}.",
            f"Predicted: {self.ns_per_step:.3g} ns a step of one network on a thread, "
            f"{self.seconds:.3g} s in all; {self.bytes:,} bytes beside the parameters and the history.",
        ]
        lines += [f"Not taken: {plan._name()}: {plan.why_not}." for plan in self.alternatives]
        return "\n".join(lines)

    def _name(self) -> str:
        if self.kernel == "lanes":
            return f"lanes, {self.n_lanes} networks at a time"
        return f"each network by itself ({self.of_network.name})"


def n_threads_of(options: "Options") -> int:
    """Threads for a population: those this process may use, or fewer if asked for."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return here if options.n_threads is None else min(options.n_threads, here)


def make_population_plan(
    network: "Network",
    n_networks: int,
    n_samples: int,
    epochs: int,
    options: "Options",
    own_order: bool,
    kernel: str,
    n_nonzeros: float | None = None,
) -> PopulationPlan:
    """The faster of the two that does what the options ask for.

    Parameters
    ----------
    network
        Of their architecture; its weights do not matter.
    n_networks, n_samples, epochs, options, own_order, kernel
        As for `Population.fit`.
    n_nonzeros
        Mean of the samples, if X is sparse.

    Raises
    ------
    ValueError
        If `kernel` is not known, or can't do what else is asked for.
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel={kernel!r} is not known for a population; allowed: {', '.join(KERNELS)}.")
    why_not_lanes = _not_in_lanes(options, own_order, is_dense=n_nonzeros is None)
    alone = make_plan(network, n_samples, epochs, replace(options, kernel="auto", n_threads=1), n_nonzeros)
    alone = replace(alone, alternatives=())
    steps = n_samples * epochs
    n_threads = min(n_threads_of(options), max(1, n_networks))
    plans = []
    if not why_not_lanes:
        ns = lanes_ns_per_step(network, options.update_rule != "sgd")
        lanes = lanes_of(network.dtype)
        chunks = -(-n_networks // lanes)
        threads = min(n_threads, chunks)
        turns = -(-chunks // threads)
        size = network.dtype.itemsize * lanes * (network.n_parameters + 4 * n_units(network.layout))
        plans.append(
            PopulationPlan(
                "lanes",
                threads,
                ns,
                ns * steps * 1e-9 * turns * lanes,
                threads * (size + 8 * n_samples) + network.dtype.itemsize * network.n_parameters * n_networks,
                alone,
                n_lanes=lanes,
            )
        )
    else:
        plans.append(PopulationPlan("lanes", n_threads, float("nan"), float("nan"), 0, alone, why_not_lanes))
    turns = -(-n_networks // n_threads)
    plans.append(
        PopulationPlan(
            "each",
            n_threads,
            alone.ns_per_step,
            (alone.ns_per_step * steps * 1e-9 + NETWORK_SECONDS) * turns,
            n_threads * (8 * n_samples + 64 * network.dtype.itemsize * n_units(network.layout)),
            alone,
        )
    )
    possible = [plan for plan in plans if not plan.why_not]
    if kernel != "auto":
        possible = [plan for plan in possible if plan.kernel == kernel]
        if not possible:
            raise ValueError(f"kernel={kernel!r} is not possible: {why_not_lanes}.")
    best = min(possible, key=lambda plan: plan.seconds)
    rest = tuple(
        plan if plan.why_not else replace(plan, why_not=_why_not(plan, best, kernel))
        for plan in plans
        if plan is not best
    )
    return replace(best, asked_for=kernel != "auto", alternatives=rest)


def lanes_ns_per_step(network: "Network", has_velocity: bool = False) -> float:
    """Predicted nanoseconds of one network's step in a lane."""
    wide = network.dtype.itemsize / 4
    size = lanes_of(network.dtype) * network.parameters.nbytes * (1 + has_velocity)
    level = sum(size > limit for limit in CACHE_BYTES)
    n_inputs, n_first, *_ = network.layer_sizes
    blocked = 0 if has_velocity or n_inputs < BLOCKED_INPUTS else n_inputs * n_first
    others = (network.n_weights - blocked) * WEIGHT[level] * (VELOCITY if has_velocity else 1)
    of_units = UNIT * sum(network.layer_sizes[1:])
    return wide * (STEP + of_units + blocked * BLOCKED_WEIGHT[level] + others)


def _not_in_lanes(options: "Options", own_order: bool, is_dense: bool) -> str:
    """Why the lanes kernel can't do it, if so."""
    if not is_dense:
        return "X is sparse"
    if own_order:
        return "own_order=True: networks in lanes take the same order"
    if options.update_rule not in ("sgd", "momentum", "nesterov"):
        return f"update_rule={options.update_rule!r}: lanes take sgd, momentum and nesterov"
    for name, allowed in (("batch_size", 1), ("l1", 0.0), ("clip_norm", None), ("clip_value", None)):
        if getattr(options, name) != allowed:
            return f"{name}={getattr(options, name)}: lanes take {name}={allowed}"
    if options.propagate != "exact":
        return f"propagate={options.propagate!r}: lanes take 'exact'"
    if set(options.monitor) - {"accuracy"}:
        return f"monitor={tuple(options.monitor)}: lanes record the loss and the accuracy"
    return ""


def _why_not(plan: PopulationPlan, best: PopulationPlan, kernel: str) -> str:
    if kernel != "auto":
        return "not asked for"
    return f"{plan.seconds / best.seconds:.3g} times the time ({plan.ns_per_step:.3g} ns a step)"
