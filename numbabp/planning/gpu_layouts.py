"""How networks are laid out over a GPU - a thread, a warp or a block each - and what a step then costs.

The estimate counts instructions, and the warps that a multiprocessor's registers and shared memory hold at
a time; docs/gpu.md explains it and compares it with measurements.
"""

import math
from dataclasses import dataclass

from ..architecture import Architecture
from ..compiler.arithmetic.numerics import APPROXIMATE, FAST
from ..devices.memory import STATIC_SHARED, Device, is_interpreted
from ..kernels.cuda.population.specialisation import Specialisation
from ..kernels.cuda.resident.shape import MAX_OWN, Shape
from ..options import Options
from .catalogue import BLOCK, Kernel
from .cuda_costs import SCHEDULERS, step_cycles
from .problem import Problem

MOST_REGISTERS = 255
"""Of a thread, on every GPU."""
REGISTERS = 65536
"""Of a multiprocessor, likewise."""
MOST_WARPS = {(7, 5): 32, (8, 6): 48, (8, 7): 48, (8, 9): 48, (12, 0): 48, (12, 1): 48}
"""Of a multiprocessor, by compute capability; 64 on others."""
TOO_MUCH_SHARED = "samples and units would not fit into the shared memory of a block"


@dataclass(frozen=True)
class Mapping:
    """How networks are laid out over a GPU, and what a launch takes."""

    name: str
    """thread, warp or block: who trains a network."""
    of: Specialisation
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
        shared = self.shared + _static_bytes(self.of, self.networks) + 1024  # which the system takes
        by_registers = REGISTERS // (self.registers * 32 * warps)
        return max(1, min(by_registers, most // warps, device.shared_per_multiprocessor // shared, 32))

    def seconds(self, device: Device, n_networks: int, n_steps: int) -> float:
        """Predicted for so many steps of every network, without transfers."""
        issued, chain = step_cycles(self.name, self.of, self.threads, device)
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
    architecture: Architecture, options: Options, with_l2: bool, weighted: bool, own_order: bool = False
) -> Specialisation:
    """What a kernel for networks on a GPU has to be compiled for."""
    numerics = architecture.numerics
    if numerics == APPROXIMATE and architecture.dtype.name != "float32":
        numerics = FAST  # there is nothing to approximate by
    return Specialisation(
        architecture.layer_sizes,
        architecture.activations,
        architecture.loss,
        architecture.dtype.name,
        options.update_rule,
        with_l2,
        weighted,
        "accuracy" in architecture.metric_names(options.monitor),
        architecture.quantile,
        numerics,
        options.l1 > 0,
        options.clip_value is not None,
        options.clip_norm is not None,
        options.batch_size > 1,
        own_order and options.shuffle,
    )


def specialisation_of(problem: Problem) -> Specialisation:
    """The same of a problem's networks."""
    return specialisation(
        problem.architecture, problem.options, problem.with_l2, problem.weighted, problem.own_order
    )


def resident_shape(architecture: Architecture, options: Options, device: Device) -> Shape:
    """How one network is laid out over all of a GPU's multiprocessors, its weights on the chip."""
    return Shape(
        architecture.layer_sizes,
        architecture.activations,
        architecture.loss,
        architecture.quantile,
        architecture.dtype.name,
        options.l2 > 0,
        device.n_multiprocessors,
    )


def why_not_resident(architecture: Architecture, options: Options, device: Device) -> str:
    """Why a GPU's chip can't hold one network, in half a sentence; empty if it can."""
    if is_interpreted():
        return "Numba's simulator runs blocks of threads one after the other"
    if architecture.n_layers == 1:
        return "a network without hidden layers has nothing for more than one block of threads"
    widest, most = max(architecture.layer_sizes[1:-1]), MAX_OWN * device.n_multiprocessors
    if widest > most:
        return f"a hidden layer has {widest:,} units, and {device.n_multiprocessors} blocks may own {most:,}"
    shape = resident_shape(architecture, options, device)
    if shape.all_shared_bytes > device.shared_per_block:
        return (
            f"weights on the chip would take {shape.all_shared_bytes:,} bytes of a block's shared memory "
            f"beside its registers, and there are {device.shared_per_block:,}"
        )
    return ""


def mapping_of(kernel: Kernel, problem: Problem) -> Mapping | str:
    """How a kernel for GPUs is laid out over the problem's one; or why it does not fit."""
    assert problem.place.device is not None
    name = kernel.name if kernel.for_many else BLOCK.name  # one network is a population of one
    return _MAKE[name](specialisation_of(problem), problem.place.device)


def mappings(of: Specialisation, device: Device) -> dict[str, "Mapping | str"]:
    """Every mapping, or why it is not possible."""
    return {name: make(of, device) for name, make in _MAKE.items()}


def _thread(of: Specialisation, device: Device) -> Mapping | str:
    """Parameters and units in a thread's registers."""
    from ..kernels.cuda.population.thread import THREADS

    wide, arrays = of.itemsize // 4, 1 + of.n_kept
    registers = wide * (of.n_parameters * arrays + 3 * of.n_units) + _registers_beside(of)
    return _in_registers("thread", of, registers, 0, (THREADS, THREADS))


def _warp(of: Specialisation, device: Device) -> Mapping | str:
    """Parameters and units dealt out to the registers of 32 threads."""
    from ..kernels.cuda.population import warp

    wide, arrays = of.itemsize // 4, 1 + of.n_kept
    beside = _registers_beside(of) + 6 + 30 * wide + 20 * max(0, of.n_layers - 2)
    registers = wide * warp.n_own(of) * arrays + beside
    kinds = 3 + of.strict * 8 // of.itemsize  # strict ones see losses in float64, in memory of their own
    seen = kinds * warp.WARPS * of.n_units
    return _in_registers("warp", of, registers, seen, (32 * warp.WARPS, warp.WARPS))


def _block(of: Specialisation, device: Device) -> Mapping | str:
    """Parameters and units in a block's shared memory."""
    from ..kernels.cuda.population import block

    threads = block.n_threads(of)
    shared = block.shared_bytes(of, threads)
    most = device.shared_per_block - _static_bytes(of, 1) - 256
    if _static_bytes(of, 1) > STATIC_SHARED - 256:
        return TOO_MUCH_SHARED
    if shared > most:
        return f"a network takes {shared:,} bytes of shared memory, and a block has {most:,}"
    registers = 136 if of.itemsize // 4 * of.n_moments > 2 else 128  # adam's steps in float64
    return Mapping("block", of, threads, 1, _limit(registers, threads), shared)


def _in_registers(
    name: str, of: Specialisation, registers: int, seen: int, shape: tuple[int, int]
) -> Mapping | str:
    """A mapping of (threads, networks) a block, with all in registers but `seen` numbers of each other's."""
    if registers > MOST_REGISTERS:
        return f"it would take {registers} registers a thread, and there are {MOST_REGISTERS}"
    threads, networks = shape
    if _static_bytes(of, networks, seen) > STATIC_SHARED:
        return TOO_MUCH_SHARED
    return Mapping(name, of, threads, networks, _limit(registers, threads), 0)


def _registers_beside(of: Specialisation) -> int:
    """Beside the numbers kept: addresses, loads under way, and for each moment what its step needs."""
    return 48 + 16 * of.n_moments


def _limit(registers: int, threads: int) -> int:
    """Registers that a thread may take: more than it needs, if a multiprocessor holds no fewer blocks."""
    blocks = max(1, REGISTERS // (-(-registers // 8) * 8 * threads))
    return min(REGISTERS // (blocks * threads) // 8 * 8, MOST_REGISTERS)


def _static_bytes(of: Specialisation, networks: int, seen: int = 0) -> int:
    """Static shared memory of a block of networks: samples, and numbers that lanes see of each other."""
    return of.itemsize * (of.rows(networks) * (of.layer_sizes[0] + of.layer_sizes[-1]) + seen)


_MAKE = {"thread": _thread, "warp": _warp, "block": _block}
"""By the kernel's name."""
