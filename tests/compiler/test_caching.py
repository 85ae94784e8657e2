"""Machine code on disk: processes beside each other, damaged files, folders that can't be written."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from numbabp.compiler import caching, compiling

TESTS = Path(__file__).parents[1]


class Racer:
    """One of two processes that take turns (racing.py)."""

    def __init__(self, cache, rank, rounds, folder):
        path = os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, str(TESTS / "racing.py"), cache, str(rank), str(rounds)],
            env={**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def reach(self):
        """Wait until it asks for a turn, or has printed what it found."""
        self.said = self.process.stdout.readline().strip()
        assert self.said, "it has died"

    def let(self):
        """Let it go on to where it asks for the next one."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.reach()


def race(cache, rounds, folder, order):
    """What both processes loaded in the end; in each round they write in an order of their ranks."""
    with ExitStack() as stack:
        racers = [Racer(cache, rank, rounds, folder) for rank in (0, 1)]
        for racer in racers:
            stack.enter_context(racer.process)
            racer.reach()
        for i in range(rounds):
            for racer in racers:
                racer.let()  # it looks into the cache, finds nothing, compiles, and asks to write
            for rank in order(i):
                racers[rank].let()
            for racer in racers:
                racer.let()  # it loads both sizes
        return [json.loads(racer.said) for racer in racers]


def alternately(i):
    return (0, 1) if i % 2 else (1, 0)


@pytest.mark.parametrize("rounds", [3, pytest.param(200, marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("cache", ["cpu", "cuda"])
def test_processes_that_compile_at_once(cache, rounds, tmp_path):
    if cache == "cuda" and importlib.util.find_spec("numba_cuda") is None:
        pytest.skip("numba-cuda is not installed")
    found = race(cache, rounds, tmp_path, alternately)
    assert found == [{"its own": 2 * rounds}] * 2


def test_numbas_own_cache_loses_the_race(tmp_path):
    """Else the test above would prove nothing: the index is the first's, the machine code the second's."""
    for found in race("numbas", 2, tmp_path, lambda _: (1, 0, 0, 1)):
        assert found["another's"] == 2


def make(n):
    def store(out):
        out[0] = n

    return compiling.kernel(store)


def stored(kernel):
    out = np.zeros(1, np.int64)
    kernel(out)
    return out[0]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files of a kernel that is on disk, and how to have it anew."""
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    assert stored(make(7)) == 7
    return lambda: sorted(tmp_path.rglob("*.nbc"))


def hits(n):
    kernel = make(n)
    assert stored(kernel) == n
    return sum(kernel.stats.cache_hits.values())


def test_the_second_time_it_is_loaded(files):
    assert len(files()) == 1
    assert hits(7) == 1
    assert hits(8) == 0 and len(files()) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: bytes(len(content)),
        lambda content: b"",
        lambda content: content[:10],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[:40] + bytes([content[40] ^ 128]) + content[41:],
        lambda content: bytes([content[0] ^ 128]) + content[1:],
        lambda content: content + b"\0",
        lambda content: os.urandom(len(content)),
        lambda content: content[caching.DIGEST_BYTES :],
    ],
)
def test_a_damaged_file_is_made_anew(files, damage):
    (path,) = files()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert hits(7) == 0
    assert hits(7) == 1


class NoLonger:
    """Of a class that can't be made again."""

    def __reduce__(self):
        return int, ("no number",)


def folder_there(path):
    path.unlink()
    path.mkdir()


def link_to_nowhere(path):
    path.unlink()
    path.symlink_to(path.parent / "absent" / "file")


def signed(value):
    pickled = caching.dumps(value)
    return lambda path: path.write_bytes(hashlib.sha256(pickled).digest() + pickled)


DAMAGE = {
    "a folder": folder_there,
    "a link to nowhere": link_to_nowhere,
    "no permission": lambda path: path.chmod(0),
    "deleted": lambda path: path.unlink(),
    "another content": signed(42),
    "another key": signed((("other", "versions"), "data")),
    "a class that is no more": signed(NoLonger()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_else_may_be_in_a_files_place_is_replaced(files, damage, monkeypatch):
    (path,) = files()
    DAMAGE[damage](path)
    if damage == "no permission" and os.geteuid() == 0:  # which root is not asked for
        refuse_once(monkeypatch, path)
    assert hits(7) == 0
    assert hits(7) == 1
    assert path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o400


def refuse_once(monkeypatch, path):
    """Refuse to read a file until it is there anew."""
    read, access, written = Path.read_bytes, os.access, path.stat().st_mtime_ns

    def is_old(other):
        return os.path.exists(other) and os.stat(other).st_mtime_ns == written

    def read_bytes(self):
        if is_old(self):
            raise PermissionError(13, "Permission denied")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(os, "access", lambda other, mode: not is_old(other) and access(other, mode))


def test_a_folder_that_is_not_empty_costs_compiling_and_is_left(files):
    (path,) = files()
    folder_there(path)
    (path / "something").write_text("of someone's")
    assert hits(7) == hits(7) == 0
    assert (path / "something").read_text() == "of someone's"


def test_a_folder_that_goes_while_a_process_runs(files, tmp_path):
    kernel = make(7)
    shutil.rmtree(tmp_path)
    assert stored(kernel) == 7 and stored(kernel) == 7
    assert hits(7) == 1


def test_the_machine_code_of_another_key_is_not_taken(files):
    (path,) = files()
    assert hits(8) == 0
    other = next(other for other in files() if other != path)
    other.write_bytes(path.read_bytes())
    assert hits(8) == 0


def test_what_an_older_source_has_left_is_removed(files, monkeypatch):
    (path,) = files()
    index = path.with_name(path.stem.rpartition(".")[0] + ".nbi")
    index.write_bytes(b"of Numba's own cache")
    monkeypatch.setattr(caching, "digest_of", lambda function: ("after an edit", ""))
    assert hits(7) == 0
    assert len(files()) == 1 and files() != [path]
    assert not index.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    tmp_path.chmod(0o500)
    assert hits(7) == hits(7) == 0


def test_a_full_disk(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(caching, "write_atomically", fail)
    assert hits(7) == hits(7) == 0
    assert not list(tmp_path.rglob("*.nbc"))


def test_machine_code_that_llvm_does_not_hand_over(tmp_path, monkeypatch):
    """As where Ctrl-C falls into its callback."""

    def reduce(self, data):
        raise RuntimeError("no compiled object yet")

    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr("numba.core.caching.CompileResultCacheImpl.reduce", reduce)
        assert hits(7) == 0
    assert not list(tmp_path.rglob("*.nbc"))
    assert hits(7) == 0 and hits(7) == 1
