"""Kernels that do one thing only: multiply and add, read from the second-level cache, wait, nothing."""

import numba

from numbabp.compiler.cuda import kernel
from numbabp.compiler.toolchain import cuda

CHAINS, ROUNDS = 8, 8
MULTIPLY_ADDS = CHAINS * ROUNDS
"""Of a thread in one turn of the loop of `multiply_add`."""
LOADS = 8
"""Elements that a thread reads in one turn of the loop of `read`."""


@kernel
def multiply_add(result, n, factor, term):
    """n turns of multiply-adds, in chains that do not wait for each other; float32."""
    thread = cuda.grid(1)
    chains = cuda.local.array(CHAINS, numba.float32)
    for k in range(CHAINS):
        chains[k] = numba.float32(k)
    for _ in range(n):
        for _ in range(ROUNDS):
            for k in range(CHAINS):
                chains[k] = chains[k] * factor + term
    total = numba.float32(0)
    for k in range(CHAINS):
        total += chains[k]
    result[thread] = total


@kernel
def read(values, n, result):
    """Every block reads all of a buffer n times, from a place of its own on.

    `values` has a multiple of LOADS times the block's threads; a buffer that is much larger than the first
    cache of a multiprocessor and smaller than the second-level cache comes from the latter.
    """
    stride = cuda.blockDim.x
    n_turns = values.size // (stride * LOADS)
    turn = cuda.blockIdx.x % n_turns
    total = 0.0
    for _ in range(n * n_turns):
        first = turn * (stride * LOADS) + cuda.threadIdx.x
        for k in range(LOADS):
            total += values[numba.uint64(first + k * stride)]  # unsigned: not to be counted from the end
        turn += 1
        if turn == n_turns:
            turn = 0
    result[cuda.grid(1)] = total


@kernel
def wait(n):
    """n barriers, at which all threads of all blocks wait for each other."""
    grid = cuda.cg.this_grid()
    for _ in range(n):
        grid.sync()


@kernel
def nothing(result):
    """What a launch costs."""
