"""Compiling ahead: `numbabp warm`."""

import json
import os
import subprocess
import sys

import pytest
from commands import refused, run, run_json

from numbabp.cli import warm


@pytest.fixture
def quick(monkeypatch):
    """Uses that compile nothing, and which of them were run."""
    done = []
    monkeypatch.setattr(
        warm, "USES", {use: lambda dtype, use=use: done.append((use, dtype)) for use in warm.USES}
    )
    return done


def test_all_uses_in_both_dtypes(quick):
    found = list(warm.warm())
    assert quick == [(each.use, each.dtype) for each in found]
    assert quick == [(use, dtype) for use in warm.USES for dtype in ("float64", "float32")]
    assert {each.compiled for each in found} == {0}


def test_what_is_named(quick):
    assert [each.use for each in warm.warm(["streams"], ["float32"])] == ["streams"]
    assert quick == [("streams", "float32")]


@pytest.mark.parametrize(
    ("asked", "message"),
    [((["network"],), "uses='network' is not known"), (((), ["float16"]), "dtype='float16' is not known")],
)
def test_what_is_not_known_is_named(asked, message, quick):
    with pytest.raises(ValueError, match=message):
        warm.warm(*asked)
    assert quick == []


def test_no_folder_to_keep_it_in(monkeypatch):
    monkeypatch.setattr(warm, "cache_folder", lambda kernel: None)
    with pytest.raises(OSError, match="set NUMBA_CACHE_DIR to one that can"):
        warm.warm()


@pytest.mark.slow
@pytest.mark.parametrize("use", warm.USES)
def test_the_second_time_nothing_is_left_to_compile(use, tmp_path):
    command = [sys.executable, "-m", "numbabp", "warm", use, "--dtype", "float32", "--json"]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    outputs = [subprocess.run(command, env=environment, check=True, capture_output=True) for _ in range(2)]
    first, again = (json.loads(done.stdout) for done in outputs)
    assert first["uses"][0]["compiled"] > 2 and again["uses"][0]["compiled"] == 0
    assert again["folder"] == first["folder"] and first["folder"].startswith(str(tmp_path))


def test_what_it_tells(quick):
    lines = run("warm", "streams").stdout.splitlines()
    assert lines[0].split() == ["streams", "float64", "0", "kernels", "compiled", "in", "0.0", "s"]
    assert lines[-1].startswith("All is kept in ")
    assert [each["dtype"] for each in run_json("warm", "networks")["uses"]] == ["float64", "float32"]


def test_a_mistake_is_said_in_a_line():
    told = refused("warm", "network")
    assert "uses='network' is not known; allowed: estimators, networks, populations, streams." in told
