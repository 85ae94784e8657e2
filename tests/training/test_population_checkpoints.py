"""Checkpoints of populations: stopped anywhere, with any number of threads, the same bits."""

import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from checkpointing import all_versions, slices_end_anywhere

import numbabp as nbp
from numbabp.training import population_loop
from numbabp.training.checkpoints import files
from numbabp.training.checkpoints.standing import Standing
from numbabp.training.engines.population_each import Each

N = 40


@pytest.fixture
def versions(monkeypatch):
    """All that is written, as whole files, where a checkpoint comes after every slice."""
    slices_end_anywhere(monkeypatch, N)
    return all_versions(monkeypatch)


draw = np.random.RandomState(1)
X = draw.standard_normal((N, 9))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)


def new_population(n):
    return nbp.Population((9, 4, 1), n, loss="binary_cross_entropy", random_state=3)


def bits(population, history):
    state = population._rule_state
    return (
        population.parameters.tobytes(),
        state.moments.tobytes(),
        state.steps.tolist(),
        {name: values.tobytes() for name, values in history.items()},
        history.n_epochs.tolist(),
        {i: str(error) for i, error in sorted(history.diverged.items())},
        [history[i].stop_reason for i in range(len(population))],
        population.random_state.get_state()[1].tobytes(),
    )


SOME_DIVERGE = np.where(np.arange(20) % 7 == 3, 1e200, 0.05)
OF_NO_USE = np.where(np.arange(20) % 7 == 3, 1e60, 0.05)
"""Of which some lead to parameters that are finite and large."""
STOPPED_EARLY = {
    "validation_data": (X[:13], 1 - Y[:13]),
    "early_stopping": True,
    "patience": 2,
    "learning_rate": np.geomspace(0.001, 0.2, 20),
}
CASES = {
    "lanes": (20, {"kernel": "lanes"}),
    "lanes, momentum": (20, {"kernel": "lanes", "update_rule": "momentum", "l2": 0.01}),
    "lanes, adam": (20, {"kernel": "lanes", "update_rule": "adam", "l2": 0.01}),
    "lanes, adamw, weights": (
        20,
        {
            "kernel": "lanes",
            "update_rule": "adamw",
            "l2": 0.1,
            "sample_weight": draw.randint(3, size=(20, N)),
        },
    ),
    "lanes, rmsprop, some diverge": (
        20,
        {"kernel": "lanes", "update_rule": "rmsprop", "learning_rate": SOME_DIVERGE},
    ),
    "lanes, own orders": (20, {"kernel": "lanes", "own_order": True, "chunk_size": 9, **STOPPED_EARLY}),
    "lanes, mini-batches": (20, {"kernel": "lanes", "batch_size": 11, "update_rule": "momentum"}),
    "lanes, mini-batches in own orders": (20, {"kernel": "lanes", "batch_size": 9, "own_order": True}),
    "lanes, weights": (20, {"kernel": "lanes", "sample_weight": draw.randint(3, size=(20, N))}),
    "lanes, some diverge": (20, {"kernel": "lanes", "learning_rate": SOME_DIVERGE}),
    "lanes, some of no use": (20, {"kernel": "lanes", "learning_rate": OF_NO_USE, "update_rule": "momentum"}),
    "lanes, some end": (20, {"kernel": "lanes", "tol": 0.02, "n_iter_no_change": 1}),
    "lanes, in turns": (20, {"kernel": "lanes", "chunk_size": 9, "learning_rate": SOME_DIVERGE}),
    "lanes, validated": (20, {"kernel": "lanes", "validation_data": (X[:13], 1 - Y[:13])}),
    "lanes, stopped early": (20, {"kernel": "lanes", "chunk_size": 9, **STOPPED_EARLY}),
    "each, stopped early": (4, {"kernel": "each", **STOPPED_EARLY, "learning_rate": 0.01}),
    "each": (4, {"kernel": "each"}),
    "each, own order": (4, {"kernel": "each", "own_order": True}),
    "each, some end": (4, {"kernel": "each", "tol": 0.02, "n_iter_no_change": 1}),
    "each, adam": (4, {"kernel": "each", "update_rule": "adam", "schedule": "cosine", "batch_size": 3}),
    "each, some diverge": (4, {"kernel": "each", "learning_rate": SOME_DIVERGE[:4]}),
    "each, some of no use": (4, {"kernel": "each", "learning_rate": OF_NO_USE[:4]}),
}


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_from_every_checkpoint_a_population_ends_with_the_same_bits(tmp_path, versions, name, n_threads):
    n, options = CASES[name]
    arguments = {"learning_rate": 0.05, "epochs": 4 * n_threads**2, **options}
    plain = new_population(n)
    expected = bits(plain, plain.fit(X, Y, n_threads=n_threads, **arguments))
    path = tmp_path / "run"
    kept = new_population(n)
    history = kept.fit(X, Y, checkpoint=path, checkpoint_every=0, n_threads=n_threads, **arguments)
    assert bits(kept, history) == expected
    assert len(versions) > 3 or n_threads == 2  # where the other thread may do it all
    for k, version in enumerate(versions[::3] + versions[-1:]):
        path.write_bytes(version)
        again = new_population(n)
        again.parameters += 1  # comes from the file
        again.random_state.seed(9)
        history = again.fit(X, Y, checkpoint=path, n_threads=1 + k % 2, **arguments)
        assert bits(again, history) == expected


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", ["lanes, some diverge", "lanes, some of no use", "each, some end"])
def test_interrupted_populations_go_on(tmp_path, monkeypatch, name, n_threads):
    n, options = CASES[name]
    arguments = {"learning_rate": 0.05, "epochs": 16, "n_threads": n_threads, **options}
    plain = new_population(n)
    expected = bits(plain, plain.fit(X, Y, **arguments))
    slices_end_anywhere(monkeypatch, N)
    shown = []

    def show(training):
        shown.append(training)
        if len(shown) % 5 == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(population_loop.PopulationTraining, "_show", show)
    stopped = 0
    while True:
        population = new_population(n)
        try:
            history = population.fit(X, Y, checkpoint=tmp_path / "run", **arguments)
            break
        except KeyboardInterrupt:
            stopped += 1
            assert (tmp_path / "run").exists()
    assert (stopped > 2 or n_threads == 2) and bits(population, history) == expected


def test_a_finished_population_returns_at_once(tmp_path, monkeypatch):
    arguments = {"epochs": 4, "checkpoint": tmp_path / "run"}
    population = new_population(20)
    expected = bits(population, population.fit(X, Y, **arguments))
    monkeypatch.setattr(population_loop, "make_population_engine", None)  # none is needed
    again = new_population(20)
    history = again.fit(X, Y, **arguments)
    assert bits(again, history) == expected
    assert history.seconds > 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"learning_rate": np.linspace(0.1, 0.2, 20)}, "the learning rates"),
        ({"l2": 0.1}, "the l2"),
        ({"epochs": 5}, "epochs"),
        ({"own_order": True}, "own_order"),
        ({"chunk_size": 3}, "chunk_size"),
        ({"tol": 0.1}, "tol"),
        ({"random_state": 1}, r"random_state \(null there, 1 here\)"),
        ({"sample_weight": np.full(N, 2)}, "the samples"),
        ({"sample_weight": np.full((20, N), 2)}, "the weights of networks"),
        ({"schedule": lambda epoch: 0.1}, "schedule"),
        ({"n": 21}, "number of networks"),
    ],
)
def test_a_file_of_another_population_is_refused(tmp_path, changes, named):
    arguments = {"epochs": 4, "checkpoint": tmp_path / "run"}
    new_population(20).fit(X, Y, **arguments)
    population = new_population(changes.pop("n", 20))
    before = population.parameters.copy()
    with pytest.raises(ValueError, match=rf"of another run; what differs: .*{named}"):
        population.fit(X, Y, **{**arguments, **changes})
    assert np.array_equal(population.parameters, before) and population.history is None


def test_a_networks_checkpoint_is_not_a_populations(tmp_path):
    nbp.Network((9, 4, 1), loss="binary_cross_entropy").fit(X, Y, epochs=1, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="of another run"):
        new_population(20).fit(X, Y, epochs=1, checkpoint=tmp_path / "run")


MANY_EPOCHS = """
import os, resource, sys
import numpy as np, numbabp as nbp
from numbabp.training import slicing
from numbabp.training.population_loop import PopulationTraining

X = np.random.RandomState(0).standard_normal((30, 4))
slicing.SLICE_SECONDS = 0.002
options = {"kernel": sys.argv[1], "n_threads": 1, "progress": False, "chunk_size": int(sys.argv[2])}
options |= {"checkpoint": "run", "checkpoint_every": 0.0}
network = nbp.Population((4, 3, 1), 24, loss="binary_cross_entropy", random_state=0)
network.fit(X, X[:, 0] > 0, epochs=1, **{**options, "checkpoint": None})  # compiles
really, n_looks = PopulationTraining._look, []

def look(training):
    n_looks.append(1)
    if len(n_looks) == 20:
        raise KeyboardInterrupt
    really(training)

PopulationTraining._look = look
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    network.fit(X, X[:, 0] > 0, epochs=10**7, **options)
except KeyboardInterrupt:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, os.path.getsize("run"))
    print(*network.history.loss.shape, network.history.n_epochs.max())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory is used")
@pytest.mark.parametrize(("kernel", "chunk_size"), [("lanes", 24), ("lanes", 16), ("each", 24)])
def test_what_is_kept_and_the_memory_is_of_the_epochs_done(tmp_path, kernel, chunk_size):
    """The history of all that are asked for would take 3.8 GB, and their rates take 80 MB."""
    command = [sys.executable, "-c", MANY_EPOCHS, kernel, str(chunk_size)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    kilobytes, size, networks, columns, epochs = map(int, done.stdout.split())
    assert kilobytes < 400_000
    assert size < 100 << 20
    assert (networks, columns) == (24, max(1, epochs))
    assert epochs < 10**6


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: {"engine.0.0": np.full(N, 2**40)},  # the order of a chunk's samples
        lambda arrays: {"engine.0.2": np.array([2**40, 0, 0])},  # and where it stands
        lambda arrays: {"engine.0.2": np.array([0, 2**40, 0])},
        lambda arrays: {"engine.ranges": np.array([[0, 2**40]])},
        lambda arrays: {"engine.rows": arrays["engine.rows"] + 2**40},
        lambda arrays: {"n_epochs": arrays["n_epochs"] + 2**40},
        lambda arrays: {"stopped": arrays["stopped"] - 1},
        lambda arrays: {"steps": arrays["steps"] - 2**62},
        lambda arrays: {"diverged": np.array([[2.0**70, 0, 0, 0.1]])},
        lambda arrays: {"left": arrays["left"][1:]},
        lambda arrays: {"parameters": arrays["parameters"] * np.nan},
        lambda arrays: {"parameters": None},
    ],
)
def test_what_no_population_has_come_to_is_refused(tmp_path, versions, change):
    """With a digest that is right: kernels would read and write wherever positions say."""
    path, options = tmp_path / "run", {"epochs": 5, "kernel": "lanes", "n_threads": 1, "learning_rate": 0.1}
    new_population(40).fit(X, Y, checkpoint=path, checkpoint_every=0, **options)
    path.write_bytes(versions[len(versions) // 2])
    found = files.read(path)
    arrays = found.standing.arrays
    arrays |= change(arrays)
    arrays = {name: array for name, array in arrays.items() if array is not None}
    files.write(path, found.identity, Standing(found.standing.facts, arrays))
    with pytest.raises(ValueError, match="the checkpoint"):
        new_population(40).fit(X, Y, checkpoint=path, **options)


def test_looking_goes_on_while_other_threads_begin_and_end_networks():
    engine, fine = object.__new__(Each), SimpleNamespace(is_lost=False)
    engine._under_way = dict.fromkeys(range(1000), fine)
    is_over = threading.Event()

    def begin_and_end():
        while not is_over.is_set():
            engine._under_way.update(dict.fromkeys(range(1000, 1100), fine))
            for i in range(1000, 1100):
                engine._under_way.pop(i)

    interval = sys.getswitchinterval()
    other = threading.Thread(target=begin_and_end)
    other.start()
    try:
        sys.setswitchinterval(1e-6)
        assert all(engine.can_be_kept for _ in range(200))
    finally:
        is_over.set()
        other.join()
        sys.setswitchinterval(interval)
    engine._under_way[0] = SimpleNamespace(is_lost=True)
    assert not engine.can_be_kept
