"""The smoke run's kernels for GPUs, in the simulator with very few networks."""

import pytest

from numbabp import smoke
from numbabp.kernels.cuda import memory

pytestmark = pytest.mark.gpu


ON_GPU = [kernel for kernel in smoke.KERNELS if kernel.device == "cuda"]


@pytest.mark.parametrize("kernel", ON_GPU, ids=lambda kernel: kernel.name)
def test_kernels_pass(kernel, monkeypatch):
    if memory.is_simulated():
        sizes = {"CHECKED_NETWORKS": 1, "CHECKED_EPOCHS": 1, "N_NETWORKS_ON_GPU": 1, "REPEATS_ON_GPU": 1}
        for name, value in sizes.items():
            monkeypatch.setattr(smoke, name, value)
        monkeypatch.setattr(smoke, "DTYPES", ("float64",))
        monkeypatch.setattr(smoke, "why_no_gpu", lambda: "")
    monkeypatch.setattr(smoke, "KERNELS", [kernel])
    rows = list(smoke.run())
    assert [(row.kernel, row.dtype) for row in rows] == [(kernel.name, dtype) for dtype in smoke.DTYPES]
    for row in rows:
        assert row.passed, row
        assert row.ns_per_step > 0
