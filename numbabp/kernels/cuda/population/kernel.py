"""Kernels that train populations on a GPU: what they have in common, whoever trains a network.

A launch takes all networks from one position to another, positions being counted over the samples of all
epochs of a slice, in their orders. A network is trained by a team of threads: one thread (`thread`), a warp
(`warp`) or a block (`block`); each of these modules tells where parameters lie and how a step is shared
out, in functions that `make_kernel` puts together with what all do alike: samples in shared memory, epochs,
records, and networks that end before the others. Reference: `train` in tests/reference.py.

NVIDIA's compiler unrolls loops of constant lengths (`specialisation`), but not a loop over layers around
them: so there is a function for each layer, and `chaining` calls them in turn.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import float64, from_dtype

from ....compiler.compiling import scalar_function
from ....compiler.cuda import kernel
from ....compiler.toolchain import SIMULATED, cuda
from ...update_rules import Rule
from .arithmetic import make_next_powers, make_step, powers_at, real_of_sums
from .batches import Part, make_finish
from .specialisation import Specialisation

if not SIMULATED:
    from ..barriers import barrier_of_warp

ALIGNMENT = None if SIMULATED else 16
"""Of arrays in shared memory, so that four numbers are read at a time; the simulator knows none."""


class Networks(NamedTuple):
    """What is trained, T being the networks' dtype; everything on the device."""

    parameters: Any  # T (n_networks, n_parameters)
    moments: Any  # T (n_networks, n_kept * n_parameters), and the gradient so far
    steps: Any  # int64 (n_networks,), taken so far
    rates: Any  # float64 (n_rates, epochs of the slice)
    rate_of: Any  # int32 (n_networks,), row of `rates`
    momentum: Any  # T (n_networks,)
    l2: Any  # T (n_networks,), strictly float64


class Samples(NamedTuple):
    """What it is trained on."""

    inputs: Any  # T (n, n_inputs)
    targets: Any  # T (n, n_outputs)
    weights: Any  # T (n, n_networks), of samples for each network, (n, 1) for all, or (0, 0)
    orders: Any  # int32 (epochs of the slice, n); with own orders (n_networks, n), of one epoch


class Record(NamedTuple):
    """What is recorded, and how networks end before the others."""

    loss: Any  # float64 (epochs of the slice, n_networks): means, of an unfinished epoch the sum
    accuracy: Any  # the same, or (0, 0) for none
    weight: Any  # float64 (n_networks,), sums of the sample weights; strictly in order, of the epoch so far
    diverged: Any  # int64 (n_networks,): -1, or the position of the sample whose loss was not finite
    limits: Any  # int64 (n_networks,), position in the slice that a network stops at
    best: Any  # float64 (n_networks,), lowest loss of an epoch so far
    waited: Any  # int64 (n_networks,), epochs in a row that have not improved it by tol
    stopped: Any  # int64 (n_networks,): 0, or the epochs after which the loss improved no more
    gathered: Any  # int64 (n_networks,), samples whose gradients have been added up for the next step


class Common(NamedTuple):
    """Numbers for all networks and steps of a launch."""

    first_epoch: int
    """Epoch that the slice begins with."""
    begin: int
    """Position in the slice to begin at,"""
    end: int
    """and to end before."""
    rho: float
    beta_1: float
    beta_2: float
    epsilon: float
    l1: float
    clip_value: float
    clip_norm: float
    batch_size: int
    tol: float
    n_iter_no_change: int
    """0 for no limit."""

    @classmethod
    def of_rule(
        cls,
        rule: Rule,
        batch_size: int,
        where: tuple[int, int, int],
        tol: float = 0.0,
        n_iter_no_change: int = 0,
    ) -> "Common":
        """Of an update rule's numbers; `where` are the first epoch, begin and end."""
        numbers = rule.rho, rule.beta_1, rule.beta_2, rule.epsilon, rule.l1, rule.clip_value, rule.clip_norm
        return cls(*where, *numbers, batch_size, tol, n_iter_no_change)


class Team(NamedTuple):
    """Those who train a network, and what they work on; the arrays of a team of one are in its registers."""

    lane: Any
    """Number of the thread in the team,"""
    n_lanes: Any
    """of so many,"""
    member: Any
    """and of the team in the block."""
    parameters: Any
    moments: Any
    z: Any
    a: Any
    delta: Any
    seen_a: Any
    """What lanes see of each other's activations,"""
    seen_delta: Any
    """deltas,"""
    seen_loss: Any
    """and parts of the loss, strictly float64; (teams, n_units), or the block's team's in `a` and `delta`."""
    inputs: Any  # T (rows, n_inputs): those of a tile for all networks of the block, or a team's own each
    targets: Any  # T (rows, n_outputs)


class Pieces(NamedTuple):
    """How a team trains its network: sizes of its arrays, and functions for the compiler."""

    n_lanes: int
    """Threads of a team; 0 for as many as the block has."""
    n_teams: int
    """Of a block."""
    n_own: int
    """Parameters that a thread has in registers, or a block in shared memory."""
    n_own_units: int
    """Pre-activations likewise."""
    n_seen: int
    """Units that lanes see of each other, 0 if there are no others."""
    in_shared: bool
    """Whether all this lies in shared memory, that of one team."""
    parts: Sequence[Part]
    """Of its parameters,"""
    sum_of_team: Callable[[Any, float], float]
    """and its sum over the team's threads, of a number of each."""
    load: Callable[..., None]
    """load(team, networks, i)"""
    forward: Callable[..., None]
    """forward(team, s): up to the outputs of the tile's sample s"""
    outputs: Callable[..., Any]
    """outputs(team, s, weight): its loss and whether it is right; delta of the outputs, times that weight"""
    backward: Callable[..., None]
    """backward(team, s, step): every delta, and the update"""
    store: Callable[..., None]
    """store(team, networks, i)"""


@scalar_function
def warp_barrier() -> None:
    """Wait for the other lanes of the warp; the simulator knows only barriers of blocks."""
    if SIMULATED:
        cuda.syncthreads()
    else:
        barrier_of_warp()


@scalar_function
def block_barrier() -> None:
    """Wait for the other threads of the block."""
    cuda.syncthreads()


def _make_fetch(n_lanes: int) -> Any:
    """fetch(team, samples, s): a sample into the team's own row, between two barriers of the team."""
    barrier = {1: _no_barrier, 0: block_barrier}.get(n_lanes, warp_barrier)

    @scalar_function
    def fetch(team: Any, samples: Any, s: Any) -> None:
        barrier()
        for j in range(team.lane, samples.inputs.shape[1], team.n_lanes):
            team.inputs[team.member, j] = samples.inputs[s, j]
        for j in range(team.lane, samples.targets.shape[1], team.n_lanes):
            team.targets[team.member, j] = samples.targets[s, j]
        barrier()

    return fetch


@scalar_function
def _no_barrier() -> None:
    """Of a team of one."""


def _lengths_in_registers(of: Specialisation, pieces: Pieces) -> tuple[int, int, int]:
    """Of a thread's parameters, moments and units; of no use (1) where all that lies in shared memory."""
    if pieces.in_shared:
        return 1, 1, 1
    return pieces.n_own, max(1, of.n_kept * pieces.n_own), pieces.n_own_units


def _make_team(of: Specialisation, pieces: Pieces) -> Any:
    """team_of(thread, n_threads, in_tile, own, memory): a thread's place, and the arrays that it works on.

    The arrays are the kernel's: those in registers, made here, would be gone on return, which no simulator
    notices, nor a compiler that happens to leave them where they were; an H100 did.
    """
    n_lanes, in_shared = pieces.n_lanes, pieces.in_shared
    n_own, n_own_units = pieces.n_own, pieces.n_own_units
    # of what lies in shared memory, with nothing of it in registers, the other way round
    z_at = n_own * (1 + of.n_kept)
    a_at, delta_at, loss_at = z_at + n_own_units, z_at + 2 * n_own_units, z_at + 3 * n_own_units

    @scalar_function
    def team_of(thread: Any, n_threads: Any, in_tile: Any, own: Any, memory: Any) -> Any:
        lanes = n_lanes if n_lanes > 0 else n_threads
        lane, member = thread % lanes, thread // lanes
        inputs, targets, seen, losses = in_tile
        parameters, moments, z, a, delta = own
        seen_a, seen_delta, seen_loss = seen[0, member], seen[1, member], losses[member]
        if in_shared:
            parameters, moments = memory[:n_own], memory[n_own:z_at]
            z, a, delta = memory[z_at:a_at], memory[a_at:delta_at], memory[delta_at:loss_at]
            seen_a, seen_delta, seen_loss = a, delta, memory[loss_at:]
        return Team(
            lane,
            lanes,
            member,
            parameters,
            moments,
            z,
            a,
            delta,
            seen_a,
            seen_delta,
            seen_loss,
            inputs,
            targets,
        )

    return team_of


def make_kernel(of: Specialisation, pieces: Pieces, max_registers: int | None = None) -> Any:
    """The kernel train(networks, samples, record, common) made of the pieces.

    Parameters
    ----------
    of
        What it is compiled for.
    pieces
        From `thread`, `warp` or `block`.
    max_registers
        Of a thread.
    """
    real, tile, rule, strict = of.real, of.tile, of.rule, of.strict
    real_of_rate, step_of, next_powers = real_of_sums(of), make_step(of), make_next_powers(of)
    weighted, monitored, n_teams = of.weighted, of.monitored, pieces.n_teams
    own_orders, rows, fetch = of.own_orders, of.rows(n_teams), _make_fetch(pieces.n_lanes)
    team_of = _make_team(of, pieces)
    n_parameters, n_moments, n_units = _lengths_in_registers(of, pieces)
    number = from_dtype(np.dtype(of.dtype_name))
    n_inputs, n_outputs = of.layer_sizes[0], of.layer_sizes[-1]
    n_seen, in_shared = -(-max(1, pieces.n_seen) // 4) * 4, pieces.in_shared
    load, forward, outputs, backward, store = pieces[-5:]
    gathers = of.gathers
    finish = make_finish(of, pieces.n_own, pieces.parts, in_shared, pieces.sum_of_team)

    @kernel(max_registers=max_registers, numerics=of.numerics)
    def train(networks: Any, samples: Any, record: Any, common: Any) -> None:
        thread, n_threads = cuda.threadIdx.x, cuda.blockDim.x
        inputs = cuda.shared.array((rows, n_inputs), number, alignment=ALIGNMENT)
        targets = cuda.shared.array((rows, n_outputs), number, alignment=ALIGNMENT)
        seen = cuda.shared.array((3, n_teams, n_seen), number, alignment=ALIGNMENT)
        if strict:  # a constant, so that the other branch, of another type, is left out
            seen_losses = cuda.shared.array((n_teams, n_seen), float64, alignment=ALIGNMENT)
        else:
            seen_losses = seen[2]
        parameters = cuda.local.array(n_parameters, number)
        moments = cuda.local.array(n_moments, number)
        z = cuda.local.array(n_units, number)
        a = cuda.local.array(n_units, number)
        delta = cuda.local.array(n_units, number)
        memory = parameters
        if in_shared:  # as much as the launch asked for
            memory = cuda.shared.array(0, number)
        own = parameters, moments, z, a, delta
        team = team_of(thread, n_threads, (inputs, targets, seen, seen_losses), own, memory)
        lane, member, parameters = team.lane, team.member, team.parameters
        i = cuda.blockIdx.x * n_teams + member
        n_networks, n_samples = networks.parameters.shape[0], samples.inputs.shape[0]
        last_epoch = networks.rates.shape[1] - 1
        zero = real(0)

        # threads of the last block may have no network, but copy samples and wait at barriers like the others
        exists = i < n_networks and member < n_teams
        active = False
        epoch, at = common.begin // n_samples, common.begin % n_samples
        row = column = waited = steps = taken = gathered = 0
        in_batch = at % common.batch_size if gathers else 0
        rate = l2 = momentum = losses = rights = zero
        loss_sum = right_sum = weight_sum = best = 0.0
        powers = (1.0, 1.0)
        limit = common.begin
        if exists:
            load(team, networks, i)
            active = record.diverged[i] < 0 and record.stopped[i] == 0
            limit = min(common.end, record.limits[i])
            row = networks.rate_of[i]
            rate = real_of_rate(networks.rates[row, epoch])
            momentum, l2 = networks.momentum[i], networks.l2[i]
            steps = networks.steps[i]
            powers = powers_at(rule, common, steps)
            best, waited = record.best[i], record.waited[i]
            if gathers:
                gathered = record.gathered[i]
            if weighted and samples.weights.shape[1] > 1:  # each network has its own
                column = i
            if at > 0:  # an epoch begun in an earlier launch
                loss_sum = record.loss[epoch, i]
                if monitored:
                    right_sum = record.accuracy[epoch, i]
                if strict:
                    weight_sum = record.weight[i]

        for first in range(common.begin, common.end, tile):
            length = min(tile, common.end - first)
            if own_orders:
                fetch(team, samples, samples.orders[min(i, n_networks - 1), first])
            else:
                cuda.syncthreads()  # until nobody needs the tile before
                for j in range(thread, length * n_inputs, n_threads):
                    position = first + j // n_inputs
                    s = samples.orders[position // n_samples, position % n_samples]
                    team.inputs[j // n_inputs, j % n_inputs] = samples.inputs[s, j % n_inputs]
                for j in range(thread, length * n_outputs, n_threads):
                    position = first + j // n_outputs
                    s = samples.orders[position // n_samples, position % n_samples]
                    team.targets[j // n_outputs, j % n_outputs] = samples.targets[s, j % n_outputs]
                cuda.syncthreads()
            for s in range(min(length, limit - first) if active else 0):
                here = member if own_orders else s
                weight = real(1)
                if weighted:
                    weight = samples.weights[samples.orders[i if own_orders else epoch, at], column]
                if weight != zero:  # else the sample is no step
                    forward(team, here, weight)
                    loss, right = outputs(team, here, real(1) if strict else weight)
                    if not math.isfinite(loss):  # before the sample has changed anything
                        if lane == 0:  # one of the team writes
                            record.diverged[i] = common.first_epoch * n_samples + first + s
                        active = False
                        break
                    if strict:
                        loss_sum += weight * loss
                        right_sum += weight if monitored and right else zero
                        weight_sum += weight
                    else:
                        losses += weight * loss
                        if monitored and right:
                            rights += weight
                    t = steps + taken + 1
                    next_ones = next_powers(common, powers, t)
                    step = step_of(parameters, common, rate, weight, momentum, l2, next_ones, t)
                    backward(team, here, step)
                    if gathers:
                        gathered += 1
                    else:
                        powers, taken = next_ones, taken + 1
                at += 1
                if gathers:
                    in_batch += 1
                    if in_batch == common.batch_size or at == n_samples:
                        if gathered > 0:
                            taken += 1
                            t = steps + taken
                            powers = next_powers(common, powers, t)
                            step = step_of(parameters, common, rate, real(1), momentum, l2, powers, t)
                            finish(team, step, common, gathered)
                            if in_shared:
                                cuda.syncthreads()  # others read what a thread has stepped
                        in_batch = gathered = 0
                if at == n_samples:  # an epoch ends
                    mean = (loss_sum + losses) / (weight_sum if strict else record.weight[i])
                    if lane == 0:
                        record.loss[epoch, i] = mean
                        if monitored:
                            total_weight = weight_sum if strict else record.weight[i]
                            record.accuracy[epoch, i] = (right_sum + rights) / total_weight
                    loss_sum = right_sum = weight_sum = 0.0
                    losses = rights = zero
                    at = 0
                    epoch += 1
                    rate = real_of_rate(networks.rates[row, min(epoch, last_epoch)])
                    waited = 0 if mean <= best - common.tol else waited + 1
                    best = min(best, mean)
                    # it no longer improves: what follows in the slice is for the others
                    if common.n_iter_no_change > 0 and waited > common.n_iter_no_change:
                        if lane == 0:
                            record.stopped[i] = common.first_epoch + epoch
                        active = False
                        break
            # in the networks' dtype only within a tile, strictly not at all
            loss_sum += losses
            right_sum += rights
            losses = rights = zero

        if exists:
            store(team, networks, i)
            if lane == 0:
                networks.steps[i] += taken
                record.best[i], record.waited[i] = best, waited
                if gathers:
                    record.gathered[i] = gathered
                if at > 0:  # the next launch goes on with the epoch
                    record.loss[epoch, i] = loss_sum
                    if monitored:
                        record.accuracy[epoch, i] = right_sum
                    if strict:
                        record.weight[i] = weight_sum

    return train
