"""Engines for one network on the CPU, one for each kernel."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numba
import numpy as np

from ...architecture import Architecture
from ...compiler.arrays import LINE, aligned_zeros
from ...compiler.compiling import strictly
from ...compiler.constants import known
from ...devices.processor import blas_threads
from ...kernels.adaptive.layers import scratch_size
from ...kernels.adaptive.train import make_train_adaptive
from ...kernels.general import ROWS_SIZE, train_general
from ...kernels.layout import BY_ROWS, DELAYED, FAN_OUT, FORM, n_units
from ...kernels.sequential import make_train_sgd, train_sgd
from ...kernels.state import BATCH, EPOCH, PAUSED, SAMPLE, STEP, Model
from ...kernels.tiny.rows import Form, tiny_scratch, tiny_width
from ...kernels.tiny.train import USUAL_HIDDEN, USUAL_OUTPUTS, tiny_is_usual, train_tiny
from ...kernels.update_rules import N_MOMENTS
from ...planning.network_cpu import takes_adaptive_steps
from ...planning.plan import Plan
from ..checkpoints.standing import take
from ..threads import Attendance, Naps, share_out
from .network_engine import Engine, Subject

NAP_SECONDS = 1e-4
"""What a thread that helps sleeps where there is nothing to do."""


class CpuEngine(Engine):
    """What engines on the CPU share: they train the subject's own arrays."""

    model: Model

    @property
    def changing(self) -> tuple[np.ndarray, ...]:
        """See `Engine`."""
        return self.model.parameters, self.model.moments, self.model.gradient

    def kept(self) -> dict[str, np.ndarray]:
        """See `Engine`."""
        model = self.model
        kept = {"parameters": model.parameters, "moments": model.moments}
        if self.subject.run.position[BATCH] > 0:  # else it is scratch
            kept["gradient"] = model.gradient
        return kept

    def put_back(self, kept: Mapping[str, np.ndarray]) -> None:
        """See `Engine`."""
        own = self.kept()
        found = {name: take(kept, name, array) for name, array in own.items()}
        self.model.gradient[...] = 0
        for name, array in own.items():
            array[...] = found[name]


class Sequential(CpuEngine):
    """Plain SGD, sample by sample."""

    def __init__(self, plan: Plan, subject: Subject) -> None:
        super().__init__(plan, subject)
        self.model = _model(subject, *subject.architecture.transposed_layout)
        self._rule, self._updated = subject.options.rule, subject.options.propagate == "updated"
        usual = _usual(subject)
        self._train = _compiled(subject.architecture, train_sgd if usual is None else make_train_sgd(*usual))

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """See `Engine`."""
        samples, run = self.subject.samples, self.subject.run
        return self._train(self.model, samples, self._rule, run, self._updated, stop_epoch, max_samples)


class Tiny(CpuEngine):
    """Plain SGD, momentum and nesterov of one small hidden layer, sample by sample."""

    def __init__(self, plan: Plan, subject: Subject) -> None:
        super().__init__(plan, subject)
        of, options = subject.architecture, subject.options
        self._train, self._rule, self._updated = train_tiny, options.rule, options.propagate == "updated"
        width = tiny_width(of.layer_sizes[1], of.dtype.itemsize)
        names = of.metric_names(options.monitor)
        is_usual = tiny_is_usual(of.activations, of.loss, names, of.n_outputs)
        size = tiny_scratch(of.layer_sizes, width)
        velocities = aligned_zeros(size, of.dtype) if N_MOMENTS[options.update_rule] else None
        self._form = Form(known(width), velocities)
        self.model = _model(subject, of.layout)._replace(
            scratch=aligned_zeros(size, of.dtype),
            metrics=known(1) if is_usual else None,
        )

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """See `Engine`."""
        samples, run = self.subject.samples, self.subject.run
        return self._train(
            self.model, samples, self._rule, run, self._form, self._updated, stop_epoch, max_samples
        )


class General(CpuEngine):
    """Every rule, mini-batches, L1 and clipping."""

    def __init__(self, plan: Plan, subject: Subject) -> None:
        super().__init__(plan, subject)
        of, options = subject.architecture, subject.options
        self._rule, self._batch_size = options.rule, options.batch_size
        self._train = _compiled(of, train_general)
        size = of.n_parameters
        if self._batch_size == 1 and self._rule.clip_norm == 0:  # some rows at a time
            size = min(size, int(ROWS_SIZE) + 2 * max(of.layer_sizes))
        self.model = _model(subject, of.layout, gradient_size=size)

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """See `Engine`."""
        samples, run = self.subject.samples, self.subject.run
        return self._train(self.model, samples, self._rule, run, self._batch_size, stop_epoch, max_samples)


class Adaptive(CpuEngine):
    """Single steps of adagrad, rmsprop, adam and adamw without L1 and clipping."""

    def __init__(self, plan: Plan, subject: Subject) -> None:
        super().__init__(plan, subject)
        of, self._rule = subject.architecture, subject.options.rule
        self._train = make_train_adaptive(self._rule.code, self._rule.l2 > 0)
        self.model = _model(subject, of.layout, gradient_size=scratch_size(of.layer_sizes))

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """See `Engine`."""
        samples, run = self.subject.samples, self.subject.run
        return self._train(self.model, samples, self._rule, run, stop_epoch, max_samples)


def general(plan: Plan, subject: Subject) -> CpuEngine:
    """The general kernel's engine, in which adaptive rules have steps of their own."""
    has_own = takes_adaptive_steps(subject.architecture, subject.options)
    return Adaptive(plan, subject) if has_own else General(plan, subject)


class Minibatch(CpuEngine):
    """Mini-batches by products of matrices, also of samples with few non-zeros."""

    def __init__(self, plan: Plan, subject: Subject) -> None:
        from ...kernels.minibatch.batch import batch_layout, batch_samples, make_batch
        from ...kernels.minibatch.train import train_minibatch  # compiled for those who need it

        super().__init__(plan, subject)
        of, options = subject.architecture, subject.options
        self._train, self._rule = train_minibatch, options.rule
        self._samples = batch_samples(subject.samples)
        self._batch, gradient = make_batch(
            of.layout, self._samples, options.batch_size, self._rule, by_blas=plan.n_threads > 1
        )
        layout = batch_layout(of.layout, len(self._batch.picks), self._samples.starts is not None)
        no_units, no_scratch = np.empty((3, 0), of.dtype), np.empty(0, of.dtype)
        own = subject.parameters, subject.moments, gradient, no_units, no_scratch, layout
        self.model = Model(*own, of.loss_code, level=of.quantile)

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """See `Engine`."""
        with blas_threads(self.plan.n_threads):
            return self._train(
                self.model, self._samples, self._rule, self.subject.run, self._batch, stop_epoch, max_samples
            )


class Blocked(CpuEngine):
    """Blocks of samples (docs/blocked.md)."""

    def __init__(self, plan: Plan, subject: Subject) -> None:
        from ...kernels.blocked import train_blocked  # compiled for those who need it

        super().__init__(plan, subject)
        layout, scratch_size = _layout_of_blocks(plan, subject)
        self.model = _model(subject, layout, scratch_size)
        self._rule, self._updated = subject.options.rule, subject.options.propagate == "updated"
        self._train = train_blocked
        self._block = _block(plan, subject, layout)

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """See `Engine`."""
        samples, run = self.subject.samples, self.subject.run
        with blas_threads(self.plan.n_threads):
            return self._train(
                self.model, samples, self._rule, run, self._block, self._updated, stop_epoch, max_samples
            )


class Recent(CpuEngine):
    """The same of momentum and nesterov, with large layers' velocities made of recent samples.

    The model is the engine's own: what `kernels.momentum` carries of these layers becomes the subject's
    weights and velocities where these are looked at, which changes no bit of what follows.
    """

    def __init__(self, plan: Plan, subject: Subject) -> None:
        from ...kernels.blocked import train_blocked
        from ...kernels.momentum import joining, past, split, train  # compiled for those who need it

        super().__init__(plan, subject)
        layout, scratch_size = _layout_of_blocks(plan, subject)
        own = subject._replace(parameters=_copy(subject.parameters), moments=_copy(subject.moments))
        self.model = _model(own, layout, scratch_size)
        self._rule = subject.options.rule
        self._joining, self._past, self._split = joining, past, split
        self._train, self._train_blocked = train.train_momentum, train_blocked
        kept = past.make_past(plan.block_length, plan.n_recent, layout, subject.architecture.dtype)
        self._work = past.Work(_block(plan, subject, layout), kept)
        hidden = ("hidden_inputs", "hidden_deltas") if plan.delayed_layers else ()
        self._names = ("inputs", "deltas", *hidden, "place", "rate")
        """What of the past a run goes on with."""
        undelayed, _ = _layout_of_blocks(replace(plan, delayed_layers=()), subject)
        self._undelayed = self.model._replace(layout=undelayed)
        """For epochs whose rate does not let weights and velocities apart."""
        self._joined_at: int | None = int(subject.run.position[STEP])
        """The step that the subject's arrays are of."""

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """See `Engine`."""
        position, n = self.subject.run.position, len(self.subject.samples.order)
        end = int(position[EPOCH]) * n + int(position[SAMPLE]) + max_samples
        status = self._advance_at(self._work.past.rate[0], 0, 0) if max_samples == 0 else PAUSED
        while status == PAUSED and position[EPOCH] < stop_epoch:
            left = end - int(position[EPOCH]) * n - int(position[SAMPLE])
            if left <= 0:
                break
            status = self._advance_at(self.subject.run.learning_rates[position[EPOCH]], stop_epoch, left)
        return status

    def _advance_at(self, rate: float, stop_epoch: int, max_samples: int) -> int:
        """Train on until the learning rate changes, at most."""
        samples, run, rule = self.subject.samples, self.subject.run, self._rule
        wanted = rate if self._split.is_apart(rule.momentum, rule.l2, rate) else 0.0
        with blas_threads(self.plan.n_threads):
            if self._work.past.rate[0] != wanted:
                self._joining.split_anew(self.model, rule, self._work, wanted)
            if wanted or max_samples == 0:
                return self._train(self.model, samples, rule, run, self._work, stop_epoch, max_samples)
            stop_epoch = min(stop_epoch, int(run.position[EPOCH]) + 1)
            return self._train_blocked(
                self._undelayed, samples, rule, run, self._work.block, False, stop_epoch, max_samples
            )

    @property
    def changing(self) -> tuple[np.ndarray, ...]:
        """See `Engine`."""
        past = self._work.past
        return (*super().changing, *(getattr(past, name) for name in self._names))

    def kept(self) -> dict[str, np.ndarray]:
        """See `Engine`."""
        past = self._work.past
        of_past = {f"past_{name}": getattr(past, name) for name in self._names}
        return {**super().kept(), **of_past}

    def put_back(self, kept: Mapping[str, np.ndarray]) -> None:
        """See `Engine`."""
        past = self._work.past
        self._past.check_place(take(kept, "past_place", past.place), take(kept, "past_rate", past.rate), past)
        super().put_back(kept)
        self._joined_at = None

    def catch_up(self) -> None:
        """See `Engine`."""
        step = int(self.subject.run.position[STEP])
        if self._joined_at != step:
            subject = self.subject
            self._joining.join(self.model, self._rule, self._work, subject.parameters, subject.moments)
            self._joined_at = step

    def reread(self) -> None:
        """See `Engine`; what is as it was given goes on as if nobody had asked for it."""
        own, theirs = self.model[:2], (self.subject.parameters, self.subject.moments)
        given = tuple(np.empty_like(array) for array in own)
        self._joining.join(self.model, self._rule, self._work, *given)
        if not all(map(np.array_equal, given, theirs)):
            for array, other in zip(own, theirs, strict=True):
                array[...] = other
            self._work.past.rate[0] = 0
        self._joined_at = int(self.subject.run.position[STEP])


def blocked(plan: Plan, subject: Subject) -> CpuEngine:
    """The blocked kernel's engine, of two for rules with a velocity."""
    return Recent(plan, subject) if plan.n_recent else Blocked(plan, subject)


class Shared(CpuEngine):
    """Blocks, with the large hidden layers' weights in parts that threads share out (`kernels.shared`)."""

    def __init__(self, plan: Plan, subject: Subject) -> None:
        from ...kernels.shared import train  # compiled for those who need it
        from ...kernels.shared.crew import IS_OVER_AT, make_crew

        super().__init__(plan, subject)
        self._kernels, self._over_at = train, IS_OVER_AT
        layout, scratch_size = _layout_of_blocks(plan, subject)
        self.model = _model(subject, layout, scratch_size)
        self._rule, self._updated = subject.options.rule, subject.options.propagate == "updated"
        # without the compiler there are no words that threads could tell each other by
        self._n_threads = 1 if numba.config.DISABLE_JIT else plan.n_threads
        block = _block(plan, subject, layout)
        dtype, widest = subject.architecture.dtype, int(layout[:, FAN_OUT].max())
        crew = make_crew(self._n_threads, block.a.shape[1], widest, plan.sub_block, dtype)
        self._work = train.Work(block, crew)
        self._attendance = Attendance(self._n_threads)
        if self._n_threads > 1:
            self._end_help()
            train.help_shared(self.model, self._work, 1)  # compiles, or loads from the cache

    def _end_help(self) -> None:
        self._work.crew.words[self._over_at] = 1

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """See `Engine`."""
        status: list[int] = []
        stop = threading.Event()

        def train() -> None:
            samples, run = self.subject.samples, self.subject.run
            of = self.model, samples, self._rule, run, self._work, self._updated
            try:
                status.append(self._kernels.train_shared(*of, stop_epoch, max_samples))
            finally:
                self._end_help()

        def assist(thread: int, naps: Naps) -> None:
            while not stop.is_set():
                if self._kernels.help_shared(self.model, self._work, thread) == self._kernels.OVER:
                    return
                naps.take(NAP_SECONDS)

        def take_part(i: int, task: int) -> None:
            thread = present[i]
            with self._attendance.noted(thread) as naps:
                if thread > 0:
                    assist(thread, naps)
                elif not status:
                    train()

        present = self._attendance.present()
        self._work.crew.words[self._over_at] = 0
        with blas_threads(1):
            share_out(range(len(present)), len(present), take_part, lambda: None, stop)
        return status[0]


class Sparse(CpuEngine):
    """Samples with few non-zeros: what a rule does to the rows of absent columns is put off."""

    def __init__(self, plan: Plan, subject: Subject) -> None:
        from ...kernels import sparse  # compiled for those who need it

        super().__init__(plan, subject)
        self._kernels = sparse
        self._train = _compiled(subject.architecture, sparse.train_sparse)
        self._catch_up = _compiled(subject.architecture, sparse.catch_up)
        self._rule = subject.options.rule
        self.model = _model(subject, *sparse.sparse_layout(subject.architecture.layout))
        n_inputs, n_samples = subject.architecture.n_inputs, len(subject.samples.order)
        self._lazy = sparse.lazy_state(self._rule, n_inputs, n_samples, int(subject.run.position[STEP]))
        self._puts_off = self._lazy.taken.size > 0

    def advance(self, stop_epoch: int, max_samples: int) -> int:
        """See `Engine`."""
        samples, run = self.subject.samples, self.subject.run
        return self._train(self.model, samples, self._rule, run, self._lazy, stop_epoch, max_samples)

    @property
    def changing(self) -> tuple[np.ndarray, ...]:
        """See `Engine`."""
        return (*super().changing, *([self._lazy.taken] if self._puts_off else []))

    def kept(self) -> dict[str, np.ndarray]:
        """See `Engine`; what is put off is not caught up on, which would change bits."""
        return {**super().kept(), **({"taken": self._lazy.taken} if self._puts_off else {})}

    def catch_up(self) -> None:
        """See `Engine`."""
        if self._puts_off:
            self._catch_up(self.model, self._rule, self.subject.run, self._lazy)

    def may_overflow(self, learning_rate: float) -> bool:
        """See `Engine`."""
        return self._puts_off and self._kernels.grows(self._rule, learning_rate)


def _compiled(architecture: Architecture, kernel: Any) -> Any:
    """The kernel with the network's arithmetic."""
    return strictly(kernel) if architecture.is_strict else kernel


def _model(subject: Subject, layout: np.ndarray, scratch_size: int = 0, gradient_size: int = 0) -> Model:
    dtype = subject.architecture.dtype
    return Model(
        subject.parameters,
        subject.moments,
        np.zeros(gradient_size, dtype),
        aligned_zeros((3, n_units(layout)), dtype),
        np.empty(scratch_size, dtype),
        layout,
        subject.architecture.loss_code,
        level=subject.architecture.quantile,
    )


def _copy(array: np.ndarray) -> np.ndarray:
    """On a cache line's boundary: elsewhere a step of 784-512-512-10 takes 1.4 times as long."""
    own = aligned_zeros(array.shape, array.dtype)
    own[...] = array
    return own


def _layout_of_blocks(plan: Plan, subject: Subject) -> tuple[np.ndarray, int]:
    """Layout for a kernel that takes blocks, and the size of its scratch."""
    layout, scratch_size = subject.architecture.transposed_layout
    layout = layout.copy()
    layout[0, FORM] = BY_ROWS  # its products are BLAS's
    layout[list(plan.delayed_layers), FORM] = DELAYED
    return layout, scratch_size


def _block(plan: Plan, subject: Subject, layout: np.ndarray) -> Any:
    """Scratch for a block of samples."""
    from ...kernels.blocked import Block

    length, width = plan.block_length, int(layout[0, FAN_OUT])
    dtype = subject.architecture.dtype
    # rows a multiple of a page apart would share the cache's few places for such addresses
    row = n_units(layout)
    row += LINE // dtype.itemsize if row * dtype.itemsize % 4096 == 0 else 0
    units = aligned_zeros((3, length, row), dtype)
    return Block(
        units[0],
        units[1],
        units[2],
        aligned_zeros((length, length), dtype),
        aligned_zeros((length, width) if subject.moments.size else (0, 0), dtype),
        np.zeros((length + 1, 6)),
        np.zeros(plan.sub_block, dtype),
        np.zeros(length, np.int64),
    )


def _usual(subject: Subject) -> tuple[str, str, str, int] | None:
    """Hidden and output activation, loss and number of metrics, if a kernel for just these is compiled."""
    of = subject.architecture
    hidden, names = set(of.activations[:-1]), of.metric_names(subject.options.monitor)
    own = of.activations[-1], of.loss
    if (
        len(hidden) > 1
        or not hidden <= USUAL_HIDDEN
        or own not in USUAL_OUTPUTS
        or names != of.metric_names()
    ):
        return None
    return next(iter(hidden), "identity"), *own, len(names)


ENGINES: dict[str, Any] = {
    "sequential": Sequential,
    "tiny": Tiny,
    "general": general,
    "minibatch": Minibatch,
    "blocked": blocked,
    "shared": Shared,
    "sparse": Sparse,
}
"""By the kernel's name in the catalogue."""
