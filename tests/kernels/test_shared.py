"""The shared kernel against the reference, with any number of threads, and with threads that are no help.

The measure is that of test_agreement.py: 1e-9 in float64, 2e-4 in float32.
"""

import _thread
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict

import numba
import numpy as np
import pytest
import reference
from problems import draw_problem, network_of, parameters_error, solve

import numbabp as nbp
from numbabp.devices import processor
from numbabp.kernels.shared import train as kernels
from numbabp.kernels.shared.crew import APART, IS_OVER, PHASE, n_parts, read_order, take
from numbabp.kernels.shared.sweeps import is_sweep
from numbabp.kernels.shared.words import load_word
from numbabp.planning import network_cpu, planner, refusals
from numbabp.training import loop

pytestmark = pytest.mark.once

TOLERANCE = {"float64": 1e-9, "float32": 2e-4}
N_SAMPLES, EPOCHS = 53, 12
RATE = 1 / 128
WEIGHTS = np.random.RandomState(0).choice([0.0, 0.5, 1.0, 2.0], size=N_SAMPLES)
NETWORKS = {  # layer sizes, activations, loss; every layer of 16 units and more after the first is swept
    "one swept": ((5, 18, 17, 3), ("tanh", "gelu", "identity"), "squared_error"),
    "two swept": ((5, 66, 33, 40, 3), ("sigmoid", "tanh", "silu", "softmax"), "categorical_cross_entropy"),
    "output swept": ((5, 21, 16), ("tanh", "sigmoid"), "binary_cross_entropy"),
    "not the second": ((5, 18, 6, 17, 18, 2), ("tanh", "elu", "tanh", "softplus", "identity"), "huber"),
}


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """As many threads as are asked for, and small layers in parts."""
    monkeypatch.setattr(network_cpu, "SHARED_BYTES", 0)
    monkeypatch.setattr(refusals, "DELAYED_LEAST", 1)
    monkeypatch.setattr(processor, "n_threads", lambda most=None: most or 1)
    monkeypatch.setattr(processor, "most_blas_threads", lambda: 16)
    monkeypatch.setattr(planner, "_kept", OrderedDict())
    before = _thread._count()
    yield
    until = time.monotonic() + 5
    while _thread._count() > before and time.monotonic() < until:
        time.sleep(0.01)  # a thread that has done its work may still be about to end
    assert _thread._count() <= before


@functools.cache
def solution_of(network, l2, weighted, propagate):
    problem = draw_problem(1, *NETWORKS[network], n_samples=N_SAMPLES)
    solution = solve(
        problem,
        learning_rates=[RATE] * EPOCHS,
        update_rule="sgd",
        l2=l2,
        sample_weight=WEIGHTS if weighted else None,
        propagate=propagate,
    )
    return problem, solution


def trained(problem, dtype="float64", **options):
    """The network, and its history."""
    net = network_of(problem, dtype)
    options = {"learning_rate": RATE, "epochs": EPOCHS, "shuffle": False, "kernel": "shared", **options}
    return net, net.fit(problem.X, problem.Y, **options)


def bits(run):
    net, history = run
    return net.parameters.tobytes(), *(history[name].tobytes() for name in history)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("propagate", ["exact", "updated"])
@pytest.mark.parametrize(("l2", "weighted"), [(0.0, False), (0.01, True)])
@pytest.mark.parametrize("network", NETWORKS)
def test_same_trajectory(network, l2, weighted, propagate, dtype):
    problem, solution = solution_of(network, l2, weighted, propagate)
    for length in (1, 2, 7, 33, 500):
        of_samples = {"sample_weight": WEIGHTS} if weighted else {}
        net, history = trained(
            problem, dtype, l2=l2, propagate=propagate, block_length=length, n_threads=2, **of_samples
        )
        losses = reference.largest_relative_error([history.loss], [solution.loss])
        error = max(losses, parameters_error(net, solution))
        assert error < TOLERANCE[dtype], f"{length}: {error:.2g}"


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("network", NETWORKS)
def test_any_number_of_threads_gives_the_same_bits(network, dtype):
    problem, _ = solution_of(network, 0.01, True, "exact")
    options = {"l2": 0.01, "sample_weight": WEIGHTS, "monitor": ("accuracy", "squared_error")}
    found = {
        bits(trained(problem, dtype, n_threads=n, block_length=length, **options))
        for n in (1, 2, 3, 4, 16)
        for length in (40,)
        for _ in range(3)
    }
    assert len(found) == 1


@pytest.mark.parametrize("n_samples", [1, 7, 40])
@pytest.mark.parametrize("block_length", [1, 16, 500])
def test_slices_change_no_bit(block_length, n_samples, monkeypatch):
    problem, _ = solution_of("two swept", 0.0, False, "exact")
    options = {"shuffle": True, "random_state": 3, "block_length": block_length, "n_threads": 2}
    whole = bits(trained(problem, "float32", epochs=3, **options))
    call_kernel = loop.Training._call_kernel
    monkeypatch.setattr(
        loop.Training, "_call_kernel", lambda self, stop, most: call_kernel(self, stop, min(most, n_samples))
    )
    assert bits(trained(problem, "float32", epochs=3, **options)) == whole


def test_a_checkpoint_is_gone_on_with_by_another_number_of_threads(tmp_path, monkeypatch):
    problem, _ = solution_of("two swept", 0.0, False, "exact")
    options = {"block_length": 7, "epochs": 6}
    whole = bits(trained(problem, n_threads=1, **options))

    def interrupt(epoch, metrics):
        if epoch == 3:
            raise KeyboardInterrupt

    path = tmp_path / "run"
    monkeypatch.setattr(processor, "n_threads", lambda most=None: 2)
    with pytest.raises(KeyboardInterrupt):
        trained(problem, checkpoint=path, checkpoint_every=0, callback=interrupt, **options)
    monkeypatch.setattr(processor, "n_threads", lambda most=None: 3)
    monkeypatch.setattr(planner, "_kept", OrderedDict())
    again = trained(problem, checkpoint=path, callback=lambda *_: None, **options)
    assert bits(again) == whole


def test_divergence_is_found_where_single_steps_find_it():
    problem = draw_problem(
        0, (5, 18, 17, 3), ("relu", "relu", "identity"), "squared_error", n_samples=N_SAMPLES
    )
    errors = []
    for options in ({"kernel": "sequential"}, {"n_threads": 2, "block_length": 16}):
        net = network_of(problem, "float64")
        with pytest.raises(nbp.DivergenceError) as caught:
            options = {"kernel": "shared", **options}
            net.fit(problem.X, problem.Y, learning_rate=16.0, epochs=20, shuffle=False, **options)
        errors.append(caught.value)
        assert np.isfinite(net.parameters).all()
    assert errors[0].epoch == errors[1].epoch
    assert abs(errors[0].sample - errors[1].sample) <= 2  # rounding may decide on the step


@numba.njit(nogil=True)
def _take_and_leave(work, thread):
    """Take a part of every phase, and leave nonsense."""
    words, crew = work.crew.words, work.crew
    while load_word(words, IS_OVER * APART) == 0:
        phase = load_word(words, PHASE * APART)
        if phase > 0 and phase % 2 == 0:
            order = read_order(crew)
            if load_word(words, PHASE * APART) == phase and is_sweep(order):
                take(crew, phase // 2 % 3, phase, thread)
                crew.sums[thread, :, :] = np.nan
                crew.delta[thread, :] = np.nan
    return kernels.OVER


def test_who_never_comes_back_holds_up_nobody(monkeypatch):
    problem, _ = solution_of("two swept", 0.0, False, "exact")
    expected = bits(trained(problem, n_threads=1, block_length=16))

    def help_nobody(model, work, thread):
        if work.crew.words[IS_OVER * APART]:
            return kernels.OVER
        return _take_and_leave(work, thread)

    monkeypatch.setattr(kernels, "help_shared", help_nobody)
    for n_threads in (2, 3):
        assert bits(trained(problem, n_threads=n_threads, block_length=16)) == expected


def test_who_is_late_changes_no_bit(monkeypatch):
    problem, _ = solution_of("two swept", 0.0, False, "exact")
    expected = bits(trained(problem, n_threads=1, block_length=16))
    help_shared, drawn = kernels.help_shared, np.random.RandomState(0)

    def help_late(*arguments):
        time.sleep(0.003 * drawn.rand())
        return help_shared(*arguments)

    monkeypatch.setattr(kernels, "help_shared", help_late)
    assert bits(trained(problem, n_threads=4, block_length=16)) == expected


def test_who_fails_ends_the_run(monkeypatch):
    problem, _ = solution_of("one swept", 0.0, False, "exact")
    main = threading.get_ident()

    def fail(*arguments):
        if threading.get_ident() != main:
            raise MemoryError("of a thread")

    monkeypatch.setattr(kernels, "help_shared", fail)
    net = network_of(problem, "float64")
    with pytest.raises(MemoryError, match="of a thread"):
        net.fit(problem.X, problem.Y, epochs=10**6, kernel="shared", n_threads=2, learning_rate=RATE)
    assert np.isfinite(net.parameters).all()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
def test_control_c_leaves_the_network_after_a_step():
    problem, _ = solution_of("one swept", 0.0, False, "exact")
    net = network_of(problem, "float64")
    net.fit(problem.X, problem.Y, kernel="shared", n_threads=3, learning_rate=RATE)

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in (0.02, 0.15, 0.3):
            signal.setitimer(signal.ITIMER_REAL, delay)
            with pytest.raises(KeyboardInterrupt):
                net.fit(
                    problem.X,
                    problem.Y,
                    kernel="shared",
                    n_threads=3,
                    learning_rate=1e-6,
                    epochs=10**9,
                    shuffle=False,
                )
            assert np.isfinite(net.parameters).all()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    steps = net.rule_state("sgd").steps
    assert steps > 0
    history = net.fit(problem.X, problem.Y, kernel="shared", n_threads=2, learning_rate=RATE)
    assert np.isfinite(history.loss).all()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"update_rule": "momentum"}, "update_rule='momentum' keeps a velocity"),
        ({"update_rule": "adam"}, "update_rule='adam'"),
        ({"batch_size": 4}, "batch_size=4"),
        ({"l1": 0.1}, "l1=0.1"),
    ],
)
def test_what_is_not_possible_is_an_error(options, named):
    problem, _ = solution_of("one swept", 0.0, False, "exact")
    with pytest.raises(ValueError, match=f"kernel='shared' is not possible: .*{named}"):
        trained(problem, **options)


def test_small_layers_are_not_shared_out(monkeypatch):
    monkeypatch.undo()
    net = nbp.Network((5, 18, 17, 3), random_state=0)
    with pytest.raises(ValueError, match="large enough to be shared out"):
        net.fit(np.ones((4, 5)), np.ones((4, 3)), kernel="shared")
    strict = nbp.Network((5, 100, 100, 3), numerics="strict")
    with pytest.raises(ValueError, match="numerics='strict'"):
        strict.plan(10, kernel="shared")


def test_parts_have_all_rows_once():
    for n in (*range(1, 200), 1000, 2048, 4097):
        for multiple in (4, 16):
            size = kernels.part_size(n, multiple)
            parts = n_parts(n, multiple)
            assert size % multiple == 0
            assert 0 < parts <= 16
            assert (parts - 1) * size < n <= parts * size


def in_a_process(program, **environment):
    subprocess.run(
        [sys.executable, "-c", program], check=True, env={**os.environ, **environment}, timeout=120
    )


PROGRAM = """if True:
    import os
    import numpy as np, numbabp as nbp
    from numbabp.devices import processor
    from numbabp.planning import network_cpu, refusals
    network_cpu.SHARED_BYTES, refusals.DELAYED_LEAST = 0, 1
    processor.n_threads = lambda most=None: most or 1
    processor.most_blas_threads = lambda: 16
    random = np.random.RandomState(0)
    X, Y = random.standard_normal((13, 4)), random.standard_normal((13, 2))
    def trained(**options):
        net = nbp.Network((4, 18, 17, 2), random_state=0)
        net.fit(X, Y, learning_rate=0.01, epochs=2, l2=0.1, random_state=1, **options)
        return net.parameters
"""


def test_it_runs_without_the_compiler():
    in_a_process(
        PROGRAM
        + """
    expected = trained(kernel="sequential")
    for n in (1, 2):
        found = trained(kernel="shared", block_length=5, n_threads=n)
        assert np.abs(found - expected).max() < 1e-12
    """,
        NUMBA_DISABLE_JIT="1",
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_it_runs_in_a_process_that_has_forked():
    in_a_process(
        PROGRAM
        + """
    import warnings
    warnings.simplefilter("ignore")
    expected = trained(kernel="shared", n_threads=2)
    child = os.fork()
    found = trained(kernel="shared", n_threads=2)
    same = (found == expected).all()
    if child == 0:
        os._exit(0 if same else 1)
    assert same and os.waitpid(child, 0)[1] == 0
    """
    )
