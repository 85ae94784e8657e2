"""From the checked arguments of `Network.fit` to a training that can begin."""

from typing import Any, NamedTuple

from ..architecture import Architecture
from ..checks.arguments import check_integer
from ..devices.placement import gpu_of
from ..options import Options
from ..samples import Samples
from ..schedules import ScheduledRates, check_schedule
from .loop import Callback

OPEN_END = 1000
"""Epochs that a run without end is planned for."""


class Run(NamedTuple):
    """Arguments of `Network.fit` on the run as a whole."""

    epochs: int | None = 1
    random_state: Any = None
    sample_weight: Any = None
    validation_data: Any = None
    callback: Callback | None = None

    def check(self) -> None:
        """Raise for an argument that is not allowed."""
        if self.epochs is not None:
            check_integer("epochs", self.epochs, minimum=1)
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback must be callable, got {self.callback!r}.")

    @property
    def epochs_planned(self) -> int:
        """What a planner is told."""
        return OPEN_END if self.epochs is None else int(self.epochs)

    def validation(self, architecture: Architecture, X: Any) -> Samples | None:
        """The samples of `validation_data`, checked."""
        if self.validation_data is None:
            return None
        if not isinstance(self.validation_data, tuple | list) or len(self.validation_data) != 2:
            raise TypeError("validation_data must be a tuple (X, y).")
        X_validation, y_validation = self.validation_data
        gpu_of({"X": X, "validation_data X": X_validation, "validation_data y": y_validation})
        return Samples.checked(architecture, X_validation, y_validation, None, "validation_data ")

    def rates(self, options: Options) -> ScheduledRates:
        """Learning rates of the run."""
        schedule_options = check_schedule(options.schedule, options.schedule_options)
        return ScheduledRates(options.schedule, schedule_options, float(options.learning_rate), self.epochs)
