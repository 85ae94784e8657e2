"""The engine for populations in the lanes of the CPU's vectors."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ...compiler.arrays import aligned_zeros
from ...compiler.vectors import lanes_of
from ...kernels.lanes.batches import arrays_of_batch, with_batches
from ...kernels.lanes.chunks import (
    AT_EPOCH,
    AT_NETWORK,
    Chunk,
    Networks,
    PopulationSamples,
    make_chunk,
    with_own_orders,
    with_validation,
)
from ...kernels.lanes.orders import OwnOrders, are_sound
from ...kernels.lanes.train import train_lanes
from ...options import LINEAR_RULES
from ...samples import Samples
from .. import slicing
from ..checkpoints.files import CheckpointError
from ..checkpoints.sound import are_numbers, is_permutation
from ..checkpoints.standing import Standing, take
from ..divergence import are_of_use
from ..shard import Records, Shard
from .population_engine import PopulationEngine, Progress

LANES_RECORD = ("loss", "accuracy", "validation_loss", "validation_accuracy")
LOSSES_AT_ONCE = 1 << 18
"""So many are looked at in one go, in memory that is small beside the history's."""


class Range(NamedTuple):
    """Networks that one thread trains, chunk by chunk."""

    first: int
    end: int
    begun: list[np.ndarray] | None = None
    """The arrays of a chunk under way, if it is gone on with."""


class Lanes(PopulationEngine):
    """Networks in lanes, chunk by chunk; one that diverges is left as it was, to be trained alone."""

    def __init__(self, shard: Shard, samples: Samples, records: Records) -> None:
        super().__init__(shard, samples, records)
        n, dtype = len(shard), shard.parameters.dtype
        self._lanes = lanes_of(dtype)
        self._in_chunk = samples.n * shard.epochs
        moments = shard.state.moments
        self._is_adaptive = shard.options.update_rule not in LINEAR_RULES
        self._moments = moments.reshape(n, -1) if moments.size else np.zeros((0, 0), dtype)
        self._before = shard.parameters.copy(), self._moments.copy()
        self._steps_before = shard.state.steps.copy()
        # in turns these are others, since kernels are compiled for contiguous arrays
        self._recorded = {
            name: records.metrics[name].T
            if records.metrics[name].T.flags.c_contiguous
            else np.zeros(records.metrics[name].T.shape)
            for name in LANES_RECORD
            if name in records.metrics
        }
        self._networks = Networks(
            shard.parameters,
            self._moments,
            shard.state.steps.copy(),
            shard.options.rule if self._is_adaptive else None,
            shard.rates,
            shard.rate_of,
            bool((shard.rates == shard.rates[:, :1]).all()),
            shard.numbers["momentum"].astype(dtype),
            shard.numbers["l2"].astype(dtype),
            shard.options.update_rule == "nesterov",
            shard.problem.with_l2,
            shard.options.update_rule == "adamw",
            np.zeros(n, np.uint8),
            self._recorded["loss"].ravel(),
            self._recorded.get("accuracy", np.empty(0)).ravel(),
            self._recorded.get("validation_loss", self._recorded["loss"]).ravel(),
            shard.architecture.loss_code,
            shard.architecture.quantile,
            shard.tol,
            shard.n_iter_no_change or 0,
            shard.options.patience if shard.options.early_stopping else 0,
            records.n_epochs,
            records.stopped,
        )
        self._until = shard.epochs
        """Epochs after which tasks pause."""
        self._is_watched = shard.problem.is_watched
        self._has_own_orders = len(shard.seeds) > 0 and shard.options.shuffle
        seed = np.array([shard.order_seed] if shard.options.shuffle else [], np.uint64)
        if self._has_own_orders:
            seed = shard.own_order_seeds()
        weights = shard.weights if len(shard.weights) else samples.weights
        self._samples = PopulationSamples(samples.inputs, samples.targets, weights, seed)
        # where all are looked at between epochs, each vector of networks stays in a chunk of its own
        n_chunks = -(-n // self._lanes) if self._is_watched else self.n_threads
        self._chunks = [self._chunk(seed) for _ in range(n_chunks)]
        self._of_thread = list(range(self.n_threads))
        """The chunk that each thread is at."""
        # tasks of about a slice, but enough of them to keep every thread busy
        in_slice = max(1, int(self.first_slice)) // self._in_chunk
        per_task = self._lanes * max(1, min(in_slice, -(-n // (self._lanes * 8 * self.n_threads))))
        if self._is_watched:
            per_task = self._lanes
        self._not_begun = {i: Range(i, min(n, i + per_task)) for i in range(0, n, per_task)}
        self._ends = [0] * n_chunks

    def _chunk(self, seed: np.ndarray) -> Chunk:
        """A thread's, with what it is to be measured on and to go back to."""
        of, dtype = self.shard.architecture.layout, self.shard.parameters.dtype
        how = self.shard.state.moments.shape[1], self.shard.problem.with_l2, seed, 0
        chunk = make_chunk(of, dtype, self.samples.n, *how)
        if self._has_own_orders:
            chunk = with_own_orders(chunk, of, self.samples.targets.shape[1])
        if self.shard.options.batch_size > 1:
            chunk = with_batches(chunk, of, self.shard.options.batch_size)
        if self.shard.options.early_stopping:
            chunk = chunk._replace(best_parameters=aligned_zeros(chunk.parameters.size, dtype))
        validation = self.samples.validation
        if validation is None:
            return chunk
        none = np.empty((0, 0), dtype)
        losses = self._recorded["validation_loss"].ravel()
        accuracies = self._recorded.get("validation_accuracy", np.empty(0)).ravel()
        measured_on = PopulationSamples(validation.inputs, validation.targets, none, seed)
        return with_validation(
            chunk, make_chunk(of, dtype, validation.n, *how), measured_on, losses, accuracies
        )

    @property
    def tasks(self) -> Iterable[Range]:
        """Ranges of networks."""
        if not self._is_watched:
            return list(self._not_begun.values())
        pausing = (
            Range(int(chunk.position[AT_NETWORK]), end)
            for chunk, end in zip(self._chunks, self._ends, strict=True)
            if chunk.position[AT_NETWORK] < end and chunk.position[AT_EPOCH] < self._until
        )
        return [*self._not_begun.values(), *pausing]

    @property
    def first_slice(self) -> float:
        """See `PopulationEngine`; of a chunk."""
        return slicing.SLICE_SECONDS / (self.shard.plan.ns_per_step * self._lanes * 1e-9)

    def compile(self) -> None:
        """See `PopulationEngine`."""
        train_lanes(self._networks, self._samples, self._chunks[0], 0, 0)

    def begin(self, thread: int, task: Range) -> None:
        """See `PopulationEngine`."""
        self._of_thread[thread] = task.first // self._lanes if self._is_watched else thread
        if task.first in self._not_begun:  # else it was pausing
            self._load(self._of_thread[thread], task)

    def _load(self, k: int, task: Range) -> None:
        """Have a chunk begin with a range of networks, or go on with it."""
        chunk = self._chunks[k]
        self._ends[k] = 0  # until all of it is there
        if task.begun is None:
            chunk.position[:] = task.first, 0, 0
        else:
            for array, found in zip(arrays_of(chunk), task.begun, strict=True):
                array[...] = found
        self._ends[k] = task.end
        del self._not_begun[task.first]

    def advance(self, thread: int, max_steps: int) -> Progress:
        """See `PopulationEngine`."""
        k = self._of_thread[thread]
        chunk, end, most = self._chunks[k], self._ends[k], max_steps
        before = self._steps_of(chunk.position)
        if self._is_watched:  # as many steps as lead to an epoch's end
            _, epoch, sample = chunk.position.tolist()
            most = min(most, (self._until - epoch) * self.samples.n - sample)
        done = train_lanes(self._networks, self._samples, chunk, end, most)
        steps = (self._steps_of(chunk.position) - before) * self._lanes
        network, epoch, _ = chunk.position.tolist()
        return Progress(steps, network >= end or (self._is_watched and epoch >= self._until), done, max_steps)

    def pause_at(self, epoch: int) -> None:
        """See `PopulationEngine`."""
        self._until = epoch

    def look(self, first_epoch: int) -> np.ndarray:
        """See `PopulationEngine`; a network that is of no use now may yet come to be of use again."""
        self._put_records_in_place()
        states = self.shard.parameters, self._moments, self._largest_losses(first_epoch)
        return (self._networks.diverged > 0) | ~are_of_use(self.shard.architecture, *states)

    def end(self, called_off: np.ndarray) -> None:
        """See `PopulationEngine`; a lane goes on beside others, unseen."""
        networks, parameters = self._networks, self.shard.parameters
        for chunk, end in zip(self._chunks, self._ends, strict=True):
            first = int(chunk.position[AT_NETWORK])
            if not called_off[first:end].any():
                continue
            for lane, i in enumerate(range(first, end)):
                if called_off[i] == 0 or networks.stopped[i] > 0:
                    continue
                if chunk.best_parameters.size and chunk.best[lane] < np.inf:
                    parameters[i] = chunk.best_parameters[chunk.place.astype(np.int64) + lane]
                networks.stopped[i] = called_off[i]
            if (networks.stopped[first:end] > 0).all():
                chunk.position[:] = end, 0, 0

    def _steps_of(self, position: np.ndarray) -> int:
        """Steps of a chunk up to a position."""
        network, epoch, sample = position.tolist()
        return network // self._lanes * self._in_chunk + epoch * self.samples.n + sample

    def kept(self) -> Standing:
        """See `PopulationEngine`: chunks under way, and where networks began that may have to do it again."""
        self._put_records_in_place()
        under_way = [
            (chunk, end)
            for chunk, end in zip(self._chunks, self._ends, strict=True)
            if chunk.position[AT_NETWORK] < end
        ]
        finished = np.ones(len(self.shard), bool)
        for chunk, end in under_way:
            finished[chunk.position[AT_NETWORK] : end] = False
        for task in self._not_begun.values():
            finished[task.first : task.end] = False
        self._judge(finished)  # now, as only where those began that have diverged is kept
        ranges = [[task.first, task.end] for task in self._not_begun.values() if task.begun is None]
        ends = [end for _, end in under_way]
        arrays = {
            f"{k}.{j}": array
            for k, (chunk, _) in enumerate(under_way)
            for j, array in enumerate(arrays_of(chunk))
        }
        for task in self._not_begun.values():  # which another process has begun
            if task.begun is not None:
                arrays |= {f"{len(ends)}.{j}": array for j, array in enumerate(task.begun)}
                ends.append(task.end)
        again = np.array(self._networks.diverged, bool)
        for chunk, _ in under_way:
            at = int(chunk.position[AT_NETWORK])
            again[at : at + self._lanes] = True
        for task in self._not_begun.values():
            again[task.first : task.first + self._lanes] |= task.begun is not None
        rows = np.flatnonzero(again)
        parameters, moments = self._before
        arrays |= {"diverged": self._networks.diverged, "rows": rows, "parameters": parameters[rows]}
        arrays["steps"] = self._networks.steps
        arrays["moments"] = moments[rows] if moments.size else moments
        arrays["ranges"] = np.array(ranges, np.int64).reshape(-1, 2)
        return Standing({"ends": ends, "lanes": self._lanes}, arrays)

    def go_on(self, kept: Standing) -> None:
        """See `PopulationEngine`."""
        arrays, ends = kept.arrays, kept.facts["ends"]
        if kept.facts["lanes"] != self._lanes:
            raise CheckpointError(
                f"its vectors have {kept.facts['lanes']} lanes, and this processor's {self._lanes}"
            )
        tasks = [self._begun(arrays, k, end) for k, end in enumerate(ends)]
        tasks += [Range(first, end) for first, end in arrays["ranges"].tolist()]
        rows, n = arrays["rows"], len(self.shard)
        if not all(0 <= first < end <= n for first, end, _ in tasks) or not are_numbers(
            rows, (len(rows),), n - 1
        ):
            raise CheckpointError("the checkpoint can't be gone on with: it has networks that there are not.")
        self._not_begun = {task.first: task for task in tasks}
        self._networks.diverged[:] = take(arrays, "diverged", self._networks.diverged)
        self._networks.steps[:] = take(arrays, "steps", self._networks.steps)
        for values, kept_values in self._apart():
            values[...] = kept_values
        for before, kind in zip(self._before, ("parameters", "moments"), strict=True):
            if before.size:
                before[arrays["rows"]] = arrays[kind]
        if self._is_watched:
            for task in tasks[: len(ends)]:
                self._load(task.first // self._lanes, task)

    def _begun(self, arrays: Mapping[str, np.ndarray], k: int, end: int) -> Range:
        """A chunk under way, which the kernel takes as it is."""
        own = arrays_of(self._chunks[0])
        begun = [take(arrays, f"{k}.{j}", like) for j, like in enumerate(own)]
        network, epoch, sample = begun[POSITION].tolist()
        in_it = 0 <= epoch <= self.shard.epochs and 0 <= sample < self.samples.n
        has_orders = is_permutation(begun[ORDER])
        if self._has_own_orders:
            has_orders &= are_sound(OwnOrders(*begun[-len(OwnOrders._fields) :]))
        if not in_it or not has_orders:
            raise CheckpointError(
                "the checkpoint can't be gone on with: no run has such a 'position' or 'order'."
            )
        return Range(network, end, begun)

    def catch_up(self) -> None:
        """Count steps, put records in place, and leave networks that have diverged as they were."""
        networks, shard, records = self._networks, self.shard, self.records
        self._judge(np.ones(len(shard), bool))
        of_epoch = -(-self.samples.n // shard.options.batch_size)
        taken = of_epoch * np.where(networks.stopped > 0, networks.stopped, shard.epochs)
        diverged = self.to_do_alone
        if self._is_adaptive:  # which counts, as samples of weight 0 are no steps
            taken = networks.steps - self._steps_before
        taken[diverged] = 0
        shard.state.steps[...] = self._steps_before + taken
        parameters, moments = self._before
        shard.parameters[diverged] = parameters[diverged]
        if moments.size:
            self._moments[diverged] = moments[diverged]
        self._put_records_in_place()
        records.n_epochs[diverged] = 0
        records.stopped[diverged] = 0

    def _judge(self, which: np.ndarray) -> None:
        """Mark those of some networks, bool (n_networks,), that have come beyond any use as diverged."""
        networks, shard = self._networks, self.shard
        states = shard.parameters, self._moments, self._largest_losses()
        networks.diverged[which & ~are_of_use(shard.architecture, *states)] = 1

    def _largest_losses(self, first_epoch: int = 0) -> np.ndarray:
        """Of the epochs that each network has finished: float64 (n_networks,), 0 where there is none."""
        n, n_epochs = len(self.shard), self._networks.n_epochs
        losses, largest = self._networks.losses.reshape(-1, n), np.zeros(n)
        at_once = max(1, LOSSES_AT_ONCE // n)
        for first in range(first_epoch, int(n_epochs.max()), at_once):
            part = losses[first : first + at_once]
            if first + len(part) <= n_epochs.min():  # a quarter of the time
                np.maximum(largest, part.max(axis=0), out=largest)
                continue
            is_recorded = np.arange(first, first + len(part))[:, np.newaxis] < n_epochs
            np.maximum(largest, part.max(axis=0, initial=0, where=is_recorded), out=largest)
        return largest

    def _put_records_in_place(self) -> None:
        for values, to_keep in self._apart():
            to_keep[...] = values

    def _apart(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of what is recorded beside the records, and its place there, the epochs that are done."""
        done = self.records.epochs_done
        for name, values in self._recorded.items():
            if not np.may_share_memory(values, self.records.metrics[name]):
                yield values[:done], self.records.metrics[name].T[:done]

    @property
    def to_do_alone(self) -> list[int]:
        """Those that have diverged: alone they are left at their last step before."""
        return np.flatnonzero(self._networks.diverged).tolist()


def arrays_of(chunk: Chunk) -> list[np.ndarray]:
    """The arrays of a chunk that training changes; its position is number `POSITION`."""
    of_units = chunk.z, chunk.a, chunk.update
    of_networks = chunk.loss, chunk.lanes, chunk.sums, chunk.best, chunk.waited, chunk.steps
    where = chunk.order, chunk.random, chunk.position
    of_steps = chunk.parameters, chunk.velocity, chunk.best_parameters
    return [
        *where,
        *of_steps,
        *of_units,
        *of_networks,
        *chunk.block,
        *arrays_of_batch(chunk),
        *(chunk.own or ()),
    ]


ORDER, POSITION = 0, 2
