"""Two runs of benchmarks/dask_kills.py, in which workers are killed at random."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("distributed")
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_no_run_is_lost_or_differs(tmp_path):
    path = tmp_path / "found.json"
    seed = "188"  # kills both workers 0.14 s after the beginning, which no machine is too fast for
    command = [sys.executable, "benchmarks/dask_kills.py", "--runs", "2", "--seed", seed, "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(path.read_text())
    assert [run["busy"] for run in found["runs"]] == [False, True]
    for counts in found["summary"].values():
        assert (counts["runs"], counts["lost"], counts["different"]) == (1, 0, 0)
        assert counts["workers killed alone"] + counts["workers killed with the other"] > 0
