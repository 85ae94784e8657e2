"""`partial_fit` of one row again and again: 370 us a call by the way of many rows, some 12 us by this one."""

from typing import Any

import numpy as np

from ..architecture import Architecture
from ..checks.finite import all_finite, sum_of_squares
from ..history import History
from ..kernels.state import FIRST_METRIC, LOSS
from ..kernels.update_rules import OF_ALL_SAMPLES
from ..options import Options, options_of
from ..training.divergence import Snapshot, harmless, is_of_use
from ..training.state import RuleState
from .learner import Online
from .workspace import ALLOWED

_OTHERS = [name for name in vars(Options()) if name not in (*ALLOWED, "progress", "shuffle", "device")]
_PLAIN = {name: value for name, value in vars(Options()).items() if name in _OTHERS}
"""Options that a single step has not, and their defaults."""


class OneRow:
    """A learner for `partial_fit` with the same options.

    Parameters
    ----------
    network
        To be trained.
    architecture, parameters, state
        Its own.
    options
        Arguments of `partial_fit` on how to take a step, by name, but for the rate, which have been checked.
    """

    def __init__(
        self,
        network: Any,
        architecture: Architecture,
        parameters: np.ndarray,
        state: RuleState,
        options: dict[str, Any],
    ) -> None:
        self._architecture, self._parameters = architecture, parameters
        self._state, self._options = state, options
        checked = options_of(options)
        self._learner = Online(network, architecture, parameters, state, checked, 0)
        self._rate = checked.learning_rate
        self._names = ["loss", *architecture.metric_names(checked.monitor)]
        # without what is empty, such as the moments of plain steps
        self._changing = [array for array in (parameters, state.moments, state.position) if array.size]
        self._before = Snapshot(self._changing)
        self._most = harmless(architecture)

    def is_for(self, parameters: np.ndarray, state: RuleState | None, options: dict[str, Any]) -> bool:
        """Whether it trains these, and so."""
        return parameters is self._parameters and state is self._state and options == self._options

    def learn(self, X: np.ndarray, y: Any, rate: float) -> History | None:
        """One step; None, and nothing is changed, where something is wrong, for others to say what."""
        target = y[0]
        if type(target) is np.ndarray and self._architecture.n_outputs == 1:
            target = target.item()
        self._before.take(self._changing)
        try:
            if rate != self._rate:
                self._learner.learning_rate = self._rate = rate
            self._learner.learn_one(X[0], target)
        except (ValueError, TypeError):
            self._before.put_back(self._changing)
            return None
        sums = self._learner.sums.tolist()
        if not (sums[LOSS] <= 1 and self._are_harmless()) and not self._is_of_use():
            self._before.put_back(self._changing)
            return None
        return History.of_epoch(self._names, np.array([sums[LOSS], *sums[FIRST_METRIC:], rate]))

    def _are_harmless(self) -> bool:
        """Whether parameters and moments need no closer look: a tenth of its time."""
        moments = self._state.moments
        if not sum_of_squares(self._parameters) <= self._most:  # NaN, too
            return False
        return not moments.size or all_finite(moments)

    def _is_of_use(self) -> bool:
        losses = self._learner.sums[LOSS : LOSS + 1]
        return is_of_use(self._architecture, self._parameters, self._state.moments, losses)


def is_one_row(X: Any, y: Any) -> bool:
    """Whether these are a dense row and its target."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and len(X) == 1
        and isinstance(y, np.ndarray | list)
        and len(y) == 1
    )


def is_plain(options: Options) -> bool:
    """Whether a single step has all of these options."""
    if options.update_rule in OF_ALL_SAMPLES or options.device not in ("auto", "cpu"):
        return False
    return all(getattr(options, name) == value for name, value in _PLAIN.items())
