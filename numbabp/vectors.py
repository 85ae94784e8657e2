"""Vectors of `LANES` numbers as values in compiled code: loaded, computed with, stored.

LLVM does not see that a kernel's arrays never overlap, and will not check that for the sake of sixteen
numbers: plain loops over lanes took 35 ns a network and step at 2-10-1 in float32. With these, a kernel
says itself what is one vector operation. Without the compiler (`NUMBA_DISABLE_JIT=1`) a vector is an array.
"""

import operator
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 32
"""Numbers of a vector."""
FLAGS = ("contract", "nsz", "arcp")
"""As for `numbabp.compiling.exact_function`, since range reductions are made of these operations too."""


class Lanes(types.Type):
    """The type of a vector of float32 or float64 numbers."""

    def __init__(self, dtype: types.Float) -> None:
        super().__init__(name=f"Lanes({dtype})")
        self.dtype = dtype


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Lanes) -> None:
        super().__init__(dmm, fe_type, _vector_type(fe_type.dtype))


def _number_type(dtype: types.Float) -> Any:
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def _vector_type(dtype: types.Float) -> Any:
    return ir.VectorType(_number_type(dtype), LANES)


def load(array: Any, index: Any) -> Any:
    """The vector of array[index : index + LANES]."""
    return array[int(index) : int(index) + LANES].copy()


def store(array: Any, index: Any, vector: Any) -> None:
    """Put a vector at array[index : index + LANES]."""
    array[int(index) : int(index) + LANES] = vector


def splat(x: Any) -> Any:
    """LANES times x."""
    return np.full(LANES, x)


def widen(vector: Any) -> Any:
    """The vector in float64."""
    return vector.astype(np.float64)


def where_greater(a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    """`then` where a > b, else `otherwise`; all four are vectors."""
    return np.where(a > b, then, otherwise)


def clamp(vector: Any, low: Any, high: Any) -> Any:
    """The vector with what is below or above two numbers replaced by them; NaN stays NaN."""
    return np.minimum(np.maximum(vector, low), high)


def reciprocal(vector: Any) -> Any:
    """1 / vector, to a unit or two in the last place; no number may be 0 or infinite."""
    return 1 / vector


def any_nan(vector: Any) -> bool:
    """Whether one of the numbers is NaN."""
    return bool(np.isnan(vector).any())


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _vector_type(array_type.dtype).as_pointer())


def _splat(builder: Any, number: Any) -> Any:
    vector = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    first = builder.insert_element(vector, number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, vector, zeros)


def _load(typingctx: Any, array: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return builder.load(
            _pointer(context, builder, sig.args[0], *arguments), align=array.dtype.bitwidth // 8
        )

    return Lanes(array.dtype)(array, index), codegen


def _store(typingctx: Any, array: Any, index: Any, vector: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        array_value, position, value = arguments
        pointer = _pointer(context, builder, sig.args[0], array_value, position)
        builder.store(value, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, index, vector), codegen


def _splat_number(typingctx: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return _splat(builder, arguments[0])

    return Lanes(x)(x), codegen


def _widen(typingctx: Any, vector: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        if vector.dtype == types.float64:
            return arguments[0]
        return builder.fpext(arguments[0], _vector_type(types.float64))

    return Lanes(types.float64)(vector), codegen


def _where_greater(typingctx: Any, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        left, right, yes, no = arguments
        return builder.select(builder.fcmp_ordered(">", left, right), yes, no)

    return then(a, b, then, otherwise), codegen


def _clamp(typingctx: Any, vector: Any, low: Any, high: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        value, lowest, highest = arguments
        lowest, highest = _splat(builder, lowest), _splat(builder, highest)
        value = builder.select(builder.fcmp_ordered("<", value, lowest), lowest, value)
        return builder.select(builder.fcmp_ordered(">", value, highest), highest, value)

    return vector(vector, low, high), codegen


def _reciprocal(typingctx: Any, vector: Any) -> Any:
    """In float32 with AVX-512 an estimate of 14 bits and a step of Newton's, a third of a division's time."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        (value,) = arguments
        number = _number_type(vector.dtype)
        if vector.dtype == types.float64 or not _has_estimate():
            return builder.fdiv(_splat(builder, ir.Constant(number, 1.0)), value, flags=FLAGS)
        estimate = _estimate(builder, value)
        two = _splat(builder, ir.Constant(number, 2.0))
        product = builder.fmul(value, estimate, flags=FLAGS)
        return builder.fmul(estimate, builder.fsub(two, product, flags=FLAGS), flags=FLAGS)

    return vector(vector), codegen


def _has_estimate() -> bool:
    """Whether code is compiled for this processor and it has AVX-512."""
    import llvmlite.binding as llvm

    if numba.config.CPU_NAME is not None or numba.config.CPU_FEATURES is not None:
        return False
    return LANES % 16 == 0 and bool(llvm.get_host_cpu_features().get("avx512f"))


def _estimate(builder: Any, value: Any) -> Any:
    """vrcp14ps of sixteen numbers at a time."""
    i32, part = ir.IntType(32), ir.VectorType(ir.FloatType(), 16)
    undefined = ir.Constant(part, ir.Undefined)
    of_type = ir.FunctionType(part, [part, part, ir.IntType(16)])
    name = "llvm.x86.avx512.rcp14.ps.512"
    function = builder.module.globals.get(name) or ir.Function(builder.module, of_type, name)
    every = ir.Constant(ir.IntType(16), -1)
    parts = []
    for first in range(0, LANES, 16):
        places = ir.Constant(ir.VectorType(i32, 16), list(range(first, first + 16)))
        sixteen = builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), places)
        parts.append(builder.call(function, [sixteen, undefined, every]))
    while len(parts) > 1:
        size = parts[0].type.count
        places = ir.Constant(ir.VectorType(i32, 2 * size), list(range(2 * size)))
        parts = [builder.shuffle_vector(a, b, places) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _any_nan(typingctx: Any, vector: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        unordered = builder.fcmp_unordered("uno", arguments[0], arguments[0])
        bits = builder.bitcast(unordered, ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(vector), codegen


class _Arithmetic(AbstractTemplate):
    """Of two vectors, or a vector and a number, of one dtype."""

    def generic(self, args: Any, kws: Any) -> Any:
        left, right = args
        if isinstance(right, Lanes) and left in (right, right.dtype):
            return signature(right, left, right)
        if isinstance(left, Lanes) and right == left.dtype:
            return signature(left, left, right)
        return None


def _define(function: Callable[..., Any], instruction: str) -> None:
    infer_global(function)(type(f"_{instruction}", (_Arithmetic,), {"key": function}))

    @lower_builtin(function, Lanes, Lanes)
    def of_vectors(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments, flags=FLAGS)

    @lower_builtin(function, types.Float, Lanes)
    def of_number(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        number, vector = arguments
        return getattr(builder, instruction)(_splat(builder, number), vector, flags=FLAGS)

    @lower_builtin(function, Lanes, types.Float)
    def with_number(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        vector, number = arguments
        return getattr(builder, instruction)(vector, _splat(builder, number), flags=FLAGS)


if not numba.config.DISABLE_JIT:
    for _function, _instruction in (
        (operator.add, "fadd"),
        (operator.sub, "fsub"),
        (operator.mul, "fmul"),
        (operator.truediv, "fdiv"),
    ):
        _define(_function, _instruction)
    load, store, splat = intrinsic(_load), intrinsic(_store), intrinsic(_splat_number)
    widen, where_greater = intrinsic(_widen), intrinsic(_where_greater)
    clamp, reciprocal, any_nan = intrinsic(_clamp), intrinsic(_reciprocal), intrinsic(_any_nan)
