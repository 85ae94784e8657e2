"""`fit_stream`, which networks have."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..architecture import OfArchitecture
from ..checks.arguments import check_integer
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
from .history import Points, StreamHistory
from .learning import PIECES, Callback, Learning, piece_length
from .reading import Reader
from .ring import Ring
from .sources import Source
from .writing import Writer

ASSUMED_SAMPLES = 1_000_000
"""What a stream is planned for that does not say how long it is."""
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
OWN = ("target", "features", "sample_weight", "convert", "history_every", "callback")
"""Arguments of `fit_stream` that are no options of a step."""


class LearnsFromStreams(OfArchitecture):
    """What a network trains itself with on a stream."""

    parameters: np.ndarray
    history: History | None
    _rule_state: RuleState | None

    @takes_options(*WHY_NOT)
    def fit_stream(
        self,
        batches: Any,
        *,
        target: str | Sequence[str] | None = None,
        features: Sequence[str] | None = None,
        sample_weight: str | None = None,
        convert: Convert | None = None,
        history_every: int = 100_000,
        callback: Callback | None = None,
        **options: Any,
    ) -> StreamHistory:
        """Train on a stream, which may be larger than memory, sample by sample in the order they come.

        What is done is what `fit` does with one epoch of all samples and shuffle=False, to the last bit if
        the kernel is the same, however the stream is cut into batches. Batches are read by a thread, some
        ahead of training.

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
            if callback is not None and not callable(callback):
                raise TypeError(f"callback must be callable, got {callback!r}.")
            architecture = self.architecture
            source = Source(architecture, batches, Columns(target, features, sample_weight), convert)
            architecture.check_finite(self.parameters)
            state = RuleState.going_on(self._rule_state, checked.update_rule, self.parameters)
            state.check_finite()
            problem = Run(1).problem(architecture, ASSUMED_SAMPLES, None, CPU, checked, self._rule_state)
            plan = make_plan(problem)
            names = architecture.metric_names(checked.monitor)
            points = Points(names, history_every, plan.block_length or checked.batch_size)
            learning = Learning(problem, plan, self.parameters, state, points, callback)
            ring = Ring(architecture, PIECES * piece_length(problem, plan))
            reader = Reader(source.batches(), Writer(ring), ring)
            self._rule_state = state  # also for copies that a callback makes
            try:
                learning.run(reader, ring)
            finally:
                self.history = history = learning.history()
            return history


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
