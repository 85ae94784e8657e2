"""Who looks at all networks of a population, when, and what comes of it: the callback of `Population.fit`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...checks.arguments import check_integer
from ..checkpoints.files import CheckpointError
from ..checkpoints.sound import are_numbers, is_number
from ..checkpoints.standing import Standing, take
from ..shard import Records, Shard
from .epoch import PopulationEpoch

PopulationCallback = Callable[[int, PopulationEpoch], Any]


def check_callback(callback: Any, every: Any) -> None:
    """Raise TypeError or ValueError for arguments of `Population.fit` that are none such."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}.")
    check_integer("callback_every", every, minimum=1)


class Looked(NamedTuple):
    """What has come of the looks up to now; one value, so that an interruption finds all of it or nothing."""

    until: int
    """Epochs that were finished at the last one."""
    called_off: np.ndarray
    """int64 (n_networks,), the epochs after which the callback ended each, or 0."""
    n_epochs: np.ndarray
    """int64 (n_networks,), epochs that each had finished while it had not diverged."""


@dataclass
class Watch:
    """The looks of one run."""

    callback: PopulationCallback
    every: int
    shard: Shard
    records: Records
    looked: Looked = field(init=False)

    def __post_init__(self) -> None:
        none = np.zeros(len(self.shard), np.int64)
        self.looked = Looked(0, none, none)

    @property
    def next(self) -> int:
        """Epochs until the next look."""
        return min(self.shard.epochs, (self.looked.until // self.every + 1) * self.every)

    @property
    def is_over(self) -> bool:
        """Whether there is no other: after the last epoch, or once every network has ended."""
        done = self.looked.n_epochs
        goes_on = (self.records.stopped == 0) & (done == self.looked.until)  # else it has diverged
        return self.looked.until >= self.shard.epochs or (self.looked.until > 0 and not goes_on.any())

    def look(self, until: int, diverged: np.ndarray) -> None:
        """Show the networks, so many epochs being finished at most, and note which are to end.

        Raises
        ------
        ValueError
            If what the callback returns is neither a truth value nor one for each network.
        """
        n_epochs = np.where(diverged, self.looked.n_epochs, self.records.n_epochs)
        if n_epochs.any():  # those that have not diverged may all have ended before
            until = min(until, int(n_epochs.max()))
        answer = self.callback(
            until - 1, PopulationEpoch(until - 1, self.shard, self.records, n_epochs, diverged)
        )
        ending = self._ending(answer) & (self.records.stopped == 0) & (self.looked.called_off == 0)
        # after the last epoch there is nothing to be ended
        called_off = np.where(ending & (until < self.shard.epochs), until, self.looked.called_off)
        self.looked = Looked(until, called_off, n_epochs)

    def _ending(self, answer: Any) -> np.ndarray:
        n = len(self.shard)
        if not isinstance(answer, list | tuple | np.ndarray) or np.ndim(answer) == 0:
            return np.full(n, bool(answer))
        mask = np.asarray(answer)
        if mask.dtype != np.bool_ or mask.shape != (n,):
            raise ValueError(
                f"callback must return a truth value, or bool of shape ({n},), which networks are to end; "
                f"got {mask.dtype} of shape {mask.shape}."
            )
        return mask

    def kept(self) -> Standing:
        """For a checkpoint."""
        of = self.looked
        return Standing({"until": of.until}, {"called_off": of.called_off, "n_epochs": of.n_epochs})

    def go_on(self, kept: Standing) -> None:
        """From where another process has come to."""
        epochs, own = self.shard.epochs, self.looked
        called_off = take(kept.arrays, "called_off", own.called_off)
        n_epochs = take(kept.arrays, "n_epochs", own.n_epochs)
        until, shape = kept.facts["until"], own.n_epochs.shape
        if not is_number(until, epochs) or not all(
            are_numbers(array, shape, epochs) for array in (called_off, n_epochs)
        ):
            raise CheckpointError("the checkpoint can't be gone on with: no run was looked at so.")
        self.looked = Looked(until, called_off, n_epochs)
