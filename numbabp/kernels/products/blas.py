"""Matrix products inside kernels, by the BLAS that SciPy carries.

Numba's own `np.dot` writes a product but can't add it to what is there; the same entry into BLAS can, which
spares a block its largest temporary and a pass over the weights.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.linalg import check_blas_return, ensure_blas, get_blas_kind

from ...compiler.compiling import LINKED, scalar_function

SMALL_PRODUCT = 1_000_000
"""Multiply-adds of the largest product that OpenBLAS does without packing."""
NARROWEST_PANEL = 32


@scalar_function
def panel_width(length: Any, fan_in: Any, fan_out: Any) -> int:
    """Columns of the first layer's weights that one product takes.

    OpenBLAS multiplies in place, without packing, what is no more than SMALL_PRODUCT, and packing a matrix
    for a few samples costs more than multiplying it: at 784 x 128 and 16 samples 65 GFLOP/s whole, 157 in
    panels of 64 columns (float32; 140 for large square matrices).
    """
    panel: int = SMALL_PRODUCT // (length * fan_in) // 16 * 16
    return panel if NARROWEST_PANEL <= panel < fan_out else fan_out


def add_product(scale: Any, c: Any, a: Any, b: Any) -> None:
    """C = scale C + A B in place; a C of scale 0 may hold anything.

    Parameters
    ----------
    scale
        Number.
    c, a, b
        T (m, n), (m, k), (k, n), each with one axis contiguous; `c` by rows.
    """
    c[...] = (scale * c if scale != 0 else 0) + a @ b


@intrinsic
def _gemm(typingctx: Any, scale: Any, c: Any, a: Any, b: Any) -> Any:
    ensure_blas()

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = context.get_value_type(c.dtype)
        size = context.get_value_type(types.intp)
        byte = ir.IntType(8)
        pointer = byte.as_pointer()
        itemsize = ir.Constant(size, context.get_abi_sizeof(number))
        one = ir.Constant(size, 1)

        def larger(x: Any, y: Any) -> Any:
            return builder.select(builder.icmp_signed(">", x, y), x, y)

        def matrix(array_type: Any, value: Any) -> tuple[Any, Any, Any, Any, Any]:
            """Data, rows, columns, whether it lies by rows, and the leading dimension as BLAS wants it."""
            array = context.make_array(array_type)(context, builder, value)
            rows, columns = cgutils.unpack_tuple(builder, array.shape, 2)
            down, across = cgutils.unpack_tuple(builder, array.strides, 2)
            by_rows = builder.icmp_signed("==", across, itemsize)
            step = builder.select(by_rows, down, across)
            inner = builder.select(by_rows, columns, rows)
            leading = larger(larger(builder.sdiv(step, itemsize), inner), one)
            return builder.bitcast(array.data, pointer), rows, columns, by_rows, leading

        c_data, m, n, _, ldc = matrix(c, arguments[1])
        a_data, _, k, a_by_rows, lda = matrix(a, arguments[2])
        b_data, _, _, b_by_rows, ldb = matrix(b, arguments[3])
        plain, transposed = ir.Constant(byte, ord("n")), ir.Constant(byte, ord("t"))
        alpha = cgutils.alloca_once_value(builder, ir.Constant(number, 1.0))
        beta = cgutils.alloca_once_value(builder, context.cast(builder, arguments[0], scale, c.dtype))
        function_type = ir.FunctionType(
            ir.IntType(32),
            [
                *(byte, byte, byte, size, size, size),
                *(pointer, pointer, size, pointer, size, pointer, pointer, size),
            ],
        )
        function = cgutils.get_or_insert_function(builder.module, function_type, "numba_xxgemm")
        # BLAS reads matrices by columns, and so sees C^T = B^T A^T
        failed = builder.call(
            function,
            [
                ir.Constant(byte, ord(get_blas_kind(c.dtype))),
                builder.select(b_by_rows, plain, transposed),
                builder.select(a_by_rows, plain, transposed),
                *(n, m, k),
                builder.bitcast(alpha, pointer),
                *(b_data, ldb, a_data, lda),
                builder.bitcast(beta, pointer),
                *(c_data, ldc),
            ],
        )
        check_blas_return(context, builder, failed)
        return context.get_dummy_value()

    return types.void(scale, c, a, b), codegen


@overload(add_product, jit_options=LINKED)
def _add_product_compiled(scale: Any, c: Any, a: Any, b: Any) -> Any:
    def compiled(scale: Any, c: Any, a: Any, b: Any) -> None:
        _gemm(scale, c, a, b)

    return compiled
