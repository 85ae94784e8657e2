"""Which threads help another one, where processors are busy with other programs."""

import time

import pytest

from numbabp.training.threads import LEAST_TURN_SECONDS, MOST_TURNS_AWAY, Attendance


def absences(attendance, thread, share, turns):
    """How many turns a thread is away between those that it comes to, where it always has such a share."""
    found, away = [], 0
    for _ in range(turns):
        if thread not in attendance.present():
            away += 1
            continue
        found.append(away)
        away = 0
        attendance.note(thread, share)
    return found


def test_who_finds_a_processor_free_always_comes():
    assert set(absences(Attendance(3), 2, 0.99, 20)) == {0}


def test_who_does_not_comes_less_and_less_often():
    attendance = Attendance(3)
    assert absences(attendance, 1, 0.5, 200)[:6] == [0, 1, 4, 16, 32, 32]
    assert max(absences(attendance, 1, 0.5, 500)) == MOST_TURNS_AWAY
    assert 2 in attendance.present()
    while 1 not in attendance.present():
        pass
    attendance.note(1, 1.0)
    assert absences(attendance, 1, 0.5, 10)[:3] == [0, 1, 4]


def test_where_the_first_one_is_put_off_nobody_helps_it():
    attendance = Attendance(3)
    found = []
    for _ in range(20):
        present = attendance.present()
        found.append(len(present))
        attendance.note(0, 0.5 if len(present) > 1 else 1.0)
    assert found[:10] == [3, 1, 3, 1, 1, 1, 1, 3, 1, 1]


@pytest.mark.parametrize("busy", [True, False])
def test_naps_do_not_count_and_waiting_does(busy):
    attendance = Attendance(2)
    attendance.present()
    with attendance.noted(1) as naps:
        until = time.thread_time() + LEAST_TURN_SECONDS / 4
        while time.thread_time() < until:
            pass
        if busy:
            time.sleep(4 * LEAST_TURN_SECONDS)
        else:
            naps.take(4 * LEAST_TURN_SECONDS)
    assert (1 in attendance.present()) is not busy
