"""Files as people have them, drawn at random: read right, or refused in one line, never misread."""

import gzip

import numpy as np
import pytest

from numbabp.data.columns import TableError
from numbabp.data.files.reading import Reading
from numbabp.data.table_files import read_table

N_IN_THE_GATE, N_ALL = 60, 400
WAYS_OUT = ("--decimal", "--missing", "--separator", "--no-header", "--text", "rename", "write")


def drawn(seed):
    """Columns as they are meant, and a file of them as someone may have written it."""
    rng = np.random.RandomState(seed)
    n = rng.randint(3, 40)
    separator = rng.choice([",", ";", "\t", "|"])
    decimal = "," if separator == ";" and rng.uniform() < 0.6 else "."
    missing = rng.choice(["", "NA", "NaN", "null", "?", "None"])
    meant, written = {}, {}
    for j in range(rng.randint(1, 7)):
        kind = rng.choice(
            ["float", "int", "big", "text", "bool", "date", "almost"], p=[0.3, 0.2, 0.1, 0.2, 0.1, 0.08, 0.02]
        )
        name = f"{kind} {j}"
        meant[name], written[name] = _column(rng, kind, n, decimal)
        if rng.uniform() < 0.3 and n > 5:
            row = rng.randint(n)
            meant[name][row], written[name][row] = None, missing
    return meant, _file(rng, written, separator), f".csv{'.gz' if rng.uniform() < 0.2 else ''}"


def _column(rng, kind, n, decimal):
    if kind == "float":
        values = [round(v, rng.randint(1, 6)) for v in rng.standard_normal(n) * 10.0 ** rng.randint(-2, 5)]
        return values, [repr(float(value)).replace(".", decimal) for value in values]
    if kind == "int":
        values = rng.randint(-50, 3000, n).tolist()
        return values, list(map(str, values))
    if kind == "big":  # with marks between thousands
        values = (rng.uniform(1e3, 1e7, n)).round(2).tolist()
        texts = [f"{value:,.2f}" for value in values]
        return values, [t.translate(str.maketrans(",.", ".,")) if decimal == "," else t for t in texts]
    if kind == "text":
        values = rng.choice(["rot", "grün", "a, b", "c;d", 'in "quotes"', "x\ty", "12a"], n).tolist()
        return values, list(values)
    if kind == "bool":
        values = rng.choice([True, False], n).tolist()
        return values, [str(value) for value in values]
    if kind == "date":
        days = rng.randint(0, 20000, n)
        moments = np.datetime64("1970-01-01") + days
        form = rng.choice(["iso", "german"])
        texts = [str(m) if form == "iso" else ".".join(reversed(str(m).split("-"))) for m in moments]
        return days.tolist(), texts
    values = [f"{value:.3f}" for value in rng.uniform(0, 9, n)]
    values[rng.randint(n)] = "n.d."
    return list(values), list(values)


def _file(rng, written, separator):
    def field(text):
        needs = not text or any(sign in text for sign in (separator, '"', "\n"))  # a blank line is no row
        return '"' + text.replace('"', '""') + '"' if needs or rng.uniform() < 0.05 else text

    header = list(written)
    rows = [list(row) for row in zip(*written.values(), strict=True)]
    if rng.uniform() < 0.3:  # pandas' index
        header, rows = ["", *header], [[str(i), *row] for i, row in enumerate(rows)]
    end = rng.choice(["\n", "\r\n"])
    text = end.join(separator.join(map(field, line)) for line in [header, *rows]) + end * rng.randint(2)
    encoding = rng.choice(["utf-8", "utf-8-sig", "cp1252", "utf-16"])
    return text.encode(encoding)


def check(seed, folder):
    """Whether the file was read; if it was refused, the line says what to do."""
    meant, content, ending = drawn(seed)
    path = folder / f"t{seed}{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    try:
        table = read_table(path, Reading())
    except TableError as error:
        line = str(error)
        assert line.startswith(str(path))
        assert "\n" not in line
        assert any(way_out in line for way_out in WAYS_OUT), line
        return False
    assert list(table.columns) == list(meant)
    for name, values in meant.items():
        column = table.columns[name]
        if column.trouble is not None:  # which training refuses
            assert any(way_out in str(column.trouble) for way_out in WAYS_OUT)
            continue
        present = [value for value in values if value is not None]
        if present and isinstance(present[0], str) and not (name[:6] == "almost" and "n.d." not in present):
            assert column.values.tolist() == values
        else:
            expected = np.array([np.nan if value is None else float(value) for value in values])
            assert np.array_equal(column.values.astype(float), expected, equal_nan=True), name
    return True


def test_files_drawn_at_random(tmp_path):
    read = [check(seed, tmp_path) for seed in range(N_IN_THE_GATE)]
    assert np.mean(read) > 0.9


@pytest.mark.slow
def test_many_files_drawn_at_random(tmp_path):
    read = [check(seed, tmp_path) for seed in range(N_IN_THE_GATE, N_ALL)]
    assert np.mean(read) > 0.9


def sound_files(folder):
    """One of each kind."""
    X, y = np.arange(40.0).reshape(10, 4), np.arange(10) % 2
    np.savez_compressed(folder / "a.npz", X=X, y=y)
    np.save(folder / "a.npy", X)
    images = b"\0\0\x08\x03" + np.array([10, 2, 2], ">u4").tobytes() + bytes(40)
    (folder / "a-images-idx3-ubyte").write_bytes(images)
    (folder / "a.svm").write_text("".join(f"{t} 1:{a} 3:{b}\n" for t, (a, b, *_) in zip(y, X, strict=True)))
    (folder / "a.data").write_text("10 4 1\n" + "".join(f"{' '.join(map(str, x))}\n1\n" for x in X))
    (folder / "a.arff").write_text(
        "@relation r\n@attribute a real\n@attribute class {u,v}\n@data\n1,u\n?,v\n"
    )
    (folder / "a.csv").write_bytes("a,b\n1,é\n2,x\n".encode())
    (folder / "b.csv").write_bytes("a,b\n1,é\n2,x\n".encode("utf-16"))
    (folder / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n2,x\n"))
    try:
        from pyarrow import parquet, table
    except ImportError:
        return
    parquet.write_table(table({"a": X[:, 0], "b": list("uvuvuvuvuv")}), folder / "a.parquet")


@pytest.mark.filterwarnings("ignore:::pyarrow")
def test_damaged_files_of_every_kind_are_read_or_refused(tmp_path):
    sound_files(tmp_path)
    rng = np.random.RandomState(0)
    for path in sorted(tmp_path.iterdir()):
        read_table(path)
        whole = path.read_bytes()
        for _ in range(60):
            content = bytearray(whole)
            for place in rng.randint(len(whole), size=rng.randint(1, 4)):
                content[place] = rng.randint(256)
            path.write_bytes(content[: rng.randint(1, len(whole) + 1)] if rng.uniform() < 0.3 else content)
            try:
                read_table(path)
            except TableError as error:
                assert str(path) in str(error)
        path.write_bytes(whole)
