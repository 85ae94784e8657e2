"""Momentum and nesterov whose large layers' velocities are made of recent samples, against the reference.

The measure is that of test_blocked.py.
"""

import functools
import os
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import reference
from problems import draw_problem, network_of, parameters_error, solve

import numbabp as nbp
from numbabp.kernels.momentum.split import most_that_count
from numbabp.planning import network_cpu, planner, refusals
from numbabp.training import loop as training

TOLERANCE = {"float64": 1e-9, "float32": 2e-4}
N_SAMPLES, EPOCHS = 113, 20  # a multiple of no length but 1
RULES = ("momentum", "nesterov")
LENGTHS = (1, 7, 64, 500)
WEIGHTS = np.random.RandomState(0).choice([0.0, 0.5, 1.0, 2.0], size=N_SAMPLES)
RATES = {0.5: 1 / 64, 0.9: 1 / 512, 0.99: 1 / 4096}
NETWORKS = {
    "one layer": ((5, 3), ("softmax",), "categorical_cross_entropy"),
    "three layers": ((5, 18, 17, 3), ("tanh", "sigmoid", "identity"), "squared_error"),
    "long rows": ((1024, 6, 3), ("sigmoid", "sigmoid"), "binary_cross_entropy"),
    "small layers": ((5, 14, 13, 3), ("tanh", "sigmoid", "identity"), "squared_error"),
    "four layers": ((5, 19, 18, 33, 3), ("tanh", "sigmoid", "tanh", "softmax"), "categorical_cross_entropy"),
}
DELAYED = {"three layers": (1,), "four layers": (1, 2)}


@pytest.fixture(autouse=True)
def recent(monkeypatch):
    """Plans of this kind, wherever there are some, with layers delayed that are wide enough."""
    candidates = network_cpu.candidates
    monkeypatch.setattr(refusals, "DELAYED_LEAST", 1)

    def only_recent(problem):
        layers = refusals.large_layers(problem.architecture.layer_sizes)
        return [
            plan
            for plan in candidates(problem)
            if plan.kernel != "blocked" or (plan.n_recent and plan.delayed_layers == layers)
        ]

    monkeypatch.setattr(network_cpu, "candidates", only_recent)
    monkeypatch.setattr(planner, "_kept", OrderedDict())


def options_of(rule, momentum, l2=0.0, schedule="constant"):
    options = {"learning_rate": RATES[momentum], "update_rule": rule, "momentum": momentum, "l2": l2}
    if schedule == "exponential":
        options |= {"schedule": schedule, "schedule_options": {"gamma": 0.99}}
    return options


@functools.cache
def solution_of(network, rule, momentum, l2, weighted, gamma):
    problem = draw_problem(1, *NETWORKS[network], n_samples=N_SAMPLES)
    if network == "long rows":
        problem.X[...] /= 16
    solution = solve(
        problem,
        learning_rates=[RATES[momentum] * gamma**epoch for epoch in range(EPOCHS)],
        update_rule=rule,
        momentum=momentum,
        l2=l2,
        sample_weight=WEIGHTS if weighted else None,
    )
    return problem, solution


def check(network, rule, momentum, l2, dtype, weighted=False, schedule="constant", lengths=LENGTHS):
    gamma = 0.99 if schedule == "exponential" else 1.0
    problem, solution = solution_of(network, rule, momentum, l2, weighted, gamma)
    options = options_of(rule, momentum, l2, schedule)
    for length in lengths:
        net = network_of(problem, dtype)
        plan = net.plan(N_SAMPLES, epochs=EPOCHS, block_length=length, **options)
        assert plan.n_recent
        assert plan.delayed_layers == DELAYED.get(network, ())
        history = net.fit(
            problem.X,
            problem.Y,
            epochs=EPOCHS,
            shuffle=False,
            sample_weight=WEIGHTS if weighted else None,
            block_length=length,
            **options,
        )
        losses = reference.largest_relative_error([history.loss], [solution.loss])
        error = max(losses, parameters_error(net, solution))
        assert error < TOLERANCE[dtype], f"{length}: {error:.2g}"


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("momentum", RATES)
@pytest.mark.parametrize("rule", RULES)
def test_same_trajectory(rule, momentum, l2, dtype):
    check("three layers", rule, momentum, l2, dtype, weighted=True)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "three layers"])
def test_other_networks(network, rule, dtype):
    check(network, rule, 0.9, 0.01, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("l2", [0.0, 0.01, 1.0])  # the last is too much for some of the rates
@pytest.mark.parametrize("rule", RULES)
def test_another_rate_every_epoch(rule, l2, dtype):
    check("three layers", rule, 0.9, l2, dtype, weighted=True, schedule="exponential")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("rule", RULES)
def test_one_large_gradient_long_ago(rule, dtype):
    """What is left out of it is less than the rounding of what it did to the weights."""
    problem = draw_problem(3, (5, 4, 2), ("sigmoid", "sigmoid"), "binary_cross_entropy", n_samples=400)
    problem.X[...] *= 1e-4
    problem.X[0] *= 3e5
    of = {"learning_rate": 1 / 512, "update_rule": rule, "momentum": 0.9}
    solution = solve(problem, learning_rates=[1 / 512] * 3, update_rule=rule, momentum=0.9)
    for length in (7, 64):
        net = network_of(problem, dtype)
        net.fit(problem.X, problem.Y, epochs=3, shuffle=False, block_length=length, **of)
        assert parameters_error(net, solution) < (1e-12 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("n_samples", [1, 7, 40])
@pytest.mark.parametrize("block_length", [1, 16, 500])
@pytest.mark.parametrize("rule", RULES)
def test_slices_change_no_bit(rule, block_length, n_samples, monkeypatch):
    problem, _ = solution_of("three layers", rule, 0.9, 0.01, True, 1.0)
    options = options_of(rule, 0.9, 0.01) | {
        "block_length": block_length,
        "epochs": 5,
        "random_state": 3,
        "sample_weight": WEIGHTS,
    }
    whole, sliced = network_of(problem, "float32"), network_of(problem, "float32")
    of_whole = whole.fit(problem.X, problem.Y, **options)
    call_kernel = training.Training._call_kernel

    def shorter(self, stop_epoch, max_samples):
        self._slice = n_samples
        return call_kernel(self, stop_epoch, min(max_samples, n_samples))

    monkeypatch.setattr(training.Training, "_call_kernel", shorter)
    of_slices = sliced.fit(problem.X, problem.Y, **options)
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()
    assert sliced.rule_state(rule).moments.tobytes() == whole.rule_state(rule).moments.tobytes()
    for name in of_whole:
        assert of_slices[name].tobytes() == of_whole[name].tobytes()


@pytest.mark.parametrize("rule", RULES)
def test_who_looks_at_the_parameters_changes_no_bit(rule):
    problem, _ = solution_of("three layers", rule, 0.9, 0.01, True, 1.0)
    options = options_of(rule, 0.9, 0.01) | {"block_length": 16, "epochs": 6, "random_state": 3}
    alone, watched = network_of(problem, "float64"), network_of(problem, "float64")
    alone.fit(problem.X, problem.Y, **options)
    seen = []
    watched.fit(
        problem.X,
        problem.Y,
        **options,
        callback=lambda epoch, metrics: seen.append(watched.parameters.copy()),
        validation_data=(problem.X, problem.Y),
    )
    assert watched.parameters.tobytes() == alone.parameters.tobytes()
    assert len({array.tobytes() for array in seen}) == 6


@pytest.mark.parametrize("rule", RULES)
def test_what_a_callback_assigns_is_trained_on(rule):
    problem, _ = solution_of("three layers", rule, 0.9, 0.01, True, 1.0)
    options = options_of(rule, 0.9, 0.01) | {"epochs": 4, "shuffle": False}
    nets = []
    for kernel in ({"kernel": "general"}, {"block_length": 16}):
        net = network_of(problem, "float64")

        def halve(epoch, metrics, net=net):
            if epoch == 1:
                net.parameters[...] /= 2
                net.rule_state(rule).moments[...] *= 3

        net.fit(problem.X, problem.Y, callback=halve, **options, **kernel)
        nets.append(net)
    assert reference.largest_relative_error([nets[0].parameters], [nets[1].parameters]) < 1e-12


@pytest.mark.parametrize("rule", RULES)
def test_velocity_goes_on_in_the_next_call(rule):
    problem, _ = solution_of("three layers", rule, 0.9, 0.0, False, 1.0)
    options = options_of(rule, 0.9) | {"shuffle": False, "block_length": 16}
    nets = []
    for calls in ((4,), (3, 1)):
        net = network_of(problem, "float64")
        for epochs in calls:
            net.fit(problem.X, problem.Y, epochs=epochs, **options)
        nets.append(net)
    assert reference.largest_relative_error([nets[0].parameters], [nets[1].parameters]) < 1e-12
    moments = [net.rule_state(rule).moments for net in nets]
    assert reference.largest_relative_error([moments[0]], [moments[1]]) < 1e-12


@pytest.mark.parametrize("block_length", [1, 7, 64])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_divergence_is_found_where_single_steps_find_it(dtype, rule, block_length):
    problem = draw_problem(0, (5, 6, 3), ("relu", "identity"), "squared_error", n_samples=N_SAMPLES)
    errors, nets = [], []
    for kernel in ({"kernel": "general"}, {"block_length": block_length}):
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
        assert np.isfinite(net.rule_state(rule).moments).all()
    assert [error.epoch for error in errors] == [errors[0].epoch] * 2
    assert abs(errors[0].sample - errors[1].sample) <= 2  # rounding may decide on the step
    assert nets[1].rule_state(rule).steps == errors[1].epoch * N_SAMPLES + errors[1].sample


def test_a_loss_that_is_not_finite_changes_nothing():
    """The kernel itself, whose model and velocity are then those before that sample."""
    problem, _ = solution_of("three layers", "momentum", 0.9, 0.0, False, 1.0)
    options = options_of("momentum", 0.9) | {"shuffle": False, "block_length": 16, "epochs": 1}
    before, net = network_of(problem, "float64"), network_of(problem, "float64")
    before.fit(problem.X[:40], problem.Y[:40], **options)
    Y = problem.Y.copy()
    Y[40] = 1e200
    with pytest.raises(nbp.DivergenceError) as caught:
        net.fit(problem.X, Y, **options)
    assert caught.value.sample == 40
    assert reference.largest_relative_error([net.parameters], [before.parameters]) < 1e-12


@pytest.mark.parametrize("schedule", ["constant", "exponential"])
@pytest.mark.parametrize("n_calls", [4, 9, 12])
def test_an_interrupted_run_goes_on_to_the_same_bits(n_calls, schedule, tmp_path, monkeypatch):
    problem, _ = solution_of("three layers", "nesterov", 0.9, 0.01, True, 1.0)
    options = options_of("nesterov", 0.9, 0.01, schedule) | {"block_length": 16, "epochs": 6}
    options["sample_weight"] = WEIGHTS
    whole, first, second = (network_of(problem, "float32") for _ in range(3))
    whole.fit(problem.X, problem.Y, random_state=3, **options)
    call_kernel = training.Training._call_kernel
    calls = []

    def interrupted(self, stop_epoch, max_samples):
        calls.append(max_samples)
        if len(calls) == n_calls:
            raise KeyboardInterrupt
        self._slice = 40
        return call_kernel(self, stop_epoch, min(max_samples, 40))

    path = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(training.Training, "_call_kernel", interrupted)
        with pytest.raises(KeyboardInterrupt):
            first.fit(problem.X, problem.Y, random_state=3, checkpoint=path, **options)
    second.fit(problem.X, problem.Y, random_state=3, checkpoint=path, **options)
    assert second.parameters.tobytes() == whole.parameters.tobytes()


def test_how_many_samples_count():
    for momentum, most in ((0.5, 26), (0.9, 176), (0.99, 1840)):
        n = most_that_count(momentum, np.dtype("float32"))
        assert momentum**n < 2**-24
        assert n <= most


def test_it_runs_without_the_compiler():
    program = """if True:
        import numpy as np, numbabp as nbp
        from numbabp.planning import network_cpu, refusals
        refusals.DELAYED_LEAST = 1
        candidates = network_cpu.candidates
        network_cpu.candidates = lambda problem: [
            plan for plan in candidates(problem)
            if plan.n_recent and plan.delayed_layers or plan.kernel != "blocked"]
        random = np.random.RandomState(0)
        X, Y = random.standard_normal((33, 4)), random.standard_normal((33, 2))
        for rule in ("momentum", "nesterov"):
            nets = []
            for kernel in ({"kernel": "general"}, {"block_length": 5}):
                net = nbp.Network((4, 6, 16, 2), random_state=0)
                options = {"learning_rate": 0.01, "epochs": 3, "update_rule": rule, "l2": 0.01}
                options["momentum"] = 0.5
                net.fit(X, Y, random_state=1, **options, **kernel)
                nets.append(net.parameters)
            assert np.abs(nets[0] - nets[1]).max() < 1e-12, rule
    """
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
