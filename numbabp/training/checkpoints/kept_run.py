"""A run whose checkpoints are kept: opened before anything is drawn or changed."""

from typing import NamedTuple

import numpy as np

from ...planning.plan import Plan
from ...planning.problem import Problem
from . import files, random_states
from .hold import Hold
from .keeper import Checkpoint, Keeper, put_back_random_states
from .plans import planned
from .standing import Standing


class KeptRun(NamedTuple):
    """What writes the checkpoints of a run, and where it stands in the file, if it has begun."""

    keeper: Keeper
    generators: dict[str, np.random.RandomState]
    """Those that belong to the run, by name."""
    standing: Standing | None

    @classmethod
    def opened(
        cls, checkpoint: Checkpoint, identity: files.Identity, generators: dict[str, np.random.RandomState]
    ) -> "KeptRun":
        """Of this identity.

        Raises
        ------
        ValueError
            If the file is of another run, damaged, can't be written, or is in use by another process; or if
            a generator can't be kept.
        """
        for generator in generators.values():
            random_states.described(generator)  # raises where it can't be kept
        identity = {**identity, **checkpoint.beside}
        _check_not_in_use(checkpoint.path)
        found = files.prepare(checkpoint.path, checkpoint.resume, checkpoint.advice)
        if found is not None:
            files.check_same_run(checkpoint.path, found.identity, identity, checkpoint.advice)
        return cls(Keeper(checkpoint, identity, generators), generators, found and found.standing)

    def plan(self, plan: Plan, problem: Problem) -> Plan:
        """The plan that it was begun with, or the one that is made for a new run."""
        return plan if self.standing is None else planned(self.standing.facts["plan"], plan, problem)

    def put_back_random_states(self) -> None:
        """After all that is drawn before a run begins."""
        if self.standing is not None:
            put_back_random_states(self.standing, self.generators)


def _check_not_in_use(path: str) -> None:
    hold = Hold(path)
    try:
        hold.take()
    except files.CheckpointError as error:
        raise files.CheckpointError(
            f"checkpoint {path}: {error}. Wait until that has ended, or name another file."
        ) from None
    finally:
        hold.release()
