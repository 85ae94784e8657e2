"""When waiting for an improvement is over: what early stopping and adaptive rates have in common."""

import math
from dataclasses import dataclass

import numpy as np

from ..options import Options
from ..schedules import check_schedule
from .checkpoints.standing import Standing


@dataclass
class Patience:
    """Counts the epochs in a row that have not improved the best loss.

    There are two rules. By scikit-learn's a loss that is lower by tol or more is an improvement, and waiting
    is over after more than `epochs` without one. By that of `Network.fit`, `strictly`, it has to be lower by
    more than tol, and `epochs` without one are enough; an infinite loss then improves nothing, not even
    in the first epoch. NaN never does.

    A loss that is lower by less than tol is the best, but no improvement: training that creeps ends.

    Parameters
    ----------
    epochs : int or inf
        How long to wait.
    tol : float
        By how much a loss has to be lower.
    strictly : bool, default=False
        Which of the two rules.
    best : float, default=inf
        Lowest loss so far.
    waited : int, default=0
        Epochs since the last improvement.
    """

    epochs: float
    tol: float
    strictly: bool = False
    best: float = math.inf
    waited: int = 0

    def is_over(self, loss: float) -> bool:
        """Count an epoch; whether it is one too many. A score to be maximized is given as its negative."""
        enough = self.best - self.tol
        improved = loss < enough if self.strictly else loss <= enough
        self.waited = 0 if improved else self.waited + 1
        if loss < self.best:
            self.best = loss
        return self.waited >= self.epochs if self.strictly else self.waited > self.epochs

    def wait_anew(self) -> None:
        """Forget how long it has waited, but not the best loss: what a lower learning rate begins with."""
        self.waited = 0


class NoChange:
    """Callback that ends a network's training as the lanes kernel does, see `Population.fit`."""

    def __init__(self, n_iter_no_change: int, tol: float) -> None:
        self._patience = Patience(n_iter_no_change, tol)

    def __call__(self, epoch: int, metrics: dict[str, float]) -> bool:
        """Count an epoch; whether it is one too many."""
        return self._patience.is_over(metrics["loss"])

    def kept(self) -> Standing:
        """See `Remembering`."""
        return Standing({}, {"patience": np.array([self._patience.best, self._patience.waited])})

    def go_on(self, kept: Standing) -> None:
        """See `Remembering`."""
        best, waited = kept.arrays["patience"].tolist()
        self._patience.best, self._patience.waited = best, int(waited)


class Stopping:
    """When to stop early, and the adaptive schedule: both count epochs without improvement."""

    def __init__(self, options: Options) -> None:
        self._schedule = check_schedule(options.schedule, options.schedule_options)
        self.stops_early, self.adapts_rate = options.early_stopping, options.schedule == "adaptive"
        self.watches = self.stops_early or self.adapts_rate
        """Whether it has to be asked after every epoch."""
        self._patience = Patience(options.patience, options.tol, strictly=True)
        self._patience_of_rate = Patience(self._schedule.get("patience", 0), options.tol, strictly=True)
        self.best_parameters: np.ndarray | None = None
        self.rate = 0.0
        """Of the next epoch, where it adapts."""

    def is_over(self, loss: float, parameters: np.ndarray) -> bool:
        """Whether `patience` epochs in a row have not improved the best loss by more than tol."""
        if not self.stops_early:
            return False
        if loss < self._patience.best:
            self.best_parameters = parameters.copy()
        return self._patience.is_over(loss)

    def next_rate(self, loss: float, rate: float) -> float:
        """Rate of the next epoch under the adaptive schedule; 0 when it would fall below the minimum."""
        self.rate = rate
        if self.adapts_rate and self._patience_of_rate.is_over(loss):
            self._patience_of_rate.wait_anew()
            lower = rate / self._schedule["factor"]
            self.rate = lower if abs(lower) >= self._schedule["minimum"] else 0.0
        return self.rate

    @property
    def numbers(self) -> np.ndarray:
        """What it counts, float64 (5,): all that it goes on from beside the best parameters."""
        counted = self._patience, self._patience_of_rate
        return np.array([*(number for each in counted for number in (each.best, each.waited)), self.rate])

    def go_on(self, numbers: np.ndarray, best_parameters: np.ndarray | None) -> None:
        """Go on from `numbers` and parameters of another process."""
        first, second = self._patience, self._patience_of_rate
        first.best, second.best, self.rate = (float(number) for number in numbers[[0, 2, 4]])
        first.waited, second.waited = (int(number) for number in numbers[[1, 3]])
        self.best_parameters = best_parameters
