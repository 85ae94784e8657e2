"""Parts of a phase: some rows of a layer's weights, read once for a sample that goes back and the next one.

Row i of the second layer's weights times the layer's delta is what unit i of the first layer gets back; with
that the unit's pre-activation for the next sample is known, since the first layer goes in blocks, and so what
the row adds to the second layer's pre-activations. So these weights pass the caches once a step, not twice.
Numbers in brackets are equations of docs/blocked.md.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function, subroutine
from ..blocked import add_rows
from ..layers import activate, multiply_by_derivative
from ..layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS
from ..powers import W_FROM_W
from ..products.blas import add_product
from .crew import BEGIN, SWEEP, part_size
from .words import fetch, load_word

ROWS = np.uint64(4)
"""Rows that share the loads of the layer's delta or pre-activations."""
GROUP_BYTES = 32_000
"""Of weights, which the first cache holds beside the layer's pre-activations and delta."""
MOST_FOURS = np.uint64(8)
"""Of rows in a group; so many units' activations are found at once."""
COLUMNS = np.uint64(256)
"""Of a row, added to the pre-activations while some of the following rows is fetched.

2,048 x 2,048 in float32 took 667 us on one thread, 745 without fetching ahead, and 1,139 in two passes; to
read the weights alone takes 570.
"""
LINES = np.uint64(4)
"""Cache lines of each following row that are fetched meanwhile; with 16 it is slower than with none."""
NUMBERS = np.uint64(16)
"""From one fetched line to the next."""


@scalar_function
def _rows_of(order: Any, layout: Any, part: Any) -> Any:
    """First and last but one row of the layer that a part has."""
    fan_in = np.int64(layout[order.layer, FAN_IN])
    size = part_size(fan_in, 4)
    start = part * size
    return np.uint64(start), np.uint64(min(start + size, fan_in))


@scalar_function
def _group(fan_out: Any, itemsize: Any) -> Any:
    """Rows that are read for what goes back and then for what goes forth, out of the first cache."""
    fours = np.uint64(GROUP_BYTES) // (ROWS * fan_out * np.uint64(itemsize))
    return ROWS * max(np.uint64(1), min(fours, MOST_FOURS))


@scalar_function
def _send_back(model: Any, block: Any, delta: Any, order: Any, i: Any, kept: Any) -> None:
    """delta += kept W delta_t for four units from i on; missing ones repeat the last."""
    parameters, layout = model.parameters, model.layout
    real = parameters.dtype.type
    fan_in, fan_out = layout[order.layer, FAN_IN], layout[order.layer, FAN_OUT]
    w, x, out = layout[order.layer, WEIGHTS], layout[order.layer, INPUTS], layout[order.layer, OUTPUTS]
    last = fan_in - np.uint64(1)
    i1, i2, i3 = min(i + np.uint64(1), last), min(i + np.uint64(2), last), min(i + np.uint64(3), last)
    row, row1, row2, row3 = w + i * fan_out, w + i1 * fan_out, w + i2 * fan_out, w + i3 * fan_out
    above = block.delta[order.t]
    p0 = p1 = p2 = p3 = real(0)
    for k in range(fan_out):
        d = above[out + k]
        p0 += parameters[row + k] * d
        p1 += parameters[row1 + k] * d
        p2 += parameters[row2 + k] * d
        p3 += parameters[row3 + k] * d
    d0, d1, d2, d3 = delta[x + i], delta[x + i1], delta[x + i2], delta[x + i3]
    delta[x + i3] = d3 + kept * p3
    delta[x + i2] = d2 + kept * p2
    delta[x + i1] = d1 + kept * p1
    delta[x + i] = d0 + kept * p0


@scalar_function
def _send_forth(model: Any, a: Any, sums: Any, order: Any, i: Any) -> None:
    """Sums += W' a of four units from i on, while the next four's weights are fetched."""
    parameters, layout = model.parameters, model.layout
    zero = parameters.dtype.type(0)
    fan_in, fan_out = layout[order.layer, FAN_IN], layout[order.layer, FAN_OUT]
    w, x = layout[order.layer, WEIGHTS], layout[order.layer, INPUTS]
    left = fan_in - i
    # missing ones count as 0 times the first
    i1 = i + np.uint64(1) if left > np.uint64(1) else i
    i2 = i + np.uint64(2) if left > np.uint64(2) else i
    i3 = i + np.uint64(3) if left > np.uint64(3) else i
    a0 = a[x + i]
    a1 = a[x + i1] if i1 > i else zero
    a2 = a[x + i2] if i2 > i else zero
    a3 = a[x + i3] if i3 > i else zero
    row, row1, row2, row3 = w + i * fan_out, w + i1 * fan_out, w + i2 * fan_out, w + i3 * fan_out
    following = row + ROWS * fan_out
    for start in range(np.uint64(0), fan_out, COLUMNS):
        end = min(start + COLUMNS, fan_out)
        ahead = following + start // ROWS
        for r in range(ROWS):
            for line in range(LINES):
                fetch(parameters, ahead + r * fan_out + line * NUMBERS)
        for k in range(start, end):
            sums[k] += (a0 * parameters[row + k] + a1 * parameters[row1 + k]) + (
                a2 * parameters[row2 + k] + a3 * parameters[row3 + k]
            )


@scalar_function
def _begin_next(model: Any, block: Any, crew: Any, thread: Any, order: Any, start: Any, n: Any) -> None:
    """From what n units of the first layer get back to their activations for the next sample."""
    layout, rate = model.layout, crew.rates[0]
    z, a, delta = crew.z[thread], crew.a[thread], crew.delta[thread]
    t, code = order.t, layout[0, ACTIVATION]
    multiply_by_derivative(code, block.z[t], block.a[t], delta, start, n)
    of_step = block.gram[order.forth, t]
    biases, out = layout[0, BIASES], layout[0, OUTPUTS]
    for j in range(start, start + n):
        z[j] += of_step * delta[j] + (model.parameters[biases + (j - out)] - rate * delta[j])
    activate(code, z, a, start, n)


@subroutine
def sweep(model: Any, work: Any, thread: Any, part: Any, order: Any, watched: Any) -> bool:
    """Do a part of a sweep over a layer's rows, unless a word changes meanwhile; whether it is done.

    Sample `order.t` goes back, if `order.back`, into the thread's delta; `order.forth` goes forth, if it is
    not -1, into its sums. If both, the layer is the second one, and the first one's next activations are
    found on the way; else they have to be known.

    Parameters
    ----------
    watched
        Place of the word, and what it has to be.
    """
    block, crew, layout = work.block, work.crew, model.layout
    real = model.parameters.dtype.type
    layer, first, t, forth = order.layer, order.first, order.t, order.forth
    start, end = _rows_of(order, layout, part)
    x = layout[layer, INPUTS]
    z, delta, sums = crew.z[thread], crew.delta[thread], crew.sums[thread, part]
    back = order.back == 1
    both = back and forth >= 0
    a = crew.a[thread] if both else block.a[max(forth, 0)]
    until = t + order.updated  # equation 9
    kept = real(block.powers[until - first, W_FROM_W]) if back else real(1)
    if back:
        for j in range(x + start, x + end):
            delta[j] = 0
        add_rows(delta, block.within, block.a, first, until, x + start, end - start)
    if both:  # equation 5, but for sample t
        for j in range(x + start, x + end):
            z[j] = block.z[forth, j]
        add_rows(z, block.gram[forth, first:t], block.delta, first, t, x + start, end - start)
    for k in range(layout[layer, FAN_OUT]):
        sums[k] = 0
    group = _group(layout[layer, FAN_OUT], sums.itemsize)
    for first_row in range(start, end, group):
        if load_word(crew.words, watched[0]) != watched[1]:
            return False
        last_row = min(first_row + group, end)
        if back:
            for i in range(first_row, last_row, ROWS):
                _send_back(model, block, delta, order, i, kept)
        if both:
            _begin_next(model, block, crew, thread, order, x + first_row, last_row - first_row)
        if forth >= 0:
            for i in range(first_row, last_row, ROWS):
                _send_forth(model, a, sums, order, i)
    for j in range(first, forth):
        total = real(0)
        earlier = block.a[j]
        for i in range(x + start, x + end):
            total += a[i] * earlier[i]
        crew.dots[thread, part, j - first] = total
    return True


@subroutine
def multiply(model: Any, block: Any, part: Any, order: Any) -> None:
    """Do a part of a product: columns of X W_0, or rows of the weights that get their steps (equation 8)."""
    layout = model.layout
    layer = order.layer
    fan_in, fan_out = np.int64(layout[layer, FAN_IN]), np.int64(layout[layer, FAN_OUT])
    x, out = np.int64(layout[layer, INPUTS]), np.int64(layout[layer, OUTPUTS])
    w, b = np.int64(layout[layer, WEIGHTS]), np.int64(layout[layer, BIASES])
    first, last = order.first, order.t
    weights = model.parameters[w:b].reshape((fan_in, fan_out))
    if order.kind == BEGIN:
        size = part_size(fan_out, 16)
        start = part * size
        end = min(start + size, fan_out)
        inputs = block.a[first:last, x : x + fan_in]
        add_product(0, block.z[first:last, out + start : out + end], inputs, weights[:, start:end])
    else:
        size = part_size(fan_in, 4)
        start = part * size
        end = min(start + size, fan_in)
        kept = model.parameters.dtype.type(block.powers[last - first, W_FROM_W])
        inputs = block.a[first:last, x + start : x + end]
        add_product(kept, weights[start:end], inputs.T, block.z[first:last, out : out + fan_out])


@scalar_function
def is_sweep(order: Any) -> bool:
    """Whether a part may be done twice."""
    found: bool = order.kind == SWEEP
    return found
