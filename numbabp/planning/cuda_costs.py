"""What a step costs on a GPU: the planner's model.

Its constants are estimates from data sheets and from what is published of latencies, but for those said to be
measured, on an H100 (docs/gpu.md).
"""

from collections.abc import Sequence
from itertools import pairwise

from ..devices.memory import Device, is_simulated
from ..kernels.cuda.blocked.geometry import blocked_geometry

BARRIER = 1440.0
"""ns: a barrier of the whole grid; measured."""
PHASE = 900.0
"""ns: what goes on between two barriers beside streaming weights: a chain of a few loads from the
second-level cache, sums in shared memory, an activation."""
LAUNCH = 3000.0
"""ns: from one kernel of a stream to the next."""
HOST = 300e3
"""ns that the host takes for a block of samples; the GPU works meanwhile."""
BANDWIDTH = 0.85
"""Share of the memory's bandwidth that can be had."""
CACHE_BYTES_PER_CYCLE = 32.0
"""From the second-level cache to one multiprocessor, sustained; 30.5 measured."""
WEIGHT_BYTES_PER_CYCLE = 3.4
"""Of weights that one multiprocessor gets through in a step; measured, 56 us for 784-2048-2048-10.

That is a tenth of what the cache gives: it is not the cache that holds the products up."""
CACHED = 0.6
"""Share of the second-level cache that weights can stay in."""
FLOPS_PER_CYCLE = 256.0
"""Of a multiprocessor, float32; of a product about `PRODUCT` of it."""
PRODUCT = 0.6
TRANSFER = 10e9
"""Bytes a second between host and GPU, from memory that is not pinned."""
LAUNCH_SECONDS = 1e-3
"""What a population's training costs on the GPU beside its steps: copies begun, launches, flags looked at."""
COMPILE_SECONDS = 4.0
"""What compiling for an architecture takes on a GPU, once; after that the kernel comes from the disk."""
START = 0.5
"""Seconds of a run for the GPU's context, its libraries and the loading of a compiled kernel."""


def ns_per_blocked_step(
    layer_sizes: Sequence[int], itemsize: int, block_length: int, velocity: bool, device: Device
) -> float:
    """Predicted nanoseconds of one step of one network in the blocked form.

    Parameters
    ----------
    layer_sizes
        (n_inputs, ..., n_outputs).
    itemsize
        4 or 8, the dtype's bytes.
    block_length
        Samples of a block.
    velocity
        Whether the update rule is momentum or nesterov.
    device
        The GPU.
    """
    weights = [fan_in * fan_out for fan_in, fan_out in pairwise(layer_sizes)]
    n_layers, n_weights = len(weights), sum(weights)
    arrays = 2 if velocity else 1
    geometry = blocked_geometry(layer_sizes, device.n_multiprocessors, is_simulated())
    n_barriers = max(0, 2 * n_layers - 3)
    phases = (n_barriers + 1) * PHASE + n_barriers * BARRIER
    streamed = itemsize * arrays * geometry.grid * geometry.busiest if n_layers > 1 else 0
    of_cache = geometry.grid * device.clock * WEIGHT_BYTES_PER_CYCLE
    fits = itemsize * arrays * sum(weights[1:]) <= CACHED * device.cache_bytes
    rate = of_cache if fits else min(of_cache, BANDWIDTH * device.memory_bandwidth)
    parts = itemsize * geometry.grid * (block_length / 2 * n_barriers + layer_sizes[-1])
    step = phases + 1e9 * (streamed / rate + parts / (device.clock * CACHE_BYTES_PER_CYCLE))
    flops = 2.0 * block_length * (arrays * (n_weights + weights[0]) + block_length * layer_sizes[0])
    full = device.n_multiprocessors * device.clock * FLOPS_PER_CYCLE * PRODUCT
    if itemsize == 8:
        full /= float64_slowdown(device)
    passes = 2 * arrays + (2 * arrays if velocity else 0)
    traffic = passes * itemsize * n_weights / (BANDWIDTH * device.memory_bandwidth)
    block = 1e9 * max(flops / full, traffic) + (4 + arrays * (n_layers + 1)) * LAUNCH
    return max(step + block / block_length, HOST / block_length)


def float64_slowdown(device: Device) -> int:
    """Units for float32 that there are for each one for float64: few on the large chips, many on others."""
    return {(8, 0): 2, (9, 0): 2, (10, 0): 2, (7, 5): 32}.get(device.compute_capability, 64)


def transfer_seconds(n_bytes: float) -> float:
    """Predicted seconds of a run for the start and for so many bytes to the GPU and back."""
    return START + n_bytes / TRANSFER
