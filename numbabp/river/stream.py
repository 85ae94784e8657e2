"""What has been learnt from a stream of dicts: its features, its classes, and the network."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from ..kernels.running.rows import DONE, HEADER, NEW_SQUARES, SQUARES, TARGET, WEIGHT, standardise
from .growing import GrowingNetwork
from .inputs import NOT_NUMBERS, Inputs, of_size
from .settings import Settings

VALUES_AT = HEADER * 8
"""Where a row's values begin in memory, in bytes."""
HANDLES = ("into", "learn", "forward", "target", "output")
"""What a stream makes of the rest, and doesn't copy."""


class Stream:
    """What an estimator has learnt so far; it is copied and pickled as a whole.

    Parameters
    ----------
    settings
        Of the network and its steps.
    inputs
        Of no features yet.
    seed
        Of the initial weights.

    Attributes
    ----------
    classes : dict
        Labels seen so far, and their outputs.
    target, output : memoryview
        The learner's targets and outputs, which are written and read in a third of NumPy's time.
    """

    def __init__(self, settings: Settings, inputs: Inputs, seed: int | None) -> None:
        self.settings, self.inputs = settings, inputs
        self.random_state = np.random.RandomState(seed)
        self.growing: GrowingNetwork | None = None
        self.classes: dict[Hashable, int] = {}
        self.latest_class = 0
        """The one whose target is 1."""
        self.target: Any
        self.output: Any
        self._renew()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in HANDLES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._renew()

    def take(self, x: Mapping[Hashable, Any], n_outputs: int) -> bool:
        """Put a row into memory that may have new features, and make room for so many outputs.

        Returns whether it is the first row.
        """
        inputs, growing = self.inputs, self.growing
        has_outputs = growing is not None and n_outputs <= growing.network.n_outputs
        if has_outputs and inputs.put_known(x):
            return False
        row = inputs.look_through(x)
        if has_outputs and row.is_known:
            inputs.put(row.values)
            return False
        n = inputs.room_for(row)
        if growing is None:
            self.growing = GrowingNetwork(self.settings, self.random_state, max(n, 1), n_outputs)
        else:
            growing.make_room(n, n_outputs)
        assert self.growing is not None
        values, begin_at_zero = inputs.add(row, self.growing.network.n_inputs)
        # the first row's inputs are a new network's, whose units have to differ
        if growing is not None:
            growing.begin_inputs(begin_at_zero)
        self._renew()
        inputs.put(values)
        return growing is None

    def begin_output(self, k: int, bias: float) -> None:
        """Take another output into use; see `GrowingNetwork`."""
        assert self.growing is not None
        self.growing.begin_output(k, bias)

    def look(self, x: Mapping[Hashable, Any]) -> bool:
        """Leave the outputs for a row in `output`, whatever it has of new features.

        Returns whether there is a network yet.
        """
        if self.growing is None:
            return False
        inputs = self.inputs
        try:
            if len(x) != inputs.n_names:
                raise KeyError
            inputs.pack(inputs.memory, VALUES_AT, *inputs.get(x))
        except NOT_NUMBERS:
            if not inputs.put_known(x):
                inputs.put(inputs.look_through(x).values)
        inputs.view[WEIGHT] = inputs.view[TARGET] = 0.0
        status = standardise(inputs.memory, self.into)
        if status != DONE:
            self.see_to(status)
        self.forward()
        return True

    def see_to(self, status: int) -> None:
        """Do what else `standardise` asks for: take over a rate, or refuse an input."""
        assert self.growing is not None
        inputs = self.inputs
        if status == NEW_SQUARES:
            self.growing.scale(inputs.view[SQUARES])
        elif status == len(self.into):
            raise of_size(None, inputs.view[TARGET])
        else:
            raise of_size(inputs.name_of(status), inputs.view[HEADER + status], inputs.limit)

    def learn_weighted(self, weight: float) -> None:
        """One step with what is in place, and a weight."""
        assert self.growing is not None
        learner = self.growing.learner
        learner.learn_one(learner.inputs.copy(), learner.targets.copy(), weight)

    def _renew(self) -> None:
        if self.growing is not None:
            learner = self.growing.learner
            self.into = learner.inputs
            self.learn, self.forward = learner.learn, learner.forward
            self.target, self.output = memoryview(learner.targets), memoryview(learner.outputs)
