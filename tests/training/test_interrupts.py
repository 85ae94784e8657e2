"""Ctrl-C wherever it may come: no thread is left at work, and what was done is left whole."""

import dis
import functools
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

import numbabp as nbp
from numbabp.training.checkpoints import files, keeper
from numbabp.training.threads import Gate, Work, share_out

CHECKED_AFTER = {"CALL", "CALL_KW", "CALL_FUNCTION_EX", "CALL_METHOD", "JUMP_BACKWARD"}
"""Instructions after which Python looks for signals."""
X = np.random.RandomState(0).standard_normal((30, 4))
Y = X[:, :1]


def at_work(shared):
    """A task that sees to it that two threads are at work, and goes on until it is told to stop."""

    def work(thread, task):
        shared["begun"].add(thread)
        while not shared["stop"].is_set():
            time.sleep(0.001)
        time.sleep(0.05)
        shared["ended"].add(thread)

    return work


@pytest.fixture
def shared():
    return {"stop": threading.Event(), "begun": set(), "ended": set()}


def test_an_interrupt_while_a_thread_starts_waits_for_it(shared, monkeypatch):
    real = Work.start

    def start(self):
        real(self)
        while 1 not in shared["begun"]:
            time.sleep(0.001)
        raise KeyboardInterrupt

    monkeypatch.setattr(Work, "start", start)
    with pytest.raises(KeyboardInterrupt):
        share_out(range(9), 2, at_work(shared), lambda: None, shared["stop"])
    assert shared["ended"] == {1}


def test_a_thread_that_has_not_started_never_will(shared, monkeypatch):
    def start(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Work, "start", start)
        with pytest.raises(KeyboardInterrupt):
            share_out(range(9), 2, at_work(shared), lambda: None, shared["stop"])
    late = Work(lambda: shared["begun"].add("late"))
    late.call_off()
    late.start()
    late.wait()
    time.sleep(0.02)
    assert not shared["begun"] and late.is_done


def test_further_interrupts_do_not_leave_threads_at_work(shared, monkeypatch):
    real, n_waits = Work.wait, []

    def wait(self, *seconds):
        n_waits.append(seconds)
        if len(n_waits) < 4:
            raise KeyboardInterrupt
        real(self, *seconds)

    def work(thread, task):
        if thread == 0:
            while 1 not in shared["begun"]:
                time.sleep(0.001)
            raise KeyboardInterrupt
        at_work(shared)(thread, task)

    monkeypatch.setattr(Work, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        share_out(range(9), 2, work, lambda: None, shared["stop"])
    assert shared["ended"] == {1} and len(n_waits) >= 4


def test_a_gate_that_is_left_closed_lets_threads_off():
    stop = threading.Event()
    gate, let_off = Gate(stop), []

    def work():
        try:
            with gate:
                let_off.append("inside")
        except KeyboardInterrupt:
            let_off.append("outside")

    closing = gate.closed()
    closing.__enter__()  # and Ctrl-C comes before it can leave
    thread = Work(work)
    thread.start()
    thread.wait(0.1)
    assert not thread.is_done
    stop.set()
    thread.wait()
    assert let_off == ["outside"]


def test_a_gate_is_closed_to_others_only():
    gate, seen = Gate(threading.Event()), []

    def work():
        for _ in range(50):
            with gate:
                seen.append("in")
                time.sleep(0)
                seen.append("out")

    threads = [Work(work) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not all(thread.is_done for thread in threads):
        with gate.closed():
            n = len(seen)
            time.sleep(0.001)
            assert len(seen) == n and seen.count("in") == seen.count("out")
        with gate:
            time.sleep(0.002)
    assert len(seen) == 200


@pytest.mark.parametrize("begins", [False, True])
def test_an_interrupt_while_a_checkpoints_thread_starts(tmp_path, monkeypatch, begins):
    real, n_starts = Work.start, []

    def start(self):
        n_starts.append(0)
        if len(n_starts) < 5:
            return real(self)
        if begins:
            real(self)
        raise KeyboardInterrupt

    def fit():
        net = nbp.Network((4, 3, 1), random_state=0)
        options = {"epochs": 40, "learning_rate": 0.01, "callback": lambda *_: time.sleep(0.001)}
        net.fit(X, Y, checkpoint=tmp_path / "run", checkpoint_every=0, **options)
        return net

    with monkeypatch.context() as patch:
        patch.setattr(Work, "start", start)
        with pytest.raises(KeyboardInterrupt):
            fit()
    assert files.read(tmp_path / "run").standing.facts["stop_reason"] is None
    (tmp_path / "run").rename(tmp_path / "begun")
    whole = fit().parameters
    (tmp_path / "begun").rename(tmp_path / "run")
    assert (fit().parameters == whole).all()


def test_too_many_threads_for_checkpoints_are_a_warning(tmp_path, monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(keeper.Work, "start", start)
    net = nbp.Network((4, 3, 1), random_state=0)
    with pytest.warns(RuntimeWarning, match="can't start new thread"):
        net.fit(X, Y, epochs=9, learning_rate=0.01, checkpoint=tmp_path / "run", checkpoint_every=0)
    assert net.history.n_epochs == 9


@functools.cache
def handlers(code):
    return dis.Bytecode(code).exception_entries


def handler(code, place):
    """Where an exception goes that is raised at a place."""
    return next((entry.target for entry in handlers(code) if entry.start <= place < entry.end), None)


def may_come(code, before, place):
    """Whether signals are looked for right before an instruction, and what is raised goes the same way."""
    if before is None or dis.opname[code.co_code[before]] not in CHECKED_AFTER:
        return False
    return handler(code, before) == handler(code, place)


def interrupted_at(n, work, where):
    """Do some work with a KeyboardInterrupt at the n-th place; whether there are so many."""
    left, last = [n], {}

    def trace(frame, event, argument):
        if frame.f_code.co_name not in where or "numbabp" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            before = last.get(id(frame))
            last[id(frame)] = frame.f_lasti
            if may_come(frame.f_code, before, frame.f_lasti):
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt
        elif event == "call":  # where it is looked for, too
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        elif event in ("return", "exception"):  # none is looked for on the way to a handler
            last.pop(id(frame), None)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(KeyboardInterrupt):
            work()
    finally:
        sys.settrace(before)
    return left[0] <= 0


WATCHED = ("__call__", "_train", "_end", "_history", "_go_to_the_end", "catch_up", "_take_time")
OF_MANY = (
    "__call__",
    "_train",
    "_run",
    "_record",
    "completed",
    "catch_up",
    "_judge",
    "end",
    "under_way",
    "do",
)


@pytest.mark.parametrize(
    "options", [{}, {"validation_data": (X, Y), "early_stopping": True}], ids=["plain", "stopping"]
)
def test_wherever_an_interrupt_comes_a_network_has_its_history(options):
    def fit():
        net.fit(X, Y, epochs=4, learning_rate=0.01, **options)

    net = nbp.Network((4, 3, 1), random_state=0)
    fit()
    n, n_with = 1, 0
    while n < 600:
        net = nbp.Network((4, 3, 1), random_state=0)
        parameters = net.parameters.copy()
        if not interrupted_at(n, fit, WATCHED):
            break
        if (net.parameters != parameters).any():
            n_with += 1
            assert net.history.n_epochs <= 4 and net.rule_state("sgd").steps >= 30 * net.history.n_epochs
            assert {len(values) for values in net.history.values()} == {len(net.history.learning_rate)}
        n += 1
    assert 20 < n < 600 and n_with > 10


@pytest.mark.parametrize("kernel", ["lanes", "each"])
def test_wherever_an_interrupt_comes_a_population_has_its_history(kernel):
    def fit():
        many.fit(X, Y, epochs=4, learning_rate=0.01, update_rule="momentum", kernel=kernel, n_threads=1)

    many = nbp.Population((4, 3, 1), 9, random_state=0)
    fit()
    n, n_with = 1, 0
    while n < 900:
        many = nbp.Population((4, 3, 1), 9, random_state=0)
        parameters = many.parameters.copy()
        if not interrupted_at(n, fit, OF_MANY):
            break
        if (many.parameters != parameters).any():
            n_with += 1
            found = many.history
            assert (found.n_epochs <= 4).all()
            assert (np.isfinite(found.loss).sum(axis=1) == found.n_epochs).all()
        n += 1
    assert 20 < n < 900 and n_with > 5


WATCHING = ("_go_to_the_end", "_watch", "_noted", "_decided", "is_over", "next_rate", "measure_one")


class Meddling:
    """A callback that changes and draws what training goes on with, and is ended half done where asked."""

    def __init__(self, net, ends=None, error=None):
        self._net, self._ends, self._error = net, ends, error

    def __call__(self, epoch, metrics):
        self._net.parameters *= 0.999
        if epoch == self._ends:
            self._net.random_state.normal()
            raise self._error
        self._net.parameters[0] += 0.01 * self._net.random_state.normal()


WATCHED_RUNS = {
    "early stopping": {"early_stopping": True, "patience": 2, "tol": 0.05, "validation_data": (X, Y)},
    "adaptive": {"schedule": "adaptive", "schedule_options": {"patience": 1, "minimum": 0.002}, "tol": 1.0},
}


def watched_run(path, options, ends=None, error=None):
    """The network of a run that is watched, and that run."""
    net = nbp.Network((4, 3, 1), random_state=0)
    common = {"epochs": 9, "learning_rate": 0.05, "callback": Meddling(net, ends, error), **options}
    return net, lambda: net.fit(X, Y, **common, checkpoint=path)


def whole_run(options):
    net, fit = watched_run(None, options)
    fit()
    assert 3 < net.history.n_epochs < 9
    return net


def assert_goes_on(path, options, stopped, whole):
    """From where the run was stopped, and to the bits of one that never was."""
    assert files.read(path).standing.arrays["position"][0] == stopped.history.n_epochs
    again, fit = watched_run(path, options)
    fit()
    assert again.parameters.tobytes() == whole.parameters.tobytes()
    assert {**again.history.to_dict(), "seconds": 0} == {**whole.history.to_dict(), "seconds": 0}
    assert again.random_state.get_state()[2:] == whole.random_state.get_state()[2:]


@pytest.mark.parametrize("name", WATCHED_RUNS)
def test_wherever_an_interrupt_comes_after_an_epoch_nothing_is_lost(tmp_path, name):
    options, path = WATCHED_RUNS[name], tmp_path / "run"
    whole, n = whole_run(options), 1
    while n < 900:
        net, fit = watched_run(path, options)
        if not interrupted_at(n, fit, WATCHING):
            break
        assert_goes_on(path, options, net, whole)
        path.unlink()
        n += 1
    assert 50 < n < 900


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("of the callback"), SystemExit(3)])
def test_a_callback_that_is_ended_half_done_is_called_again(tmp_path, error):
    path = tmp_path / "run"
    for name, options in WATCHED_RUNS.items():
        whole = whole_run(options)
        for epoch in range(whole.history.n_epochs):
            net, fit = watched_run(path, options, epoch, error)
            with pytest.raises(type(error)):
                fit()
            assert net.history.n_epochs == epoch + 1, name
            assert_goes_on(path, options, net, whole)
            path.unlink()


def test_a_callback_that_leaves_numbers_of_no_use_leaves_the_checkpoint_before(tmp_path):
    net = nbp.Network((4, 3, 1), random_state=0)
    whole = nbp.Network((4, 3, 1), random_state=0)
    whole.fit(X, Y, epochs=5, learning_rate=0.05)

    def spoil(epoch, metrics):
        if epoch == 2:
            net.parameters[0] = np.nan

    with pytest.raises(ValueError, match="finite"):
        net.fit(X, Y, epochs=5, learning_rate=0.05, callback=spoil, checkpoint=tmp_path / "run")
    again = nbp.Network((4, 3, 1), random_state=0)
    again.fit(X, Y, epochs=5, learning_rate=0.05, checkpoint=tmp_path / "run")
    assert again.parameters.tobytes() == whole.parameters.tobytes()


def test_an_interrupt_while_patience_counts_in_a_population_is_counted_once(tmp_path):
    options = {"epochs": 40, "learning_rate": 0.05, "kernel": "each", "n_iter_no_change": 3, "tol": 0.05}
    options |= {"n_threads": 1}
    whole, path = nbp.Population((4, 3, 1), 3, random_state=0), tmp_path / "run"
    whole.fit(X, Y, **options)
    assert (whole.history.n_epochs < 40).all()
    n = 0
    while n < 60:
        n += 1
        many = nbp.Population((4, 3, 1), 3, random_state=0)

        def fit(many=many):
            many.fit(X, Y, **options, checkpoint=path)

        if not interrupted_at(n, fit, ("is_over",)):
            break
        again = nbp.Population((4, 3, 1), 3, random_state=0)
        again.fit(X, Y, **options, checkpoint=path)
        assert again.parameters.tobytes() == whole.parameters.tobytes()
        assert (again.history.n_epochs == whole.history.n_epochs).all()
        path.unlink()
    assert n > 5
