"""Populations on a GPU by other steps than a rule's of one sample: penalties, clipping, mini-batches."""

import numpy as np
import pytest
from problems import draw_problem, solve
from reference import largest_relative_error

import numbabp as nbp
from numbabp.planning.catalogue import CUDA, KERNELS
from numbabp.training import slicing

pytestmark = pytest.mark.gpu

ON_GPU = [kernel.name for kernel in KERNELS if kernel.device == CUDA and kernel.for_many]
OTHER_STEPS = {
    "adagrad, l1": {"update_rule": "adagrad", "l1": 0.02},
    "rmsprop, clipped": {"update_rule": "rmsprop", "clip_value": 0.05},
    "adamw": {"update_rule": "adamw", "l2": 0.3},
    "sgd, l1, clipped": {"l1": 0.02, "l2": 0.01, "clip_value": 0.05},
    "adam, norm": {"update_rule": "adam", "clip_norm": 0.05, "l2": 0.3},
    "momentum, batches": {"update_rule": "momentum", "momentum": 0.5, "batch_size": 4, "l1": 0.02},
    "adamw-batches-norm": {"update_rule": "adamw", "batch_size": 3, "clip_norm": 0.05, "l2": 0.3},
    "batches, clipped": {"batch_size": 2, "clip_value": 0.05, "l2": 0.01},
}


@pytest.mark.parametrize("kernel", ON_GPU)
@pytest.mark.parametrize("name", OTHER_STEPS)
def test_other_steps(kernel, name, monkeypatch):
    """In slices that end amid mini-batches, too, which change nothing."""
    options = dict(OTHER_STEPS[name])
    problem = draw_problem(0, (3, 2, 1), ("sigmoid", "sigmoid"), "binary_cross_entropy", 11)
    weights = np.arange(11) % 3 * 0.5
    pieces = [piece.ravel() for pair in zip(problem.weights, problem.biases, strict=True) for piece in pair]
    start = np.concatenate(pieces)
    of = {"hidden_activation": "sigmoid", "output_activation": "sigmoid", "loss": "binary_cross_entropy"}
    whole, sliced, again = (nbp.Population((3, 2, 1), 2, **of) for _ in range(3))
    whole.parameters[:] = start, 2 * start
    sliced.parameters[:] = again.parameters[:] = whole.parameters
    steps = {"learning_rate": 0.05, "epochs": 3, "shuffle": False, "device": "cuda", "kernel": kernel}
    history = whole.fit(problem.X, problem.Y, sample_weight=weights, **steps, **options)
    expected = solve(problem, learning_rates=[0.05] * 3, sample_weight=weights, **options)
    own = whole[0]
    error = largest_relative_error([*own.weights, *own.biases], [*expected.weights, *expected.biases])
    assert error < 1e-12
    np.testing.assert_allclose(history.loss[0], expected.loss, rtol=1e-12)
    monkeypatch.setattr(slicing, "SLICE_SECONDS_ON_GPU", 1e-12)  # slices of one sample
    sliced.fit(problem.X, problem.Y, sample_weight=weights, **steps, **options)
    # the powers of adam's betas are multiplied on within a slice, and taken anew at the next one
    np.testing.assert_allclose(sliced.parameters, whole.parameters, rtol=1e-12)
    for epochs in (1, 2):  # a second call goes on with the rule's state
        again.fit(problem.X, problem.Y, sample_weight=weights, **{**steps, "epochs": epochs}, **options)
    np.testing.assert_allclose(again.parameters, whole.parameters, rtol=1e-12)


def test_a_gradient_whose_squares_overflow_is_scaled_to_its_norm():
    """In float32: the norm is 1e25."""
    X, y = np.full((1, 1), 1e20), np.array([[1e5]])
    ours, theirs = (nbp.Population((1, 1), 2, loss="squared_error", dtype="float32") for _ in range(2))
    for population in (ours, theirs):
        population.parameters[:] = 0
    options = {"epochs": 1, "clip_norm": 1e-10, "learning_rate": 1.0, "shuffle": False}
    for kernel in ("warp", "block"):
        ours.parameters[:] = 0
        ours.fit(X, y, device="cuda", kernel=kernel, **options)
        theirs.parameters[:] = 0
        theirs.fit(X, y, device="cpu", kernel="each", **options)
        np.testing.assert_allclose(ours.parameters, theirs.parameters, rtol=2e-5)
        assert (ours.parameters != 0).all()
