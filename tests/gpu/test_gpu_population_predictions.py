"""Outputs of populations for samples on a GPU: those of the networks one by one, and on the GPU."""

import numpy as np
import pytest
from reference import largest_relative_error

import numbabp as nbp
from numbabp.devices import memory
from numbabp.inference import device as device_inference

pytestmark = pytest.mark.gpu

TOLERANCES = {"float64": 1e-12, "float32": 1e-5}
ARCHITECTURES = {
    "binary": ((3, 5, 1), ("tanh",), "sigmoid", "binary_cross_entropy"),
    "labels": ((3, 4), (), "sigmoid", "binary_cross_entropy"),
    "classes": ((3, 4, 5, 3), ("elu", "gelu"), "softmax", "categorical_cross_entropy"),
    "numbers": ((3, 4, 2), ("relu",), "identity", "squared_error"),
    "counts": ((3, 4, 2), ("relu",), "exp", "poisson"),
}
N_SAMPLES = 7


def draw(name, n_networks=5, dtype="float64"):
    sizes, hidden, output, loss = ARCHITECTURES[name]
    population = nbp.Population(
        sizes, n_networks, hidden_activation=hidden, output_activation=output, loss=loss, dtype=dtype,
        random_state=0,
    )  # fmt: skip
    random_state = np.random.RandomState(1)
    population.parameters[:] += 0.3 * random_state.standard_normal(population.parameters.shape)
    X = random_state.standard_normal((N_SAMPLES, sizes[0]))
    shape = (N_SAMPLES, sizes[-1])
    y = {
        "binary": random_state.randint(2, size=N_SAMPLES),
        "labels": random_state.randint(2, size=shape),
        "classes": random_state.randint(sizes[-1], size=N_SAMPLES),
        "numbers": random_state.standard_normal(shape),
        "counts": random_state.poisson(2.0, size=shape),
    }[name]
    return population, X, y


@pytest.fixture(params=["together", "one by one", "in rows"])
def chunks(request, monkeypatch):
    """Chunks of two networks, of one, and of some rows of one."""
    size = {"together": 2 * N_SAMPLES * 5 * 8, "one by one": N_SAMPLES * 5 * 8, "in rows": 3 * 5 * 8}
    monkeypatch.setattr(device_inference, "CHUNK_BYTES", size[request.param])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_outputs_and_predictions(name, dtype, chunks):
    population, X, _ = draw(name, dtype=dtype)
    on_gpu = memory.to_device(X)
    outputs = population.forward(on_gpu)
    assert memory.is_on_device(outputs) and outputs.dtype == dtype
    expected = population.forward(X)
    assert not memory.is_on_device(expected)
    assert outputs.shape == expected.shape == (5, N_SAMPLES, population.layer_sizes[-1])
    assert largest_relative_error([memory.to_host(outputs)], [expected]) < TOLERANCES[dtype]
    predicted, decided = population.predict(on_gpu), population.predict(X)
    assert memory.is_on_device(predicted) and predicted.dtype == decided.dtype
    np.testing.assert_allclose(memory.to_host(predicted), decided, rtol=10 * TOLERANCES[dtype])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_measurements(name, weighted, chunks):
    population, X, y = draw(name)
    weights = np.arange(N_SAMPLES) % 3.0 if weighted else None
    found = population.evaluate(memory.to_device(X), memory.to_device(y), weights, monitor=["squared_error"])
    expected = population.evaluate(X, y, weights, monitor=["squared_error"])
    assert list(found) == list(expected)
    for metric, values in found.items():
        assert type(values) is np.ndarray and values.shape == (5,)
        np.testing.assert_allclose(values, expected[metric], rtol=1e-12)


def test_threads_with_several_units_and_networks(monkeypatch, gpu):
    """Fewer threads than networks, and fewer than a network has units."""
    monkeypatch.setattr(device_inference, "BLOCKS_PER_MULTIPROCESSOR", 1)
    monkeypatch.setattr(device_inference, "BLOCK", 32)
    population, X, y = draw("classes", n_networks=3)
    repeats = gpu.n_multiprocessors
    X, y = np.tile(X, (repeats, 1)), np.tile(y, repeats)
    found = population.forward(memory.to_device(X))
    np.testing.assert_allclose(memory.to_host(found), population.forward(X), rtol=1e-12)
    measured, expected = population.evaluate(memory.to_device(X), y), population.evaluate(X, y)
    np.testing.assert_allclose(measured["loss"], expected["loss"], rtol=1e-12)
    np.testing.assert_array_equal(measured["accuracy"], expected["accuracy"])


def test_ensembles():
    population, X, _ = draw("classes")
    ensemble, on_gpu = population.ensemble(), memory.to_device(X)
    for method in ("forward", "std", "predict"):
        found = getattr(ensemble, method)(on_gpu)
        assert memory.is_on_device(found)
        np.testing.assert_allclose(memory.to_host(found), getattr(ensemble, method)(X), rtol=1e-10)


def test_outputs_that_would_not_fit(monkeypatch):
    population, X, _ = draw("classes")
    monkeypatch.setattr(memory, "free_bytes", lambda: 3 * N_SAMPLES * 3 * 8)
    with pytest.raises(MemoryError, match=r"outputs of so many samples .* enough for 3 networks"):
        population.forward(memory.to_device(X))
