"""Lists of arrays as one vector: scikit-learn keeps parameters and moments in lists, kernels want vectors."""

from collections.abc import Sequence

import numpy as np


def as_vector(arrays: list[np.ndarray]) -> np.ndarray:
    """The elements of all arrays, one array after the other; the list then holds views of the vector.

    Parameters
    ----------
    arrays
        Of one dtype. They are replaced, unless they lie one after the other in a vector already.
    """
    vector = _vector_under(arrays)
    if vector is None:
        vector = np.concatenate([array.ravel() for array in arrays])
        arrays[:] = views(vector, [array.shape for array in arrays])
    return vector


def views(vector: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Consecutive parts of a vector in these shapes, without a copy."""
    found, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        found.append(vector[start : start + size].reshape(shape))
        start += size
    return found


def _vector_under(arrays: list[np.ndarray]) -> np.ndarray | None:
    """The vector that the arrays are all the views of, in this order, if there is one."""
    vector = arrays[0].base
    if not isinstance(vector, np.ndarray) or vector.ndim != 1 or not vector.flags.c_contiguous:
        return None
    if not vector.flags.writeable or vector.size != sum(array.size for array in arrays):
        return None
    address = vector.ctypes.data
    for array in arrays:
        if array.base is not vector or not array.flags.c_contiguous or array.dtype != vector.dtype:
            return None
        if array.ctypes.data != address:
            return None
        address += array.nbytes
    return vector
