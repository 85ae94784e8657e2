"""The kernels of populations with warps and blocks of threads at once, and the order of their accesses."""

import numpy as np
import pytest
from grids import Grid, recorded
from problems import draw_problem, solve
from reference import largest_relative_error

import numbabp as nbp
from numbabp.devices import memory
from numbabp.kernels.cuda.population import block, specialisation, thread, warp
from numbabp.kernels.cuda.population import kernel as population

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not memory.is_simulated(), reason="hardware is asked by racecheck"),
]

MODULES = {"thread": thread, "warp": warp, "block": block}
CE, BCE, SE = "categorical_cross_entropy", "binary_cross_entropy", "squared_error"
CASES = {
    "thread": ("thread", (2, 3, 1), ("tanh", "sigmoid"), BCE, {"n_networks": 5, "weighted": True}),
    "warp": ("warp", (3, 5, 2), ("sigmoid", "softmax"), CE, {}),
    "warp, deep": ("warp", (3, 4, 5, 2), ("tanh", "silu", "softmax"), SE, {"update_rule": "momentum"}),
    "warp, wider than a warp": ("warp", (2, 35, 3), ("relu", "softmax"), SE, {"n_samples": 3}),
    "warp, one layer": ("warp", (3, 2), ("softmax",), CE, {"weighted": True}),
    "block": ("block", (3, 5, 2), ("sigmoid", "softmax"), CE, {}),
    "block, deep": ("block", (4, 3, 5, 2), ("tanh", "silu", "softmax"), SE, {"update_rule": "adam"}),
    "block, wide": ("block", (5, 40, 3), ("relu", "identity"), SE, {"n_samples": 3, "weighted": True}),
    "block, one layer": ("block", (4, 2), ("softmax",), CE, {"update_rule": "momentum"}),
}


@pytest.fixture
def grids(monkeypatch):
    """Launches run on grids, of two networks a block where it has several, which are kept here."""
    kept = []

    def launch(kernel, n_blocks, n_threads, arguments, shared=0):
        networks, *_, common = arguments
        grid = Grid(n_blocks, n_threads, shared // networks.parameters.dtype.itemsize)
        if common.begin < common.end:  # one without steps, to compile, writes back what it has read
            kept.append(grid)
        with monkeypatch.context() as patch:
            patch.setattr(population, "cuda", grid)
            for module in (population, warp):
                patch.setattr(module, "warp_barrier", lambda: grid.syncwarp())
            for module in (population, block):
                patch.setattr(module, "block_barrier", lambda: grid.syncthreads())
            grid.run(kernel.py_func, recorded(arguments, grid))

    def forget():
        for module in MODULES.values():
            module.make_train.cache_clear()

    monkeypatch.setattr(memory, "launch", launch)
    monkeypatch.setattr(specialisation, "LONGEST_TILE", 3)  # so that tiles end within epochs
    monkeypatch.setattr(warp, "WARPS", 2)
    monkeypatch.setattr(thread, "THREADS", 2)
    forget()
    yield kept
    forget()


def train(case, n_networks=3, n_samples=5, weighted=False, epochs=2, scale=1.0, **options):
    """Largest error of the population's networks against the reference."""
    kernel, sizes, activations, loss = case
    problem = draw_problem(1, sizes, activations, loss, n_samples)
    problem.X *= scale
    weights = {"sample_weight": np.arange(n_samples) % 2.0 + 0.5} if weighted else {}
    networks = nbp.Population(
        sizes,
        n_networks,
        hidden_activation=activations[:-1],
        output_activation=activations[-1],
        loss=loss,
        random_state=0,
    )
    start = networks.parameters.copy()
    options = {"shuffle": False, **weights, **options}
    networks.fit(
        problem.X, problem.Y, learning_rate=0.1, epochs=epochs, device="cuda", kernel=kernel, **options
    )
    errors = []
    for i in range(n_networks):
        own = networks[i]
        for array in (*own.weights, *own.biases):
            assert np.isfinite(array).all()
        at = 0
        for layer in range(len(sizes) - 1):
            size = sizes[layer] * sizes[layer + 1]
            problem.weights[layer] = start[i, at : at + size].reshape(sizes[layer], sizes[layer + 1])
            problem.biases[layer] = start[i, at + size : at + size + sizes[layer + 1]]
            at += size + sizes[layer + 1]
        solved = {key: value for key, value in options.items() if key != "shuffle"}
        expected = solve(problem, learning_rates=[0.1] * epochs, **solved)
        errors.append(
            largest_relative_error([*own.weights, *own.biases], [*expected.weights, *expected.biases])
        )
    return max(errors)


@pytest.mark.parametrize("name", CASES)
def test_threads_at_once(name, grids):
    *case, options = CASES[name]
    assert train(case, **options) < 1e-12
    assert grids
    assert [grid.races() for grid in grids] == [[]] * len(grids)
    assert max(len(grid.accesses) for grid in grids) > 100


def test_a_barrier_of_a_warp_left_out_is_found(grids, monkeypatch):
    wait = Grid.syncwarp

    def uncounted(self):  # waits, so that nothing goes wrong, but is no barrier
        wait(self)
        self._me.warp_barriers -= 1

    monkeypatch.setattr(Grid, "syncwarp", uncounted)
    *case, _ = CASES["warp"]
    train(case, n_networks=1, n_samples=2, epochs=1)
    assert any(grid.races() for grid in grids)


def test_a_barrier_of_a_block_left_out_is_found(grids, monkeypatch):
    wait = Grid.syncthreads

    def uncounted(self):
        wait(self)
        self._me.block_barriers -= 1

    monkeypatch.setattr(Grid, "syncthreads", uncounted)
    *case, _ = CASES["block"]
    train(case, n_networks=1, n_samples=2, epochs=1)
    assert any(grid.races() for grid in grids)
