"""`partial_fit` of one row: by its short way comes what comes by the way of many, to the bit."""

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from numbabp import DivergenceError, MLPClassifier, MLPRegressor
from numbabp.estimators import base
from numbabp.estimators.standardizing import Moments

pytestmark = pytest.mark.once

N = 40
RNG = np.random.RandomState(0)
X = RNG.randn(N, 6) * [1, 10, 1e3, 1e-3, 0, 1] + 5  # one column is constant
X[:, 5] = 0
X[::3, 5] = -0.0
TWO = (X[:, 0] > 5).astype(int)
WORDS = np.array(["a", "b", "c"])[RNG.randint(3, size=N)]
NUMBERS = X[:, 0] * 3 + 100


class Ways:
    """Counts the rows that go the short way, which may be closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.short, self.is_open = 0, True
        real = base.learn_row

        def learn_row(*arguments: Any) -> Any:
            learnt = real(*arguments) if self.is_open else None
            self.short += learnt is not None
            return learnt

        monkeypatch.setattr(base, "learn_row", learn_row)


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    return Ways(monkeypatch)


def learn(model: Any, X: np.ndarray, Y: np.ndarray, ways: Ways, is_open: bool = True) -> Any:
    """Row by row."""
    ways.is_open = is_open
    how = {"classes": model.classes_ if hasattr(model, "t_") else np.unique(Y)}
    how = how if isinstance(model, MLPClassifier) else {}
    for i in range(len(X)):
        model.partial_fit(X[i : i + 1], Y[i : i + 1], **how)
    return model


def all_of(model: Any) -> dict[str, Any]:
    """All that an estimator keeps, in what can be compared."""
    fitted, network = model._fitted, model.inner_network_
    kept = {name: value for name, value in vars(model).items() if name not in ("inner_network_", "_fitted")}
    kept.pop("settings_of_rows", None)
    kept |= {"scale": fitted.scale, "mean_weight": fitted.mean_weight, "pace": fitted.pace}
    for name in ("inputs", "targets"):
        moments = getattr(fitted.standardization, name)
        kept[name] = moments and [
            moments.mean.tobytes(),
            moments.spread.tobytes(),
            moments.density.tobytes(),
            moments.rows,
        ]
    kept["parameters"] = network.parameters.tobytes()
    kept["history"] = [(name, network.history[name].tobytes()) for name in network.history]
    kept["rate"] = network.history.learning_rate.tolist()
    kept["drawn"] = str(network.random_state.get_state())
    return kept


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("kind", "y", "parameters"),
    [
        (MLPClassifier, TWO, {}),
        (MLPClassifier, WORDS, {"learning_rate": "invscaling", "alpha": 0.1}),
        (MLPClassifier, WORDS.astype(object), {"output_activation": "sigmoid", "loss": "squared_error"}),
        (MLPClassifier, TWO, {"learning_rate": "adaptive", "momentum": 0.9, "n_iter_no_change": 2}),
        (MLPClassifier, TWO, {"learning_rate": "cosine", "max_iter": 20, "batch_size": "auto"}),
        (MLPClassifier, TWO, {"learning_rate": lambda epoch: 0.1 / (1 + epoch), "device": "cpu"}),
        (MLPRegressor, NUMBERS, {}),
        (MLPRegressor, np.stack([NUMBERS, X[:, 1] ** 2], 1), {"solver": "adam", "hidden_layer_sizes": [5]}),
        (MLPRegressor, NUMBERS, {"output_activation": "relu"}),
        (MLPRegressor, TWO, {"standardize": False, "learning_rate_init": 1e-9, "loss": "huber"}),
        (MLPRegressor, TWO, {"standardize": False, "loss": "poisson"}),
    ],
)
def test_a_row_learns_the_same_by_both_ways(kind, y, parameters, dtype, ways: Ways) -> None:
    rows = X.astype(dtype)
    if not parameters.get("standardize", True):
        rows = rows / 1e3
    short = learn(kind(random_state=0, **parameters), rows, y, ways)
    assert ways.short >= N - 2  # whose kernel is compiled with the second
    long = learn(kind(random_state=0, **parameters), rows, y, ways, is_open=False)
    assert all_of(short) == all_of(long)


def test_rows_among_larger_parts(ways: Ways) -> None:
    models = []
    for is_open in (True, False):
        model = MLPClassifier((4,), random_state=0)
        for part in (slice(0, 9), slice(9, 20)):
            model.partial_fit(X[part], TWO[part], classes=[0, 1])
            learn(model, X[20:30], TWO[20:30], ways, is_open)
        models.append(model)
    assert ways.short == 19
    assert all_of(models[0]) == all_of(models[1])


def test_lists_and_whole_numbers(ways: Ways) -> None:
    X, y = RNG.randint(-9, 9, size=(N, 3)), TWO
    short, long = (MLPClassifier((4,), random_state=0) for _ in range(2))
    for row, label in zip(X, y, strict=True):
        ways.is_open = True
        short.partial_fit([row.tolist()], [int(label)], classes=[1, 0])
        ways.is_open = False
        long.partial_fit(row[None], label[None], classes=[0, 1])
    assert ways.short == N - 2
    assert all_of(short) == all_of(long)


def test_parameters_that_change_on_the_way(ways: Ways) -> None:
    models = []
    for is_open in (True, False):
        model = learn(MLPClassifier([4], random_state=0), X[:9], TWO[:9], ways, is_open)
        learn(model.set_params(alpha=0.5), X[9:18], TWO[9:18], ways, is_open)
        learn(model.set_params(learning_rate_init=0.01), X[18:], TWO[18:], ways, is_open)
        models.append(model)
    assert ways.short == 7 + 7 + N - 19
    assert all_of(models[0]) == all_of(models[1])
    models[0].hidden_layer_sizes[0] = 5
    with pytest.raises(ValueError, match="training goes on with a network of layer_sizes"):
        learn(models[0], X[:1], TWO[:1], ways)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("name", "meanwhile", "error"),
    [("standardize", False, "standardize=False"), ("hidden_layer_sizes", (5,), "layer_sizes")],
)
def test_a_fit_in_between_has_parameters_of_its_own(name, meanwhile, error, ways: Ways) -> None:
    model = learn(MLPClassifier((4,), random_state=0), X, TWO, ways)
    before = getattr(model, name)
    model.set_params(**{name: meanwhile, "max_iter": 1}).fit(X / 1e3, TWO)
    model.set_params(**{name: before, "max_iter": "auto"})
    for _ in range(3):  # its network has a short way from the second row on
        with pytest.raises(ValueError, match=f"training goes on with a network of {error}"):
            model.partial_fit(X[:1], TWO[:1])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_go_on(again: Any, ways: Ways) -> None:
    model = learn(MLPClassifier((4,), solver="adam", random_state=0), X[:9], TWO[:9], ways)
    twin = again(model)
    shallow = copy.copy(model)
    before = all_of(shallow)["inputs"]
    learn(model, X[9:], TWO[9:], ways)
    learn(twin, X[9:], TWO[9:], ways)
    assert all_of(model) == all_of(twin)
    assert all_of(shallow)["inputs"] == before


@pytest.mark.parametrize(
    ("x", "y", "error"),
    [
        (np.ones((1, 5)), [1], "X has 5 features"),
        (np.full((1, 6), np.nan), [1], "X contains NaN"),
        ([["1"] * 6], [1], "X has strings"),
        (np.ones((1, 6)), [2], "labels .2., which are not among"),
        (np.ones((1, 6)), ["1"], "y has"),
        (np.ones((1, 6)), [], "y must not be empty|0 sample"),
        (np.ones((1, 6)), [0, 1], "inconsistent"),
    ],
)
def test_what_is_wrong_is_said_as_ever_and_changes_nothing(x: Any, y: Any, error: str, ways: Ways) -> None:
    model = learn(MLPClassifier((4,), random_state=0), X, TWO, ways)
    before, ways.short = all_of(model), 0
    with pytest.raises(ValueError, match=error):
        model.partial_fit(x, y)
    assert all_of(model) == before
    assert not ways.short


def test_a_row_that_diverges_is_told_as_ever(ways: Ways) -> None:
    model = MLPRegressor(hidden_layer_sizes=(4,), standardize=False, learning_rate_init=1e-3, random_state=0)
    learn(model, X[:9] / 1e3, NUMBERS[:9] / 1e3, ways)
    before = model.inner_network_.parameters.copy()
    with pytest.raises(DivergenceError, match=r"at sample 0 .*smaller learning_rate_init"):
        model.partial_fit(X[:1] * 1e80, np.array([1e90]))
    assert np.array_equal(model.inner_network_.parameters, before)


def test_tables_warn_as_ever_where_names_are_lost(ways: Ways) -> None:
    table = pd.DataFrame(X, columns=list("abcdef"))
    model = learn(MLPClassifier((4,), random_state=0), table, TWO, ways)
    assert not ways.short
    with pytest.warns(UserWarning, match="valid feature names"):
        model.partial_fit(X[:1], TWO[:1])


def test_moments_of_columns_that_were_sparse() -> None:
    before = Moments(np.array([0.1, 3.0]), np.array([0.5, 0.0]), np.array([0.2, 1.0]), 30.0)
    row, out = np.array([[0.0, 3.0]]), np.empty(2)
    short, long = before.with_row(row[0], out), before.merged(Moments.of(row))
    assert short is not None
    for name in ("mean", "spread", "density", "rows", "shift", "scale"):
        assert np.array_equal(getattr(short, name), getattr(long, name))
    assert np.array_equal(out, (row[0] - long.shift) / long.scale)
    assert before.with_row(np.array([np.inf, 1.0]), out) is None
