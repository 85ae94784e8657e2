"""The tiny kernel against the reference; tolerances as in test_agreement.py."""

import os
import subprocess
import sys

import numpy as np
import pytest
import reference
from problems import draw_problem, network_of, parameters_error, solve

import numbabp as nbp
from numbabp.training import slicing

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
WEIGHTS = np.random.RandomState(0).choice([0.0, 0.5, 1.0, 2.0], size=25)
CASES = [  # sizes, hidden activation, output activation, loss
    ((2, 10, 1), "sigmoid", "sigmoid", "binary_cross_entropy"),
    ((4, 17, 1), "tanh", "identity", "squared_error"),
    ((1, 3, 1), "softplus", "sigmoid", "huber"),
    ((3, 64, 1), "gelu", "tanh", "squared_error"),
    ((3, 8, 1), "silu", "softmax", "categorical_cross_entropy"),
    ((2, 5, 1), "elu", "sigmoid", "squared_error"),
    ((2, 1, 1), "identity", "softplus", "huber"),
    ((3, 4, 1), "relu", "exp", "poisson"),
    ((3, 4, 1), "tanh", "identity", "quantile"),
]


# each combination compiles a kernel of its own: in float32 those between XOR's and the largest are slow
IN_BOTH = (2, 10, 1), (3, 64, 1)
COMBINATIONS = [
    pytest.param(
        *case, dtype, marks=pytest.mark.slow if dtype == "float32" and case[0] not in IN_BOTH else []
    )
    for case in CASES
    for dtype in TOLERANCE
]


@pytest.mark.parametrize(("propagate", "l2"), [("exact", 0.0), ("updated", 0.01)])
@pytest.mark.parametrize(("sizes", "hidden", "output", "loss", "dtype"), COMBINATIONS)
def test_agreement(sizes, hidden, output, loss, propagate, l2, dtype):
    problem = draw_problem(0, sizes, (hidden, output), loss)
    options = {"l2": l2, "sample_weight": WEIGHTS if l2 else None, "propagate": propagate}
    solution = solve(problem, learning_rates=[1 / 32] * 8, monitor=("squared_error",), **options)
    net = network_of(problem, dtype)
    history = net.fit(
        problem.X,
        problem.Y,
        learning_rate=1 / 32,
        epochs=8,
        shuffle=False,
        monitor=("squared_error",),
        kernel="tiny",
        **options,
    )
    assert parameters_error(net, solution) < TOLERANCE[dtype]
    np.testing.assert_allclose(history.loss, solution.loss, rtol=10 * TOLERANCE[dtype], atol=1e-9)
    expected = solution.metrics["squared_error"]
    np.testing.assert_allclose(history["squared_error"], expected, rtol=10 * TOLERANCE[dtype], atol=1e-9)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("seconds", [1e-12, 1e-5])
def test_slices_change_no_bit(seconds, dtype, monkeypatch):
    problem = draw_problem(0, (2, 10, 1), ("sigmoid", "sigmoid"), "binary_cross_entropy")
    whole, sliced = network_of(problem, dtype), network_of(problem, dtype)
    options = {"epochs": 30, "random_state": 3, "kernel": "tiny"}
    of_whole = whole.fit(problem.X, problem.Y, **options)
    monkeypatch.setattr(slicing, "SLICE_SECONDS", seconds)
    of_slices = sliced.fit(problem.X, problem.Y, **options)
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()
    assert of_slices.loss.tobytes() == of_whole.loss.tobytes()


def test_divergence_leaves_the_last_finite_step():
    problem = draw_problem(0, (2, 10, 1), ("relu", "identity"), "squared_error")
    nets, errors = [], []
    for kernel in ("sequential", "tiny"):
        net = network_of(problem, "float64")
        with pytest.raises(nbp.DivergenceError) as caught:
            net.fit(problem.X, problem.Y, learning_rate=16.0, shuffle=False, kernel=kernel)
        nets.append(net)
        errors.append((caught.value.epoch, caught.value.sample))
    assert errors[0] == errors[1]
    assert np.isfinite(nets[1].parameters).all()
    assert reference.largest_relative_error([nets[1].parameters], [nets[0].parameters]) < 1e-9


def test_it_is_taken_when_the_run_repays_compiling():
    net = nbp.Network((2, 10, 1), loss="binary_cross_entropy", random_state=0)
    assert net.plan(4, epochs=1000).kernel == "sequential"
    assert net.plan(4, epochs=10**9).kernel == "tiny"
    assert nbp.Network((2, 65, 1)).plan(4, epochs=10**9).kernel != "tiny"


@pytest.mark.parametrize("sizes", [(5, 10, 1), (2, 65, 1), (2, 10, 2), (2, 1), (2, 3, 3, 1)])
def test_other_networks_are_an_error(sizes):
    net = nbp.Network(sizes, random_state=0)
    with pytest.raises(ValueError, match="one hidden layer, at most 4-64-1"):
        net.fit(np.ones((3, sizes[0])), np.ones((3, sizes[-1])), kernel="tiny")


def test_it_runs_without_the_compiler():
    program = """if True:
        import numpy as np
        from numbabp.cli.xor_experiments import FAITHFUL_LOSSES, faithful
        losses = faithful(kernel="tiny").losses
        assert max(abs(losses[epoch] / loss - 1) for epoch, loss in FAITHFUL_LOSSES.items()) < 1e-12
    """
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "NUMBA_DISABLE_JIT": "1"})
