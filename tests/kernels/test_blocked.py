"""The blocked kernel against the reference and the step by step kernels, over thousands of steps.

The measure is that of test_agreement.py, after 5,000 steps: 1e-9 in float64, 2e-4 in float32.
"""

import functools
import itertools
import os
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import reference
from problems import draw_problem, network_of, parameters_error, solve

import numbabp as nbp
from numbabp.devices.processor import blas_threads, most_blas_threads
from numbabp.training import loop as training

TOLERANCE = {"float64": 1e-9, "float32": 2e-4}
LENGTHS = (1, 2, 7, 16, 64, 500)
N_SAMPLES, EPOCHS = 113, 45  # 5,085 steps; 113 is a multiple of no length but 1
RULES = ("sgd", "momentum", "nesterov")
# Such that training damps rounding errors: with momentum at 1/256 rounding the parameters of "three layers"
# once an epoch moves them by 2e-5, and float32 with any kernel, the general one too, by 2e-4.
RATES = {"sgd": 1 / 32, "momentum": 1 / 512, "nesterov": 1 / 512}
UNBLOCKED = {"sgd": "sequential", "momentum": "general", "nesterov": "general"}
MARGIN = 3e-5  # from a jump: many times the error of a pre-activation in float32 after so many steps
WEIGHTS = np.random.RandomState(0).choice([0.0, 0.5, 1.0, 2.0], size=N_SAMPLES)
# Layer sizes, activations, loss. The last one's second layer is wide enough to be delayed.
NETWORKS = {
    "one layer": ((5, 3), ("softmax",), "categorical_cross_entropy"),
    "narrow": ((5, 1), ("sigmoid",), "binary_cross_entropy"),
    "two layers": ((5, 6, 3), ("sigmoid", "sigmoid"), "binary_cross_entropy"),
    "three layers": ((5, 18, 17, 3), ("tanh", "gelu", "identity"), "squared_error"),
    "four layers": ((5, 6, 4, 5, 3), ("softplus", "silu", "elu", "softmax"), "categorical_cross_entropy"),
    "delayed": ((5, 66, 64, 3), ("tanh", "sigmoid", "identity"), "huber"),
    "counts": ((5, 6, 3), ("tanh", "exp"), "poisson"),
    "quantiles": ((5, 6, 3), ("tanh", "identity"), "quantile"),
}


@functools.cache
def solution_of(network, rule, l2, weighted, propagate):
    """The first problem whose training stays clear of the jumps that a loss has, and its solution."""
    for seed in range(1, 1000):
        problem = draw_problem(seed, *NETWORKS[network], n_samples=N_SAMPLES)
        solution = solve(
            problem,
            learning_rates=[RATES[rule] * 0.99**epoch for epoch in range(EPOCHS)],
            update_rule=rule,
            l2=l2,
            sample_weight=WEIGHTS if weighted else None,
            propagate=propagate,
        )
        if solution.margin > MARGIN:
            return problem, solution
    raise AssertionError("no problem stays clear of the jumps")


def check(network, rule, l2, weighted, dtype, lengths=LENGTHS, propagate="exact"):
    problem, solution = solution_of(network, rule, l2, weighted, propagate)
    for kernel in [{"kernel": UNBLOCKED[rule]}, *({"block_length": length} for length in lengths)]:
        net = network_of(problem, dtype)
        history = net.fit(
            problem.X,
            problem.Y,
            learning_rate=RATES[rule],
            schedule="exponential",
            schedule_options={"gamma": 0.99},
            epochs=EPOCHS,
            shuffle=False,
            update_rule=rule,
            l2=l2,
            sample_weight=WEIGHTS if weighted else None,
            propagate=propagate,
            **kernel,
        )
        losses = reference.largest_relative_error([history.loss], [solution.loss])
        error = max(losses, parameters_error(net, solution))
        assert error < TOLERANCE[dtype], f"{kernel}: {error:.2g}"


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "delayed"])
def test_same_trajectory(network, rule, dtype):
    check(network, rule, 0.01, True, dtype)


EVERY_SETTING = [
    setting
    for setting in itertools.product(NETWORKS, RULES, (0.0, 0.01, 1.0), (False, True))
    if setting[0] == "delayed" or setting[2:] != (0.01, True)  # which the test before has
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("network", "rule", "l2", "weighted"),
    [
        pytest.param(*setting, marks=pytest.mark.exhaustive if setting[2] == 1.0 else pytest.mark.slow)
        for setting in EVERY_SETTING
    ],
)
def test_same_trajectory_with_every_setting(network, rule, l2, weighted, dtype):
    check(network, rule, l2, weighted, dtype)


@pytest.fixture
def delayed(monkeypatch):
    """Plans with delayed layers, wherever there are some."""
    from numbabp.planning import network_cpu, planner

    candidates = network_cpu.candidates

    def only_delayed(problem):
        plans = list(candidates(problem))
        return [plan for plan in plans if plan.delayed_layers or plan.kernel != "blocked"]

    monkeypatch.setattr(network_cpu, "candidates", only_delayed)
    monkeypatch.setattr(planner, "_kept", OrderedDict())


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("propagate", ["exact", "updated"])
def test_delayed_layers_are_exact(propagate, l2, dtype, delayed):
    problem, _ = solution_of("delayed", "sgd", l2, True, propagate)
    assert network_of(problem, dtype).plan(N_SAMPLES, block_length=16).delayed_layers == (1,)
    check("delayed", "sgd", l2, True, dtype, lengths=(1, 2, 7, 16, 64, 500), propagate=propagate)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n_samples", [1, 7, 40])
@pytest.mark.parametrize("block_length", [1, 16, 500])
def test_slices_change_no_bit(block_length, n_samples, rule, monkeypatch):
    problem, _ = solution_of("three layers", rule, 0.01, True, "exact")
    options = {
        "learning_rate": RATES[rule],
        "update_rule": rule,
        "block_length": block_length,
        "epochs": 3,
        "random_state": 3,
        "l2": 0.01,
        "sample_weight": WEIGHTS,
    }
    whole, sliced = network_of(problem, "float32"), network_of(problem, "float32")
    of_whole = whole.fit(problem.X, problem.Y, **options)
    call_kernel = training.Training._call_kernel
    calls = []

    def shorter(self, stop_epoch, max_samples):
        self._slice = n_samples
        calls.append(min(max_samples, n_samples))
        return call_kernel(self, stop_epoch, calls[-1])

    monkeypatch.setattr(training.Training, "_call_kernel", shorter)
    of_slices = sliced.fit(problem.X, problem.Y, **options)
    assert len(calls) >= 3 * N_SAMPLES / (n_samples + block_length)
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()
    for name in of_whole:
        assert of_slices[name].tobytes() == of_whole[name].tobytes()


@pytest.mark.parametrize("rule", RULES)
def test_shuffled_orders_are_those_of_the_other_kernels(rule):
    problem, _ = solution_of("two layers", rule, 0.0, False, "exact")
    nets = []
    for kernel in ({"kernel": UNBLOCKED[rule]}, {"block_length": 16}):
        net = network_of(problem, "float64")
        net.fit(problem.X, problem.Y, learning_rate=RATES[rule], update_rule=rule, random_state=5, **kernel)
        nets.append(net)
    assert reference.largest_relative_error([nets[0].parameters], [nets[1].parameters]) < 1e-9


@pytest.mark.parametrize("rule", RULES)
def test_velocity_goes_on_in_the_next_call(rule):
    problem, _ = solution_of("two layers", rule, 0.0, False, "exact")
    options = {"learning_rate": RATES[rule], "update_rule": rule, "shuffle": False, "block_length": 16}
    once, twice = network_of(problem, "float64"), network_of(problem, "float64")
    once.fit(problem.X, problem.Y, epochs=4, **options)
    twice.fit(problem.X, problem.Y, epochs=3, **options)
    twice.partial_fit(problem.X, problem.Y, **options)
    assert once.parameters.tobytes() == twice.parameters.tobytes()


@pytest.mark.parametrize("block_length", [1, 7, 64])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_divergence_is_found_where_single_steps_find_it(dtype, rule, block_length):
    problem = draw_problem(0, (5, 6, 3), ("relu", "identity"), "squared_error", n_samples=N_SAMPLES)
    errors, nets = [], []
    for kernel in ({"kernel": UNBLOCKED[rule]}, {"block_length": block_length}):
        net = network_of(problem, dtype)
        with pytest.raises(nbp.DivergenceError) as caught:
            net.fit(
                problem.X,
                problem.Y,
                learning_rate=16.0,
                update_rule=rule,
                epochs=20,
                shuffle=False,
                **kernel,
            )
        errors.append(caught.value)
        nets.append(net)
        assert np.isfinite(net.parameters).all()
        assert net.history.n_epochs == caught.value.epoch
    assert [error.epoch for error in errors] == [errors[0].epoch] * 2
    assert abs(errors[0].sample - errors[1].sample) <= 2  # rounding may decide on the step
    assert nets[1].rule_state(rule).steps == errors[1].epoch * N_SAMPLES + errors[1].sample


def test_parameters_that_overflow_while_the_loss_is_finite():
    problem = draw_problem(0, (5, 6, 3), ("tanh", "sigmoid"), "binary_cross_entropy", n_samples=N_SAMPLES)
    net = network_of(problem, "float32")
    with pytest.raises(nbp.DivergenceError):
        net.fit(problem.X, problem.Y, learning_rate=4.0, l2=1.0, epochs=400, shuffle=False, block_length=16)
    assert np.isfinite(net.parameters).all()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"kernel": "blocked", "update_rule": "adam"}, "update_rule='adam'"),
        ({"kernel": "blocked", "batch_size": 4}, "batch_size=4"),
        ({"kernel": "blocked", "l1": 0.1}, "l1=0.1"),
        ({"kernel": "blocked", "clip_norm": 1.0}, "clip_norm=1.0"),
        ({"block_length": 8, "clip_value": 1.0}, "clip_value=1.0"),
        ({"kernel": "sequential", "update_rule": "momentum"}, "update_rule='momentum'"),
        ({"kernel": "sequential", "block_length": 8}, "kernel='blocked'"),
        ({"kernel": "general", "propagate": "updated"}, "propagate='updated'"),
        ({"kernel": "fast"}, "allowed: auto, blocked, general, minibatch, persistent, resident, sequential"),
        ({"block_length": 0}, "block_length must be at least 1"),
        ({"n_threads": 0}, "n_threads must be at least 1"),
    ],
)
def test_what_is_not_possible_is_an_error(options, named):
    net = nbp.Network((5, 6, 3), random_state=0)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=named):
        net.fit(np.ones((4, 5)), np.ones((4, 3)), **options)
    assert (net.parameters == before).all()


def test_threads_are_put_back():
    before = most_blas_threads()
    with blas_threads(1):
        assert most_blas_threads() == 1
    assert most_blas_threads() == before
    net = nbp.Network((300, 200, 3), random_state=0)
    X = np.random.RandomState(0).standard_normal((128, 300))
    net.fit(X, X[:, :3], learning_rate=1e-3, epochs=2, block_length=64, n_threads=1)
    assert most_blas_threads() == before


def test_the_blocked_kernel_runs_without_the_compiler():
    program = """if True:
        import numpy as np, numbabp as nbp
        random = np.random.RandomState(0)
        X, Y = random.standard_normal((13, 4)), random.standard_normal((13, 2))
        for rule in ("sgd", "momentum", "nesterov"):
            nets = []
            for kernel in ({"kernel": "general"}, {"block_length": 5}):
                net = nbp.Network((4, 6, 3, 2), random_state=0)
                options = {"learning_rate": 0.01, "epochs": 2, "update_rule": rule, "l2": 0.1}
                net.fit(X, Y, random_state=1, **options, **kernel)
                nets.append(net.parameters)
            assert np.abs(nets[0] - nets[1]).max() < 1e-12, rule
    """
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
