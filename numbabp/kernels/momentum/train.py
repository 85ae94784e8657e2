"""The blocked kernel for momentum and nesterov, with velocities made of recent samples.

What it carries from block to block of the first layer, and of large hidden ones, is one array of their
weights' size, which goes on as they do in plain SGD, and samples. Section 9 of docs/blocked.md derives it;
numbers in brackets are its equations. Reference: `train` in tests/reference.py.
"""

from typing import Any

import numpy as np

from ...compiler.compiling import scalar_function, subroutine, wide_kernel
from ..blocked import correct_first, correct_sub_block, gather, observe_weighted
from ..layers import activate, affine, backward_activation, transpose_narrow
from ..layout import ACTIVATION, BIASES, DELAYED, FAN_IN, FAN_OUT, FORM, INPUTS, OUTPUTS, WEIGHTS
from ..powers import step_rates
from ..products.blas import add_product
from ..state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, begin_epoch, end_epoch
from ..steps import Step, step_biases
from ..velocities import step_in_vectors
from .first import begin_block, fill_coefficients
from .hidden import forward_delayed, send_back_delayed
from .past import AGE, HEAD, next_head
from .split import after, split_of


@scalar_function
def _forward(model: Any, work: Any, of: Any, head: Any, first: Any, t: Any) -> None:
    """Forward pass of the block's sample t, in the sub-block that began with sample `first`."""
    layout, block = model.layout, work.block
    z, a = block.z[t], block.a[t]
    delayed = 0
    for layer in range(len(layout)):
        if layer == 0:
            correct_first(model, block, first, t)
        elif layout[layer, FORM] == DELAYED:
            forward_delayed(model, work, of, (layer, delayed, first, t), head)
            delayed += 1
        else:
            affine(model.parameters, layout, layer, a, z)
        activate(layout[layer, ACTIVATION], z, a, layout[layer, OUTPUTS], layout[layer, FAN_OUT])


@scalar_function
def _backward(model: Any, work: Any, how: Any, head: Any, first: Any, t: Any) -> None:
    """Delta of every layer for the block's sample t; updates what is not delayed."""
    layout, block = model.layout, work.block
    velocity = model.moments.reshape(model.moments.size)
    of, step = how
    z, a, delta = block.z[t], block.a[t], block.delta[t]
    delayed = len(work.past.hidden_inputs)
    for layer in range(len(layout) - 1, -1, -1):
        backward_activation(model.loss, layout, layer, z, a, delta)
        if layer == 0:
            step_biases(model, velocity, layer, delta, step)
        elif layout[layer, FORM] == DELAYED:
            delayed -= 1
            send_back_delayed(model, work, of, (layer, delayed, first, t), head)
            step_biases(model, velocity, layer, delta, step)
        else:
            step_in_vectors(model, velocity, layer, a, delta, step)


@subroutine
def _catch_up(model: Any, block: Any, inputs: Any, of: Any, layer: Any, steps: Any) -> None:
    """Give a layer's S the steps of samples (first, last), with its inputs from `first` (equation 12)."""
    first, last = steps
    n = last - first
    if n == 0:
        return
    real = model.parameters.dtype.type
    fan_in, fan_out = np.int64(model.layout[layer, FAN_IN]), np.int64(model.layout[layer, FAN_OUT])
    out = np.int64(model.layout[layer, OUTPUTS])
    scaled = block.z[first:last, out : out + fan_out]  # pre-activations have had their use
    for t in range(n):
        c = real(of.slow_gradient * after(of.slow, n - 1 - t))
        for k in range(np.uint64(fan_out)):
            scaled[t, k] = c * block.delta[first + t, np.uint64(out) + k]
    w, b = np.int64(model.layout[layer, WEIGHTS]), np.int64(model.layout[layer, BIASES])
    slow = model.parameters[w:b].reshape((fan_in, fan_out))
    add_product(real(after(of.slow, n)), slow, inputs[:n, :fan_in].T, scaled)


@subroutine
def _take_steps(model: Any, samples: Any, run: Any, work: Any, how: Any, head: Any, n: Any) -> int:
    """As in `kernels.blocked`; `how` is the split and the step, `head` the block's first row of the past."""
    layout, block = model.layout, work.block
    sub_length = len(block.within)
    t, is_finite = 0, True
    for first in range(0, n, sub_length):
        last = min(first + sub_length, n)
        correct_sub_block(model, block, first, last)
        while t < last:
            _forward(model, work, how[0], head, first, t)
            is_finite = observe_weighted(model, samples, run, samples.order[block.at[t]], block, t)
            if not is_finite:
                break
            _backward(model, work, how, head, first, t)
            t += 1
        for layer in range(1, len(layout)):
            if layout[layer, FORM] == DELAYED:
                x = np.int64(layout[layer, INPUTS])
                _catch_up(model, block, block.a[first:, x:], how[0], layer, (first, t))
        if not is_finite:
            break
    return t


@subroutine
def _end_block(model: Any, work: Any, of: Any, head: Any, n: Any) -> None:
    """Give the first layer's S the block's n steps, and keep what F is made of."""
    past = work.past
    out = np.int64(model.layout[0, OUTPUTS])
    for t in range(n):
        for k in range(model.layout[0, FAN_OUT]):
            past.deltas[head + t, k] = work.block.delta[t, np.uint64(out) + k]
    _catch_up(model, work.block, past.inputs[head:], of, 0, (0, n))
    if n > 0:
        past.place[HEAD] = head + n
    past.place[AGE] += n


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
    fill_coefficients(past, of)
    mu, of_velocity, of_gradient = step_rates(rule, rate)
    step = Step(real(mu), real(of_velocity), real(of_gradient), real(rule.l2))
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
        head = next_head(past, length)
        n = gather(samples, past.inputs[head : head + length], block.at, start, until)
        if n > 0:  # not where all of them weigh 0
            begin_block(model, block, past, of, head, n)
        t = _take_steps(model, samples, run, work, (of, step), head, n)
        if t < n:
            status = DIVERGED
            until = block.at[t]
        _end_block(model, work, of, head, t)
        position[STEP] += t
        position[SAMPLE] = until
        end_epoch(samples, run)
    transpose_narrow(model.parameters, model.layout, model.scratch, True)
    transpose_narrow(velocity, model.layout, model.scratch, True)
    return status
