"""How good predictions are that are made before each row is learnt, and those of a constant on the same rows.

The constant is what the rows before tell: the most frequent class and the frequencies of all, each counted
once more than it has been seen; or their mean. It knows them up to the last batch's end.
"""

import math
from dataclasses import dataclass

import numpy as np

from ...data.targets import Target
from ...history import History


@dataclass
class Sums:
    """Over some rows.

    Attributes
    ----------
    n : int
    loss, right : float
        Of the network: sum of the losses, and of the rows predicted right.
    constant_loss, constant_right : float
        Of the constant.
    """

    n: int = 0
    loss: float = 0.0
    right: float = 0.0
    constant_loss: float = 0.0
    constant_right: float = 0.0

    def add(self, other: "Sums") -> None:
        """Take these rows, too."""
        self.n += other.n
        self.loss += other.loss
        self.right += other.right
        self.constant_loss += other.constant_loss
        self.constant_right += other.constant_right


@dataclass(frozen=True)
class Figures:
    """Means over some rows.

    Attributes
    ----------
    rows : int
    loss, constant_loss : float
        Cross-entropy in nats; of amounts the mean square in units of the target's variance in the first rows,
        halved.
    score, constant_score : float
        Accuracy; of amounts the root mean square error in the target's unit.
    """

    rows: int
    loss: float
    score: float
    constant_loss: float
    constant_score: float


@dataclass(frozen=True)
class Line:
    """What is told of the stream up to some row.

    Attributes
    ----------
    rows : int
        Learnt so far.
    since : Figures
        Of those since the last line.
    over_all : Figures
    """

    rows: int
    since: Figures
    over_all: Figures


class Prequential:
    """Adds up what batches tell, and makes a line of it whenever the number of rows has doubled.

    Parameters
    ----------
    target : Target
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._counts = np.ones(len(target.classes[0]) if target.classes is not None else 0)
        self._sum, self._n = 0.0, 0
        self._since, self._total = Sums(), Sums()
        self._next = 1
        self.lines: list[Line] = []

    def add(self, targets: np.ndarray, history: History) -> Line | None:
        """Take a batch; a line if it is time for one."""
        n = len(targets)
        batch = Sums(n, loss=n * float(history.loss[-1]))
        if self._target.classes is None:
            batch.constant_loss = self._of_mean(targets)
        else:
            batch.right = n * float(history.accuracy[-1])
            batch.constant_loss, batch.constant_right = self._of_frequencies(targets.astype(np.intp))
        self._since.add(batch)
        self._total.add(batch)
        return self.line() if self._total.n >= self._next else None

    def line(self) -> Line | None:
        """Up to here, unless nothing has come since the last one."""
        if not self._since.n:
            return None
        while self._next <= self._total.n:
            self._next *= 2
        line = Line(self._total.n, self._figures(self._since), self._figures(self._total))
        self._since = Sums()
        self.lines.append(line)
        return line

    def _figures(self, sums: Sums) -> Figures:
        loss, constant = sums.loss / sums.n, sums.constant_loss / sums.n
        if self._target.classes is not None:
            return Figures(sums.n, loss, sums.right / sums.n, constant, sums.constant_right / sums.n)
        scale = float(self._target.scale[0])
        return Figures(sums.n, loss, scale * math.sqrt(2 * loss), constant, scale * math.sqrt(2 * constant))

    def _of_frequencies(self, places: np.ndarray) -> tuple[float, float]:
        """Sum of the losses and of the rows that are right."""
        counts = self._counts
        loss = -np.log(counts / counts.sum())[places].sum()
        right = (places == counts.argmax()).sum()
        counts += np.bincount(places, minlength=len(counts))
        return float(loss), float(right)

    def _of_mean(self, targets: np.ndarray) -> float:
        """Sum of the losses."""
        mean = self._sum / max(1, self._n)
        self._sum += float(targets.sum())
        self._n += len(targets)
        return float(((targets - mean) ** 2).sum() / 2)
