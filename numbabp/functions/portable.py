"""Arrays of float64 that come out the same to the last bit on every machine.

They are made only of operations that IEEE 754 rounds correctly (+ - * /, square roots, powers of two): NumPy
takes these one by one, array after array, and none is contracted with the next. NumPy's own exp, log, cos and
power have other last bits on other processors, and at other places of an array; its normal and uniform
numbers, where a compiler has contracted a product and a sum.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .elementary import LOG_2, LOG_2_HIGH, LOG_2_LOW, exp_fraction64, log_of_parts64

__all__ = ["exp", "log", "power", "cos_pi", "BLOCK", "standard_normal", "standard_normal_of_seeds", "uniform"]

_LIMIT = 800.0  # of exponents: beyond, e^x is infinite or 0
_HIGHEST_POWER = 1e20  # times the logarithm of any number but 1 it is beyond that limit
BLOCK = 4096
"""Pairs of normal numbers at a time: arrays of this length stay in the cache."""
_SQRT_HALF = math.sqrt(0.5)
# Minimax polynomials (Remez's algorithm), from the constant term on upwards
_ARTANH = (  # (artanh(s) - s) / s^3 in s^2, for s^2 <= (sqrt(2) - 1)^4, to 1e-20 of artanh(s)
    0.33333333333333330488,
    0.20000000000003123376,
    0.14285714284542969259,
    0.11111111323393511042,
    0.090908878331940839127,
    0.076935453577515628457,
    0.066250595748765268286,
    0.066256596630853230161,
)
_COSINE = (  # (cos(pi u) - 1) / u^2 in u^2, for u <= 1/4, to 4e-20 of the number 1
    -4.9348022005446792669,
    4.0587121264167508378,
    -1.3352627688521883112,
    0.23533063020160804395,
    -0.025806885879323924779,
    0.0019294681733191392856,
    -0.00010357788566404770081,
)
_SINE = (  # sin(pi u) / u in u^2, for u <= 1/4, to 2e-21 of it
    3.1415926535897932385,
    -5.1677127800499700173,
    2.5501640398773414659,
    -0.59926452932028662852,
    0.082145886579543932201,
    -0.0073704298727175522693,
    0.00046628259018906130759,
    -0.000021716765485008836231,
)


def exp(x: Any) -> np.ndarray:
    """e^x, to a unit in the last place: 0 or infinite beyond the numbers there are; NaN stays NaN."""
    return _exp(np.asarray(x, np.float64), 0.0)


def log(x: Any) -> np.ndarray:
    """log(x) of finite x > 0, to two units in the last place."""
    return log_of_parts64(*_exponent_and_mantissa(np.asarray(x, np.float64)))


def power(x: Any, p: Any) -> np.ndarray:
    """x^p of finite x > 0 and real p, to two units in the last place; exact where x^p has no more digits.

    As e^(p log(x)), with a logarithm of more digits than a number holds: its relative error is multiplied by
    p log(x). Repeated squaring, were p an integer, would multiply by p the half unit of the first square.
    """
    x, p = np.asarray(x, np.float64), np.clip(np.asarray(p, np.float64), -_HIGHEST_POWER, _HIGHEST_POWER)
    high, low = _precise_log(x)
    exponent, rest = _product(high, p)
    return np.where(p == 0.5, np.sqrt(x), _exp(exponent, rest + low * p))  # the root is rounded correctly


def cos_pi(t: Any) -> np.ndarray:
    """cos(pi t) for 0 <= t <= 1, to two units in the last place; odd about 1/2, where it is 0."""
    t = np.asarray(t, np.float64)
    u = np.where(t > 0.5, 1 - t, t)
    from_half = 0.5 - u  # exact where it is asked for, as 1 - t is
    cosine = 1 + u * u * _polynomial(u * u, _COSINE)
    sine = from_half * _polynomial(from_half * from_half, _SINE)
    size = np.where(u > 0.25, sine, cosine)
    return np.where(t > 0.5, -size, size)


def standard_normal(random_state: np.random.RandomState, size: tuple[int, ...]) -> np.ndarray:
    """What `random_state.standard_normal(size)` draws, up to rounding; leaves the same state behind.

    f x2 comes first of a pair (see `_normal`); an f x1 that is left over waits in the state.
    """
    state: Any = random_state.get_state(legacy=False)
    n = math.prod(size)
    waiting = [state["gauss"]] if state["has_gauss"] and n else []
    n_pairs = (n - len(waiting) + 1) // 2
    blocks = [_pairs(random_state, min(n_pairs - first, BLOCK)) for first in range(0, n_pairs, BLOCK)]
    numbers = np.concatenate([waiting, *blocks])
    left = numbers[n:]
    if waiting or len(left):
        state = random_state.get_state(legacy=False)
        state["has_gauss"], state["gauss"] = len(left), float(left.sum())
        random_state.set_state(state)
    return numbers[:n].reshape(size)


def standard_normal_of_seeds(seeds: Sequence[int], n: int) -> np.ndarray:
    """What `standard_normal` draws from a random state of each seed, (len(seeds), n), in less time.

    As these states are for nobody afterwards, each draws at once what points it is likely to need, and more.
    """
    n_pairs = (n + 1) // 2
    own = np.random.RandomState()
    drawn = np.empty((len(seeds), n_pairs + n_pairs // 3 + 20, 2))  # pi/4 of which are within the circle
    for points, seed in zip(drawn, seeds, strict=True):
        own.seed(seed)
        points[...] = own.random_sample(points.shape)
    drawn = 2 * drawn - 1
    within = _within_circle(drawn)
    counts = np.cumsum(within, axis=1)
    numbers = np.empty((len(seeds), 2 * n_pairs))
    enough = counts[:, -1] >= n_pairs
    first = within & (counts <= n_pairs) & enough[:, None]
    numbers[enough] = _normal(drawn[first]).reshape(np.count_nonzero(enough), 2 * n_pairs)
    for i in np.flatnonzero(~enough).tolist():
        own.seed(seeds[i])
        numbers[i] = _pairs(own, n_pairs)
    return numbers[:, :n]


def uniform(random_state: np.random.RandomState, limit: float, size: tuple[int, ...]) -> np.ndarray:
    """What `random_state.uniform(-limit, limit, size)` draws, up to rounding."""
    return -limit + (2 * limit) * random_state.random_sample(size)


def _pairs(random_state: np.random.RandomState, n: int) -> np.ndarray:
    """2 n independent normal numbers, of the first n of random points that lie within the unit circle."""
    points, missing = [np.empty((0, 2))], n
    while missing > 0:  # so no more points are drawn than if it were one by one
        drawn = 2 * random_state.random_sample((missing, 2)) - 1
        points.append(drawn[_within_circle(drawn)])
        missing -= len(points[-1])
    return _normal(np.concatenate(points))


def _within_circle(points: np.ndarray) -> np.ndarray:
    """Whether points (..., 2) lie within the unit circle, and not in its centre."""
    squares = _square_of_length(points)
    return (squares < 1) & (squares != 0)


def _normal(points: np.ndarray) -> np.ndarray:
    """2 n normal numbers of n points: Marsaglia's polar method (Marsaglia and Bray 1964).

    (f x2, f x1) of a point (x1, x2), with f = sqrt(-2 log(r^2) / r^2) and r^2 = x1^2 + x2^2.
    """
    squares = _square_of_length(points)
    f = np.sqrt(-2 * log(squares) / squares)
    return (f[:, None] * points[:, ::-1]).ravel()


def _square_of_length(points: np.ndarray) -> np.ndarray:
    """Of each of the points (..., 2); not by a sum over an axis, whose order is NumPy's own."""
    x1, x2 = points[..., 0], points[..., 1]
    return x1 * x1 + x2 * x2


def _exponent_and_mantissa(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, m) with x = 2^n m and sqrt(1/2) <= m < sqrt(2), of finite x > 0."""
    m, n = np.frexp(x)
    small = m < _SQRT_HALF
    return (n - small).astype(np.float64), np.where(small, m + m, m)


@np.errstate(all="ignore")
def _exp(x: np.ndarray, rest: Any) -> np.ndarray:
    """e^(x + rest), with |rest| less than x's last place."""
    rest = np.where(np.abs(x) > _LIMIT, 0, rest)  # which of a huge x is not small
    x = np.clip(x, -_LIMIT, _LIMIT)
    n = np.rint(x / LOG_2)
    high, low = x - n * LOG_2_HIGH, n * LOG_2_LOW
    r = high - low
    fraction = exp_fraction64(r)
    total, lost = _sum(1.0, fraction)
    missing = ((high - r) - low) + rest  # of r
    return np.ldexp(total + (lost + missing * total), n.astype(np.int32))


def _precise_log(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log(x) as the sum of two numbers, to 2e-18 of it: log(2^n m) = n ln 2 + 2 artanh((m - 1) / (m + 1))."""
    n, m = _exponent_and_mantissa(x)
    f = m - 1
    divisor, of_divisor = _sum(m, 1.0)
    s = f / divisor
    product, of_product = _product(s, divisor)
    missing = (((f - product) - of_product) - s * of_divisor) / divisor  # of s
    beyond = 2 * missing + 2 * s * s * s * _polynomial(s * s, _ARTANH)
    high, rest = _sum(n * LOG_2_HIGH, 2 * s)
    return _sum(high, rest + (n * LOG_2_LOW + beyond))


def _sum(a: Any, b: Any) -> tuple[Any, Any]:
    """The sum as rounded, and what was rounded away (Knuth's TwoSum)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def _product(a: Any, b: Any) -> tuple[Any, Any]:
    """The product as rounded, and what was rounded away (Dekker 1971); no number may be above 1e300."""
    product = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return product, a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2)


def _halves(a: Any) -> tuple[Any, Any]:
    """Two numbers of half the bits, whose sum is a (Veltkamp)."""
    shifted = a * (2.0**27 + 1)
    high = shifted - (shifted - a)
    return high, a - high


def _polynomial(v: np.ndarray, terms: tuple[float, ...]) -> np.ndarray:
    """By Horner's rule, from the constant term on upwards."""
    total = np.full_like(v, terms[-1])
    for term in terms[-2::-1]:
        total *= v
        total += term
    return total
