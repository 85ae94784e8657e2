"""How good predictions are that are made before each row is learnt, and those of a constant on the same rows.

The constant is what the rows before tell: the most frequent class and the frequencies of all, each counted
once more than it has been seen; or their mean. It knows them up to the end of the batch before.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...data.targets import Target
from ...history import StreamHistory

N_SUMS = 4
LOSS, RIGHT, CONSTANT_LOSS, CONSTANT_RIGHT = range(N_SUMS)


@dataclass(frozen=True)
class Figures:
    """Means over some rows.

    Attributes
    ----------
    rows : int
    loss, constant_loss : float
        Cross-entropy in nats; of amounts half the mean square, in units of the variance that the target has
        in the first rows.
    score, constant_score : float
        Accuracy; of amounts the root mean square error in the target's unit.
    """

    rows: int
    loss: float
    score: float
    constant_loss: float
    constant_score: float

    @classmethod
    def of(cls, rows: int, sums: np.ndarray, target: Target) -> "Figures":
        """From the sums over the rows."""
        loss, right, constant_loss, constant_right = (sums / rows).tolist()
        if target.classes is not None:
            return cls(rows, loss, right, constant_loss, constant_right)
        scale = float(target.scale[0])
        return cls(
            rows, loss, scale * math.sqrt(2 * loss), constant_loss, scale * math.sqrt(2 * constant_loss)
        )


@dataclass(frozen=True)
class Line:
    """What is told of the stream up to some row.

    Attributes
    ----------
    rows : int
        Learnt so far.
    since, over_all : Figures
        Of those since the last line, and of all.
    """

    rows: int
    since: Figures
    over_all: Figures

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return asdict(self)


class Constant:
    """A constant's losses, and whether it is right, row by row."""

    def __init__(self, target: Target) -> None:
        self._counts = None if target.classes is None else np.ones(len(target.classes[0]))
        self._sum, self._n = 0.0, 0

    def of(self, targets: np.ndarray) -> np.ndarray:
        """(2, n) of the next n rows: losses, and 1 where it is right."""
        if self._counts is None:
            mean = self._sum / max(1, self._n)
            self._sum += float(targets.sum())
            self._n += len(targets)
            return np.stack([(targets - mean) ** 2 / 2, np.zeros(len(targets))])
        counts, places = self._counts, targets.astype(np.intp)
        found = np.stack([-np.log(counts / counts.sum())[places], places == np.argmax(counts)])
        counts += np.bincount(places, minlength=len(counts))
        return found


class Prequential:
    """Adds up what training tells, and makes a line of it whenever the number of rows has doubled.

    Parameters
    ----------
    target : Target

    Attributes
    ----------
    lines : list of Line
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._constant = Constant(target)
        self._waiting: deque[np.ndarray] = deque()  # written by the thread that reads
        self._since, self._total = np.zeros(N_SUMS), np.zeros(N_SUMS)
        self._n, self._told, self._next = 0, 0, 1
        self.lines: list[Line] = []

    def comes(self, targets: np.ndarray) -> None:
        """Note rows that are to be learnt."""
        self._waiting.append(self._constant.of(targets))

    def add(self, n_rows: int, metrics: Mapping[str, float]) -> Line | None:
        """Take means over the rows since the last call, up to `n_rows`; a line if it is time for one."""
        n, self._n = n_rows - self._n, n_rows
        sums = np.zeros(N_SUMS)
        sums[LOSS], sums[RIGHT] = n * metrics["loss"], n * metrics.get("accuracy", 0.0)
        while n:
            of_rows = self._waiting.popleft()
            sums[CONSTANT_LOSS:] += of_rows[:, :n].sum(axis=1)
            if of_rows.shape[1] > n:
                self._waiting.appendleft(of_rows[:, n:])
            n -= min(n, of_rows.shape[1])
        self._since += sums
        return self.line() if self._n >= self._next else None

    def go_on(self, history: StreamHistory) -> list[Line]:
        """Take what another process has recorded, whose rows have come again; the lines it has told."""
        names = [name for name in ("loss", "accuracy") if name in history]
        points = zip(history.n_samples.tolist(), *(history[name].tolist() for name in names), strict=True)
        told = [self.add(n_rows, dict(zip(names, values, strict=True))) for n_rows, *values in points]
        return [line for line in told if line is not None]

    def line(self) -> Line | None:
        """Up to here, unless nothing has come since the last one."""
        n = self._n - self._told
        if not n:
            return None
        while self._next <= self._n:
            self._next *= 2
        self._total += self._since
        line = Line(
            self._n,
            Figures.of(n, self._since, self._target),
            Figures.of(self._n, self._total, self._target),
        )
        self._since[:], self._told = 0, self._n
        self.lines.append(line)
        return line

    def complaint(self) -> str:
        """What is wrong with a network that is no better than the constant in the last half of the rows."""
        half = [line.since for line in self.lines if line.rows > self._n / 2]
        n = sum(figures.rows for figures in half)
        loss, constant = (
            sum(figures.rows * getattr(figures, name) for figures in half) / max(1, n)
            for name in ("loss", "constant_loss")
        )
        if not n or loss < constant:
            return ""
        return (
            f"the loss over the last {n:,} rows, {loss:.4g}, is no better than a constant's, {constant:.4g}: "
            "try another --learning-rate, --update-rule adam, or other units in --hidden; the columns may "
            "say little of the target, or not the same all along."
        )
