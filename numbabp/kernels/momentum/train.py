"""The blocked kernel for momentum and nesterov, with the first layer's velocity made of recent samples.

What it carries of the first layer from block to block is one array of its weights' size, which goes on as
they do in plain SGD, and samples. Section 9 of docs/blocked.md derives it; numbers in brackets are its
equations. Reference: `train` in tests/reference.py.
"""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.arrays import LINE, aligned_zeros
from ...compiler.compiling import kernel, scalar_function, subroutine, wide_kernel
from ..blocked import gather, multiply_first, take_steps
from ..layers import transpose_narrow
from ..layout import FAN_IN, FAN_OUT, OUTPUTS
from ..powers import step_rates
from ..products.blas import add_product
from ..products.inner import AT_ONCE, inner_products
from ..state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, begin_epoch, end_epoch
from ..steps import Step
from .split import after, samples_that_count, split_of

# Entries of Past.place: the row that the next block begins with, where the rows before it end if they are the
# last ones, samples since the split, and how many of them count.
HEAD, UPPER, AGE, COUNT = range(4)
AT_HAND = 32
"""Samples before that stay in the second cache while a block's pass by."""
NEAR_BYTES = 500_000
"""Of deltas that are read for every few samples of a block;"""
MANY = 64
"""where they are more, so many samples go at once."""


class Past(NamedTuple):
    """The samples that the first layer's F is made of, and since when; with K the length of a block."""

    inputs: np.ndarray  # T (most that count + 2 K, n_inputs or some more)
    deltas: np.ndarray  # T (most that count + 2 K, fan_out of the first layer)
    place: np.ndarray  # int64 (4,)
    rate: np.ndarray  # float64 (1,): the learning rate that S and F are of; 0 where there are W and v
    near: np.ndarray  # T (K, most that count), scratch: their products with the block's samples
    fading: np.ndarray  # T (K + most that count,), scratch: the coefficients of these
    within: np.ndarray  # T (K,), scratch: those of the block's own


class Work(NamedTuple):
    """What `train_momentum` works on beside the model: W of the first layer is S there, its velocity is F."""

    block: Any  # blocked.Block
    past: Past


def row_size(n: int, dtype: np.dtype) -> int:
    """Numbers of a row of n: whole cache lines, but no whole pages, of which the cache has few places."""
    line = LINE // dtype.itemsize
    size = -(-n // line) * line
    return size + line if size * dtype.itemsize % 4096 == 0 else size


def make_past(length: int, count: int, layout: np.ndarray, dtype: np.dtype) -> Past:
    """Room for as many samples as count, in blocks of a length."""
    fan_in, fan_out = int(layout[0, FAN_IN]), int(layout[0, FAN_OUT])
    rows = (
        count + 2 * length
    )  # what counts is not written over, wherever a block begins again at the first row
    return Past(
        aligned_zeros((rows, row_size(fan_in, dtype)), dtype),
        aligned_zeros((rows, row_size(fan_out, dtype)), dtype),
        np.zeros(4, np.int64),
        np.zeros(1),
        aligned_zeros((length, count), dtype),
        np.zeros(length + count, dtype),
        np.zeros(length, dtype),
    )


def check_place(place: np.ndarray, rate: np.ndarray, past: Past) -> None:
    """Raise ValueError for a place that no run comes to."""
    head, upper, age, count = (int(n) for n in place)
    n = min(age, count)
    older = n - min(n, head)
    is_within = min(head, upper, age, count) >= 0 and max(head, upper) <= len(past.deltas)
    if not (is_within and count <= past.near.shape[1] and older <= upper and np.isfinite(rate).all()):
        raise ValueError("'past_place' is not one that a run comes to")


@scalar_function
def _size(layout: Any) -> Any:
    """fan_in and fan_out of the first layer."""
    return np.int64(layout[0, FAN_IN]), np.int64(layout[0, FAN_OUT])


@scalar_function
def _pieces(past: Any, head: Any) -> Any:
    """Rows of the samples that count before a head, oldest first: twice (first row, end, how many before)."""
    n = min(past.place[AGE], past.place[COUNT])
    older = n - min(n, head)
    return (past.place[UPPER] - older, past.place[UPPER], np.int64(0)), (head - n + older, head, older)


@subroutine
def _split(model: Any, rule: Any, rate: Any, past: Any) -> None:
    """Take W and v of the first layer apart into S and F, for a learning rate (equation 10)."""
    of = split_of(rule, rate)
    real = model.parameters.dtype.type
    fan_in, fan_out = _size(model.layout)
    weights = model.parameters[: fan_in * fan_out].reshape((fan_in, fan_out))
    velocity = model.moments.reshape(model.moments.size)[: fan_in * fan_out].reshape((fan_in, fan_out))
    mix, of_weights = real(of.mix), real(of.of_weights)
    for i in range(fan_in):
        for k in range(fan_out):
            velocity[i, k] += of_weights * weights[i, k]
            weights[i, k] -= mix * velocity[i, k]
    unit = 0.5 * np.finfo(model.parameters.dtype).eps
    past.place[HEAD], past.place[UPPER], past.place[AGE] = 0, 0, 0
    past.place[COUNT] = samples_that_count(of.fast, unit)


@subroutine
def _join(parameters: Any, moments: Any, layout: Any, rule: Any, work: Any) -> None:
    """W and v of the first layer in place of S and F (equations 10 and 13)."""
    past = work.past
    of = split_of(rule, past.rate[0])
    real = parameters.dtype.type
    fan_in, fan_out = _size(layout)
    weights = parameters[: fan_in * fan_out].reshape((fan_in, fan_out))
    velocity = moments.reshape(moments.size)[: fan_in * fan_out].reshape((fan_in, fan_out))
    age, count = past.place[AGE], past.place[COUNT]
    kept = real(after(of.fast, age)) if age < count else real(0)
    for i in range(fan_in):
        for k in range(fan_out):
            velocity[i, k] *= kept
    newest = min(age, count) - 1
    scaled = work.block.z[:, :fan_out]
    for start, end, before in _pieces(past, past.place[HEAD]):
        for first in range(start, end, len(scaled)):  # as many as there is scratch for
            last = min(first + len(scaled), end)
            for r in range(first, last):
                c = real(of.fast_gradient * after(of.fast, newest - before - (r - start)))
                for k in range(fan_out):
                    scaled[r - first, k] = c * past.deltas[r, k]
            inputs = past.inputs[first:last, :fan_in]
            add_product(1, velocity, inputs.T, scaled[: last - first])
    mix, of_weights = real(of.mix), real(of.of_weights)
    for i in range(fan_in):
        for k in range(fan_out):
            f = velocity[i, k]
            weights[i, k] += mix * f
            velocity[i, k] = f - of_weights * weights[i, k]


@kernel
def join(model: Any, rule: Any, work: Any, parameters: Any, moments: Any) -> None:
    """The model's parameters and moments, with W and v of the first layer, into two arrays."""
    for j in range(parameters.size):
        parameters[j] = model.parameters[j]
        moments[0, j] = model.moments[0, j]
    if work.past.rate[0] != 0:
        _join(parameters, moments, model.layout, rule, work)


@kernel
def split_anew(model: Any, rule: Any, work: Any, rate: Any) -> None:
    """Take the first layer apart for another learning rate; for 0, leave W and v of it in the model."""
    if work.past.rate[0] != 0:
        _join(model.parameters, model.moments, model.layout, rule, work)
    if rate != 0:
        _split(model, rule, rate, work.past)
    work.past.rate[0] = rate


@subroutine
def _fill_coefficients(past: Any, of: Any) -> None:
    """What a delta has in later samples' pre-activations, by the steps in between (equation 11).

    That of s steps is the s-th from the end; of the past 0 from as many steps on as count.
    """
    real = past.within.dtype.type
    n, count = len(past.within), past.place[COUNT]
    for s in range(n):
        c = of.slow_gradient * after(of.slow, s) + of.mix * of.fast_gradient * after(of.fast, s)
        past.within[n - 1 - s] = real(c)
    last = len(past.fading) - 1
    for s in range(last + 1):
        c = of.mix * of.fast_gradient * after(of.fast, s) if s < count else 0.0
        past.fading[last - s] = real(c)


@subroutine
def _fill_near(x: Any, past: Any, head: Any) -> None:
    """Products of a block's samples with those before it that count, times what F does with them."""
    count, last = past.place[COUNT], len(past.fading) - 1
    n = min(past.place[AGE], count)
    for start, until, before in _pieces(past, head):
        for row in range(start, until, AT_HAND):
            end, column = min(row + AT_HAND, until), before + row - start
            for first in range(0, len(x), AT_ONCE):
                if column + end - row > first + n - count:  # some of them count for some of these samples
                    inner_products(
                        past.near, column, x, past.inputs[row:end], first, min(first + AT_ONCE, len(x))
                    )
    for t in range(len(x)):
        oldest = min(n, max(0, t + n - count))
        shift = last - (t + n - 1)
        for j in range(oldest):
            past.near[t, j] = 0
        for j in range(oldest, n):
            past.near[t, j] *= past.fading[shift + j]


@subroutine
def _add_past(z: Any, past: Any, head: Any) -> None:
    """What is in F of the blocks before, to the pre-activations of a block's samples (equation 11)."""
    count, fan_out = past.place[COUNT], z.shape[1]
    n = min(past.place[AGE], count)
    # few samples at a time leave out the most that does not count, but read all deltas as often
    few = n * fan_out * z.itemsize <= NEAR_BYTES
    step = AT_ONCE if few else MANY
    for first in range(0, len(z), step):
        end = min(first + step, len(z))
        oldest = max(0, first + n - count)
        for start, until, before in _pieces(past, head):
            begin = start + max(0, oldest - before)
            if begin < until:
                near = past.near[first:end, before + begin - start : before + until - start]
                add_product(1, z[first:end], near, past.deltas[begin:until, :fan_out])


@subroutine
def _begin_block(model: Any, block: Any, past: Any, of: Any, head: Any, n: Any) -> None:
    """Pre-activations of the first layer but for what the block itself changes (equation 11)."""
    real = model.parameters.dtype.type
    fan_in, fan_out = _size(model.layout)
    slow = model.parameters[: fan_in * fan_out].reshape((fan_in, fan_out))
    out = np.int64(model.layout[0, OUTPUTS])
    rows = past.inputs[head : head + n]
    x, z = rows[:, :fan_in], block.z[:n, out : out + fan_out]
    multiply_first(z, x, slow, len(block.a))
    if of.slow != 0:
        for t in range(n):
            kept = real(after(of.slow, t))
            for k in range(fan_out):
                z[t, k] *= kept
    age = past.place[AGE]
    if age < past.place[COUNT]:  # what there was at the split still counts
        fast = model.moments.reshape(model.moments.size)[: fan_in * fan_out].reshape((fan_in, fan_out))
        multiply_first(block.carried[:n], x, fast, len(block.a))
        for t in range(n):
            carried = real(of.mix * after(of.fast, age + t))
            for k in range(fan_out):
                z[t, k] += carried * block.carried[t, k]
    if age > 0:
        _fill_near(rows, past, head)
        _add_past(z, past, head)
    for first in range(0, n, AT_ONCE):
        end = min(first + AT_ONCE, n)
        inner_products(block.gram, 0, rows, rows[:end], first, end)
        for t in range(first, end):
            shift = len(past.within) - t
            for j in range(t):
                block.gram[t, j] *= past.within[shift + j]


@subroutine
def _end_block(model: Any, block: Any, past: Any, of: Any, head: Any, n: Any) -> None:
    """Give S the block's n steps (equation 12), and keep what F is made of."""
    if n == 0:
        return
    real = model.parameters.dtype.type
    fan_in, fan_out = _size(model.layout)
    slow = model.parameters[: fan_in * fan_out].reshape((fan_in, fan_out))
    out = np.int64(model.layout[0, OUTPUTS])
    scaled = block.z[:n, out : out + fan_out]  # pre-activations have had their use
    for t in range(n):
        c = real(of.slow_gradient * after(of.slow, n - 1 - t))
        for k in range(fan_out):
            d = block.delta[t, out + k]
            past.deltas[head + t, k] = d
            scaled[t, k] = c * d
    x = past.inputs[head : head + n, :fan_in]
    add_product(real(after(of.slow, n)), slow, x.T, scaled)
    past.place[HEAD] = head + n
    past.place[AGE] += n


@scalar_function
def _next_head(past: Any, length: Any) -> int:
    """The row that a block begins with: the first one, where there are too few left."""
    head: int = past.place[HEAD]
    if head + length > len(past.deltas):
        past.place[UPPER] = head
        head = 0
    return head


@wide_kernel
def train_momentum(
    model: Any, samples: Any, rule: Any, run: Any, work: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """Per-sample momentum or nesterov, with L2, as `blocked.train_blocked`, between `split_anew` and `join`.

    Parameters
    ----------
    model, samples, rule, run
        See `state.Model`, `Samples`, `update_rules.Rule` and `Run`; changed in place.
    work
        What the first layer has of blocks before, and scratch.
    stop_epoch, max_samples
        Where to pause; where the learning rate changes, too.

    Returns
    -------
    int
        `PAUSED`, or `DIVERGED` when the loss of the sample at run.position is not finite; that
        sample has changed nothing.
    """
    real = model.parameters.dtype.type
    block, past, position = work.block, work.past, run.position
    velocity = model.moments.reshape(model.moments.size)
    length, rate = len(block.a), past.rate[0]
    of = split_of(rule, rate)
    _fill_coefficients(past, of)
    mu, of_velocity, of_gradient = step_rates(rule, rate)
    step = Step(real(mu), real(of_velocity), real(of_gradient), real(rule.l2))
    how = step, real(rate * rule.l2), False
    transpose_narrow(model.parameters, model.layout, model.scratch, False)
    transpose_narrow(velocity, model.layout, model.scratch, False)
    status, done = PAUSED, 0
    while position[EPOCH] < stop_epoch and done < max_samples and status == PAUSED:
        if run.learning_rates[position[EPOCH]] != rate:
            break
        begin_epoch(samples, run)
        start = position[SAMPLE]
        until = min(samples.order.size, start - start % length + length)
        done += until - start
        head = _next_head(past, length)
        n = gather(samples, past.inputs[head : head + length], block.at, start, until)
        if n > 0:  # not where all of them weigh 0
            _begin_block(model, block, past, of, head, n)
        t = take_steps(model, samples, run, velocity, block, n, how)
        if t < n:
            status = DIVERGED
            until = block.at[t]
        _end_block(model, block, past, of, head, t)
        position[STEP] += t
        position[SAMPLE] = until
        end_epoch(samples, run)
    transpose_narrow(model.parameters, model.layout, model.scratch, True)
    transpose_narrow(velocity, model.layout, model.scratch, True)
    return status
