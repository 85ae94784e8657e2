"""Populations on a GPU: on a real one, or on what stands in for it (see conftest.py)."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from problems import draw_problem, solve
from reference import QUANTILE, largest_relative_error

import numbabp as nbp
from numbabp.devices import memory
from numbabp.planning.catalogue import CUDA, KERNELS
from numbabp.training import slicing
from numbabp.training.engines import population_cuda

pytestmark = pytest.mark.gpu

ON_GPU = [kernel.name for kernel in KERNELS if kernel.device == CUDA and kernel.for_many]

TOLERANCES = {"float64": 1e-12, "float32": 2e-5}
RATES = (0.05, 0.2, 0.35)
PROBLEMS = {
    # a layer wider than a warp among them, and one that is not
    "binary": ((3, 5, 1), ("sigmoid", "sigmoid"), "binary_cross_entropy"),
    "labels": ((2, 4, 3), ("tanh", "sigmoid"), "binary_cross_entropy"),
    "classes": ((4, 3, 3), ("sigmoid", "softmax"), "categorical_cross_entropy"),
    "deep": ((2, 3, 2, 2), ("elu", "gelu", "identity"), "squared_error"),
    "no hidden layer": ((3, 2), ("softplus",), "huber"),
    "softmax and squares": ((2, 3, 3), ("silu", "softmax"), "squared_error"),
    "wide": ((2, 35, 2), ("leaky_relu", "identity"), "absolute_error"),
    "relu": ((3, 4, 2), ("relu", "softmax"), "categorical_cross_entropy"),
    "counts": ((3, 4, 2), ("tanh", "exp"), "poisson"),
    "quantiles": ((3, 4, 2), ("tanh", "identity"), "quantile"),
}
ALSO_IN_FLOAT32 = {"thread": ("binary", "deep"), "warp": ("classes", "wide"), "block": ("classes", "deep")}
"""Each problem is a kernel to compile, whose formulas are the same in both."""


def n_networks(kernel):
    """The simulator takes a second for a few steps of a warp."""
    return {"thread": 3, "block": 2, "warp": 1}[kernel] if memory.is_simulated() else 200


def draw(name, n, n_samples=None, dtype="float64"):
    """A problem's samples and n networks of different weights."""
    sizes, activations, loss = PROBLEMS[name]
    n_samples = n_samples or (5 if memory.is_simulated() else 25)
    problems = [draw_problem(seed, sizes, activations, loss, n_samples) for seed in range(n)]
    population = nbp.Population(
        sizes,
        n,
        hidden_activation=activations[:-1],
        output_activation=activations[-1],
        loss=loss,
        dtype=dtype,
        random_state=0,
        quantile=QUANTILE if loss == "quantile" else 0.5,
    )
    for i, problem in enumerate(problems):
        pieces = [
            piece.ravel() for pair in zip(problem.weights, problem.biases, strict=True) for piece in pair
        ]
        population.parameters[i] = np.concatenate(pieces)
    for problem in problems[1:]:
        problem.X, problem.Y = problems[0].X, problems[0].Y
    return SimpleNamespace(population=population, problems=problems, X=problems[0].X, Y=problems[0].Y)


def fit(drawn, **options):
    return drawn.population.fit(drawn.X, drawn.Y, **options)


def compare(drawn, history, dtype, epochs, rates, check_history=True, **options):
    """The first networks and the last with the reference."""
    population = drawn.population
    n = population.n_networks
    for i in {0, n // 2, n - 1}:
        own = {
            k: v[i] if isinstance(v, np.ndarray) and v.ndim and len(v) == n else v for k, v in options.items()
        }
        solution = solve(drawn.problems[i], learning_rates=[rates[i]] * epochs, **own)
        network = population[i]
        error = largest_relative_error(
            [*network.weights, *network.biases], [*solution.weights, *solution.biases]
        )
        assert error < TOLERANCES[dtype], (i, error)
        if check_history:
            np.testing.assert_allclose(
                history.loss[i], solution.loss, rtol=1e-4 if dtype == "float32" else 1e-12
            )


def has_registers_for(kernel, name, dtype):
    """The wide one has more parameters than the registers of a thread hold, or, in float64, of a lane."""
    return name != "wide" or kernel == "block" or (kernel == "warp" and dtype == "float32")


@pytest.mark.parametrize(
    ("kernel", "name", "dtype"),
    [
        (kernel, name, dtype)
        for kernel, name, dtype in product(ON_GPU, PROBLEMS, TOLERANCES)
        if has_registers_for(kernel, name, dtype) and (dtype == "float64" or name in ALSO_IN_FLOAT32[kernel])
    ],
)
def test_agrees_with_the_reference(kernel, name, dtype):
    drawn = draw(name, n_networks(kernel), dtype=dtype)
    rates = np.resize(RATES, drawn.population.n_networks)
    if name == "counts":  # whose exponentials overflow with higher ones
        rates = rates / 16
    epochs = 1 if memory.is_simulated() and kernel == "warp" else 2
    history = fit(drawn, learning_rate=rates, epochs=epochs, shuffle=False, device="cuda", kernel=kernel,
        monitor=("accuracy",),
    )  # fmt: skip
    compare(drawn, history, dtype, epochs, rates)
    expected = solve(drawn.problems[0], learning_rates=[rates[0]] * epochs, monitor=("accuracy",))
    np.testing.assert_allclose(history.accuracy[0], expected.metrics["accuracy"])


@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov", "adam"])
@pytest.mark.parametrize("kernel", ON_GPU)
def test_update_rules(kernel, rule):
    dtype = "float32" if kernel == "thread" else "float64"
    drawn = draw("binary", n_networks(kernel), dtype=dtype)
    n = drawn.population.n_networks
    rates, l2 = np.resize(RATES, n) / 10, np.resize([0.01, 0.0, 0.1], n)
    options = {"update_rule": rule, "l2": l2}
    if rule in ("momentum", "nesterov"):
        options["momentum"] = np.resize([0.9, 0.5], n)
    steps = {"learning_rate": rates, "shuffle": False, "device": "cuda", "kernel": kernel, **options}
    history = fit(drawn, epochs=2, **steps)
    compare(drawn, history, dtype, 2, rates, **options)
    # a second call goes on with the rule's state
    fit(drawn, epochs=1, **steps)
    compare(drawn, None, dtype, 3, rates, check_history=False, **options)


@pytest.mark.parametrize("kernel", ON_GPU)
@pytest.mark.parametrize("own", [False, True], ids=["common", "own"])
def test_sample_weights(kernel, own):
    drawn = draw("classes", n_networks(kernel))
    n, n_samples = drawn.population.n_networks, len(drawn.X)
    weights = np.random.RandomState(0).choice([0.0, 0.5, 1.0, 2.0], size=(n, n_samples))
    weights[:, 0] = 1.0
    if not own:
        weights = weights[0]
    rates = np.resize(RATES, n)
    history = fit(drawn, learning_rate=rates, epochs=2, shuffle=False, device="cuda", kernel=kernel,
        sample_weight=weights,
    )  # fmt: skip
    for i in {0, n - 1}:
        expected = solve(
            drawn.problems[i], learning_rates=[rates[i]] * 2, sample_weight=weights[i] if own else weights
        )
        network = drawn.population[i]
        error = largest_relative_error(
            [*network.weights, *network.biases], [*expected.weights, *expected.biases]
        )
        assert error < 1e-12
        np.testing.assert_allclose(history.loss[i], expected.loss, rtol=1e-12)


@pytest.mark.parametrize("kernel", ["thread", "block"])
def test_takes_the_orders_that_the_cpu_takes(kernel):
    drawn, twin = (draw("binary", n_networks(kernel)) for _ in range(2))
    ours = fit(drawn, epochs=3, random_state=7, device="cuda", kernel=kernel)
    theirs = fit(twin, epochs=3, random_state=7, device="cpu")
    np.testing.assert_allclose(drawn.population.parameters, twin.population.parameters, rtol=1e-11)
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-11)
    assert (ours.n_epochs == 3).all()


def test_slices_change_nothing(monkeypatch):
    whole, sliced = (draw("binary", 3, n_samples=7) for _ in range(2))
    options = {"epochs": 4, "random_state": 1, "device": "cuda", "kernel": "thread"}
    expected = fit(whole, **options)
    monkeypatch.setattr(slicing, "SLICE_SECONDS_ON_GPU", 1e-12)  # slices of one sample
    found = fit(sliced, **options)
    np.testing.assert_array_equal(sliced.population.parameters, whole.population.parameters)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-14)
    np.testing.assert_allclose(found.accuracy, expected.accuracy, rtol=1e-14)


def test_chunks_change_nothing():
    whole, chunked = (draw("binary", 3) for _ in range(2))
    options = {"epochs": 2, "random_state": 1, "device": "cuda", "kernel": "thread", "learning_rate": RATES}
    fit(whole, **options)
    fit(chunked, chunk_size=2, **options)
    np.testing.assert_array_equal(chunked.population.parameters, whole.population.parameters)


@pytest.mark.filterwarnings("ignore:.*(overflow|invalid value) encountered:RuntimeWarning")  # the simulator's
@pytest.mark.parametrize("kernel", ["thread", "block"])
def test_a_network_that_diverges_is_frozen_and_the_others_go_on(kernel):
    """With no hidden layer and squares, parameters grow without bound and soon overflow."""
    X = np.random.RandomState(0).standard_normal((5, 2)) * 1e3
    y = X @ [1.0, -1.0]
    rates = np.array([1e-8, 1e5, 1e-9]) if kernel == "thread" else np.array([1e-8, 1e5])
    n = len(rates)
    options = {"learning_rate": rates, "epochs": 8, "shuffle": False}
    ours, theirs = (nbp.Population((2, 1), n, random_state=0) for _ in range(2))
    found = ours.fit(X, y, device="cuda", kernel=kernel, **options)
    expected = theirs.fit(X, y, device="cpu", kernel="each", **options)
    assert set(found.diverged) == set(expected.diverged) == {1}
    error, other = found.diverged[1], expected.diverged[1]
    assert (error.epoch, error.sample, error.learning_rate) == (
        other.epoch,
        other.sample,
        other.learning_rate,
    )
    assert np.isfinite(ours.parameters).all()
    np.testing.assert_allclose(ours.parameters, theirs.parameters, rtol=1e-10)
    np.testing.assert_array_equal(np.isnan(found.loss), np.isnan(expected.loss))
    assert found.n_epochs.tolist() == expected.n_epochs.tolist()


@pytest.mark.filterwarnings("ignore:.*(overflow|invalid value) encountered:RuntimeWarning")
def test_the_loss_that_overflows_is_seen_before_the_parameters():
    """The first loss is not finite already: nothing is changed."""
    population = nbp.Population((1, 1), 2, random_state=0, dtype="float32")
    before = population.parameters.copy()
    X = np.array([[1e30], [1e30]], np.float32)
    history = population.fit(X, [0.0, 0.0], device="cuda", kernel="thread", shuffle=False, epochs=2)
    assert set(history.diverged) == {0, 1}
    np.testing.assert_array_equal(population.parameters, before)
    assert np.isnan(history.loss).all()


@pytest.mark.parametrize("kernel", ["thread", "block"])
def test_stops_where_the_loss_improves_no_more(kernel):
    drawn, twin = (draw("binary", n_networks(kernel), n_samples=4) for _ in range(2))
    options = {"epochs": 8, "shuffle": False, "tol": 0.02, "n_iter_no_change": 1}
    options["learning_rate"] = np.resize([1e-3, 1.0, 0.3], drawn.population.n_networks)
    found = fit(drawn, device="cuda", kernel=kernel, **options)
    expected = fit(twin, device="cpu", kernel="each", **options)
    assert found.n_epochs.tolist() == expected.n_epochs.tolist()
    assert (found.n_epochs < 8).any()
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-11)
    np.testing.assert_allclose(drawn.population.parameters, twin.population.parameters, rtol=1e-11)


@pytest.mark.parametrize("n_hidden", [100, 128])
def test_shared_memory_near_what_a_block_has_unasked(n_hidden):
    """Dynamic memory beside 8 KB static: less than 48 KiB together, and more."""
    ours, theirs = (nbp.Population((64, n_hidden, 10), 1, dtype="float32", random_state=0) for _ in range(2))
    X, Y = np.random.RandomState(0).standard_normal((1, 64)), np.ones((1, 10))
    plan = ours.plan(X, device="cuda", kernel="block")
    assert plan.mapping.shared < memory.STATIC_SHARED
    ours.fit(X, Y, epochs=1, device="cuda", kernel="block")
    theirs.fit(X, Y, epochs=1, device="cpu", kernel="each")
    np.testing.assert_allclose(ours.parameters, theirs.parameters, rtol=1e-4, atol=1e-6)


def test_schedules():
    drawn, twin = (draw("binary", 3) for _ in range(2))
    options = {"epochs": 3, "random_state": 0, "schedule": "exponential", "learning_rate": RATES}
    fit(drawn, device="cuda", kernel="thread", **options)
    fit(twin, device="cpu", **options)
    np.testing.assert_allclose(drawn.population.parameters, twin.population.parameters, rtol=1e-11)


def test_samples_on_the_device():
    drawn, twin = (draw("binary", 3) for _ in range(2))
    options = {"epochs": 2, "random_state": 0, "kernel": "thread"}
    X, Y = memory.to_device(drawn.X), memory.to_device(drawn.Y)
    history = drawn.population.fit(X, Y, **options)
    fit(twin, device="cuda", **options)
    np.testing.assert_array_equal(drawn.population.parameters, twin.population.parameters)
    assert type(history.loss) is np.ndarray
    plan = drawn.population.plan(X)
    assert plan.device == "cuda:0"
    with pytest.raises(ValueError, match="device='cpu', but X lies on GPU 0"):
        drawn.population.fit(X, Y, device="cpu")


def test_ctrl_c_leaves_finished_steps(monkeypatch):
    drawn, twin = (draw("binary", 3, n_samples=4) for _ in range(2))
    options = {"epochs": 6, "shuffle": False, "device": "cuda", "kernel": "thread"}
    keep = population_cuda.OnGpu._keep_history

    def interrupt(self, window, end):
        keep(self, window, end)
        if window.first_epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(slicing, "SLICE_SECONDS_ON_GPU", 1e-12)
    monkeypatch.setattr(population_cuda.OnGpu, "_keep_history", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(drawn, **options)
    fit(twin, **{**options, "epochs": 3, "device": "cpu", "kernel": "each"})
    np.testing.assert_allclose(drawn.population.parameters, twin.population.parameters, rtol=1e-12)
    assert drawn.population.history.stop_reason == "interrupted"
    assert np.isnan(drawn.population.history.loss[:, 3:]).all()
    assert np.isfinite(drawn.population.history.loss[:, :3]).all()


def test_too_many_networks_for_the_memory_say_how_many_would_fit(monkeypatch):
    drawn = draw("binary", 3)
    before = drawn.population.parameters.copy()
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    with pytest.raises(MemoryError, match="enough for 0 networks; chunk_size trains them in turns"):
        fit(drawn, device="cuda", kernel="thread")
    np.testing.assert_array_equal(drawn.population.parameters, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"propagate": "updated"}, "propagate='updated': kernels for GPUs take 'exact'"),
        ({"monitor": ("huber",)}, "monitor="),
        ({"kernel": "lanes"}, "it is the CPU's"),
        ({"early_stopping": True}, "early_stopping=True: kernels for GPUs train all networks to the end"),
    ],
)
def test_what_kernels_for_gpus_do_not_do(options, message):
    drawn = draw("binary", 2)
    with pytest.raises(ValueError, match=message):
        fit(drawn, device="cuda", **options)


def test_samples_too_wide_for_the_shared_memory_say_so():
    population = nbp.Population((20_000, 2), 1, dtype="float32")
    with pytest.raises(ValueError, match="would not fit into the shared memory of a block"):
        population.plan(1, device="cuda", kernel="block")


def test_the_plan_tells_who_trains_a_network():
    text = draw("binary", 3).population.plan(10_000, device="cuda").explain()
    assert "a network a thread on cuda:0" in text
    assert "s of them transfers" in text
    assert "Not taken: a network a warp" in text
    wide = nbp.Population((64, 32, 10), 10, loss="categorical_cross_entropy", dtype="float32")
    plan = wide.plan(10_000, device="cuda")
    assert plan.kernel == "warp"
    assert "registers a thread, and there are 255" in plan.explain()
