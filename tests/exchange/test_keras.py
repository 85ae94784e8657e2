"""Networks for Keras, and Keras' models as networks."""

import os
import tempfile
from importlib.util import find_spec

import numpy as np
import pytest
from running import TOLERANCE, inputs_of, network_with_hidden, network_with_output

import numbabp as nbp
from numbabp.functions.activations import ACTIVATIONS, HIDDEN_ACTIVATIONS

os.environ.setdefault("KERAS_HOME", os.path.join(tempfile.gettempdir(), "keras-of-tests"))
# over JAX there is no float64 without jax_enable_x64
if "KERAS_BACKEND" not in os.environ:
    found = [name for name in ("tensorflow", "torch") if find_spec(name)]
    if not found:
        pytest.skip("Keras needs tensorflow or torch", allow_module_level=True)
    os.environ["KERAS_BACKEND"] = found[0]
keras = pytest.importorskip("keras")
layers = keras.layers
# how Keras asks PyTorch for NumPy's arrays
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def agree(network, model):
    """To what Keras computes in: float32 but over TensorFlow, which has these two's constants in float32."""
    X = inputs_of(network.dtype, scale=1.0)
    theirs = keras.ops.convert_to_numpy(model(X))
    is_exact = keras.backend.backend() == "tensorflow" and not {"leaky_relu", "gelu"} & {*network.activations}
    tolerance = TOLERANCE[str(network.dtype) if is_exact else "float32"]
    np.testing.assert_allclose(network.forward(X), theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_hidden_activations_there_and_back(activation, dtype):
    net = network_with_hidden(activation, dtype)
    model = net.to_keras()
    agree(net, model)
    back = nbp.from_keras(model)
    assert back.architecture == net.architecture
    np.testing.assert_array_equal(back.parameters, net.parameters)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_outputs_there_and_back(activation, dtype):
    net = network_with_output(activation, dtype)
    model = net.to_keras()
    agree(net, model)
    assert nbp.from_keras(model, net.loss).architecture == net.architecture


def test_weights_are_in_keras_order_and_copies():
    net = nbp.Network((3, 4, 2), hidden_activation="leaky_relu", random_state=0)
    model = net.to_keras()
    arrays = model.get_weights()
    assert [array.shape for array in arrays] == [(3, 4), (4,), (4, 2), (2,)]
    np.testing.assert_array_equal(arrays[2], net.weights[1])
    back = nbp.from_keras(model)
    before = net.parameters.copy()
    model.set_weights([array + 1 for array in arrays])
    np.testing.assert_array_equal(net.parameters, before)
    np.testing.assert_array_equal(back.parameters, before)


def test_a_model_as_users_write_it():
    model = keras.Sequential(
        [
            layers.Input((3,)),
            layers.Dense(6, activation="swish"),
            layers.Dropout(0.5),
            keras.Sequential([layers.Input((6,)), layers.Dense(5), layers.ReLU()]),
            layers.Dense(5, use_bias=False),
            layers.Activation("tanh"),
            layers.Dense(4),
        ]
    )
    net = nbp.from_keras(model, "categorical_cross_entropy")
    assert net.activations == ("silu", "relu", "tanh", "softmax") and net.dtype == np.float32
    agree(net, keras.Sequential([model, layers.Softmax()]))
    y = np.arange(50) % 4
    history = net.fit(inputs_of("float32"), y, learning_rate=0.05, epochs=5)
    assert history.loss[-1] < history.loss[0]


class Own(layers.Dense):
    pass


def sequential(*rest):
    return keras.Sequential([layers.Input((3,)), layers.Dense(2), *rest])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: 3, TypeError, "model must be a keras.Sequential, got 3"),
        (lambda: keras.Sequential([]), ValueError, "model has no dense layer"),
        (lambda: keras.Sequential([layers.Dense(3)]), ValueError, "is not built"),
        (
            lambda: sequential(layers.BatchNormalization()),
            TypeError,
            r"layers\[1\], BatchNormalization, is not",
        ),
        (lambda: sequential(Own(3)), TypeError, "Own, is not known"),
        (lambda: sequential(layers.LeakyReLU()), ValueError, "negative_slope=0.3; numbabp's .*=0.01"),
        (lambda: sequential(layers.ELU(alpha=2.0)), ValueError, "alpha=2.0"),
        (lambda: sequential(layers.ReLU(max_value=6.0)), ValueError, "max_value=6.0"),
        (lambda: sequential(layers.Dense(2, "leaky_relu")), TypeError, "slope 0.01, Keras' function 0.2"),
        (lambda: sequential(layers.Dense(2, "selu")), TypeError, "activation selu, which is not known"),
        (lambda: sequential(layers.Activation("relu"), layers.ReLU()), ValueError, "second activation"),
    ],
)
def test_what_is_no_network_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        nbp.from_keras(make())
