"""What a network has for who brings one sample at a time."""

from typing import Any

import numpy as np

from ..architecture import Architecture
from ..options import NAMES, check_names, options_of, takes_options
from ..training.state import RuleState
from .learner import Online
from .workspace import ALLOWED


class LearnsOneByOne:
    """A part of `Network`."""

    architecture: Architecture
    parameters: np.ndarray
    _rule_state: RuleState | None

    def rule_state(self, update_rule: str) -> RuleState:
        """What the update rule carries from step to step, begun anew if the last one was another."""
        return RuleState.going_on(self._rule_state, update_rule, self.parameters)

    @takes_options(*(NAMES - set(ALLOWED)))
    def online(self, *, window: int = 1000, **options: Any) -> Online:
        """Learn from one sample at a time.

        Parameters
        ----------
        window : int
            How many of the latest samples `Online.window_metrics` are of.
        **options
            Arguments of `fit` on how to take a step: learning_rate, update_rule and its numbers, l1, l2,
            clip_norm, clip_value, propagate, monitor.

        Returns
        -------
        Online
            Its `learn_one(x, y)` takes the steps that `fit` takes with shuffle=False.

        Raises
        ------
        ValueError, TypeError
            For an argument that is not allowed.
        """
        check_names("online", options, ALLOWED, ["window"])
        checked = options_of(options)
        self.architecture.check_finite(self.parameters)
        self._rule_state = state = self.rule_state(checked.update_rule)
        state.check_finite()
        return Online(self, self.architecture, self.parameters, state, checked, window)
