"""What a step costs on this machine: the planner's model and its constants.

The model adds up, layer by layer, the bytes of weights that pass through the caches, the products' flops,
and what every layer, unit and row costs beside. Its constants were fitted to measured steps of 31 networks
from 2-2-1 to 3000-2000-10 in both dtypes, sequential and at seven block lengths, on one thread of a machine
with AVX-512; its error there is 8 % (root mean square). `numbabp info --calibrate` fits them anew.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path

from ..compiler.arrays import LINE
from ..compiler.vectors import has_avx512
from ..kernels.lanes.chunks import BLOCKED_INPUTS
from ..kernels.layout import NARROW
from ..kernels.tiny.rows import tiny_width
from ..kernels.update_rules import N_MOMENTS
from ..options import LINEAR_RULES

NARROW_PRODUCT = 32


@dataclass(frozen=True)
class Machine:
    """Constants of the cost model: ns, per byte where weights are meant, for float32 unless said."""

    layer: float = 57.1
    """A layer: calls, loops begun, the chain from its inputs to its outputs."""
    unit: float = 0.369
    """A unit, with its activation and derivative; float64 twice."""
    row: float = 0.325
    """A row of weights, or a column of a narrow layer's."""
    first_cache: float = 0.0287
    """A byte of weights read, updated and written, all parameters in the first cache."""
    second_cache: float = 0.0311
    memory: float = 0.0588
    """Where they take up twice the second cache;"""
    far: float = 0.0593
    """and where they take up four times as much and more."""
    tiny_step: float = 73.3
    """A step of the tiny kernel: the chain through it; like the others of these fitted to 104 networks from
    2-8-1 to 2000-32-20, with an error of 7 %, on a processor on which the sequential kernel takes 1.25 times
    what is predicted and blocks 1.1 times; they are 0.9 of what was found."""
    tiny_wide: float = 12.0
    """What float64 adds to it."""
    tiny_vector: float = 0.786
    """A vector of the hidden layer's weights, all parameters in the first cache,"""
    tiny_vector_far: float = 1.56
    """or not."""
    tiny_outputs: float = 10.4
    """More than one output, and for each of them"""
    tiny_output: float = 1.67
    tiny_output_vector: float = 1.93
    """beside a vector of its weights."""
    tiny_velocity: float = 0.95
    """What a vector's velocities add, all of them in the first cache,"""
    tiny_velocity_far: float = 1.6
    """or not."""
    tiny_half: float = 4.0
    """A vector of hidden units of half a cache line, where there is no AVX-512."""
    block_step: float = 149.0
    """A step in a block, beside a step without one."""
    multiply_add: float = 0.00665
    """One of the two flops of a product, and half a multiply-add."""
    gram: float = 0.0139
    """A multiply-add of the Gram matrix."""
    correction: float = 0.0139
    """A byte of an earlier sample's row, when a step is corrected for it."""
    copy: float = 0.0282
    """A byte of a sample, gathered."""
    pack: float = 0.0784
    """A byte of weights packed for a product too large to do without."""
    panel_row: float = 11.8
    """A row of a panel of weights 2 KiB apart, in products without packing; less where they lie closer."""
    odd_row: float = 6.78
    """A row of weights that is no whole number of cache lines, in a block's products."""
    ragged: float = 0.147
    """What a narrow product costs more if its samples are no multiple of 12, OpenBLAS's step."""
    update_near: float = 0.0049
    """A byte of weights read and written by a product that updates them."""
    update_far: float = 0.0401
    delayed_near: float = 0.0215
    """A byte of a hidden layer's weights that is only read."""
    delayed_far: float = 0.0505
    swept_near: float = 0.0234
    """A byte of weights swept over for a sample that goes back and one that goes forth."""
    swept_far: float = 0.039
    swept_unit: float = 10.5
    """A byte of a unit of a swept layer, whose pre-activation is added up from parts."""
    recent: float = 0.0163
    """A multiply-add of the products of a block's samples with those before,"""
    recall: float = 0.0146
    """and a byte of these, once a block;"""
    recall_far: float = 0.166
    """a byte of a sample that is kept, where the second cache does not hold them all."""
    carry_near: float = 0.0813
    """A byte of weights and as much of velocity, carried to a block's end."""
    carry_far: float = 0.196
    velocity: float = 1.92
    """Updating hidden weights with a velocity, in updates without."""
    general_first: float = 0.0673
    """A byte of parameters in the general kernel's passes over gradient, state and parameters."""
    general_second: float = 0.0581
    general_memory: float = 0.0753
    adaptive_first: float = 0.07
    """A byte of weights in single steps of adagrad, rmsprop, adam and adamw, with what they keep of it, in
    float32; like the others of these fitted to 11 networks from 2-10-1 to 784-512-512-10 with AVX-512."""
    adaptive_second: float = 0.077
    adaptive_double: float = 1.45
    """What float64 makes of these, whose roots and quotients take more steps."""
    adaptive_memory: float = 0.043
    """A byte of weights or of a moment, whatever the dtype."""
    adaptive_row: float = 1.2
    """A row of weights, beside `adaptive_odd_row` where it is no whole number of cache lines."""
    adaptive_odd_row: float = 2.4
    adaptive_step: float = 60.0
    batch_flop: float = 0.0113
    """A flop of a product of a mini-batch; like the others of these fitted to 8 networks from 2-10-1 to
    784-512-512-10 in batches of 4, 32 and 200, on a processor with AVX2, with an error of 13 %."""
    batch_pack: float = 0.072
    """A byte of weights, packed for each product."""
    batch_unit: float = 1.37
    """A unit and sample, with its activation and derivative; float64 twice."""
    batch_copy: float = 0.0305
    """A byte of a sample, gathered."""
    batch_sample: float = 46.0
    """A sample's loss and record, beside `batch_output` for every output."""
    batch_output: float = 11.5
    batch_layer: float = 530.0
    """A layer, once a mini-batch."""
    batch_near: float = 0.0244
    """A byte read or written by a step: of gradient, parameters and twice of every moment."""
    batch_far: float = 0.0349
    batch_cache_size: float = 4e6
    """Bytes of gradient, parameters and moments that are near."""
    first_cache_size: float = 40e3
    """Bytes of parameters that the first cache holds beside the rest."""
    second_cache_size: float = 1.8e6

    def ns_per_step(self, layer_sizes: Sequence[int], itemsize: int) -> float:
        """Predicted nanoseconds of a step of the sequential kernel.

        Parameters
        ----------
        layer_sizes
            (n_inputs, ..., n_outputs).
        itemsize
            4 or 8, the dtype's bytes.
        """
        layers, total = _layers(layer_sizes, itemsize)
        through = self._through(total)
        ns = self._units(layers, itemsize)
        return ns + sum(self._single_step(*layer, itemsize, through) for layer in layers)

    def ns_per_tiny_step(self, layer_sizes: Sequence[int], itemsize: int, has_velocity: bool) -> float:
        """The same of the kernel for one small hidden layer."""
        n_inputs, n_hidden, n_outputs = layer_sizes
        row = tiny_width(n_hidden, itemsize) * itemsize
        vectors = row / _vector_bytes()
        is_near = row * (1 + has_velocity) * (n_inputs + n_outputs) <= self.first_cache_size
        ns = self.tiny_step + self.tiny_wide * (itemsize / 4 - 1)
        if has_velocity:
            per_vector = self.tiny_velocity if is_near else self.tiny_velocity_far
            ns += per_vector * vectors * (n_inputs + n_outputs)
        ns += (self.tiny_vector if is_near else self.tiny_vector_far) * vectors * n_inputs
        if n_outputs > 1:
            ns += self.tiny_outputs + (self.tiny_output + self.tiny_output_vector * vectors) * n_outputs
        return ns if _vector_bytes() == LINE else ns + self.tiny_half * vectors

    def ns_per_general_step(
        self, layer_sizes: Sequence[int], itemsize: int, has_velocity: bool = False
    ) -> float:
        """The same of the general kernel, but for the steps of `ns_per_adaptive_step`."""
        layers, total = _layers(layer_sizes, itemsize)
        levels = self.general_first, self.general_second, self.general_memory
        of_units, of_weights = 1.5 * self._units(layers, itemsize), total * self._level(3 * total, *levels)
        if (
            has_velocity
        ):  # a Xeon took 0.85 to 1.14 of this for single steps of ten networks, and 1.5 for 64-10
            return 2.5 / 1.5 * of_units + 1.4 * of_weights
        return of_units + of_weights

    def ns_per_adaptive_step(self, layer_sizes: Sequence[int], itemsize: int, n_moments: int) -> float:
        """The same of a single step of a rule that divides by a root; `n_moments` as below."""
        layers, total = _layers(layer_sizes, itemsize)
        wide = self.adaptive_double if itemsize == 8 else 1.0
        first, second = wide * self.adaptive_first, wide * self.adaptive_second
        memory = max(second, self.adaptive_memory * (1 + n_moments))
        ns = self.adaptive_step + 1.5 * self._units(layers, itemsize)
        for fan_in, fan_out in layers:
            is_odd = fan_out * itemsize % LINE > 0
            rows = 1 if fan_out == 1 else fan_in
            ns += rows * (self.adaptive_row + self.adaptive_odd_row * is_odd)
        return ns + total * self._level((1 + n_moments) * total, first, second, memory)

    def ns_per_minibatch_step(
        self, layer_sizes: Sequence[int], itemsize: int, batch_size: int, n_moments: int, n_inputs: float
    ) -> float:
        """The same of the kernel of mini-batches; the step is a sample's share of its batch's.

        Parameters
        ----------
        layer_sizes, itemsize
            As for `ns_per_step`.
        batch_size
            Samples of a mini-batch.
        n_moments
            Of the update rule (`update_rules.N_MOMENTS`).
        n_inputs
            Of a sample, on average, that are not 0; all of them where X is dense.
        """
        wide = itemsize / 4
        layers, total = _layers(layer_sizes, itemsize)
        of_products = 2 * n_inputs * layer_sizes[1] + 3 * sum(m * n for m, n in layers[1:])
        of_sample = 2 * self.batch_flop * wide * of_products + self.batch_copy * itemsize * n_inputs
        of_sample += self.batch_unit * wide * sum(layer_sizes[1:]) + self.batch_sample
        of_sample += self.batch_output * wide * layer_sizes[-1]
        is_near = total * (2 + n_moments) < self.batch_cache_size
        of_batch = (2 + 2 * n_moments) * total * (self.batch_near if is_near else self.batch_far)
        of_batch += self.batch_layer * len(layers) + self.batch_pack * itemsize * of_products
        return of_sample + of_batch / batch_size

    def ns_per_blocked_step(
        self,
        layer_sizes: Sequence[int],
        itemsize: int,
        block_length: int,
        sub_block: int,
        delayed_layers: Sequence[int] = (),
        velocity: bool = False,
        n_recent: int = 0,
    ) -> float:
        """The same of the blocked kernel.

        Parameters
        ----------
        layer_sizes, itemsize
            As for `ns_per_step`.
        block_length, sub_block, delayed_layers, n_recent
            As in `numbabp.planning.plan.Plan`.
        velocity
            Whether the update rule is momentum or nesterov.
        """
        (first, *hidden), total = _layers(layer_sizes, itemsize)
        through = self._through(total)
        ns = self._units([first, *hidden], itemsize)
        ns += self._first_layer_blocked(*first, itemsize, block_length, sub_block, total)
        if velocity:
            if n_recent:
                ns += self._velocity_of_recent(*first, itemsize, block_length, n_recent)
            else:
                ns += self._velocity_blocked(*first, itemsize, block_length, total)
            through *= self.velocity
        delayed = [hidden[layer - 1] for layer in delayed_layers]
        put_off = itemsize * sum(math.prod(sizes) + n_recent * sum(sizes) for sizes in delayed)
        for layer, sizes in enumerate(hidden, start=1):
            if layer in delayed_layers:
                ns += self._delayed(*sizes, itemsize, sub_block, put_off, n_recent)
            else:
                ns += self._single_step(*sizes, itemsize, through)
        return ns

    def ns_per_shared_step(
        self,
        layer_sizes: Sequence[int],
        itemsize: int,
        block_length: int,
        sub_block: int,
        swept_layers: Sequence[int],
        n_threads: int,
    ) -> float:
        """The same of the shared kernel, on so many threads."""
        (first, *others), total = _layers(layer_sizes, itemsize)
        wide = itemsize / 4
        through = self._through(total)
        in_blocks = self._first_layer_blocked(*first, itemsize, block_length, sub_block, total)
        parted = 4 * self.multiply_add * wide * first[0] * first[1]
        alone = self._units([first, *others], itemsize) + max(0.0, in_blocks - parted)
        swept = itemsize * sum(math.prod(others[layer - 1]) for layer in swept_layers)
        for layer, (fan_in, fan_out) in enumerate(others, start=1):
            if layer not in swept_layers:
                alone += self._single_step(fan_in, fan_out, itemsize, through)
                continue
            weights = itemsize * fan_in * fan_out
            near = self._level(swept / n_threads, self.swept_near, self.swept_near, self.swept_far)
            # the second layer once for both ways; what is written comes from as far
            parted += weights * (near if layer == 1 else 1.5 * near) + weights * self.update_far / sub_block
            parted += 2 * self.multiply_add * wide * fan_in * fan_out
            alone += self.correction * itemsize * sub_block * fan_out + self.swept_unit * itemsize * fan_out
        return alone + parted / n_threads

    def ns_per_sparse_step(self, layer_sizes: Sequence[int], itemsize: int, n_nonzeros: float) -> float:
        """Predicted nanoseconds of a step of plain SGD on a sample of so many non-zeros.

        That of a small dense network, but with its first rows from where all the weights lie. Not fitted to
        measurements.
        """
        width = layer_sizes[1]
        total = itemsize * sum(fan_in * fan_out for fan_in, fan_out in pairwise(layer_sizes))
        near = self.ns_per_step((max(1, round(n_nonzeros)), *layer_sizes[1:]), itemsize)
        levels = self.first_cache, self.second_cache, self.memory
        return near + itemsize * n_nonzeros * width * (self._level(total, *levels) - self.first_cache)

    def _units(self, layers: Sequence[tuple[int, int]], itemsize: int) -> float:
        """What layers and units cost beside their weights."""
        return sum(self.layer + self.unit * itemsize / 4 * fan_out for _, fan_out in layers)

    def _single_step(self, fan_in: int, fan_out: int, itemsize: int, through: float) -> float:
        """A layer's weights read, updated and written, at `through` a byte."""
        narrow = fan_out == 1 or (fan_out <= NARROW and fan_out < fan_in)
        return self.row * (fan_out if narrow else fan_in) + itemsize * fan_in * fan_out * through

    def _delayed(
        self, fan_in: int, fan_out: int, itemsize: int, sub_block: int, put_off: float, n_recent: int
    ) -> float:
        """A hidden layer that is updated once a sub-block; so many bytes are read of all of these."""
        weights = itemsize * fan_in * fan_out
        # the block's rows, which a step's corrections read, want some of the cache, too
        near = self._level(1.25 * put_off, self.delayed_near, self.delayed_near, self.delayed_far)
        corrections = self.correction * itemsize * sub_block * (fan_in + fan_out)
        recent = near * itemsize * n_recent * (fan_in + fan_out)
        product = 2 * self.multiply_add * itemsize / 4 * fan_in * fan_out
        ns = self.row * fan_in + weights * near + corrections + recent + product
        return ns + weights * self.update_near / sub_block

    def _first_layer_blocked(
        self, fan_in: int, fan_out: int, itemsize: int, length: int, sub_block: int, total: float
    ) -> float:
        from ..kernels.products.blas import SMALL_PRODUCT, panel_width

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
        products = 4 * self.multiply_add * itemsize / 4 * fan_in * fan_out
        if fan_out <= NARROW_PRODUCT:  # measured: 2000-30-2 takes hardly less with longer blocks
            return 2 * products + weights * near / length / 2
        return products + weights * near / length

    def _velocity_of_recent(
        self, fan_in: int, fan_out: int, itemsize: int, length: int, n_recent: int
    ) -> float:
        """What pairs of samples of different blocks cost."""
        few = min(length, n_recent)  # those of a block that have such pairs
        pairs = few * (n_recent - few / 2) / length
        ns = itemsize / 4 * pairs * (self.recent * fan_in + 2 * self.multiply_add * fan_out)
        row = itemsize * (fan_in + fan_out)
        ns += self.recall * row * n_recent / length
        return ns + row * self._level((n_recent + 2 * length) * row, 0.0, 0.0, self.recall_far)

    def ns_per_split(
        self, layer_sizes: Sequence[int], itemsize: int, n_recent: int, delayed_layers: Sequence[int]
    ) -> float:
        """What it takes to begin with velocities of recent samples, and to make them of these in the end."""
        layers, _ = _layers(layer_sizes, itemsize)
        products = 2 * n_recent * 2 * self.multiply_add * itemsize / 4
        put_off = sum(math.prod(layers[layer]) for layer in delayed_layers)
        both = (math.prod(layers[0]) + put_off) * (products + 4 * itemsize * self.carry_far)
        # until there are so many samples, hidden layers' velocities are read beside them
        return both + n_recent * itemsize * put_off * self.delayed_far

    def _through(self, size: float) -> float:
        """Cost of a byte of weights read, updated and written, of `size` in all."""
        near = self._level(size, self.first_cache, self.second_cache, self.memory)
        beyond = size / (2 * self.second_cache_size) - 1
        return near + (self.far - self.memory) * min(1.0, max(0.0, beyond))

    def _level(self, size: float, first: float, second: float, memory: float) -> float:
        """Cost of a byte where `size` bytes are in use; memory's share grows with what no cache holds."""
        if size <= self.first_cache_size:
            return first
        beyond = (size - self.second_cache_size) / self.second_cache_size
        return second + (memory - second) * min(1.0, max(0.0, beyond))


@dataclass(frozen=True)
class Lanes:
    """Constants of the lanes kernel: ns for float32 and one network.

    Fitted to steps measured between 2-2-1 and 200-50-10 on a Zen 4 at 3.7 GHz.
    """

    step: float = 1.2
    unit: float = 0.27
    weight: tuple[float, float, float] = (0.05, 0.10, 0.142)
    """In the first cache, the second, and beyond."""
    blocked_weight: tuple[float, float, float] = (0.05, 0.051, 0.09)
    """Of a first layer that goes in blocks."""
    cache_bytes: tuple[float, float] = (3e4, 1e6)
    velocity: float = 1.6
    """What momentum makes of a weight's time."""
    quotient: float = 0.5
    """Of a weight's root and division, by the rules that have them; of float64 twice that again."""
    own_order: tuple[float, float] = (4.0, 1.0)
    """Of a step of a network with its own order, and of each input and target that is gathered for it.

    Between 2-10-1 and 20-10-3; 64-32-10 takes a fifth more."""
    batch_unit: float = 1.2
    """What mini-batches make of steps and units; between 2-10-1 and 200-50-10, as the next two."""
    batch_weight: tuple[float, float, float] = (0.055, 0.06, 0.1)
    """Of a weight and a sample of a mini-batch, by the caches as above;"""
    batch_moment: float = 0.3
    """beyond the second cache more by this share for each of the rule's moments."""
    batch_step: tuple[float, float] = (0.15, 0.25)
    """Of a weight and a mini-batch where the rule has a velocity, and for its root and division."""

    def ns_per_step(
        self,
        layer_sizes: Sequence[int],
        itemsize: int,
        n_lanes: int,
        update_rule: str,
        own_order: bool,
        batch_size: int = 1,
    ) -> float:
        """Predicted nanoseconds of one network's step in one of `n_lanes` lanes.

        With mini-batches the step is a sample's share of its batch's.
        """
        n_moments = N_MOMENTS[update_rule]
        n_inputs, n_first, *_ = layer_sizes
        n_weights = sum(fan_in * fan_out for fan_in, fan_out in pairwise(layer_sizes))
        size = n_lanes * itemsize * (n_weights + sum(layer_sizes[1:])) * (1 + n_moments)
        level = sum(size > limit for limit in self.cache_bytes)
        of_units = self.step + self.unit * sum(layer_sizes[1:])
        of_own = self.own_order[0] + self.own_order[1] * (n_inputs + layer_sizes[-1]) if own_order else 0.0
        is_linear = update_rule in LINEAR_RULES
        if batch_size > 1:
            of_velocity, of_quotient = self.batch_step
            of_weight = of_velocity * (n_moments > 0) + (0 if is_linear else of_quotient * itemsize / 4)
            of_moments = 1 + self.batch_moment * n_moments if level == 2 else 1.0
            of_weight = self.batch_weight[level] * of_moments + of_weight / batch_size
            return itemsize / 4 * (self.batch_unit * of_units + n_weights * of_weight + of_own)
        blocked = 0 if n_moments or own_order or n_inputs < BLOCKED_INPUTS else n_inputs * n_first
        others = (n_weights - blocked) * self.weight[level] * (self.velocity if n_moments else 1)
        if not is_linear:
            others += n_weights * self.quotient * itemsize / 4
        return itemsize / 4 * (of_units + blocked * self.blocked_weight[level] + others + of_own)


NETWORK_SECONDS = 4e-4
"""What one network of a population costs when it is trained by itself, beside its steps."""


def _layers(layer_sizes: Sequence[int], itemsize: int) -> tuple[list[tuple[int, int]], float]:
    """(fan_in, fan_out) of each layer, and the bytes of all weights."""
    layers = list(pairwise(layer_sizes))
    return layers, itemsize * sum(fan_in * fan_out for fan_in, fan_out in layers)


@cache
def _vector_bytes() -> int:
    """Of the processor's vectors, those of AVX-512 or of AVX."""
    return LINE if has_avx512() else LINE // 2


def settings_path() -> Path:
    """Where calibrated constants are kept."""
    from platformdirs import user_cache_path

    return user_cache_path("numbabp", appauthor=False) / "machine.json"


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
