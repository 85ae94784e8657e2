"""What asks a card everything: its jobs, and what it says where there is no card."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import on_card  # noqa: E402
from benchmarks.on_card import Job, Visit  # noqa: E402


def job(code, **options):
    return Job("a: job", [sys.executable, "-c", code], **{"seconds": 30, **options})


@pytest.fixture
def run(tmp_path):
    return lambda job: job.run(tmp_path, dict(os.environ))


def test_a_job_that_passes_keeps_the_lines_that_count(run, tmp_path):
    done = run(job("print('7 passed'); print('noise')", keep="passed|failed"))
    assert done.passed and done.note == "" and done.lines == ["7 passed"]
    assert (tmp_path / "a_job.log").read_text() == "7 passed\nnoise\n"


def test_a_job_that_fails_shows_how_it_ended(run):
    done = run(job("raise SystemExit('no kernel')", keep="passed"))
    assert done.passed is False and done.note == "exit status 1" and done.lines == ["no kernel"]


def test_a_job_that_hangs_is_killed_with_what_it_started(run):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    done = run(job(code, seconds=1))
    assert done.passed is False and done.note == "killed after 1 s" and done.took < 20


def test_parts_are_kept_as_they_end(tmp_path, monkeypatch, capsys):
    visit = Visit(tmp_path, 2, simulate=True)
    monkeypatch.setattr(Visit, "tests", lambda self: [job("print('1 passed')"), job("exit(3)")])
    assert visit.run("sanitizers") and not visit.run("tests")
    kept = json.loads((tmp_path / "on_card.json").read_text())
    assert kept["sanitizers"]["jobs"] == []
    assert [job["passed"] for job in kept["tests"]["jobs"]] == [True, False]
    said = capsys.readouterr().out
    assert "left out: the tool is not here" in said and "FAILED (exit status 3)" in said


def test_sanitizers_and_counters_name_every_kind_of_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(on_card, "tool", lambda name: f"/bin/{name}")
    visit = Visit(tmp_path, 2, simulate=False)
    named = " ".join(argument for job in visit.sanitizers() for argument in job.command)
    for kernel in ("thread", "warp", "block", "persistent", "blocked", "resident"):
        assert f"{kernel}:float64:sgd" in named
    assert [job.command[0] for job in visit.counters()] == ["/bin/ncu"] * 4


def asked(tmp_path, *options):
    command = [sys.executable, str(ROOT / "benchmarks" / "on_card.py"), "--output", str(tmp_path), *options]
    return subprocess.run(command, capture_output=True, text=True)


def test_no_card(tmp_path):
    done = asked(tmp_path, "--only", "facts")
    if done.returncode == 0:
        pytest.skip("there is one")
    assert done.returncode == 2 and "no GPU: " in done.stdout and "Traceback" not in done.stderr


def test_unknown_parts(tmp_path):
    done = asked(tmp_path, "--only", "facts,all")
    assert done.returncode == 2 and "no part all; there are: facts, kernels, tests," in done.stderr
