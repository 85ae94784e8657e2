"""Kernels as functions of the processor: arguments, launches, and what is found on record."""

import ctypes
import struct
from collections.abc import Collection, Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from .building import Built, load
from .recording import KINDS, Site
from .runtime import Launch, Party, library

FORMATS = {"float": "<f4x", "double": "<d"}
"""Of arguments in 8 bytes each; all others are integers and pointers."""


class Order(IntEnum):
    """In which threads go on from one barrier to the next."""

    FORWARDS = 0
    BACKWARDS = 1
    RANDOM = 2


class Access(NamedTuple):
    """To memory that other threads see, too."""

    kind: int
    """`recording.READ`, `WRITE` or `ATOMIC`."""
    site: Site
    block: int
    thread: int

    def __str__(self) -> str:
        return f"thread {self.thread} of block {self.block} {KINDS[self.kind]} at {self.site}"


class Race(NamedTuple):
    """Two accesses to one place that no barrier orders, not both of them reads."""

    first: Access
    second: Access

    def __str__(self) -> str:
        return f"{self.first}; unordered with it {self.second}"


class Outside(NamedTuple):
    """An access outside of all arrays; the launch ended before it."""

    access: Access

    def __str__(self) -> str:
        return f"{self.access}, outside of all arrays"


class Stuck(Exception):
    """Threads wait for each other, or do what is not possible; says which."""


class HostKernel:
    """A kernel that runs on the processor.

    Parameters
    ----------
    built
        Machine code; if `built.sites` is not empty, accesses go on record.

    Attributes
    ----------
    barriers : frozenset of Site
        That it has,
    reached : set of Site
        and that threads have come to in some launch.
    """

    def __init__(self, built: Built) -> None:
        self.built = built
        self.barriers = frozenset(site for site in built.sites if site.barrier)
        self.reached: set[Site] = set()
        self._engine, self._entry = load(built.code)

    def launch(
        self,
        grid: int,
        block: int,
        arguments: Sequence[Any],
        shared: int = 0,
        order: Order = Order.FORWARDS,
        seed: int = 0,
        left_out: Collection[int] = (),
    ) -> list[Race | Outside]:
        """Run all threads to their end, one launch at a time.

        Parameters
        ----------
        grid, block
            Numbers of blocks, and of the threads of each.
        arguments
            NumPy arrays, numbers, and tuples of them.
        shared
            Bytes of dynamic shared memory of a block.
        order, seed
            In which threads go on; the seed is for `Order.RANDOM`.
        left_out
            Numbers of sites whose barriers do nothing; the launch then ends at the first race.

        Returns
        -------
        list
            What was found, if accesses are on record.

        Raises
        ------
        Stuck
            If no thread can go on, although some have not ended.
        """
        runtime, built = library(), self.built
        slots = [slot for argument in arguments for slot in _slots(argument)]
        if len(slots) != len(built.kinds):
            raise TypeError(f"{len(slots)} numbers and pointers for a kernel that takes {len(built.kinds)}")
        packed = [
            struct.pack(FORMATS.get(kind, "<q"), slot) for kind, slot in zip(built.kinds, slots, strict=True)
        ]
        buffer = ctypes.create_string_buffer(b"".join(packed))
        missing = bytes(i in left_out for i in range(len(built.sites)))
        reached = ctypes.create_string_buffer(len(missing) + 1)
        runtime.begin_record(missing, reached, len(missing), bool(left_out))
        for array in _arrays(arguments) if built.sites else ():
            if not runtime.add_range(*_range_of(array), 0):
                raise ValueError("more arrays than the recorder knows")
        runtime.set_constants(ctypes.addressof(buffer), len(buffer))
        for static in built.shared:
            runtime.add_range(*static, 1)
        how = Launch(grid, block, built.static_bytes, shared, built.is_cooperative, order, seed)
        failure = runtime.launch(self._entry, buffer, ctypes.byref(how)).decode()
        self.reached.update(site for site, was in zip(built.sites, reached.raw, strict=False) if was)
        found = [*self._races(), *self._outside()]
        if failure and not found:
            raise Stuck(failure)
        return found

    def _races(self) -> Iterator[Race]:
        parties = (Party * 2)()
        i = 0
        while library().race(i, parties):
            yield Race(*map(self._access, parties))
            i += 1

    def _outside(self) -> Iterator[Outside]:
        party = Party()
        if library().access_outside(ctypes.byref(party)):
            yield Outside(self._access(party))

    def _access(self, party: Party) -> Access:
        return Access(party.kind, self.built.sites[party.site], party.block, party.thread)


def _slots(value: Any) -> Iterator[Any]:
    """What a kernel is called with for an argument: of an array owners, sizes, an address, strides."""
    if isinstance(value, tuple):
        for part in value:
            yield from _slots(part)
    elif isinstance(value, np.ndarray):
        yield from (0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
    else:
        yield value


def _range_of(array: np.ndarray) -> tuple[int, int]:
    """Where an array begins, and the bytes up to its end, with those that it leaves out."""
    steps = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    begin = array.ctypes.data + sum(min(0, step) for step in steps)
    return begin, sum(map(abs, steps)) + array.itemsize if array.size else 0


def _arrays(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _arrays(part)
