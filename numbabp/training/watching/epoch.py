"""What a callback of `Population.fit` is shown: all networks of a population after an epoch."""

from collections.abc import Iterator, Mapping

import numpy as np

from ..shard import Records, Shard


class PopulationEpoch(Mapping[str, np.ndarray]):
    """All networks after an epoch: a mapping from metrics' names to float64 arrays of shape (n_networks,).

    They are what the epoch comes to in `PopulationHistory`, validation too; NaN for a network that had ended
    before, or has diverged. They are copies, and may be kept.

    Attributes
    ----------
    epoch : int
        From 0, as in `Network.fit`.
    parameters : ndarray of shape (n_networks, n_parameters)
        As they are after this epoch, and for networks that have ended as they stay; of those that have
        diverged nothing is promised before training ends. A view that can't be written to: a copy keeps it.
    n_epochs : ndarray of int64, shape (n_networks,)
        Epochs that each network has finished.
    diverged, ended : ndarray of bool, shape (n_networks,)
        Which networks have diverged, and which train no more, for whatever reason.

    Examples
    --------
    End the networks that are far behind the others, and all once the best one is good enough:

    >>> import numpy as np
    >>> import numbabp as nbp
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> def look(epoch, now):
    ...     if np.nanmin(now.loss) < 0.01:
    ...         return True
    ...     return now.loss > 2 * np.nanmedian(now.loss)
    >>> population = nbp.Population((2, 10, 1), 64, loss="binary_cross_entropy", random_state=0)
    >>> history = population.fit(X, y, learning_rate=1.0, epochs=5000, callback=look, callback_every=100)
    >>> history.loss.shape
    (64, 2000)
    >>> history[0].stop_reason
    'callback'
    """

    def __init__(
        self, epoch: int, shard: Shard, records: Records, n_epochs: np.ndarray, diverged: np.ndarray
    ) -> None:
        self.epoch = epoch
        self.parameters = shard.parameters.view()
        self.parameters.flags.writeable = False
        self.n_epochs, self.diverged = n_epochs.copy(), diverged
        self.ended = diverged | (records.stopped > 0) | (n_epochs >= shard.epochs)
        self._recorded = records.metrics
        self._metrics = {name: self._values(name, epoch) for name in records.metrics}

    def _values(self, name: str, epoch: int) -> np.ndarray:
        return np.where(self.n_epochs > epoch, self._recorded[name][:, epoch], np.nan)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._metrics:
            raise KeyError(f"{name!r} was not recorded; recorded: {', '.join(self._metrics)}.")
        return self._metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __repr__(self) -> str:
        n, ended = len(self.n_epochs), int(self.ended.sum())
        return f"<PopulationEpoch {self.epoch}: {n} networks, {ended} ended, {self.diverged.sum()} diverged>"

    @property
    def loss(self) -> np.ndarray:
        """Prequential loss of the epoch, shape (n_networks,)."""
        return self["loss"]

    def so_far(self, name: str = "loss") -> np.ndarray:
        """A metric in all epochs up to this one: float64 (n_networks, epoch + 1), NaN where there is none."""
        self[name]  # which says what there is
        epochs = np.arange(self.epoch + 1)
        return np.where(epochs < self.n_epochs[:, None], self._recorded[name][:, epochs], np.nan)
