"""Lists of arrays as one vector: scikit-learn keeps parameters and moments in lists, kernels want vectors.

Its lists have all weights first, then all biases; a vector has them layer by layer.
"""

import numpy as np


def by_layers(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """All weights and then all biases as a layer's weights and biases, a layer after the other."""
    n = len(arrays) // 2
    return [array for pair in zip(arrays[:n], arrays[n:], strict=True) for array in pair]


def by_kinds(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Back from `by_layers`."""
    return arrays[::2] + arrays[1::2]


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
        arrays[:] = views(vector, arrays)
    return vector


def views(vector: np.ndarray, like: list[np.ndarray]) -> list[np.ndarray]:
    """Consecutive parts of a vector in these arrays' shapes, without a copy."""
    parts = np.split(vector, np.cumsum([array.size for array in like])[:-1])
    return [part.reshape(array.shape) for part, array in zip(parts, like, strict=True)]


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
