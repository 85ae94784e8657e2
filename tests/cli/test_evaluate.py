"""The command `evaluate`, against scikit-learn's metrics of what `predict` gives."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import refused, run, run_json
from sklearn import datasets, metrics

from numbabp.cli.scoring.evaluation import of_classes, of_numbers


def write(path, X, y):
    lines = [",".join([*(f"x{j}" for j in range(X.shape[1])), "y"])]
    lines += [",".join([*map(str, row), str(label)]) for row, label in zip(X, y, strict=True)]
    Path(path).write_text("\n".join(lines) + "\n")


@pytest.fixture(params=["iris", "breast_cancer"])
def classes(folder, request):
    """A model and the rows to measure it on: three classes, or two."""
    bunch = getattr(datasets, f"load_{request.param}")()
    names = bunch.target_names[bunch.target]
    rows = np.random.RandomState(0).permutation(len(names))
    write("train.csv", bunch.data[rows[:90]], names[rows[:90]])
    write("test.csv", bunch.data[rows[90:]], names[rows[90:]])
    run("train", "train.csv", "--target", "y", "--epochs", 5, "--output", "net")
    return names[rows[90:]]


def test_metrics_of_classes(classes):
    output = run("evaluate", "net", "test.csv", "--json", "e.json").stdout
    found = json.loads(Path("e.json").read_text())
    predictions = run_json("predict", "net", "test.csv")
    names, predicted = sorted(set(classes)), predictions["y"]
    probabilities = np.column_stack([predictions[f"P({name})"] for name in names]).astype(float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # float32's sum to one within 1e-7
    score = probabilities[:, 1] if len(names) == 2 else probabilities
    expected = {
        "accuracy": metrics.accuracy_score(classes, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(classes, predicted),
        "macro_f1": metrics.f1_score(classes, predicted, average="macro"),
        "log_loss": metrics.log_loss(classes, probabilities),
        "roc_auc": metrics.roc_auc_score(classes, score, multi_class="ovr"),
    }
    for name, value in expected.items():
        assert found["metrics"][name] == pytest.approx(value, rel=1e-5), name
    assert found["metrics"]["accuracy"] > 0.85
    assert found["confusion_matrix"] == metrics.confusion_matrix(classes, predicted).tolist()
    assert found["classes"] == names
    recall = metrics.recall_score(classes, predicted, average=None)
    assert [row["recall"] for row in found["per_class"]] == pytest.approx(recall)
    assert [row["rows"] for row in found["per_class"]] == [int((classes == name).sum()) for name in names]
    assert f"net on test.csv: {len(classes)} rows, target y" in output
    assert f"{expected['accuracy']:.4g}" in output
    assert all(name in output for name in names)
    assert json.loads(run("evaluate", "net", "test.csv", "--json", "-").stdout) == found


def test_metrics_of_numbers(folder):
    X, y = datasets.load_diabetes(return_X_y=True)
    write("d.csv", X, y)
    run("train", "d.csv", "--target", "y", "--epochs", 3, "--output", "net")
    output = run("evaluate", "net", "d.csv").stdout
    found = json.loads(run("evaluate", "net", "d.csv", "--json", "-").stdout)
    predicted = run_json("predict", "net", "d.csv")["y"]
    assert found["metrics"] == pytest.approx(
        {
            "rmse": metrics.root_mean_squared_error(y, predicted),
            "mae": metrics.mean_absolute_error(y, predicted),
            "r2": metrics.r2_score(y, predicted),
        },
        rel=1e-6,
    )
    assert "confusion_matrix" not in found
    assert all(name in output for name in ("RMSE", "MAE", "R^2"))


def test_rows_of_one_class_and_of_a_class_unknown(folder):
    (folder / "d.csv").write_text(
        "a,y\n" + "".join(f"{k % 2},{'no' if k % 2 else '[red]yes'}\n" for k in range(40))
    )
    run("train", "d.csv", "--target", "y", "--epochs", 20, "--output", "net")
    (folder / "one.csv").write_text("a,y\n1,no\n1,no\n")
    found = json.loads(run("evaluate", "net", "one.csv", "--json", "-").stdout)
    assert found["metrics"]["accuracy"] == 1
    assert found["metrics"]["roc_auc"] is None  # there is nothing to tell the class from
    (folder / "new.csv").write_text("a,y\n1,no\n0,[red]yes\n1,[b]perhaps\n")
    result = run("evaluate", "net", "new.csv")
    assert (
        "numbabp: warning: new.csv: the model does not know '[b]perhaps' of column 'y' (1 rows)"
        in result.stderr
    )
    assert "[b]perhaps" in result.stdout
    assert "[red]yes" in result.stdout
    assert "inf" in result.stdout
    found = json.loads(run("evaluate", "net", "new.csv", "--json", "-").stdout)
    assert found["confusion_matrix"] == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert found["metrics"]["accuracy"] == pytest.approx(2 / 3)


def test_numbers_as_classes(folder):
    (folder / "d.csv").write_text("a,y\n" + "".join(f"{k % 3},{k % 3}\n" for k in range(60)))
    run("train", "d.csv", "--target", "y", "--epochs", 30, "--output", "net")
    (folder / "new.csv").write_text("a,y\n0,0\n1,1.0\n")
    assert json.loads(run("evaluate", "net", "new.csv", "--json", "-").stdout)["metrics"]["accuracy"] == 1


def test_what_evaluate_refuses(folder):
    (folder / "d.csv").write_text("a,y\n" + "".join(f"{k % 7},{k * 1.5}\n" for k in range(40)))
    run("train", "d.csv", "--target", "y", "--epochs", 1, "--output", "net")
    (folder / "text.csv").write_text("a,y\n1,high\n")
    assert "has text, but the model predicts numbers" in refused("evaluate", "net", "text.csv")
    (folder / "gap.csv").write_text("a,y\n1,2\n1,\n2,\n")
    assert "target 'y' has no value in row 2 (and 1 more)" in refused("evaluate", "net", "gap.csv")
    (folder / "none.csv").write_text("a,z\n1,2\n")
    assert "there is no column 'y'" in refused("evaluate", "net", "none.csv")
    assert "--json d.csv would replace the data" in refused("evaluate", "net", "d.csv", "--json", "d.csv")
    assert "--json net would replace the model" in refused("evaluate", "net", "d.csv", "--json", "net")
    line = refused("evaluate", "net", "d.csv", "--json", "a.png", "--plot", "./a.png")
    assert "--plot and --json are the same file" in line


def test_pictures(folder):
    pytest.importorskip("matplotlib")
    for dataset, task in ((datasets.load_iris, "classes"), (datasets.load_diabetes, "numbers")):
        write("d.csv", *dataset(return_X_y=True))
        run("train", "d.csv", "--target", "y", "--epochs", 2, "--output", "net")
        result = run("evaluate", "net", "d.csv", "--plot", f"{task}.png")
        assert f"picture written to {task}.png" in result.stderr
        assert (folder / f"{task}.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_of_rows_that_leave_some_undefined():
    constant = of_numbers("y", np.ones(3), np.zeros(3))
    assert np.isnan(constant.metrics["r2"])
    assert constant.metrics["rmse"] == 1
    # classes that are not in the order of the alphabet
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    found = of_classes("y", np.array(["b", "a"]), probabilities, ["b", "a"])
    assert found.metrics["log_loss"] == pytest.approx(-np.log([0.9, 0.8]).mean())
    assert found.metrics["roc_auc"] == 1
