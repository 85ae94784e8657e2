"""How a population is trained: in lanes, network by network, or on a GPU; and why."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..compiler.vectors import lanes_of
from ..devices import processor
from ..devices.placement import CPU, WORTH_LOOKING, Placement, gpu_at_hand, index_of
from ..kernels.lanes.chunks import BLOCKED_INPUTS
from ..kernels.layout import n_units
from ..kernels.update_rules import N_MOMENTS
from ..options import LINEAR_RULES, PLAIN_GRADIENT
from .planner import Plan, make_plan

if TYPE_CHECKING:
    from ..network import Network
    from ..options import Options
    from .population_cuda import Mapping

ON_CPU, ON_GPU = ("lanes", "each"), ("thread", "warp", "block")
KERNELS = ("auto", *ON_CPU, *ON_GPU)
COMPILE_SECONDS = 4.0
"""What compiling for an architecture takes on a GPU, once; after that the kernel comes from the disk."""
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
        "lanes" trains networks in the lanes of vectors; "each" trains them one by one, as `Network.fit` does;
        on a GPU "thread", "warp" and "block" say who trains a network.
    n_threads : int
        Threads of the CPU that share the networks.
    ns_per_step : float
        Predicted nanoseconds of one network's step, on one thread of the CPU or on the whole GPU.
    seconds : float
        Predicted for the whole call; on a GPU with the transfers.
    bytes : int
        Of what training takes beside the parameters and the history.
    why_not : str
        Why this plan was not taken, if so.
    of_network : Plan
        How one network is trained by itself: every one for "each", one that diverges for "lanes".
    n_lanes : int
        For "lanes": networks of a vector.
    device : str
        "cpu", or "cuda:0" and so on.
    transfer_seconds : float
        Predicted for copies to the GPU and back, a part of `seconds`.
    mapping : Mapping or None
        On a GPU: how the networks are laid out over it.
    """

    kernel: str
    n_threads: int
    ns_per_step: float
    seconds: float
    bytes: int
    of_network: Plan
    why_not: str = ""
    n_lanes: int = 0
    device: str = "cpu"
    transfer_seconds: float = 0.0
    mapping: "Mapping | None" = None
    asked_for: bool = False
    no_gpu: str = ""
    """Why no GPU was considered, if it might have been."""
    alternatives: tuple["PopulationPlan", ...] = ()

    def explain(self) -> str:
        """The choice, what it is expected to cost, and why the alternative was not taken."""
        reason = "asked for" if self.asked_for else "the fastest predicted"
        if not self.asked_for and not any(plan.seconds > 0 for plan in self.alternatives):
            reason = "the only one possible"
        threads = "1 thread" if self.n_threads == 1 else f"{self.n_threads} threads"
        if self.mapping is not None:
            threads = f"{self.mapping.threads} threads and {self.mapping.networks} networks a block"
        on = "on the GPU" if self.mapping is not None else "on a thread"
        lines = [
            f"{self._name()} on {self._where()}, {threads}: {reason}.",
            f"Predicted: {self.ns_per_step:.3g} ns a step of one network {on}, {self.seconds:.3g} s in all"
            + (f", {self.transfer_seconds:.3g} s of them transfers" if self.mapping is not None else "")
            + f"; {self.bytes:,} bytes beside the parameters and the history.",
        ]
        lines += [f"Not taken: {plan._name()}: {plan.why_not}." for plan in self.alternatives]
        if self.no_gpu:
            lines.append(f"No GPU: {self.no_gpu}.")
        return "\n".join(lines)

    @property
    def gpu_index(self) -> int:
        """N of "cuda:N"."""
        return index_of(self.device)

    def _where(self) -> str:
        return "the cpu" if self.device == "cpu" else self.device

    def _name(self) -> str:
        if self.kernel == "lanes":
            return f"lanes, {self.n_lanes} networks at a time"
        if self.kernel in ON_GPU:
            return f"a network a {self.kernel}"
        return f"each network by itself ({self.of_network.name})"


def make_population_plan(
    network: "Network",
    n_networks: int,
    n_samples: int,
    epochs: int,
    options: "Options",
    own_order: bool,
    kernel: str,
    n_nonzeros: float | None = None,
    place: Placement = CPU,
    with_l2: bool = False,
    weighted: bool = False,
) -> PopulationPlan:
    """The fastest predicted that does what the options ask for.

    Parameters
    ----------
    network
        Of their architecture; its weights do not matter.
    n_networks, n_samples, epochs, options, own_order, kernel
        As for `Population.fit`.
    n_nonzeros
        Mean of the samples, if X is sparse.
    place
        Which GPU may be used, if any, and whether it has to be; see `devices`.
    with_l2, weighted
        Whether some network has a penalty, and samples have weights.

    Raises
    ------
    ValueError
        If `kernel` is not known, or can't do what else is asked for.
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel={kernel!r} is not known for a population; allowed: {', '.join(KERNELS)}.")
    gpu, is_required = place.device, place.device is not None
    why_no_gpu = "" if is_required else place.reason
    is_dense = n_nonzeros is None
    own = replace(options, kernel="auto", n_threads=1, device="cpu")
    alone = replace(make_plan(network, n_samples, epochs, own, n_nonzeros), alternatives=())
    plans: list[PopulationPlan] = []
    if not is_required:
        plans += _cpu_plans(network, n_networks, n_samples, epochs, options, own_order, is_dense, alone)
        fastest = min((plan.seconds for plan in plans if not plan.why_not), default=math.inf)
        if place.is_open and (kernel in ON_GPU or fastest > WORTH_LOOKING):
            of_samples = n_samples * (network.n_inputs + network.n_outputs)
            of_networks = 2 * n_networks * network.n_parameters * (1 + N_MOMENTS[options.update_rule])
            gpu, why_no_gpu = gpu_at_hand(network.dtype.itemsize * (of_samples + of_networks))
    if kernel in ON_GPU and gpu is None:
        raise ValueError(
            f"kernel={kernel!r} is not possible: it needs a GPU; {why_no_gpu or 'none is used'}."
        )
    if gpu is not None:
        from .population_cuda import gpu_plans

        beside = 0.0 if is_required or kernel in ON_GPU else COMPILE_SECONDS
        how = options, own_order, is_dense, alone, gpu, place.has_data, beside, with_l2, weighted
        plans += gpu_plans(network, n_networks, n_samples, epochs, *how)
    possible = [plan for plan in plans if not plan.why_not]
    if kernel != "auto":
        if not any(plan.kernel == kernel for plan in plans):
            raise ValueError(f"kernel={kernel!r} is not possible: it is the CPU's, and a GPU is asked for.")
        for plan in plans:
            if plan.kernel == kernel and plan.why_not:
                raise ValueError(f"kernel={kernel!r} is not possible: {plan.why_not}.")
        possible = [plan for plan in possible if plan.kernel == kernel]
    if not possible:
        reasons = "; ".join(dict.fromkeys(plan.why_not for plan in plans))
        raise ValueError(f"no kernel for GPUs is possible: {reasons}. device='cpu' trains it on the CPU.")
    best = min(possible, key=lambda plan: plan.seconds)
    rest = tuple(
        plan if plan.why_not else replace(plan, why_not=_why_not(plan, best, kernel))
        for plan in plans
        if plan is not best
    )
    no_gpu = why_no_gpu if gpu is None else ""
    return replace(best, asked_for=kernel != "auto", alternatives=rest, no_gpu=no_gpu)


def _cpu_plans(
    network: "Network",
    n_networks: int,
    n_samples: int,
    epochs: int,
    options: "Options",
    own_order: bool,
    is_dense: bool,
    alone: Plan,
) -> Iterator[PopulationPlan]:
    """In lanes, and each by itself, as `alone` tells."""
    why_not_lanes = why_not_together(options, own_order, is_dense, "lanes", "in lanes", LINEAR_RULES)
    steps = n_samples * epochs
    n_threads = min(processor.n_threads(options.n_threads), max(1, n_networks))
    if not why_not_lanes:
        ns = lanes_ns_per_step(network, options.update_rule != "sgd")
        lanes = lanes_of(network.dtype)
        chunks = -(-n_networks // lanes)
        threads = min(n_threads, chunks)
        turns = -(-chunks // threads)
        size = network.dtype.itemsize * lanes * (network.n_parameters + 4 * n_units(network.layout))
        yield PopulationPlan(
            "lanes",
            threads,
            ns,
            ns * steps * 1e-9 * turns * lanes,
            threads * (size + 8 * n_samples) + network.dtype.itemsize * network.n_parameters * n_networks,
            alone,
            n_lanes=lanes,
        )
    else:
        yield PopulationPlan("lanes", n_threads, float("nan"), float("nan"), 0, alone, why_not_lanes)
    turns = -(-n_networks // n_threads)
    yield PopulationPlan(
        "each",
        n_threads,
        alone.ns_per_step,
        (alone.ns_per_step * steps * 1e-9 + NETWORK_SECONDS) * turns,
        n_threads * (8 * n_samples + 64 * network.dtype.itemsize * n_units(network.layout)),
        alone,
    )


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


def why_not_together(
    options: "Options", own_order: bool, is_dense: bool, who: str, where: str, rules: Sequence[str]
) -> str:
    """Why a kernel for many networks can't train them so, if that is the case.

    `who` and `where` tell of the kernel, as "lanes" and "in lanes"; `rules` are the update rules that it has.
    """
    if not is_dense:
        return "X is sparse"
    if own_order:
        return f"own_order=True: networks {where} take the same order"
    if options.update_rule not in rules:
        return f"update_rule={options.update_rule!r}: {who} take {', '.join(rules[:-1])} and {rules[-1]}"
    name = options.alters_gradient
    if name:
        return f"{name}={getattr(options, name)}: {who} take {name}={PLAIN_GRADIENT[name]}"
    if options.propagate != "exact":
        return f"propagate={options.propagate!r}: {who} take 'exact'"
    if set(options.monitor) - {"accuracy"}:
        return f"monitor={tuple(options.monitor)}: {who} record the loss and the accuracy"
    return ""


def _why_not(plan: PopulationPlan, best: PopulationPlan, kernel: str) -> str:
    if kernel != "auto":
        return "not asked for"
    return f"{plan.seconds / best.seconds:.3g} times the time ({plan.ns_per_step:.3g} ns a step)"
