"""Networks and populations in ONNX, run by ONNX Runtime."""

import json
import sys

import numpy as np
import pytest
from running import TOLERANCE, inputs_of, network_with_hidden, network_with_output, run_onnx

import numbabp as nbp
from numbabp.exchange import onnx_models
from numbabp.functions.activations import ACTIVATIONS, HIDDEN_ACTIVATIONS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def check(network):
    X = inputs_of(network.dtype)
    outputs = run_onnx(network.to_onnx(), X)["outputs"]
    expected = network.forward(X)
    assert outputs.dtype == network.dtype and outputs.shape == expected.shape
    tolerance = TOLERANCE[str(network.dtype)]
    np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_hidden_activations(activation, dtype):
    check(network_with_hidden(activation, dtype))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_output_activations(activation, dtype):
    check(network_with_output(activation, dtype))


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "softmax"])
def test_doubles_lose_no_digits_anywhere(activation):
    """Relative to each output, down to the smallest: what is composed cancels nowhere."""
    net = nbp.Network((1, 1), output_activation=activation)
    net.weights = [[[1.0]]]
    sizes = np.geomspace(1e-12, 30, 200)
    z = np.concatenate([-sizes, sizes, [0.0]])[:, np.newaxis]
    found, expected = run_onnx(net.to_onnx(), z)["outputs"], net.forward(z)
    if activation == "gelu":  # 1 + erf(z / sqrt 2) is about 0 far below
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "exp"])
def test_ends_of_activations(activation, dtype):
    net = nbp.Network((1, 2), output_activation=activation, dtype=dtype)
    net.weights = [[[1.0, -1.0]]]
    z = np.array([[0.0], [50.0], [200.0], [1000.0]], dtype)
    found = run_onnx(net.to_onnx(), z)["outputs"]
    np.testing.assert_allclose(found, net.forward(z), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_trained_network_in_a_file(tmp_path, dtype):
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype), [0, 1, 1, 0]
    net = nbp.Network((2, 10, 1), loss="binary_cross_entropy", dtype=dtype, random_state=0)
    net.fit(X, y, learning_rate=1.0, epochs=1000)
    made = net.to_onnx(tmp_path / "xor.onnx")
    assert onnx.load(tmp_path / "xor.onnx") == made
    outputs = run_onnx(tmp_path / "xor.onnx", X)["outputs"]
    np.testing.assert_array_equal(outputs[:, 0] > 0.5, y)
    np.testing.assert_allclose(outputs, net.forward(X), rtol=0, atol=TOLERANCE[dtype])


def test_a_file_tells_what_is_in_it():
    net = nbp.Network((3, 6, 2), hidden_activation="gelu", loss="quantile", quantile=0.9)
    made = net.to_onnx()
    facts = {entry.key: entry.value for entry in made.metadata_props}
    assert facts["numbabp_loss"] == "quantile" and facts["numbabp_dtype"] == "float64"
    assert json.loads(facts["numbabp_layer_sizes"]) == [3, 6, 2]
    assert json.loads(facts["numbabp_activations"]) == ["gelu", "identity"]
    assert json.loads(facts["numbabp_quantile"]) == 0.9
    assert made.producer_name == "numbabp" and [entry.version for entry in made.opset_import] == [13]
    (given,) = made.graph.input
    assert given.name == "X" and [
        side.dim_param or side.dim_value for side in given.type.tensor_type.shape.dim
    ] == ["n", 3]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_population(dtype):
    population = nbp.Population((3, 5, 2), 7, hidden_activation="tanh", dtype=dtype, random_state=0)
    population.parameters[:] += np.linspace(-1, 1, population.n_parameters)
    X = inputs_of(dtype)
    outputs = run_onnx(population.to_onnx(), X)["outputs"]
    assert outputs.shape == (7, 50, 2)
    expected = population.forward(X)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=TOLERANCE[dtype] * np.abs(expected).max())


def test_what_cannot_be_exported_is_refused(tmp_path, monkeypatch):
    net = nbp.Network((3, 2))
    with pytest.raises(FileNotFoundError):
        net.to_onnx(tmp_path / "nowhere" / "net.onnx")
    with pytest.raises(ValueError, match="too many: a file of ONNX holds 2 GiB"):
        onnx_models.check_size(np.broadcast_to(np.zeros(1), 2**28))
    net.parameters[3] = np.nan
    with pytest.raises(ValueError, match=r"weights\[0\] must be finite"):
        net.to_onnx()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'to_onnx needs onnx: pip install "numbabp\[onnx\]"'):
        nbp.Network((3, 2)).to_onnx()
