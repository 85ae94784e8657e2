"""What stands between an installation and the first kernel on a GPU, without one."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("numba_cuda")

from numbabp.compiler import toolchain
from numbabp.devices import memory, probe

compiles = pytest.mark.skipif(toolchain.SIMULATED, reason="the simulator compiles nothing")


@compiles
def test_a_kernel_compiles_to_a_cubin_although_warnings_are_errors():
    """NumPy 2.5 has no `row_stack` any more, and warns of what numba-cuda does when it is imported."""
    code = (
        "import numpy as np; before = hasattr(np, 'row_stack')\n"
        "from numba import int64\n"
        "from numbabp.compiler import cuda as compiling\nfrom numbabp.devices import probe\n"
        "code = compiling.machine_code(probe.double, (int64[::1],), (9, 0))\n"
        "assert hasattr(np, 'row_stack') == before\n"
        "print(code.cubin[:4] == b'\\x7fELF', code.registers > 0, code.spills)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", code], capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "True", "0"], done.stderr


def toolkit(folder, library="nvvm/lib64/libnvvm.so.4"):
    """A folder like that of a CUDA toolkit."""
    for name in ("bin/nvcc", library):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    return folder


def test_toolkit_of_nvcc_on_the_path(tmp_path, monkeypatch):
    folder = toolkit(tmp_path / "cuda-13.0")
    link = tmp_path / "bin"
    link.mkdir()
    (link / "nvcc").symlink_to(folder / "bin" / "nvcc")
    monkeypatch.setenv("PATH", str(link))
    assert toolchain.toolkit_of_the_system() == folder


def test_toolkit_without_nvvm_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(toolkit(tmp_path / "cuda", "lib64/libcudart.so") / "bin"))
    assert toolchain.toolkit_of_the_system() != tmp_path / "cuda"


@pytest.fixture
def nvvm_looked_for(tmp_path, monkeypatch):
    """CUDA_HOME at each time that numba-cuda is made to look for NVVM, with no wheel of it installed."""
    seen = []
    paths = SimpleNamespace(get_cuda_paths=lambda: seen.append(os.environ.get("CUDA_HOME")))
    monkeypatch.setattr(toolchain.importlib, "import_module", lambda name: paths)
    monkeypatch.setattr(toolchain, "NVVM_WHEELS", ("no-such-wheel",))
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(toolkit(tmp_path / "cuda-13.0") / "bin"))
    return seen


def test_nvvm_is_found_in_a_toolkit_that_nothing_names(nvvm_looked_for, tmp_path):
    toolchain._find_nvvm()
    assert nvvm_looked_for == [str(tmp_path / "cuda-13.0")]
    assert "CUDA_HOME" not in os.environ


@pytest.mark.parametrize("name", ["CUDA_HOME", "CUDA_PATH"])
def test_what_the_user_names_is_left_alone(nvvm_looked_for, monkeypatch, name):
    monkeypatch.setenv(name, "/elsewhere")
    toolchain._find_nvvm()
    assert not nvvm_looked_for


@pytest.fixture
def started(monkeypatch):
    """A machine whose driver finds a GPU, until something is changed; call it for why there is none."""
    cuda = SimpleNamespace(cuda_error=lambda: None, is_available=lambda: True, current_context=lambda: None)
    runtime = SimpleNamespace(getDeviceCount=lambda: 1)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    monkeypatch.setattr(memory, "what_is_missing", lambda: "")
    monkeypatch.setattr(memory, "is_simulated", lambda: False)
    monkeypatch.setattr(memory, "to_device", lambda value: value)
    monkeypatch.setattr(memory, "to_host", lambda value: value)
    monkeypatch.setattr(memory, "driver_version", lambda: "13.0")
    monkeypatch.setattr(memory, "launch", lambda kernel, grid, block, arguments: arguments[0].__imul__(2))
    monkeypatch.setattr(toolchain, "cuda", cuda)
    return SimpleNamespace(cuda=cuda, runtime=runtime, why=memory.why_no_gpu.__wrapped__)


def test_a_gpu_is_proven_by_a_kernel(started):
    assert started.why() == ""


def test_no_nvvm_names_the_setting(started):
    started.cuda.is_available = lambda: False
    assert "NVVM" in started.why() and "set CUDA_HOME to the folder of a CUDA toolkit" in started.why()


def test_no_device(started):
    started.runtime.getDeviceCount = lambda: 0
    assert started.why() == "the NVIDIA driver finds no GPU"


def test_driver_that_numba_cannot_use(started):
    started.cuda.cuda_error = lambda: "too old"
    assert started.why() == "numba-cuda can't use the driver: too old"


def test_kernel_that_fails(started, monkeypatch):
    def launch(*_):
        raise AttributeError("module 'numpy' has\nno attribute 'row_stack'")

    monkeypatch.setattr(memory, "launch", launch)
    reason = started.why()
    assert "a trivial kernel fails: AttributeError: module 'numpy' has no attribute 'row_stack'." in reason
    assert "the driver, which is of CUDA 13.0" in reason and "CUDA_HOME" in reason


def test_kernel_that_does_nothing(started, monkeypatch):
    monkeypatch.setattr(memory, "launch", lambda *_: None)
    assert started.why() == f"a trivial kernel made {probe.SENT} of {probe.SENT}, not {2 * probe.SENT}"
