"""The question that a planner answers."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from ..architecture import Architecture
from ..devices.placement import CPU, Placement
from ..options import Options

DECIDING = (
    "update_rule",
    "momentum",
    "batch_size",
    "l1",
    "clip_norm",
    "clip_value",
    "propagate",
    "monitor",
    "device",
    "kernel",
    "block_length",
    "n_threads",
    "early_stopping",
)
"""Options that a plan may depend on; of l2 it is only whether there is any. All of them are hashable."""
_deciding = attrgetter(*DECIDING)


@dataclass(frozen=True)
class Problem:
    """What is to be trained, on how many samples, for how long, and how.

    `fit`, `plan`, the search and the estimators ask by making one, so that a plan accepts what a fit accepts.

    Attributes
    ----------
    architecture : Architecture
        Of the network, or of all networks of a population.
    n_samples, epochs : int
        Of a pass, and passes; both at least 1.
    options : Options
        How to take a step; of a population those of its first network.
    place : Placement
        The GPU that has to be taken, or may be if the whole run is predicted to end sooner there.
    n_nonzeros : float or None
        Mean of the samples, if X is sparse.
    n_networks : int or None
        Of a population; None for one network by itself.
    own_order : bool
        Whether each network of a population shuffles for itself.
    with_l2, weighted : bool
        Whether some network has a penalty, and samples have weights.
    is_watched : bool
        Whether a callback looks at all networks of a population between epochs.
    n_validation : int
        Samples that networks of a population are measured on after every epoch.
    steps_beside : int
        That the network has taken before, roughly, or that others take beside it: they share a kernel.
    """

    architecture: Architecture
    n_samples: int
    epochs: int
    options: Options
    place: Placement = CPU
    n_nonzeros: float | None = None
    n_networks: int | None = None
    own_order: bool = False
    with_l2: bool = False
    weighted: bool = False
    steps_beside: int = 0
    n_validation: int = 0
    is_watched: bool = False

    @property
    def is_population(self) -> bool:
        """Whether many networks are trained."""
        return self.n_networks is not None

    @property
    def is_sparse(self) -> bool:
        """Whether X is."""
        return self.n_nonzeros is not None

    @property
    def n_steps(self) -> int:
        """Samples that each network sees."""
        return self.n_samples * self.epochs

    @property
    def n_rates(self) -> int:
        """Learning rates that there will be, roughly."""
        return 1 if self.options.schedule in ("constant", "adaptive") else self.epochs

    @property
    def key(self) -> tuple[Any, ...]:
        """What of the problem decides about its plan; hashable, and without what holds much."""
        return (
            self.architecture,
            self.n_samples,
            self.epochs,
            _deciding(self.options),
            self.place,
            self.n_nonzeros,
            self.n_networks,
            self.own_order,
            self.with_l2,
            self.weighted,
            self.steps_beside,
            self.n_validation,
            self.n_rates == 1,
            self.is_watched,
        )
