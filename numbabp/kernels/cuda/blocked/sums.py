"""Sums that threads of the blocked kernel share: of a warp, over samples, of four numbers at a time."""

from typing import Any

import numpy as np

from ....compiler.compiling import scalar_function
from ....compiler.cuda import device_function
from ....compiler.toolchain import SIMULATED, cuda
from ..loops import at, rolled
from ..quads import load_quad
from .geometry import MAX_THREADS, QUAD

WARP = 4 if SIMULATED else 32
"""Threads that take a row of weights together."""
FEW = 4
"""Samples that a thread asks for before it waits for the first."""


@scalar_function
def over_samples(values: Any, start: Any, stride: Any, dots: Any, slice: Any, n_slices: Any, t: Any) -> Any:
    """A slice's share of the sum over j < t of dots[j] values[start + j stride]."""
    zero = values.dtype.type(0)
    total = zero
    j = np.int32(slice)
    while j < t:
        rolled()
        for k in range(FEW):
            wanted = np.int32(j + k * n_slices)
            known = wanted if wanted < t else j  # a missing one repeats the first, and does not count
            product = dots[at(known)] * values[np.uint64(start + known * stride)]
            total += product if wanted < t else zero
        j = np.int32(j + FEW * n_slices)
    return total


@scalar_function
def dot_quads(a: Any, i: Any, b: Any, n: Any) -> Any:
    """Sum over k < n, a multiple of 4, of a[i + k] b[k]."""
    zero = a.dtype.type(0)
    sums = (zero, zero, zero, zero)
    for k in range(0, n, QUAD):
        sums = multiply_add(sums, load_quad(a, i + k), load_quad(b, k))
    return total_of(sums)


@scalar_function
def dot_of_group(a: Any, i: Any, stride: Any, fresh: Any, group: Any) -> Any:
    """The same of a[i + k stride] and fresh[k], for k < group, a multiple of 4 that the compiler knows."""
    zero = a.dtype.type(0)
    sums = (zero, zero, zero, zero)
    for k in range(0, group, QUAD):
        here = np.int32(i + k * stride)
        quad = (
            a[at(here)],
            a[at(here + stride)],
            a[at(here + 2 * stride)],
            a[at(here + 3 * stride)],
        )
        sums = multiply_add(sums, quad, load_quad(fresh, k))
    return total_of(sums)


@scalar_function
def dot(a: Any, i: Any, b: Any, n: Any, stride: Any) -> Any:
    """Sum over k < n of a[i + k stride] b[k]."""
    return over_samples(a, i, stride, b, 0, 1, n)


@scalar_function
def multiply_add(sums: Any, a: Any, b: Any) -> Any:
    """Four sums, with a product added to each."""
    return sums[0] + a[0] * b[0], sums[1] + a[1] * b[1], sums[2] + a[2] * b[2], sums[3] + a[3] * b[3]


@scalar_function
def add_scaled(sums: Any, x: Any, quad: Any) -> Any:
    """Four sums, with x times four numbers added."""
    return sums[0] + x * quad[0], sums[1] + x * quad[1], sums[2] + x * quad[2], sums[3] + x * quad[3]


@scalar_function
def total_of(sums: Any) -> Any:
    """Of a quad."""
    return (sums[0] + sums[1]) + (sums[2] + sums[3])


if SIMULATED:

    def _reduced(value: Any, function: Any) -> Any:
        """Of the values of a warp's threads; all threads of the block call it together."""
        values = cuda.shared.array(MAX_THREADS, np.float64)
        thread = cuda.threadIdx.x
        values[thread] = value
        cuda.syncthreads()
        first = thread - thread % WARP
        found = function(values[first : first + WARP])
        cuda.syncthreads()
        return type(value)(found)

    @device_function
    def warp_sum(value: Any) -> Any:
        """Sum over the threads of a warp."""
        return _reduced(value, np.sum)

    @device_function
    def warp_max(value: Any) -> Any:
        """The largest of a warp's values."""
        return _reduced(value, np.max)

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
    def warp_max(value: Any) -> Any:
        """The largest of a warp's values."""
        for offset in (16, 8, 4, 2, 1):
            other = cuda.shfl_xor_sync(0xFFFFFFFF, value, offset)
            value = other if other > value else value
        return value
