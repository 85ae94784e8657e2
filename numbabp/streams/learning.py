"""The loop of a stream: pieces of it, one after the other, are trained on as by `Network.fit`."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..devices.placement import on_host, where
from ..errors import OF_FIT, DivergenceError
from ..history import StreamHistory
from ..planning.plan import Plan
from ..planning.problem import Problem
from ..samples import Samples
from ..schedules import GivenRates
from ..training import slicing
from ..training.checkpoints import plans
from ..training.checkpoints.files import CheckpointError
from ..training.checkpoints.keeper import Keeper
from ..training.checkpoints.standing import Standing, take
from ..training.divergence import Snapshot
from ..training.loop import Training
from ..training.progress import ProgressBar
from ..training.state import RuleState, Statistics
from .history import Points
from .place import LastRow
from .reading import Reader
from .ring import Ring

PIECE_SECONDS = 0.1
"""Of training, about: what a piece costs beside its steps is 0.3 ms, and it is what Ctrl-C may undo."""
PIECE_BYTES = 1 << 23
"""At most, unless a mini-batch is larger."""
PIECES = 3
"""That there is room for: one is trained on, one waits, one is written."""

STATISTICS = "statistics."
"""What their names begin with in a checkpoint."""

Callback = Callable[[int, dict[str, float]], Any]


def unit_of(problem: Problem, plan: Plan) -> int:
    """Samples of which a piece has a multiple, so that it does not matter where it ends."""
    return plan.block_length or problem.options.batch_size


def piece_length(problem: Problem, plan: Plan) -> int:
    """Samples of a piece."""
    of, unit = problem.architecture, unit_of(problem, plan)
    row = of.dtype.itemsize * (of.n_inputs + of.n_outputs + 1)
    by_time = PIECE_SECONDS * 1e9 / plan.ns_per_step if plan.ns_per_step > 0 else math.inf
    wanted = int(min(by_time, PIECE_BYTES / row))
    return max(1, wanted // unit) * unit


@dataclass
class Learning:
    """Training on what a reader brings.

    Parameters
    ----------
    problem, plan
        Of the stream as a whole, as far as it is known, and by which kernel.
    parameters
        T (n_parameters,), trained in place.
    state
        What the update rule carries along; changed in place, too.
    points
        Of the history, filled here.
    callback
        Called after every point as callback(n_samples, metrics); a true result ends training.
    show
        Called with the mark of what was trained on last, before somebody looks at the network.
    """

    problem: Problem
    plan: Plan
    parameters: np.ndarray
    state: RuleState
    points: Points
    callback: Callback | None = None
    show: Callable[[Any], None] = lambda mark: None
    mark: Statistics | None = None
    """Statistics of the samples that were learnt, where there are any."""
    keeper: Keeper | None = None
    """Asked after every piece whether it is to be kept."""
    stop_reason: str = field(init=False, default="finished")
    has_ended: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        of = self.problem.architecture
        self.last = LastRow(of.n_inputs, of.n_outputs, of.dtype)
        self.seconds = 0.0
        self._is_sound = True
        """Whether an interruption now would leave what a stream can go on from."""
        self._before_rest: Standing | None = None
        self.unit = unit_of(self.problem, self.plan)
        of_piece = replace(self.problem.options, progress=False)
        self._problem_of_piece = replace(self.problem, options=of_piece, epochs=1)
        self._rates = GivenRates(np.array([float(self.problem.options.learning_rate)]))
        self._before = Snapshot(self._changing)

    @property
    def _changing(self) -> tuple[np.ndarray, ...]:
        return self.parameters, self.state.moments, self.state.steps.reshape(1)

    def run(self, reader: Reader, ring: Ring) -> None:
        """Train to the stream's end, or to a reason to stop.

        Raises
        ------
        DivergenceError
            As `Network.fit`.
        Exception
            Whatever the source has raised, after all that it has brought before was learnt.
        """
        self._started = time.perf_counter()
        try:
            reader.start()
            bar = ProgressBar(None, self.problem.options.progress, "sample")
            with bar, slicing.ENDING.looked_for():
                self._go_to_the_end(reader, ring, bar)
            self.has_ended = True
            if self.keeper is not None:
                self.keeper.finish(self.standing())
        except BaseException as error:
            self.stop_reason = "interrupted"
            may_go_on = self._is_sound and not self.has_ended and not isinstance(error, CheckpointError)
            if self.keeper is not None and may_go_on:
                self.keeper.finish(self._before_rest or self.standing())
            if self.points.is_open:  # it says how many samples were learnt
                self.points.close()
            raise
        finally:
            try:
                self._end(reader)
            except KeyboardInterrupt:
                self._end(reader)  # all of it
                raise
            reader.end()
            if self.keeper is not None:
                self.keeper.close()

    def _end(self, reader: Reader) -> None:
        """Have the thread stop, and leave the network as of the last piece."""
        reader.stop()
        self.show(self.mark)
        self._take_time()

    def _go_to_the_end(self, reader: Reader, ring: Ring, bar: ProgressBar) -> None:
        length = ring.capacity // PIECES
        while self.stop_reason == "finished":
            until_point = self.points.until_next(self.points.n_samples)
            n = reader.wait_for(min(length, ring.until_end, until_point), self.unit)
            slicing.ENDING.look()
            if reader.has_ended and reader.error is not None and n % self.unit:
                n -= n % self.problem.options.batch_size  # the rest of a mini-batch may have been lost
                if n % self.unit and self.keeper is not None:  # and that of a block has to be whole
                    self._before_rest = self.standing().copied()
            if n == 0:
                break
            samples, mark = ring.take(n)
            if samples.n == 0:
                break
            with where(samples.inputs):
                self._learn(samples, mark)
            ring.free()
            bar.update(self.points.n_samples, self.points.loss)
        if self.stop_reason == "finished" and reader.error is not None:
            raise reader.error
        if self.points.is_open:
            self._close_point()

    def _learn(self, samples: Samples, mark: Any) -> None:
        """Train on a piece; whatever ends it before its end, but divergence, undoes it."""
        first, n = self.points.n_samples, samples.n
        sums = self.points.sums.copy()
        if not samples.weights.size or samples.weights.any():
            training = Training(
                replace(self._problem_of_piece, n_samples=n),
                self.plan,
                samples,
                self.parameters,
                self.state,
                self._rates,
                0,
            )
            if self.problem.place.device is None:  # so that no digit depends on where pieces end
                training.run.sums[0] = sums
            self._before.take(self._changing)
            self._is_sound = False
            try:
                training()
            except DivergenceError as error:
                if mark is not None:  # statistics of that sample are not at hand
                    self._before.put_back(self._changing)
                raise self._placed(error, first) from None
            except BaseException:
                self._before.put_back(self._changing)
                self._is_sound = True
                raise
            self.plan = training.plan  # a blocked one that has lost its digits goes on step by step
            of_piece = training.run.sums[0]
            sums = of_piece if self.problem.place.device is None else sums + of_piece
        self.mark = mark
        self.last.inputs[:], self.last.targets[:] = on_host(samples.inputs[-1]), on_host(samples.targets[-1])
        is_point = self.points.add(n, sums)
        self._is_sound = True
        if is_point:
            self._close_point()
        if self.keeper is not None:
            self.keeper.look(self.standing)

    def _placed(self, error: DivergenceError, first: int) -> DivergenceError:
        sample = first + error.sample
        return DivergenceError(0, sample, error.learning_rate, OF_FIT)

    def _close_point(self) -> None:
        metrics = self.points.close()
        if self.callback is None:
            return
        self._is_sound = False
        self.show(self.mark)
        if self.callback(self.points.n_samples, metrics):
            self.stop_reason = "callback"
        # it may have assigned to them
        self.problem.architecture.check_finite(self.parameters)
        self._is_sound = True

    def _take_time(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self._started
        self._started = now

    def standing(self) -> Standing:
        """Where the stream stands, for a checkpoint."""
        self._take_time()
        facts = {
            "plan": plans.described(self.plan),
            "stop_reason": self.stop_reason if self.has_ended else None,
            "seconds": self.seconds,
            "n_samples": self.points.n_samples,
        }
        constant = self.points.arrays()
        if self.mark is not None:
            constant |= {STATISTICS + name: array for name, array in vars(self.mark).items()}
        return Standing(facts, self._kept(), constant)

    def _kept(self) -> dict[str, np.ndarray]:
        """Arrays that change, by name."""
        return {
            "parameters": self.parameters,
            "moments": self.state.moments,
            "steps": self.state.steps.reshape(1),
            "sums": self.points.sums,
            "last_inputs": self.last.inputs,
            "last_targets": self.last.targets,
        }

    def go_on(self, found: Standing) -> None:
        """Go on from where another process has come to.

        Raises
        ------
        ValueError
            If what it has left is not whole.
        """
        arrays, facts = found.arrays, found.facts
        taken = {name: take(arrays, name, array) for name, array in self._kept().items()}
        if self.mark is not None:
            own = {name: take(arrays, STATISTICS + name, array) for name, array in vars(self.mark).items()}
            self.mark = Statistics(**own)
        self.points.go_on(facts["n_samples"], arrays)
        for name, array in self._kept().items():
            array[...] = taken[name]
        self.seconds, self.has_ended = facts["seconds"], facts["stop_reason"] is not None
        self.stop_reason = facts["stop_reason"] or "finished"

    def history(self) -> StreamHistory:
        """Of the points so far."""
        rate = float(self.problem.options.learning_rate)
        history = self.points.history(rate, self.stop_reason, self.seconds)
        history.inputs = self.mark
        return history
