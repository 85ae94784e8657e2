"""What follows from the names that kernels with constant sizes are compiled for."""

import numpy as np

from ...functions.losses import LOSSES


class CompiledFor:
    """A dtype and a loss."""

    dtype_name: str
    loss_name: str

    @property
    def real(self) -> type:
        """The dtype's conversion."""
        return np.dtype(self.dtype_name).type

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return np.dtype(self.dtype_name).itemsize

    @property
    def loss(self) -> int:
        """Its code."""
        return LOSSES[self.loss_name]
