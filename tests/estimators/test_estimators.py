"""MLPClassifier and MLPRegressor: scikit-learn's conventions, its meanings, and what they add."""

import doctest
import inspect
import json
import os
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn.neural_network as theirs
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import numbabp as nbp
from numbabp.estimators import (
    EXPECTED_FAILED_CHECKS,
    MLPClassifier,
    MLPRegressor,
    classifier,
    regressor,
)
from numbabp.estimators.training import fitting
from numbabp.estimators.training.convergence import Watch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = [MLPClassifier, MLPRegressor]
rng = np.random.RandomState(0)
X = rng.standard_normal((60, 5))
TWO = (X[:, 0] + 0.3 * rng.standard_normal(60) > 0).astype(int)
THREE = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
MANY = (X[:, :4] + 0.3 * rng.standard_normal((60, 4)) > 0).astype(int)
NUMBERS = X[:, 0] - np.abs(X[:, 1])
NUMBERS_2 = np.column_stack([NUMBERS, X[:, 2]])


def target(cls):
    return THREE if cls is MLPClassifier else NUMBERS


AS_GIVEN = {"standardize": False, "bias_init": "zeros", "alpha": 1e-4, "learning_rate": "constant"}
"""What textbooks and scikit-learn's loop take: X and y as they are."""


def parameters(model):
    return model.inner_network_.parameters.copy()


# scikit-learn's conventions.

CHECKS = """
import json, sys, warnings
from sklearn.utils.estimator_checks import check_estimator
from numbabp import estimators
warnings.simplefilter("ignore")
model = getattr(estimators, sys.argv[1])()
found = check_estimator(
    model, expected_failed_checks=estimators.EXPECTED_FAILED_CHECKS, on_fail=None, on_skip=None
)
print(json.dumps([[r["check_name"], r["status"], repr(r["exception"])] for r in found]))
"""


@pytest.mark.parametrize("cls", BOTH)
def test_check_estimator_passes_with_nothing_skipped(cls):
    # SCIPY_ARRAY_API must be set before SciPy is imported, or a check is skipped
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-c", CHECKS, cls.__name__]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    found = json.loads(done.stdout)
    assert len(found) > 50
    others = [result for result in found if result[1] != "passed"]
    assert {name for name, _, _ in others} == set(EXPECTED_FAILED_CHECKS), others
    assert {status for _, status, _ in others} == {"xfail"}


@pytest.mark.slow
@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(
    "options",
    [
        {"solver": "adam", "batch_size": "auto", "learning_rate_init": 0.01},
        {"momentum": 0.9, "learning_rate": "adaptive"},
        {"hidden_layer_sizes": (20, 10), "activation": ["tanh", "silu"]},
    ],
)
def test_check_estimator_passes_with_other_options(cls, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(
            cls(**options), expected_failed_checks=EXPECTED_FAILED_CHECKS, on_fail=None, on_skip=None
        )
    assert [r for r in found if r["status"] == "failed"] == []


@pytest.mark.parametrize("cls", BOTH)
def test_parameters_are_theirs_in_their_order_and_documented(cls):
    ours = inspect.signature(cls.__init__).parameters
    of_theirs = inspect.signature(getattr(theirs, cls.__name__).__init__).parameters
    assert [name for name in ours if name in of_theirs] == list(of_theirs)
    assert [ours[name].kind for name in of_theirs] == [p.kind for p in of_theirs.values()]
    differing = {name for name in of_theirs if ours[name].default != of_theirs[name].default}
    assert differing == {
        *["solver", "batch_size", "momentum", "learning_rate", "learning_rate_init", "alpha", "max_iter"]
    }
    documented = inspect.cleandoc(cls.__doc__)
    for name in ours:
        assert name == "self" or f"\n{name} :" in documented or f"{name}" in documented.split("Parameters")[1]
    theirs_of_method = inspect.signature(getattr(theirs, cls.__name__).partial_fit).parameters
    of_method = inspect.signature(cls.partial_fit).parameters
    assert list(of_method)[: len(theirs_of_method)] == list(theirs_of_method)


def test_examples_in_docstrings():
    for module in (classifier, regressor):
        found = doctest.testmod(module)
        assert found.attempted > 0 and found.failed == 0


@pytest.mark.parametrize("cls", BOTH)
def test_clone_pickle_and_joblib(cls, tmp_path):
    model = cls(hidden_layer_sizes=8, max_iter=5, random_state=0).fit(X, target(cls))
    assert clone(model).get_params() == model.get_params()
    joblib.dump(model, tmp_path / "model.joblib")
    for twin in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
        # and both go on alike
        twin.partial_fit(X, target(cls))
    model.partial_fit(X, target(cls))
    np.testing.assert_array_equal(parameters(twin), parameters(model))


@pytest.mark.parametrize("cls", BOTH)
def test_grid_search_in_a_pipeline_with_two_jobs(cls):
    pipeline = make_pipeline(StandardScaler(), cls(max_iter=5, random_state=0))
    step = cls.__name__.lower()
    grid = {f"{step}__hidden_layer_sizes": [4, (4, 3)]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, target(cls))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_[-1].n_layers_ == 2 + len(
        np.atleast_1d(search.best_params_[f"{step}__hidden_layer_sizes"])
    )


def test_a_subclass_may_have_parameters_of_its_own():
    class Named(MLPClassifier):
        def __init__(self, name="none", **options):
            super().__init__(**options)
            self.name = name

    assert Named("a", max_iter=3).max_iter == 3


# The same steps as scikit-learn takes.


def in_step(cls, y, *, epochs, rounding=1e-9, **options):
    """Train ours and theirs from the same weights, without shuffling, and compare them."""
    options = {"hidden_layer_sizes": (7, 6), "activation": "tanh", "shuffle": False, **options}
    options = {"max_iter": epochs, "n_iter_no_change": np.inf, "random_state": 0, **options}
    own = {**AS_GIVEN, **options}
    weights = iter(cls(**{**own, "max_iter": 1, "learning_rate_init": 1e-300}).fit(X, y).coefs_)

    class Theirs(getattr(theirs, cls.__name__)):
        def _init_coef(self, fan_in, fan_out, dtype):
            return next(weights).copy(), np.zeros(fan_out)

    options.setdefault("alpha", 1e-4)
    model, other = cls(**own).fit(X, y), Theirs(**options).fit(X, y)
    for name in ("coefs_", "intercepts_"):
        for found, expected in zip(getattr(model, name), getattr(other, name), strict=True):
            np.testing.assert_allclose(found, expected, rtol=rounding, atol=rounding)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(model, name) == getattr(other, name), name
    return model, other


@pytest.mark.parametrize(
    ("cls", "y"),
    [
        (MLPClassifier, TWO),
        (MLPClassifier, np.array(["a", "b", "c"])[THREE]),
        (MLPClassifier, MANY),
        (MLPRegressor, NUMBERS),
        (MLPRegressor, NUMBERS_2),
    ],
)
def test_plain_sgd_takes_their_steps(cls, y):
    model, other = in_step(
        cls, y, epochs=4, solver="sgd", momentum=0.0, batch_size=1, alpha=0.0, learning_rate_init=0.02
    )
    scale = (
        1 if model.n_outputs_ == 1 or cls is MLPClassifier else model.n_outputs_
    )  # theirs is the mean over outputs
    np.testing.assert_allclose(model.loss_curve_, np.multiply(other.loss_curve_, scale), rtol=1e-9)
    np.testing.assert_array_equal(model.predict(X), other.predict(X)) if cls is MLPClassifier else None
    np.testing.assert_allclose(model.score(X, y), other.score(X, y), rtol=1e-9)
    if cls is MLPClassifier:
        np.testing.assert_array_equal(model.classes_, other.classes_)
        np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), rtol=1e-8)
        np.testing.assert_allclose(model.predict_log_proba(X), other.predict_log_proba(X), rtol=1e-8)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("batch_size", [1, 6, "auto"])
def test_penalty_and_batches_mean_what_theirs_mean(activation, batch_size):
    in_step(
        MLPClassifier,
        THREE,
        epochs=3,
        solver="sgd",
        momentum=0.0,
        activation=activation,
        batch_size=batch_size,
        alpha=0.1,
        learning_rate_init=0.05,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.8, "nesterovs_momentum": False},
        {"momentum": 0.8, "nesterovs_momentum": True},
        {"momentum": 0.0, "learning_rate": "invscaling", "power_t": 0.3},
        # drops of the rate until it is too small to go on
        {"momentum": 0.0, "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2, "epochs": 200},
        {"momentum": 0.0, "tol": 0.05, "n_iter_no_change": 2, "epochs": 200},
    ],
)
@pytest.mark.parametrize("cls", BOTH)
def test_rules_and_schedules_mean_what_theirs_mean(cls, options):
    epochs = options.get("epochs", 5)
    options = {name: value for name, value in options.items() if name != "epochs"}
    model, _ = in_step(
        cls,
        target(cls),
        epochs=epochs,
        solver="sgd",
        batch_size=4,
        learning_rate_init=0.02,
        alpha=0,
        **options,
    )
    assert model.should_stop_ == (epochs == 200)
    assert model.n_iter_ < 200


@pytest.mark.parametrize("cls", BOTH)
def test_adam_means_what_theirs_means(cls):
    # theirs adds epsilon before the bias correction: nothing where it is so small
    in_step(
        cls,
        target(cls),
        epochs=5,
        rounding=1e-5,
        solver="adam",
        batch_size=4,
        learning_rate_init=0.01,
        epsilon=1e-12,
    )


@pytest.mark.parametrize("cls", BOTH)
def test_early_stopping_means_what_theirs_means(cls):
    # as both draw the validation samples, so only what follows from them can be compared
    options = {"early_stopping": True, "random_state": 0, "n_iter_no_change": 3, "learning_rate_init": 0.05}
    model = cls(**options).fit(X, target(cls))
    other = getattr(theirs, cls.__name__)(**options).fit(X, target(cls))
    for each, most in ((model, model.max_iter_), (other, other.max_iter)):
        assert len(each.validation_scores_) == len(each.loss_curve_) == each.n_iter_ < most
        assert each.best_validation_score_ == max(each.validation_scores_)
        assert each.best_loss_ is None
    assert model.should_stop_


# Learning in parts.


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize(
    ("cls", "y"),
    [
        (MLPClassifier, TWO),
        (MLPClassifier, THREE),
        (MLPClassifier, MANY),  # scikit-learn issue 12505
        (MLPRegressor, NUMBERS),
        (MLPRegressor, NUMBERS_2),
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9, "learning_rate": "exponential"},
        {"solver": "adam", "batch_size": 7, "learning_rate": "invscaling"},
        {"learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
        {"learning_rate": "cosine", "solver": "rmsprop"},
        {"learning_rate": lambda epoch: 0.01 / (1 + epoch), "solver": "adagrad"},
    ],
)
def test_partial_fits_do_what_fit_does(cls, y, options, as_sparse):
    data = sparse.csr_array(X) if as_sparse else X
    # what is not known of a stream, how long it will be, is given
    known = {"learning_rate": "constant", "alpha": 1e-4}
    options = {
        "hidden_layer_sizes": 6,
        "shuffle": False,
        "random_state": 1,
        "max_iter": 8,
        **known,
        **options,
    }
    whole = cls(**{"n_iter_no_change": 100, **options}).fit(data, y)
    parts = cls(**{"n_iter_no_change": 100, **options})
    for _ in range(8):
        extra = {"classes": np.unique(y)} if cls is MLPClassifier and y.ndim == 1 else {}
        parts.partial_fit(data, y, **extra)
    np.testing.assert_array_equal(parameters(parts), parameters(whole))
    assert parts.loss_curve_ == whole.loss_curve_
    assert (parts.t_, parts.best_loss_) == (whole.t_, whole.best_loss_)
    np.testing.assert_array_equal(parts.predict(data), whole.predict(data))


def test_multilabel_partial_fit_as_in_the_report():
    # scikit-learn issue 12505: classes as the list of columns
    many_X, Y = make_multilabel_classification(300, 20, n_classes=6, random_state=0)
    model = MLPClassifier(hidden_layer_sizes=50, random_state=0)
    for _ in range(20):
        model.partial_fit(many_X, Y, classes=list(range(6)))
    fitted = MLPClassifier(hidden_layer_sizes=50, random_state=0, max_iter=20).fit(many_X, Y)
    assert model.predict(many_X).shape == Y.shape
    assert model.score(many_X, Y) > fitted.score(many_X, Y) - 0.1
    for rows in (slice(0, 1), slice(1, 3)):  # parts in which labels are all 0 or all 1
        model.partial_fit(many_X[rows], Y[rows])
    model.partial_fit(many_X[:4], np.zeros((4, 6), int))
    with pytest.raises(ValueError, match="classes has 2 entries, but y has 6"):
        MLPClassifier().partial_fit(many_X, Y, classes=[0, 1])


@pytest.mark.parametrize("cls", BOTH)
def test_partial_fit_goes_on_after_early_stopping(cls):
    # scikit-learn issue 25693
    model = cls(early_stopping=True, random_state=0, max_iter=20).fit(X, target(cls))
    before = parameters(model)
    model.partial_fit(X, target(cls))
    assert not np.array_equal(parameters(model), before)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("with_validation", [True, False])
def test_partial_fit_says_when_to_stop(cls, with_validation):
    y = target(cls)
    model = cls(n_iter_no_change=4, learning_rate_init=0.02, tol=1e-3, random_state=0)
    classes = {"classes": [0, 1, 2]} if cls is MLPClassifier else {}
    validation = {"X_val": X[40:], "y_val": y[40:]} if with_validation else {}
    scores = []
    for _ in range(300):
        model.partial_fit(X[:40], y[:40], **classes, **validation)
        scores.append(model.score(X[40:], y[40:]) if with_validation else -model.loss_)
        if model.should_stop_:
            break
    assert 6 <= len(scores) < 300
    best = -np.inf
    waited = []
    for score in scores:
        waited.append(0 if score >= best + 1e-3 else waited[-1] + 1)
        best = max(best, score)
    assert waited[-1] == 5
    assert max(waited[:-1]) == 4
    if with_validation:
        np.testing.assert_allclose(model.validation_scores_, scores, rtol=1e-12)
        np.testing.assert_allclose(model.best_validation_score_, best, rtol=1e-12)
    else:
        assert model.validation_scores_ is None
        assert model.best_loss_ == -best


@pytest.mark.parametrize("cls", BOTH)
def test_fit_stops_early_on_given_validation_samples(cls):
    y = target(cls)
    model = cls(early_stopping=True, n_iter_no_change=3, learning_rate_init=0.05, random_state=0)
    model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert model.should_stop_
    assert model.t_ == 40 * model.n_iter_
    np.testing.assert_allclose(model.score(X[40:], y[40:]), model.best_validation_score_, rtol=1e-12)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.validation_scores_[-1] <= model.best_validation_score_


@pytest.mark.parametrize("cls", BOTH)
def test_warm_start_goes_on(cls):
    y = target(cls)
    options = {"shuffle": False, "random_state": 0, "n_iter_no_change": 100, "learning_rate": "constant"}
    once = cls(max_iter=6, **options).fit(X, y)
    twice = cls(max_iter=3, warm_start=True, **options).fit(X, y)
    assert twice.n_iter_ == 3
    twice.fit(X, y)
    assert twice.n_iter_ == 3
    np.testing.assert_array_equal(parameters(twice), parameters(once))
    assert twice.loss_curve_ == once.loss_curve_
    anew = twice.set_params(warm_start=False).fit(X, y)
    assert anew.loss_curve_ == once.loss_curve_[:3]


def test_warm_start_with_early_stopping_never_loses_the_best():
    model = MLPRegressor(early_stopping=True, warm_start=True, max_iter=15, random_state=0)
    validation = {"X_val": X[40:], "y_val": NUMBERS[40:]}
    best = model.fit(X[:40], NUMBERS[:40], **validation).best_validation_score_
    model.set_params(learning_rate_init=0.1, max_iter=2).fit(X[:40], NUMBERS[:40], **validation)
    assert model.best_validation_score_ >= best
    np.testing.assert_allclose(model.score(X[40:], NUMBERS[40:]), model.best_validation_score_)


# When training ends.


@pytest.mark.parametrize("cls", BOTH)
def test_convergence_warning_at_max_iter(cls):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        model = cls(max_iter=2, random_state=0).fit(X, target(cls))
    assert not model.should_stop_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = cls(learning_rate="constant", tol=10.0, n_iter_no_change=2, random_state=0).fit(
            X, target(cls)
        )
    assert model.n_iter_ == 4  # the first epoch always improves, then more than two that do not
    assert model.should_stop_


def test_many_epochs_run_in_several_calls(monkeypatch):
    whole = MLPClassifier(max_iter=7, shuffle=False, random_state=0).fit(X, TWO)
    monkeypatch.setattr(fitting, "EPOCHS_A_CALL", 3)
    parts = MLPClassifier(max_iter=7, shuffle=False, random_state=0).fit(X, TWO)
    np.testing.assert_array_equal(parameters(parts), parameters(whole))
    assert parts.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_interruption_keeps_what_was_learnt(cls, early_stopping, monkeypatch):
    record = Watch.__call__

    def interrupted(self, epoch, metrics):
        ended = record(self, epoch, metrics)
        if epoch == 2:
            raise KeyboardInterrupt
        return ended

    monkeypatch.setattr(Watch, "__call__", interrupted)
    model = cls(random_state=0, early_stopping=early_stopping)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, target(cls))
    assert model.n_iter_ == len(model.loss_curve_) == 3
    assert np.isfinite(parameters(model)).all()
    model.predict(X)


def test_verbose_prints_epochs(capsys):
    MLPClassifier(max_iter=2, verbose=True, early_stopping=True, random_state=0).fit(X, TWO)
    printed = capsys.readouterr().out
    assert printed.count("Iteration") == printed.count("Validation score") == 2
    MLPClassifier(max_iter=200, tol=1.0, verbose=True, learning_rate="adaptive", random_state=0).fit(X, TWO)
    printed = capsys.readouterr().out
    assert "Learning rate 0.002" in printed
    assert "Stopping" in printed


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_divergence_names_epoch_and_sample(as_sparse, early_stopping):
    data = X.copy()
    y = NUMBERS.copy()
    data[33] *= 1e60
    y[33] = 1e250
    data = sparse.csr_matrix(data) if as_sparse else data
    model = MLPRegressor(
        learning_rate_init=0.01, early_stopping=early_stopping, random_state=3, standardize=False
    )
    with pytest.raises(nbp.DivergenceError) as caught:
        model.fit(data, y)
    assert (caught.value.epoch, caught.value.sample) == (0, 33)
    assert isinstance(caught.value, ArithmeticError)
    assert np.isfinite(parameters(model)).all()


# Kinds of input.


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("cls", BOTH)
def test_sparse_learns_as_dense_and_is_never_dense(cls, batch_size, kind, monkeypatch):
    rows_seen = []
    make_dense = kind.toarray

    def seeing(self, *arguments, **options):
        rows_seen.append(self.shape[0])
        return make_dense(self, *arguments, **options)

    for each in (sparse.csr_array, sparse.csr_matrix, sparse.csc_matrix):
        monkeypatch.setattr(each, "toarray", seeing)
    options = {"batch_size": batch_size, "random_state": 0, "max_iter": 4, "n_iter_no_change": 50}
    dense = cls(**options).fit(X, target(cls))
    model = cls(**options).fit(kind(X), target(cls))
    np.testing.assert_allclose(parameters(model), parameters(dense), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model.loss_curve_, dense.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(model.predict(kind(X)), dense.predict(X), rtol=1e-10)
    assert not rows_seen


@pytest.mark.parametrize("cls", BOTH)
def test_dtypes(cls):
    for dtype, expected in ((np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)):
        model = cls(max_iter=3, random_state=0).fit((4 * X).astype(dtype), target(cls))
        assert model.network_.dtype == model.coefs_[0].dtype == expected
        if cls is MLPClassifier:
            assert model.predict_proba((4 * X).astype(dtype)).dtype == expected
            assert model.predict((4 * X).astype(dtype)).dtype == THREE.dtype
        else:
            assert model.predict((4 * X).astype(dtype)).dtype == expected


@pytest.mark.parametrize("cls", BOTH)
def test_coefs_are_views(cls):
    model = cls(max_iter=2, random_state=0, standardize=False).fit(X, target(cls))
    assert [c.shape for c in model.coefs_] == [(5, 100), (100, model.n_outputs_)]
    assert [b.shape for b in model.intercepts_] == [(100,), (model.n_outputs_,)]
    assert all(np.shares_memory(c, model.network_.parameters) for c in model.coefs_ + model.intercepts_)


@pytest.mark.parametrize("cls", BOTH)
def test_feature_names(cls):
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = cls(max_iter=2, random_state=0).fit(frame, target(cls))
    assert list(model.feature_names_in_) == list("abcde")
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[list("edcba")])


@pytest.mark.parametrize(
    "labels",
    [np.array(["no", "yes"]), np.array(["no", "yes"], object), np.array([False, True]), np.array([-3, 7])],
)
def test_labels_come_back_as_they_came(labels):
    model = MLPClassifier(random_state=0).fit(X, labels[TWO])
    assert model.classes_.dtype == labels.dtype
    np.testing.assert_array_equal(model.classes_, labels)
    predicted = model.predict(X)
    assert predicted.dtype == labels.dtype
    assert np.mean(predicted == labels[TWO]) > 0.8
    assert model.predict_proba(X).shape == (60, 2)


# Outputs and losses.


@pytest.mark.parametrize("y", [TWO, THREE, MANY])
@pytest.mark.parametrize("output_activation", [None, "sigmoid", "softmax"])
@pytest.mark.parametrize(
    "loss",
    ["auto", "binary_cross_entropy", "categorical_cross_entropy", "squared_error", "absolute_error", "huber"],
)
def test_choice_of_output_and_loss(y, output_activation, loss):
    model = MLPClassifier(
        loss=loss,
        output_activation=output_activation,
        activation="tanh",
        learning_rate_init=0.1,
        max_iter=60,
        random_state=0,
    )
    needed = {"binary_cross_entropy": "sigmoid", "categorical_cross_entropy": "softmax"}.get(loss)
    wanted = output_activation or needed or ("softmax" if y is THREE else "sigmoid")
    if (needed and wanted != needed) or (y is MANY and wanted == "softmax"):
        with pytest.raises(ValueError, match=r"output_activation|softmax"):
            model.fit(X, y)
        return
    model.fit(X, y)
    assert model.out_activation_ == {"sigmoid": "logistic"}.get(wanted, wanted)
    assert model.network_.loss == loss or loss == "auto"
    probability, decision = model.predict_proba(X), model.decision_function(X)
    assert probability.min() >= 0
    assert model.score(X, y) > (0.4 if y is MANY else 0.7)
    if y is MANY:
        np.testing.assert_array_equal(model.predict(X), probability > 0.5)
        np.testing.assert_array_equal(model.predict(X), decision > 0)
    else:
        np.testing.assert_allclose(probability.sum(axis=1), 1)
        np.testing.assert_array_equal(model.predict(X), probability.argmax(axis=1))
    if y is TWO:
        np.testing.assert_array_equal(model.predict(X), decision > 0)
        np.testing.assert_allclose(probability[:, 1], 1 / (1 + np.exp(-decision)))
    if y is THREE:
        np.testing.assert_array_equal(model.predict(X), decision.argmax(axis=1))


def test_probabilities_of_sigmoids_that_underflow():
    model = MLPClassifier(output_activation="sigmoid", max_iter=2, random_state=0).fit(X, THREE)
    model.inner_network_.biases[-1][:] = -1e5
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.decision_function(X)).all()


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.parametrize("output_activation", [None, "tanh"])
def test_choice_of_output_and_loss_for_numbers(loss, output_activation):
    y = np.tanh(NUMBERS)
    model = MLPRegressor(loss, output_activation=output_activation, random_state=0).fit(X, y)
    assert model.network_.loss == loss
    assert model.out_activation_ == (output_activation or "identity")
    assert model.score(X, y) > 0.8


def test_an_activation_for_each_layer():
    model = MLPClassifier((6, 5, 4), ("relu", "logistic", "gelu"), max_iter=3, random_state=0).fit(X, THREE)
    assert model.network_.activations == ("relu", "sigmoid", "gelu", "softmax")
    linear = MLPClassifier((), random_state=0).fit(X, TWO)
    assert linear.n_layers_ == 2


def test_regression_learns_without_scaling_targets():
    for seed in range(3):
        many_X, y = make_regression(300, 10, noise=1.0, random_state=seed)
        assert MLPRegressor(random_state=0).fit(many_X, y).score(many_X, y) > 0.95
        # a rate of 0.01 diverges here
        model = MLPRegressor(random_state=0, standardize=False).fit(many_X, y)
        assert model.learning_rate_init_ < 0.01
        assert model.score(many_X, y) > 0.95
    assert (
        MLPRegressor(max_iter=2, standardize=False).fit(many_X, y / np.abs(y).max()).learning_rate_init_
        == 0.01
    )


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({}, 0.02),
        ({"momentum": 0.9}, 0.002),
        ({"learning_rate": "constant"}, 0.01),
        ({"standardize": False}, 0.01),
        ({"solver": "adam", "batch_size": "auto"}, 0.001),
        ({"solver": "adagrad"}, 0.01),
        ({"learning_rate_init": 0.3}, 0.3),
    ],
)
def test_automatic_learning_rate(options, rate):
    model = MLPClassifier(max_iter=1, **options).fit(X, TWO)
    np.testing.assert_allclose(model.learning_rate_init_, rate)


def test_digits():
    images, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(
        (images / 16).astype(np.float32), y, test_size=0.25, random_state=0, stratify=y
    )
    model = MLPClassifier(
        (100,),
        learning_rate_init=0.05,
        learning_rate="cosine",
        max_iter=30,
        alpha=0.001,
        random_state=0,
        standardize=False,
    )
    assert model.fit(train, y_train).score(test, y_test) >= 0.975


def test_iris_with_defaults():
    assert (
        MLPClassifier(random_state=0).fit(*load_iris(return_X_y=True)).score(*load_iris(return_X_y=True))
        > 0.95
    )


# Errors.

NAN = np.where(np.arange(300).reshape(60, 5) == 7, np.nan, X)
BAD_PARAMETERS = {
    "hidden_layer_sizes": [-1, 0, (3, 0), 2.5, "ab"],
    "activation": ["foo", 3, ["relu", "tanh"], ["foo"]],
    "solver": ["foo", None],
    "alpha": [-1, np.nan, "a"],
    "batch_size": [0, -1, 1.5, "foo"],
    "learning_rate": ["foo", None],
    "learning_rate_init": [0, -0.1, np.inf, "foo", None],
    "power_t": [-1],
    "max_iter": [0, -1, 1.5],
    "loss": ["foo", "log_loss", None],
    "shuffle": ["yes", 1],
    "random_state": ["foo", -1],
    "tol": [-1, np.inf],
    "verbose": [-1, "yes"],
    "warm_start": [1],
    "momentum": [-0.1, 1.0],
    "nesterovs_momentum": [None],
    "early_stopping": ["auto"],
    "validation_fraction": [-0.1, 1.0],
    "beta_1": [1.0, -1],
    "beta_2": [1.0],
    "epsilon": [0],
    "n_iter_no_change": [0, 1.5],
    "max_fun": [0],
    "output_activation": ["foo"],
    "init": ["foo"],
    "bias_init": ["foo", None],
    "standardize": ["yes", 1, None],
}


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(("name", "values"), BAD_PARAMETERS.items())
def test_wrong_parameters_are_named(cls, name, values):
    for value in values:
        for method in ("fit", "partial_fit"):
            arguments = {"classes": [0, 1, 2]} if cls is MLPClassifier and method == "partial_fit" else {}
            with pytest.raises((ValueError, TypeError), match=name):
                getattr(cls(**{name: value}), method)(X, target(cls), **arguments)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": X[:, 0]}, "X.*Expected 2D"),
        ({"X": X[:3]}, "X and y.*inconsistent"),
        ({"X": NAN}, "X contains NaN"),
        ({"X": np.where(np.isnan(NAN), np.inf, NAN)}, "X contains infinity"),
        ({"X": X.astype(str).astype(object) + "a"}, "X has strings.*convert"),
        ({"X": np.empty((0, 5)), "y": []}, "X.*0 sample"),
        ({"X": np.empty((60, 0))}, "X.*0 feature"),
        ({"y": None}, "y"),
        ({"y": np.full(60, np.nan)}, "y contains NaN"),
        ({"y": np.zeros((60, 2, 2))}, "y"),
        ({"sample_weight": np.ones(3)}, "sample_weight"),
        ({"sample_weight": -np.ones(60)}, "sample_weight"),
        ({"sample_weight": np.full(60, np.nan)}, "sample_weight"),
        ({"X_val": X}, "X_val and y_val"),
        ({"X_val": NAN, "y_val": np.arange(60) % 2}, "X_val.*NaN"),
        ({"X_val": X[:, :2], "y_val": np.arange(60) % 2}, "X_val.*2 features"),
        ({"X_val": X[:4], "y_val": np.arange(60) % 2}, "X_val and y_val.*inconsistent"),
        ({"X_val": X, "y_val": np.full(60, np.nan)}, "y_val.*NaN"),
    ],
)
def test_wrong_arguments_are_named_and_change_nothing(cls, arguments, message):
    model = cls(early_stopping=True, max_iter=2, random_state=0).fit(X, target(cls))
    before = parameters(model)
    given = {"X": X, "y": target(cls), **arguments}
    for method in (model.fit, model.partial_fit):
        with pytest.raises((ValueError, TypeError), match=message):
            method(**given)
        np.testing.assert_array_equal(parameters(model), before)


@pytest.mark.parametrize("cls", BOTH)
def test_wrong_inputs_of_predict_are_named(cls):
    with pytest.raises(NotFittedError):
        cls().predict(X)
    assert not hasattr(cls(), "coefs_")
    model = cls(max_iter=2, random_state=0).fit(X, target(cls))
    for given, message in (
        (X[:, :2], "X has 2 features"),
        (NAN, "X contains NaN"),
        ([["a"] * 5], "X.*convert"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict(given)


def test_wrong_labels():
    with pytest.raises(ValueError, match="classes has only one class"):
        MLPClassifier().partial_fit(X, np.ones(60), classes=[1])
    with pytest.raises(ValueError, match="y: Unknown label type: continuous"):
        MLPClassifier().fit(X, NUMBERS)
    with pytest.raises(ValueError, match="matrix of 0 and 1"):
        MLPClassifier().fit(X, np.column_stack([THREE, TWO]))
    with pytest.raises(ValueError, match=r"y has strings.*numeric"):
        MLPRegressor().fit(X, np.array(["a", "b"])[TWO])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier().partial_fit(X, TWO)
    with pytest.raises(ValueError, match=r"y has the labels \[2\].*\[0, 1\]"):
        MLPClassifier().partial_fit(X, THREE, classes=[0, 1])
    model = MLPClassifier(random_state=0).partial_fit(X, TWO, classes=[0, 1])
    before = parameters(model)
    for y, message in (
        (TWO + 1, r"y has the labels \[2\]"),
        (np.array(["a", "b"])[TWO], r"y has the labels \['a', 'b'\]"),
        (MANY, "y has a 0/1 matrix"),
    ):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(X, y)
    with pytest.raises(ValueError, match="not the same as in the first call"):
        model.partial_fit(X, TWO, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"y_val has the labels \[2\]"):
        model.partial_fit(X, TWO, X_val=X, y_val=THREE)
    several = MLPClassifier().partial_fit(X, MANY)
    with pytest.raises(ValueError, match="y has one label a sample"):
        several.partial_fit(X, TWO)
    with pytest.raises(ValueError, match="y has 3 labels"):
        several.partial_fit(X, MANY[:, :3])
    numbers = MLPRegressor().partial_fit(X, NUMBERS_2)
    with pytest.raises(ValueError, match="y has 1 targets"):
        numbers.partial_fit(X, NUMBERS)
    np.testing.assert_array_equal(parameters(model), before)


def test_wrong_class_weights():
    for class_weight, message in (
        ("foo", "class_weight"),
        ({0: -1}, "class_weight"),
        ({5: 1}, "class_weight"),
    ):
        with pytest.raises(ValueError, match=message):
            MLPClassifier(class_weight=class_weight).fit(X, TWO)
    for data in (X, sparse.csr_matrix(X)):
        with pytest.raises(ValueError, match="sample_weight, times class_weight"):
            MLPClassifier(class_weight={0: 0}).partial_fit(data[TWO == 0], TWO[TWO == 0], classes=[0, 1])
    with pytest.raises(ValueError, match="balanced"):
        MLPClassifier(class_weight="balanced").partial_fit(X, TWO, classes=[0, 1])


@pytest.mark.parametrize("cls", BOTH)
def test_wrong_ways_to_validate_or_go_on(cls):
    y = target(cls)
    with pytest.raises(ValueError, match="early_stopping is False"):
        cls().fit(X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match=r"validation_fraction=0\.01 of 60 samples"):
        cls(early_stopping=True, validation_fraction=0.01).fit(X, y)
    model = cls(warm_start=True, max_iter=2).fit(X, y)
    for name, value in (("hidden_layer_sizes", 3), ("activation", "tanh"), ("loss", "huber")):
        with pytest.raises(ValueError, match="training goes on with"):
            clone(model).fit(X, y).set_params(**{name: value}).fit(X, y)
    with pytest.warns(UserWarning, match="batch_size=70 is more than the 60 samples"):
        cls(batch_size=70, max_iter=2).fit(X, y)


def test_rprop_takes_all_samples_in_a_step():
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(0)) / X.std(0)
    model = nbp.MLPClassifier((5,), solver="rprop", batch_size="auto", max_iter=60, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    with pytest.raises(ValueError, match=r"update_rule='rprop' .* set batch_size=150"):
        nbp.MLPClassifier((5,), solver="rprop", batch_size=10).fit(X, y)
