"""What the kernel of mini-batches works on, beside a model: samples, and the units of some of them.

Rows are samples: the units of a layer are a matrix of its own, (rows, fan_out) without gaps, so that products
and passes over it take contiguous memory. `batch_layout` has their offsets.
"""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.arrays import aligned_zeros
from ...compiler.compiling import subroutine
from ..layout import BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS, n_parameters, n_units
from ..products.tiled import TERMS, block_size, packed_size
from ..products.tiles import TILE_ROWS
from ..sparse import SparseSamples
from ..state import Samples, sample_weight
from ..update_rules import Rule

PART_BYTES = 1 << 23
"""Samples are taken together as long as their units take no more; then a mini-batch comes in parts."""
LEAST_PART = 256
GRADIENT_ROWS = np.uint64(4 * TILE_ROWS)
"""Rows of a gradient for which a panel of deltas is read once; half or twice as many take as long."""


class BatchSamples(NamedTuple):
    """The training data, dense or in compressed sparse rows; T is the network's dtype."""

    inputs: np.ndarray  # T (n, n_inputs), or (0, 0) where the samples are sparse
    values: np.ndarray  # T (n_nonzeros,)
    columns: np.ndarray  # uint32 (n_nonzeros,)
    starts: (
        np.ndarray | None
    )  # int64 (n + 1,), where each sample's non-zeros begin; None where they are dense
    targets: np.ndarray  # T (n, n_outputs)
    weights: np.ndarray  # T (n,), or (0,) where every sample weighs 1
    order: np.ndarray  # int64 (n,), the order of the current epoch


class Batch(NamedTuple):
    """How mini-batches are taken, and scratch for so many samples of one as are taken at a time."""

    z: np.ndarray  # T (rows * n_units,), pre-activations, where `batch_layout` says
    a: np.ndarray  # T, likewise: activations, after the samples themselves
    delta: np.ndarray  # T, likewise: dLoss/dz times the sample's share of the mean
    packed: np.ndarray  # T, for `tiled.pack`: of a block, or of a layer's delta
    strip: np.ndarray  # T, for `weight_gradient`: some columns of the activations
    zeros: np.ndarray  # T (largest fan_in or fan_out,), what products begin with
    picks: np.ndarray  # int64 (rows,), positions of the samples in the order
    size: int  # samples of a mini-batch, those of weight 0 too
    by_blas: bool  # whether products are BLAS's, whose threads share them, instead of our own
    # None, or float64 (epochs,) for a mean as scikit-learn has it: over the weight of a mini-batch, which is
    # not taken in parts, and which divides the penalty, too; what is recorded is its loss (see `reports`),
    # and here l2/2 W^2 before every step
    penalties: Any = None
    gain: float = 1.0  # factor of gradients that are so: -eta, with a rate of -1, puts it into velocities


def batch_layout(layout: np.ndarray, rows: int, is_sparse: bool) -> np.ndarray:
    """The layout with offsets of the units of `rows` samples, without the inputs if they are sparse."""
    own = layout.copy()
    first = layout[0, OUTPUTS] if is_sparse else np.uint64(0)
    own[:, OUTPUTS] = (layout[:, OUTPUTS] - first) * np.uint64(rows)
    own[1:, INPUTS] = own[:-1, OUTPUTS]
    return own


def batch_samples(samples: Samples | SparseSamples) -> BatchSamples:
    """Samples as other kernels take them, without a copy."""
    targets, dtype = samples.targets, samples.targets.dtype
    if isinstance(samples, SparseSamples):
        dense = np.empty((0, 0), dtype)
        return BatchSamples(dense, *samples)
    nothing = np.empty(0, dtype), np.empty(0, np.uint32), None
    return BatchSamples(samples.inputs, *nothing, targets, samples.weights, samples.order)


def make_batch(
    layout: np.ndarray,
    samples: BatchSamples,
    size: int,
    rule: Rule,
    by_blas: bool = False,
    most: int | None = None,
) -> tuple[Batch, np.ndarray]:
    """Mini-batches of `size` samples, and room for what `train_minibatch` needs of their gradient.

    Parameters
    ----------
    layout
        The network's.
    samples, rule
        As for `train_minibatch`.
    size
        Samples of a mini-batch; more than there are make one of all.
    by_blas
        See `Batch`.
    most
        How many are taken at a time, if that is known, and the gradient is wanted as a whole.
    """
    dtype, is_sparse = samples.targets.dtype, samples.starts is not None
    size = min(size, samples.order.size)
    of_row = n_units(layout) - (int(layout[0, OUTPUTS]) if is_sparse else 0)
    rows = min(size, max(LEAST_PART, PART_BYTES // (of_row * dtype.itemsize)) if most is None else most)
    units = aligned_zeros((3, rows * of_row), dtype)
    largest = n_parameters(layout)
    if rows == size and rule.clip_norm == 0 and most is None:  # of one layer at a time
        weights = (layout[:, BIASES] - layout[:, WEIGHTS]).astype(np.int64)
        largest = max(int(weights.max()), int(layout[:, FAN_OUT].max()))
    sizes = layout[:, [FAN_IN, FAN_OUT]]
    packed = max(block_size(dtype), *(packed_size(rows, int(n), dtype) for n in layout[:, FAN_OUT]))
    batch = Batch(
        units[0],
        units[1],
        units[2],
        aligned_zeros(packed, dtype),
        aligned_zeros(int(TERMS * GRADIENT_ROWS), dtype),
        aligned_zeros(int(sizes.max()), dtype),
        np.zeros(rows, np.int64),
        size,
        by_blas,
    )
    return batch, aligned_zeros(largest, dtype)


@subroutine
def gather(samples: Any, batch: Any, start: Any, until: Any) -> int:
    """Pick the order's positions start to until, but samples of weight 0; copy what is dense; how many."""
    n = 0
    for i in range(start, until):
        if sample_weight(samples, samples.order[i]) != 0:
            batch.picks[n] = i
            n += 1
    n_inputs = np.uint64(samples.inputs.shape[1])
    for t in range(n):
        s = samples.order[batch.picks[t]]
        row = np.uint64(t) * n_inputs
        for k in range(n_inputs):
            batch.a[row + k] = samples.inputs[s, k]
    return n


@subroutine
def divisor_of(samples: Any, batch: Any, first: Any, last: Any) -> float:
    """What a mini-batch's sum of gradients is divided by: how many its samples are, or what they weigh."""
    if samples.weights.size == 0:
        return float(last - first)
    total = 0.0
    for i in range(first, last):
        weight = samples.weights[samples.order[i]]
        if weight != 0:
            total += 1.0 if batch.penalties is None else np.float64(weight)
    return total
