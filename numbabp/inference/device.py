"""Outputs of networks, and their losses and metrics, for samples that lie on a GPU.

Products are CuPy's, of cuBLAS: in float32 with float32's own arithmetic (CUBLAS_COMPUTE_32F), unless the
environment asks for TF32 (NVIDIA_TF32_OVERRIDE=1; for one network also CUPY_TF32=1). `outputs` and `forward`
do not wait for the GPU, what measures does once a chunk of networks. Strict networks are the exception: since
cuBLAS adds in an order of its own, theirs are computed by the host, and copied there and back.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..architecture import Architecture
from ..devices import memory
from ..functions.activations import SOFTMAX
from ..kernels.layout import ACTIVATION, BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS
from . import host

CHUNK_BYTES = 1 << 28
"""Networks, or of one the rows, are taken so many at a time that a layer's units have about this size."""
BLOCK = 128
"""Threads of a block."""
BLOCKS_PER_MULTIPROCESSOR = 16
LARGEST_BATCH = 65535
"""Networks at a time at most: no grid, cuBLAS's included, has more blocks along its second or third axis."""


def outputs(architecture: Architecture, parameters: np.ndarray, inputs: Any) -> tuple[Any, Any]:
    """Pre-activations and activations of one network's output layer.

    Parameters
    ----------
    architecture
        The network's.
    parameters
        T (n_parameters,), copied to the GPU.
    inputs
        Device array T (n, n_inputs), contiguous, of the network's dtype.

    Returns
    -------
    z, a
        Device arrays T (n, n_outputs), on the GPU of the inputs.
    """
    device = memory.device_of(memory.index_of(inputs))
    with memory.on(device), np.errstate(all="ignore"):  # an overflow shows in the result
        if architecture.is_strict:
            z, a = host.outputs(architecture, parameters, memory.to_host(inputs))
            return memory.to_device(z), memory.to_device(a)
        z, a = _outputs_of(architecture, memory.to_device(parameters[np.newaxis]), inputs, device)
        return z[0], a[0]


def forward(architecture: Architecture, parameters: np.ndarray, inputs: Any) -> Any:
    """Outputs of networks of one architecture.

    Parameters
    ----------
    architecture
        The networks'.
    parameters
        T (n_networks, n_parameters), copied to the GPU.
    inputs
        As for `outputs`.

    Returns
    -------
    Device array T (n_networks, n, n_outputs), on the GPU of the inputs.
    """
    device = memory.device_of(memory.index_of(inputs))
    with memory.on(device), np.errstate(all="ignore"):
        if architecture.is_strict:
            return memory.to_device(host.forward(architecture, parameters, memory.to_host(inputs)))
        on_device = memory.to_device(parameters)
        found = memory.empty((len(parameters), len(inputs), architecture.n_outputs), architecture.dtype)
        for part in _parts(architecture, len(parameters), len(inputs)):
            found[part] = _outputs_of(architecture, on_device[part], inputs, device)[1]
        return found


def measure(
    architecture: Architecture,
    parameters: np.ndarray,
    inputs: Any,
    targets: Any,
    weights: Any,
    names: Sequence[str],
) -> dict[str, np.ndarray]:
    """Mean loss and named metrics of checked samples, of networks of one architecture.

    Parameters
    ----------
    architecture, parameters
        As for `forward`.
    inputs, targets
        Device arrays T (n, n_inputs) and T (n, n_outputs), contiguous, on the same GPU.
    weights
        T (n,), or (0,) for weights of 1; on that GPU, or the host.
    names
        Of `numbabp.functions.losses.METRICS`.

    Returns
    -------
    NumPy arrays float64 (n_networks,) by name.
    """
    from ..kernels.cuda import inference

    device = memory.device_of(memory.index_of(inputs))
    if architecture.is_strict:
        with memory.on(device):
            inputs, targets, weights = map(memory.to_host, (inputs, targets, weights))
        return host.measure(architecture, parameters, inputs, targets, weights, names)
    outputs_only = architecture.layout[-1:].copy()
    outputs_only[0, [INPUTS, OUTPUTS]] = 0
    codes = architecture.metric_codes([architecture.loss, *names])
    means = []
    with memory.on(device), np.errstate(all="ignore"):
        on_device = memory.to_device(parameters)
        common = (
            memory.to_device(outputs_only),
            memory.to_device(codes),
            architecture.loss_code,
            architecture.quantile,
        )
        weights = memory.to_device(weights)
        for part in _parts(architecture, len(parameters), len(inputs)):
            z, a = _outputs_of(architecture, on_device[part], inputs, device)
            n_lanes = _lanes_of(device, len(z), len(inputs))
            sums = memory.zeros((1 + len(codes), len(z), n_lanes), np.float64)
            grid, block = _launch_of(device, len(z) * n_lanes)
            memory.launch(inference.add_metrics, grid, block, (*common, z, a, targets, weights, sums))
            total = memory.to_host(sums.sum(axis=2))
            means.append(total[1:] / total[0])
    return dict(zip(["loss", *names], np.concatenate(means, axis=1), strict=True))


def _outputs_of(
    architecture: Architecture, parameters: Any, inputs: Any, device: memory.Device
) -> tuple[Any, Any]:
    """Pre-activations and activations T (n_networks, n, n_outputs), of networks that fit at a time."""
    n_networks, n = len(parameters), len(inputs)
    layers = list(_layers(architecture, parameters))
    z, a = (memory.empty((n_networks, n, architecture.n_outputs), architecture.dtype) for _ in range(2))
    rows = n if n_networks > 1 else max(1, CHUNK_BYTES // _bytes_of_row(architecture))
    for start in range(0, n, rows):
        units = inputs[start : start + rows]
        for code, weights, biases in layers[:-1]:
            shape = (n_networks, units.shape[-2], weights.shape[-1])
            product = memory.empty(shape, architecture.dtype)
            _multiply(units, weights, product)
            _activate(device, code, product, biases, product)
            units = product
        code, weights, biases = layers[-1]
        product = z[:, start : start + rows]
        _multiply(units, weights, product)
        _activate(device, code, product, biases, a[:, start : start + rows])
    return z, a


def _multiply(units: Any, weights: Any, product: Any) -> None:
    """The product of T (n, fan_in), or of (n_networks, n, fan_in), and (n_networks, fan_in, fan_out)."""
    matmul = memory.array_module().matmul
    if len(weights) == 1:  # cuBLAS has more for single matrices than for batches
        matmul(units.reshape(units.shape[-2:]), weights[0], out=product[0])
    else:
        matmul(units, weights, out=product)


def _activate(device: memory.Device, code: int, z: Any, biases: Any, a: Any) -> None:
    """Biases, and activations a = f(z); both are contiguous, and for any f but softmax perhaps the same."""
    from ..kernels.cuda import inference

    arrays = z.reshape(-1), biases, a.reshape(-1)
    if code == SOFTMAX:
        memory.launch(inference.softmax_rows, *_launch_of(device, z.size // z.shape[-1]), arrays)
    else:
        n_lanes = _lanes_of(device, len(z), z.size // len(z))
        grid, block = _launch_of(device, len(z) * n_lanes)
        memory.launch(inference.activate_units, grid, block, (code, *arrays, n_lanes))


def _layers(architecture: Architecture, parameters: Any) -> Iterator[tuple[int, Any, Any]]:
    """Activation code, weights (n_networks, fan_in, fan_out) and contiguous biases of each layer."""
    for row in architecture.layout.astype(np.int64).tolist():
        weights = parameters[:, row[WEIGHTS] : row[BIASES]].reshape(-1, row[FAN_IN], row[FAN_OUT])
        biases = memory.to_device(parameters[:, row[BIASES] : row[BIASES] + row[FAN_OUT]])
        yield row[ACTIVATION], weights, biases


def _bytes_of_row(architecture: Architecture) -> int:
    """Of the units of the widest layer, for one sample of one architecture."""
    return architecture.dtype.itemsize * max(architecture.layer_sizes[1:])


def _parts(architecture: Architecture, n_networks: int, n: int) -> Iterator[slice]:
    """Networks to take at a time."""
    at_once = min(LARGEST_BATCH, max(1, CHUNK_BYTES // (n * _bytes_of_row(architecture))))
    return (slice(start, start + at_once) for start in range(0, n_networks, at_once))


def _lanes_of(device: memory.Device, n_networks: int, n: int) -> int:
    """Threads that share n pieces of work of each network: a warp, or as many as run at once."""
    at_once = BLOCKS_PER_MULTIPROCESSOR * device.n_multiprocessors * BLOCK
    return min(n, max(32, at_once // n_networks))


def _launch_of(device: memory.Device, n: int) -> tuple[int, int]:
    """Blocks and their threads for n independent pieces of work: one each, as long as they run at once."""
    block = min(BLOCK, -(-n // 32) * 32)
    return min(-(-n // block), BLOCKS_PER_MULTIPROCESSOR * device.n_multiprocessors), block
