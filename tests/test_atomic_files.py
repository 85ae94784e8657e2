"""Files that appear whole or not at all, and what killed processes leave beside them."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import numbabp as nbp
from numbabp import atomic_files
from numbabp.atomic_files import OLD_SECONDS, write_atomically

KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from numbabp.atomic_files import write_atomically

    def write(file):
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    write_atomically(sys.argv[1], write)
    """
)


def killed_while_writing(path):
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", KILLED, path], env={**os.environ, "PYTHONPATH": root})
    assert done.returncode < 0


@pytest.mark.skipif(os.name != "posix", reason="processes are asked after on POSIX systems")
def test_the_next_save_removes_what_a_killed_one_has_left(tmp_path):
    nbp.Network((2, 3, 1)).save(tmp_path / "net")
    kept = (tmp_path / "net").read_bytes()
    for name in ("net", "other"):
        killed_while_writing(tmp_path / name)
        assert len(list(tmp_path.glob(f".{name}.*.tmp"))) == 1
    assert (tmp_path / "net").read_bytes() == kept
    nbp.Network((2, 3, 1)).save(tmp_path / "net")
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_only_our_own_are_removed_and_none_that_is_being_written(tmp_path):
    where, living = atomic_files.where_processes_count(), os.getpid()
    others = "0" * 8 if where != "0" * 8 else "1" * 8
    digits = "0123456789abcdef"
    names = [
        f".net.{where}-{living}-{digits}.tmp",  # being written, by another thread
        f".net.{others}-{living}-{digits}.tmp",  # likewise on another machine
        ".net.tmp",
        f".net.{digits}.tmp",
        f"net.{where}-999999999-{digits}.tmp",
        f".net.{where}-999999999-{digits}.tmp.txt",
        f".net.{where}-0-{digits}.tmp",
    ]
    for name in names:
        (tmp_path / name).write_text("")
    (tmp_path / f".folder.{where}-999999999-{digits}.tmp").mkdir()
    os.symlink("nowhere", tmp_path / f".link.{where}-999999999-{digits}.tmp")
    before = set(os.listdir(tmp_path))
    write_atomically(tmp_path / "file", lambda file: file.write(b"whole"))
    assert set(os.listdir(tmp_path)) == before | {"file"}
    long_ago = time.time() - OLD_SECONDS - 60
    for name in names:
        os.utime(tmp_path / name, (long_ago, long_ago))
    write_atomically(tmp_path / "file", lambda file: file.write(b"whole"))
    assert set(os.listdir(tmp_path)) == (before | {"file"}) - {names[1]}


def test_a_failure_leaves_nothing(tmp_path):
    def write(file):
        file.write(b"half")
        raise KeyboardInterrupt

    (tmp_path / "file").write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", write)
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"before"


def test_ctrl_c_pressed_twice_leaves_no_temporary_file(tmp_path, monkeypatch):
    def write(file):
        file.write(b"half")
        raise KeyboardInterrupt

    def unlink(path):
        n_unlinked.append(path)
        if len(n_unlinked) == 1:
            raise KeyboardInterrupt
        real(path)

    real, n_unlinked = os.unlink, []
    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "some", write)
    assert len(n_unlinked) == 2 and not list(tmp_path.iterdir())
