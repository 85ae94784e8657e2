"""Outputs of a network, and their losses and metrics, for samples that lie on a GPU.

Products are CuPy's, of cuBLAS: in float32 with float32's own arithmetic (CUBLAS_COMPUTE_32F), unless the
environment asks for TF32 (CUPY_TF32=1 or NVIDIA_TF32_OVERRIDE=1). `outputs` does not wait for the GPU,
`measure` does once.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .activations import SOFTMAX
from .kernels.cuda import memory
from .kernels.layers import ACTIVATION, BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS
from .losses import METRICS

if TYPE_CHECKING:
    from .network import Network

CHUNK_BYTES = 1 << 28
"""Rows are taken so many at a time that a layer's units have about this size, which bounds the memory."""
BLOCK = 128
"""Threads of a block."""
BLOCKS_PER_MULTIPROCESSOR = 16


def outputs(network: "Network", inputs: Any) -> tuple[Any, Any]:
    """Pre-activations and activations of the output layer.

    Parameters
    ----------
    network
        Its parameters are copied to the GPU.
    inputs
        Device array T (n, n_inputs), contiguous, of the network's dtype.

    Returns
    -------
    z, a
        Device arrays T (n, n_outputs), on the GPU of the inputs.
    """
    from .kernels.cuda import inference

    xp = memory.array_module()
    device = memory.device_of(memory.index_of(inputs))
    with memory.on(device), np.errstate(all="ignore"):  # an overflow shows in the result
        layers = list(_layers(network))
        z, a = (memory.empty((len(inputs), network.n_outputs), network.dtype) for _ in range(2))
        widest = max(network.layer_sizes[1:])
        rows = max(1, CHUNK_BYTES // (network.dtype.itemsize * widest))
        for start in range(0, len(inputs), rows):
            units = inputs[start : start + rows]
            for code, weights, biases in layers[:-1]:
                product = xp.matmul(units, weights)
                flat = product.reshape(-1)
                grid, block = _launch_of(device, flat.size)
                memory.launch(inference.activate_units, grid, block, (code, flat, biases, flat))
                units = product
            code, weights, biases = layers[-1]
            product = z[start : start + rows]
            xp.matmul(units, weights, out=product)
            flat = product.reshape(-1), biases, a[start : start + rows].reshape(-1)
            if code == SOFTMAX:
                grid, block = _launch_of(device, len(product))
                memory.launch(inference.softmax_rows, grid, block, flat)
            else:
                grid, block = _launch_of(device, product.size)
                memory.launch(inference.activate_units, grid, block, (code, *flat))
    return z, a


def measure(
    network: "Network", inputs: Any, targets: Any, weights: Any, names: Sequence[str]
) -> dict[str, float]:
    """Mean loss and named metrics of checked samples.

    Parameters
    ----------
    network
        Its parameters are copied to the GPU.
    inputs, targets
        Device arrays T (n, n_inputs) and T (n, n_outputs), contiguous, on the same GPU.
    weights
        T (n,), or (0,) for weights of 1; on that GPU, or the host.
    names
        Of `numbabp.losses.METRICS`.
    """
    from .kernels.cuda import inference

    device = memory.device_of(memory.index_of(inputs))
    z, a = outputs(network, inputs)
    outputs_only = network.layout[-1:].copy()
    outputs_only[0, [INPUTS, OUTPUTS]] = 0
    codes = np.array([network.loss_code, *(METRICS[name] for name in names)], np.int64)
    with memory.on(device):
        grid, block = _launch_of(device, len(z))
        sums = memory.zeros((1 + len(codes), grid * block), np.float64)
        memory.launch(
            inference.add_metrics,
            grid,
            block,
            (
                memory.to_device(outputs_only),
                memory.to_device(codes),
                network.loss_code,
                z,
                a,
                targets,
                memory.to_device(weights),
                sums,
            ),
        )
        total = memory.to_host(sums.sum(axis=1))
    return dict(zip(["loss", *names], (total[1:] / total[0]).tolist(), strict=True))


def _layers(network: "Network") -> Iterator[tuple[int, Any, Any]]:
    """Activation code, weights and biases of each layer, on the current GPU: parts of one copy."""
    parameters = memory.to_device(network.parameters)
    for row in network.layout.astype(np.int64).tolist():
        weights = parameters[row[WEIGHTS] : row[BIASES]].reshape(row[FAN_IN], row[FAN_OUT])
        yield row[ACTIVATION], weights, parameters[row[BIASES] : row[BIASES] + row[FAN_OUT]]


def _launch_of(device: memory.Device, n: int) -> tuple[int, int]:
    """Blocks and their threads for n independent pieces of work: one each, as long as they run at once."""
    block = min(BLOCK, -(-n // 32) * 32)
    return min(-(-n // block), BLOCKS_PER_MULTIPROCESSOR * device.n_multiprocessors), block
