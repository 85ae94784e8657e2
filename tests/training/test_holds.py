"""A checkpoint is one process's at a time, and anybody's once that is gone."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import numbabp as nbp
from numbabp.training.checkpoints import files, hold

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
TRAINS = """
import _thread, os, sys, time, warnings
import numpy as np, numbabp as nbp

X = np.random.RandomState(0).standard_normal((30, 4))
warnings.showwarning = lambda message, *_: print(message, flush=True)
calls, told = [], []

def callback(epoch, metrics):
    calls.append(epoch)
    while _thread._count():  # a checkpoint is under way, for which 200 epochs may be too short
        time.sleep(0.001)
    if len(calls) >= 200 and not os.path.exists("run"):  # on a busy machine none may be due yet
        time.sleep(0.01)
    elif len(calls) == 1 or len(calls) >= 200 and len(told) == 1:
        told.append(epoch)
        print("trains", flush=True)
        sys.stdin.readline()

network = nbp.Network((4, 3, 1), random_state=0)
options = {"epochs": 400, "callback": callback, "checkpoint": "run", "checkpoint_every": float(sys.argv[1])}
network.fit(X, X[:, :1], learning_rate=0.01, **options)
print("done", flush=True)
"""
X = np.random.RandomState(0).standard_normal((30, 4))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Training:
    """Another process, which waits in the callback of its first epoch, and of its 200th or a later one."""

    def __init__(self, every):
        command = [sys.executable, "-c", TRAINS, str(every)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = []
        self.until("trains")

    def until(self, line):
        while (found := self.process.stdout.readline().strip()) != line:
            assert self.process.poll() is None
            self.lines.append(found)

    def go_on(self, until):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.until(until)

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def training(folder):
    """Begins another process's, which is gone in the end."""
    begun = []

    def begin(every=0.0):
        begun.append(Training(every))
        return begun[-1]

    yield begin
    for each in begun:
        each.end()


def fit(epochs=400, **options):
    network = nbp.Network((4, 3, 1), random_state=0)
    network.fit(X, X[:, :1], learning_rate=0.01, epochs=epochs, checkpoint="run", **options)
    return network


@pytest.mark.parametrize("resume", [True, False])
def test_a_checkpoint_that_is_in_use_is_refused(folder, training, resume):
    fit(1)
    other = training(every=1000.0)
    other.go_on("trains")
    with pytest.raises(ValueError, match=r"run: it is in use: another process trains with it\. Wait until"):
        fit(resume=resume)
    other.end()
    assert fit(resume=resume).history.n_epochs == 400
    assert os.listdir(folder) == ["run"]


def test_it_is_in_use_after_each_checkpoint_and_no_longer_than_its_run(folder, training):
    other = training()
    other.go_on("trains")
    assert (folder / "run").exists()
    with pytest.raises(ValueError, match="in use"):
        fit()
    other.go_on("done")
    assert fit().history.n_epochs == 400
    assert other.lines == []


def test_of_two_that_begin_at_once_the_second_does_not_write_over_the_first(folder, training):
    first, second = training(), training(every=1000.0)
    first.go_on("trains")
    second.go_on("trains")
    second.go_on("done")
    assert any("run: it is in use: another process" in line for line in second.lines)
    assert files.read("run").standing.facts["stop_reason"] is None
    first.go_on("done")
    assert first.lines == [] and files.read("run").standing.facts["stop_reason"] == "finished"


def test_where_there_are_no_locks_nobody_is_held_up(folder, monkeypatch):
    def refuse(*arguments):
        raise OSError(hold.errno.ENOLCK, "no locks available")

    fit(1)
    monkeypatch.setattr(hold.fcntl, "lockf", refuse)
    assert fit().history.n_epochs == 400
    monkeypatch.setattr(hold, "fcntl", None)
    assert fit(401).history.n_epochs == 401


def test_a_run_that_is_broken_off_is_in_nobodys_way(folder, training):
    def broken(epoch, metrics):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as kept:
        fit(callback=broken)
    other = training()
    other.go_on("trains")
    other.end()
    assert fit().history.n_epochs == 400
    assert kept is not None


def test_an_interrupt_after_a_file_is_closed_leaves_nothing_to_close_twice(tmp_path):
    path, other = tmp_path / "run", tmp_path / "other"
    path.write_bytes(b"1")
    one = hold.Hold(str(path))
    one.take()
    (file,) = one._files

    def close():
        type(file).close(file)
        raise KeyboardInterrupt

    file.close = close
    other.write_bytes(b"2")
    other.replace(path)
    with pytest.raises(KeyboardInterrupt):
        one.take()
    del file.close
    one.take()
    assert [os.path.samestat(os.fstat(f.fileno()), path.stat()) for f in one._files] == [True]
    one.release()
    assert file.closed and not one._files


@pytest.mark.filterwarnings("error")
def test_a_file_that_an_interrupt_leaves_to_nobody_is_closed_without_a_warning(tmp_path):
    path = tmp_path / "run"
    path.write_bytes(b"1")
    file = hold.LockedFile(str(path), "r+")
    number = file.fileno()
    del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
