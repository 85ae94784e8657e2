"""Sums that threads of the blocked kernel share: over columns and rows of weights, a warp, a block."""

from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import SIMULATED, cuda
from ...powers import W_FROM_V, W_FROM_W
from .geometry import MAX_THREADS

WARP = 4 if SIMULATED else 32
"""Threads that take a row of weights together."""
LOADS = 16
"""Weights that a thread asks for before it waits for the first.

With 256 threads of float32 that is 16 KiB under way on a multiprocessor. Bandwidth times latency is, by
estimate, 13 KiB for each of an H200's 132 from its second-level cache (5.5 TB/s, 0.3 us), and 25 KiB from its
memory (4.8 TB/s, 0.7 us)."""
FEW_LOADS = 4
"""The same for what is left over."""


@scalar_function
def dot_column(
    matrix: Any, start: Any, stride: Any, vector: Any, x: Any, slice: Any, n_slices: Any, n: Any
) -> Any:
    """A slice's share of the sum over i < n of vector[x + i] matrix[start + i stride].

    A slice has runs of neighbours. All loads of a turn are asked for before one is waited for. Offsets are
    unsigned: a signed index might be negative and count from the end, which every load would ask first.
    """
    zero = matrix.dtype.type(0)
    total = zero
    turn = n_slices * LOADS
    whole = n // turn * turn
    row, step = np.uint64(stride), np.uint64(turn)
    i, end = np.uint64(slice * LOADS), np.uint64(whole)
    inputs, at = np.uint64(x), np.uint64(start)
    while i < end:
        for k in range(LOADS):
            j = i + np.uint64(k)
            total += vector[inputs + j] * matrix[at + j * row]
        i += step
    run = (n - whole + n_slices - 1) // n_slices
    i, end = np.uint64(whole + slice * run), np.uint64(min(n, whole + (slice + 1) * run))
    while i < end:
        for k in range(FEW_LOADS):
            wanted = i + np.uint64(k)
            j = wanted if wanted < end else i  # a missing one repeats the first, and does not count
            product = vector[inputs + j] * matrix[at + j * row]
            total += product if wanted < end else zero
        i += np.uint64(FEW_LOADS)
    return total


@scalar_function
def dot_row(matrix: Any, start: Any, vector: Any, x: Any, lane: Any, n: Any) -> Any:
    """A lane's share of the sum over k < n of vector[x + k] matrix[start + k], for a warp."""
    zero = matrix.dtype.type(0)
    total = zero
    k, end = np.uint64(lane), np.uint64(n)
    inputs, at = np.uint64(x), np.uint64(start)
    while k + np.uint64((LOADS - 1) * WARP) < end:
        for i in range(LOADS):
            j = k + np.uint64(i * WARP)
            total += vector[inputs + j] * matrix[at + j]
        k += np.uint64(LOADS * WARP)
    while k < end:
        for i in range(FEW_LOADS):
            wanted = k + np.uint64(i * WARP)
            j = wanted if wanted < end else k
            product = vector[inputs + j] * matrix[at + j]
            total += product if wanted < end else zero
        k += np.uint64(FEW_LOADS * WARP)
    return total


@scalar_function
def dot_weights_column(
    weights: Any, start: Any, stride: Any, vector: Any, x: Any, slice: Any, n_slices: Any, n: Any
) -> Any:
    """`dot_column` with `Weights`."""
    network, powers, t = weights.network, weights.powers, weights.t
    total = powers[t, W_FROM_W] * dot_column(network.parameters, start, stride, vector, x, slice, n_slices, n)
    if weights.has_velocity:
        total += powers[t, W_FROM_V] * dot_column(
            network.velocity, start, stride, vector, x, slice, n_slices, n
        )
    return total


@scalar_function
def dot_weights_row(weights: Any, start: Any, vector: Any, x: Any, lane: Any, n: Any) -> Any:
    """`dot_row` with `Weights`."""
    network, powers, t = weights.network, weights.powers, weights.t
    total = powers[t, W_FROM_W] * dot_row(network.parameters, start, vector, x, lane, n)
    if weights.has_velocity:
        total += powers[t, W_FROM_V] * dot_row(network.velocity, start, vector, x, lane, n)
    return total


if SIMULATED:

    @device_function
    def warp_sum(value: Any) -> Any:
        """Sum over the threads of a warp; all threads of the block call it together."""
        values = cuda.shared.array(MAX_THREADS, np.float64)
        thread = cuda.threadIdx.x
        values[thread] = value
        cuda.syncthreads()
        first = thread - thread % WARP
        total = values[first : first + WARP].sum()
        cuda.syncthreads()
        return type(value)(total)

else:

    @device_function
    def warp_sum(value: Any) -> Any:
        """Sum over the threads of a warp."""
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, 16)
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, 8)
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, 4)
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, 2)
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, 1)
        return value


@device_function
def block_sum(value: Any, sums: Any, n: Any) -> Any:
    """Sum over the first n threads of the block, or all if they are fewer; `sums` is float64, shared."""
    sums[cuda.threadIdx.x] = value
    cuda.syncthreads()
    total = 0.0
    for i in range(min(n, cuda.blockDim.x)):
        total += sums[i]
    cuda.syncthreads()
    return total
