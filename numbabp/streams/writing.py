"""Rows of batches on their way into the ring: as they are, or standardised, or with gaps filled in."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..devices import memory
from ..devices.placement import beside, is_on_device
from ..kernels.running.batches import fill_rows, standardize_rows
from ..training.state import Statistics
from .batches import Batch
from .ring import Place, Ring

ROWS_IN_CACHE = 256
"""Made float64 at a time."""
MOST_MARKS = 512
"""Kept for rows that nobody has taken: of small batches, more would take more memory than their rows."""


@dataclass
class Preparation:
    """What is done to inputs before they are learnt from.

    Attributes
    ----------
    statistics : Statistics
        Of the rows so far; changed in place.
    standardize : bool
        By these.
    with_mean : bool
        Of what was not missing, for what is.
    filling : float or None
        Number for what is missing.
    """

    statistics: Statistics
    standardize: bool = False
    with_mean: bool = False
    filling: float | None = None

    @property
    def counts(self) -> bool:
        """Whether it needs the statistics."""
        return self.standardize or self.with_mean

    def of_one(self, row: np.ndarray) -> np.ndarray:
        """A row, float64 (1, n_columns), prepared by the statistics as they are."""
        of = self.statistics
        filled = np.where(np.isnan(row), of.mean if self.filling is None else self.filling, row)
        if not self.standardize:
            return filled
        scale = np.where(of.scale > 0, of.scale, np.inf)
        return (filled - of.mean) / scale

    def write(self, values: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
        """Rows, as float64, prepared."""
        of = self.statistics
        if self.with_mean:
            fill_rows(values, weights, of.total, of.mean, of.squares, out, self.standardize)
        else:
            standardize_rows(values, weights, of.total, of.mean, of.squares, out)


class Writer:
    """Writes batches into a ring, as they are.

    Parameters
    ----------
    ring
        Where they go.
    filling
        Number for what is missing, which is NaN.
    """

    def __init__(self, ring: Ring, filling: float | None = None) -> None:
        self._ring, self._filling = ring, filling

    def write(self, batch: Batch) -> None:
        """Write all rows, as there is room for them."""
        if batch.weights.size:
            self._ring.weigh()
        n, done = len(batch), 0
        while done < n:
            place = self._ring.place(self._at_once(n - done))
            rows = slice(done, done + len(place))
            place.targets[...] = beside(place.targets, batch.targets[rows])
            if place.weights.size:
                weights = batch.weights[rows] if batch.weights.size else 1
                place.weights[...] = beside(place.weights, weights)
            self._write_inputs(batch, done, place)
            done += len(place)

    def finish(self) -> None:
        """Publish what was written: there is no more."""

    def _at_once(self, n: int) -> int:
        """How many of n rows to write before the next ones, at most."""
        return n

    def _write_inputs(self, batch: Batch, start: int, place: Place) -> None:
        batch.write(place.inputs, start)
        self._fill(place.inputs)
        self._ring.hold(len(place))
        self._ring.publish()

    def _fill(self, values: np.ndarray) -> None:
        if self._filling is not None:
            values[np.isnan(values)] = self._filling


class WriterOnGpu(Writer):
    """The same with a ring on a GPU, to which rows of the host's memory are copied."""

    def __init__(self, ring: Ring, gpu: memory.Device) -> None:
        super().__init__(ring)
        self._gpu = gpu

    def write(self, batch: Batch) -> None:
        """See `Writer`."""
        with memory.on(self._gpu):
            super().write(batch)

    def _write_inputs(self, batch: Batch, start: int, place: Place) -> None:
        if is_on_device(batch.targets):
            batch.write(place.inputs, start)
        else:
            rows = np.empty(place.inputs.shape, place.inputs.dtype)
            batch.write(rows, start)
            memory.copy_to(place.inputs, rows)
        memory.synchronize()  # the thread that trains may have another stream
        self._ring.hold(len(place))
        self._ring.publish()


class Preparing(Writer):
    """The same with statistics: standardised, or with the mean for what is missing, or both.

    Rows are published up to where there is a copy of the statistics, for a network that is looked at there.

    Parameters
    ----------
    ring
        Where they go.
    preparation
        What is done to them.
    unit, distance
        Rows are published in multiples of the one, as far as a batch goes, and at multiples of the other.
    until_point
        Of a number of rows: how many there are from there to where the network may be looked at next.
    """

    def __init__(
        self,
        ring: Ring,
        preparation: Preparation,
        unit: int,
        distance: int,
        until_point: Callable[[int], int],
    ) -> None:
        super().__init__(ring, preparation.filling)
        self._statistics, self._preparation = preparation.statistics, preparation
        self._unit, self._distance, self._until_point = unit, distance, until_point
        self._values = np.empty((ROWS_IN_CACHE, len(self._statistics.mean)))
        self._written = self._held = 0

    def _at_once(self, n: int) -> int:
        most = min(self._distance - self._written % self._distance, self._until_point(self._written))
        whole = n - (self._written + n) % self._unit
        return most if most <= n else whole if whole > 0 else n

    def _write_inputs(self, batch: Batch, start: int, place: Place) -> None:
        for first in range(0, len(place), ROWS_IN_CACHE):
            out = place.inputs[first : first + ROWS_IN_CACHE]
            values = self._values[: len(out)]
            batch.write(values, start + first)
            self._fill(values)
            weights = place.weights[first : first + ROWS_IN_CACHE]
            self._preparation.write(values, weights, out)
        n = len(place)
        self._ring.hold(n)
        self._written += n
        self._held += n
        is_to_be = self._written % self._distance == 0 or self._until_point(self._written - n) == n
        if is_to_be or (self._written % self._unit == 0 and self._ring.n_marks < MOST_MARKS):
            self._mark()

    def finish(self) -> None:
        """See `Writer`."""
        if self._held:
            self._mark()

    def _mark(self) -> None:
        if not np.isfinite(self._statistics.squares).all():
            column = int(np.flatnonzero(~np.isfinite(self._statistics.squares))[0])
            raise ValueError(f"column {column} of X holds numbers that are too large to be standardised.")
        self._ring.publish(self._statistics.copied())
        self._held = 0
