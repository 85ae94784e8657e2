"""The resident kernel, every access on record: no races, nothing outside, in whatever order of threads."""

from dataclasses import replace

import numpy as np
import pytest
from barriers import harmless_barriers
from problems import draw_problem, network_of, parameters_error, solve

from numbabp.planning.gpu_layouts import resident_shape
from numbabp.training.engines import network_cuda_resident

pytestmark = pytest.mark.gpu

NETWORKS = {
    # two quads of units a block, so that threads read inputs that others have copied
    "two layers": ((3, 13, 3), ("tanh", "softmax"), "categorical_cross_entropy"),
    "four layers": ((3, 9, 14, 5, 2), ("tanh", "sigmoid", "elu", "softmax"), "squared_error"),
}
N_SAMPLES = 3


@pytest.fixture
def small_blocks(monkeypatch):
    """Three blocks of two warps, with rows in registers and in shared memory."""
    monkeypatch.setattr(
        network_cuda_resident,
        "resident_shape",
        lambda *of: replace(resident_shape(*of), threads=64, held_bytes=64),
    )


def train(network):
    problem = draw_problem(2, *NETWORKS[network], n_samples=N_SAMPLES)
    net = network_of(problem)
    options = {"learning_rate": 0.1, "shuffle": False, "monitor": ("accuracy",)}
    history = net.fit(problem.X, problem.Y, epochs=1, device="cuda", kernel="resident", **options)
    return problem, net, history


@pytest.mark.parametrize("network", NETWORKS)
def test_every_order_of_threads_is_safe_and_takes_the_same_steps(network, recorder, small_blocks):
    from benchmarks.on_gpu.compiled.launching import Order

    ends = []
    for order, seed in ((Order.FORWARDS, 0), (Order.BACKWARDS, 0), (Order.RANDOM, 1), (Order.RANDOM, 2)):
        recorder.order, recorder.seed = order, seed
        problem, net, history = train(network)  # which raises what is found
        ends.append(net.parameters.tobytes())
    assert len(set(ends)) == 1
    expected = solve(problem, learning_rates=[0.1], monitor=("accuracy",))
    assert parameters_error(net, expected) < 1e-12
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)
    assert history["accuracy"] == expected.metrics["accuracy"]


def test_no_barrier_can_be_left_out(recorder, small_blocks):
    runs = [lambda name=name: train(name) for name in NETWORKS]
    recorder.barriers.clear()
    lines, harmless = harmless_barriers("train_resident", recorder, runs)
    assert len(lines) > 10
    assert harmless == []
