"""numbabp.sklearn against scikit-learn: the same parameters, losses, epochs, errors and conventions."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from numbabp import sklearn as ours
from numbabp.sklearn import estimators, scikit_learn
from numbabp.sklearn.loop import Epochs
from numbabp.sklearn.training import CompiledTraining
from numbabp.sklearn.vectors import as_vector

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Got `batch_size` less than 1"
)

EXACT = 1e-10
"""Of parameters, relative to 1 plus the largest; found are 1e-14."""
CHAOTIC = 1e-4
"""Of L-BFGS, whose line searches take rounding for a reason to go elsewhere."""
rng = np.random.RandomState(0)


def scaled(X):
    return (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-12)


def bundled(load, n=300):
    X, y = load(return_X_y=True)
    rows = np.random.RandomState(0).permutation(len(X))[:n]
    return scaled(X[rows]), y[rows]


X_MANY, Y_MANY = datasets.make_multilabel_classification(120, random_state=0)
X_DIABETES, Y_DIABETES = bundled(datasets.load_diabetes)
Y_DIABETES = scaled(Y_DIABETES)
DATA = {
    "digits": ("MLPClassifier", *bundled(datasets.load_digits)),
    "iris": ("MLPClassifier", *bundled(datasets.load_iris)),
    "breast cancer": ("MLPClassifier", *bundled(datasets.load_breast_cancer)),
    "labels": ("MLPClassifier", scaled(X_MANY), Y_MANY),
    "diabetes": ("MLPRegressor", X_DIABETES, Y_DIABETES),
    "two targets": ("MLPRegressor", X_DIABETES, np.column_stack([Y_DIABETES, Y_DIABETES**2])),
}
RULES = {
    "adam": {},
    "sgd": {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "batch_size": 32, "alpha": 0.1},
    "nesterov": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1, "shuffle": False},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3},
}


def pair(cls, **settings):
    settings = {"hidden_layer_sizes": (20, 8), "max_iter": 15, "random_state": 3, **settings}
    return [getattr(module, cls)(**settings) for module in (theirs, ours)]


def arrays(model):
    return [*model.coefs_, *model.intercepts_]


def distance(a, b):
    """Largest difference of parameters, relative to 1 plus the array's largest."""
    return max(np.abs(p - q).max() / (1 + np.abs(p).max()) for p, q in zip(arrays(a), arrays(b), strict=True))


def check_same(a, b, most=EXACT):
    assert distance(a, b) <= most
    assert (a.n_iter_, a.t_) == (b.n_iter_, b.t_)
    assert b.loss_ == pytest.approx(a.loss_, rel=most, abs=most)
    if hasattr(a, "loss_curve_"):
        np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=most)
        for name in ("validation_scores_", "best_validation_score_", "best_loss_"):
            theirs_, ours_ = getattr(a, name), getattr(b, name)
            assert (theirs_ is None) == (ours_ is None)
            if theirs_ is not None:
                np.testing.assert_allclose(ours_, theirs_, rtol=most, err_msg=name)


@pytest.fixture
def compiled(monkeypatch):
    """Counts epochs that the compiled loop has taken, to be sure that it was not scikit-learn's own code."""
    taken = []
    run = Epochs.run
    monkeypatch.setattr(Epochs, "run", lambda self, order: taken.append(1) or run(self, order))
    return taken


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("rule", RULES)
def test_fits_are_the_same(data, rule, compiled):
    cls, X, y = DATA[data]
    a, b = (model.fit(X, y) for model in pair(cls, **RULES[rule]))
    check_same(a, b)
    assert len(compiled) == b.n_iter_
    np.testing.assert_allclose(b.predict(X), a.predict(X), rtol=1e-6)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("n_hidden", [0, 1, 3])
def test_activations_and_depths_are_the_same(activation, n_hidden):
    X, y = DATA["iris"][1:]
    settings = {"activation": activation, "hidden_layer_sizes": (7,) * n_hidden, "batch_size": 40}
    check_same(*(model.fit(X, y) for model in pair("MLPClassifier", **settings)))


@pytest.mark.parametrize("data", DATA)
def test_lbfgs_is_the_same(data):
    cls, X, y = DATA[data]
    settings = {"solver": "lbfgs", "activation": "tanh", "max_iter": 12, "alpha": 0.1}
    check_same(*(model.fit(X, y) for model in pair(cls, **settings)), most=CHAOTIC)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("cls", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_are_the_same(cls, form, weighted, dtype):
    """One evaluation by each, where there is no chaos; more samples than the compiled one takes at a time."""
    X = np.maximum(rng.standard_normal((600, 6)), 0).astype(dtype)
    y = np.digitize(X[:, 0], [0.3, 0.8]) if cls == "MLPClassifier" else X[:, 0].astype(dtype)
    weights = rng.uniform(0.5, 2, 600) if weighted else None
    a, b = (
        m.fit(form(X), y, sample_weight=weights) for m in pair(cls, solver="lbfgs", max_iter=1, alpha=0.5)
    )
    at = np.concatenate([p.ravel() for p in arrays(a)]).astype(dtype)
    if cls == "MLPClassifier":
        y = np.eye(3)[y] > 0
    y = y.reshape(600, -1)
    of = []
    for model in (a, b):
        n_layers = model.n_layers_
        buffers = [form(X), *[None] * (n_layers - 1)], *([None] * (n_layers - 1) for _ in range(3))
        of.append(model._loss_grad_lbfgs(at, form(X), y, weights, *buffers))
    most = 1e-5 if dtype == np.float32 else 1e-12
    assert of[1][0] == pytest.approx(of[0][0], rel=most)
    np.testing.assert_allclose(of[1][1], of[0][1], rtol=most, atol=most)
    assert of[1][1].dtype == dtype


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("weighted", [False, True])
def test_poisson_is_the_same(solver, weighted):
    y = np.random.RandomState(0).poisson(np.exp(X_DIABETES[:, 2] / 2)).astype(float)
    weights = np.random.RandomState(1).uniform(0, 2, len(y)) if weighted else None
    models = pair("MLPRegressor", loss="poisson", solver=solver)
    check_same(*(model.fit(X_DIABETES, y, sample_weight=weights) for model in models))


@pytest.mark.parametrize("cls", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_sample_weights_are_the_same(cls, early_stopping):
    X, y = DATA["iris"][1:]
    weights = np.random.RandomState(0).uniform(0, 3, len(y))
    models = pair(cls, early_stopping=early_stopping, batch_size=30)
    check_same(*(model.fit(X, y, sample_weight=weights) for model in models))


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix, np.asfortranarray])
@pytest.mark.parametrize("settings", [{}, {"shuffle": False, "batch_size": 17}, {"early_stopping": True}])
def test_sparse_and_column_major_samples_are_the_same(form, settings, compiled):
    X, y = DATA["digits"][1:]
    X = form(np.where(X > 0.5, X, 0))
    check_same(*(model.fit(X, y) for model in pair("MLPClassifier", **settings)))
    assert compiled


def test_one_class_and_one_sample_are_the_same():
    X = X_DIABETES[:30]
    check_same(*(model.fit(X, np.zeros(30)) for model in pair("MLPClassifier")))
    check_same(*(model.fit(X[:1], [0.5]) for model in pair("MLPRegressor")))


def test_memory_mapped_samples_compile_nothing_anew():
    X, y = DATA["iris"][1:]
    X = X.copy()
    X.flags.writeable = False
    check_same(*(model.fit(X, y) for model in pair("MLPClassifier")))


# Calls one after the other.


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_calls_one_after_the_other_are_the_same(solver):
    """fit, fit again, partial_fit, new settings, a copy by pickle, parameters changed in place."""
    X, y = DATA["iris"][1:]
    models = pair("MLPClassifier", solver=solver, warm_start=True, max_iter=4)
    for _ in range(2):
        models = [model.fit(X, y) for model in models]
        check_same(*models)
    models = [model.partial_fit(X[:50], y[:50]) for model in models]
    models = [pickle.loads(pickle.dumps(model)).set_params(alpha=0.5, activation="tanh") for model in models]
    for model in models:
        model.coefs_[0][0, 0] = 2.5
        model.partial_fit(X[50:], y[50:])
        model.intercepts_[1] = model.intercepts_[1] + 1
        model.partial_fit(X[:3], y[:3]).partial_fit(X, y)
    check_same(*models)
    assert models[0]._optimizer.learning_rate == pytest.approx(models[1]._optimizer.learning_rate, rel=1e-14)


def test_state_can_pass_between_them():
    X, y = DATA["diabetes"][1:]
    a, b = (model.fit(X, y) for model in pair("MLPRegressor"))
    a.__dict__, b.__dict__ = b.__dict__, a.__dict__
    check_same(a.partial_fit(X, y), b.partial_fit(X, y))


def test_solvers_may_change():
    X, y = DATA["diabetes"][1:]
    models = [model.fit(X, y) for model in pair("MLPRegressor", warm_start=True)]
    for settings in ({"solver": "sgd"}, {"solver": "lbfgs", "max_iter": 3}, {"solver": "adam"}):
        models = [model.set_params(**settings).fit(X, y) for model in models]
    check_same(*models, most=1e-8)


@pytest.mark.parametrize("first, second", [(np.float32, np.float64), (np.float64, np.float32)])
def test_dtypes_may_change_between_calls(first, second):
    X, y = DATA["diabetes"][1:]
    models = [model.fit(X.astype(first), y.astype(first)) for model in pair("MLPRegressor")]
    models = [model.partial_fit(X.astype(second), y.astype(second)) for model in models]
    assert [p.dtype for p in arrays(models[0])] == [p.dtype for p in arrays(models[1])]
    check_same(*models, most=1e-5)


def test_float32_stays_float32(compiled):
    X, y = DATA["digits"][1:]
    a, b = (model.fit(X.astype(np.float32), y) for model in pair("MLPClassifier"))
    assert {p.dtype for p in arrays(b)} == {np.dtype(np.float32)}
    check_same(a, b, most=1e-3)
    assert compiled


# Errors and what is printed.


@pytest.mark.parametrize(
    "settings, weights",
    [
        ({"alpha": -1}, None),
        ({"hidden_layer_sizes": (3, 0)}, None),
        ({"solver": "nosuch"}, None),
        ({"early_stopping": True, "validation_fraction": 0.005}, None),
        ({"learning_rate_init": 1e300, "solver": "sgd"}, None),
        ({"batch_size": 10, "shuffle": False}, np.repeat([0.0, 1.0], [10, 140])),
        ({"solver": "lbfgs"}, np.zeros(150)),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_errors_are_the_same(settings, weights):
    X, y = DATA["iris"][1:]
    found = []
    for model in pair("MLPRegressor", **settings):
        with pytest.raises((ValueError, ZeroDivisionError)) as caught:
            model.fit(X, y, sample_weight=weights)
        found.append((caught.type, str(caught.value)))
    assert found[0] == found[1]
    if settings in ({"alpha": -1}, {"solver": "nosuch"}):
        assert found[0][0] is InvalidParameterError


@pytest.mark.parametrize(
    "settings", [{}, {"early_stopping": True}, {"learning_rate": "adaptive", "solver": "sgd"}]
)
def test_what_is_printed_is_the_same(settings, capsys):
    X, y = DATA["iris"][1:]
    printed = []
    for model in pair("MLPClassifier", verbose=True, tol=0.1, n_iter_no_change=2, max_iter=40, **settings):
        model.fit(X, y)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != ""


@pytest.mark.parametrize("settings", [{"max_iter": 2}, {"batch_size": 1000, "max_iter": 3}])
@pytest.mark.filterwarnings("default")
def test_warnings_are_the_same(settings):
    X, y = DATA["iris"][1:]
    found = []
    for model in pair("MLPClassifier", **settings):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(X, y)
        found.append([(w.category, str(w.message)) for w in caught])
    assert found[0] == found[1] != []


def test_ctrl_c_keeps_what_was_trained(monkeypatch):
    X, y = DATA["iris"][1:]
    run = Epochs.run

    def interrupted(self, order):
        if run(self, order) and len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(1)
        return 1.0

    taken = []
    monkeypatch.setattr(Epochs, "run", interrupted)
    (_, model) = pair("MLPClassifier")
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert model.predict(X).shape == y.shape


# Conventions.


@parametrize_with_checks([ours.MLPClassifier(), ours.MLPRegressor()])
@pytest.mark.filterwarnings("ignore")
def test_check_estimator_passes(estimator, check):
    check(estimator)


def test_a_copy_is_one_of_ours():
    model = clone(ours.MLPClassifier(alpha=0.5))
    assert isinstance(model, ours.MLPClassifier) and isinstance(model, theirs.MLPClassifier)
    assert model.get_params() == theirs.MLPClassifier(alpha=0.5).get_params()
    assert repr(model) == "MLPClassifier(alpha=0.5)"


@pytest.mark.parametrize(
    "lines", [[], ["Homepage, https://a.b/c"], ["Documentation, https://a.b/c", "Homepage, x"]]
)
def test_the_documentation_link_is_the_projects(lines, monkeypatch):
    class Metadata:
        def get_all(self, name):
            return lines or None

    monkeypatch.setattr(estimators.metadata, "metadata", lambda name: Metadata())
    link = estimators.documentation_link()
    assert link == ("https://a.b/c" if lines else "")
    monkeypatch.setattr(estimators._Linked, "_doc_link_template", link)
    html = ours.MLPClassifier()._repr_html_()
    assert ("https://a.b/c" in html) == bool(lines)
    assert "scikit-learn.org/1" not in html


def test_docstrings_describe_the_parameters():
    for cls in (ours.MLPClassifier, ours.MLPRegressor):
        assert "compiled" in cls.__doc__.splitlines()[0]
        for name in cls().get_params():
            assert f"\n{name} : " in cls.__doc__
        assert "loss_curve_ : " in cls.__doc__
        assert "Examples" not in cls.__doc__


def test_the_package_loads_nothing_of_it():
    code = (
        "import sys, numbabp; assert not {'sklearn', 'numba', 'numbabp.sklearn'} & set(sys.modules);"
        "print(numbabp.sklearn.MLPClassifier.__mro__[0].__module__, sys.modules['sklearn'].__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["numbabp.sklearn.estimators", "sklearn"]


# Releases that are not known.


@pytest.fixture
def unknown_release(monkeypatch):
    monkeypatch.setattr(scikit_learn.sklearn, "__version__", "1.99.0")
    scikit_learn.trains_as_known.cache_clear()
    yield
    scikit_learn.trains_as_known.cache_clear()


def test_a_release_that_trains_the_same_is_found_to(unknown_release, compiled):
    X, y = DATA["iris"][1:]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "scikit-learn")
        pair("MLPClassifier")[1].fit(X, y)
    assert compiled


@pytest.mark.parametrize("change", ["gradient", "methods", "optimizer"])
def test_a_release_that_trains_otherwise_is_left_alone(change, unknown_release, monkeypatch, compiled):
    X, y = DATA["iris"][1:]
    cls = next(c for c in theirs.MLPClassifier.__mro__ if "_backprop" in vars(c))
    if change == "gradient":
        backprop = cls._backprop

        def other(self, *arguments):
            loss, coefs, intercepts = backprop(self, *arguments)
            return loss, [2 * gradient for gradient in coefs], intercepts

        monkeypatch.setattr(cls, "_backprop", other)
    elif change == "methods":  # others do what these did
        monkeypatch.delattr(cls, "_update_no_improvement_count")
        monkeypatch.setattr(cls, "_fit_stochastic", lambda self, *a: setattr(self, "n_iter_", 1))
    else:
        monkeypatch.setattr("numbabp.sklearn.training.AdamOptimizer", None)
    models = pair("MLPClassifier")
    with pytest.warns(UserWarning, match=r"scikit-learn 1\.99\.0 trains in another way.*1\.9\.x"):
        models[1].fit(X, y)
    models[0].fit(X, y)
    assert distance(*models) == 0


def test_vectors_are_made_once():
    given = [np.ones((2, 3)), np.zeros(4)]
    vector = as_vector(given)
    assert vector.tolist() == [1] * 6 + [0] * 4
    assert as_vector(given) is vector
    vector[0] = 5
    assert given[0][0, 0] == 5
    given[1] = given[1].copy()
    assert as_vector(given) is not vector


# Whatever else there is.


def random_case(seed):
    """Random settings, samples and calls."""
    r = np.random.RandomState(seed)
    n, kind = r.randint(5, 90), r.choice(["two", "three", "labels", "number", "numbers", "poisson"])
    X = r.standard_normal((n, r.randint(1, 12)))
    y = {
        "two": X[:, 0] > 0,
        "three": np.digitize(X[:, 0], [-0.5, 0.5]),
        "labels": (X[:, [0, 0, 0]] + r.standard_normal((n, 3)) > 0).astype(int),
        "number": X[:, 0] + r.standard_normal(n),
        "numbers": np.column_stack([X[:, 0], X[:, 0] ** 2]),
        "poisson": r.poisson(np.exp(X[:, 0] / 2)).astype(float),
    }[kind]
    settings = {
        "hidden_layer_sizes": tuple(map(int, r.randint(1, 16, r.randint(0, 4)))),
        "activation": str(r.choice(["identity", "logistic", "tanh", "relu"])),
        "solver": str(r.choice(["adam", "sgd"])),
        "alpha": float(r.choice([0, 1e-4, 0.1])),
        "batch_size": ["auto", 1, 7, 50][r.randint(4)],
        "learning_rate": str(r.choice(["constant", "invscaling", "adaptive"])),
        "learning_rate_init": float(r.choice([0.001, 0.01])),
        "max_iter": int(r.choice([1, 5, 20])),
        "shuffle": bool(r.randint(2)),
        "momentum": float(r.choice([0, 0.5, 0.9])),
        "nesterovs_momentum": bool(r.randint(2)),
        "early_stopping": bool(r.rand() < 0.2),
        "warm_start": bool(r.randint(2)),
        "tol": float(r.choice([1e-4, 1e-2])),
        "n_iter_no_change": int(r.choice([2, 10])),
    }
    if kind == "poisson":
        settings["loss"] = "poisson"
    weights = r.uniform(0, 2, n) if r.rand() < 0.3 else None
    X = r.choice([np.asarray, sparse.csr_array])(X)
    cls = "MLPClassifier" if kind in ("two", "three", "labels") else "MLPRegressor"
    return pair(cls, **settings), X, y, weights, r.randint(3)


def outcome(model, X, y, weights, calls):
    """What an error says, or nothing."""
    try:
        for _ in range(calls):
            model.fit(X, y, sample_weight=weights)
        if calls != 1:
            more = {"classes": np.unique(y)} if hasattr(model, "predict_proba") else {}
            model.partial_fit(X, y, sample_weight=weights, **more)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_random_settings_are_the_same(seed):
    models, *given = random_case(seed)
    said = [outcome(model, *given) for model in models]
    assert said[0] == said[1]
    if not said[0]:
        check_same(*models)


def test_the_mixin_is_before_their_classes():
    for cls in (ours.MLPClassifier, ours.MLPRegressor):
        order = cls.__mro__
        assert order.index(CompiledTraining) < order.index(getattr(theirs, cls.__name__))
