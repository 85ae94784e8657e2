"""What goes on from one call of `fit` to the next, beside the parameters."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks.finite import all_finite
from ..kernels.state import STEP
from ..kernels.update_rules import N_MOMENTS

N_POSITIONS = 4
"""Entries of a kernel's position, of which the steps are one."""


@dataclass
class RuleState:
    """What an update rule carries from step to step.

    Attributes
    ----------
    update_rule : str
        Its name.
    moments : ndarray
        Of one network T (N_MOMENTS, n_parameters), of a population T (n_networks, N_MOMENTS, n_parameters).
    steps : ndarray
        Taken so far: int64 of shape () or (n_networks,).
    """

    update_rule: str
    moments: np.ndarray
    steps: np.ndarray

    @classmethod
    def new(cls, update_rule: str, parameters: np.ndarray) -> "RuleState":
        """Before the first step, for parameters T (n_parameters,) or (n_networks, n_parameters)."""
        *networks, n_parameters = parameters.shape
        moments = np.zeros((*networks, N_MOMENTS[update_rule], n_parameters), parameters.dtype)
        return cls(update_rule, moments, np.zeros(networks, np.int64))

    @classmethod
    def going_on(cls, last: "RuleState | None", update_rule: str, parameters: np.ndarray) -> "RuleState":
        """The last one, or a new one if there is none or it was another rule's."""
        if last is None or last.update_rule != update_rule:
            return cls.new(update_rule, parameters)
        return last

    def check_finite(self) -> None:
        """Refuse moments that are not finite with a ValueError."""
        if all_finite(self.moments):
            return
        n_bad = np.count_nonzero(~np.isfinite(self.moments))
        raise ValueError(
            f"the moments of update_rule={self.update_rule!r} must be finite, but {n_bad} of the "
            f"{self.moments.size} are not; another update_rule begins anew, and save(training_state=False) "
            "leaves them out."
        )

    @property
    def position(self) -> np.ndarray:
        """int64 (4,), as in `kernels.state.Run`, whose entry STEP is the same memory as `steps` from now on.

        So whoever trains one network step by step leaves its steps where a copy or a file finds them.
        """
        position = self.steps.base
        if not isinstance(position, np.ndarray) or position.shape != (N_POSITIONS,):
            position = np.zeros(N_POSITIONS, np.int64)
            position[STEP] = self.steps
            self.steps = position[STEP : STEP + 1].reshape(())
        return position

    def part(self, networks: Any) -> "RuleState":
        """Views of some networks' rows, or for an integer of one network's."""
        return RuleState(self.update_rule, self.moments[networks], self.steps[networks, ...])


@dataclass
class Statistics:
    """Of the rows of a stream so far; float64, shape (n_columns,) each.

    Attributes
    ----------
    total
        Sum of the weights of the rows that had a value; rows of weight 0 are left out.
    mean
    squares
        Sum of the weighted squares of the differences to the mean.
    """

    total: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def new(cls, n_columns: int) -> "Statistics":
        """Of no rows."""
        return cls(*np.zeros((3, n_columns)))

    def copied(self) -> "Statistics":
        """Those that later rows do not change."""
        return Statistics(self.total.copy(), self.mean.copy(), self.squares.copy())

    @property
    def scale(self) -> np.ndarray:
        """Standard deviation, with 1 / n; 0 where a column is constant."""
        return np.sqrt(self.squares / np.maximum(self.total, np.finfo(float).tiny))


@dataclass
class Inner:
    """What a standardised stream goes on with.

    Attributes
    ----------
    parameters
        T (n_parameters,), of the network for standardised inputs.
    state
        The update rule's, which belongs to these.
    statistics
        By which inputs are standardised.
    """

    parameters: np.ndarray
    state: RuleState
    statistics: Statistics

    def astype(self, dtype: np.dtype) -> "Inner":
        """Of a network of another dtype, without the rule's state."""
        parameters = self.parameters.astype(dtype)
        return Inner(parameters, RuleState.new(self.state.update_rule, parameters), self.statistics)


def draw_order_seed(generator: np.random.RandomState, shuffle: bool, n_samples: int) -> int:
    """Draw the seed of the shuffles, or nothing where the order is fixed, as it is for one sample."""
    return int(generator.randint(0, 2**63 - 1, dtype=np.int64)) if shuffle and n_samples > 1 else 0
