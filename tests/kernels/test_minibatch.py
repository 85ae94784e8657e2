"""Mini-batches by products of matrices against the reference, and the penalty as scikit-learn has it."""

import os
import subprocess
import sys

import numpy as np
import pytest
import reference
from problems import draw_problem, network_of, parameters_error, solve
from scipy import sparse

import numbabp as nbp
from numbabp.kernels.minibatch import batch as batches
from numbabp.kernels.minibatch.gradient import mean_gradient
from numbabp.kernels.minibatch.train import train_minibatch
from numbabp.kernels.state import PAUSED, WEIGHTLESS, Model, Run, Samples
from numbabp.options import Options

TOLERANCE = {"float64": 1e-11, "float32": 1e-4}
SIZES = (12, 9, 7, 3)
ACTIVATIONS = ("tanh", "gelu", "softmax")
LOSS = "categorical_cross_entropy"
WEIGHTS = np.random.RandomState(0).choice([0.0, 0.5, 1.0, 2.0], size=25)
STEPS = [
    {},
    {"l2": 0.01, "l1": 0.001},
    {"clip_norm": 0.1, "l2": 0.01},
    {"clip_value": 0.05, "l1": 0.001},
    {"sample_weight": WEIGHTS},
]


def compare(problem, dtype, X=None, epochs=4, rate=1 / 64, **options):
    """Largest errors of parameters and of losses; the reference goes through the order of the samples."""
    monitor = ("squared_error",)
    solution = solve(problem, learning_rates=[rate] * epochs, monitor=monitor, **options)
    net = network_of(problem, dtype)
    history = net.fit(
        problem.X if X is None else X,
        problem.Y,
        learning_rate=rate,
        epochs=epochs,
        shuffle=False,
        monitor=monitor,
        kernel="minibatch",
        **options,
    )
    found = [history.loss, history["squared_error"]]
    losses = reference.largest_relative_error(found, [solution.loss, solution.metrics["squared_error"]])
    return max(parameters_error(net, solution), losses)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(step))
@pytest.mark.parametrize("rule", reference.UPDATE_RULES)
def test_rules_and_options(rule, step):
    problem = draw_problem(0, SIZES, ACTIVATIONS, LOSS)
    for dtype, tolerance in TOLERANCE.items():
        for batch_size in (4, 25, 100):
            error = compare(problem, dtype, update_rule=rule, batch_size=batch_size, **step)
            assert error < tolerance, (dtype, batch_size)


@pytest.mark.parametrize(("output", "loss"), reference.pairs())
@pytest.mark.parametrize("n_outputs", [1, 4])
def test_losses(output, loss, n_outputs):
    if output == "softmax" and n_outputs == 1:
        pytest.skip("a softmax of one output is constant")
    problem = draw_problem(1, (5, 6, n_outputs), ("silu", output), loss)
    assert compare(problem, "float64", update_rule="momentum", batch_size=6) < TOLERANCE["float64"]


@pytest.mark.parametrize("hidden", reference.ELEMENTWISE)
def test_activations_and_depths(hidden):
    for sizes in ((5, 4, 1), (5, 20, 4, 6, 2)):
        problem = draw_problem(2, sizes, (*[hidden] * (len(sizes) - 2), "identity"), "squared_error")
        assert compare(problem, "float64", batch_size=7) < TOLERANCE["float64"]


def test_one_layer():
    problem = draw_problem(0, (5, 3), ("softmax",), LOSS)
    assert compare(problem, "float64", batch_size=4, update_rule="adam") < TOLERANCE["float64"]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(step))
def test_parts_of_a_batch_add_up(step, monkeypatch):
    monkeypatch.setattr(batches, "PART_BYTES", 1)
    monkeypatch.setattr(batches, "LEAST_PART", 3)
    problem = draw_problem(0, SIZES, ACTIVATIONS, LOSS)
    for batch_size in (7, 25):
        assert compare(problem, "float64", batch_size=batch_size, **step) < TOLERANCE["float64"]


def test_where_calls_end_changes_no_bit(monkeypatch):
    monkeypatch.setattr(batches, "PART_BYTES", 1)
    monkeypatch.setattr(batches, "LEAST_PART", 3)
    problem = draw_problem(0, SIZES, ACTIVATIONS, LOSS)
    samples, model, rule, run, batch = prepared(problem, Options(update_rule="adam", batch_size=7))
    train_minibatch(model, samples, rule, run, batch, 3, 10**6)
    sums, parameters = run.sums.copy(), model.parameters.copy()
    samples, model, rule, run, batch = prepared(problem, Options(update_rule="adam", batch_size=7))
    while run.position[0] < 3:
        train_minibatch(model, samples, rule, run, batch, 3, 1)
    np.testing.assert_array_equal(model.parameters, parameters)
    np.testing.assert_array_equal(run.sums, sums)


@pytest.mark.parametrize(
    "step", [*STEPS, {"update_rule": "adam", "l2": 0.01}, {"update_rule": "nesterov"}], ids=str
)
def test_sparse_samples(step, monkeypatch):
    problem = draw_problem(3, SIZES, ACTIVATIONS, LOSS)
    problem.X *= np.random.RandomState(0).random_sample(problem.X.shape) < 0.3
    X = sparse.csr_array(problem.X)
    for dtype, tolerance in TOLERANCE.items():
        assert compare(problem, dtype, X, batch_size=6, **step) < tolerance
    if step:  # sample by sample, where the sparse kernel can't
        how = {"update_rule": "adam", **step}
        assert compare(problem, "float64", X, **how) < TOLERANCE["float64"]
    monkeypatch.setattr(batches, "PART_BYTES", 1)
    monkeypatch.setattr(batches, "LEAST_PART", 2)
    assert compare(problem, "float64", X, batch_size=6, **step) < TOLERANCE["float64"]


def prepared(problem, options, epochs=3, weights=None, **own):
    """What `train_minibatch` takes, for float64."""
    net = network_of(problem)
    weights = np.empty(0) if weights is None else weights
    samples = batches.batch_samples(Samples(problem.X, problem.Y, weights, np.arange(len(problem.Y))))
    of = net.architecture
    by_blas = own.pop("by_blas", False)
    batch, gradient = batches.make_batch(of.layout, samples, options.batch_size, options.rule, by_blas)
    layout = batches.batch_layout(of.layout, len(batch.picks), False)
    moments = net.rule_state(options.update_rule).moments
    nothing = np.empty((3, 0)), np.empty(0)
    model = Model(net.parameters, moments, gradient, *nothing, layout, of.loss_code)
    rates = np.full(epochs, options.learning_rate)
    run = Run(np.zeros(4, np.int64), np.empty(0, np.uint64), rates, np.empty(0, int), np.zeros((epochs, 2)))
    return samples, model, options.rule, run, batch._replace(**own)


@pytest.mark.parametrize("sizes", [SIZES, (5, 8, 1), (60, 1, 4), (70, 120, 3)], ids=str)
def test_products_of_blas(sizes):
    """Which threads share: the same steps, up to rounding, in whole mini-batches and in parts of them."""
    problem = draw_problem(
        4, sizes, ("tanh", "identity") if len(sizes) == 3 else ACTIVATIONS, "squared_error"
    )
    for limit in (None, 0.1):
        found = []
        for by_blas in (False, True):
            options = Options(update_rule="adam", batch_size=10, clip_norm=limit)
            samples, model, rule, run, batch = prepared(problem, options, by_blas=by_blas)
            train_minibatch(model, samples, rule, run, batch, 3, 1000)
            found.append(model.parameters)
        np.testing.assert_allclose(*found, rtol=1e-10, atol=1e-13)
        assert not np.array_equal(found[0], network_of(problem).parameters)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("size", [1, 8, 10, 25])
def test_mean_as_scikit_learn_has_it(size, momentum):
    """alpha/2 W^2 is divided by the batch's weight, as losses are; the rate is within the velocity."""
    problem = draw_problem(0, (6, 5, 2), ("tanh", "identity"), "squared_error")
    weights, alpha, rate = WEIGHTS + 0.25, 0.3, 0.05
    name = "momentum" if momentum else "sgd"
    options = Options(learning_rate=rate, batch_size=size, l2=alpha, momentum=momentum, update_rule=name)
    own = {"penalties": np.zeros(1), "gain": -rate if momentum else 1.0}
    samples, model, rule, run, batch = prepared(problem, options, 1, weights, **own)
    run.learning_rates[:] = -1.0 if momentum else rate
    train_minibatch(model, samples, rule, run, batch, 1, 1000)
    parameters = [W.copy() for W in problem.weights] + [b.copy() for b in problem.biases]
    velocities = [np.zeros_like(p) for p in parameters]
    penalty = loss = 0.0
    for first in range(0, 25, size):
        X, Y, of = (part[first : first + size] for part in (problem.X, problem.Y, weights))
        V, W, c, b = parameters
        penalty += 0.5 * alpha * (np.sum(V * V) + np.sum(W * W)) / of.sum() * len(X)
        a = np.tanh(X @ V + c)
        residual = a @ W + b - Y
        loss += np.average(0.5 * np.mean(residual**2, axis=1), weights=of) * len(X)
        delta = residual * of[:, None] / of.sum()
        below = delta @ W.T * (1 - a * a)
        gradient = X.T @ below + alpha / of.sum() * V, a.T @ delta + alpha / of.sum() * W
        for p, v, g in zip(parameters, velocities, (*gradient, below.sum(0), delta.sum(0)), strict=True):
            v[...] = momentum * v - rate * g
            p += v
    V, W, c, b = parameters
    expected = np.concatenate([V.ravel(), c, W.ravel(), b])
    np.testing.assert_allclose(model.parameters, expected, rtol=1e-11, atol=1e-14)
    assert batch.penalties[0] == pytest.approx(penalty, rel=1e-12)
    assert run.sums[0].tolist() == pytest.approx([loss, 25], rel=1e-12)


def test_a_batch_without_weight_ends_the_call_where_it_begins():
    problem = draw_problem(0, (6, 5, 2), ("tanh", "identity"), "squared_error")
    weights = np.repeat([1.0, 0.0, 1.0], [10, 10, 5])
    own = {"penalties": np.zeros(1)}
    samples, model, rule, run, batch = prepared(problem, Options(batch_size=5), 1, weights, **own)
    assert train_minibatch(model, samples, rule, run, batch, 1, 1000) == WEIGHTLESS
    assert run.position.tolist() == [0, 10, 2, 0]


@pytest.mark.parametrize("rows", [4, 25])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_mean_gradient(weights, rows):
    problem = draw_problem(0, SIZES, ACTIVATIONS, LOSS)
    samples, model, _, run, batch = prepared(problem, Options(batch_size=25), 1, weights)
    batch = batch._replace(picks=batch.picks[:rows])
    gradient = np.zeros(model.parameters.size)
    assert mean_gradient(model._replace(gradient=gradient), samples, run, batch) == PAUSED
    expected, total = np.zeros_like(gradient), 0.0
    of = np.ones(25) if weights is None else weights
    for i in np.flatnonzero(of):
        W, b = reference.gradient(
            problem.weights, problem.biases, ACTIVATIONS, LOSS, problem.X[i], problem.Y[i]
        )
        parts = [part.ravel() for pair in zip(W, b, strict=True) for part in pair]
        expected += of[i] / np.count_nonzero(of) * np.concatenate(parts)
        z, _ = reference.forward(problem.weights, problem.biases, ACTIVATIONS, problem.X[i])
        total += of[i] * reference.loss_value(LOSS, ACTIVATIONS[-1], z[-1], problem.Y[i])
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-14)
    assert run.sums[0].tolist() == pytest.approx([total, of.sum()], rel=1e-12)


def test_divergence_leaves_the_last_finite_step():
    problem = draw_problem(0, (6, 5, 2), ("relu", "identity"), "squared_error")
    net = network_of(problem)
    with pytest.raises(nbp.DivergenceError):
        net.fit(problem.X, problem.Y, learning_rate=1e80, epochs=50, batch_size=5, kernel="minibatch")
    assert np.isfinite(net.parameters).all()


def test_refusals():
    net = nbp.Network((6, 5, 2))
    with pytest.raises(ValueError, match="kernel='minibatch' is not possible: batch_size=1"):
        net.plan(100, kernel="minibatch")
    assert net.plan(100, batch_size=50).kernel == "minibatch"


ALONE = """
import numpy as np
from scipy import sparse
import numbabp as nbp
rs = np.random.RandomState(0)
X, y = rs.standard_normal((9, 4)), rs.randint(3, size=9)
for given in (X, sparse.csr_array(X * (X > 0))):
    net = nbp.Network((4, 5, 3), loss="categorical_cross_entropy", random_state=0)
    how = {"update_rule": "adam", "l2": 0.1, "kernel": "minibatch", "shuffle": False}
    net.fit(given, y, epochs=2, batch_size=4, progress=False, **how)
    print(*net.parameters.tolist())
"""


def test_without_the_compiler():
    def run(**environment):
        done = subprocess.run(
            [sys.executable, "-c", ALONE],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return np.array(done.stdout.split(), float)

    np.testing.assert_allclose(run(NUMBA_DISABLE_JIT="1"), run(), rtol=1e-11)


@pytest.mark.parametrize("kernel", ["minibatch", "general"])
def test_rprop(kernel):
    problem = draw_problem(0, SIZES, ("tanh", "tanh", "softmax"), LOSS)
    how = {"update_rule": "rprop", "batch_size": 25, "l2": 0.001}
    solution = solve(problem, learning_rates=[0.1] * 20, **how)
    net = network_of(problem)
    history = net.fit(problem.X, problem.Y, learning_rate=0.1, epochs=20, shuffle=False, kernel=kernel, **how)
    assert parameters_error(net, solution) < 1e-10
    np.testing.assert_allclose(history.loss, solution.loss, rtol=1e-10)
    assert history.loss[-1] < 0.5 * history.loss[0]


def test_rprop_needs_all_samples_in_a_step():
    net, problem = nbp.Network(SIZES), draw_problem(0, SIZES, ACTIVATIONS, LOSS)
    for batch_size in (1, 24):
        with pytest.raises(ValueError, match=f"batch_size={batch_size} takes the 25 samples in parts; set"):
            net.fit(problem.X, problem.Y, update_rule="rprop", batch_size=batch_size)
