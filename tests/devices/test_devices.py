"""The option `device`, and what is said where there is no GPU."""

import subprocess
import sys

import numpy as np
import pytest

import numbabp as nbp
from numbabp.devices import memory
from numbabp.devices import placement as devices

X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
without_gpu = pytest.mark.skipif(not memory.why_no_gpu(), reason="there is a GPU")


def network():
    return nbp.Network((2, 3, 1), loss="binary_cross_entropy", random_state=0)


@pytest.mark.parametrize("option", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_what_is_allowed(option):
    assert devices.check_device(option) == option


@pytest.mark.parametrize(
    "option", ["gpu", "CUDA", "cuda:", "cuda:-1", "cuda:01", "cuda:a", "cuda:1 ", "cpu:0", "", True, 0, None]
)
def test_what_is_not_allowed(option):
    message = r"is not known; allowed: 'auto', 'cpu', 'cuda', or 'cuda:0', 'cuda:1'"
    with pytest.raises(ValueError, match=message) as caught:
        network().fit(X, Y, device=option)
    assert f"device={option!r} " in str(caught.value)
    with pytest.raises(ValueError, match=message):
        nbp.MLPClassifier(device=option).fit(X, Y)


def test_the_cpu():
    assert devices.resolve("cpu") == devices.Placement(None, "device='cpu' is asked for")
    assert devices.gpu_of({"X": X, "y": Y, "sample_weight": None}) is None


def test_a_fit_on_the_cpu_that_was_asked_for_is_the_same():
    asked, left_open = network(), network()
    asked.fit(X, Y, epochs=5, device="cpu")
    left_open.fit(X, Y, epochs=5)
    np.testing.assert_array_equal(asked.parameters, left_open.parameters)


@without_gpu
@pytest.mark.parametrize("option", ["cuda", "cuda:0", "cuda:1"])
def test_no_gpu(option):
    with pytest.raises(RuntimeError) as caught:
        network().fit(X, Y, device=option)
    assert isinstance(caught.value, devices.NoGPUError)
    assert str(caught.value) == f"device={option!r} is asked for, but {memory.why_no_gpu()}."
    model = nbp.MLPRegressor(device=option)
    with pytest.raises(devices.NoGPUError):
        model.fit(X, Y)
    assert not hasattr(model, "network_")


@without_gpu
def test_auto_without_gpu_is_the_cpu_and_says_why():
    placement = devices.resolve("auto")
    assert placement.device is None
    if memory.what_is_missing():  # else what keeps the driver from starting is not looked for
        assert placement.reason == memory.why_no_gpu()
    assert network().fit(X, Y, epochs=2).loss.size == 2


@pytest.mark.parametrize(("module", "package"), [("numba_cuda", "numba-cuda"), ("cupy", "CuPy")])
def test_what_is_not_installed(module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba_cuda", sys)  # as if it were installed
    monkeypatch.setattr(sys, "__spec__", object())
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: None)  # as if there were a driver
    reason = memory.what_is_missing.__wrapped__()
    assert reason.startswith(f"{package} is not installed; `pip install 'numbabp[cuda13]'`")
    assert "'numbabp[cuda12]'" in reason


def test_packages_are_of_no_use_without_a_driver(monkeypatch):
    def refuse(name):
        raise OSError

    monkeypatch.setattr(memory, "is_simulated", lambda: False)
    monkeypatch.setitem(sys.modules, "numba_cuda", None)
    monkeypatch.setattr(memory.ctypes, "CDLL", refuse)
    assert memory.what_is_missing.__wrapped__() == "there is no NVIDIA driver on this machine"


@pytest.mark.skipif(
    memory.what_is_missing() != "there is no NVIDIA driver on this machine", reason="not so here"
)
def test_no_driver():
    with pytest.raises(devices.NoGPUError, match="there is no NVIDIA driver on this machine"):
        memory.device_of(0)


def test_nothing_of_cuda_is_imported_for_the_cpu():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, numbabp as nbp\n"
            f"X, y = {X}, {Y}\n"
            "net = nbp.Network((2, 3, 1), loss='binary_cross_entropy', random_state=0)\n"
            "net.fit(X, y, epochs=2); net.fit(X, y, epochs=2, device='cpu')\n"
            "net.predict(X), net.evaluate(X, y), net.plan(X)\n"
            "nbp.MLPClassifier(max_iter=1, n_iter_no_change=1, tol=9.0).fit(X, y).score(X, y)\n"
            "print({'cupy', 'numba_cuda', 'numba.cuda'} & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["set()"], done.stderr
