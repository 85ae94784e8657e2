"""Files into columns."""

import sys

import numpy as np
import pytest

from numbabp.data import table_files as formats
from numbabp.data.table_files import read_table
from numbabp.data.tables import Table, TableError


def write(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "a,b,c\n1,x,\n-2.5e3,é,4\n"),
        ("t.csv", "\ufeffa,b,c\r\n1, x,\r\n\r\n -2.5e3,é,4"),
        ("t.csv", 'a;b;c\n1;"x";NA\n-2500;é;4\n'),
        ("t.csv", "a\tb\tc\n1\tx\tnull\n-2500\té\t4\n"),
        ("t.tsv", "a\tb\tc\n1\tx\t?\n-2500\té\t4\n"),
    ],
)
def test_csv(tmp_path, name, content):
    table = read_table(write(tmp_path, content, name))
    assert list(table.columns) == ["a", "b", "c"]
    assert table.columns["a"].tolist() == [1, -2500]
    assert table.columns["b"].tolist() == ["x", "é"]
    assert np.array_equal(table.columns["c"], [np.nan, 4], equal_nan=True)


def test_a_column_that_turns_into_text_late_keeps_its_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "ROWS_AT_A_TIME", 2)
    table = read_table(write(tmp_path, "a,b\n007,1\n08,2\n9,3\n10,4\nx,5\n"))
    assert table.columns["a"].tolist() == ["007", "08", "9", "10", "x"]
    assert table.columns["b"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "first line is blank"),
        ("a,b\n", "no rows below the header"),
        ("a,b\n1,2\n3\n", "line 3 has 1 fields, but the header has 2"),
        ('a,b\n"1\n",2\n3,4,5\n', "line 4 has 3 fields"),
        ('a,b\n1,"2\n', "line 2: unexpected end of data"),
        ("a,a\n1,2\n", "'a' more than once"),
        ("a,\n1,2\n", "without a name"),
        ("1,2\n3,4\n", "has only numbers"),
        (b"a,b\n\xff,1\n", "not UTF-8"),
    ],
)
def test_bad_csv(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(TableError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_npz(tmp_path):
    X = np.arange(6, dtype=np.int32).reshape(3, 2)
    np.savez(tmp_path / "t.npz", X=X, y=np.array(["u", "v", "u"]), flag=np.array([True, False, True]))
    columns = read_table(tmp_path / "t.npz").columns
    assert {name: column.tolist() for name, column in columns.items()} == {
        "X0": [0, 2, 4],
        "X1": [1, 3, 5],
        "y": ["u", "v", "u"],
        "flag": [1, 0, 1],
    }


def test_bad_npz(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, X=np.zeros((3, 2)), y=np.zeros(2))
    with pytest.raises(TableError, match="different lengths"):
        read_table(path)
    np.savez(path, X=np.array([{}], object))
    with pytest.raises(TableError, match="not an NPZ file of plain arrays"):  # and nothing was unpickled
        read_table(path)
    np.savez(path, X=np.zeros((3, 2, 2)))
    with pytest.raises(TableError, match="'X' has shape"):
        read_table(path)
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(TableError, match="a single array"):
        read_table(path)
    write(tmp_path, b"PK\x03\x04 but no more", "t.npz")
    with pytest.raises(TableError, match="not an NPZ file"):
        read_table(path)


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    table = pa.table({"a": [1, None, 3], "b": [True, False, True], "c": ["u", None, "v"]})
    parquet.write_table(table.set_column(2, "c", table["c"].dictionary_encode()), path)
    columns = read_table(path).columns
    assert np.array_equal(columns["a"], [1, np.nan, 3], equal_nan=True)
    assert columns["b"].tolist() == [1, 0, 1]
    assert columns["c"].tolist() == ["u", "", "v"]
    write(tmp_path, b"PAR1", "t.parquet")
    with pytest.raises(TableError, match="not a Parquet file"):
        read_table(path)


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TableError, match="needs pyarrow"):
        read_table(write(tmp_path, b"PAR1", "t.parquet"))


def test_other_files(tmp_path):
    with pytest.raises(TableError, match=r"must end in \.csv"):
        read_table(write(tmp_path, "a,b\n1,2\n", "t.xlsx"))
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "absent.csv")


def target(values, task="auto"):
    return Table("t", {"y": np.array(values)}).target("y", task)


def test_targets():
    y, task = target([1.0, 2.0, 10.0])
    assert (y.tolist(), task) == (["1", "2", "10"], "classification")
    y, task = target([1.0, 2.5])
    assert (y.tolist(), task) == ([1, 2.5], "regression")
    assert target(np.arange(30.0))[1] == "regression"
    assert target([1.0, 2.0], "regression")[1] == "regression"
    assert target([0.5, 1.0], "classification")[0].tolist() == ["0.5", "1"]
    assert target([1e300, 1.0], "classification")[0].tolist()[1] == "1"
    y, task = target(np.array(["b", "a"], object))
    assert (y.tolist(), task) == (["b", "a"], "classification")


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        ([1.0, 1.0], "auto", "is 1.0 in every row"),
        (np.array(["a"], object), "auto", "is a in every row"),
        ([1.0, np.nan], "auto", "no value in row 2"),
        ([1.0, np.inf], "auto", "infinite value in row 2"),
        (np.array(["a", "NA"], object), "auto", "no value in row 2"),
        (np.array(["1", "a"], object), "regression", "has text .'a' in row 2."),
    ],
)
def test_bad_targets(values, task, message):
    with pytest.raises(TableError, match=message):
        target(values, task)
