"""Four neighbouring numbers of an array at a time: 128 bits an instruction, so one for float32."""

from typing import Any

from ...compiler.toolchain import SIMULATED
from .blocked.geometry import QUAD

ALIGNMENT = None if SIMULATED else 16
"""Bytes, of arrays in shared memory that quads are read from. The simulator knows none."""


def load_quad(array: Any, index: Any) -> Any:
    """The numbers array[index : index + 4] of a contiguous array; index is a multiple of 4, not negative."""
    return array[index], array[index + 1], array[index + 2], array[index + 3]


def load_quad_of(array: Any, start: Any, index: Any) -> Any:
    """The numbers array[start + index : start + index + 4], both multiples of 4.

    Where `start` stays the same, only the index is added to an address, in 32 bits.
    """
    return load_quad(array, start + index)


def store_quad(array: Any, index: Any, quad: Any) -> None:
    """Put four numbers to where `load_quad` would find them."""
    array[index] = quad[0]
    array[index + 1] = quad[1]
    array[index + 2] = quad[2]
    array[index + 3] = quad[3]


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, *indices: Any) -> Any:
    from llvmlite import ir

    place = context.make_array(array_type)(context, builder, array).data
    number = context.get_data_type(array_type.dtype)
    for index in indices:
        place = builder.gep(place, [index])
    return builder.bitcast(place, ir.VectorType(number, QUAD).as_pointer())


def _load_numbers(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    from llvmlite import ir

    vector = builder.load(_pointer(context, builder, signature.args[0], *arguments), align=16)
    numbers = [builder.extract_element(vector, ir.Constant(ir.IntType(32), k)) for k in range(QUAD)]
    return context.make_tuple(builder, signature.return_type, numbers)


def _load(typingctx: Any, array: Any, index: Any) -> Any:
    from numba import types

    return types.UniTuple(array.dtype, QUAD)(array, index), _load_numbers


def _load_of(typingctx: Any, array: Any, start: Any, index: Any) -> Any:
    from numba import types

    return types.UniTuple(array.dtype, QUAD)(array, start, index), _load_numbers


def _store(typingctx: Any, array: Any, index: Any, quad: Any) -> Any:
    from llvmlite import ir
    from numba import types

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        vector = ir.Constant(pointer.type.pointee, ir.Undefined)
        for k in range(QUAD):
            number = builder.extract_value(arguments[2], k)
            vector = builder.insert_element(vector, number, ir.Constant(ir.IntType(32), k))
        builder.store(vector, pointer, align=16)
        return context.get_dummy_value()

    return types.void(array, index, types.UniTuple(array.dtype, QUAD)), codegen


if not SIMULATED:
    from numba.cuda.extending import intrinsic

    load_quad, load_quad_of, store_quad = intrinsic(_load), intrinsic(_load_of), intrinsic(_store)
