"""Dicts of all kinds: missing values, texts, weights, tables, and what is refused."""

import math
import pickle
import random

import numpy as np
import pytest

pytest.importorskip("river.base")  # tests/river would do for river

from numbabp.river import MLPClassifier, MLPRegressor


def trained(rows, kind=MLPClassifier, **parameters):
    model = kind((6,), seed=0, **parameters)
    for x, y in rows:
        model.learn_one(x, y)
    return model


def mixed_rows(n=200, seed=0):
    generator = random.Random(seed)
    for _ in range(n):
        colour, size = generator.choice(["red", "green", "blue"]), generator.gauss(10, 3)
        yield {"colour": colour, "size": size, 7: generator.random() < 0.5}, (colour == "red") == (size > 10)


def without(x, *names):
    return {name: value for name, value in x.items() if name not in names}


@pytest.mark.parametrize("missing", [None, math.nan, np.float64("nan")])
def test_none_nan_and_absent_are_the_same(missing):
    rows = list(mixed_rows())
    absent = [(without(x, "size") if t % 3 == 0 else x, y) for t, (x, y) in enumerate(rows)]
    there = [({**x, "size": missing} if t % 3 == 0 else x, y) for t, (x, y) in enumerate(rows)]
    one, other = trained(absent), trained(there)
    assert (one.network.parameters == other.network.parameters).all()
    assert one.predict_proba_one({"size": missing}) == other.predict_proba_one({})


def test_the_fast_path_is_the_slow_one():
    """A row with a missing value that is no feature goes the slow way."""
    rows = [({"a": math.sin(t), "b": math.cos(t) * 100, "c": t % 3}, t % 5) for t in range(200)]
    fast = trained(rows)
    slow = trained([({**x, "none": None}, y) for x, y in rows])
    assert fast._stream.inputs.n_names == 3
    assert (fast.network.parameters == slow.network.parameters).all()


@pytest.mark.parametrize("kind", [bool, np.bool_, int, np.int64, np.float32])
def test_numbers_of_all_kinds_are_numbers(kind):
    rows = [({"a": t % 2, "b": t % 3 > 0}, t % 2) for t in range(100)]
    of_kind = [({name: kind(value) for name, value in x.items()}, y) for x, y in rows]
    assert (trained(of_kind).network.parameters == trained(rows).network.parameters).all()


def test_texts_are_one_hot_by_appearance():
    model = trained(mixed_rows())
    inputs = model._stream.inputs
    assert set(inputs.texts) == {("colour", "red"), ("colour", "green"), ("colour", "blue")}
    assert set(inputs.numbers) == {"size", 7}
    model._stream.look({"colour": "green", "size": 12.0})
    values = model._stream.into
    assert values[inputs.texts["colour", "green"]] == 1
    assert values[inputs.texts["colour", "red"]] == values[inputs.texts["colour", "blue"]] == 0
    rows = list(mixed_rows(2000, seed=1))
    right = 0
    for x, y in rows:
        right += model.predict_one(x) == y
        model.learn_one(x, y)
    assert right > 0.9 * len(rows)


def test_a_feature_may_be_text_and_number():
    model = trained([({"a": "big"}, 1), ({"a": 5.0}, 0)] * 100)
    assert model.predict_one({"a": "big"}) == 1
    assert model.predict_one({"a": 5.0}) == 0


def test_texts_are_hashed_into_a_fixed_number_of_inputs():
    generator = random.Random(0)
    model = MLPClassifier((6,), text="hash", n_hashed=64, seed=0)
    right = 0
    for t in range(3000):
        name = f"user {generator.randrange(10_000)}"
        colour = generator.choice(["red", "green"])
        right += t >= 1000 and model.predict_one({"name": name, "colour": colour}) == colour
        model.learn_one({"name": name, "colour": colour}, colour)
    assert model.network.n_inputs == 64
    assert right > 0.95 * 2000
    # the same in every process
    model._stream.look({"colour": "red"})
    assert np.flatnonzero(model._stream.into).tolist() == [1]


def test_texts_that_fall_together_add_up():
    model = MLPClassifier((6,), text="hash", n_hashed=1, seed=0)
    model.learn_one({"a": "x", "b": "y", "c": 3.0}, 0)
    model._stream.look({"a": "x", "b": "y"})
    assert sorted(model._stream.into.tolist()) == [0, 2]


def test_words_that_mostly_do_not_come_are_not_centred():
    """A bag of words holds 1 wherever it holds anything, which standardised alone would tell nothing."""
    generator = random.Random(0)
    model = MLPClassifier(seed=0)
    words = [f"word {i}" for i in range(50)]
    right = 0
    for t in range(3000):
        x = dict.fromkeys(generator.sample(words, 5), 1)
        y = "word 0" in x or "word 1" in x or "word 2" in x
        right += t >= 2000 and model.predict_one(x) == y
        model.learn_one(x, y)
    assert right > 950


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_row_of_weight_zero_is_no_row(kind):
    rows = [({"a": math.sin(t)}, t % 2) for t in range(50)]
    model, other = trained(rows, kind), trained(rows, kind)
    before = pickle.dumps(model)
    model.learn_one({"a": 1e6, "new": "text"}, 17, w=0.0)
    assert pickle.dumps(model) == before
    model.learn_one({"a": 0.5}, 1, w=2.0)
    other.learn_one({"a": 0.5}, 1)
    assert (model.network.parameters != other.network.parameters).any()


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_tables_are_learnt_row_by_row(kind):
    pd = pytest.importorskip("pandas")
    rows = list(mixed_rows())
    X, y = pd.DataFrame([x for x, _ in rows]), pd.Series([float(y) for _, y in rows])
    X.index = y.index = range(10, 10 + len(X))
    X.loc[15, "colour"] = None
    rows[5] = without(rows[5][0], "colour"), rows[5][1]
    model, other = trained([(x, float(y)) for x, y in rows], kind), kind((6,), seed=0)
    other.learn_many(X, y)
    assert (model.network.parameters == other.network.parameters).all()
    found = other.predict_many(X)
    assert list(found.index) == list(X.index)
    assert found.tolist() == [model.predict_one(x) for x, _ in rows]
    if kind is MLPClassifier:
        probabilities = other.predict_proba_many(X)
        assert list(probabilities.columns) == list(model.predict_proba_one({}))
        assert probabilities.loc[12].to_dict() == model.predict_proba_one(rows[2][0])


def test_before_the_first_row():
    assert MLPClassifier().predict_proba_one({"a": 1}) == {}
    assert MLPClassifier().predict_one({"a": 1}) is None
    assert MLPRegressor().predict_one({"a": 1}) == 0.0
    assert MLPClassifier().network is None


def test_targets_of_all_kinds_are_numbers():
    rows = [({"a": math.sin(t)}, t % 2) for t in range(50)]
    model = trained(rows, MLPRegressor)
    for kind in (bool, np.bool_, np.float32, np.int64):
        other = trained([(x, kind(y)) for x, y in rows], MLPRegressor)
        assert (other.network.parameters == model.network.parameters).all()


def test_an_empty_row_is_a_row():
    model = trained([({}, "x"), ({}, "y"), ({}, "x")] * 30)
    assert model.predict_one({}) == "x"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "x, y, w, error, message",
    [
        ({"a": [1]}, 0, 1.0, TypeError, "feature 'a' must be a number or a text"),
        ({"a": 1.0, "b": math.inf}, 0, 1.0, ValueError, "feature 'b' must be finite, got inf"),
        ({"a": -math.inf}, 0, 1.0, ValueError, "feature 'a' must be finite, got -inf"),
        ({"a": 1e200}, 0, 1.0, ValueError, r"feature 'a' must be no larger than 1e\+150"),
        ({"a": 1.0}, 0, -1.0, ValueError, "w must be finite and at least 0"),
        ({"a": 1.0}, 0, math.nan, ValueError, "w must be"),
        ({"a": 1.0}, None, 1.0, TypeError, "y must be"),
        ({"a": 1.0}, [1], 1.0, TypeError, "y must be"),
        ({"a": 1.0, "new": 2.0}, math.nan, 1.0, (TypeError, ValueError), "y must be"),
        ({"a": 1.0}, math.nan, 1.0, (TypeError, ValueError), "y must be"),
    ],
)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_what_is_not_allowed_changes_nothing(kind, first, x, y, w, error, message):
    model = trained([] if first else [({"a": math.sin(t)}, t % 2) for t in range(20)], kind)
    before = model._stream
    state = pickle.dumps(before)
    with pytest.raises(error, match=message):
        model.learn_one(x, y, w)
    after = model._stream
    probe = [({"a": 0.1 * t}, t % 2) for t in range(20)]
    restored = pickle.loads(state)
    twin = kind((6,), seed=0)
    twin._stream = restored
    for x, y in probe:
        model.learn_one(x, y)
        twin.learn_one(x, y)
    assert after is before
    assert (model.network.parameters == twin.network.parameters).all()


@pytest.mark.parametrize("x", [{"a": 1e39}, {"a": 1.0, "new": -1e39}])
def test_what_is_no_number_in_float32_is_refused(x):
    model = trained([({"a": math.sin(t)}, t % 2) for t in range(20)], dtype="float32", standardize=False)
    before = pickle.dumps(model._stream.growing), list(model._stream.inputs.numbers)
    with pytest.raises(ValueError, match=r"must be no larger than 3.40282e\+38"):
        model.learn_one(x, 0)
    assert (pickle.dumps(model._stream.growing), list(model._stream.inputs.numbers)) == before
    trained([({"a": 1e39 * math.sin(t)}, t % 2) for t in range(20)], dtype="float32")


@pytest.mark.parametrize("y", ["text", "1.5", 1e200, math.inf, [1.0]])
def test_targets_of_a_regressor_are_finite_numbers(y):
    model = trained([({"a": math.sin(t)}, t % 2) for t in range(20)], MLPRegressor)
    for x in ({"a": 1.0}, {"a": 1.0, "new": 1.0}):
        with pytest.raises((TypeError, ValueError), match=r"y must be"):
            model.learn_one(x, y)
    assert "new" not in model._stream.inputs.numbers


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes\[0\]"),
        ({"activation": "softmax"}, "activation='softmax' is not known"),
        ({"solver": "rprop"}, "solver='rprop' is not known"),
        ({"learning_rate": 0.0}, "learning_rate must be finite and greater than 0"),
        ({"learning_rate": "constant"}, "learning_rate"),
        ({"l2": -1.0}, "l2 must be finite and at least 0"),
        ({"text": "words"}, "text='words' is not known"),
        ({"n_hashed": 0}, "n_hashed"),
        ({"standardize": "yes"}, "standardize"),
        ({"dtype": "float16"}, "dtype"),
        ({"seed": -1}, "seed"),
    ],
)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_parameters_are_checked(kind, parameters, message):
    with pytest.raises((TypeError, ValueError), match=message):
        kind(**parameters)
