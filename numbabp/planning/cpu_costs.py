"""What a step costs on this machine: the planner's model and its constants.

The model adds up, layer by layer, the bytes of weights that pass through the caches, the products' flops,
and what every layer, unit and row costs beside. Its constants were fitted to measured steps of 31 networks
from 2-2-1 to 3000-2000-10 in both dtypes, sequential and at seven block lengths, on one thread of a machine
with AVX-512; its error there is 8 % (root mean square). `numbabp info --calibrate` fits them anew.
"""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path

from ..compiler.arrays import LINE
from ..kernels.layout import NARROW

NARROW_PRODUCT = 32


@dataclass(frozen=True)
class Machine:
    """Constants of the cost model: ns, per byte where weights are meant, for float32 unless said."""

    layer: float = 41.0
    """A layer: calls, loops begun, the chain from its inputs to its outputs."""
    unit: float = 0.45
    """A unit, with its activation and derivative; float64 twice."""
    row: float = 0.69
    """A row of weights, or a column of a narrow layer's."""
    first_cache: float = 0.0243
    """A byte of weights read, updated and written, all parameters in the first cache."""
    second_cache: float = 0.0276
    memory: float = 0.0518
    tiny: float = 0.84
    """A step of the tiny kernel, in sequential ones."""
    block_step: float = 81.0
    """A step in a block, beside a step without one."""
    multiply_add: float = 0.00616
    """One of the two flops of a product, and half a multiply-add."""
    gram: float = 0.0130
    """A multiply-add of the Gram matrix."""
    correction: float = 0.0161
    """A byte of an earlier sample's row, when a step is corrected for it."""
    copy: float = 0.0717
    """A byte of a sample, gathered."""
    pack: float = 0.0763
    """A byte of weights packed for a product too large to do without."""
    panel_row: float = 12.7
    """A row of a panel of weights 2 KiB apart, in products without packing; less where they lie closer."""
    odd_row: float = 3.0
    """A row of weights that is no whole number of cache lines, in a block's products."""
    ragged: float = 0.25
    """What a narrow product costs more if its samples are no multiple of 12, OpenBLAS's step."""
    update_near: float = 0.0095
    """A byte of weights read and written by a product that updates them."""
    update_far: float = 0.0444
    delayed_near: float = 0.0205
    """A byte of a hidden layer's weights that is only read."""
    delayed_far: float = 0.0493
    carry_near: float = 0.07
    """A byte of weights and as much of velocity, carried to a block's end."""
    carry_far: float = 0.15
    velocity: float = 2.2
    """Updating hidden weights with a velocity, in updates without."""
    general_first: float = 0.055
    """A byte of parameters in the general kernel's passes over gradient, state and parameters."""
    general_second: float = 0.058
    general_memory: float = 0.12
    first_cache_size: float = 40e3
    """Bytes of parameters that the first cache holds beside the rest."""
    second_cache_size: float = 1.8e6

    def ns_per_step(
        self,
        layer_sizes: Sequence[int],
        itemsize: int,
        kernel: str,
        block_length: int = 0,
        sub_block: int = 0,
        delayed_layers: Sequence[int] = (),
        velocity: bool = False,
    ) -> float:
        """Predicted nanoseconds of one step.

        Parameters
        ----------
        layer_sizes
            (n_inputs, ..., n_outputs).
        itemsize
            4 or 8, the dtype's bytes.
        kernel, block_length, sub_block, delayed_layers
            As in `numbabp.planning.planner.Plan`.
        velocity
            Whether the update rule is momentum or nesterov.
        """
        layers = list(pairwise(layer_sizes))
        total = itemsize * sum(fan_in * fan_out for fan_in, fan_out in layers)
        wide = itemsize / 4
        ns = sum(self.layer + self.unit * wide * fan_out for _, fan_out in layers)
        if kernel == "general":
            levels = self.general_first, self.general_second, self.general_memory
            return 1.5 * ns + total * self._level(3 * total, *levels)
        through = self._level(total, self.first_cache, self.second_cache, self.memory)
        for layer, (fan_in, fan_out) in enumerate(layers):
            weights = itemsize * fan_in * fan_out
            if layer == 0 and kernel == "blocked":
                ns += self._first_layer_blocked(fan_in, fan_out, itemsize, block_length, sub_block, total)
                if velocity:
                    ns += self._velocity_blocked(fan_in, fan_out, itemsize, block_length, total)
            elif layer in delayed_layers:
                near = self._level(total, self.delayed_near, self.delayed_near, self.delayed_far)
                corrections = self.correction * itemsize * sub_block * (fan_in + fan_out)
                product = 2 * self.multiply_add * wide * fan_in * fan_out
                ns += self.row * fan_in + weights * near + corrections + product
                ns += weights * self.update_near / sub_block
            else:
                narrow = fan_out == 1 or (fan_out <= NARROW and fan_out < fan_in)
                ns += self.row * (fan_out if narrow else fan_in)
                ns += weights * through * (self.velocity if velocity and layer > 0 else 1)
        return ns * self.tiny if kernel == "tiny" else ns

    def ns_per_sparse_step(self, layer_sizes: Sequence[int], itemsize: int, n_nonzeros: float) -> float:
        """Predicted nanoseconds of a step of plain SGD on a sample of so many non-zeros.

        That of a small dense network, but with its first rows from where all the weights lie. Not fitted to
        measurements.
        """
        width = layer_sizes[1]
        total = itemsize * sum(fan_in * fan_out for fan_in, fan_out in pairwise(layer_sizes))
        near = self.ns_per_step((max(1, round(n_nonzeros)), *layer_sizes[1:]), itemsize, "sequential")
        levels = self.first_cache, self.second_cache, self.memory
        return near + itemsize * n_nonzeros * width * (self._level(total, *levels) - self.first_cache)

    def _first_layer_blocked(
        self, fan_in: int, fan_out: int, itemsize: int, length: int, sub_block: int, total: float
    ) -> float:
        from ..kernels.products import SMALL_PRODUCT, panel_width

        wide = itemsize / 4
        weights = itemsize * fan_in * fan_out
        in_vectors = (
            max(2, math.ceil(fan_out * itemsize / LINE)) * LINE / itemsize
        )  # products work on whole vectors
        products = 4 * self.multiply_add * wide * fan_in * in_vectors
        if length % 12 and fan_out <= NARROW_PRODUCT:
            products *= 1 + self.ragged
        ns = self.block_step + products
        near = self._level(total, self.update_near / 3, self.update_near, self.update_far)
        ns += weights * near / length
        panel = panel_width(length, fan_in, fan_out)
        if panel < fan_out:
            rows = fan_in * math.ceil(fan_out / panel) * min(fan_out * itemsize, 2048) / 2048
            ns += self.panel_row * rows / length
        elif length * fan_in * fan_out > SMALL_PRODUCT:
            ns += self.pack * weights / length
        if fan_out * itemsize % LINE:
            ns += self.odd_row * fan_in / length
        ns += self.gram * wide * fan_in * length
        ns += self.correction * itemsize * fan_out * sub_block / 2
        ns += self.multiply_add * wide * fan_out * (length - sub_block)
        return ns + self.copy * itemsize * fan_in

    def _velocity_blocked(self, fan_in: int, fan_out: int, itemsize: int, length: int, total: float) -> float:
        weights = itemsize * fan_in * fan_out
        near = self._level(2 * total, self.carry_near, self.carry_near, self.carry_far)
        return 4 * self.multiply_add * itemsize / 4 * fan_in * fan_out + weights * near / length

    def _level(self, size: float, first: float, second: float, memory: float) -> float:
        """Cost of a byte where `size` bytes are in use; memory's share grows with what no cache holds."""
        if size <= self.first_cache_size:
            return first
        beyond = (size - self.second_cache_size) / self.second_cache_size
        return second + (memory - second) * min(1.0, max(0.0, beyond))


def settings_path() -> Path:
    """Where calibrated constants are kept."""
    folder = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(folder).expanduser() / "numbabp" / "machine.json"


@cache
def this_machine() -> Machine:
    """The calibrated constants if there are some, else the built-in ones."""
    try:
        kept = json.loads(settings_path().read_text())
        constants = {field.name: float(kept[field.name]) for field in fields(Machine)}
        if not all(math.isfinite(value) and value >= 0 for value in constants.values()):
            return Machine()
        return Machine(**constants)
    except (OSError, ValueError, TypeError, KeyError):  # none, or not ours
        return Machine()


def keep(machine: Machine) -> Path:
    """Write constants where `this_machine` finds them, and use them from now on."""
    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(machine), indent=1))
    temporary.replace(path)
    this_machine.cache_clear()
    return path
