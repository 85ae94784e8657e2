"""What estimators compute, in ONNX: from X as it comes to labels and probabilities, or to numbers."""

from typing import Any

import numpy as np

from ..architecture import Architecture
from ..atomic_files import PathLike
from ..checks.arguments import check_dtype
from ..exchange.onnx_activations import activate
from ..exchange.onnx_graph import Graph, Tensor, Value
from ..exchange.onnx_models import INPUT, N_SAMPLES, check_size, facts, model, network, written
from ..network import Network
from .standardizing import Standardization
from .targets import Labels, Numbers, Targets
from .training.fitting import Fitted

LABEL, PROBABILITIES, PREDICTION = "label", "probabilities", "prediction"


def export(fitted: Fitted, inner: Network, dtype: Any, path: PathLike | None) -> Any:
    """An estimator's model, with arithmetic of a dtype or else the network's, also in a file if one is named.

    Raises
    ------
    ValueError
        For a dtype that a network can't have, and parameters that are not finite or too many.
    TypeError
        For labels that ONNX does not have.
    """
    architecture = inner.architecture if dtype is None else inner.architecture.with_dtype(check_dtype(dtype))
    check_size(inner.parameters)
    graph = Graph(architecture.dtype)
    made = outputs(graph.input(INPUT), fitted, inner)
    for name, tensor in made.items():
        graph.give(tensor, name)
    given = Value(INPUT, architecture.dtype, (N_SAMPLES, architecture.n_inputs))
    values = values_of(fitted, architecture)
    return written(model(graph, given, values, facts(architecture)), path)


def outputs(X: Tensor, fitted: Fitted, inner: Network) -> dict[str, Tensor]:
    """Add what an estimator computes to a graph, for X (n, n_features) of any dtype.

    Returns
    -------
    dict
        "label" and "probabilities" of a classifier, "prediction" of a regressor, in the shapes of `predict`
        and `predict_proba`.
    """
    inner.architecture.check_finite(inner.parameters)
    z, a = network(_standardised(X, fitted.standardization), inner.architecture, inner.parameters)
    if isinstance(fitted.targets, Numbers):
        numbers = _in_units_of_targets(a, fitted.standardization)
        return {
            PREDICTION: numbers.of("Reshape", np.array([-1])) if fitted.targets.n_outputs == 1 else numbers
        }
    label, probabilities = _of_labels(fitted.targets, inner.architecture.activations[-1], z, a)
    return {LABEL: label, PROBABILITIES: probabilities}


def values_of(fitted: Fitted, architecture: Architecture) -> list[Value]:
    """What `outputs` are, for a network of that dtype."""
    targets, dtype = fitted.targets, architecture.dtype
    if isinstance(targets, Numbers):
        shape = (N_SAMPLES,) if targets.n_outputs == 1 else (N_SAMPLES, targets.n_outputs)
        return [Value(PREDICTION, fitted.standardization.dtype_of_outputs(dtype), shape)]
    n_classes = len(targets.classes)
    of_label = (N_SAMPLES, n_classes) if targets.multilabel else (N_SAMPLES,)
    return [
        Value(LABEL, _constants(targets).dtype, of_label),
        Value(PROBABILITIES, dtype, (N_SAMPLES, n_classes)),
    ]


def _standardised(X: Tensor, standardization: Standardization) -> Tensor:
    """In the graph's dtype, worked out in float64 as `Standardization.of_inputs` does."""
    of = standardization.inputs
    if of is None:
        return X.as_type(X.graph.dtype)
    return ((X.as_type(np.float64) - of.shift) / of.scale).as_type(X.graph.dtype)


def _in_units_of_targets(a: Tensor, standardization: Standardization) -> Tensor:
    """As `Standardization.of_outputs` does."""
    if standardization.targets is None:
        return a
    mean, scale = standardization.back
    dtype = standardization.dtype_of_outputs(a.graph.dtype)
    return (a.as_type(np.float64) * scale + mean).as_type(dtype)


def _of_labels(labels: Labels, output_activation: str, z: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Labels and probabilities, as `Labels.decode` and `Labels.probabilities` have them."""
    if labels.multilabel:
        return a.of("Greater", 0.5).as_type(np.int64), a
    if labels.n_outputs == 1 and len(labels.classes) == 2:
        index = a.of("Greater", 0.5).as_type(np.int64).of("Reshape", np.array([-1]))
        probabilities = (1.0 - a).of("Concat", a, axis=1)
    else:
        index = a.of("ArgMax", axis=1, keepdims=0)
        if output_activation == "softmax":
            probabilities = a
        elif len(labels.classes) == 1:
            probabilities = a * 0.0 + 1.0
        else:  # one sigmoid a class, by their logarithms: every one may be 0
            probabilities = (-activate("softplus", -z)).of("Softmax", axis=-1)
    return a.graph.constant(_constants(labels), "classes").of("Gather", index), probabilities


def _constants(targets: Targets) -> np.ndarray:
    """A classifier's labels as ONNX has them: int64 where they are numbers, else strings."""
    assert isinstance(targets, Labels)
    classes = targets.classes
    if targets.numeric:
        return classes.astype(np.int64)
    if not all(isinstance(label, str) for label in classes.tolist()):
        raise TypeError(f"labels must be numbers or strings for ONNX, got {classes.tolist()}.")
    return classes.astype(object)
