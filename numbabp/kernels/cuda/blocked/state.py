"""What the blocked kernel on a GPU works on: in the device's memory, and what a block of threads shares."""

from typing import Any, NamedTuple

# Entries of Record.state.
STATUS, STEPS, NUMBER, AT = range(4)
# Entries of Block.rates.
MU, OF_VELOCITY, OF_GRADIENT = range(3)


class Network(NamedTuple):
    """What is trained."""

    parameters: Any  # T (n_parameters,)
    velocity: Any  # T (n_parameters,), or (0,) for plain SGD
    layout: Any  # uint64 (n_layers, 8), from `places.block_layout`
    loss: int
    level: float  # of the quantile loss


class Samples(NamedTuple):
    """The training data, and which of it comes when."""

    targets: Any  # T (n, n_outputs)
    weights: Any  # T (n,), or (0,) where every sample weighs 1
    rows: Any  # int64 (n,), the samples of an epoch in order, without those of weight 0


class Block(NamedTuple):
    """A block of n <= K samples; a layer's z, a and delta are (n, fan_out) matrices from K OUTPUTS on."""

    z: Any  # T, of layer 0 at first the samples times W_0; at the end deltas for W_K
    a: Any  # T, activations
    delta: Any  # T, dLoss/dz times the sample's weight; at the end deltas for v_K
    carried: Any  # T (n, fan_out of layer 0) at the front, samples times v_0
    gram: Any  # T (n, n) at the front, inner products of the samples
    powers: Any  # T (K + 1, 6), of equation 4
    rates: Any  # T (3,), of equation 2
    parts: Any  # T (2 (blocks of threads + 1) PARTS,), see `parts`; one half is read, the other written
    places: Any  # int64 (n_layers N_PLACES,), from `places.block_places`
    counts: Any  # int32 (2,), of `barriers.barrier_of_grid`


class Record(NamedTuple):
    """What training leaves beside the parameters."""

    metrics: Any  # int64 (n_metrics,)
    sums: Any  # float64 (epochs, 2 + n_metrics), as in `kernels.state.Run`
    state: Any  # int64 (4,): status; steps of the last block; block that diverged, and at which sample


class Threads(NamedTuple):
    """Who a thread is. All but the first and the blocks' numbers are constants, or follow by a shift."""

    thread: Any
    n: Any  # threads of its block
    lane: Any
    warp: Any
    n_warps: Any
    unit: Any  # in a group
    slice: Any  # the threads of one unit have a slice of its sum each
    n_slices: Any
    quad: Any  # first of four units in a group
    part: Any  # the threads of four units have a part of the rows of weights each
    n_parts: Any
    group: Any  # units of a group
    is_aligned: Any  # whether quads of vectors and matrices can be loaded at once
    n_held: Any  # half turns of rows in registers
    block: Any
    n_blocks: Any


class Sample(NamedTuple):
    """The sample under way."""

    t: Any  # its number in the block
    n: Any  # samples of the block
    row: Any  # of targets
    weight: Any


class Stage(NamedTuple):
    """What of a sample lies between two barriers of the grid.

    A sample goes through its hidden layers, then the output layer, and back through the hidden layers.
    """

    number: Any
    phase: Any  # barriers of the grid before it
    t: Any  # the sample's number in the block
    layer: Any  # whose units are computed,
    is_backward: Any  # their deltas, or else their activations
    is_output: Any  # after the output layer and the loss
    n_dots: Any  # inner products of them that the next stage needs,
    width: Any  # and how many sums in all


class Scratch(NamedTuple):
    """A block's shared memory, T but for the places and rows; what of it is in use."""

    places: Any  # int64, those of Block; in front of `pool`, in the same memory
    pool: Any  # what `places` says where it is: the block's own units, and weights that stay
    sums: Any  # (4 threads,), threads' shares of sums
    shares: Any  # (threads,), the same, one a thread
    dots: Any  # (K + n_outputs,), what `parts` add up to
    fresh: Any  # (group,), activations or deltas of the group's units
    back: Any  # (group,), rows of weights times delta
    of_weights: Any  # (K + 1,), columns of Block.powers: W_FROM_W,
    of_velocity: Any  # W_FROM_V,
    of_gradient: Any  # and W_FROM_G
    gram: Any  # (K,), inner products of the sample under way with those before
    weights: Any  # (K,), of the samples
    rates: Any  # (3,), those of Block
    z: Any  # (n_outputs,), of the output layer, like the rest
    a: Any
    delta: Any
    rows: Any  # int64 (K,), of targets, for the samples
    loss: Any  # float64 (1,), of the sample under way
    sums_of_epoch: Any  # float64 (2 + MAX_METRICS,), Record.sums of the epoch,
    metrics: Any  # int64 (MAX_METRICS,), those of Record,
    output: (
        Any  # uint64 (1, 8), and the output layer's row of the layout; for the thread that keeps the record
    )
