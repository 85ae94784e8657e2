"""A population trained by a client's workers: parts sent, results put in place, checkpoints of the whole.

Everything is checked and planned before anything is sent: workers are told which kernel to use, so that no
bit depends on where a network is trained.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..checkpoints.standing import Standing
from ..dask_client import run_jobs
from ..population_loop import PopulationTraining, in_turns
from ..shard import Trained
from .sizes import seconds_of_a_task
from .tasks import Part, train_part

if TYPE_CHECKING:
    from distributed import Client


def train_on(client: "Client", training: PopulationTraining) -> None:
    """Do on a client's workers what training() does here.

    What is stored of a run that fails or is interrupted are the networks that are finished; its checkpoint
    has the others, too, as far as they had come.

    Raises
    ------
    RuntimeError, KeyboardInterrupt
        See `run_jobs`.
    """
    shared = _SharedOut(training)
    with training.under_way():
        if not shared.rows:
            return  # it was finished
        try:
            run_jobs(client, train_part, shared.parts(), shared.take, training.samples, shared.name)
        finally:
            training.keep_last()


class _SharedOut:
    """The networks to be trained: those that have begun as they are shared out already, then the others."""

    def __init__(self, training: PopulationTraining) -> None:
        self._training = training
        self._shard = replace(training.shard, plan=replace(training.shard.plan, n_threads=1, others=()))
        begun = training.begun_elsewhere
        self.rows = [slice(first, first + len(part.arrays["n_epochs"])) for first, part in begun.items()]
        """Networks of each part."""
        others = training.left.copy()
        for rows in self.rows:
            others[rows] = False
        self.rows += in_turns(others, training.n_at_once)

    def parts(self) -> Iterator[Part]:
        """As they are sent."""
        for rows in self.rows:
            yield self._part(rows)

    def take(self, i: int, result: Trained | Standing) -> Part | None:
        """Put in place what has come of a part; what goes on with it, unless it is finished."""
        rows = self.rows[i]
        if isinstance(result, Trained):
            self._training.take(rows, result)
            return None
        self._training.note_begun(rows, result)
        return self._part(rows)

    def name(self, i: int) -> str:
        """What errors call it."""
        return f"training of networks {self.rows[i].start} to {self.rows[i].stop - 1}"

    def _part(self, rows: slice) -> Part:
        shard = self._shard.part(rows)
        return Part(shard, self._training.begun_elsewhere.get(rows.start), seconds_of_a_task(shard))
