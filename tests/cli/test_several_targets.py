"""Several targets: what commands and a loaded model make of them, against scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pytest
from commands import refused, run, run_json
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    hamming_loss,
    mean_absolute_error,
    precision_recall_fscore_support,
    r2_score,
    root_mean_squared_error,
)
from sklearn.multioutput import MultiOutputClassifier

import numbabp as nbp
from numbabp.data.columns import NUMBER, Column, TableError, as_texts
from numbabp.data.datasets import Dataset
from numbabp.data.split import Split, split_rows
from numbabp.data.tables import Table

TARGETS = {"amounts": ("u", "v"), "labels": ("wet", "hot")}


def columns(n=300, seed=0):
    """Two amounts, a text and a number of two classes each, and one of three, from four columns."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, 4))
    return {
        **{f"x{j}": X[:, j].round(4) for j in range(4)},
        "u": (3 * X[:, 0] + 2 * np.sin(2 * X[:, 1]) + 100).round(5),
        "v": (1000 * X[:, 2] ** 2 + 10 * rng.standard_normal(n)).round(3),
        "wet": np.where(X[:, 0] + X[:, 1] > 0, "yes", "no"),
        "hot": (X[:, 2] * X[:, 3] > 0).astype(int),
        "three": rng.randint(0, 3, n),
    }


def write(path, table):
    rows = zip(*(values.tolist() for values in table.values()), strict=True)
    path.write_text("\n".join([",".join(table), *(",".join(map(str, row)) for row in rows)]) + "\n")


def options(kind):
    others = [name for name in ("u", "v", "wet", "hot", "three") if name not in TARGETS[kind]]
    return (*(part for name in TARGETS[kind] for part in ("--target", name)), "--ignore", ",".join(others))


@pytest.fixture(params=list(TARGETS))
def trained(folder, request):
    """A model of either kind in `net`, and new rows in `new.csv`."""
    write(folder / "d.csv", columns())
    write(folder / "new.csv", columns(120, 1))
    told = run_json("train", "d.csv", *options(request.param), "--output", "net", "--epochs", 20)
    return request.param, told


def predicted_by(path):
    """Predictions of the command line for new.csv."""
    return run_json("predict", "net", path)


def test_the_command_line_and_python_give_the_same(trained):
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    kind, _ = trained
    names = list(TARGETS[kind])
    model, printed, table = nbp.load("net"), predicted_by("new.csv"), pd.read_csv("new.csv").iloc[::-1]
    frame = model.predict(table)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == names == model.target_names
    assert frame.index.equals(table.index)
    in_order = frame.sort_index()
    arrays = [model.predict(other) for other in ("new.csv", columns(120, 1), pa.table(columns(120, 1)))]
    for j, name in enumerate(names):
        of_printed = printed[name] if kind == "amounts" else [str(value) for value in printed[name]]
        as_printed = (lambda v: v) if kind == "amounts" else str
        assert list(map(as_printed, in_order[name].tolist())) == of_printed
        for array in arrays:
            assert array.shape == (120, 2)
            assert list(map(as_printed, array[:, j].tolist())) == of_printed
    if kind == "amounts":
        with pytest.raises(AttributeError, match="regression"):
            model.predict_proba(table)
        assert list(printed) == names
        return
    assert [labels.tolist() for labels in model.classes_] == [["no", "yes"], [0, 1]]
    assert in_order["hot"].dtype.kind == "i"
    assert list(printed) == [*names, "P(wet=no)", "P(wet=yes)", "P(hot=0)", "P(hot=1)"]
    probabilities = model.predict_proba("new.csv")
    for j, (name, labels) in enumerate(zip(names, model.classes_, strict=True)):
        assert probabilities[:, j].tolist() == printed[f"P({name}={labels[1]})"]
        assert (1 - probabilities[:, j]).tolist() == printed[f"P({name}={labels[0]})"]
        assert [str(labels[int(p > 0.5)]) for p in probabilities[:, j]] == printed[name]
    text = run("predict", "net", "new.csv").stdout.splitlines()
    assert text[0] == ",".join(printed)
    assert text[1].split(",")[2:] == [repr(printed[name][0]) for name in list(printed)[2:]]


def test_the_network_is_the_one_of_these_outputs(trained):
    kind, told = trained
    model = nbp.load("net")
    loss = "squared_error" if kind == "amounts" else "binary_cross_entropy"
    assert (model.network.loss, model.network.layer_sizes) == (loss, (4, 100, 2))
    assert told["targets"] == list(TARGETS[kind])
    assert repr(model).startswith(f"<TableModel of {', '.join(map(repr, TARGETS[kind]))}")
    model.save("again")
    assert np.array_equal(nbp.load("again").predict("new.csv"), model.predict("new.csv"))


def test_scores_are_those_of_scikit_learn(trained):
    kind, told = trained
    pd = pytest.importorskip("pandas")
    names, model, table = list(TARGETS[kind]), nbp.load("net"), pd.read_csv("new.csv")
    truth, found = table[names], model.predict(table)
    if kind == "amounts":
        assert told["metric"] == "mean R^2"
        assert model.score(table) == pytest.approx(r2_score(truth, found), rel=1e-6)
        each = r2_score(truth, found, multioutput="raw_values").tolist()
    else:
        assert told["metric"] == "subset accuracy"
        assert model.score(table) == (truth.to_numpy() == found.to_numpy()).all(axis=1).mean()
        each = [accuracy_score(truth[name], found[name]) for name in names]
    assert model.scores(table) == pytest.approx(dict(zip(names, each, strict=True)), rel=1e-6)
    assert min(model.scores(table).values()) > 0.8
    for part, overall in told["scores"].items():
        of_each = told["scores_by_target"][part].values()
        assert overall <= max(of_each)
        if kind == "amounts":
            assert overall == pytest.approx(np.mean(list(of_each)))


def test_scores_of_tables_that_lack_values_of_a_target(folder):
    """They are refused, and left out where --missing was told in training, as commands do."""
    write(folder / "d.csv", columns())
    table = columns(50, 2)
    table["v"] = np.where(np.arange(50) == 7, -999, table["v"])
    rows = np.arange(50) != 7
    present = {name: values[rows] for name, values in table.items()}
    run("train", "d.csv", *options("amounts"), "--missing", "-999", "--output", "net", "--epochs", 5)
    assert nbp.load("net").scores(table) == nbp.load("net").scores(present)
    run("train", "d.csv", *options("amounts"), "--output", "net", "--epochs", 5)
    model = nbp.load("net")
    for gap, message in ((np.nan, "'v' has no finite value in row 8"), ("high", "'v' has text")):
        values = [gap if value == -999 else value for value in table["v"].tolist()]
        with pytest.raises(TableError, match=message):
            model.score({**table, "v": values})


def samples_of(names):
    table = {
        name: as_texts(name, values.tolist()) if values.dtype.kind == "U" else Column(name, NUMBER, values)
        for name, values in columns().items()
    }
    task = "regression" if names == TARGETS["amounts"] else "classification"
    return Dataset(Table("d.csv", table), [f"x{j}" for j in range(4)], tuple(table[n] for n in names), task)


def test_baselines_are_those_of_scikit_learn(trained):
    kind, told = trained
    split = Split.of(samples_of(TARGETS[kind]), 0.2, 0)
    X, y = split.held_out
    models = {
        "amounts": {"constant": DummyRegressor(), "linear": Ridge()},
        "labels": {
            "constant": MultiOutputClassifier(DummyClassifier()),
            "linear": MultiOutputClassifier(LogisticRegression(max_iter=200)),
        },
    }[kind]
    for name, model in models.items():
        predicted = model.fit(split.inputs, split.targets).predict(X)
        score = r2_score if kind == "amounts" else accuracy_score
        assert told["baselines"][name] == pytest.approx(score(y, predicted)), name
        each = {target: score(y[:, j], predicted[:, j]) for j, target in enumerate(TARGETS[kind])}
        assert told["baselines"][f"{name}_by_target"] == pytest.approx(each)
    assert told["warnings"] == []


def test_what_is_printed_of_each_target(trained):
    kind, told = trained
    output = run("train", "d.csv", *options(kind), "--epochs", 20, "--cv", 3).stdout
    cells = [line.split() for line in output.splitlines()]
    folds = run_json("train", "d.csv", *options(kind), "--epochs", 20, "--cv", 3)["cross_validation"]
    assert folds["stratified"] == (kind == "labels")
    assert len(folds["network"]["scores"]) == 3
    for name in TARGETS[kind]:
        figures = (
            told["scores_by_target"]["validation"][name],
            told["baselines"]["constant_by_target"][name],
            told["baselines"]["linear_by_target"][name],
            folds["by_target"][name]["network"]["mean"],
        )
        assert [name, *(f"{figure:.4f}" for figure in figures)] in cells


def test_metrics_of_amounts(folder):
    write(folder / "d.csv", columns())
    run("train", "d.csv", *options("amounts"), "--output", "net", "--epochs", 20)
    found = json.loads(run("evaluate", "net", "d.csv", "--json", "-").stdout)
    predicted, table = predicted_by("d.csv"), columns()
    assert found["targets"] == ["u", "v"]
    assert found["n_rows"] == 300
    for one in found["per_target"]:
        truth, guess = table[one["target"]], predicted[one["target"]]
        assert one["metrics"] == pytest.approx(
            {
                "r2": r2_score(truth, guess),
                "rmse": root_mean_squared_error(truth, guess),
                "mae": mean_absolute_error(truth, guess),
            }
        )
    both = [np.column_stack([t["u"], t["v"]]) for t in (table, predicted)]
    assert found["metrics"] == {"mean_r2": pytest.approx(r2_score(*both))}
    output = run("evaluate", "net", "d.csv").stdout
    assert "300 rows, targets u, v" in output
    of_v = found["per_target"][1]["metrics"]
    assert ["v", *(f"{of_v[m]:.4g}" for m in ("r2", "rmse", "mae"))] in [
        line.split() for line in output.splitlines()
    ]


def test_metrics_of_labels(folder):
    write(folder / "d.csv", columns())
    run("train", "d.csv", *options("labels"), "--output", "net", "--epochs", 20)
    result = run("evaluate", "net", "d.csv", "--json", "e.json")
    found = json.loads((folder / "e.json").read_text())
    predicted, table = predicted_by("d.csv"), columns()
    truth = np.column_stack([table["wet"] == "yes", table["hot"] == 1])
    guess = np.column_stack([np.array(predicted["wet"]) == "yes", np.array(predicted["hot"]) == "1"])
    precision, recall, f1, rows = precision_recall_fscore_support(truth, guess, average=None)
    assert found["metrics"]["subset_accuracy"] == accuracy_score(truth, guess)
    assert found["metrics"]["hamming_loss"] == pytest.approx(hamming_loss(truth, guess))
    assert found["metrics"]["micro_f1"] == pytest.approx(f1_score(truth, guess, average="micro"))
    assert found["metrics"]["mean_f1"] == pytest.approx(f1_score(truth, guess, average="macro"))
    lines = [line.split() for line in result.stdout.splitlines()]
    for j, (one, positive) in enumerate(zip(found["per_target"], ("yes", "1"), strict=True)):
        row = one["per_class"][1]
        assert row["class"] == positive
        assert (row["precision"], row["recall"], row["f1"], row["rows"]) == pytest.approx(
            (precision[j], recall[j], f1[j], rows[j])
        )
        figures = (row["precision"], row["recall"], row["f1"], row["roc_auc"], one["metrics"]["accuracy"])
        assert [one["target"], positive, *(f"{v:.4g}" for v in figures), str(row["rows"])] in lines


def test_labels_that_the_model_does_not_know(folder):
    write(folder / "d.csv", columns())
    run("train", "d.csv", *options("labels"), "--output", "net", "--epochs", 5)
    table = columns(50, 2)
    table["wet"] = np.where(np.arange(50) == 7, "damp", table["wet"])
    write(folder / "new.csv", table)
    result = run("evaluate", "net", "new.csv", "--json", "-")
    assert "new.csv: the model does not know 'damp' of column 'wet' (1 rows)" in result.stderr
    found = json.loads(result.stdout)
    right = [
        [str(a) == b for a, b in zip(table[name], predicted_by("new.csv")[name], strict=True)]
        for name in ("wet", "hot")
    ]
    assert not right[0][7]
    assert found["metrics"]["subset_accuracy"] == np.all(right, axis=0).mean()
    with pytest.raises(TableError, match="'wet' has damp in row 8, which is not one of the 2 classes"):
        nbp.load("net").score("new.csv")


def test_pictures(trained):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    kind, _ = trained
    axes = []
    save = Figure.savefig
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda f, *a, **k: (axes.append(f.axes), save(f, *a, **k)))
        run("train", "d.csv", *options(kind), "--epochs", 2, "--plot", "t.png")
        run("evaluate", "net", "new.csv", "--plot", "e.svg")
    for drawn in axes:
        assert set(TARGETS[kind]) <= {axis.get_title() for axis in drawn}
    assert "Loss" in {axis.get_title() for axis in axes[0]}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("u", "wet"), "targets must be all classes or all amounts, but 'wet' would be classes, 'u' amounts"),
        (("hot", "u"), "'u' amounts; --task regression takes whole numbers for amounts"),
        (("wet", "three"), "must have two classes each, but 'three' has 3, such as 0, 1, 2; train a model"),
        (("u", "v", "u"), "--target u is given twice"),
        (("u,v",), "there is no column 'u,v'; name several targets as --target u --target v"),
        (("u", "gone"), "there is no column 'gone'"),
    ],
)
def test_what_can_not_be_learnt_together(folder, names, message):
    write(folder / "d.csv", columns())
    line = refused("train", "d.csv", *(part for name in names for part in ("--target", name)))
    assert message in line


def test_whole_numbers_may_be_amounts(folder):
    write(folder / "d.csv", columns())
    told = run_json(
        "train", "d.csv", "--target", "u", "--target", "hot", "--task", "regression", "--epochs", 1
    )
    assert told["metric"] == "mean R^2"


def test_sweeps_rank_by_all_targets(folder):
    write(folder / "d.csv", columns())
    told = run_json("sweep", "d.csv", *options("labels"), "--hidden", 4, "--seeds", 2, "--epochs", 5)
    assert told["metric"] == "validation subset accuracy"


def test_a_target_below_a_linear_model_is_named(folder):
    table = columns()
    table["line"] = 3.0 * table["x0"]
    table["noise"] = np.random.RandomState(5).standard_normal(300)
    write(folder / "d.csv", {name: table[name] for name in ("x0", "x1", "x2", "x3", "line", "noise")})
    result = run("train", "d.csv", "--target", "line", "--target", "noise")
    assert "warning: validation mean R^2" in result.stderr
    assert "R^2 of 'noise'" in result.stderr


def test_a_label_that_training_rows_lack(folder):
    """Its constant is the linear model, and scikit-learn's refusal is none of the user's business."""
    table = columns(60)
    set_aside = np.random.RandomState(0).permutation(60)[0]
    table["hot"] = (np.arange(60) == set_aside).astype(int)
    write(folder / "d.csv", {name: table[name] for name in ("x0", "x1", "wet", "hot")})
    told = run_json("train", "d.csv", "--target", "wet", "--target", "hot", "--epochs", 2)["baselines"]
    assert told["linear_by_target"]["hot"] == told["constant_by_target"]["hot"] == pytest.approx(11 / 12)


def test_rows_set_aside_have_all_combinations():
    samples = samples_of(TARGETS["labels"])
    kept, aside = split_rows(samples, np.arange(300), 60, 0)
    assert sorted([*kept, *aside]) == list(range(300))
    _, all_of_them = np.unique(samples.y, axis=0, return_counts=True)
    _, some = np.unique(samples.y[aside], axis=0, return_counts=True)
    assert np.abs(some - all_of_them / 5).max() < 1
    rare = Column("rare", NUMBER, (np.arange(300) == 3).astype(float))
    assert replace(samples, targets=(*samples.targets, rare)).strata is None


def test_targets_of_an_archive_are_not_learnt_from(folder):
    table = columns()
    X = np.column_stack([table[f"x{j}"] for j in range(4)])
    np.savez(folder / "d.npz", X=X, y=np.column_stack([table["u"], table["v"]]))
    assert run_json("train", "d.npz", "--epochs", 1)["layer_sizes"] == [4, 100, 2]
    assert run_json("train", "d.npz", "--target", "y0", "--epochs", 1)["layer_sizes"] == [4, 100, 1]


def test_of_two_arrays_of_targets_one_is_named(folder):
    table = columns()
    np.savez(folder / "d.npz", X=table["x0"], y=table["u"], label=table["wet"])
    assert "--target, once for each; there are: 'y', 'label'" in refused("train", "d.npz")
    assert run_json("train", "d.npz", "--target", "y", "--epochs", 1)["layer_sizes"] == [1, 100, 1]


def test_a_file_of_fann_has_its_targets(folder):
    """As FANN's users train: all outputs, by rprop."""
    rows = [("0 0", "0 1"), ("0 1", "1 0"), ("1 0", "1 0"), ("1 1", "0 1")] * 5
    text = f"{len(rows)} 2 2\n" + "".join(f"{x}\n{y}\n" for x, y in rows)
    (folder / "xor.data").write_text(text)
    told = run_json(
        "train", "xor.data", "--hidden", "8", "--activation", "tanh", "--update-rule", "rprop", "--epochs",
        300, "--learning-rate", "0.1", "--output", "xor.safetensors", "--task", "labels",
    )  # fmt: skip
    assert told["layer_sizes"] == [2, 8, 2]
    found = json.loads(run("evaluate", "xor.safetensors", "xor.data", "--json", "-").stdout)
    assert found["metrics"]["subset_accuracy"] == 1
