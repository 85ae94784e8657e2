"""The processor's threads: how many this process may use, and how many BLAS does."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from typing import Any


def n_threads(most: int | None = None) -> int:
    """Threads that this process may use, or fewer if so many at most are asked for."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return here if most is None else min(most, here)


def blas_threads(n: int) -> AbstractContextManager[Any]:
    """Let BLAS use at most n threads, and put back what was set before."""
    controller = _blas()
    if all(library["num_threads"] <= n for library in controller.info()):
        return nullcontext()
    return controller.limit(limits=n)


def most_blas_threads() -> int:
    """Threads that BLAS is set to use."""
    return max((library["num_threads"] for library in _blas().info()), default=1)


@cache
def _blas() -> Any:
    """What sets the threads of the BLAS libraries in this process."""
    import scipy.linalg.cython_blas  # noqa: F401  the one that kernels call has to be loaded by now
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


_inside = 0
_lock = threading.Lock()
_limit = ExitStack()
_setter = ThreadPoolExecutor(1)
"""threadpoolctl lets only the thread that has set a limit take it back."""


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """The limit of `blas_threads`, which is the process's, until the last of its threads has left it."""
    global _inside
    with _lock:
        if _inside == 0:
            _setter.submit(lambda: _limit.enter_context(blas_threads(1))).result()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _setter.submit(_limit.close).result()
