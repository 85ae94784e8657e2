"""The architecture of a network: all that is fixed before any parameter has a value."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from .checks.arguments import check_choice, check_dtype, check_layer_sizes, check_real
from .checks.finite import all_finite
from .compiler.arithmetic.numerics import FAST, NUMERICS, STRICT
from .functions.activations import ACTIVATIONS, HIDDEN_ACTIVATIONS
from .functions.losses import JOINT, LOSSES, METRICS, OUTPUT_ACTIVATION
from .kernels.layout import BIASES, FAN_IN, FAN_OUT, WEIGHTS, layout, n_units, transpose_layout
from .notebooks.layers import layers_as_html


@dataclass(frozen=True)
class Architecture:
    """Layer sizes, activations, loss and dtype, and what follows from them.

    It holds no parameters and is hashable: plans and kernels are chosen, and many networks trained, by their
    architecture. `checked` makes one of what users give.

    Attributes
    ----------
    layer_sizes : tuple of int
        (n_inputs, ..., n_outputs).
    activations : tuple of str
        One a layer, the output's last.
    loss : str
        Of `numbabp.functions.losses.LOSSES`.
    dtype : numpy.dtype
        float32 or float64: of the parameters and of all arithmetic.
    quantile : float
        Level of the quantile loss; 0.5 for other losses, which have none.
    numerics : str
        "fast"; "strict" for the same bits on every processor (docs/strict.md); or "approximate" for a GPU's
        own exponential in float32 (docs/gpu.md).
    """

    layer_sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    dtype: np.dtype
    quantile: float = 0.5
    numerics: str = FAST

    def __str__(self) -> str:
        sizes = "-".join(map(str, self.layer_sizes))
        level = f" {self.quantile:g}" if self.loss == "quantile" else ""
        return (
            f"{sizes}, {'/'.join(self.activations)}, {self.loss}{level}, {self.dtype}, "
            f"{self.n_parameters} parameters{'' if self.numerics == FAST else f', {self.numerics}'}"
        )

    @classmethod
    def checked(
        cls,
        layer_sizes: Sequence[int],
        hidden_activation: str | Sequence[str] = "sigmoid",
        output_activation: str | None = None,
        loss: str = "squared_error",
        dtype: Any = "float64",
        quantile: float = 0.5,
        numerics: str = FAST,
    ) -> "Architecture":
        """Architecture from arguments of `Network`.

        Raises
        ------
        ValueError, TypeError
            For an argument that is not allowed, naming it and what is.
        """
        sizes = check_layer_sizes(layer_sizes)
        check_choice("loss", loss, LOSSES)
        activations = _check_activations(hidden_activation, output_activation, loss, len(sizes) - 2)
        level = check_quantile(quantile, loss)
        check_choice("numerics", numerics, NUMERICS)
        return cls(sizes, activations, loss, check_dtype(dtype), level, numerics)

    def with_dtype(self, dtype: Any) -> "Architecture":
        """The same in another dtype."""
        return replace(self, dtype=check_dtype(dtype))

    @property
    def is_strict(self) -> bool:
        """Whether arithmetic is strict."""
        return self.numerics == STRICT

    @property
    def n_layers(self) -> int:
        """Layers with weights."""
        return len(self.activations)

    @property
    def n_inputs(self) -> int:
        """Columns of X."""
        return self.layer_sizes[0]

    @property
    def n_outputs(self) -> int:
        """Units of the output layer."""
        return self.layer_sizes[-1]

    @cached_property
    def n_weights(self) -> int:
        """Weights alone: the connections that CUPS counts."""
        return sum(fan_in * fan_out for fan_in, fan_out in pairwise(self.layer_sizes))

    @cached_property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return self.n_weights + sum(self.layer_sizes[1:])

    @property
    def nbytes(self) -> int:
        """Of the parameters of one network."""
        return self.n_parameters * self.dtype.itemsize

    @cached_property
    def layout(self) -> np.ndarray:
        """Where each layer's parameters and units lie, as kernels take it (`kernels.layout`)."""
        return layout(self.layer_sizes, tuple(ACTIVATIONS[name] for name in self.activations))

    @cached_property
    def transposed_layout(self) -> tuple[np.ndarray, int]:
        """The layout where narrow layers are transposed, and what that takes (`kernels.layout`)."""
        return transpose_layout(self.layout)

    @cached_property
    def n_units(self) -> int:
        """Length of kernels' arrays of units: the inputs and every layer's outputs, each on a cache line."""
        return n_units(self.layout)

    @property
    def loss_code(self) -> int:
        """The loss as kernels know it."""
        return LOSSES[self.loss]

    @property
    def is_classifying(self) -> bool:
        """Whether the loss is a cross-entropy, whose targets are probabilities."""
        return self.loss.endswith("cross_entropy")

    def metric_names(self, monitor: Sequence[str] = ()) -> list[str]:
        """What is recorded beside the loss: the metrics monitored, and for a cross-entropy the accuracy."""
        own = ["accuracy"] if self.is_classifying else []
        return list(dict.fromkeys([*monitor, *own]))

    @staticmethod
    def metric_codes(names: Sequence[str]) -> np.ndarray:
        """Metrics as kernels know them, int64 (n_metrics,)."""
        return np.array([METRICS[name] for name in names], np.int64)

    def check_finite(self, parameters: np.ndarray) -> None:
        """Refuse parameters T (..., n_parameters) that are not finite, of one network or of many.

        Raises
        ------
        ValueError
            It names the array of the first that is not.
        """
        if all_finite(parameters):
            return
        flat = parameters.reshape(-1)
        n_bad, first = int((~np.isfinite(flat)).sum()), int(np.argmin(np.isfinite(flat)))
        network, place = divmod(first, self.n_parameters)
        of = f" of network {network}" if parameters.ndim > 1 else ""
        for kind, shapes in (("weights", self.weights_of), ("biases", self.biases_of)):
            for layer, view in enumerate(shapes(np.arange(self.n_parameters))):
                if place in view:
                    index = ", ".join(map(str, np.argwhere(view == place)[0]))
                    raise ValueError(
                        f"{kind}[{layer}]{of} must be finite, but [{index}] is {flat[first]:g}; {n_bad} of "
                        f"the {flat.size} parameters are not finite. Assign finite ones."
                    )

    def weights_of(self, parameters: np.ndarray) -> tuple[np.ndarray, ...]:
        """Views of a network's weights, one of shape (fan_in, fan_out) a layer."""
        return tuple(
            parameters[row[WEIGHTS] : row[BIASES]].reshape(row[FAN_IN], row[FAN_OUT]) for row in self._rows
        )

    def biases_of(self, parameters: np.ndarray) -> tuple[np.ndarray, ...]:
        """Views of a network's biases, one of shape (fan_out,) a layer."""
        return tuple(parameters[row[BIASES] : row[BIASES] + row[FAN_OUT]] for row in self._rows)

    @cached_property
    def _rows(self) -> list[list[int]]:
        """Those of the layout in Python's integers, which index faster."""
        return self.layout.tolist()


class OfArchitecture:
    """What networks and populations tell of their architecture."""

    architecture: Architecture

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """(n_inputs, ..., n_outputs)."""
        return self.architecture.layer_sizes

    @property
    def activations(self) -> tuple[str, ...]:
        """One a layer, the output's last."""
        return self.architecture.activations

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self.architecture.loss

    @property
    def quantile(self) -> float:
        """Level of the quantile loss; 0.5 for other losses."""
        return self.architecture.quantile

    @property
    def dtype(self) -> np.dtype:
        """Of the parameters."""
        return self.architecture.dtype

    def _repr_html_(self) -> str:
        many = getattr(self, "n_networks", None)
        title = type(self).__name__ + ("" if many is None else f" of {many:,} networks")
        return layers_as_html(title, self.architecture)

    @property
    def numerics(self) -> str:
        """Fast or strict."""
        return self.architecture.numerics

    @property
    def n_layers(self) -> int:
        """Layers with weights."""
        return self.architecture.n_layers

    @property
    def n_inputs(self) -> int:
        """Columns of X."""
        return self.architecture.n_inputs

    @property
    def n_outputs(self) -> int:
        """Units of the output layer."""
        return self.architecture.n_outputs

    @property
    def n_parameters(self) -> int:
        """Weights and biases of one network."""
        return self.architecture.n_parameters

    @property
    def n_weights(self) -> int:
        """Weights of one network alone: the connections that CUPS counts."""
        return self.architecture.n_weights


def check_quantile(value: Any, loss: str) -> float:
    """A level between 0 and 1, both excluded; raise for one that the loss has no use for."""
    bounds = {"minimum": 0.0, "maximum": 1.0}
    level = check_real("quantile", value, **bounds, open_minimum=True, open_maximum=True)
    if loss != "quantile" and level != 0.5:
        raise ValueError(f"quantile={value!r} is for loss='quantile', but the loss is {loss!r}.")
    return level


def _check_activations(
    hidden: str | Sequence[str], output: str | None, loss: str, n_hidden: int
) -> tuple[str, ...]:
    names = [hidden] * n_hidden if isinstance(hidden, str) else hidden
    if isinstance(hidden, str):
        check_choice("hidden_activation", hidden, HIDDEN_ACTIVATIONS)
    elif not isinstance(hidden, Sequence):
        raise TypeError(f"hidden_activation must be a name or a sequence of names, got {hidden!r}.")
    if len(names) != n_hidden:
        raise ValueError(
            f"hidden_activation names {len(names)} activations, but there are {n_hidden} hidden layers."
        )
    for i, name in enumerate(names):
        check_choice(f"hidden_activation[{i}]", name, HIDDEN_ACTIVATIONS)
    own = OUTPUT_ACTIVATION[loss]
    if output is None:
        output = own
    check_choice("output_activation", output, ACTIVATIONS)
    if loss in JOINT and output != own:
        raise ValueError(f"output_activation={output!r} does not go with loss={loss!r}, which needs {own!r}.")
    return (*names, output)
