"""The error function, 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.

erf(x) = 1 - e^(-a Q(a)) for a = x >= 0, with the minimax polynomial Q(a) of -log(1 - erf(a)) / a (Remez's
algorithm, of the relative error of erf). One formula serves all of the line, so that loops vectorise: near 0
expm1 keeps the digits, and errors of Q fade as the exponential does. Where Q ends, erf is 1 in the type.
Errors are within 1 unit in the last place of the number 1, and within 4 of erf's own. A step of 20-32-5 with
gelu takes 330 ns in float32 and 570 ns in float64, where with the C library's erf it took 870 and 980.

As in `elementary`, plain Python has its own form, and nothing compiled comes from the C library.
"""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from ..compiler.compiling import INHERITING, exact_function
from .elementary import expm1

__all__ = ["END64", "erf", "tail64"]

END64 = 5.95
"""From here on erf is 1 in float64."""


def erf(x: Any) -> Any:
    """The error function of a number; NaN stays NaN."""
    return type(x)(math.erf(x))


@exact_function
def _tail32(a: Any) -> Any:
    """-log(1 - erf(a)) / a for 0 <= a <= 3.95, to 4e-10 of erf(a)."""
    f = np.float32
    a2 = a * a
    a4 = a2 * a2
    low = (f(1.12837916663) + a * f(0.636619834569)) + a2 * (f(0.102771277217) + a * f(-0.0191176950321))
    middle = (f(-0.000253060932251) + a * f(0.00179935397181)) + a2 * (
        f(-0.000740686159469) + a * f(0.000167481124957)
    )
    high = f(-2.13546430632e-5) + a * f(1.19330416896e-6)
    return low + a4 * (middle + a4 * high)


@exact_function
def tail64(a: Any) -> Any:
    """-log(1 - erf(a)) / a for 0 <= a <= END64, to 2e-17 of erf(a)."""
    a2 = a * a
    a4 = a2 * a2
    p0 = (1.1283791670955125495 + a * 0.6366197723675909648) + a2 * (
        0.10277260330131549784 + a * -0.019128446993094497405
    )
    p1 = (-0.00020919485393369698295 + a * 0.0016962076699642319646) + a2 * (
        -0.00059013243059930302206 + a * 0.00002590450093879914489
    )
    p2 = (0.000064420470289665101027 + a * -0.000029575666677306787674) + a2 * (
        3.1696731471188376543e-6 + a * 3.1329585824304115795e-6
    )
    p3 = (-2.0371841517507661468e-6 + a * 5.7062891615788059671e-7) + a2 * (
        -1.1705984864063206255e-8 + a * -6.5734647602756633062e-8
    )
    p4 = (3.4585279362182985166e-8 + a * -1.0773479606400909053e-8) + a2 * (
        2.3605443098303041351e-9 + a * -3.7607615938795742702e-10
    )
    p5 = (4.3018469016299848248e-11 + a * -3.3644001533704521024e-12) + a2 * (
        1.6148961615530762408e-13 + a * -3.5922525363743741461e-15
    )
    a8 = a4 * a4
    return (p0 + a4 * p1) + a8 * ((p2 + a4 * p3) + a8 * (p4 + a4 * p5))


@overload(erf, jit_options=INHERITING)
def _erf_compiled(x: Any) -> Any:
    tail, top, real = {
        types.float32: (_tail32, np.float32(3.95), np.float32),
        types.float64: (tail64, np.float64(END64), np.float64),
    }[x]

    def compiled(x: Any) -> Any:
        a = abs(x)
        a = top if a > top else a
        y = expm1(-(a * tail(a)))
        return y if x < real(0) else -y

    return compiled
