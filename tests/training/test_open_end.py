"""Runs without an end of their own, room that grows with the epochs done, and one training at a time."""

import threading
import tracemalloc

import numpy as np
import pytest

import numbabp as nbp
from numbabp import schedules
from numbabp.training.exclusive import TrainedAlone

X = np.random.RandomState(0).standard_normal((20, 3))
Y = (X.sum(axis=1) > 0).astype(int)


def new_network():
    return nbp.Network((3, 4, 1), loss="binary_cross_entropy", random_state=0)


def test_without_epochs_a_callback_ends_training():
    net, twin = new_network(), new_network()
    history = net.fit(X, Y, epochs=None, callback=lambda epoch, metrics: epoch == 4)
    twin.fit(X, Y, epochs=5)
    assert history.n_epochs == 5 and history.stop_reason == "callback"
    assert net.parameters.tobytes() == twin.parameters.tobytes()


def test_without_epochs_early_stopping_ends_training():
    history = new_network().fit(X, Y, epochs=None, early_stopping=True, patience=3, tol=1.0)
    assert history.stop_reason == "early stopping" and history.n_epochs == 4


def test_without_epochs_there_is_no_cosine():
    net = new_network()
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="epochs can't be None"):
        net.fit(X, Y, epochs=None, schedule="cosine")
    assert np.array_equal(net.parameters, before)
    with pytest.raises(ValueError, match="epochs"):
        net.fit(X, Y, epochs=0)
    assert net.plan(X, epochs=None).kernel == net.plan(X, epochs=1000).kernel


@pytest.mark.parametrize(
    "schedule",
    ["constant", "invscaling", "exponential", "step", "cosine", "adaptive", lambda e: 0.1 / (1 + e)],
)
@pytest.mark.parametrize("watched", [False, True])
def test_room_that_grows_changes_no_bit(monkeypatch, schedule, watched):
    callback = (lambda epoch, metrics: False) if watched else None
    fits = []
    for first in (schedules.FIRST_EPOCHS, 7):
        monkeypatch.setattr(schedules, "FIRST_EPOCHS", first)
        net = new_network()
        history = net.fit(X, Y, epochs=100, schedule=schedule, monitor=("squared_error",), callback=callback)
        fits.append((net.parameters.tobytes(), {**history.to_dict(), "seconds": 0}))
    assert fits[0] == fits[1]


def test_memory_is_that_of_the_epochs_done():
    net = new_network()
    net.fit(X, Y, epochs=1)
    tracemalloc.start()
    net.fit(X, Y, epochs=10**8, kernel="sequential", callback=lambda epoch, metrics: epoch == 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


def test_a_schedule_of_the_callers_is_tried_before_anything_is_changed():
    net = new_network()
    before = net.parameters.copy(), net.random_state.get_state()[1].copy()
    with pytest.raises(ValueError, match=r"schedule\(3\) returned nan"):
        net.fit(X, Y, schedule=lambda epoch: 0.1 if epoch < 3 else np.nan)
    assert np.array_equal(net.parameters, before[0])
    assert np.array_equal(net.random_state.get_state()[1], before[1])


def test_a_second_training_from_another_thread_is_refused():
    net, begun, end = new_network(), threading.Event(), threading.Event()
    first = threading.Thread(
        target=net.fit,
        args=(X, Y),
        kwargs={"epochs": None, "callback": lambda *_: begun.set() or end.wait()},
    )
    first.start()
    begun.wait()
    try:
        with pytest.raises(RuntimeError, match="is being trained already"):
            net.fit(X, Y)
        with pytest.raises(RuntimeError, match="is being trained already"):
            net.partial_fit(X, Y)
    finally:
        end.set()
        first.join()
    net.fit(X, Y, epochs=1)


class TrainedElsewhere(nbp.Population):
    def meanwhile(self, then):
        with TrainedAlone(self):
            then()

    def interrupted(self):
        """The mark is left behind, as by an interrupt before the body of the `with` statement."""
        TrainedAlone(self).__enter__()


def test_a_second_training_of_a_population_is_refused():
    population = TrainedElsewhere((3, 4, 1), 4, random_state=0)
    before = population.parameters.copy()
    with pytest.raises(RuntimeError, match="is being trained already"):
        population.meanwhile(lambda: population.fit(X, Y, epochs=1))
    assert np.array_equal(population.parameters, before)
    population.fit(X, Y, epochs=1)
    population.interrupted()
    population.fit(X, Y, epochs=1)


def test_a_second_training_from_a_callback_is_refused():
    net = new_network()
    with pytest.raises(RuntimeError, match="is being trained already"):
        net.fit(X, Y, callback=lambda epoch, metrics: net.partial_fit(X, Y))
    net.partial_fit(X, Y)
