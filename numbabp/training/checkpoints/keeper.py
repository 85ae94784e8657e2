"""When checkpoints are written, and the thread that writes them while training goes on."""

import logging
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from ...atomic_files import PathLike
from ...checks.arguments import check_bool, check_path, check_random_state, check_real
from ..threads import Work
from . import files, random_states
from .hold import Hold
from .standing import Standing

logger = logging.getLogger(__name__)
RANDOM_STATE = "random_state."
"""What the names of generators' arrays begin with."""


def put_back_random_states(found: Standing, generators: Mapping[str, np.random.RandomState]) -> None:
    """Bring generators to where they were; which draw, from there on, what they drew there."""
    of = found.facts["random_states"]
    for name, generator in generators.items():
        facts, key = of.get(name) if isinstance(of, dict) else None, found.arrays.get(RANDOM_STATE + name)
        random_states.put_back(generator, facts, key)


def own_generators(**generators: Any) -> dict[str, np.random.RandomState]:
    """Those that belong to a run: not NumPy's global one, which others draw from, and None is none."""
    return {
        name: generator
        for name, generator in generators.items()
        if isinstance(generator, np.random.RandomState) and generator is not check_random_state(None)
    }


class Checkpoint(NamedTuple):
    """Arguments of `fit`: where checkpoints go, how often, and whether one that is there is gone on from."""

    path: str
    every: float = 30.0
    resume: bool = True
    beside: Mapping[str, Any] = {}
    """What else a run has to have in common with one that is gone on from, as JSON takes it."""
    advice: str = ""
    """What errors advise, where `fit` has no `resume`."""
    told: Callable[[str], None] | None = None
    """Takes what there is to say of a run that is gone on with."""

    @classmethod
    def asked(cls, path: "PathLike | Checkpoint | None", every: float, resume: bool) -> "Checkpoint | None":
        """Of the arguments, checked; None if no path is given."""
        if isinstance(path, Checkpoint):  # an estimator's
            return path
        check_real("checkpoint_every", every, minimum=0)
        check_bool("resume", resume)
        if path is None:
            return None
        return cls(check_path("checkpoint", path), float(every), bool(resume))

    def tell(self, is_over: bool, done: str) -> None:
        """Say, to whom wants it told, that a run is gone on with, of which so many epochs are `done`."""
        if is_over:
            message = f"the training is finished in {self.path}: nothing is trained again"
        else:
            message = f"going on from {self.path}, where {done} epochs are done"
        logger.info(message)
        if self.told is not None:
            self.told(message)


class Keeper:
    """Writes checkpoints of one run, in a thread of its own.

    Training pauses only for a copy of what it changes. The memory for that is asked for, and touched, by the
    thread, half an interval ahead: fresh memory takes ten times as long as the copy.

    Parameters
    ----------
    checkpoint
        Where, and how often.
    identity
        Whose run it is.
    generators
        Those whose states are kept, too, by name.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        identity: files.Identity,
        generators: Mapping[str, np.random.RandomState],
    ) -> None:
        self._path, self._every, self._identity = checkpoint.path, checkpoint.every, identity
        self._generators, self._hold = generators, Hold(checkpoint.path)
        self._has_looked = False
        self._last = time.monotonic()
        self._copies: dict[str, np.ndarray] | None = None
        self._work: Work | None = None
        self._error: Exception | None = None

    def look(
        self,
        standing: Callable[[], Standing],
        paused: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Begin to write a checkpoint if it is time for one; the run must stand where it can go on from.

        It does so in the context `paused`, which is entered when it is time.
        """
        if not self._has_looked:
            self._has_looked = True
            self._try_to_hold()
        waited = time.monotonic() - self._last
        if waited < self._every / 2 or not self._is_idle():
            return
        if self._copies is None:
            with paused():
                sizes = {name: (array.shape, array.dtype) for name, array in standing().changing.items()}
            self._start(lambda: self._reserve(sizes))
        elif waited >= self._every:
            self._last = time.monotonic()
            with paused():
                copied = self._copied(self._with_random_states(standing()))
            self._start(lambda: self._write(copied))

    def finish(self, standing: Standing) -> None:
        """Write the last checkpoint, and wait until it is there."""
        self._wait()
        self._write(self._with_random_states(standing))
        self._warn()

    def close(self) -> None:
        """Wait until nothing is being written, and leave the file to others."""
        try:
            self._wait()
        finally:
            self._hold.release()

    def _wait(self) -> None:
        if self._work is not None:
            self._work.wait()
            if isinstance(self._work.error, Exception):
                self._error = self._work.error
            self._work = None
        self._warn()

    def _is_idle(self) -> bool:
        if self._work is not None and self._work.is_done:
            self._wait()
        return self._work is None

    def _try_to_hold(self) -> bool:
        """Whether no other process trains with the file that is there."""
        try:
            self._hold.take()
        except files.CheckpointError as error:
            self._error = error
            return False
        return True

    def _start(self, work: Callable[[], None]) -> None:
        own = Work(work)
        try:
            self._work = own
            own.start()
        except BaseException as error:
            own.call_off()
            if not isinstance(error, RuntimeError):
                raise
            self._error, self._last = error, time.monotonic()  # there are too many threads

    def _reserve(self, sizes: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
        try:
            copies = {name: np.empty(shape, dtype) for name, (shape, dtype) in sizes.items()}
        except MemoryError as error:  # the last checkpoint needs none
            self._error, self._last = error, time.monotonic()
            return
        for copy in copies.values():
            copy.fill(0)
        self._copies = copies

    def _copied(self, standing: Standing) -> Standing:
        assert self._copies is not None
        copies = {}
        for name, array in standing.changing.items():
            copy = self._copies.get(name)
            if copy is None or copy.shape != array.shape:
                copy = self._copies[name] = np.empty(array.shape, array.dtype)
            copy[...] = array
            copies[name] = copy
        return Standing(standing.facts, copies, standing.constant)

    def random_states(self) -> Standing:
        """Of the run's generators, as they are now."""
        facts, keys = {}, {}
        for name, generator in self._generators.items():
            facts[name], keys[RANDOM_STATE + name] = random_states.described(generator)
        return Standing({"random_states": facts}, {}, keys)

    def _with_random_states(self, standing: Standing) -> Standing:
        if "random_states" in standing.facts:  # of an earlier moment, as all of it
            return standing
        own = self.random_states()
        return Standing(
            {**standing.facts, **own.facts}, standing.changing, {**standing.constant, **own.constant}
        )

    def _write(self, standing: Standing) -> None:
        if not self._try_to_hold():
            return
        try:
            files.write(self._path, self._identity, standing, self._hold.take_too)
            logger.debug("wrote %s", self._path)
        except (OSError, ValueError) as error:
            self._error = error

    def _warn(self) -> None:
        """A disk or a memory that is full is no reason to lose a run, nor one to be silent."""
        error, self._error = self._error, None
        if error is not None:
            warnings.warn(
                f"a checkpoint could not be written to {self._path}: {str(error) or type(error).__name__}. "
                "Training goes on; the last checkpoint that was written is still there.",
                RuntimeWarning,
                stacklevel=2,
            )
