"""Sweeps: networks of all combinations of settings, layouts and seeds, and what came of them.

All networks of one layout are one population: they learn from the same rows in the same order, and differ
in their settings and in the initial weights, which a seed draws. So quantiles over the seeds tell how much
hangs on the initial weights, not on the order. A network that diverged counts as worse than any other, so
that a setting that now and then explodes is not taken for a good one.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checks.arguments import meant
from ..checks.population import check_memory
from ..data.split import Split
from ..history import PopulationHistory
from ..network import Network
from ..options import MOMENTUM_RULES
from ..population import Population
from ..sweeps.groups import Group
from ..training.checkpoints.identities import digest_of
from .process.keeping import kept_in

DEFAULTS = {"learning_rate": 0.01, "momentum": 0.9, "l2": 0.0}
"""Of what a grid may vary."""
LEVELS = {"q10": 0.1, "median": 0.5, "q90": 0.9}
"""Quantiles over the seeds by name."""


@dataclass(frozen=True)
class Outcome:
    """One setting in one layout, and what became of its networks, one a seed.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    setting : dict of str to float
        Learning rate, L2 penalty, and momentum where the update rule has it.
    seeds : ndarray of int64, shape (n_seeds,)
    scores : ndarray of shape (n_seeds,)
        NaN for networks that diverged, as in `losses`.
    losses : ndarray of shape (n_seeds,)
        Prequential training loss of the last epoch.
    n_epochs : ndarray of int64, shape (n_seeds,)
        Epochs that were finished.
    diverged : ndarray of bool, shape (n_seeds,)
    curves : dict of str to ndarray of shape (epochs,)
        Quantiles over the seeds of the prequential loss, as `LEVELS` names them.
    network : Network
        The one of the `best` seed.
    """

    hidden: tuple[int, ...]
    setting: dict[str, float]
    seeds: np.ndarray
    scores: np.ndarray
    losses: np.ndarray
    n_epochs: np.ndarray
    diverged: np.ndarray
    curves: dict[str, np.ndarray]
    network: Network

    @property
    def parameters(self) -> dict[str, Any]:
        """What tells this outcome from others: the layout as text, and the setting."""
        return {"hidden": layout_text(self.hidden), **self.setting}

    def score(self, level: str = "median") -> float:
        """Quantile of the scores; NaN where it falls on networks that diverged."""
        return float(_quantiles(self.scores, worst=-np.inf)[level])

    def loss(self, level: str = "median") -> float:
        """Quantile of the last losses, likewise."""
        return float(_quantiles(self.losses, worst=np.inf)[level])

    @property
    def best(self) -> int:
        """Index of the seed with the highest score, and of several such the one with the lowest loss."""
        return _best(self.scores, self.losses)

    @property
    def rank(self) -> tuple[float, ...]:
        """Key that sorts better outcomes first: by median score, then by what may tell equal ones apart."""
        key = [-self.score(), -self.score("q10"), self.loss(), -self.score("q90"), -self.scores[self.best]]
        return tuple(_filled(key, np.inf).tolist())

    def summary(self) -> dict[str, Any]:
        """Row of the table of settings."""
        return {
            **self.parameters,
            "n_seeds": len(self.seeds),
            "n_diverged": int(self.diverged.sum()),
            "epochs": len(self.curves["median"]),
            **{f"score_{level}": self.score(level) for level in LEVELS},
            "score_best": float(self.scores[self.best]),
            "seed_best": int(self.seeds[self.best]),
            **{f"loss_{level}": self.loss(level) for level in LEVELS},
        }

    def rows(self) -> list[dict[str, Any]]:
        """Rows of the table of networks."""
        columns = {
            "seed": self.seeds,
            "score": self.scores,
            "loss": self.losses,
            "epochs": self.n_epochs,
            "diverged": self.diverged,
        }
        values = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [{**self.parameters, **dict(zip(columns, row, strict=True))} for row in values]


@dataclass(frozen=True)
class Sweep:
    """A finished sweep.

    Attributes
    ----------
    outcomes : list of Outcome
        Best first.
    metric : str
        What the scores are, such as "validation accuracy".
    seconds : float
        Wall time of the training.
    """

    outcomes: list[Outcome]
    metric: str
    seconds: float

    @property
    def n_networks(self) -> int:
        """Networks trained."""
        return sum(len(outcome.seeds) for outcome in self.outcomes)

    @property
    def epochs(self) -> int:
        """Epochs that each network that did not diverge was trained for."""
        return len(self.outcomes[0].curves["median"])

    @property
    def of_settings(self) -> list[dict[str, Any]]:
        """Rows of the table of settings."""
        return [outcome.summary() for outcome in self.outcomes]

    @property
    def of_networks(self) -> list[dict[str, Any]]:
        """Rows of the table of networks."""
        return [row for outcome in self.outcomes for row in outcome.rows()]

    @property
    def varied(self) -> dict[str, list[Any]]:
        """Parameters with more than one value, and these in rising order."""
        parameters = [outcome.parameters for outcome in self.outcomes]
        values = {name: {row[name] for row in parameters} for name in parameters[0]}
        layouts = {layout_text(hidden): hidden for hidden in (outcome.hidden for outcome in self.outcomes)}
        return {
            name: sorted(found, key=layouts.__getitem__ if name == "hidden" else None)
            for name, found in values.items()
            if len(found) > 1
        }

    @property
    def fixed(self) -> dict[str, Any]:
        """The other parameters."""
        return {k: v for k, v in self.outcomes[0].parameters.items() if k not in self.varied}


class Kept(NamedTuple):
    """Where a sweep is kept."""

    folder: Path
    """Made if it is not there, with the checkpoint of each layout's population, in files that are called as
    `checkpoint_name` says."""
    told: Callable[[str], None] | None = None
    """Takes what there is to say of a sweep that is gone on with."""


def sweep(
    split: Split,
    layouts: Sequence[tuple[int, ...]],
    grid: Mapping[str, Sequence[float]],
    seeds: Sequence[int],
    *,
    activation: str = "relu",
    dtype: str = "float32",
    epochs: int = 50,
    kept: Kept | None = None,
    **options: Any,
) -> Sweep:
    """Train a network for each layout, combination of the grid's values, and seed.

    Parameters
    ----------
    split : Split
        What to learn, and what to measure scores on: the rows held out, or, without any, those trained on.
    layouts : sequence of tuples of int
        Units of the hidden layers.
    grid : mapping from names to sequences of float
        Values of learning_rate, momentum and l2.
    seeds : range or sequence of int
        Of the initial weights. The first also draws the order of rows, which is the same for all networks:
        each is trained as ``Network(..., random_state=seed).fit(..., random_state=seeds[0])`` is.
    activation, dtype
        Of the networks.
    epochs : int
        Passes over the rows.
    kept : Kept, optional
        The same sweep goes on from there.
    **options
        Further arguments of `Population.fit`.

    Raises
    ------
    ValueError
        For what `Population` and its `fit` refuse, such as the checkpoint of another sweep, and if every
        network diverged.
    MemoryError
        If the histories of one layout's networks would not fit into memory, before anything is trained.
    """
    settings = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    n_networks = len(settings) * len(seeds)
    # losses, accuracies and learning rates, and a copy for the quantiles
    check_memory(n_networks, 8 * 4 * epochs, "histories", "; take fewer seeds, values or epochs")
    of_layout: dict[tuple[int, ...], list[Outcome]] = {}
    seconds = 0.0
    folder = None if kept is None else kept.folder
    with _folder(folder):
        for hidden in _begun_first(layouts, folder):
            how = {**split.pipeline.network_arguments(hidden, activation, dtype), "epochs": epochs, **options}
            group = Group(how, settings, np.array(seeds, np.int64))
            population = group.make()
            file = _kept(kept, hidden, population.seeds)
            history = group.fit(split.inputs, split.targets, random_state=int(seeds[0]), **file)
            seconds += history.seconds
            of_layout[hidden] = _outcomes(hidden, settings, split, population, history)
    outcomes = [outcome for hidden in layouts for outcome in of_layout[hidden]]
    if all(outcome.diverged.all() for outcome in outcomes):
        raise ValueError(f"every network diverged ({n_networks * len(layouts)}); try lower learning rates.")
    part = "training" if split.held_out is None else "validation"
    outcomes.sort(key=lambda outcome: outcome.rank)
    return Sweep(outcomes, f"{part} {split.pipeline.metric}", seconds)


def checkpoint_name(hidden: tuple[int, ...]) -> str:
    """What the file of a layout's checkpoint is called: 16x8.safetensors."""
    return f"{layout_text(hidden)}.safetensors"


def _begun_first(layouts: Sequence[tuple[int, ...]], folder: Path | None) -> list[tuple[int, ...]]:
    """Those with a checkpoint come first: what is another sweep's is refused before anything is begun."""
    return sorted(
        layouts, key=lambda hidden: folder is None or not (folder / checkpoint_name(hidden)).exists()
    )


def _kept(kept: Kept | None, hidden: tuple[int, ...], seeds: np.ndarray) -> dict[str, Any]:
    """Argument of `Population.fit`: a checkpoint with the seeds, which it doesn't know by itself."""
    if kept is None:
        return {}
    beside = {"first seed": int(seeds[0]), "the seeds": digest_of(seeds)}
    return kept_in(kept.folder / checkpoint_name(hidden), beside, kept.told)


@contextmanager
def _folder(folder: Path | None) -> Iterator[None]:
    """Make it, and take it away again if nothing has come into it."""
    if folder is None or folder.is_dir():
        yield
        return
    folder.mkdir()
    try:
        yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


def _outcomes(
    hidden: tuple[int, ...],
    settings: Sequence[dict[str, float]],
    split: Split,
    population: Population,
    history: PopulationHistory,
) -> list[Outcome]:
    """What became of each setting's networks, which stand one after another in the population."""
    scores, losses = _scores(split, population, history), history.last()
    diverged = np.isin(np.arange(population.n_networks), list(history.diverged))
    outcomes = []
    for setting, rows in zip(
        settings, np.split(np.arange(population.n_networks), len(settings)), strict=True
    ):
        outcome = Outcome(
            hidden=hidden,
            setting=setting,
            seeds=population.seeds[rows],
            scores=scores[rows],
            losses=losses[rows],
            n_epochs=history.n_epochs[rows],
            diverged=diverged[rows],
            curves=_quantiles(history.loss[rows], worst=np.inf),
            network=population[int(rows[_best(scores[rows], losses[rows])])],
        )
        outcomes.append(outcome)
    return outcomes


def _scores(split: Split, population: Population, history: PopulationHistory) -> np.ndarray:
    """Score of each network, NaN for those that diverged."""
    samples = split.held_out or (split.inputs, split.targets)
    # views: copies of thousands of networks with their histories take seconds
    networks = (Network.of(population.architecture, row) for row in population.parameters)
    return np.array(
        [
            np.nan if i in history.diverged else split.pipeline.score(network, *samples)
            for i, network in enumerate(networks)
        ]
    )


def _best(scores: np.ndarray, losses: np.ndarray) -> int:
    return int(np.lexsort([_filled(losses, np.inf), -_filled(scores, -np.inf)])[0])


def _filled(values: Any, worst: float) -> np.ndarray:
    """The same with `worst` for NaN."""
    return np.where(np.isnan(values), worst, values)


def _quantiles(values: np.ndarray, worst: float) -> dict[str, Any]:
    """Quantiles over the first axis, where NaN counts as `worst`, an infinity; NaN where they fall on it."""
    with np.errstate(invalid="ignore"):
        quantiles = np.quantile(_filled(values, worst), list(LEVELS.values()), axis=0)
    return dict(zip(LEVELS, np.where(np.isfinite(quantiles), quantiles, np.nan), strict=True))


def parse_grid(texts: Sequence[str], update_rule: str) -> dict[str, list[float]]:
    """Values of all parameters from texts such as "learning_rate=0.01,0.1"; `DEFAULTS` for the absent ones.

    Raises
    ------
    ValueError
        For a text of another form, an unknown parameter, and one or a value that is given twice.
    """
    rule_has_momentum = update_rule in MOMENTUM_RULES
    grid = {name: [value] for name, value in DEFAULTS.items() if name != "momentum" or rule_has_momentum}
    given = set()
    for text in texts:
        name, _, values = text.partition("=")
        name = name.strip()
        if name not in DEFAULTS:
            raise ValueError(
                f"--grid has no parameter {name!r}; allowed: {', '.join(DEFAULTS)}.{meant(name, DEFAULTS)}"
            )
        if name not in grid:
            raise ValueError(
                f"--grid momentum needs --update-rule {' or '.join(MOMENTUM_RULES)}, not {update_rule}."
            )
        if name in given:
            raise ValueError(f"--grid {name} is given twice; list its values in one, with commas.")
        given.add(name)
        grid[name] = _numbers(name, values)
    return grid


def _numbers(name: str, text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--grid {name} must have numbers such as {name}=0.01,0.1, got {text!r}.") from None
    check_distinct(f"--grid {name}", values)
    return values


def check_distinct(name: str, values: Sequence[Any]) -> None:
    """Raise ValueError if a value comes twice."""
    for i, value in enumerate(values):
        if value in values[:i]:
            shown = layout_text(value) if isinstance(value, tuple) else f"{value:g}"
            raise ValueError(f"{name} has {shown} twice.")


def layout_text(hidden: tuple[int, ...]) -> str:
    """A layout as the command line takes it: 16x8, or none."""
    return "x".join(map(str, hidden)) or "none"


def heading(parameter: str) -> str:
    """A parameter's name for readers."""
    return {"hidden": "hidden units", "l2": "L2 penalty"}.get(parameter, parameter.replace("_", " "))
