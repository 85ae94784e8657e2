"""The order of samples, drawn inside kernels so that epochs of a few samples need not return to Python.

The generator is splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014):
its state is one 64-bit counter, the same on every device. Seeds come from the caller's `random_state`.
"""

from typing import Any

import numpy as np

from ..compiler.compiling import kernel, scalar_function

_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)


@scalar_function
def next_random(state: Any) -> Any:
    """Next 64 random bits; `state` is an array of one uint64, advanced in place."""
    state[0] += _INCREMENT
    x = state[0]
    x = (x ^ (x >> np.uint64(30))) * _MULTIPLIER_1
    x = (x ^ (x >> np.uint64(27))) * _MULTIPLIER_2
    return x ^ (x >> np.uint64(31))


@scalar_function
def shuffle(order: Any, state: Any) -> None:
    """Permute `order` in place (Fisher-Yates; Knuth, TAOCP 2, algorithm 3.4.2P).

    A position below n is drawn as the high part of 32 random bits times n: its bias, at most n / 2^32,
    is far below what any training could notice.
    """
    for last in range(order.size - 1, 0, -1):
        bits = next_random(state) >> np.uint64(32)
        j = np.int64((bits * np.uint64(last + 1)) >> np.uint64(32))
        order[last], order[j] = order[j], order[last]


@kernel
def draw_orders(order: Any, state: Any, orders: Any) -> None:
    """The orders of as many epochs as there are rows, int32 (epochs, n); with `state` (0,) all as it is.

    `order`, int64 (n,), and `state` are left as after the last epoch, from where a later call goes on.
    """
    for epoch in range(len(orders)):
        if state.size > 0:
            shuffle(order, state)
        for i in range(order.size):
            orders[epoch, i] = order[i]


@kernel
def draw_order(order: Any, state: Any) -> None:
    """`shuffle`, for loops over samples that are not themselves compiled."""
    shuffle(order, state)
