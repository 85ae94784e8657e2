"""Text files that pyarrow splits and the csv module splits: the same tables, the same refusals."""

import itertools

import numpy as np
import pytest
from test_table_fuzz import drawn
from test_tables import SAME

from numbabp.data.columns import TEXT, TableError
from numbabp.data.files import by_arrow, text
from numbabp.data.files.reading import Reading
from numbabp.data.table_files import read_table

pytest.importorskip("pyarrow.csv")

NUMBERS = ["1", "-2.5e3", "", "NA", " 7 ", "\t8", "+1", "1.", ".5", "nan", "-inf", "1e400", "1e-400"]
ODD = ["nan(1)", "0x10", "1_0", "1e", "１", "n.d.", "-999", "True", "2020-03-01", "1,5", "x", "é", "a b"]
QUOTED = ['""', '"a,b"', '"a""b"', '"a\nb"', 'a"b', '"a"b', ' "a"', '"a" ', '"', '"""', "\r", "\0"]
FIELDS = [*NUMBERS, *ODD, *QUOTED]
FILES = [
    b"a,b\n1,2\n\n3,4\n",
    b"a,b\n1,2\n \n3,4\n",
    b"a\n1\n \n\n3\n",
    b"a,b\n1,2\n3\n",
    b"a,b\n1,2\n3,4,5\n",
    b"a,b\r\n1,2\r\n3,4",
    b"a,b\n1,2\r3,4\n",
    b"a,b\r1,2\r3,4\r",
    b'a,b\n"1\r\n",2\n3,4\n',
    b'"a\nb",c\n1,2\n',
    b'\xef\xbb\xbf"a",b\n1,2\n',
    b"a,b\n1,2,\n3,4,\n5,6\n",
    b"a,b\n1,2,\n3,4, \n5,6,7\n",
    b"a,b\n",
    b"a,b\n\n\n",
    b"a,b\n1,\xfc\n2,\x81\n",
    b"a,b\n1,\xff\xfe\n",
    b"sep=;\na;b\n1;2\n",
    b"a;b\n1,5;2\n2;3,25\n",
    b"a,b\n" + b"1,2\n" * 9 + b"x,3\n",
    b'a,b\n1,"2\n',
    b"a^b\n1^2\n",
]


def found(path, reading):
    """A table as it compares, or what was said."""
    try:
        table = read_table(path, reading)
    except TableError as error:
        return str(error)
    columns = {
        name: (c.kind, c.form, c.trouble, c.values.tolist() if c.kind == TEXT else c.values.tobytes())
        for name, c in table.columns.items()
    }
    return columns, table.notes


def compare(path, monkeypatch, bytes_at_a_time=1 << 24, **told):
    """Whether pyarrow has read it, or its texts were left to the csv module."""
    used = []

    def seen(*arguments):
        chunks = list(by_arrow.chunks_of(*arguments))
        used.append(path)
        yield from chunks

    reading = Reading(**told)
    with monkeypatch.context() as patch:
        patch.setattr(by_arrow, "LEAST_BYTES", 1 << 40)
        expected = found(path, reading)
        patch.setattr(by_arrow, "LEAST_BYTES", 0)
        patch.setattr(by_arrow, "BYTES_AT_A_TIME", bytes_at_a_time)
        patch.setattr(text, "chunks_of", seen)
        assert found(path, reading) == expected
    return bool(used)


def test_files_of_all_kinds(tmp_path, monkeypatch):
    read = 0
    for number, (name, content) in enumerate(SAME):
        path = tmp_path / f"{number}{name}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        read += compare(path, monkeypatch)
    assert read > len(SAME) / 2


@pytest.mark.parametrize("content", FILES)
def test_odd_files(tmp_path, monkeypatch, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    told = {"separator": "^"} if b"^" in content else {}
    for bytes_at_a_time in (8, 1 << 24):
        compare(path, monkeypatch, bytes_at_a_time, **told)


def test_odd_fields(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    read = []
    for field in FIELDS:
        for rows in ([["0", field], ["3", "4"]], [[field, "0"]], [["1", "2"], [field, field]]):
            path.write_bytes("\n".join(["a,b", *map(",".join, rows)]).encode())
            read.append(compare(path, monkeypatch, missing=("-999",)))
    assert 0.6 < np.mean(read) < 1


def test_quotation_marks_anywhere(tmp_path, monkeypatch):
    """All short texts of marks, separators, ends of lines and others, as the second row of a file."""
    path = tmp_path / "t.csv"
    read = []
    for signs in itertools.product('",\n1', repeat=5):
        path.write_text("a,b\n1,2\n" + "".join(signs) + "\n3,4\n")
        for bytes_at_a_time in (13, 1 << 24):
            read.append(compare(path, monkeypatch, bytes_at_a_time))
    assert any(read)


def test_files_drawn_at_random(tmp_path, monkeypatch):
    read = []
    for seed in range(40):
        _, content, _ = drawn(seed)
        path = tmp_path / f"t{seed}.csv"
        path.write_bytes(content)
        read.append(compare(path, monkeypatch))
    assert np.mean(read) > 0.4


def test_numbers_are_pythons_to_the_last_bit(tmp_path, monkeypatch):
    rng = np.random.RandomState(0)
    bits = rng.randint(0, 1 << 64, 3000, dtype=np.uint64).view(np.float64)
    digits = ["".join(rng.choice(list("0123456789"), 25)) for _ in range(1000)]
    texts = [*map(repr, bits.tolist()), *(f"{d[:3]}.{d[3:]}e{rng.randint(-330, 300)}" for d in digits)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["a,b", *(f"{text},{i % 7 or ''}" for i, text in enumerate(texts))]))
    assert compare(path, monkeypatch)


def test_a_large_file_is_read_by_arrow_and_a_small_one_is_not(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(text, "chunks_of", lambda *a: called.append(a) or by_arrow.chunks_of(*a))
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 10)
    read_table(path)
    assert not called
    path.write_text("a,b\n" + "1,2\n" * (by_arrow.LEAST_BYTES // 4))
    assert read_table(path).n_rows == by_arrow.LEAST_BYTES // 4
    assert called


def test_without_pyarrow_all_is_left_to_the_csv_module(tmp_path, monkeypatch):
    import sys

    monkeypatch.setattr(by_arrow, "LEAST_BYTES", 0)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,x\n2,y\n")
    assert read_table(path).columns["a"].values.tolist() == [1, 2]
