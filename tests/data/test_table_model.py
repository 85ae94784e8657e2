"""Models of tables: columns become what scikit-learn makes of them, and again in a loaded model."""

import io

import numpy as np
import pytest
from commands import refused, run, run_json

import numbabp as nbp
from numbabp.data.columns import TableError
from numbabp.data.preparation import Preparation
from numbabp.data.split import split_rows
from numbabp.data.table_model import TableModel, TableWarning
from numbabp.data.tables import table_of

NAN = np.nan


def passengers(n=400, seed=0):
    """A table with texts, gaps, booleans, dates and names; who survives hangs on sex, class and age."""
    rng = np.random.RandomState(seed)
    sex, fare = rng.choice(["female", "male"], n), rng.exponential(30, n).round(2)
    age = rng.uniform(1, 80, n).round(1)
    passenger_class = rng.choice(["1st", "2nd", "3rd"], n)
    odds = 2.5 * (sex == "female") - 0.9 * (passenger_class == "3rd") - 0.03 * age + 0.5
    survived = (rng.uniform(size=n) < 1 / (1 + np.exp(-odds))).astype(int)
    return {
        "name": [f"passenger {i}" for i in range(n)],
        "sex": sex.tolist(),
        "class": [None if rng.uniform() < 0.1 else value for value in passenger_class.tolist()],
        "age": [None if rng.uniform() < 0.2 else value for value in age.tolist()],
        "fare": fare.tolist(),
        "alone": (rng.uniform(size=n) < 0.5).tolist(),
        "boarded": [f"1912-04-{1 + day:02d}" for day in rng.randint(0, 15, n)],
        "survived": survived.tolist(),
    }


def csv_of(columns, separator=","):
    """As pandas writes it, with the index in front."""
    rows = zip(*columns.values(), strict=True)
    lines = [["", *columns], *([i, *("" if v is None else v for v in row)] for i, row in enumerate(rows))]
    return "\n".join(separator.join(map(str, line)) for line in lines) + "\n"


@pytest.fixture
def trained(folder):
    (folder / "data.csv").write_text(csv_of(passengers()))
    run("train", "data.csv", "--target", "survived", "--output", "net", "--epochs", 5)
    return folder


def test_columns_become_what_scikit_learn_makes_of_them():
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = passengers()
    table = table_of(columns)
    names = ["sex", "age", "class", "fare"]
    rows = np.arange(100, 400)
    prepared = Preparation.fitted(table, names, rows)
    inputs, notes = prepared.matrix(table)
    assert notes == []
    numbers = np.array([columns["age"], columns["fare"]], float).T
    imputer = SimpleImputer(add_indicator=True).fit(numbers[rows])
    scaler = StandardScaler().fit(numbers[rows])
    filled = imputer.transform(numbers)
    expected = np.hstack([scaler.transform(filled[:, :2]), filled[:, 2:]])
    assert np.allclose(inputs[:, :3], expected, rtol=1e-13, atol=1e-13)
    texts = np.array([columns["sex"], columns["class"]], object).T
    assert np.array_equal(inputs[:, 3:], OneHotEncoder(sparse_output=False).fit(texts[rows]).transform(texts))


def test_many_categories_share_the_last_input():
    values = [f"c{k:03d}" for k in range(120) for _ in range(3 if k != 7 else 1)]
    table = table_of({"a": values})
    prepared = Preparation.fitted(table, ["a"], np.arange(len(values)))
    inputs, notes = prepared.matrix(table)
    assert (inputs.sum(axis=1) == 1).all()
    assert inputs.shape[1] == prepared.n_inputs == 100
    assert inputs[21, 99] == 1  # the rarest
    assert notes == []


@pytest.mark.parametrize("around", ["{}%", "{:.1f} %", "${:,.2f}", "{} €", "{} kg", "{} EUR", '="{}"'])
def test_numbers_with_a_unit_are_no_names(around):
    texts = [around.format(value) for value in range(1000, 1100)]
    with pytest.raises(TableError, match=r"'a': .* in row 1 .*write plain numbers.*--ignore a leaves it out"):
        Preparation.fitted(table_of({"a": texts}), ["a"], np.arange(100))
    few = Preparation.fitted(table_of({"a": texts[:4] * 25}), ["a"], np.arange(100))
    assert few.categories["a"].names == tuple(sorted(texts[:4]))  # as people were asked for one of them


@pytest.mark.parametrize("around", ["#{}", "A{}", "10.0.{}.1", "+49 228 {0} 1{0}", "{}/7", "{0}-{0}"])
def test_names_with_digits_are_left_out(around):
    texts = [around.format(value) for value in range(1000, 1100)]
    prepared = Preparation.fitted(table_of({"a": texts, "b": np.arange(100)}), ["a", "b"], np.arange(100))
    assert prepared.left_out == {"a": "is different in almost every row, as a name is"}


def test_the_command_line_and_python_give_the_same(trained):
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    model = nbp.load("net")
    assert isinstance(model, TableModel)
    assert repr(model) == (
        "<TableModel of 'survived' (2 classes) from 'sex', 'class', 'age', 'fare', 'alone', 'boarded': "
        "11-100-1 network>"
    )
    printed = run("predict", "net", "data.csv").stdout.splitlines()
    table = pd.read_csv("data.csv")
    assert [f"{a},{b!r},{c!r}" for a, (b, c) in _rows(model, table)] == printed[1:]
    in_json = run_json("predict", "net", "data.csv")
    for other in ("data.csv", passengers(), table.iloc[:, ::-1], pa.Table.from_pandas(table)):
        assert np.array_equal(model.predict_proba(other)[:, 1], in_json["P(1)"])
    assert model.predict(table).tolist() == list(map(int, in_json["survived"]))
    assert model.score(table) == (model.predict(table) == table["survived"]).mean()
    in_order = table[model.columns].to_numpy()
    assert np.array_equal(model.predict(in_order), model.predict(table))


def _rows(model, table):
    return zip(model.predict(table).tolist(), model.predict_proba(table).tolist(), strict=True)


def test_a_saved_model_is_the_same(trained):
    first = nbp.load("net")
    first.save("again")
    second = nbp.load("again")
    assert np.array_equal(first.predict_proba(passengers(50, 1)), second.predict_proba(passengers(50, 1)))
    assert second.preparation.as_json() == first.preparation.as_json()


def test_what_does_not_fit_into_a_model_file_is_said_before_the_training(folder, monkeypatch):
    (folder / "d.csv").write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    monkeypatch.setattr("numbabp.data.pipeline.MAX_HEADER_BYTES", 300)
    monkeypatch.setattr(nbp.Network, "fit", None)
    line = refused("train", "d.csv", "--target", "y", "--output", "net")
    assert "1 columns are too many for a model file" in line


def test_what_is_done_is_told(trained):
    output = run("train", "data.csv", "--target", "survived", "--epochs", 1).stdout
    for line in (
        "first column left out: 'column 1' is an index",
        "standardised numbers: 'age', 'fare'",
        "standardised booleans, as 0 and 1: 'alone'",
        "standardised dates, as days since 1970: 'boarded'",
        "missing values set to the mean, and marked: 'age'",
        "'sex': 2 categories",
        "'class': 3 categories, missing",
        "left out: 'name' is different in almost every row, as a name is",
    ):
        assert line in output.splitlines()


def test_new_tables_that_differ(trained):
    model = nbp.load("net")
    table = passengers(5)
    with pytest.raises(TableError, match="there are no columns 'sex', 'fare'; there are: 'name', 'class'"):
        model.predict({name: values for name, values in table.items() if name not in ("sex", "fare")})
    with pytest.warns(TableWarning, match=r"'sex': not seen in training, .*: 'other' \(5 rows\)"):
        model.predict({**table, "sex": ["other"] * 5})
    with pytest.warns(TableWarning, match="'fare': 5 missing values set to the mean"):
        model.predict({**table, "fare": [None] * 5})
    with pytest.raises(TableError, match="column 'fare': 'x' in row 1 is text, but the model learnt numbers"):
        model.predict({**table, "fare": ["x"] * 5})
    with pytest.raises(TableError, match="'boarded' has numbers, but the model learnt dates"):
        model.predict({**table, "boarded": [1] * 5})
    with pytest.raises(TableError, match=r"must have shape \(n, 6\)"):
        model.predict(np.zeros((3, 2)))
    numbers_for_texts = {**table, "class": [1] * 5}
    with pytest.warns(TableWarning, match="'class': not seen"):
        assert len(model.predict(numbers_for_texts)) == 5


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_numbers_that_stand_for_no_value(folder, kind):
    """-999 is none however it is written, in every kind of file and in tables in memory."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    x = np.arange(60.0)
    frame = pd.DataFrame(
        {"x": np.where(x % 5 == 0, -999, x), "n": -999 * (x % 7 == 0).astype(int), "y": 2.0 * x}
    )
    frame.to_csv("d.csv", index=False)
    frame.to_parquet("d.parquet")
    np.savez("d.npz", **{name: frame[name].to_numpy() for name in frame})
    told = run_json(
        "train", f"d.{kind}", "--target", "y", "--missing", "-999", "--output", "net", "--epochs", 1
    )
    assert "missing values set to the mean, and marked: 'x', 'n'" in told["columns"]
    model = nbp.load("net")
    printed = run_json("predict", "net", f"d.{kind}")["y"]
    assert model.predict(frame).tolist() == printed
    assert model.predict({name: frame[name].tolist() for name in ("x", "n")}).tolist() == printed
    assert np.array_equal(model.predict(frame.replace(-999, np.nan)), printed)


def test_regressions_have_no_probabilities(folder):
    x = np.linspace(0, 1, 60)
    (folder / "d.csv").write_text("x;y\n" + "".join(f"{v:.3f};{2 * v:.3f}\n".replace(".", ",") for v in x))
    output = run("train", "d.csv", "--target", "y", "--output", "net").stdout
    assert "decimal commas in 'x', 'y'" in output
    model = nbp.load("net")
    assert model.classes_ is None
    assert model.predict({"x": [0.25, 0.75]}) == pytest.approx([0.5, 1.5], abs=0.1)
    with pytest.raises(AttributeError, match="regression"):
        model.predict_proba({"x": [0.5]})


def test_a_target_called_like_a_column_of_probabilities(folder):
    (folder / "d.csv").write_text("x,P(0)\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    run("train", "d.csv", "--target", "P(0)", "--output", "net", "--epochs", 1)
    done = run("predict", "net", "d.csv")
    assert done.stdout.splitlines()[0] == "P(0),probability of P(0),P(1)"
    assert "called 'probability of P(0)'" in done.stderr


@pytest.mark.parametrize(
    "target",
    [
        [f'"{1 + i},{10 * i:03d}"' for i in range(1, 41)],
        [str(i / 7) if i != 30 else "n.d." for i in range(400)],
    ],
    ids=["commas", "one text"],
)
def test_targets_that_are_not_quite_numbers_are_refused(folder, target):
    (folder / "d.csv").write_text("x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(target)))
    line = refused("train", "d.csv", "--target", "y", "--output", "net")
    assert "'2,010' in row 1" in line or "'n.d.' in row 31" in line
    assert "--decimal ," in line or "--missing 'n.d.'" in line
    assert not (folder / "net").exists()


def test_decimals_of_parquet_are_amounts(folder):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    y = pa.array(np.arange(60)).cast(pa.decimal128(22, 3))
    parquet.write_table(pa.table({"x": np.arange(60.0), "y": y}), "d.parquet")
    assert run_json("train", "d.parquet", "--target", "y", "--epochs", 1)["metric"] == "R^2"


def test_tables_from_pipes(trained, monkeypatch):
    import sys

    content = (trained / "data.csv").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    # the runner of commands has a standard input of its own
    from typer.testing import CliRunner

    from numbabp.cli.app import app

    done = CliRunner().invoke(app, ["predict", "net", "-"], input=content)
    assert done.stdout == run("predict", "net", "data.csv").stdout


def test_wide_tables_take_little_time(folder):
    import time

    n = 20_000
    header = ",".join(f"feature_{j}" for j in range(n))
    rng = np.random.RandomState(0)
    rows = [",".join(map(str, rng.standard_normal(n).round(3))) for _ in range(10)]
    lines = [f"{header},y", *(f"{row},{'ab'[i % 2]}" for i, row in enumerate(rows))]
    (folder / "d.csv").write_text("\n".join(lines) + "\n")
    start = time.process_time()
    run("train", "d.csv", "--target", "y", "--epochs", 1, "--hidden", 2, "--output", "net")
    assert len(run("predict", "net", "d.csv").stdout.splitlines()) == 11
    assert time.process_time() - start < 20  # looking each name up among the others took minutes


def test_splits_have_every_class():
    from numbabp.data.datasets import load_dataset

    samples = load_dataset("iris")
    kept, aside = split_rows(samples, np.arange(150), 30, 0)
    assert sorted([*kept, *aside]) == list(range(150))
    assert np.unique(samples.y[aside], return_counts=True)[1].tolist() == [10, 10, 10]
    again = split_rows(samples, np.arange(150), 30, 0)
    assert np.array_equal(again[0], kept)
    assert not np.array_equal(split_rows(samples, np.arange(150), 30, 1)[1], aside)


def test_reading_needs_no_extra(trained, monkeypatch):
    import sys

    expected = run("predict", "net", "data.csv").stdout
    for name in ("pandas", "pyarrow", "arff"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run("predict", "net", "data.csv").stdout == expected
