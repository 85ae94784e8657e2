"""Numba types of what kernels for GPUs take, to compile them where there is no GPU to launch them on."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import from_dtype, types

from .blocked import state as blocked
from .population.kernel import Common, Networks, Record, Samples
from .resident import state as resident


def of_population(dtype_name: str, strict: bool = False) -> tuple[Any, ...]:
    """Of the kernels that train populations: train(networks, samples, record, common).

    Parameters
    ----------
    dtype_name
        The networks' dtype, "float32" or "float64".
    strict
        Whether the kernel is.
    """
    number = _arrays_of(from_dtype(np.dtype(dtype_name)))
    float64, int64, int32 = map(_arrays_of, (types.float64, types.int64, types.int32))
    return (
        types.NamedTuple(
            (
                number(2),
                number(2),
                int64(1),
                float64(2),
                int32(1),
                number(1),
                (float64 if strict else number)(1),
            ),
            Networks,
        ),
        types.NamedTuple((number(2), number(2), number(2), int32(2)), Samples),
        types.NamedTuple(
            (float64(2), float64(2), float64(1), int64(1), int64(1), float64(1), *[int64(1)] * 3), Record
        ),
        types.NamedTuple(
            (*[types.int64] * 3, *[types.float64] * 7, types.int64, types.float64, types.int64), Common
        ),
    )


def of_train_block(dtype_name: str) -> tuple[Any, ...]:
    """Of `blocked.train`'s kernel of steps."""
    number = _arrays_of(from_dtype(np.dtype(dtype_name)))
    float64, int64, int32, uint64 = map(_arrays_of, (types.float64, types.int64, types.int32, types.uint64))
    return (
        types.NamedTuple((number(1), number(1), uint64(2), types.int64, types.float64), blocked.Network),
        types.NamedTuple((number(2), number(1), int64(1)), blocked.Samples),
        types.NamedTuple(
            (*[number(1)] * 5, number(2), number(1), number(1), int64(1), int32(1)), blocked.Block
        ),
        types.NamedTuple((int64(1), float64(2), int64(1)), blocked.Record),
        *[types.int64] * 4,
    )


def of_carry_weights(dtype_name: str) -> tuple[Any, ...]:
    """Of the blocked form's other kernel."""
    network, _, block, record, *_ = of_train_block(dtype_name)
    return network, block, record


def of_resident(dtype_name: str) -> tuple[Any, ...]:
    """Of `resident.train`'s kernels, whatever their shape."""
    number = _arrays_of(from_dtype(np.dtype(dtype_name)))
    float64, int64, int32 = map(_arrays_of, (types.float64, types.int64, types.int32))
    return (
        types.NamedTuple((number(1), types.float64), resident.Network),
        types.NamedTuple((number(2), number(2), number(1), int64(1)), resident.Samples),
        types.NamedTuple((number(1), number(3), int32(1)), resident.Exchange),
        types.NamedTuple((int64(1), float64(2), float64(1), int64(1)), resident.Record),
        *[types.int64] * 4,
    )


def of_inference(dtype_name: str) -> dict[str, tuple[Any, ...]]:
    """Of the kernels of `inference`, by name; T being the dtype of that name."""
    number = _arrays_of(from_dtype(np.dtype(dtype_name)))
    layout, codes, sums = _arrays_of(types.uint64), _arrays_of(types.int64), _arrays_of(types.float64)
    return {
        "activate_units": (types.int64, number(1), number(2), number(1), types.int64),
        "softmax_rows": (number(1), number(2), number(1)),
        "add_metrics": (
            layout(2),
            codes(1),
            types.int64,
            types.float64,
            number(3),
            number(3),
            number(2),
            number(1),
            sums(3),
        ),
    }


def _arrays_of(dtype: Any) -> Callable[[int], Any]:
    """Contiguous ones, of so many dimensions."""
    return lambda n_dimensions: types.Array(dtype, n_dimensions, "C")
