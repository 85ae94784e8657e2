"""Rows of batches on their way into the ring."""

from .batches import Batch
from .ring import Ring


class Writer:
    """Writes batches into a ring.

    Parameters
    ----------
    ring
        Where they go.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def write(self, batch: Batch) -> None:
        """Write all rows, as there is room for them."""
        if batch.weights.size:
            self._ring.weigh()
        n, done = len(batch), 0
        while done < n:
            place = self._ring.place(n - done)
            rows = slice(done, done + len(place))
            batch.write(place.inputs, done)
            place.targets[...] = batch.targets[rows]
            if place.weights.size:
                place.weights[...] = batch.weights[rows] if batch.weights.size else 1
            self._ring.publish(len(place))
            done += len(place)
