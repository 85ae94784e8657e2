"""The tests of GPUs where there is none: compiled for one, on the processor; and those of the simulator."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS.parent))  # for `benchmarks`
RECORDED = [
    "test_gpu_blocked_races.py",
    "test_gpu_population_races.py",
    "test_gpu_recorded.py",
    "test_gpu_resident_races.py",
]
"""Files whose tests look at accesses to memory, which only what is compiled tells."""
INFERENCE = ["test_gpu_population_predictions.py", "test_gpu_start.py"]
"""Whose kernels no other test has on record."""
FILES = sorted((TESTS / "gpu").glob("test_*.py"), key=lambda path: path.stat().st_size)
ALL = [path.name for path in FILES if path.name not in RECORDED]
STRICT, STEPS = "test_gpu_strict.py", "test_gpu_steps.py"
APPROXIMATE, OWN_ORDERS = "test_gpu_approximate.py", "test_gpu_own_orders.py"
AS_COMPILED = (STRICT, STEPS, APPROXIMATE, OWN_ORDERS, "test_gpu_resident.py")
"""Whose bits only what is compiled has, or which would take long, or need all blocks at once."""
IN_SIMULATOR = [name for name in ALL if name not in AS_COMPILED]
COMPILED = [name for name in ALL if name != "test_gpu_simulator.py"]

LOWER = """
import re, sys
from numba import typeof
import numbabp as nbp
from benchmarks.on_gpu.compiled import lowering, stand_in

def lower(self, kernel, grid, block, arguments, shared):
    how = kernel, tuple(map(typeof, arguments)), self.device.compute_capability
    if sys.argv[1] == "quickly":
        texts = lowering.nvvm_ir(*how, False)
    else:
        texts = map(lowering.nvvm.llvm_replace, dict.fromkeys(lowering.lowered(*how).llvm_strs))
    # functions are numbered as they come, and come as the addresses of others have it
    text = re.sub(r'B\\d+v\\d+(?=B)|\\$\\d+"$', "", "\\n".join(texts), flags=re.MULTILINE)
    print(*sorted(text.splitlines()), sep="\\n")
    sys.exit()

stand_in.OnProcessor.launch = lower
stand_in.install()
how = {"monitor": ("accuracy",), "update_rule": "adam", "l2": 0.1, "sample_weight": [1.0, 2.0]}
classes = nbp.Population((3, 4, 3), 2, loss="categorical_cross_entropy", hidden_activation="gelu")
classes.fit([[0, 1, 2], [3, 4, 5]], [0, 1], device="cuda", kernel=sys.argv[2], **how)
"""
"""Prints the lines of a kernel's IR, in their alphabetical order."""

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"),
]


def run(files, **environment):
    """In a process of its own, which has one of them in a GPU's place from its start."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-n", "0", "-p", "no:cacheprovider"]
        + [TESTS / "gpu" / name for name in files],
        cwd=TESTS.parent,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout, done.stdout
    return done.stdout


@pytest.fixture
def can_compile():
    from benchmarks.on_gpu.compiled import runtime

    if runtime.why_not():
        pytest.skip(runtime.why_not())


@pytest.mark.parametrize("files", [IN_SIMULATOR[::2], IN_SIMULATOR[1::2]], ids=["one half", "the other"])
def test_tests_of_gpus_pass_in_the_simulator(files):
    assert " skipped" not in run(files, NUMBA_ENABLE_CUDASIM="1")


@pytest.mark.slow  # until its kernels, which come with the lines of all instructions, are compiled
def test_nothing_is_found_in_accesses_on_record_but_planted_faults(can_compile):
    assert " skipped" not in run(RECORDED + INFERENCE, GPU_ON_PROCESSOR="recorded")


@pytest.mark.slow  # two kernels, each in a process of its own, since none lowers a function twice
@pytest.mark.parametrize("kernel", ["warp", "block"])
def test_what_is_lowered_quickly_is_what_a_gpu_gets(kernel, can_compile):
    found = {}
    for how in ("quickly", "as numba-cuda does it"):
        command = [sys.executable, "-c", LOWER, how, kernel]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}  # which sets of names are put in order by
        done = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found[how] = done.stdout
    quickly, otherwise = found.values()
    assert "define" in quickly
    assert quickly == otherwise


@pytest.mark.slow
def test_strict_bits_are_the_cpus(can_compile):
    assert "4 passed" in run([STRICT], GPU_ON_PROCESSOR="1", PYTEST_ADDOPTS="-k 2-10-1")


@pytest.mark.slow
def test_steps_of_mini_batches_are_the_references(can_compile):
    assert "3 passed" in run([STEPS], GPU_ON_PROCESSOR="1", PYTEST_ADDOPTS="-k adamw-batches")


@pytest.mark.slow
def test_approximate_numerics_and_own_orders(can_compile):
    of_a_thread = "-k 'exponentials or processors or sigmoid-thread or sgd-thread or without_shuffling'"
    done = run([APPROXIMATE, OWN_ORDERS], GPU_ON_PROCESSOR="1", PYTEST_ADDOPTS=of_a_thread)
    assert "5 passed" in done


@pytest.mark.exhaustive  # a kernel for each architecture: ten minutes, where the simulator takes three
@pytest.mark.parametrize("files", [COMPILED[::2], COMPILED[1::2]], ids=["one half", "the other"])
def test_tests_of_gpus_pass_as_compiled(files, can_compile):
    assert " skipped" not in run(files, GPU_ON_PROCESSOR="1")
