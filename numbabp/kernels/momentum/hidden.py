"""Hidden layers that are updated once a sub-block, with their velocity made of recent samples.

Section 9 of docs/blocked.md; numbers in brackets are its equations. What a layer reads on a sample's way
forth it reads in the opposite direction and order on its way back, so that what the second cache still has of
it is read first: 512 x 512 in float32 took 31 us a step so, 36 in one direction.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function
from ..layout import BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS
from ..products.rows import add_rows, multiply_rows
from .first import weigh
from .past import AGE, COUNT, UPPER
from .split import after

FORTH, BACK = False, True


@scalar_function
def _n_before(past: Any, first: Any, t: Any) -> int:
    """Samples before a block's sample t that it is corrected for: those that count, and its sub-block's."""
    n: int = max(t - first, min(past.place[AGE] + t, past.place[COUNT]))
    return n


@scalar_function
def _multiply_past(past: Any, vector: Any, rows: Any, head: Any, n: Any, way: Any) -> None:
    """Products of a vector with the rows of the n samples before a head, oldest first."""
    newer = min(n, head)
    older, upper = n - newer, past.place[UPPER]
    if way == FORTH:
        multiply_rows(past.pairs, vector, rows, upper - older, upper, way)
    multiply_rows(past.pairs[older:], vector, rows, head - newer, head, way)
    if way == BACK:
        multiply_rows(past.pairs, vector, rows, upper - older, upper, way)


@scalar_function
def _add_past(past: Any, target: Any, rows: Any, head: Any, n: Any, way: Any) -> None:
    """Target += the rows of the n samples before a head, each times what its product became."""
    newer = min(n, head)
    older, upper = n - newer, past.place[UPPER]
    if way == FORTH:
        add_rows(target, past.pairs, rows, upper - older, upper, way)
    add_rows(target, past.pairs[older:], rows, head - newer, head, way)
    if way == BACK:
        add_rows(target, past.pairs, rows, upper - older, upper, way)


@scalar_function
def _weigh_pairs(past: Any, n: Any, own: Any) -> None:
    """Each product times what its sample's step is in W (equation 14), `own` of them in the sub-block."""
    weigh(past.pairs, past.fading, len(past.fading) - n, n - own)
    weigh(past.pairs[n - own :], past.within, len(past.within) - own, own)


@scalar_function
def forward_delayed(model: Any, work: Any, of: Any, at: Any, head: Any) -> None:
    """Pre-activations of a delayed layer (equation 14).

    `at` is (layer, which of those delayed, first sample of the sub-block, sample), `head` the row of the past
    that the block began with.
    """
    layer, delayed, first, t = at
    parameters, layout, block, past = model.parameters, model.layout, work.block, work.past
    real = parameters.dtype.type
    fan_in, fan_out = np.int64(layout[layer, FAN_IN]), np.int64(layout[layer, FAN_OUT])
    w, b = np.int64(layout[layer, WEIGHTS]), np.int64(layout[layer, BIASES])
    x, out = np.int64(layout[layer, INPUTS]), np.int64(layout[layer, OUTPUTS])
    a, z = block.a[t, x : x + fan_in], block.z[t, out : out + fan_out]
    for k in range(fan_out):
        z[k] = 0
    add_rows(z, a, parameters[w:b].reshape((fan_in, fan_out)), 0, fan_in, FORTH)
    kept = real(after(of.slow, t - first))
    for k in range(np.uint64(fan_out)):
        z[k] = kept * z[k] + parameters[np.uint64(b) + k]
    age = past.place[AGE] + t
    if age < past.place[COUNT]:  # what there was at the split still counts
        fast = model.moments.reshape(model.moments.size)[w:b].reshape((fan_in, fan_out))
        carried = real(of.mix * after(of.fast, age))
        for i in range(fan_in):
            past.pairs[i] = carried * a[i]
        add_rows(z, past.pairs, fast, 0, fan_in, FORTH)
    n = _n_before(past, first, t)
    _multiply_past(past, a, past.hidden_inputs[delayed], head + t, n, FORTH)
    _weigh_pairs(past, n, t - first)
    _add_past(past, z, past.hidden_deltas[delayed], head + t, n, FORTH)


@scalar_function
def send_back_delayed(model: Any, work: Any, of: Any, at: Any, head: Any) -> None:
    """Delta of a delayed layer times its weights (equation 15), and the sample to the past."""
    layer, delayed, first, t = at
    layout, block, past = model.layout, work.block, work.past
    real = model.parameters.dtype.type
    fan_in, fan_out = np.int64(layout[layer, FAN_IN]), np.int64(layout[layer, FAN_OUT])
    w, b = np.int64(layout[layer, WEIGHTS]), np.int64(layout[layer, BIASES])
    x, out = np.int64(layout[layer, INPUTS]), np.int64(layout[layer, OUTPUTS])
    below, delta = block.delta[t, x : x + fan_in], block.delta[t, out : out + fan_out]
    inputs, deltas = past.hidden_inputs[delayed], past.hidden_deltas[delayed]
    for i in range(fan_in):
        below[i] = 0
    n = _n_before(past, first, t)
    _multiply_past(past, delta, deltas, head + t, n, BACK)
    _weigh_pairs(past, n, t - first)
    _add_past(past, below, inputs, head + t, n, BACK)
    age = past.place[AGE] + t
    if age < past.place[COUNT]:
        fast = model.moments.reshape(model.moments.size)[w:b].reshape((fan_in, fan_out))
        multiply_rows(past.pairs, delta, fast, 0, fan_in, BACK)
        carried = real(of.mix * after(of.fast, age))
        for i in range(fan_in):
            below[i] += carried * past.pairs[i]
    multiply_rows(past.pairs, delta, model.parameters[w:b].reshape((fan_in, fan_out)), 0, fan_in, BACK)
    kept = real(after(of.slow, t - first))
    for i in range(fan_in):
        below[i] += kept * past.pairs[i]
    for i in range(fan_in):
        inputs[head + t, i] = block.a[t, x + i]
    for k in range(fan_out):
        deltas[head + t, k] = delta[k]
