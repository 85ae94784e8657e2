"""What loops do when training leaves the finite numbers: go back, and find the last finite step."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Snapshot:
    """Copies of arrays, to go back to; the same memory is used for the next ones.

    Fresh memory for large arrays takes longer than the copy.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.copies = tuple(array.copy() for array in arrays)

    def take(self, arrays: Sequence[Any]) -> None:
        """Copy arrays of the same shapes."""
        for copy, array in zip(self.copies, arrays, strict=True):
            copy[...] = array

    def put_back(self, arrays: Sequence[Any]) -> None:
        """Make the arrays what they were."""
        for array, copy in zip(arrays, self.copies, strict=True):
            array[...] = copy


def last_finite(
    stays_finite: Callable[[np.ndarray], np.ndarray], finite: np.ndarray, not_finite: np.ndarray
) -> np.ndarray:
    """The largest numbers of steps after which runs are still finite, by bisection of all of them at once.

    Kernels are deterministic, so what has diverged can be run again and does the same.

    Parameters
    ----------
    stays_finite
        stays_finite(steps) runs each anew up to a number of steps and tells which stay finite.
    finite, not_finite
        int64 (n_runs,) each: numbers of steps after which a run is known to be finite, and not to be.
    """
    while (not_finite - finite > 1).any():
        middle = np.where(not_finite - finite > 1, (finite + not_finite) // 2, finite)
        stays = stays_finite(middle)
        finite, not_finite = np.where(stays, middle, finite), np.where(stays, not_finite, middle)
    return finite
