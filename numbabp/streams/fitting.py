"""`fit_stream`, which networks have."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..architecture import OfArchitecture
from ..checks.arguments import check_bool, check_integer, check_real
from ..devices.placement import CPU
from ..history import History
from ..kernels.update_rules import OF_ALL_SAMPLES
from ..options import NAMES, Options, check_names, takes_options
from ..planning.planner import make_plan
from ..training.exclusive import TrainedAlone
from ..training.network_setup import Run
from ..training.state import RuleState
from .arrow import Columns
from .batches import Convert
from .folding import Inner, begun, folded
from .history import Points, StreamHistory
from .learning import PIECES, Callback, Learning, piece_length, unit_of
from .reading import Reader
from .ring import Ring
from .running import Statistics
from .sources import Source
from .writing import Preparation, Preparing, Writer

ASSUMED_SAMPLES = 1_000_000
"""What a stream is planned for that does not say how long it is."""
MARKED_SAMPLES = 1024
"""Between two samples at which the statistics of a fast source are kept, at most."""
WHY_NOT = {
    "shuffle": "samples are learnt in the order in which they come",
    "epochs": "a stream is passed over once",
    "schedule": "schedules give a rate for every epoch, of which a stream has none",
    "schedule_options": "schedules give a rate for every epoch, of which a stream has none",
    "early_stopping": "a stream is passed over once; a callback may end it",
    "patience": "a stream is passed over once; a callback may end it",
    "tol": "a stream is passed over once; a callback may end it",
    "validation_data": "a callback may evaluate the network",
}
"""Arguments of `fit` that streams do without."""
OWN = (
    *("target", "features", "sample_weight", "convert", "standardize", "scaler", "missing"),
    *("history_every", "callback"),
)
"""Arguments of `fit_stream` that are no options of a step."""


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
        **options
            Arguments of `fit` on how to take a step: learning_rate, update_rule, batch_size, l2, monitor,
            kernel, ...

        Returns
        -------
        StreamHistory
            Also kept as `history`.

        Raises
        ------
        ValueError, TypeError
            For an argument or a batch that is not allowed, naming the batch; and whatever the source raises.
            All samples before have been learnt then.
        DivergenceError
            As by `fit`; its `sample` is counted from the stream's beginning.
        KeyboardInterrupt
            On Ctrl-C; the network is left as of the last sample that ``history.n_samples[-1]`` counts.
        """
        with TrainedAlone(self):
            checked = _options(options)
            check_integer("history_every", history_every, minimum=1)
            check_bool("standardize", standardize)
            if callback is not None and not callable(callback):
                raise TypeError(f"callback must be callable, got {callback!r}.")
            architecture = self.architecture
            architecture.check_finite(self.parameters)
            preparation = _preparation(architecture.n_inputs, standardize, missing)
            with_gaps = preparation.with_mean or preparation.filling is not None
            source = Source(
                architecture, batches, Columns(target, features, sample_weight), convert, scaler, with_gaps
            )
            inner = self._begun(checked.update_rule, standardize)
            inner.state.check_finite()
            if standardize:
                preparation.statistics = inner.statistics
            problem = Run(1).problem(architecture, ASSUMED_SAMPLES, None, CPU, checked, inner.state)
            plan = make_plan(problem)
            unit, length = unit_of(problem, plan), piece_length(problem, plan)
            points = Points(architecture.metric_names(checked.monitor), history_every, unit)
            learning = Learning(problem, plan, inner.parameters, inner.state, points, callback)
            learning.mark = inner.statistics.copied()
            if preparation.counts:
                distance = unit * max(1, min(MARKED_SAMPLES, length) // unit)
                ring = Ring(architecture, PIECES * (length - length % distance))
                writer: Writer = Preparing(ring, preparation, unit, distance, points.until_next)
            else:
                ring = Ring(architecture, PIECES * length)
                writer = Writer(ring, preparation.filling)
            if standardize:
                learning.show = lambda statistics: self._show(inner, statistics)
            else:
                self._rule_state = inner.state  # also for copies that a callback makes
            try:
                learning.run(Reader(source.batches(), writer, ring), ring)
            finally:
                self.history = history = learning.history()
                if preparation.counts:
                    history.inputs = learning.mark
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


def _options(given: dict[str, Any]) -> Options:
    """Of the keyword arguments, checked."""
    for name, why in WHY_NOT.items():
        if name in given:
            raise TypeError(f"fit_stream takes no {name!r}: {why}.")
    check_names("fit_stream", given, NAMES - set(WHY_NOT), OWN)
    options = Options(**{**given, "shuffle": False})
    if options.update_rule in OF_ALL_SAMPLES:
        raise ValueError(
            f"update_rule={options.update_rule!r} compares the gradients of all samples, which a stream does "
            "not keep; allowed are the other rules."
        )
    if options.device not in ("auto", "cpu"):
        raise ValueError(f"fit_stream trains on the CPU, got device={options.device!r}.")
    return replace(options, device="cpu", progress=False)


def _preparation(n_inputs: int, standardize: bool, missing: Any) -> Preparation:
    statistics = Statistics.new(n_inputs)
    if isinstance(missing, str):
        if missing not in ("error", "mean"):
            raise ValueError(f"missing={missing!r} is not known; allowed: 'error', 'mean', or a number.")
        return Preparation(statistics, bool(standardize), missing == "mean")
    return Preparation(statistics, bool(standardize), False, check_real("missing", missing))
