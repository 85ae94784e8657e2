"""How networks are laid out over a GPU - a thread, a warp or a block each - and what a step then costs.

The estimate counts instructions, and the warps that a multiprocessor's registers and shared memory hold at
a time; docs/gpu.md explains it and compares it with measurements.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ..architecture import Architecture
from ..devices.memory import STATIC_SHARED, Device
from ..options import Options
from .cuda_costs import float64_slowdown

if TYPE_CHECKING:
    from ..kernels.cuda.population.kernel import Architecture as Specialisation

MOST_REGISTERS = 255
"""Of a thread, on every GPU."""
REGISTERS = 65536
"""Of a multiprocessor, likewise."""
MOST_WARPS = {(7, 5): 32, (8, 6): 48, (8, 7): 48, (8, 9): 48, (12, 0): 48, (12, 1): 48}
"""Of a multiprocessor, by compute capability; 64 on others."""
SCHEDULERS = 4
"""Of a multiprocessor; each starts an instruction of one warp in a cycle."""
# Counted in the machine code of kernels for 2-10-1 and 64-32-10, float32, compute capability 9.0:
# instructions of a step beside those below; of a unit, with sigmoid and its derivative; of an output, with
# its loss and what the accuracy needs; of a softmax. A weight takes a multiply-add in each pass over it.
OF_STEP, OF_UNIT, OF_OUTPUT, OF_SOFTMAX = 70, 27, 14, 60
READ_AT_ONCE, OF_READ = 4, 16
"""Numbers that a lane reads from shared memory at once, and cycles of a scheduler that this takes at most."""
LATENCY = 6
"""Cycles until the result of an instruction can be used, and a bit more for those that memory has to give."""
CHAIN_OF_LAYER, CHAIN_OF_UNIT = 350, 4
"""Cycles of a layer's chain of results, forwards and backwards, and of one of its units."""
BARRIER = 40
"""Cycles of a block's barrier."""


@dataclass(frozen=True)
class Mapping:
    """How networks are laid out over a GPU, and what a launch takes."""

    name: str
    """thread, warp or block: who trains a network."""
    of: "Specialisation"
    threads: int
    """Of a block."""
    networks: int
    """Of a block."""
    registers: int
    """Of a thread, at most."""
    shared: int
    """Bytes of dynamic shared memory of a block."""

    def n_blocks(self, n_networks: int) -> int:
        """Of a launch."""
        return -(-n_networks // self.networks)

    def blocks_at_once(self, device: Device) -> int:
        """That a multiprocessor holds, limited by registers, warps and shared memory."""
        warps = max(1, self.threads // 32)
        most = MOST_WARPS.get(device.compute_capability, 64)
        of_tile = self.of.tile * self.of.itemsize * (self.of.layer_sizes[0] + self.of.layer_sizes[-1])
        shared = self.shared + of_tile + 1024  # which the system takes
        by_registers = REGISTERS // (self.registers * 32 * warps)
        return max(1, min(by_registers, most // warps, device.shared_per_multiprocessor // shared, 32))

    def seconds(self, device: Device, n_networks: int, n_steps: int) -> float:
        """Predicted for so many steps of every network, without transfers."""
        issued, chain = _cycles(self, device)
        warps = max(1, self.threads // 32)
        at_once = self.blocks_at_once(device) * device.n_multiprocessors
        blocks = self.n_blocks(n_networks)
        cycles = 0.0
        while blocks > 0:
            running = min(blocks, at_once)
            of_scheduler = math.ceil(running / device.n_multiprocessors) * warps / SCHEDULERS
            # whichever is longer: starting all the instructions, or waiting for one warp's results
            cycles += max(issued * max(1.0, of_scheduler), chain)
            blocks -= running
        return cycles * n_steps / device.clock


def specialisation(
    architecture: Architecture, options: Options, with_l2: bool, weighted: bool
) -> "Specialisation":
    """What a kernel for networks on a GPU has to be compiled for."""
    from ..kernels.cuda.population.kernel import Architecture as Specialisation  # needs numba-cuda

    return Specialisation(
        architecture.layer_sizes,
        architecture.activations,
        architecture.loss,
        architecture.dtype.name,
        options.update_rule,
        with_l2,
        weighted,
        "accuracy" in architecture.metric_names(options.monitor),
    )


def mappings(of: "Specialisation", device: Device) -> dict[str, "Mapping | str"]:
    """Every mapping, or why it is not possible."""
    from ..kernels.cuda.population import block, thread, warp

    found: dict[str, Mapping | str] = {}
    wide = of.itemsize // 4
    arrays = 1 + of.n_moments
    # beside the numbers kept: addresses, loads under way, and for each moment what its step needs
    beside = 48 + 16 * of.n_moments
    needed = {
        "thread": wide * (of.n_parameters * arrays + 3 * of.n_units) + beside,
        "warp": wide * warp.n_own(of) * arrays + beside + 6 + 30 * wide + 20 * max(0, of.n_layers - 2),
    }
    shapes = {"thread": (thread.THREADS, thread.THREADS), "warp": (32 * warp.WARPS, warp.WARPS)}
    for name, registers in needed.items():
        if registers > MOST_REGISTERS:
            found[name] = f"it would take {registers} registers a thread, and there are {MOST_REGISTERS}"
        elif _seen_bytes(of, name) > STATIC_SHARED:
            found[name] = "samples and units would not fit into the shared memory of a block"
        else:
            threads, networks = shapes[name]
            found[name] = Mapping(name, of, threads, networks, _limit(registers, threads), 0)
    threads = block.n_threads(of)
    shared = block.shared_bytes(of, threads)
    most = device.shared_per_block - _seen_bytes(of, "block") - 256
    if _seen_bytes(of, "block") > STATIC_SHARED - 256:
        found["block"] = "samples and units would not fit into the shared memory of a block"
    elif shared > most:
        found["block"] = f"a network takes {shared:,} bytes of shared memory, and a block has {most:,}"
    else:
        registers = 136 if wide * of.n_moments > 2 else 128  # adam's steps in float64
        found["block"] = Mapping("block", of, threads, 1, _limit(registers, threads), shared)
    return found


def _limit(registers: int, threads: int) -> int:
    """Registers that a thread may take: more than it needs, if a multiprocessor holds no fewer blocks."""
    blocks = max(1, REGISTERS // (-(-registers // 8) * 8 * threads))
    return min(REGISTERS // (blocks * threads) // 8 * 8, MOST_REGISTERS)


def _seen_bytes(of: "Specialisation", name: str) -> int:
    """Static shared memory: the samples, and what lanes see of each other."""
    from ..kernels.cuda.population import warp

    seen = 3 * warp.WARPS * of.n_units if name == "warp" else 0
    return of.itemsize * (of.tile * (of.layer_sizes[0] + of.layer_sizes[-1]) + seen)


def _cycles(mapping: Mapping, device: Device) -> tuple[float, float]:
    """Of a step: cycles in which a scheduler starts a warp's instructions, and of its chain of results."""
    of = mapping.of
    sizes, layers = of.layer_sizes, list(pairwise(of.layer_sizes))
    rule = {"sgd": 1.0, "momentum": 2.0, "nesterov": 3.0, "adam": 14.0}[of.update_rule] + of.with_l2
    softmax = OF_SOFTMAX if of.activations[-1] == "softmax" else 0
    first, *hidden = [fan_in * fan_out for fan_in, fan_out in layers]
    chain: float = CHAIN_OF_LAYER * of.n_layers + CHAIN_OF_UNIT * sum(sizes)
    issued: float
    if mapping.name == "thread":
        issued = first * (1 + rule) + sum(hidden) * (2 + rule)
        issued += OF_UNIT * of.n_units + OF_OUTPUT * sizes[-1] + softmax + OF_STEP
    elif mapping.name == "warp":
        slots = [-(-n // 32) for n in sizes]
        columns = sum(fan_in * own for (fan_in, _), own in zip(layers, slots[1:], strict=True))
        rows = sum(fan_out * own for (_, fan_out), own in zip(layers[1:], slots[1:-1], strict=True))
        issued = columns * (1 + rule) + rows * (2 + rule)
        issued += OF_UNIT * sum(slots[1:]) + 2 * OF_OUTPUT * sizes[-1] + softmax + OF_STEP
        # what lanes see of each other: each column reads all its layer's inputs, twice, and a row the deltas
        seen = 2 * columns + 2 * rows + 4 * sizes[-1]
        issued = max(issued, seen / READ_AT_ONCE * OF_READ * of.itemsize / 4)
    else:
        # addresses in the loops over weights are what takes most instructions
        threads = mapping.threads
        passes = sum(math.ceil(n / threads) for n in (first, *hidden))
        issued = passes * (4 * (3 + rule) + 30) + sum(math.ceil(n / threads) for n in sizes[1:]) * 2 * OF_UNIT
        issued += OF_OUTPUT * sizes[-1] + softmax + OF_STEP
        rows = sum(fan_out * math.ceil(fan_in / threads) for fan_in, fan_out in layers[1:])
        chain += 3 * BARRIER * of.n_layers + LATENCY * 5 * (first / threads + rows)
    if of.itemsize == 8:
        slow = float64_slowdown(device)
        issued, chain = issued * slow, chain * (slow if slow > 2 else 1.5)
    return issued, chain
