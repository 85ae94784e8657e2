"""The gradient of many samples, a part of them at a time: of a large mini-batch, or of all for L-BFGS."""

from typing import Any

from ...compiler.compiling import subroutine, training_kernel
from ..layout import BIASES, FAN_IN, WEIGHTS, ZERO
from ..state import DIVERGED, PAUSED, SAMPLE, WEIGHTLESS
from .batch import divisor_of, gather
from .layers import (
    bias_gradient,
    forward_layer,
    observe_rows,
    pack_deltas,
    send_back,
    sparse_gradient,
    weight_gradient,
)


@subroutine
def add_gradients(model: Any, samples: Any, batch: Any, n: Any, has_begun: Any) -> None:
    """Backpropagate some samples of a mini-batch, and add to its gradient in model.gradient."""
    gradient, layout = model.gradient, model.layout
    real = gradient.dtype.type
    kept = real(1) if has_begun else real(0)
    for layer in range(len(layout) - 1, -1, -1):
        w, b = layout[layer, WEIGHTS], layout[layer, BIASES]
        if layer > 0:
            send_back(model, batch, layer, n)
        if samples.starts is not None and layer == 0:
            if not has_begun:
                for j in range(w, b):
                    gradient[j] = 0
            sparse_gradient(model, samples, batch, n, gradient, real(1))
        else:
            pack_deltas(model, batch, layer, n)
            weight_gradient(model, batch, layer, n, ZERO, layout[layer, FAN_IN], w, kept)
        bias_gradient(model, batch, layer, n, b, kept)


@training_kernel
def mean_gradient(model: Any, samples: Any, run: Any, batch: Any) -> int:
    """Gradient of the mean loss of all samples in model.gradient, and the losses on record.

    Parameters
    ----------
    model, samples, run, batch
        As for `train_minibatch`; no parameter is changed, and penalties are left to the caller.

    Returns
    -------
    int
        `PAUSED`, or as from `train_minibatch` `DIVERGED` or `WEIGHTLESS`.
    """
    n_samples, rows = samples.order.size, len(batch.picks)
    divisor = divisor_of(samples, batch, 0, n_samples)
    if divisor == 0:
        return WEIGHTLESS
    has_begun = False
    for start in range(0, n_samples, rows):
        n = gather(samples, batch, start, min(start + rows, n_samples))
        if n > 0:
            for layer in range(len(model.layout)):
                forward_layer(model, samples, batch, layer, n)
            finite = observe_rows(model, samples, run, batch, n, divisor, n_samples)
            if finite < n:
                run.position[SAMPLE] = batch.picks[finite]
                return DIVERGED
            add_gradients(model, samples, batch, n, has_begun)
            has_begun = True
    return PAUSED
