"""A network that gets inputs and outputs while it learns, and keeps what it has learnt.

There is room for more of both than are in use; where it ends, a network of at least twice the room takes over
parameters and the rule's moments, so that n appearances copy 2 n rows at most. What is not in use makes no
difference: inputs of 0 change no unit and get no gradient, and outputs have weights of 0 and a bias so low
that their sigmoid, and so their gradient, is 0.
"""

from typing import Any

import numpy as np

from ..network import Network
from ..online import Online
from .settings import Settings

SILENT = -1000.0
"""Bias of an output that is not in use."""


class GrowingNetwork:
    """A network with room for more, and the learner that trains it.

    Parameters
    ----------
    settings
        What it is like.
    random_state
        Draws its weights, also those of inputs that come later.
    n_inputs, n_outputs
        Those that there is room for at first.
    """

    def __init__(
        self, settings: Settings, random_state: np.random.RandomState, n_inputs: int, n_outputs: int
    ) -> None:
        self.settings, self.random_state = settings, random_state
        self.network = settings.new_network(n_inputs, n_outputs, random_state)
        self.network.weights[-1][...] = 0
        self.network.biases[-1][...] = SILENT
        self.learner: Online
        self.squares = 1.0
        self._renew()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "learner"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._renew()

    def scale(self, squares: float) -> None:
        """Set the learning rate for inputs of this mean squared length."""
        self.squares = squares
        self.learner.learning_rate = self.settings.rate(squares)

    def make_room(self, n_inputs: int, n_outputs: int) -> None:
        """Be there for so many, or more."""
        old = self.network
        if n_inputs <= old.n_inputs and n_outputs <= old.n_outputs:
            return
        new = self.settings.new_network(
            _room(old.n_inputs, n_inputs), _room(old.n_outputs, n_outputs), self.random_state
        )
        new.weights[-1][...] = 0
        new.biases[-1][...] = SILENT
        rule = self.settings.solver
        before, state = old.rule_state(rule), new.rule_state(rule)
        _copy(old, new, old.parameters, new.parameters)
        for of_old, of_new in zip(before.moments, state.moments, strict=True):
            _copy(old, new, of_old, of_new)
        state.steps[...] = before.steps
        self.network = Network.of(
            new.architecture, new.parameters, init=new.init, random_state=self.random_state, rule_state=state
        )
        self._renew()

    def begin_inputs(self, places: list[int]) -> None:
        """Inputs come into use that are not 0 before they are learnt from: their weights begin at 0."""
        self.network.weights[0][places] = 0

    def begin_output(self, k: int, bias: float) -> None:
        """Output k comes into use: the same for all inputs, its bias."""
        of_output = self.network.weights[-1], self.network.biases[-1]
        of_output[0][:, k], of_output[1][k] = 0, bias

    def _renew(self) -> None:
        self.learner = self.settings.learner(self.network, self.squares)


def _room(present: int, needed: int) -> int:
    return present if needed <= present else max(needed, 2 * present)


def _copy(old: Network, new: Network, of_old: np.ndarray, of_new: np.ndarray) -> None:
    """Numbers of all parameters of a network into those of a larger one."""
    sources = *old.architecture.weights_of(of_old), *old.architecture.biases_of(of_old)
    targets = *new.architecture.weights_of(of_new), *new.architecture.biases_of(of_new)
    for source, target in zip(sources, targets, strict=True):
        target[tuple(slice(n) for n in source.shape)] = source
