"""Vectors of numbers as values in compiled code: loaded, computed with, stored.

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

from .arrays import LINE
from .constants import Constant

VECTOR_BYTES = 256
"""Size of a vector: four of a processor's largest, so that four chains of operations go side by side.

With half the size a 2-10-1 step of a network in float32 took 12 ns instead of 8: a chain of dependent
operations, such as an exponential, leaves the processor waiting. With twice the size there are too few
registers.
"""
FLAGS = ("contract", "nsz", "arcp")
"""As for `compiling.exact_function`, since range reductions are made of these operations too."""


class Lanes(types.Type):
    """The type of a vector of so many float32 or float64 numbers."""

    def __init__(self, dtype: types.Float, count: int) -> None:
        super().__init__(name=f"Lanes({dtype}, {count})")
        self.dtype, self.count = dtype, count


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Lanes) -> None:
        super().__init__(dmm, fe_type, _vector_type(fe_type))


def lanes_of(dtype: Any) -> int:
    """How many numbers of a dtype a vector of `VECTOR_BYTES` has."""
    return VECTOR_BYTES // np.dtype(dtype).itemsize


def _full(dtype: types.Float) -> Lanes:
    return Lanes(dtype, 8 * VECTOR_BYTES // dtype.bitwidth)


def number_type(dtype: types.Float) -> Any:
    """LLVM's type of a number."""
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def _vector_type(of_type: Lanes) -> Any:
    return ir.VectorType(number_type(of_type.dtype), of_type.count)


def n_lanes(array: Any) -> Any:
    """`lanes_of` the array's dtype, a constant in compiled code."""
    return np.uint64(lanes_of(array.dtype))


def load(array: Any, index: Any) -> Any:
    """The vector that begins at array[index]."""
    return array[int(index) : int(index) + lanes_of(array.dtype)].copy()


def store(array: Any, index: Any, vector: Any) -> None:
    """Put a vector at array[index] and the following places."""
    array[int(index) : int(index) + len(vector)] = vector


def splat(x: Any) -> Any:
    """A vector full of x."""
    return np.full(lanes_of(np.asarray(x).dtype), x)


def load_of(array: Any, index: Any, width: Any) -> Any:
    """The vector of `width` numbers that begins at array[index]; a `constants.Constant` in compiled code."""
    return array[int(index) : int(index) + width].copy()


def splat_of(x: Any, width: Any) -> Any:
    """A vector of `width` times x."""
    return np.full(width, x)


def of_a_line(array: Any) -> Any:
    """How many of an array's numbers a cache line has, as a `constants.Constant`."""
    return LINE // array.itemsize


def number_of(width: Any) -> Any:
    """A `constants.Constant` as the number that it is, for arithmetic."""
    return np.uint64(width)


def total(vector: Any) -> Any:
    """The sum of a vector's numbers, halves added to halves."""
    return _from_halves(vector, np.add)


def highest(vector: Any) -> Any:
    """The largest of a vector's numbers."""
    return _from_halves(vector, np.maximum)


def _from_halves(vector: Any, combine: Any) -> Any:
    while len(vector) > 1:
        vector = combine(vector[: len(vector) // 2], vector[len(vector) // 2 :])
    return vector[0]


def put(vector: Any, k: Any, x: Any) -> Any:
    """The vector with x as its number k."""
    return np.where(np.arange(len(vector)) == k, x, vector)


def accumulate(sums: Any, index: Any, vector: Any) -> None:
    """Add a vector of any dtype to the float64 numbers from sums[index] on."""
    sums[int(index) : int(index) + len(vector)] += vector


def where_greater(a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    """`then` where a > b, else `otherwise`; all four are vectors."""
    return np.where(a > b, then, otherwise)


def clamp(vector: Any, low: Any, high: Any) -> Any:
    """The vector with what is below or above two numbers replaced by them; NaN stays NaN."""
    return np.minimum(np.maximum(vector, low), high)


def put_beyond(vector: Any, x: Any, limits: Any, instead: Any) -> Any:
    """The vector, with two numbers instead where x is below the first limit, and above the second."""
    return np.where(x > limits[1], instead[1], np.where(x < limits[0], instead[0], vector))


def reciprocal(vector: Any) -> Any:
    """1 / vector, to a unit or two in the last place; no number may be 0 or infinite."""
    return 1 / vector


def square_root(vector: Any) -> Any:
    """The root of every number, rounded rightly."""
    return np.sqrt(vector)


def any_nan(vector: Any) -> bool:
    """Whether one of the numbers is NaN."""
    return bool(np.isnan(vector).any())


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, vector: Lanes) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _vector_type(vector).as_pointer())


def filled(builder: Any, number: Any, count: int) -> Any:
    """A vector of so many times a number."""
    vector = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
    first = builder.insert_element(vector, number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(first, vector, zeros)


def _n_lanes(typingctx: Any, array: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return context.get_constant(types.uint64, _full(array.dtype).count)

    return types.uint64(array), codegen


def _of_a_line(typingctx: Any, array: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return context.get_dummy_value()

    return Constant(8 * LINE // array.dtype.bitwidth)(array), codegen


def _number_of(typingctx: Any, width: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return context.get_constant(types.uint64, width.values[0])

    return types.uint64(width), codegen


def load_vector(vector: Lanes, arguments: tuple[Any, ...]) -> Any:
    """Type and code of an intrinsic whose arguments begin with an array and where a vector begins in it."""

    def codegen(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], values[0], values[1], vector)
        return builder.load(pointer, align=vector.dtype.bitwidth // 8)

    return vector(*arguments), codegen


def _load(typingctx: Any, array: Any, index: Any) -> Any:
    return load_vector(_full(array.dtype), (array, index))


def _load_of(typingctx: Any, array: Any, index: Any, width: Constant) -> Any:
    return load_vector(Lanes(array.dtype, width.values[0]), (array, index, width))


def _store(typingctx: Any, array: Any, index: Any, vector: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        array_value, position, value = arguments
        pointer = _pointer(context, builder, sig.args[0], array_value, position, vector)
        builder.store(value, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, index, vector), codegen


def _splat_vector(vector: Lanes, arguments: tuple[Any, ...]) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        return filled(builder, values[0], vector.count)

    return vector(*arguments), codegen


def _splat(typingctx: Any, x: Any) -> Any:
    return _splat_vector(_full(x), (x,))


def _splat_of(typingctx: Any, x: Any, width: Constant) -> Any:
    return _splat_vector(Lanes(x, width.values[0]), (x, width))


def _of_halves(combine: Callable[[Any, Any, Any], Any]) -> Any:
    def of_vector(typingctx: Any, vector: Lanes) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            (value,) = arguments
            i32: Any = ir.IntType(32)
            while value.type.count > 1:
                half = value.type.count // 2
                nothing, of_half = ir.Constant(value.type, ir.Undefined), ir.VectorType(i32, half)
                places = (ir.Constant(of_half, list(range(first, first + half))) for first in (0, half))
                low, high = (builder.shuffle_vector(value, nothing, place) for place in places)
                value = combine(builder, low, high)
            return builder.extract_element(value, ir.Constant(i32, 0))

        return vector.dtype(vector), codegen

    return of_vector


def _put(typingctx: Any, vector: Lanes, k: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        value, place, number = arguments
        return builder.insert_element(value, number, builder.trunc(place, ir.IntType(32)))

    return vector(vector, k, x), codegen


def _accumulate(typingctx: Any, sums: Any, index: Any, vector: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        array_value, position, value = arguments
        wide = ir.VectorType(ir.DoubleType(), vector.count)
        data = context.make_array(sums)(context, builder, array_value).data
        pointer = builder.bitcast(builder.gep(data, [position]), wide.as_pointer())
        if vector.dtype != types.float64:
            value = builder.fpext(value, wide)
        builder.store(builder.fadd(builder.load(pointer, align=8), value), pointer, align=8)
        return context.get_dummy_value()

    return types.void(sums, index, vector), codegen


def _where_greater(typingctx: Any, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        left, right, yes, no = arguments
        return builder.select(builder.fcmp_ordered(">", left, right), yes, no)

    return then(a, b, then, otherwise), codegen


def _clamp(typingctx: Any, vector: Any, low: Any, high: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        value, lowest, highest = arguments
        lowest, highest = (filled(builder, limit, vector.count) for limit in (lowest, highest))
        value = builder.select(builder.fcmp_ordered("<", value, lowest), lowest, value)
        return builder.select(builder.fcmp_ordered(">", value, highest), highest, value)

    return vector(vector, low, high), codegen


def _put_beyond(typingctx: Any, vector: Any, x: Any, limits: Any, instead: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        value, place, *pairs = arguments
        for k, order in enumerate("<>"):
            limit, other = (filled(builder, builder.extract_value(pair, k), vector.count) for pair in pairs)
            value = builder.select(builder.fcmp_ordered(order, place, limit), other, value)
        return value

    return vector(vector, x, limits, instead), codegen


def _reciprocal(typingctx: Any, vector: Any) -> Any:
    """With AVX-512 an estimate y of 14 bits that is made better: in float32 a third of a division's time.

    With e = 1 - x y it is 1 / x = y (1 + e + e^2 + ...), of which float32 takes two terms (Newton's step) and
    float64 four. But not on AMD's processors, which divide as fast as they take one step of Newton's.
    """

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        (value,) = arguments
        one = ir.Constant(value.type, [1.0] * vector.count)
        if not has_avx512() or divides_fast():
            return builder.fdiv(one, value, flags=FLAGS)

        def plus(term: Any, left: Any, right: Any) -> Any:
            return builder.fadd(term, builder.fmul(left, right, flags=FLAGS), flags=FLAGS)

        if vector.dtype == types.float32:
            estimate = by_parts(builder, _estimate32, value, 16)
            two = ir.Constant(value.type, [2.0] * vector.count)
            product = builder.fmul(value, estimate, flags=FLAGS)
            return builder.fmul(estimate, builder.fsub(two, product, flags=FLAGS), flags=FLAGS)
        estimate = by_parts(builder, _estimate64, value, 8)
        e = builder.fsub(one, builder.fmul(value, estimate, flags=FLAGS), flags=FLAGS)
        better = plus(estimate, estimate, e)
        return plus(better, better, builder.fmul(e, e, flags=FLAGS))

    return vector(vector), codegen


def _square_root(typingctx: Any, vector: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        (value,) = arguments
        name = f"llvm.sqrt.v{value.type.count}f{vector.dtype.bitwidth}"
        return call(builder, name, value.type, [value])

    return vector(vector), codegen


def has_avx512() -> bool:
    """Whether code is compiled for this processor and it has AVX-512."""
    import llvmlite.binding as llvm

    if numba.config.CPU_NAME is not None or numba.config.CPU_FEATURES is not None:
        return False
    return bool(llvm.get_host_cpu_features().get("avx512f"))


def divides_fast() -> bool:
    """Whether this processor divides as fast as it takes one step of Newton's."""
    import llvmlite.binding as llvm

    return llvm.get_host_cpu_name().startswith("znver")


def _estimate32(builder: Any, sixteen: Any) -> Any:
    """vrcp14ps."""
    every = ir.Constant(ir.IntType(16), -1)
    undefined = ir.Constant(sixteen.type, ir.Undefined)
    return call(builder, "llvm.x86.avx512.rcp14.ps.512", sixteen.type, [sixteen, undefined, every])


def _estimate64(builder: Any, eight: Any) -> Any:
    """vrcp14pd."""
    every = ir.Constant(ir.IntType(8), -1)
    undefined = ir.Constant(eight.type, ir.Undefined)
    return call(builder, "llvm.x86.avx512.rcp14.pd.512", eight.type, [eight, undefined, every])


def call(builder: Any, name: str, of_type: Any, arguments: list[Any]) -> Any:
    """Call one of LLVM's functions for a processor's instructions."""
    function_type = ir.FunctionType(of_type, [argument.type for argument in arguments])
    function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)
    return builder.call(function, arguments)


def by_parts(builder: Any, function: Callable[..., Any], value: Any, size: int) -> Any:
    """function(builder, part) for every `size` numbers of a vector, put together again."""
    i32 = ir.IntType(32)
    parts = []
    for first in range(0, value.type.count, size):
        places = ir.Constant(ir.VectorType(i32, size), list(range(first, first + size)))
        part = builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), places)
        parts.append(function(builder, part))
    while len(parts) > 1:
        size = parts[0].type.count
        places = ir.Constant(ir.VectorType(i32, 2 * size), list(range(2 * size)))
        parts = [builder.shuffle_vector(a, b, places) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _any_nan(typingctx: Any, vector: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        unordered = builder.fcmp_unordered("uno", arguments[0], arguments[0])
        bits = builder.bitcast(unordered, ir.IntType(vector.count))
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
        return getattr(builder, instruction)(filled(builder, number, vector.type.count), vector, flags=FLAGS)

    @lower_builtin(function, Lanes, types.Float)
    def with_number(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        vector, number = arguments
        return getattr(builder, instruction)(vector, filled(builder, number, vector.type.count), flags=FLAGS)


if not numba.config.DISABLE_JIT:
    for _function, _instruction in (
        (operator.add, "fadd"),
        (operator.sub, "fsub"),
        (operator.mul, "fmul"),
        (operator.truediv, "fdiv"),
    ):
        _define(_function, _instruction)
    load, store, splat = intrinsic(_load), intrinsic(_store), intrinsic(_splat)
    load_of, splat_of, put = intrinsic(_load_of), intrinsic(_splat_of), intrinsic(_put)
    of_a_line, number_of = intrinsic(_of_a_line), intrinsic(_number_of)
    total = intrinsic(_of_halves(lambda builder, low, high: builder.fadd(low, high, flags=FLAGS)))
    highest = intrinsic(
        _of_halves(lambda builder, low, high: builder.select(builder.fcmp_ordered(">", low, high), low, high))
    )
    n_lanes, accumulate, where_greater = (
        intrinsic(_n_lanes),
        intrinsic(_accumulate),
        intrinsic(_where_greater),
    )
    clamp, put_beyond = intrinsic(_clamp), intrinsic(_put_beyond)
    reciprocal, any_nan = intrinsic(_reciprocal), intrinsic(_any_nan)
    square_root = intrinsic(_square_root)
