"""Where everything lies that a block of threads of the blocked kernel keeps in its shared memory.

A block's own units have their biases and their activations and deltas of all samples there. What is left is
for weights, which then pass the second-level cache once a block of samples instead of once a step: every
thread has those that it multiplies, in the order in which it does.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ...layout import FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS
from ..loops import at
from .geometry import QUAD, Geometry

# Columns of places, after those of a layout; a layer's units are its outputs. Offsets are numbers of T in the
# shared memory of a launch; ABSENT, where there is none.
N_ROWS = 8
"""Blocks of threads that have units of the layer."""
OWN = 9
"""A block's units, at most: whole groups."""
OWN_AT = 10
"""Their biases, then pre-activations, then the biases' velocity; of the output layer all units'."""
STRIDE = 11
"""From the own units of a sample to those of the next, in the two that follow."""
A_AT, DELTA_AT = 12, 13
"""Activations and deltas of a block's samples; of the output layer targets of one sample, and deltas."""
FORWARD_AT, N_FORWARD = 14, 15
"""Columns of weights that stay, and how many turns of `columns` that is."""
BACKWARD_AT, N_BACKWARD = 16, 17
"""Rows of weights that stay, and how many turns of `rows`; of the output layer, rows of the own units."""
N_HELD = 18
"""Half turns of `rows` before those, which threads hold in registers: of one layer."""
VECTOR_AT, TILE, PARTS = 19, 20, 21
"""The same for all layers: a part of a vector, its length, and a row of Block.parts."""
N_PLACES = 22
ABSENT = -1
TURN, HALF_TURN = 8, 4
"""Quads of weights that a thread asks for before it waits for the first; of rows that stay, half as many.

With 256 threads of float32 that is 32 KiB under way on a multiprocessor. Bandwidth times latency is, by
estimate, 13 KiB for each of an H200's 132 from its second-level cache (5.5 TB/s, 0.3 us), and 25 KiB from its
memory (4.8 TB/s, 0.7 us)."""


@scalar_function
def place(scratch: Any, layer: Any, column: Any) -> Any:
    """An entry of the places, as a signed number of 32 bits, of which products are cheap."""
    return np.int32(scratch.places[at(layer * N_PLACES + column)])


@scalar_function
def weights_at(scratch: Any, layer: Any) -> Any:
    """Where a layer's weights begin among the parameters, of which there may be more than 2^31."""
    return scratch.places[at(layer * N_PLACES + WEIGHTS)]


@scalar_function
def start_of(scratch: Any, layer: Any, column: Any) -> Any:
    """Where a layer's inputs or units begin in arrays of a block of samples."""
    return scratch.places[at(layer * N_PLACES + column)]


def block_layout(layout: np.ndarray) -> tuple[np.ndarray, int]:
    """A network's layout for blocks, and the units of a sample.

    The output layer's units come first, so that their offset is 0 in shared memory too. Every layer begins at
    a multiple of 32 numbers.
    """
    rows = layout.copy()
    offset = 0
    for layer in (len(rows) - 1, *range(len(rows) - 1)):
        rows[layer, OUTPUTS] = offset
        offset += -(-int(rows[layer, FAN_OUT]) // 32) * 32
    rows[1:, INPUTS] = rows[:-1, OUTPUTS]
    return rows, offset


def is_aligned(layout: np.ndarray) -> bool:
    """Whether quads of hidden layers' units, and of the weights between them, can be loaded at once."""
    between = layout[1:-1, [FAN_IN, FAN_OUT, WEIGHTS]]
    return not (between % QUAD).any()


class _Memory:
    """Shared memory that is dealt out piece by piece, by numbers of T."""

    def __init__(self, used: int, most: int) -> None:
        self.used, self.most = used, most

    def take(self, n: int) -> int:
        """The offset of n numbers more; every piece begins at a quad."""
        at, self.used = self.used, self.used + -(-n // QUAD) * QUAD
        return at

    def has(self, n: int) -> bool:
        """Whether n numbers more would fit."""
        return self.used + n + QUAD <= self.most


def block_places(
    layout: np.ndarray,
    geometry: Geometry,
    length: int,
    itemsize: int,
    shared: int,
    warp: int = 32,
    n_held: int = 0,
) -> tuple[np.ndarray, int]:
    """Places for blocks of so many samples, and the bytes of shared memory that a launch asks for.

    Parameters
    ----------
    layout
        From `block_layout`.
    shared
        Bytes that a block may have beside what the kernel has unasked.
    warp
        Threads of a warp.
    n_held
        Half turns of rows that a thread has registers for.

    Raises
    ------
    ValueError
        If the network has so many units that not even they fit.
    """
    n_layers = len(layout)
    places = np.zeros((n_layers, N_PLACES), np.int64)
    places[:, :8] = layout.astype(np.int64)
    places[:, [INPUTS, OUTPUTS]] *= length
    places[:, [A_AT, DELTA_AT, FORWARD_AT, BACKWARD_AT]] = ABSENT
    n_groups = -(-places[:, FAN_OUT] // geometry.group)
    places[:, N_ROWS] = np.minimum(geometry.grid, n_groups)
    places[:, OWN] = -(-n_groups // geometry.grid) * geometry.group
    outputs = int(places[-1, FAN_OUT])
    places[-1, OWN] = outputs
    places[:, PARTS] = -(-(length + outputs) // QUAD) * QUAD
    memory = _Memory(-(-places.size * 8 // itemsize), shared // itemsize)
    memory.take(0)
    memory.used = -(-memory.used // QUAD) * QUAD
    for row in places:
        row[OWN_AT] = memory.take(3 * int(row[OWN]))
    places[-1, A_AT] = memory.take(outputs)
    _place_vector(places, memory, geometry, warp)
    if memory.used > memory.most:
        raise ValueError(
            f"the network is too wide for this GPU: its units need {memory.used * itemsize:,} bytes of a "
            f"block's shared memory, and {shared:,} are left; device='cpu' trains it"
        )
    _place_samples(places, memory, length)
    _place_weights(places, memory, geometry, warp, n_held)
    return places, memory.used * itemsize


def _place_vector(places: np.ndarray, memory: _Memory, geometry: Geometry, warp: int) -> None:
    """A vector that weights are multiplied with, or as much of it as half the memory holds."""
    step = step_of_tile(geometry.threads, geometry.threads // (geometry.group // QUAD), warp)
    hidden = [int(n) for n in places[:-1, FAN_OUT]]
    widest = -(-max(hidden, default=1) // step) * step
    tile = max(step, min(widest, (memory.most - memory.used) // 2 // step * step))
    places[:, VECTOR_AT], places[:, TILE] = memory.take(tile), tile


@scalar_function
def step_of_tile(threads: Any, n_parts: Any, warp: Any) -> Any:
    """What a tile's length is a multiple of, for whole turns forwards, backwards and of copying."""
    return max(TURN * n_parts, TURN * QUAD * warp, QUAD * threads)


def _place_samples(places: np.ndarray, memory: _Memory, length: int) -> None:
    """Activations and deltas of all samples of a block, for its own units; and the output layer's weights."""
    *hidden, output = places
    outputs = int(output[FAN_OUT])
    output[STRIDE] = outputs
    if memory.has(length * outputs):
        output[DELTA_AT] = memory.take(length * outputs)
    if hidden and memory.has(int(hidden[-1][OWN]) * outputs):
        output[BACKWARD_AT] = memory.take(int(hidden[-1][OWN]) * outputs)
    for row in hidden:
        row[STRIDE] = int(row[OWN]) + QUAD  # so that neighbouring samples do not meet in one bank
        for column in (A_AT, DELTA_AT):
            if memory.has(length * int(row[STRIDE])):
                row[column] = memory.take(length * int(row[STRIDE]))


def _place_weights(places: np.ndarray, memory: _Memory, geometry: Geometry, warp: int, n_held: int) -> None:
    """Columns, then rows of hidden layers, as many as fit; the first rows of the first layer in registers."""
    threads, group = geometry.threads, geometry.group
    n_parts = threads // (group // QUAD)
    for row in places[1:-1]:
        wanted = int(row[OWN]) // group * -(-int(row[FAN_IN]) // (TURN * n_parts))
        _keep(row, (FORWARD_AT, N_FORWARD), wanted, TURN * QUAD * threads, memory)
    for below, row in pairwise(places[:-1]):
        rows = int(below[OWN]) // group * max(1, group // (threads // warp))
        wanted = rows * -(-int(row[FAN_OUT]) // (TURN * QUAD * warp)) * (TURN // HALF_TURN)
        row[N_HELD] = min(n_held, wanted)
        wanted, n_held = wanted - int(row[N_HELD]), 0
        _keep(row, (BACKWARD_AT, N_BACKWARD), wanted, HALF_TURN * QUAD * threads, memory)


def _keep(row: np.ndarray, columns: Sequence[int], wanted: int, size: int, memory: _Memory) -> None:
    n = max(0, min(wanted, (memory.most - memory.used) // size))
    row[list(columns)] = memory.take(n * size), n
