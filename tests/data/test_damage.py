"""Files with a damaged byte or cut short, anywhere: they are read all the same, or one error says so."""

import io
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from numbabp import Network
from numbabp.data.columns import TableError
from numbabp.data.predictions import columns_of
from numbabp.data.table_files import read_table
from numbabp.data.table_model import load
from numbabp.data.tables import table_of
from numbabp.loading import load_with_metadata, save

CHANGES = (0xFF, 0x01, 0x80)
"""Bits of a byte that are flipped."""


def npz(write):
    file = io.BytesIO()
    write(file, X=np.arange(6.0).reshape(3, 2), y=np.array(["a", "b", "a"]))
    return file.getvalue()


def parquet():
    pyarrow = pytest.importorskip("pyarrow")
    file = io.BytesIO()
    pytest.importorskip("pyarrow.parquet").write_table(
        pyarrow.table({"x": [1.0, 2.0, 3.0], "y": ["a", "ü", "a"]}), file
    )
    return file.getvalue()


FILES = {
    "plain.npz": lambda: npz(np.savez),
    "packed.npz": lambda: npz(np.savez_compressed),
    "table.parquet": parquet,
    "table.csv": lambda: 'a,b,y\n1,2,x\n3,"4",ü\n'.encode(),
    "table.tsv": lambda: b"\xef\xbb\xbfa\ty\r\n1\t2\r\n",
}


def damaged(content):
    """The content with a byte changed, for each byte, and cut short at each."""
    for i, byte in enumerate(content):
        for change in CHANGES:
            yield content[:i] + bytes([byte ^ change]) + content[i + 1 :]
        yield content[:i]


@pytest.mark.parametrize("name", FILES)
def test_damaged_tables(folder, name):
    content, n_refused = FILES[name](), 0
    (folder / name).write_bytes(content)
    assert read_table(name).n_rows > 0
    for other in damaged(content):
        (folder / name).write_bytes(other)
        with warnings.catch_warnings(action="error"):
            try:
                read_table(name)
            except TableError as error:
                n_refused += 1
                assert str(error).startswith(f"{name}: ")
                assert "\n" not in str(error)
    assert n_refused > len(content) / 2 or name.endswith("sv")


ODD_HEADERS = [
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, ",  # tokenize.TokenError, SyntaxError
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (-3,)}",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999,)}",  # OverflowError
    b"{'descr': ['<f8'], 'fortran_order': False, 'shape': (3,)}",  # TypeError
    b"{'descr': '<f8', 'fortran_order': [], 'shape': 'x'}",
    b"{'descr': '<q9', 'fortran_order': False, 'shape': (3,)}",
    b"{[]: 1}",
    b"(" * 5000,
]


@pytest.mark.parametrize("header", ODD_HEADERS)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_archives_with_odd_headers(folder, header, version):
    import zipfile

    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    with zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY" + bytes([version, 0]) + length + header + bytes(24))
    with pytest.raises(TableError, match=r"^a\.npz: damaged, or not an NPZ file of plain arrays: "):
        read_table("a.npz")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.npy", "<U3"), ("a.npz", "<U3"), ("a.npy", ">U3"), ("a.npy", [("n", "<i4"), ("t", "<U3")])],
)
def test_texts_of_numbers_that_are_no_characters(folder, name, kind):
    """Of which Python would make strings that raise SystemError, here and there, later."""
    array = np.zeros(4, kind)
    texts = array if isinstance(kind, str) else array["t"]
    texts[:] = "\U0010ffff"
    whole = texts.dtype.str.replace("U3", "u4")
    save = np.save if name.endswith("npy") else np.savez
    for code in (0x10FFFF, 0x110000, 2**32 - 1):
        if isinstance(kind, str):
            array.view(whole)[1] = code
        else:
            array.view([("n", "<i4"), ("t", whole, 3)])["t"][2, 0] = code
        save(name, array)
        if code == 0x10FFFF:
            read_table(name)
            continue
        with pytest.raises(TableError, match=rf"^{name}: damaged, .* numbers that are no characters\.$"):
            read_table(name)


PREPARATION = {
    "columns": ["a"],
    "kinds": {},
    "forms": {},
    "mean": [0.0],
    "scale": [1.0],
    "gaps": [],
    "categories": {},
    "left_out": {},
    "missing": [],
}
ONE_TARGET = {"names": ["y"], "classes": ["no", "yes"], "mean": [0.0], "scale": [1.0]}
LABELS = {"names": ["y", "z"], "classes": [["no", "yes"], [0, 1]], "mean": [0.0] * 2, "scale": [1.0] * 2}
AMOUNTS = {"names": ["y", "z"], "classes": None, "mean": [0.0] * 2, "scale": [1.0] * 2}


def settings_with(target):
    return {"table": {"format": 1, "preparation": PREPARATION, "target": target}}


def test_damaged_models(folder):
    network = Network((1, 1), loss="binary_cross_entropy")
    save(network, "net", settings_with(ONE_TARGET))
    content = Path("net").read_bytes()
    for other in damaged(content):
        Path("net").write_bytes(other)
        with pytest.raises(ValueError, match=r"^net: .*\.$"):
            load_with_metadata("net")


ODD_VALUES = [
    *(None, True, "", "x", 0, -1, 10**400, 1e308, [], {}, ["a"], [[]], [None], [True], [10**400], ["b", "a"]),
    *([0.0], [-1.0], ["x", "x"], {"a": 1}, [{}], [1e308, 1], [0.5] * 3),
    *([["a", "b"]], [["a", "b"], ["a"]], [[0, 1], [1, 0]], [[0, 1], ["a", 1]], [[0, 1], None]),
    *([["a", "b"], [0, 1, 2]], [["a", "b"], ["c", "d"]]),
]


@pytest.mark.parametrize("target", [ONE_TARGET, LABELS, AMOUNTS], ids=["one", "labels", "amounts"])
def test_models_with_odd_metadata(folder, target):
    """Whatever is in the metadata, it is refused in one line or predictions come out."""
    loss = "squared_error" if target is AMOUNTS else "binary_cross_entropy"
    network = Network((1, len(target["names"])), loss=loss, random_state=0)
    table = table_of({"a": [0.0, 1.0]})

    def is_read(described):
        save(network, "net", {"table": described})
        try:
            model = load("net")
        except ValueError as error:
            assert str(error).startswith("net: ")
            assert "\n" not in str(error)
            return False
        try:
            columns, _ = columns_of(model, table)
        except TableError:  # of a column that the table has not
            return True
        assert all(len(column) == 2 for column in columns.values()), json.dumps(described)
        return True

    sound = settings_with(target)["table"]
    assert is_read(sound)
    n_refused = 0
    for part in ("preparation", "target"):
        for name in sound[part]:
            for value in ODD_VALUES:
                n_refused += not is_read({**sound, part: {**sound[part], name: value}})
            without = {key: value for key, value in sound[part].items() if key != name}
            n_refused += not is_read({**sound, part: without})
    for name in sound:
        n_refused += sum(not is_read({**sound, name: value}) for value in ODD_VALUES)
    assert n_refused > 200


def test_numbers_whose_sum_is_none(folder):
    """Each is finite, but not what is added up; NumPy's warnings about that are not the reader's."""
    from numbabp.data.preparation import Preparation

    numbers = np.array([1.7e308, 1.7e308, -1.7e308, -1.7e308] * 50)
    table = table_of({"a": numbers})
    with warnings.catch_warnings(action="error"), pytest.raises(TableError):
        Preparation.fitted(table, ["a"], np.arange(200))


def test_feather_with_texts_beyond_its_end(folder):
    """Of texts that would be longer than memory and file."""
    feather = pytest.importorskip("pyarrow.feather")
    table = pytest.importorskip("pyarrow").table({"t": ["a", "bc", "def"], "y": [1.0, 2.0, 3.0]})
    feather.write_feather(table, "whole.feather", compression="uncompressed")
    content, offsets = Path("whole.feather").read_bytes(), np.array([0, 1, 3, 6], np.int32).tobytes()
    at = content.index(offsets)
    for wrong in ([0, 1, 3, 2**31 - 1], [0, -5, 3, 6], [0, 2**30, 3, 6]):
        damage = np.array(wrong, np.int32).tobytes()
        Path("t.feather").write_bytes(content[:at] + damage + content[at + len(damage) :])
        with pytest.raises(TableError, match=r"^t\.feather: damaged, or not a Feather file: "):
            read_table("t.feather")


@pytest.mark.parametrize("content", ["1,2\r3,4", "1,{0}\r,2"])
def test_arff_with_a_carriage_return_in_a_row(folder, content):
    head = "@relation r\n@attribute a numeric\n@attribute b {0,1}\n@data\n"
    (folder / "a.arff").write_bytes(f"{head}{content}\n".encode())
    with warnings.catch_warnings(action="error"):
        try:
            assert read_table("a.arff").n_rows > 0
        except TableError as error:
            assert str(error).startswith("a.arff: ")


def test_missing_numbers_of_the_kind_that_signals_are_taken_as_others_are():
    """NumPy warns of arithmetic with them; a damaged file may hold them."""
    from numbabp.data.preparation import Preparation

    signalling = np.array([0x7FF0000000000001], np.uint64).view(float)[0]
    table = table_of({"a": np.array([1.0, 2.0, 6.0, signalling])})
    preparation = Preparation.fitted(table, ["a"], np.arange(3))
    with warnings.catch_warnings(action="error"):
        inputs, notes = preparation.matrix(table)
    np.testing.assert_allclose(inputs[:, 0], np.array([-2, -1, 3, 0]) / np.sqrt(14 / 3))
    assert len(notes) == 1
