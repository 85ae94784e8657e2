"""Activations of many samples at once, and the losses and metrics of their outputs.

The products between are NumPy's, that is BLAS: without an update after every sample nothing keeps them apart.
"""

from typing import Any

import numpy as np

from ..compiling import kernel
from .layers import activate, metric, output_delta


@kernel
def activate_rows(code: Any, z: Any, a: Any) -> None:
    """A = f(z) for every row of T (n, n_units) arrays; `a` may be `z` itself, except for softmax."""
    n_units = np.uint64(z.shape[1])
    for i in range(len(z)):
        activate(code, z[i], a[i], np.uint64(0), n_units)


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
            sums[0] += weight * output_delta(loss, layout, z[i], a[i], targets, i, delta)
            sums[1] += weight
            for m in range(metrics.size):
                sums[2 + m] += weight * metric(metrics[m], loss, layout, z[i], a[i], targets, i)
