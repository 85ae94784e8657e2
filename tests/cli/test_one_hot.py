"""Targets of 0 and 1 with a single 1 a row: one class, learnt as one column of the same classes is."""

import json

import numpy as np
import pytest
from commands import refused, run, run_json
from sklearn.metrics import accuracy_score, confusion_matrix

import numbabp as nbp
from numbabp.data.columns import NUMBER, Column, TableError, as_texts
from numbabp.data.tables import Table
from numbabp.data.targets import are_one_hot, read_targets

NAMES = ("kind_c", "kind_a", "kind_b")
"""Not in the alphabet's order."""


def samples(n=240, seed=0):
    """Three columns, and the place of the class in `NAMES`."""
    X = np.random.RandomState(seed).standard_normal((n, 3)).round(4)
    return X, np.where(X[:, 0] > 0.5, 0, np.where(X[:, 1] * X[:, 2] > 0, 1, 2))


def write(path, X, targets):
    columns = {**{f"x{j}": X[:, j] for j in range(3)}, **targets}
    rows = zip(*(np.asarray(values).tolist() for values in columns.values()), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")


def one_hot(places, names=NAMES):
    return {name: (places == k).astype(int) for k, name in enumerate(names)}


def targets_of(names=NAMES):
    return [part for name in names for part in ("--target", name)]


def test_they_are_learnt_as_one_column_of_the_same_classes(folder):
    X, places = samples()
    names = sorted(NAMES)  # as the classes of one column stand
    write(folder / "one_hot.csv", X, one_hot(places, names))
    write(folder / "column.csv", X, {"kind": np.array(names)[places]})
    common = ("--epochs", 15, "--hidden", "8", "--cv", 3)
    told = run_json("train", "one_hot.csv", *targets_of(names), *common, "--output", "one_hot")
    same = run_json("train", "column.csv", "--target", "kind", *common, "--output", "column")
    assert told["columns"].pop() == (
        "'kind', one class a row: the column that is 1 of 'kind_a', 'kind_b', 'kind_c' "
        "(--task labels takes each for a label of its own)"
    )
    for timed in (told, same):
        timed["history"].pop("seconds", None)
        timed.pop("output")
    assert told == same
    assert (told["metric"], told["layer_sizes"]) == ("accuracy", [3, 8, 3])
    of_one_hot, of_column = nbp.load("one_hot"), nbp.load("column")
    assert of_one_hot.network.loss == "categorical_cross_entropy"
    for mine, other in zip(of_one_hot.network.weights, of_column.network.weights, strict=True):
        assert np.array_equal(mine, other)
    X, places = samples(90, 1)
    write(folder / "new.csv", X, one_hot(places, names))
    predicted = run_json("predict", "one_hot", "new.csv")
    assert predicted == run_json("predict", "column", "new.csv")
    assert list(predicted) == ["kind", *(f"P({name})" for name in names)]


def test_evaluate_and_python_measure_the_class(folder):
    X, places = samples()
    write(folder / "d.csv", X, one_hot(places))
    run("train", "d.csv", *targets_of(), "--epochs", 15, "--output", "net")
    X, places = samples(90, 1)
    write(folder / "new.csv", X, one_hot(places))
    truth, predicted = np.array(NAMES)[places], run_json("predict", "net", "new.csv")["kind"]
    found = json.loads(run("evaluate", "net", "new.csv", "--json", "-").stdout)
    assert found["classes"] == list(NAMES)
    assert found["metrics"]["accuracy"] == accuracy_score(truth, predicted) > 0.8
    assert found["confusion_matrix"] == confusion_matrix(truth, predicted, labels=NAMES).tolist()
    assert "precision" in run("evaluate", "net", "new.csv").stdout
    model = nbp.load("net")
    assert (model.target_names, model.classes_.tolist()) == (["kind"], list(NAMES))
    assert model.predict("new.csv").tolist() == predicted
    assert model.score("new.csv") == accuracy_score(truth, predicted)
    model.save("again")
    assert nbp.load("again").predict("new.csv").tolist() == predicted
    write(folder / "two.csv", X, one_hot(places) | {"kind_b": (places != 1).astype(int)})
    row = np.flatnonzero(places == 0)[0] + 1
    assert f"row {row} (and " in refused("evaluate", "net", "two.csv")
    with pytest.raises(TableError, match=r"has 2 ones in the columns 'kind_c', 'kind_a', 'kind_b'"):
        model.score("two.csv")
    write(folder / "odd.csv", X, one_hot(places) | {"kind_b": np.where(places == 2, 0.5, 0)})
    assert "column 'kind_b' has 0.5 in row" in refused("evaluate", "net", "odd.csv")


def test_the_task_takes_them_for_labels_or_amounts(folder):
    X, places = samples()
    write(folder / "d.csv", X, one_hot(places))
    told = run_json("train", "d.csv", *targets_of(), "--epochs", 2, "--task", "labels")
    assert (told["metric"], told["targets"]) == ("subset accuracy", list(NAMES))
    assert not any("one class" in line for line in told["columns"])
    told = run_json("train", "d.csv", *targets_of(), "--epochs", 2, "--task", "classification")
    assert told["metric"] == "accuracy"
    told = run_json("train", "d.csv", *targets_of(), "--epochs", 2, "--task", "regression")
    assert told["metric"] == "mean R^2"
    told = run_json("train", "d.csv", "--target", "kind_a", "--epochs", 2, "--task", "labels")
    assert (told["metric"], told["targets"]) == ("accuracy", ["kind_a"])


def test_files_of_one_array_of_targets(folder):
    X, places = samples()
    np.savez(folder / "d.npz", X=X, y=np.eye(3)[places])
    told = run_json("train", "d.npz", "--epochs", 2, "--output", "net")
    assert (told["metric"], told["targets"]) == ("accuracy", ["y"])
    assert nbp.load("net").classes_.tolist() == ["y0", "y1", "y2"]
    result = run_json("sweep", "d.npz", "--epochs", 2, "--seeds", 2, "--hidden", "4")
    assert result["metric"] == "validation accuracy"


def test_a_class_without_a_row_keeps_its_output(folder):
    X, places = samples()
    write(folder / "d.csv", X, {**one_hot(places), "kind_d": np.zeros(len(X), int)})
    names = (*NAMES, "kind_d")
    told = run_json("train", "d.csv", *targets_of(names), "--epochs", 15, "--output", "net")
    assert told["layer_sizes"][-1] == 4
    assert told["scores"]["validation"] > told["baselines"]["constant"]
    assert nbp.load("net").predict_proba("d.csv")[:, 3].mean() < 0.05
    write(folder / "one.csv", X, one_hot(np.zeros(len(X))))
    assert "target 'kind' is kind_c in every row" in refused("train", "one.csv", *targets_of())


def column(name, *values):
    return Column(name, NUMBER, np.array(values, float))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([column("a", 1, 0), column("b", 0, 1)], True),
        ([Column("a", "boolean", np.array([1.0, 0])), column("b", 0, 1)], True),
        ([column("a", 1, 0), column("b", 1, 1)], False),
        ([column("a", 1, 0), column("b", 0, 0)], False),
        ([column("a", 1, 0), column("b", 0, np.nan)], False),
        ([column("a", 1, 0.5), column("b", 0, 0.5)], False),
        ([column("a", 2, 0), column("b", -1, 1)], False),
        ([column("a", 1, 1)], False),
        ([column("a", 1, 0), as_texts("b", np.array(["0", "1"], object))], False),
    ],
)
def test_what_is_one_hot(columns, expected):
    assert are_one_hot(columns) is expected


@pytest.mark.parametrize(
    ("names", "others", "expected"),
    [
        (("y1", "y2", "y10"), (), "y"),
        (("is_1", "is_2"), (), "is"),
        (("iris_setosa", "iris_sativa"), (), "iris"),
        (("hair_light_brown", "hair_red"), (), "hair"),
        (("cat", "car"), (), "class"),
        (("y1", "y2"), ("y",), "y_"),
        (("1", "2"), (), "class"),
    ],
)
def test_what_the_class_is_called(names, others, expected):
    indicators = [column(name, *(np.arange(len(names)) == k)) for k, name in enumerate(names)]
    table = Table("t", {c.name: c for c in [*indicators, *(column(n, *range(len(names))) for n in others)]})
    found = read_targets(table, names)
    assert [c.name for c in found.columns] == [expected]
    assert found.columns[0].values.tolist() == list(names)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"one_hot": "yes"}, "one_hot must be true or false"),
        ({"classes": ["a"]}, "at least two columns"),
        ({"classes": ["a", "a"]}, "no name twice"),
        ({"names": ["y", "z"], "mean": [0, 0], "scale": [1, 1]}, "true of one target alone"),
    ],
)
def test_damaged_descriptions(change, message):
    from numbabp.data.targets import Target

    described = {"names": ["y"], "classes": ["b", "a"], "mean": [0.0], "scale": [1.0], "one_hot": True}
    assert Target.from_json(described).as_json() == described
    with pytest.raises(ValueError, match=message):
        Target.from_json({**described, **change})
