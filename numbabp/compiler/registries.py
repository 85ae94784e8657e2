"""Numba's own functions, without SciPy's linear algebra where no kernel multiplies matrices.

Numba asks for BLAS as soon as it imports its functions of arrays, only to know whether there is one. SciPy
is always here, and its `linalg` takes a fifth of the time that a process with all kernels on disk needs to
begin.
Whatever calls BLAS asks for it again.
"""

from numba.np import linalg


def import_array_functions() -> None:
    """Import `numba.np.arraymath`, which every kernel's compilation or loading does."""
    ensure_blas = linalg.ensure_blas
    linalg.ensure_blas = lambda: None
    try:
        from numba.np import arraymath
    finally:
        linalg.ensure_blas = ensure_blas
    arraymath.ensure_blas = ensure_blas
