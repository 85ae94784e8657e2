"""The training of a population on a GPU: what is copied there and back, slices, history, divergence."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...devices import memory
from ...devices.exact_sums import sums_of
from ...errors import DivergenceError
from ...kernels.cuda.population.kernel import Common, Networks, Record
from ...kernels.cuda.population.kernel import Samples as DeviceSamples
from ...kernels.cuda.population.specialisation import Specialisation
from ...planning.gpu_layouts import Mapping
from ...samples import Samples
from .. import slicing
from ..checkpoints.standing import Standing
from ..divergence import LIMITS, last_finite
from ..shard import Records, Shard
from .population_engine import PopulationEngine, Progress
from .population_orders_cuda import CommonOrders, Orders, OwnOrders

HISTORY_BYTES = 1 << 25
"""A slice's history is no larger: that of the last one is copied while the GPU has nothing to do."""


def make_train(mapping: Mapping) -> Any:
    """The mapping's kernel."""
    from ...kernels.cuda.population import block, thread, warp

    return {"thread": thread, "warp": warp, "block": block}[mapping.name].make_train(
        mapping.of, mapping.registers
    )


class Epochs(NamedTuple):
    """What belongs to some epochs, on the device."""

    orders: Any  # int32 (n_epochs, n), or (n_networks, n) of one epoch
    rates: Any  # float64 (n_rates, n_epochs)
    loss: Any  # float64 (n_epochs, n_networks)
    accuracy: Any  # the same, or (0, 0)


@dataclass
class Window:
    """The epochs that a slice is part of."""

    first_epoch: int
    n_epochs: int
    arrays: Epochs
    views: Epochs
    """The same for kernels (`memory.view`)."""


class OnGpu(PopulationEngine):
    """Networks on a GPU, where their parameters lie until training ends.

    Raises
    ------
    MemoryError
        If the device has too little memory; it says how many networks would fit.
    """

    def __init__(self, shard: Shard, samples: Samples, records: Records) -> None:
        super().__init__(shard, samples, records)
        assert shard.plan.mapping is not None
        self.mapping, self.device = shard.plan.mapping, memory.device_of(shard.plan.gpu_index)
        self.n, self.n_samples = len(shard), samples.n
        self.orders: Orders
        with memory.on(self.device):
            self._check_memory()
            self._put_on_device()
            self.orders = (OwnOrders if self.mapping.of.own_orders else CommonOrders)(shard, samples.n)
        self.is_monitored = "accuracy" in records.metrics
        self.downloads: list[tuple[np.ndarray, memory.Download]] = []
        """History on its way to the host, and where it belongs."""
        self.ended = np.zeros(self.n, bool)
        """Networks that have diverged or stopped."""
        self._epoch = 0
        self._window: Window | None = None
        self._at = 0
        """Position in the window."""

    def _put_on_device(self) -> None:
        shard, samples, n = self.shard, self.samples, self.n
        self.train = make_train(self.mapping)
        to_device = memory.to_device
        dtype = shard.parameters.dtype
        self.networks = networks_on_device(shard, self.mapping.of)
        weights, sums = np.empty((0, 0), dtype), np.full(n, float(self.n_samples))
        if len(shard.weights):
            weights = shard.weights.T
            sums = sums_of(weights)
        elif len(samples.weights):
            weights = samples.weights.T
            sums = np.full(n, sums_of(weights)[0])
        self.on_device = DeviceSamples(
            to_device(samples.inputs), to_device(samples.targets), to_device(weights), None
        )
        self.record = Record(
            None,
            None,
            to_device(sums),
            to_device(np.full(n, -1, np.int64)),
            to_device(np.full(n, 2**62, np.int64)),
            to_device(np.full(n, np.inf)),
            memory.zeros(n, np.int64),
            memory.zeros(n, np.int64),
            memory.zeros(n, np.int64),
        )
        self.views = memory.view((self.networks, self.on_device, self.record))
        """What of a launch's arguments is the same in all of them."""

    @property
    def tasks(self) -> Iterable[None]:
        """All networks are one."""
        return [None]

    @property
    def first_slice(self) -> float:
        """See `PopulationEngine`; of positions, each a step of all networks."""
        return self.slice_seconds / (self.shard.plan.ns_per_step * 1e-9 * self.n) / 4

    @property
    def slice_seconds(self) -> float:
        """See `PopulationEngine`."""
        return slicing.SLICE_SECONDS_ON_GPU

    @contextmanager
    def open(self) -> Iterator[None]:
        """See `PopulationEngine`."""
        with memory.on(self.device):
            yield

    def compile(self) -> None:
        """See `PopulationEngine`."""
        self._launch(self._make_window(0, 1, is_drawn=False), 0, 0)
        self.orders.compile()
        memory.synchronize()

    def begin(self, thread: int, task: None) -> None:
        """See `PopulationEngine`."""

    def advance(self, thread: int, max_steps: int) -> Progress:
        """Train on, within a window of as many epochs as fit into so many steps, but at least one."""
        if self._has_ended:  # as it was found
            return Progress(0, True)
        if self._window is None:
            n_epochs = min(self.shard.epochs - self._epoch, max(1, max_steps // self.n_samples))
            n_epochs = max(1, min(n_epochs, HISTORY_BYTES // (16 * self.n + 8 * len(self.shard.rates))))
            n_epochs = min(n_epochs, self.orders.most_epochs)
            self._window, self._at = self._make_window(self._epoch, n_epochs), 0
        window, begin = self._window, self._at
        end = window.n_epochs * self.n_samples
        until = end if window.n_epochs > 1 else min(end, begin + max_steps)
        self._slice(window, begin, until)
        self._at = until
        if until == end:
            self._end_window()
        done = until - begin
        return Progress(self.n * done, self._has_ended, done, done)

    @property
    def _has_ended(self) -> bool:
        return self._epoch >= self.shard.epochs or bool(self.ended.all())

    def catch_up(self) -> None:
        """See `PopulationEngine`."""
        try:
            if self._window is not None:
                self._end_window()
        finally:
            self._finish_history()
            self._copy_back()

    @property
    def can_be_kept(self) -> bool:
        """See `PopulationEngine`; between two windows."""
        return self._window is None

    def kept(self) -> Standing:
        """See `PopulationEngine`; what the networks have come to goes into the shard."""
        with memory.on(self.device):
            self._finish_history()
            self._copy_back()
            arrays = {name: memory.to_host(array) for name, array in self._decided.items()}
            arrays |= self.orders.kept()
        arrays["ended"] = self.ended.astype(np.uint8)
        return Standing({"epoch": self._epoch}, arrays)

    def go_on(self, kept: Standing) -> None:
        """See `PopulationEngine`."""
        with memory.on(self.device):
            self.orders.go_on(kept)  # which may find them to be another run's, before anything is changed
            for name, array in self._decided.items():
                memory.copy_to(array, kept.arrays[name])
        self._epoch = kept.facts["epoch"]
        self.ended[:] = kept.arrays["ended"]

    @property
    def _decided(self) -> dict[str, Any]:
        """What is recorded of networks, on the device, that decides how they go on."""
        record = self.record
        return {
            "diverged": record.diverged,
            "best": record.best,
            "waited": record.waited,
            "stopped": record.stopped,
        }

    def _end_window(self) -> None:
        """Keep what of a window is done, and go on behind it."""
        window, self._window = self._window, None
        assert window is not None
        self._keep_history(window, self._at)
        self._epoch += window.n_epochs

    def _make_window(self, first_epoch: int, n_epochs: int, is_drawn: bool = True) -> Window:
        """The next epochs' orders, drawn as `Network.fit` draws them, and room for their history."""
        orders = self.orders.drawn(n_epochs) if is_drawn else self.orders.undrawn()
        shape = (n_epochs, self.n)
        accuracy = memory.zeros(shape if self.is_monitored else (0, 0), np.float64)
        arrays = Epochs(
            orders,
            memory.to_device(self.shard.rates[:, first_epoch : first_epoch + n_epochs]),
            memory.zeros(shape, np.float64),
            accuracy,
        )
        return Window(first_epoch, n_epochs, arrays, memory.view(arrays))

    def _launch(self, window: Window, begin: int, end: int) -> None:
        networks, samples, record = self.views
        record = record._replace(loss=window.views.loss, accuracy=window.views.accuracy)
        samples = samples._replace(orders=window.views.orders)
        self._launch_on(networks, samples, record, window, begin, end)

    def _launch_on(
        self, networks: Networks, samples: DeviceSamples, record: Record, window: Window, begin: int, end: int
    ) -> None:
        options = self.shard.options
        common = Common.of_rule(
            options.rule,
            options.batch_size,
            (window.first_epoch, begin, end),
            float(self.shard.tol),
            self.shard.n_iter_no_change or 0,
        )
        arguments = (
            networks._replace(rates=window.views.rates),
            samples,
            record,
            common,
        )
        blocks = self.mapping.n_blocks(networks.parameters.shape[0])
        memory.launch(self.train, blocks, self.mapping.threads, arguments, self.mapping.shared)

    def _slice(self, window: Window, begin: int, end: int) -> None:
        """Positions begin to end of a window; networks that diverge are left after the last step before."""
        networks = self.networks
        before = networks.parameters.copy(), networks.moments.copy(), networks.steps.copy()
        record = self.record
        decided = record.best.copy(), record.waited.copy(), record.gathered.copy()
        self._launch(window, begin, end)
        self._finish_history()  # of the window before, while the GPU is busy
        lost = ~self._are_of_use(networks.parameters) | (self.record.diverged >= 0)
        # in one array, as every copy to the host waits
        flags = memory.to_host(lost + 2 * (self.record.stopped > 0))
        newly_lost = np.flatnonzero((flags & 1 > 0) & ~self.ended)
        self.ended |= flags > 0
        if newly_lost.size:
            self._go_back(window, begin, end, newly_lost, (*before, *decided))

    def _go_back(
        self, window: Window, begin: int, end: int, lost: np.ndarray, before: tuple[Any, ...]
    ) -> None:
        """Leave networks after the last step that kept their parameters of use.

        A network stops by itself at a loss that is not finite; where its parameters are of no use any more,
        the step that made them so is found by bisection, of all these networks at once: the launch is
        repeated from where it began, up to a limit for each.
        """
        networks = self.networks
        offset = window.first_epoch * self.n_samples
        stopped_at = memory.to_host(self.record.diverged)[lost]
        stopped_at = np.where(stopped_at >= 0, stopped_at - offset, end)
        finite = memory.to_host(self._are_of_use(networks.parameters[memory.to_device(lost)]))
        at = stopped_at.copy()
        again = lost[~finite]
        if again.size:

            def stays_finite(limits: np.ndarray) -> np.ndarray:
                part = self._repeat(window, begin, end, again, limits, before)
                return memory.to_host(self._are_of_use(part.parameters))

            low = last_finite(stays_finite, np.full(again.size, begin), stopped_at[~finite])
            part = self._repeat(window, begin, end, again, low, before)
            places = memory.to_device(again)
            networks.parameters[places], networks.moments[places] = part.parameters, part.moments
            networks.steps[places] = part.steps
            at[~finite] = low
        self.record.diverged[memory.to_device(lost)] = memory.to_device(at + offset)
        epochs, positions = np.divmod(at, self.n_samples)
        # in one array, as every copy to the host waits
        rows = self.orders.samples_at(window.arrays.orders, lost, epochs, positions)
        for i, epoch, row in zip(lost.tolist(), epochs.tolist(), rows.tolist(), strict=True):
            rate = float(self.shard.rates[self.shard.rate_of[i], window.first_epoch + epoch])
            self.records.n_epochs[i] = window.first_epoch + epoch
            self.records.note_divergence(i, DivergenceError(window.first_epoch + epoch, row, rate))

    def _are_of_use(self, parameters: Any) -> Any:
        """Whether each network's parameters are finite and of any use, bool (n_networks,) on the device."""
        limit = LIMITS[self.shard.parameters.dtype.name]
        return (parameters <= limit).all(axis=1) & (parameters >= -limit).all(axis=1)

    def _repeat(
        self,
        window: Window,
        begin: int,
        end: int,
        which: np.ndarray,
        limits: np.ndarray,
        before: tuple[Any, ...],
    ) -> Networks:
        """Some networks, trained anew from `begin` up to the limits."""
        rows = memory.to_device(which)
        parameters, moments, steps, best, waited, gathered = (array[rows].copy() for array in before)
        networks = Networks(
            parameters,
            moments,
            steps,
            None,
            self.networks.rate_of[rows].copy(),
            self.networks.momentum[rows].copy(),
            self.networks.l2[rows].copy(),
        )
        samples = self.on_device._replace(orders=self.orders.of(window.arrays.orders, rows))
        if samples.weights.size and samples.weights.shape[1] > 1:
            samples = samples._replace(weights=memory.to_device(samples.weights[:, rows]))
        n = len(which)
        shape = (window.n_epochs, n)
        record = Record(
            memory.zeros(shape, np.float64),
            memory.zeros(shape if self.is_monitored else (0, 0), np.float64),
            self.record.weight[rows].copy(),
            memory.to_device(np.full(n, -1, np.int64)),
            memory.to_device(np.asarray(limits, np.int64)),
            best,
            waited,
            memory.zeros(n, np.int64),
            gathered,
        )
        self._launch_on(networks, samples, record, window, begin, end)
        return networks

    def _keep_history(self, window: Window, end: int) -> None:
        """Begin to copy a window's finished epochs to the host, and count them."""
        records, first = self.records, window.first_epoch
        finished = end // self.n_samples
        recorded = {"loss": window.arrays.loss, "accuracy": window.arrays.accuracy}
        if finished:
            self.downloads = [
                (
                    records.metrics[name].T[first : first + finished],
                    memory.Download(values[:finished]),
                )
                for name, values in recorded.items()
                if name in records.metrics
            ]
        stopped = np.zeros(self.n, np.int64)
        if self.shard.n_iter_no_change:
            stopped = memory.to_host(self.record.stopped)
        n_epochs = np.where(stopped > 0, stopped, first + finished)
        going_on = np.ones(self.n, bool)
        going_on[records.own_diverged] = False
        records.n_epochs[:] = np.where(going_on, n_epochs, records.n_epochs)
        records.stopped[:] = np.where(going_on, stopped, 0)

    def _finish_history(self) -> None:
        """Put what is being copied to the host into the history."""
        for rows, download in self.downloads:
            rows[:] = download.result()
        self.downloads = []

    def _copy_back(self) -> None:
        networks, state = self.networks, self.shard.state
        self.shard.parameters[:] = memory.to_host(networks.parameters)
        if state.moments.size:
            moments = networks.moments[:, : state.moments[0].size]  # and not the gradient
            state.moments[:] = memory.to_host(moments).reshape(state.moments.shape)
        state.steps[:] = memory.to_host(networks.steps)

    def _check_memory(self) -> None:
        """Raise MemoryError, before anything is allocated there, if so many networks would not fit."""
        shard = self.shard
        each = 2 * shard.parameters[0].nbytes * (1 + self.mapping.of.n_kept) + 100
        each += shard.weights[0].nbytes if len(shard.weights) else 0
        each += 4 * self.n_samples + 8 if self.mapping.of.own_orders else 0
        common = self.samples.nbytes + 2 * HISTORY_BYTES
        free = memory.free_bytes()
        if self.n * each + common > free:
            raise MemoryError(
                f"n_networks={self.n}: training takes {each:,} bytes a network and {common:,} for all on "
                f"{self.device.name}, and {free:,} are free, enough for {max(0, (free - common) // each):,} "
                "networks; chunk_size trains them in turns."
            )


def networks_on_device(shard: Shard, of: Specialisation) -> Networks:
    """Copies of a shard's networks, but their learning rates; penalties of strict ones are not rounded."""
    dtype, n = shard.parameters.dtype, len(shard.parameters)
    moments = memory.to_device(shard.state.moments.reshape(n, -1))
    if of.gathers:  # the gradient lies behind
        both = memory.zeros((n, of.n_kept * shard.architecture.n_parameters), dtype)
        both[:, : moments.shape[1]] = moments
        moments = both
    return Networks(
        memory.to_device(shard.parameters),
        moments,
        memory.to_device(shard.state.steps),
        None,
        memory.to_device(shard.rate_of.astype(np.int32)),
        memory.to_device(shard.numbers["momentum"].astype(dtype)),
        memory.to_device(shard.numbers["l2"].astype(np.float64 if of.strict else dtype)),
    )
