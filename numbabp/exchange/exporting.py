"""What a network has for who wants to take it to another library."""

from typing import Any

import numpy as np

from ..architecture import Architecture
from . import torch_modules


class ExportsItself:
    """A part of `Network`."""

    architecture: Architecture
    parameters: np.ndarray

    def to_torch(self) -> Any:
        """The network as a PyTorch module, with copies of its parameters.

        Returns
        -------
        torch.nn.Sequential
            Of Linear modules and activations, on the CPU and in the network's dtype. Its outputs are those
            of `forward`. Without its last module, ``module[:-1]``, it gives what PyTorch's own losses take
            where the output is sigmoid, softmax or exp: BCEWithLogitsLoss, CrossEntropyLoss, PoissonNLLLoss.

        Raises
        ------
        ImportError
            If PyTorch is not installed.
        ValueError
            If a parameter is not finite.
        """
        self.architecture.check_finite(self.parameters)
        return torch_modules.to_sequential(self.architecture, self.parameters)
