"""Biases, activations, losses and metrics of many samples on a GPU, in the scalar functions of the CPU.

The products between are CuPy's. Threads stride over the units or the rows, so any grid does.
"""

from typing import Any

import numpy as np
from numba import cuda

from .. import layers
from ..units import activated
from .compiling import kernel


@kernel
def activate_units(code: Any, z: Any, biases: Any, a: Any) -> None:
    """z += b and a = f(z) for rows of units, but for softmax.

    `z` and `a` are flat T (n * n_units,), and may be the same array; `biases` is T (n_units,).
    """
    n_units = biases.size
    step = cuda.gridsize(1)
    column, shift = cuda.grid(1) % n_units, step % n_units  # one division a thread, not one a unit
    for j in range(cuda.grid(1), z.size, step):
        biased = z[j] + biases[column]
        z[j] = biased
        a[j] = activated(code, biased)
        column += shift
        if column >= n_units:
            column -= n_units


@kernel
def softmax_rows(z: Any, biases: Any, a: Any) -> None:
    """z += b and a = softmax(z) for rows of units, a thread a row; arrays as for `activate_units`."""
    n_units = biases.size
    for start in range(cuda.grid(1) * n_units, z.size, cuda.gridsize(1) * n_units):
        for k in range(n_units):
            z[start + k] += biases[k]
        layers.softmax(z, a, start, n_units)


@kernel
def add_metrics(
    layout: Any, metrics: Any, loss: Any, z: Any, a: Any, targets: Any, weights: Any, sums: Any
) -> None:
    """Add each thread's samples to its column of sums.

    Parameters
    ----------
    layout
        uint64 (1, 8), the output layer's row, with outputs from 0 on.
    metrics
        int64 (n_metrics,), codes of `numbabp.losses.METRICS`.
    loss
        The network's, by which the accuracy decides.
    z, a, targets
        T (n, n_outputs).
    weights
        T (n,), or (0,) for weights of 1.
    sums
        float64 (1 + n_metrics, threads of the grid): the weights, then the weighted metrics.
    """
    thread = cuda.grid(1)
    for i in range(thread, len(z), cuda.gridsize(1)):
        weight = np.float64(weights[i]) if weights.size > 0 else 1.0
        if weight != 0:
            sums[0, thread] += weight
            for m in range(metrics.size):
                value = layers.metric(metrics[m], loss, layout, z[i], a[i], targets, i)
                sums[1 + m, thread] += weight * value
