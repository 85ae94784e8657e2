"""Where a network's parameters and units lie in the flat arrays that kernels work on.

A `layout` row says where each layer's part lies. Offsets are unsigned, because a signed index may be negative
and count from the end, which keeps LLVM from seeing contiguous memory: with them the loops over `k`
vectorise, without slices, whose reference counts cost more than a tiny network's whole step (96 ns against
420 at 2-10-1).
"""

import numpy as np

# Columns of a layout.
FAN_IN, FAN_OUT, WEIGHTS, BIASES, INPUTS, OUTPUTS, ACTIVATION, FORM = range(8)
# Forms of a layer while a kernel runs: weights (fan_in, fan_out) row by row; transposed, for vectors along
# the longer side; row by row and updated only once a sub-block (see blocked.py).
BY_ROWS, BY_COLUMNS, DELAYED = range(3)

ZERO, ONE, TWO, THREE, FOUR = map(np.uint64, range(5))
"""Unsigned, as offsets are: a signed number added to one would make it float64."""

NARROW = 15
"""Widest layer that kernels transpose while they run: one of fewer outputs leaves vectors half empty.

784-128-10 took 0.9 of the time in float32, 64-32-10 0.8.
"""


def layout(layer_sizes: tuple[int, ...], activation_codes: tuple[int, ...]) -> np.ndarray:
    """Where each layer's parameters and units lie.

    Parameters
    ----------
    layer_sizes
        (n_inputs, ..., n_outputs).
    activation_codes
        One code from `numbabp.functions.activations.ACTIVATIONS` a layer.

    Returns
    -------
    ndarray of uint64, shape (n_layers, 8)
        Fan-in, fan-out, offsets of weights and biases in the parameters, offsets of the layer's inputs and
        outputs among the units (the network's inputs come first, each layer on a cache line), activation
        code, form.
    """
    rows = []
    parameter, unit = 0, 0
    outputs = _padded(layer_sizes[0])
    for fan_in, fan_out, code in zip(layer_sizes, layer_sizes[1:], activation_codes, strict=False):
        biases = parameter + fan_in * fan_out
        form = BY_COLUMNS if fan_out == 1 else BY_ROWS  # with one output they are the same
        rows.append((fan_in, fan_out, parameter, biases, unit, outputs, code, form))
        parameter, unit, outputs = biases + fan_out, outputs, outputs + _padded(fan_out)
    return np.array(rows, dtype=np.uint64)


def _padded(n: int) -> int:
    """Units that a layer of n takes up: each layer begins on a cache line (numbabp.compiler.arrays.LINE)."""
    return -(-n // 16) * 16


def n_parameters(layout: np.ndarray) -> int:
    """Weights and biases of all layers."""
    return int(layout[-1, BIASES] + layout[-1, FAN_OUT])


def n_units(layout: np.ndarray) -> int:
    """Length of the arrays of units that belong to a layout."""
    return int(layout[-1, OUTPUTS]) + _padded(int(layout[-1, FAN_OUT]))


def transpose_layout(layout: np.ndarray) -> tuple[np.ndarray, int]:
    """The layout with narrow layers `BY_COLUMNS`, and how many weights the largest one of them has."""
    fan_in, fan_out = layout[:, FAN_IN], layout[:, FAN_OUT]
    narrow = (fan_out <= NARROW) & (fan_out < fan_in)
    transposed = layout.copy()
    transposed[narrow, FORM] = BY_COLUMNS
    return transposed, int((fan_in * fan_out)[narrow].max(initial=0))
