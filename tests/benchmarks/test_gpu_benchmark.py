"""The benchmark of GPUs, as far as it goes without one: peers, report, and a run in the simulator."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import numbabp as nbp

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import gpu  # noqa: E402
from benchmarks.on_gpu import gpu_report, peers, tasks  # noqa: E402

SMALL = tasks.Task(
    "small", (2, 10, 1), 3, tasks.BINARY, 0.3, ("thread",), *tasks.noisy_xor(50), dtype="float64"
)
CLASSES = tasks.Task(
    "classes",
    (6, 5, 4, 3),
    1,
    tasks.CLASSES,
    0.1,
    ("blocked",),
    *tasks.random_classes(50, 6, 3),
    dtype="float64",
)
TASKS = pytest.mark.parametrize("task", [SMALL, CLASSES], ids=lambda task: task.name)


def trained(task, epochs):
    """Parameters of each network trained by itself on the CPU."""
    rows = []
    for start in np.atleast_2d(task.model().parameters):
        network = nbp.Network(task.sizes, loss=task.loss, dtype=task.dtype)
        network.parameters[:] = start
        task.fit(network, epochs, device="cpu")
        rows.append(network.parameters)
    return np.array(rows).reshape(task.model().parameters.shape)


@TASKS
def test_parameters_by_layer_and_back(task):
    parameters = task.model().parameters
    layers = task.layers(parameters)
    assert [W.shape[-2:] for W, _ in layers] == list(zip(task.sizes, task.sizes[1:], strict=False))
    np.testing.assert_array_equal(task.flat(layers), parameters)
    assert task.n_parameters == parameters.shape[-1]
    layers[0][0][...] = 0  # copies
    assert not np.array_equal(task.flat(layers), parameters)


@TASKS
def test_step_by_step_takes_numbabps_steps(task):
    task = dataclasses.replace(task, n_networks=1)
    peer = peers.StepByStep(task, np)
    peer.prepare()
    peer.train(len(task.X), 4)
    assert peers.difference(peer.parameters(), trained(task, 4)) < 1e-12
    peer.prepare()
    np.testing.assert_array_equal(peer.parameters(), task.model().parameters)


COMPARE_JAX = """
import sys, json
import test_gpu_benchmark as tests
differences = []
for task in (tests.SMALL, tests.CLASSES):
    peer = tests.peers.Jax(task, on_gpu=False)
    peer.prepare()
    peer.train(len(task.X), 4)
    peer.finish()
    differences.append(tests.peers.difference(peer.parameters(), tests.trained(task, 4)))
print(json.dumps(differences))
"""


def in_process(code, **environment):
    """What code prints, as JSON, in a process of its own."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu", **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_jax_takes_numbabps_steps():
    pytest.importorskip("jax")
    assert max(in_process(COMPARE_JAX)) < 1e-12  # its threads stay out of this process


def test_systems_that_are_not_here_say_so(monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    for kind in (peers.Jax, peers.Torch, peers.TorchGraph):
        with pytest.raises(peers.Unavailable, match="not installed"):
            kind(CLASSES)


WATCH = """
import json
from benchmarks import gpu  # noqa: E402
from benchmarks.on_gpu import ceilings, clock
from numbabp.devices import memory
original = memory.launch
with clock.watched_launches() as found:
    ceilings.measure(ceilings.LAUNCH, 1)
print(json.dumps([found.n, found.seconds, memory.launch is original]))
"""


def test_launches_are_watched():
    pytest.importorskip("numba_cuda")
    n, seconds, restored = in_process(WATCH, NUMBA_ENABLE_CUDASIM="1")
    assert n == 3 and seconds > 0 and restored


def report(**arguments):
    return gpu_report.Report({"date": "today", "card": "a card"}, **arguments)


def measured(steps_per_second):
    return {"steps_per_second": steps_per_second, "n_weights": 30, "n_parameters": 41, "note": ""}


def test_a_report_of_nothing_has_every_row_and_no_figure():
    text = report(reason="no driver").markdown()
    assert "No card was at hand when this was written (no driver), so the cells are empty." in text
    for row in gpu_report.SPEEDS:
        assert f"| {row.task} | {row.system} |  |  |  |  |  |  | {row.wanted} |  |  |" in text
    assert text.count("| blocked | float64 |") == 2
    assert "| met |" not in text and "MISSED" not in text


def test_verdicts():
    found = report()
    row, jax = (
        next(r for r in gpu_report.SPEEDS if r.task == tasks.SMALL and want(r))
        for want in (lambda r: r.steps, lambda r: r.ratio)
    )
    assert found.verdict_of_speed(row) is None
    found.speeds[row.task, row.system] = measured([1e10, 6e10, 7e10])
    found.speeds[jax.task, jax.system] = measured([3e9, 7.5e9, 9e9])
    assert found.verdict_of_speed(row) is True
    assert found.ratio(jax) == pytest.approx(8)
    assert found.verdict_of_speed(jax) is False
    text = found.markdown()
    assert (
        "| 6.00e+10 | 1.00e+10 to 7.00e+10 |  | 1.80e+12 | 2.46e+12 | 1 | >= 5.00e+10 steps/s | met |" in text
    )
    assert "| 8 | >= 10 times | MISSED |" in text
    found.speeds[row.task, row.system] = {"note": "failed: it broke | badly", "failed": True}
    assert found.verdict_of_speed(row) is False
    assert found.verdict_of_speed(jax) is None
    assert "failed: it broke / badly" in found.markdown()
    found.overheads[tasks.SMALL] = {"wall": 1.0, "device": 0.97, "overhead": 0.03, "note": ""}
    assert found.verdict_of_overhead(tasks.SMALL) is True
    assert "| 1.000 s | 0.970 s | 3.0% | < 5% | met |" in found.markdown()


@pytest.mark.parametrize("result", [{"difference": 2e-10}, {"difference": float("nan")}, {"note": "failed"}])
def test_a_trajectory_that_differs_fails(result):
    found, check = report(), tasks.CHECKS[0]
    assert check.tolerance == 1e-10 and found.failed_checks == []
    key = (check.kernel, check.dtype, check.update_rule)
    found.checks[key] = {"difference": 5e-11, "note": ""}
    assert found.verdict_of_check(check) is True and found.failed_checks == []
    found.checks[key] = result
    assert found.failed_checks == [check]


def test_simulated_figures_are_not_written():
    found = report(simulated=True)
    for row in gpu_report.SPEEDS:
        found.speeds[row.task, row.system] = measured([7.77e9])
    found.ceilings[next(iter(gpu_report.UNITS))] = {"figures": [7.77], "note": ""}
    text = found.markdown()
    assert "simulated: no figure here means anything" in text
    assert "7.77" not in text and "| met |" not in text and "MISSED" not in text
    assert found.to_dict()["simulated"] is True


def test_files_are_written_whole(folder):
    found = report()
    found.speeds[tasks.SMALL, "a system"] = measured([1.0, 2.0])
    gpu_report.write_json(found, folder / "new" / "gpu.json")
    assert json.loads((folder / "new" / "gpu.json").read_text())["speeds"][0]["steps_per_second"] == [
        1.0,
        2.0,
    ]
    page = folder / "gpu.md"
    page.write_text(f"# Title\n\n{gpu_report.BEGIN}\nold\n{gpu_report.END}\n\nend\n")
    for _ in range(2):
        gpu_report.write_markdown(found, page)
        text = page.read_text()
        assert text.startswith("# Title\n") and text.endswith("end\n") and "old" not in text
        assert text.count("### Ceilings") == 1
    gpu_report.write_markdown(found, folder / "other.md")
    assert (folder / "other.md").read_text() == found.markdown()
    assert sorted(os.listdir(folder)) == ["gpu.md", "new", "other.md"]


@pytest.mark.parametrize("result", [{"figures": [1.0]}, ZeroDivisionError("a row that fails")])
def test_figures_are_kept_after_every_row(result):
    def measure():
        if isinstance(result, Exception):
            raise result
        return result

    found, kept = report(), []
    bench = gpu.Benchmark(found, None, 0, 1, lambda: kept.append(list(found.ceilings)))
    for name in ("one", "two"):
        bench.attempt(found.ceilings, name, measure)
    assert kept == [["one"], ["one", "two"]]
    assert all("figures" in row or row["failed"] for row in found.ceilings.values())


def test_the_page_has_a_place_for_results():
    text = (ROOT / "docs" / "gpu.md").read_text()
    assert text.count(gpu_report.BEGIN) == text.count(gpu_report.END) == 1


def run(*arguments, **environment):
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_without_a_gpu_the_command_says_why(folder):
    pytest.importorskip("numba_cuda")
    done = run("--markdown", "gpu.md", NUMBA_ENABLE_CUDASIM="0", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2, done.stderr
    assert "No GPU here: " in done.stdout
    assert "so the cells are empty." in (folder / "gpu.md").read_text()


@pytest.mark.slow
def test_the_command_in_the_simulator(folder):
    pytest.importorskip("numba_cuda")
    done = run("--simulate", "--json", "gpu.json", "--markdown", "gpu.md")
    found = json.loads((folder / "gpu.json").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert found["simulated"] is True and "means anything" in done.stdout
    assert [row["name"] for row in found["ceilings"]] == list(gpu_report.UNITS)
    assert all(row["figures"][0] > 0 for row in found["ceilings"])
    assert len(found["checks"]) == len(tasks.checks(simulated=True)) < len(tasks.CHECKS)
    rows = {(row["task"], row["system"]): row for row in found["speeds"]}
    not_simulated = {(tasks.BIG, gpu_report.own(kernel)) for kernel in tasks.NOT_SIMULATED}
    assert set(rows) == {(row.task, row.system) for row in gpu_report.SPEEDS} - not_simulated
    failed = {key: row["note"] for key, row in rows.items() if row.get("failed")}
    assert failed == {}
    assert all("overhead" in row for row in found["overheads"])
    assert "means anything" in (folder / "gpu.md").read_text()
