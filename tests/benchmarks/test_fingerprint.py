"""The fingerprint: what its runs cover, that a digest is of every bit, and what a comparison tells."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import fingerprint
from benchmarks import fingerprint_cases as runs

NAMES = [case.name for case in (*runs.cases(), *runs.simulated_cases())]


def test_runs_are_many_and_cover_every_kernel_and_rule():
    assert len(NAMES) == len(set(NAMES)) >= 300
    parts = ("network", "population", "predictions", "estimator", "ensemble", "search", "GPU population")
    on_cpu = ("sequential", "general", "minibatch", "blocked", "shared", "sparse", "tiny", "lanes", "each")
    kernels = (*on_cpu, "thread", "warp", "block", "persistent")
    for part in parts:
        assert any(name.startswith(f"{part}: ") for name in NAMES)
    for word in (*kernels, *runs.RULES, *runs.LOSSES, *runs.ACTIVATIONS, *runs.DTYPES):
        assert any(word in name.replace(":", ",").split(", ")[1:] for name in NAMES), word


CHOSEN = ("network: sequential, two layers, float64", "network: sequential, weighted, float64")


@pytest.mark.parametrize("name", CHOSEN)
def test_digests_repeat_and_see_one_rounding(name):
    (case,) = [case for case in runs.cases() if case.name == name]
    first = fingerprint.fingerprint(case)
    assert not first.startswith(fingerprint.FAILED)
    assert fingerprint.fingerprint(case) == first
    rate = case.run.keywords.get("learning_rate", 0.05)
    perturbed = runs.Case(name, lambda: case.run(learning_rate=np.nextafter(rate, 1)))
    assert fingerprint.fingerprint(perturbed) != first


def test_digest_is_of_names_dtypes_shapes_and_bytes():
    array = np.arange(6.0)
    others = [
        {"b": array},
        {"a": array.astype("float32")},
        {"a": array.reshape(2, 3)},
        {"a": np.nextafter(array, 9)},
        {"a": array, "b": array},
    ]
    digests = {fingerprint.digest_of(arrays) for arrays in ({"a": array}, *others)}
    assert len(digests) == 6
    quiet, other = np.array([0x7FF8000000000000, 0x7FF8000000000001], np.uint64).view(np.float64)
    assert fingerprint.digest_of({"a": quiet}) == fingerprint.digest_of({"a": other})


def test_run_that_fails_has_its_error_for_a_digest():
    def run():
        raise ValueError("no\nsuch kernel")

    assert fingerprint.fingerprint(runs.Case("a", run)) == "failed: ValueError: no such kernel"


def file_of(folder, name, digests, processor="one"):
    path = folder / name
    path.write_text(json.dumps({"digests": digests, "processor": processor}))
    return path


def test_comparison_tells_what_differs_and_what_is_missing(tmp_path, capsys):
    a = file_of(tmp_path, "a.json", {"x": "1", "y": "2", "z": "3"})
    b = file_of(tmp_path, "b.json", {"x": "1", "y": "4", "w": "5"}, "another")
    assert fingerprint.main(["--compare", str(a), str(a)]) == 0
    assert capsys.readouterr().out == "All 3 digests are the same.\n"
    assert fingerprint.main(["--compare", str(a), str(b)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "Made with different processor, which may change digests: one and another.",
        "w: missing and 5",
        "y: 2 and 4",
        "z: 3 and missing",
        "3 of 4 differ.",
    ]


@pytest.mark.parametrize("content", [None, "", "[]", '{"digests": 1}', '{"digests": {"x": 1}}'])
def test_comparison_refuses_other_files_in_one_line(tmp_path, capsys, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    assert fingerprint.main(["--compare", str(path), str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and str(path) in said.err


def test_unknown_commits_are_refused_in_one_line(tmp_path, capsys):
    arguments = ["--output", str(tmp_path / "a.json"), "--commit", "no-such-commit"]
    assert fingerprint.main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "no-such-commit" in said.err


@pytest.mark.parametrize("arguments", [[], ["--output", "/no/such/folder/a.json"], ["--compare", "a.json"]])
def test_bad_command_lines_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        fingerprint.main(arguments)
    assert stop.value.code == 2


@pytest.mark.slow
def test_program_writes_the_same_digests_twice(tmp_path):
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    for file in files:
        assert fingerprint.main(["--output", file, "--only", "network: sequential", "--no-gpu"]) == 0
    assert fingerprint.main(["--compare", *files]) == 0
    assert len(json.loads(Path(files[0]).read_text())["digests"]) > 50
