"""Matrix products on a GPU, by cuBLAS."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .memory import is_simulated


@contextmanager
def exact_products() -> Iterator[None]:
    """Let cuBLAS multiply float32 as float32, whatever was set before.

    `multiply` calls cuBLAS's sgemm and dgemm themselves, which know nothing of CUPY_TF32; CuPy's `matmul`
    follows it. Only the math mode of the library's handle could let sgemm round to TF32.
    """
    if is_simulated():
        yield
        return
    from cupy.cuda import device
    from cupy_backends.cuda.libs import cublas

    handle = device.get_cublas_handle()
    before = cublas.getMathMode(handle)
    cublas.setMathMode(handle, cublas.CUBLAS_DEFAULT_MATH)
    try:
        yield
    finally:
        cublas.setMathMode(handle, before)


def multiply(out: Any, left: Any, right: Any, add: bool = False) -> None:
    """Out = left right, or with `add` out += left right; out is contiguous, the others may be transposed.

    On CuPy's current stream, without waiting for it, and without memory beside the arrays.
    """
    if is_simulated():
        product = np.asarray(left) @ np.asarray(right)
        out[...] = out + product if add else product
        return
    from cupy import cublas

    cublas.gemm("N", "N", left, right, out=out, beta=1.0 if add else 0.0)
