"""NVIDIA GPUs by what predictions need: throughputs of their multiprocessors, and what limits warps there.

Throughputs are those of the table "Throughput of Native Arithmetic Instructions" (CUDA C++ Programming Guide,
since CUDA 13 Best Practices Guide), limits those of the Programming Guide's technical specifications by
compute capability; figures of whole cards are those of NVIDIA's data sheets and architecture papers, at the
highest clock.
"""

from dataclasses import dataclass

WARP = 32
SCHEDULERS = 4
"""Of a multiprocessor; each issues at most one instruction of one warp a clock."""


@dataclass(frozen=True)
class Multiprocessor:
    """Of one compute capability; results per clock for whole multiprocessors."""

    fp32: int
    """Add, multiply, multiply-add."""
    imad: int
    """Multiply-add of 32-bit integers, on the floating-point lanes."""
    alu: int
    """Add, logic, compare, select, shift, move."""
    mufu: int
    """Reciprocal, square root, exponential, and most conversions."""
    lsu: int
    """Lanes of loads, stores, and shuffles; of 4 bytes."""
    fp64: int
    n_warps: int
    """Resident at most."""
    n_blocks: int
    """Resident at most."""
    shared: int
    """Bytes of shared memory for all blocks."""
    shared_per_block: int
    """Bytes that one block may opt for."""
    n_registers: int = 65536

    def lanes(self, pipe):
        """Results of a pipe per clock; None for what only takes an issue slot."""
        return {
            "FP32": self.fp32,
            "IMAD": self.imad,
            "ALU": self.alu,
            "MUFU": self.mufu,
            "LSU": self.lsu,
            "FP64": self.fp64,
        }.get(pipe)


KIB = 1024
MULTIPROCESSORS = {
    (7, 5): Multiprocessor(64, 64, 64, 16, 16, 2, 32, 16, 64 * KIB, 64 * KIB),
    (8, 0): Multiprocessor(64, 64, 64, 16, 32, 32, 64, 32, 164 * KIB, 163 * KIB),
    (9, 0): Multiprocessor(128, 64, 64, 16, 32, 64, 64, 32, 228 * KIB, 227 * KIB),
    (10, 0): Multiprocessor(128, 64, 64, 16, 32, 64, 64, 32, 228 * KIB, 227 * KIB),
}
RESERVED_SHARED = {(7, 5): 0, (8, 0): KIB, (9, 0): KIB, (10, 0): KIB}
"""Bytes of shared memory that the system takes from every block."""


@dataclass(frozen=True)
class Card:
    """One model."""

    name: str
    compute_capability: tuple[int, int]
    n_multiprocessors: int
    clock: float
    """Hz, at most."""
    memory_bandwidth: float
    """Bytes a second."""
    cache_bytes: int
    """Of the second-level cache."""

    @property
    def multiprocessor(self):
        """Throughputs and limits.

        Raises
        ------
        ValueError
            If they are not known for the compute capability.
        """
        try:
            return MULTIPROCESSORS[self.compute_capability]
        except KeyError:
            known = ", ".join("{}.{}".format(*key) for key in MULTIPROCESSORS)
            given = "{}.{}".format(*self.compute_capability)
            raise ValueError(
                f"throughputs of compute capability {given} are not known; known are {known}."
            ) from None


CARDS = {
    card.name: card
    for card in (
        Card("T4", (7, 5), 40, 1.59e9, 0.32e12, 4 << 20),
        Card("A100", (8, 0), 108, 1.41e9, 1.555e12, 40 << 20),
        Card("H100", (9, 0), 132, 1.98e9, 3.35e12, 50 << 20),
        Card("H200", (9, 0), 132, 1.98e9, 4.8e12, 50 << 20),
        Card("B200", (10, 0), 148, 1.965e9, 8e12, 126 << 20),
    )
}


@dataclass(frozen=True)
class Occupancy:
    """How many blocks and warps one multiprocessor holds at once, and what keeps it from more."""

    blocks: int
    warps: int
    limit: str


def occupancy(compute_capability, registers, shared_bytes, threads_per_block):
    """Blocks and warps that a multiprocessor holds.

    Parameters
    ----------
    compute_capability : tuple of int
    registers : int
        Of a thread; allocated for a warp, in units of 256, of which a thread has 8.
    shared_bytes : int
        Of a block, static and dynamic.
    threads_per_block : int

    Raises
    ------
    ValueError
        If not even one block fits.
    """
    of = MULTIPROCESSORS[compute_capability]
    warps = -(-threads_per_block // WARP)
    of_warp = -(-registers // 8) * 8 * WARP
    # each scheduler has a quarter of the registers, and warps go to them in turn
    by_registers = SCHEDULERS * (of.n_registers // SCHEDULERS // of_warp) if of_warp else of.n_warps
    granule = 256 if compute_capability[0] == 7 else 128
    taken = -(-(shared_bytes + RESERVED_SHARED[compute_capability]) // granule) * granule
    limits = {
        "warps": of.n_warps // warps,
        "blocks": of.n_blocks,
        "registers": by_registers // warps,
        "shared memory": of.shared // taken if taken else of.n_blocks,
    }
    limit, blocks = min(limits.items(), key=lambda item: item[1])
    if blocks == 0:
        raise ValueError(
            f"no block of {threads_per_block} threads with {registers} registers each and {shared_bytes:,} "
            f"bytes of shared memory fits a multiprocessor: too many {limit}."
        )
    return Occupancy(blocks, blocks * warps, limit)
