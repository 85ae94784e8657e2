"""A few of the files that benchmarks/mutations.py damages at random; it has been through thousands."""

import zipfile

import pytest

from benchmarks.mutations import Fuzzer
from numbabp.data.columns import TableError
from numbabp.data.table_files import read_table

KINDS = ("csv", "tsv", "npz", "parquet", "model")


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    pytest.importorskip("pyarrow")
    return Fuzzer(tmp_path_factory.mktemp("damaged"))


@pytest.mark.parametrize("kind", KINDS)
def test_files_damaged_at_random_are_read_or_refused_in_one_line(fuzzer, kind):
    failures = [fuzzer.failure(kind, seed) for seed in range(120)]
    assert not any(failures), "\n".join(filter(None, failures))


def test_failures_are_found(fuzzer, monkeypatch):
    """Else the test above would prove nothing."""

    def fail(path):
        raise KeyError("a line\nand another")

    monkeypatch.setattr(fuzzer, "_load", fail)
    assert fuzzer.failure("model", 0).startswith("model 0: Traceback")


def test_members_of_an_archive_that_are_no_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
        archive.writestr("y.npy", b"no array")
    with pytest.raises(TableError, match="'y' in it is no array"):
        read_table(tmp_path / "some.npz")
