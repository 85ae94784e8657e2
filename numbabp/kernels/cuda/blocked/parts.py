"""What a phase of the blocked kernel leaves for the next one, which needs it of all blocks of threads.

Every block has a row of `Block.parts`, sums over its own units; after the next barrier every block adds up
all rows.
"""

from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import cuda
from ...layout import FAN_IN, FAN_OUT, WEIGHTS
from ...powers import W_FROM_G
from .state import Weights
from .sums import LOADS, WARP, dot_column, dot_weights_column


@scalar_function
def n_groups(n_units: Any, group: Any) -> Any:
    """Groups that the units of a layer make, the last of which may be smaller."""
    return (n_units + group - 1) // group


@device_function
def read_parts(block: Any, scratch: Any, me: Any, phase: Any, n_rows: Any, t: Any, width: Any) -> None:
    """Add up what the blocks left of the phase before; the first t are inner products (equation 6)."""
    parts, sums = block.parts, scratch.sums
    zero = parts.dtype.type(0)
    before = (phase + 1) % 2
    for first in range(0, width, WARP):
        c = first + me.lane
        total = zero
        if c < width:
            for row in range(me.warp, n_rows, LOADS * me.n_warps):
                for k in range(LOADS):
                    wanted = row + k * me.n_warps
                    value = parts[before, wanted if wanted < n_rows else row, c]
                    total += value if wanted < n_rows else zero
        sums[me.thread] = total
        cuda.syncthreads()
        if me.warp == 0 and c < width:
            total = zero
            for warp in range(me.n_warps):
                total += sums[warp * WARP + me.lane]
            scratch.dots[c] = total * block.powers[t - 1 - c, W_FROM_G] if c < t else total
        cuda.syncthreads()


@scalar_function
def clear_parts(scratch: Any, me: Any, width: Any) -> None:
    """Begin the block's own row."""
    for c in range(me.thread, width, me.n):
        scratch.parts[c] = scratch.parts.dtype.type(0)


@scalar_function
def add_inner_products(
    scratch: Any, me: Any, rows: Any, start: Any, n_units: Any, first: Any, t: Any
) -> None:
    """Add the group's share of the inner products of sample t's units with those of the samples before."""
    count = min(me.group, n_units - first)
    for c in range(me.thread, t, me.n):
        scratch.parts[c] += dot_column(rows, start + c * n_units + first, 1, scratch.fresh, 0, 0, 1, count)


@scalar_function
def add_products(
    network: Any, block: Any, scratch: Any, me: Any, first: Any, t: Any, has_velocity: Any
) -> None:
    """Add the share of the output layer's sums that comes from a group of the last hidden layer."""
    layout = network.layout
    last = len(layout) - 1
    fan_in, fan_out = np.int64(layout[last, FAN_IN]), np.int64(layout[last, FAN_OUT])
    row = np.int64(layout[last, WEIGHTS]) + first * fan_out
    count = min(me.group, fan_in - first)
    of_sample = Weights(network, block.powers, t, has_velocity)
    for k in range(me.thread, fan_out, me.n):
        scratch.parts[t + k] += dot_weights_column(of_sample, row + k, fan_out, scratch.fresh, 0, 0, 1, count)


@device_function
def write_parts(block: Any, scratch: Any, me: Any, phase: Any, width: Any) -> None:
    """Leave the block's row to the next phase."""
    cuda.syncthreads()
    for c in range(me.thread, width, me.n):
        block.parts[phase % 2, me.block, c] = scratch.parts[c]
