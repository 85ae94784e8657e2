"""loss="quantile" of the regressor: the level, what it is compared with, and where it is kept."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import d2_pinball_score, mean_pinball_loss

import numbabp as nbp
from numbabp import MLPEnsembleRegressor, MLPRegressor, PopulationSearchCV
from numbabp.estimators.training.diagnosis import _loss_of_constant

rng = np.random.RandomState(0)
X = rng.standard_normal((800, 3)) * [1.0, 100.0, 0.01] + [0.0, 3000.0, 1.0]
SPREAD = np.exp(0.5 * X[:, 0])
Y = 1e4 * (X[:, 0] + (X[:, 1] - 3000) / 100) + 5e3 * SPREAD * rng.standard_normal(800)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_so_much_lies_below(level):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLPRegressor("quantile", quantile=level, random_state=0).fit(X, Y)
    assert model.network_.quantile == level
    predicted = model.predict(X)
    assert np.mean(predicted > Y) == pytest.approx(level, abs=0.05)
    assert d2_pinball_score(Y, predicted, alpha=level) > 0.5
    np.testing.assert_allclose(model.network_.forward(X)[:, 0], predicted, rtol=1e-9)


@pytest.mark.parametrize("level", [0.2, 0.7])
def test_a_linear_one_is_the_linear_programs(level):
    """scikit-learn's QuantileRegressor finds the very minimum; the loss here is all but that."""
    scaled = (X - X.mean(axis=0)) / X.std(axis=0), (Y - Y.mean()) / Y.std()
    exact = QuantileRegressor(quantile=level, alpha=0.0).fit(*scaled)
    options = {"alpha": 0.0, "max_iter": 300, "learning_rate_init": 0.02, "random_state": 0}
    model = MLPRegressor("quantile", (), quantile=level, **options).fit(X, Y)
    least = mean_pinball_loss(scaled[1], exact.predict(scaled[0]), alpha=level)
    found = mean_pinball_loss(Y, model.predict(X), alpha=level) / Y.std()
    assert least <= found * (1 + 1e-9) and found < 1.001 * least
    np.testing.assert_allclose(model.inner_network_.weights[0][:, 0], exact.coef_, atol=0.02)
    np.testing.assert_allclose(model.inner_network_.biases[0], exact.intercept_, atol=0.02)


def test_half_of_it_at_one_half_is_the_absolute_error():
    options = {"random_state": 0, "alpha": 0.0, "max_iter": 20, "learning_rate": "cosine"}
    half = MLPRegressor("quantile", learning_rate_init=0.02, **options).fit(X, Y)
    whole = MLPRegressor("absolute_error", learning_rate_init=0.01, **options).fit(X, Y)
    np.testing.assert_allclose(half.predict(X), whole.predict(X), rtol=1e-9)
    np.testing.assert_allclose(2 * np.array(half.loss_curve_), whole.loss_curve_, rtol=1e-9)


def test_the_best_constant_is_the_weighted_quantile():
    weights = np.arange(len(Y)) % 3.0
    targets = np.column_stack([Y, -2 * Y])
    for level in (0.05, 0.5, 0.8):
        net = nbp.Network((1, 2), loss="quantile", quantile=level, init="zeros")
        for of_rows in (None, weights):
            found = _loss_of_constant(net, targets, of_rows)
            repeated = targets if of_rows is None else np.repeat(targets, of_rows.astype(int), axis=0)
            best = np.quantile(repeated, level, axis=0, method="inverted_cdf")
            losses = [
                mean_pinball_loss(repeated[:, k], np.full(len(repeated), best[k]), alpha=level)
                for k in (0, 1)
            ]
            assert found == pytest.approx(sum(losses), rel=1e-12)
            net.biases = [best]
            assert net.evaluate(np.zeros((len(Y), 1)), targets, of_rows)["loss"] == pytest.approx(
                found, rel=1e-12
            )


def test_what_has_learnt_nothing_says_so():
    with pytest.warns(ConvergenceWarning, match="no better than a constant"):
        MLPRegressor("quantile", quantile=0.9, learning_rate_init=1e-9, random_state=0).fit(X, Y)


def test_populations_of_levels():
    search = PopulationSearchCV(
        MLPRegressor("quantile", (10,), max_iter=20, random_state=0),
        {"quantile": [0.1, 0.9]},
        cv=2,
        scoring={"low": _pinball(0.1), "high": _pinball(0.9)},
        refit="high",
    ).fit(X, Y)
    low, high = (search.cv_results_[f"mean_test_{name}"] for name in ("low", "high"))
    assert low[0] > low[1] and high[1] > high[0]
    assert search.best_params_ == {"quantile": 0.9} and search.best_estimator_.network_.quantile == 0.9
    ensemble = MLPEnsembleRegressor("quantile", quantile=0.9, n_estimators=3, random_state=0).fit(X, Y)
    assert ensemble.population_.quantile == 0.9
    assert np.mean(ensemble.predict(X) > Y) == pytest.approx(0.9, abs=0.05)


def _pinball(level):
    return lambda model, X, y: -mean_pinball_loss(y, model.predict(X), alpha=level)


def test_a_level_stays():
    model = MLPRegressor("quantile", quantile=0.9, random_state=0)
    assert clone(model).quantile == 0.9
    model.partial_fit(X, Y).partial_fit(X, Y)
    with pytest.raises(
        ValueError, match=r"goes on with a network of quantile=0\.9, but the parameters now ask for 0\.1"
    ):
        model.set_params(quantile=0.1).partial_fit(X, Y)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"loss": "quantile", "quantile": 0},
            "quantile must be finite and greater than 0 and less than 1, got 0",
        ),
        (
            {"loss": "quantile", "quantile": 1.0},
            "quantile must be finite and greater than 0 and less than 1, got 1",
        ),
        ({"quantile": 0.9}, "quantile=0.9 is for loss='quantile', but the loss is 'squared_error'"),
    ],
)
def test_levels_that_are_refused(options, words):
    model = MLPRegressor(**options)
    with pytest.raises(ValueError) as caught:
        model.fit(X, Y)
    assert words in str(caught.value) and not hasattr(model, "inner_network_")
