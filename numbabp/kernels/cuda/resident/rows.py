"""The rows of weights that lead from a block's units to the next hidden layer: deltas come back through them.

They are a second copy of what other blocks have as columns, and take the same steps. A warp has whole rows,
a lane of them a quad in each turn: in registers as far as these go, then in shared memory.
"""

from typing import Any

from ....compiler.compiling import scalar_function
from ....functions.units import derivative
from ..blocked.geometry import QUAD
from ..blocked.sums import warp_sum
from ..loops import from_start, rolled
from ..quads import load_quad, store_quad
from .columns import make_stepped, make_stepped_quad
from .shape import WARP, Hidden, Rows, Shape


def make_load(shape: Shape, of: Rows, below: Hidden, above: Hidden) -> Any:
    """load(me, network): rows into registers and shared memory, zeros where there are none."""
    of_warp, quads, held, held_at, rows_at = of
    own, n_below, n_above, weights = below.own, below.n_units, above.n_units, above.weights
    threads, zero = shape.threads, shape.real(0)

    @scalar_function
    def weight_of(me: Any, network: Any, r: Any, column: Any) -> Any:
        i = me.warp * of_warp + r
        unit = me.number * own + i
        if i < own and unit < n_below and column < n_above:
            return network.parameters[from_start(weights + unit * n_above + column)]
        return zero

    @scalar_function
    def load(me: Any, network: Any) -> None:
        for turn in range(held):
            for r in range(of_warp):
                for i in range(QUAD):
                    column = QUAD * (turn * WARP + me.lane) + i
                    here = held_at + QUAD * (turn * of_warp + r) + i
                    me.held[here] = weight_of(me, network, r, column)
        for turn in range(held, quads):
            rolled()
            for r in range(of_warp):
                rolled()
                here = rows_at + QUAD * (((turn - held) * of_warp + r) * threads + me.thread)
                for i in range(QUAD):
                    column = QUAD * (turn * WARP + me.lane) + i
                    me.pool[from_start(here + i)] = weight_of(me, network, r, column)

    return load


def make_back(shape: Shape, of: Rows, below: Hidden) -> Any:
    """back(me): a lane's part of steps above times rows into `totals`, then the rows' own step."""
    of_warp, quads, held, held_at, rows_at = of
    threads, steps_at = shape.threads, shape.places.steps_at
    stepped, begin = make_stepped_quad(shape), make_begin(shape, below, of_warp)

    @scalar_function
    def back(me: Any) -> None:
        begin(me)
        for turn in range(held):
            steps = load_quad(me.pool, steps_at + QUAD * (turn * WARP + me.lane))
            for r in range(of_warp):
                here = held_at + QUAD * (turn * of_warp + r)
                quad = me.held[here], me.held[here + 1], me.held[here + 2], me.held[here + 3]
                me.totals[r] = _with_products(me.totals[r], quad, steps)
                quad = stepped(me.keep, quad, me.totals[of_warp + r], steps)
                me.held[here], me.held[here + 1] = quad[0], quad[1]
                me.held[here + 2], me.held[here + 3] = quad[2], quad[3]
        for turn in range(held, quads):
            steps = load_quad(me.pool, steps_at + QUAD * (turn * WARP + me.lane))
            for r in range(of_warp):
                here = rows_at + QUAD * (((turn - held) * of_warp + r) * threads + me.thread)
                quad = load_quad(me.pool, here)
                me.totals[r] = _with_products(me.totals[r], quad, steps)
                store_quad(me.pool, here, stepped(me.keep, quad, me.totals[of_warp + r], steps))

    return back


@scalar_function
def _with_products(total: Any, quad: Any, steps: Any) -> Any:
    total += quad[0] * steps[0]
    total += quad[1] * steps[1]
    total += quad[2] * steps[2]
    return total + quad[3] * steps[3]


def make_begin(shape: Shape, below: Hidden, of_warp: int) -> Any:
    """begin(me): sums of zero, and behind them the activations that the warp's rows belong to."""
    own, a_at, zero = below.own, below.a_at, shape.real(0)

    @scalar_function
    def begin(me: Any) -> None:
        for r in range(of_warp):
            i = me.warp * of_warp + r
            me.totals[r] = zero
            me.totals[of_warp + r] = me.pool[from_start(a_at + i)] if i < own else zero

    return begin


def make_differentiate(shape: Shape, below: Hidden, of_warp: int, is_seen: bool) -> Any:
    """differentiate(me, exchange): the own units' steps from `totals`, and the biases'."""
    own, n_units, code = below.own, below.n_units, below.code
    biases_at, z_at, a_at, steps_at = below.biases_at, below.z_at, below.a_at, below.steps_at
    seen_at, zero = below.seen_steps_at, shape.real(0)

    @scalar_function
    def differentiate(me: Any, exchange: Any) -> None:
        total = zero
        for r in range(of_warp):  # each lane keeps its unit's
            of_row = warp_sum(me.totals[r])
            total = of_row if me.lane == r else total
        i = me.warp * of_warp + me.lane
        unit = me.number * own + i
        if me.lane < of_warp and i < own and unit < n_units:
            z, a = me.pool[from_start(z_at + i)], me.pool[from_start(a_at + i)]
            step = total * derivative(code, z, a)
            me.pool[from_start(steps_at + i)] = step
            me.pool[from_start(biases_at + i)] -= step
            if is_seen:
                exchange.seen[from_start(seen_at + unit)] = step

    return differentiate


def make_back_from_outputs(shape: Shape, below: Hidden, of_warp: int) -> Any:
    """back(me): the same as `make_back`'s, of the rows that lead to the outputs."""
    own, n, rows_at, steps_at = (
        below.own,
        shape.n_outputs,
        shape.places.out_rows_at,
        shape.places.out_steps_at,
    )
    stepped, begin = make_stepped(shape), make_begin(shape, below, of_warp)

    @scalar_function
    def back(me: Any) -> None:
        begin(me)
        for r in range(of_warp):
            i = me.warp * of_warp + r
            if i < own:
                for k in range(me.lane, n, WARP):
                    rolled()
                    here, step = from_start(rows_at + i * n + k), me.pool[from_start(steps_at + k)]
                    me.totals[r] += me.pool[here] * step
                    me.pool[here] = stepped(me.keep, me.pool[here], me.totals[of_warp + r], step)

    return back
