"""One large network with its weights on the chip; on a card and on the processor (see conftest.py)."""

from dataclasses import replace

import numpy as np
import pytest
import reference
from problems import draw_problem, network_of, parameters_error, solve

from numbabp import DivergenceError
from numbabp.devices import memory
from numbabp.kernels.cuda.resident.train import make_train
from numbabp.planning.gpu_layouts import resident_shape
from numbabp.training.engines import network_cuda_resident
from numbabp.training.loop import Training

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(memory.is_interpreted(), reason="the simulator runs blocks one after the other"),
]

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
N_SAMPLES, EPOCHS = 7, 2
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5, 0.0, 1.0, 1.0])
NETWORKS = {
    "two layers": ((5, 6, 3), ("tanh", "softmax"), "categorical_cross_entropy"),
    "three layers": ((5, 17, 9, 2), ("sigmoid", "gelu", "sigmoid"), "binary_cross_entropy"),
    "four layers": ((4, 3, 15, 4, 3), ("silu", "tanh", "elu", "softmax"), "absolute_error"),
}


OTHERS = ("tanh", "tanh", "identity"), "squared_error"


def problem_of(name):
    return draw_problem(3, *NETWORKS[name], n_samples=N_SAMPLES)


def change_shape(monkeypatch, **changes):
    monkeypatch.setattr(
        network_cuda_resident, "resident_shape", lambda *of: replace(resident_shape(*of), **changes)
    )


def fit(net, problem, **options):
    given = {"learning_rate": 0.1, "epochs": EPOCHS, "shuffle": False, "device": "cuda", "kernel": "resident"}
    return net.fit(problem.X, problem.Y, **(given | options))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", NETWORKS)
def test_agrees_with_the_reference(name, dtype):
    problem = problem_of(name)
    monitor = ("accuracy", "squared_error")
    expected = solve(problem, learning_rates=[0.1] * EPOCHS, sample_weight=WEIGHTS, monitor=monitor)
    net = network_of(problem, dtype)
    history = fit(net, problem, sample_weight=WEIGHTS, monitor=monitor)
    assert parameters_error(net, expected) < TOLERANCE[dtype]
    assert reference.largest_relative_error([history.loss], [expected.loss]) < TOLERANCE[dtype]
    for metric in monitor:
        np.testing.assert_allclose(history[metric], expected.metrics[metric], rtol=TOLERANCE[dtype])


def test_penalty_orders_and_schedules_are_those_of_the_cpu():
    problem = problem_of("three layers")
    options = {"shuffle": True, "random_state": 5, "schedule": "exponential", "l2": 0.05, "epochs": 3}
    options["sample_weight"] = WEIGHTS
    here, there = network_of(problem), network_of(problem)
    of_gpu = fit(here, problem, **options)
    of_cpu = fit(there, problem, device="cpu", kernel="sequential", **options)
    assert reference.largest_relative_error([here.parameters], [there.parameters]) < TOLERANCE["float64"]
    np.testing.assert_allclose(of_gpu.loss, of_cpu.loss, rtol=TOLERANCE["float64"])


@pytest.mark.parametrize("held_bytes", [512, 32, 0])
def test_rows_in_registers_and_in_shared_memory_are_the_same(held_bytes, monkeypatch):
    change_shape(monkeypatch, held_bytes=held_bytes, threads=64)
    problem = draw_problem(3, (3, 9, 150, 2), *OTHERS, n_samples=N_SAMPLES)
    expected = solve(problem, learning_rates=[0.001] * EPOCHS)
    net = network_of(problem)
    fit(net, problem, learning_rate=0.001)
    assert parameters_error(net, expected) < TOLERANCE["float64"]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_columns_that_take_many_turns(dtype, monkeypatch):
    """Four at once, and one behind them, in the first layer and in the second; three blocks on any card."""
    change_shape(monkeypatch, threads=64, n_multiprocessors=3)
    problem = draw_problem(3, (40, 70, 70, 2), *OTHERS, n_samples=N_SAMPLES)
    net = network_of(problem, dtype)
    turns = []
    monkeypatch.setattr(
        network_cuda_resident,
        "make_train",
        lambda shape: (turns.extend(of.turns for of in shape.places.hidden), make_train(shape))[1],
    )
    fit(net, problem, learning_rate=0.01)
    assert turns == [5, 9]
    expected = solve(problem, learning_rates=[0.01] * EPOCHS)
    assert parameters_error(net, expected) < TOLERANCE[dtype]


def test_slices_change_no_bit(monkeypatch):
    problem = problem_of("three layers")
    whole, sliced = network_of(problem, "float32"), network_of(problem, "float32")
    options = {"shuffle": True, "random_state": 1, "monitor": ("accuracy", "squared_error")}
    of_whole = fit(whole, problem, sample_weight=WEIGHTS, **options)
    call_kernel = Training._call_kernel
    monkeypatch.setattr(
        Training, "_call_kernel", lambda self, stop, samples: call_kernel(self, stop, min(samples, 2))
    )
    of_sliced = fit(sliced, problem, sample_weight=WEIGHTS, **options)
    assert sliced.parameters.tobytes() == whole.parameters.tobytes()
    assert of_sliced.loss.tobytes() == of_whole.loss.tobytes()


@pytest.mark.parametrize("at", [2, 5])
def test_divergence_stops_at_the_sample_that_the_cpu_stops_at(at):
    problem = problem_of("three layers")
    problem.loss, problem.activations = "squared_error", ("sigmoid", "gelu", "identity")
    problem.Y[at] = 1e200  # whose loss overflows
    failed, stopped = network_of(problem), network_of(problem)
    with pytest.raises(DivergenceError) as at_cpu:
        fit(failed, problem, device="cpu", kernel="sequential", shuffle=True, random_state=1)
    with pytest.raises(DivergenceError) as at_gpu:
        fit(stopped, problem, shuffle=True, random_state=1)
    assert at_gpu.value.args == at_cpu.value.args
    assert reference.largest_relative_error([stopped.parameters], [failed.parameters]) < 1e-12


def test_steps_that_leave_nothing_of_use_are_taken_back():
    """Losses stay finite for a while, until weights that make no sense are found: the run is repeated."""
    problem = problem_of("three layers")
    problem.loss, problem.activations = "squared_error", ("identity", "identity", "identity")
    failed, stopped = network_of(problem), network_of(problem)
    options = {"learning_rate": 1e3, "epochs": 3, "shuffle": True, "random_state": 1}
    with pytest.raises(DivergenceError) as expected:
        fit(failed, problem, kernel="persistent", **options)  # on a GPU use is measured in another way
    with pytest.raises(DivergenceError) as found:
        fit(stopped, problem, **options)
    assert found.value.args == expected.value.args
    assert np.isfinite(stopped.parameters).all()
    assert reference.largest_relative_error([stopped.parameters], [failed.parameters]) < 1e-8


def test_the_next_call_goes_on_on_either_device():
    problem = problem_of("two layers")
    expected = solve(problem, learning_rates=[0.1] * 3)
    net = network_of(problem)
    for device, kernel in (("cuda", "resident"), ("cpu", "auto"), ("cuda", "resident")):
        fit(net, problem, device=device, kernel=kernel, epochs=1)
    assert parameters_error(net, expected) < TOLERANCE["float64"]
