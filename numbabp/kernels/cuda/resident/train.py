"""The resident kernel on a GPU: one large network, plain SGD a sample at a time, its weights on the chip.

A block of threads owns some units of each hidden layer, and keeps two copies of their weights through a whole
launch: the columns that lead to them, for pre-activations, and the rows that lead from them, for deltas. Both
take the same step at every sample, so that blocks tell each other activations and steps, but never weights.
What is handed back is the learning rate times delta, which a weight steps by as it is.

A sample with L layers of weights has 2 L - 3 barriers of the grid, for 784-2048-2048-10 three:

- the first layer's step of the sample before and its product with this one, in one pass; activations told;
- barrier; the second layer's product; its units' shares of the outputs' sums told;
- barrier, beside which the next sample is fetched; outputs, loss, steps of the outputs and of the second
  layer, told;
- barrier, beside which the second layer's columns step; steps of the first layer from rows, which step
  meanwhile.

Between two barriers only blocks' own units are written that nobody reads before the second of them; the
shares, which networks with one barrier need at once, are written by turns to two places.

Reference: `train` in tests/reference.py.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import float64, from_dtype, int64, uint64

from ....compiler.compiling import scalar_function
from ....compiler.cuda import kernel
from ....compiler.toolchain import SIMULATED, cuda
from ...state import DIVERGED
from ..barriers import BASE, arrive_at_grid, barrier_of_grid, wait_for_grid
from ..blocked.geometry import MAX_METRICS, QUAD
from ..loops import from_start, rolled
from ..pinning import pinned
from ..quads import ALIGNMENT
from . import columns, outputs, rows
from .record import N_COLUMNS, N_SUMS, Sums, make_record
from .shape import WARP, Shape
from .state import AT, NUMBER, STATUS, STEPS, Block

REGISTERS = 64 * 1024
"""Of a multiprocessor."""


@cache
def make_train(shape: Shape) -> Any:
    """The kernel for a shape.

    It is launched with `shape.grid` blocks of `shape.threads` threads, all of which have to run at once, and
    `shape.shared_bytes` of shared memory.
    """
    places, threads, n_barriers = shape.places, shape.threads, shape.n_barriers
    first_of_all, n_outputs = places.hidden[0], shape.n_outputs
    number_type = from_dtype(np.dtype(shape.dtype_name))
    real, one = shape.real, shape.real(1)
    n_held, n_totals = max(1, places.n_held), 2 * _most_rows(shape)
    at_0, at_1 = places.samples_at
    load, store = _make_transfers(shape)
    advance, fetch = columns.make_advance(shape, first_of_all), _make_fetch(shape)
    share_sums = columns.make_share_sums(shape, first_of_all)
    activate = columns.make_activate(shape, first_of_all, len(places.hidden) > 1)
    forward, backward = _make_forward(shape), _make_backward(shape)
    share, gather, predict, judge = (
        make(shape)
        for make in (outputs.make_share, outputs.make_gather, outputs.make_predict, outputs.make_judge)
    )
    of_loss = min(1, shape.n_warps - 1)  # the warp
    begin_record, keep_record, end_record = make_record(shape)
    max_registers = None if SIMULATED else min(255, REGISTERS // threads)
    of_shares = len(places.hidden) - 1  # number of the barrier that comes after them, of a sample's

    @kernel(max_registers=max_registers)
    def train_resident(
        network: Any,
        samples: Any,
        exchange: Any,
        record: Any,
        epoch: Any,
        number: Any,
        first: Any,
        n_samples: Any,
    ) -> None:
        """Steps of the samples samples.rows[first : first + n_samples].

        Parameters
        ----------
        network, samples, exchange, record
            See `Network`, `Samples`, `Exchange` and `Record`.
        epoch
            Row of record.sums.
        number
            Of this launch among those that follow each other. If one diverges, those after it take no step.
        first, n_samples
            Which samples.
        """
        rate = real(record.rates[0])
        thread: Any = np.int64(cuda.threadIdx.x)
        me = Block(
            thread,
            thread & (WARP - 1),
            thread // WARP,
            np.int64(cuda.blockIdx.x),
            np.int64(cuda.gridDim.x),
            exchange.counts[BASE],
            one - rate * real(network.l2),
            pinned(cuda.shared.array(0, number_type, alignment=ALIGNMENT)),
            cuda.local.array(n_held, number_type),
            cuda.local.array(n_totals, number_type),
            cuda.shared.array((1, n_outputs), number_type),
            cuda.shared.array(1, float64),
        )
        sums = Sums(
            cuda.shared.array(N_SUMS, float64),
            cuda.shared.array(MAX_METRICS, int64),
            cuda.shared.array((1, N_COLUMNS), uint64),
        )
        # without a step no barrier would come between what is read at first and what is written at last
        started = record.state[STATUS] != DIVERGED and n_samples > 0
        goes_on = started
        keeps_record = started and me.number == me.n_blocks - 1 and thread == 0
        if started:
            load(me, network)
            fetch(me, samples, samples.rows[first], at_0)
        if keeps_record:
            begin_record(record, sums, epoch)
        cuda.syncthreads()
        old, new, keep = at_1, at_0, one
        row = next_row = samples.rows[first] if started else 0
        weight = one
        t = 0
        while goes_on:
            rolled()
            if t < n_samples:  # early, as what is fetched by it later waits for it
                row, next_row = next_row, samples.rows[from_start(first + min(t + 1, n_samples - 1))]
                if samples.weights.size > 0:
                    weight = samples.weights[from_start(row)]
            part = advance(me, old, new, keep)
            if t == n_samples:
                break
            share_sums(me, part)
            cuda.syncthreads()
            activate(me, exchange)
            forward(me, exchange, t)
            cuda.syncthreads()
            share(me, exchange, t)
            arrive_at_grid(exchange.counts, thread)
            for k in range(thread, n_outputs, threads):
                me.targets[0, from_start(k)] = samples.targets[from_start(row), from_start(k)]
            fetch(me, samples, next_row, old)
            wait_for_grid(exchange.counts, thread, me.n_blocks, me.base, t * n_barriers + of_shares)
            gather(me, exchange, t)
            cuda.syncthreads()
            if me.warp == 0:
                predict(me, weight, rate)
            if me.warp == of_loss:
                judge(me)
            cuda.syncthreads()
            goes_on = outputs.is_finite(me)
            if goes_on:  # else the sample has changed nothing
                if keeps_record:
                    keep_record(me, record, sums, weight)
                backward(me, exchange, t)
                old, new, keep = new, old, me.keep
                t += 1
        if started:
            store(me, network)
        if keeps_record:
            end_record(record, sums, epoch)
        if me.number == 0 and thread == 0 and started:
            n_met = t * n_barriers + (0 if goes_on else of_shares + 1)
            if n_met > 0:
                exchange.counts[BASE] = me.base + n_met * me.n_blocks
            record.state[STEPS] = t
            if not goes_on:  # the first to do so is on record
                record.state[STATUS] = DIVERGED
                record.state[NUMBER] = number
                record.state[AT] = t

    return train_resident


def _most_rows(shape: Shape) -> int:
    """That a warp has of any layer."""
    return max(-(-own // shape.n_warps) for own in shape.own)


def _make_transfers(shape: Shape) -> tuple[Any, Any]:
    """load(me, network) and store(me, network): all that a block owns."""
    places = shape.places
    loads = [columns.make_transfer(shape, of, True) for of in places.hidden]
    for of_rows, below, above in zip(places.rows, places.hidden, places.hidden[1:], strict=False):
        loads.append(rows.make_load(shape, of_rows, below, above))
    loads.append(outputs.make_transfer(shape, True))
    stores = [columns.make_transfer(shape, of, False) for of in places.hidden]
    stores.append(outputs.make_transfer(shape, False))
    load_all, store_all = _in_turn(loads), _in_turn(stores)
    used, threads, zero = places.used, shape.threads, shape.real(0)

    @scalar_function
    def load(me: Any, network: Any) -> None:
        for i in range(me.thread, used, threads):  # what is never written counts as 0
            rolled()
            me.pool[from_start(i)] = zero
        cuda.syncthreads()
        load_all(me, network)

    return load, store_all


def _in_turn(functions: Sequence[Callable[..., None]]) -> Callable[..., None]:
    """A function for the compiler that calls functions of two arguments in turn."""
    first, *others = functions
    if not others:
        return first
    rest = _in_turn(others)

    @scalar_function
    def both(x: Any, y: Any) -> None:
        first(x, y)
        rest(x, y)

    return both


def _make_fetch(shape: Shape) -> Any:
    """fetch(me, samples, row, into): a sample's inputs into shared memory, by all warps but the first.

    That one has a thread which waits for other blocks meanwhile. What is read may lie where is written, for
    all that the compiler knows: so four numbers are read before the first is written, which waits once and
    not four times.
    """
    n, threads = shape.layer_sizes[0], shape.threads - WARP
    last = n - 1

    @scalar_function
    def fetch(me: Any, samples: Any, row: Any, into: Any) -> None:
        begin = me.thread - WARP if me.warp > 0 else n
        for i in range(begin, n, 4 * threads):
            rolled()
            j, k, m = i + threads, i + 2 * threads, i + 3 * threads
            x_i = samples.inputs[from_start(row), from_start(i)]
            x_j = samples.inputs[from_start(row), from_start(min(j, last))]
            x_k = samples.inputs[from_start(row), from_start(min(k, last))]
            x_m = samples.inputs[from_start(row), from_start(min(m, last))]
            me.pool[from_start(into + i)] = x_i
            if j < n:
                me.pool[from_start(into + j)] = x_j
            if k < n:
                me.pool[from_start(into + k)] = x_k
            if m < n:
                me.pool[from_start(into + m)] = x_m

    return fetch


def _make_forward(shape: Shape) -> Any:
    """forward(me, exchange, t): from the first hidden layer's activations, told, to the last one's."""
    forward = None
    for layer in range(1, len(shape.places.hidden)):
        forward = _make_forward_through(shape, layer, forward)
    return forward or _nothing


def _make_forward_through(shape: Shape, layer: int, before: Any) -> Any:
    places, n_barriers = shape.places, shape.n_barriers
    below, of = places.hidden[layer - 1 : layer + 1]
    earlier = before or _nothing
    room = -(-of.fan_in // QUAD) * QUAD  # what lies behind it stays zero
    copy = columns.make_copy(shape, below.seen_at, of.inputs_at, of.fan_in, room)
    multiply, share_sums = columns.make_multiply(shape, of), columns.make_share_sums(shape, of)
    activate = columns.make_activate(shape, of, layer < len(places.hidden) - 1)

    @scalar_function
    def forward(me: Any, exchange: Any, t: Any) -> None:
        earlier(me, exchange, t)
        number = t * n_barriers + layer - 1
        barrier_of_grid(exchange.counts, me.thread, me.n_blocks, me.base, number)
        copy(me, exchange)
        cuda.syncthreads()
        share_sums(me, multiply(me))
        cuda.syncthreads()
        activate(me, exchange)

    return forward


def _make_backward(shape: Shape) -> Any:
    """backward(me, exchange, t): all steps but the first layer's own, whose units' it leaves."""
    places = shape.places
    n_hidden = len(places.hidden)
    of_warp = -(-places.hidden[-1].own // shape.n_warps)
    back = rows.make_back_from_outputs(shape, places.hidden[-1], of_warp)
    differentiate = rows.make_differentiate(shape, places.hidden[-1], of_warp, n_hidden > 1)
    step_biases = outputs.make_step_biases(shape)
    further: Any = _nothing
    for layer in range(1, n_hidden):
        further = _make_backward_through(shape, layer, further)

    @scalar_function
    def backward(me: Any, exchange: Any, t: Any) -> None:
        back(me)
        differentiate(me, exchange)
        step_biases(me)
        cuda.syncthreads()
        further(me, exchange, t)

    return backward


def _make_backward_through(shape: Shape, layer: int, further: Any) -> Any:
    """Of a hidden layer whose units' steps are known and told: its weights' steps, and the units' below."""
    places, n_barriers, n_hidden = shape.places, shape.n_barriers, len(shape.places.hidden)
    below, of = places.hidden[layer - 1 : layer + 1]
    update = columns.make_update(shape, of)
    room = places.rows[layer - 1].quads * QUAD * WARP  # of the rows, whose other steps are other layers'
    copy = columns.make_copy(shape, of.seen_steps_at, places.steps_at, of.n_units, room)
    back = rows.make_back(shape, places.rows[layer - 1], below)
    differentiate = rows.make_differentiate(shape, below, places.rows[layer - 1].of_warp, layer > 1)
    after = 2 * n_hidden - 1 - layer  # number of the barrier, of a sample's

    @scalar_function
    def backward(me: Any, exchange: Any, t: Any) -> None:
        arrive_at_grid(exchange.counts, me.thread)
        update(me)  # which nobody else sees
        wait_for_grid(exchange.counts, me.thread, me.n_blocks, me.base, t * n_barriers + after)
        copy(me, exchange)
        cuda.syncthreads()
        back(me)
        differentiate(me, exchange)
        cuda.syncthreads()
        further(me, exchange, t)

    return backward


@scalar_function
def _nothing(me: Any, exchange: Any, t: Any) -> None:
    # networks of one hidden layer need no more; numba-cuda finds no lines in a docstring by itself
    pass
