"""What `train` says of a network: simpler models, a part of its own for the last word, folds, pictures."""

import json
import re

import numpy as np
import pytest
from commands import refused, run, run_json
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score

from numbabp.cli.scoring.baselines import Baselines, comparisons, complaint
from numbabp.cli.scoring.cross_validation import cross_validate
from numbabp.data.columns import NUMBER, Column, as_texts
from numbabp.data.datasets import Dataset, load_dataset
from numbabp.data.pipeline import Score
from numbabp.data.split import Split
from numbabp.data.tables import Table
from numbabp.history import History
from numbabp.loading import load


def samples_of(X, y):
    """Columns of numbers, and a target of numbers or of classes."""
    columns = {f"x{j}": Column(f"x{j}", NUMBER, values) for j, values in enumerate(X.T)}
    is_text = y.dtype.kind == "U"
    target = as_texts("y", y.tolist()) if is_text else Column("y", NUMBER, y)
    task = "classification" if is_text else "regression"
    return Dataset(Table("d.csv", {**columns, "y": target}), list(columns), (target,), task)


def test_baselines_are_those_of_scikit_learn():
    result = run_json("train", "--dataset", "wine", "--epochs", 1)["baselines"]
    split = Split.of(load_dataset("wine"), 0.2, 0)
    X, y = split.held_out
    for name, model in (("constant", DummyClassifier()), ("linear", LogisticRegression(max_iter=200))):
        model.fit(split.inputs, split.targets)
        assert result[name] == pytest.approx(model.score(X, y)), name
    assert (result["part"], result["n_fitted_linear"]) == ("validation", split.n_training)
    result = run_json("train", "--dataset", "diabetes", "--epochs", 1)["baselines"]
    split = Split.of(load_dataset("diabetes"), 0.2, 0)
    predicted = Ridge().fit(split.inputs, split.targets).predict(split.held_out[0])
    assert result["linear"] == pytest.approx(r2_score(split.held_out[1], predicted))
    assert -0.1 < result["constant"] < 0


def test_baselines_are_told(folder):
    output = run("train", "--dataset", "iris", "--epochs", 1).stdout
    told = run_json("train", "--dataset", "iris", "--epochs", 1)["baselines"]
    constant, linear = told["constant"], told["linear"]
    line = f"to compare, validation accuracy of a constant {constant:.4f}, of a linear model {linear:.4f}"
    assert line in output
    assert constant == pytest.approx(1 / 3)
    assert linear > 0.9
    result = run("train", "--dataset", "digits", "--epochs", 1, "--learning-rate", 1e-7, "--no-baselines")
    assert "linear" not in result.output
    assert run_json("train", "--dataset", "iris", "--epochs", 1, "--no-baselines")["baselines"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("digits", "--learning-rate", 1e-5, "--schedule", "constant"),
            "the training loss was still falling; try more --epochs",
        ),
        (
            ("diabetes", "--epochs", 200, "--schedule", "constant", "--l2", 0),
            "no better than a constant's, -0.0031: training 0.9",
        ),
    ],
)
def test_networks_below_baselines_get_a_warning(arguments, message):
    result = run("train", "--dataset", *arguments)
    (line,) = [
        line for line in result.stderr.splitlines() if line.startswith("numbabp: warning: validation ")
    ]
    assert message in line
    assert "try " in line
    assert run_json("train", "--dataset", *arguments)["warnings"] == [line.removeprefix("numbabp: warning: ")]


def test_networks_above_baselines_get_none():
    for name in ("iris", "wine", "digits", "xor"):
        assert run_json("train", "--dataset", name)["warnings"] == [], name


def complaint_of(score, loss, training=0.75, constant=0.5, linear=0.9, n=100, reason="finished"):
    split = Split.of(load_dataset("iris"), 0.2, 0)
    scores = {"training": Score(training, {}), "validation": Score(score, {})}
    simple = (Score(constant, {}), Score(linear, {}))
    history = History({"loss": np.array(loss)}, learning_rate=np.ones(len(loss)), stop_reason=reason)
    return complaint(history, comparisons(split, scores, Baselines("validation", n, *simple, 100)))


def test_what_to_change():
    assert "a lower --learning-rate" in complaint_of(0.7, [1.0, 0.5, 0.9])
    assert "more --epochs" in complaint_of(0.7, [1.0, 0.5])
    assert "another --learning-rate" in complaint_of(0.7, [1.0, 1.0])
    assert "--early-stopping" in complaint_of(0.7, [1.0, 0.5], training=1.0)
    stopped = complaint_of(0.7, [1.0, 0.5], training=1.0, reason="early stopping")
    assert "--l2" in stopped
    assert "--early-stopping" not in stopped
    assert "ended training after 2 epochs" in complaint_of(0.7, [1.0, 0.5], reason="early stopping")
    assert "no better than a constant's" in complaint_of(0.5, [1.0, 0.5])
    assert "say little of the target" in complaint_of(0.5, [1.0, 0.5], linear=0.5)
    # less than two standard errors, 0.06, is chance; of many rows it is not
    assert complaint_of(0.85, [1.0, 0.5]) == ""
    assert "below a linear model's" in complaint_of(0.85, [1.0, 0.5], n=10_000)
    assert complaint_of(float("nan"), [1.0, 0.5]) == ""


def test_a_linear_model_of_many_rows_is_fitted_to_a_part():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((30_000, 250))
    split = Split.of(samples_of(X, X[:, 0]), 0.1, 0)
    found = Baselines.of(split, 0)
    assert found.n_fitted == 20_000
    assert found.linear.overall > 0.99


def test_early_stopping_has_rows_of_its_own_to_stop_by():
    result = run("train", "--dataset", "breast_cancer", "--early-stopping")
    assert "343 training rows, 113 validation rows, 113 test rows" in result.stdout
    assert "to compare, test accuracy" in result.stdout
    found = run_json("train", "--dataset", "breast_cancer", "--early-stopping")
    assert list(found["scores"]) == ["training", "validation", "test"]
    assert found["baselines"]["part"] == "test"
    found = run_json("train", "--dataset", "breast_cancer", "--early-stopping", "--test-fraction", 0.1)
    assert (found["n_training"], found["n_validation"], found["n_test"]) == (400, 113, 56)
    found = run_json("train", "--dataset", "breast_cancer", "--epochs", 1, "--test-fraction", 0.1)
    assert found["n_test"] == 56
    assert run_json("train", "--dataset", "breast_cancer", "--epochs", 1)["n_test"] == 0
    for fraction in (-0.1, 0.8, 1, "nan"):
        line = refused("train", "--dataset", "iris", "--test-fraction", fraction)
        assert "--test-fraction must be at least 0 and leave rows to train on" in line


def test_parts_have_no_row_in_common():
    n = 100
    X = np.arange(n)[:, np.newaxis].astype(float)
    split = Split.of(samples_of(X, X[:, 0]), 0.2, 1, 0.3)
    target = split.pipeline.target
    rows = [y * target.scale[0] + target.mean[0] for _, y in split.parts.values()]
    assert [len(part) for part in rows] == [50, 20, 30]
    assert np.sort(np.concatenate(rows)) == pytest.approx(np.arange(n))


def test_cross_validation():
    result = run("train", "--dataset", "iris", "--cv", 4, "--epochs", 20)
    found = run_json("train", "--dataset", "iris", "--cv", 4, "--epochs", 20)["cross_validation"]
    assert (found["folds"], found["stratified"], found["metric"]) == (4, True, "accuracy")
    scores = found["network"]["scores"]
    assert len(scores) == 4
    assert min(scores) > 0.8
    assert found["network"]["mean"] == pytest.approx(np.mean(scores))
    assert found["network"]["std"] == pytest.approx(np.std(scores, ddof=1))
    line = (
        f"4-fold stratified cross-validation: accuracy {np.mean(scores):.4f} +- {np.std(scores, ddof=1):.4f}"
    )
    assert line in result.stdout
    found = run_json("train", "--dataset", "diabetes", "--cv", 3, "--epochs", 5)["cross_validation"]
    assert not found["stratified"]
    for folds in (1, 0, -2, 151):
        line = refused("train", "--dataset", "iris", "--cv", folds)
        assert "--cv must be at least 2 and at most the number of rows, 150" in line


@pytest.mark.parametrize("validation_fraction", [0, 0.25])
def test_folds_are_what_is_not_trained_on(validation_fraction):
    """Each row is measured on once, and classes are as frequent in every fold."""
    X = np.arange(60)[:, np.newaxis].astype(float)
    samples = samples_of(X, np.where(X[:, 0] < 20, "a", "b"))
    tested = []

    class Constant:
        def predict(self, inputs):
            return np.ones(len(inputs))

    def train(split):
        kept = {name: part[0][:, 0] for name, part in split.parts.items()}
        values = np.sort(np.concatenate(list(kept.values())))  # of all rows, in their order
        rows = {name: np.searchsorted(values, part) for name, part in kept.items()}
        assert sorted(np.concatenate(list(rows.values()))) == list(range(60))
        assert split.n_validation == int(validation_fraction * 40)
        tested.extend(rows["test"])
        return Constant()

    found = cross_validate(samples, 3, 0, train, validation_fraction)
    assert sorted(tested) == list(range(60))
    assert found.network == pytest.approx([2 / 3] * 3, abs=0.05)


def test_folds_without_a_class(folder):
    (folder / "d.csv").write_text(
        "a,y\n" + "".join(f"{k},{'rare' if k < 2 else 'common'}\n" for k in range(30))
    )
    result = run("train", "d.csv", "--target", "y", "--cv", 5, "--epochs", 2)
    assert "warning: class 'rare' has 2 rows, fewer than the 5 folds" in result.stderr


def test_pictures_of_a_training(folder):
    pytest.importorskip("matplotlib")
    for name, options in (("iris", ()), ("diabetes", ("--early-stopping",)), ("xor", ("--epochs", 1))):
        result = run("train", "--dataset", name, "--plot", f"{name}.png", *options)
        assert f"curves drawn into {name}.png" in result.stderr
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "the same file" in refused("train", "--dataset", "iris", "--plot", "a.png", "--output", "./a.png")
    assert ".png, .svg or .pdf" in refused("train", "--dataset", "iris", "--plot", "a.txt")
    (folder / "d.png").write_text("a,y\n")
    assert "would replace the data" in refused("train", "d.png", "--target", "y", "--plot", "d.png")


def test_divergence_names_an_option():
    line = refused("train", "--dataset", "wine", "--learning-rate", 100, "--l2", 0)
    assert "training diverged in epoch" in line
    assert line.endswith("Nothing is saved; try a lower --learning-rate.")


def test_rows_without_a_target_are_left_out_where_that_is_asked_for(folder):
    rows = [f"{i},{i / 7:.2f}\n" for i in range(400)]
    (folder / "whole.csv").write_text("x,y\n" + "".join([*rows[:56], *rows[57:]]))
    (folder / "gaps.csv").write_text("x,y\n" + "".join([*rows[:56], "56,n.d.\n", *rows[57:]]))
    (folder / "empty.csv").write_text("x,y\n" + "".join([*rows[:56], "56,\n", *rows[57:]]))
    options = ("--target", "y", "--epochs", 3, "--hidden", 4)
    assert "'n.d.' in row 57 is no number" in refused("train", "gaps.csv", *options)
    assert "no value in row 57" in refused("train", "empty.csv", *options)
    whole = run_json("train", "whole.csv", *options)
    for name in ("gaps.csv", "empty.csv"):
        asked = (*options, "--missing", "n.d.")
        assert run_json("train", name, *asked)["scores"] == whole["scores"]
        printed = run("train", name, *asked, "--output", "net").stdout
        assert "left out: rows without a value of 'y': 1\n" in printed
        run("evaluate", "net", name, "--json", "figures.json")
        assert json.loads((folder / "figures.json").read_text())["n_rows"] == 399
        assert len(run_json("predict", "net", name)["y"]) == 400


def test_a_training_that_is_kept_goes_on(folder):
    options = ("train", "--dataset", "iris", "--schedule", "constant", "--early-stopping", "--seed", 3)
    whole = run_json(*options, "--epochs", 6, "--output", "whole.net")
    part = run_json(*options, "--epochs", 3, "--checkpoint", "run", "--cv", 2)
    assert len(part["history"]["loss"]) == 3
    result = run(*options, "--epochs", 5, "--checkpoint", "run")
    assert "numbabp: going on from run, where 3 of 5 epochs are done\n" in result.stderr
    result = run(*options, "--epochs", 5, "--checkpoint", "run")
    assert "numbabp: the training is finished in run: nothing is trained again\n" in result.stderr
    for _ in range(2):  # the second time it is finished
        again = run_json(*options, "--epochs", 6, "--checkpoint", "run", "--output", "again.net")
        assert again["history"]["loss"] == whole["history"]["loss"]
        nets = [load(name).parameters.tobytes() for name in ("again.net", "whole.net")]
        assert nets[0] == nets[1]


def test_a_file_that_is_no_checkpoint_of_this_training_is_refused(folder):
    options = ("train", "--dataset", "iris", "--epochs", 2)
    run(*options, "--checkpoint", "run", "--output", "net")
    for changes, named in [
        (("--learning-rate", 0.5), "learning_rate"),
        (("--hidden", 3), "layer_sizes"),
        (("--seed", 1), "the samples"),
    ]:
        line = refused(*options, *changes, "--checkpoint", "run")
        assert named in line
        assert line.endswith("Name another one, or delete this one to begin anew.")
    assert "not replaced" in refused(*options, "--checkpoint", "net")
    assert "same file" in refused(*options, "--checkpoint", "net", "--output", "net")
    (folder / "d.csv").write_text("x,y\n" + "1,2\n3,4\n" * 20)
    assert "would replace" in refused("train", "d.csv", "--target", "y", "--checkpoint", "d.csv")


def test_a_checkpoint_is_told_from_a_model(folder):
    options = ("train", "--dataset", "iris", "--epochs", 2, "--hidden", 4, "--checkpoint", "run.safetensors")
    assert run(*options).stdout.endswith(
        "no model saved (--output); the training is kept in run.safetensors\n"
    )
    assert run(*options, "--output", "net").stdout.endswith("saved to net\n")
    (folder / "new.csv").write_text("a,b\n1,2\n")
    said = (
        "run.safetensors: a checkpoint of training, not a network: the same `numbabp train` with --output "
        "model.safetensors writes the model; in Python the same fit goes on, and save writes it."
    )
    for command in ("predict", "evaluate"):
        assert refused(command, "run.safetensors", "new.csv") == f"numbabp: {said}"
    with pytest.raises(ValueError, match=re.escape(said)):
        load("run.safetensors")
