"""The smoke run: its rows one by one, what it says meanwhile, and the second process that compiles."""

import os
import re
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from commands import run, run_json

from numbabp.cli import smoke, smoke_compiler
from numbabp.compiler import caching
from numbabp.compiler import compile_events as watching
from numbabp.planning import catalogue


def fake(name, log):
    """A kernel on the CPU that notes when it is checked."""

    def error(kernel, dtype):
        log.append((kernel.name, dtype))
        return 0.0

    return smoke.Trial("cpu", name, error, lambda kernel, dtype: (lambda: None, 1))


def test_every_kernel_is_tried():
    tried = {(kernel.device, kernel.name) for kernel in smoke.TRIALS}
    there_are = {(kernel.device, kernel.name) for kernel in catalogue.KERNELS}
    # XOR is not sparse, its networks have no large layers, and those trained one by one are of other kernels
    assert there_are - tried == {("cpu", "sparse"), ("cpu", "each")}
    assert tried < there_are


def test_rows_come_before_the_next_kernel_is_tried(monkeypatch):
    log = []
    monkeypatch.setattr(smoke, "TRIALS", [fake("one", log), fake("two", log)])
    told = []
    rows = smoke.run(told.append)
    assert log == []
    first, second = next(rows), next(rows)
    assert [(row.kernel, row.dtype, row.passed) for row in (first, second)] == [
        ("one", "float64", True),
        ("one", "float32", True),
    ]
    assert log == [("one", "float64"), ("one", "float32")]
    assert {row.kernel for row in rows} == {"two"}
    assert told[:2] == ["checking one, float64", "checking one, float32"]


PROGRAM = """if True:
    import time
    from numbabp.cli import app as cli, smoke
    def error(kernel, dtype):
        time.sleep(0.5)
        return 0.0
    smoke.TRIALS = [
        smoke.Trial("cpu", name, error, lambda kernel, dtype: (lambda: None, 1)) for name in "abc"
    ]
    cli.app(["smoke"])
"""
"""Smoke, of kernels that take half a second."""


def test_lines_are_written_as_rows_are_done():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        times = {line.split()[1]: time.perf_counter() for line in process.stdout}
    assert process.returncode == 0
    assert times["c"] - times["a"] > 1.5


def test_on_a_terminal_rows_come_above_what_is_under_way():
    pty = pytest.importorskip("pty")
    own, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    command = [sys.executable, "-c", PROGRAM]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    written = b""
    with suppress(OSError):  # which is how a terminal ends
        while read := os.read(own, 4096):
            written += read
    os.close(own)
    assert process.wait() == 0
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[?\d;]*\w", "", written.decode()))
    rows = [line for line in lines if "pass" in line]
    assert [row[:27] for row in rows] == [
        f"cpu     {name:10}  {dtype}" for name in "abc" for dtype in ("float64", "float32")
    ]
    assert any("checking b, float32" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_second_process_compiles_the_second_dtype(monkeypatch, tmp_path):
    """A kernel that is compiled starts it, and its kernels are found in the cache folder."""
    monkeypatch.setattr(smoke_compiler, "cache_folder", lambda kernel: str(tmp_path))
    monkeypatch.setattr(smoke_compiler, "n_threads", lambda: 2)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    with smoke_compiler.SecondProcess() as other:
        other.start("float32", ["general"])
        assert other.is_busy_with("general")
        other.wait_for("general")
        assert not other.is_busy_with("general")
    names = [path.name for path in tmp_path.rglob(f"*{caching.SUFFIX}")]
    assert any("train_general" in name for name in names)
    assert not any("train_lanes" in name for name in names)


@pytest.mark.parametrize(("folder", "threads"), [(None, 2), ("somewhere", 1)])
def test_there_is_no_second_process_without_use(monkeypatch, folder, threads):
    monkeypatch.setattr(smoke_compiler, "cache_folder", lambda kernel: folder)
    monkeypatch.setattr(smoke_compiler, "n_threads", lambda: threads)
    with smoke_compiler.SecondProcess() as other:
        other.start("float32", ["general"])
        assert not other.is_busy_with("general")


def test_a_second_process_that_breaks_down_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(smoke_compiler, "cache_folder", lambda kernel: "somewhere")
    monkeypatch.setattr(smoke_compiler, "n_threads", lambda: 2)
    monkeypatch.setattr(smoke_compiler, "PROGRAM", "print('one', flush=True); raise SystemExit(1)")
    with smoke_compiler.SecondProcess() as other:
        other.start("float32", ["one", "two"])
        other.wait_for("one")
        assert other.is_busy_with("two")
        other.wait_for("two")
        assert not other.is_busy_with("two")


def test_compiling_is_told_and_loading_is_not():
    from numba import njit

    def twice(x):
        return 2 * x

    told = []
    function = njit(twice)
    for _ in range(2):
        with watching.compiling_watched(lambda: told.append("begin"), lambda: told.append("end")):
            assert function(2) == 4
    assert told == ["begin", "end"]


@pytest.mark.parametrize("columns", [80, 60])
def test_nothing_is_wider_than_the_terminal_or_cut(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(smoke, "TRIALS", [fake("a", []), smoke.Trial("cuda", "persistent", None, None)])
    reason = "there is no driver: pip install 'numbabp[cuda13]', look at [red]this[/red], or ask :help:"
    monkeypatch.setattr(smoke, "why_no_gpu", lambda: reason)
    output = run("smoke").stdout
    heading, *lines = output.splitlines()
    assert max(map(len, lines)) <= max(columns, 72)
    assert re.split(r"  +", heading) == ["device", "kernel", "dtype", "ns/step", "CUPS", "largest error"]
    assert lines[0].endswith("0.0e+00  pass")
    assert len(lines[0]) == len(heading) + len("  pass")
    assert f"no GPU here: {reason}" in " ".join(output.split())
    assert run_json("smoke")["rows"][2]["note"] == f"no GPU here: {reason}"
