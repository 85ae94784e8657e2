"""Checks of what users pass in for populations: seeds, numbers for each network, and memory."""

from contextlib import suppress
from typing import Any

import numpy as np

from .arguments import check_random_state, check_real


def check_memory(
    n_networks: int, bytes_each: int, what: str, advice: str = "", available: int | None = None
) -> None:
    """Raise MemoryError, before anything is allocated, if so many networks' arrays would not fit.

    `available` bytes are those of the host's memory by default.
    """
    available = _available_memory() if available is None else available
    if n_networks * bytes_each > available:
        raise MemoryError(
            f"n_networks={n_networks}: {what} of a network take {bytes_each:,} bytes, and {available:,} are "
            f"available, enough for {max(0, available // bytes_each):,} networks{advice}."
        )


def _available_memory() -> int:
    """Bytes that can be had without swapping; a large number where the system does not say."""
    with suppress(OSError, ValueError), open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return 2**62


def check_seeds(random_state: Any, n: int) -> tuple[np.ndarray, np.random.RandomState]:
    """A seed for each network, and what draws the orders of samples."""
    if random_state is None or isinstance(random_state, int | np.integer | np.random.RandomState):
        generator = check_random_state(random_state)
        return generator.randint(0, 2**31 - 1, size=n, dtype=np.int64), generator
    seeds = np.asarray(random_state)
    if seeds.shape != (n,) or seeds.dtype.kind not in "iu":
        raise ValueError(
            f"random_state must be None, an int, a RandomState, or {n} ints, one for each network; "
            f"got an array of shape {seeds.shape} and dtype {seeds.dtype}."
        )
    if seeds.min() < 0 or seeds.max() >= 2**32:
        raise ValueError("random_state must have seeds between 0 and 2**32 - 1.")
    return seeds.astype(np.int64), check_random_state(int(seeds[0]))


def check_numbers(name: str, value: Any, n: int) -> np.ndarray:
    """One number for each network; that each is allowed, `Options` checks."""
    if np.ndim(value) == 0:
        check_real(name, value)
        return np.full(n, float(value))
    numbers = np.asarray(value)
    if numbers.shape != (n,) or numbers.dtype.kind not in "iuf":
        raise ValueError(
            f"{name} must be a number or {n} numbers, one for each network; "
            f"got shape {numbers.shape} and dtype {numbers.dtype}."
        )
    return numbers.astype(float)


def distinct(per_network: dict[str, np.ndarray]) -> np.ndarray:
    """Indices of networks with all the different settings there are, the first network's first."""
    rows = np.column_stack(list(per_network.values()))
    if (rows == rows[0]).all():  # most often, and soon seen
        return np.zeros(1, np.int64)
    return np.sort(np.unique(rows, axis=0, return_index=True)[1])
