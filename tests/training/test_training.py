"""The epoch loop: slices, stopping, divergence, interruption, callbacks, schedules."""

import os
import platform
import signal
import threading
import time

import numba
import numpy as np
import pytest
from problems import training_of

import numbabp as nbp
from numbabp.data.datasets import xor
from numbabp.options import Options
from numbabp.training import slicing

RNG = np.random.RandomState(0)
X, Y = RNG.standard_normal((30, 4)), RNG.standard_normal((30, 2))


def network(**options):
    return nbp.Network((4, 6, 2), random_state=0, **options)


@pytest.mark.parametrize("seconds", [1e-9, 1e-5, 1e-3])
@pytest.mark.parametrize("options", [{}, {"update_rule": "adam", "batch_size": 7}])
def test_slicing_changes_no_bit(monkeypatch, seconds, options):
    whole = network()
    expected = whole.fit(X, Y, epochs=20, **options)
    monkeypatch.setattr(slicing, "SLICE_SECONDS", seconds)
    sliced = network()
    history = sliced.fit(X, Y, epochs=20, **options)
    assert np.array_equal(whole.parameters, sliced.parameters)
    assert np.array_equal(expected.loss, history.loss)


def test_slices_stay_bounded_when_every_epoch_returns():
    net = network()
    run = training_of(net, X, Y, np.empty(0), Options(), 3000, callback=lambda epoch, metrics: None)
    history = run()
    assert history.n_epochs == 3000
    assert run._slices.length < 10**8


def test_divergence_keeps_the_last_finite_parameters():
    net = network(hidden_activation="relu", init="he_normal")
    with pytest.raises(nbp.DivergenceError, match="learning rate 1e\\+06") as caught:
        net.fit(X, Y, learning_rate=1e6, epochs=50, shuffle=False, kernel="sequential")
    error = caught.value
    assert np.isfinite(net.parameters).all()
    twin = network(hidden_activation="relu", init="he_normal")
    n_steps = error.epoch * len(X) + error.sample  # with a fixed order: so many steps were finite
    for step in range(n_steps):
        i = step % len(X)
        twin.partial_fit(X[i : i + 1], Y[i : i + 1], learning_rate=1e6, shuffle=False)
    assert np.array_equal(net.parameters, twin.parameters)
    assert net.history.n_epochs == error.epoch
    assert net.history.stop_reason == "interrupted"


def test_interruption_leaves_a_consistent_network():
    net = nbp.Network((50, 100, 1), random_state=0)
    inputs, targets = RNG.standard_normal((2000, 50)), RNG.standard_normal(2000)
    net.fit(inputs[:10], targets[:10], epochs=1, learning_rate=1e-3)
    sent = []

    def interrupt():
        sent.append(time.process_time())  # which others' work does not lengthen
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.5, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(inputs, targets, epochs=10**6, learning_rate=1e-3)
    assert time.process_time() - sent[0] < 0.2
    assert np.isfinite(net.parameters).all()
    assert net.history.n_epochs > 0
    assert len(net.history.loss) == net.history.n_epochs


def test_early_stopping_restores_the_best_epoch():
    net = network()
    history = net.fit(
        X[:20],
        Y[:20],
        learning_rate=0.2,
        epochs=500,
        validation_data=(X[20:], Y[20:]),
        early_stopping=True,
        patience=5,
    )
    losses = history["validation_loss"]
    assert history.stop_reason == "early stopping"
    assert len(losses) == losses.argmin() + 6
    assert net.evaluate(X[20:], Y[20:])["loss"] == losses.min()


def test_callback_sees_every_epoch_and_can_stop():
    seen = []

    def callback(epoch, metrics):
        seen.append((epoch, metrics["loss"]))
        return epoch == 4

    history = network().fit(X, Y, epochs=50, callback=callback)
    assert [epoch for epoch, _ in seen] == [0, 1, 2, 3, 4]
    assert [loss for _, loss in seen] == history.loss.tolist()
    assert history.stop_reason == "callback"


@pytest.mark.parametrize(
    "schedule, options, expected",
    [
        ("constant", None, [1, 1, 1, 1]),
        ("invscaling", {"power": 1}, [1, 1 / 2, 1 / 3, 1 / 4]),
        ("invscaling", {"power": 1, "samples": 10}, [1, 1 / 11, 1 / 21, 1 / 31]),
        ("exponential", {"gamma": 0.5}, [1, 0.5, 0.25, 0.125]),
        ("step", {"gamma": 0.5, "every": 2}, [1, 1, 0.5, 0.5]),
        ("cosine", None, [1, 0.5 + np.sqrt(0.5) / 2, 0.5, 0.5 - np.sqrt(0.5) / 2]),
        (lambda epoch: 1 + epoch, None, [1, 2, 3, 4]),
    ],
)
def test_schedules(schedule, options, expected):
    history = network().fit(
        X,
        Y,
        learning_rate=0.01,
        epochs=4,
        schedule=(lambda epoch: 0.01 * schedule(epoch)) if callable(schedule) else schedule,
        schedule_options=options,
    )
    np.testing.assert_allclose(history.learning_rate, 0.01 * np.array(expected), rtol=1e-12)


def test_adaptive_schedule_divides_the_rate_and_ends():
    inputs, targets = xor()
    net = nbp.Network((2, 1), loss="squared_error", random_state=0)
    history = net.fit(inputs, targets, learning_rate=0.1, epochs=5000, schedule="adaptive", tol=1e-6)
    assert history.stop_reason == "learning rate"
    rates = history.learning_rate
    drops = rates[1:] != rates[:-1]
    np.testing.assert_allclose(rates[1:][drops] / rates[:-1][drops], 0.2)
    assert rates[-1] < 1e-5


def test_rule_state_goes_on_in_the_next_fit():
    once, twice = network(), network()
    once.fit(X, Y, epochs=6, update_rule="adam", learning_rate=0.01, shuffle=False)
    for _ in range(2):
        twice.fit(X, Y, epochs=3, update_rule="adam", learning_rate=0.01, shuffle=False)
    assert np.array_equal(once.parameters, twice.parameters)


def test_shuffles_are_permutations_and_reproducible():
    from numbabp.kernels.shuffling import shuffle

    orders = []
    state = np.array([1], np.uint64)
    with np.errstate(over="ignore"):
        for _ in range(2000):
            order = np.arange(5)
            shuffle(order, state)
            assert sorted(order) == [0, 1, 2, 3, 4]
            orders.append(order)
    counts = np.array([np.bincount(column, minlength=5) for column in np.array(orders).T])
    assert (np.abs(counts - 400) < 5 * np.sqrt(400 * 0.8)).all()
    a, b, c = network(), network(), network()
    a.fit(X, Y, epochs=3, random_state=1)
    b.fit(X, Y, epochs=3, random_state=1)
    c.fit(X, Y, epochs=3, random_state=2)
    assert np.array_equal(a.parameters, b.parameters)
    assert not np.array_equal(a.parameters, c.parameters)


def test_read_only_samples_are_trained_on_without_a_copy_or_a_new_kernel():
    from numbabp.compiler.compile_events import compiling_watched

    network().fit(X, Y, epochs=1, shuffle=False)
    compiled = []
    frozen = X.copy()
    frozen.flags.writeable = False
    a, b = network(), network()
    with compiling_watched(lambda: compiled.append("a kernel")):
        a.fit(frozen, Y, epochs=2, shuffle=False)
        b.fit(X, Y, epochs=2, shuffle=False)
    assert np.array_equal(a.parameters, b.parameters)
    assert not compiled


def test_saturated_units_do_not_slow_training_down_and_the_switch_is_put_back():
    """Products with activations next to the smallest normal number are taken as zero, in training only."""
    smallest = np.finfo(np.float32).tiny
    net = nbp.Network((1, 1, 1), loss="binary_cross_entropy", dtype="float32", random_state=0)
    net.weights[0][:], net.weights[1][:] = 1.0, 0.0
    # a hidden unit of 1e-38, whose weight's step is a tenth of that and so subnormal
    net.fit([[-87.0]], [1], learning_rate=0.1, epochs=1, shuffle=False)
    switched = platform.machine() in ("x86_64", "AMD64") and not numba.config.DISABLE_JIT
    assert (net.weights[1][0, 0] == 0) == switched
    assert smallest * np.float32(0.1) > 0


@pytest.mark.parametrize("batch_size", [1, 20])
@pytest.mark.parametrize("update_rule", ["adagrad", "rmsprop", "adam", "adamw"])
def test_squares_of_gradients_that_overflow_are_divergence(update_rule, batch_size):
    """From there on every step would be zero, and the loss what it is."""
    X = np.random.RandomState(0).standard_normal((200, 5)).astype(np.float32) * np.float32(1e15)
    net = nbp.Network((5, 8, 1), hidden_activation="relu", dtype="float32", random_state=0)
    with pytest.raises(nbp.DivergenceError, match="or the rule's moments are no longer finite"):
        net.fit(X, X[:, 0], update_rule=update_rule, batch_size=batch_size, learning_rate=1e-3)
    assert np.isfinite(net.rule_state(update_rule).moments).all() and np.isfinite(net.parameters).all()
