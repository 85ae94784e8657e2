"""exp, expm1 and log1p as compiled: within the documented units in the last place."""

import numpy as np
import pytest
from numba import njit
from numba.extending import register_jitable

from numbabp.compiler.vectors import load, n_lanes, store
from numbabp.functions import elementary


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
        (elementary.logistic, lambda x: 1 / (1 + np.exp(-x)), -20, 20, 2.5),
        (elementary.logistic, lambda x: 1 / (1 + np.exp(-x)), -80, 80, 2.5),
        (first_of_pair, lambda x: 1 / (1 + np.exp(-x)), -80, 80, 2.5),
        (second_of_pair, lambda x: 1 / (1 + np.exp(x)), -80, 80, 3.5),
        (elementary.minus_log1m_half, lambda x: -np.log1p(-x), 0, 0.5, 4),
        (elementary.minus_log1m_half, lambda x: -np.log1p(-x), 0, 1e-4, 4),
        (elementary.log_from_one, np.log, 1, 3, 4),
        (elementary.log_from_one, np.log, 1, 1e6, 1.5),
        (elementary.log1p_unit, np.log1p, 0, 1, 4),
        (elementary.log1p_unit, np.log1p, 0, 1e-4, 4),
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
        (elementary.logistic, lambda x: 1 / (1 + np.exp(-x)), -80, 80, 4),
        (first_of_pair, lambda x: 1 / (1 + np.exp(-x)), -80, 80, 4),
        (second_of_pair, lambda x: 1 / (1 + np.exp(x)), -80, 80, 4),
        (elementary.minus_log1m_half, lambda x: -np.log1p(-x), 0, 0.5, 4),
        (elementary.log_from_one, np.log, 1, 3, 4),
        (elementary.log1p_unit, np.log1p, 0, 1, 4),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_in_the_last_place_of_vectors(function, exact, low, high, most, dtype):
    """These divide by an estimate and a step of Newton's, where that is faster, and look up powers."""
    x = np.random.RandomState(0).uniform(low, high, 64 * 1500).astype(dtype)
    assert ulps(function, exact, x, compiled_for_vectors) < most


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
