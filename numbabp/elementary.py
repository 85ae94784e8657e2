r"""exp, expm1 and log1p as polynomials that vectorise.

A call of the C library's exp keeps LLVM from vectorising a loop (there is no vector math library in
llvmlite), so these are written out: Cody and Waite's range reduction x = n ln 2 + r with \|r\| <= ln(2)/2
(W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980), the Taylor polynomial of
e^r - 1 in Estrin's order, and 2^n put together from its bits. Errors are within 1 unit in the last place for
exp and within 4 for log1p.

Each function is an ordinary Python function, used as it stands when the compiler is off
(`NUMBA_DISABLE_JIT=1`), with a compiled form beside it.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from .compiling import exact_function
from .vectors import Lanes, clamp, reciprocal

__all__ = ["exp", "expm1", "log1p_unit", "logistic"]

# Arguments outside are clamped, so that 2^n stays a normal number: exp never returns 0 or infinity.
LIMITS: dict[str, tuple[float, float]] = {"float32": (-87.0, 88.0), "float64": (-708.0, 709.0)}


def exp(x: Any) -> Any:
    """e^x, for x clamped to `LIMITS`; NaN stays NaN."""
    return _like(x, np.exp(_clamp(x)))


def expm1(x: Any) -> Any:
    """e^x - 1 without cancellation near 0, for x clamped to `LIMITS`; NaN stays NaN."""
    return _like(x, np.expm1(_clamp(x)))


def logistic(x: Any) -> Any:
    """1 / (1 + e^-x), with 1 + 2^n taken beside the polynomial instead of after it."""
    return _like(x, 1 / (1 + np.exp(-_clamp(x))))


def log1p_unit(x: Any) -> Any:
    """log(1 + x) for 0 <= x <= 1: 2 artanh(s) with s = x / (2 + x) <= 1/3, by artanh's Taylor series.

    Few powers of s are taken: Estrin's order has s^8 and s^16, which for small x are subnormal in float32 and
    made training twice as slow once a network's losses were small; Horner's costs 10 % of a 2-10-1 step.
    """
    return _like(x, np.log1p(x))


def _clamp(x: Any) -> Any:
    return np.clip(x, *LIMITS[np.asarray(x).dtype.name])


def _like(x: Any, value: Any) -> Any:
    """The value in the type of a number x, or the dtype of an array, which stands for a vector."""
    return value.astype(x.dtype) if isinstance(x, np.ndarray) else type(x)(value)


# Numbers this large have no fraction: adding one rounds to the nearest integer, quicker than floor does.
_SHIFT32, _SHIFT64 = 1.5 * 2.0**23, 1.5 * 2.0**52


@intrinsic
def _power_of_two(typingctx: Any, shifted: Any) -> Any:
    """2^n from n + `_SHIFT32` or `_SHIFT64`, whose low bits are n's."""
    from llvmlite import ir

    number = getattr(shifted, "dtype", shifted)
    mantissa_bits, bias, n_bits = {types.float32: (23, 127, 32), types.float64: (52, 1023, 64)}[number]

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        result = arguments[0].type
        integer: Any = ir.IntType(n_bits)
        size: Any = mantissa_bits
        one: Any = bias << mantissa_bits
        if isinstance(result, ir.VectorType):
            integer = ir.VectorType(integer, result.count)
            size, one = [size] * result.count, [one] * result.count
        exponent = builder.shl(builder.bitcast(arguments[0], integer), ir.Constant(integer, size))
        return builder.bitcast(builder.add(exponent, ir.Constant(integer, one)), result)

    return shifted(shifted), codegen


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


@exact_function
def _reduce32(x: Any) -> Any:
    """(e^r - 1, 2^n) of a float32 x = n ln 2 + r."""
    shifted = x * np.float32(1.4426950408889634) + np.float32(_SHIFT32)
    n = shifted - np.float32(_SHIFT32)
    # ln 2 in two parts, the first with few bits, so that n times it is exact
    r = (x - n * np.float32(0.693359375)) - n * np.float32(-2.12194440054690583e-4)
    r2 = r * r
    f = np.float32
    low = f(1 / 2) + r * f(1 / 6)
    middle = f(1 / 24) + r * f(1 / 120)
    high = f(1 / 720) + r * f(1 / 5040)
    return r + r2 * (low + r2 * (middle + r2 * high)), _power_of_two(shifted)


@exact_function
def _reduce64(x: Any) -> Any:
    """(e^r - 1, 2^n) of a float64 x = n ln 2 + r."""
    shifted = x * 1.4426950408889634 + _SHIFT64
    n = shifted - _SHIFT64
    r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10
    r2 = r * r
    r4 = r2 * r2
    low = (1 / 2 + r * (1 / 6)) + r2 * (1 / 24 + r * (1 / 120))
    middle = (1 / 720 + r * (1 / 5040)) + r2 * (1 / 40320 + r * (1 / 362880))
    high = (1 / 3628800 + r * (1 / 39916800)) + r2 * (1 / 479001600 + r * (1 / 6227020800))
    return r + r2 * (low + r4 * (middle + r4 * high)), _power_of_two(shifted)


@overload(exp)
def _exp_compiled(x: Any) -> Any:
    reduce, clamped, low, high, _ = _parts(x)

    def compiled(x: Any) -> Any:
        fraction, scale = reduce(clamped(x, low, high))
        return scale + scale * fraction

    return compiled


@overload(expm1)
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


@overload(log1p_unit)
def _log1p_unit_compiled(x: Any) -> Any:
    divide = _divide_vectors if isinstance(x, Lanes) else _divide
    if getattr(x, "dtype", x) == types.float32:

        def compiled(x: Any) -> Any:
            f = np.float32
            s = divide(x, f(2) + x)
            t = s * s
            t2 = t * t
            even = f(1) + t2 * (f(1 / 5) + t2 * (f(1 / 9) + t2 * (f(1 / 13) + t2 * f(1 / 17))))
            odd = f(1 / 3) + t2 * (f(1 / 7) + t2 * (f(1 / 11) + t2 * f(1 / 15)))
            return f(2) * s * (even + t * odd)

    else:

        def compiled(x: Any) -> Any:
            s = divide(x, 2.0 + x)
            t = s * s
            t2 = t * t
            t4 = t2 * t2
            p0 = (1.0 + t * (1 / 3)) + t2 * (1 / 5 + t * (1 / 7))
            p1 = (1 / 9 + t * (1 / 11)) + t2 * (1 / 13 + t * (1 / 15))
            p2 = (1 / 17 + t * (1 / 19)) + t2 * (1 / 21 + t * (1 / 23))
            p3 = (1 / 25 + t * (1 / 27)) + t2 * (1 / 29 + t * (1 / 31))
            return 2.0 * s * (p0 + t4 * (p1 + t4 * (p2 + t4 * p3)))

    return compiled


@overload(logistic)
def _logistic_compiled(x: Any) -> Any:
    reduce, clamped, low, high, real = _parts(x)
    divide = _divide_vectors if isinstance(x, Lanes) else _divide

    def compiled(x: Any) -> Any:
        fraction, scale = reduce(clamped(real(0) - x, low, high))
        return divide(real(1), (real(1) + scale) + scale * fraction)

    return compiled
