"""What the loops of networks and of populations are made of: slices, snapshots, bisection, threads."""

import threading
import time

import numpy as np
import pytest

from numbabp.training.divergence import Snapshot, last_finite
from numbabp.training.slicing import Slices
from numbabp.training.threads import share_out


@pytest.mark.parametrize("seed", range(20))
def test_bisection_finds_every_runs_last_finite_step(seed):
    random_state = np.random.RandomState(seed)
    last = random_state.randint(0, 1000, size=7)
    not_finite = last + 1 + random_state.randint(0, 1000, size=7)
    asked = []

    def stays_finite(steps):
        asked.append(steps)
        return steps <= last

    np.testing.assert_array_equal(last_finite(stays_finite, np.zeros(7, int), not_finite), last)
    assert len(asked) <= 11
    assert all((steps < not_finite).all() for steps in asked)


def test_a_snapshot_goes_back_and_is_taken_again():
    arrays = np.arange(3.0), np.array([[1, 2]])
    snapshot = Snapshot(arrays)
    arrays[0][:], arrays[1][:] = 9, 9
    snapshot.put_back(arrays)
    np.testing.assert_array_equal(arrays[0], [0, 1, 2])
    np.testing.assert_array_equal(arrays[1], [[1, 2]])
    arrays[0][1] = 5
    kept = snapshot.copies
    snapshot.take(arrays)
    assert snapshot.copies[0] is kept[0], "in the same memory"
    arrays[0][:] = 0
    snapshot.put_back(arrays)
    np.testing.assert_array_equal(arrays[0], [0, 5, 2])


def test_slices_aim_at_a_time_step_by_step():
    slices = Slices(100)
    slices.took(100, elapsed=0.01, seconds=0.02)
    assert slices.length == 200
    slices.took(200, elapsed=1e-9, seconds=0.02)
    assert slices.length == 800, "by no more than a factor of 4"
    slices.took(800, elapsed=100.0, seconds=0.02)
    assert slices.length == 200
    slices.took(10, elapsed=1e-4, seconds=0.02)
    assert slices.length == 200, "an epoch ended before"
    slices.took(10, elapsed=1e-3, seconds=0.02, asked=10)
    assert slices.length == 200 and Slices(0.3).length == 1
    slices.took(10, elapsed=1.0, seconds=0.02)
    assert slices.length == 50, "however few, they were slow"


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_threads_do_every_task_once(n_threads):
    done, looked = [], []

    def work(thread, task):
        time.sleep(0.001)
        done.append((thread, task))

    share_out(iter(range(30)), n_threads, work, lambda: looked.append(1), threading.Event())
    assert sorted(task for _, task in done) == list(range(30))
    assert {thread for thread, _ in done} <= set(range(n_threads))
    assert looked


@pytest.mark.parametrize("failing", [0, 1])
def test_what_a_thread_raises_ends_all(failing):
    stop, begun = threading.Event(), []
    both = threading.Barrier(2, timeout=30)

    def work(thread, task):
        begun.append(task)
        if len(begun) <= 2:
            both.wait()  # so that both threads have a task
        if thread == failing:
            raise KeyError(task)
        stop.wait(30)

    with pytest.raises(KeyError):
        share_out(range(100), 2, work, lambda: None, stop)
    assert stop.is_set() and len(begun) < 10


def test_nothing_is_begun_once_stopped():
    stop = threading.Event()
    stop.set()
    share_out(range(3), 2, lambda thread, task: pytest.fail(), lambda: None, stop)
