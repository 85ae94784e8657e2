"""Kernels of several blocks at once, in Python, with every access to memory on record.

Numba's simulator runs one block after the other, so that barriers of the grid need one block alone, and takes
barriers of a warp for those of the block. Here all threads of all blocks are threads of Python, barriers are
what they are on a GPU, and two accesses that no barrier orders are a race, even if they came to no harm.
"""

import sys
import threading
from collections import defaultdict
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

WARP = 32


class Access(NamedTuple):
    """Of a thread to a place in memory, and how many barriers it had come to before.

    Those of a warp are counted from the last one of its block or grid on.
    """

    writes: bool
    block: int
    thread: int
    warp_barriers: int
    block_barriers: int
    grid_barriers: int


class Grid:
    """Stands for `numba.cuda` in a kernel's module.

    Parameters
    ----------
    n_blocks, n_threads
        Of the grid, and of each block.
    n_dynamic
        Elements of dynamic shared memory of a block.
    """

    def __init__(self, n_blocks, n_threads, n_dynamic=0):
        self.gridDim = SimpleNamespace(x=n_blocks)
        self.blockDim = SimpleNamespace(x=n_threads)
        self._n_dynamic = n_dynamic
        self._me = threading.local()
        self._all = threading.Barrier(n_blocks * n_threads)
        self._of_block = [threading.Barrier(n_threads) for _ in range(n_blocks)]
        self._of_warp = {
            (block, warp): threading.Barrier(min(WARP, n_threads - WARP * warp))
            for block in range(n_blocks)
            for warp in range(-(-n_threads // WARP))
        }
        self._shared = {}
        self._values = {}
        self._lock = threading.Lock()
        self.shared = SimpleNamespace(array=self._shared_array)
        self.local = SimpleNamespace(array=lambda shape, dtype: np.full(shape, np.nan, _name(dtype)))
        self.cg = SimpleNamespace(this_grid=lambda: SimpleNamespace(sync=self._sync_grid))
        self.accesses = defaultdict(set)
        """By array and index: who."""
        self.failures = []
        self.n_grid_barriers = 0

    @property
    def threadIdx(self):
        return SimpleNamespace(x=self._me.thread)

    @property
    def blockIdx(self):
        return SimpleNamespace(x=self._me.block)

    def syncwarp(self):
        self._me.warp_barriers += 1
        self._of_warp[self._me.block, self._me.thread // WARP].wait(60)

    def syncthreads(self):
        self._me.block_barriers += 1
        self._me.warp_barriers = 0
        self._of_block[self._me.block].wait(60)

    def _sync_grid(self):
        self._me.block_barriers += 1
        self._me.warp_barriers = 0
        self._me.grid_barriers += 1
        self.n_grid_barriers = self._me.grid_barriers
        self._all.wait(60)

    def of_warp(self, function, value, warp):
        """Sum or maximum over a warp of so many threads by shuffles, which order no accesses to memory."""
        self._values[self._me.block, self._me.thread] = value
        self._of_block[self._me.block].wait(60)
        first = self._me.thread // warp * warp
        total = function(self._values[self._me.block, thread] for thread in range(first, first + warp))
        self._of_block[self._me.block].wait(60)
        return type(value)(total)

    def _shared_array(self, shape, dtype, alignment=None):
        caller = sys._getframe(1)
        place = self._me.block, caller.f_code.co_filename, caller.f_lineno
        with self._lock:
            if place not in self._shared:
                name = np.dtype(_name(dtype))
                unset = np.nan if name.kind == "f" else np.iinfo(name).min
                memory = np.full(self._n_dynamic if shape == 0 else shape, unset, name)
                self._shared[place] = Recorded(memory, place, self)
            return self._shared[place]

    def note(self, name, index, writes):
        me = self._me
        access = Access(writes, me.block, me.thread, me.warp_barriers, me.block_barriers, me.grid_barriers)
        self.accesses[name, index].add(access)

    def run(self, kernel, arguments):
        """Call a kernel's Python function in every thread."""

        def run_one(block, thread):
            self._me.block, self._me.thread = block, thread
            self._me.warp_barriers = self._me.block_barriers = self._me.grid_barriers = 0
            try:
                kernel(*arguments)
            except Exception as error:
                self.failures.append(error)
                for barrier in (self._all, *self._of_block, *self._of_warp.values()):
                    barrier.abort()

        threads = [
            threading.Thread(target=run_one, args=(block, thread))
            for block in range(self.gridDim.x)
            for thread in range(self.blockDim.x)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def races(self):
        """Places with two accesses that no barrier orders, one of them a write."""
        found = []
        for place, accesses in self.accesses.items():
            writes = [access for access in accesses if access.writes]
            found += [place for write in writes if any(_unordered(write, access) for access in accesses)]
        return found


def _unordered(a, b):
    """Whether no barrier that both took part in lies between two accesses of two threads."""
    if a.block != b.block:
        return a.grid_barriers == b.grid_barriers
    if a.thread == b.thread or a.block_barriers != b.block_barriers:
        return False
    return a.thread // WARP != b.thread // WARP or a.warp_barriers == b.warp_barriers


def _name(dtype):
    """NumPy's name of a dtype, which is Numba's or NumPy's."""
    return getattr(dtype, "name", dtype)


class Recorded:
    """An array, or a view of one, that tells the grid who reads and writes its elements."""

    def __init__(self, array, name, grid, places=None):
        self._array, self._name, self._grid = array, name, grid
        self._places = np.arange(array.size).reshape(array.shape) if places is None else places
        self.shape, self.size, self.dtype = array.shape, array.size, array.dtype

    def __len__(self):
        return len(self._array)

    def _note(self, index, writes):
        for place in np.ravel(self._places[index]).tolist():
            self._grid.note(self._name, place, writes)

    def __getitem__(self, index):
        places = self._places[index]
        if np.ndim(places):
            return Recorded(self._array[index], self._name, self._grid, places)
        self._note(index, False)
        return self._array[index]

    def __setitem__(self, index, value):
        self._note(index, True)
        self._array[index] = value


def recorded(arguments, grid):
    """The arguments of a kernel with their arrays, also those of named tuples, on record."""

    def wrap(value, name):
        if isinstance(value, tuple):
            return type(value)(*(wrap(part, (name, i)) for i, part in enumerate(value)))
        return Recorded(np.asarray(value), name, grid) if isinstance(value, np.ndarray) else value

    return [wrap(argument, i) for i, argument in enumerate(arguments)]
