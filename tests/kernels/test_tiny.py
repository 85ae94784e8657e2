"""The tiny kernel against the reference; tolerances as in test_agreement.py."""

import os
import subprocess
import sys

import numpy as np
import pytest
import reference
from problems import draw_problem, network_of, parameters_error, solve

import numbabp as nbp
from numbabp.architecture import Architecture
from numbabp.kernels.state import Run, Samples
from numbabp.kernels.tiny.rows import tiny_width
from numbabp.kernels.tiny.train import train_tiny
from numbabp.options import Options
from numbabp.planning.plan import Plan
from numbabp.training import slicing
from numbabp.training.engines.network_engine import Subject
from numbabp.training.engines.network_registry import make_engine

pytestmark = pytest.mark.once

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
WEIGHTS = np.random.RandomState(0).choice([0.0, 0.5, 1.0, 2.0], size=25)
CASES = [  # sizes, hidden activation, output activation, loss
    ((2, 10, 1), "sigmoid", "sigmoid", "binary_cross_entropy"),
    ((5, 7, 1), "tanh", "identity", "squared_error"),
    ((4, 17, 1), "relu", "sigmoid", "squared_error"),
    ((3, 8, 3), "tanh", "softmax", "categorical_cross_entropy"),
    ((6, 16, 10), "relu", "softmax", "categorical_cross_entropy"),
    ((40, 32, 4), "sigmoid", "sigmoid", "binary_cross_entropy"),
    ((3, 9, 16), "sigmoid", "sigmoid", "squared_error"),
    ((2, 3, 2), "tanh", "identity", "squared_error"),
    # with everything, by loops over arrays
    ((1, 3, 1), "softplus", "sigmoid", "huber"),
    ((3, 32, 1), "gelu", "tanh", "squared_error"),
    ((3, 8, 1), "silu", "softmax", "categorical_cross_entropy"),
    ((2, 5, 17), "elu", "sigmoid", "binary_cross_entropy"),
    ((2, 1, 1), "identity", "softplus", "huber"),
    ((3, 4, 1), "relu", "exp", "poisson"),
    ((3, 9, 12), "elu", "sigmoid", "squared_error"),
    ((3, 4, 2), "tanh", "identity", "quantile"),
    ((2, 20, 3), "sigmoid", "softmax", "squared_error"),
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("propagate", "l2"), [("exact", 0.0), ("updated", 0.01)])
@pytest.mark.parametrize("monitor", [(), ("squared_error",)])
@pytest.mark.parametrize(("sizes", "hidden", "output", "loss"), CASES)
def test_agreement(sizes, hidden, output, loss, monitor, propagate, l2, dtype):
    problem = draw_problem(0, sizes, (hidden, output), loss)
    options = {"l2": l2, "sample_weight": WEIGHTS if l2 else None, "propagate": propagate}
    solution = solve(problem, learning_rates=[1 / 32] * 8, monitor=monitor, **options)
    net = network_of(problem, dtype)
    history = net.fit(
        problem.X,
        problem.Y,
        learning_rate=1 / 32,
        epochs=8,
        shuffle=False,
        monitor=monitor,
        kernel="tiny",
        **options,
    )
    assert parameters_error(net, solution) < TOLERANCE[dtype]
    np.testing.assert_allclose(history.loss, solution.loss, rtol=10 * TOLERANCE[dtype], atol=1e-9)
    for name, expected in solution.metrics.items():  # also the accuracy, of those that classify
        np.testing.assert_allclose(history[name], expected, rtol=10 * TOLERANCE[dtype], atol=1e-9)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("rule", ["momentum", "nesterov"])
@pytest.mark.parametrize(("sizes", "hidden", "output", "loss"), (*CASES[:6], *CASES[8:12]))
def test_agreement_with_a_velocity(sizes, hidden, output, loss, rule, l2, dtype):
    """Also where the rate changes, samples weigh nothing, and the velocity goes on in another call."""
    problem = draw_problem(0, sizes, (hidden, output), loss)
    rates = [1 / 64, 1 / 64, 1 / 128, 1 / 256]
    options = {"l2": l2, "sample_weight": WEIGHTS if l2 else None, "update_rule": rule, "momentum": 0.8}
    solution = solve(problem, learning_rates=rates, **options)
    whole, parted = network_of(problem, dtype), network_of(problem, dtype)
    options |= {"shuffle": False, "kernel": "tiny"}
    history = whole.fit(problem.X, problem.Y, schedule=rates.__getitem__, epochs=len(rates), **options)
    assert parameters_error(whole, solution) < TOLERANCE[dtype]
    np.testing.assert_allclose(history.loss, solution.loss, rtol=10 * TOLERANCE[dtype], atol=1e-9)
    for rate in rates:
        parted.partial_fit(problem.X, problem.Y, learning_rate=rate, **options)
    assert parted.parameters.tobytes() == whole.parameters.tobytes()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("seconds", [1e-12, 1e-5])
@pytest.mark.parametrize("rule", ["sgd", "nesterov"])
def test_slices_change_no_bit(rule, seconds, dtype, monkeypatch):
    problem = draw_problem(0, (2, 10, 1), ("sigmoid", "sigmoid"), "binary_cross_entropy")
    whole, sliced = network_of(problem, dtype), network_of(problem, dtype)
    options = {"epochs": 30, "random_state": 3, "kernel": "tiny", "update_rule": rule}
    of_whole = whole.fit(problem.X, problem.Y, **options)
    monkeypatch.setattr(slicing, "SLICE_SECONDS", seconds)
    of_slices = sliced.fit(problem.X, problem.Y, **options)
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()
    assert of_slices.loss.tobytes() == of_whole.loss.tobytes()


@pytest.mark.parametrize(("rule", "kernel"), [("sgd", "sequential"), ("momentum", "general")])
def test_divergence_leaves_the_last_finite_step(rule, kernel):
    problem = draw_problem(0, (2, 10, 1), ("relu", "identity"), "squared_error")
    nets, errors = [], []
    for name in (kernel, "tiny"):
        net = network_of(problem, "float64")
        with pytest.raises(nbp.DivergenceError) as caught:
            net.fit(problem.X, problem.Y, learning_rate=16.0, shuffle=False, kernel=name, update_rule=rule)
        nets.append(net)
        errors.append((caught.value.epoch, caught.value.sample))
    assert errors[0] == errors[1]
    assert np.isfinite(nets[1].parameters).all()
    assert reference.largest_relative_error([nets[1].parameters], [nets[0].parameters]) < 1e-9


@pytest.mark.parametrize("shuffle", [False, True])
def test_weights_of_zero_and_pauses_change_no_bit(shuffle, monkeypatch):
    """The first and the last sample of an epoch weigh nothing, and the pre-activations are of another one."""
    problem = draw_problem(0, (5, 9, 3), ("tanh", "softmax"), "categorical_cross_entropy")
    weights = np.where(np.arange(len(problem.X)) % 4 == 0, 0.0, 1.5)
    weights[-2:] = 0
    options = {"epochs": 6, "random_state": 0, "shuffle": shuffle, "kernel": "tiny", "l2": 0.01}
    whole, sliced = network_of(problem), network_of(problem)
    whole.fit(problem.X, problem.Y, sample_weight=weights, **options)
    monkeypatch.setattr(slicing, "SLICE_SECONDS", 1e-12)
    sliced.fit(problem.X, problem.Y, sample_weight=weights, **options)
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_what_is_beyond_the_units_stays_zero(dtype):
    """Also where delta is infinite, of which NaN would be left beyond the units, and then everywhere."""
    problem = draw_problem(0, (3, 5, 2), ("sigmoid", "identity"), "squared_error")
    engine, scratch, width = _engine_of(problem, dtype)
    engine.subject.samples.targets[...] = np.sqrt(np.finfo(dtype).max) / 4
    engine.advance(1, 1)
    rows = scratch[: (3 + 2 + 1) * width].reshape(-1, width)
    assert not np.isfinite(rows[:, :5]).all() or np.abs(rows[:, :5]).max() > 1e15
    assert not rows[:, 5:].any()


def _engine_of(problem, dtype):
    """An engine of the tiny kernel with a learning rate beyond any use, its scratch, its vectors' length."""
    architecture = Architecture.checked(
        problem.sizes,
        hidden_activation=problem.activations[:-1],
        output_activation=problem.activations[-1],
        loss=problem.loss,
        dtype=dtype,
    )
    none = np.empty(0, dtype)
    samples = Samples(problem.X.astype(dtype), problem.Y.astype(dtype), none, np.arange(len(problem.X)))
    parameters = np.random.RandomState(0).standard_normal(architecture.n_parameters).astype(dtype)
    run = Run(
        np.zeros(4, np.int64), np.empty(0, np.uint64), np.full(9, 1e30), np.empty(0, int), np.zeros((9, 2))
    )
    moments = np.empty((0, parameters.size), dtype)
    subject = Subject(architecture, parameters, moments, samples, Options(), run)
    engine = make_engine(Plan("tiny", dtype), subject)
    return engine, engine.model.scratch, tiny_width(5, np.dtype(dtype).itemsize)


def test_it_is_taken_where_it_is_the_fastest():
    for rule in ("sgd", "momentum", "nesterov"):
        assert nbp.Network((2, 10, 1)).plan(4, epochs=100, update_rule=rule).kernel == "tiny"
        assert nbp.Network((64, 32, 10)).plan(1000, epochs=100, update_rule=rule).kernel == "tiny"
    for sizes in ((2, 2, 1), (2, 10, 1), (64, 32, 10), (784, 64, 10)):  # one row's short way is the same
        assert nbp.Network(sizes, dtype="float32").plan(1, epochs=1).kernel == "sequential"
    assert nbp.Network((64, 32, 10), dtype="float32").plan(1000).kernel == "tiny"
    assert nbp.Network((64, 64, 10), dtype="float32").plan(1000).kernel == "tiny"
    for sizes in ((64, 33, 10), (2, 4, 4, 1), (2, 1)):
        assert nbp.Network(sizes).plan(4).kernel != "tiny"
    assert nbp.Network((2000, 30, 2), dtype="float32").plan(10**5).kernel == "blocked"
    assert nbp.Network((2, 10, 1), numerics="strict").plan(4).kernel == "sequential"


@pytest.mark.parametrize(
    ("sizes", "dtype", "most"),
    [
        ((2, 33, 1), "float64", 32),
        ((2, 65, 1), "float32", 64),
        ((2, 1), "float64", 32),
        ((2, 3, 3, 1), "float64", 32),
    ],
)
def test_other_networks_are_an_error(sizes, dtype, most):
    net = nbp.Network(sizes, random_state=0, dtype=dtype)
    with pytest.raises(ValueError, match=f"one hidden layer of at most {most} units in {dtype}"):
        net.fit(np.ones((3, sizes[0])), np.ones((3, sizes[-1])), kernel="tiny")


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_one_compilation_serves_networks_of_other_sizes_and_functions(dtype):
    for sizes, hidden, output, loss in CASES[:4]:
        problem = draw_problem(0, (*sizes[:1], 6, *sizes[2:]), (hidden, output), loss)
        network_of(problem, dtype).fit(problem.X, problem.Y, kernel="tiny", epochs=1)
    signatures = len(train_tiny.signatures)
    for sizes, hidden, output, loss in CASES[:8]:
        problem = draw_problem(1, (*sizes[:1], 8, *sizes[2:]), (hidden, output), loss)
        network_of(problem, dtype).fit(problem.X, problem.Y, kernel="tiny", epochs=1, l2=0.01)
    assert len(train_tiny.signatures) == signatures


def test_it_runs_without_the_compiler():
    program = """if True:
        import numpy as np, numbabp as nbp
        from numbabp.cli.xor_experiments import FAITHFUL_LOSSES, faithful
        losses = faithful(kernel="tiny").losses
        assert max(abs(losses[epoch] / loss - 1) for epoch, loss in FAITHFUL_LOSSES.items()) < 1e-12
        X, y = np.random.RandomState(0).standard_normal((9, 3)), np.arange(9) % 3
        for hidden, loss, n in (
            ("tanh", "categorical_cross_entropy", 3),
            ("relu", "squared_error", 2),
            ("gelu", "huber", 2),
            ("sigmoid", "binary_cross_entropy", 17),
        ):
            nets = [
                nbp.Network((3, 10, n), hidden_activation=hidden, loss=loss, random_state=0) for _ in range(2)
            ]
            Y = np.eye(n)[y % n]
            how = {"epochs": 2, "learning_rate": 0.1, "random_state": 0, "l2": 0.01}
            for rule, other in (("sgd", "sequential"), ("nesterov", "general")):
                for net, kernel in zip(nets, ("tiny", other), strict=True):
                    net.fit(X, Y, kernel=kernel, update_rule=rule, **how)
                np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-10, atol=1e-13)
    """
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "NUMBA_DISABLE_JIT": "1"})
