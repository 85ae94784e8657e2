"""What "auto" means for the rate, the penalty and the epochs, and that it takes tables of all kinds."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from numbabp import MLPClassifier, MLPRegressor, PopulationSearchCV
from numbabp.estimators.parameters import safe_rate, scale_of, squared_lengths


@pytest.fixture
def R():
    return np.random.RandomState(0)


def fitted(cls, n, **options):
    R = np.random.RandomState(0)
    X = R.uniform(-1, 1, (n, 3))
    model = cls(hidden_layer_sizes=2, random_state=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noise is not learnt
        return model.fit(X, R.randint(0, 2, n))


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    ("n", "options", "epochs"),
    [
        (4, {}, 1000),
        (90, {}, 167),  # 15,000 / 90
        (1000, {}, 40),
        (1000, {"max_iter": 7}, 7),
        (1000, {"learning_rate_init": 1e-3}, 40),
        (1000, {"learning_rate": "cosine"}, 40),
        (1000, {"standardize": False}, 40),
        (500, {"standardize": False}, 60),  # 30,000 / 500, at a rate of 0.01
        (1000, {"learning_rate": "constant", "tol": 0, "n_iter_no_change": 1000}, 100),
        (1000, {"batch_size": 10}, 100),
        (1000, {"solver": "adam", "batch_size": "auto"}, 100),
        (90, {"solver": "adam", "batch_size": "auto"}, 167),
    ],
)
def test_epochs(cls, n, options, epochs):
    model = fitted(cls, n, **options)
    assert model.max_iter_ == model.n_iter_ == len(model.loss_curve_) == epochs


def test_outlying_rows_take_lower_rates_and_more_epochs(R):
    X = R.normal(size=(600, 2))
    X[0] = 60
    squares = (StandardScaler().fit_transform(X) ** 2).sum(axis=1)
    model = MLPRegressor(hidden_layer_sizes=2, random_state=0).fit(X, X[:, 1] ** 2)
    np.testing.assert_allclose(model.learning_rate_init_, 2 / squares.max())
    assert model.max_iter_ == 100
    # slopes of these are bounded
    for other in (MLPRegressor("huber", random_state=0), MLPClassifier(random_state=0)):
        other.fit(X, X[:, 1] > 0)
        assert (other.learning_rate_init_, other.max_iter_) == (0.02, 40)
    assert safe_rate(model, scale_of(model, np.zeros((5, 2)), 1.0, None, None), in_parts=True) == 0.01


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_parts_go_through_the_schedule_that_a_fit_does(cls, R):
    X = R.normal(size=(700, 3))
    options = {"learning_rate": "cosine", "shuffle": False, "random_state": 0, "alpha": 1e-3}
    options |= {"hidden_layer_sizes": 2, "standardize": False}
    whole, parts = cls(**options).fit(X, X[:, 0] > 0), cls(**options)
    assert whole.n_iter_ == 43  # 30,000 / 700, at a rate of 0.01
    for _ in range(43):
        parts.partial_fit(X, X[:, 0] > 0, **({"classes": [False, True]} if cls is MLPClassifier else {}))
    np.testing.assert_array_equal(parts.inner_network_.parameters, whole.inner_network_.parameters)
    # a short part doesn't change what is left of it
    parts.partial_fit(X[:10], X[:10, 0] > 0)
    assert parts.max_iter_ == 43


def test_squared_lengths(R):
    X = np.where(R.uniform(size=(20, 7)) < 0.3, R.normal(size=(20, 7)), 0).astype(np.float32)
    expected = (X.astype(float) ** 2).sum(axis=1)
    for given in (X, sparse.csr_matrix(X)):
        np.testing.assert_allclose(squared_lengths(given), expected, rtol=1e-6)


def test_penalty(R):
    X, weights = R.normal(size=(300, 3)), R.uniform(0.5, 2, 300)
    labels, two = R.choice(3, 300, p=[0.6, 0.3, 0.1]), R.randint(0, 2, 300)
    several = R.randint(0, 2, (300, 2))

    def curvature(Y):
        p = np.average(Y, axis=0, weights=weights)
        return np.mean(p * (1 - p))

    for cls, y, penalty in (
        (MLPRegressor, R.normal(size=300), 0.8 * 3 / 300),
        (MLPClassifier, labels, 1.2 * curvature(np.eye(3)[labels]) * 3 / 300),
        (MLPClassifier, two, 1.2 * curvature(two) * 3 / 300),
        (MLPClassifier, several, 1.2 * curvature(several) * 3 / 300),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models = [
                cls(hidden_layer_sizes=4, max_iter=3, random_state=0, alpha=alpha).fit(X, y, weights)
                for alpha in ("auto", penalty)
            ]
        of_auto, of_number = (model.inner_network_.parameters for model in models)
        np.testing.assert_allclose(of_auto, of_number, rtol=1e-9)
    # a constant is right, whatever the weights are
    model = MLPClassifier((4,), random_state=0)
    with pytest.warns(UserWarning, match="class"):
        model.fit(X, np.zeros(300))


def outlier(R, n, d):
    X = R.normal(size=(n, d))
    X[7, 1] = 1e6
    return X


HEAVY = {
    "t": lambda R, n, d: R.standard_t(2, (n, d)),
    "cauchy": lambda R, n, d: R.standard_cauchy((n, d)),
    "rare values": lambda R, n, d: np.c_[R.normal(size=n), R.uniform(size=(n, d - 1)) < 2 / n].astype(float),
    "powers": lambda R, n, d: R.zipf(1.7, (n, d)).astype(float),
    "outlier": outlier,
}


@pytest.mark.parametrize("make", HEAVY.values(), ids=HEAVY)
def test_no_column_makes_a_regressor_diverge(make, R):
    for n, d in ((200, 3), (1500, 10)):
        X = make(R, n, d)
        y = np.log1p(np.abs(X[:, 0])) + np.sin(X[:, 1]) / 2 + R.normal(scale=0.2, size=n)
        for target in (y, np.exp(y)):
            assert MLPRegressor(hidden_layer_sizes=30, random_state=0).fit(X, target).score(X, target) > 0.05


def test_without_the_bound_it_would(R):
    X = HEAVY["rare values"](R, 2000, 20)
    y = np.exp(X[:, 0]) + X[:, 1:] @ R.normal(size=19)
    with pytest.raises(ArithmeticError, match="smaller learning_rate_init"):
        MLPRegressor(learning_rate_init=0.02, random_state=0).fit(X, y)


def test_truth_tables_are_learnt():
    corners, labels = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    for seed in range(3):
        assert MLPClassifier(random_state=seed).fit(corners, labels).score(corners, labels) == 1
        assert MLPRegressor(random_state=seed).fit(corners, labels).score(corners, labels) > 0.99


def test_small_noisy_tables_are_not_learnt_by_heart():
    scores, of_linear = [], []
    for seed in range(6):
        X, y = make_classification(280, 18, n_informative=4, n_redundant=0, flip_y=0.4, random_state=seed)
        train, test, y_train, y_test = train_test_split(X, y, random_state=seed)
        scores.append(MLPClassifier(random_state=0).fit(train, y_train).score(test, y_test))
        linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(train, y_train)
        of_linear.append(linear.score(test, y_test))
    assert np.mean(scores) > np.mean(of_linear) - 0.03


def test_digits_in_forty_epochs():
    X, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = MLPClassifier(random_state=0).fit(train, y_train)
    assert model.n_iter_ == 40
    assert model.score(test, y_test) > 0.965


def test_halving_gives_out_what_auto_means():
    X, y = load_iris(return_X_y=True)
    grid = {"learning_rate_init": [0.001, 0.003, 0.01, 0.03]}
    search = PopulationSearchCV(MLPClassifier((4,), random_state=0), grid, halving=2, cv=2, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    assert search.n_resources_ == [50, 100, 200]  # 15,000 / 75
