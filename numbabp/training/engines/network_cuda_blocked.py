"""One large network trained in blocks of samples on a GPU (docs/blocked.md)."""

from typing import Any, NamedTuple

import numpy as np

from ...devices import memory
from ...devices.matrix_products import exact_products, multiply
from ...kernels.cuda.blocked.geometry import blocked_geometry, half_turns_held, static_bytes
from ...kernels.cuda.blocked.places import PARTS, block_layout, block_places, is_aligned
from ...kernels.cuda.blocked.state import Block, Record
from ...kernels.cuda.blocked.state import Network as DeviceNetwork
from ...kernels.cuda.blocked.state import Samples as DeviceSamples
from ...kernels.cuda.blocked.sums import WARP
from ...kernels.cuda.blocked.train import carry_weights, make_train_block
from ...kernels.layout import BIASES, FAN_IN, FAN_OUT, INPUTS, OUTPUTS, WEIGHTS
from ...kernels.powers import fill_powers, step_rates
from .network_cuda_queued import Queued

CARRY_THREADS, CARRY_BLOCKS = 256, 8
"""Threads of a block of `carry_weights`, and blocks a multiprocessor."""


class _Views(NamedTuple):
    """The matrices of a block of n samples."""

    x: Any
    z: Any
    gram: Any
    carried: Any
    products: tuple[tuple[Any, Any, Any], ...]
    """(weights or velocity, inputs transposed, scaled deltas) for the block's end."""


class Blocked(Queued):
    """One network in the blocked form.

    A block of samples is: their inputs gathered, products with the first layer's weights and with each other,
    one launch for the steps, one product a layer for the weights at the end. Blocks that follow one that
    diverged change nothing: they take no step, and their deltas are zeros.

    The plan has a block length.
    """

    def _prepare(self) -> None:
        self._length = self.plan.block_length
        self._geometry = blocked_geometry(
            self.subject.architecture.layer_sizes, self.device.n_multiprocessors, memory.is_interpreted()
        )
        self._prepare_queue()
        self._allocate()
        self._views = {self._length: self._make_views(self._length)}
        self._start(0, 0, 0, 0)  # compiles

    def _allocate(self) -> None:
        of, samples, length, run = (
            self.subject.architecture,
            self.subject.samples,
            self._length,
            self.subject.run,
        )
        dtype = of.dtype
        layout, n_units = block_layout(of.layout)
        self._layout = layout
        self.moments = memory.to_device(self.subject.moments)
        self._inputs = memory.to_device(samples.inputs)
        self._x = memory.empty((length, of.n_inputs), dtype)
        width = int(layout[0, FAN_OUT]) if self.moments.size else 0
        self.network = DeviceNetwork(
            memory.to_device(self.subject.parameters),
            self.moments.ravel(),
            memory.to_device(layout),
            of.loss_code,
            of.quantile,
        )
        self._on_device = DeviceSamples(
            memory.to_device(samples.targets),
            memory.to_device(samples.weights),
            memory.zeros(len(samples.order), np.int64),
        )
        geometry = self._geometry
        n_held = half_turns_held(dtype.itemsize, self.moments.size > 0, geometry.threads)
        beside = self.device.shared_per_block - static_bytes(geometry.threads, dtype.itemsize)
        places, shared = block_places(layout, geometry, length, dtype.itemsize, beside, WARP, n_held)
        self._block = Block(
            memory.zeros(length * n_units, dtype),
            memory.zeros(length * n_units, dtype),
            memory.zeros(length * n_units, dtype),
            memory.zeros(length * width, dtype),
            memory.zeros(length * length, dtype),
            memory.zeros((length + 1, 6), dtype),
            memory.zeros(3, dtype),
            memory.zeros(2 * (geometry.grid + 1) * int(places[0, PARTS]), dtype),
            memory.to_device(places.ravel()),
            memory.zeros(2, np.int32),
        )
        self._record = Record(
            memory.to_device(run.metrics),
            memory.zeros(run.sums.shape, np.float64),
            memory.zeros(4, np.int64),
        )
        of_block = self.network, self._on_device, self._block, self._record
        train_block = make_train_block(
            self.moments.size > 0,
            is_aligned(layout.astype(int)),
            geometry.threads,
            geometry.group,
            n_held,
        )
        self._start = memory.launcher(train_block, geometry.grid, geometry.threads, of_block, shared)
        carried = self.network, self._block, self._record
        threads = min(CARRY_THREADS, geometry.threads)
        self._carry = memory.launcher(
            carry_weights, CARRY_BLOCKS * self.device.n_multiprocessors, threads, carried
        )
        self._carries = self.moments.size > 0 or self.subject.options.l2 > 0

    def _make_views(self, n: int) -> _Views:
        block, layout = self._block, self._layout.astype(int)

        def units(array: Any, column: int, layer: int, width: int) -> Any:
            start = self._length * layout[layer, column]
            return array[start : start + n * width].reshape(n, width)

        products = []
        for layer, (fan_in, fan_out) in enumerate(layout[:, [FAN_IN, FAN_OUT]]):
            inputs = self._x[:n] if layer == 0 else units(block.a, INPUTS, layer, fan_in)
            for array, scaled in ((self.network.parameters, block.z), (self.network.velocity, block.delta)):
                if array.size:
                    matrix = self._matrix(array, layer)
                    products.append((matrix, inputs.T, units(scaled, OUTPUTS, layer, fan_out)))
        width = layout[0, FAN_OUT]
        return _Views(
            self._x[:n],
            units(block.z, OUTPUTS, 0, width),
            block.gram[: n * n].reshape(n, n),
            block.carried[: n * width].reshape(n, width) if block.carried.size else None,
            tuple(products),
        )

    def _matrix(self, array: Any, layer: int) -> Any:
        """A layer's weights, or their velocity."""
        row = self._layout[layer].astype(int)
        return array[row[WEIGHTS] : row[BIASES]].reshape(row[FAN_IN], row[FAN_OUT])

    @property
    def changing(self) -> tuple[Any, Any]:
        """See `Engine`."""
        return self.network.parameters, self.moments

    @exact_products()
    def _advance(self, stop_epoch: int, max_samples: int) -> int:
        return super()._advance(stop_epoch, max_samples)

    def _until(self, start: int, left: int) -> int:
        """The end of a block."""
        return start - start % self._length + self._length

    def _use_rate(self, rate: float) -> None:
        powers = np.zeros((self._length + 1, 6))
        fill_powers(powers, self.subject.options.rule, rate)
        dtype = self.subject.parameters.dtype
        memory.copy_to(self._block.powers, powers.astype(dtype))
        memory.copy_to(self._block.rates, np.array(step_rates(self.subject.options.rule, rate), dtype))

    def _train(self, epoch: int, number: int, first: int, n: int) -> None:
        """The steps of the samples that are first, ..., first + n - 1 in the epoch."""
        if n not in self._views:
            self._views[n] = self._make_views(n)
        views = self._views[n]
        rows = self._on_device.rows[first : first + n]
        memory.array_module().take(self._inputs, rows, axis=0, out=views.x)
        multiply(views.z, views.x, self._matrix(self.network.parameters, 0))
        if views.carried is not None:
            multiply(views.carried, views.x, self._matrix(self.network.velocity, 0))
        multiply(views.gram, views.x, views.x.T)
        self._start(epoch, number, first, n)
        if self._carries:
            self._carry()
        for matrix, inputs, scaled in views.products:
            multiply(matrix, inputs, scaled, add=True)
