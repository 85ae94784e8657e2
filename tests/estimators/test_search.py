"""PopulationSearchCV: what scikit-learn's searches find with the same estimator, fitted by fewer hands."""

import doctest
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats
from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    ShuffleSplit,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import numbabp as nbp
from numbabp import MLPClassifier, MLPRegressor, PopulationSearchCV
from numbabp.devices import memory
from numbabp.estimators.many import joint as together
from numbabp.estimators.many import search

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
TWO = (y > 0).astype(int)
X_NUMBERS, NUMBERS = make_regression(90, 5, noise=5.0, random_state=0)
NUMBERS = NUMBERS / NUMBERS.std()
WEIGHTS = np.random.RandomState(0).uniform(0.5, 2, len(y))
RATES = [0.001, 0.01, 0.05]


def classifier(**options):
    return MLPClassifier(**{"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0, **options})


def assert_same_table(ours, theirs):
    """All of cv_results_ but the times."""
    assert set(ours) == set(theirs)
    for name, values in theirs.items():
        if name.startswith(("split", "mean_", "std_")) and not name.endswith("_time"):
            np.testing.assert_allclose(ours[name], values, rtol=1e-7, atol=1e-9, err_msg=name)
        elif name == "params":
            assert ours[name] == values
        elif name.startswith("param_"):
            assert ours[name].tolist() == values.tolist()
            np.testing.assert_array_equal(ours[name].mask, values.mask)
        elif not name.endswith("_time"):
            np.testing.assert_array_equal(ours[name], values, err_msg=name)


def compare(estimator, grid, *data, fit=None, **options):
    """Both searches, after all that they say has been compared."""
    ours = PopulationSearchCV(estimator, grid, **options).fit(*data, **(fit or {}))
    theirs = GridSearchCV(estimator, grid, **options).fit(*data, **(fit or {}))
    assert_same_table(ours.cv_results_, theirs.cv_results_)
    assert ours.multimetric_ == theirs.multimetric_ and ours.n_splits_ == theirs.n_splits_
    if hasattr(theirs, "best_index_"):
        assert ours.best_index_ == theirs.best_index_ and ours.best_params_ == theirs.best_params_
    if hasattr(theirs, "best_estimator_"):
        np.testing.assert_array_equal(ours.predict(data[0]), theirs.predict(data[0]))
        assert ours.n_features_in_ == theirs.n_features_in_ and ours.refit_time_ > 0
    return ours, theirs


GRIDS = {
    "rates and penalties": ({}, {"learning_rate_init": RATES, "alpha": [0.0, 0.01]}),
    "momentum": ({"learning_rate_init": 0.005}, {"momentum": [0.0, 0.5, 0.9]}),
    "architectures": ({}, {"hidden_layer_sizes": [4, (8,), [8, 4]], "learning_rate_init": RATES}),
    "activations": ({}, {"activation": ["tanh", "relu"], "learning_rate_init": [0.01, "auto"]}),
    "seeds": ({}, {"random_state": [0, 1], "learning_rate_init": RATES}),
    "orders": ({}, {"shuffle": [True, False], "learning_rate_init": RATES}),
    "list of grids": ({}, [{"alpha": [0.0, 0.1]}, {"momentum": [0.5], "max_iter": [3]}]),
    "schedule that counts samples": (
        {"learning_rate": "invscaling", "power_t": 0.2, "max_iter": 5},
        {"learning_rate_init": [0.05, 0.1]},
    ),
    "schedule that knows its end": (
        {"learning_rate": "cosine"},
        {"learning_rate_init": RATES, "max_iter": [3, 6]},
    ),
    "mini-batches by adam": (
        {"solver": "adam", "batch_size": 16},
        {"learning_rate_init": [0.001, 0.01], "alpha": [0.0, 0.01]},
    ),
    "classes' weights": ({}, {"class_weight": [None, "balanced", {0: 2, 1: 1, 2: 1}], "alpha": [0, 0.1]}),
    "fitted singly": (
        {"learning_rate_init": 0.01},
        [{"early_stopping": [True]}, {"learning_rate": ["adaptive"]}, {"warm_start": [True, False]}],
    ),
}


@pytest.mark.parametrize("name", GRIDS)
def test_classifiers_as_in_grid_search(name):
    options, grid = GRIDS[name]
    ours, _ = compare(classifier(**options), grid, X, y, cv=3, return_train_score=True)
    np.testing.assert_array_equal(ours.classes_, [0, 1, 2])
    assert ours.score(X, y) == accuracy_score(y, ours.predict(X))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_regressors_as_in_grid_search(dtype):
    model = MLPRegressor(hidden_layer_sizes=(6,), max_iter=8, random_state=1)
    grid = {"learning_rate_init": [0.001, 0.01, "auto"], "alpha": [0.0, 0.01]}
    ours = PopulationSearchCV(model, grid, cv=3).fit(X_NUMBERS.astype(dtype), NUMBERS)
    theirs = GridSearchCV(model, grid, cv=3).fit(X_NUMBERS.astype(dtype), NUMBERS)
    tolerance = 1e-9 if dtype is np.float64 else 1e-4
    for key in ("mean_test_score", "std_test_score"):
        np.testing.assert_allclose(ours.cv_results_[key], theirs.cv_results_[key], atol=tolerance)
    assert ours.best_params_ == theirs.best_params_


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_fits_in_lanes_as_in_grid_search(momentum, monkeypatch):
    kernels = []

    def fit(*arguments, _fit=together.fit_until, **options):
        kernels.append("lanes")
        return _fit(*arguments, **{**options, "kernel": "lanes"})

    monkeypatch.setattr(together, "fit_until", fit)
    grid = {"learning_rate_init": [0.001, 0.01, 0.03], "alpha": [0.0, 0.001, 0.01]}
    compare(
        classifier(momentum=momentum, max_iter=40, tol=1e-3, n_iter_no_change=2, learning_rate="constant"),
        grid,
        X,
        y,
        cv=2,
    )
    assert kernels == ["lanes"] * 2


@pytest.mark.parametrize("kernel", ["lanes", "each"])
def test_models_end_as_they_would_by_themselves(kernel, monkeypatch):
    asked = []

    def fit(*arguments, _fit=together.fit_until, **options):
        asked.append(kernel)
        return _fit(*arguments, **{**options, "kernel": kernel})

    monkeypatch.setattr(together, "fit_until", fit)
    options = {"max_iter": 60, "tol": 1e-3, "n_iter_no_change": 3, "learning_rate": "constant"}
    models = [classifier(learning_rate_init=rate, **options) for rate in (0.001, 0.01, 0.03, 0.1)]
    twins = [clone(model).fit(X, y) for model in models]
    population = together.train_together(together.begin(models, X, y, None))
    assert asked == [kernel]
    assert len({twin.n_iter_ for twin in twins}) > 2
    for i, (model, twin) in enumerate(zip(models, twins, strict=True)):
        assert model.n_iter_ == twin.n_iter_ and model.t_ == twin.t_
        assert model.should_stop_ == twin.should_stop_
        np.testing.assert_allclose(model.loss_curve_, twin.loss_curve_, rtol=1e-8)
        np.testing.assert_allclose(model.best_loss_, twin.best_loss_, rtol=1e-8)
        np.testing.assert_allclose(model.predict_proba(X), twin.predict_proba(X), atol=1e-8)
        assert np.shares_memory(model.inner_network_.parameters, population.parameters)
        assert model.inner_network_.history.stop_reason == (
            "no change" if model.should_stop_ else "finished"
        ), i
        # and they go on alike
        for one in (model, twin):
            one.partial_fit(X, y)
        np.testing.assert_allclose(model.coefs_[0], twin.coefs_[0], atol=1e-8)


def test_texts_go_through_a_pipeline():
    texts = ["good fine", "bad poor", "fine good good", "poor bad"] * 8
    labels = ["yes", "no", "yes", "no"] * 8
    model = make_pipeline(CountVectorizer(), classifier(max_iter=20))
    search_of_texts = PopulationSearchCV(model, {"mlpclassifier__alpha": [0.0, 0.01]}, cv=2).fit(
        texts, labels
    )
    assert search_of_texts.best_score_ == 1 and search_of_texts.predict(["good"]).tolist() == ["yes"]


CHECKS = """
import json, sys, warnings
from sklearn.utils.estimator_checks import check_estimator
from numbabp import PopulationSearchCV, estimators
warnings.simplefilter("ignore")
model = getattr(estimators, sys.argv[1])(hidden_layer_sizes=(8,), max_iter=30, random_state=0)
found = check_estimator(
    PopulationSearchCV(model, {"alpha": [0.0, 0.1]}, cv=2),
    expected_failed_checks=estimators.EXPECTED_FAILED_CHECKS,
    on_fail=None,
    on_skip=None,
)
print(json.dumps([[r["check_name"], r["status"], repr(r["exception"])] for r in found]))
"""


@pytest.mark.parametrize("cls", ["MLPClassifier", "MLPRegressor"])
def test_check_estimator_passes(cls):
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-c", CHECKS, cls]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    found = json.loads(done.stdout)
    assert len(found) > 50
    assert [result for result in found if result[1] not in ("passed", "xfail")] == []


def test_drawn_candidates_as_in_randomized_search():
    distributions = {"learning_rate_init": stats.loguniform(1e-3, 1e-1), "hidden_layer_sizes": [4, 8]}
    options = {"n_iter": 6, "cv": 3, "random_state": 3}
    ours = PopulationSearchCV(classifier(), param_distributions=distributions, **options).fit(X, y)
    theirs = RandomizedSearchCV(classifier(), distributions, **options).fit(X, y)
    assert_same_table(ours.cv_results_, theirs.cv_results_)
    assert ours.best_params_ == theirs.best_params_


@pytest.mark.parametrize("refit", ["loss", False, lambda results: 1])
def test_several_metrics(refit):
    scoring = {"loss": "neg_log_loss", "right": "accuracy"}
    ours, theirs = compare(
        classifier(), {"learning_rate_init": RATES}, X, y, cv=3, scoring=scoring, refit=refit
    )
    assert ours.scorer_.keys() == theirs.scorer_.keys()
    assert hasattr(ours, "best_estimator_") == bool(refit)


def score_of_both(model, X, y):
    return {"loss": -log_loss(y, model.predict_proba(X)), "right": accuracy_score(y, model.predict(X))}


def test_a_callable_that_gives_several_metrics():
    compare(classifier(), {"alpha": [0.0, 0.1]}, X, y, cv=3, scoring=score_of_both, refit="loss")
    with pytest.raises(ValueError, match="refit"):
        PopulationSearchCV(classifier(), {"alpha": [0.0]}, cv=3, scoring=score_of_both).fit(X, y)


def test_weights_of_samples_and_groups_of_splits():
    grid = {"learning_rate_init": RATES}
    ours, _ = compare(classifier(), grid, X, y, cv=3, fit={"sample_weight": WEIGHTS})
    plain = PopulationSearchCV(classifier(), grid, cv=3).fit(X, y)
    assert not np.array_equal(ours.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    groups = np.arange(len(y)) % 7
    compare(classifier(), grid, X, y, cv=GroupKFold(3), fit={"groups": groups})


def test_other_arguments_of_fit_go_to_the_estimator():
    model = classifier(early_stopping=True)
    compare(model, {"alpha": [0.0, 0.1]}, X, y, cv=2, fit={"X_val": X[:20], "y_val": y[:20]})


def test_sparse_samples_and_tables():
    grid = {"learning_rate_init": RATES}
    compare(classifier(), grid, sparse.csr_matrix(X), y, cv=2)
    compare(classifier(batch_size=8), grid, sparse.csr_matrix(X), y, cv=2)
    table = pd.DataFrame(X, columns=list("abcd"))
    labels = pd.Series(np.array(["red", "green", "blue"])[y])
    ours, _ = compare(classifier(), grid, table, labels, cv=2)
    assert ours.feature_names_in_.tolist() == list("abcd")


# Pipelines.


def test_pipelines_as_in_grid_search():
    pipeline = make_pipeline(StandardScaler(), PCA(3), classifier())
    grid = {"mlpclassifier__learning_rate_init": RATES, "pca__n_components": [2, 3]}
    compare(
        pipeline, grid, X, y, cv=3, fit={"mlpclassifier__sample_weight": WEIGHTS}, return_train_score=True
    )
    compare(Pipeline([("mlp", classifier())]), {"mlp__alpha": [0.0, 0.1]}, X, y, cv=2)
    model_too = {"mlpclassifier": [classifier(), LogisticRegression()], "pca": [PCA(2), "passthrough"]}
    compare(pipeline, model_too, X, y, cv=3)


class Counted(StandardScaler):
    fits = 0

    def fit(self, X, y=None, sample_weight=None):
        type(self).fits += 1
        return super().fit(X, y, sample_weight)


def test_transformers_are_fitted_once_a_fold(monkeypatch):
    monkeypatch.setattr(Counted, "fits", 0)
    pipeline = Pipeline([("scale", Counted()), ("mlp", classifier())])
    grid = {
        "mlp__learning_rate_init": RATES,
        "mlp__hidden_layer_sizes": [4, 8],
        "scale__with_std": [True, False],
    }
    PopulationSearchCV(pipeline, grid, cv=3, refit=False).fit(X, y)
    assert Counted.fits == 2 * 3


# Failures.


def test_networks_that_diverge_fail_alone():
    model = MLPRegressor(hidden_layer_sizes=(4,), activation="identity", max_iter=5, random_state=0)
    grid = {"learning_rate_init": [0.01, 1e6]}
    for estimator, names in (
        (model, grid),
        (Pipeline([("mlp", model)]), {"mlp__learning_rate_init": [0.01, 1e6]}),
    ):
        with pytest.warns() as caught:
            ours = PopulationSearchCV(estimator, names, cv=3, return_train_score=True).fit(X_NUMBERS, NUMBERS)
        failure = next(w for w in caught if w.category is FitFailedWarning)
        assert "3 fits failed out of a total of 6" in str(failure.message)
        assert "DivergenceError: training diverged in epoch 0" in str(failure.message)
        assert np.isnan(ours.cv_results_["mean_test_score"]).tolist() == [False, True]
        assert np.isnan(ours.cv_results_["mean_train_score"]).tolist() == [False, True]
        assert ours.best_index_ == 0
    with pytest.warns(FitFailedWarning):
        ours = PopulationSearchCV(model, grid, cv=3, error_score=-7.0).fit(X_NUMBERS, NUMBERS)
    assert ours.cv_results_["mean_test_score"][1] == -7
    with pytest.raises(nbp.DivergenceError, match="training diverged in epoch 0"):
        PopulationSearchCV(model, grid, cv=3, error_score="raise").fit(X_NUMBERS, NUMBERS)
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        PopulationSearchCV(model, {"learning_rate_init": [1e6]}, cv=2).fit(X_NUMBERS, NUMBERS)


@pytest.mark.parametrize("scoring", [{"r2": "r2"}, lambda model, X, y: {"r2": model.score(X, y)}])
def test_failures_with_several_metrics(scoring):
    model = MLPRegressor(hidden_layer_sizes=(4,), activation="identity", max_iter=5, random_state=0)
    with pytest.warns(FitFailedWarning):
        ours = PopulationSearchCV(
            model, {"learning_rate_init": [1e6, 0.01]}, cv=2, scoring=scoring, refit="r2", error_score=-1.0
        ).fit(X_NUMBERS, NUMBERS)
    assert ours.cv_results_["mean_test_r2"][0] == -1 and ours.best_index_ == 1 and ours.multimetric_


def test_parameters_that_are_not_allowed_fail_alone():
    with pytest.warns(FitFailedWarning, match="alpha must be finite and at least 0"):
        ours = PopulationSearchCV(classifier(), {"alpha": [0.0, -1.0]}, cv=2, error_score=0.0).fit(X, y)
    assert ours.best_index_ == 0 and ours.cv_results_["mean_test_score"][1] == 0
    with pytest.raises(ValueError, match="alpha"):
        PopulationSearchCV(classifier(), {"alpha": [0.0, -1.0]}, cv=2, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="softmax is for one label a sample"):
        several = PopulationSearchCV(
            classifier(output_activation="softmax"), {"alpha": [0.0]}, cv=2, error_score="raise"
        )
        several.fit(X, np.eye(3, dtype=int)[y])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        PopulationSearchCV(classifier(), {"alpha": [0.0]}, cv=2, error_score="raise").fit(X * np.nan, y)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"estimator": LogisticRegression()}, TypeError, "estimator must be an MLPClassifier"),
        ({"estimator": make_pipeline(StandardScaler())}, TypeError, "estimator must be an MLPClassifier"),
        ({"param_grid": None}, ValueError, "either param_grid or param_distributions"),
        ({"param_distributions": {"alpha": [0]}}, ValueError, "either param_grid or param_distributions"),
        ({"param_grid": {"rate": [1]}}, ValueError, "Invalid parameter 'rate'"),
        ({"param_grid": {"alpha": []}}, ValueError, "alpha"),
        ({"param_grid": 3}, TypeError, "Parameter grid"),
        ({"n_iter": 0}, ValueError, "n_iter must be at least 1"),
        ({"n_threads": 0}, ValueError, "n_threads must be at least 1"),
        ({"n_jobs": 0}, ValueError, "n_jobs must not be 0"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs"),
        ({"n_jobs": 1, "n_threads": 1}, ValueError, "n_jobs and n_threads mean the same"),
        ({"n_threads": 1.5}, TypeError, "n_threads must be an integer"),
        ({"halving": 1}, ValueError, "halving must be finite and greater than 1"),
        ({"halving": 2, "param_grid": {"max_iter": [2, 3]}}, ValueError, "halving gives out max_iter"),
        ({"halving": 2, "scoring": ["accuracy"], "refit": False}, ValueError, "halving with several metrics"),
        ({"cv": "a"}, ValueError, "'cv' parameter of PopulationSearchCV"),
        ({"scoring": "a"}, ValueError, "'scoring' parameter of PopulationSearchCV"),
        ({"verbose": -1}, ValueError, "'verbose' parameter of PopulationSearchCV"),
        ({"error_score": "a"}, ValueError, "'error_score' parameter of PopulationSearchCV"),
    ],
)
def test_wrong_parameters_are_named(options, error, message):
    arguments = {"estimator": classifier(), "param_grid": {"alpha": [0.0, 0.1]}, **options}
    with pytest.raises(error, match=message):
        PopulationSearchCV(**arguments).fit(X, y)


# Halving.


@pytest.mark.parametrize(("n_rates", "factor"), [(9, 3), (5, 2), (2, 3)])
def test_halving_as_in_scikit_learn(n_rates, factor):
    grid = {"learning_rate_init": np.geomspace(1e-4, 1e-1, n_rates).tolist()}
    model = classifier(max_iter=18)
    ours = PopulationSearchCV(model, grid, cv=3, halving=factor).fit(X, y)
    theirs = HalvingGridSearchCV(
        model, grid, cv=3, factor=factor, resource="max_iter", max_resources=18, return_train_score=False
    ).fit(X, y)
    assert ours.n_resources_ == theirs.n_resources_ and ours.n_candidates_ == theirs.n_candidates_
    assert_same_table(ours.cv_results_, theirs.cv_results_)
    assert ours.best_params_ == theirs.best_params_ and ours.best_score_ == theirs.best_score_


def test_halving_in_a_pipeline_by_one_metric_of_several():
    pipeline = make_pipeline(StandardScaler(), classifier(max_iter=8))
    ours = PopulationSearchCV(
        pipeline,
        {"mlpclassifier__learning_rate_init": RATES},
        cv=2,
        halving=2,
        scoring=["accuracy", "neg_log_loss"],
        refit="neg_log_loss",
    ).fit(X, y)
    assert ours.n_resources_ == [4, 8] and ours.n_candidates_ == [3, 2]
    assert ours.cv_results_["param_mlpclassifier__max_iter"].tolist() == [4, 4, 4, 8, 8]
    last = ours.cv_results_["mean_test_neg_log_loss"][3:]
    assert ours.best_index_ == 3 + last.argmax()


# Threads.


@pytest.mark.parametrize(
    ("given", "threads"),
    [
        ({}, 6),
        ({"n_threads": 2}, 2),
        ({"n_jobs": 2}, 2),
        ({"n_jobs": 9}, 6),
        ({"n_jobs": -1}, 6),
        ({"n_jobs": -3}, 4),
        ({"n_jobs": -9}, 1),
    ],
)
def test_jobs_are_threads(given, threads, monkeypatch):
    monkeypatch.setattr(search, "n_threads", lambda most=None: 6 if most is None else min(most, 6))
    asked = []

    def run(jobs, data, n_threads, score, _run=search.run_here):
        asked.append(n_threads)
        return _run(jobs, data, n_threads, score)

    monkeypatch.setattr(search, "run_here", run)
    PopulationSearchCV(classifier(max_iter=2), {"alpha": [0.0, 0.1]}, cv=2, **given).fit(X, y)
    assert asked == [threads]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_threads_change_nothing(n_threads):
    grid = {"learning_rate_init": RATES, "hidden_layer_sizes": [4, 8], "early_stopping": [False, True]}
    one = PopulationSearchCV(classifier(), grid, cv=2, n_threads=1).fit(X, y)
    other = PopulationSearchCV(classifier(), grid, cv=2, n_threads=n_threads).fit(X, y)
    assert_same_table(other.cv_results_, one.cv_results_)


@pytest.mark.parametrize("name", ["rates and penalties", "architectures", "fitted singly"])
def test_workers_of_a_client_change_nothing(name, client):
    options, grid = GRIDS[name]
    here = PopulationSearchCV(classifier(**options), grid, cv=3).fit(X, y)
    there = PopulationSearchCV(classifier(**options), grid, cv=3, client=client).fit(X, y)
    for key, values in here.cv_results_.items():
        if key.startswith(("split", "mean_test", "rank")):
            np.testing.assert_array_equal(values, there.cv_results_[key])
    assert here.best_params_ == there.best_params_
    np.testing.assert_array_equal(here.predict_proba(X), there.predict_proba(X))


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_pipeline_on_the_workers_of_a_client(client):
    pipeline = make_pipeline(StandardScaler(), classifier())
    grid = {"mlpclassifier__learning_rate_init": [*RATES, 1e6], "standardscaler__with_mean": [True, False]}
    with pytest.warns(FitFailedWarning):
        here = PopulationSearchCV(pipeline, grid, cv=2).fit(X, y)
    with pytest.warns(FitFailedWarning):
        there = PopulationSearchCV(pipeline, grid, cv=2, client=client).fit(X, y)
    np.testing.assert_array_equal(here.cv_results_["mean_test_score"], there.cv_results_["mean_test_score"])
    assert there.best_params_ == here.best_params_


def test_a_client_of_another_kind_is_named():
    with pytest.raises(TypeError, match=r"client must be a dask\.distributed\.Client, got 'me'"):
        PopulationSearchCV(classifier(), {"alpha": [0.0]}, client="me").fit(X, y)


@pytest.mark.parametrize("state", [None, np.random.RandomState(3)])
def test_other_random_states(state):
    ours = PopulationSearchCV(classifier(random_state=state), {"alpha": [0.0, 0.0, 0.01]}, cv=2).fit(X, y)
    scores = ours.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    if state is not None:  # every clone has a copy
        compare(classifier(random_state=state), {"alpha": [0.0, 0.01]}, X, y, cv=2)


def test_halving_by_one_of_several_metrics_of_a_callable():
    options = {"cv": 2, "halving": 2, "refit": "loss"}
    ours = PopulationSearchCV(classifier(), {"alpha": [0.0, 0.5]}, scoring=score_of_both, **options).fit(X, y)
    last = ours.cv_results_["mean_test_loss"][2:]
    assert ours.n_candidates_ == [2, 1] and ours.best_index_ == 2 + last.argmax()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two threads")
def test_an_error_stops_what_is_under_way():
    def scoring(model, X, y):
        raise ZeroDivisionError("of scoring")

    before = threading.active_count()
    model = classifier(max_iter=10_000, n_iter_no_change=10_000, tol=0.0)
    grid = {"hidden_layer_sizes": [(4,), (64, 64)], "learning_rate_init": [1e-5, 1e-4, 1e-3]}
    large = np.tile(X, (100, 1)), np.tile(y, 100)
    started = time.perf_counter()
    PopulationSearchCV(model.set_params(max_iter=1), grid, cv=ShuffleSplit(1), refit=False).fit(*large)
    once = time.perf_counter() - started  # compiled
    small, big = ({"hidden_layer_sizes": [sizes]} for sizes in grid["hidden_layer_sizes"])
    grid = [{**grid, **small, "max_iter": [1]}, {**grid, **big, "max_iter": [10_000]}]
    started = time.perf_counter()
    with pytest.raises(ZeroDivisionError, match="of scoring"):
        PopulationSearchCV(
            model, grid, cv=ShuffleSplit(1), n_threads=2, scoring=scoring, error_score="raise"
        ).fit(*large)
    assert time.perf_counter() - started < 10 + 10 * once  # to the end it would be minutes
    assert threading.active_count() == before


# The rest.


def test_before_fit():
    ours = PopulationSearchCV(classifier(), {"alpha": [0.0]})
    assert clone(ours).get_params()["estimator__random_state"] == 0
    assert not hasattr(ours, "n_features_in_") and not hasattr(ours, "classes_")
    with pytest.raises(NotFittedError):
        ours.predict(X)


def test_splits_are_drawn_once():
    grid = {"alpha": [0.0, 0.01], "early_stopping": [False, True]}
    splitter = ShuffleSplit(2, test_size=0.3, random_state=np.random.RandomState(0))
    ours = PopulationSearchCV(classifier(), grid, cv=splitter).fit(X, y)
    splitter = ShuffleSplit(2, test_size=0.3, random_state=np.random.RandomState(0))
    theirs = GridSearchCV(classifier(), grid, cv=splitter).fit(X, y)
    assert_same_table(ours.cv_results_, theirs.cv_results_)


def test_it_says_what_it_does(capsys):
    grid = {"learning_rate_init": RATES, "early_stopping": [False, True]}
    PopulationSearchCV(classifier(), grid, cv=2, verbose=2).fit(X, y)
    said = capsys.readouterr().out
    assert "Fitting 2 folds for each of 6 candidates, totalling 12 fits" in said
    assert said.count("3 together") == 2 and said.count("1 by itself") == 6


def test_subclasses_with_a_fit_of_their_own_are_fitted_singly():
    class Mine(MLPClassifier):
        def fit(self, X, y, sample_weight=None):
            self.seen_ = len(y)
            return super().fit(X, y, sample_weight)

    ours = PopulationSearchCV(Mine((4,), max_iter=2, random_state=0), {"alpha": [0.0]}, cv=2).fit(X, y)
    assert ours.best_estimator_.seen_ == len(y)


def test_what_keeps_from_a_population_is_said():
    assert together.why_alone(classifier(), X) == ""
    for name, value in (("early_stopping", True), ("learning_rate", "adaptive"), ("max_iter", 10**5)):
        assert name in together.why_alone(classifier(**{name: value}), X)
    assert "sparse" in together.why_alone(classifier(solver="adam"), sparse.csr_matrix(X))


def test_examples_in_docstrings():
    assert doctest.testmod(search).failed == 0


class OnGPU:
    """An array on a GPU, of which there need not be one to be refused."""

    shape = (4, 2)

    def __init__(self):
        self.__cuda_array_interface__ = {
            "data": (0, False),
            "shape": self.shape,
            "typestr": "<f8",
            "version": 3,
        }


def test_arrays_on_a_gpu_are_refused_where_they_have_no_place(monkeypatch):
    monkeypatch.setattr(memory, "index_of", lambda array: 0)
    monkeypatch.setattr(memory, "device_of", lambda index: None)
    monkeypatch.setattr(memory, "on", lambda device: nullcontext())
    asked = PopulationSearchCV(classifier(), {"alpha": [0.1]})
    with pytest.raises(ValueError, match="y lies on GPU 0, but X in the host's memory: copy y to the host"):
        asked.fit(np.zeros((4, 2)), OnGPU())
    monkeypatch.setattr(search, "check_client", lambda client: None)
    with pytest.raises(
        ValueError, match="X lies on a GPU, but a client's workers are sent samples of the host"
    ):
        asked.set_params(client=object()).fit(OnGPU(), [0, 1, 0, 1])
