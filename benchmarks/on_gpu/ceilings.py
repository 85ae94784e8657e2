"""What the card can do at best, measured first: bandwidths, arithmetic, latency of launches."""

import numpy as np

from numbabp.devices import memory

from . import ceiling_kernels as kernels
from .clock import event_seconds, wall_seconds

COPY = "copy within the card's memory"
MATMUL = "float32 matrix product, cuBLAS without TF32"
FMA = "float32 multiply-adds, a kernel of nothing else"
CACHE = "reading the second-level cache"
BARRIER = "a barrier of the whole grid"
LAUNCH = "an empty kernel of numba-cuda, one after the other"
ROUND_TRIP = "an empty kernel of numba-cuda, and waiting for it"
CUPY_LAUNCH = "a sum of two small CuPy arrays, one after the other"
UP, DOWN = "host to card, pageable memory", "card to host, pageable memory"
PINNED_UP, PINNED_DOWN = "host to card, pinned memory", "card to host, pinned memory"

UNITS = {
    COPY: "GB/s, read and written",
    MATMUL: "TFLOP/s",
    FMA: "TFLOP/s",
    CACHE: "GB/s",
    BARRIER: "us",
    LAUNCH: "us",
    ROUND_TRIP: "us",
    CUPY_LAUNCH: "us",
    UP: "GB/s",
    PINNED_UP: "GB/s",
    DOWN: "GB/s",
    PINNED_DOWN: "GB/s",
}
"""By name, in the order of the table."""


def measure(name, repeats):
    """Figures of one ceiling, a list, in its unit; at toy size in the simulator."""
    return _MEASURES[name](repeats, memory.is_simulated())


def _copy(repeats, toy):
    n = 2**10 if toy else int(min(2**30, memory.free_bytes() // 4))
    source, target = memory.zeros(n, np.uint8), memory.empty(n, np.uint8)

    def copy():
        target[...] = source

    copy()
    return [2 * n / event_seconds(copy) / 1e9 for _ in range(repeats)]


def _matmul(repeats, toy):
    xp, n = memory.array_module(), 16 if toy else 8192
    A, B, C = (memory.zeros((n, n), np.float32) for _ in range(3))
    A += 1
    B += 1

    def product():
        xp.matmul(A, B, out=C)

    product()
    return [2 * n**3 / event_seconds(product) / 1e12 for _ in range(repeats)]


def _multiply_add(repeats, toy):
    device = memory.device_of(0)
    blocks, threads, n = (1, 4, 1) if toy else (16 * device.n_multiprocessors, 256, 4000)
    result = memory.zeros(blocks * threads, np.float32)
    arguments = (result, np.int64(n), np.float32(0.999), np.float32(1e-3))

    def run():
        memory.launch(kernels.multiply_add, blocks, threads, arguments)

    run()
    flops = 2 * kernels.MULTIPLY_ADDS * n * blocks * threads
    return [flops / event_seconds(run) / 1e12 for _ in range(repeats)]


def _cache(repeats, toy):
    device = memory.device_of(0)
    blocks, threads, n = (1, 4, 1) if toy else (8 * device.n_multiprocessors, 256, 4)
    at_once = threads * kernels.LOADS
    # a third of the cache, which on some cards is in two halves that keep copies of each other's lines
    size = at_once if toy else max(1, device.cache_bytes // 3 // 8 // at_once) * at_once
    values, result = memory.zeros(size, np.float64), memory.zeros(blocks * threads, np.float64)

    def run():
        memory.launch(kernels.read, blocks, threads, (values, np.int64(n), result))

    run()
    return [8 * size * n * blocks / event_seconds(run) / 1e9 for _ in range(repeats)]


def _barrier(repeats, toy):
    blocks, threads, n = (1, 4, 2) if toy else (memory.device_of(0).n_multiprocessors, 256, 10_000)

    def run():
        memory.launch(kernels.wait, blocks, threads, (np.int64(n),))

    run()
    return [event_seconds(run) / n * 1e6 for _ in range(repeats)]


def _launches(function, repeats, toy):
    """Microseconds of one of many launches."""
    n = 2 if toy else 2000
    function()

    def many():
        for _ in range(n):
            function()

    return [event_seconds(many) / n * 1e6 for _ in range(repeats)]


def _empty_kernel(repeats, toy):
    result = memory.zeros(1, np.float32)
    return _launches(lambda: memory.launch(kernels.nothing, 1, 32, (result,)), repeats, toy)


def _round_trip(repeats, toy):
    result = memory.zeros(1, np.float32)

    def run():
        memory.launch(kernels.nothing, 1, 32, (result,))
        memory.synchronize()

    return _launches(run, repeats, toy)


def _cupy_sum(repeats, toy):
    xp = memory.array_module()
    a, b = memory.zeros(32, np.float32), memory.zeros(32, np.float32)
    return _launches(lambda: xp.add(a, b, out=b), repeats, toy)


def _transfer(pinned, up):
    def measured(repeats, toy):
        n = 2**10 if toy else 2**28
        if pinned and not memory.is_simulated():
            import cupyx

            host = cupyx.empty_pinned(n, np.uint8)
        else:
            host = np.empty(n, np.uint8)
        host[...] = 1
        device = memory.zeros(n, np.uint8)

        def run():
            if memory.is_simulated():
                target, source = (device, host) if up else (host, device)
                target[...] = source
            elif up:
                device.set(host)
            else:
                device.get(out=host)

        run()
        return [n / wall_seconds(run) / 1e9 for _ in range(repeats)]

    return measured


_MEASURES = {
    COPY: _copy,
    MATMUL: _matmul,
    FMA: _multiply_add,
    CACHE: _cache,
    BARRIER: _barrier,
    LAUNCH: _empty_kernel,
    ROUND_TRIP: _round_trip,
    CUPY_LAUNCH: _cupy_sum,
    UP: _transfer(False, True),
    PINNED_UP: _transfer(True, True),
    DOWN: _transfer(False, False),
    PINNED_DOWN: _transfer(True, False),
}
