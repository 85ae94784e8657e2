"""What has come of a sweep: a table with a row for each network, and the networks themselves."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..history import PopulationHistory, pandas_for, place_of_best
from ..network import Network
from ..population import Population
from .groups import Group


class Sweep:
    """A finished sweep.

    Attributes
    ----------
    populations : list of Population
        Each of one architecture and one way to train, with its history; the seeds of its first setting, then
        those of its second, ...
    seconds : float
        Wall time of the training, without that of compiling.
    """

    def __init__(self, groups: Sequence[Group], names: Sequence[str]) -> None:
        self._groups, self._names = list(groups), list(names)
        trained = [_trained(group) for group in groups]
        self.populations = [population for population, _ in trained]
        self._histories = [history for _, history in trained]
        self.seconds = sum(history.seconds for history in self._histories)

    def __repr__(self) -> str:
        diverged = sum(len(history.diverged) for history in self._histories)
        text = f"{sum(map(len, self.populations))} networks in {len(self.populations)} populations"
        return f"<Sweep: {text}, {self.seconds:.3g} s{f'; {diverged} diverged' if diverged else ''}>"

    def to_frame(self) -> Any:
        """A table with a row for each network.

        Its columns are what the grid varies, `layer_sizes` as "2-10-1"; the seed; `population` and `network`,
        so that ``sweep.populations[population][network]`` is a copy of it; `epochs` that it has finished,
        `best_epoch`, from 1, whose parameters it has, and `stop_reason`: "finished", "early stopping",
        "no change", "diverged"; and every metric that was recorded, of that epoch: NaN where it diverged.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = pandas_for("to_frame")
        parts = [self._part(pandas, i) for i in range(len(self._groups))]
        return pandas.concat(parts, ignore_index=True)

    def best(self, metric: str | None = None) -> Network:
        """A copy of the network whose metric is best: high accuracy, low others.

        Parameters
        ----------
        metric : str, optional
            By default "validation_loss", or "loss" where there was no validation data.

        Raises
        ------
        KeyError
            If it was not recorded.
        ValueError
            If networks were trained by several losses, whose values can't be compared.
        RuntimeError
            If every network has diverged.
        """
        if metric is None:
            validated = all("validation_loss" in history for history in self._histories)
            metric = "validation_loss" if validated else "loss"
        losses = sorted({population.loss for population in self.populations})
        if metric in ("loss", "validation_loss") and len(losses) > 1:
            raise ValueError(
                f"values of {' and '.join(losses)} can't be compared; name a metric that all networks have, "
                "such as 'validation_accuracy', or one that monitor records."
            )
        values = np.concatenate([history.kept(metric) for history in self._histories])
        if np.isnan(values).all():
            raise RuntimeError("every network has diverged; try lower learning rates.")
        index = place_of_best(values, metric)
        for population in self.populations:
            if index < len(population):
                break
            index -= len(population)
        return population[index]

    def _part(self, pandas: Any, number: int) -> Any:
        """The rows of a population."""
        group, population, history = self._groups[number], self.populations[number], self._histories[number]
        each = len(group.seeds)
        columns: dict[str, Any] = {}
        for name in self._names:
            values = [group.value(name, setting) for setting in group.settings]
            columns[name] = np.repeat(np.array([_told(name, value) for value in values], object), each)
        columns |= {"seed": population.seeds, "population": number, "network": np.arange(len(group))}
        ends = {"epochs": history.n_epochs, "best_epoch": history.kept_epochs + 1}
        reasons = [history[i].stop_reason for i in range(len(group))]
        metrics = {name: history.kept(name) for name in history}
        return pandas.DataFrame({**columns, **ends, "stop_reason": reasons, **metrics}).infer_objects()


def _trained(group: Group) -> tuple[Population, PopulationHistory]:
    assert group.population is not None and group.population.history is not None
    return group.population, group.population.history


def _told(name: str, value: Any) -> Any:
    """A value as a table has it."""
    if name == "layer_sizes":
        return "-".join(map(str, value))
    if callable(value):
        return getattr(value, "__name__", repr(value))
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
