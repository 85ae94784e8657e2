"""A planner's answer: which kernel trains, what that is expected to cost, and why the others do not."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby

from ..devices.placement import index_of
from ..notebooks import tables
from .gpu_layouts import Mapping

NOT_ASKED_FOR, TOO_LONG = "not asked for", "longer than an epoch"
COMPILING = "compiling it, {:g} s, would take longer than it saves in {} such runs"
"""Why a plan that is possible was not considered."""


@dataclass(frozen=True)
class Plan:
    """Which kernel a call of `fit` uses, for one network or for a population, and its predicted cost.

    Attributes
    ----------
    kernel : str
        One of `numbabp.planning.catalogue`, which tells what each does.
    dtype : str
        The networks'.
    device : str
        "cpu" or "cuda:N".
    n_networks : int or None
        Of a population; None for one network by itself.
    block_length, sub_block : int
        Samples of a block, and of the parts in which its steps correct each other; 0 unless blocked.
    delayed_layers : tuple of int
        Hidden layers whose weights are updated once a sub-block; 0 is the first layer.
    n_recent : int
        Samples that the first layer's velocity, and that of delayed ones, is made of where it is wanted; 0
        where velocities are kept up to date.
    n_threads : int
        Most threads that BLAS may use, those that share out a layer's parts, or a population's networks.
    n_lanes : int
        Networks of a vector, where they go in lanes.
    mapping : Mapping or None
        Of a population on a GPU: how the networks are laid out over it.
    of_network : Plan or None
        Of a population on the CPU: how one network is trained by itself; every one, or one that diverges.
    ns_per_step : float
        Predicted nanoseconds of one network's step (`cpu_costs`, `cuda_costs`), on one thread of the CPU, on
        those that share out its layers' parts, or on the whole GPU.
    seconds : float
        Predicted for the whole call.
    seconds_beside, transfer_seconds : float
        Of them, on a GPU: what one network's run takes beside its steps, to start and to copy; and what a
        population's copies take.
    flops, bytes : float
        Of the plain algorithm, a step: four operations a weight; the weights read twice and written once.
    memory_bytes : int
        What the training of a population takes beside the parameters and the history.
    no_gpu : str
        Why there was no GPU to choose, if so.
    asked_for : bool
        Whether the caller named it.
    only_one : str
        Why there is no other, if so.
    why_not : str
        Why this plan was not taken, if so.
    """

    kernel: str
    dtype: str
    device: str = "cpu"
    n_networks: int | None = None
    block_length: int = 0
    sub_block: int = 0
    delayed_layers: tuple[int, ...] = ()
    n_recent: int = 0
    n_threads: int = 1
    n_lanes: int = 0
    mapping: Mapping | None = None
    of_network: "Plan | None" = None
    ns_per_step: float = float("nan")
    seconds: float = float("nan")
    seconds_beside: float = 0.0
    transfer_seconds: float = 0.0
    flops: float = float("nan")
    bytes: float = float("nan")
    memory_bytes: int = 0
    no_gpu: str = ""
    asked_for: bool = False
    only_one: str = ""
    why_not: str = ""
    others: tuple["Plan", ...] = field(default=(), repr=False)
    """All that was considered beside it; `alternatives` with the reasons put into words."""

    @cached_property
    def alternatives(self) -> tuple["Plan", ...]:
        """The plans that were not taken, each with its `why_not`."""
        return tuple(
            other if other.why_not else replace(other, why_not=self._slower(other)) for other in self.others
        )

    def _slower(self, other: "Plan") -> str:
        ratio = other.seconds / self.seconds
        if self.n_networks is not None:
            return f"{ratio:.3g} times the time ({other.ns_per_step:.3g} ns a step)"
        beside = f", {other.seconds_beside:.2g} s of it to start and to copy" if other.seconds_beside else ""
        return f"{ratio:.2f} times the time{beside}"

    @property
    def gpu_index(self) -> int:
        """N of "cuda:N"."""
        return index_of(self.device)

    @property
    def name(self) -> str:
        """The kernel, and how it goes about it, in a few words."""
        if self.n_networks is not None:
            return self._name_for_many()
        where = "" if self.device == "cpu" else f", on {self.device}"
        if not self.block_length:
            return f"{self.kernel}{where}"
        name = f"{self.kernel}, {self.block_length} samples a block"
        if self.delayed_layers and not where:
            name += f", hidden layers every {self.sub_block}"
        if self.n_recent:
            name += f", velocity of the last {self.n_recent}"
        return f"{name}{where}"

    def _name_for_many(self) -> str:
        if self.device != "cpu":
            return f"a network a {self.kernel}"
        if self.n_lanes:
            return f"{self.kernel}, {self.n_lanes} networks at a time"
        assert self.of_network is not None
        return f"each network by itself ({self.of_network.name})"

    def explain(self) -> str:
        """The choice, what it is expected to cost, and why every alternative was not taken."""
        if self.n_networks is None:
            rows = _rows(self.alternatives)
            widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
            not_taken = ["Not taken:"] if rows else []
            not_taken += [
                f"  {name:<{widths[0]}}  {time:>{widths[1]}}  {why_not}" for name, time, why_not in rows
            ]
        else:
            not_taken = [f"Not taken: {plan.name}: {plan.why_not}." for plan in self.alternatives]
        return "\n".join(self._sentences() + not_taken)

    def __str__(self) -> str:
        return self.explain()

    def _repr_html_(self) -> str:
        choice, *others = self._sentences()
        parts = [tables.paragraph(choice, sentence) for sentence in others[:1]]
        parts += [tables.paragraph(sentence) for sentence in others[1:]]
        if self.alternatives:
            rows = [(name, why_not, time) for name, time, why_not in _rows(self.alternatives)]
            parts.append(tables.table(["not taken", "because", "a step"], rows, n_texts=2))
        return tables.page(*parts)

    def _sentences(self) -> list[str]:
        """The choice and its costs."""
        sentences = self._sentences_for_one() if self.n_networks is None else self._sentences_for_many()
        return sentences + ([f"No GPU: {self.no_gpu}."] if self.no_gpu else [])

    def _sentences_for_one(self) -> list[str]:
        faster = [plan for plan in self.others if plan.seconds < self.seconds]
        predicted = "the fastest predicted for so few steps" if faster else "the fastest predicted"
        reason = self.only_one or ("asked for" if self.asked_for else predicted)
        threads = "1 thread" if self.n_threads == 1 else f"up to {self.n_threads} threads"
        where = f" on the cpu, {self.dtype}, {threads}" if self.device == "cpu" else f", {self.dtype}"
        lines = [
            f"{self.name}{where}: {reason}.",
            f"Predicted: {_time(self.ns_per_step)} a step; the plain algorithm's {self.flops:,.0f} flops and "
            f"{self.bytes:,.0f} bytes of weights a step make {self.flops / self.ns_per_step:.3g} GFLOP/s.",
        ]
        if self.seconds_beside:
            lines.append(f"Predicted beside the steps: {self.seconds_beside:.2g} s to start and to copy.")
        return lines

    def _sentences_for_many(self) -> list[str]:
        reason = "asked for" if self.asked_for else "the fastest predicted"
        if not self.asked_for and not any(plan.seconds > 0 for plan in self.others):
            reason = "the only one possible"
        on, where, of_them = "on a thread", "the cpu", ""
        threads = "1 thread" if self.n_threads == 1 else f"{self.n_threads} threads"
        if self.mapping is not None:
            on, where = "on the GPU", self.device
            threads = f"{self.mapping.threads} threads and {self.mapping.networks} networks a block"
            of_them = f", {self.transfer_seconds:.3g} s of them transfers"
        lines = [
            f"{self.name} on {where}, {threads}: {reason}.",
            f"Predicted: {self.ns_per_step:.3g} ns a step of one network {on}, {self.seconds:.3g} s in all"
            f"{of_them}; {self.memory_bytes:,} bytes beside the parameters and the history.",
        ]
        return lines


def _rows(plans: Sequence["Plan"]) -> list[tuple[str, str, str]]:
    """Name, time a step and reason of plans; one row of those that differ in the length of blocks alone."""
    rows = []
    for (kernel, device, why_not), group in groupby(plans, lambda p: (p.kernel, p.device, p.why_not)):
        alike = list(group)
        first = alike[0]
        times = sorted(plan.ns_per_step for plan in alike)
        time = _time(times[0]) if times[0] > 0 else "-"
        if len(alike) == 1 or not all(plan.block_length for plan in alike):
            rows += [(p.name, _time(p.ns_per_step) if p.ns_per_step > 0 else "-", why_not) for p in alike]
            continue
        lengths = sorted(plan.block_length for plan in alike)
        where = "" if device == "cpu" else f", on {device}"
        name = f"{kernel}, {lengths[0]} to {lengths[-1]} samples a block{where}"
        rows.append((name, f"{time} to {_time(times[-1])}" if first.ns_per_step > 0 else "-", why_not))
    return rows


def _time(ns: float) -> str:
    return f"{ns:.0f} ns" if ns < 1e3 else f"{ns / 1e3:.3g} us" if ns < 1e6 else f"{ns / 1e6:.3g} ms"
