"""Orders of samples that networks of a population draw on a GPU, each for itself.

A thread permutes a network's order where it lies. Two places of it, far apart, are read and written for each
sample: an epoch's orders take the memory's bandwidth, and may take longer than an epoch of a tiny network.
"""

from typing import Any

from ....compiler.cuda import kernel
from ....compiler.toolchain import cuda
from ...shuffling import shuffle

THREADS = 64
"""Of a block."""


@kernel
def draw_own_orders(orders: Any, states: Any) -> None:
    """The next epoch's orders from this one's, in place; see `shuffling.shuffle`.

    Parameters
    ----------
    orders
        int32 (n_networks, n).
    states
        uint64 (n_networks,), of random generators.
    """
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < orders.shape[0]:
        shuffle(orders[i], states[i : i + 1])
