"""Activations of many samples at once, and the losses and metrics of their outputs.

The products between are NumPy's, that is BLAS: without an update after every sample nothing keeps them apart.
"""

from typing import Any

import numpy as np

from ..compiler.compiling import kernel
from ..functions.activations import SOFTMAX
from .layers import activate, metric, output_gradient


@kernel
def activate_rows(code: Any, z: Any, a: Any, n_units: Any) -> None:
    """a = f(z) for rows of n_units, both flat T (n * n_units,).

    The two may not be the same array: LLVM keeps a scalar loop for that case (4 times slower).
    """
    n = n_units if code == SOFTMAX else np.uint64(z.size)  # only softmax looks beyond one unit
    for start in range(np.uint64(0), np.uint64(z.size), n):
        activate(code, z, a, start, n)


@kernel
def sum_metrics(
    layout: Any,
    loss: Any,
    metrics: Any,
    z: Any,
    a: Any,
    targets: Any,
    weights: Any,
    delta: Any,
    sums: Any,
) -> None:
    """Add the samples' weighted loss, weight and weighted metrics to sums (2 + n_metrics,).

    `z` and `a` are T (n, n_outputs); `layout` is one row whose outputs begin at 0; `delta` T (n_outputs,)
    is scratch.
    """
    for i in range(len(z)):
        weight = weights[i] if weights.size > 0 else a.dtype.type(1)
        if weight != 0:
            sums[0] += weight * output_gradient(loss, layout, z[i], a[i], targets, i, delta)
            sums[1] += weight
            for m in range(metrics.size):
                sums[2 + m] += weight * metric(metrics[m], loss, layout, z[i], a[i], targets, i)
