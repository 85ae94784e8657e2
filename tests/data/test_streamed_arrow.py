"""Parquet and Feather files, and folders of them, as streams of tables and of batches."""

import numpy as np
import pytest

from numbabp.data.columns import TableError
from numbabp.data.files.reading import Reading
from numbabp.data.streamed.batches import Batches, Wanted
from numbabp.data.streamed.opening import open_rows
from numbabp.data.table_files import read_table

pyarrow = pytest.importorskip("pyarrow")
from pyarrow import feather, parquet  # noqa: E402

N = 5000


def table(n=N):
    random = np.random.RandomState(0)
    x = random.randn(n)
    names = random.choice(["red", "green", None], n)
    amounts = np.where(random.rand(n) < 0.1, np.nan, random.randn(n) * 3)
    return pyarrow.table(
        {
            "x": x,
            "colour": pyarrow.array(names.tolist(), pyarrow.string()).dictionary_encode(),
            "amount": pyarrow.array(amounts, from_pandas=True),
            "small": random.randint(0, 9, n).astype(np.int8),
            "flag": random.rand(n) < 0.5,
            "when": np.datetime64("2024-01-01") + random.randint(0, 900, n),
            "y": (x + (names == "red") > 0).astype(np.int64),
        }
    )


def batches_of(path, **wanted):
    batches = Batches(open_rows(path, Reading(), 1000), Wanted("y", **wanted), "float64")
    found = list(batches.passes(1))
    return (
        batches,
        np.concatenate([b.inputs for b in found]),
        np.concatenate([b.targets for b in found]),
        found,
    )


@pytest.mark.parametrize("n_hashed", [0, 32])
def test_all_kinds_of_files_give_the_same_batches(folder, n_hashed):
    parquet.write_table(table(), "t.parquet", row_group_size=700)
    feather.write_feather(table(), "t.feather")
    (folder / "parts").mkdir()
    for part, start in enumerate(range(0, N, 1500)):
        parquet.write_table(table().slice(start, 1500), folder / "parts" / f"{part}.parquet")
    _, wanted, targets, last = batches_of("t.parquet", n_hashed=n_hashed)
    assert [batch.end for batch in last] == [256, 512, 1024, 2048, 4096, 5000]
    for path in ("t.feather", "parts"):
        _, inputs, labels, _ = batches_of(path, n_hashed=n_hashed)
        np.testing.assert_array_equal(inputs, wanted)
        np.testing.assert_array_equal(labels, targets)


def test_the_last_batch_is_what_the_saved_model_makes_of_it(folder):
    parquet.write_table(table(), "t.parquet")
    batches, inputs, targets, found = batches_of("t.parquet")
    whole = read_table("t.parquet")
    prepared, notes = found[-1].pipeline.preparation.matrix(whole)
    assert not notes
    np.testing.assert_allclose(inputs[4096:], prepared[4096:], rtol=1e-12, atol=1e-12)
    for j, name in enumerate(["x", "amount", "small", "flag", "when"]):
        values = np.asarray(whole.column(name).values, float)
        assert found[-1].pipeline.preparation.mean[j] == pytest.approx(np.nanmean(values), rel=1e-12)
        assert found[-1].pipeline.preparation.scale[j] == pytest.approx(np.nanstd(values), rel=1e-12)
    np.testing.assert_array_equal(targets, whole.column("y").values)
    assert not batches.unmarked


def test_a_file_as_large_as_the_look_is_prepared_as_train_does(folder):
    """To the bit, but for inputs of categories that may yet come."""
    from numbabp.data.preparation import Preparation

    parquet.write_table(table(900).drop_columns(["colour"]), "t.parquet")
    _, inputs, _, _ = batches_of("t.parquet")
    whole = read_table("t.parquet")
    names = [name for name in whole.columns if name != "y"]
    prepared, _ = Preparation.fitted(whole, names, np.arange(900)).matrix(whole)
    np.testing.assert_allclose(inputs, prepared, rtol=1e-13, atol=1e-13)


def test_columns_of_folders(folder):
    for year in (2023, 2024):
        (folder / "parts" / f"year={year}").mkdir(parents=True)
        parquet.write_table(table(500), folder / "parts" / f"year={year}" / "1.parquet")
    rows = open_rows("parts", Reading(), 10)
    years = np.concatenate([t.columns["year"].values for t in rows.tables(["x", "year"], [])])
    np.testing.assert_array_equal(years, np.repeat([2023, 2024], 500))


def test_what_is_refused(folder):
    parquet.write_table(table(), "t.parquet", row_group_size=700)
    content = (folder / "t.parquet").read_bytes()
    (folder / "t.parquet").write_bytes(content[:-100])
    with pytest.raises(TableError, match=r"^t\.parquet: damaged"):
        open_rows("t.parquet", Reading(), 10)
    (folder / "t.parquet").write_bytes(content[:4] + b"\xff" * 60 + content[64:])
    with pytest.raises(TableError, match=r"^t\.parquet: "):
        list(open_rows("t.parquet", Reading(), 10).tables(["x", "amount"], []))
    parquet.write_table(table().slice(0, 0), "t.parquet")
    with pytest.raises(TableError, match="there are no rows"):
        open_rows("t.parquet", Reading(), 10)
