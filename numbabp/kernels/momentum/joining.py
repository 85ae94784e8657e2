"""Layers with W and v, and with S and F in their places: the first one, and those delayed.

Numbers in brackets are equations of docs/blocked.md.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import kernel, scalar_function, subroutine
from ..layout import BIASES, DELAYED, FAN_IN, FAN_OUT, FORM, WEIGHTS
from ..products.blas import add_product
from .past import AGE, COUNT, HEAD, UPPER, n_counting, pieces
from .split import after, samples_that_count, split_of


@scalar_function
def is_split(layout: Any, layer: Any) -> bool:
    """Whether a layer's velocity is made of recent samples."""
    found: bool = layer == 0 or layout[layer, FORM] == DELAYED
    return found


@subroutine
def _split(model: Any, rule: Any, rate: Any, past: Any) -> None:
    """Take W and v apart into S and F, for a learning rate (equation 10)."""
    of = split_of(rule, rate)
    real = model.parameters.dtype.type
    mix, of_weights = real(of.mix), real(of.of_weights)
    velocity = model.moments.reshape(model.moments.size)
    for layer in range(len(model.layout)):
        if is_split(model.layout, layer):
            w, b = np.int64(model.layout[layer, WEIGHTS]), np.int64(model.layout[layer, BIASES])
            for j in range(w, b):
                velocity[j] += of_weights * model.parameters[j]
                model.parameters[j] -= mix * velocity[j]
    unit = 0.5 * np.finfo(model.parameters.dtype).eps
    past.place[HEAD], past.place[UPPER], past.place[AGE] = 0, 0, 0
    past.place[COUNT] = samples_that_count(of.fast, unit)


@subroutine
def _add_past(fast: Any, work: Any, of: Any, inputs: Any, deltas: Any) -> None:
    """A layer's F as it is now, in place of what it was at the split (equation 13)."""
    past = work.past
    real = fast.dtype.type
    fan_in, fan_out = fast.shape
    age = past.place[AGE]
    kept = real(after(of.fast, age)) if age < past.place[COUNT] else real(0)
    for i in range(fan_in):
        for k in range(fan_out):
            fast[i, k] *= kept
    n = n_counting(past)
    scaled = work.block.z[:, :fan_out]
    for start, end, before in pieces(past, past.place[HEAD], n):
        for first in range(start, end, len(scaled)):  # as many as there is scratch for
            last = min(first + len(scaled), end)
            for r in range(first, last):
                c = real(of.fast_gradient * after(of.fast, n - 1 - before - (r - start)))
                for k in range(fan_out):
                    scaled[r - first, k] = c * deltas[r, k]
            add_product(1, fast, inputs[first:last, :fan_in].T, scaled[: last - first])


@subroutine
def _join(parameters: Any, moments: Any, layout: Any, rule: Any, work: Any) -> None:
    """W and v in place of S and F (equations 10 and 13)."""
    past = work.past
    of = split_of(rule, past.rate[0])
    real = parameters.dtype.type
    mix, of_weights = real(of.mix), real(of.of_weights)
    velocity = moments.reshape(moments.size)
    delayed = 0
    for layer in range(len(layout)):
        if not is_split(layout, layer):
            continue
        w, b = np.int64(layout[layer, WEIGHTS]), np.int64(layout[layer, BIASES])
        fast = velocity[w:b].reshape((np.int64(layout[layer, FAN_IN]), np.int64(layout[layer, FAN_OUT])))
        if layer == 0:
            _add_past(fast, work, of, past.inputs, past.deltas)
        else:
            _add_past(fast, work, of, past.hidden_inputs[delayed], past.hidden_deltas[delayed])
            delayed += 1
        for j in range(w, b):
            f = velocity[j]
            parameters[j] += mix * f
            velocity[j] = f - of_weights * parameters[j]


@kernel
def join(model: Any, rule: Any, work: Any, parameters: Any, moments: Any) -> None:
    """The model's parameters and moments, with W and v of all layers, into two arrays."""
    for j in range(parameters.size):
        parameters[j] = model.parameters[j]
        moments[0, j] = model.moments[0, j]
    if work.past.rate[0] != 0:
        _join(parameters, moments, model.layout, rule, work)


@kernel
def split_anew(model: Any, rule: Any, work: Any, rate: Any) -> None:
    """Take layers apart for another learning rate; for 0, leave W and v of them in the model."""
    if work.past.rate[0] != 0:
        _join(model.parameters, model.moments, model.layout, rule, work)
    if rate != 0:
        _split(model, rule, rate, work.past)
    work.past.rate[0] = rate
