"""How to train: the arguments of `Network.fit` that say how to take a step, checked."""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeVar

from .checks.arguments import check_bool, check_choice, check_integer, check_learning_rate, check_real, meant
from .devices.placement import check_device
from .functions.losses import METRICS
from .kernels.update_rules import UPDATE_RULES, Rule
from .schedules import Schedule, check_schedule

MOMENTUM_RULES = ("momentum", "nesterov")
LINEAR_RULES = ("sgd", *MOMENTUM_RULES)
"""Update rules whose steps are linear in the gradients."""
PLAIN_GRADIENT: dict[str, Any] = {"batch_size": 1, "l1": 0.0, "clip_norm": None, "clip_value": None}
"""With what values of these arguments a step takes the gradient of one sample, and L2, as it is."""


@dataclass(frozen=True)
class Options:
    """How to train; every field is an argument of `Network.fit`, where they are described.

    Hashable, as far as a schedule that is a function is.
    """

    learning_rate: float = 0.1
    batch_size: int = 1
    update_rule: str = "sgd"
    momentum: float = 0.9
    rho: float = 0.9
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    schedule: Schedule = "constant"
    schedule_options: Mapping[str, float] | None = field(default=None, hash=False)
    propagate: str = "exact"
    monitor: Sequence[str] = ()
    early_stopping: bool = False
    patience: int = 10
    tol: float = 0.0
    shuffle: bool = True
    progress: bool | None = None
    device: str = "auto"
    kernel: str = "auto"
    block_length: int | None = None
    n_threads: int | None = None

    def __post_init__(self) -> None:
        check_learning_rate("learning_rate", self.learning_rate)
        check_integer("batch_size", self.batch_size, minimum=1)
        check_choice("update_rule", self.update_rule, UPDATE_RULES)
        for name in ("momentum", "rho", "beta_1", "beta_2"):
            check_real(name, getattr(self, name), minimum=0, maximum=1, open_maximum=True)
        check_real("epsilon", self.epsilon, minimum=0, open_minimum=True)
        for name in ("l1", "l2"):
            check_real(name, getattr(self, name), minimum=0)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                check_real(name, getattr(self, name), minimum=0, open_minimum=True)
        check_schedule(self.schedule, self.schedule_options)
        check_choice("propagate", self.propagate, ("exact", "updated"))
        if isinstance(self.monitor, str):
            raise TypeError(f"monitor must be a sequence of names, got the string {self.monitor!r}.")
        for name in self.monitor:
            check_choice("monitor", name, METRICS)
        object.__setattr__(self, "monitor", tuple(self.monitor))  # hashable
        check_integer("patience", self.patience, minimum=1)
        check_real("tol", self.tol)
        for name in ("early_stopping", "shuffle"):
            check_bool(name, getattr(self, name))
        if self.progress is not None:
            check_bool("progress", self.progress)
        check_device(self.device)
        for name in ("block_length", "n_threads"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), minimum=1)
        if self.propagate == "updated" and not self.is_plain_sgd:
            raise ValueError(
                "propagate='updated' needs update_rule='sgd' with batch_size=1, l1=0 and no clipping: "
                "other steps are taken only after the whole gradient is known."
            )

    @classmethod
    def named(cls, who: str, given: Mapping[str, Any], own: Collection[str] = ()) -> "Options":
        """Options from the keyword arguments of a method.

        Parameters
        ----------
        who
            The method, for messages.
        given
            By name.
        own
            Further names that it takes, which are none of these.

        Raises
        ------
        TypeError
            For a name that it does not take, naming those that it does.
        ValueError, TypeError
            For a value that is not allowed.
        """
        check_names(who, given, NAMES, own)
        return options_of(given)

    @property
    def is_plain_sgd(self) -> bool:
        """Whether every step is W -= rate (gradient + l2 W) of one sample."""
        return self.update_rule == "sgd" and self.not_linear is None

    @property
    def not_linear(self) -> str | None:
        """Which argument keeps steps from being linear in the gradients of single samples, if any does."""
        if self.update_rule not in LINEAR_RULES:
            return f"update_rule={self.update_rule!r}"
        name = self.alters_gradient
        return f"{name}={getattr(self, name)!r}" if name else None

    @property
    def alters_gradient(self) -> str:
        """Name of an argument that is not as `PLAIN_GRADIENT` has it; empty if all are."""
        return next(self._not_plain(), "")

    @property
    def alters_mean_gradient(self) -> str:
        """The same but for the size of mini-batches, whose gradient is a mean."""
        return next((name for name in self._not_plain() if name != "batch_size"), "")

    def _not_plain(self) -> Iterator[str]:
        return (name for name, plain in PLAIN_GRADIENT.items() if getattr(self, name) != plain)

    @property
    def rule(self) -> Rule:
        """The update rule as kernels take it."""
        return Rule(
            UPDATE_RULES[self.update_rule],
            float(self.momentum),
            float(self.rho),
            float(self.beta_1),
            float(self.beta_2),
            float(self.epsilon),
            float(self.l1),
            float(self.l2),
            float(self.clip_norm or 0.0),
            float(self.clip_value or 0.0),
        )


def options_of(given: Mapping[str, Any]) -> Options:
    """Options by name; those made before where they are the same, as in a stream of `partial_fit`."""
    # functions may hold much, and lists are not hashable
    plain = all(isinstance(value, str | int | float | None) for value in given.values())
    return _checked_before(**given) if plain else Options(**given)


# by type, too, as True is equal to 1 but no number
_checked_before = lru_cache(maxsize=64, typed=True)(Options)

NAMES = {option.name for option in fields(Options)}
"""Of all options."""

Method = TypeVar("Method", bound=Callable[..., Any])


def check_names(
    who: str, given: Collection[str], allowed: Collection[str], own: Collection[str] = ()
) -> None:
    """Raise TypeError for a keyword argument that is not allowed; it names `own` ones, too."""
    for name in given:
        if name not in allowed:
            names = ", ".join(sorted({*allowed, *own}))
            raise TypeError(f"{who} takes no {name!r}; allowed: {names}.{meant(name, {*allowed, *own})}")


def takes_options(*refused: str) -> Callable[[Method], Method]:
    """Let a method that ends in ``**options`` show them in its signature, with their defaults."""

    def decorate(method: Method) -> Method:
        signature = inspect.signature(method)
        parameters = signature.parameters
        own = [parameter for parameter in parameters.values() if parameter.kind != parameter.VAR_KEYWORD]
        more = [
            inspect.Parameter(
                option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type
            )
            for option in fields(Options)
            if option.name not in {*parameters, *refused}
        ]
        method.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return method

    return decorate
