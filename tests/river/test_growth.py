"""Features and classes that appear: what has been learnt does not change, and little is copied."""

import math
import random

import numpy as np
import pytest

pytest.importorskip("river.base")  # tests/river would do for river

from numbabp.river import MLPClassifier, MLPRegressor
from numbabp.river.growing import GrowingNetwork

N_FEATURES, N_CLASSES = 1000, 20


def outputs_of(model, x):
    """The sigmoid of each class seen, by label."""
    stream = model._stream
    assert stream.look(x)
    return dict(zip(stream.classes, stream.output.tolist(), strict=False))


def appearing(seed, numbers):
    """Rows of a few features each, until all features and classes have come, in a random order."""
    generator = random.Random(seed)
    names = [f"f{i}" for i in range(N_FEATURES)]
    generator.shuffle(names)
    for first in range(0, N_FEATURES, 5):
        known = names[: first + 5]
        row = [*known[-5:], *generator.sample(known, min(5, len(known)))]
        value = (lambda: generator.gauss(3, 2)) if numbers else (lambda: generator.choice("abc"))
        yield {name: value() for name in row}, generator.randrange(min(N_CLASSES, 1 + first // 20))


@pytest.mark.parametrize("solver", ["adagrad", "sgd", "adam"])
@pytest.mark.parametrize("numbers", [True, False])
def test_growth_changes_no_output(solver, numbers):
    model = MLPClassifier((8,), solver=solver, seed=0)
    known: list[dict] = []
    for x, y in appearing(0, numbers):
        looked_at = known[-3:] + known[:3]
        before = [outputs_of(model, each) for each in looked_at]
        model._take(x, y)  # the part of learn_one in which a model grows
        for each, outputs in zip(looked_at, before, strict=True):
            after = outputs_of(model, each)
            assert all(math.isclose(after[label], outputs[label], abs_tol=1e-12) for label in outputs)
        model.learn_one(x, y)
        known.append(x)
    assert len(model._stream.classes) == N_CLASSES
    assert len(model._stream.inputs.numbers) == (N_FEATURES if numbers else 0)


@pytest.mark.parametrize("text", ["onehot", "hash"])
def test_a_row_with_a_new_feature_is_not_changed_by_it(text):
    """Numbers begin at their mean, 0, and texts with weights of 0."""
    model = MLPClassifier((8,), text=text, seed=0)
    for x, y in [({"a": 1.0}, 0), ({"a": 2.0}, 1)] * 20:
        model.learn_one(x, y)
    before = model.predict_proba_one({"a": 1.5})
    x = {"a": 1.5, "colour": "red", "size": 7.0}
    model._take(x, 1)
    assert model.predict_proba_one(x) == pytest.approx(before, abs=1e-12)


def test_a_new_class_begins_with_its_frequency_whatever_the_row():
    model = MLPClassifier((8,), seed=0)
    rows = [({"a": math.sin(t), "b": math.cos(3 * t)}, t % 2) for t in range(48)]
    for x, y in rows:
        model.learn_one(x, y)
    model._take(rows[0][0], "new")
    assert [outputs_of(model, x)["new"] for x, _ in rows] == pytest.approx([1 / 50] * 48, rel=1e-9)
    # the other way round it goes on as it would have
    assert all(sum(model.predict_proba_one(x).values()) == pytest.approx(1) for x, _ in rows)


def test_what_is_not_in_use_does_not_matter():
    """One network with room for a hundred times as much, and one without, learn the same."""
    narrow, wide = (MLPClassifier((8,), seed=0) for _ in range(2))
    for model in (narrow, wide):
        model.learn_one({"a": 1.0, "b": 0.5}, "x")
        model.learn_one({"a": -1.0, "b": 2.0}, "y")
    wide._stream.growing.make_room(200, 200)
    memory = wide._stream.inputs
    memory._make_room(200)
    memory._renew()
    wide._stream._renew()
    generator = random.Random(0)
    for _ in range(300):
        x = {"a": generator.gauss(0, 1), "b": generator.gauss(0, 1)}
        y = "x" if x["a"] * x["b"] > 0 else "y"
        assert wide.predict_proba_one(x) == pytest.approx(narrow.predict_proba_one(x), rel=1e-9)
        narrow.learn_one(x, y)
        wide.learn_one(x, y)
    assert wide.network.layer_sizes == (200, 8, 200)
    for label in (0, 1):
        assert wide.network.weights[-1][:, label] == pytest.approx(narrow.network.weights[-1][:, label])
    assert (wide.network.weights[-1][:, 2:] == 0).all()


def test_room_doubles(monkeypatch):
    """Copies of n appearances come to 2 n at most."""
    sizes = []
    renew = GrowingNetwork._renew

    def counted(self):
        sizes.append(self.network.layer_sizes)
        renew(self)

    monkeypatch.setattr(GrowingNetwork, "_renew", counted)
    model = MLPClassifier((4,), seed=0)
    for x, y in appearing(1, True):
        model.learn_one(x, y)
    inputs = sorted({size[0] for size in sizes})
    assert len(sizes) <= 2 + math.ceil(math.log2(N_FEATURES)) + math.ceil(math.log2(N_CLASSES))
    assert sum(inputs[:-1]) <= 2 * N_FEATURES
    assert inputs[-1] < 2 * N_FEATURES + 10


def test_moments_of_the_rule_are_kept():
    model = MLPRegressor((3,), solver="adam", seed=0)
    for t in range(30):
        model.learn_one({"a": math.sin(t)}, math.cos(t))
    before = model.network.rule_state("adam")
    of_a = [model.network.architecture.weights_of(moment)[0][0].copy() for moment in before.moments]
    model._take({"a": 0.5, "b": 1.0, "c": 2.0}, 0.0)
    after = model.network.rule_state("adam")
    assert model.network.n_inputs == 3 and after.steps == 30
    for old, moment in zip(of_a, after.moments, strict=True):
        of_inputs = model.network.architecture.weights_of(moment)[0]
        assert (of_inputs[0] == old).all() and (of_inputs[1:] == 0).all() and np.any(old)
