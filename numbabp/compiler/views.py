"""Parts of vectors as matrices, inside kernels."""

from typing import Any

import numba
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


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
        itemsize = context.get_constant(
            types.intp, context.get_abi_sizeof(context.get_data_type(vector.dtype))
        )
        part = context.make_array(array_type)(context, builder)
        populate_array(
            part,
            data=cgutils.gep_inbounds(builder, whole.data, first),
            shape=[n_rows, n_columns],
            strides=[builder.mul(n_columns, itemsize), itemsize],
            itemsize=itemsize,
            meminfo=None,
        )
        return part._getvalue()

    return array_type(vector, start, rows, columns), codegen


if not numba.config.DISABLE_JIT:
    matrix_at = intrinsic(_matrix_at)
