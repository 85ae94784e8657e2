"""What is to be written: a network with what stands before and behind it, and how it is to learn."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...architecture import Architecture
from ...checks.arguments import check_choice, check_path
from ...options import LINEAR_RULES, Options

SUFFIXES = (".c", ".h")


class Affine(NamedTuple):
    """Inputs x' = (x - shift) * factor, or outputs y = y' * factor + shift; float64 (n_columns,)."""

    shift: np.ndarray
    factor: np.ndarray

    @classmethod
    def dividing(cls, shift: np.ndarray, scale: np.ndarray, dtype: np.dtype) -> "Affine":
        """Of inputs (x - shift) / scale; an infinite scale leaves a column out.

        Raises
        ------
        ValueError
            If the dtype can't hold a factor.
        """
        with np.errstate(over="ignore"):
            factor = 1 / scale
            too_large = ~np.isfinite(factor.astype(dtype))
        if too_large.any():
            column = int(np.argmax(too_large))
            raise ValueError(
                f"column {column} has a scale of {scale[column]:g}, too small to divide by in {dtype}: "
                "give it in another unit."
            )
        return cls(shift, factor)


class Layer(NamedTuple):
    """One layer, as its place in the source has it."""

    number: int
    """From 1."""
    start: int
    """Where its parameters begin."""
    fan_in: int
    fan_out: int
    activation: str


@dataclass(frozen=True)
class Program:
    """A network to be written as C.

    Attributes
    ----------
    architecture : Architecture
    parameters : ndarray
        T (n_parameters,), as the network has them.
    name : str
        What all names in the source begin with.
    is_header : bool
        Whether it is to be included, and not compiled by itself.
    learning : Options, optional
        How it is to learn, if it is to.
    inputs : Affine, optional
        What is done to inputs first.
    outputs : Affine, optional
        What has been done to targets, and is undone in outputs.
    classifies : bool
        Whether the outputs are one class's each, or for one output the second class's of two.
    classes : sequence, optional
        Their labels, to be told in a comment.
    input_names : sequence of str
        What the inputs are, likewise.
    samples : tuple of two ndarrays, optional
        Inputs as users have them, (n, n_inputs), and their outputs, (n, n_outputs), to be compared.
    """

    architecture: Architecture
    parameters: np.ndarray
    name: str
    is_header: bool
    learning: Options | None = None
    inputs: Affine | None = None
    outputs: Affine | None = None
    classifies: bool = False
    classes: Sequence[Any] | None = None
    input_names: Sequence[str] = ()
    samples: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def layers(self) -> list[Layer]:
        """Of the architecture."""
        layers, start = [], 0
        sizes = pairwise(self.architecture.layer_sizes)
        for i, ((fan_in, fan_out), activation) in enumerate(
            zip(sizes, self.architecture.activations, strict=True)
        ):
            layers.append(Layer(i + 1, start, fan_in, fan_out, activation))
            start += (fan_in + 1) * fan_out
        return layers

    @property
    def rows(self) -> list[np.ndarray]:
        """Parameters as the source has them: layer by layer and unit by unit, the bias and then the weights.

        So a unit's sum runs through them as they lie, forwards, backwards and when they are updated.
        """
        architecture = self.architecture
        of_layers = zip(
            architecture.weights_of(self.parameters), architecture.biases_of(self.parameters), strict=True
        )
        return [np.concatenate([[bias], row]) for W, b in of_layers for bias, row in zip(b, W.T, strict=True)]


def decides(architecture: Architecture) -> bool:
    """Whether `Network.predict` gives the index of a class."""
    if architecture.loss == "binary_cross_entropy":
        return architecture.n_outputs == 1
    return architecture.activations[-1] == "softmax"


def check_destination(path: Any) -> Path:
    """Where to write a source file or a header."""
    check_path("path", path)
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"path must end in .c or .h, got {str(path)!r}.")
    return path


def check_name(name: Any) -> str:
    """What names in C can begin with, and what makes names of macros in capitals."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {name!r} of type {type(name).__name__}.")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(
            f"name must be an identifier of C, ASCII letters, digits and _ after a letter, got {name!r}."
        )
    return name


OF_LEARNING = ("learning_rate", "update_rule", "momentum")
"""Options of a step that the source knows."""


def check_learning(training: bool, given: dict[str, Any]) -> Options | None:
    """How to learn, from the arguments of `to_c` for that.

    Raises
    ------
    ValueError
        For one without `training`, or an update rule whose steps are not linear in the gradients.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if not training:
        if given:
            raise ValueError(f"{next(iter(given))} is for training=True.")
        return None
    if "update_rule" in given:
        check_choice("update_rule", given["update_rule"], LINEAR_RULES)
    return Options(**given)
