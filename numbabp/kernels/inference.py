"""Activations of many samples at once, and the losses and metrics of their outputs.

The products between are NumPy's, that is BLAS: without an update after every sample nothing keeps them apart;
but strictly they are taken sample by sample, as training takes them.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..compiler.compiling import kernel
from ..compiler.constants import constant
from ..functions.activations import ACTIVATIONS, SOFTMAX
from ..functions.losses import LOSSES
from .layers import accuracy, activate, forward, metric, output_gradient
from .layout import OUTPUTS


@cache
def make_activate_rows(activation: str) -> Callable[..., None]:
    """A kernel for one activation: all of them would take six times as long to compile."""
    code = ACTIVATIONS[activation]

    @kernel
    def activate_rows(z: Any, a: Any, n_units: Any) -> None:
        """a = f(z) for rows of n_units, both flat T (n * n_units,).

        The two may not be the same array: LLVM keeps a scalar loop for that case (4 times slower).
        """
        n = n_units if code == SOFTMAX else np.uint64(z.size)  # only softmax looks beyond one unit
        for start in range(np.uint64(0), np.uint64(z.size), n):
            activate(constant(code), z, a, start, n)

    return activate_rows


@cache
def make_sum_metrics(loss: str, only_accuracy: bool) -> Callable[..., None]:
    """A kernel for one loss, with any metrics or just the accuracy, if there are any."""
    loss_code = LOSSES[loss]

    @kernel
    def sum_metrics(
        layout: Any, level: Any, metrics: Any, outputs: Any, targets: Any, weights: Any, delta: Any, sums: Any
    ) -> None:
        """Add the samples' weighted loss, weight and weighted metrics to sums (2 + n_metrics,).

        `outputs` are z and a, both T (n, n_outputs); `layout` is one row whose outputs begin at 0; `delta` T
        (n_outputs,) is scratch; `level` is the quantile loss's.
        """
        z, a = outputs
        of_loss = constant(loss_code)
        for i in range(len(z)):
            weight = weights[i] if weights.size > 0 else a.dtype.type(1)
            if weight != 0:
                sums[0] += weight * output_gradient(of_loss, level, layout, z[i], a[i], targets, i, delta)
                sums[1] += weight
                for m in range(metrics.size):
                    if only_accuracy:
                        sums[2 + m] += weight * accuracy(of_loss, layout, a[i], targets, i)
                    else:
                        value = metric(metrics[m], of_loss, level, layout, z[i], a[i], targets, i)
                        sums[2 + m] += weight * value

    return sum_metrics


@kernel
def outputs_of_rows(model: Any, inputs: Any, z: Any, a: Any) -> None:
    """Pre-activations and activations T (n, n_outputs) of the output layer for inputs T (n, n_inputs)."""
    last = model.layout[len(model.layout) - 1]
    units = model.units
    for s in range(len(inputs)):
        for i in range(inputs.shape[1]):
            units[1, i] = inputs[s, i]
        forward(model, units[0], units[1])
        for k in range(z.shape[1]):
            z[s, k] = units[0, last[OUTPUTS] + np.uint64(k)]
            a[s, k] = units[1, last[OUTPUTS] + np.uint64(k)]
