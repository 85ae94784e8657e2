"""Where a run stands, told in facts and arrays: what a checkpoint holds, beside whose run it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ...kernels.state import EPOCH


@dataclass
class Standing:
    """All that a run needs to go on, or has found.

    Attributes
    ----------
    facts : dict
        As JSON takes them.
    changing : dict of ndarray
        Arrays that training goes on to change: the run's own, to be copied before it does.
    constant : dict of ndarray
        Arrays that nobody changes any more.
    """

    facts: dict[str, Any]
    changing: dict[str, np.ndarray]
    constant: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All of them."""
        return {**self.changing, **self.constant}

    def part(self, prefix: str, facts: dict[str, Any]) -> "Standing":
        """The arrays whose names begin so, without that, and facts of their own."""
        own = {
            name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)
        }
        return Standing(facts, own)

    def is_over(self, epochs: int | None) -> bool:
        """Of one network's run: whether it has ended, and is not to be longer, of so many epochs, now."""
        ended = self.facts["stop_reason"]
        is_longer = ended == "finished" and (epochs is None or epochs > self.arrays["position"][EPOCH])
        return ended is not None and not is_longer

    def copied(self) -> "Standing":
        """One that training no longer changes."""
        copies = {name: array.copy() for name, array in self.changing.items()}
        return Standing(self.facts, copies, self.constant)


class Decided(NamedTuple):
    """What the watching of an epoch changes."""

    n_watched: int
    """Epochs after which there was a look at validation, callback and stopping,"""
    n_validated: int
    """and at validation alone."""
    stopping: np.ndarray
    best_parameters: np.ndarray | None
    of_callback: Standing | None
    """What the callback keeps for itself, if it tells."""
    trained: dict[str, np.ndarray] | None = None
    """What the engine keeps, in copies if a callback may change it."""
    random_states: Standing | None = None


@runtime_checkable
class Remembering(Protocol):
    """A callback of `fit` with a state that checkpoints keep, in arrays that it does not change any more.

    It neither changes the network nor draws from its random state.
    """

    def __call__(self, epoch: int, metrics: dict[str, float], /) -> Any:
        """See `Network.fit`."""

    def kept(self) -> Standing:
        """What `go_on` needs."""

    def go_on(self, kept: Standing) -> None:
        """Go on from what was `kept` by another process."""


def take(arrays: Mapping[str, np.ndarray], name: str, like: np.ndarray) -> np.ndarray:
    """The array of a name, which must be of a dtype and shape.

    Raises
    ------
    ValueError
        If there is none such.
    """
    array = arrays.get(name)
    if array is None or array.dtype != like.dtype or array.shape != like.shape:
        found = "is missing" if array is None else f"is {array.dtype} of shape {array.shape}"
        raise ValueError(f"{name!r} {found}; {like.dtype} of shape {like.shape} is needed")
    return array
