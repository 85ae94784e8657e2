"""Deep ensembles: members are what populations and single estimators are, and are averaged."""

import doctest
import inspect
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import log_expit, logsumexp
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split

import numbabp as nbp
from numbabp import MLPClassifier, MLPEnsembleClassifier, MLPEnsembleRegressor, MLPRegressor
from numbabp.estimators import EXPECTED_FAILED_CHECKS
from numbabp.estimators.many import ensembles

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = [(MLPEnsembleClassifier, MLPClassifier), (MLPEnsembleRegressor, MLPRegressor)]
X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
NUMBERS = X[:, 0] - np.abs(X[:, 1])
WEIGHTS = np.random.RandomState(0).uniform(0, 2, len(y))
OPTIONS = {"hidden_layer_sizes": (6,), "max_iter": 8, "learning_rate_init": 0.01, "random_state": 0}


def ensemble(cls, **options):
    return cls(**{**OPTIONS, "n_estimators": 4, **options})


def target(cls):
    return y if cls in (MLPEnsembleClassifier, MLPClassifier) else NUMBERS


def seeds_of(random_state, n):
    return np.random.RandomState(random_state).randint(0, 2**31 - 1, size=n, dtype=np.int64).tolist()


CHECKS = """
import json, sys, warnings
from sklearn.utils.estimator_checks import check_estimator
from numbabp.estimators import EXPECTED_FAILED_CHECKS
from numbabp.estimators.many import ensembles
warnings.simplefilter("ignore")
model = getattr(ensembles, sys.argv[1])(n_estimators=3)
found = check_estimator(
    model, expected_failed_checks=EXPECTED_FAILED_CHECKS, on_fail=None, on_skip=None
)
print(json.dumps([[r["check_name"], r["status"], repr(r["exception"])] for r in found]))
"""


@pytest.mark.parametrize("cls", [MLPEnsembleClassifier, MLPEnsembleRegressor])
def test_check_estimator_passes(cls):
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-c", CHECKS, cls.__name__]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    found = json.loads(done.stdout)
    assert len(found) > 50
    assert {name for name, status, _ in found if status == "xfail"} == set(EXPECTED_FAILED_CHECKS)
    assert [result for result in found if result[1] not in ("passed", "xfail")] == []


@pytest.mark.parametrize(("cls", "member"), BOTH)
def test_parameters_are_those_of_the_members_and_a_few_more(cls, member):
    ours, of_member = (inspect.signature(c).parameters for c in (cls, member))
    assert list(ours) == [*of_member, "n_estimators", "bootstrap", "n_threads"]
    assert all(ours[name] == of_member[name] for name in of_member)
    for name in ("n_estimators", "bootstrap", "n_threads"):
        assert f"\n{name} : " in inspect.cleandoc(cls.__doc__)
    model = cls(hidden_layer_sizes=3, n_estimators=2)
    assert clone(model).get_params() == model.get_params()
    assert model.get_params()["alpha"] == member().alpha
    with pytest.raises(TypeError, match="rate"):
        cls(rate=1)


@pytest.mark.parametrize(("cls", "member"), BOTH)
@pytest.mark.parametrize("options", [{}, {"momentum": 0.5}, {"solver": "adam", "batch_size": 16}])
def test_members_are_single_fits(cls, member, options):
    model = ensemble(cls, shuffle=False, **options).fit(X, target(cls), WEIGHTS)
    assert len(model.estimators_) == 4
    for seed, own in zip(seeds_of(0, 4), model.estimators_, strict=True):
        alone = member(**{**OPTIONS, **options, "shuffle": False, "random_state": seed})
        alone.fit(X, target(cls), WEIGHTS)
        assert own.get_params() == alone.get_params()
        np.testing.assert_allclose(own.inner_network_.parameters, alone.inner_network_.parameters, atol=1e-10)
        np.testing.assert_allclose(own.loss_curve_, alone.loss_curve_, rtol=1e-9)
        assert own.n_iter_ == alone.n_iter_ and own.t_ == alone.t_
    assert model.n_iter_ == 8


def test_members_are_a_population():
    as_given = {"standardize": False, "bias_init": "zeros", "learning_rate": "constant", "alpha": 0.01}
    model = ensemble(MLPEnsembleClassifier, **as_given, n_iter_no_change=np.inf).fit(X, y)
    population = nbp.Population(
        (4, 6, 3),
        4,
        hidden_activation="relu",
        loss="categorical_cross_entropy",
        init="glorot_uniform",
        random_state=0,
    )
    order = np.random.RandomState(seeds_of(0, 1)[0])  # the first member's, after its weights
    nbp.Network((4, 6, 3), init="glorot_uniform", random_state=order)
    np.testing.assert_array_equal(population.seeds, seeds_of(0, 4))
    population.fit(X, np.eye(3)[y], learning_rate=0.01, l2=0.01, epochs=8, random_state=order)
    np.testing.assert_allclose(model.population_.parameters, population.parameters, atol=1e-12)
    first = MLPClassifier(**{**OPTIONS, **as_given, "random_state": seeds_of(0, 1)[0]}).fit(X, y)
    np.testing.assert_allclose(model.estimators_[0].coefs_[0], first.coefs_[0], atol=1e-10)


@pytest.mark.parametrize("labels", [y, y > 0, np.array(["a", "b", "c"])[y]])
def test_probabilities_are_the_mean_of_the_members(labels):
    model = ensemble(MLPEnsembleClassifier).fit(X, labels)
    members = np.array([own.predict_proba(X) for own in model.estimators_])
    np.testing.assert_allclose(model.predict_proba(X), members.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.predict_std(X), members.std(axis=0), atol=1e-12)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), model.classes_[members.mean(axis=0).argmax(axis=1)])
    assert model.score(X, labels) > 0.6


@pytest.mark.parametrize("numbers", [NUMBERS, np.column_stack([NUMBERS, X[:, 2]])])
def test_predictions_are_the_mean_of_the_members(numbers):
    model = ensemble(MLPEnsembleRegressor).fit(X, numbers)
    members = np.array([own.predict(X) for own in model.estimators_])
    np.testing.assert_allclose(model.predict(X), members.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.predict_std(X), members.std(axis=0), atol=1e-12)
    assert model.predict(X).shape == numbers.shape and model.n_outputs_ == (2 if numbers.ndim == 2 else 1)


def test_several_labels_a_sample():
    samples, labels = make_multilabel_classification(80, 5, n_classes=3, random_state=0)
    model = ensemble(MLPEnsembleClassifier).fit(samples / 10, labels)
    members = np.array([own.predict_proba(samples / 10) for own in model.estimators_])
    np.testing.assert_array_equal(model.predict(samples / 10), (members.mean(axis=0) > 0.5).astype(int))


def test_an_ensemble_is_better_than_its_members():
    train, test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    model = ensemble(MLPEnsembleClassifier, n_estimators=20, max_iter=30).fit(train, y_train)
    of_members = [log_loss(y_test, own.predict_proba(test)) for own in model.estimators_]
    assert log_loss(y_test, model.predict_proba(test)) < np.mean(of_members)
    assert model.predict_std(10 * test).mean() > 0


@pytest.mark.parametrize(("cls", "member"), BOTH)
@pytest.mark.parametrize("sample_weight", [None, WEIGHTS])
def test_bootstraps_are_weights(cls, member, sample_weight):
    # all members are standardised with the means of all samples, and alpha="auto" counts all
    options = {"shuffle": False, "standardize": False, "alpha": 1e-4}
    model = ensemble(cls, bootstrap=True, **options).fit(X, target(cls), sample_weight)
    generator = np.random.RandomState(0)
    seeds = generator.randint(0, 2**31 - 1, size=4, dtype=np.int64).tolist()
    for seed, own in zip(seeds, model.estimators_, strict=True):
        weights = np.bincount(generator.randint(150, size=150), minlength=150)
        weights = weights * (1.0 if sample_weight is None else sample_weight)
        alone = member(**{**OPTIONS, **options, "random_state": seed}).fit(X, target(cls), weights)
        np.testing.assert_allclose(own.inner_network_.parameters, alone.inner_network_.parameters, atol=1e-10)


@pytest.mark.parametrize(("cls", "member"), BOTH)
def test_weights_of_zero_and_common_factors(cls, member):
    weights = np.where(np.arange(150) % 3, WEIGHTS, 0.0)
    some = weights > 0
    for options in ({}, {"bootstrap": True}, {"batch_size": 8}):
        model = ensemble(cls, **options).fit(X, target(cls), weights)
        for other in (
            ensemble(cls, **options).fit(X, target(cls), 1e-6 * weights),
            ensemble(cls, **options).fit(X[some], target(cls)[some], weights[some]),
        ):
            found, expected = other.population_.parameters, model.population_.parameters
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
            assert [each.t_ for each in other.estimators_] == [each.t_ for each in model.estimators_]


def test_weights_of_classes():
    options = {"class_weight": {0: 3.0, 1: 1.0, 2: 0.5}, "shuffle": False}
    model = ensemble(MLPEnsembleClassifier, **options).fit(X, y)
    alone = MLPClassifier(**{**OPTIONS, **options, "random_state": seeds_of(0, 4)[2]}).fit(X, y)
    np.testing.assert_allclose(model.estimators_[2].coefs_[0], alone.coefs_[0], atol=1e-10)


@pytest.mark.parametrize(("cls", "member"), BOTH)
def test_copies_and_tables(cls, member):
    table = pd.DataFrame(X, columns=list("abcd"))
    model = ensemble(cls).fit(table, target(cls))
    assert model.feature_names_in_.tolist() == list("abcd") and model.n_features_in_ == 4
    assert model.estimators_[-1].feature_names_in_.tolist() == list("abcd")
    assert all(
        np.shares_memory(own.inner_network_.parameters, model.population_.parameters)
        for own in model.estimators_
    )
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict_std(table), model.predict_std(table))
    as_sparse = ensemble(cls).fit(sparse.csr_matrix(X), target(cls))
    np.testing.assert_allclose(as_sparse.predict_std(X), model.predict_std(table), atol=1e-10)


# Learning in parts.


@pytest.mark.parametrize(("cls", "member"), BOTH)
@pytest.mark.parametrize("options", [{}, {"solver": "adam", "batch_size": 8, "early_stopping": True}])
def test_partial_fits_are_those_of_the_members(cls, member, options):
    model = ensemble(cls, **options)
    alone = [member(**{**OPTIONS, **options, "random_state": seed}) for seed in seeds_of(0, 4)]
    classes = {"classes": [0, 1, 2]} if member is MLPClassifier else {}
    for part in (slice(0, 80), slice(80, 150), slice(20, 28)):
        given = X[part], target(cls)[part], WEIGHTS[part]
        assert model.partial_fit(*given, **classes) is model
        for own in alone:
            own.partial_fit(*given, **classes)
    for own, right in zip(model.estimators_, alone, strict=True):
        np.testing.assert_array_equal(own.network_.parameters, right.network_.parameters)
    np.testing.assert_allclose(
        model.predict_std(X), np.std([getattr(own, model._averaged)(X) for own in alone], axis=0), atol=1e-12
    )
    assert model.score(X, target(cls)) == pytest.approx(
        pickle.loads(pickle.dumps(model)).score(X, target(cls))
    )


@pytest.mark.parametrize(("cls", "member"), BOTH)
def test_partial_fit_goes_on_from_fit(cls, member):
    model = ensemble(cls, solver="adam").fit(X, target(cls))
    twin = pickle.loads(pickle.dumps(model))
    model.partial_fit(X, target(cls))
    for own, other in zip(model.estimators_, twin.estimators_, strict=True):
        assert not np.array_equal(own.network_.parameters, other.network_.parameters)
        other.partial_fit(X, target(cls))
        np.testing.assert_array_equal(own.network_.parameters, other.network_.parameters)
        assert np.shares_memory(own.inner_network_.parameters, model.population_.parameters)


@pytest.mark.parametrize(("cls", "member"), BOTH)
def test_wrong_partial_fits_are_named_and_change_nothing(cls, member):
    with pytest.raises(ValueError, match="bootstrap=True draws from all samples"):
        ensemble(cls, bootstrap=True).partial_fit(X, target(cls))
    model = ensemble(cls)
    if member is MLPClassifier:
        with pytest.raises(ValueError, match="classes must be passed on the first call"):
            model.partial_fit(X, y)
        assert not hasattr(model, "estimators_")
    model.fit(X, target(cls))
    before = model.population_.parameters.copy()
    for given in ((X[:, :2], target(cls)), (X, target(cls), -WEIGHTS), (X * np.nan, target(cls))):
        with pytest.raises(ValueError, match=r"X|sample_weight"):
            model.partial_fit(*given)
    np.testing.assert_array_equal(model.population_.parameters, before)
    with pytest.raises(nbp.DivergenceError):
        ensemble(cls, activation="identity", learning_rate_init=1e300).partial_fit(
            X, target(cls), **({"classes": [0, 1, 2]} if member is MLPClassifier else {})
        )


@pytest.mark.parametrize("scale", [1, 1e4])
def test_log_odds_are_those_of_the_mean(scale):
    _, several = make_multilabel_classification(150, 4, n_classes=3, random_state=0)
    for labels in (y, y > 0, several):
        model = ensemble(MLPEnsembleClassifier).fit(X, labels)
        given = scale * X
        of_members = np.array([own.predict_log_proba(given) for own in model.estimators_])
        found = model.predict_log_proba(given)
        np.testing.assert_allclose(found, logsumexp(of_members, axis=0) - np.log(4), rtol=1e-12, atol=1e-14)
        odds = model.decision_function(given)
        assert np.isfinite(odds).all()
        p = model.predict_proba(given)
        if labels is several:
            z = np.array([own.decision_function(given) for own in model.estimators_])
            expected = logsumexp(log_expit(z), axis=0) - logsumexp(log_expit(-z), axis=0)
            np.testing.assert_array_equal(model.predict(given), p > 0.5)
            sure = np.abs(odds) > 1e-9  # else rounding decides
            np.testing.assert_array_equal(model.predict(given)[sure], odds[sure] > 0)
        elif labels is y:
            expected = found
            np.testing.assert_array_equal(model.predict(given), odds.argmax(axis=1))
        else:
            expected = found[:, 1] - found[:, 0]
            np.testing.assert_array_equal(model.predict(given), odds > 0)
        np.testing.assert_allclose(odds, expected, rtol=1e-10, atol=1e-12)
        if scale == 1 and labels is not y:
            of_second = p if labels is several else p[:, 1]
            np.testing.assert_allclose(odds, np.log(of_second / (1 - of_second)), rtol=1e-8, atol=1e-10)


def test_it_goes_into_a_search():
    search = GridSearchCV(ensemble(MLPEnsembleClassifier), {"learning_rate_init": [0.001, 0.02]}, cv=3)
    assert search.fit(X, y).best_params_ == {"learning_rate_init": 0.02}


# Failures.


def test_members_that_diverge_are_left_out():
    model = ensemble(MLPEnsembleRegressor, activation="identity", shuffle=False, max_iter=1)
    with pytest.raises(nbp.DivergenceError, match="diverged in epoch 0"):
        model.set_params(learning_rate_init=1e6).fit(X, NUMBERS)
    # a sample that two bootstraps lack
    model = ensemble(MLPEnsembleRegressor, activation="identity", bootstrap=True)
    generator = np.random.RandomState(0)
    generator.randint(0, 2**31 - 1, size=4, dtype=np.int64)
    drawn = [np.bincount(generator.randint(150, size=150), minlength=150) for _ in range(4)]
    row = np.flatnonzero((drawn[0] == 0) & (drawn[1] > 0) & (drawn[2] > 0) & (drawn[3] == 0))[0]
    with pytest.warns(UserWarning, match="2 of 4 members diverged and are left out"):
        model.fit(np.where(np.arange(150)[:, None] == row, 1e200, X), NUMBERS)
    assert len(model.estimators_) == 2 and np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"early_stopping": True}, ValueError, "early_stopping=True"),
        ({"warm_start": True}, ValueError, "warm_start=True"),
        ({"learning_rate": "adaptive"}, ValueError, "learning_rate='adaptive'"),
        ({"n_estimators": 0}, ValueError, "n_estimators must be at least 1"),
        ({"n_estimators": 2.0}, TypeError, "n_estimators must be an integer"),
        ({"bootstrap": 1}, TypeError, "bootstrap must be True or False"),
        ({"n_threads": 0}, ValueError, "n_threads must be at least 1"),
        ({"random_state": "a"}, ValueError, "random_state"),
        ({"alpha": -1}, ValueError, "alpha"),
        ({"init": "a"}, ValueError, "init"),
    ],
)
@pytest.mark.parametrize(("cls", "member"), BOTH)
def test_wrong_parameters_are_named(cls, member, options, error, message):
    model = ensemble(cls, **options)
    with pytest.raises(error, match=message):
        model.fit(X, target(cls))
    assert not hasattr(model, "estimators_")


@pytest.mark.parametrize(("cls", "member"), BOTH)
def test_wrong_arguments_are_named(cls, member):
    with pytest.raises(NotFittedError):
        ensemble(cls).predict(X)
    assert not hasattr(ensemble(cls), "n_features_in_") and not hasattr(ensemble(cls), "n_iter_")
    with pytest.raises(ValueError, match="early_stopping=True"):  # which fits by itself, whatever the weights
        ensemble(cls, early_stopping=True, bootstrap=True).fit(X, target(cls), WEIGHTS)
    with pytest.raises(ValueError, match="sample_weight"):
        ensemble(cls, bootstrap=True).fit(X, target(cls), WEIGHTS[:-1])
    with pytest.raises(ValueError, match="sample_weight"):
        ensemble(cls).fit(X, target(cls), -WEIGHTS)
    with pytest.raises(ValueError, match="X"):
        ensemble(cls).fit(X, target(cls)).predict(X[:, :2])


def test_examples_in_docstrings():
    assert doctest.testmod(ensembles).failed == 0
