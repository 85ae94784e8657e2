"""Outputs of many networks of one architecture, for samples in the host's memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..kernels.inference import activate_rows
from ..kernels.layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, WEIGHTS
from ..network import Network
from ..training.population_loop import each_network

TOGETHER_BYTES = 1 << 20
"""Networks are taken together while their units of a layer take no more than this.

The outputs of 4,096 networks 2-10-1 for 4 samples took 0.6 ms instead of 83, for 1,024 samples 54 instead of
136; networks with more units than this won nothing.
"""
Part = tuple[slice, np.ndarray, np.ndarray]


def forward(network: Network, parameters: np.ndarray, inputs: Any) -> np.ndarray:
    """Outputs T (n_networks, n, n_outputs).

    Parameters
    ----------
    network
        The architecture.
    parameters
        T (n_networks, n_parameters).
    inputs
        Checked samples, T (n, n_inputs), or a CSR matrix.
    """
    outputs = np.empty((len(parameters), inputs.shape[0], network.n_outputs), network.dtype)
    for part, _, a in _parts(network, parameters, inputs):
        outputs[part] = a
    return outputs


def measure(
    network: Network,
    parameters: np.ndarray,
    inputs: Any,
    targets: np.ndarray,
    weights: np.ndarray,
    names: Sequence[str],
) -> dict[str, np.ndarray]:
    """Mean loss and named metrics, float64 (n_networks,) by name; arguments as for `Network.measure`."""
    means = [network._means(z, a, targets, weights, names) for _, z, a in _parts(network, parameters, inputs)]
    return dict(zip(["loss", *names], np.concatenate(means, axis=1), strict=True))


def _parts(network: Network, parameters: np.ndarray, inputs: Any) -> Iterator[Part]:
    """Networks, and their z and a, T (networks, n, n_outputs), which the next ones may overwrite."""
    n, widest = inputs.shape[0], max(network.layer_sizes[1:])
    at_once = TOGETHER_BYTES // (network.dtype.itemsize * n * widest)
    if at_once > 1 and isinstance(inputs, np.ndarray):
        yield from _together(network, parameters, inputs, min(at_once, len(parameters)), widest)
        return
    for i, one in enumerate(each_network(network, parameters)):
        z, a = one._outputs(inputs)
        yield slice(i, i + 1), z[np.newaxis], a[np.newaxis]


def _together(
    network: Network, parameters: np.ndarray, inputs: np.ndarray, at_once: int, widest: int
) -> Iterator[Part]:
    """So many networks at once: their products are one call of NumPy's, which goes from one to the next."""
    n = len(inputs)
    scratch = np.empty((2, 2, at_once * n * widest), network.dtype)
    layout = network.layout.astype(np.int64).tolist()
    for start in range(0, len(parameters), at_once):
        part = parameters[start : start + at_once]
        units = inputs
        for layer, row in enumerate(layout):
            fan_out, b = row[FAN_OUT], row[BIASES]
            weights = part[:, row[WEIGHTS] : b].reshape(len(part), row[FAN_IN], fan_out)
            shape = len(part), n, fan_out
            # the units of the layer before are read meanwhile
            z, a = (array[: len(part) * n * fan_out].reshape(shape) for array in scratch[layer % 2])
            with np.errstate(all="ignore"):  # an overflow shows in the result
                np.matmul(units, weights, out=z)
                z += part[:, np.newaxis, b : b + fan_out]
            activate_rows(np.uint64(row[ACTIVATION]), z.reshape(-1), a.reshape(-1), np.uint64(fan_out))
            units = a
        yield slice(start, start + len(part)), z, a
