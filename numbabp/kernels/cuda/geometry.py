"""How many threads take a network in the blocked form, and how its units are dealt out to them."""

from collections.abc import Sequence
from typing import NamedTuple

from .memory import Device, is_simulated

MAX_THREADS = 512
"""Of a block: 64 Ki registers are 128 for each. More threads ask for more weights at once."""
GROUPS = (8, 16, 32)
"""Units that a block may take at a time: neighbours, whose float32 weights fill whole sectors of 32 bytes."""


class Geometry(NamedTuple):
    """Shape of a launch of `blocked.train_block`."""

    grid: int
    """Blocks of threads: one a multiprocessor, so that all run at once, which barriers of the grid need."""
    threads: int
    """Of a block."""
    group: int
    """Units of a layer that a block takes at a time."""
    shared: int
    """Bytes of a block's shared memory."""
    busiest: int
    """Weights that the block with the most units reads in a step."""


def blocked_geometry(
    layer_sizes: Sequence[int], block_length: int, itemsize: int, device: Device
) -> Geometry:
    """The geometry whose busiest block has the fewest weights.

    Parameters
    ----------
    layer_sizes
        (n_inputs, ..., n_outputs).
    block_length
        K, samples of a block.
    itemsize
        4 or 8, the dtype's bytes.
    device
        The GPU.
    """
    if is_simulated():
        threads, groups = 8, (4,)
    else:
        threads, groups = MAX_THREADS, GROUPS
    busiest, group = min((_busiest(layer_sizes, group, device.n_multiprocessors), -group) for group in groups)
    group = -group  # the largest of equals, which leaves the fewest sums to be added up
    most = max((-(-n // group) for n in layer_sizes[1:-1]), default=1)
    numbers = scratch_numbers(threads, group, block_length, layer_sizes[-1], itemsize)
    return Geometry(min(device.n_multiprocessors, most), threads, group, numbers * itemsize, busiest)


def scratch_numbers(threads: int, group: int, block_length: int, n_outputs: int, itemsize: int) -> int:
    """Numbers of the dtype in a block's shared memory, as `blocked.Scratch` has them."""
    in_float64 = threads * 8 // itemsize
    return in_float64 + threads + 2 * (block_length + n_outputs) + 2 * group + 5 * n_outputs


def _busiest(layer_sizes: Sequence[int], group: int, n_blocks: int) -> int:
    """Weights that the block with the most units reads in a step: a unit's columns forwards, rows backwards."""
    weights = 0
    for fan_in, n_units, fan_out in zip(layer_sizes, layer_sizes[1:], layer_sizes[2:], strict=False):
        rounds = -(-n_units // (group * n_blocks))
        weights += rounds * group * (fan_in + fan_out)
    return weights
