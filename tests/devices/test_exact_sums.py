"""Sums that have the same bits in any order, against those of whole fractions."""

from fractions import Fraction

import numpy as np
import pytest

from numbabp.devices import exact_sums
from numbabp.devices.exact_sums import column_sums, sum_of, sums_of

R = np.random.RandomState(0)
TAILS = R.standard_cauchy((3000, 3)) ** 3 * [1, 1e-200, 1e200]


def exact(column):
    return sum(map(Fraction, column.tolist()))


@pytest.mark.parametrize("at_once", [1, 7, 1000, 1 << 20])
def test_order_and_parts_make_no_difference(at_once, monkeypatch):
    expected = sums_of(TAILS), sums_of(TAILS, 3000)
    monkeypatch.setattr(exact_sums, "NUMBERS_HERE", at_once)
    for order in (slice(None, None, -1), R.permutation(3000)):
        np.testing.assert_array_equal(sums_of(TAILS[order]), expected[0])
        np.testing.assert_array_equal(sums_of(TAILS[order], 3000), expected[1])


@pytest.mark.parametrize("n", [2, 3, 10, 3000])
def test_they_are_those_of_fractions(n):
    for values in (TAILS[:n], R.uniform(size=(n, 2)), np.float32(TAILS[:n, :1]), R.randint(-9, 9, (n, 2))):
        largest = np.abs(values).max(axis=0).astype(float)
        for found, column, most in zip(sums_of(values, n), values.T, largest, strict=True):
            error = abs(Fraction(found) - exact(column) / n)
            assert error <= Fraction(np.spacing(abs(found))) / 2 + Fraction(most) / 2**64


@pytest.mark.parametrize("n", [1, 3, 49, 1000])
@pytest.mark.parametrize("value", [0.1, -1 / 3, 1e300, 1e-300, 2.0**1023, 7])
def test_the_mean_of_what_is_all_the_same_is_that(n, value):
    assert sum_of(np.full(n, value), n) == value


def test_a_single_number_is_itself_without_a_sign_of_zero():
    values = np.array([[5e-324, -0.0, -1.5, np.inf]], np.float64)
    found = sums_of(values)
    np.testing.assert_array_equal(found, values[0])
    assert not np.signbit(found[1])
    assert sums_of(np.ones((1, 2), np.float32)).dtype == np.float64


def test_columns_that_are_not_finite_leave_others_as_they_are():
    values = np.array([[1.0, np.inf, 1.0, np.nan], [2.0, 0.0, -np.inf, np.inf], [4.0, 1.0, np.inf, 0.0]])
    np.testing.assert_array_equal(sums_of(values), [7, np.inf, np.inf, np.nan])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16, np.float32])
def test_any_real_numbers(dtype):
    low = np.iinfo(dtype).min if np.dtype(dtype).kind in "iu" else 0
    values = np.array([[low], [1], [1]], dtype)
    assert sums_of(values)[0] == float(low) + 2


def test_a_bound_is_enough():
    def terms(rows, out):
        return TAILS[rows]

    largest = np.abs(TAILS).max(axis=0)
    expected = sums_of(TAILS)
    np.testing.assert_array_equal(column_sums(terms, TAILS.shape, TAILS, largest), expected)
    found = column_sums(terms, TAILS.shape, TAILS, 1000 * largest)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
