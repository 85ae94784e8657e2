"""Biases, activations, losses and metrics of many samples on a GPU, in the scalar functions of the CPU.

Of one network or of many, on the same samples. The products between are CuPy's. Threads stride over the units
or the rows, so any grid does.
"""

from typing import Any

import numpy as np

from ...compiler.cuda import kernel
from ...compiler.toolchain import cuda
from ...functions.units import activated
from .. import layers


@kernel
def activate_units(code: Any, z: Any, biases: Any, a: Any, n_lanes: Any) -> None:
    """z += b and a = f(z) for rows of units, but for softmax.

    `z` and `a` are flat T (n_networks * n * n_units,), and may be the same array; `biases` is
    T (n_networks, n_units). `n_lanes` threads share the units of a network.
    """
    n_networks, n_units = biases.shape
    size = z.size // n_networks
    for place in range(cuda.grid(1), n_networks * n_lanes, cuda.gridsize(1)):
        network, lane = place // n_lanes, place % n_lanes
        column, shift = lane % n_units, n_lanes % n_units  # one division a thread, not one a unit
        for j in range(network * size + lane, (network + 1) * size, n_lanes):
            biased = z[j] + biases[network, column]
            z[j] = biased
            a[j] = activated(code, biased)
            column += shift
            if column >= n_units:
                column -= n_units


@kernel
def softmax_rows(z: Any, biases: Any, a: Any) -> None:
    """z += b and a = softmax(z) for rows of units, a thread a row; arrays as for `activate_units`."""
    n_networks, n_units = biases.shape
    n_rows = z.size // n_units // n_networks
    for row in range(cuda.grid(1), n_networks * n_rows, cuda.gridsize(1)):
        network, start = row // n_rows, row * n_units
        for k in range(n_units):
            z[start + k] += biases[network, k]
        layers.softmax(z, a, start, n_units)


@kernel
def add_metrics(
    layout: Any, metrics: Any, loss: Any, level: Any, z: Any, a: Any, targets: Any, weights: Any, sums: Any
) -> None:
    """Add each thread's samples to its place of the sums.

    Parameters
    ----------
    layout
        uint64 (1, 8), the output layer's row, with outputs from 0 on.
    metrics
        int64 (n_metrics,), codes of `numbabp.functions.losses.METRICS`.
    loss
        The networks', by which the accuracy decides.
    level
        Of the quantile loss.
    z, a
        T (n_networks, n, n_outputs).
    targets
        T (n, n_outputs).
    weights
        T (n,), or (0,) for weights of 1.
    sums
        float64 (1 + n_metrics, n_networks, n_lanes): the weights, then the weighted metrics, of each of the
        threads that share the samples of a network.
    """
    n_networks, n_lanes = sums.shape[1], sums.shape[2]
    for place in range(cuda.grid(1), n_networks * n_lanes, cuda.gridsize(1)):
        network, lane = place // n_lanes, place % n_lanes
        for i in range(lane, len(targets), n_lanes):
            weight = np.float64(weights[i]) if weights.size > 0 else 1.0
            if weight != 0:
                sums[0, network, lane] += weight
                for m in range(metrics.size):
                    own_z, own_a = z[network, i], a[network, i]
                    value = layers.metric(metrics[m], loss, level, layout, own_z, own_a, targets, i)
                    sums[1 + m, network, lane] += weight * value
