"""The blocked form on a GPU against the reference; the same tests on a card and on the processor.

`pytest -m gpu tests/gpu`, without a GPU with GPU_ON_PROCESSOR=1 before it.
"""

from itertools import product

import numpy as np
import pytest
import reference
from problems import draw_problem, network_of, parameters_error, solve, training_of

import numbabp as nbp
from numbabp import DivergenceError
from numbabp.devices import memory
from numbabp.devices.placement import resolve
from numbabp.training.loop import Training

pytestmark = pytest.mark.gpu

TOLERANCE = {"float64": 1e-11, "float32": 1e-5}
N_SAMPLES, EPOCHS, LENGTH = 7, 2, 4  # blocks of 4 and 3
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5, 0.0, 1.0, 1.0])
# Layer sizes, activations, loss; groups of units, of 4 in the simulator, end in the middle.
NETWORKS = {
    "one layer": ((4, 3), ("softmax",), "categorical_cross_entropy"),
    "two layers": ((5, 6, 3), ("tanh", "softmax"), "categorical_cross_entropy"),
    "three layers": ((5, 6, 9, 2), ("sigmoid", "gelu", "sigmoid"), "binary_cross_entropy"),
    "four layers": ((4, 3, 5, 4, 2), ("silu", "softplus", "elu", "identity"), "huber"),
    "one unit": ((3, 1, 1, 1), ("tanh", "tanh", "identity"), "squared_error"),
    "counts": ((4, 5, 2), ("tanh", "exp"), "poisson"),
    "quantiles": ((4, 5, 2), ("tanh", "identity"), "quantile"),
    "softmax and absolute error": ((4, 5, 3), ("leaky_relu", "softmax"), "absolute_error"),
}


def problem_of(network, n_samples=N_SAMPLES):
    return draw_problem(3, *NETWORKS[network], n_samples=n_samples)


def fit(net, problem, **options):
    given = {
        "learning_rate": 0.1,
        "epochs": EPOCHS,
        "shuffle": False,
        "device": "cuda",
        "block_length": LENGTH,
    }
    return net.fit(problem.X, problem.Y, **(given | options))


def check(network, dtype, monitor=(), weighted=False, **options):
    problem = problem_of(network)
    weights = WEIGHTS if weighted else None
    expected = solve(
        problem, learning_rates=[0.1] * EPOCHS, sample_weight=weights, monitor=monitor, **options
    )
    net = network_of(problem, dtype)
    history = fit(net, problem, sample_weight=weights, monitor=monitor, **options)
    assert parameters_error(net, expected) < TOLERANCE[dtype]
    assert reference.largest_relative_error([history.loss], [expected.loss]) < TOLERANCE[dtype]
    for name in monitor:
        error = reference.largest_relative_error([history[name]], [expected.metrics[name]])
        assert error < TOLERANCE[dtype]


@pytest.mark.parametrize(
    ("network", "dtype"),
    # of one layer is a kernel of its own, which is compiled in float32 with a velocity, below
    [case for case in product(NETWORKS, TOLERANCE) if case != ("one layer", "float32")],
)
def test_same_trajectory(network, dtype):
    check(network, dtype, weighted=True)


@pytest.mark.parametrize(
    ("rule", "l2"), [("sgd", 0.05), ("momentum", 0.0), ("momentum", 0.05), ("nesterov", 0.05)]
)
def test_every_rule(rule, l2):
    check("three layers", "float64", update_rule=rule, l2=l2)
    check("two layers" if rule == "sgd" else "one layer", "float32", update_rule=rule, l2=l2)


def test_metrics():
    check("two layers", "float64", ("accuracy", "squared_error", "absolute_error"), weighted=True)
    check("three layers", "float64", ("accuracy", "huber"))


@pytest.mark.parametrize("length", [1, 3, 16])
def test_every_block_length(length):
    problem = problem_of("three layers")
    expected = solve(problem, learning_rates=[0.1] * EPOCHS, update_rule="momentum")
    net = network_of(problem)
    fit(net, problem, update_rule="momentum", block_length=length)
    assert parameters_error(net, expected) < TOLERANCE["float64"]


def test_shuffled_orders_and_schedules_are_those_of_the_cpu():
    problem = problem_of("two layers")
    options = {"shuffle": True, "random_state": 5, "schedule": "exponential", "update_rule": "nesterov"}
    options["sample_weight"] = WEIGHTS
    here, there = network_of(problem), network_of(problem)
    of_gpu = fit(here, problem, **options)
    of_cpu = fit(there, problem, device="cpu", block_length=None, **options)
    assert reference.largest_relative_error([here.parameters], [there.parameters]) < TOLERANCE["float64"]
    np.testing.assert_allclose(of_gpu.loss, of_cpu.loss, rtol=1e-11)
    np.testing.assert_array_equal(of_gpu.accuracy, of_cpu.accuracy)


def test_the_velocity_goes_on_in_the_next_call_on_either_device():
    problem = problem_of("two layers")
    expected = solve(problem, learning_rates=[0.1] * 3, update_rule="momentum")
    net = network_of(problem)
    for device, length in (("cuda", LENGTH), ("cpu", None), ("cuda", LENGTH)):
        fit(net, problem, device=device, block_length=length, epochs=1, update_rule="momentum")
    assert parameters_error(net, expected) < TOLERANCE["float64"]


def test_slices_change_no_bit(monkeypatch):
    problem = problem_of("two layers")
    whole, sliced = network_of(problem, "float32"), network_of(problem, "float32")
    of_whole = fit(whole, problem, shuffle=True, random_state=1)
    call_kernel = Training._call_kernel
    calls = []

    def shorter(self, stop_epoch, max_samples):
        calls.append(min(max_samples, 1))
        return call_kernel(self, stop_epoch, calls[-1])

    monkeypatch.setattr(Training, "_call_kernel", shorter)
    of_sliced = fit(sliced, problem, shuffle=True, random_state=1)
    assert len(calls) > 2 * EPOCHS
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()
    assert of_sliced.loss.tobytes() == of_whole.loss.tobytes()


def test_samples_on_the_gpu_are_taken_as_they_are():
    problem = problem_of("two layers")
    expected = solve(problem, learning_rates=[0.1] * EPOCHS, sample_weight=WEIGHTS)
    net = network_of(problem)
    training = training_on_gpu(net, problem, learning_rate=0.1, shuffle=False, block_length=LENGTH)
    assert training.plan.device == "cuda:0"
    training()
    assert parameters_error(net, expected) < TOLERANCE["float64"]


def training_on_gpu(net, problem, **options):
    from numbabp.options import Options

    arrays = [memory.to_device(array, net.dtype) for array in (problem.X, problem.Y, WEIGHTS)]
    place = resolve("auto", 0)
    return training_of(net, *arrays, Options(progress=False, **options), EPOCHS, place)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the simulator: overflow
@pytest.mark.parametrize("there", [False, True], ids=["host", "device"])
def test_divergence_stops_at_the_sample(there):
    problem = problem_of("three layers")
    problem.X[5, 0] = 1e30  # a first step with it leaves weights of 1e30, the second loss is not finite
    problem.loss, problem.activations = "squared_error", ("identity", "identity", "identity")
    options = {"learning_rate": 1e6, "shuffle": False}
    failed, stopped = network_of(problem, "float32"), network_of(problem, "float32")
    with pytest.raises(DivergenceError) as at_cpu:
        fit(failed, problem, **options, device="cpu", block_length=None, sample_weight=WEIGHTS)
    with pytest.raises(DivergenceError) as at_gpu:
        if there:
            training_on_gpu(stopped, problem, **options, block_length=2)()
        else:
            fit(stopped, problem, **options, block_length=2, sample_weight=WEIGHTS)
    assert at_gpu.value.args == at_cpu.value.args
    assert np.isfinite(stopped.parameters).all()
    assert stopped.parameters.tobytes() == failed.parameters.tobytes()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_blocks_after_one_that_diverged_change_nothing():
    """The engine by itself: three blocks in one call, the second diverges at its second sample."""
    problem = problem_of("two layers", n_samples=6)
    problem.loss, problem.activations = "squared_error", ("identity", "identity")
    problem.X[3] = 1e200  # whose loss overflows
    net = network_of(problem)
    expected = solve_first(problem, 3)
    training = engine_of(net, problem, update_rule="momentum", l2=0.05, block_length=2)
    assert training._call_kernel(2, 12) == 1
    training._engine.catch_up()
    assert training.run.position.tolist()[:3] == [0, 3, 3]
    assert parameters_error(net, expected) < TOLERANCE["float64"]
    assert training.run.sums[0, 1] == 3
    assert (training.run.sums[1] == 0).all()


def engine_of(net, problem, **options):
    from numbabp.options import Options

    checked = Options(learning_rate=0.1, shuffle=False, progress=False, device="cuda", **options)
    none = np.empty(0, net.dtype)
    place = resolve("cuda")
    X, y = problem.X.astype(net.dtype), problem.Y.astype(net.dtype)
    return training_of(net, X, y, none, checked, 2, place)


def solve_first(problem, n):
    X, Y = problem.X[:n], problem.Y[:n]
    return reference.train(
        problem.weights, problem.biases, X, Y, activations=problem.activations, loss=problem.loss,
        learning_rates=[0.1], update_rule="momentum", l2=0.05,
    )  # fmt: skip


def test_early_stopping_and_callbacks_see_the_parameters():
    problem = problem_of("two layers")
    net = network_of(problem)
    seen = []

    def record(epoch, metrics):
        seen.append(net.parameters.copy())
        net.biases[0][:] = 0.5  # what a callback changes, the next epoch starts from
        return epoch == 1

    history = fit(net, problem, callback=record, epochs=5)
    assert history.stop_reason == "callback"
    twin = network_of(problem)
    for expected in seen:
        fit(twin, problem, epochs=1)
        np.testing.assert_allclose(expected, twin.parameters, rtol=1e-12)
        twin.biases[0][:] = 0.5
    stopped = network_of(problem)
    history = fit(stopped, problem, learning_rate=-0.1, early_stopping=True, patience=1, epochs=5)
    assert history.stop_reason == "early stopping"
    best = network_of(problem)
    fit(best, problem, learning_rate=-0.1, epochs=1)
    np.testing.assert_allclose(stopped.parameters, best.parameters, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"propagate": "updated"}, "propagate='updated'"),
        ({"kernel": "sequential", "block_length": None}, "kernel='sequential'"),
        ({"block_length": 1000}, "block_length=1000"),
    ],
)
def test_what_the_cpu_alone_does(options, what):
    problem = problem_of("two layers")
    net = network_of(problem)
    before = net.parameters.copy()
    with pytest.raises(
        ValueError, match=rf"device='cuda' is asked for, but {what}.* is not possible on a GPU.*device='cpu'"
    ):
        fit(net, problem, **options)
    np.testing.assert_array_equal(net.parameters, before)
    if "block_length" not in options:
        with pytest.raises(ValueError, match=f"X lies on GPU 0, but {what}"):
            training_on_gpu(net, problem, **options)


def test_the_plan_says_where_and_why():
    net = nbp.Network((784, 64, 10), dtype="float32")
    plan = net.plan(1000, device="cuda")
    assert (plan.device, plan.kernel) == ("cuda:0", "blocked")
    text = plan.explain()
    assert text.startswith(f"blocked, {plan.block_length} samples a block, on cuda:0, float32: ")
    assert "to start and to copy" in text
