"""Single steps of adagrad, rmsprop, adam and adamw against the reference, to the bit where calls end."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from problems import draw_problem, network_of, parameters_error, solve

import numbabp as nbp
from numbabp.compiler.arithmetic.registers import over_root, register_size, take
from numbabp.compiler.vectors import store
from numbabp.kernels.adaptive.layers import scratch_size
from numbabp.kernels.adaptive.rules import is_adaptive
from numbabp.kernels.adaptive.train import make_train_adaptive
from numbabp.kernels.state import DIVERGED, EPOCH, PAUSED, SAMPLE, STEP, Model, Run, Samples
from numbabp.kernels.update_rules import N_MOMENTS
from numbabp.options import Options

pytestmark = pytest.mark.once

RULES = ("adagrad", "rmsprop", "adam", "adamw")
TOLERANCE = {"float64": 1e-11, "float32": 1e-4}
SIZES = [
    (1, 1),
    (5, 1),
    (7, 10),
    (2, 10, 1),
    (3, 16, 2),
    (9, 32, 10),
    (33, 17, 16, 3),
    (6, 48, 64, 8),
    (70, 100, 1),
]
"""Narrow, odd and whole numbers of registers, in first, hidden and last layers."""
N, EPOCHS, RATE = 25, 3, 1 / 64
WEIGHTS = np.random.RandomState(0).choice([0.0, 0.5, 1.0, 2.0], size=N)


def problem_of(sizes, seed=0):
    return draw_problem(seed, sizes, ("tanh",) * (len(sizes) - 2) + ("sigmoid",), "binary_cross_entropy", N)


def trained(problem, dtype, **options):
    net = network_of(problem, dtype)
    history = net.fit(
        problem.X, problem.Y, learning_rate=RATE, epochs=EPOCHS, shuffle=False, kernel="general", **options
    )
    return net, history


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "-".join(map(str, sizes)))
@pytest.mark.parametrize("rule", RULES)
def test_trajectories_are_the_reference_s(rule, sizes):
    for step in ({}, {"l2": 0.01}, {"sample_weight": WEIGHTS}):
        problem = problem_of(sizes)
        solution = solve(problem, learning_rates=[RATE] * EPOCHS, update_rule=rule, **step)
        for dtype, tolerance in TOLERANCE.items():
            net, history = trained(problem, dtype, update_rule=rule, **step)
            assert parameters_error(net, solution) < tolerance, (dtype, step)
            np.testing.assert_allclose(history.loss, solution.loss, rtol=tolerance)


@pytest.mark.parametrize("sizes", [(20, 32, 3), (20, 10, 3), (21, 1)], ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_inputs_that_are_0(rule, sizes):
    problem = problem_of(sizes)
    generator = np.random.RandomState(1)
    problem.X[generator.random(problem.X.shape) < 0.5] = 0
    never = [0, 1, 4, 7, 18, 19]
    problem.X[:, never] = 0
    for step in ({}, {"l2": 0.01}):
        solution = solve(problem, learning_rates=[RATE] * EPOCHS, update_rule=rule, **step)
        for dtype, tolerance in TOLERANCE.items():
            net, _ = trained(problem, dtype, update_rule=rule, **step)
            assert parameters_error(net, solution) < tolerance, (dtype, step)
            is_kept = net.weights[0][never] == problem.weights[0][never]
            assert is_kept.all() if not step else not is_kept.all()


def kernel_of(net, rule, X, Y, rates, **options):
    """The kernel's arguments but the last two, and the moments, for a network."""
    of, dtype = net.architecture, net.dtype
    options = Options(update_rule=rule, **options)
    moments = np.zeros((N_MOMENTS[rule], net.n_parameters), dtype)
    model = Model(
        net.parameters,
        moments,
        np.zeros(scratch_size(of.layer_sizes), dtype),
        np.zeros((3, of.n_units), dtype),
        np.empty(0, dtype),
        of.layout,
        of.loss_code,
    )
    order = np.arange(len(X), dtype=np.int64)
    samples = Samples(np.asarray(X, dtype), np.asarray(Y, dtype), np.empty(0, dtype), order)
    random, no_metrics = np.array([7], np.uint64), np.empty(0, np.int64)
    run = Run(np.zeros(4, np.int64), random, np.asarray(rates, float), no_metrics, np.zeros((len(rates), 2)))
    train = make_train_adaptive(options.rule.code, options.l2 > 0)
    return train, (model, samples, options.rule, run)


@pytest.mark.parametrize("sizes", [(9, 16, 10), (9, 10, 3), (8, 1)], ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_it_does_not_matter_where_calls_end(dtype, sizes):
    problem, found = problem_of(sizes), []
    problem.X[::3, ::2] = 0
    for at_once in (1000, 1, 7):
        net = network_of(problem, dtype)
        train, arguments = kernel_of(net, "adam", problem.X, problem.Y, [RATE] * EPOCHS)
        model, _, _, run = arguments
        while run.position[EPOCH] < EPOCHS:
            assert train(*arguments, EPOCHS, at_once) == PAUSED
        assert run.position[STEP] == EPOCHS * N
        found.append((net.parameters, model.moments, run.sums))
    for other in found[1:]:
        for own, same in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(own, same)


def test_a_sample_that_diverges_changes_nothing():
    problem = problem_of((4, 16, 2))
    net = nbp.Network((4, 16, 2), output_activation="identity", loss="squared_error", random_state=0)
    problem.Y[3] = 1e200
    train, (model, samples, rule, run) = kernel_of(net, "adam", problem.X, problem.Y, [RATE])
    run.random[...] = 0
    position = int(np.flatnonzero(_order_of(run.random.copy(), N) == 3)[0])
    assert train(model, samples, rule, run, 1, 1000) == DIVERGED
    assert run.position[SAMPLE] == run.position[STEP] == position
    kept = net.parameters.copy(), model.moments.copy()
    assert train(model, samples, rule, run, 1, 1000) == DIVERGED
    np.testing.assert_array_equal(net.parameters, kept[0])
    np.testing.assert_array_equal(model.moments, kept[1])


def _order_of(random, n):
    from numbabp.kernels.shuffling import draw_order

    order = np.arange(n)
    draw_order(order, random)
    return order


def test_what_goes_elsewhere():
    for options in ({"l1": 0.1}, {"clip_norm": 1.0}, {"clip_value": 1.0}):
        assert not is_adaptive(Options(update_rule="adam", **options).rule)
    for rule in ("sgd", "momentum", "nesterov"):
        assert not is_adaptive(Options(update_rule=rule).rule)
    for rule in RULES:
        assert is_adaptive(Options(update_rule=rule, l2=0.1).rule)


@numba.njit(error_model="numpy")
def quotients(x, squares, factor, epsilon, out):
    for i in range(np.uint64(0), np.uint64(x.size), register_size(x)):
        store(out, i, over_root(take(x, i), take(squares, i), factor, epsilon))


@pytest.mark.parametrize(("dtype", "digits"), [("float32", np.float64), ("float64", np.longdouble)])
def test_quotients_by_roots(dtype, digits):
    generator, real = np.random.default_rng(0), np.dtype(dtype).type
    info = np.finfo(dtype)
    exponents = generator.uniform(np.log2(info.tiny), np.log2(info.max) - 1, 4096)
    squares = (2.0**exponents).astype(dtype)
    squares[:16] = 0
    x = generator.standard_normal(4096).astype(dtype)
    for factor, epsilon in ((1.0, 1e-8), (1.7, 1e-8), (31.6, 1e-3)):
        factor, epsilon, out = real(factor), real(epsilon), np.empty(4096, dtype)
        quotients(x, squares, factor, epsilon, out)
        exact = x.astype(digits) / (factor.astype(digits) * np.sqrt(squares.astype(digits)) + epsilon)
        is_normal = np.abs(exact) > info.tiny
        assert (np.abs(out - exact)[is_normal] <= 3 * info.eps * np.abs(exact)[is_normal]).all()


SMALL_RUN = """
import numpy as np, numbabp as nbp
X = np.random.RandomState(0).standard_normal((6, 5))
X[:, 2:] *= X[:, 2:] > 0
for sizes in ((5, 8, 1), (5, 3, 2), (5, 16, 1)):
    for rule in ("adagrad", "rmsprop", "adam", "adamw"):
        for l2 in (0.0, 0.01):
            net = nbp.Network(sizes, loss="squared_error", output_activation="identity", random_state=0)
            net.fit(X, X[:, :sizes[-1]], epochs=2, update_rule=rule, l2=l2, learning_rate=0.01)
            print(*net.parameters.tolist())
"""


def test_it_runs_without_the_compiler():
    def run(**environment):
        done = subprocess.run(
            [sys.executable, "-c", SMALL_RUN],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
        assert done.returncode == 0, done.stderr
        return np.array(done.stdout.split(), float)

    np.testing.assert_allclose(run(NUMBA_DISABLE_JIT="1"), run(), rtol=1e-10, atol=1e-13)
