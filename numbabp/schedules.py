"""Learning-rate schedules: one rate an epoch, counted from 0."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from .checks.arguments import check_choice, check_integer, check_real
from .functions.portable import cos_pi, power

Schedule = str | Callable[[int], float]

FIRST_EPOCHS = 1 << 16
"""Of a longer run so many are worked out before it begins."""

SCHEDULE_OPTIONS: dict[str, dict[str, float]] = {
    "constant": {},
    "invscaling": {"power": 0.5, "samples": 1},
    "exponential": {"gamma": 0.95},
    "step": {"gamma": 0.1, "every": 10},
    "cosine": {"minimum": 0.0, "warmup": 0.0},
    "adaptive": {"factor": 5.0, "patience": 2, "minimum": 1e-6},
}
"""Schedules with their options and defaults.

============ ======================================================================================
constant     rate
invscaling   rate / (samples epoch + 1)^power: with the number of samples it counts steps, as scikit-learn
exponential  rate gamma^epoch
step         rate gamma^floor(epoch / every)
cosine       minimum + (rate - minimum) (1 + cos(pi epoch / epochs)) / 2   (Loshchilov, Hutter 2017), with
             `warmup` after that part of the epochs, in which the rate rises to the first in equal steps
adaptive     rate, divided by `factor` whenever `patience` epochs in a row did not improve the loss by
             more than `tol`; training ends when it would fall below `minimum`   (scikit-learn's)
============ ======================================================================================
"""


def check_schedule(schedule: Any, options: Mapping[str, float] | None) -> dict[str, float]:
    """Options of the schedule, with defaults filled in."""
    if callable(schedule):
        if options:
            raise ValueError("schedule_options go with a named schedule, not with a function.")
        return {}
    check_choice("schedule", schedule, SCHEDULE_OPTIONS)
    known = SCHEDULE_OPTIONS[schedule]
    given = dict(options or {})
    for name, value in given.items():
        if name not in known:
            raise ValueError(
                f"schedule_options has no {name!r} for schedule={schedule!r}; "
                f"allowed: {', '.join(known) or 'none'}."
            )
        label = f"schedule_options[{name!r}]"
        if name in ("every", "patience", "samples"):
            check_integer(label, value, minimum=1)
        elif name == "warmup":
            check_real(label, value, minimum=0, maximum=1, open_maximum=True)
        elif name == "factor":
            check_real(label, value, minimum=1, open_minimum=True)
        else:
            check_real(label, value, minimum=0, open_minimum=name == "gamma")
    return {**known, **given}


def learning_rates(
    schedule: Schedule,
    options: Mapping[str, float],
    rate: float,
    epochs: int | None,
    span: tuple[int, int] | None = None,
) -> np.ndarray:
    """Rate of every epoch of a run, or of those of a span (first, last); "adaptive" is changed under way.

    Parameters
    ----------
    schedule, options
        As `check_schedule` gives them.
    rate
        The first one.
    epochs
        Of the run; None where its end is open, which "cosine" can't do with.
    span
        By default all epochs.

    Returns
    -------
    ndarray of float64, an entry an epoch
    """
    first, last = (0, int(epochs or 0)) if span is None else span
    if schedule in ("constant", "adaptive"):
        return np.full(last - first, rate)
    epoch = np.arange(first, last)
    if callable(schedule):
        rates = np.array([schedule(int(e)) for e in epoch], dtype=float)
        if not np.isfinite(rates).all():
            bad = int(np.flatnonzero(~np.isfinite(rates))[0])
            raise ValueError(f"schedule({first + bad}) returned {rates[bad]}; a finite rate is needed.")
        return rates
    if schedule == "invscaling":
        return rate / power(options["samples"] * epoch + 1.0, options["power"])
    if schedule == "exponential":
        return rate * power(options["gamma"], epoch)
    if schedule == "step":
        return rate * power(options["gamma"], epoch // options["every"])
    if schedule == "cosine":
        if epochs is None:
            raise ValueError(
                "schedule='cosine' falls to its minimum in the last epoch: epochs can't be None."
            )
        low, rising = options["minimum"], math.floor(options["warmup"] * epochs)
        part = np.maximum(epoch - rising, 0) / (epochs - rising)
        falling = low + (rate - low) * (1 + cos_pi(part)) / 2
        return np.where(epoch < rising, rate * (epoch + 1) / (rising + 1), falling) if rising else falling
    raise AssertionError(schedule)  # which `check_schedule` lets through


class Rates(Protocol):
    """Learning rates of a run, worked out as it goes on."""

    @property
    def epochs(self) -> int | None:
        """Of the run; None where its end is open."""

    @property
    def first(self) -> np.ndarray:
        """Of its first epochs, float64; all of them where they are few."""

    def between(self, first: int, last: int) -> np.ndarray:
        """Of the epochs first to last - 1."""


class ScheduledRates:
    """`Rates` of a schedule; see `learning_rates`. One of the caller's may raise for the first ones."""

    def __init__(
        self, schedule: Schedule, options: Mapping[str, float], rate: float, epochs: int | None
    ) -> None:
        self.epochs, self.schedule, self.adapt = epochs, schedule, schedule == "adaptive"
        self.follows_epochs = schedule == "cosine"
        self._of = schedule, options, rate, epochs
        self.first = self.between(0, FIRST_EPOCHS if epochs is None else min(epochs, FIRST_EPOCHS))

    def between(self, first: int, last: int) -> np.ndarray:
        """See `Rates`."""
        return learning_rates(*self._of, (first, last))


class GivenRates:
    """`Rates` that are known."""

    def __init__(self, rates: np.ndarray) -> None:
        self.epochs, self._rates = len(rates), rates
        self.first = rates[:FIRST_EPOCHS]

    def between(self, first: int, last: int) -> np.ndarray:
        """See `Rates`."""
        return self._rates[first:last]
