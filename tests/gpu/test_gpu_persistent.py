"""One network trained by one block of a GPU; a real one or what stands in for it (see conftest.py)."""

import numpy as np
import pytest
import reference
from problems import draw_problem, network_of, parameters_error, solve

import numbabp as nbp
from numbabp import DivergenceError
from numbabp.devices import memory
from numbabp.training.loop import Training

pytestmark = pytest.mark.gpu

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
N_SAMPLES = 6
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5, 0.0, 1.0])
NETWORKS = {
    "classes": ((3, 4, 3), ("tanh", "softmax"), "categorical_cross_entropy"),
    "labels": ((2, 3, 2, 2), ("sigmoid", "gelu", "sigmoid"), "binary_cross_entropy"),
    "values": ((3, 2), ("elu",), "huber"),
    "counts": ((3, 4, 2), ("tanh", "exp"), "poisson"),
    "quantiles": ((3, 4, 2), ("tanh", "identity"), "quantile"),
}


def problem_of(name):
    return draw_problem(3, *NETWORKS[name], n_samples=N_SAMPLES)


def fit(net, problem, **options):
    given = {"learning_rate": 0.1, "epochs": 2, "shuffle": False, "device": "cuda", "kernel": "persistent"}
    return net.fit(problem.X, problem.Y, **(given | options))


@pytest.mark.parametrize(
    ("name", "dtype"),
    # each is a kernel to compile, whose formulas are the same in both
    [*((name, "float64") for name in NETWORKS), ("classes", "float32"), ("labels", "float32")],
)
def test_agrees_with_the_reference(name, dtype):
    problem = problem_of(name)
    expected = solve(problem, learning_rates=[0.1] * 2, sample_weight=WEIGHTS, monitor=("accuracy",))
    net = network_of(problem, dtype)
    history = fit(net, problem, sample_weight=WEIGHTS, monitor=("accuracy",))
    assert parameters_error(net, expected) < TOLERANCE[dtype]
    assert reference.largest_relative_error([history.loss], [expected.loss]) < TOLERANCE[dtype]
    np.testing.assert_allclose(history.accuracy, expected.metrics["accuracy"])


STEPS = {
    **{rule: {"update_rule": rule} for rule in ("sgd", "momentum", "nesterov", "adam")},
    "adagrad, l1": {"update_rule": "adagrad", "l1": 0.02},
    "rmsprop, clipped": {"update_rule": "rmsprop", "clip_value": 0.05},
    "adamw": {"update_rule": "adamw"},
    "batches and a norm": {"update_rule": "adam", "batch_size": 3, "clip_norm": 0.05},
}


@pytest.mark.parametrize("name", STEPS)
def test_update_rules_go_on_in_the_next_call_on_either_device(name):
    problem = problem_of("classes")
    options = {**STEPS[name], "l2": 0.05}
    expected = solve(problem, learning_rates=[0.1] * 3, **options)
    net = network_of(problem)
    for device, kernel in (("cuda", "persistent"), ("cpu", "auto"), ("cuda", "persistent")):
        fit(net, problem, device=device, kernel=kernel, epochs=1, **options)
    assert parameters_error(net, expected) < TOLERANCE["float64"]


@pytest.mark.parametrize("steps", [{}, {"batch_size": 3}])
def test_slices_change_next_to_nothing(monkeypatch, steps):
    """Sums of an epoch's losses are put together from parts; steps are the same to the last bit."""
    problem = problem_of("classes")
    whole, sliced = network_of(problem), network_of(problem)
    options = {"shuffle": True, "random_state": 1, "epochs": 3, "sample_weight": WEIGHTS, **steps}
    expected = fit(whole, problem, **options)
    call_kernel = Training._call_kernel
    monkeypatch.setattr(
        Training, "_call_kernel", lambda self, stop, samples: call_kernel(self, stop, min(samples, 4))
    )
    found = fit(sliced, problem, **options)
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-14)
    np.testing.assert_allclose(found.accuracy, expected.accuracy, rtol=1e-14)


def test_orders_and_schedules_are_those_of_the_cpu():
    problem = problem_of("classes")
    options = {"shuffle": True, "random_state": 5, "schedule": "exponential", "epochs": 3}
    here, there = network_of(problem), network_of(problem)
    of_gpu = fit(here, problem, **options)
    of_cpu = fit(there, problem, device="cpu", kernel="sequential", **options)
    assert reference.largest_relative_error([here.parameters], [there.parameters]) < 1e-12
    np.testing.assert_allclose(of_gpu.loss, of_cpu.loss, rtol=1e-12)


def test_the_adaptive_schedule_is_followed():
    problem = problem_of("values")
    ours, theirs = network_of(problem), network_of(problem)
    options = {
        "schedule": "adaptive",
        "schedule_options": {"patience": 1},
        "tol": 10.0,
        "epochs": 4,
        "learning_rate": 0.01,
    }
    found = fit(ours, problem, **options)
    expected = fit(theirs, problem, device="cpu", kernel="sequential", **options)
    assert len(set(found.learning_rate)) > 1
    np.testing.assert_array_equal(found.learning_rate, expected.learning_rate)
    np.testing.assert_allclose(ours.parameters, theirs.parameters, rtol=1e-12)


def test_samples_on_the_device():
    problem = problem_of("values")
    on_host, on_device = network_of(problem), network_of(problem)
    fit(on_host, problem)
    X, Y = memory.to_device(problem.X), memory.to_device(problem.Y)
    history = on_device.fit(X, Y, learning_rate=0.1, epochs=2, shuffle=False, kernel="persistent")
    np.testing.assert_array_equal(on_device.parameters, on_host.parameters)
    assert type(history.loss) is np.ndarray


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the simulator's
def test_divergence_stops_at_the_sample_that_the_cpu_stops_at():
    problem = draw_problem(0, (2, 1), ("identity",), "squared_error", N_SAMPLES)
    failed, stopped = network_of(problem), network_of(problem)
    options = {"learning_rate": 1e120, "epochs": 4}
    with pytest.raises(DivergenceError) as at_cpu:
        fit(failed, problem, device="cpu", kernel="sequential", **options)
    with pytest.raises(DivergenceError) as at_gpu:
        fit(stopped, problem, **options)
    assert at_gpu.value.args == at_cpu.value.args
    np.testing.assert_allclose(stopped.parameters, failed.parameters, rtol=1e-10)


def test_validation_and_early_stopping_see_the_parameters():
    problem = problem_of("values")
    ours, theirs = network_of(problem), network_of(problem)
    options = {"validation_data": (problem.X, problem.Y), "epochs": 4, "early_stopping": True, "patience": 2}
    found = fit(ours, problem, **options)
    expected = fit(theirs, problem, device="cpu", kernel="sequential", **options)
    np.testing.assert_allclose(found["validation_loss"], expected["validation_loss"], rtol=1e-12)
    np.testing.assert_allclose(ours.parameters, theirs.parameters, rtol=1e-12)


def test_a_network_that_does_not_fit_says_how_much_there_is():
    net = nbp.Network((784, 200, 10), dtype="float32")
    with pytest.raises(
        ValueError, match=r"kernel='persistent' is not possible: a network takes .* and a block"
    ):
        net.fit(np.zeros((2, 784)), np.zeros((2, 10)), device="cuda", kernel="persistent")
