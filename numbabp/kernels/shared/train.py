"""The shared kernel: the trajectory of per-sample SGD, up to rounding, of a large network on several threads.

What the blocked kernel does, with the second layer's weights read once a step (`sweeps`), in parts that
threads share out (`crew`): section 7 of docs/blocked.md. Reference: `train` in tests/reference.py.
"""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.compiling import scalar_function, subroutine, wide_kernel
from ..blocked import add_rows, dot_rows, fill_gram, gather, scale_rows
from ..layers import activate, affine, backward_activation, observe, transpose_narrow
from ..layout import ACTIVATION, BIASES, DELAYED, FAN_IN, FAN_OUT, FORM, INPUTS, OUTPUTS
from ..powers import W_FROM_G, W_FROM_W, fill_powers
from ..products.blas import add_product
from ..state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, begin_epoch, end_epoch, sample_weight
from ..steps import Step, step_biases, step_layer
from .crew import (
    APART,
    BEGIN,
    CATCH_UP,
    IS_OVER,
    OF_PHASE,
    OF_THREAD,
    PHASE,
    SWEEP,
    Order,
    done_by,
    give_order,
    hand_in,
    n_parts,
    next_part,
    part_size,
    read_order,
    take,
    word_of,
)
from .sweeps import is_sweep, multiply, sweep
from .words import load_word, pause

PATIENCE = 16000
"""Looks after a new phase before a helper takes a nap, 15 to 50 ns each.

Longer than other threads take for a part, and the first for what it does alone; shorter than a scheduler lets
the first one wait for a helper's processor.
"""
SHORT = 2000
"""Looks after a part that another thread has taken before it is done again: about as long as a part takes."""
OVER, IDLE = range(2)
"""Why a helper returns."""


class Work(NamedTuple):
    """What `train_shared` and its helpers work on."""

    block: Any  # blocked.Block
    crew: Any  # crew.Crew


@scalar_function
def _parts(layout: Any, order: Any) -> int:
    """How many parts a phase has."""
    if order.kind == BEGIN:
        return n_parts(layout[order.layer, FAN_OUT], 16)
    return n_parts(layout[order.layer, FAN_IN], 4)


@subroutine
def _take_parts(model: Any, work: Any, thread: Any, phase: Any, order: Any) -> None:
    """Do parts of a phase until none is free."""
    crew = work.crew
    n, n_threads = _parts(model.layout, order), len(crew.z)
    share = thread * n // n_threads, (thread + 1) * n // n_threads
    for i in range(n):
        part = next_part(share, n, i, order.descending)
        if take(crew, part, phase, thread):
            # a part taken of a phase that is still the present one holds it up: the order is the phase's
            if load_word(crew.words, PHASE * APART) != phase:
                return
            if is_sweep(order):
                if not sweep(model, work, thread, part, order, (PHASE * APART, phase)):
                    return
            else:
                multiply(model, work.block, part, order)
            hand_in(crew, part, phase, thread, thread)


@wide_kernel
def help_shared(model: Any, work: Any, thread: Any) -> int:
    """Help `train_shared`, which runs in another thread.

    Returns
    -------
    int
        `OVER`, or `IDLE` where there was nothing to do for some time.
    """
    crew = work.crew
    words, patience = crew.words, PATIENCE
    seen = 0
    while patience > 0:
        phase = load_word(words, PHASE * APART)
        if load_word(words, IS_OVER * APART) != 0:
            return OVER
        if phase == seen or phase % 2 == 1:
            pause()
            patience -= 1
            continue
        order = read_order(crew)
        if load_word(words, PHASE * APART) == phase:
            _take_parts(model, work, thread, phase, order)
            seen, patience = phase, PATIENCE
    return IDLE


@subroutine
def _run_phase(model: Any, work: Any, order: Any) -> None:
    """Have a phase done, with or without help."""
    crew = work.crew
    phase = give_order(crew, order)
    _take_parts(model, work, 0, phase, order)
    for part in range(_parts(model.layout, order)):
        looks = 0
        at = word_of(part)
        word = load_word(crew.words, at)
        while word % 2 == 0:  # taken and not done
            looks += 1
            pause()
            if looks > SHORT and is_sweep(order) and sweep(model, work, 0, part, order, (at, word)):
                hand_in(crew, part, phase, word % OF_PHASE // OF_THREAD, 0)
            word = load_word(crew.words, at)


@scalar_function
def _sweep_phase(model: Any, work: Any, layer: Any, first: Any, samples: Any, updated: Any) -> None:
    """Sweep over a layer for two samples, one that goes back and one that goes forth; -1 for neither."""
    back, forth = samples
    down = back >= 0 and (forth < 0 or back % 2 == 1)
    order = Order(
        SWEEP,
        np.int64(layer),
        first,
        max(back, 0),
        np.int64(back >= 0),
        forth,
        np.int64(updated),
        np.int64(down),
    )
    _run_phase(model, work, order)


@subroutine
def _add_sums(model: Any, work: Any, layer: Any, first: Any, t: Any) -> None:
    """Pre-activations and activations of a swept layer, from the sums of its parts (equation 5)."""
    block, crew, layout = work.block, work.crew, model.layout
    real = model.parameters.dtype.type
    fan_in, fan_out = layout[layer, FAN_IN], layout[layer, FAN_OUT]
    out, biases = layout[layer, OUTPUTS], layout[layer, BIASES]
    z = block.z[t]
    kept = real(block.powers[t - first, W_FROM_W])
    for k in range(fan_out):
        z[out + k] = 0
    for j in range(first, t):
        block.within[j - first] = 0
    for part in range(n_parts(fan_in, 4)):
        thread = done_by(crew, part)
        sums, dots = crew.sums[thread, part], crew.dots[thread, part]
        for k in range(fan_out):
            z[out + k] += sums[k]
        for j in range(first, t):
            block.within[j - first] += dots[j - first]
    for k in range(fan_out):
        z[out + k] = kept * z[out + k] + model.parameters[biases + k]
    for j in range(first, t):
        block.within[j - first] *= real(block.powers[t - 1 - j, W_FROM_G])
    add_rows(z, block.within, block.delta, first, t, out, fan_out)
    activate(layout[layer, ACTIVATION], z, block.a[t], out, fan_out)


@scalar_function
def _take_over(target: Any, source: Any, start: Any, n: Any) -> None:
    for j in range(start, start + n):
        target[j] = source[j]


@subroutine
def _collect(model: Any, work: Any, layer: Any, t: Any, forth: Any) -> None:
    """What threads have left of the units below a swept layer: one sample's delta, the next's activations."""
    block, crew, layout = work.block, work.crew, model.layout
    fan_in, x = np.int64(layout[layer, FAN_IN]), np.int64(layout[layer, INPUTS])
    size = part_size(fan_in, 4)
    for part in range(n_parts(fan_in, 4)):
        thread = done_by(crew, part)
        start = np.uint64(x + part * size)
        n = np.uint64(min(size, fan_in - part * size))
        _take_over(block.delta[t], crew.delta[thread], start, n)
        if forth >= 0:
            _take_over(block.z[forth], crew.z[thread], start, n)
            _take_over(block.a[forth], crew.a[thread], start, n)


@subroutine
def _catch_up(model: Any, work: Any, layer: Any, first: Any, last: Any) -> None:
    """Give a layer's weights the steps of samples first to last (equation 8)."""
    if last == first:
        return
    block, layout = work.block, model.layout
    fan_out, out = np.int64(layout[layer, FAN_OUT]), np.int64(layout[layer, OUTPUTS])
    scaled = block.z[first:last, out : out + fan_out]  # pre-activations have had their use
    scale_rows(scaled, block.delta, first, out, block.powers, W_FROM_G)
    _run_phase(model, work, Order(CATCH_UP, np.int64(layer), first, last, 0, -1, 0, 0))


@subroutine
def _catch_up_swept(model: Any, work: Any, first: Any, last: Any) -> None:
    """The same of all layers that are swept."""
    for layer in range(1, len(model.layout)):
        if model.layout[layer, FORM] == DELAYED:
            _catch_up(model, work, layer, first, last)


@subroutine
def _begin_block(model: Any, work: Any, n: Any) -> None:
    """Samples times first-layer weights (equation 5), and the coefficients of the deltas (equation 6)."""
    block, layout = work.block, model.layout
    real = model.parameters.dtype.type
    _run_phase(model, work, Order(BEGIN, 0, 0, n, 0, -1, 0, 0))
    if block.powers[1, W_FROM_W] != 1:
        for t in range(n):
            kept = real(block.powers[t, W_FROM_W])
            for k in range(layout[0, FAN_OUT]):
                block.z[t, layout[0, OUTPUTS] + k] *= kept
    fill_gram(block, n, layout[0, FAN_IN])
    for t in range(1, n):
        for j in range(t):
            block.gram[t, j] *= real(block.powers[t - 1 - j, W_FROM_G])


@subroutine
def _forward(model: Any, work: Any, first: Any, t: Any, begun: Any) -> None:
    """Forward pass of sample t, whose first layer and sums of the second may have `begun`."""
    block, layout = work.block, model.layout
    z, a = block.z[t], block.a[t]
    if not begun:
        out, fan_out, biases = layout[0, OUTPUTS], layout[0, FAN_OUT], layout[0, BIASES]
        add_rows(z, block.gram[t, first:t], block.delta, first, t, out, fan_out)
        for k in range(fan_out):
            z[out + k] += model.parameters[biases + k]
        activate(layout[0, ACTIVATION], z, a, out, fan_out)
    for layer in range(1, len(layout)):
        if layout[layer, FORM] == DELAYED:
            if layer > 1 or not begun:
                _sweep_phase(model, work, layer, first, (-1, t), False)
            _add_sums(model, work, layer, first, t)
        else:
            affine(model.parameters, layout, layer, a, z)
            activate(layout[layer, ACTIVATION], z, a, layout[layer, OUTPUTS], layout[layer, FAN_OUT])


@subroutine
def _send_back(model: Any, work: Any, layer: Any, first: Any, samples: Any, updated: Any) -> None:
    """Delta of a swept layer times its weights (equation 9), and with the second the next sample's beginning.

    Parameters
    ----------
    samples
        The one that goes back, and the next one or -1.
    """
    block, layout = work.block, model.layout
    t, forth = samples
    out, fan_out = layout[layer, OUTPUTS], layout[layer, FAN_OUT]
    end = t + 1 if updated else t
    dot_rows(block.within, block.delta[t], block.delta, first, end, out, fan_out)
    for j in range(first, end):
        block.within[j - first] *= model.parameters.dtype.type(block.powers[end - 1 - j, W_FROM_G])
    _sweep_phase(model, work, layer, first, samples, updated)
    _collect(model, work, layer, t, forth)


@subroutine
def _backward(model: Any, work: Any, first: Any, samples: Any, step: Any, updated: Any) -> bool:
    """Delta of every layer, and the steps of all but the swept weights; whether the next sample has begun."""
    block, layout = work.block, model.layout
    t, following = samples
    z, a, delta = block.z[t], block.a[t], block.delta[t]
    velocity = model.parameters[:0]
    begins = False
    for layer in range(len(layout) - 1, -1, -1):
        if layer > 0 or not begins:
            backward_activation(model.loss, layout, layer, z, a, delta)
        if layer == 0:
            step_biases(model, velocity, layer, delta, step)
        elif layout[layer, FORM] == DELAYED:
            begins = layer == 1 and following >= 0
            _send_back(model, work, layer, first, (t, following if begins else -1), updated)
            step_biases(model, velocity, layer, delta, step)
        else:
            shrink = step.of_gradient * step.l2
            step_layer(model.parameters, layout, layer, a, delta, step.of_gradient, shrink, updated)
    return begins


@wide_kernel
def train_shared(
    model: Any, samples: Any, rule: Any, run: Any, work: Any, updated: Any, stop_epoch: Any, max_samples: Any
) -> int:
    """Per-sample sgd with L2; otherwise as `blocked.train_blocked`, with or without `help_shared` beside it.

    Parameters
    ----------
    model, samples, rule, run
        See `state.Model`, `Samples`, `update_rules.Rule` and `Run`; changed in place. Layers `DELAYED` in the
        layout are swept.
    work
        Scratch, whose sizes are the block's and the sub-blocks' lengths and the number of threads.
    updated
        propagate="updated".
    stop_epoch, max_samples
        Where to pause.

    Returns
    -------
    int
        `PAUSED`, or `DIVERGED` when the loss of the sample at run.position is not finite; that
        sample has changed nothing.
    """
    real = model.parameters.dtype.type
    layout, block = model.layout, work.block
    position = run.position
    length, sub_length = len(block.a), len(block.within)
    transpose_narrow(model.parameters, layout, model.scratch, False)
    out, width = np.int64(layout[0, OUTPUTS]), np.int64(layout[0, FAN_OUT])
    outputs = layout[len(layout) - 1, OUTPUTS]
    rated = -1
    status = PAUSED
    done = 0
    while position[EPOCH] < stop_epoch and done < max_samples and status == PAUSED:
        begin_epoch(samples, run)
        rate = run.learning_rates[position[EPOCH]]
        if rated != position[EPOCH]:  # powers follow from the learning rate
            rated = position[EPOCH]
            fill_powers(block.powers, rule, rate)
            work.crew.rates[0] = real(rate)
        step = Step(real(0), real(0), real(rate), real(rule.l2))
        start = position[SAMPLE]
        until = min(samples.order.size, start - start % length + length)
        done += until - start
        n = gather(samples, block.a, block.at, start, until)
        if n > 0:  # not where all of them weigh 0
            _begin_block(model, work, n)
        first = t = 0
        begun = False
        while t < n:
            s = samples.order[block.at[t]]
            weight = sample_weight(samples, s)
            _forward(model, work, first, t, begun)
            # a loss that is not finite ends the block before its sample
            if not observe(model, samples, run, s, weight, block.z[t], block.a[t], block.delta[t]):
                status = DIVERGED
                until = block.at[t]
                break
            for k in range(layout[len(layout) - 1, FAN_OUT]):
                block.delta[t, outputs + k] *= weight
            following = t + 1 if t + 1 < n else -1
            if following > 0 and following % sub_length == 0:
                # a sub-block later than the sample's own step: the weights are not written between the reads
                _catch_up_swept(model, work, first, t)
                last = min(following + sub_length, n)
                if t > 0:
                    add_product(  # what the steps before changed for the next samples (equation 7)
                        1,
                        block.z[following:last, out : out + width],
                        block.gram[following:last, :t],
                        block.delta[:t, out : out + width],
                    )
                first = t
            begun = _backward(model, work, first, (t, following), step, updated)
            t += 1
        _catch_up_swept(model, work, first, t)
        _catch_up(model, work, 0, 0, t)
        position[STEP] += t
        position[SAMPLE] = until
        end_epoch(samples, run)
    transpose_narrow(model.parameters, layout, model.scratch, True)
    return status
