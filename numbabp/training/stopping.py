"""When waiting for an improvement is over: what early stopping and adaptive rates have in common."""

import math
from dataclasses import dataclass


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
