"""The kernels of populations with every access on record: no races, nothing outside, in whatever order."""

import numpy as np
import pytest
from barriers import harmless_barriers
from problems import draw_problem, solve
from reference import largest_relative_error

import numbabp as nbp
from numbabp.kernels.cuda.population import block, specialisation, thread, warp

pytestmark = pytest.mark.gpu

MODULES = {"thread": thread, "warp": warp, "block": block}
CE, BCE, SE = "categorical_cross_entropy", "binary_cross_entropy", "squared_error"
GATHERED = {"update_rule": "adamw", "l2": 0.3, "batch_size": 2, "clip_norm": 0.05}
CASES = {
    "thread": ("thread", (2, 3, 1), ("tanh", "sigmoid"), BCE, {"n_networks": 130, "weighted": True}),
    "warp": ("warp", (3, 5, 2), ("sigmoid", "softmax"), CE, {}),
    "warp, deep": ("warp", (3, 4, 5, 2), ("tanh", "silu", "softmax"), SE, {"update_rule": "momentum"}),
    "warp, wider than a warp": ("warp", (2, 35, 3), ("relu", "softmax"), SE, {"n_samples": 3}),
    "warp, one layer": ("warp", (3, 2), ("softmax",), CE, {"weighted": True}),
    "block": ("block", (3, 5, 2), ("sigmoid", "softmax"), CE, {}),
    "block, deep": ("block", (4, 3, 5, 2), ("tanh", "silu", "softmax"), SE, {"update_rule": "adam"}),
    "block, wide": ("block", (5, 40, 3), ("relu", "identity"), SE, {"n_samples": 3, "weighted": True}),
    # the only networks that leave a tile without a barrier at the end of a step
    "block, diverging": ("block", (3, 5, 2), ("identity", "softmax"), CE, {"learning_rate": 1e300}),
    "block, one layer": ("block", (4, 2), ("softmax",), CE, {"update_rule": "momentum"}),
    "warp, batches": ("warp", (3, 5, 2), ("sigmoid", "softmax"), CE, GATHERED),
    "block, batches": ("block", (5, 40, 3), ("sigmoid", "softmax"), CE, GATHERED),
    "warp, own orders": ("warp", (3, 5, 2), ("sigmoid", "softmax"), CE, {"own_order": True}),
    "block, own orders": ("block", (3, 5, 2), ("sigmoid", "softmax"), CE, {"own_order": True}),
    "block, own, diverging": (
        "block",
        (3, 5, 2),
        ("identity", "softmax"),
        CE,
        {"own_order": True, "learning_rate": 1e300},
    ),
}


@pytest.fixture
def short_tiles(monkeypatch):
    """Tiles of samples that end within epochs."""

    def forget():
        for module in MODULES.values():
            module.make_train.cache_clear()

    monkeypatch.setattr(specialisation, "LONGEST_TILE", 3)
    forget()
    yield
    forget()


def train(name, device="cuda"):
    """A case's population, trained, and what it was at first."""
    (kernel, sizes, activations, loss, options), problem = CASES[name], problem_of(name)
    options = dict(options)
    weighted = options.pop("weighted", False)
    options.pop("n_samples", None)
    networks = nbp.Population(
        sizes,
        options.pop("n_networks", 5),
        hidden_activation=activations[:-1],
        output_activation=activations[-1],
        loss=loss,
        random_state=0,
    )
    start = networks.parameters.copy()
    networks.fit(
        problem.X,
        problem.Y,
        learning_rate=options.pop("learning_rate", 0.1),
        epochs=2,
        shuffle="own_order" in options,
        random_state=0,
        device=device,
        kernel=kernel if device == "cuda" else "each",
        sample_weight=weights_of(problem) if weighted else None,
        **options,
    )
    return networks, start


def problem_of(name):
    *_, options = CASES[name]
    _, sizes, activations, loss, _ = CASES[name]
    return draw_problem(1, sizes, activations, loss, options.get("n_samples", 5))


def weights_of(problem):
    return np.arange(len(problem.X)) % 2.0 + 0.5


def error_of(name, networks, start, i):
    """Of a network, against the reference."""
    problem, (*_, options) = problem_of(name), CASES[name]
    sizes = networks.layer_sizes
    at = 0
    for layer in range(len(sizes) - 1):
        size = sizes[layer] * sizes[layer + 1]
        problem.weights[layer] = start[i, at : at + size].reshape(sizes[layer], sizes[layer + 1])
        problem.biases[layer] = start[i, at + size : at + size + sizes[layer + 1]]
        at += size + sizes[layer + 1]
    how = {name: options[name] for name in GATHERED if name in options}
    weights = weights_of(problem) if options.get("weighted") else None
    expected = solve(problem, learning_rates=[0.1] * 2, sample_weight=weights, **how)
    own = networks[i]
    return largest_relative_error([*own.weights, *own.biases], [*expected.weights, *expected.biases])


@pytest.mark.parametrize("name", CASES)
def test_every_order_of_threads_is_safe_and_takes_the_same_steps(name, recorder, short_tiles):
    from benchmarks.on_gpu.compiled.launching import Order

    ends = []
    for order, seed in ((Order.FORWARDS, 0), (Order.BACKWARDS, 0), (Order.RANDOM, 1), (Order.RANDOM, 2)):
        recorder.order, recorder.seed = order, seed
        networks, start = train(name)  # which raises what is found
        ends.append(networks.parameters.tobytes())
    assert len(set(ends)) == 1
    if "learning_rate" in CASES[name][-1]:
        assert set(networks.history.diverged) == set(range(networks.n_networks))
        return
    if "own_order" in CASES[name][-1]:
        expected, _ = train(name, "cpu")
        assert largest_relative_error([networks.parameters], [expected.parameters]) < 1e-12
        return
    for i in (0, networks.n_networks - 1):
        assert error_of(name, networks, start, i) < 1e-12


@pytest.mark.parametrize("kernel", MODULES)
def test_no_barrier_can_be_left_out(kernel, recorder, short_tiles):
    names = [name for name, case in CASES.items() if case[0] == kernel]
    recorder.barriers.clear()
    lines, harmless = harmless_barriers("train", recorder, [lambda name=name: train(name) for name in names])
    assert len(lines) == {"thread": 2, "warp": 12, "block": 16}[kernel]
    assert harmless == []
