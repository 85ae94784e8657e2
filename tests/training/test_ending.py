"""Runs that are asked to end, as signals of the command line ask, end where they can be gone on with."""

import threading

import numpy as np
import pytest
from checkpointing import slices_end_anywhere

import numbabp as nbp
from numbabp.training import loop, population_loop
from numbabp.training.slicing import ENDING

N = 40
X = np.random.RandomState(0).standard_normal((N, 3))
Y = (X.prod(axis=1) > 0).astype(float)
COMMON = {"learning_rate": 0.05, "update_rule": "momentum", "epochs": 12}
RUNS = {
    "network": (nbp.Network, {"validation_data": (X[:10], Y[:10]), "early_stopping": True, "patience": 99}),
    "lanes, one thread": (nbp.Population, {"kernel": "lanes", "n_threads": 1}),
    "lanes, two threads": (nbp.Population, {"kernel": "lanes", "n_threads": 2}),
    "each, two threads": (nbp.Population, {"kernel": "each", "n_threads": 2}),
}


@pytest.fixture(autouse=True)
def others_go_on():
    yield
    ENDING.asked.clear()


@pytest.fixture
def asked_often(monkeypatch):
    """After every fifth slice of any thread runs are asked to end; the list counts."""
    slices_end_anywhere(monkeypatch, N)
    taken = []
    for module in (loop, population_loop):

        class Asking(module.Slices):
            def took(self, *arguments):
                super().took(*arguments)
                taken.append(1)
                if len(taken) % 5 == 0:
                    ENDING.ask()

        monkeypatch.setattr(module, "Slices", Asking)
    return taken


def new(kind):
    more = {"random_state": 0} if kind is nbp.Network else {"n_networks": 20, "random_state": 0}
    return kind((3, 4, 1), loss="binary_cross_entropy", **more)


@pytest.mark.parametrize("name", RUNS)
def test_they_go_on_to_the_same_bits(tmp_path, monkeypatch, asked_often, name):
    kind, options = RUNS[name]
    with monkeypatch.context() as patch:
        patch.setattr(ENDING, "ask", lambda: False)
        whole = new(kind)
        history = whole.fit(X, Y, **COMMON, **options)
    n_stopped = 0
    while True:
        model = new(kind)
        ENDING.asked.clear()
        try:
            again = model.fit(X, Y, **COMMON, **options, checkpoint=tmp_path / "run")
            break
        except KeyboardInterrupt:
            n_stopped += 1
            assert model.history.stop_reason == "interrupted"
            assert (tmp_path / "run").exists()
    assert n_stopped > 1
    assert model.parameters.tobytes() == whole.parameters.tobytes()
    assert again["loss"].tobytes() == history["loss"].tobytes()


def test_only_runs_of_the_main_thread_are_asked():
    """In another one nobody would hear: there signals raise no exception."""
    heard = []

    def run(epoch, metrics):
        heard.append(ENDING.ask())
        return True

    def train():
        new(nbp.Network).fit(X, Y, callback=run)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert heard == [False]
    assert not ENDING.asked.is_set()
    train()
    assert heard == [False, True]
    assert ENDING.asked.is_set()  # by the last word of a run, which was over by then
    with pytest.raises(KeyboardInterrupt):
        ENDING.look()
    ENDING.asked.clear()
    assert not ENDING.ask()
