"""Parameters of a network as scikit-learn has them: lists of arrays that can be assigned to."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np


class Views(list[np.ndarray]):
    """Weights or biases, one array a layer; assigning to an entry writes into the network.

    In a plain list an assignment would take effect on the list alone. The arrays are views of what is written
    to, or copies, for which `write` takes all of them after an assignment.
    """

    def __init__(
        self,
        name: str,
        views: Iterable[np.ndarray],
        write: Callable[[list[np.ndarray]], None] | None = None,
    ) -> None:
        super().__init__(views)
        self._name = name
        self._write = write

    def __setitem__(self, index: Any, value: Any) -> None:
        places = range(len(self))[index]
        if not isinstance(places, range):
            places, value = range(places, places + 1), [value]
        names = [f"{self._name}[{i}]" for i in places]
        arrays = _checked(self._name, names, [self[i] for i in places], value)
        if self._write is not None:
            changed = list(self)
            for i, array in zip(places, arrays, strict=True):
                changed[i] = array
            self._write(changed)
            for i, array in zip(places, arrays, strict=True):
                array.flags.writeable = False
                super().__setitem__(i, array)
            return
        for i, array in zip(places, arrays, strict=True):
            self[i][...] = array

    def __reduce__(self) -> Any:
        return Views, (self._name, list(self))

    def take(self, values: Sequence[Any]) -> None:
        """Copy values into all of them, after all have been checked."""
        self[:] = values


def _checked(name: str, names: Sequence[str], views: Sequence[np.ndarray], values: Any) -> list[np.ndarray]:
    """Copies of values that can stand in for the views, or an error that names the one that can't."""
    values = list(values)
    if len(values) != len(views):
        shapes = ", ".join(str(view.shape) for view in views)
        raise ValueError(
            f"{name} must have {len(views)} arrays, one a layer, of shapes {shapes}; got {len(values)}."
        )
    arrays = []
    for own, view, value in zip(names, views, values, strict=True):
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{own} must be numeric, got dtype {array.dtype}.")
        if array.shape != view.shape:
            raise ValueError(f"{own} must have shape {view.shape}, got {array.shape}.")
        array = array.astype(view.dtype)  # a copy: it may be a view of what is written to
        if not np.isfinite(array).all():
            raise ValueError(f"{own} must be finite, also in the network's dtype, {view.dtype}.")
        arrays.append(array)
    return arrays
