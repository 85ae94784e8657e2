"""The smoke run's kernels for GPUs, in the simulator with very few networks."""

import pytest

from numbabp.cli import smoke
from numbabp.devices import memory

pytestmark = pytest.mark.gpu


ON_GPU = [
    kernel
    for kernel in smoke.TRIALS
    if kernel.device == "cuda" and not (memory.is_interpreted() and kernel.name == "resident")
]
"""The simulator runs blocks one after the other, and `resident` needs them at once."""


@pytest.mark.parametrize("kernel", ON_GPU, ids=lambda kernel: kernel.name)
def test_kernels_pass(kernel, monkeypatch):
    if memory.is_simulated():
        # a step takes some milliseconds there, and what is timed by itself would be timed for hours
        for name in (
            "CHECKED_NETWORKS", "CHECKED_EPOCHS", "N_NETWORKS_ON_GPU", "REPEATS_ON_GPU", "NETWORK_EPOCHS"
        ):  # fmt: skip
            monkeypatch.setattr(smoke, name, 1)
        monkeypatch.setattr(smoke, "TIMED_SECONDS", 0.0)
        monkeypatch.setattr(smoke, "DTYPES", ("float64",))
        monkeypatch.setattr(smoke, "why_no_gpu", lambda: "")
    monkeypatch.setattr(smoke, "TRIALS", [kernel])
    rows = list(smoke.run())
    assert [(row.kernel, row.dtype) for row in rows] == [(kernel.name, dtype) for dtype in smoke.DTYPES]
    for row in rows:
        assert row.passed, row
        assert row.ns_per_step > 0
