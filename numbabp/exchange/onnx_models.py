"""Models in ONNX: graphs of networks, and the files that they are kept in.

A network's input is X, (n, n_inputs); its output is "outputs", (n, n_outputs), as `Network.forward` has them,
or (n_networks, n, n_outputs) of a population. What belongs to the network and not to its outputs - loss,
layers, activations - is in the model's metadata.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..atomic_files import PathLike, write_atomically
from .onnx_activations import activate
from .onnx_graph import IR_VERSION, OPSET, Graph, Tensor, Value
from .peers import peer

INPUT, OUTPUTS = "X", "outputs"
N_SAMPLES = "n"
LARGEST = 2**31 - 1
"""Bytes of what protobuf writes, in which ONNX's files are."""


def of_networks(architecture: Architecture, parameters: np.ndarray) -> Any:
    """The model of a network with parameters T (n_parameters,), or of many, T (n_networks, n_parameters).

    Raises
    ------
    ValueError
        If it is more than ONNX's files can hold.
    """
    check_size(parameters)
    graph = Graph(architecture.dtype)
    _, outputs = network(graph.input(INPUT), architecture, parameters)
    graph.give(outputs, OUTPUTS)
    shape = (*parameters.shape[:-1], N_SAMPLES, architecture.n_outputs)
    given = Value(INPUT, architecture.dtype, (N_SAMPLES, architecture.n_inputs))
    return model(graph, given, [Value(OUTPUTS, architecture.dtype, shape)], facts(architecture))


def check_size(parameters: np.ndarray) -> None:
    """Raise ValueError for parameters that are more than ONNX's files can hold."""
    if parameters.nbytes > LARGEST - 2**20:  # that much may be anything else
        raise ValueError(f"parameters of {parameters.nbytes} bytes are too many: a file of ONNX holds 2 GiB.")


def network(inputs: Tensor, architecture: Architecture, parameters: np.ndarray) -> tuple[Tensor, Tensor]:
    """Add layers to the graph of inputs (n, n_inputs); pre-activations and outputs of the last one.

    Parameters T (..., n_parameters) are converted to the graph's dtype. Many networks' outputs come in their
    order, (n_networks, n, n_outputs).
    """
    graph, z, units = inputs.graph, inputs, inputs
    places = np.arange(architecture.n_parameters)
    for layer, (of_weights, of_biases, activation) in enumerate(
        zip(
            architecture.weights_of(places),
            architecture.biases_of(places),
            architecture.activations,
            strict=True,
        )
    ):
        W = parameters[..., of_weights].astype(graph.dtype)
        b = parameters[..., of_biases].astype(graph.dtype)
        if parameters.ndim > 1:
            b = b[:, np.newaxis]  # for each sample
        z = units @ graph.constant(W, f"weights{layer}") + graph.constant(b, f"biases{layer}")
        units = activate(activation, z)
    return z, units


def facts(architecture: Architecture) -> dict[str, str]:
    """Metadata of a network, as ONNX keeps it."""
    known: dict[str, Any] = {
        "layer_sizes": architecture.layer_sizes,
        "activations": architecture.activations,
        "loss": architecture.loss,
        "dtype": str(architecture.dtype),
    }
    if architecture.loss == "quantile":
        known["quantile"] = architecture.quantile
    return {
        f"numbabp_{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in known.items()
    }


def model(graph: Graph, given: Value, outputs: Sequence[Value], metadata: Mapping[str, str]) -> Any:
    """The graph as an onnx.ModelProto, checked by onnx.

    Raises
    ------
    ImportError
        If onnx is not installed.
    """
    onnx = peer("onnx", "to_onnx")
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            [
                onnx.helper.make_node(
                    node.operator, node.inputs, [node.output], name=node.output, **attributes(node.attributes)
                )
                for node in graph.nodes
            ],
            "numbabp",
            [_value_info(onnx, given)],
            [_value_info(onnx, value) for value in outputs],
            [tensor(name, array) for name, array in graph.constants.items()],
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="numbabp",
    )
    onnx.helper.set_model_props(made, dict(metadata))
    onnx.checker.check_model(made)
    return made


def attributes(of_node: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as ONNX has them, with its codes for dtypes."""
    return {name: code_of(value) if isinstance(value, np.dtype) else value for name, value in of_node.items()}


def code_of(dtype: np.dtype) -> int:
    """ONNX's code of a dtype; that of objects is the code of strings."""
    return peer("onnx", "to_onnx").helper.np_dtype_to_tensor_dtype(dtype)


def tensor(name: str, array: np.ndarray) -> Any:
    """An array as an onnx.TensorProto; objects in it are strings."""
    return peer("onnx", "to_onnx").numpy_helper.from_array(array, name)


def _value_info(onnx: Any, value: Value) -> Any:
    return onnx.helper.make_tensor_value_info(value.name, code_of(value.dtype), value.shape)


def written(made: Any, path: PathLike | None) -> Any:
    """The same model, written to a file, whole or not at all, if there is to be one."""
    if path is not None:
        content = made.SerializeToString()
        write_atomically(path, lambda file: file.write(content))
    return made
