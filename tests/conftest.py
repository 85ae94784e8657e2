"""What all tests share: kernels kept on disk, pictures without a screen, files in folders of their own."""

import os
import signal

import pytest
from workers import two_workers

os.environ.setdefault("MPLBACKEND", "agg")
# xdist tells its processes the terminal's width; tables are to be as wide as into a pipe
os.environ.pop("COLUMNS", None)
# what a shell runs in the background ignores Ctrl-C, and what nohup runs a terminal that is closed: tests of
# them would wait in vain
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

MOST_PROCESSES = 8
"""Each has to load, if not to compile, the same kernels."""

ONCE = ("benchmarks", "documentation", "functions", "jit", "kernels", "online", "river", "sklearn", "streams")
"""Folders of tests that one Python answers for, with the marker `once`."""


def pytest_configure(config):
    """Keep machine code where pytest keeps what it knows, for this run's processes and the runs to come."""
    cache = getattr(config, "cache", None)
    if cache is not None and not hasattr(config, "workerinput"):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(cache.mkdir("numba")))


def pytest_xdist_auto_num_workers(config):
    """As many processes as cores; none for tests that are named one by one, which start sooner without."""
    if all("::" in argument for argument in config.args):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores, MOST_PROCESSES) if cores > 1 else 0


def pytest_itemcollected(item):
    if item.path.parent.name in ONCE:
        item.add_marker("once")


@pytest.hookimpl(trylast=True)  # once those that are not asked for are left out
def pytest_collection_modifyitems(items):
    """Let two processes begin with what takes longest: one at the front, the other in the middle.

    Whichever has nothing left to do takes over from the other; a test of minutes that begins last would leave
    one of them idle. And the first alone compiles the blocked kernel, the longest to compile.
    """
    blocked, of_gpus, others = [], [], []
    of = {"test_blocked.py": blocked, "test_gpu_on_processor.py": of_gpus}
    for item in items:
        of.get(item.path.name, others).append(item)
    middle = len(items) // 2
    items[:] = [*blocked, *of_gpus[:1], *others]
    items[middle:middle] = of_gpus[1:]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def cluster():
    pytest.importorskip("distributed")
    with two_workers() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def client(cluster):
    from distributed import Client

    with Client(cluster) as client:
        yield client
