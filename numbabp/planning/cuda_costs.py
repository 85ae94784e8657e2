"""What a step costs on a GPU: the planner's model.

Its constants are estimates from data sheets and from what is published of latencies, but for those said to be
measured, on an H100 (docs/gpu.md).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from ..devices.memory import Device, is_interpreted
from ..kernels.cuda.blocked.geometry import QUAD, blocked_geometry
from ..kernels.cuda.population.specialisation import Specialisation
from ..kernels.cuda.resident.shape import Shape

BARRIER = 1440.0
"""ns: a barrier of the whole grid; measured."""
PHASE = 900.0
"""ns: what goes on between two barriers beside streaming weights: a chain of a few loads from the
second-level cache, sums in shared memory, an activation."""
RESIDENT_PHASE = 1250.0
"""ns: the same of a network whose weights stay on the chip, where fetching instructions and barriers of
blocks are in it; measured, 10.3 us a step of 784-2048-2048-10 on an H200."""
LAUNCH = 3000.0
"""ns: from one kernel of a stream to the next."""
HOST = 300e3
"""ns that the host takes for a block of samples; the GPU works meanwhile."""
BANDWIDTH = 0.85
"""Share of the memory's bandwidth that can be had."""
CACHE_BYTES_PER_CYCLE = 32.0
"""From the second-level cache to one multiprocessor, sustained; 30.5 measured."""
WEIGHT_BYTES_PER_CYCLE = 22.0
"""Of weights that one multiprocessor gets through in a step; measured, 16.7 us for 784-2048-2048-10.

Most of those stay in shared memory and registers; the rest comes from the cache."""
SHARED_BYTES_PER_CYCLE = 128.0
"""Of a multiprocessor's shared memory."""
CACHED = 0.6
"""Share of the second-level cache that weights can stay in."""
FLOPS_PER_CYCLE = 256.0
"""Of a multiprocessor, float32; of a product about `PRODUCT` of it."""
PRODUCT = 0.6
SHUFFLED_BYTES = 128
"""Of the GPU's memory, for each sample of an order that a network draws: two places, read and written, of
which memory moves 32 bytes each. Not measured."""
TRANSFER = 10e9
"""Bytes a second between host and GPU, from memory that is not pinned."""
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
BLOCK_BARRIER = 40
"""Cycles of a block's barrier."""
LAUNCH_SECONDS = 1e-3
"""What a population's training costs on the GPU beside its steps: copies begun, launches, flags looked at."""
_OF_RULE = {
    "sgd": 1.0,
    "momentum": 2.0,
    "nesterov": 3.0,
    "adagrad": 11.0,
    "rmsprop": 12.0,
    "adam": 14.0,
    "adamw": 15.0,
    "rprop": 12.0,
}
"""Instructions of an update rule for a weight."""
COMPILE_SECONDS = 4.0
"""What compiling for an architecture takes on a GPU, once; after that the kernel comes from the disk."""
START = 0.5
"""Seconds of a run for the GPU's context, its libraries and the loading of a compiled kernel."""


def ns_per_blocked_step(
    layer_sizes: Sequence[int], itemsize: int, block_length: int, velocity: bool, device: Device
) -> float:
    """Predicted nanoseconds of one step of one network in the blocked form.

    Parameters
    ----------
    layer_sizes
        (n_inputs, ..., n_outputs).
    itemsize
        4 or 8, the dtype's bytes.
    block_length
        Samples of a block.
    velocity
        Whether the update rule is momentum or nesterov.
    device
        The GPU.
    """
    weights = [fan_in * fan_out for fan_in, fan_out in pairwise(layer_sizes)]
    n_layers, n_weights = len(weights), sum(weights)
    arrays = 2 if velocity else 1
    geometry = blocked_geometry(layer_sizes, device.n_multiprocessors, is_interpreted())
    n_barriers = max(0, 2 * n_layers - 3)
    phases = (n_barriers + 1) * PHASE + n_barriers * BARRIER
    streamed = itemsize * arrays * geometry.grid * geometry.busiest if n_layers > 1 else 0
    of_cache = geometry.grid * device.clock * WEIGHT_BYTES_PER_CYCLE
    fits = itemsize * arrays * sum(weights[1:]) <= CACHED * device.cache_bytes
    rate = of_cache if fits else min(of_cache, BANDWIDTH * device.memory_bandwidth)
    parts = itemsize * geometry.grid * (block_length / 2 * n_barriers + layer_sizes[-1])
    step = phases + 1e9 * (streamed / rate + parts / (device.clock * CACHE_BYTES_PER_CYCLE))
    flops = 2.0 * block_length * (arrays * (n_weights + weights[0]) + block_length * layer_sizes[0])
    full = device.n_multiprocessors * device.clock * FLOPS_PER_CYCLE * PRODUCT
    if itemsize == 8:
        full /= float64_slowdown(device)
    passes = 2 * arrays + (2 * arrays if velocity else 0)
    traffic = passes * itemsize * n_weights / (BANDWIDTH * device.memory_bandwidth)
    block = 1e9 * max(flops / full, traffic) + (4 + arrays * (n_layers + 1)) * LAUNCH
    return max(step + block / block_length, HOST / block_length)


def ns_per_resident_step(shape: Shape, device: Device) -> float:
    """Predicted nanoseconds of one step of one network whose weights stay on the chip.

    Barriers, phases between them, and what a block's threads read and write of weights in shared memory.
    """
    layers = shape.places.hidden
    quads = 2 * layers[0].turns + sum(3 * layer.turns for layer in layers[1:])
    quads += sum(2 * (rows.quads - rows.held) * rows.of_warp for rows in shape.places.rows)
    held = sum(rows.held * rows.of_warp for rows in shape.places.rows)
    cycles = quads * shape.threads * QUAD * shape.itemsize / SHARED_BYTES_PER_CYCLE
    # of a quad in registers, a product and a step for each number
    slow = float64_slowdown(device) if shape.itemsize == 8 else 1
    cycles += held * 2 * QUAD * slow * shape.n_warps / SCHEDULERS
    return shape.n_barriers * (BARRIER + RESIDENT_PHASE) + 1e9 * cycles / device.clock


def float64_slowdown(device: Device) -> int:
    """Units for float32 that there are for each one for float64: few on the large chips, many on others."""
    return {(8, 0): 2, (9, 0): 2, (10, 0): 2, (7, 5): 32}.get(device.compute_capability, 64)


def transfer_seconds(n_bytes: float) -> float:
    """Predicted seconds of a run for the start and for so many bytes to the GPU and back."""
    return START + n_bytes / TRANSFER


def step_cycles(name: str, of: Specialisation, threads: int, device: Device) -> tuple[float, float]:
    """Of one step of a population's kernel of this name, on blocks of so many threads.

    Returns
    -------
    issued, chain
        Cycles in which a scheduler starts a warp's instructions, and cycles of the chain of its results.
    """
    issued, chain = _CYCLES[name](of, threads)
    if of.itemsize == 8:
        slow = float64_slowdown(device)
        return issued * slow, chain * (slow if slow > 2 else 1.5)
    return issued, chain


def _thread_cycles(of: Specialisation, threads: int) -> tuple[float, float]:
    first, *hidden = _weights(of)
    rule = _rule_instructions(of)
    issued = first * (1 + rule) + sum(hidden) * (2 + rule)
    issued += OF_UNIT * of.n_units + OF_OUTPUT * of.layer_sizes[-1] + _beside(of)
    return issued, _chain(of)


def _warp_cycles(of: Specialisation, threads: int) -> tuple[float, float]:
    sizes, layers = of.layer_sizes, list(pairwise(of.layer_sizes))
    rule = _rule_instructions(of)
    slots = [-(-n // 32) for n in sizes]
    columns = sum(fan_in * own for (fan_in, _), own in zip(layers, slots[1:], strict=True))
    rows = sum(fan_out * own for (_, fan_out), own in zip(layers[1:], slots[1:-1], strict=True))
    issued = columns * (1 + rule) + rows * (2 + rule)
    issued += OF_UNIT * sum(slots[1:]) + 2 * OF_OUTPUT * sizes[-1] + _beside(of)
    # what lanes see of each other: each column reads all its layer's inputs, twice, and a row the deltas
    seen = 2 * columns + 2 * rows + 4 * sizes[-1]
    return max(issued, seen / READ_AT_ONCE * OF_READ * of.itemsize / 4), _chain(of)


def _block_cycles(of: Specialisation, threads: int) -> tuple[float, float]:
    first, *hidden = _weights(of)
    sizes, layers = of.layer_sizes, list(pairwise(of.layer_sizes))
    # addresses in the loops over weights are what takes most instructions
    passes = sum(math.ceil(n / threads) for n in (first, *hidden))
    issued: float = passes * (4 * (3 + _rule_instructions(of)) + 30)
    issued += sum(math.ceil(n / threads) for n in sizes[1:]) * 2 * OF_UNIT
    issued += OF_OUTPUT * sizes[-1] + _beside(of)
    rows = sum(fan_out * math.ceil(fan_in / threads) for fan_in, fan_out in layers[1:])
    waiting = 3 * BLOCK_BARRIER * of.n_layers + LATENCY * 5 * (first / threads + rows)
    return issued, _chain(of) + waiting


def _weights(of: Specialisation) -> list[int]:
    """Of each layer."""
    return [fan_in * fan_out for fan_in, fan_out in pairwise(of.layer_sizes)]


def _rule_instructions(of: Specialisation) -> float:
    """That the update rule takes for a weight."""
    rule = _OF_RULE[of.update_rule] + of.with_l2 + 2 * of.clips_values + 3 * of.with_l1
    return rule + 3 if of.gathers else rule


def _beside(of: Specialisation) -> float:
    """Instructions of a step beside those of weights and units."""
    return OF_STEP + (OF_SOFTMAX if of.activations[-1] == "softmax" else 0)


def _chain(of: Specialisation) -> float:
    return CHAIN_OF_LAYER * of.n_layers + CHAIN_OF_UNIT * sum(of.layer_sizes)


_CYCLES = {"thread": _thread_cycles, "warp": _warp_cycles, "block": _block_cycles}
"""By the kernel's name."""
