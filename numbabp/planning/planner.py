"""Which kernel trains a network fastest: a small cost model, and a plan that explains itself."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..devices import processor
from ..devices.placement import CPU, WORTH_LOOKING, Placement, gpu_at_hand, index_of
from ..kernels.layout import NARROW
from ..kernels.update_rules import N_MOMENTS
from .cpu_costs import Machine, this_machine

if TYPE_CHECKING:
    from ..network import Network
    from ..options import Options

BLOCK_LENGTHS = (8, 12, 16, 24, 32, 48, 64, 128, 256)
"""Lengths that the planner considers; any other may be asked for."""
DELAYED_LEAST = 4096
"""Weights of the smallest hidden layer that is worth delaying; smaller ones stay in the first cache."""
TINY_INPUTS, TINY_HIDDEN, TINY_OUTPUTS = 4, 64, 1
"""Largest network of the tiny kernel, one hidden layer; others gained nothing from constant sizes."""
TINY_COMPILE_SECONDS = 2.0
"""What compiling for the network's sizes takes; it has to be saved by the run."""
THREADED_FLOPS = 1e9
"""Smallest product that is worth more than one thread."""


@dataclass(frozen=True)
class Plan:
    """Which kernel a call of `fit` uses, and what that is expected to cost.

    Attributes
    ----------
    device : str
        "cpu" or "cuda:N".
    kernel : str
        "sequential" takes plain SGD a sample at a time, "general" every rule; "blocked" takes sgd, momentum
        and nesterov in blocks of samples, with the same trajectory up to rounding; "tiny" is plain SGD
        compiled for the network's sizes; "sparse" takes sgd, momentum and nesterov on sparse samples.
    dtype : str
        The network's.
    block_length, sub_block : int
        Samples of a block, and of the parts in which its steps correct each other; 0 unless blocked.
    delayed_layers : tuple of int
        Hidden layers whose weights are updated once a sub-block; 0 is the first layer.
    n_threads : int
        Most threads that BLAS may use.
    ns_per_step : float
        Prediction of the cost model (`numbabp.planning.cpu_costs`, `numbabp.planning.cuda_costs`).
    flops, bytes : float
        Of the plain algorithm, a step: four operations a weight; the weights read twice and written once.
    seconds_beside : float
        Prediction of what a run on a GPU takes beside its steps, to start and to copy.
    no_gpu : str
        Why there was no GPU to choose, if so.
    why_not : str
        Why this plan was not taken, if so.
    alternatives : tuple of Plan
    """

    device: str
    kernel: str
    dtype: str
    block_length: int = 0
    sub_block: int = 0
    delayed_layers: tuple[int, ...] = ()
    n_threads: int = 1
    ns_per_step: float = float("nan")
    flops: float = float("nan")
    bytes: float = float("nan")
    seconds_beside: float = 0.0
    no_gpu: str = ""
    why_not: str = ""
    asked_for: bool = False
    alternatives: tuple["Plan", ...] = field(default=(), repr=False)

    def explain(self) -> str:
        """The choice, what it is expected to cost, and why every alternative was not taken."""
        reason = "asked for" if self.asked_for else "the fastest predicted"
        if self.kernel == "sparse":
            reason = "X is sparse"
        where = f" on the cpu, {self.dtype}, {self._threads()}" if self.device == "cpu" else f", {self.dtype}"
        lines = [
            f"{self.name}{where}: {reason}.",
            f"Predicted: {_time(self.ns_per_step)} a step; the plain algorithm's {self.flops:,.0f} flops and "
            f"{self.bytes:,.0f} bytes of weights a step make {self.flops / self.ns_per_step:.3g} GFLOP/s.",
        ]
        if self.seconds_beside:
            lines.append(f"Predicted beside the steps: {self.seconds_beside:.2g} s to start and to copy.")
        if self.no_gpu:
            lines.append(f"No GPU: {self.no_gpu}.")
        if self.alternatives:
            lines.append("Not taken:")
            width = max(len(plan.name) for plan in self.alternatives)
            for plan in self.alternatives:
                time = _time(plan.ns_per_step) if plan.ns_per_step > 0 else "-"
                lines.append(f"  {plan.name:<{width}}  {time:>9}  {plan.why_not}")
        return "\n".join(lines)

    @property
    def name(self) -> str:
        """Kernel and block in a few words."""
        if not self.block_length:
            return self.kernel if self.device == "cpu" else f"{self.kernel}, on {self.device}"
        name = f"{self.kernel}, {self.block_length} samples a block"
        if self.delayed_layers and self.device == "cpu":
            name += f", hidden layers every {self.sub_block}"
        return name if self.device == "cpu" else f"{name}, on {self.device}"

    @property
    def gpu_index(self) -> int:
        """N of "cuda:N"."""
        return index_of(self.device)

    def seconds(self, n_steps: float) -> float:
        """Prediction for a run of so many steps."""
        return self.ns_per_step * n_steps * 1e-9 + self.seconds_beside

    def step_by_step(self, options: "Options") -> "Plan":
        """The same training without blocks, on the CPU."""
        kernel = "sequential" if options.is_plain_sgd else "general"
        return Plan("cpu", kernel, self.dtype, flops=self.flops, bytes=self.bytes)

    def _threads(self) -> str:
        return "1 thread" if self.n_threads == 1 else f"up to {self.n_threads} threads for products"


def make_plan(
    network: "Network",
    n_samples: int,
    epochs: int,
    options: "Options",
    n_nonzeros: float | None = None,
    place: Placement = CPU,
) -> Plan:
    """The fastest predicted plan that does what the options ask for.

    Parameters
    ----------
    network
        Its layer sizes and dtype matter, its weights do not.
    n_samples
        Samples of an epoch; blocks are not longer, unless asked for.
    epochs
        How long the run is: whether compiling for it pays.
    options
        device, kernel, block_length and n_threads restrict the choice.
    n_nonzeros
        Mean of the samples, if X is sparse: then there is one plan.
    place
        The GPU that has to be taken, or may be if the whole run is predicted to end sooner there.

    Raises
    ------
    ValueError
        If the options ask for a kernel or a device that can't do what else they ask for.
    """
    machine = this_machine()
    if n_nonzeros is not None:
        if place.device is not None:
            raise ValueError(
                f"device={options.device!r} is not possible with a sparse X; device='cpu' takes it."
            )
        options.check_sparse()
        return _sparse_plan(machine, network, n_nonzeros)
    n_steps = max(1, n_samples * epochs)
    gpu, why_no_gpu = place.device, "" if place.device is not None else place.reason
    candidates: list[Plan] = []
    if gpu is None:
        candidates += _candidates(machine, network, options)
        fastest = min((plan.seconds(n_steps) for plan in candidates if not plan.why_not), default=math.inf)
        if place.is_open and fastest > WORTH_LOOKING:
            of_samples = n_samples * (network.n_inputs + network.n_outputs)
            of_network = 2 * network.n_parameters * (1 + N_MOMENTS[options.update_rule])
            gpu, why_no_gpu = gpu_at_hand(network.dtype.itemsize * (of_samples + of_network))
    if gpu is not None:
        from .network_cuda import gpu_candidates

        on_gpu = list(gpu_candidates(network, n_samples, options, gpu, place.has_data))
        if place.device is not None and all(plan.why_not for plan in on_gpu):
            reasons = "; ".join(dict.fromkeys(plan.why_not for plan in on_gpu))
            raise ValueError(
                f"{place.reason}, but {reasons}. The CPU does it: device='cpu', with X on the host."
            )
        candidates += on_gpu
    possible = [plan for plan in candidates if not plan.why_not]
    if options.kernel != "auto":
        possible = [plan for plan in possible if plan.kernel == options.kernel]
        if not possible:
            named = (plan.why_not for plan in candidates if plan.kernel == options.kernel)
            where = "the CPU" if gpu is None else f"cuda:{gpu.index}"
            raise ValueError(
                f"kernel={options.kernel!r} is not possible: {next(named, f'{where} has none')}."
            )
    elif _saved_by_tiny(possible) * n_samples * epochs * 1e-9 < TINY_COMPILE_SECONDS:
        possible = [plan for plan in possible if plan.kernel != "tiny"]
    if options.block_length is not None:
        if options.kernel not in ("auto", "blocked"):
            raise ValueError(
                f"block_length={options.block_length} needs kernel='blocked', got {options.kernel!r}."
            )
        possible = [plan for plan in possible if plan.block_length == options.block_length]
        if not possible:
            why = next(plan.why_not for plan in candidates if plan.kernel == "blocked")
            raise ValueError(f"block_length={options.block_length} is not possible: {why}.")
    elif n_samples > 0:
        shorter = [plan for plan in possible if plan.block_length <= max(n_samples, BLOCK_LENGTHS[0])]
        possible = shorter or possible
    best = min(possible, key=lambda plan: plan.seconds(n_steps))
    rest = []
    for plan in sorted(candidates, key=lambda plan: (bool(plan.why_not), plan.seconds(n_steps))):
        if plan is best:
            continue
        why = plan.why_not
        if not why and plan not in possible:
            why = _why_not_considered(plan, options)
        elif not why:
            why = f"{plan.seconds(n_steps) / best.seconds(n_steps):.2f} times the time"
            if plan.seconds_beside:
                why += f", {plan.seconds_beside:.2g} s of it to start and to copy"
        rest.append(replace(plan, why_not=why))
    asked_for = options.kernel != "auto" or options.block_length is not None
    return replace(best, alternatives=tuple(rest), asked_for=asked_for, no_gpu=why_no_gpu)


def _sparse_plan(machine: Machine, network: "Network", n_nonzeros: float) -> Plan:
    itemsize = network.dtype.itemsize
    ns = machine.ns_per_sparse_step(network.layer_sizes, itemsize, n_nonzeros)
    touched = network.n_weights - (network.n_inputs - n_nonzeros) * network.layer_sizes[1]
    return Plan(
        "cpu",
        "sparse",
        network.dtype.name,
        ns_per_step=ns,
        flops=4.0 * touched,
        bytes=3.0 * itemsize * touched,
    )


def _saved_by_tiny(plans: list[Plan]) -> float:
    """Nanoseconds a step that the tiny kernel saves; 0 where there is none."""
    times = {plan.kernel: plan.ns_per_step for plan in plans}
    return max(0.0, times.get("sequential", 0.0) - times.get("tiny", float("inf")))


def _why_not_considered(plan: Plan, options: "Options") -> str:
    if options.kernel != "auto" or options.block_length is not None:
        return "not asked for"
    if plan.kernel == "tiny":
        return f"compiling it, {TINY_COMPILE_SECONDS:g} s, would take longer than it saves in this run"
    return "longer than an epoch"


def _candidates(machine: Machine, network: "Network", options: "Options") -> Iterator[Plan]:
    """Every plan for this network, with its prediction, or with `why_not` where the options rule it out."""
    layer_sizes, n_weights, itemsize = network.layer_sizes, network.n_weights, network.dtype.itemsize
    dtype = network.dtype.name
    flops, n_bytes, velocity = 4.0 * n_weights, 3.0 * itemsize * n_weights, options.update_rule != "sgd"

    def plan(
        kernel: str,
        why: str,
        length: int = 0,
        sub_block: int = 0,
        delayed: tuple[int, ...] = (),
        n_threads: int = 1,
    ) -> Plan:
        fields = "cpu", kernel, dtype, length, sub_block, delayed, n_threads
        if why:
            return Plan(*fields, why_not=why)
        ns = machine.ns_per_step(layer_sizes, itemsize, kernel, length, sub_block, delayed, velocity)
        return Plan(*fields, ns, flops, n_bytes)

    not_linear = options.not_linear
    if not_linear is None and velocity:
        why = f"update_rule={options.update_rule!r} keeps a velocity"
    else:
        why = f"{not_linear} needs the whole gradient before a step" if not_linear else ""
    yield plan("sequential", why)
    yield plan("tiny", why or _too_large(layer_sizes))
    why = "propagate='updated' goes with the step of one layer at a time"
    yield plan("general", why if options.propagate == "updated" else "")
    why = f"{not_linear} makes steps that are not linear in the gradients" if not_linear else ""
    layers_to_delay = () if velocity else _delayed_layers(layer_sizes)
    lengths = BLOCK_LENGTHS if options.block_length is None else (options.block_length,)
    for length in lengths:
        sub_block = min(length, 16 if length > 16 else 8)
        n_threads = _n_threads(2.0 * length * network.n_inputs * layer_sizes[1], options)
        for delayed in {(), layers_to_delay}:
            yield plan("blocked", why, length, sub_block, delayed, n_threads)
        if why:
            return


def _too_large(layer_sizes: tuple[int, ...]) -> str:
    """Why the tiny kernel is not for a network, if so."""
    largest = TINY_INPUTS, TINY_HIDDEN, TINY_OUTPUTS
    if len(layer_sizes) == 3 and all(n <= most for n, most in zip(layer_sizes, largest, strict=True)):
        return ""
    return f"it is for one hidden layer, at most {'-'.join(map(str, largest))}"


def _delayed_layers(layer_sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Hidden layers that are large enough to be read only, within a sub-block."""
    return tuple(
        layer
        for layer in range(1, len(layer_sizes) - 1)
        if layer_sizes[layer + 1] > NARROW and layer_sizes[layer] * layer_sizes[layer + 1] >= DELAYED_LEAST
    )


def _n_threads(flops: float, options: "Options") -> int:
    if flops < THREADED_FLOPS:
        return 1
    most = processor.most_blas_threads()
    return most if options.n_threads is None else min(options.n_threads, most)


def _time(ns: float) -> str:
    return f"{ns:.0f} ns" if ns < 1e3 else f"{ns / 1e3:.3g} us" if ns < 1e6 else f"{ns / 1e6:.3g} ms"
