"""The smoke run: every kernel available here trains XOR, is checked against the known figures, and timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .datasets import xor
from .kernels.cuda import memory
from .network import Network
from .population import Population
from .xor_experiments import FAITHFUL_ACCURACIES, FAITHFUL_LOSSES, faithful, zeros

DTYPES = ("float64", "float32")
TOLERANCES = {"cpu": {"float64": 1e-12, "float32": 1e-4}, "cuda": {"float64": 1e-10, "float32": 1e-4}}
TIMED_EPOCHS = {"cpu": 50_000, "cuda": 5_000}
N_WEIGHTS = 2 * 10 + 10 * 1
CHECKED_NETWORKS, CHECKED_EPOCHS = 40, 200
N_NETWORKS, TIMED_POPULATION_EPOCHS = 1024, 200
N_NETWORKS_ON_GPU, REPEATS_ON_GPU = 32_768, 1024
"""More of them, and the samples so many times over: a GPU that has little to do shows its latency."""


@dataclass(frozen=True)
class Row:
    """One kernel on one device."""

    device: str
    kernel: str
    dtype: str
    ns_per_step: float | None
    cups: float | None
    largest_error: float | None
    passed: bool | None
    """None where it could not run here."""
    note: str = ""


@dataclass(frozen=True)
class Kernel:
    """How one is tried."""

    device: str
    name: str
    error: Callable[["Kernel", str], float]
    """Largest relative difference from known figures, for a dtype."""
    work: Callable[["Kernel", str], tuple[Callable[[], object], int]]
    """What to time, and its steps."""


def run() -> list[Row]:
    """Train, check and time; one row a kernel and dtype."""
    rows = [_check(kernel, dtype) for dtype in DTYPES for kernel in KERNELS if kernel.device == "cpu"]
    on_gpu = [(kernel, dtype) for dtype in DTYPES for kernel in KERNELS if kernel.device == "cuda"]
    missing = why_no_gpu()
    if not missing:
        return rows + [_check(*what) for what in on_gpu]
    notes = [f"no GPU here: {missing}", *["no GPU here"] * (len(on_gpu) - 1)]
    return rows + [
        Row("cuda", kernel.name, dtype, None, None, None, None, note)
        for (kernel, dtype), note in zip(on_gpu, notes, strict=True)
    ]


def why_no_gpu() -> str:
    """Why no kernel can be tried on a GPU; empty if one can."""
    return "Numba simulates one" if memory.is_simulated() else memory.why_no_gpu()


def _check(kernel: Kernel, dtype: str) -> Row:
    try:
        largest = float(kernel.error(kernel, dtype))
        work, steps = kernel.work(kernel, dtype)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    except Exception as problem:  # a smoke run reports whatever breaks
        note = f"{type(problem).__name__}: {problem}"
        return Row(kernel.device, kernel.name, dtype, None, None, None, False, note)
    ns = min(seconds) / steps * 1e9
    passed = largest <= TOLERANCES[kernel.device][dtype]
    return Row(kernel.device, kernel.name, dtype, ns, N_WEIGHTS / ns * 1e9, largest, passed)


def _faithful_error(kernel: Kernel, dtype: str) -> float:
    """Largest relative difference from the notebook's printed losses; infinite if an accuracy is wrong."""
    run = faithful(dtype, kernel.name)
    if any(run.accuracies[epoch] != value for epoch, value in FAITHFUL_ACCURACIES.items()):
        return float("inf")
    columns = zeros(dtype, kernel.name).network.weights[0]
    if np.ptp(columns, axis=1).any():  # from zero weights the hidden units must stay equal
        return float("inf")
    return max(abs(run.losses[epoch] / value - 1) for epoch, value in FAITHFUL_LOSSES.items())


def _network_error(kernel: Kernel, dtype: str) -> float:
    """Largest relative difference from the sequential kernel, for those that can't do the notebook's."""
    own = _train(kernel, dtype, CHECKED_EPOCHS).parameters.astype(float)
    expected = _train(SEQUENTIAL, dtype, CHECKED_EPOCHS).parameters.astype(float)
    return float(np.abs(own - expected).max() / np.abs(expected).max())


def _population_error(kernel: Kernel, dtype: str) -> float:
    """Largest relative difference of a population's networks from the same ones trained alone."""
    population = _population(dtype, CHECKED_NETWORKS)
    _fit(kernel, population, CHECKED_EPOCHS)
    errors = []
    for i in (0, CHECKED_NETWORKS - 1):
        alone = _network(dtype, int(population.seeds[i]))
        _fit(SEQUENTIAL, alone, CHECKED_EPOCHS)
        own, expected = population.parameters[i].astype(float), alone.parameters.astype(float)
        errors.append(np.abs(own - expected).max() / np.abs(expected).max())
    return float(max(errors))


def _work_of_network(kernel: Kernel, dtype: str) -> tuple[Callable[[], object], int]:
    epochs = TIMED_EPOCHS[kernel.device]
    return lambda: _train(kernel, dtype, epochs), epochs * 4


def _work_of_population(kernel: Kernel, dtype: str) -> tuple[Callable[[], object], int]:
    """Many networks, on all threads together."""
    population = _population(dtype, N_NETWORKS)
    steps = TIMED_POPULATION_EPOCHS * 4 * N_NETWORKS
    return lambda: _fit(kernel, population, TIMED_POPULATION_EPOCHS), steps


def _work_on_gpu(kernel: Kernel, dtype: str) -> tuple[Callable[[], object], int]:
    population = _population(dtype, N_NETWORKS_ON_GPU)
    steps = REPEATS_ON_GPU * 4 * N_NETWORKS_ON_GPU
    return lambda: _fit(kernel, population, 1, REPEATS_ON_GPU), steps


def _network(dtype: str, seed: int = 0) -> Network:
    return Network((2, 10, 1), loss="binary_cross_entropy", dtype=dtype, random_state=seed)


def _population(dtype: str, n_networks: int) -> Population:
    loss = "binary_cross_entropy"
    return Population((2, 10, 1), n_networks, loss=loss, dtype=dtype, random_state=0)


def _train(kernel: Kernel, dtype: str, epochs: int) -> Network:
    network = _network(dtype)
    _fit(kernel, network, epochs)
    return network


def _fit(kernel: Kernel, model: Network | Population, epochs: int, repeats: int = 1) -> None:
    X, y = xor()
    model.fit(
        np.tile(X, (repeats, 1)),
        np.tile(y, repeats),
        learning_rate=0.5,
        epochs=epochs,
        shuffle=False,
        device=kernel.device,
        kernel=kernel.name,
        progress=False,
    )


SEQUENTIAL = Kernel("cpu", "sequential", _faithful_error, _work_of_network)
KERNELS = [
    SEQUENTIAL,
    Kernel("cpu", "blocked", _faithful_error, _work_of_network),
    Kernel("cpu", "tiny", _faithful_error, _work_of_network),
    Kernel("cpu", "general", _network_error, _work_of_network),
    Kernel("cpu", "lanes", _population_error, _work_of_population),
    Kernel("cuda", "thread", _population_error, _work_on_gpu),
    Kernel("cuda", "warp", _population_error, _work_on_gpu),
    Kernel("cuda", "block", _population_error, _work_on_gpu),
    Kernel("cuda", "persistent", _network_error, _work_of_network),
    Kernel("cuda", "blocked", _network_error, _work_of_network),
]
