"""What the resident kernel works on: in the device's memory, and what a block of threads has."""

from typing import Any, NamedTuple

# Entries of Record.state.
STATUS, STEPS, NUMBER, AT = range(4)


class Network(NamedTuple):
    """What is trained; the parameters are read at a launch's start and written at its end."""

    parameters: Any  # T (n_parameters,)
    l2: float


class Samples(NamedTuple):
    """The training data, and which of it comes when."""

    inputs: Any  # T (n, n_inputs)
    targets: Any  # T (n, n_outputs)
    weights: Any  # T (n,), or (0,) where every sample weighs 1
    rows: Any  # int64 (n,), the samples of an epoch in order, without those of weight 0


class Exchange(NamedTuple):
    """What blocks tell each other."""

    seen: Any  # T (Places.n_seen,), activations and steps of all units, zeros in between
    parts: Any  # T (2, n_outputs, Shape.rows_of_parts), blocks' shares of outputs; of even samples, of odd
    counts: Any  # int32 (2,), of `barriers.barrier_of_grid`


class Record(NamedTuple):
    """What training leaves beside the parameters, and the rate."""

    metrics: Any  # int64 (n_metrics,), at most MAX_METRICS
    sums: Any  # float64 (epochs, 2 + n_metrics), as in `kernels.state.Run`
    rates: Any  # float64 (1,), the epoch's learning rate
    state: Any  # int64 (4,): status; steps of the last launch; launch that diverged, and at which sample


class Block(NamedTuple):
    """A thread, and what it shares with the others of its block."""

    thread: Any
    lane: Any
    warp: Any
    number: Any  # of the block,
    n_blocks: Any  # of so many
    base: Any  # what `Exchange.counts` had counted before the launch
    keep: Any  # of a weight in a step: 1 - rate l2
    pool: Any  # T, shared memory as `shape.Places` deals it out
    held: Any  # T (Places.n_held,), rows of weights in the thread's registers
    totals: Any  # T (2 rows of a warp,), in registers, too: their sums, then their units' activations
    targets: Any  # T (1, n_outputs), shared, of the sample under way
    loss: Any  # float64 (1,), shared, likewise
