"""However a stream ends, the network is whole, as of what was learnt, and no thread is left."""

import gc
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from streaming import cut, network, samples

import numbabp as nbp
from numbabp.streams import reading

SEQUENTIAL = {"kernel": "sequential"}


class Broken(Exception):
    pass


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(sys._current_frames())
    yield
    until = time.monotonic() + 5
    while set(sys._current_frames()) - before and time.monotonic() < until:
        time.sleep(0.01)
    assert not set(sys._current_frames()) - before


def learnt(X, y, n, **how):
    """Parameters after the first n rows."""
    net = network()
    if n:
        net.fit(X[:n], y[:n], epochs=1, shuffle=False, **SEQUENTIAL, **how)
    return net.parameters


@pytest.mark.parametrize("after", [0, 1, 5])
@pytest.mark.parametrize("batch_size", [1, 32])
def test_what_a_source_raises_is_raised_after_what_it_brought_was_learnt(after, batch_size):
    X, y, _ = samples()
    n = 0

    def broken():
        nonlocal n
        for number, batch in enumerate(cut(X, y)):
            if number == after:
                raise Broken("the wire is cut")
            n += len(batch[0])
            yield batch

    net = network()
    how = {"batch_size": batch_size} if batch_size > 1 else SEQUENTIAL
    with pytest.raises(Broken, match="the wire is cut"):
        net.fit_stream(broken(), **how)
    done = n - n % batch_size
    expected = network()
    if done:
        expected.fit(X[:done], y[:done], epochs=1, shuffle=False, **how)
    np.testing.assert_array_equal(net.parameters, expected.parameters)
    assert net.history.stop_reason == "interrupted"
    assert (net.history.n_samples[-1] if done else 0) == done


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (5, r"batch 3 \(from row 30 of the stream on\): a batch must be a tuple .* got int"),
        ((1, 2, 3, 4), "got tuple of length 4. One batch alone is given as"),
        ((np.ones((3, 4)), np.ones(3)), "X has 4 columns, but the network has 5 inputs"),
        ((np.ones((3, 5)), np.ones(4)), "y has 4 samples, but X has 3"),
        ((np.ones((3, 5)), np.full(3, 2)), "y must lie between 0 and 1"),
        ((np.full((3, 5), np.nan), np.ones(3)), r"X must be finite, but X\[0, 0\] is nan"),
        ((np.ones((3, 5)), [0, np.nan, 1]), r"y must be finite, but y\[1, 0\] is nan"),
        ((np.ones((3, 5)), np.ones(3), -np.ones(3)), "sample_weight must not be negative"),
        ((np.array([["a"] * 5]), np.ones(1)), "X must be numeric"),
        ((np.ones(5), np.ones(1)), "X must have 2 dimensions"),
    ],
)
def test_a_batch_that_is_not_allowed_is_named(bad, message):
    X, y, _ = samples()
    net = network()
    batches = [(X[i : i + 10], y[i : i + 10]) for i in (0, 10, 20)]
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit_stream([*batches, bad, *batches], **SEQUENTIAL)
    np.testing.assert_array_equal(net.parameters, learnt(X, y, 30))


def test_divergence_is_as_by_fit_and_counts_from_the_beginning():
    X, y, _ = samples()
    X[500:] *= 1e200
    of_fit, net = (nbp.Network((5, 7, 1), hidden_activation="relu", random_state=0) for _ in range(2))
    with pytest.raises(nbp.DivergenceError) as expected:
        of_fit.fit(X, y, epochs=1, shuffle=False, **SEQUENTIAL)
    with pytest.raises(nbp.DivergenceError) as found:
        net.fit_stream(cut(X, y), **SEQUENTIAL)
    assert found.value.sample == expected.value.sample
    np.testing.assert_array_equal(net.parameters, of_fit.parameters)


def test_a_callback_ends_it():
    X, y, _ = samples()
    seen, net = [], network()

    def callback(n, metrics):
        np.testing.assert_array_equal(net.parameters, learnt(X, y, n))
        seen.append((n, metrics["loss"]))
        return n == 300

    history = net.fit_stream(cut(X, y), history_every=100, callback=callback, **SEQUENTIAL)
    assert [n for n, _ in seen] == history.n_samples.tolist() == [100, 200, 300]
    assert [loss for _, loss in seen] == history.loss.tolist()
    assert history.stop_reason == "callback"


def test_a_callback_that_raises_leaves_the_point():
    X, y, _ = samples()
    net = network()
    with pytest.raises(ZeroDivisionError):
        net.fit_stream(cut(X, y), history_every=100, callback=lambda n, metrics: 1 / 0, **SEQUENTIAL)
    np.testing.assert_array_equal(net.parameters, learnt(X, y, 100))


@pytest.mark.parametrize("standardize", [False, True])
def test_ctrl_c_while_the_source_waits(standardize):
    X, y, _ = samples()
    go_on = threading.Event()

    def waits():
        yield X[:200], y[:200]
        yield X[200:400], y[200:400]
        go_on.wait(20)

    net = network()
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), pytest.warns(RuntimeWarning, match="still reads"):
        net.fit_stream(waits(), standardize=standardize, **SEQUENTIAL)
    assert time.monotonic() - started < 1 + reading.END_SECONDS + 3
    go_on.set()
    assert net.history.n_samples[-1] == 400
    expected = network()
    expected.fit_stream([(X[:400], y[:400])], standardize=standardize, **SEQUENTIAL)
    np.testing.assert_array_equal(net.parameters, expected.parameters)


def test_ctrl_c_while_training_leaves_the_rows_that_are_counted():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(20_000, 5))
    y = (X[:, 0] > 0).astype(float)

    def endless():
        while True:
            yield X, y

    net = network()
    net.fit_stream([(X[:10], y[:10])], **SEQUENTIAL)
    net = network()
    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit_stream(endless(), **SEQUENTIAL)
    n = int(net.history.n_samples[-1])
    assert n > 0
    whole, rest = divmod(n, len(X))
    expected = network()
    expected.fit_stream([*[(X, y)] * whole, (X[:rest], y[:rest])], **SEQUENTIAL)
    np.testing.assert_array_equal(net.parameters, expected.parameters)


def test_a_generator_is_closed_in_the_thread_that_reads_it():
    X, y, _ = samples()
    threads = []

    def batches():
        try:
            while True:
                threads.append(threading.get_ident())
                yield X, y
        finally:
            threads.append(threading.get_ident())

    network().fit_stream(batches(), history_every=500, callback=lambda n, metrics: True, **SEQUENTIAL)
    gc.collect()
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


def test_a_generator_that_hangs_when_closed_is_left_alone():
    X, y, _ = samples()
    go_on = threading.Event()

    def hangs():
        try:
            while True:
                yield X, y
        finally:
            go_on.wait(20)

    with pytest.warns(RuntimeWarning, match="still reads"):
        network().fit_stream(hangs(), history_every=500, callback=lambda n, metrics: True, **SEQUENTIAL)
    go_on.set()


def test_rows_of_a_slow_source_are_learnt_while_it_waits():
    X, y, _ = samples()
    net, states = network(), []

    def slow():
        for i in range(3):
            yield X[i * 100 : i * 100 + 100], y[i * 100 : i * 100 + 100]
            until = time.monotonic() + 10
            wanted = learnt(X, y, i * 100 + 100)
            while not np.array_equal(net.parameters, wanted) and time.monotonic() < until:
                time.sleep(0.01)
            states.append(np.array_equal(net.parameters, wanted))

    net.fit_stream(slow(), **SEQUENTIAL)
    assert states == [True] * 3


def test_a_batch_may_be_written_over_once_the_next_one_is_asked_for():
    X, y, _ = samples()
    room_X, room_y = np.empty((50, 5)), np.empty(50)

    def reused():
        for i in range(0, len(X), 50):
            room_X[:], room_y[:] = X[i : i + 50], y[i : i + 50]
            yield room_X, room_y

    net = network()
    net.fit_stream(reused(), **SEQUENTIAL)
    np.testing.assert_array_equal(net.parameters, learnt(X, y, len(X)))


def test_an_empty_stream_changes_nothing():
    net = network()
    before = net.parameters.copy()
    history = net.fit_stream([])
    assert history.n_epochs == 0
    assert history.n_samples.size == 0
    np.testing.assert_array_equal(net.parameters, before)


def test_rows_that_all_weigh_nothing_change_nothing():
    X, y, _ = samples()
    net = network()
    before = net.parameters.copy()
    history = net.fit_stream([(X, y, np.zeros(len(X)))])
    np.testing.assert_array_equal(net.parameters, before)
    assert np.isnan(history.loss).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": "step"}, "takes no 'schedule': schedules give a rate for every epoch"),
        ({"epochs": 2}, "takes no 'epochs': a stream is passed over once"),
        ({"shuffle": False}, "takes no 'shuffle': samples are learnt in the order"),
        ({"nosuch": 2}, "takes no 'nosuch'; allowed: .*history_every"),
        ({"update_rule": "rprop"}, "compares the gradients of all samples, which a stream does not keep"),
        ({"device": "gpu"}, "device='gpu' is not known"),
        (
            {"device": "cuda", "standardize": True},
            "standardize=True is not possible with device='cuda', where",
        ),
        (
            {"device": "cuda", "missing": 0.0},
            "missing=0.0 is not possible .*; allowed: missing='error', or dev",
        ),
        (
            {"device": "cuda:1", "scaler": 1},
            "scaler=1 is not possible with device='cuda:1'.*: scaler=None, or",
        ),
        ({"history_every": 0}, "history_every must be at least 1"),
        ({"missing": "median"}, "missing='median' is not known"),
        ({"missing": np.inf}, "missing must be finite"),
        ({"standardize": 1}, "standardize must be True or False"),
        ({"scaler": 1}, "scaler must be an object with transform"),
        ({"callback": 1}, "callback must be callable"),
        ({"convert": 1}, "convert must be callable"),
        ({"checkpoint": 1}, "checkpoint must be a path"),
        ({"batches": 5}, "batches must be an iterable"),
        ({"kernel": "minibatch"}, "kernel='minibatch'"),
    ],
)
def test_arguments_that_are_not_allowed_change_nothing(arguments, message):
    X, y, _ = samples()
    net = network()
    before = net.parameters.copy()
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit_stream(**{"batches": [(X, y)], **arguments})
    np.testing.assert_array_equal(net.parameters, before)
    assert net.history is None
    assert net._rule_state is None


def interrupted_at(seconds, run):
    """Whether a run was ended by Ctrl-C, which comes after so many seconds if it has not ended by then."""
    ended = threading.Event()

    def interrupt():
        if not ended.wait(seconds):
            os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Thread(target=interrupt)
    try:
        timer.start()
        run()
        ended.set()
        timer.join()
    except KeyboardInterrupt:
        timer.join()
        return True
    return False


@pytest.mark.parametrize("standardize", [False, True])
def test_ctrl_c_anywhere_leaves_what_is_counted(standardize):
    X, y, _ = samples(60_000)
    how = {"standardize": standardize, "history_every": 9_000, **SEQUENTIAL}
    network().fit_stream([(X[:9], y[:9])], **how)  # compiles
    n_interrupted, generator = 0, np.random.default_rng(0)
    for _ in range(25):
        net, expected = network(), network()
        seconds = generator.random() * 0.05
        n_interrupted += interrupted_at(seconds, lambda net=net: net.fit_stream(cut(X, y, most=3000), **how))
        n = 0 if net.history is None or not net.history.n_samples.size else net.history.n_samples[-1]
        if n:
            expected.fit_stream([(X[:n], y[:n])], **how)
        np.testing.assert_array_equal(net.parameters, expected.parameters)
    assert n_interrupted > 3


@pytest.mark.parametrize("standardize", [False, True])
def test_ctrl_c_anywhere_is_gone_on_from(standardize, tmp_path):
    X, y, _ = samples(60_000)
    how = {"standardize": standardize, "history_every": 9_000, "batch_size": 16}
    expected = network()
    of_expected = expected.fit_stream(cut(X, y, most=3000), **how)
    generator, path = np.random.default_rng(0), tmp_path / "stream.safetensors"
    how |= {"checkpoint": path, "checkpoint_every": 0.02}
    for _ in range(4):
        path.unlink(missing_ok=True)
        for _ in range(50):
            net, seconds = network(), generator.random() * 0.3
            if not interrupted_at(seconds, lambda net=net: net.fit_stream(cut(X, y, most=3000), **how)):
                break
        np.testing.assert_array_equal(net.parameters, expected.parameters)
        np.testing.assert_array_equal(net.history.loss, of_expected.loss)
