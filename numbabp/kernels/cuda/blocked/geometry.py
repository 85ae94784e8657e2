"""How many threads take a network in the blocked form, and how its units are dealt out to them."""

from collections.abc import Sequence
from typing import NamedTuple

QUAD = 4
"""Numbers that an instruction loads or stores, see `quads`."""
MAX_THREADS = 256
"""Of a block: each may have the 255 registers that there are at most, for many weights under way."""
MAX_LENGTH = 128
"""Samples of a block."""
MAX_OUTPUTS = 512
"""Units of the output layer, which every block of threads computes for itself."""
MAX_PARTS = MAX_LENGTH + MAX_OUTPUTS
MAX_METRICS = 8
"""That are added up in shared memory; others, of which few want so many, in the device's."""
MAX_GROUP = 32
GROUPS = (8, 16, MAX_GROUP)
"""Units that a block may take at a time: neighbours, whose float32 weights fill whole sectors of 32 bytes."""


class Geometry(NamedTuple):
    """Shape of a launch of `blocked.train_block`."""

    grid: int
    """Blocks of threads: at most one a multiprocessor, so that all run at once, as barriers need."""
    threads: int
    """Of a block."""
    group: int
    """Units of a layer that a block takes at a time."""
    busiest: int
    """Weights that the block with the most units reads in a step."""


def blocked_geometry(
    layer_sizes: Sequence[int],
    n_multiprocessors: int,
    is_simulated: bool = False,
    threads: int = MAX_THREADS,
    groups: Sequence[int] = GROUPS,
) -> Geometry:
    """The geometry whose busiest block has the fewest weights, for (n_inputs, ..., n_outputs).

    Where a multiprocessor is free, one block more than there are groups of units keeps the record of losses.
    """
    if is_simulated:
        threads, groups = 8, (4,)
    # of equals the largest, which leaves the fewest sums to be added up
    busiest, minus_group = min((_busiest(layer_sizes, group, n_multiprocessors), -group) for group in groups)
    most = max((-(-n // -minus_group) + 1 for n in layer_sizes[1:-1]), default=1)
    return Geometry(min(n_multiprocessors, most), threads, -minus_group, busiest)


def _busiest(layer_sizes: Sequence[int], group: int, n_blocks: int) -> int:
    """Weights that the block with the most units reads in a step, a unit's column and its row."""
    weights = 0
    for fan_in, n_units, fan_out in zip(layer_sizes, layer_sizes[1:], layer_sizes[2:], strict=False):
        rounds = -(-n_units // (group * n_blocks))
        weights += rounds * group * (fan_in + fan_out)
    return weights


def half_turns_held(itemsize: int, has_velocity: bool, threads: int) -> int:
    """Half turns of rows of weights that a thread holds in registers: four, or none.

    Four of float32 are 64 registers, beside the 180 that the kernel takes of the 255 that 256 threads may
    have each. With a velocity, or in float64, it takes more.
    """
    return 4 if itemsize == 4 and not has_velocity and threads <= MAX_THREADS else 0


def scratch_lengths(threads: int) -> tuple[int, ...]:
    """Of the arrays of T in `state.Scratch`, from `sums` on."""
    powers = (MAX_LENGTH + 1,) * 3
    of_threads = 4 * threads, threads, MAX_PARTS, MAX_GROUP, MAX_GROUP
    return (*of_threads, *powers, MAX_LENGTH, MAX_LENGTH, 3, *(MAX_OUTPUTS,) * 3)


def static_bytes(threads: int, itemsize: int) -> int:
    """Shared memory that the kernel has beside what a launch asks for, and a bit for alignment."""
    return itemsize * sum(scratch_lengths(threads)) + 8 * (MAX_LENGTH + 1 + 2 + 2 * MAX_METRICS + 8) + 128
