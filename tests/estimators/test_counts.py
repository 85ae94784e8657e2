"""loss="poisson" of the regressor: counts and other numbers >= 0, of any size."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_tweedie_score, mean_poisson_deviance

import numbabp as nbp
from numbabp import MLPEnsembleRegressor, MLPRegressor, PopulationSearchCV
from numbabp.estimators.training.diagnosis import _loss_of_constant


def draw(scale=1.0, n=600, seed=0):
    """Counts whose mean is an exponential of two of four columns of different sizes."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, 4)) * [1.0, 10.0, 1.0, 100.0]
    mean = scale * np.exp(0.6 * X[:, 0] + 0.03 * X[:, 1])
    return X, rng.poisson(mean).astype(float), mean


@pytest.mark.parametrize("scale", [0.05, 1.0, 1e4, 1e9])
def test_counts_of_any_size(scale):
    X, y, mean = draw(scale)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLPRegressor("poisson", random_state=0).fit(X[:400], y[:400])
    assert (model.out_activation_, model.network_.loss) == ("exp", "poisson")
    predicted = model.predict(X[400:])
    assert (predicted > 0).all()
    # of the deviance that X explains in truth, most; the few rare events leave much to chance
    explained, most = (d2_tweedie_score(mean[400:], p, power=1) for p in (predicted, mean[400:]))
    assert explained > (0.3 if scale < 1 else 0.8) * most
    assert abs(np.log(predicted.mean() / mean[400:].mean())) < 0.3


def test_a_unit_of_the_counts_changes_predictions_by_it_alone():
    X, y, _ = draw()
    one, other = (MLPRegressor("poisson", random_state=0).fit(X, y * unit) for unit in (1.0, 1024.0))
    np.testing.assert_allclose(other.predict(X), 1024 * one.predict(X), rtol=1e-9)
    np.testing.assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-9)


def test_the_scale_is_folded_into_the_network():
    X, y, _ = draw(50.0)
    model = MLPRegressor("poisson", random_state=0, max_iter=20).fit(X, np.column_stack([y, 2 * y + 1]))
    predicted = model.predict(X)
    np.testing.assert_allclose(model.network_.forward(X), predicted, rtol=1e-12)
    np.testing.assert_allclose(model.predict(sparse.csr_matrix(X)), predicted, rtol=1e-12)
    before = model.inner_network_.parameters.copy()
    model.intercepts_ = model.intercepts_
    model.coefs_ = model.coefs_
    np.testing.assert_allclose(model.inner_network_.parameters, before, rtol=1e-12, atol=1e-15)
    model.intercepts_ = [*model.intercepts_[:-1], model.intercepts_[-1] + np.log(3.0)]
    np.testing.assert_allclose(model.predict(X), 3 * predicted, rtol=1e-12)


def test_training_is_that_of_the_network_on_scaled_counts():
    """By hand: standardised columns, counts over their mean square over their mean."""
    X, y, _ = draw(3.0, n=100)
    options = {"alpha": 0.1, "random_state": 0, "max_iter": 3, "shuffle": False, "learning_rate_init": 0.01}
    options |= {"learning_rate": "constant", "tol": 10.0, "n_iter_no_change": 1}  # two epochs, and no warning
    model = MLPRegressor("poisson", (5,), **options).fit(X, y)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0), y / (np.mean(y**2) / y.mean())
    twin = MLPRegressor("poisson", (5,), **options, standardize=False).fit(*scaled)
    np.testing.assert_allclose(twin.inner_network_.parameters, model.inner_network_.parameters, rtol=1e-9)
    np.testing.assert_allclose(
        twin.predict(scaled[0]) * np.mean(y**2) / y.mean(), model.predict(X), rtol=1e-9
    )


def test_large_counts_as_they_are_lower_the_rate():
    X, y, _ = draw(1e4)
    X = X / [1.0, 10.0, 1.0, 100.0]
    model = MLPRegressor("poisson", standardize=False, random_state=0).fit(X, y)
    assert model.learning_rate_init_ == pytest.approx(0.01 / np.sqrt(np.mean(y**2)))
    assert d2_tweedie_score(y, model.predict(X), power=1) > 0.9


@pytest.mark.parametrize("solver", ["adam", "rprop"])
def test_other_solvers(solver):
    X, y, mean = draw(5.0)
    model = MLPRegressor(
        "poisson", (20,), solver=solver, batch_size="auto", max_iter=300, random_state=0
    ).fit(X, y)
    assert d2_tweedie_score(mean, model.predict(X), power=1) > 0.7


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stream_whose_counts_grow(dtype):
    X, y, mean = draw(20.0)
    X = X.astype(dtype)
    model = MLPRegressor("poisson", random_state=0, learning_rate_init=0.01)
    model.partial_fit(X[:5], np.zeros(5))
    for _ in range(40):
        model.partial_fit(X, y)
    assert model.inner_network_.dtype == dtype
    assert d2_tweedie_score(mean, model.predict(X), power=1) > 0.8


def test_early_stopping_weights_ensembles_and_searches():
    X, y, mean = draw(5.0)
    weights = np.random.RandomState(1).randint(3, size=len(y))
    model = MLPRegressor("poisson", early_stopping=True, random_state=0).fit(X, y, weights)
    assert model.best_validation_score_ > 0.3
    ensemble = MLPEnsembleRegressor("poisson", n_estimators=3, random_state=0).fit(X, y)
    assert d2_tweedie_score(mean, ensemble.predict(X), power=1) > 0.8
    alone = clone(ensemble.estimators_[0]).fit(X, y)
    np.testing.assert_allclose(ensemble.estimators_[0].predict(X), alone.predict(X), rtol=1e-6)
    grid = {"alpha": [0.001, 0.01]}
    search = PopulationSearchCV(MLPRegressor("poisson", max_iter=30, random_state=0), grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.3 and (search.cv_results_["mean_test_score"] > 0.2).all()


def test_nothing_but_zeros():
    X, _, _ = draw()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLPRegressor("poisson", random_state=0).fit(X, np.zeros(len(X)))
    assert (model.predict(X) < 0.05).all()


def test_negative_targets_are_refused_before_anything_changes():
    X, y, _ = draw()
    below = y.copy()
    below[7] = -2.5
    model = MLPRegressor("poisson", early_stopping=True)
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"^y must not be negative for loss='poisson', got -2.5"):
            call(X, below)
    with pytest.raises(ValueError, match=r"^y_val must not be negative for loss='poisson', got -2.5"):
        model.fit(X, y, X_val=X, y_val=below)
    assert not hasattr(model, "inner_network_")
    with pytest.raises(ValueError, match="output_activation='identity' does not go with loss='poisson'"):
        MLPRegressor("poisson", output_activation="identity").fit(X, y)
    with pytest.raises(ValueError, match="loss='poisson' is not known"):
        nbp.MLPClassifier(loss="poisson").fit(X, y > 0)


def test_exp_goes_with_the_other_losses():
    X, _, mean = draw()
    model = MLPRegressor(output_activation="exp", random_state=0, learning_rate_init=1e-3).fit(X, mean)
    assert model.out_activation_ == "exp" and model.score(X, mean) > 0.9


def test_the_best_constant_is_the_mean():
    _, y, _ = draw(2.0)
    Y, weights = np.column_stack([y, 3 * y]), np.arange(len(y)) % 4.0
    net = nbp.Network((1, 2), loss="poisson", init="zeros")
    found = _loss_of_constant(net, Y, weights)
    for i, shift in enumerate((0.0, 0.01, -0.01)):
        net.biases = [np.log(np.average(Y, axis=0, weights=weights)) + shift]
        loss = net.evaluate(np.zeros((len(y), 1)), Y, weights)["loss"]
        assert loss == pytest.approx(found, rel=1e-12) if i == 0 else loss > found
    half = mean_poisson_deviance(y, np.full(len(y), y.mean())) / 2
    assert _loss_of_constant(net, y[:, np.newaxis], None) == pytest.approx(half, rel=1e-12)
    assert np.isfinite(xlogy(0, 0)) and _loss_of_constant(net, np.zeros((3, 2)), None) == 0


def test_what_has_learnt_nothing_says_so():
    X, y, _ = draw()
    with pytest.warns(ConvergenceWarning, match="no better than a constant"):
        MLPRegressor("poisson", learning_rate_init=1e-9, random_state=0).fit(X, y)
