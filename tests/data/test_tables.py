"""Files and other libraries' tables into columns."""

import bz2
import datetime
import gzip
import io
import lzma
import os
import pickle
import sys
import threading
from decimal import Decimal

import numpy as np
import pytest
from scipy import sparse

from numbabp.data.columns import Column, TableError, column_of_array, column_of_texts
from numbabp.data.dates import days_of_array
from numbabp.data.files import text
from numbabp.data.files.reading import Reading
from numbabp.data.preparation import Preparation
from numbabp.data.table_files import read_table
from numbabp.data.tables import Table, table_of
from numbabp.data.targets import labels_of, read_target


def write(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def values(table):
    return {name: column.values.tolist() for name, column in table.columns.items()}


NAN = pytest.approx(np.nan, nan_ok=True)
SAME = [
    ("t.csv", "a,b,c\n1,x,\n-2.5e3,é,4\n"),
    ("t.csv", "\ufeffa,b,c\r\n1, x,\r\n\r\n -2.5e3,é,4"),
    ("t.csv", 'a;b;c\n1;"x";NA\n-2500;é;4\n'),
    ("t.csv", "a\tb\tc\n1\tx\tnull\n-2500\té\t4\n"),
    ("t.tsv", "a\tb\tc\n1\tx\t?\n-2500\té\t4\n"),
    ("t.csv", "a|b|c\n1|x|NaN\n-2500|é|4\n"),
    ("t.txt", "a  b c\n1  x   ?\n-2500 é 4\n"),
    ("t.csv", ",a,b,c\n17,1,x,\n4,-2500,é,4\n"),
    ("t.csv", "Unnamed: 0,a,b,c\n0,1,x,\n1,-2500,é,4\n"),
    ("t.csv", '"a" "b" "c"\n"1" 1 "x" NA\n"2" -2500 "é" 4\n'),
    ("t.csv", "a,b,c\n1,x,,\n-2500,é,4,\n"),
    ("t.csv", "sep=;\na;b;c\n1;x;\n-2500;é;4\n"),
    ("t.csv.gz", gzip.compress("a,b,c\n1,x,\n-2500,é,4\n".encode(), mtime=0)),
    ("t.csv", "a,b,c\n1,x,\n-2500,é,4\n".encode("cp1252")),
    ("t.csv", "a,b,c\n1,x,\n-2500,é,4\n".encode("utf-16")),
    ("t.csv", "a;b;c\n1,0;x;\n-2.500,00;é;4\n"),
    ("t.csv", 'a,b,c\n1,x,\n"-2,500.0",é,4\n'),
    ("t.csv", "a,b,c\n1,x,\n-2500,é,4\n".encode("utf-16-le")),
    ("t.csv", "a,b,c\n1,x,\n-2500,é,4\n".encode("utf-16-be")),
    ("t.csv", "a,b,c\n1,x,\n-2500,é,4\n".encode("utf-32")),
    ("t.csv", "a,b,c\n1,x,\n\u22122500,é,4\n"),
    ("t.csv", "# measured\n#\n# by us, in 2024\na,b,c\n1,x,\n-2500,é,4\n"),
    ("t.csv", "\ufeff% measured\ra;b;c\r1;x;\r-2500;é;4\r"),
    ("t.csv", "# a,b,c\n1,x,\n-2500,é,4\n"),
    ("t.txt", "# measured\n# a b c\n1 x ?\n-2500 é 4\n"),
]


@pytest.mark.parametrize(("name", "content"), SAME)
def test_text_files(tmp_path, name, content):
    assert values(read_table(write(tmp_path, content, name))) == {
        "a": [1, -2500],
        "b": ["x", "é"],
        "c": [NAN, 4],
    }


def test_signs_of_comments_may_begin_names_and_values(tmp_path):
    table = read_table(write(tmp_path, "#id,colour\n#1,#ff0000\n#2,#00ff00\n"))
    assert values(table) == {"#id": ["#1", "#2"], "colour": ["#ff0000", "#00ff00"]}
    np.savetxt(tmp_path / "t.txt", [[1, 2], [3, 4]], header="a b")
    assert values(read_table(tmp_path / "t.txt")) == {"a": [1, 3], "b": [2, 4]}


def test_pipes_and_standard_input(tmp_path, monkeypatch):
    content = b"a,b\n1,x\n2,y\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert values(read_table("-")) == {"a": [1, 2], "b": ["x", "y"]}
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
        writer.start()
        assert values(read_table(tmp_path / "pipe")) == {"a": [1, 2], "b": ["x", "y"]}
        writer.join()


def test_a_column_that_turns_into_text_late_keeps_its_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "ROWS_AT_A_TIME", 2)
    table = read_table(write(tmp_path, "a,b\n007,1\n08,2\n9,3\n10,4\nx,5\n"))
    assert table.columns["a"].values.tolist() == ["007", "08", "9", "10", "x"]
    assert table.columns["b"].values.tolist() == [1, 2, 3, 4, 5]


def test_what_is_told_of_a_file(tmp_path):
    path = write(tmp_path, "7,x\n08,n.d.\n", "t.csv")
    table = read_table(path, Reading(has_header=False, missing=("n.d.",), texts=("1",)))
    assert values(table) == {"1": ["7", "08"], "2": ["x", None]}
    path = write(tmp_path, "a^b\n1,5^2\n")
    assert values(read_table(path, Reading(separator="^"))) == {"a": [1.5], "b": [2]}
    path = write(tmp_path, 'a,b\n"1,010","1,5"\n')
    assert values(read_table(path)) == {"a": [1.01], "b": [1.5]}  # the other column tells
    path = write(tmp_path, "a;b\n1,010;1.010\n")
    assert values(read_table(path, Reading(decimal=","))) == {"a": [1.01], "b": [1010]}
    assert values(read_table(path, Reading(decimal="."))) == {"a": [1010], "b": [1.01]}
    path = write(tmp_path, 'a,b,c,d\n1,-999,"1,000.5",x\n-999.0,2,-999,-999\n')
    told = read_table(path, Reading(missing=("-999",)))
    assert values(told) == {"a": [1, NAN], "b": [NAN, 2], "c": [1000.5, NAN], "d": ["x", None]}
    for wrong in ({"separator": "ab"}, {"decimal": "x"}):
        with pytest.raises(ValueError, match=r"must be .* got"):
            Reading(**wrong)


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
        ("1,2\n3,4\n", "has only numbers; --no-header"),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", "looks like data .'5.1' is a number.; --no-header"),
        (b"a,b\n\0\1,1\n", "neither a table of text"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "damaged"),
    ],
)
def test_bad_text_files(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(TableError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_kinds_of_columns():
    booleans = column_of_texts("a", ["True", "false", ""])
    assert (booleans.kind, booleans.values.tolist()) == ("boolean", [1, 0, NAN])
    for form in ("2020-03-01", "01.03.2020", "2020-03-01T12:00:00", "2020-03-01 13:00+01:00", "Mar 01, 2020"):
        dates = column_of_texts("a", [form, None])
        assert (dates.kind, dates.values.tolist()) == (
            "date",
            [18322 + ("12" in form or "13" in form) / 2, NAN],
        )
    exact = column_of_array("a", np.array(["2020-03-01T12:00", "NaT"], "datetime64[ns]"))
    assert (exact.kind, exact.values.tolist()) == ("date", [18322.5, NAN])
    many = {
        "2020-03-31": ["31.03.2020", "03/31/20", "31.03.20", "31-Mar-20", "2020.03.31", "Tue, 31 Mar 2020"],
        "2020-03-31T15:30": ["3/31/2020 3:30 PM", "31.03.2020 15:30", "03/31/20 03:30:00 pm"],
        "2020-03-01": ["2020-03", "Mar 2020", "March 2020", "2020/03", "03/2020"],
    }
    for moment, forms in many.items():
        days = days_of_array(np.array([moment], "datetime64[us]")).tolist()
        for form in forms:
            dates = column_of_texts("a", [form])
            assert (dates.kind, dates.values.tolist()) == ("date", days)
    for form in ("1.10.12", "10.0.0.1", "2010-13", "12 Monkeys", "Tue, 31", "3/4"):
        assert column_of_texts("a", [form]).kind == "text"
    mixed = column_of_texts("a", ["2020-03-01", "2020-03-02", "02.03.2020"])
    assert "'02.03.2020' in row 3 is not written as the date '2020-03-01' is" in str(mixed.trouble)
    assert column_of_texts("a", ["1_0"]).kind == "text"
    assert column_of_texts("a", ["1 010", "1'010,5"]).values.tolist() == [1010, 1010.5]
    assert column_of_texts("a", ["1,234,567", "2"]).values.tolist() == [1234567, 2]
    undecided = column_of_texts("a", ["1", "1,010"])
    assert "'1,010' in row 2 may be 1.01 or 1010; say --decimal ," in str(undecided.trouble)
    assert "can't be told apart" in str(column_of_texts("a", ["03/04/2020"]).trouble)
    assert column_of_texts("a", ["03/04/2020", "13/04/2020"]).kind == "date"
    assert "'n.d.' in row 3 is no number" in str(column_of_texts("a", ["1", "2", "n.d."]).trouble)
    assert "is a number with something around it" in str(column_of_texts("a", ["12 %", "13 %"]).trouble)


def test_npz(tmp_path):
    X = np.arange(6, dtype=np.int32).reshape(3, 2)
    np.savez(tmp_path / "t.npz", X=X, y=np.array(["u", "v", "u"]), flag=np.array([True, False, True]))
    table = read_table(tmp_path / "t.npz")
    assert values(table) == {"X0": [0, 2, 4], "X1": [1, 3, 5], "y": ["u", "v", "u"], "flag": [1, 0, 1]}
    assert table.targets == ("y",)
    images = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
    np.savez_compressed(
        tmp_path / "mnist.npz", x_train=images[:3], y_train=[0, 1, 0], x_test=images[3:], y_test=[1]
    )
    assert values(read_table(tmp_path / "mnist.npz"))["x3"] == [3, 7, 11]
    test = read_table(tmp_path / "mnist.npz", Reading(part="test"))
    assert (values(test)["x0"], values(test)["y"], test.targets) == ([12], [1], ("y",))


def test_other_arrays(tmp_path):
    images = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
    parts = {"train_images": images[:3], "train_labels": [[0], [1], [0]], "val_images": images[:1]}
    np.savez(tmp_path / "medical.npz", **parts, test_images=images[3:], test_labels=[[1]])
    table = read_table(tmp_path / "medical.npz")
    assert (values(table)["images3"], values(table)["labels"], table.targets) == (
        [3, 7, 11],
        [0, 1, 0],
        ("labels",),
    )
    assert values(read_table(tmp_path / "medical.npz", Reading(part="test")))["images0"] == [12]
    np.save(tmp_path / "t.npy", np.array([(1, "é".encode())], [("a", int), ("b", "S2")]))
    assert values(read_table(tmp_path / "t.npy")) == {"a": [1], "b": ["é"]}
    sparse.save_npz(tmp_path / "t.npz", sparse.eye_array(3, format="csr"))
    with pytest.raises(TableError, match="is a sparse matrix: save"):
        read_table(tmp_path / "t.npz")


def test_bad_npz(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, X=np.zeros((3, 2)), y=np.zeros(2))
    with pytest.raises(TableError, match="different lengths"):
        read_table(path)
    np.savez(path, X=np.array([{}], object))
    with pytest.raises(
        TableError, match="not an NPZ file of plain arrays: it has Python's objects"
    ):  # and nothing was unpickled
        read_table(path)
    np.savez(path, X=np.array(3.0))
    with pytest.raises(TableError, match="'X' has shape"):
        read_table(path)
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(TableError, match="a single array"):
        read_table(path)
    write(tmp_path, b"PK\x03\x04 but no more", "t.npz")
    with pytest.raises(TableError, match="not an NPZ file"):
        read_table(path)


def test_flipped_bytes_of_an_npz_are_read_or_refused(tmp_path):
    path = tmp_path / "t.npz"
    np.savez_compressed(path, X=np.arange(20.0).reshape(10, 2), y=np.arange(10))
    whole, right = path.read_bytes(), values(read_table(path))
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            found = values(read_table(path))
        except TableError as error:
            assert str(path) in str(error)
        else:
            assert sorted(found.values()) == sorted(right.values())


def test_npy(tmp_path):
    np.save(tmp_path / "t.npy", np.arange(6.0).reshape(3, 2))
    assert values(read_table(tmp_path / "t.npy")) == {"x0": [0, 2, 4], "x1": [1, 3, 5]}


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx(tmp_path, ending):
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    pack = gzip.compress if ending else bytes
    name = f"train-images-idx3-ubyte{ending}"
    header = b"\0\0\x08\x03" + np.array(images.shape, ">u4").tobytes()
    write(tmp_path, pack(header + images.tobytes()), name)
    labels = b"\0\0\x08\x01" + np.array([3], ">u4").tobytes() + bytes([7, 8, 7])
    write(tmp_path, pack(labels), f"train-labels-idx1-ubyte{ending}")
    table = read_table(tmp_path / name)
    assert values(table) == {
        **{f"pixel{j}": [j, 4 + j, 8 + j] for j in range(4)},
        "label": [7, 8, 7],
    }
    assert table.targets == ("label",)
    write(tmp_path, pack(header + images.tobytes()[1:]), name)
    with pytest.raises(TableError, match="can't be of shape"):
        read_table(tmp_path / name)


def test_files_of_other_programs(tmp_path):
    table = read_table(write(tmp_path, "+1 1:0.5 3:2\n-1 2:1 # note\n", "t.svm"))
    assert values(table) == {"1": [0.5, 0], "2": [0, 1], "3": [2, 0], "target": [1, -1]}
    assert table.column("9").values.tolist() == [0, 0]  # zeros are left out
    assert read_table(write(tmp_path, "+1 1:0.5 3:2\n-1 2:1\n", "t.txt")).targets == ("target",)
    table = read_table(write(tmp_path, "2 2 1\n0 1\n1\n1 1\n0\n", "xor.data"))
    assert values(table) == {"x1": [0, 1], "x2": [1, 1], "y": [1, 0]}
    assert values(read_table(write(tmp_path, "2 2 1\n0 1 1 1\n1 0\n", "xor.data")))["x2"] == [1, 1]
    ranked = read_table(write(tmp_path, "1 qid:1 1:2\n0 qid:1 1:3\n", "t.svm"))
    assert (values(ranked), ranked.notes) == (
        {"1": [2, 3], "target": [1, 0]},
        ("queries (qid) are left out",),
    )
    with pytest.raises(TableError, match="2 pairs of 2 and 1 numbers are 6 numbers, but there are 5"):
        read_table(write(tmp_path, "2 2 1\n0 1\n1\n1 1\n", "xor.data"))
    arff = "@relation r\n@attribute a numeric\n@attribute class {u,v}\n@data\n1,u\n?,v\n"
    table = read_table(write(tmp_path, arff, "t.arff"))
    assert values(table) == {"a": [1, NAN], "class": ["u", "v"]}
    assert table.targets == ("class",)
    latin = write(tmp_path, arff.replace("attribute a", "attribute ä").encode("cp1252"), "t.arff")
    assert values(read_table(latin)) == {"ä": [1, NAN], "class": ["u", "v"]}
    for row in ("1,u,{2}", "{0 1, 1 u}, {0.5}"):
        with pytest.raises(TableError, match=r"line 5 gives its row a weight, .*: delete the weights"):
            read_table(write(tmp_path, arff.replace("1,u", row), "t.arff"))


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    table = pa.table({"a": [1, None, 3], "b": [True, False, True], "c": ["u", None, "v"]})
    table = table.append_column("d", pa.array([Decimal("1.5"), None, Decimal(2)], pa.decimal128(10, 2)))
    parquet.write_table(table.set_column(2, "c", table["c"].dictionary_encode()), path)
    read = read_table(path)
    assert values(read) == {"a": [1, NAN, 3], "b": [1, 0, 1], "c": ["u", None, "v"], "d": [1.5, NAN, 2]}
    assert read.columns["b"].kind == "boolean"
    pd.DataFrame({"a": [1.0, 2.0]}, index=[7, 3]).to_parquet(path)  # has __index_level_0__
    assert (values(read_table(path)), read_table(path).notes) == ({"a": [1, 2]}, ())
    pd.DataFrame({"a": [1.0, 2.0]}, pd.Index([7, 3], name="key")).to_parquet(path)
    assert values(read_table(path)) == {"a": [1, 2]}
    assert read_table(path).notes == ("left out: 'key' is the index of a pandas.DataFrame",)
    write(tmp_path, b"PAR1", "t.parquet")
    with pytest.raises(TableError, match="not a Parquet file"):
        read_table(path)


def test_parquet_of_every_kind(tmp_path):
    pa = pytest.importorskip("pyarrow")
    feather, parquet = pytest.importorskip("pyarrow.feather"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t"  # the first bytes tell
    moment = datetime.datetime(2020, 3, 1, 12)
    table = pa.table(
        {
            "id": [10**18 + 1, 3],
            "unsigned": pa.array([2**63, 1], pa.uint64()),
            "took": [datetime.timedelta(hours=36), None],
            "when": pa.array([moment, None], pa.timestamp("ns", "UTC")),
            "day": [moment.date(), None],
            "bytes": [b"u", "é".encode()],
            "category": pa.array([3, 1]).dictionary_encode(),
            "none": pa.nulls(2),
        }
    )
    expected = {
        "id": [1e18, 3],
        "unsigned": [2.0**63, 1],
        "took": [1.5, NAN],
        "when": [18322.5, NAN],
        "day": [18322, NAN],
        "bytes": ["u", "é"],
        "category": [3, 1],
        "none": [None, None],
    }
    found = {}
    for write_file in (parquet.write_table, feather.write_feather):
        write_file(table, path)
        found = values(read_table(path))
        none = found.pop("none")
        assert all(value is None or value != value for value in none)
        assert found == {name: column for name, column in expected.items() if name != "none"}
    parquet.write_table(pa.table([[1], [2]], ["a", "a"]), path)
    with pytest.raises(TableError, match=f"{path}: the table has the column 'a' more than once"):
        read_table(path)
    write(tmp_path, b"ARROW1\0\0 but no more", "t")
    with pytest.raises(TableError, match="damaged, or not a Feather file"):
        read_table(path)


def test_columns_that_are_no_columns_are_told_where_they_are_used(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    strange = {"list": [[1.0], [2.0]], "record": [{"x": 1}] * 2, "time": [datetime.time(3), None]}
    parquet.write_table(pa.table({**strange, "a": [1, 2]}), tmp_path / "t.parquet")
    parts = np.zeros(2, [("list", float, (3,)), ("complex", complex), ("a", float)])
    np.save(tmp_path / "t.npy", parts)
    frame = {"list": [[1.0], [2.0]], "bytes": [b"u", b"v"], "a": [1, 2]}
    for table in (read_table(tmp_path / "t.parquet"), read_table(tmp_path / "t.npy"), table_of(frame)):
        assert table.columns["a"].trouble is None
        for name in set(table.columns) - {"a"}:
            needed = "in row 1 is of .*; numbers, texts or dates are needed"
            with pytest.raises(TableError, match=rf"target '{name}': .* {needed}"):
                read_target(table, name, "auto")
            with pytest.raises(TableError, match=rf"{needed}; --ignore {name} leaves it out"):
                Preparation.fitted(table, [name], np.arange(2))


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TableError, match=r"needs pyarrow; .*numbabp\[tables\]"):
        read_table(write(tmp_path, b"PAR1", "t.parquet"))


STRANGE = [
    (b"PK\x03\x04...", "is a ZIP archive or a workbook of a spreadsheet: unpack it, or save"),
    (
        gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0),
        "is compressed twice by gzip: unpack it once",
    ),
    (bz2.compress(b"a,b\n1,2\n"), "is compressed by bzip2: unpack it first"),
    (lzma.compress(b"a,b\n1,2\n"), "is compressed by xz: unpack it first"),
    (b"ORC\0", "is an ORC file: save the table as CSV or Parquet"),
    (b"SQLite format 3\0", "is a database of SQLite"),
    (b"\x89HDF\r\n", "is an HDF5 file"),
    (pickle.dumps([1]), "is a pickle, which is never loaded"),
    (b'\n[{"a": 1}]', "is JSON"),
    (b'{"a": 1}\n', "is JSON"),
    (b"<!DOCTYPE html>\n", "is a web page: download the file itself"),
    (b"version https://git-lfs.github.com/spec/v1\n", "fetch it with: git lfs pull"),
]


@pytest.mark.parametrize(("content", "message"), STRANGE)
def test_files_of_other_kinds_are_named(tmp_path, content, message):
    path = write(tmp_path, content, "t.csv")
    with pytest.raises(TableError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_other_files(tmp_path):
    assert values(read_table(write(tmp_path, "ORC,b\n1,2\n"))) == {"ORC": [1], "b": [2]}
    with pytest.raises(TableError, match="save the table as CSV or Parquet"):
        read_table(write(tmp_path, "a,b\n1,2\n", "t.xlsx"))
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(TableError, match="is a folder"):
        read_table(tmp_path)


def test_tables_of_other_libraries():
    pa, pd = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    frame = pd.DataFrame({"n": [1, 2], "s": ["x", None], "b": [True, False]})
    frame["d"] = pd.to_datetime(["2020-03-01", None])
    frame["i"] = pd.array([1, None], "Int64")
    frame["c"] = pd.Categorical(["u", None])
    expected = {
        "n": [1, 2],
        "s": ["x", None],
        "b": [1, 0],
        "d": [18322, NAN],
        "i": [1, NAN],
        "c": ["u", None],
    }
    assert values(table_of(frame)) == expected
    assert values(table_of(pa.Table.from_pandas(frame))) == expected
    assert values(table_of({name: frame[name] for name in frame})) == expected
    assert values(table_of({"a": [1, None], "b": ["x", "1"]})) == {"a": [1, NAN], "b": ["x", "1"]}
    assert values(table_of([[1, 2], [3, 4]], ["a", "b"])) == {"a": [1, 3], "b": [2, 4]}
    for wrong in ([[1, 2, 3]], [1, 2]):
        with pytest.raises(TableError, match=r"must have shape \(n, 2\)"):
            table_of(wrong, ["a", "b"])
    with pytest.raises(TableError, match="different lengths"):
        table_of({"a": [1], "b": [1, 2]})


def target(values, task="auto"):
    column = values if isinstance(values, Column) else column_of_array("y", np.array(values))
    found, task = read_target(Table("t", {"y": column}), "y", task)
    return labels_of(found) if task == "classification" else found.values, task


def test_targets():
    y, task = target([1.0, 2.0, 10.0])
    assert (y.tolist(), y.dtype, task) == ([1, 2, 10], np.int64, "classification")
    y, task = target([1.0, 2.5])
    assert (y.tolist(), task) == ([1, 2.5], "regression")
    assert target(np.arange(30.0))[1] == "regression"
    assert target([1.0, 2.0], "regression")[1] == "regression"
    assert target([0.5, 1.0], "classification")[0].tolist() == [0.5, 1]
    assert target([True, False])[0].tolist() == [True, False]
    y, task = target(np.array(["b", "a"], object))
    assert (y.tolist(), task) == (["b", "a"], "classification")


ALMOST = [str(value / 7) for value in range(400)]


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        ([1.0, 1.0], "auto", "is 1.0 in every row"),
        (np.array(["a"], object), "auto", "is a in every row"),
        ([1.0, np.nan], "auto", "no value in row 2"),
        ([1.0, np.inf], "auto", "infinite value in row 2"),
        ([1.0, 1e300], "classification", "too large to be told apart"),
        (np.array(["a", "NA"], object), "auto", "no value in row 2"),
        (np.array(["b", "a"], object), "regression", "has text .'b' in row 1."),
        (
            np.array([*ALMOST[:16], "n.d.", *ALMOST[17:]], object),
            "auto",
            "'n.d.' in row 17 .*--missing 'n.d.'",
        ),
        (np.array(["1,010", "2,020"], object), "auto", "'1,010' in row 1 may be 1.01 or 1010; say --decimal"),
        (np.array([f"${v}" for v in ALMOST], object), "auto", "'[$]0.0' in row 1 is a number with something"),
        (np.array([f"u{v}" for v in ALMOST], object), "auto", "hardly classes; --task classification"),
        (np.array(["2020-01-01", "2020-01-02"], object), "auto", "neither classes nor amounts"),
    ],
)
def test_bad_targets(values, task, message):
    with pytest.raises(TableError, match=message):
        target(values, task)
