"""Standardisation inside the estimators: as a scaler before them, and folded into what users are given."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import numbabp as nbp
from numbabp import MLPClassifier, MLPRegressor
from numbabp.estimators.standardizing import Moments, Standardization

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WINE, KIND = load_wine(return_X_y=True)
rng = np.random.RandomState(0)
X = rng.standard_normal((120, 4)) * [1e-3, 1.0, 1e5, 3.0] + [0, 2000, 1.7e9, -7]
NUMBERS = 1e6 + 300 * ((X[:, 1] - 2000) - np.abs(X[:, 3] + 7))
NUMBERS_2 = np.column_stack([NUMBERS, 1e-6 * X[:, 3]])


def test_a_classifier_is_one_behind_a_scaler():
    # what "auto" means with and without is another thing
    options = {"random_state": 0, "learning_rate_init": 0.01, "max_iter": 100}
    inside = MLPClassifier(**options).fit(WINE, KIND)
    outside = make_pipeline(StandardScaler(), MLPClassifier(**options, standardize=False)).fit(WINE, KIND)
    np.testing.assert_allclose(
        inside.predict_proba(WINE), outside.predict_proba(WINE), rtol=1e-10, atol=1e-12
    )
    np.testing.assert_allclose(
        inside.inner_network_.parameters, outside[-1].network_.parameters, rtol=1e-10, atol=1e-12
    )
    assert inside.score(WINE, KIND) > 0.95


@pytest.mark.parametrize("y", [NUMBERS, NUMBERS_2])
def test_a_regressor_is_one_between_scalers(y):
    near = X - [0, 0, 1.7e9, 0]  # which loses no digits in either
    options = {"random_state": 0, "learning_rate_init": 0.01, "max_iter": 100}
    inside = MLPRegressor(**options).fit(near, y)
    plain = MLPRegressor(**options, standardize=False)
    outside = TransformedTargetRegressor(make_pipeline(StandardScaler(), plain), transformer=StandardScaler())
    outside.fit(near, y)
    spread = y.std(axis=0)
    np.testing.assert_allclose(
        inside.predict(near) / spread, outside.predict(near) / spread, rtol=1e-10, atol=1e-8
    )
    assert inside.score(near, y) > 0.9


def by_hand(model, X):
    """Outputs for X as it comes, from coefs_ and intercepts_ of a relu network."""
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        X = np.maximum(X @ W + b, 0)
    return X @ model.coefs_[-1] + model.intercepts_[-1]


@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
def test_coefs_are_for_what_users_have(hidden, tmp_path):
    model = MLPRegressor(hidden_layer_sizes=hidden, random_state=0, max_iter=20).fit(X, NUMBERS_2)
    spread = NUMBERS_2.std(axis=0)
    np.testing.assert_allclose(by_hand(model, X) / spread, model.predict(X) / spread, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(model.network_.forward(X) / spread, model.predict(X) / spread, rtol=1e-9)
    model.network_.save(tmp_path / "model.safetensors")
    loaded = nbp.load(tmp_path / "model.safetensors")
    np.testing.assert_allclose(loaded.predict(X) / spread, model.predict(X) / spread, rtol=1e-9)
    for part in (model.coefs_[0], model.intercepts_[-1]):
        with pytest.raises(ValueError, match="read-only"):
            part[:] = 0


def test_float32_keeps_what_its_inputs_tell():
    years = (2000 + 10 * rng.standard_normal((200, 1))).astype(np.float32)
    y = (years[:, 0] - 2000).astype(float)
    model = MLPRegressor(random_state=0).fit(years, y)
    assert model.predict(years).dtype == model.coefs_[0].dtype == np.float32
    assert model.score(years, y) > 0.99
    # targets that float32 could not tell apart
    model = MLPRegressor(random_state=0).fit(years, 1.7e9 + y)
    assert model.predict(years).dtype == np.float64
    assert model.score(years, 1.7e9 + y) > 0.99


def test_constant_columns_tell_nothing():
    with_constant = np.column_stack([X, np.full(len(X), 0.1 + 0.2), np.zeros(len(X))])
    model = MLPRegressor(random_state=0, max_iter=5).fit(with_constant, NUMBERS)
    other = with_constant + np.array([0, 0, 0, 0, 1e9, 1e9])
    np.testing.assert_array_equal(model.predict(other), model.predict(with_constant))
    assert (model.coefs_[0][4:] == 0).all()
    constant = MLPRegressor(random_state=0, max_iter=5).fit(X, np.full(len(X), 7.5))
    np.testing.assert_array_equal(constant.predict(X), 7.5)


def test_numbers_whose_squares_overflow():
    y = NUMBERS - NUMBERS.mean()
    model = MLPRegressor(random_state=0).fit(1e200 * (X - X.mean(axis=0)), 1e250 * y)
    assert np.corrcoef(model.predict(1e200 * (X - X.mean(axis=0))) / 1e250, y)[0, 1] > 0.9


def test_only_samples_that_are_trained_with_count():
    weights = np.where(np.arange(len(X)) % 3 == 0, 0.0, 1.0)
    strange = np.where(weights[:, None] == 0, 1e12, X)
    options = {"random_state": 0, "shuffle": False, "max_iter": 5}
    model = MLPRegressor(**options).fit(strange, NUMBERS, weights)
    other = MLPRegressor(**options).fit(X[weights > 0], NUMBERS[weights > 0])
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    # those for validation are not
    model = MLPRegressor(early_stopping=True, **options).fit(X, NUMBERS, X_val=X + 1e12, y_val=NUMBERS + 1e9)
    other = MLPRegressor(**options, learning_rate="constant").fit(X, NUMBERS)
    np.testing.assert_array_equal(
        model._fitted.standardization.inputs.mean, other._fitted.standardization.inputs.mean
    )


# Moments.


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("weights", [None, rng.randint(0, 4, len(X)).astype(float)])
def test_moments_are_those_of_the_rows(as_sparse, weights):
    values = sparse.csr_matrix(X) if as_sparse else X
    found = Moments.of(values, weights)
    rows = X if weights is None else np.repeat(X, weights.astype(int), axis=0)
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), rtol=1e-14, atol=1e-17)
    np.testing.assert_allclose(found.spread, rows.std(axis=0), rtol=1e-9)
    assert found.rows == len(rows)


def test_merging_weighs_later_rows_more_and_keeps_what_repeats():
    whole = Moments.of(X)
    again = whole.merged(whole).merged(whole)
    np.testing.assert_array_equal(again.mean, whole.mean)
    np.testing.assert_array_equal(again.spread, whole.spread)
    merged = Moments.of(X[:1])
    for row in range(1, len(X)):
        merged = merged.merged(Moments.of(X[row : row + 1]))
    # the t-th row counts t^4 - (t - 1)^4
    counts = np.diff(np.arange(len(X) + 1.0) ** 4)
    mean = np.average(X, axis=0, weights=counts)
    np.testing.assert_allclose(merged.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(
        merged.spread, np.sqrt(np.average((X - mean) ** 2, axis=0, weights=counts)), rtol=1e-6
    )


# Streams.


@pytest.mark.parametrize("first", [1e6, 0.0, -1e4])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_what_a_stream_begins_with_is_forgotten(first, offset):
    x = np.random.RandomState(0).uniform(size=(3000, 1))
    y = offset + x[:, 0]
    y[0] = first
    model = MLPRegressor(hidden_layer_sizes=(20,), random_state=0)
    for i in range(len(x)):
        model.partial_fit(x[i : i + 1], y[i : i + 1])
    assert model.score(x[1:], y[1:]) > 0.9


def test_a_first_row_without_weight_is_none():
    x = np.random.RandomState(0).uniform(size=(300, 1))
    y = x[:, 0].copy()
    y[0] = 1e9
    model, other = (MLPRegressor(random_state=0, shuffle=False) for _ in range(2))
    weights = np.ones(300)
    weights[0] = 0
    model.partial_fit(x[:100], y[:100], weights[:100]).partial_fit(x[100:], y[100:])
    other.partial_fit(x[1:100], y[1:100]).partial_fit(x[100:], y[100:])
    np.testing.assert_array_equal(model.predict(x), other.predict(x))


# Sparse inputs.


def test_sparse_stays_sparse():
    n, d = 300, 2000
    wide = sparse.random(n, d, 0.01, "csr", random_state=0)
    wide.data *= 1e4
    y = np.asarray(wide[:, :50].sum(axis=1)).ravel()
    by = Standardization.of(wide, y[:, None], None, True)
    assert by.of_inputs(wide).nnz == wide.nnz
    np.testing.assert_allclose(
        np.sqrt(by.of_inputs(wide).power(2).sum(axis=0) / np.maximum(wide.getnnz(axis=0), 1)).max(), 1.0
    )
    model = MLPRegressor(random_state=0).fit(wide, y)
    assert model.score(wide, y) > 0.5
    np.testing.assert_allclose(model.predict(wide), model.predict(wide.toarray()), rtol=1e-8)


def test_dense_columns_of_a_sparse_table_are_centred():
    table = np.column_stack([WINE, np.arange(len(WINE)) % 10 == 0])
    as_sparse = sparse.csr_matrix(table)
    model = MLPClassifier(random_state=0).fit(as_sparse, KIND)
    assert model.score(as_sparse, KIND) > 0.95
    np.testing.assert_allclose(
        model.predict_proba(as_sparse), model.predict_proba(table), rtol=1e-8, atol=1e-12
    )


# What it can't go on from.


def test_it_is_fixed_by_the_first_call():
    model = MLPClassifier(max_iter=2, warm_start=True).fit(WINE, KIND)
    with pytest.raises(ValueError, match="standardize=True, but the parameters now ask for False"):
        model.set_params(standardize=False).fit(WINE, KIND)


def test_raw_tables():
    table, kind = load_breast_cancer(return_X_y=True)
    assert MLPClassifier(random_state=0).fit(table, kind).score(table, kind) > 0.97
    x = np.arange(1.0, 500)[:, None]
    assert MLPRegressor(random_state=0).fit(x, x[:, 0] + 1).score(x, x[:, 0] + 1) > 0.999


@pytest.mark.parametrize("seed", range(4))
def test_exclusive_or_is_learnt(seed):
    corners, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    model = MLPClassifier(activation="logistic", learning_rate_init=1.0, max_iter=1000, random_state=seed)
    assert model.fit(corners, y).score(corners, y) == 1


def test_random_biases_spread_the_kinks():
    x = np.random.RandomState(0).uniform(-3, 3, (500, 1))
    y = np.sin(3 * x[:, 0])
    assert MLPRegressor(random_state=0).fit(x, y).score(x, y) > 0.8
    zeros = MLPRegressor(bias_init="zeros", learning_rate_init=1e-300, max_iter=1).fit(x, y)
    np.testing.assert_allclose(zeros.inner_network_.biases[0], 0, atol=1e-290)
