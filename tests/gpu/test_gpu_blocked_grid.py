"""The blocked kernel on several blocks of threads at once: its trajectory, and the order of its accesses."""

import numpy as np
import pytest
from grids import Grid, recorded
from problems import draw_problem, network_of, parameters_error, solve

from numbabp.devices import memory
from numbabp.kernels.cuda.blocked.geometry import Geometry

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not memory.is_simulated(), reason="hardware runs its blocks at once anyway"),
]

NETWORKS = {
    "one layer": ((4, 3), ("softmax",), "categorical_cross_entropy"),
    "two layers": ((5, 10, 3), ("tanh", "softmax"), "categorical_cross_entropy"),
    "three layers": ((4, 7, 10, 2), ("sigmoid", "tanh", "identity"), "squared_error"),
    "four layers": ((3, 4, 13, 5, 2), ("silu", "sigmoid", "elu", "softmax"), "squared_error"),
    # whole turns of `dot_row` and `dot_column`, and what is left over
    "wide": ((3, 70, 75, 2), ("tanh", "tanh", "identity"), "squared_error"),
}
N_SAMPLES, N_THREADS, GROUP = 5, 8, 4


@pytest.fixture
def grids(monkeypatch):
    """Launches of `train_block` run on grids, which are kept here."""
    from numbabp.kernels.cuda import barriers
    from numbabp.kernels.cuda.blocked import backward, forward, outputs, sums, units
    from numbabp.kernels.cuda.blocked import train as blocked
    from numbabp.training.engines import network_cuda_blocked as cuda_blocked

    kept = []
    launcher = memory.launcher

    def launcher_on_grids(kernel, n_blocks, n_threads, arguments, shared=0):
        if kernel is blocked.carry_weights:
            return launcher(kernel, n_blocks, n_threads, arguments)

        def start(*numbers):
            grid = Grid(n_blocks, n_threads, shared // 8)
            kept.append(grid)
            with monkeypatch.context() as patch:
                for module in (backward, barriers, blocked, forward, outputs, sums, units):
                    patch.setattr(module, "cuda", grid)
                for module in (backward, outputs):
                    patch.setattr(module, "warp_sum", lambda value: grid.of_warp(sum, value, sums.WARP))
                patch.setattr(outputs, "warp_max", lambda value: grid.of_warp(max, value, sums.WARP))
                grid.run(kernel.py_func, [*recorded(arguments, grid), *numbers])

        return start

    monkeypatch.setattr(cuda_blocked.memory, "launcher", launcher_on_grids)

    def geometry(layer_sizes, *_):
        return Geometry(1 if len(layer_sizes) == 2 else 3, N_THREADS, GROUP, 0)

    monkeypatch.setattr(cuda_blocked, "blocked_geometry", geometry)
    # rows in registers in float64, too, without a velocity
    monkeypatch.setattr(cuda_blocked, "half_turns_held", lambda itemsize, velocity, _: 0 if velocity else 4)
    return kept


@pytest.mark.parametrize("rule", ["sgd", "momentum"])
@pytest.mark.parametrize("network", NETWORKS)
def test_blocks_of_threads_at_once(network, rule, grids):
    problem = draw_problem(2, *NETWORKS[network], n_samples=N_SAMPLES)
    expected = solve(problem, learning_rates=[0.1], update_rule=rule, monitor=("accuracy",))
    net = network_of(problem)
    options = {"learning_rate": 0.1, "shuffle": False, "monitor": ("accuracy",), "update_rule": rule}
    history = net.fit(problem.X, problem.Y, epochs=1, device="cuda", block_length=3, **options)
    assert parameters_error(net, expected) < 1e-12
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)
    assert history["accuracy"] == expected.metrics["accuracy"]
    assert [grid.races() for grid in grids] == [[]] * len(grids)
    # none taken to compile, then blocks of 3 and of 2 samples; one more at the end of each
    a_sample = max(0, 2 * net.n_layers - 3)
    assert [grid.n_grid_barriers for grid in grids] == [1, 3 * a_sample + 1, 2 * a_sample + 1]


def test_a_missing_barrier_is_found():
    def kernel(values, with_barrier):
        me = grid.blockIdx.x
        values[me] = 1.0
        if with_barrier:
            grid.cg.this_grid().sync()
        values[1 - me]

    for with_barrier in (True, False):
        grid = Grid(2, 1)
        grid.run(kernel, [*recorded([np.zeros(2)], grid), with_barrier])
        assert bool(grid.races()) is not with_barrier
