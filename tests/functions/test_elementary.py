"""exp, its kin and erf as compiled: within the documented units in the last place."""

import json
import math
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from numba import njit
from numba.extending import register_jitable

from numbabp.compiler.constants import known
from numbabp.compiler.vectors import highest, load, load_of, n_lanes, number_of, put, splat_of, store, total
from numbabp.functions import elementary
from numbabp.functions.erf import erf


def compiled(function):
    @njit
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    return loop


def compiled_for_vectors(function):
    @njit
    def loop(x, y):
        for i in range(np.uint64(0), np.uint64(x.size), n_lanes(x)):
            store(y, i, function(load(x, i)))

    return loop


def ulps(function, exact, x, compiled=compiled):
    y = np.empty_like(x)
    compiled(function)(x, y)
    expected = exact(x.astype(np.longdouble))
    return float(np.max(np.abs(y - expected) / np.spacing(np.abs(expected.astype(x.dtype)))))


@register_jitable
def first_of_pair(x):
    return elementary.logistic_pair(x)[0]


@register_jitable
def second_of_pair(x):
    return elementary.logistic_pair(x)[1]


@pytest.mark.parametrize(
    "function, exact, low, high, most",
    [
        (elementary.exp, np.exp, -1, 1, 1.1),
        (elementary.exp, np.exp, -20, 20, 1.1),
        (elementary.exp, np.exp, -87, 88, 1.1),
        (elementary.exp_or_infinity, np.exp, -87, 88, 1.1),
        (elementary.expm1, np.expm1, -1e-3, 1e-3, 1.1),
        (elementary.expm1, np.expm1, -20, 20, 2.5),
        (elementary.tanh, np.tanh, -1e-3, 1e-3, 2.5),
        (elementary.tanh, np.tanh, -25, 25, 2.5),
        (elementary.logistic, lambda x: 1 / (1 + np.exp(-x)), -20, 20, 2.5),
        (elementary.logistic_awaited, lambda x: 1 / (1 + np.exp(-x)), -20, 20, 2.5),
        (elementary.logistic, lambda x: 1 / (1 + np.exp(-x)), -80, 80, 2.5),
        (first_of_pair, lambda x: 1 / (1 + np.exp(-x)), -80, 80, 2.5),
        (second_of_pair, lambda x: 1 / (1 + np.exp(x)), -80, 80, 3.5),
        (elementary.minus_log1m_half, lambda x: -np.log1p(-x), 0, 0.5, 4),
        (elementary.minus_log1m_half, lambda x: -np.log1p(-x), 0, 1e-4, 4),
        (elementary.log_from_one, np.log, 1, 3, 4),
        (elementary.log_from_one, np.log, 1, 1e6, 1.5),
        (elementary.log1p_unit, np.log1p, 0, 1, 4),
        (elementary.log1p_unit, np.log1p, 0, 1e-4, 4),
        (elementary.log, np.log, 0.999, 1.001, 1.1),
        (elementary.log, np.log, 0.5, 2, 1.2),
        (elementary.log, np.log, 1e-6, 1, 1.2),
        (elementary.log, np.log, 1, 1e30, 1.1),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_in_the_last_place(function, exact, low, high, most, dtype):
    x = np.random.RandomState(0).uniform(low, high, 100_000).astype(dtype)
    assert ulps(function, exact, x[x != 0]) < most


@pytest.mark.parametrize(
    "function, exact, low, high, most",
    [
        (elementary.exp, np.exp, -87, 88, 1.1),
        (elementary.tanh, np.tanh, -1e-3, 1e-3, 4),
        (elementary.tanh, np.tanh, -25, 25, 4),
        (elementary.logistic, lambda x: 1 / (1 + np.exp(-x)), -80, 80, 4),
        (elementary.logistic_awaited, lambda x: 1 / (1 + np.exp(-x)), -80, 80, 4),
        (first_of_pair, lambda x: 1 / (1 + np.exp(-x)), -80, 80, 4),
        (second_of_pair, lambda x: 1 / (1 + np.exp(x)), -80, 80, 4),
        (elementary.minus_log1m_half, lambda x: -np.log1p(-x), 0, 0.5, 4),
        (elementary.log_from_one, np.log, 1, 3, 4),
        (elementary.log1p_unit, np.log1p, 0, 1, 4),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_in_the_last_place_of_vectors(function, exact, low, high, most, dtype):
    """These divide by an estimate that they make better, where that is faster, and look up powers."""
    x = np.random.RandomState(0).uniform(low, high, 64 * 1500).astype(dtype)
    assert ulps(function, exact, x, compiled_for_vectors) < most


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", [elementary.logistic, elementary.logistic_awaited])
@pytest.mark.parametrize("compiled", [compiled, compiled_for_vectors])
def test_sigmoids_at_the_limits(compiled, function, dtype):
    """There the estimate for vectors is nearly subnormal; beyond, so may what is computed be infinite."""
    low, high = elementary.LIMITS[dtype]
    x = np.resize(np.array([-1e4, -high, low, high, 1e4, -np.inf, np.inf, np.nan], dtype), 64)
    y = np.empty_like(x)
    compiled(function)(x, y)
    expected = 1 / (1 + np.exp(-np.clip(x, -high, -low)))
    np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [8, 16, 32])
def test_vectors_of_other_lengths(width, dtype):
    @njit
    def compiled(x, y, numbers, width):
        a, b = load_of(x, 0, width), load_of(x, number_of(width), width)
        store(y, 0, put(a * b + splat_of(x[0], width), np.uint64(3), x[1]))
        numbers[0], numbers[1] = total(a), highest(a)

    x = np.random.RandomState(0).standard_normal(2 * width).astype(dtype)
    found, by_hand = ((np.empty(width, dtype), np.empty(2, dtype)) for _ in range(2))
    compiled(x, *found, known(width))
    expected = x[:width] * x[width:] + x[0]
    expected[3] = x[1]
    by_hand[0][:], by_hand[1][:] = expected, (x[:width].sum(), x[:width].max())
    for one, other in zip(found, by_hand, strict=True):
        np.testing.assert_allclose(one, other, rtol=32 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_beyond_the_limits(dtype):
    x = np.array([-np.inf, -1e4, 1e4, np.inf, np.nan], dtype)
    for function in (elementary.exp, elementary.expm1):
        y = np.empty_like(x)
        compiled(function)(x, y)
        low, high = elementary.LIMITS[dtype]
        at_limits = np.array([function(np.dtype(dtype).type(limit)) for limit in (low, low, high, high)])
        np.testing.assert_allclose(y[:4], at_limits, rtol=1e-6)
        assert np.isnan(y[4])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_overflow_shows(dtype):
    high = elementary.LIMITS[dtype][1]
    x = np.array([-np.inf, high, np.nextafter(np.dtype(dtype).type(high), np.inf), np.inf, np.nan], dtype)
    y = np.empty_like(x)
    compiled(elementary.exp_or_infinity)(x, y)
    assert 0 < y[0] < 1e-37 and 1e38 < y[1] < np.inf
    assert np.isinf(y[2:4]).all() and np.isnan(y[4])
    plain = [elementary.exp_or_infinity(number) for number in x]
    np.testing.assert_allclose(plain, y, rtol=1e-6)
    assert all(number.dtype == dtype for number in plain)


def test_plain_python_gives_the_same_type():
    for function in (elementary.exp, elementary.expm1, elementary.log1p_unit):
        assert function(np.float32(0.5)).dtype == np.float32
        assert function(0.5) == pytest.approx(float(function(np.float64(0.5))))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logarithms_of_numbers_that_are_not_normal(dtype):
    info = np.finfo(dtype)
    x = [0.0, -0.0, -1.0, -np.inf, np.inf, np.nan, 1.0, info.tiny, info.tiny / 8, info.smallest_subnormal]
    x = np.array([*x, info.max], dtype)
    y = np.empty_like(x)
    compiled(elementary.log)(x, y)
    expected = [-np.inf, -np.inf, np.nan, np.nan, np.inf, np.nan, 0.0]
    np.testing.assert_array_equal(y[:7], expected)
    np.testing.assert_allclose(y[7:], np.log(x[7:].astype(np.longdouble)), rtol=np.finfo(dtype).eps)
    plain = [elementary.log(number) for number in x]
    np.testing.assert_allclose(plain, y, rtol=np.finfo(dtype).eps)
    assert all(number.dtype == dtype for number in plain)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("highest", [1e-30, 1e-3, 0.5, 1, 2, 7])
def test_the_error_function(dtype, highest):
    x = np.random.RandomState(0).uniform(-highest, highest, 100_000).astype(dtype)
    y, negated = np.empty_like(x), np.empty_like(x)
    compiled(erf)(x, y)
    compiled(erf)(-x, negated)
    expected = np.array([math.erf(number) for number in x])
    error = np.abs(y - expected)
    assert error.max() <= np.finfo(dtype).eps
    assert (error / np.spacing(np.abs(expected).astype(dtype))).max() <= 4
    np.testing.assert_array_equal(negated, -y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_error_function_where_it_ends(dtype):
    x = np.array([0.0, 4.0 if dtype == "float32" else 6.0, 1e30, np.inf, np.nan], dtype)
    for sign in (1, -1):
        y = np.empty_like(x)
        compiled(erf)(sign * x, y)
        np.testing.assert_array_equal(y, [0, sign, sign, sign, np.nan])
        np.testing.assert_array_equal([erf(number) for number in sign * x], y)
    assert erf(x[1]).dtype == dtype


def test_powers_are_products():
    @njit
    def compiled(x, t):
        return elementary.power(x, t)

    for x in (0.9, 0.999, 0.99999, 0.0, 1.0, 1.5):
        for t in (0, 1, 2, 3, 10, 1000, 65_537, 3_000_000):
            product, square, left = 1.0, x, t
            while left:
                product, square, left = product * (square if left % 2 else 1.0), square * square, left // 2
            assert compiled(x, np.int64(t)) == elementary.power(x, t) == product
    for t in (10, 1000, 100_000):
        # each square doubles the relative error of what is squared, and adds half a unit
        error = Fraction(elementary.power(0.999, t)) / Fraction(0.999) ** t - 1
        assert abs(error) < t * 2.0**-53


PROGRAM = """
import json
import numpy as np
from numba import njit
from numbabp.functions.activations import gelu, gelu_derivative
from numbabp.functions.elementary import log, power
from numbabp.functions.erf import erf
from numbabp.functions.losses import poisson_of_mean

@njit(error_model="numpy")
def values(x, y):
    y[:] = log(x), log(x - x), erf(x), gelu(x), gelu_derivative(x, x), poisson_of_mean(x + x, x, x * x)

for real in (np.float32, np.float64):
    y = np.empty(6, real)
    values(real(0.3), y)
    print(json.dumps(y.tolist()))
"""


def test_without_the_compiler():
    outputs = []
    for disabled in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        command = [sys.executable, "-W", "error", "-c", PROGRAM]
        run = subprocess.run(command, env=environment, check=True, capture_output=True)
        outputs.append([json.loads(line) for line in run.stdout.splitlines()])
    for dtype, compiled, plain in zip(("float32", "float64"), *outputs, strict=True):
        assert plain[1] == -np.inf and len(plain) == 6
        np.testing.assert_allclose(compiled, plain, rtol=4 * np.finfo(dtype).eps)
