"""Which combinations of settings there are, and which of them are trained together as a population."""

import hashlib
import inspect
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..checks.arguments import check_integer, meant
from ..checks.population import check_memory
from ..history import PopulationHistory
from ..network import Network
from ..options import MOMENTUM_RULES, NAMES
from ..population import Population
from ..training.checkpoints.identities import plain
from ..training.population_setup import OF_FIT, PER_NETWORK, REFUSED

OF_ARCHITECTURE = (
    "layer_sizes",
    "hidden_activation",
    "output_activation",
    "loss",
    "quantile",
    "init",
    "dtype",
    "numerics",
)
"""Arguments of `Population` that a sweep takes."""
DEFAULTS = {
    name: parameter.default
    for method in (Network.fit, Population.fit, Population.__init__)
    for name, parameter in inspect.signature(method).parameters.items()
    if parameter.default is not parameter.empty
}
"""Of arguments that are not given."""
NOT_VARIED = {"device", "n_threads"}
OF_STEPS = {*NAMES, "epochs", "own_order", "tol", "n_iter_no_change"} - REFUSED - NOT_VARIED
"""Arguments of `Population.fit` that a grid may vary,"""
OF_ALL = {*OF_FIT, *NOT_VARIED} - OF_STEPS - {"random_state", "checkpoint"}
"""and those that are the same for all."""


@dataclass
class Group:
    """Settings whose networks are one population: they differ in learning rate, momentum, L2 and seeds.

    Attributes
    ----------
    common : dict
        Arguments of `Population` and `Population.fit` that they share.
    settings : list of dict
        Learning rate and so on of each.
    seeds : ndarray of int64
        Of the initial weights of every setting's networks.
    population : Population or None
        Once it is made: the seeds of the first setting, then those of the second, ...
    """

    common: dict[str, Any]
    settings: list[dict[str, float]]
    seeds: np.ndarray
    population: Population | None = field(default=None, init=False)

    def __len__(self) -> int:
        return len(self.settings) * len(self.seeds)

    def make(self) -> Population:
        """The population, with its initial weights."""
        architecture = {name: value for name, value in self.common.items() if name in OF_ARCHITECTURE}
        seeds: Any = np.tile(self.seeds, len(self.settings))
        self.population = Population(n_networks=len(self), random_state=seeds, **architecture)
        return self.population

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of `Population.fit`, but for the samples."""
        shared = {name: value for name, value in self.common.items() if name not in OF_ARCHITECTURE}
        names = self.settings[0]
        own = {name: np.repeat([each[name] for each in self.settings], len(self.seeds)) for name in names}
        return {**shared, **own}

    def fit(self, X: Any, y: Any, **more: Any) -> PopulationHistory:
        """Train it."""
        assert self.population is not None
        return self.population.fit(X, y, **self.arguments, **more)

    def value(self, name: str, setting: Mapping[str, float]) -> Any:
        """What an argument is in a setting: given, by default, or None for momentum without a rule of it."""
        whole = {**self.common, **setting}
        if name == "momentum" and whole.get("update_rule") not in MOMENTUM_RULES:
            return None
        return whole.get(name, DEFAULTS.get(name))

    @property
    def digest(self) -> str:
        """What tells it from groups of other settings or seeds, 12 digits."""
        told = json.dumps([plain(self.common), plain(self.settings), self.seeds.tolist()], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:12]


def combinations(grid: Any) -> list[dict[str, Any]]:
    """Settings of a grid, a mapping from names to values, or of several such.

    Raises
    ------
    TypeError, ValueError
        For what is no grid, a name that can't be varied, and a setting that is there twice.
    """
    grids = [grid] if isinstance(grid, Mapping) else grid
    if not isinstance(grids, list | tuple) or not grids or not all(isinstance(g, Mapping) for g in grids):
        raise TypeError(f"grid must be a dict of names and lists of values, or a list of such, got {grid!r}.")
    found = [setting for each in grids for setting in _product(each)]
    keys: set[str] = set()
    for setting in found:
        if _key(setting) in keys:
            raise ValueError(f"grid has the setting {setting} twice.")
        keys.add(_key(setting))
    return found


def _product(grid: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, values in grid.items():
        if name not in OF_ARCHITECTURE and name not in OF_STEPS:
            allowed = sorted({*OF_ARCHITECTURE, *OF_STEPS})
            names = ", ".join(allowed)
            raise ValueError(
                f"grid has {name!r}, which can't be varied; allowed: {names}.{meant(name, allowed)}"
            )
        if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or not len(values):
            raise TypeError(
                f"grid[{name!r}] must be a list of values to try, got {values!r}"
                + (f"; [{values!r}] is a list of one." if not isinstance(values, Sequence) else ".")
            )
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def check_seeds(seeds: Any) -> np.ndarray:
    """Seeds from a number of them, 0, 1, 2, ..., or as they are given."""
    if isinstance(seeds, int | np.integer):
        n = check_integer("seeds", seeds, minimum=1)
        check_memory(n, 8, "seeds")
        return np.arange(n, dtype=np.int64)
    found = np.asarray(seeds)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "iu":
        raise TypeError(f"seeds must be a number of them or a sequence of ints, got {seeds!r}.")
    if len(np.unique(found)) < len(found):
        raise ValueError("seeds has one of them twice; networks of one seed are the same.")
    return found.astype(np.int64)


def grouped(settings: Sequence[dict[str, Any]], fixed: Mapping[str, Any], seeds: np.ndarray) -> list[Group]:
    """Settings, with what is given for all, in groups that are trained together; in their order."""
    groups: dict[str, Group] = {}
    for setting in settings:
        common = {**fixed, **setting}
        own = {name: common.pop(name) for name in PER_NETWORK if name in common}
        group = groups.setdefault(_key({**common, "of each": sorted(own)}), Group(common, [], seeds))
        group.settings.append(own)
    return list(groups.values())


def _key(setting: Mapping[str, Any]) -> str:
    """Text that is the same for equal settings; a function is the same as itself."""
    told = {name: id(value) if callable(value) else plain(value) for name, value in setting.items()}
    return json.dumps(told, sort_keys=True, default=repr)
