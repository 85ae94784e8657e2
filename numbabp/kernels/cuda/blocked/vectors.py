"""What a stage of the blocked kernel multiplies weights with: the vector of a neighbouring layer's units."""

from typing import Any, NamedTuple

import numpy as np

from ....compiler.compiling import scalar_function
from ...layout import FAN_OUT, OUTPUTS
from ..loops import rolled
from ..quads import load_quad_of, store_quad
from .geometry import QUAD
from .places import TILE, VECTOR_AT, place, start_of, step_of_tile
from .sums import WARP


class Vector(NamedTuple):
    """In the device's memory, where all blocks of threads left it."""

    values: Any  # T
    start: Any
    n: Any  # 0, where there is none


@scalar_function
def vector_of(block: Any, scratch: Any, stage: Any) -> Any:
    """That of a stage: activations below its layer, or deltas above; none for the first and the output's."""
    other = np.int32(stage.layer + (1 if stage.is_backward else -1))
    other = max(other, np.int32(0))
    values = block.delta if stage.is_backward else block.a
    n = place(scratch, other, FAN_OUT)
    start = start_of(scratch, other, OUTPUTS) + np.int64(stage.t) * n
    return Vector(values, start, np.int32(0) if stage.is_output or stage.number == 0 else n)


@scalar_function
def vector_quad(vector: Any, i: Any, is_aligned: Any) -> Any:
    """Four numbers from i on, and zeros behind the end."""
    values, start, n = vector.values, vector.start, vector.n
    zero = values.dtype.type(0)
    if is_aligned:
        if i < n:
            return load_quad_of(values, start, i)
        return zero, zero, zero, zero
    return (
        values[np.uint64(start + i)] if i < n else zero,
        values[np.uint64(start + i + 1)] if np.int32(i + 1) < n else zero,
        values[np.uint64(start + i + 2)] if np.int32(i + 2) < n else zero,
        values[np.uint64(start + i + 3)] if np.int32(i + 3) < n else zero,
    )


@scalar_function
def ask_for_vector(vector: Any, me: Any) -> Any:
    """A thread's first two quads, with which most vectors are whole."""
    first = np.int32(QUAD * me.thread)
    second = np.int32(first + QUAD * me.n)
    return vector_quad(vector, first, me.is_aligned), vector_quad(vector, second, me.is_aligned)


@scalar_function
def store_vector(vector: Any, scratch: Any, me: Any, held: Any) -> None:
    """Put what was asked for, and what else the first tile holds, to where products look for it."""
    at, end = place(scratch, 0, VECTOR_AT), end_of_tile(scratch, me, vector.n)
    first = np.int32(QUAD * me.thread)
    if first < end:
        store_quad(scratch.pool, at + first, held[0])
    first = np.int32(first + QUAD * me.n)
    if first < end:
        store_quad(scratch.pool, at + first, held[1])
    copy_vector(vector, 0, scratch, me, 2)


@scalar_function
def copy_vector(vector: Any, begin: Any, scratch: Any, me: Any, from_turn: Any) -> None:
    """As much of a vector as the tile holds, from `begin` on, and from a thread's quad of this number on."""
    at, end = place(scratch, 0, VECTOR_AT), end_of_tile(scratch, me, np.int32(vector.n - begin))
    first = np.int32(QUAD * (from_turn * me.n + me.thread))
    while first < end:
        rolled()
        store_quad(scratch.pool, at + first, vector_quad(vector, np.int32(begin + first), me.is_aligned))
        first = np.int32(first + QUAD * me.n)


@scalar_function
def end_of_tile(scratch: Any, me: Any, n: Any) -> Any:
    """How much of the tile a vector of n takes, with the zeros that make turns whole."""
    step = step_of_tile(me.n, me.n_parts, WARP)  # a power of 2
    return min(np.int32((n + step - 1) & -step), place(scratch, 0, TILE))
