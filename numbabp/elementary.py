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

__all__ = ["exp", "expm1", "log1p_unit"]

# Arguments outside are clamped, so that 2^n stays a normal number: exp never returns 0 or infinity.
LIMITS: dict[str, tuple[float, float]] = {"float32": (-87.0, 88.0), "float64": (-708.0, 709.0)}


def exp(x: Any) -> Any:
    """e^x, for x clamped to `LIMITS`; NaN stays NaN."""
    return type(x)(np.exp(_clamp(x)))


def expm1(x: Any) -> Any:
    """e^x - 1 without cancellation near 0, for x clamped to `LIMITS`; NaN stays NaN."""
    return type(x)(np.expm1(_clamp(x)))


def log1p_unit(x: Any) -> Any:
    """log(1 + x) for 0 <= x <= 1: 2 artanh(s) with s = x / (2 + x) <= 1/3, by artanh's Taylor series.

    In Horner's order: the high powers of Estrin's are subnormal for small x, and made training in float32
    twice as slow once a network's losses were small.
    """
    return type(x)(np.log1p(x))


def _clamp(x: Any) -> Any:
    low, high = LIMITS["float32" if isinstance(x, np.float32) else "float64"]
    return low if x < low else high if x > high else x


@intrinsic
def _power_of_two(typingctx: Any, exponent: Any) -> Any:
    """2^exponent as a float of the integer's width, from its bits."""
    from llvmlite import ir

    mantissa_bits, bias, result, llvm_result = {
        types.int32: (23, 127, types.float32, ir.FloatType()),
        types.int64: (52, 1023, types.float64, ir.DoubleType()),
    }[exponent]

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (n,) = arguments
        biased = builder.add(n, ir.Constant(n.type, bias))
        return builder.bitcast(builder.shl(biased, ir.Constant(n.type, mantissa_bits)), llvm_result)

    return result(exponent), codegen


@exact_function
def _reduce32(x: Any) -> Any:
    """(e^r - 1, 2^n) of a float32 x = n ln 2 + r."""
    x = np.float32(-87.0) if x < np.float32(-87.0) else x
    x = np.float32(88.0) if x > np.float32(88.0) else x
    n = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    # ln 2 in two parts, the first with few bits, so that n times it is exact
    r = (x - n * np.float32(0.693359375)) - n * np.float32(-2.12194440054690583e-4)
    r2 = r * r
    f = np.float32
    low = f(1 / 2) + r * f(1 / 6)
    middle = f(1 / 24) + r * f(1 / 120)
    high = f(1 / 720) + r * f(1 / 5040)
    return r + r2 * (low + r2 * (middle + r2 * high)), _power_of_two(np.int32(n))


@exact_function
def _reduce64(x: Any) -> Any:
    """(e^r - 1, 2^n) of a float64 x = n ln 2 + r."""
    x = -708.0 if x < -708.0 else x
    x = 709.0 if x > 709.0 else x
    n = np.floor(x * 1.4426950408889634 + 0.5)
    r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10
    r2 = r * r
    r4 = r2 * r2
    low = (1 / 2 + r * (1 / 6)) + r2 * (1 / 24 + r * (1 / 120))
    middle = (1 / 720 + r * (1 / 5040)) + r2 * (1 / 40320 + r * (1 / 362880))
    high = (1 / 3628800 + r * (1 / 39916800)) + r2 * (1 / 479001600 + r * (1 / 6227020800))
    return r + r2 * (low + r4 * (middle + r4 * high)), _power_of_two(np.int64(n))


@overload(exp)
def _exp_compiled(x: Any) -> Any:
    reduce = _reduce32 if x == types.float32 else _reduce64

    def compiled(x: Any) -> Any:
        fraction, scale = reduce(x)
        return scale + scale * fraction

    return compiled


@overload(expm1)
def _expm1_compiled(x: Any) -> Any:
    reduce = _reduce32 if x == types.float32 else _reduce64

    def compiled(x: Any) -> Any:
        fraction, scale = reduce(x)
        return scale * fraction + (scale - type(x)(1))

    return compiled


@overload(log1p_unit)
def _log1p_unit_compiled(x: Any) -> Any:
    if x == types.float32:

        def compiled(x: Any) -> Any:
            f = np.float32
            s = x / (f(2) + x)
            t = s * s
            p = f(1 / 13) + t * (f(1 / 15) + t * f(1 / 17))
            p = f(1 / 7) + t * (f(1 / 9) + t * (f(1 / 11) + t * p))
            return f(2) * s * (f(1) + t * (f(1 / 3) + t * (f(1 / 5) + t * p)))

    else:

        def compiled(x: Any) -> Any:
            s = x / (2.0 + x)
            t = s * s
            p = 1 / 27 + t * (1 / 29 + t * (1 / 31 + t * (1 / 33)))
            p = 1 / 19 + t * (1 / 21 + t * (1 / 23 + t * (1 / 25 + t * p)))
            p = 1 / 11 + t * (1 / 13 + t * (1 / 15 + t * (1 / 17 + t * p)))
            p = 1 / 5 + t * (1 / 7 + t * (1 / 9 + t * p))
            return 2.0 * s * (1.0 + t * (1 / 3 + t * p))

    return compiled
