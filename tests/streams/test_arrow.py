"""Tables, datasets, readers and files as streams."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from streaming import network, samples

from numbabp.streams import arrow
from numbabp.streams.batches import Passed
from numbabp.streams.tables import Columns

pa = pytest.importorskip("pyarrow")
import pyarrow.compute as pc  # noqa: E402
import pyarrow.csv as csv  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402
import pyarrow.feather as feather  # noqa: E402
import pyarrow.parquet as parquet  # noqa: E402

N = 700
HOW = {"target": "y", "sample_weight": "w", "kernel": "sequential"}


def table(n=N):
    X, y, w = samples(n)
    return pa.table({**{f"x{j}": X[:, j] for j in range(5)}, "y": y.astype(int), "w": w})


def expected():
    X, y, w = samples(N)
    net = network()
    net.fit(X, y, sample_weight=w, epochs=1, shuffle=False, kernel="sequential")
    return net.parameters


def in_folder(folder, of):
    folder.mkdir()
    for i in range(7):
        parquet.write_table(of.slice(100 * i, 100), folder / f"part-{i}.parquet", row_group_size=30)
    (folder / "_SUCCESS").touch()
    return folder


def partitioned(folder, of):
    """In folders whose names hold a column, as Hive has them, in the order of the rows."""
    keys = pa.array(np.arange(N) // 350)
    whole = of.append_column("part", keys)
    ds.write_dataset(whole, folder, format="parquet", partitioning=["part"], partitioning_flavor="hive")
    return ds.dataset(folder, format="parquet", partitioning="hive")


KINDS = {
    "table": lambda folder, of: of,
    "record batch": lambda folder, of: of.combine_chunks().to_batches()[0],
    "reader": lambda folder, of: of.to_reader(max_chunksize=64),
    "list of record batches": lambda folder, of: of.to_batches(50),
    "generator of tables": lambda folder, of: (of.slice(i, 90) for i in range(0, N, 90)),
    "dataset in memory": lambda folder, of: ds.dataset(of),
    "scanner": lambda folder, of: ds.dataset(of).scanner(batch_size=33),
    "pandas": lambda folder, of: of.to_pandas(),
    "chunks of pandas": lambda folder, of: (of.slice(i, 90).to_pandas() for i in range(0, N, 90)),
    "parquet": lambda folder, of: parquet.write_table(of, folder / "a.parquet") or folder / "a.parquet",
    "csv": lambda folder, of: csv.write_csv(of, folder / "a.csv") or str(folder / "a.csv"),
    "feather": lambda folder, of: feather.write_feather(of, folder / "a.feather") or folder / "a.feather",
    "folder": lambda folder, of: in_folder(folder / "parts", of),
    "dataset of files": lambda folder, of: ds.dataset(in_folder(folder / "parts", of), format="parquet"),
    "filtered dataset": lambda folder, of: ds.dataset(
        in_folder(folder / "parts", pa.concat_tables([of, of])), format="parquet"
    ).filter(pc.field("w") >= 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_end_as_fit(kind, tmp_path):
    net = network()
    net.fit_stream(KINDS[kind](tmp_path, table()), **HOW)
    np.testing.assert_array_equal(net.parameters, expected())


def test_a_column_of_folders_names(tmp_path):
    names = [f"x{j}" for j in range(4)] + ["part"]
    dataset = partitioned(tmp_path / "parts", table())
    net, other = network(), network()
    net.fit_stream(dataset, features=names, **HOW)
    X, y, w = samples(N)
    X[:, 4] = np.arange(N) // 350
    other.fit(X, y, sample_weight=w, epochs=1, shuffle=False, kernel="sequential")
    np.testing.assert_array_equal(net.parameters, other.parameters)


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.bool_(), pa.decimal128(25, 3)]
)
def test_kinds_of_numbers(kind):
    values = np.random.default_rng(0).integers(0, 2, N)
    column = pa.array(values.astype(np.float16)) if kind == pa.float16() else pa.array(values).cast(kind)
    of = table().set_column(0, "x0", column)
    net, other = network(), network()
    net.fit_stream(of, **HOW)
    X, y, w = samples(N)
    X[:, 0] = values
    other.fit(X, y, sample_weight=w, epochs=1, shuffle=False, kernel="sequential")
    np.testing.assert_array_equal(net.parameters, other.parameters)


def test_features_in_their_own_order_and_several_targets():
    of, (X, y, _) = table(), samples(N)
    net, other = (network_of_two() for _ in range(2))
    net.fit_stream(of, target=["y", "w"], features=["x3", "x1", "x0"], kernel="sequential")
    Y = np.column_stack([y, of["w"]])
    other.fit(X[:, [3, 1, 0]], Y, epochs=1, shuffle=False, kernel="sequential")
    np.testing.assert_array_equal(net.parameters, other.parameters)


def network_of_two():
    import numbabp as nbp

    return nbp.Network((3, 4, 2), random_state=0)


def test_convert_makes_numbers_of_text():
    of = table().append_column("text", pa.array(["a", "b"] * (N // 2)))

    def convert(batch):
        columns = [batch[f"x{j}"].to_numpy() for j in range(4)]
        X = np.column_stack([*columns, np.array(batch["text"]) == "b"]).astype(float)
        return X, batch["y"].to_numpy(), batch["w"].to_numpy()

    net, other = network(), network()
    net.fit_stream(of, convert=convert, kernel="sequential")
    X, y, w = samples(N)
    X[:, 4] = np.arange(N) % 2
    other.fit(X, y, sample_weight=w, epochs=1, shuffle=False, kernel="sequential")
    np.testing.assert_array_equal(net.parameters, other.parameters)


def test_nulls_are_named_or_filled():
    X, y, w = samples(N)
    X[[30, 650], 2] = np.nan
    of = pa.table({**{f"x{j}": pa.array(X[:, j], from_pandas=True) for j in range(5)}, "y": y, "w": w})
    batches = of.to_batches(100)
    with pytest.raises(ValueError, match=r"batch 0 \(from row 0 .*'x2' has no value in row 30"):
        network().fit_stream(batches, **HOW)
    net, other = network(), network()
    net.fit_stream(batches, missing=0, **HOW)
    other.fit(np.nan_to_num(X), y, sample_weight=w, epochs=1, shuffle=False, kernel="sequential")
    np.testing.assert_array_equal(net.parameters, other.parameters)
    no_target = of.set_column(5, "y", pa.array([None, *y[1:]]))
    with pytest.raises(ValueError, match="'y' has no value in row 0"):
        network().fit_stream(no_target, missing=0, **HOW)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"target": None, "sample_weight": None}, "target='column' has to say"),
        ({}, {"target": None}, "sample_weight names columns of tables"),
        ({}, {"target": "nosuch"}, r"there is no column 'nosuch'; there are 'x0', "),
        ({}, {"sample_weight": None}, "there are 6 features .* but the network has 5 inputs"),
        ({}, {"features": ["x0"]}, r"there are 1 features \('x0'\)"),
        ({}, {"features": "x0"}, "features must be a list of columns, got the string 'x0'"),
        ({}, {"features": [0]}, "must be names of columns, got 0"),
        ({"x1": ["a"] * N}, {}, "column 'x1' holds string, which are no numbers; leave it out with features"),
        ({"x1": [1.0] * (N - 1) + [np.inf]}, {}, "column 'x1' must be finite, but is inf in row 699"),
        ({"x1": [np.nan] * N}, {}, r"'x1' must be finite, but is nan in row 0 .*700 such values"),
        ({"y": [2] * N}, {}, "y must lie between 0 and 1"),
        ({"w": [-1] * N}, {}, "sample_weight must not be negative"),
    ],
)
def test_what_is_not_allowed_is_named(change, arguments, message):
    of, net = table(), network()
    for name, values in change.items():
        of = of.set_column(of.schema.get_field_index(name), name, pa.array(values))
    before = net.parameters.copy()
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit_stream(of, **{**HOW, **arguments})
    np.testing.assert_array_equal(net.parameters, before)


def test_files_of_no_known_kind_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nosuch\.csv: no such file or folder"):
        network().fit_stream(tmp_path / "nosuch.csv", **HOW)
    (tmp_path / "a.txt").touch()
    with pytest.raises(ValueError, match=r"files of one kind are needed.*\.parquet, "):
        network().fit_stream(tmp_path / "a.txt", **HOW)
    csv.write_csv(table(), tmp_path / "a.csv")
    with pytest.raises(ValueError, match="files of one kind are needed"):
        network().fit_stream(tmp_path, **HOW)


def test_duplicated_columns_are_refused():
    of = table().append_column("x0", pa.array(np.zeros(N)))
    with pytest.raises(ValueError, match="there are 2 columns 'x0'; one is needed"):
        network().fit_stream(of, features=[f"x{j}" for j in range(5)], **HOW)


def test_groups_of_rows_are_passed_over_unread(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(table(), path, row_group_size=100)
    columns = Columns("y")
    for first, passed in [(0, 0), (1, 0), (100, 0), (101, 100), (650, 600), (700, 600), (701, 700)]:
        found = list(arrow.record_batches(path, columns, first))
        assert sum(len(batch) for batch in found) == N
        assert sum(len(batch) for batch in found if isinstance(batch, Passed)) == passed


def test_a_table_larger_than_what_is_read_at_a_time_is_not_copied_as_a_whole(tmp_path):
    of = pd.DataFrame({f"x{j}": np.random.default_rng(j).random(200_000) for j in range(5)})
    of["y"] = (of["x0"] > 0.5).astype(int)
    of.to_parquet(tmp_path / "a.parquet")
    net = network()
    net.fit_stream(tmp_path / "a.parquet", target="y", kernel="sequential")  # compiles
    tracemalloc.start()
    net.fit_stream(tmp_path / "a.parquet", target="y", kernel="sequential")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3.5 * learning_bytes()


def learning_bytes():
    from numbabp.streams.learning import PIECE_BYTES

    return PIECE_BYTES
