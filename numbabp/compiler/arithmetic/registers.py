"""Vectors of one register, whole or in part, and quotients by roots without a root or a division.

A row of a layer's weights is seldom a multiple of a register, and then its end is loaded and stored under a
mask. What `vectors` loads is never a part of a vector; its `store` is for whole registers, too. Without the
compiler (`NUMBA_DISABLE_JIT=1`) a vector is an array.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..vectors import Lanes, call, divides_fast, filled, has_avx512, load_vector, number_type

_HAS_AVX512 = has_avx512()
REGISTER_BYTES = 64 if _HAS_AVX512 else 32


def register_size(array: Any) -> Any:
    """Numbers of the array's dtype in a register, a constant in compiled code."""
    return np.uint64(REGISTER_BYTES // array.itemsize)


def take(array: Any, index: Any) -> Any:
    """The vector that begins at array[index]."""
    return array[int(index) : int(index) + int(register_size(array))].copy()


def take_some(array: Any, index: Any, n: Any) -> Any:
    """The first n numbers of the vector that begins at array[index], 0 in place of the others."""
    vector = np.zeros(int(register_size(array)), array.dtype)
    vector[: int(n)] = array[int(index) : int(index) + int(n)]
    return vector


def put_some(array: Any, index: Any, vector: Any, n: Any) -> None:
    """Put the first n numbers of a vector at array[index] and the following places."""
    array[int(index) : int(index) + int(n)] = vector[: int(n)]


def full_register(array: Any, x: Any) -> Any:
    """A vector full of x, which has the array's dtype."""
    return np.full(int(register_size(array)), x, array.dtype)


def multiply_add(a: Any, b: Any, c: Any) -> Any:
    """The vector a b + c, rounded once where the processor can; a factor may be a number.

    Said outright, so that the same bits come of it wherever it is compiled.
    """
    return a * b + c


def multiply_subtract(a: Any, b: Any, c: Any) -> Any:
    """The same of a b - c."""
    return a * b - c


def is_zero(vector: Any) -> bool:
    """Whether all numbers of the vector are 0."""
    return not vector.any()


def over_root(x: Any, square: Any, factor: Any, epsilon: Any) -> Any:
    """The vector x / (factor sqrt(square) + epsilon), of squares >= 0 and two numbers of their dtype.

    With AVX-512 from estimates of 14 bits and Newton's steps, to three units in the last place: 16 numbers of
    float32 take 8 cycles instead of 21, 8 of float64 14 instead of 36. The root of a square that overflowed
    is NaN then. But not on AMD's processors, which divide as fast.
    """
    return x / (factor * np.sqrt(square) + epsilon)


def _size(dtype: types.Float) -> int:
    return 8 * REGISTER_BYTES // dtype.bitwidth


def _name(dtype: types.Float) -> str:
    return f"v{_size(dtype)}f{dtype.bitwidth}"


def _llvm_type(dtype: types.Float) -> ir.VectorType:
    return ir.VectorType(number_type(dtype), _size(dtype))


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _llvm_type(array_type.dtype).as_pointer())


def _mask(builder: Any, dtype: types.Float, n: Any) -> Any:
    """The first n of a vector's places."""
    i32, size = ir.IntType(32), _size(dtype)
    places = ir.Constant(ir.VectorType(i32, size), list(range(size)))
    return builder.icmp_unsigned("<", places, filled(builder, builder.trunc(n, i32), size))


def _register_size(typingctx: Any, array: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return context.get_constant(types.uint64, _size(array.dtype))

    return types.uint64(array), codegen


def _take(typingctx: Any, array: Any, index: Any) -> Any:
    return load_vector(Lanes(array.dtype, _size(array.dtype)), (array, types.uint64))


def _take_some(typingctx: Any, array: Any, index: Any, n: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        vector, align = _llvm_type(array.dtype), ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
        pointer = _pointer(context, builder, array, *arguments[:2])
        mask, zeros = _mask(builder, array.dtype, arguments[2]), ir.Constant(vector, None)
        name = f"llvm.masked.load.{_name(array.dtype)}.p0"
        return call(builder, name, vector, [pointer, align, mask, zeros])

    return Lanes(array.dtype, _size(array.dtype))(array, types.uint64, types.uint64), codegen


def _put_some(typingctx: Any, array: Any, index: Any, vector: Any, n: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        align = ir.Constant(ir.IntType(32), array.dtype.bitwidth // 8)
        pointer = _pointer(context, builder, array, *arguments[:2])
        mask = _mask(builder, array.dtype, arguments[3])
        name = f"llvm.masked.store.{_name(array.dtype)}.p0"
        call(builder, name, ir.VoidType(), [arguments[2], pointer, align, mask])
        return context.get_dummy_value()

    return types.void(array, types.uint64, vector, types.uint64), codegen


def _full_register(typingctx: Any, array: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return filled(builder, arguments[1], _size(array.dtype))

    return Lanes(array.dtype, _size(array.dtype))(array, array.dtype), codegen


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """The vector a b + c, all of one type."""
    number = "f32" if isinstance(c.type.element, ir.FloatType) else "f64"
    return call(builder, f"llvm.fmuladd.v{c.type.count}{number}", c.type, [a, b, c])


def _fused_of(changed: Callable[[Any, Any], Any]) -> Any:
    """An intrinsic's code for a b + c, with a change to c."""

    def of_types(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            addend = arguments[2]
            left, right = (
                value if isinstance(value.type, ir.VectorType) else filled(builder, value, addend.type.count)
                for value in arguments[:2]
            )
            return _fused(builder, left, right, changed(builder, addend))

        return c(a, b, c), codegen

    return of_types


def _is_zero(typingctx: Any, vector: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        (value,) = arguments
        bits = ir.IntType(value.type.count)
        unequal = builder.fcmp_unordered("!=", value, ir.Constant(value.type, None))
        return builder.icmp_unsigned("==", builder.bitcast(unequal, bits), ir.Constant(bits, 0))

    return types.boolean(vector), codegen


class _Quotient:
    """Code for x / (factor sqrt(square) + epsilon) by estimates."""

    def __init__(self, builder: Any, dtype: types.Float) -> None:
        self.builder, self.type = builder, _llvm_type(dtype)
        self.steps = 1 if dtype == types.float32 else 2  # of Newton's: 14 bits, 28, 56
        self.suffix = "ps.512" if dtype == types.float32 else "pd.512"
        info = np.finfo(dtype.name)
        self.most = self.constant(float(np.sqrt(1 / info.tiny)))

    def constant(self, x: float) -> Any:
        return ir.Constant(self.type, [x] * self.type.count)

    def estimate(self, what: str, x: Any) -> Any:
        mask = ir.Constant(ir.IntType(self.type.count), -1)
        undefined = ir.Constant(self.type, ir.Undefined)
        return call(self.builder, f"llvm.x86.avx512.{what}14.{self.suffix}", self.type, [x, undefined, mask])

    def times(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b)

    def fused(self, a: Any, b: Any, c: Any, minus: bool = False) -> Any:
        """Either c + a b or c - a b."""
        return _fused(self.builder, self.builder.fneg(a) if minus else a, b, c)

    def times_root(self, square: Any, by: Any, add: Any) -> Any:
        """By sqrt(square) + add."""
        builder = self.builder
        y = self.estimate("rsqrt", square)
        y = builder.select(builder.fcmp_ordered(">", y, self.most), self.most, y)  # the root of 0 is 0
        r = self.times(square, y)
        if self.steps == 1:  # Newton's, r (3 - r y) / 2
            half = self.times(by, self.constant(0.5))
            return self.fused(self.times(half, r), self.fused(r, y, self.constant(3.0), minus=True), add)
        # Goldschmidt's: r goes to the root, h to half its reciprocal
        h = self.times(y, self.constant(0.5))
        e = self.fused(h, r, self.constant(0.5), minus=True)
        r, h = self.fused(r, e, r), self.fused(h, e, h)
        root = self.fused(self.fused(r, r, square, minus=True), h, r)
        return self.fused(by, root, add)

    def divided(self, x: Any, by: Any) -> Any:
        """X / by, which is neither 0 nor infinite."""
        y = self.estimate("rcp", by)
        for _ in range(self.steps - 1):
            y = self.fused(self.fused(by, y, self.constant(1.0), minus=True), y, y)
        q = self.times(x, y)
        return self.fused(self.fused(by, q, x, minus=True), y, q)


def _over_root(typingctx: Any, x: Any, square: Any, factor: Any, epsilon: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        of_x, of_square, *numbers = arguments
        by, add = (filled(builder, number, of_x.type.count) for number in numbers)
        if _HAS_AVX512 and not divides_fast():
            quotient = _Quotient(builder, x.dtype)
            return quotient.divided(of_x, quotient.times_root(of_square, by, add))
        name = f"llvm.sqrt.{_name(x.dtype)}"
        root = call(builder, name, of_x.type, [of_square])
        return builder.fdiv(of_x, _fused(builder, by, root, add))

    return x(x, square, factor, epsilon), codegen


if not numba.config.DISABLE_JIT:
    register_size, take = intrinsic(_register_size), intrinsic(_take)
    take_some, put_some = intrinsic(_take_some), intrinsic(_put_some)
    full_register, multiply_add = intrinsic(_full_register), intrinsic(_fused_of(lambda builder, c: c))
    multiply_subtract = intrinsic(_fused_of(lambda builder, c: builder.fneg(c)))
    is_zero, over_root = intrinsic(_is_zero), intrinsic(_over_root)
