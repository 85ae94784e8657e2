"""What one thread of all keeps on record of an epoch: losses and metrics of the samples before their step."""

from typing import Any, NamedTuple

import numpy as np
from numba import float64

from ....compiler.compiling import scalar_function
from ....functions.activations import ACTIVATIONS
from ...layers import metric
from ...layout import ACTIVATION, FAN_OUT, FORM
from ...state import FIRST_METRIC, LOSS, WEIGHT
from ..blocked.geometry import MAX_METRICS
from ..loops import rolled
from .shape import Shape

N_SUMS, N_COLUMNS = FIRST_METRIC + MAX_METRICS, FORM + 1


class Sums(NamedTuple):
    """In shared memory, which that thread need not wait for."""

    of_epoch: Any  # float64 (N_SUMS,), Record.sums of the epoch
    metrics: Any  # int64 (MAX_METRICS,), those of Record
    output: Any  # uint64 (1, N_COLUMNS), a layout of the output layer by itself


def make_record(shape: Shape) -> tuple[Any, Any, Any]:
    """begin(record, sums, epoch), keep(me, record, sums, weight) and end(record, sums, epoch)."""
    places, loss, level, n = shape.places, shape.loss, shape.level, shape.n_outputs
    z_at, a_at, code = places.out_z_at, places.out_a_at, ACTIVATIONS[shape.activations[-1]]

    @scalar_function
    def begin(record: Any, sums: Any, epoch: Any) -> None:
        for column in range(N_COLUMNS):
            sums.output[0, column] = 0
        sums.output[0, FAN_OUT] = n
        sums.output[0, ACTIVATION] = code
        for m in range(len(record.metrics)):
            rolled()
            sums.metrics[m] = record.metrics[m]
        for i in range(record.sums.shape[1]):
            rolled()
            sums.of_epoch[i] = record.sums[epoch, i]

    @scalar_function
    def keep(me: Any, record: Any, sums: Any, weight: Any) -> None:
        of_sample = float64(weight)
        sums.of_epoch[LOSS] += of_sample * me.loss[0]
        sums.of_epoch[WEIGHT] += of_sample
        z, a = me.pool[z_at : z_at + n], me.pool[a_at : a_at + n]
        for m in range(len(record.metrics)):
            rolled()
            value = metric(sums.metrics[m], loss, level, sums.output, z, a, me.targets, np.uint64(0))
            sums.of_epoch[FIRST_METRIC + m] += of_sample * value

    @scalar_function
    def end(record: Any, sums: Any, epoch: Any) -> None:
        for i in range(record.sums.shape[1]):
            rolled()
            record.sums[epoch, i] = sums.of_epoch[i]

    return begin, keep, end
