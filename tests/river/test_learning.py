"""What a row does: running standardisation and the step, compared with plain NumPy."""

import math
import random

import numpy as np
import pytest
import reference

pytest.importorskip("river.base")  # tests/river would do for river

from numbabp.river import MLPClassifier, MLPRegressor

RATES = {"adagrad": 0.1, "sgd": 0.02, "momentum": 0.002, "adam": 0.01, "rmsprop": 0.01}
NAMES = "abc"


class RunningScale:
    """Mean and mean square of weighted rows, of which the t-th weighs as t^3 besides."""

    def __init__(self):
        self.mean, self.square, self.seen, self.since = 0.0, 0.0, 0.0, None

    def learn(self, value, weight, total):
        if self.since is None:
            self.since = total
        share = 1 - (self.seen / (self.seen + weight)) ** 4
        self.mean = (1 - share) * self.mean + share * value
        self.square = (1 - share) * self.square + share * value**2
        self.seen += weight

    @property
    def spread(self):
        variance = self.square - self.mean**2
        return math.sqrt(variance) if variance > 1e-12 else 0.0

    def standardised(self, value, total):
        part = self.seen / (total - self.since)
        if part < 0.5 or (part < 1 - 1e-9 and not self.spread):
            return value / math.sqrt(self.square)
        return (value - self.mean) / self.spread if self.spread else 0.0


class Standardised:
    """Rows as the network is to get them, with their targets."""

    def __init__(self, rows):
        self.scales, self.of_y = {name: RunningScale() for name in NAMES}, RunningScale()
        self.total, self.X, self.Y = 0.0, [], []
        for x, y, w in rows:
            for name, value in x.items():
                self.scales[name].learn(value, w, self.total)
            self.of_y.learn(y, w, self.total)
            self.total += w
            self.X.append(self.row(x))
            self.Y.append([self.of_y.standardised(y, self.total)])

    def row(self, x):
        return [self.scales[name].standardised(x[name], self.total) if name in x else 0.0 for name in NAMES]


def rows_of(n, missing, weights, seed=0):
    """The first of them has all features."""
    generator = random.Random(seed)
    yield {"a": 1.0, "b": 2.0, "c": 0.5}, 3.0, 1.0
    for _ in range(n):
        x = {"a": generator.gauss(100, 5), "b": generator.expovariate(1), "c": generator.gauss(0, 1e-3)}
        y = x["b"] + (x["a"] - 100) * x["c"] * 1e3
        for name in "bc":
            if generator.random() < missing:
                del x[name]
        yield x, y, generator.choice(weights)


def begun(model, x, y):
    """The initial weights and biases, of a network that has inputs and an output for this row."""
    model._take(x, y)
    network = model.network
    return [W.copy() for W in network.weights], [b.copy() for b in network.biases]


def assert_trained_alike(network, trained):
    parts = list(zip([*network.weights, *network.biases], [*trained.weights, *trained.biases], strict=True))
    assert all(found.shape == expected.shape for found, expected in parts)
    for found, expected in parts:
        assert np.allclose(found, expected, rtol=1e-8, atol=1e-10)


OF_ROWS = pytest.mark.parametrize(
    "missing, weights", [(0.0, (1.0,)), (0.3, (1.0,)), (0.7, (0.5, 1.0, 2.0))], ids=["all", "some", "weights"]
)


@pytest.mark.parametrize("solver", RATES)
@OF_ROWS
def test_a_regressor_takes_the_steps_of_the_reference(solver, missing, weights):
    rows = list(rows_of(200, missing, weights))
    model = MLPRegressor((5,), "tanh", solver, RATES[solver], seed=0)
    start = begun(model, *rows[0][:2])
    for x, y, w in rows:
        model.learn_one(x, y, w)
    standardised = Standardised(rows)
    trained = reference.train(
        *start,
        standardised.X,
        standardised.Y,
        activations=["tanh", "identity"],
        loss="squared_error",
        learning_rates=[RATES[solver]],
        update_rule=solver,
        sample_weight=np.array([w for _, _, w in rows]),
    )
    assert_trained_alike(model.network, trained)
    for x in ({"a": 99.0, "b": 1.0, "c": 0.0}, {"a": 101.0}, {"c": 0.01, "new": 5.0}):
        row = standardised.row(x)
        output = reference.outputs(trained.weights, trained.biases, ["tanh", "identity"], [row])[0, 0]
        expected = standardised.of_y.mean + standardised.of_y.spread * output
        assert model.predict_one(x) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("solver", RATES)
@OF_ROWS
def test_a_classifier_takes_the_steps_of_the_reference(solver, missing, weights):
    """With a second class that both have from the beginning."""
    rows = list(rows_of(200, missing, weights))
    rows[1] = rows[1][0], -1.0, 1.0
    model = MLPClassifier((5, 4), "tanh", solver, RATES[solver], seed=0)
    model._take(rows[0][0], "high")
    start = begun(model, rows[0][0], "low")
    for x, y, w in rows:
        model.learn_one(x, "high" if y > 1 else "low", w)
    standardised = Standardised(rows)
    trained = reference.train(
        *start,
        standardised.X,
        [[y > 1, y <= 1] for _, y, _ in rows],
        activations=["tanh", "tanh", "sigmoid"],
        loss="binary_cross_entropy",
        learning_rates=[RATES[solver]],
        update_rule=solver,
        sample_weight=np.array([w for _, _, w in rows]),
    )
    assert_trained_alike(model.network, trained)
    x = {"a": 99.0, "c": 0.0}
    outputs = reference.outputs(
        trained.weights, trained.biases, ["tanh", "tanh", "sigmoid"], [standardised.row(x)]
    )[0]
    assert model.predict_proba_one(x) == pytest.approx(
        {"high": outputs[0] / outputs.sum(), "low": outputs[1] / outputs.sum()}, rel=1e-8
    )


def test_without_standardisation_numbers_go_in_as_they_are():
    rows = list(rows_of(100, 0.3, (1.0,)))
    model = MLPRegressor((), "tanh", "sgd", 1e-6, standardize=False, seed=0)
    W, b = begun(model, *rows[0][:2])
    for x, y, w in rows:
        model.learn_one(x, y, w)
    X = [[x.get(name, 0.0) for name in NAMES] for x, _, _ in rows]
    trained = reference.train(
        W,
        b,
        X,
        Standardised(rows).Y,
        activations=["identity"],
        loss="squared_error",
        learning_rates=[1e-6],
    )
    assert_trained_alike(model.network, trained)


def test_float32_is_near_float64():
    models = [MLPClassifier((8,), solver="sgd", dtype=dtype, seed=0) for dtype in ("float32", "float64")]
    for x, y, _ in rows_of(300, 0.2, (1.0,)):
        for model in models:
            model.learn_one(x, y > 1)
    narrow, wide = (model.predict_proba_one({"a": 98.0, "b": 1.0}) for model in models)
    assert models[0].network.dtype == np.float32
    assert narrow == pytest.approx(wide, abs=1e-4)


@pytest.mark.parametrize(
    "solver, rate, least",
    [
        ("adagrad", 0.6 / math.sqrt(3), 9),
        ("sgd", 0.5 / 3, 9),
        ("momentum", 0.05 / 3, 9),
        ("adam", 0.02 / 3**0.5, 9),
    ],
)
def test_the_automatic_rate_is_the_documented_one(solver, rate, least):
    """Two features that are standardised have a squared length of 2 on average, and the bias is 1."""
    model = MLPClassifier((8,), solver=solver, seed=0)
    for t in range(100):
        model.learn_one({"a": 1e3 * math.sin(t), "b": 1e-3 * math.cos(3 * t)}, t % 2)
    assert model._stream.growing.learner.learning_rate == pytest.approx(rate)
    regressor = MLPRegressor((8,), solver=solver, seed=0)
    for t in range(100):
        regressor.learn_one({"a": 1e3 * math.sin(t), "b": 1e-3 * math.cos(3 * t)}, t)
    power = 0.5 if solver in ("adagrad", "adam") else 1
    assert regressor._stream.growing.learner.learning_rate == pytest.approx(rate * (3 / 9) ** power)


@pytest.mark.parametrize("solver", ["adagrad", "sgd", "momentum", "adam", "rmsprop"])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize(
    "first, slope, offset",
    [
        pytest.param({"x": 0.3, "y": 1e6}, 1.0, 0.0, id="a million at first"),
        pytest.param({"x": 0.3, "y": 0.0}, 1e3, 1e4, id="zero at first"),
        pytest.param({"x": 0.3, "y": 1e9, "w": 0.0}, 1.0, 0.0, id="of no weight"),
        pytest.param({"x": 0.3, "y": 1e9, "w": 1e-9}, 1.0, 0.0, id="of hardly any weight"),
        pytest.param({"x": 1e6, "y": 0.0}, 1.0, 0.0, id="an input of a million at first"),
        pytest.param({"x": 0.3, "y": 0.3}, 1.0, 0.0, id="nothing special"),
    ],
)
def test_what_comes_first_does_not_matter_for_long(solver, standardize, first, slope, offset):
    generator = random.Random(0)
    model = MLPRegressor(solver=solver, standardize=standardize, seed=0)
    model.learn_one({"x": first["x"]}, first["y"], first.get("w", 1.0))
    for _ in range(3000):
        x = generator.gauss(0, 1)
        model.learn_one({"x": x}, offset + slope * x)
    X = np.linspace(-2, 2, 101)
    found = np.array([model.predict_one({"x": x}) for x in X.tolist()])
    assert 1 - np.mean((found - offset - slope * X) ** 2) / np.var(slope * X) > 0.97


def test_a_first_row_of_a_million_does_not_keep_a_classifier_from_learning():
    generator = random.Random(0)
    model = MLPClassifier(seed=0)
    model.learn_one({"x": 1e6}, True)
    rows = [({"x": x}, x > 0.3) for x in (generator.gauss(0, 1) for _ in range(2000))]
    for x, y in rows:
        model.learn_one(x, y)
    assert np.mean([model.predict_one(x) == y for x, y in rows[1000:]]) > 0.97
