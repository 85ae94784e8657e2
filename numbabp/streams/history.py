"""What training on a stream recorded, every so many samples."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..history import StreamHistory
from ..kernels.state import FIRST_METRIC, LOSS, WEIGHT


class Points:
    """The points of a history as they come.

    Parameters
    ----------
    names
        Of the metrics beside the loss.
    every
        Samples from one point to the next.
    unit
        A point lies at a multiple of it.
    """

    def __init__(self, names: Sequence[str], every: int, unit: int) -> None:
        self._names, self._every, self._unit = list(names), every, unit
        self.sums = np.zeros(FIRST_METRIC + len(names))
        """Since the last point, as kernels record them."""
        self._records: list[list[float]] = []
        self._at: list[int] = []
        self.n_samples = 0
        """That were learnt."""

    def until_next(self, n_samples: int) -> int:
        """Samples from so many to the next point, a multiple of the unit where they are one."""
        point = n_samples // self._every
        while self._place(point) <= n_samples:
            point += 1
        return self._place(point) - n_samples

    def _place(self, point: int) -> int:
        """Of point 1, 2, ...: the first multiple of the unit from where it was asked for."""
        return -(-point * self._every // self._unit) * self._unit

    def add(self, n: int, sums: np.ndarray) -> bool:
        """Note n samples more, with the sums since the last point; whether that has come to the next one."""
        is_point = n >= self.until_next(self.n_samples)
        self.n_samples += n
        self.sums[:] = sums
        return is_point

    def close(self) -> dict[str, float]:
        """Make a point of what was added since the one before; its metrics by name."""
        weight = self.sums[WEIGHT]
        columns = [LOSS, *range(FIRST_METRIC, len(self.sums))]
        record = [float(self.sums[c] / weight) if weight > 0 else float("nan") for c in columns]
        self._records.append(record)
        self._at.append(self.n_samples)
        self.sums[:] = 0
        return dict(zip(["loss", *self._names], record, strict=True))

    @property
    def loss(self) -> float:
        """Mean since the last point, or of that one."""
        if self.sums[WEIGHT] > 0:
            return float(self.sums[LOSS] / self.sums[WEIGHT])
        return self._records[-1][0] if self._records else float("nan")

    def arrays(self) -> dict[str, np.ndarray]:
        """What `go_on` needs beside `n_samples` and `sums`, in arrays that do not change any more."""
        return {"points": self._values(), "at": np.array(self._at, np.int64)}

    def go_on(self, n_samples: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from `arrays` of another process; `sums` are for the caller to fill in."""
        points, at = arrays["points"], arrays["at"]
        if points.shape != (len(at), 1 + len(self._names)):
            raise ValueError("the checkpoint's history is not whole")
        self._records, self._at, self.n_samples = points.tolist(), at.tolist(), n_samples

    def _values(self) -> np.ndarray:
        return np.array(self._records, float).reshape(len(self._records), 1 + len(self._names))

    @property
    def is_open(self) -> bool:
        """Whether samples were added since the last point."""
        return self.n_samples > (self._at[-1] if self._at else 0)

    def history(self, learning_rate: float, stop_reason: str, seconds: float) -> StreamHistory:
        """Of the points so far."""
        names = ["loss", *self._names]
        values = self._values()
        return StreamHistory(
            dict(zip(names, values.T.copy(), strict=True)),
            learning_rate=np.full(len(values), learning_rate),
            n_samples=np.array(self._at, np.int64),
            stop_reason=stop_reason,
            seconds=seconds,
        )
