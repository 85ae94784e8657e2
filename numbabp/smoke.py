"""The smoke run: every kernel available here trains XOR, is checked against the known figures, and timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .datasets import xor
from .network import Network
from .population import Population
from .xor_experiments import FAITHFUL_ACCURACIES, FAITHFUL_LOSSES, faithful, zeros

TOLERANCES = {"float64": 1e-12, "float32": 1e-4}
TIMED_EPOCHS = 50_000
N_WEIGHTS = 2 * 10 + 10 * 1
N_NETWORKS, TIMED_POPULATION_EPOCHS = 1024, 200


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


def run() -> list[Row]:
    """Train, check and time; one row a kernel and dtype."""
    rows = []
    for dtype in TOLERANCES:
        rows += [_check(kernel, dtype, _faithful_error) for kernel in ("sequential", "blocked", "tiny")]
        rows.append(_check("general", dtype, _general_error))
        rows.append(_check("lanes", dtype, _lanes_error))
    note = "no GPU here" if gpu_name() is None else "no kernel for GPUs yet"
    rows.append(Row("cuda", "-", "-", None, None, None, None, note))
    return rows


def gpu_name() -> str | None:
    """The GPU that CUDA kernels would run on, if there is one."""
    try:
        from numba import cuda

        if cuda.is_available():
            return str(cuda.get_current_device().name.decode())
    except Exception as error:  # whatever a half-installed driver raises
        return f"not usable ({type(error).__name__})"
    return None


def _check(kernel: str, dtype: str, error: Callable[[str, str], float]) -> Row:
    try:
        largest = float(error(kernel, dtype))
        ns = _ns_per_step(kernel, dtype)
    except Exception as problem:  # a smoke run reports whatever breaks
        return Row("cpu", kernel, dtype, None, None, None, False, f"{type(problem).__name__}: {problem}")
    return Row("cpu", kernel, dtype, ns, N_WEIGHTS / ns * 1e9, largest, largest <= TOLERANCES[dtype])


def _faithful_error(kernel: str, dtype: str) -> float:
    """Largest relative difference from the notebook's printed losses; infinite if an accuracy is wrong."""
    run = faithful(dtype, kernel)
    if any(run.accuracies[epoch] != value for epoch, value in FAITHFUL_ACCURACIES.items()):
        return float("inf")
    columns = zeros(dtype, kernel).network.weights[0]
    if np.ptp(columns, axis=1).any():  # from zero weights the hidden units must stay equal
        return float("inf")
    return max(abs(run.losses[epoch] / value - 1) for epoch, value in FAITHFUL_LOSSES.items())


def _general_error(kernel: str, dtype: str) -> float:
    """Largest relative difference from the sequential kernel, as delta can't go back through new weights."""
    a, b = (_train(name, dtype, epochs=200).parameters.astype(float) for name in (kernel, "sequential"))
    return float(np.abs(a - b).max() / np.abs(b).max())


def _lanes_error(kernel: str, dtype: str) -> float:
    """Largest relative difference of a population's networks from the same ones trained alone."""
    population = _population(dtype, 40)
    _train_in_lanes(population, 200)
    errors = []
    for i in (0, 39):
        alone = Network(
            (2, 10, 1), loss="binary_cross_entropy", dtype=dtype, random_state=int(population.seeds[i])
        )
        X, y = xor()
        alone.fit(X, y, learning_rate=0.5, epochs=200, shuffle=False, kernel="sequential", progress=False)
        own, expected = population.parameters[i].astype(float), alone.parameters.astype(float)
        errors.append(np.abs(own - expected).max() / np.abs(expected).max())
    return float(max(errors))


def _ns_per_step(kernel: str, dtype: str) -> float:
    """Of one network; in lanes, of one of many on all threads together."""
    if kernel == "lanes":
        population = _population(dtype, N_NETWORKS)
        steps = TIMED_POPULATION_EPOCHS * 4 * N_NETWORKS
    else:
        steps = TIMED_EPOCHS * 4
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        if kernel == "lanes":
            _train_in_lanes(population, TIMED_POPULATION_EPOCHS)
        else:
            _train(kernel, dtype, epochs=TIMED_EPOCHS)
        seconds.append(time.perf_counter() - started)
    return min(seconds) / steps * 1e9


def _population(dtype: str, n_networks: int) -> Population:
    loss = "binary_cross_entropy"
    return Population((2, 10, 1), n_networks, loss=loss, dtype=dtype, random_state=0)


def _train_in_lanes(population: Population, epochs: int) -> None:
    X, y = xor()
    population.fit(X, y, learning_rate=0.5, epochs=epochs, shuffle=False, kernel="lanes", progress=False)


def _train(kernel: str, dtype: str, epochs: int) -> Network:
    X, y = xor()
    network = Network((2, 10, 1), loss="binary_cross_entropy", dtype=dtype, random_state=0)
    network.fit(X, y, learning_rate=0.5, epochs=epochs, shuffle=False, kernel=kernel, progress=False)
    return network
