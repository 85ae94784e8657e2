"""Tests of GPUs: on one, or on the processor with what is compiled for one, or in Numba's simulator.

GPU_ON_PROCESSOR=1 asks for the processor in the place of a GPU, =recorded for all accesses on record besides,
GPU_ORDER=backwards or a seed for threads in another order; NUMBA_ENABLE_CUDASIM=1 for Numba's simulator.
"""

import os
import sys
from pathlib import Path

import pytest

from numbabp.devices import memory

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.on_gpu import simulator

WANTED, ORDER = os.environ.get("GPU_ON_PROCESSOR", ""), os.environ.get("GPU_ORDER", "forwards")


def _install():
    """The processor in the place of a GPU, if it is asked for; or why that is not possible."""
    if not WANTED or memory.is_interpreted():
        return None, ""
    from benchmarks.on_gpu.compiled import runtime

    if WANTED not in ("1", "recorded"):
        raise pytest.UsageError(f'GPU_ON_PROCESSOR={WANTED!r}, but it has to be "1" or "recorded"')
    if not (ORDER in ("forwards", "backwards") or ORDER.isdecimal()):
        raise pytest.UsageError(f'GPU_ORDER={ORDER!r}, but it has to be "forwards", "backwards" or a seed')
    if runtime.why_not():
        return None, runtime.why_not()
    from benchmarks.on_gpu.compiled import stand_in
    from benchmarks.on_gpu.compiled.launching import Order

    installed = stand_in.install(WANTED == "recorded")
    if ORDER.isdecimal():
        installed.order, installed.seed = Order.RANDOM, int(ORDER)
    else:
        installed.order = Order[ORDER.upper()]
    return installed, ""


ON_PROCESSOR, WHY_NOT = _install()


def pytest_terminal_summary(terminalreporter):
    """Say what compiling took: nearly all of the time, where nothing is on the disk yet."""
    # xdist's workers compile, and don't tell the process that prints this
    if ON_PROCESSOR is not None and not terminalreporter.config.pluginmanager.hasplugin("dsession"):
        from benchmarks.on_gpu.compiled.keeping import spent

        terminalreporter.write_line(
            "{kernels} kernels compiled: {lowering:.0f} s until IR, {building:.0f} s from it".format(**spent)
        )


@pytest.fixture(autouse=True, scope="session")
def quick_simulator():
    if not memory.is_interpreted():
        yield
        return
    with simulator.quick_simulator():
        yield


@pytest.fixture(autouse=True, scope="session")
def gpu():
    """The GPU that CuPy uses, or what stands in for one."""
    if WHY_NOT or memory.why_no_gpu():
        pytest.skip(WHY_NOT or memory.why_no_gpu())
    return memory.device_of(memory.current_index())


@pytest.fixture
def recorder(monkeypatch):
    """What runs kernels on the processor with their accesses on record."""
    if ON_PROCESSOR is None or not ON_PROCESSOR.record:
        pytest.skip("accesses are not on record: GPU_ON_PROCESSOR=recorded")
    for name in ("order", "seed", "left_out"):  # which tests change
        monkeypatch.setattr(ON_PROCESSOR, name, getattr(ON_PROCESSOR, name))
    return ON_PROCESSOR


@pytest.fixture(autouse=True)
def judged_launches(monkeypatch):
    """Let nothing be found in launches without steps, which populations are compiled by.

    A lane of a warp then writes back what it has read of its units' weights, and another one may still have
    to read its copy of the same numbers, with no barrier in between: they are the same before and after.
    """
    if ON_PROCESSOR is None or not ON_PROCESSOR.record:
        return
    launch = memory.launch

    def launch_and_judge(kernel, grid, block, arguments, shared=0):
        common = arguments[-1]
        if getattr(common, "begin", 0) < getattr(common, "end", 1):
            launch(kernel, grid, block, arguments, shared)
        else:
            with ON_PROCESSOR.collected():
                launch(kernel, grid, block, arguments, shared)

    monkeypatch.setattr(memory, "launch", launch_and_judge)
