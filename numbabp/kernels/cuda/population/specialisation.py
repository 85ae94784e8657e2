"""What a kernel that trains populations on a GPU is compiled for.

Arrays in registers need constant sizes, and loops over them constant lengths: so sizes, activations, loss,
dtype and rule are constants, and so are a few choices about options.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ....compiler.arithmetic.numerics import FAST, STRICT
from ....functions.activations import ACTIVATIONS
from ...layout import BIASES, WEIGHTS, layout, n_parameters
from ...update_rules import ADAMW, N_MOMENTS, SGD, UPDATE_RULES
from ..compiled_for import CompiledFor

TILE_BYTES = 8192
"""Samples that a block keeps in shared memory at a time take about so much,"""
LONGEST_TILE = 64
"""and are no more; their losses are summed in the networks' dtype, those of tiles in float64."""


@dataclass(frozen=True)
class Specialisation(CompiledFor):
    """What a kernel is compiled for, and what follows from it."""

    layer_sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss_name: str
    dtype_name: str
    update_rule: str
    with_l2: bool
    """Whether some network has a penalty."""
    weighted: bool
    """Whether samples have weights."""
    monitored: bool
    """Whether the accuracy is recorded."""
    level: float = 0.5
    """Of the quantile loss."""
    numerics: str = FAST
    """How exact arithmetic is; strict is the CPU's (`arithmetic`)."""
    with_l1: bool = False
    """Whether there is such a penalty."""
    clips_values: bool = False
    """Whether elements of gradients are cut off."""
    clips_norm: bool = False
    """Whether gradients are scaled down to a norm."""
    in_batches: bool = False
    """Whether samples share a step."""
    own_orders: bool = False
    """Whether each network takes the samples in an order of its own."""

    @property
    def strict(self) -> bool:
        """Whether arithmetic is strict."""
        return self.numerics == STRICT

    @property
    def codes(self) -> tuple[int, ...]:
        """Of the activations, one a layer."""
        return tuple(ACTIVATIONS[name] for name in self.activations)

    @property
    def rule(self) -> int:
        """Its code."""
        return UPDATE_RULES[self.update_rule]

    @property
    def n_moments(self) -> int:
        """Numbers that the rule keeps for a parameter."""
        return N_MOMENTS[self.update_rule]

    @property
    def gathers(self) -> bool:
        """Whether a gradient is known as a whole before its step (`batches`)."""
        return self.in_batches or self.clips_norm

    @property
    def n_kept(self) -> int:
        """Numbers kept for a parameter beside itself: moments, and the gradient behind them."""
        return self.n_moments + self.gathers

    @property
    def is_linear(self) -> bool:
        """Whether a step is W -= rate (a delta^T + l2 W) of one sample."""
        return self.rule == SGD and not (self.with_l1 or self.clips_values or self.gathers)

    @property
    def is_plain(self) -> bool:
        """Whether a step is W -= rate a delta^T and no more."""
        return self.is_linear and not self.with_l2

    @property
    def shrinks(self) -> bool:
        """Whether weights decay apart from their gradient."""
        return self.rule == ADAMW and self.with_l2

    @property
    def n_layers(self) -> int:
        """Layers with weights."""
        return len(self.activations)

    @property
    def n_units(self) -> int:
        """Of all layers, inputs not counted."""
        return sum(self.layer_sizes[1:])

    @cached_property
    def _layout(self) -> np.ndarray:
        """Where parameters lie in memory; units are laid out closer together, see `outputs_at`."""
        return layout(self.layer_sizes, self.codes)

    @property
    def weights_at(self) -> tuple[int, ...]:
        """Where each layer's weights begin among the parameters."""
        return tuple(self._layout[:, WEIGHTS].tolist())

    @property
    def biases_at(self) -> tuple[int, ...]:
        """Where each layer's biases begin among them."""
        return tuple(self._layout[:, BIASES].tolist())

    @property
    def outputs_at(self) -> tuple[int, ...]:
        """Where each layer's outputs begin among the units, which leave nothing free between layers."""
        return tuple(sum(self.layer_sizes[1 : n + 1]) for n in range(self.n_layers))

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return n_parameters(self._layout)

    def rows(self, n_networks: int) -> int:
        """Samples in the shared memory of a block that trains so many networks."""
        return n_networks if self.own_orders else self.tile

    @property
    def tile(self) -> int:
        """Steps between two times that samples come into shared memory."""
        if self.own_orders:
            return 1
        of_sample = self.itemsize * (self.layer_sizes[0] + self.layer_sizes[-1])
        return max(1, min(LONGEST_TILE, TILE_BYTES // of_sample))
