"""One step of per-sample SGD with all its numbers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..architecture import Architecture
from ..functions.losses import JOINT
from . import report
from .gradients import Gradients

DELTA_OF_JOINT = {
    "binary_cross_entropy": "a - y",
    "categorical_cross_entropy": "a sum(y) - y",
    "poisson": "a - y",
}


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """What one step of per-sample SGD computes, from the inputs to the updated weights.

    `print` shows all of it in the order of the computation, a notebook as tables. The numbers are those of
    the training loop's own functions, in the network's dtype T. Layers are counted from 0, as in
    `Network.weights`.

    Attributes
    ----------
    architecture : Architecture
        The network's.
    inputs : ndarray T (n_inputs,)
        x.
    targets : ndarray T (n_outputs,)
        y; of a class index, its row of 0 and 1.
    weights, biases : tuple of ndarray
        Before the step.
    z : tuple of ndarray T (fan_out,)
        Pre-activations of each layer, z = a W + b with the activations a of the layer below, or x.
    a : tuple of ndarray T (fan_out,)
        Activations of each layer, a = f(z); the last are the outputs.
    loss : float
        Of this sample, before the step.
    delta : tuple of ndarray T (fan_out,)
        dLoss/dz of each layer.
    gradients : Gradients
        dLoss/dW, the outer product of the activations below and delta; and dLoss/db, which is delta.
    learning_rate : float or None
        Of the update; None for none.
    propagate : str
        "exact", or "updated" where delta went back through the weights of the update.
    new_weights, new_biases : tuple of ndarray, or None
        W - learning_rate dLoss/dW and b - learning_rate dLoss/db.
    """

    architecture: Architecture
    inputs: np.ndarray
    targets: np.ndarray
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    z: tuple[np.ndarray, ...]
    a: tuple[np.ndarray, ...]
    loss: float
    delta: tuple[np.ndarray, ...]
    gradients: Gradients
    learning_rate: float | None = None
    propagate: str = "exact"
    new_weights: tuple[np.ndarray, ...] | None = None
    new_biases: tuple[np.ndarray, ...] | None = None

    @property
    def outputs(self) -> np.ndarray:
        """Activations of the last layer, T (n_outputs,)."""
        return self.a[-1]

    def __repr__(self) -> str:
        rate = "no update" if self.learning_rate is None else f"learning rate {self.learning_rate:g}"
        return f"<Trace of a step of {self.architecture}: loss {self.loss:.6g}, {rate}>"

    def __str__(self) -> str:
        return report.as_text(parts_of(self))

    def _repr_html_(self) -> str:
        return report.as_html(parts_of(self))


def parts_of(trace: Trace) -> Iterator[report.Part]:
    """The parts of a trace in the order of the computation."""
    of = trace.architecture
    sizes = "-".join(map(str, of.layer_sizes))
    inputs = report.Table(_heads("x", trace.inputs), [("inputs", trace.inputs)])
    yield report.Part(f"One step of a {sizes} network", "", [inputs])
    last = of.n_layers - 1
    for layer, name in enumerate(of.activations):
        below = _below(layer)
        n, kind = len(trace.z[layer]), "output" if layer == last else "hidden unit"
        tables = _tables(
            below,
            ("W", trace.weights[layer]),
            ("b", trace.biases[layer]),
            ("z", trace.z[layer]),
            ("a", trace.a[layer]),
        )
        title = f"Forward, layer {layer}: {n} {kind}{'s' if n > 1 else ''}, {name}"
        yield report.Part(title, f"z = {below} W + b,  a = {name}(z)", tables)
    heads = [f"unit {k}" for k in range(len(trace.targets))]
    loss = report.Table(heads, [("y", trace.targets), ("a", trace.outputs)])
    yield report.Part(f"Loss: {of.loss} = {trace.loss:.10g}", "", [loss])
    for layer in reversed(range(of.n_layers)):
        yield _backward(trace, layer)


def _backward(trace: Trace, layer: int) -> report.Part:
    """Delta of a layer, its gradients, and where there is an update the new parameters."""
    of, last = trace.architecture, trace.architecture.n_layers - 1
    name = of.activations[layer]
    if layer == last:
        delta = DELTA_OF_JOINT[of.loss] if of.loss in JOINT else f"dLoss/da {name}'(z)"
    else:
        through = "new W" if trace.propagate == "updated" else "W"
        delta = f"({through} delta of layer {layer + 1}) {name}'(z)"
    below = _below(layer)
    formula = f"delta = {delta},  dLoss/dW = outer({below}, delta),  dLoss/db = delta"
    gradients = trace.gradients
    rows = [
        ("delta", trace.delta[layer]),
        ("dLoss/dW", gradients.weights[layer]),
        ("dLoss/db", gradients.biases[layer]),
    ]
    title = f"Backward, layer {layer}"
    if trace.new_weights is not None and trace.new_biases is not None:
        title += f", and update at learning rate {trace.learning_rate:g}"
        formula += ",  new = old - rate dLoss/d(old)"
        rows += [("new W", trace.new_weights[layer]), ("new b", trace.new_biases[layer])]
    return report.Part(title, formula, _tables(below, *rows))


def _below(layer: int) -> str:
    """What a layer's inputs are called."""
    return "x" if layer == 0 else f"a[{layer - 1}]"


def _heads(name: str, values: np.ndarray) -> list[str]:
    return [f"{name}[{k}]" for k in range(len(values))]


def _tables(below: str, *rows: tuple[str, np.ndarray]) -> list[report.Table]:
    """A column a unit, for values (fan_out,) and for weights (fan_in, fan_out), which are a row an input.

    Weights of an only unit are a row of their own table, with a column an input.
    """
    weights = [(name, values) for name, values in rows if values.ndim == 2]
    fan_in, fan_out = weights[0][1].shape
    heads = [f"unit {k}" for k in range(fan_out)]
    if fan_out == 1 < fan_in:
        of_inputs = report.Table(_heads(below, weights[0][1]), [(name, w[:, 0]) for name, w in weights])
        of_unit = report.Table(heads, [(name, values) for name, values in rows if values.ndim == 1])
        return [of_inputs, of_unit] if rows[0][1].ndim == 2 else [of_unit, of_inputs]
    shown: list[tuple[str, np.ndarray]] = []
    for name, values in rows:
        shown += [(name, values)] if values.ndim == 1 else _rows_of(name, below, values)
    return [report.Table(heads, shown)]


def _rows_of(name: str, below: str, weights: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """A row for each unit below."""
    return [(f"{name} from {below}[{i}]", row) for i, row in enumerate(weights)]
