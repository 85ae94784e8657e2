"""The smoke run: every kernel available here trains XOR, is checked against the known figures, and timed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..compiler.compile_events import compiling_watched, without_collecting
from ..data.datasets import xor
from ..devices import memory
from ..network import Network
from ..population import Population
from .smoke_compiler import SecondProcess
from .xor_experiments import FAITHFUL_ACCURACIES, FAITHFUL_LOSSES, NOTEBOOK, faithful, notebook_network, zeros

DTYPES = ("float64", "float32")
TOLERANCES = {"cpu": {"float64": 1e-12, "float32": 1e-4}, "cuda": {"float64": 1e-10, "float32": 1e-4}}
TIMED_SECONDS, REPEATS = 0.025, 3
"""Of a timed run on the CPU, and how many there are, of which the fastest counts."""
NETWORK_EPOCHS, POPULATION_EPOCHS = 5_000, 20
"""Least epochs of a timed run; on a GPU, the epochs."""
CHECKED_NETWORKS, CHECKED_EPOCHS = 40, 200
N_NETWORKS = 1024
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
class Trial:
    """How a kernel is tried."""

    device: str
    name: str
    error: Callable[["Trial", str], float]
    """Largest relative difference from known figures, for a dtype."""
    work: Callable[["Trial", str], tuple[Callable[[], object], int]]
    """What to time, and its steps."""
    batch_size: int = 1
    hidden: tuple[int, ...] = (10,)
    """Units of the hidden layers between 2 inputs and 1 output."""


def run(tell: Callable[[str], object] = lambda text: None) -> Iterator[Row]:
    """Train, check and time; one row a kernel and dtype, each as soon as it is done.

    Where kernels have to be compiled, a second process compiles those of the second dtype meanwhile.

    Parameters
    ----------
    tell
        Called with what is under way, such as "compiling tiny, float64".
    """
    yield from _run_on_cpu(tell)
    on_gpu = [(trial, dtype) for dtype in DTYPES for trial in TRIALS if trial.device == "cuda"]
    missing = why_no_gpu()
    note = f"no GPU here: {missing}"
    for trial, dtype in on_gpu:
        if missing:
            yield Row("cuda", trial.name, dtype, None, None, None, None, note)
            note = "no GPU here"
        else:
            tell(f"{trial.name} on the GPU, {dtype}")
            yield _row(trial, dtype, _check(trial, dtype))


def _run_on_cpu(tell: Callable[[str], object]) -> Iterator[Row]:
    """Rows in pairs: a kernel is timed once it is compiled for both dtypes, since some use all threads."""
    trials = [trial for trial in TRIALS if trial.device == "cpu"]
    with SecondProcess() as other:
        for i, trial in enumerate(trials):
            names = [trial.name for trial in trials[i:]]
            largest = [_check_first(trial, names, other, tell), _check_second(trial, other, tell)]
            for dtype, error in zip(DTYPES, largest, strict=True):
                tell(f"timing {trial.name}, {dtype}")
                yield _row(trial, dtype, error)


def _check_first(
    trial: Trial, names: list[str], other: SecondProcess, tell: Callable[[str], object]
) -> float | Exception:
    """Check a kernel for the first dtype; if it must be compiled, so must be all from this one on."""
    first, second = DTYPES

    def begin() -> None:
        other.start(second, names)
        dtypes = f"{first} and {second}" if other.is_busy_with(trial.name) else first
        tell(f"compiling {trial.name}, {dtypes}")

    tell(f"checking {trial.name}, {first}")
    with compiling_watched(begin):
        return _check(trial, first)


def _check_second(trial: Trial, other: SecondProcess, tell: Callable[[str], object]) -> float | Exception:
    """Check a kernel for the second dtype, once the other process has compiled it if it does."""
    dtype = DTYPES[1]
    compiling = f"compiling {trial.name}, {dtype}"
    if other.is_busy_with(trial.name):
        tell(compiling)
        other.wait_for(trial.name)
    tell(f"checking {trial.name}, {dtype}")
    with compiling_watched(lambda: tell(compiling)):
        return _check(trial, dtype)


def compile_kernels(dtype: str, *names: str) -> None:
    """Compile kernels for a dtype into the cache folder, and print each name when that is done."""
    for name in names:
        trial = next(trial for trial in TRIALS if (trial.device, trial.name) == ("cpu", name))
        _check(trial, dtype)  # what is wrong is found by whoever uses it
        print(name, flush=True)


def why_no_gpu() -> str:
    """Why no kernel can be tried on a GPU; empty if one can."""
    return "Numba simulates one" if memory.is_simulated() else memory.why_no_gpu()


def _check(trial: Trial, dtype: str) -> float | Exception:
    """Largest relative error, or what broke."""
    try:
        with without_collecting():
            return float(trial.error(trial, dtype))
    except Exception as problem:  # a smoke run reports whatever breaks
        return problem


def _row(trial: Trial, dtype: str, largest: float | Exception) -> Row:
    """Time a kernel that was checked."""
    try:
        if isinstance(largest, Exception):
            raise largest
        work, steps = trial.work(trial, dtype)
        ns = min(_seconds(work) for _ in range(REPEATS)) / steps * 1e9
    except Exception as problem:
        note = f"{type(problem).__name__}: {problem}"
        return Row(trial.device, trial.name, dtype, None, None, None, False, note)
    passed = largest <= TOLERANCES[trial.device][dtype]
    cups = _network(dtype, hidden=trial.hidden).n_weights / ns * 1e9
    return Row(trial.device, trial.name, dtype, ns, cups, largest, passed)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _calibrated(train: Callable[[int], object], epochs: int) -> int:
    """Epochs of train(epochs) that take about TIMED_SECONDS, from those that take less."""
    return max(epochs, round(epochs * TIMED_SECONDS / _seconds(lambda: train(epochs))))


def _faithful_error(trial: Trial, dtype: str) -> float:
    """Largest relative difference from the notebook's printed losses; infinite if an accuracy is wrong."""
    run = faithful(dtype, trial.name)
    if any(run.accuracies[epoch] != value for epoch, value in FAITHFUL_ACCURACIES.items()):
        return float("inf")
    columns = zeros(dtype, trial.name).network.weights[0]
    if np.ptp(columns, axis=1).any():  # from zero weights the hidden units must stay equal
        return float("inf")
    return max(abs(run.losses[epoch] / value - 1) for epoch, value in FAITHFUL_LOSSES.items())


def _network_error(trial: Trial, dtype: str) -> float:
    """Largest relative difference from a kernel that goes sample by sample, where the notebook's can't be."""
    own = _train(trial, dtype, CHECKED_EPOCHS).parameters.astype(float)
    single = replace(trial, device="cpu", name="sequential" if trial.batch_size == 1 else "general")
    expected = _train(single, dtype, CHECKED_EPOCHS).parameters.astype(float)
    return float(np.abs(own - expected).max() / np.abs(expected).max())


def _population_error(trial: Trial, dtype: str) -> float:
    """Largest relative difference of a population's networks from the same ones trained alone."""
    population = _population(dtype, CHECKED_NETWORKS)
    _fit(trial, population, CHECKED_EPOCHS)
    errors = []
    for i in (0, CHECKED_NETWORKS - 1):
        alone = _network(dtype, int(population.seeds[i]))
        _fit(SEQUENTIAL, alone, CHECKED_EPOCHS)
        own, expected = population.parameters[i].astype(float), alone.parameters.astype(float)
        errors.append(np.abs(own - expected).max() / np.abs(expected).max())
    return float(max(errors))


def _work_of_notebook(trial: Trial, dtype: str) -> tuple[Callable[[], object], int]:
    """The run that was checked, for longer: other options would be another kernel to compile for some."""

    def train(epochs: int) -> None:
        X, y = xor()
        notebook_network(dtype).fit(
            X, y, learning_rate=1.0, epochs=epochs, kernel=trial.name, progress=False, **NOTEBOOK
        )

    epochs = _calibrated(train, NETWORK_EPOCHS)
    return lambda: train(epochs), epochs * 4


def _work_of_network(trial: Trial, dtype: str) -> tuple[Callable[[], object], int]:
    epochs = NETWORK_EPOCHS
    if trial.device == "cpu":
        epochs = _calibrated(lambda epochs: _train(trial, dtype, epochs), epochs)
    return lambda: _train(trial, dtype, epochs), epochs * 4


def _work_of_population(trial: Trial, dtype: str) -> tuple[Callable[[], object], int]:
    """Many networks, on all threads together."""
    population = _population(dtype, N_NETWORKS)
    epochs = _calibrated(lambda epochs: _fit(trial, population, epochs), POPULATION_EPOCHS)
    return lambda: _fit(trial, population, epochs), epochs * 4 * N_NETWORKS


def _work_on_gpu(trial: Trial, dtype: str) -> tuple[Callable[[], object], int]:
    population = _population(dtype, N_NETWORKS_ON_GPU)
    steps = REPEATS_ON_GPU * 4 * N_NETWORKS_ON_GPU
    return lambda: _fit(trial, population, 1, REPEATS_ON_GPU), steps


def _network(dtype: str, seed: int = 0, hidden: tuple[int, ...] = (10,)) -> Network:
    return Network((2, *hidden, 1), loss="binary_cross_entropy", dtype=dtype, random_state=seed)


def _population(dtype: str, n_networks: int) -> Population:
    loss = "binary_cross_entropy"
    return Population((2, 10, 1), n_networks, loss=loss, dtype=dtype, random_state=0)


def _train(trial: Trial, dtype: str, epochs: int) -> Network:
    network = _network(dtype, hidden=trial.hidden)
    _fit(trial, network, epochs)
    return network


def _fit(trial: Trial, model: Network | Population, epochs: int, repeats: int = 1) -> None:
    X, y = xor()
    model.fit(
        np.tile(X, (repeats, 1)),
        np.tile(y, repeats),
        learning_rate=0.5,
        epochs=epochs,
        shuffle=False,
        device=trial.device,
        kernel=trial.name,
        batch_size=trial.batch_size,
        progress=False,
    )


SEQUENTIAL = Trial("cpu", "sequential", _faithful_error, _work_of_notebook)
TRIALS = [
    SEQUENTIAL,
    Trial("cpu", "blocked", _faithful_error, _work_of_notebook),
    Trial("cpu", "tiny", _faithful_error, _work_of_notebook),
    Trial("cpu", "general", _network_error, _work_of_network),
    Trial("cpu", "minibatch", _network_error, _work_of_network, batch_size=2),
    Trial("cpu", "shared", _network_error, _work_of_network, hidden=(128, 128)),
    Trial("cpu", "lanes", _population_error, _work_of_population),
    Trial("cuda", "thread", _population_error, _work_on_gpu),
    Trial("cuda", "warp", _population_error, _work_on_gpu),
    Trial("cuda", "block", _population_error, _work_on_gpu),
    Trial("cuda", "persistent", _network_error, _work_of_network),
    Trial("cuda", "resident", _network_error, _work_of_network),
    Trial("cuda", "blocked", _network_error, _work_of_network),
]
