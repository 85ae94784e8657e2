"""Numba's simulator of a GPU, made quicker and repeatable."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def quick_simulator() -> Iterator[None]:
    """Let the simulator's threads run one at a time, each until it comes to a barrier or its end.

    As it comes all want to run at once, and its main thread looks in a loop whether they wait: nearly all of
    the time goes into taking turns, and two threads may each get a shared array of their own. From barrier to
    barrier the threads go forwards and backwards by turns: without a barrier one reads what is not there yet.
    No thread may wait for what another one writes other than at a barrier.
    """
    from numbabp.compiler import toolchain  # noqa: F401 - imports numba.cuda, without its warnings
    from numba.cuda.simulator.kernel import BlockManager, BlockThread  # isort: skip

    kept = BlockManager.run, BlockThread.run, BlockThread.syncthreads
    run_thread = BlockThread.run

    def run(self: Any) -> None:
        self.turn.acquire()
        if not self.abort:
            run_thread(self)  # keeps what it raises
        self.is_done = True
        if not self.abort:  # else nobody waits for it any more
            self.back.release()

    def syncthreads(self: Any) -> None:
        self.back.release()
        self.turn.acquire()
        if self.abort:
            raise RuntimeError("another thread of the block has failed")

    BlockManager.run, BlockThread.run, BlockThread.syncthreads = _run_block, run, syncthreads
    try:
        yield
    finally:
        BlockManager.run, BlockThread.run, BlockThread.syncthreads = kept


def _run_block(self: Any, grid_point: Any, *arguments: Any) -> None:
    """All threads of a block: BlockManager.run."""
    from numba.cuda.simulator.kernel import BlockThread

    def target() -> None:
        self._f(*arguments)

    back = _locked()
    threads = [
        BlockThread(target, self, grid_point, point, self._debug) for point in np.ndindex(*self._block_dim)
    ]
    for thread in threads:
        thread.turn, thread.back, thread.is_done = _locked(), back, False
        thread.start()
    while threads:
        for thread in threads:
            thread.turn.release()
            back.acquire()
            if thread.exception:
                _abort(threads)
                raise thread.exception[0].with_traceback(thread.exception[1])
        threads = [thread for thread in reversed(threads) if not thread.is_done]


def _locked() -> threading.Lock:
    """What a thread waits at until another one opens it."""
    lock = threading.Lock()
    lock.acquire()
    return lock


def _abort(threads: list[Any]) -> None:
    """End those that wait."""
    for thread in threads:
        thread.abort = True
        thread.turn.release()
