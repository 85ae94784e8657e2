"""Weights of samples: only their ratios count, 0 is no sample, and in one batch they are copies."""

import warnings
from functools import partial

import numpy as np
import pytest
import sklearn.neural_network as theirs
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_wine, make_moons
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_sample_weight

import numbabp as nbp
from numbabp.estimators import MLPClassifier, MLPRegressor
from numbabp.estimators.weights import MeanWeight, excess, normalised
from tests import reference

pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

BOTH = [MLPClassifier, MLPRegressor]
rng = np.random.RandomState(0)
X = rng.standard_normal((60, 5))
TWO = (X[:, 0] + 0.3 * rng.standard_normal(60) > 0).astype(int)
THREE = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
MANY = (X[:, :4] + 0.3 * rng.standard_normal((60, 4)) > 0).astype(int)
NUMBERS = X[:, 0] - np.abs(X[:, 1])
NUMBERS_2 = np.column_stack([NUMBERS, X[:, 2]])
WEIGHTS = rng.uniform(0.1, 3, 60)
COUNTS = rng.randint(1, 5, 60)
SOME = (np.arange(60) % 3 > 0) & ~((np.arange(60) >= 20) & (np.arange(60) < 30))

KINDS = [
    {},
    {"batch_size": 7},
    {"batch_size": 60, "solver": "adam"},
    {"momentum": 0.9, "learning_rate": "invscaling"},
    {"early_stopping": True, "n_iter_no_change": 2},
    {"early_stopping": True, "batch_size": 4},
    {"learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.01},
]


def target(cls):
    return THREE if cls is MLPClassifier else NUMBERS


def parameters(model):
    return model.network_.parameters.copy()


def assert_same(model, other, rtol=0.0):
    np.testing.assert_allclose(parameters(model), parameters(other), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, rtol=rtol)
    for name in ("n_iter_", "t_", "should_stop_"):
        assert getattr(model, name) == getattr(other, name), name
    if model.validation_scores_ is not None:
        np.testing.assert_allclose(model.validation_scores_, other.validation_scores_, rtol=rtol)


# Only ratios count.


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("cls", BOTH)
def test_a_common_factor_changes_nothing(cls, options):
    options = {"max_iter": 12, "random_state": 0, "hidden_layer_sizes": 8, **options}
    plain = cls(**options).fit(X, target(cls))
    model = cls(**options).fit(X, target(cls), WEIGHTS)
    assert not np.allclose(parameters(model), parameters(plain))
    for factor in (1e-6, 1 / 60, 0.3, 100, 1e6, 1e300):
        assert_same(cls(**options).fit(X, target(cls), factor * np.ones(60)), plain)
        assert_same(cls(**options).fit(X, target(cls), factor * WEIGHTS), model, rtol=1e-9)
        # rounded otherwise, but best epochs are the same
        counted = cls(**options).fit(X, target(cls), COUNTS)
        assert_same(cls(**options).fit(X, target(cls), factor * COUNTS), counted, rtol=1e-9)


@pytest.mark.parametrize("options", KINDS[:4])
@pytest.mark.parametrize("cls", BOTH)
def test_a_common_factor_changes_nothing_in_a_stream(cls, options):
    y = target(cls)
    classes = {"classes": [0, 1, 2]} if cls is MLPClassifier else {}
    models = []
    for factor in (None, 1.0, 1e-6, 1e6):
        for weights in (np.ones(60), WEIGHTS):
            model = cls(**{"random_state": 0, "hidden_layer_sizes": 8, **options, "batch_size": 4})
            for start in (*range(0, 60, 7), 3, 5):
                part = slice(start, start + 7)
                given = None if factor is None else factor * weights[part]
                model.partial_fit(X[part], y[part], given, **classes)
            models.append(model)
    for model in models[1::2] + models[2::2]:
        of_ones = model in models[::2] or model is models[1]
        assert_same(model, models[0] if of_ones else models[3], rtol=1e-9)


def test_small_weights_do_not_get_lost_in_float32():
    options = {"max_iter": 3, "random_state": 0}
    model = MLPClassifier(**options).fit(X.astype(np.float32), TWO, WEIGHTS)
    other = MLPClassifier(**options).fit(X.astype(np.float32), TWO, 1e-50 * WEIGHTS)
    assert model.coefs_[0].dtype == np.float32
    np.testing.assert_allclose(parameters(other), parameters(model), rtol=1e-4, atol=1e-6)


def test_weights_are_divided_by_the_mean_over_the_stream_so_far():
    # a step each, worked out by hand
    model = MLPRegressor(hidden_layer_sizes=(), alpha=0.0, learning_rate_init=0.1, random_state=0)
    weights = [2.0, None, 4.0, 0.5]
    factors = [1.0, 1 / 1.5, 4.0 / (7 / 3), 0.5 / (7.5 / 4)]
    for i, (weight, factor) in enumerate(zip(weights, factors, strict=True)):
        before = None if i == 0 else (model.coefs_[0].copy(), model.intercepts_[0].copy())
        model.partial_fit(X[[i]], [1.0], None if weight is None else [weight])
        if before is not None:
            residual = X[i] @ before[0] + before[1] - 1.0
            step = 0.1 * factor * np.outer(X[i], residual)
            np.testing.assert_allclose(model.coefs_[0], before[0] - step, rtol=1e-12)


@pytest.mark.parametrize("cls", BOTH)
def test_partial_fits_do_what_fit_does(cls):
    y = target(cls)
    options = {"hidden_layer_sizes": 6, "shuffle": False, "random_state": 1, "n_iter_no_change": 100}
    options |= {"learning_rate": "constant", "alpha": 1e-4}  # as "auto" is in parts
    whole = cls(max_iter=8, **options).fit(X, y, WEIGHTS)
    parts = cls(**options)
    for _ in range(8):
        parts.partial_fit(X, y, WEIGHTS, **({"classes": [0, 1, 2]} if cls is MLPClassifier else {}))
    np.testing.assert_array_equal(parameters(parts), parameters(whole))


def test_means_of_streams():
    """The t-th row counts as t^3: of 4 rows the first 2 have (2 / 4)^4, of 5 the first 4 (4 / 5)^4."""
    mean = MeanWeight().and_of(np.array([1.0, 3.0]), 2).and_of(None, 2)
    assert (mean.mean, mean.n) == (1 + (2 - 1) / 16, 4)
    mean = mean.and_of(np.array([8.0]), 1)
    assert (mean.mean, mean.n) == (pytest.approx(8 + 0.8**4 * (1.0625 - 8)), 5)
    assert mean.counted(np.array([8.0]) / mean.mean, 1, np.empty(0)) == pytest.approx(8 / 2)
    assert MeanWeight().and_of(np.full(3, 1e308), 3).mean == 1e308
    assert normalised(np.full(7, 0.1), 7, MeanWeight().and_of(np.full(7, 0.1), 7), float) is None


# What they do.


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("batch_size", [1, 4, 60])
@pytest.mark.parametrize(("cls", "y"), [(MLPClassifier, THREE), (MLPRegressor, NUMBERS_2)])
def test_steps_and_losses_are_those_of_the_reference(cls, y, batch_size, solver, as_sparse):
    options = {"shuffle": False, "random_state": 0, "alpha": 0.06, "learning_rate_init": 0.02}
    options |= {"batch_size": batch_size, "hidden_layer_sizes": 6, "solver": solver}
    options |= {"learning_rate": "constant", "standardize": False}
    start = cls(**{**options, "learning_rate_init": 1e-300}, max_iter=1).fit(X, y)
    model = cls(**options, max_iter=3).fit(sparse.csr_matrix(X) if as_sparse else X, y, WEIGHTS)
    expected = reference.train(
        start.coefs_,
        start.intercepts_,
        X,
        np.eye(3)[y] if cls is MLPClassifier else y,
        activations=list(start.network_.activations),
        loss=start.network_.loss,
        learning_rates=[0.02] * 3,
        update_rule=solver,
        batch_size=batch_size,
        l2=0.06 / batch_size,
        sample_weight=WEIGHTS / WEIGHTS.mean(),
    )
    for found, right in zip(model.coefs_, expected.weights, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(model.loss_curve_, expected.loss, rtol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"solver": "adam"},
        {"momentum": 0.9},
        {"solver": "rmsprop", "shuffle": False},
    ],
)
@pytest.mark.parametrize(
    ("cls", "y"),
    [
        (MLPClassifier, TWO),
        (MLPClassifier, THREE),
        (MLPClassifier, MANY),
        (MLPRegressor, NUMBERS),
        (MLPRegressor, 30 * NUMBERS_2),  # whose size decides on the rate
    ],
)
def test_in_one_batch_they_are_copies(cls, y, options):
    options = {"alpha": 0.0, "max_iter": 20, "n_iter_no_change": 100, "random_state": 0, **options}
    repeated = np.repeat(np.arange(60), COUNTS)
    model = cls(batch_size=60, **options).fit(X, y, COUNTS)
    other = cls(batch_size=len(repeated), **options).fit(X[repeated], y[repeated])
    np.testing.assert_allclose(parameters(model), parameters(other), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, rtol=1e-12)
    assert model.n_iter_ == other.n_iter_


def test_in_one_batch_tiny_weights_are_none():
    options = {"batch_size": 4, "max_iter": 5, "random_state": 0, "alpha": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a batch of 4 of 2
        none = MLPRegressor(**options).fit(X[:4], NUMBERS[:4], [1, 0, 0, 1])
    tiny = MLPRegressor(**options).fit(X[:4], NUMBERS[:4], [1, 1e-12, 1e-12, 1])
    np.testing.assert_allclose(parameters(tiny), parameters(none), atol=1e-10)


@pytest.mark.parametrize("batch_size", [1, 5, 20])
def test_automatic_rate_allows_for_the_spread_of_sums_of_weights(batch_size):
    factors = WEIGHTS[:20] / WEIGHTS[:20].mean()
    sums = [factors[np.random.RandomState(i).permutation(20)[:batch_size]].mean() for i in range(20_000)]
    np.testing.assert_allclose(np.mean(np.square(sums)), excess(factors, 20, batch_size), rtol=0.02)
    rates = [
        MLPClassifier(batch_size=batch_size, max_iter=1).fit(X[:20], TWO[:20], weights).learning_rate_init_
        for weights in (None, 7 * WEIGHTS[:20])
    ]
    np.testing.assert_allclose(rates[0] / rates[1], excess(factors, 20, batch_size))


@pytest.mark.slow
@pytest.mark.parametrize("data", [load_wine, load_breast_cancer, partial(make_moons, 600, noise=0.35)])
@pytest.mark.parametrize(
    "make",
    [
        partial(AdaBoostClassifier, n_estimators=5),
        partial(BaggingClassifier, n_estimators=5),
        partial(CalibratedClassifierCV, cv=3),
    ],
)
def test_what_gives_weights_does_as_well_as_with_theirs(make, data):
    """A split of moons differs by 0.014 (standard deviation) from one to the next: ten of them by 0.004."""
    samples, y = data(random_state=0) if isinstance(data, partial) else data(return_X_y=True)
    scores = []
    for seed in range(10):
        split = train_test_split(samples, y, test_size=0.4, random_state=seed, stratify=y)
        scaler = StandardScaler().fit(split[0])
        train, test = scaler.transform(split[0]), scaler.transform(split[1])
        weights = np.random.RandomState(seed).uniform(0.5, 1.5, len(train))
        for cls in (MLPClassifier, theirs.MLPClassifier):
            longer = {"max_iter": 300} if cls is theirs.MLPClassifier else {}
            model = make(cls((20,), random_state=seed, **longer))
            scores.append(model.fit(train, split[2], weights).score(test, split[3]))
    ours, expected = np.mean(scores[::2]), np.mean(scores[1::2])
    assert ours > expected - 0.01


# A weight of 0.


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("cls", BOTH)
def test_weight_zero_is_no_sample(cls, options, as_sparse):
    y = target(cls).copy()
    y[0] = 2 if cls is MLPClassifier else 1e9
    weights = np.where(SOME, WEIGHTS, 0)
    data = sparse.csr_matrix(X) if as_sparse else X
    options = {"random_state": 0, "max_iter": 5, **options}
    options["batch_size"] = min(options.get("batch_size", 1), SOME.sum())
    model = cls(**options).fit(data, y, weights)
    other = cls(**options).fit(data[SOME], y[SOME], weights[SOME])
    assert_same(model, other)
    assert model.learning_rate_init_ == other.learning_rate_init_
    classes = {"classes": [0, 1, 2]} if cls is MLPClassifier else {}
    model, other = (cls(**options).set_params(batch_size=4) for _ in range(2))
    for part in (slice(0, 58), slice(2, 60)):
        kept = SOME[part]
        model.partial_fit(data[part], y[part], weights[part], **classes)
        other.partial_fit(data[part][kept], y[part][kept], weights[part][kept], **classes)
    assert_same(model, other)


def test_a_label_without_any_weight_is_no_class():
    weights = np.where(THREE == 1, 0, WEIGHTS)
    model = MLPClassifier(max_iter=3, random_state=0).fit(X, THREE, weights)
    other = MLPClassifier(max_iter=3, random_state=0).fit(
        X[THREE != 1], THREE[THREE != 1], WEIGHTS[THREE != 1]
    )
    assert model.classes_.tolist() == [0, 2]
    np.testing.assert_array_equal(parameters(model), parameters(other))
    by_class = MLPClassifier(max_iter=3, random_state=0, class_weight={1: 0}).fit(X, THREE, WEIGHTS)
    np.testing.assert_array_equal(parameters(by_class), parameters(other))


def test_class_weight_may_name_a_class_without_any_sample_of_weight():
    weights = np.where(THREE == 1, 0, WEIGHTS)
    model = MLPClassifier(max_iter=3, random_state=0, class_weight={1: 5.0}).fit(X, THREE, weights)
    other = MLPClassifier(max_iter=3, random_state=0).fit(X, THREE, weights)
    np.testing.assert_array_equal(parameters(model), parameters(other))
    with pytest.raises(ValueError, match="class_weight"):
        MLPClassifier(class_weight={7: 5.0}).fit(X, THREE, weights)
    members = nbp.MLPEnsembleClassifier(n_estimators=2, max_iter=3, random_state=0, class_weight={1: 5.0})
    assert members.fit(X, THREE, weights).classes_.tolist() == [0, 2]


def test_balance_is_between_samples_of_some_weight():
    weights = np.where(SOME, 1.0, 0.0)
    model = MLPClassifier(class_weight="balanced", max_iter=3, random_state=0)
    other = clone(model).fit(X[SOME], THREE[SOME])
    np.testing.assert_array_equal(parameters(model.fit(X, THREE, weights)), parameters(other))


@pytest.mark.parametrize("as_sparse", [False, True])
def test_divergence_names_the_row_that_was_given(as_sparse):
    data, y = X.copy(), NUMBERS.copy()
    data[33] *= 1e60
    y[33] = 1e250
    data = sparse.csr_matrix(data) if as_sparse else data
    weights = np.where(np.arange(60) % 2, 1.0, 0.0)
    for method in ("fit", "partial_fit"):
        model = MLPRegressor(learning_rate_init=0.01, random_state=3, standardize=False)
        with pytest.raises(nbp.DivergenceError) as caught:
            getattr(model, method)(data, y, weights)
        assert (caught.value.epoch, caught.value.sample) == (0, 33)
    with pytest.raises(nbp.DivergenceError) as caught:
        options = {"learning_rate_init": 0.01, "random_state": 3, "standardize": False}
        nbp.MLPEnsembleRegressor(n_estimators=2, **options).fit(data, y, weights)
    assert caught.value.sample == 33


@pytest.mark.parametrize("cls", BOTH)
def test_no_weight_at_all_is_an_error(cls):
    for weights in (np.zeros(60), np.zeros(60, int)):
        with pytest.raises(ValueError, match="sample_weight"):
            cls().fit(X, target(cls), weights)


def test_class_weight_is_a_sample_weight():
    names = np.array(["a", "b", "c"])
    y = names[THREE]
    options = {"shuffle": False, "random_state": 0, "max_iter": 3}
    for class_weight in ({"a": 3.0, "c": 0.5}, "balanced"):
        weights = compute_sample_weight(
            class_weight if class_weight == "balanced" else {**class_weight, "b": 1}, y
        )
        model = MLPClassifier(class_weight=class_weight, **options).fit(X, y, np.arange(60) % 2 + 1)
        other = MLPClassifier(**options).fit(X, y, weights * (np.arange(60) % 2 + 1))
        np.testing.assert_allclose(parameters(model), parameters(other), rtol=1e-12)
    parts, other = MLPClassifier(class_weight={"a": 3.0}, **options), MLPClassifier(**options)
    for start in range(0, 60, 4):  # parts without "a", too
        rows = slice(start, start + 4)
        parts.partial_fit(X[rows], y[rows], classes=names)
        other.partial_fit(X[rows], y[rows], np.where(y[rows] == "a", 3.0, 1.0), classes=names)
    np.testing.assert_array_equal(parameters(parts), parameters(other))


def test_class_weight_finds_the_rare_class():
    # scikit-learn issue 9113
    rare = X[:, 0] + 0.8 * np.random.RandomState(1).standard_normal(60) > 1.2
    plain = MLPClassifier(random_state=0, max_iter=50).fit(X, rare)
    balanced = MLPClassifier(random_state=0, max_iter=50, class_weight="balanced").fit(X, rare)
    assert balanced.predict_proba(X)[rare, 1].mean() > plain.predict_proba(X)[rare, 1].mean()


def test_class_weight_of_several_labels():
    weights = [{0: 1, 1: 5}, {0: 1, 1: 1}, {0: 1, 1: 1}, {0: 1, 1: 1}]
    options = {"shuffle": False, "random_state": 0, "max_iter": 3}
    model = MLPClassifier(class_weight=weights, **options).fit(X, MANY)
    other = MLPClassifier(**options).fit(X, MANY, np.where(MANY[:, 0], 5.0, 1.0))
    np.testing.assert_array_equal(parameters(model), parameters(other))


def test_validation_samples_are_weighted():
    weights = np.random.RandomState(0).uniform(0.1, 3, 60)
    model = MLPClassifier(early_stopping=True, max_iter=3, random_state=0).fit(X, TWO, weights)
    _, held_out = train_test_split(np.arange(60), test_size=6, random_state=0, stratify=TWO)
    expected = accuracy_score(TWO[held_out], model.predict(X[held_out]), sample_weight=weights[held_out])
    np.testing.assert_allclose(model.best_validation_score_, expected)
    model = MLPRegressor(early_stopping=True, max_iter=3, random_state=0).fit(X, NUMBERS_2, weights)
    _, held_out = train_test_split(np.arange(60), test_size=6, random_state=0)
    expected = r2_score(NUMBERS_2[held_out], model.predict(X[held_out]), sample_weight=weights[held_out])
    np.testing.assert_allclose(model.best_validation_score_, expected)
