"""`fit_stream`, which networks have."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..architecture import OfArchitecture
from ..devices import memory
from ..devices.placement import CPU, resolve
from ..history import History, StreamHistory
from ..options import Options, takes_options
from ..planning.planner import make_plan
from ..training.checkpoints.files import CheckpointError
from ..training.checkpoints.keeper import Checkpoint
from ..training.divergence import Snapshot
from ..training.exclusive import TrainedAlone
from ..training.network_setup import Run
from ..training.state import Inner, RuleState, Statistics
from .batches import Convert
from .folding import begun, folded
from .history import Points
from .learning import PIECES, Callback, Learning, piece_length, unit_of
from .place import Place
from .reading import Reader
from .ring import Ring
from .setup import WHY_NOT, Asked, stream_options
from .tables import Columns
from .writing import Preparation, Preparing, Writer, WriterOnGpu

ASSUMED_SAMPLES = 1_000_000
"""What a stream is planned for, which does not say how long it is."""
MARKED_SAMPLES = 1024
"""Between two samples at which the statistics of a fast source are kept, at most."""


class LearnsFromStreams(OfArchitecture):
    """What a network trains itself with on a stream."""

    parameters: np.ndarray
    history: History | None
    _rule_state: RuleState | None
    _inner: Inner | None = None
    """What the last standardised stream has left."""

    @takes_options(*WHY_NOT)
    def fit_stream(
        self,
        batches: Any,
        *,
        target: str | Sequence[str] | None = None,
        features: Sequence[str] | None = None,
        sample_weight: str | None = None,
        convert: Convert | None = None,
        standardize: bool = False,
        scaler: Any = None,
        missing: str | float = "error",
        history_every: int = 100_000,
        callback: Callback | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float = 30.0,
        resume: bool = True,
        **options: Any,
    ) -> StreamHistory:
        """Train on a stream, which may be larger than memory, sample by sample in the order they come.

        What is done is what `fit` does with one epoch of all samples and shuffle=False, to the last bit if
        the kernel is the same, however the stream is cut into batches. Batches are read by a thread, some
        ahead of training. docs/streams.md shows it.

        Parameters
        ----------
        batches : iterable, table, dataset, reader or path
            An iterable of (X, y) or (X, y, sample_weight), each as for `fit`, of any number of samples; or of
            tables: pyarrow's, pandas', or any with Arrow's interface. Or one Table, Dataset, Scanner or
            RecordBatchReader of pyarrow; or the path of a Parquet, CSV, Feather or ORC file, or of a folder
            of such.
        target : str or sequence of str, optional
            Column of a table that is learnt, or one for each output.
        features : sequence of str, optional
            Columns that are the inputs, in this order; by default all others. They hold numbers or booleans.
        sample_weight : str, optional
            Column of weights.
        convert : callable, optional
            Makes (X, y) or (X, y, sample_weight) of each batch, or record batch, that is something else; it
            is called in the thread that reads.
        standardize : bool
            Learn from inputs less their running mean, divided by their running standard deviation, each row's
            own numbers included; the network is then given the parameters for inputs as they are. The next
            call goes on with these statistics.
        scaler : object, optional
            With `transform`, and perhaps `partial_fit`, as scikit-learn's scalers: every batch is shown to
            it, and what it makes of the batch is learnt. It stays the caller's: predict from what it
            transforms.
        missing : {"error", "mean"} or float
            What stands in for an input that is missing, NaN or null: nothing may be, the mean of the column
            so far, or a number.
        history_every : int
            Samples from one point of the history to the next, which lies at the end of a mini-batch or block.
        callback : callable, optional
            Called as callback(n_samples, metrics) after every point; a true result ends training.
        checkpoint : str or path-like, optional
            A file in which the run is kept, with the place in the stream: the same call, in another process
            too, passes over the rows that were learnt and ends with the bits of a run that was never stopped.
        checkpoint_every, resume
            As for `fit`.
        **options
            Arguments of `fit` on how to take a step: learning_rate, update_rule, batch_size, l2, monitor,
            kernel, ... device="cuda" learns on a GPU, batches there or of the host: standardize, scaler and
            missing are then refused.

        Returns
        -------
        StreamHistory
            Also kept as `history`.

        Raises
        ------
        ValueError, TypeError
            For an argument or a batch that is not allowed, naming the batch; and whatever the source raises.
            All samples before have been learnt then.
        NoGPUError
            If `device` asks for a GPU that can't be used, saying why; it is a RuntimeError.
        DivergenceError
            As by `fit`; its `sample` is counted from the stream's beginning.
        KeyboardInterrupt
            On Ctrl-C; the network is left as of the last sample that ``history.n_samples[-1]`` counts.
        """
        kept_at = Checkpoint.asked(checkpoint, checkpoint_every, resume)
        asked = Asked(
            batches,
            Columns(target, features, sample_weight),
            convert,
            standardize,
            scaler,
            missing,
            history_every,
            callback,
            kept_at,
        )
        with TrainedAlone(self):
            asked.check()
            of_steps = stream_options(options)
            asked.check_device(of_steps.device)
            return self._fit_stream(asked, of_steps)

    def _fit_stream(self, asked: Asked, options: Options) -> StreamHistory:
        architecture = self.architecture
        architecture.check_finite(self.parameters)
        at = CPU if options.device == "cpu" else resolve(options.device)
        source, preparation = asked.source(architecture, at.device), asked.preparation(architecture.n_inputs)
        inner = self._begun(options.update_rule, asked.standardize)
        inner.state.check_finite()
        problem = Run(1).problem(architecture, ASSUMED_SAMPLES, None, at, options, inner.state)
        plan = make_plan(problem)
        kept = asked.kept(architecture, options)
        if kept is not None:
            plan = kept.plan(plan, problem)
        points = Points(
            architecture.metric_names(options.monitor), asked.history_every, unit_of(problem, plan)
        )
        learning = Learning(problem, plan, inner.parameters, inner.state, points, asked.callback)
        learning.mark = inner.statistics.copied() if preparation.counts else None
        changing = self.parameters, inner.parameters, inner.state.moments, inner.state.steps
        last, before, place = (self._inner, self._rule_state, self.history), None, None
        if kept is not None:
            learning.keeper = kept.keeper
        if kept is not None and kept.standing is not None:
            before = Snapshot(changing)
            learning.go_on(kept.standing)
            self.history = learning.history()  # for the callback
        elif asked.standardize and self._inner is None and (self.history or self._rule_state):
            warnings.warn(
                "the network was trained before, and not on a standardised stream: with standardize=True its "
                "parameters are taken to be for standardised inputs.",
                stacklevel=3,
            )
        if learning.mark is not None:
            preparation.statistics = learning.mark.copied()
        if points.n_samples:
            place = Place(points.n_samples, learning.last, preparation)
        if asked.standardize:
            learning.show = lambda statistics: self._show(inner, statistics)
        else:
            self._rule_state = inner.state  # also for copies that a callback makes
        try:
            if learning.has_ended:
                learning.show(learning.mark)
            else:
                ring, writer = _ring_and_writer(learning, preparation)
                learning.run(Reader(source.batches(place), writer, ring), ring)
        except CheckpointError:  # of another stream: nothing was learnt
            if before is not None:
                before.put_back(changing)
            self._inner, self._rule_state, self.history = last
            raise
        except BaseException:
            self.history = learning.history()
            raise
        self.history = history = learning.history()
        return history

    def _begun(self, update_rule: str, standardize: bool) -> Inner:
        """What is trained: the network's own parameters, or those that belong to standardised inputs."""
        if standardize:
            return begun(self.architecture, self.parameters, self._inner, update_rule)
        state = RuleState.going_on(self._rule_state, update_rule, self.parameters)
        return Inner(self.parameters, state, Statistics.new(self.n_inputs))

    def _show(self, inner: Inner, statistics: Statistics) -> None:
        """Give the network the parameters for inputs as they are."""
        self.parameters[:] = folded(self.architecture, inner.parameters, statistics)
        self._inner = Inner(inner.parameters, inner.state, statistics)
        self._rule_state = None  # its moments belong to the others


def _ring_and_writer(learning: Learning, preparation: Preparation) -> tuple[Ring, Writer]:
    """Room for some pieces, and what writes there."""
    problem, points, unit = learning.problem, learning.points, learning.unit
    length, first = piece_length(problem, learning.plan), points.n_samples
    if not preparation.counts:
        gpu = problem.place.device
        if gpu is not None:
            with memory.on(gpu):
                ring = Ring(problem.architecture, PIECES * length, on_gpu=True)
            return ring, WriterOnGpu(ring, gpu)
        ring = Ring(problem.architecture, PIECES * length)
        return ring, Writer(ring, preparation.filling)
    distance = unit * max(1, min(MARKED_SAMPLES, length) // unit)
    ring = Ring(problem.architecture, PIECES * (length - length % distance))
    return ring, Preparing(ring, preparation, unit, distance, lambda n: points.until_next(first + n))
