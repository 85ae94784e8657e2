"""Checkpoints of populations on Dask's workers: the same bits, whatever dies, with a client or without."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("distributed")
from checkpointing import all_versions, slices_end_anywhere
from distributed import Client, LocalCluster
from test_population_checkpoints import CASES, N, X, Y, bits, new_population

from numbabp.training.shared_out import population as shared_out
from numbabp.training.shared_out import sizes

pytestmark = pytest.mark.filterwarnings("ignore:the client's workers are gone:RuntimeWarning")


@pytest.fixture(scope="module")
def here():
    """A client of two workers in this process, where tests can change what they do."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def short_tasks(monkeypatch):
    """Let tasks end after a slice, wherever that is."""
    slices_end_anywhere(monkeypatch, N)
    monkeypatch.setattr(sizes, "LONGEST_TASK", 0.0)
    monkeypatch.setattr(sizes, "BYTES_PER_SECOND", np.inf)


def arguments_of(name, chunk_size=None):
    n, options = CASES[name]
    chunk = {} if chunk_size is None else {"chunk_size": chunk_size}
    return n, {"learning_rate": 0.05, "epochs": 4, **chunk, **options}


def trained_here(name, chunk_size=None):
    n, arguments = arguments_of(name, chunk_size)
    population = new_population(n)
    return bits(population, population.fit(X, Y, **arguments))


@pytest.mark.parametrize("name", CASES)
def test_from_every_checkpoint_a_shared_out_population_ends_with_the_same_bits(
    tmp_path, monkeypatch, here, short_tasks, name
):
    chunk = 8 if name.startswith("lanes") else 2
    n, arguments = arguments_of(name, chunk)
    expected = trained_here(name, chunk)
    versions = all_versions(monkeypatch)
    path = tmp_path / "run"
    kept = new_population(n)
    history = kept.fit(X, Y, client=here, checkpoint=path, checkpoint_every=0, **arguments)
    assert bits(kept, history) == expected
    assert len(versions) > 3
    monkeypatch.undo()
    for k, version in enumerate(versions[:: max(1, len(versions) // 6)] + versions[-1:]):
        path.write_bytes(version)
        again = new_population(n)
        again.parameters[:] += 1  # comes from the file
        again.random_state.seed(9)
        where = {"client": here} if k % 2 == 0 else {"n_threads": 2}
        again.fit(X, Y, checkpoint=path, **where, **arguments)
        assert bits(again, again.history) == expected


def test_a_finished_population_is_not_sent(tmp_path, monkeypatch, here):
    path = tmp_path / "run"
    n, arguments = arguments_of("lanes, some diverge")
    expected = trained_here("lanes, some diverge")
    new_population(n).fit(X, Y, client=here, checkpoint=path, **arguments)
    monkeypatch.setattr(shared_out, "run_jobs", None)  # none is needed
    for where in ({"client": here}, {}):
        again = new_population(n)
        again.fit(X, Y, checkpoint=path, **where, **arguments)
        assert bits(again, again.history) == expected


def test_what_has_come_back_is_kept_when_a_task_fails(tmp_path, monkeypatch, here, short_tasks):
    path, calls, real = tmp_path / "run", tmp_path / "calls", shared_out.train_part
    n, arguments = arguments_of("each, adam", chunk_size=1)

    def fails(part, samples):  # on workers, which have copies of what it refers to
        with open(calls, "a+") as file:
            file.write("found\n" if part.found is not None else "new\n")
            file.seek(0)
            if len(file.readlines()) > 12:
                raise OSError("the disk is full")
        return real(part, samples)

    def noted(part, samples):
        with open(calls, "a") as file:
            file.write("found\n" if part.found is not None else "new\n")
        return real(part, samples)

    monkeypatch.setattr(shared_out, "train_part", fails)
    with pytest.raises(RuntimeError, match="the disk is full"):
        new_population(n).fit(X, Y, client=here, checkpoint=path, **arguments)
    assert "found" in calls.read_text()
    calls.unlink()
    monkeypatch.setattr(shared_out, "train_part", noted)
    again = new_population(n)
    again.fit(X, Y, client=here, checkpoint=path, **arguments)
    assert bits(again, again.history) == trained_here("each, adam", chunk_size=1)
    assert calls.read_text().startswith("found\n")


def test_files_of_others_are_refused(tmp_path, monkeypatch, here):
    path = tmp_path / "run"
    n, arguments = arguments_of("lanes")
    new_population(n).fit(X, Y, client=here, checkpoint=path, **arguments)
    with pytest.raises(ValueError, match="of another run; what differs: tol"):
        new_population(n).fit(X, Y, client=here, checkpoint=path, **arguments, tol=0.1)
    slices_end_anywhere(monkeypatch, N)
    versions = all_versions(monkeypatch)
    new_population(n).fit(X, Y, checkpoint=tmp_path / "alone", checkpoint_every=0, **arguments)
    path.write_bytes(versions[1])
    population = new_population(n)
    before, drawn = population.parameters.copy(), population.random_state.get_state()[1].copy()
    with pytest.raises(ValueError, match="was written amid training without a client: go on without one"):
        population.fit(X, Y, client=here, checkpoint=path, **arguments)
    assert path.read_bytes() == versions[1] and population.history is None
    np.testing.assert_array_equal(population.parameters, before)
    np.testing.assert_array_equal(population.random_state.get_state()[1], drawn)


PROGRAM = """
import hashlib, sys
import numpy as np
from distributed import Client, LocalCluster
import numbabp as nbp
from numbabp.training.population_loop import PopulationTraining
from numbabp.training.shared_out import sizes

if __name__ == "__main__":
    path, n_workers = sys.argv[1], int(sys.argv[2])
    sizes.LONGEST_TASK, show = 0.2, PopulationTraining._show

    def look(training):
        print(int(training.left.sum()), len(training.begun_elsewhere), flush=True)
        show(training)

    PopulationTraining._show = look
    draw = np.random.RandomState(1)
    X = draw.standard_normal((2000, 30))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    population = nbp.Population((30, 16, 1), 12, loss="binary_cross_entropy", random_state=0)
    options = {"epochs": 200, "update_rule": "adam", "learning_rate": 0.01, "own_order": True}
    options["kernel"] = "each"
    if n_workers:
        with LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster, Client(cluster) as client:
            history = population.fit(
                X, y, client=client, chunk_size=3, checkpoint=path, checkpoint_every=0.1, **options
            )
    else:
        history = population.fit(X, y, chunk_size=3, **options)
    state = population._rule_state
    found = [population.parameters, state.moments, state.steps, *history.values(), history.n_epochs]
    print("digest", hashlib.sha256(b"".join(array.tobytes() for array in found)).hexdigest())
"""


def program(path, n_workers):
    script = path.parent / "program.py"
    script.write_text(PROGRAM)
    command = [sys.executable, str(script), str(path), str(n_workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def digest_of(process):
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return output.split("digest ")[1].strip()


@pytest.mark.slow
def test_a_client_that_is_killed_again_and_again(tmp_path):
    """Going on with other numbers of workers, and never from the beginning."""
    path, draw = tmp_path / "run", random.Random(0)
    expected = digest_of(program(path, 0))
    last = 13
    for n_workers in (2, 1):
        process = program(path, n_workers)
        seen = []
        for line in process.stdout:  # one for each result
            if line.startswith("digest"):
                break
            seen.append(int(line.split()[0]))
            if len(seen) == 4:
                time.sleep(draw.uniform(0.2, 1.0))
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        process.wait()
        assert seen[0] <= last, "it began anew"
        last = seen[-1]
        assert path.exists()
    assert digest_of(program(path, 1)) == expected
    assert digest_of(program(path, 2)) == expected  # finished
