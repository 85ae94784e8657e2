"""What a network has for who brings one sample at a time."""

from typing import Any

import numpy as np

from ..architecture import Architecture
from ..history import History
from ..kernels.online.sample import Learner
from ..options import NAMES, Options, check_names, options_of, takes_options
from ..training.state import RuleState
from .learner import Online
from .one_row import OneRow, is_one_row, is_plain
from .workspace import ALLOWED, Workspace, check_options, learner_of


class LearnsOneByOne:
    """A part of `Network`."""

    architecture: Architecture
    parameters: np.ndarray
    history: History | None
    _rule_state: RuleState | None
    _one_row: OneRow | None = None
    _last_options: dict[str, Any] | None = None
    """Of the last `partial_fit` of one row."""

    def __getstate__(self) -> dict[str, Any]:
        own = ("_one_row", "_last_options")
        return {name: value for name, value in vars(self).items() if name not in own}

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
        if self.architecture.is_strict:
            raise ValueError(
                "compiled is not possible with numerics='strict': the arithmetic is that of the function "
                "which is compiled. online() is strict."
            )
        checked = options_of(options)
        state = self._begin(checked)
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
        return self.online_with(options_of(options), window)

    def online_with(self, options: Options, window: int) -> Online:
        """`online` with checked options."""
        state = self._begin(options)
        return Online(self, self.architecture, self.parameters, state, options, window)

    def _begin(self, options: Options) -> RuleState:
        """The state of a rule, which is the network's from now on, where it may go on with these options."""
        check_options(options)
        self.architecture.check_finite(self.parameters)
        state = self.rule_state(options.update_rule)
        state.check_finite()
        self._rule_state = state
        return state

    def learn_row(self, X: Any, y: Any, options: dict[str, Any]) -> History | None:
        """`partial_fit` of one row, which need not be checked; None where it takes the general way.

        So it is with the first row with these options, whatever its rate, as a kernel is compiled for it.
        """
        if not is_one_row(X, y):
            return None
        how = dict(options)
        rate = how.pop("learning_rate", Options.learning_rate)
        if self._one_row is None or not self._one_row.is_for(self.parameters, self._rule_state, how):
            is_first, self._last_options = how != self._last_options, how
            if is_first or not is_plain(options_of(options)):
                return None
            state = self._rule_state
            assert state is not None  # of the first one
            self._one_row = OneRow(self, self.architecture, self.parameters, state, how)
        history = self._one_row.learn(X, y, rate)
        if history is not None:
            self.history = history
        return history
