"""What a network has for who brings one sample at a time."""

from typing import Any

import numpy as np

from ..architecture import Architecture
from ..kernels.online.sample import Learner
from ..options import NAMES, Options, check_names, options_of, takes_options
from ..training.state import RuleState
from .learner import Online
from .workspace import ALLOWED, Workspace, check_options, learner_of


class LearnsOneByOne:
    """A part of `Network`."""

    architecture: Architecture
    parameters: np.ndarray
    _rule_state: RuleState | None

    def rule_state(self, update_rule: str) -> RuleState:
        """What the update rule carries from step to step, begun anew if the last one was another."""
        return RuleState.going_on(self._rule_state, update_rule, self.parameters)

    @takes_options(*(NAMES - set(ALLOWED)))
    def compiled(self, **options: Any) -> Learner:
        """A value for functions compiled with `numba.njit`, in which `numbabp.jit` trains this network.

        It may be passed to them, but not be made there. Parameters are the network's own; a value is for one
        thread at a time, and so are all of the same network.

        Parameters
        ----------
        **options
            As for `online`, but for monitor.

        Returns
        -------
        Learner
            A named tuple; ``.model.parameters`` are the network's, ``.run.learning_rates[0]`` may be changed.

        Raises
        ------
        ValueError, TypeError
            For an argument that is not allowed.
        """
        check_names("compiled", options, ALLOWED)
        checked, state = self._begin(options)
        work = Workspace.of(self.architecture, self.parameters, state, checked, 0)
        return learner_of(self.architecture, checked, work)

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
        checked, state = self._begin(options)
        return Online(self, self.architecture, self.parameters, state, checked, window)

    def _begin(self, options: Any) -> tuple[Options, RuleState]:
        """Checked options, and the state of their rule, which is the network's from now on."""
        checked = options_of(options)
        check_options(checked)
        self.architecture.check_finite(self.parameters)
        state = self.rule_state(checked.update_rule)
        state.check_finite()
        self._rule_state = state
        return checked, state
