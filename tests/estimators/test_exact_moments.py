"""Mean and spread of columns: the same bits in any order and place, and right to the last few of them."""

import math
from fractions import Fraction

import numpy as np
import pytest

from numbabp.devices import exact_sums, memory
from numbabp.estimators.parameters import squared_lengths
from numbabp.estimators.standardizing import Moments
from numbabp.estimators.weights import MeanWeight, column_means, excess, root_mean_square
from numbabp.kernels.running.moments import squared_length

R = np.random.RandomState(0)
N = 700
OUTLIER = np.where(np.arange(N) == 5, 1e9, R.standard_normal(N))
COLUMNS = {
    "plain": R.standard_normal(N),
    "dates": 1.7e9 + 1e-3 * R.standard_normal(N),
    "years": 2000 + R.randint(0, 20, N),
    "an outlier": OUTLIER,
    "heavy tails": R.standard_cauchy(N) ** 3,
    "around a large one": OUTLIER + 1e12,
    "a constant": np.full(N, 0.1 + 0.2),
    "a large constant": np.full(N, -1e150 / 3),
    "zeros": np.zeros(N),
    "two values": np.where(R.uniform(size=N) < 0.01, 0.1, 0.3),
    "huge": 1e250 * R.standard_normal(N),
    "nearly infinite": np.where(R.uniform(size=N) < 0.5, -1.0, 0.9) * np.finfo(float).max,
    "tiny": 1e-120 * R.standard_normal(N),
}
X = np.column_stack(list(COLUMNS.values()))
WEIGHTS = R.uniform(0.1, 3, N)
TINY_FOR_LARGE = np.where(np.arange(N) == 5, 1e-18, 1.0)
ALL_WEIGHTS = [None, WEIGHTS, TINY_FOR_LARGE, np.float32(WEIGHTS), R.randint(0, 3, N).astype(float)]


class Backwards(memory.SimulatedArray):
    """An array on what stands for a GPU, where sums and largest numbers are found from the end."""

    def sum(self, axis=None, **more):
        found = np.asarray(self)[::-1]
        return np.add.accumulate(found, axis=axis)[-1].view(type(self))


@pytest.fixture
def on_gpu(monkeypatch):
    """Takes arrays to a GPU on which sums run backwards, in parts of another size."""
    monkeypatch.setattr(memory, "is_simulated", lambda: True)
    monkeypatch.setattr(memory, "empty", lambda shape, dtype: np.empty(shape, dtype).view(Backwards))
    monkeypatch.setattr(exact_sums, "NUMBERS_THERE", 1000)
    return lambda values: None if values is None else np.array(values).view(Backwards)


def assert_same(found, expected):
    for own, other in zip(found, expected, strict=True):
        assert np.asarray(own).tobytes() == np.asarray(other).tobytes()


def by_fractions(column, weights):
    """Mean, and a function for the spread about one, in units of a power of two, and what is one of them."""
    shares = [Fraction(w) for w in (np.ones(N) if weights is None else weights.astype(float)).tolist()]
    total, numbers = sum(shares), [Fraction(x) for x in column.tolist()]
    mean = sum(s * x for s, x in zip(shares, numbers, strict=True)) / total

    def spread(about):
        square = sum(s * (x - about) ** 2 for s, x in zip(shares, numbers, strict=True)) / total
        # squares may be beyond float64
        scale = Fraction(2) ** -math.frexp(float(np.abs(column).max()))[1]
        return math.sqrt(square * scale**2), scale

    return mean, spread


@pytest.mark.parametrize("weights", ALL_WEIGHTS)
def test_they_are_right_to_the_last_bits(weights):
    found = Moments.of(X, weights)
    for name, column, mean, spread in zip(COLUMNS, X.T, found.mean, found.spread, strict=True):
        exact_mean, exact_spread = by_fractions(column, weights)
        scaled, scale = exact_spread(Fraction(mean))
        assert float(Fraction(spread) * scale) == pytest.approx(scaled, rel=6 * 2.0**-53, abs=0), name
        error = abs(Fraction(mean) - exact_mean)
        assert error <= Fraction(np.spacing(abs(mean))) / 2 + 4 * Fraction(np.spacing(spread)), name
        if column.min() == column.max():
            assert (mean, spread) == (column[0], 0)


@pytest.mark.parametrize("values", [X, np.float32(X[:, :5]), X[:, 2:3].astype(int), X > 0, X[:1]])
@pytest.mark.parametrize("weights", ALL_WEIGHTS)
def test_order_parts_and_place_make_no_difference(values, weights, on_gpu, monkeypatch):
    weights = weights if weights is None else weights[: len(values)]
    if weights is not None and not weights.any():
        weights = weights + 1
    expected = Moments.of(values, weights)
    for at_once in (1, 100, 1 << 20):
        monkeypatch.setattr(exact_sums, "NUMBERS_HERE", at_once)
        order = R.permutation(len(values))
        assert_same(Moments.of(values[order], weights if weights is None else weights[order]), expected)
    assert_same(Moments.of(on_gpu(values), on_gpu(weights)), expected)
    assert Moments.of(values, weights).rows == expected.rows


def test_nothing_is_warned_of_and_what_is_not_finite_stays_in_its_column():
    for bad in (np.nan, np.inf, -np.inf):
        values = X[:20, :2].copy()
        values[3, 0] = bad
        for weights in (None, WEIGHTS[:20]):
            found, expected = Moments.of(values, weights), Moments.of(X[:20, :2], weights)
            assert not np.isfinite(found.spread[0])
            assert (found.mean[1], found.spread[1]) == (expected.mean[1], expected.spread[1])
    assert np.isnan(Moments.of(np.array([[np.nan, 1.0]])).spread[0])


def test_smallest_of_numbers_and_of_whole_ones():
    whole = np.array([[-128], [127], [127]], np.int8)
    found = Moments.of(whole)
    assert found.mean[0] == 42
    assert found.spread[0] == pytest.approx(math.sqrt((170**2 + 2 * 85**2) / 3), rel=1e-15)
    single = Moments.of(np.array([[5e-324, -0.0, 1e-300]]))
    assert single.mean.tolist() == [5e-324, 0, 1e-300]
    assert not np.signbit(single.mean[1])
    assert single.spread.tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_rates_and_penalties_hang_on_is_the_same_anywhere(dtype, on_gpu):
    values, factors = R.standard_normal((300, 13)).astype(dtype), WEIGHTS[:300].astype(dtype)
    lengths = squared_lengths(values)
    np.testing.assert_allclose(lengths, (values.astype(float) ** 2).sum(axis=1), rtol=1e-14)
    assert_same([squared_lengths(on_gpu(values))], [lengths])
    assert_same([squared_lengths(values[3:4])], [lengths[3:4]])
    assert MeanWeight().and_of(on_gpu(factors), 300) == MeanWeight().and_of(factors, 300)
    assert excess(on_gpu(factors), 300, 5) == excess(factors, 300, 5)
    expected = 1 + factors.var(dtype=float) * 295 / (5 * 299)
    assert excess(factors, 300, 5) == pytest.approx(expected, rel=1e-14)
    for own in (None, factors):
        assert root_mean_square(on_gpu(values), on_gpu(own)) == root_mean_square(values, own)
        assert root_mean_square(values, own) == pytest.approx(
            math.sqrt(np.average(lengths, weights=own)), rel=1e-14
        )
        assert_same([column_means(on_gpu(values), on_gpu(own))], [column_means(values, own)])


def test_root_mean_squares_of_one_row_and_of_what_overflows():
    row = R.standard_normal((1, 3))
    assert root_mean_square(row, None) == root_mean_square(np.repeat(row, 2, axis=0), None)
    assert root_mean_square(np.array([[1e200]]), None) == math.inf
    assert root_mean_square(np.array([[1e200], [1.0]]), None) == math.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 2, 7, 784])
def test_the_squared_length_of_one_row_is_that_of_many(width, dtype):
    row = np.random.RandomState(0).standard_normal((1, width)).astype(dtype)
    assert squared_length(row[0], np.empty(width)) == squared_lengths(row)[0]
    np.testing.assert_allclose(squared_lengths(row)[0], (row[0].astype(float) ** 2).sum(), rtol=1e-14)
