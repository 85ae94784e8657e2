"""The columns of weights that lead to a block's units: pre-activations from them, and their steps.

A thread has a quad of columns in every so-manieth row, and nobody else reads or writes what it has: so no
barrier is needed for weights. What threads have of a unit's sum is added up over lanes, then over warps.
"""

from typing import Any

from ....compiler.compiling import scalar_function
from ....compiler.toolchain import cuda
from ....functions.units import activated
from ..blocked.geometry import QUAD
from ..loops import from_start, rolled
from ..quads import load_quad, store_quad
from .shape import WARP, Hidden, Shape

ALL_LANES = 0xFFFFFFFF
AT_ONCE = 4
"""Turns whose numbers are read before any is written: for all that the compiler knows, what is read later may
lie where is written, so that each turn would wait for shared memory by itself."""


def make_stepped(shape: Shape) -> Any:
    """stepped(keep, w, a, step): a weight after a step, the same bits in its column and in its row."""
    with_l2 = shape.with_l2

    @scalar_function
    def stepped(keep: Any, w: Any, a: Any, step: Any) -> Any:
        if with_l2:
            w = keep * w
        return w - a * step

    return stepped


def make_stepped_quad(shape: Shape) -> Any:
    """stepped_quad(keep, quad, a, steps): four weights of one row."""
    stepped = make_stepped(shape)

    @scalar_function
    def stepped_quad(keep: Any, quad: Any, a: Any, steps: Any) -> Any:
        return (
            stepped(keep, quad[0], a, steps[0]),
            stepped(keep, quad[1], a, steps[1]),
            stepped(keep, quad[2], a, steps[2]),
            stepped(keep, quad[3], a, steps[3]),
        )

    return stepped_quad


def make_transfer(shape: Shape, of: Hidden, is_load: bool) -> Any:
    """transfer(me, network): columns and biases into shared memory, zeros where there are none, or back."""
    own, n_units, fan_in = of.own, of.n_units, of.fan_in
    threads, zero = shape.threads, shape.real(0)
    at, biases_at, weights, biases = of.columns_at, of.biases_at, of.weights, of.biases
    turns, parts, quads = of.turns, of.parts, of.quads

    @scalar_function
    def transfer(me: Any, network: Any) -> None:
        parameters = network.parameters
        first = me.number * own + QUAD * (me.thread & (quads - 1))
        for turn in range(turns):
            rolled()
            row = turn * parts + me.thread // quads
            here = at + QUAD * (turn * threads + me.thread)
            for i in range(QUAD):
                unit = first + i
                exists = row < fan_in and unit < n_units
                there = from_start(weights + row * n_units + unit)
                if is_load:
                    me.pool[from_start(here + i)] = parameters[there] if exists else zero
                elif exists:
                    parameters[there] = me.pool[from_start(here + i)]
        for i in range(me.thread, own, threads):
            unit = me.number * own + i
            if unit < n_units and is_load:
                me.pool[from_start(biases_at + i)] = parameters[from_start(biases + unit)]
            elif unit < n_units:
                parameters[from_start(biases + unit)] = me.pool[from_start(biases_at + i)]

    return transfer


def make_multiply(shape: Shape, of: Hidden) -> Any:
    """multiply(me): a thread's part of inputs times columns."""
    add = make_add_turn()
    threads, zero = shape.threads, shape.real(0)
    at, inputs_at, turns, parts, quads = of.columns_at, of.inputs_at, of.turns, of.parts, of.quads

    @scalar_function
    def multiply(me: Any) -> Any:
        sums = (zero, zero, zero, zero)
        row, here = inputs_at + me.thread // quads, at + QUAD * me.thread
        for turn in range(turns):
            x = me.pool[from_start(row + turn * parts)]
            sums = add(sums, x, load_quad(me.pool, here + QUAD * threads * turn))
        return sums

    return multiply


def make_add_turn() -> Any:
    """add(sums, x, quad): four sums with x times a quad more."""

    @scalar_function
    def add(sums: Any, x: Any, quad: Any) -> Any:
        return sums[0] + x * quad[0], sums[1] + x * quad[1], sums[2] + x * quad[2], sums[3] + x * quad[3]

    return add


def make_update(shape: Shape, of: Hidden) -> Any:
    """update(me): the columns' step with the inputs that were multiplied."""
    stepped = make_stepped_quad(shape)
    at, inputs_at, turns, parts, quads = of.columns_at, of.inputs_at, of.turns, of.parts, of.quads
    steps_at, together, stride = of.steps_at, turns - turns % AT_ONCE, QUAD * shape.threads

    @scalar_function
    def update(me: Any) -> None:
        steps = load_quad(me.pool, steps_at + QUAD * (me.thread & (quads - 1)))
        row, here = inputs_at + me.thread // quads, at + QUAD * me.thread
        for turn in range(0, together, AT_ONCE):
            x, place = from_start(row + turn * parts), here + stride * turn
            x_0, x_1 = me.pool[x], me.pool[x + parts]
            x_2, x_3 = me.pool[x + 2 * parts], me.pool[x + 3 * parts]
            w_0, w_1 = load_quad(me.pool, place), load_quad(me.pool, place + stride)
            w_2, w_3 = load_quad(me.pool, place + 2 * stride), load_quad(me.pool, place + 3 * stride)
            store_quad(me.pool, place, stepped(me.keep, w_0, x_0, steps))
            store_quad(me.pool, place + stride, stepped(me.keep, w_1, x_1, steps))
            store_quad(me.pool, place + 2 * stride, stepped(me.keep, w_2, x_2, steps))
            store_quad(me.pool, place + 3 * stride, stepped(me.keep, w_3, x_3, steps))
        for turn in range(together, turns):
            x_0, place = me.pool[from_start(row + turn * parts)], here + stride * turn
            store_quad(me.pool, place, stepped(me.keep, load_quad(me.pool, place), x_0, steps))

    return update


def make_advance(shape: Shape, of: Hidden) -> Any:
    """advance(me, old, new, keep): of the first layer, the last sample's step and the next one's product.

    One pass over the weights does both. `old` and `new` are places of those samples' inputs. Before a
    launch's first sample all steps are zeros, and `keep` is 1.
    """
    add, stepped = make_add_turn(), make_stepped_quad(shape)
    zero, stride = shape.real(0), QUAD * shape.threads
    at, turns, parts, quads, steps_at = of.columns_at, of.turns, of.parts, of.quads, of.steps_at
    together = turns - turns % AT_ONCE

    @scalar_function
    def advance(me: Any, old: Any, new: Any, keep: Any) -> Any:
        sums = (zero, zero, zero, zero)
        steps = load_quad(me.pool, steps_at + QUAD * (me.thread & (quads - 1)))
        row, here = me.thread // quads, at + QUAD * me.thread
        for turn in range(0, together, AT_ONCE):
            place, x, y = here + stride * turn, old + row + turn * parts, new + row + turn * parts
            x_0, x_1 = me.pool[from_start(x)], me.pool[from_start(x + parts)]
            x_2, x_3 = me.pool[from_start(x + 2 * parts)], me.pool[from_start(x + 3 * parts)]
            y_0, y_1 = me.pool[from_start(y)], me.pool[from_start(y + parts)]
            y_2, y_3 = me.pool[from_start(y + 2 * parts)], me.pool[from_start(y + 3 * parts)]
            w_0, w_1 = load_quad(me.pool, place), load_quad(me.pool, place + stride)
            w_2, w_3 = load_quad(me.pool, place + 2 * stride), load_quad(me.pool, place + 3 * stride)
            w_0, w_1 = stepped(keep, w_0, x_0, steps), stepped(keep, w_1, x_1, steps)
            w_2, w_3 = stepped(keep, w_2, x_2, steps), stepped(keep, w_3, x_3, steps)
            store_quad(me.pool, place, w_0)
            store_quad(me.pool, place + stride, w_1)
            store_quad(me.pool, place + 2 * stride, w_2)
            store_quad(me.pool, place + 3 * stride, w_3)
            sums = add(add(add(add(sums, y_0, w_0), y_1, w_1), y_2, w_2), y_3, w_3)
        for turn in range(together, turns):
            place, x = here + stride * turn, row + turn * parts
            weights = load_quad(me.pool, place)
            weights = stepped(keep, weights, me.pool[from_start(old + x)], steps)
            store_quad(me.pool, place, weights)
            sums = add(sums, me.pool[from_start(new + x)], weights)
        return sums

    return advance


def make_share_sums(shape: Shape, of: Hidden) -> Any:
    """share_sums(me, sums): threads' parts of sums, added up over a warp, for `activate` to find."""
    own, quads, sums_at = of.own, of.quads, shape.places.sums_at

    @scalar_function
    def share_sums(me: Any, sums: Any) -> None:
        if quads < 2:
            sums = _with_other(sums, 1)
        if quads < 4:
            sums = _with_other(sums, 2)
        if quads < 8:
            sums = _with_other(sums, 4)
        if quads < 16:
            sums = _with_other(sums, 8)
        if quads < WARP:
            sums = _with_other(sums, 16)
        if me.lane < quads:
            store_quad(me.pool, sums_at + me.warp * own + QUAD * me.lane, sums)

    return share_sums


@scalar_function
def _with_other(sums: Any, offset: Any) -> Any:
    """Four sums with those of another lane."""
    return (
        sums[0] + cuda.shfl_xor_sync(ALL_LANES, sums[0], offset),
        sums[1] + cuda.shfl_xor_sync(ALL_LANES, sums[1], offset),
        sums[2] + cuda.shfl_xor_sync(ALL_LANES, sums[2], offset),
        sums[3] + cuda.shfl_xor_sync(ALL_LANES, sums[3], offset),
    )


def make_activate(shape: Shape, of: Hidden, is_seen: bool) -> Any:
    """activate(me, exchange): a thread an own unit, its activation; told to other blocks if they need it."""
    own, n_units, code, n_warps = of.own, of.n_units, of.code, shape.n_warps
    sums_at, biases_at = shape.places.sums_at, of.biases_at
    z_at, a_at, seen_at = of.z_at, of.a_at, of.seen_at

    @scalar_function
    def activate(me: Any, exchange: Any) -> None:
        i, unit = me.thread, me.number * own + me.thread
        if i < own and unit < n_units:  # what there is not stays zero
            z = me.pool[from_start(biases_at + i)]
            for warp in range(n_warps):
                z += me.pool[from_start(sums_at + warp * own + i)]
            a = activated(code, z)
            me.pool[from_start(z_at + i)] = z
            me.pool[from_start(a_at + i)] = a
            if is_seen:
                exchange.seen[from_start(seen_at + unit)] = a

    return activate


def make_copy(shape: Shape, seen_at: int, into: int, n: int, room: int) -> Any:
    """copy(me, exchange): what all blocks told of n units, into shared memory, and zeros behind them."""
    quads, of_room, threads, zero = -(-n // QUAD), room // QUAD, shape.threads, shape.real(0)

    @scalar_function
    def copy(me: Any, exchange: Any) -> None:
        for i in range(me.thread, of_room, threads):
            quad = (zero, zero, zero, zero)
            if i < quads:
                quad = load_quad(exchange.seen, seen_at + QUAD * i)
            store_quad(me.pool, into + QUAD * i, quad)

    return copy
