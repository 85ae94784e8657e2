"""The first layer's pre-activations in blocks, with its velocity made of recent samples.

Section 9 of docs/blocked.md; numbers in brackets are its equations.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function, subroutine
from ..blocked import multiply_first
from ..layout import FAN_IN, FAN_OUT, OUTPUTS
from ..products.blas import add_product
from ..products.inner import AT_ONCE, inner_products
from .past import AGE, COUNT, n_counting, pieces
from .split import after

AT_HAND = 32
"""Samples before that stay in the second cache while a block's pass by."""
NEAR_BYTES = 500_000
"""Of deltas that are read for every few samples of a block;"""
MANY = 64
"""where they are more, so many samples go at once."""


@scalar_function
def _size(layout: Any) -> Any:
    """fan_in and fan_out of the first layer."""
    return np.int64(layout[0, FAN_IN]), np.int64(layout[0, FAN_OUT])


@subroutine
def fill_coefficients(past: Any, of: Any) -> None:
    """What a delta has in later samples' pre-activations, by the steps in between (equation 11).

    That of s steps is the s-th from the end; of the past 0 from as many steps on as count.
    """
    real = past.within.dtype.type
    n, count = len(past.within), past.place[COUNT]
    for s in range(n):
        c = of.slow_gradient * after(of.slow, s) + of.mix * of.fast_gradient * after(of.fast, s)
        past.within[n - 1 - s] = real(c)
    last = len(past.fading) - 1
    for s in range(last + 1):
        c = of.mix * of.fast_gradient * after(of.fast, s) if s < count else 0.0
        past.fading[last - s] = real(c)


@scalar_function
def weigh(products: Any, coefficients: Any, start: Any, n: Any) -> None:
    """The first n products times as many coefficients from a start on, by unsigned indices, for vectors."""
    first = np.uint64(start)
    for j in range(np.uint64(n)):
        products[j] *= coefficients[first + j]


@subroutine
def _fill_near(x: Any, past: Any, head: Any) -> None:
    """Products of a block's samples with those before it that count, times what F does with them."""
    count, last = past.place[COUNT], len(past.fading) - 1
    n = n_counting(past)
    for start, until, before in pieces(past, head, n):
        for row in range(start, until, AT_HAND):
            end, column = min(row + AT_HAND, until), before + row - start
            for first in range(0, len(x), AT_ONCE):
                if column + end - row > first + n - count:  # some of them count for some of these samples
                    inner_products(
                        past.near, column, x, past.inputs[row:end], first, min(first + AT_ONCE, len(x))
                    )
    for t in range(len(x)):
        oldest = min(n, max(0, t + n - count))
        shift = last - (t + n - 1)
        for j in range(oldest):
            past.near[t, j] = 0
        weigh(past.near[t, oldest:], past.fading, shift + oldest, n - oldest)


@subroutine
def _add_past(z: Any, past: Any, head: Any) -> None:
    """What is in F of the blocks before, to the pre-activations of a block's samples (equation 11)."""
    count, fan_out = past.place[COUNT], z.shape[1]
    n = n_counting(past)
    # few samples at a time leave out the most that does not count, but read all deltas as often
    few = n * fan_out * z.itemsize <= NEAR_BYTES
    step = AT_ONCE if few else MANY
    for first in range(0, len(z), step):
        end = min(first + step, len(z))
        oldest = max(0, first + n - count)
        for start, until, before in pieces(past, head, n):
            begin = start + max(0, oldest - before)
            if begin < until:
                near = past.near[first:end, before + begin - start : before + until - start]
                add_product(1, z[first:end], near, past.deltas[begin:until, :fan_out])


@subroutine
def begin_block(model: Any, block: Any, past: Any, of: Any, head: Any, n: Any) -> None:
    """Pre-activations of the first layer but for what the block itself changes (equation 11)."""
    real = model.parameters.dtype.type
    fan_in, fan_out = _size(model.layout)
    slow = model.parameters[: fan_in * fan_out].reshape((fan_in, fan_out))
    out = np.int64(model.layout[0, OUTPUTS])
    rows = past.inputs[head : head + n]
    x, z = rows[:, :fan_in], block.z[:n, out : out + fan_out]
    multiply_first(z, x, slow, len(block.a))
    if of.slow != 0:
        for t in range(n):
            kept = real(after(of.slow, t))
            for k in range(fan_out):
                z[t, k] *= kept
    age = past.place[AGE]
    if age < past.place[COUNT]:  # what there was at the split still counts
        fast = model.moments.reshape(model.moments.size)[: fan_in * fan_out].reshape((fan_in, fan_out))
        multiply_first(block.carried[:n], x, fast, len(block.a))
        for t in range(n):
            carried = real(of.mix * after(of.fast, age + t))
            for k in range(fan_out):
                z[t, k] += carried * block.carried[t, k]
    if age > 0:
        _fill_near(rows, past, head)
        _add_past(z, past, head)
    for first in range(0, n, AT_ONCE):
        end = min(first + AT_ONCE, n)
        inner_products(block.gram, 0, rows, rows[:end], first, end)
        for t in range(first, end):
            weigh(block.gram[t], past.within, len(past.within) - t, t)
