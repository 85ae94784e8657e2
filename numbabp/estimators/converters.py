"""Converters of the estimators for skl2onnx, with which they stand in its pipelines."""

from typing import Any

import numpy as np

from ..exchange.onnx_graph import Graph, Tensor
from ..exchange.onnx_models import attributes, code_of, tensor
from ..exchange.peers import peer
from .classifier import MLPClassifier
from .onnx import LABEL, PREDICTION, PROBABILITIES
from .regressor import MLPRegressor

OPTIONS = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [False]}
"""What users may ask of classifiers, as of skl2onnx's own; labels are always in the model."""


def register_with_skl2onnx() -> None:
    """Make skl2onnx know `MLPClassifier` and `MLPRegressor`, also as steps of pipelines.

    Once in a process, before ``skl2onnx.to_onnx(pipeline, X)``. Arithmetic is of X's dtype, float32 or
    float64, as with skl2onnx's own converters; standardisation inside is in float64. For a classifier and
    float64 say ``options={"zipmap": False}``: ONNX has dicts of probabilities in float32 alone.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    """
    register = peer("skl2onnx", "register_with_skl2onnx").update_registered_converter
    of_classifier = _shapes_of_classifier, _convert_classifier
    register(MLPClassifier, "NumbabpMLPClassifier", *of_classifier, options=OPTIONS)
    register(MLPRegressor, "NumbabpMLPRegressor", _shape_of_regressor, _convert_regressor)


def _shapes_of_classifier(operator: Any) -> None:
    """Labels (n,) and probabilities (n, n_classes); of several labels a sample both (n, n_labels)."""
    common = peer("skl2onnx", "register_with_skl2onnx").common
    common.shape_calculator.calculate_linear_classifier_output_shapes(operator)
    model = operator.raw_operator
    if model.has_several_labels:
        shape = [operator.inputs[0].get_first_dimension(), len(model.classes_)]
        operator.outputs[0].set_type(common.data_types.Int64TensorType(shape))


def _shape_of_regressor(operator: Any) -> None:
    """(n, n_outputs), in float64 where float32 is too coarse for the targets."""
    types = peer("skl2onnx", "register_with_skl2onnx").common.data_types
    model = operator.raw_operator
    is_double = model.dtype_in_onnx(_dtype_of(operator)) == np.float64
    of = types.DoubleTensorType if is_double else types.FloatTensorType
    operator.outputs[0].set_type(of([operator.inputs[0].get_first_dimension(), model.n_outputs_]))


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph, X = _begun(scope, operator)
    made = operator.raw_operator.in_onnx(X)
    for name, output in zip((LABEL, PROBABILITIES), operator.outputs, strict=True):
        graph.give(made[name], output.full_name)
    _pour(graph, scope, container)


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    graph, X = _begun(scope, operator)
    columns = model.in_onnx(X)[PREDICTION].of("Reshape", np.array([-1, model.n_outputs_]))
    graph.give(columns, operator.outputs[0].full_name)
    _pour(graph, scope, container)


def _begun(scope: Any, operator: Any) -> tuple[Graph, Tensor]:
    graph = Graph(_dtype_of(operator), scope.get_unique_variable_name)
    return graph, graph.input(operator.inputs[0].full_name)


def _dtype_of(operator: Any) -> np.dtype:
    """Of the network's arithmetic: float64 where inputs are, else float32."""
    types = peer("skl2onnx", "register_with_skl2onnx").common.data_types
    is_double = isinstance(operator.inputs[0].type, types.DoubleTensorType)
    return np.dtype(np.float64 if is_double else np.float32)


def _pour(graph: Graph, scope: Any, container: Any) -> None:
    """Add constants and nodes to skl2onnx's graph."""
    for name, array in graph.constants.items():
        is_text = array.dtype == object
        content = [label.encode() for label in array.tolist()] if is_text else tensor(name, array)
        container.add_initializer(name, code_of(array.dtype), array.shape, content)
    for node in graph.nodes:
        named = scope.get_unique_operator_name(node.operator)
        container.add_node(
            node.operator, node.inputs, [node.output], name=named, **attributes(node.attributes)
        )
