"""What the resident kernel is compiled for, and where a block of threads keeps its part of the network.

Units of each hidden layer are dealt out to the blocks, a power of two of neighbours to each. A block has the
columns of weights that lead to its units, and the rows that lead from them. All sizes and places are
constants of the kernel: so no index takes a division.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from ....functions.activations import ACTIVATIONS
from ...layout import BIASES, WEIGHTS, layout
from ..blocked.geometry import MAX_THREADS, QUAD
from ..compiled_for import CompiledFor

WARP = 32
HELD_BYTES = 512
"""Of rows that a thread holds in registers: half of what it has."""
MAX_OWN = QUAD * WARP
"""Units of a layer that a block may own: lanes of a warp have four each."""
BESIDE_POOL = 1024
"""Bytes of shared memory that hold the record, with a bit for alignment."""


class Hidden(NamedTuple):
    """A hidden layer, and the weights that lead to it."""

    fan_in: int
    n_units: int
    weights: int
    """Where they begin among the parameters,"""
    biases: int
    """and where these do."""
    code: int
    """Of the activation."""
    own: int
    """Units of a block, zeros in the place of those that there are not."""
    quads: int
    """Four of them each; a thread has one quad,"""
    parts: int
    """and so many threads share out the rows of its columns:"""
    turns: int
    """so many for each."""
    columns_at: int
    """Those columns in shared memory: a quad a turn and thread."""
    inputs_at: int
    """The activations below, of all blocks; of no use for the first layer."""
    biases_at: int
    """Of the own units, like what follows: biases,"""
    z_at: int
    """pre-activations,"""
    a_at: int
    """activations,"""
    steps_at: int
    """and learning rate times delta."""
    seen_at: int
    """Activations of all units in the device's memory, then their steps from `seen_steps_at` on."""
    seen_steps_at: int


class Rows(NamedTuple):
    """Rows of weights that lead from a block's units to another hidden layer."""

    of_warp: int
    """Rows that each warp has,"""
    quads: int
    """and quads of each that a lane has;"""
    held: int
    """so many of them in registers,"""
    held_at: int
    """from there on among all that a thread holds,"""
    rows_at: int
    """the rest in shared memory, a quad a row, turn and thread."""


@dataclass(frozen=True)
class Shape(CompiledFor):
    """What a kernel is compiled for, and what follows from it."""

    layer_sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss_name: str
    level: float
    """Of the quantile loss."""
    dtype_name: str
    with_l2: bool
    n_multiprocessors: int
    """Blocks, at most."""
    threads: int = MAX_THREADS
    held_bytes: int = HELD_BYTES

    @property
    def n_outputs(self) -> int:
        """Units of the output layer."""
        return self.layer_sizes[-1]

    @property
    def n_warps(self) -> int:
        """Of a block."""
        return self.threads // WARP

    @property
    def n_barriers(self) -> int:
        """Of the grid, a sample: one a hidden layer each way, but the last one has both in one."""
        return 2 * len(self.layer_sizes) - 5

    @cached_property
    def own(self) -> tuple[int, ...]:
        """Units of each hidden layer that a block owns."""
        return tuple(_own(n, self.n_multiprocessors) for n in self.layer_sizes[1:-1])

    @cached_property
    def grid(self) -> int:
        """Blocks of a launch."""
        return max(-(-n // own) for n, own in zip(self.layer_sizes[1:-1], self.own, strict=True))

    @cached_property
    def rows_of_parts(self) -> int:
        """Length of a row of what blocks have of an output's sum: whole quads of a warp."""
        return -(-self.grid // (QUAD * WARP)) * QUAD * WARP

    @cached_property
    def places(self) -> "Places":
        """Where all of it lies."""
        return Places(self)

    @property
    def shared_bytes(self) -> int:
        """Shared memory that a launch asks for."""
        return self.places.used * self.itemsize

    @property
    def all_shared_bytes(self) -> int:
        """With what the kernel has beside it."""
        return self.shared_bytes + BESIDE_POOL + self.itemsize * self.n_outputs


def _own(n_units: int, n_blocks: int) -> int:
    own = QUAD
    while own * n_blocks < n_units:
        own *= 2
    return own


class Places:
    """Offsets in a block's shared memory, in what blocks tell each other, and in a thread's registers."""

    def __init__(self, of: Shape) -> None:
        self.used = 0
        """Numbers of shared memory,"""
        self.n_seen = 0
        """of what blocks tell each other,"""
        self.n_held = 0
        """and of a thread's registers, for rows."""
        self._layout = layout(of.layer_sizes, tuple(ACTIVATIONS[name] for name in of.activations))
        n_inputs = -(-of.layer_sizes[0] // _parts(of, 0)) * _parts(of, 0)
        self.samples_at = self._take(n_inputs), self._take(n_inputs)
        """Inputs of the sample under way and of the one before, in turn."""
        self.hidden = tuple(self._hidden(of, layer) for layer in range(len(of.own)))
        layers = pairwise(self.hidden)
        self.rows = tuple(self._rows(of, below.own, above.n_units) for below, above in layers)
        """Of each two hidden layers."""
        lengths = [rows.quads * QUAD * WARP for rows in self.rows]
        self.steps_at = self._take(max(lengths, default=0))
        """Of all units of a layer."""
        self.sums_at = self._take(of.n_warps * max(of.own))
        """What warps have of the own units' sums."""
        n = of.n_outputs
        self.out_weights, self.out_biases = map(int, self._layout[-1, [WEIGHTS, BIASES]])
        """Where the output layer's parameters are."""
        self.out_rows_at = self._take(of.own[-1] * n)
        """Rows that lead from the own units to the outputs,"""
        self.out_biases_at, self.out_z_at = self._take(n), self._take(n)
        """and of all outputs biases, pre-activations,"""
        self.out_a_at, self.out_steps_at = self._take(n), self._take(n)
        """activations and steps."""

    def _take(self, n: int) -> int:
        """The offset of n numbers more; every piece begins at a quad."""
        at, self.used = self.used, self.used + -(-n // QUAD) * QUAD
        return at

    def _tell(self, n: int) -> int:
        at, self.n_seen = self.n_seen, self.n_seen + -(-n // QUAD) * QUAD
        return at

    def _hidden(self, of: Shape, layer: int) -> Hidden:
        fan_in, n_units = of.layer_sizes[layer : layer + 2]
        own, parts = of.own[layer], _parts(of, layer)
        turns = -(-fan_in // parts)
        row = self._layout[layer]
        return Hidden(
            fan_in,
            n_units,
            int(row[WEIGHTS]),
            int(row[BIASES]),
            ACTIVATIONS[of.activations[layer]],
            own,
            own // QUAD,
            parts,
            turns,
            self._take(turns * of.threads * QUAD),
            self._take(turns * parts) if layer else 0,
            self._take(own),
            self._take(own),
            self._take(own),
            self._take(own),
            self._tell(n_units),
            self._tell(n_units),
        )

    def _rows(self, of: Shape, own: int, n_above: int) -> Rows:
        of_warp, quads = -(-own // of.n_warps), -(-n_above // (QUAD * WARP))
        left = of.held_bytes // of.itemsize - self.n_held
        held = min(quads, left // (QUAD * of_warp))
        held_at, self.n_held = self.n_held, self.n_held + held * of_warp * QUAD
        return Rows(of_warp, quads, held, held_at, self._take((quads - held) * of_warp * of.threads * QUAD))


def _parts(of: Shape, layer: int) -> int:
    return of.threads * QUAD // of.own[layer]
