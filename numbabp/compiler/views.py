"""Parts of vectors as matrices, and arrays by their addresses, inside kernels."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


def array_value(context: Any, builder: Any, of_type: Any, data: Any, shape: Sequence[Any]) -> Any:
    """A C-contiguous array of this memory, for code generators; it does not keep the memory alive."""
    itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(of_type.dtype)))
    strides = [itemsize] if len(shape) == 1 else [builder.mul(shape[1], itemsize), itemsize]
    array = context.make_array(of_type)(context, builder)
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
    return array._getvalue()


def matrix_at(vector: Any, start: Any, rows: Any, columns: Any) -> Any:
    """The part of a vector from `start` as a matrix by rows, without a copy.

    As a slice and `reshape` make it, but with neither their checks nor their reference counts, for which
    Numba keeps functions without them from handing on what they have sliced.
    """
    return vector[start : start + rows * columns].reshape((rows, columns))


def _matrix_at(typingctx: Any, vector: Any, start: Any, rows: Any, columns: Any) -> Any:
    array_type = types.Array(vector.dtype, 2, "C")

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = context.make_array(vector)(context, builder, arguments[0])
        first, n_rows, n_columns = (
            context.cast(builder, argument, number, types.intp)
            for argument, number in zip(arguments[1:], signature.args[1:], strict=True)
        )
        data = cgutils.gep_inbounds(builder, whole.data, first)
        return array_value(context, builder, array_type, data, [n_rows, n_columns])

    return array_type(vector, start, rows, columns), codegen


def flat(table: Any) -> Any:
    """A C-contiguous array of two dimensions as a vector, without a copy."""
    return table.reshape(-1)


def _flat(typingctx: Any, table: Any) -> Any:
    array_type = types.Array(table.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = context.make_array(table)(context, builder, arguments[0])
        return array_value(context, builder, array_type, whole.data, [whole.nitems])

    return array_type(table), codegen


def places_of(arrays: Sequence[np.ndarray]) -> Any:
    """Where arrays lie, for `vector_at` and `table_at`: int64 (n, 3), address, rows and columns of each.

    A call of a kernel with two arrays takes 0.35 us, and 0.07 us more for each further one; what a step needs
    are ten. Who keeps the places must keep the arrays, too. Interpreted, it is the arrays themselves.
    """
    if numba.config.DISABLE_JIT:
        return tuple(arrays)
    return np.array([(array.ctypes.data, len(array), array.shape[-1]) for array in arrays], np.int64)


def vector_at(places: Any, k: int, dtype: Any) -> Any:
    """Array k of one dimension, which has this dtype."""
    return places[k]


def table_at(places: Any, k: int, dtype: Any) -> Any:
    """Array k of two dimensions, C-contiguous, which has this dtype."""
    return places[k]


def _array_at(n_dimensions: int) -> Any:
    def of_dimensions(typingctx: Any, places: Any, k: Any, dtype: Any) -> Any:
        array_type = types.Array(dtype.dtype, n_dimensions, "C")

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            where = context.make_array(places)(context, builder, arguments[0])
            first = builder.mul(
                context.cast(builder, arguments[1], signature.args[1], types.intp),
                context.get_constant(types.intp, 3),
            )
            address, *shape = (
                builder.load(
                    cgutils.gep_inbounds(
                        builder, where.data, builder.add(first, context.get_constant(types.intp, i))
                    )
                )
                for i in range(1 + n_dimensions)
            )
            data = builder.inttoptr(address, context.get_data_type(array_type.dtype).as_pointer())
            return array_value(context, builder, array_type, data, shape)

        return array_type(places, k, dtype), codegen

    return of_dimensions


if not numba.config.DISABLE_JIT:
    matrix_at, flat = intrinsic(_matrix_at), intrinsic(_flat)
    vector_at, table_at = intrinsic(_array_at(1)), intrinsic(_array_at(2))
