"""Models of tables as C: a number for each column, and a 1 for what is so."""

import numpy as np
import pytest
from c_programs import GCC, InC, library
from running import TOLERANCE

import numbabp as nbp
from numbabp.data.pipeline import Pipeline
from numbabp.data.preparation import Preparation
from numbabp.data.table_model import TableModel
from numbabp.data.tables import table_of
from numbabp.data.targets import Target

pytestmark = [pytest.mark.once, pytest.mark.skipif(GCC is None, reason="needs gcc")]

COLUMNS = ["age", "class", "alone", "boarded", "fare"]


def passengers(n=60):
    """A table with numbers, gaps, texts, booleans and dates, and things to predict."""
    rng = np.random.RandomState(0)
    age, fare = rng.uniform(1, 80, n).round(1), rng.exponential(30, n).round(2)
    cabin = rng.choice(["1st", "2nd */", "3rd"], n)
    return {
        "age": [None if rng.uniform() < 0.2 else value for value in age.tolist()],
        "class": [None if rng.uniform() < 0.1 else value for value in cabin.tolist()],
        "alone": (rng.uniform(size=n) < 0.5).tolist(),
        "boarded": [f"1912-04-{1 + day:02d}" for day in rng.randint(0, 15, n)],
        "fare": fare.tolist(),
        "survived": rng.choice(["no", "yes"], n).tolist(),
        "boat": rng.choice(["A", "B", "C"], n).tolist(),
        "luggage": (100 + 10 * rng.standard_normal(n)).tolist(),
        "height": (1.7 + 0.1 * rng.standard_normal(n)).tolist(),
    }


def model_of(columns, *targets, n_hashed=0):
    """Of a network as it begins, which is all that matters here."""
    table = table_of(columns)
    preparation = Preparation.fitted(table, COLUMNS, np.arange(60), n_hashed=n_hashed)
    truth = [table.column(name) for name in targets]
    is_amount = targets[0] in ("luggage", "height")
    target = Target.of_amounts(truth) if is_amount else Target.of_classes(truth)
    pipeline = Pipeline(preparation, target)
    return TableModel(
        nbp.Network(**pipeline.network_arguments((8,), "tanh", "float64"), random_state=0), pipeline
    )


def raw(model, columns):
    """What is given in C: the matrix with plain numbers, as the file's head tells."""
    X, _ = model.preparation.filled(table_of(columns), [])
    n_plain = len(model.preparation.mean)
    X[:, :n_plain] = np.where(np.isnan(X[:, :n_plain]), model.preparation.mean, X[:, :n_plain])
    return X


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "targets", [("survived",), ("boat",), ("luggage",), ("luggage", "height")], ids="-".join
)
def test_predictions_are_those_of_the_model(tmp_path, dtype, targets):
    columns = passengers()
    model = model_of(columns, *targets)
    model.to_c(tmp_path / "net.c", dtype=dtype, samples={name: v[:9] for name, v in columns.items()})
    twin = InC(library(tmp_path, [tmp_path / "net.c"]), model.network.astype(dtype), "net")
    X, tolerance = raw(model, columns), TOLERANCE[dtype]
    assert twin.check() == 0
    if model.classes_ is None:
        expected = model.predict(columns).reshape(len(X), -1)
        assert np.abs(twin.forward(X) - expected).max() < tolerance * np.abs(expected).max()
        return
    assert [model.classes_[i] for i in twin.classify(X)] == model.predict(columns).tolist()
    assert np.abs(twin.forward(X) - model.predict_proba(columns)[:, -twin.n_outputs :]).max() < tolerance


def test_the_head_tells_what_inputs_are(tmp_path):
    model = model_of(passengers(), "survived")
    model.to_c(tmp_path / "net.h")
    head = (tmp_path / "net.h").read_text().partition("*/")[0]
    lines = [line.split(maxsplit=2)[2] for line in head.splitlines() if line.startswith("   input ")]
    assert len(lines) == model.network.n_inputs == 9
    mean = f"{model.preparation.mean[0]:.9g}"
    assert lines[0] == f"'age'; {mean} where it is missing"
    assert lines[1].startswith("'alone', 0 or 1; ")
    assert lines[2].startswith("'boarded', in days since 1970-01-01; ")
    assert lines[4:] == [
        "1 where 'age' is missing",
        "1 where 'class' is '1st'",
        "1 where 'class' is '2nd * /'",
        "1 where 'class' is '3rd'",
        "1 where 'class' is missing",
    ]
    assert "class 0     'no'\n   class 1     'yes'" in head


def test_hashed_texts_are_refused(tmp_path):
    model = model_of(passengers(), "survived", n_hashed=16)
    with pytest.raises(ValueError, match="the columns 'class' are hashed"):
        model.to_c(tmp_path / "net.c")
    assert not list(tmp_path.iterdir())
