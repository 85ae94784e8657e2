"""Dense layers and activations one after the other, as other libraries list them, made a network."""

from typing import NamedTuple

import numpy as np

from ..architecture import Architecture
from ..compiler.arrays import aligned_zeros
from ..functions.losses import JOINT, OUTPUT_ACTIVATION

IDENTITY = "identity"


class Parts(NamedTuple):
    """What `Network.of` makes a network of."""

    architecture: Architecture
    parameters: np.ndarray
    """T (n_parameters,), on a cache line; a copy."""


class Stack:
    """Layers that have been read so far; `where` in its methods says of what, for messages."""

    def __init__(self) -> None:
        self._wheres: list[str] = []
        self._weights: list[np.ndarray] = []
        self._biases: list[np.ndarray] = []
        self._activations: list[str | None] = []

    def dense(self, where: str, weights: np.ndarray, biases: np.ndarray | None) -> None:
        """Take a layer with weights T (fan_in, fan_out); without biases these are zero.

        Raises
        ------
        ValueError
            If it doesn't fit the layer before.
        """
        if biases is None:
            biases = np.zeros(weights.shape[1], weights.dtype)
        if self._weights and self._weights[-1].shape[1] != weights.shape[0]:
            raise ValueError(
                f"{where} takes {weights.shape[0]} inputs, but {self._wheres[-1]} has "
                f"{self._weights[-1].shape[1]} outputs."
            )
        self._wheres.append(where)
        self._weights.append(weights)
        self._biases.append(biases)
        self._activations.append(None)

    def activation(self, where: str, name: str) -> None:
        """Take an activation, which belongs to the layer before.

        Raises
        ------
        ValueError
            If there is none, or it has one.
        """
        if name == IDENTITY:
            return
        if not self._activations:
            raise ValueError(f"{where} is an activation of the inputs, before any dense layer.")
        if self._activations[-1] is not None:
            raise ValueError(
                f"{where} is a second activation after {self._wheres[-1]}, which has {self._activations[-1]}."
            )
        self._activations[-1] = name

    def parts(self, name: str, loss: str | None) -> Parts:
        """The network; `name` is the argument that it comes from.

        A loss that goes with one output activation alone gives it to an output layer that has none. Without a
        loss it is the one that goes with the output activation, else the squared error.

        Raises
        ------
        ValueError
            If there is no layer, for numbers other than float32 and float64 or that are not finite, and for a
            loss or activations that don't go together.
        """
        if not self._weights:
            raise ValueError(f"{name} has no dense layer.")
        dtypes = {array.dtype for array in (*self._weights, *self._biases)}
        if len(dtypes) > 1:
            names = ", ".join(sorted(str(dtype) for dtype in dtypes))
            raise ValueError(f"{name} has parameters of several dtypes, {names}; a network has one.")
        *hidden, output = self._activations
        if loss is None:
            loss = _loss_of(output)
        elif output is None and loss in JOINT:
            output = OUTPUT_ACTIVATION[loss]
        architecture = Architecture.checked(
            [len(self._weights[0]), *(len(biases) for biases in self._biases)],
            [activation or IDENTITY for activation in hidden],
            output or IDENTITY,
            loss,
            dtypes.pop(),
        )
        parameters = aligned_zeros(architecture.n_parameters, architecture.dtype)
        for views, arrays in (
            (architecture.weights_of(parameters), self._weights),
            (architecture.biases_of(parameters), self._biases),
        ):
            for view, array in zip(views, arrays, strict=True):
                view[...] = array
        architecture.check_finite(parameters)
        return Parts(architecture, parameters)


def _loss_of(output: str | None) -> str:
    """The loss that an output activation belongs to."""
    return next((loss for loss in JOINT if OUTPUT_ACTIVATION[loss] == output), "squared_error")
