"""Blocks of rows: whatever the parts that bytes come in, tables are those of a file read as a whole."""

import codecs
import gzip
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbabp.data.columns import TableError
from numbabp.data.files.reading import Reading
from numbabp.data.streamed import flow, text
from numbabp.data.streamed.opening import open_rows
from numbabp.data.streamed.rows import are_quotes_plain, end_of_rows, whole_rows
from numbabp.data.table_files import read_table

ROWS = [("a", "b", "c"), *((f"{k / 7:.4f}", "xyz"[k % 3], str(k)) for k in range(60))]

MIXED = [
    ("NA" if k % 5 == 0 else str(k), ["True", "false"][k % 2], f"2024-01-{k % 28 + 1:02}") for k in range(60)
]


def joined(rows, separator=",", end="\n"):
    return end.join(map(separator.join, rows)) + end


TEXTS = {
    "plain": joined(ROWS).encode(),
    "no end of the last line": joined(ROWS).encode()[:-1],
    "ends of Windows": joined(ROWS, end="\r\n").encode(),
    "tabs": joined(ROWS, "\t").encode(),
    "any number of spaces": joined(ROWS, "   ").encode(),
    "semicolons and decimal commas": joined(ROWS, ";").replace(".", ",").encode(),
    "quoted": joined([ROWS[0], *((a, f'"{b}, or\n{b} "', c) for a, b, c in ROWS[1:])]).encode(),
    "quotes within": joined([ROWS[0], *((a, f'"5"" {b}"', c) for a, b, c in ROWS[1:])]).encode(),
    "spaces before quotes": joined([ROWS[0], *((a, f' "{b},{b}"', c) for a, b, c in ROWS[1:])]).encode(),
    "trailing separators": joined([ROWS[0], *((*row, "") for row in ROWS[1:])]).encode(),
    "an index": joined([("", *ROWS[0]), *((str(k), *row) for k, row in enumerate(ROWS[1:]))]).encode(),
    "row names": joined([ROWS[0], *((f"r{k}", *row) for k, row in enumerate(ROWS[1:]))]).encode(),
    "comments": b"# from a sensor\n# in 2024\n" + joined(ROWS).encode(),
    "Excel's first line": b"sep=;\n" + joined(ROWS, ";").encode(),
    "byte-order mark": codecs.BOM_UTF8 + joined(ROWS).encode(),
    "UTF-16": joined(ROWS).replace("x", "ü").encode("utf-16"),
    "UTF-16 without a mark": joined(ROWS).encode("utf-16-le"),
    "Windows-1252": joined(ROWS).replace("x", "ü").encode("cp1252"),
    "blank lines": joined(ROWS).replace("z,", "z,").replace("\n1.", "\n\n1.").encode(),
    "booleans, dates and gaps": joined([("a", "b", "c"), *MIXED]).encode(),
    "thousands": joined([("a", "b"), *((f'"{k},{k:03}.5"', "x") for k in range(1, 60))]).encode(),
}


def columns_of(tables):
    """Kinds of all tables, and values of each column."""
    tables = list(tables)
    firsts = [table.first_row for table in tables]
    assert firsts == np.cumsum([1, *(table.n_rows for table in tables)])[:-1].tolist()
    return {
        name: np.concatenate([table.columns[name].texts() for table in tables]) for name in tables[0].columns
    }


@pytest.mark.parametrize("name", TEXTS)
def test_tables_are_those_of_the_whole_file(folder, monkeypatch, name):
    monkeypatch.setattr(flow, "PART_BYTES", 97)
    (folder / "t.csv").write_bytes(TEXTS[name])
    whole = read_table("t.csv")
    rows = open_rows("t.csv", Reading(), 10)
    assert list(rows.look.columns) == list(whole.columns)
    texts = [column.name for column in rows.look.columns.values() if column.kind == "text"]
    for _ in range(2):  # a file can be read again
        found = columns_of(rows.tables(list(whole.columns), texts))
        for column in whole.columns.values():
            np.testing.assert_array_equal(found[column.name], _as_streamed(column))


def test_without_pyarrow(folder, monkeypatch):
    (folder / "t.csv").write_bytes(TEXTS["quoted"])
    wanted = columns_of(open_rows("t.csv", Reading(), 10).tables(["a", "b"], ["b"]))
    for name in ("pyarrow", "pyarrow.csv"):
        monkeypatch.setitem(sys.modules, name, None)
    found = columns_of(open_rows("t.csv", Reading(), 10).tables(["a", "b"], ["b"]))
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values)


def _as_streamed(column):
    """Dates are kept as texts until they are prepared."""
    if column.kind != "date":
        return column.texts()
    return np.array([f"2024-01-{int(day) - 19722:02}" for day in column.values], object)


def test_compressed_files_and_folders(folder, monkeypatch):
    monkeypatch.setattr(flow, "PART_BYTES", 97)
    content = TEXTS["plain"]
    (folder / "t.csv.gz").write_bytes(gzip.compress(content))
    (folder / "parts" / "more").mkdir(parents=True)
    lines = content.splitlines(keepends=True)
    (folder / "parts" / "1.csv").write_bytes(b"".join(lines[:20])[:-1])
    (folder / "parts" / "2.csv.gz").write_bytes(gzip.compress(b"".join([lines[0], *lines[20:40]])))
    (folder / "parts" / "more" / "3.csv").write_bytes(codecs.BOM_UTF8 + b"".join([lines[0], *lines[40:]]))
    (folder / "parts" / "_SUCCESS").touch()
    (folder / "t.csv").write_bytes(content)
    wanted = columns_of(open_rows("t.csv", Reading(), 10).tables(["a", "b", "c"], ["b"]))
    for path in ("t.csv.gz", "parts"):
        rows = open_rows(path, Reading(), 30)
        found = columns_of(rows.tables(["a", "b", "c"], ["b"]))
        for name, values in wanted.items():
            np.testing.assert_array_equal(found[name], values)


def test_what_is_wrong_is_told_with_its_row(folder, monkeypatch):
    monkeypatch.setattr(flow, "PART_BYTES", 97)
    monkeypatch.setattr("numbabp.data.streamed.rows.LONGEST_ROW", 100)
    lines = joined(ROWS).splitlines()

    def message(content):
        (folder / "t.csv").write_bytes(content)
        with pytest.raises(TableError) as raised:
            list(open_rows("t.csv", Reading(), 10).tables(["a", "b", "c"], ["b"]))
        return str(raised.value)

    broken = [*lines[:41], "1,2", *lines[41:]]
    assert "row 41 has 2 fields, but the header has 3" in message("\n".join(broken).encode())
    broken = [*lines[:41], '1,"2', *lines[41:]]
    assert "never closed" in message("\n".join(broken).encode())
    broken = "\n".join(lines + lines[1:] * 100).encode() + b"\n1,\xff,2\n"
    assert "row 6061 has bytes that are not UTF-8" in message(broken)
    compressed = gzip.compress(joined(ROWS).encode())
    assert "uncompressed" in message(compressed[: len(compressed) // 2])


def test_folders_of_other_files(folder):
    (folder / "parts").mkdir()
    with pytest.raises(TableError, match="has no files"):
        open_rows("parts", Reading(), 10)
    (folder / "parts" / "1.csv").write_text("a,b\n1,2\n")
    (folder / "parts" / "2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(TableError, match=r"2\.csv: begins with 'a,c', not with the header of .*1\.csv"):
        list(open_rows("parts", Reading(), 10).tables(["a"], []))
    (folder / "parts" / "3.npy").touch()
    with pytest.raises(TableError, match=r"end in '\.csv', '\.npy'"):
        open_rows("parts", Reading(), 10)


@given(st.text('a,"\n', max_size=60), st.integers(1, 7))
def test_blocks_end_where_rows_do(content, length):
    content = content.encode()
    parts = [content[k : k + length] for k in range(0, len(content), length)]
    blocks = list(whole_rows("t", parts))
    assert b"".join(blocks) == content
    for block in blocks[:-1]:
        assert block.endswith(b"\n")
        assert block.count(b'"') % 2 == 0
        assert end_of_rows(block) == len(block)


def test_plain_quotes():
    assert are_quotes_plain(b'1,"a ""b"",\n",2\n', b",")
    assert not are_quotes_plain(b'1,5",2\n', b",")
    assert not are_quotes_plain(b'1, "a",2\n', b",")
    assert not are_quotes_plain(b'1,a"b"c\n', b",")


def test_texts_are_read_once(folder):
    (folder / "t.csv").write_bytes(TEXTS["plain"])
    stream = flow.Flow("-", "standard input", flow.Flow.of_file("t.csv").parts, comes_again=False)
    rows = text.TextRows(stream, Reading(), 10)
    assert len(list(rows.tables(["a"], [])))
    with pytest.raises(TableError, match="standard input passes by once"):
        list(rows.tables(["a"], []))
