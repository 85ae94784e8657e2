"""Parameters of a network as scikit-learn has them: lists of arrays that can be assigned to."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


class Views(list[np.ndarray]):
    """Views of weights or biases, one a layer; assigning to an entry writes into the network.

    In a plain list an assignment would take effect on the list alone.
    """

    def __init__(self, name: str, views: Iterable[np.ndarray]) -> None:
        super().__init__(views)
        self._name = name

    def __setitem__(self, index: Any, value: Any) -> None:
        places = range(len(self))[index]
        if isinstance(places, range):
            names = [f"{self._name}[{i}]" for i in places]
            _assign(self._name, names, super().__getitem__(index), value)
        else:
            _assign(self._name, [f"{self._name}[{places}]"], [self[places]], [value])

    def __reduce__(self) -> Any:
        return Views, (self._name, list(self))

    def take(self, values: Sequence[Any]) -> None:
        """Copy values into all of them, after all have been checked."""
        self[:] = values


def _assign(name: str, names: Sequence[str], views: Sequence[np.ndarray], values: Any) -> None:
    """Copy values into views, or raise before anything has changed."""
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
    for view, array in zip(views, arrays, strict=True):
        view[...] = array
