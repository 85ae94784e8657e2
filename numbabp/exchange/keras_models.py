"""Keras' models: a network as a Sequential of Dense layers, and such a one as a network.

Activations that the two define alike are named in Dense; what Keras has with other constants by default - its
leaky_relu has slope 0.2, or 0.3 as a layer - is a layer of its own behind it. Over PyTorch and JAX Keras'
products are of float32, whatever is multiplied (BIT64_TO_BIT32_DTYPE in Keras 3): models of float64 agree to
float32's rounding there. Over TensorFlow they agree to their own, but for leaky_relu and gelu, of which that
has the constants in float32.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..functions.activations import LEAKY_RELU_SLOPE
from .peers import peer
from .stacks import IDENTITY, Parts, Stack

OF_KERAS: dict[str, str] = {
    "linear": IDENTITY,
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "elu": "elu",
    "softplus": "softplus",
    "silu": "silu",
    "gelu": "gelu",
    "softmax": "softmax",
    "exponential": "exp",
}
"""Activations by the names of functions in keras.activations, with their defaults."""
_OF_DENSE = {name: own for own, name in OF_KERAS.items()}

LAYERS: dict[str, tuple[dict[str, Any], str]] = {
    "ReLU": ({"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, "relu"),
    "LeakyReLU": ({"negative_slope": LEAKY_RELU_SLOPE}, "leaky_relu"),
    "ELU": ({"alpha": 1.0}, "elu"),
    "Softmax": ({"axis": -1}, "softmax"),
}
"""Layers that are activations, with the constants that numbabp's have."""
NOTHING = ("InputLayer", "Dropout", "GaussianDropout", "GaussianNoise", "AlphaDropout")
"""Layers that change nothing but while Keras trains."""


def to_sequential(architecture: Architecture, parameters: np.ndarray) -> Any:
    """A built keras.Sequential with copies of parameters T (n_parameters,)."""
    keras = peer("keras", "to_keras")
    dtype = str(architecture.dtype)
    layers = [keras.layers.Input((architecture.n_inputs,), dtype=dtype)]
    for n_units, activation in zip(architecture.layer_sizes[1:], architecture.activations, strict=True):
        own = _OF_DENSE.get(activation, "linear")
        layers.append(keras.layers.Dense(n_units, activation=own, dtype=dtype))
        if activation == "leaky_relu":
            layers.append(keras.layers.LeakyReLU(negative_slope=LEAKY_RELU_SLOPE, dtype=dtype))
    model = keras.Sequential(layers)
    weights, biases = architecture.weights_of(parameters), architecture.biases_of(parameters)
    model.set_weights([part for pair in zip(weights, biases, strict=True) for part in pair])
    return model


def of_model(model: Any, loss: str | None) -> Parts:
    """What a keras.Sequential of Dense layers, activations and Sequentials computes.

    Raises
    ------
    TypeError
        If it is none, or has a layer or an activation of another kind.
    ValueError
        If it is not built, has no network's shape, or an activation has other constants.
    """
    keras = peer("keras", "from_keras")
    if not isinstance(model, keras.Sequential):
        raise TypeError(f"model must be a keras.Sequential, got {model!r} of type {type(model).__name__}.")
    stack = Stack()
    for where, layer in _in_order(keras, "model", model):
        named = f"{where}, {type(layer).__name__},"
        if type(layer) is keras.layers.Dense:
            stack.dense(named, *_arrays(keras, named, layer))
            stack.activation(named, _of_function(keras, named, layer.activation))
        elif type(layer) is keras.layers.Activation:
            stack.activation(named, _of_function(keras, named, layer.activation))
        elif not _is_of(keras, layer, NOTHING):
            stack.activation(named, _of_layer(keras, named, layer))
    return stack.parts("model", loss)


def _in_order(keras: Any, where: str, model: Any) -> Iterator[tuple[str, Any]]:
    """Layers that are no Sequentials, and where they are."""
    for i, layer in enumerate(model.layers):
        named = f"{where}.layers[{i}]"
        if isinstance(layer, keras.Sequential):
            yield from _in_order(keras, named, layer)
        else:
            yield named, layer


def _arrays(keras: Any, named: str, layer: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights and biases, or None for the latter, of a Dense layer."""
    if not layer.built:
        raise ValueError(f"{named} is not built: its number of inputs is not known yet.")
    if getattr(layer, "quantization_mode", None):
        raise ValueError(f"{named} is quantised ({layer.quantization_mode}).")
    to_numpy = keras.ops.convert_to_numpy
    return to_numpy(layer.kernel), None if layer.bias is None else to_numpy(layer.bias)


def _is_of(keras: Any, layer: Any, names: Any) -> bool:
    """Whether a layer is of one of Keras' own classes of these names, and not of one derived from it."""
    name = type(layer).__name__
    return name in names and type(layer) is getattr(keras.layers, name)


def _of_function(keras: Any, named: str, function: Any) -> str:
    """Of the activation of a layer."""
    for own, name in OF_KERAS.items():
        if function is getattr(keras.activations, own):
            return name
    told = getattr(function, "__name__", repr(function))
    hint = " (numbabp's has slope 0.01, Keras' function 0.2)" if told == "leaky_relu" else ""
    allowed = ", ".join(OF_KERAS)
    raise TypeError(f"{named} has the activation {told}{hint}, which is not known; allowed: {allowed}.")


def _of_layer(keras: Any, named: str, layer: Any) -> str:
    """Of a layer that is an activation."""
    if not _is_of(keras, layer, LAYERS):
        allowed = ", ".join(["Dense", "Activation", *LAYERS, "Dropout", "Sequential"])
        raise TypeError(f"{named} is not known; allowed: {allowed}.")
    wanted, name = LAYERS[type(layer).__name__]
    found = {key: getattr(layer, key) for key in wanted}
    if found != wanted:
        raise ValueError(f"{named} has {_described(found)}; numbabp's {name} needs {_described(wanted)}.")
    return name


def _described(arguments: dict[str, Any]) -> str:
    """Arguments as they are written in a call."""
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
