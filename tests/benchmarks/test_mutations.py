"""A few of the files that benchmarks/mutations.py damages at random; it has been through thousands."""

import zipfile

import pytest

from benchmarks import undamaged
from benchmarks.mutations import LOADERS, Fuzzer, digests_taken_as_right
from numbabp.data.columns import TableError
from numbabp.data.table_files import read_table

KINDS = (*undamaged.TABLES, "model", "network", "population", "checkpoint")


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    pytest.importorskip("pyarrow")
    return Fuzzer(tmp_path_factory.mktemp("damaged"))


@pytest.mark.parametrize("kind", KINDS)
def test_files_damaged_at_random_are_read_or_refused_in_one_line(fuzzer, kind):
    failures = [fuzzer.failure(kind, seed) for seed in range(30)]
    assert not any(failures), "\n".join(filter(None, failures))


def test_failures_are_found(fuzzer, monkeypatch):
    """Else the test above would prove nothing."""

    def fail(path):
        raise KeyError("a line\nand another")

    monkeypatch.setitem(LOADERS, "Network.load", fail)
    assert fuzzer.failure("model", 0).startswith("model 0, Network.load: Traceback")


def test_damage_gets_past_the_digests(fuzzer, tmp_path):
    """Else it would only be seen whether these differ."""
    own = {"network": LOADERS["Network.load"], "population": LOADERS["Population.load"]}
    for kind, load in {**own, "checkpoint": LOADERS["checkpoint"]}.items():
        whole = fuzzer.whole[kind]
        path = tmp_path / kind
        length = int.from_bytes(whole[:8], "little")
        path.write_bytes(whole[: 8 + length].replace(b'"sha256":"', b'"sha256":"0') + whole[8 + length :])
        content = path.read_bytes()
        if len(content) == len(whole):  # JSON with a blank after the colon
            content = content.replace(b'"sha256": "', b'"sha256": "0')
        path.write_bytes((len(content) - len(whole) + length).to_bytes(8, "little") + content[8:])
        with pytest.raises(ValueError, match="digest"):
            load(path)
        with digests_taken_as_right():
            load(path)


def test_members_of_an_archive_that_are_no_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
        archive.writestr("y.npy", b"no array")
    with pytest.raises(TableError, match="'y' in it is no array"):
        read_table(tmp_path / "some.npz")
