"""A network a warp: every lane has some units of each layer, with their weights in its registers.

Lanes exchange activations and deltas through shared memory, where a read of the same place by all of them
costs one access. A lane keeps the columns of weights that its units' pre-activations need, and of all layers
but the first the rows, too, that its units' deltas come back through. Both copies take the same steps; so no
sum has to be gathered over lanes, neither forwards nor backwards. With one copy and shuffles, 64-32-10 would
take 50 shuffles and additions more a step, and shuffles are issued at a quarter of a multiply-add's rate.
"""

from functools import cache
from itertools import accumulate, cycle, pairwise
from typing import Any

from ....compiler.compiling import scalar_function
from ....compiler.toolchain import SIMULATED
from ....functions.activations import SOFTMAX, exp
from ....functions.losses import CATEGORICAL_CROSS_ENTROPY, LAST_JOINT
from ....functions.units import (
    activated,
    derivative,
    gradient_of_output,
    highest_of,
    is_right,
    loss_of_output,
    sum_of,
)
from ..blocked.sums import warp_sum
from .arithmetic import make_log_of_sum, make_settled, make_step_bias, make_step_weight, real_of_sums
from .batches import Part
from .chaining import chain
from .kernel import Pieces, make_kernel, warp_barrier
from .specialisation import Specialisation

LANES = 32
WARPS = 1 if SIMULATED else 4
"""Of a block, and so networks; the simulator has no barrier of one warp."""


def n_slots(n_units: int) -> int:
    """Units of a layer that a lane has."""
    return -(-n_units // LANES)


class _Places:
    """Where a lane keeps each layer's columns (fan_in, slots), biases (slots,) and rows (slots, fan_out)."""

    def __init__(self, of: Specialisation) -> None:
        self.slots = [n_slots(n) for n in of.layer_sizes[1:]]
        lengths = []
        for layer, (fan_in, fan_out) in enumerate(pairwise(of.layer_sizes)):
            own = self.slots[layer]
            lengths += [fan_in * own, own, self.slots[layer - 1] * fan_out if layer else 0]
        starts = [0, *accumulate(lengths)]
        self.columns, self.biases, self.rows = starts[0:-1:3], starts[1::3], starts[2::3]
        self.n_own = starts[-1]
        self.units = [0, *accumulate(self.slots)]
        kinds = {"are_weights": True}, {"are_weights": False}, {"are_weights": True, "are_copies": True}
        self.parts = [
            Part(start, n, **kind)
            for start, n, kind in zip(starts[:-1], lengths, cycle(kinds), strict=False)
            if n
        ]


def n_own(of: Specialisation) -> int:
    """Parameters in a lane's registers, both copies counted."""
    return _Places(of).n_own


@cache
def make_train(of: Specialisation, max_registers: int | None = None) -> Any:
    """The kernel for a specialisation, launched with a warp a network; see `kernel.make_kernel`."""
    places, layers = _Places(of), range(of.n_layers)
    pieces = Pieces(
        LANES,
        WARPS,
        places.n_own,
        places.units[-1],
        of.n_units,
        False,
        places.parts,
        _sum_of_warp,
        chain(
            [_make_transfer(of, places, layer, moment, True) for layer in layers for moment in _arrays(of)]
        ),
        chain([_make_forward(of, places, layer) for layer in layers]),
        _make_outputs(of, places),
        chain([_make_backward(of, places, layer) for layer in reversed(layers)]),
        chain(
            [_make_transfer(of, places, layer, moment, False) for layer in layers for moment in _arrays(of)]
        ),
    )
    return make_kernel(of, pieces, max_registers)


def _arrays(of: Specialisation) -> range:
    """-1 for the parameters, the rule's moments, and the gradient."""
    return range(-1, of.n_kept)


@scalar_function
def _sum_of_warp(team: Any, value: Any) -> Any:
    return warp_sum(value)


def _make_transfer(of: Specialisation, places: _Places, layer: int, moment: int, is_load: bool) -> Any:
    """Between a lane's registers and the device's memory: parameters, or one of the moments."""
    fan_in, fan_out = of.layer_sizes[layer : layer + 2]
    w, b = of.weights_at[layer], of.biases_at[layer]
    columns, biases, rows = places.columns[layer], places.biases[layer], places.rows[layer]
    slots, slots_below = places.slots[layer], places.slots[layer - 1] if layer else 0
    here, there = max(0, moment) * places.n_own, max(0, moment) * of.n_parameters
    of_parameters = moment < 0
    zero = of.real(0)

    @scalar_function
    def load(team: Any, networks: Any, i: Any) -> None:
        into = team.parameters if of_parameters else team.moments
        values = networks.parameters[i] if of_parameters else networks.moments[i]
        for c in range(slots):
            k = team.lane + LANES * c
            for j in range(fan_in):
                place = here + columns + j * slots + c
                into[place] = values[there + w + j * fan_out + k] if k < fan_out else zero
            into[here + biases + c] = values[there + b + k] if k < fan_out else zero
        for c in range(slots_below):
            j = team.lane + LANES * c
            for k in range(fan_out):
                place = here + rows + c * fan_out + k
                into[place] = values[there + w + j * fan_out + k] if j < fan_in else zero

    @scalar_function
    def store(team: Any, networks: Any, i: Any) -> None:
        values = team.parameters if of_parameters else team.moments
        into = networks.parameters[i] if of_parameters else networks.moments[i]
        for c in range(slots):
            k = team.lane + LANES * c
            if k < fan_out:
                for j in range(fan_in):
                    into[there + w + j * fan_out + k] = values[here + columns + j * slots + c]
                into[there + b + k] = values[here + biases + c]

    return load if is_load else store


def _make_forward(of: Specialisation, places: _Places, layer: int) -> Any:
    fan_in, fan_out = of.layer_sizes[layer : layer + 2]
    columns, biases, own = places.columns[layer], places.biases[layer], places.units[layer]
    slots, code, out, x = places.slots[layer], of.codes[layer], of.outputs_at[layer], of.outputs_at[layer - 1]
    is_first, is_last = layer == 0, layer == of.n_layers - 1
    settled = make_settled(of)

    @scalar_function
    def forward(team: Any, s: Any, weight: Any) -> None:
        """z = b + W^T a, a = f(z), for the lane's units; softmax has to wait for all z."""
        for c in range(slots):
            total = team.parameters[biases + c]
            for j in range(fan_in):
                a = team.inputs[s, j] if is_first else team.seen_a[x + j]
                total += a * team.parameters[columns + j * slots + c]
            team.z[own + c] = total
            team.a[own + c] = activated(code, total) if is_last else settled(activated(code, total))
        if is_first:
            warp_barrier()  # until no lane needs what the step before has left to be seen
        for c in range(slots):
            k = team.lane + LANES * c
            if k < fan_out:
                team.seen_a[out + k] = team.z[own + c] if code == SOFTMAX else team.a[own + c]
        warp_barrier()

    return forward


def _make_outputs(of: Specialisation, places: _Places) -> Any:
    loss, level, monitored, n = of.loss, of.level, of.monitored, of.layer_sizes[-1]
    out, code = of.outputs_at[-1], of.codes[-1]
    slots, own = places.slots[-1], places.units[-2]
    of_activations, strict = loss > LAST_JOINT, of.strict
    zero, nothing = of.real(0), real_of_sums(of)(0)
    settled, log_of_sum = make_settled(of), make_log_of_sum(of)

    @scalar_function
    def outputs(team: Any, s: Any, weight: Any) -> Any:
        z, a, delta, targets = team.z, team.a, team.delta, team.targets
        normaliser, mass = nothing, zero
        if code == SOFTMAX:  # `forward` has left z to be seen instead of a
            highest = highest_of(team.seen_a, out, n)
            warp_barrier()
            for c in range(slots):
                k = team.lane + LANES * c
                z[own + c] -= highest
                a[own + c] = exp(z[own + c])
                if k < n:
                    team.seen_a[out + k] = a[own + c]
            warp_barrier()
            total = sum_of(team.seen_a, out, n)
            normaliser = log_of_sum(total, team.seen_a, out, n)
            for c in range(slots):
                a[own + c] /= total
            if strict:  # in fast kernels the largest output is found before the division
                warp_barrier()
                for c in range(slots):
                    k = team.lane + LANES * c
                    if k < n:
                        team.seen_a[out + k] = a[own + c]
        if loss == CATEGORICAL_CROSS_ENTROPY:
            for k in range(n):
                mass += targets[s, k]
        for c in range(slots):
            k = team.lane + LANES * c
            delta[own + c] = zero
            if k < n:  # the last slot of some lanes is empty
                y = targets[s, k]
                team.seen_loss[k] = loss_of_output(loss, level, z[own + c], a[own + c], y, normaliser)
                delta[own + c] = weight * gradient_of_output(loss, level, a[own + c], y, mass)
                if of_activations and code == SOFTMAX:
                    team.seen_delta[out + k] = delta[own + c] * a[own + c]
        if of_activations and code == SOFTMAX:  # its Jacobian needs a sum over all lanes
            warp_barrier()
            mean = sum_of(team.seen_delta, out, n)
            warp_barrier()
            for c in range(slots):
                delta[own + c] = a[own + c] * (delta[own + c] - mean)
        elif of_activations:
            for c in range(slots):
                delta[own + c] *= derivative(code, z[own + c], a[own + c])
        for c in range(slots):
            k = team.lane + LANES * c
            delta[own + c] = settled(delta[own + c])
            if k < n:
                team.seen_delta[out + k] = delta[own + c]
        warp_barrier()
        right = monitored and is_right(loss, team.seen_a, out, n, targets, s)
        return sum_of(team.seen_loss, 0, n), right

    return outputs


def _make_backward(of: Specialisation, places: _Places, layer: int) -> Any:
    fan_in, fan_out = of.layer_sizes[layer : layer + 2]
    columns, biases, rows = places.columns[layer], places.biases[layer], places.rows[layer]
    slots, own, out = places.slots[layer], places.units[layer], of.outputs_at[layer]
    is_first, is_second = layer == 0, layer == 1
    slots_below = 0 if is_first else places.slots[layer - 1]
    own_below, x, code_below = places.units[layer - 1], of.outputs_at[layer - 1], of.codes[layer - 1]
    zero, settled = of.real(0), make_settled(of)
    step_weight, step_bias = make_step_weight(of, places.n_own), make_step_bias(of, places.n_own)

    @scalar_function
    def backward(team: Any, s: Any, step: Any) -> None:
        """Delta of the lane's units in the layer below, and the update of both copies of the weights."""
        parameters, moments, delta = team.parameters, team.moments, team.delta
        for c in range(slots_below):
            a = team.a[own_below + c]
            total = zero
            for k in range(fan_out):
                p = rows + c * fan_out + k
                old, d = parameters[p], team.seen_delta[out + k]
                total += old * d
                step_weight(step, parameters, moments, p, old, a, d)
            k = team.lane + LANES * c
            delta[own_below + c] = zero
            if k < fan_in:
                delta[own_below + c] = settled(total * derivative(code_below, team.z[own_below + c], a))
        for c in range(slots):
            d = delta[own + c]
            for j in range(fan_in):
                a = team.inputs[s, j] if is_first else team.seen_a[x + j]
                p = columns + j * slots + c
                step_weight(step, parameters, moments, p, parameters[p], a, d)
            step_bias(step, parameters, moments, biases + c, d)
        if not is_first and not is_second:  # layer 0 is stepped with its own units' deltas alone
            for c in range(slots_below):
                k = team.lane + LANES * c
                if k < fan_in:
                    team.seen_delta[x + k] = delta[own_below + c]
            warp_barrier()

    return backward
