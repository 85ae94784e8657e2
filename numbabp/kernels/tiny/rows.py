"""How a network lies in the tiny kernel's scratch: rows as long as the vector of its hidden units."""

from typing import Any, NamedTuple

import numpy as np

from ...compiler.arrays import LINE
from ...compiler.compiling import scalar_function, subroutine
from ...compiler.vectors import load_of, store
from ..layout import BIASES, FAN_IN, FAN_OUT, TWO, WEIGHTS

LINES = (1, 2, 4)
"""Lengths of the vectors of hidden units."""
MOST_OUTPUTS = 16
"""That are a vector."""


class Form(NamedTuple):
    """What a network is compiled for."""

    width: Any  # `constants.known`, how many numbers its vectors have
    velocities: Any  # T (tiny_scratch,), beginning as 0, whose rows are the weights'; None for sgd


def tiny_widths(itemsize: int) -> tuple[int, ...]:
    """Numbers in the vectors, for a dtype of so many bytes; the last is the most units that there may be."""
    return tuple(lines * LINE // itemsize for lines in LINES)


def tiny_width(n_hidden: int, itemsize: int) -> int:
    """Numbers in the vector of so many hidden units."""
    return next(width for width in tiny_widths(itemsize) if width >= n_hidden)


def tiny_scratch(layer_sizes: tuple[int, ...], width: int) -> int:
    """Numbers in `Model.scratch`, which have to begin as 0: see `rows_of`."""
    n_inputs, _, n_outputs = layer_sizes
    return (n_inputs + n_outputs + 2) * width + 2 * MOST_OUTPUTS


@scalar_function
def rows_of(model: Any, padded: Any) -> Any:
    """Where rows of the scratch begin.

    Each as long as the vector: weights by the inputs; from the first number on, those by the outputs; from
    the second on, the hidden units' biases, and ones where there is a unit. From the third on `MOST_OUTPUTS`
    each: targets, and ones where there is an output.
    """
    columns = model.layout[0, FAN_IN] * padded
    biases = columns + model.layout[1, FAN_OUT] * padded
    return columns, biases, biases + TWO * padded


@subroutine
def _load_numbers(model: Any, parameters: Any, rows: Any, padded: Any) -> None:
    """Parameters, or the velocities that belong to them, to rows of the scratch."""
    hidden, output = model.layout[0], model.layout[1]
    columns, biases, targets = rows_of(model, padded)
    n = hidden[FAN_OUT]
    for k in range(n):
        for i in range(hidden[FAN_IN]):
            rows[i * padded + k] = parameters[hidden[WEIGHTS] + i * n + k]
        for o in range(output[FAN_OUT]):
            rows[columns + o * padded + k] = parameters[output[WEIGHTS] + k * output[FAN_OUT] + o]
        rows[biases + k] = parameters[hidden[BIASES] + k]
        rows[biases + padded + k] = 1
    for o in range(min(output[FAN_OUT], np.uint64(MOST_OUTPUTS))):
        rows[targets + np.uint64(MOST_OUTPUTS) + o] = 1


@subroutine
def _unload_numbers(model: Any, parameters: Any, rows: Any, padded: Any) -> None:
    """The other way."""
    hidden, output = model.layout[0], model.layout[1]
    columns, biases, _ = rows_of(model, padded)
    n = hidden[FAN_OUT]
    for k in range(n):
        for i in range(hidden[FAN_IN]):
            parameters[hidden[WEIGHTS] + i * n + k] = rows[i * padded + k]
        for o in range(output[FAN_OUT]):
            parameters[output[WEIGHTS] + k * output[FAN_OUT] + o] = rows[columns + o * padded + k]
        parameters[hidden[BIASES] + k] = rows[biases + k]


@subroutine
def load(model: Any, velocities: Any, padded: Any) -> None:
    """Parameters, and velocities if there are any, to the scratch."""
    _load_numbers(model, model.parameters, model.scratch, padded)
    if velocities is not None:
        _load_numbers(model, model.moments[0], velocities, padded)


@subroutine
def unload(model: Any, velocities: Any, padded: Any) -> None:
    """The other way."""
    _unload_numbers(model, model.parameters, model.scratch, padded)
    if velocities is not None:
        _unload_numbers(model, model.moments[0], velocities, padded)


@scalar_function
def load_bias(velocities: Any, rows: Any, at: Any, width: Any) -> Any:
    """The hidden units' biases, and their velocities, or 0 without."""
    bias = load_of(rows, at, width)
    return bias, bias - bias if velocities is None else load_of(velocities, at, width)


@scalar_function
def keep_bias(velocities: Any, rows: Any, at: Any, bias: Any, of_bias: Any) -> None:
    """The other way."""
    store(rows, at, bias)
    if velocities is not None:
        store(velocities, at, of_bias)
