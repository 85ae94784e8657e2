"""Streams through `partial_fit`: what their first rows happen to be does not fix the automatic rate."""

import numpy as np
import pytest

from numbabp import MLPClassifier, MLPRegressor

N = 1500


def stream(model, first, of_x, n=N, **first_time):
    """The model after one row by itself and `n` more, and samples of the same kind to score it with."""
    x, y, weight = first
    model.partial_fit([[x, 0.0]], [y], None if weight is None else [weight], **first_time)
    generator = np.random.RandomState(0)
    X = generator.standard_normal((n + 500, 2))
    for row in X[:n]:
        model.partial_fit([row], [of_x(row[0])])
    return X[n:], of_x(X[n:, 0])


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(
    ("first", "slope", "offset"),
    [
        pytest.param((0.3, 1e6, None), 1.0, 0.0, id="a million at first"),
        pytest.param((0.3, 0.0, None), 1e3, 1e4, id="zero at first"),
        pytest.param((0.3, 1e9, 1e-9), 1.0, 0.0, id="hardly any weight at first"),
        pytest.param((1e6, 0.0, None), 1.0, 0.0, id="an input of a million at first"),
    ],
)
def test_first_rows_do_not_fix_the_rate_of_a_regressor(standardize, first, slope, offset):
    model = MLPRegressor(hidden_layer_sizes=16, standardize=standardize, random_state=0)
    X, y = stream(model, first, lambda x: offset + slope * x)
    assert model.score(X, y) > 0.9


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("first", [(1e6, 0, None), (0.3, 1, 1e6)], ids=["input", "weight"])
def test_first_rows_do_not_fix_the_rate_of_a_classifier(standardize, first):
    model = MLPClassifier(hidden_layer_sizes=16, standardize=standardize, random_state=0)
    X, y = stream(model, first, lambda x: np.int64(x > 0), classes=[0, 1])
    assert model.score(X, y) > 0.9


def test_a_first_row_of_no_weight_is_refused_and_leaves_nothing():
    model = MLPRegressor(hidden_layer_sizes=16, random_state=0)
    with pytest.raises(ValueError, match="sample_weight"):
        model.partial_fit([[0.3, 0.0]], [1e9], [0.0])
    assert not hasattr(model, "inner_network_")
    X, y = stream(model, (0.3, 0.3, None), lambda x: x)
    assert model.score(X, y) > 0.9


def test_rates_are_the_documented_ones():
    """With the t-th row's weight t^3, and for raw targets the root of their mean square."""
    model = MLPRegressor(hidden_layer_sizes=4, standardize=False, random_state=0)
    X = [[1.0, 2.0], [0.5, 0.1], [3.0, 11.0]]
    y = [4.0, 3.0, 0.5]
    squares = targets = largest = 0.0
    for t, (x, target) in enumerate(zip(X, y, strict=True)):
        model.partial_fit([x], [target])
        kept, square = (t / (t + 1)) ** 4, float(np.square(x).sum())
        squares = kept * squares + (1 - kept) * square
        targets = kept * targets + (1 - kept) * max(target, 1.0) ** 2
        largest = max(kept * largest, square)
        expected = min(0.01, 1 / max(squares, 1), 2 / max(largest, 1)) / np.sqrt(targets)
        assert model.learning_rate_init_ == pytest.approx(expected)
