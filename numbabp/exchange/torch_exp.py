"""The one activation that torch.nn lacks; only to be imported where torch is."""

import torch


class Exp(torch.nn.Module):
    """e^z, of every element: an output whose logarithm is z, as the Poisson deviance has it."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """e^z in the shape of z."""
        return torch.exp(z)
