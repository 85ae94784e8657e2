"""What an ensemble keeps in its folder: whose it is, what its seeds were drawn from, and its population."""

from typing import Any

import numpy as np

from ...checks.arguments import check_path, check_random_state
from ...training.checkpoints import random_states
from ...training.checkpoints.folder import Folder
from ...training.checkpoints.keeper import Checkpoint
from ...training.checkpoints.standing import Standing
from .identity import of_data, of_estimator

POPULATION = "population"
"""Name of the file with all members."""


class KeptEnsemble:
    """The folder of an ensemble that has been checked to be of this one.

    Parameters
    ----------
    ensemble
        An `MLPEnsembleClassifier` or an `MLPEnsembleRegressor`.
    X, y, sample_weight
        As `fit` is given them.

    Raises
    ------
    CheckpointError
        If the folder is of another ensemble, which differs in what it names, or can't be written to.
    ValueError
        If random_state is of a kind that a file can't hold.
    """

    def __init__(self, ensemble: Any, X: Any, y: Any, sample_weight: Any) -> None:
        drawn_from = ensemble.random_state
        is_generator = isinstance(drawn_from, np.random.RandomState)
        identity = {
            "kind": type(ensemble).__name__,
            **of_data(X=X, y=y, sample_weight=sample_weight),
            **of_estimator(ensemble),
            # which draws from where it was, wherever that is
            **({"random_state": "a RandomState"} if is_generator else {}),
        }
        self._folder = Folder.opened(check_path("checkpoint", ensemble.checkpoint), identity)
        self.generator = check_random_state(drawn_from)
        """Draws the seeds and the bootstraps, as it did for what is in the folder."""
        found = self._folder.standing
        if found is not None:
            # NumPy's global one belongs to others
            if drawn_from is None:
                self.generator = np.random.RandomState()
            random_states.put_back(self.generator, found.facts["random_state"], found.arrays["random_state"])
        self._drawn_from = random_states.described(self.generator)

    def begin(self) -> Checkpoint:
        """Make the folder, once all else has been checked; where the population is kept."""
        facts, key = self._drawn_from
        self._folder.begin(Standing({"random_state": facts}, {"random_state": key}))
        return self._folder.checkpoint(POPULATION, {"what": POPULATION})
