"""The first layer of a chunk in blocks of samples: its weights are read and written once a block.

All lanes have the same inputs, so that with W the first layer's weights at the block's start, u_s the update
of step s (rate times weight times delta) and 1 - p_s what the penalty leaves of the weights in that step,

    W_t = (p_0 ... p_t-1) W - sum_{s<t} (p_s+1 ... p_t-1) u_s x_s^T,

every step's pre-activations come from the products of the samples with W, which are taken for the whole
block at once, and from the products x_s . x_t of samples, which all networks share. The same trajectory as
step by step, up to rounding; see `blocked` for the identity. A step of a 64-32-10 network in float32 takes
87 ns with blocks of 8, 121 without.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function, subroutine
from ...compiler.vectors import load, n_lanes, splat, store
from ..layout import FAN_IN, FAN_OUT, FOUR, ONE, THREE, TWO, ZERO
from .chunks import SAMPLES, STEP_SHRINK

_K = np.uint64(SAMPLES)


@subroutine
def _take_samples(chunk: Any, samples: Any, j: Any, count: Any) -> None:
    """Inputs of the samples from the order's entry j on, zeros beyond `count`, and their products."""
    x, gram = chunk.block.inputs, chunk.block.gram
    zero = x.dtype.type(0)
    for t in range(_K):
        s = chunk.order[j + np.int64(min(t, count - ONE))]
        for i in range(chunk.layout[0, FAN_IN]):
            x[i * _K + t] = samples.inputs[s, i] if t < count else zero
    for st in range(gram.size):
        gram[st] = zero
    for i in range(ZERO, np.uint64(x.size), _K):
        for s in range(_K):
            for t in range(_K):
                gram[s * _K + t] += x[i + s] * x[i + t]


@subroutine
def begin_block(chunk: Any, samples: Any, j: Any, count: Any) -> None:
    """Products of `count` samples from the order's entry j on with the present weights."""
    _take_samples(chunk, samples, j, count)
    w, x, products = chunk.parameters, chunk.block.inputs, chunk.block.products
    L = n_lanes(w)
    fan_in, size = chunk.layout[0, FAN_IN], chunk.layout[0, FAN_OUT]
    one = splat(w.dtype.type(1))
    store(chunk.block.left, ZERO, one)
    for t in range(ZERO, _K * L, L):
        store(chunk.block.kept, t, one)
    zero = one - one
    for k in range(ZERO, size, L):
        for t in range(ZERO, count, FOUR):
            sum_0 = sum_1 = sum_2 = sum_3 = zero
            for i in range(fan_in):
                weight = load(w, k * fan_in + i * L)
                at = i * _K + t
                sum_0 = sum_0 + x[at] * weight
                sum_1 = sum_1 + x[at + ONE] * weight
                sum_2 = sum_2 + x[at + TWO] * weight
                sum_3 = sum_3 + x[at + THREE] * weight
            row = t * size + k
            store(products, row, sum_0)
            store(products, row + size, sum_1)
            store(products, row + TWO * size, sum_2)
            store(products, row + THREE * size, sum_3)


@scalar_function
def first_pre_activation(chunk: Any, with_l2: Any, size: Any, bias: Any, t: Any, k: Any) -> Any:
    """z = b + W_t^T x_t of the first layer's unit at k, for sample t of the block."""
    block, L = chunk.block, n_lanes(chunk.parameters)
    product = load(block.products, t * size + k)
    if with_l2:
        product = load(block.left, ZERO) * product
    total = bias + product
    for s in range(t):
        update = load(block.updates, s * size + k)
        if with_l2:
            update = load(block.kept, s * L) * update
        total = total - block.gram[s * _K + t] * update
    return total


@scalar_function
def keep_update(chunk: Any, size: Any, t: Any, k: Any, update: Any) -> None:
    """Keep the update of the unit at k in step t."""
    store(chunk.block.updates, t * size + k, update)


@scalar_function
def shrink_kept(chunk: Any, t: Any) -> None:
    """What the penalty of step t leaves of the weights and of the earlier updates."""
    L = n_lanes(chunk.lanes)
    shrink = load(chunk.lanes, STEP_SHRINK * L)
    left, kept = chunk.block.left, chunk.block.kept
    store(left, ZERO, load(left, ZERO) - shrink * load(left, ZERO))
    for s in range(ZERO, t * L, L):
        store(kept, s, load(kept, s) - shrink * load(kept, s))


@subroutine
def end_block(chunk: Any, with_l2: Any, count: Any) -> None:
    """The weights after the block's steps."""
    w, x, block = chunk.parameters, chunk.block.inputs, chunk.block
    L = n_lanes(w)
    fan_in, size = chunk.layout[0, FAN_IN], chunk.layout[0, FAN_OUT]
    if with_l2:
        left = load(block.left, ZERO)
        for j in range(ZERO, fan_in * size, L):
            store(w, j, left * load(w, j))
        for s in range(count):
            for k in range(s * size, (s + ONE) * size, L):
                store(block.updates, k, load(block.kept, s * L) * load(block.updates, k))
    for k in range(ZERO, size, L):
        for t in range(ZERO, count, FOUR):
            row = t * size + k
            update_0, update_1 = load(block.updates, row), load(block.updates, row + size)
            update_2 = load(block.updates, row + TWO * size)
            update_3 = load(block.updates, row + THREE * size)
            for i in range(fan_in):
                j, at = k * fan_in + i * L, i * _K + t
                weight = (load(w, j) - x[at] * update_0) - x[at + ONE] * update_1
                store(w, j, (weight - x[at + TWO] * update_2) - x[at + THREE] * update_3)
