"""The processor in the place of a GPU: kernels of the package as compiled for one, NumPy for CuPy."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from numba import typeof

from numbabp.devices import memory

from .keeping import built
from .launching import HostKernel, Order, Outside, Race
from .recording import Site

MULTIPROCESSORS = 3
"""So that units of a layer are dealt out to several blocks."""


class Unsafe(Exception):
    """Accesses that no barrier orders, or outside of all arrays."""


class OnProcessor:
    """Launches kernels on the processor; what is set here holds for the launches to come.

    Parameters
    ----------
    record
        Whether accesses go on record.
    capability
        Compute capability that kernels are lowered for.

    Attributes
    ----------
    device : memory.Device
        What is told of it; its shared memory is an H100's.
    order, seed
        See `HostKernel.launch`.
    left_out : callable
        Whether the barrier at a `Site` does nothing; None if all do what they should.
    barriers : dict
        Of the kernels that were launched, by name: the sites of their barriers, if accesses are on record.
    reached : set of Site
        Barriers that threads have come to.
    """

    def __init__(self, record: bool, capability: tuple[int, int]) -> None:
        self.record = record
        self.device = memory.Device(
            0, "x86-64", capability, MULTIPROCESSORS, 1e9, 227 * 1024, 228 * 1024, 1e12, 2**20
        )
        self.order, self.seed = Order.FORWARDS, 0
        self.left_out: Callable[[Site], bool] | None = None
        self.barriers: dict[str, set[Site]] = {}
        self.reached: set[Site] = set()
        self._lock = threading.Lock()
        self._kernels: dict[Any, HostKernel] = {}
        self._collected: list[Race | Outside] | None = None

    def launch(self, kernel: Any, grid: int, block: int, arguments: Sequence[Any], shared: int) -> None:
        """Run a kernel to its end.

        Raises
        ------
        Unsafe
            If something is found on record, unless it is `collected`.
        """
        with self._lock:
            host = self._kernel_of(kernel, tuple(map(typeof, arguments)))
            sites = host.built.sites if self.left_out else ()
            missing = {i for i, site in enumerate(sites) if site.barrier and self.left_out(site)}
            self.barriers.setdefault(kernel.py_func.__name__, set()).update(host.barriers)
            found = host.launch(grid, block, arguments, shared, self.order, self.seed, missing)
            self.reached.update(host.reached)
            host.reached.clear()
        if found and self._collected is None:
            raise Unsafe("\n".join([f"{kernel.py_func.__qualname__}:", *map(str, found)]))
        if found:
            self._collected += found

    def _kernel_of(self, kernel: Any, signature: tuple[Any, ...]) -> HostKernel:
        key = kernel, signature, self.record
        if key not in self._kernels:
            code = built(kernel, signature, self.device.compute_capability, self.record)
            self._kernels[key] = HostKernel(code)
        return self._kernels[key]

    @contextmanager
    def collected(self) -> Iterator[list[Race | Outside]]:
        """What is found meanwhile, which raises nothing."""
        before, self._collected = self._collected, []
        try:
            yield self._collected
        finally:
            self._collected = before


def install(record: bool = False) -> OnProcessor:
    """Put the processor in the place of a GPU, for all that this process does from now on.

    numba-cuda and the package's own barriers make other code from compute capability 9.0 on. What is on
    record is what they make for 8.0, else what they make for 9.0: a process can lower a function only once.
    """
    stand_in = OnProcessor(record, (8, 0) if record else (9, 0))
    memory.use_stand_in(stand_in)
    return stand_in
