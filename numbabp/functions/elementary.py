r"""exp, expm1, log1p and log as polynomials that vectorise, and whole powers.

A call of the C library's exp keeps LLVM from vectorising a loop (there is no vector math library in
llvmlite), and its last bits differ from one processor to the next; so these are written out: Cody and
Waite's range reduction x = n ln 2 + r with \|r\| <= ln(2)/2 (W. J. Cody and W. Waite, Software Manual for the
Elementary Functions, 1980), the minimax polynomial of e^r - 1 (Remez's algorithm, of the relative error) in
Estrin's order, and 2^n put together from its bits; logarithms from these bits and the series of artanh.
Errors are within 1 unit in the last place for exp, within 2 for log, and within 4 for log1p.

Each function is an ordinary Python function, used as it stands when the compiler is off
(`NUMBA_DISABLE_JIT=1`), with a compiled form beside it.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from ..compiler.arithmetic.approximation import is_approximate, power_of_two_nearly
from ..compiler.compiling import INHERITING, exact_function
from ..compiler.vectors import Lanes, by_parts, call, clamp, has_avx512, put_beyond, reciprocal

LOG_2, LOG2_E = 0.6931471805599453, 1.4426950408889634
LOG_2_HIGH, LOG_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts, the first with few bits, so that an exponent times it is exact."""
# Arguments outside are clamped, so that 2^n stays a normal number: exp never returns 0 or infinity.
LIMITS: dict[str, tuple[float, float]] = {"float32": (-87.0, 88.0), "float64": (-708.0, 709.0)}
LEAST_LOGISTIC = {"float32": 6.054601895401186e-39, "float64": 1.216780750623423e-308}  # at their end


def exp(x: Any) -> Any:
    """e^x, for x clamped to `LIMITS`; NaN stays NaN."""
    return _like(x, np.exp(_clamp(x)))


def exp_or_infinity(x: Any) -> Any:
    """`exp` of numbers, but infinite above its limit: where an overflow has to show."""
    return _like(x, np.where(x > LIMITS[np.asarray(x).dtype.name][1], np.inf, exp(x)))


def expm1(x: Any) -> Any:
    """e^x - 1 without cancellation near 0, for x clamped to `LIMITS`; NaN stays NaN."""
    return _like(x, np.expm1(_clamp(x)))


def tanh(x: Any) -> Any:
    """(e^2x - 1) / (e^2x + 1), for x clamped to 20 in size: there it is 1 to the last bit. NaN stays NaN."""
    return _like(x, np.tanh(np.clip(x, -20, 20)))


def logistic(x: Any) -> Any:
    """1 / (1 + e^-x), with 1 + 2^n taken beside the polynomial instead of after it."""
    return _like(x, 1 / (1 + np.exp(-_clamp(x))))


def logistic_awaited(x: Any) -> Any:
    """`logistic` for a chain that waits for it: the clamp comes in the end, in two operations more."""
    return logistic(x)


def logistic_pair(x: Any) -> tuple[Any, Any]:
    """1 / (1 + e^-x) and 1 / (1 + e^x), which is 1 minus the first, but exact also where that is small."""
    return _like(x, 1 / (1 + np.exp(-_clamp(x)))), _like(x, 1 / (1 + np.exp(_clamp(x))))


def log1p_unit(x: Any) -> Any:
    """log(1 + x) for 0 <= x <= 1: 2 artanh(s) with s = x / (2 + x) <= 1/3."""
    return _like(x, np.log1p(x))


def minus_log1m_half(x: Any) -> Any:
    """-log(1 - x) for 0 <= x <= 1/2: 2 artanh(s) with s = x / (2 - x) <= 1/3."""
    return _like(x, -np.log1p(-x))


def log_from_one(x: Any) -> Any:
    """log(x) for x >= 1, from its exponent and its mantissa."""
    return _like(x, np.log(x))


@np.errstate(all="ignore")
def log(x: Any) -> Any:
    """log(x); -infinity for 0, NaN for negative numbers."""
    return _like(x, np.log(x))


def _clamp(x: Any) -> Any:
    return np.clip(x, *LIMITS[np.asarray(x).dtype.name])


def _like(x: Any, value: Any) -> Any:
    """The value in the type of a number x, or the dtype of an array, which stands for a vector."""
    return value.astype(x.dtype) if isinstance(x, np.ndarray) else type(x)(value)


@exact_function
def power(x: Any, t: Any) -> Any:
    """x^t of a float64 x for an integer t >= 0, by repeated squaring whatever t is."""
    left: Any = np.int64(t)
    product = 1.0
    while left > 0:
        if left & 1:
            product *= x
        x = x * x
        left >>= 1
    return product


# Numbers this large have no fraction: adding one rounds to the nearest integer, quicker than floor does.
_SHIFT32, _SHIFT64 = 1.5 * 2.0**23, 1.5 * 2.0**52


def _format(x: Any) -> tuple[int, int, int]:
    """Bits of the mantissa, bias of the exponent, and bits in all, of numbers or vectors of a type."""
    return {types.float32: (23, 127, 32), types.float64: (52, 1023, 64)}[getattr(x, "dtype", x)]


def _integers(of_type: Any, n_bits: int) -> tuple[Any, Callable[[int], Any]]:
    """LLVM's type of integers as many as numbers of a type, and what makes constants of it."""
    from llvmlite import ir

    integer: Any = ir.IntType(n_bits)
    if not isinstance(of_type, ir.VectorType):
        return integer, lambda value: ir.Constant(integer, value)
    vector = ir.VectorType(integer, of_type.count)
    return vector, lambda value: ir.Constant(vector, [value] * of_type.count)


@intrinsic
def _power_of_two(typingctx: Any, shifted: Any) -> Any:
    """2^n from n + `_SHIFT32` or `_SHIFT64`, whose low bits are n's."""
    mantissa_bits, bias, n_bits = _format(shifted)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        result = arguments[0].type
        integer, constant = _integers(result, n_bits)
        exponent = builder.shl(builder.bitcast(arguments[0], integer), constant(mantissa_bits))
        return builder.bitcast(builder.add(exponent, constant(bias << mantissa_bits)), result)

    return shifted(shifted), codegen


@intrinsic
def _exponent_and_mantissa(typingctx: Any, x: Any) -> Any:
    """(n, m) with x = 2^n m and 1 <= m < 2, of normal numbers x > 0."""
    mantissa_bits, bias, n_bits = _format(x)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        result = arguments[0].type
        integer, constant = _integers(result, n_bits)
        bits, one = builder.bitcast(arguments[0], integer), constant(bias << mantissa_bits)
        exponent = builder.ashr(builder.sub(bits, one), constant(mantissa_bits))
        mantissa = builder.or_(builder.and_(bits, constant((1 << mantissa_bits) - 1)), one)
        parts = builder.sitofp(exponent, result), builder.bitcast(mantissa, result)
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(x, 2)(x), codegen


@exact_function
def _clamp_number(x: Any, low: Any, high: Any) -> Any:
    x = low if x < low else x
    return high if x > high else x


def _parts(x: Any) -> tuple[Any, Any, Any, Any, Any]:
    """For numbers or vectors of a type: reduction, clamp, its limits, and the type's own conversion."""
    number = getattr(x, "dtype", x)
    low, high = LIMITS[number.name]
    reduce, real = (_reduce32, np.float32) if number == types.float32 else (_reduce64, np.float64)
    return reduce, clamp if isinstance(x, Lanes) else _clamp_number, real(low), real(high), real


_LOG_2_HIGH32, _LOG_2_LOW32 = np.float32(0.693359375), np.float32(-2.12194440054690583e-4)


@exact_function
def _reduce32(x: Any) -> Any:
    """(e^r - 1, 2^n) of a float32 x = n ln 2 + r."""
    shifted = x * np.float32(LOG2_E) + np.float32(_SHIFT32)
    n = shifted - np.float32(_SHIFT32)
    r = (x - n * _LOG_2_HIGH32) - n * _LOG_2_LOW32
    return _fraction32(r), _power_of_two(shifted)


@exact_function
def _reduce_negated32(x: Any) -> Any:
    """The same of -x, which costs nothing more."""
    shifted = x * np.float32(-LOG2_E) + np.float32(_SHIFT32)
    n = shifted - np.float32(_SHIFT32)
    r = (n * -_LOG_2_HIGH32 - x) - n * _LOG_2_LOW32
    return _fraction32(r), _power_of_two(shifted)


@intrinsic
def _power_of_two_by_sixteenths(typingctx: Any, shifted: Any) -> Any:
    """2^(n/16) from a vector of float32 n + `_SHIFT32`, whose low bits are n's.

    The bits of 2^(j/16) for the last four bits j of n, less j where n is shifted to, stand in a table that
    one instruction (vpermd) looks up.
    """
    from llvmlite import ir

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        i32: Any = ir.IntType(32)
        of_type = ir.VectorType(i32, value.type.count)
        bits = builder.bitcast(value, of_type)
        table = ir.Constant(ir.VectorType(i32, 16), _SIXTEENTHS.tolist())

        def look_up(builder: Any, sixteen: Any) -> Any:
            return call(builder, "llvm.x86.avx512.permvar.si.512", sixteen.type, [table, sixteen])

        exponent = builder.shl(bits, ir.Constant(of_type, [19] * value.type.count))
        return builder.bitcast(builder.add(exponent, by_parts(builder, look_up, bits, 16)), value.type)

    return shifted(shifted), codegen


_SIXTEENTHS = (np.float32(2) ** np.arange(0, 1, 1 / 16)).astype(np.float32).view(np.uint32) - (
    np.arange(16, dtype=np.uint32) << np.uint32(19)
)


@exact_function
def _reduce_negated_by_sixteenths32(x: Any) -> Any:
    """The same of vectors, -x = n/16 ln 2 + r: r is a sixteenth and takes a shorter polynomial."""
    f = np.float32
    shifted = x * f(-16 * LOG2_E) + f(_SHIFT32)
    n = shifted - f(_SHIFT32)
    r = (n * f(-0.693359375 / 16) - x) - n * f(-2.12194440054690583e-4 / 16)
    fraction = r + (r * r) * (f(0.50001615742) + r * f(0.166667184608))
    return fraction, _power_of_two_by_sixteenths(shifted)


@exact_function
def _fraction32(r: Any) -> Any:
    """e^r - 1 for |r| <= ln(2)/2, to 3e-9 of e^r."""
    f = np.float32
    r2 = r * r
    low = f(0.499999934517) + r * f(0.166665206897)
    middle = f(0.0416683873543) + r * f(0.00836870983305)
    return r + r2 * (low + r2 * (middle + r2 * f(0.00138146136466)))


@exact_function
def _reduce64(x: Any) -> Any:
    """(e^r - 1, 2^n) of a float64 x = n ln 2 + r."""
    shifted = x * LOG2_E + _SHIFT64
    n = shifted - _SHIFT64
    r = (x - n * LOG_2_HIGH) - n * LOG_2_LOW
    return exp_fraction64(r), _power_of_two(shifted)


@exact_function
def _reduce_negated64(x: Any) -> Any:
    """The same of -x, which costs nothing more."""
    shifted = x * -LOG2_E + _SHIFT64
    n = shifted - _SHIFT64
    r = (n * -LOG_2_HIGH - x) - n * LOG_2_LOW
    return exp_fraction64(r), _power_of_two(shifted)


@exact_function
def exp_fraction64(r: Any) -> Any:
    """e^r - 1 for |r| <= ln(2)/2, to 4e-18 of e^r."""
    r2 = r * r
    r4 = r2 * r2
    low = (0.50000000000000106169 + r * 0.16666666666666412771) + r2 * (
        0.041666666666530264981 + r * 0.0083333333334943349649
    )
    middle = (0.001388888894359795643 + r * 0.00019841269506776787854) + r2 * (
        0.000024801493135926241977 + r * 2.755758626820445676e-6
    )
    high = 2.7630234008822135997e-7 + r * 2.5000071881864521817e-8
    return r + r2 * (low + r4 * (middle + r4 * high))


@overload(exp, jit_options=INHERITING)
def _exp_compiled(x: Any) -> Any:
    reduce, clamped, low, high, real = _parts(x)

    def compiled(x: Any) -> Any:
        x = clamped(x, low, high)
        if is_approximate():
            return power_of_two_nearly(x * real(LOG2_E))
        fraction, scale = reduce(x)
        return scale + scale * fraction

    return compiled


@overload(exp_or_infinity, jit_options=INHERITING)
def _exp_or_infinity_compiled(x: Any) -> Any:
    reduce, clamped, low, high, real = _parts(x)
    infinity = real(np.inf)

    def compiled(x: Any) -> Any:
        if is_approximate():
            return power_of_two_nearly(x * real(LOG2_E))
        fraction, scale = reduce(clamped(x, low, high))
        return infinity if x > high else scale + scale * fraction

    return compiled


@overload(expm1, jit_options=INHERITING)
def _expm1_compiled(x: Any) -> Any:
    reduce, clamped, low, high, real = _parts(x)

    def compiled(x: Any) -> Any:
        fraction, scale = reduce(clamped(x, low, high))
        return scale * fraction + (scale - real(1))

    return compiled


@exact_function
def _divide(x: Any, y: Any) -> Any:
    return x / y


@exact_function
def _divide_vectors(x: Any, y: Any) -> Any:
    return x * reciprocal(y)


@exact_function
def _artanh_excess32(s: Any) -> Any:
    """2 artanh(s) - 2 s = log((1 + s) / (1 - s)) - 2 s for |s| <= 1/3, to 5e-9 of 2 artanh(s)."""
    f = np.float32
    t = s * s
    low = f(0.33333208142922665805) + t * f(0.20010763620129692153)
    high = f(0.14000902589489601382) + t * f(0.14005993726832070961)
    return ((s + s) * t) * (low + (t * t) * high)


@exact_function
def _artanh_excess64(s: Any) -> Any:
    """2 artanh(s) - 2 s = log((1 + s) / (1 - s)) - 2 s for |s| <= 1/3, to 5e-17 of 2 artanh(s)."""
    t = s * s
    t2 = t * t
    low = (0.33333333333338847179 + t * 0.19999999998024859557) + t2 * (
        0.14285714528997584512 + t * 0.11111096452388870476
    )
    high = (0.090914070342146784968 + t * 0.07682147800506415716) + t2 * (
        0.067931567223118094582 + t * 0.049514127242090003531
    )
    return ((s + s) * t) * (low + (t2 * t2) * (high + (t2 * t2) * 0.088698743729146951874))


@exact_function
def _twice_artanh32(s: Any) -> Any:
    return (s + s) + _artanh_excess32(s)


@exact_function
def _twice_artanh64(s: Any) -> Any:
    return (s + s) + _artanh_excess64(s)


def _quotient_and_series(x: Any) -> tuple[Any, Any, Any]:
    """For numbers or vectors of a type: division, 2 artanh, and the type's own conversion."""
    divide = _divide_vectors if isinstance(x, Lanes) else _divide
    if getattr(x, "dtype", x) == types.float32:
        return divide, _twice_artanh32, np.float32
    return divide, _twice_artanh64, np.float64


@overload(log1p_unit, jit_options=INHERITING)
def _log1p_unit_compiled(x: Any) -> Any:
    divide, twice_artanh, real = _quotient_and_series(x)

    def compiled(x: Any) -> Any:
        return twice_artanh(divide(x, real(2) + x))

    return compiled


@overload(minus_log1m_half, jit_options=INHERITING)
def _minus_log1m_half_compiled(x: Any) -> Any:
    divide, twice_artanh, real = _quotient_and_series(x)

    def compiled(x: Any) -> Any:
        return twice_artanh(divide(x, real(2) - x))

    return compiled


@overload(log_from_one, jit_options=INHERITING)
def _log_from_one_compiled(x: Any) -> Any:
    _, _, real = _quotient_and_series(x)

    def compiled(x: Any) -> Any:
        exponent, mantissa = _exponent_and_mantissa(x)
        return exponent * real(LOG_2) + log1p_unit(mantissa - real(1))

    return compiled


@exact_function
def _log_of_parts32(n: Any, m: Any) -> Any:
    """log(2^n m) for sqrt(1/2) < m <= sqrt(2); near 1 as exact as elsewhere, since m - 1 is."""
    f = m - np.float32(1)
    s = f / (m + np.float32(1))
    # 2 s = f - s f, of which f has no error
    return n * _LOG_2_HIGH32 + (f - ((s * f - _artanh_excess32(s)) - n * _LOG_2_LOW32))


@exact_function
def log_of_parts64(n: Any, m: Any) -> Any:
    """The same in float64."""
    f = m - 1.0
    s = f / (m + 1.0)
    return n * LOG_2_HIGH + (f - ((s * f - _artanh_excess64(s)) - n * LOG_2_LOW))


@overload(log, jit_options=INHERITING)
def _log_compiled(x: Any) -> Any:
    real: Any = np.float32 if x == types.float32 else np.float64
    log_of_parts = _log_of_parts32 if x == types.float32 else log_of_parts64
    zero, one, half, root = real(0), real(1), real(0.5), real(math.sqrt(2))
    infinity, nan = real(np.inf), real(np.nan)
    smallest, shift = np.finfo(real).tiny, real(np.finfo(real).nmant + 1)
    scale = real(2 / np.finfo(real).eps)  # 2^shift

    def compiled(x: Any) -> Any:
        if not x > zero:
            return -infinity if x == zero else nan
        if x == infinity:
            return x
        subnormal = x < smallest
        exponent, mantissa = _exponent_and_mantissa(x * scale if subnormal else x)
        if subnormal:
            exponent -= shift
        if mantissa > root:
            exponent, mantissa = exponent + one, mantissa * half
        return log_of_parts(exponent, mantissa)

    return compiled


def _negated_parts(x: Any) -> tuple[Any, ...]:
    """For numbers or vectors of a type: reduction of -x, clamp, its limits, division, and conversion."""
    _, clamped, low, high, real = _parts(x)
    divide, _, _ = _quotient_and_series(x)
    reduce = _reduce_negated64
    if real is np.float32:
        in_sixteenths = isinstance(x, Lanes) and has_avx512()
        reduce = _reduce_negated_by_sixteenths32 if in_sixteenths else _reduce_negated32
    return reduce, clamped, -high, -low, divide, real


@overload(tanh, jit_options=INHERITING)
def _tanh_compiled(x: Any) -> Any:
    _, clamped, _, _, real = _parts(x)
    divide, _, _ = _quotient_and_series(x)

    def compiled(x: Any) -> Any:
        x = clamped(x, real(-20), real(20))
        e = expm1(x + x)
        return divide(e, e + real(2))

    return compiled


@overload(logistic, jit_options=INHERITING)
def _logistic_compiled(x: Any) -> Any:
    reduce, clamped, low, high, divide, real = _negated_parts(x)

    def compiled(x: Any) -> Any:
        if is_approximate():
            return divide(real(1), real(1) + power_of_two_nearly(x * real(-LOG2_E)))  # 1 / infinity is 0
        fraction, scale = reduce(clamped(x, low, high))
        return divide(real(1), (real(1) + scale) + scale * fraction)

    return compiled


@overload(logistic_awaited, jit_options=INHERITING)
def _logistic_awaited_compiled(x: Any) -> Any:
    reduce, _, low, high, divide, real = _negated_parts(x)
    put_right = put_beyond if isinstance(x, Lanes) else _put_beyond_number
    least, most = real(LEAST_LOGISTIC[real.__name__]), real(1)

    def compiled(x: Any) -> Any:
        fraction, scale = reduce(x)
        a = divide(real(1), (real(1) + scale) + scale * fraction)
        return put_right(a, x, (low, high), (least, most))

    return compiled


@exact_function
def _put_beyond_number(value: Any, x: Any, limits: Any, instead: Any) -> Any:
    value = instead[0] if x < limits[0] else value
    return instead[1] if x > limits[1] else value


@overload(logistic_pair, jit_options=INHERITING)
def _logistic_pair_compiled(x: Any) -> Any:
    reduce, clamped, low, high, divide, real = _negated_parts(x)

    def compiled(x: Any) -> Any:
        x = clamped(x, low, high)
        if is_approximate():
            e = power_of_two_nearly(x * real(-LOG2_E))
            a = divide(real(1), real(1) + e)
            return a, e * a
        fraction, scale = reduce(x)
        product = scale * fraction
        a = divide(real(1), (real(1) + scale) + product)
        return a, (scale + product) * a

    return compiled
