"""The regression check: its statistics, what it compares, and a run of a commit against a slower one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT))

from benchmarks import builds, interleaved, regression, results  # noqa: E402

LIMIT = 1.15
SEQUENTIAL = "numbabp/kernels/sequential.py"
STEP = "                step_sgd(model, real(rate) * weight, shrink, updated)\n"
AGAIN = "                predict(model, samples, run, s, weight)\n"
"""A second forward pass: about a third of a step."""


def noisy_rounds(slower, seed, n=12):
    """Rounds on a machine whose speed drifts, and that often is busy with something else."""
    draw = np.random.default_rng(seed)
    drift = 1 + 0.3 * np.sin(np.arange(n) / 3)
    seconds = drift[:, None, None] * draw.lognormal(0, 0.03, (n, 2, 2))  # round, side, sample
    seconds *= np.where(draw.random(seconds.shape) < 0.1, 3, 1)
    seconds[:, 1] *= slower
    return seconds.min(axis=2).tolist()


@pytest.mark.parametrize("slower", [1.0, 1.3])
def test_median_of_ratios_tells_slower_from_same_in_noise(slower):
    ratios = [interleaved.ratio(noisy_rounds(slower, seed))[0] for seed in range(200)]
    assert np.mean(np.array(ratios) > LIMIT) == (slower > LIMIT)
    assert abs(np.median(ratios) / slower - 1) < 0.01


def test_spread_is_the_quartiles_of_the_ratios():
    rounds = [(2.0, 2.0 * r) for r in (1.0, 1.1, 1.2, 1.3, 1.4)]
    assert interleaved.ratio(rounds) == pytest.approx((1.2, 1.1, 1.3))


class Side:
    """Stands for a process: what it takes for a unit of work, and every sample it was asked for."""

    def __init__(self, name, seconds, calls):
        self.name, self.seconds, self.calls = name, seconds, calls

    def restart(self):
        pass

    def ask(self, **request):
        if "prepare" in request and self.seconds is None:
            raise interleaved.MeasuringError("head: ValueError: no such kernel")
        if "train" in request:
            self.calls.append(self.name)
            return {"cpu": self.seconds * request["units"]}
        return {"steps": 4}


def measured(base, head):
    calls = []
    sides = {"base": Side("base", base, calls), "head": Side("head", head, calls)}
    row = interleaved.Trained("inner loop: 2-10-1, float32", "ns a step")
    row.prepare(sides)  # finds how much work is a sample
    calls.clear()
    interleaved.measure([row], sides, 1)
    return row, calls


def test_both_sides_are_measured_in_turn_in_samples_of_one_length():
    row, calls = measured(1e-6, 1.3e-6)
    there, back = ["base", "head", "head", "base"], ["head", "base", "base", "head"]
    assert calls == [*there, *back, *there, *back]
    assert row.units * 1e-6 == pytest.approx(row.seconds, rel=0.1)
    assert interleaved.ratio(row.rounds) == pytest.approx((1.3, 1.3, 1.3))
    assert row.median("base") == pytest.approx(1e3 / 4) and row.median("head") == pytest.approx(1.3e3 / 4)


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        (1e-6, 1e-6, "same"),
        (1e-6, 1.3e-6, "slower"),
        (1e-6, 0.7e-6, "faster"),
        (None, 1e-6, "only head has it"),
        (1e-6, None, "head fails"),
    ],
)
def test_verdicts(base, head, expected):
    row, _ = measured(base, head)
    assert regression.verdict(row, LIMIT) == expected
    assert regression.as_record(row, expected)["verdict"] == expected
    assert regression.table_of([row], {row.name: expected}).row_count == 1


def in_git(folder, *arguments):
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path):
    """Two commits, of which the second changes no code of the package."""
    folder = tmp_path / "clone"
    (folder / "numbabp").mkdir(parents=True)
    (folder / "numbabp" / "__init__.py").write_text('__version__ = "0"\n')
    in_git(folder, "init", "-q")
    for text in ("one", "two"):
        (folder / "README.md").write_text(text)
        in_git(folder, "add", ".")
        in_git(folder, "commit", "-q", "-m", text)
    return folder


def outcome(capsys, *arguments):
    status = regression.main([*map(str, arguments)])
    return status, capsys.readouterr()


@pytest.mark.parametrize("revision", ["no-such-commit", "--option"])
def test_unknown_commit_is_refused_in_one_line(clone, capsys, revision):
    status, said = outcome(capsys, "--repository", clone, "--", revision, "HEAD")
    assert status == 2 and said.out == ""
    assert said.err.count("\n") == 1 and revision in said.err and "allowed: a hash" in said.err


def test_commits_with_the_same_package_need_no_measuring(clone, capsys):
    status, said = outcome(capsys, "--repository", clone)
    assert status == 0
    assert said.out.startswith("Nothing under numbabp/ differs between")


def test_first_commit_has_nothing_to_be_compared_with(clone, capsys):
    for arguments in (["HEAD~2", "HEAD"], ["HEAD~1~1", "HEAD"], ["HEAD^^"]):
        status, said = outcome(capsys, "--repository", clone, *arguments)
        assert status == 0
        assert "HEAD is the first commit" in said.out and "nothing to compare" in said.out


@pytest.mark.parametrize(
    "arguments", [["--limit", "1"], ["--processes", "0"], ["--json", "/no/such/folder/a"]]
)
def test_bad_options_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        regression.main(arguments)
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_commit_that_does_not_build_is_named(clone, tmp_path):
    (clone / "pyproject.toml").write_text("not TOML")
    in_git(clone, "add", ".")
    in_git(clone, "commit", "-q", "-m", "three")
    with pytest.raises(builds.BuildError, match=in_git(clone, "rev-parse", "HEAD")):
        builds.build("HEAD", tmp_path / "builds", clone)
    assert list((tmp_path / "builds").iterdir()) == []


def test_files_of_results_are_whole_or_not_there(tmp_path):
    file = tmp_path / "a.json"
    results.write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        results.write_json(file, {"a": object()})
    assert json.loads(file.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [file]


def run(tmp_path, repository, *arguments):
    """The program's exit status and its file."""
    file = tmp_path / "found.json"
    command = [
        sys.executable,
        str(CHECKOUT / "benchmarks" / "regression.py"),
        "--repository",
        str(repository),
    ]
    command += [
        "--builds",
        str(tmp_path / "builds"),
        "--json",
        str(file),
        "--only",
        "784-128-10 sequential, float32",
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, json.loads(file.read_text())


@pytest.mark.slow
def test_finds_a_step_made_slower_and_passes_a_commit_against_itself(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--shared", str(CHECKOUT), str(clone)], check=True)
    source = (clone / SEQUENTIAL).read_text()
    assert STEP in source
    (clone / SEQUENTIAL).write_text(source.replace(STEP, AGAIN + STEP))
    in_git(clone, "commit", "-q", "-a", "-m", "Make steps slower")
    status, found = run(tmp_path, clone, "HEAD~1", "HEAD")
    (row,) = found["rows"]
    assert status == 1 and row["verdict"] == "slower" and row["ratio"] > LIMIT
    status, found = run(tmp_path, clone, "HEAD~1", "HEAD~1", "--always")
    assert status == 0 and found["passed"]
