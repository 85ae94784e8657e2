"""The switch that takes subnormal numbers as zero: thrown while kernels train, put back whatever happens."""

import ctypes
import platform
import signal
import sys
import threading
from contextlib import suppress

import numba
import numpy as np
import pytest

import numbabp as nbp
from numbabp.compiler.arithmetic.subnormals import flush
from numbabp.compiler.compiling import kernel, strictly, training_kernel

HAS_SWITCH = platform.machine() in ("x86_64", "AMD64") and not numba.config.DISABLE_JIT
X = np.random.RandomState(0).standard_normal((30, 4))


def subnormals_are_zero():
    """Whether they are in this thread."""
    return np.multiply(sys.float_info.min, 0.5) == 0 or sys.float_info.min / float(len("ab")) == 0


def halved(smallest, out, how):
    if how == 1:
        out[0] = smallest[0] / 2
        return 1
    for i in range(how):
        out[0] = smallest[0] / (i + 2)
        if i == 2:
            return 2
    if how == 0:
        raise ValueError
    return 3


@pytest.mark.parametrize("how", [0, 1, 2, 5])
def test_the_switch_is_thrown_for_kernels_that_train_and_put_back_at_every_return(how):
    smallest, out = np.array([sys.float_info.min]), np.zeros(1)
    training, other = training_kernel(halved), kernel(halved)
    for compiled, zero in ((training, HAS_SWITCH), (other, False), (training, HAS_SWITCH)):
        out[:] = 1
        with suppress(ValueError):
            compiled(smallest, out, how)
        if how:
            assert (out[0] == 0) == zero
        assert not subnormals_are_zero()


@pytest.mark.skipif(not HAS_SWITCH, reason="there is no switch")
def test_strict_kernels_keep_them_and_round_to_the_nearest_whatever_the_thread_does():
    """Other libraries throw the switch, too, or set the way of rounding."""
    smallest, out, third = np.array([sys.float_info.min]), np.ones(1), np.array([1.0])
    compiled = strictly(training_kernel(halved))

    @numba.njit
    def thrown():
        return flush()

    network = nbp.Network((4, 3, 1), random_state=0, numerics="strict", dtype="float32")
    before = network.astype("float32")
    expected = before.fit(X, X[:, 0] * 1e-30, epochs=3, learning_rate=1e-8, random_state=0).digest
    found = {}

    def in_thread():
        thrown()
        found["thrown"] = subnormals_are_zero()
        compiled(smallest, out, 1)
        found["kept"] = out[0]
        found["digest"] = network.fit(X, X[:, 0] * 1e-30, epochs=3, learning_rate=1e-8, random_state=0).digest
        found["put back"] = subnormals_are_zero()
        ctypes.CDLL(None).fesetround(0x800)  # upwards
        compiled(third, out, 2)
        ctypes.CDLL(None).fesetround(0)

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert found["thrown"] and found["put back"] and found["digest"] == expected
    assert found["kept"] == sys.float_info.min / 2
    assert out[0] == 1 / 3


def fits():
    """Short runs of several kernels, compiled already."""
    y = X[:, :1]
    networks = [nbp.Network((4, 3, 1), random_state=0) for _ in range(3)]
    options = [{}, {"update_rule": "adam"}, {"batch_size": 10}]
    population = nbp.Population((4, 3, 1), 8, random_state=0)

    def once(i):
        if i % 4 == 3:
            population.fit(X, y, epochs=20, learning_rate=1e-3)
        else:
            networks[i % 4].fit(X, y, epochs=20, learning_rate=1e-3, **options[i % 4])

    for i in range(4):
        once(i)
    return once


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX signals")
def test_interruptions_at_random_moments_leave_it_as_it_was():
    once, random_state, n_interrupted = fits(), np.random.RandomState(0), 0

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for i in range(2000):
            try:
                signal.setitimer(signal.ITIMER_REAL, random_state.uniform(1e-5, 1e-3))
                once(i)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                n_interrupted += 1
            assert not subnormals_are_zero(), i
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert n_interrupted > 500


@pytest.mark.parametrize("i", range(4))
def test_an_interruption_at_every_instruction_around_a_kernel_leaves_it_as_it_was(i):
    """In a thread of its own, too: exceptions are raised between any two instructions of the loop's code."""
    once = fits()

    def interrupted_at(n):
        """Whether there were so many instructions."""
        left = [n]

        def trace(frame, event, argument):
            if "training" not in frame.f_code.co_filename or frame.f_code.co_name not in WATCHED:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode":
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with suppress(KeyboardInterrupt):
                once(i)
        finally:
            sys.settrace(before)
        return left[0] <= 0

    WATCHED = ("_call_kernel", "advance", "_advance")
    found = []

    def interrupt_everywhere():
        n = 1
        while n < 300 and interrupted_at(n):
            found.append(subnormals_are_zero())
            n += 1

    interrupt_everywhere()
    thread = threading.Thread(target=interrupt_everywhere)
    thread.start()
    thread.join()
    assert len(found) > 60 and not any(found)
