"""The blocked kernel with every access on record: no races, nothing outside, in whatever order of threads."""

import numpy as np
import pytest
from barriers import harmless_barriers
from problems import draw_problem, network_of, parameters_error, solve

from numbabp.kernels.cuda.blocked.geometry import Geometry, static_bytes
from numbabp.kernels.cuda.blocked.places import block_places
from numbabp.kernels.layout import FAN_OUT
from numbabp.training.engines import network_cuda_blocked as cuda_blocked

pytestmark = pytest.mark.gpu

NETWORKS = {
    "one layer": ((4, 3), ("softmax",), "categorical_cross_entropy"),
    "two layers": ((5, 10, 3), ("tanh", "softmax"), "categorical_cross_entropy"),
    "three layers": ((4, 7, 10, 2), ("sigmoid", "tanh", "identity"), "squared_error"),
    "four layers": ((3, 4, 13, 5, 2), ("silu", "sigmoid", "elu", "softmax"), "squared_error"),
    # whole turns of `add_row` and `add_columns`, and what is left over
    # outputs that are added up in several turns
    "many outputs": ((3, 9, 70), ("tanh", "softmax"), "categorical_cross_entropy"),
    "wide": ((3, 70, 75, 2), ("tanh", "tanh", "identity"), "squared_error"),
    # of which shared memory, made scarce, holds no layer's vector whole
    "wider than a tile": ((2, 9, 1030, 9, 2), ("tanh", "tanh", "tanh", "identity"), "squared_error"),
}
N_SAMPLES, FEW = 5, 3
SCARCE = 60 * 1024
"""Bytes of shared memory that the widest network is left with."""


@pytest.fixture
def small_blocks(monkeypatch):
    """Three blocks of two warps, one for one layer; rows in registers in float64, too, without a velocity."""

    def geometry(layer_sizes, *_):
        return Geometry(1 if len(layer_sizes) == 2 else 3, 64, 8, 0)

    def fewer_places(layout, geometry, length, itemsize, shared, *options):
        is_widest = layout[:, FAN_OUT].max() > 1024
        shared = min(shared, SCARCE - static_bytes(geometry.threads, itemsize)) if is_widest else shared
        return block_places(layout, geometry, length, itemsize, shared, *options)

    monkeypatch.setattr(cuda_blocked, "blocked_geometry", geometry)
    monkeypatch.setattr(cuda_blocked, "block_places", fewer_places)
    monkeypatch.setattr(cuda_blocked, "half_turns_held", lambda itemsize, velocity, _: 0 if velocity else 4)


def train(network, rule="sgd"):
    problem = draw_problem(
        2, *NETWORKS[network], n_samples=N_SAMPLES if max(NETWORKS[network][0]) < 1000 else FEW
    )
    net = network_of(problem)
    options = {"learning_rate": 0.1, "shuffle": False, "monitor": ("accuracy",), "update_rule": rule}
    history = net.fit(
        problem.X, problem.Y, epochs=1, device="cuda", block_length=len(problem.X) // 2 + 1, **options
    )
    return problem, net, history


@pytest.mark.parametrize("rule", ["sgd", "momentum"])
@pytest.mark.parametrize("network", NETWORKS)
def test_every_order_of_threads_is_safe_and_takes_the_same_steps(network, rule, recorder, small_blocks):
    from benchmarks.on_gpu.compiled.launching import Order

    ends = []
    for order, seed in ((Order.FORWARDS, 0), (Order.BACKWARDS, 0), (Order.RANDOM, 1), (Order.RANDOM, 2)):
        recorder.order, recorder.seed = order, seed
        problem, net, history = train(network, rule)  # which raises what is found
        ends.append(net.parameters.tobytes())
    assert len(set(ends)) == 1
    expected = solve(problem, learning_rates=[0.1], update_rule=rule, monitor=("accuracy",))
    assert parameters_error(net, expected) < 1e-12
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)
    assert history["accuracy"] == expected.metrics["accuracy"]


def test_no_barrier_can_be_left_out(recorder, small_blocks):
    runs = [lambda name=name: train(name, "momentum") for name in NETWORKS]
    recorder.barriers.clear()
    lines, harmless = harmless_barriers("train_block", recorder, runs)
    assert len(lines) == 23
    assert harmless == []
