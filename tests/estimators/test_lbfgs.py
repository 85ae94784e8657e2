"""solver="lbfgs": the minimum that it finds, what it records, and what does not go with it."""

import pickle
import warnings

import numpy as np
import pytest
import reference
import sklearn.neural_network as theirs
from problems import draw_problem, network_of
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

from numbabp import MLPClassifier, MLPEnsembleClassifier, MLPRegressor, PopulationSearchCV
from numbabp.samples import Samples
from numbabp.training import lbfgs

WINE, CULTIVAR = load_wine(return_X_y=True)
SCALED = (WINE - WINE.mean(axis=0)) / WINE.std(axis=0)
rng = np.random.RandomState(0)
COUNTS = rng.poisson(np.exp(1 + SCALED[:, 0] - 0.5 * SCALED[:, 3])).astype(float)
WEIGHTS = np.random.RandomState(0).choice([0.0, 0.5, 1.0, 2.0], size=25)


# --- loss and gradient ----------------------------------------------------------------------------


def objective_of(problem, l2=0.0, weights=None, X=None):
    of = network_of(problem).architecture
    return lbfgs.Objective(of, Samples.checked(of, problem.X if X is None else X, problem.Y, weights), l2)


def expected_at(problem, l2, weights):
    """The mean loss with the penalty, and its gradient, from the reference; a weight of 0 is no sample."""
    weights = np.ones(len(problem.X)) if weights is None else weights
    n = np.count_nonzero(weights)
    arrays = problem.weights, problem.biases
    value = 0.5 * l2 * sum(np.sum(W**2) for W in problem.weights)
    gradients = [l2 * W for W in problem.weights], [np.zeros_like(b) for b in problem.biases]
    for x, y, weight in zip(problem.X, problem.Y, weights, strict=True):
        value += weight / n * reference.sample_loss(*arrays, problem.activations, problem.loss, x, y)
        found = reference.gradient(*arrays, problem.activations, problem.loss, x, y)
        for totals, parts in zip(gradients, found, strict=True):
            for total, part in zip(totals, parts, strict=True):
                total += weight / n * part
    of_layers = zip(*gradients, strict=True)
    return value, np.concatenate([part.ravel() for layer in of_layers for part in layer])


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("softmax", "categorical_cross_entropy"),
        ("exp", "poisson"),
        ("identity", "quantile"),
        ("sigmoid", "squared_error"),
    ],
)
def test_loss_and_gradient(output, loss, l2, weights, monkeypatch):
    problem = draw_problem(0, (5, 4, 6, 3), ("tanh", "gelu", output), loss)
    parameters = network_of(problem).parameters.copy()
    value, gradient = expected_at(problem, l2, weights)
    X = problem.X * (np.random.RandomState(0).uniform(size=problem.X.shape) < 0.5)
    problem.X = X
    value, gradient = expected_at(problem, l2, weights)
    for inputs in (X, sparse.csr_array(X)):
        for operations in (
            1e9,
            1.0,
        ):  # at once; and in calls of a few samples, some of them without any weight
            monkeypatch.setattr(lbfgs, "OPERATIONS_A_CALL", operations)
            monkeypatch.setattr(lbfgs, "CHUNK", 1 if operations == 1 else 4)
            objective = objective_of(problem, l2, weights, inputs)
            for _ in range(2):  # nothing is left of the first call
                found, of_parameters = objective(parameters)
                assert found == pytest.approx(value, rel=1e-12)
                np.testing.assert_allclose(of_parameters, gradient, rtol=1e-10, atol=1e-13)
    assert objective.penalty(parameters) == pytest.approx(
        value - expected_at(problem, 0.0, weights)[0], abs=1e-12
    )


def test_gradient_is_the_central_difference():
    problem = draw_problem(1, (5, 4, 2), ("silu", "exp"), "poisson")
    objective, parameters = objective_of(problem, 0.1), network_of(problem).parameters.copy()
    _, gradient = objective(parameters)
    for j in range(len(parameters)):
        step = np.zeros_like(parameters)
        step[j] = 1e-5
        quotient = (objective(parameters + step)[0] - objective(parameters - step)[0]) / 2e-5
        assert gradient[j] == pytest.approx(quotient, rel=1e-6, abs=1e-8)


def test_a_loss_that_is_not_finite_names_its_sample():
    problem = draw_problem(0, (1, 1), ("exp",), "poisson", n_samples=4)
    problem.X = np.array([[0.0], [1.0], [-1.0], [2.0]])
    objective = objective_of(problem)
    found, gradient = objective(np.array([500.0, 0.0]))
    assert found == np.inf and objective.sample == 3 and not gradient.any()
    assert np.isfinite(objective(np.array([1.0, 0.0]))[0]) and objective.sample == -1


# --- minima ---------------------------------------------------------------------------------------


def test_counts_as_with_scikit_learns_linear_model():
    for alpha in (0.0, 0.5):
        model = MLPRegressor(
            "poisson", (), solver="lbfgs", alpha=alpha * len(COUNTS), tol=1e-8, standardize=False
        )
        model.fit(SCALED, COUNTS, np.arange(len(COUNTS)) % 3)
        peer = PoissonRegressor(alpha=alpha, tol=1e-10, max_iter=10_000)
        peer.fit(SCALED, COUNTS, np.arange(len(COUNTS)) % 3)
        if alpha:  # the rows of weight 0 are none, of which alpha is a part
            peer.set_params(alpha=alpha * len(COUNTS) / np.count_nonzero(np.arange(len(COUNTS)) % 3))
            peer.fit(SCALED, COUNTS, np.arange(len(COUNTS)) % 3)
        np.testing.assert_allclose(model.coefs_[0][:, 0], peer.coef_, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(model.intercepts_[0], peer.intercept_, rtol=1e-4)
    standardised = MLPRegressor("poisson", (), solver="lbfgs", alpha=0.0, tol=1e-8).fit(WINE, COUNTS)
    exact = PoissonRegressor(alpha=0.0, tol=1e-10, max_iter=10_000).fit(SCALED, COUNTS)
    np.testing.assert_allclose(standardised.predict(WINE), exact.predict(SCALED), rtol=1e-4)


def test_classes_and_numbers_as_with_scikit_learns_linear_models():
    options = {
        "hidden_layer_sizes": (),
        "solver": "lbfgs",
        "tol": 1e-8,
        "standardize": False,
        "max_iter": 1000,
    }
    model = MLPClassifier(**options, alpha=1.0).fit(SCALED, CULTIVAR)
    peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(SCALED, CULTIVAR)
    np.testing.assert_allclose(model.predict_proba(SCALED), peer.predict_proba(SCALED), atol=1e-5)
    line = MLPRegressor(**options, alpha=1.0).fit(SCALED, WINE[:, 0])
    np.testing.assert_allclose(
        line.predict(SCALED), Ridge(alpha=1.0).fit(SCALED, WINE[:, 0]).predict(SCALED), rtol=1e-6
    )


def test_as_scikit_learns_perceptron_from_the_same_start():
    """The first iterations agree: the losses that it reports have the penalty, and ours have not."""
    ours = MLPClassifier(
        (5,), "tanh", solver="lbfgs", alpha=0.1, standardize=False, max_iter=1, random_state=0
    )
    other = theirs.MLPClassifier((5,), "tanh", solver="lbfgs", alpha=0.1, max_iter=1, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other.fit(SCALED, CULTIVAR)
        ours.fit(SCALED, CULTIVAR)
        other.coefs_, other.intercepts_ = [
            [part.copy() for part in parts] for parts in (ours.coefs_, ours.intercepts_)
        ]
        for max_iter in (1, 2, 5):
            first = clone(ours).set_params(warm_start=True, max_iter=max_iter)
            again = (
                pickle.loads(pickle.dumps(ours))
                .set_params(warm_start=True, max_iter=max_iter)
                .fit(SCALED, CULTIVAR)
            )
            same = pickle.loads(pickle.dumps(other)).set_params(max_iter=max_iter).fit(SCALED, CULTIVAR)
            for mine, its in zip(again.coefs_, same.coefs_, strict=True):
                np.testing.assert_allclose(mine, its, rtol=1e-6, atol=1e-8)
            penalty = 0.05 / len(SCALED) * sum(np.sum(W**2) for W in again.coefs_)
            assert again.loss_ + penalty == pytest.approx(same.loss_, rel=1e-8)
            assert again.n_iter_ == max_iter and first.max_iter == max_iter


def test_scores_as_scikit_learns():
    X, y = load_digits(return_X_y=True)
    model = MLPClassifier((30,), solver="lbfgs", random_state=0)
    peer = theirs.MLPClassifier((30,), solver="lbfgs", random_state=0, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(X[:1200] / 16, y[:1200])
        model.fit(X[:1200], y[:1200])
    assert model.score(X[1200:], y[1200:]) > peer.score(X[1200:] / 16, y[1200:]) - 0.02


# --- what is recorded -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_record(dtype, capsys):
    model = MLPClassifier((5,), solver="lbfgs", random_state=0, verbose=True, alpha=0.01).fit(
        WINE.astype(dtype), CULTIVAR
    )
    assert model.inner_network_.dtype == dtype
    assert 5 < model.n_iter_ == len(model.loss_curve_) < 100 and model.should_stop_
    assert model.loss_curve_[-1] == model.loss_ < model.loss_curve_[0] / 10
    assert model.best_loss_ == min(model.loss_curve_) and model.t_ == model.n_iter_ * len(WINE)
    X = (WINE - WINE.mean(axis=0)) / WINE.std(axis=0)
    found = model.inner_network_.evaluate(X, CULTIVAR)["loss"]
    assert found == pytest.approx(model.loss_, rel=1e-5 if dtype == "float64" else 1e-3)
    assert f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}" in capsys.readouterr().out


def test_too_few_iterations_are_said():
    with pytest.warns(
        ConvergenceWarning, match=r"after 3 iterations.*ITERATIONS REACHED LIMIT.*max_iter=3"
    ) as caught:
        model = MLPClassifier(solver="lbfgs", max_iter=3, random_state=0).fit(WINE, CULTIVAR)
    assert caught[0].filename == __file__
    assert model.n_iter_ == 3 and not model.should_stop_
    with pytest.warns(ConvergenceWarning, match=r"EVALUATIONS EXCEEDS LIMIT.*max_fun=2"):
        MLPClassifier(solver="lbfgs", max_fun=2, random_state=0).fit(WINE, CULTIVAR)


def test_a_warm_start_goes_on():
    whole = MLPRegressor(
        hidden_layer_sizes=(5,), activation="tanh", solver="lbfgs", random_state=0, max_iter=300
    ).fit(WINE, COUNTS)
    model = MLPRegressor(
        hidden_layer_sizes=(5,),
        activation="tanh",
        solver="lbfgs",
        random_state=0,
        max_iter=5,
        warm_start=True,
    )
    with pytest.warns(ConvergenceWarning, match="after 5 iterations"):
        model.fit(WINE, COUNTS)
    first = model.loss_
    model.set_params(max_iter=300).fit(WINE, COUNTS)
    assert model.loss_curve_[4] == first and len(model.loss_curve_) == 5 + model.n_iter_
    assert model.loss_ < 0.7 * first and model.loss_ == pytest.approx(whole.loss_, rel=0.2)


def test_weights_are_copies():
    weights = np.arange(len(WINE)) % 3
    options = {
        "hidden_layer_sizes": (4,),
        "activation": "tanh",
        "solver": "lbfgs",
        "random_state": 0,
        "alpha": 0.0,
    }
    some = np.repeat(np.arange(len(WINE)), weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one = MLPClassifier(**options, max_iter=8).fit(WINE, CULTIVAR, weights)
        other = MLPClassifier(**options, max_iter=8).fit(WINE[some], CULTIVAR[some])
        lone = MLPClassifier(**options, max_iter=8, class_weight={0: 3, 1: 1, 2: 1}).fit(WINE, CULTIVAR)
        told = MLPClassifier(**options, max_iter=8).fit(WINE, CULTIVAR, np.where(CULTIVAR == 0, 3, 1))
    np.testing.assert_allclose(one.predict_proba(WINE), other.predict_proba(WINE), atol=1e-6)
    np.testing.assert_allclose(lone.predict_proba(WINE), told.predict_proba(WINE), atol=1e-9)


def test_sparse_rows():
    X = np.where(rng.uniform(size=WINE.shape) < 0.2, WINE, 0.0)
    options = {
        "hidden_layer_sizes": (4,),
        "activation": "tanh",
        "solver": "lbfgs",
        "random_state": 0,
        "max_iter": 10,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        dense = MLPClassifier(**options, standardize=False).fit(X, CULTIVAR)
        given = MLPClassifier(**options, standardize=False).fit(sparse.csr_matrix(X), CULTIVAR)
        MLPClassifier(**options).fit(sparse.csr_matrix(X), CULTIVAR)
    np.testing.assert_allclose(given.coefs_[0], dense.coefs_[0], atol=1e-6)


def test_exponentials_that_overflow_on_the_way(monkeypatch):
    """A line search over large columns tries parameters at which e^z is infinite."""
    tried = []
    evaluate = lbfgs.Objective.__call__

    def counted(self, parameters):
        found = evaluate(self, parameters)
        tried.append(found[0])
        return found

    monkeypatch.setattr(lbfgs.Objective, "__call__", counted)
    X = 300 * SCALED
    y = rng.poisson(np.exp(0.5 + X[:, 0] / 300)).astype(float)
    start = {"init": "zeros", "bias_init": "zeros", "standardize": False}
    model = MLPRegressor("poisson", (), solver="lbfgs", alpha=0.0, max_iter=5000, tol=1e-6, **start)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert np.isinf(tried).any()
    exact = PoissonRegressor(alpha=0.0, tol=1e-10, max_iter=10_000).fit(SCALED, y)
    np.testing.assert_allclose(model.predict(X), exact.predict(SCALED), rtol=0.01)


def test_a_start_that_is_not_finite_is_refused():
    with pytest.raises(
        ValueError, match=r"the loss of row \d+ of X is not finite before the first iteration"
    ):
        MLPRegressor("poisson", (), solver="lbfgs", standardize=False).fit(1e9 * SCALED, COUNTS)


# --- what does not go with it ---------------------------------------------------------------------


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_what_is_refused(cls):
    with pytest.raises(ValueError, match=r"early_stopping=True goes with solvers that take epochs"):
        cls(solver="lbfgs", early_stopping=True).fit(WINE, CULTIVAR)
    with pytest.raises(ValueError, match=r"device='cuda' does not go with solver='lbfgs'"):
        cls(solver="lbfgs", device="cuda").fit(WINE, CULTIVAR)
    model = cls(solver="lbfgs")
    assert not hasattr(model, "partial_fit") and hasattr(cls(), "partial_fit")
    with pytest.raises(AttributeError):
        model.partial_fit(WINE, CULTIVAR)
    with pytest.raises(
        ValueError, match="solver='lbfgs', but the networks of an ensemble are trained together"
    ):
        MLPEnsembleClassifier(solver="lbfgs").fit(WINE, CULTIVAR)


def test_a_search_fits_one_by_one():
    model = MLPClassifier((4,), solver="lbfgs", max_iter=2000, random_state=0)
    search = PopulationSearchCV(model, {"alpha": [0.1, 10.0]}, cv=2).fit(WINE, CULTIVAR)
    assert search.best_score_ > 0.9
    mixed = PopulationSearchCV(clone(model).set_params(max_iter=150), {"solver": ["sgd", "lbfgs"]}, cv=2)
    assert (mixed.fit(WINE, CULTIVAR).cv_results_["mean_test_score"] > 0.8).all()


def test_what_has_learnt_nothing_says_so():
    noise = np.random.RandomState(0).standard_normal(len(WINE))
    with pytest.warns(ConvergenceWarning, match=r"layer 1 put out the same.*a smaller alpha than 1000000"):
        MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", alpha=1e6, random_state=0).fit(WINE, noise)
