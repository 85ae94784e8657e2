"""From the checked arguments of `Network.fit` to a training that can begin."""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..architecture import Architecture
from ..checks.arguments import check_integer, check_random_state
from ..devices.placement import Placement
from ..kernels.state import EPOCH, SAMPLE
from ..options import Options
from ..planning.problem import Problem
from ..samples import Samples, check_validation
from ..schedules import ScheduledRates, check_schedule
from .checkpoints.files import ADVICE, CheckpointError, Identity
from .checkpoints.identities import of_random_state
from .checkpoints.keeper import Checkpoint, own_generators
from .checkpoints.kept_run import KeptRun
from .checkpoints.sound import check_sound
from .checkpoints.standing import Standing
from .loop import Callback
from .state import RuleState

OPEN_END = 1000
"""Epochs that a run without end is planned for."""
FEW_STEPS = 4096
"""So few make no difference to a plan."""


class Run(NamedTuple):
    """Arguments of `Network.fit` on the run as a whole."""

    epochs: int | None = 1
    random_state: Any = None
    sample_weight: Any = None
    validation_data: Any = None
    callback: Callback | None = None
    checkpoint: Checkpoint | None = None
    stop: threading.Event | None = None
    """Ends training as by Ctrl-C once it is set: for threads that Ctrl-C does not reach."""

    def check(self) -> None:
        """Raise for an argument that is not allowed."""
        if self.epochs is not None:
            check_integer("epochs", self.epochs, minimum=1)
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback must be callable, got {self.callback!r}.")

    def problem(
        self,
        architecture: Architecture,
        n_samples: int,
        n_nonzeros: float | None,
        place: Placement,
        options: Options,
        last: RuleState | None,
    ) -> Problem:
        """What a planner is asked, where training would go on from the `last` state of a rule."""
        steps = int(last.steps) if last is not None and last.update_rule == options.update_rule else 0
        return Problem(
            architecture,
            n_samples,
            OPEN_END if self.epochs is None else int(self.epochs),
            options,
            place,
            n_nonzeros,
            with_l2=options.l2 > 0,
            # by powers of two, and no few, so that calls of `partial_fit` ask the same question again
            steps_beside=1 << steps.bit_length() - 1 if steps >= FEW_STEPS else 0,
        )

    def validation(self, architecture: Architecture, X: Any) -> Samples | None:
        """The samples of `validation_data`, checked."""
        return check_validation(architecture, X, self.validation_data)

    def generator(self, own: np.random.RandomState) -> np.random.RandomState:
        """What draws the orders of the samples: by default the network's own random state."""
        return check_random_state(own if self.random_state is None else self.random_state)

    def rates(self, options: Options) -> ScheduledRates:
        """Learning rates of the run."""
        schedule_options = check_schedule(options.schedule, options.schedule_options)
        return ScheduledRates(options.schedule, schedule_options, float(options.learning_rate), self.epochs)

    def kept(
        self,
        identity: Callable[[], Identity],
        rates: ScheduledRates,
        own: np.random.RandomState,
        n_samples: int,
    ) -> KeptRun | None:
        """What writes checkpoints, and what there is to go on from; None where none are asked for.

        Raises
        ------
        ValueError
            If the file is of another run, damaged, or can't be written.
        """
        if self.checkpoint is None:
            return None
        generators = own_generators(network=own, fit=self.random_state)
        of = {**identity(), **of_random_state(self.random_state)}
        kept = KeptRun.opened(self.checkpoint, of, generators)
        if kept.standing is not None:
            check_sound(kept.standing, n_samples)
            check_rates(self.checkpoint, kept.standing, rates)
            of_all = "" if rates.epochs is None else f" of {rates.epochs}"
            done = f"{kept.standing.arrays['position'][EPOCH]}{of_all}"
            self.checkpoint.tell(kept.standing.is_over(rates.epochs), done)
        return kept


def check_rates(checkpoint: Checkpoint, found: Standing, rates: ScheduledRates) -> None:
    """Raise CheckpointError unless the epochs that are done have the rates that they would have now.

    So `epochs` may differ as long as that does not matter to them, and so may a schedule that is a function.
    """
    done, sample = (int(at) for at in found.arrays["position"][[EPOCH, SAMPLE]])
    begun = done + (sample > 0)
    if rates.epochs is not None and rates.epochs < begun:
        raise CheckpointError(
            f"checkpoint {checkpoint.path} stands in epoch {begun}, beyond epochs={rates.epochs}."
        )
    if rates.adapt:
        return
    differing = np.flatnonzero(found.arrays["learning_rates"][:begun] != rates.between(0, begun))
    if differing.size:
        first = int(differing[0])
        was, asked = told_apart(found.arrays["learning_rates"][first], rates.between(first, first + 1)[0])
        why = "by schedule and epochs"
        if rates.follows_epochs:
            before = found.facts.get("epochs")  # which older files lack
            were = "" if before is None else f", which were {before} and are epochs={rates.epochs} now"
            why += (
                f": schedule={rates.schedule!r} follows the number of epochs{were}, so that no other number"
            )
            why += (
                " goes on from there; with schedule='constant' from the first epoch on a run can be prolonged"
            )
        raise CheckpointError(
            f"checkpoint {checkpoint.path} is of another run: the learning rate of epoch {first} was {was}, "
            f"and {asked} is asked for {why}. {checkpoint.advice or ADVICE}"
        )


def told_apart(first: float, second: float) -> tuple[str, str]:
    """Two different numbers, in as many digits as show that they are; 17 do."""
    for digits in range(6, 18):
        texts = f"{first:.{digits}g}", f"{second:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return texts
