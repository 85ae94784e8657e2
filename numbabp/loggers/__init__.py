"""Callbacks of `fit` that tell a tracking tool what each epoch came to: TensorBoard, MLflow.

::

    from numbabp.loggers import TensorBoardLogger

    with TensorBoardLogger("runs/first") as logger:
        net.fit(X, y, validation_data=(X_val, y_val), callback=logger)

As the callback of `Population.fit` they write quantiles over the networks; of a network of a population or a
sweep tells `log_history` when they are trained. They need the extra `loggers`, or the tool itself. Epochs
count from 1, as in the histories' tables.
"""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np

from ..history import History

__all__ = ["Logger", "MLflowLogger", "TensorBoardLogger"]

EXTRA = "pip install 'numbabp[loggers]' brings it along."

QUANTILES = (0.1, 0.5, 0.9)
"""Of a population's metrics, those that `PopulationHistory.plot` draws."""


def _quantiles(name: str, values: np.ndarray) -> dict[str, float]:
    """Of a metric of many networks, NaN where one trains no more; none where all do."""
    values = values[~np.isnan(values)]
    if not values.size:
        return {"n_networks": 0.0}
    found = np.quantile(values, QUANTILES).tolist()
    named = {f"{name}_q{round(100 * q)}": value for q, value in zip(QUANTILES, found, strict=True)}
    return {**named, "n_networks": float(values.size)}


class Logger(ABC):
    """A callback that writes each epoch's metrics, and never ends training."""

    def __call__(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Write what an epoch, from 0, came to: see `Network.fit`.

        Of all networks of a population (`Population.fit`) the `QUANTILES` of each metric are written over
        those that train, as "loss_q10" and so on, and how many these are, as "n_networks".
        """
        values: dict[str, float] = {}
        for name, value in metrics.items():
            if np.ndim(value):
                values |= _quantiles(name, np.asarray(value))
            else:
                values[name] = float(value)
        self.write(epoch + 1, values)

    def log_history(self, history: History) -> None:
        """Write all epochs of a network that is trained, such as ``population.history[3]``."""
        columns = {**history, "learning_rate": history.learning_rate}
        for epoch, row in enumerate(zip(*columns.values(), strict=True)):
            self(epoch, dict(zip(columns, row, strict=True)))

    @abstractmethod
    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Write metrics of an epoch, from 1."""

    def close(self) -> None:  # noqa: B027
        """Write what is not written yet."""

    def __enter__(self) -> "Logger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class TensorBoardLogger(Logger):
    """Scalars for TensorBoard, one for each metric: ``tensorboard --logdir`` shows them.

    Parameters
    ----------
    log_dir : str or path-like
        Folder of the run, made if it is not there.
    prefix : str, default=""
        Of the metrics' names, such as "network_3/".

    Raises
    ------
    ImportError
        If tensorboardX is not installed.
    """

    def __init__(self, log_dir: str | os.PathLike[str], prefix: str = "") -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ImportError(f"TensorBoardLogger needs tensorboardX: {EXTRA}") from None
        self._writer: Any = SummaryWriter(os.fspath(log_dir))
        self._prefix = prefix

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """See `Logger`."""
        for name, value in metrics.items():
            self._writer.add_scalar(self._prefix + name, value, step)

    def close(self) -> None:
        """See `Logger`; it can be written to no more."""
        self._writer.close()


class MLflowLogger(Logger):
    """Metrics of an MLflow run, in calls of many epochs: one takes as long as thousands of small steps.

    Parameters
    ----------
    run_id : str, optional
        The run that is written to; by default the active one, or a new one where none is.
    every : int, default=100
        Epochs that are sent at once; the last ones with `close`.
    prefix : str, default=""
        Of the metrics' names.

    Raises
    ------
    ImportError
        If mlflow is not installed.
    ValueError
        If `every` is less than 1.
    """

    def __init__(self, run_id: str | None = None, every: int = 100, prefix: str = "") -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}.")
        try:
            import mlflow
        except ImportError:
            raise ImportError(f"MLflowLogger needs mlflow: {EXTRA}") from None
        if run_id is None:
            run = mlflow.active_run() or mlflow.start_run()
            run_id = run.info.run_id
        self.run_id = run_id
        self._client, self._make = mlflow.MlflowClient(), mlflow.entities.Metric
        self._every, self._prefix = every, prefix
        self._waiting: list[Any] = []
        self._n_waiting = 0

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """See `Logger`."""
        now = time.time_ns() // 1_000_000
        self._waiting += [
            self._make(self._prefix + name, value, now, step)
            for name, value in metrics.items()
            if np.isfinite(value)  # which not every store takes
        ]
        self._n_waiting += 1
        if self._n_waiting >= self._every:
            self.close()

    def close(self) -> None:
        """Send what waits; the run stays as it is."""
        waiting, self._waiting, self._n_waiting = self._waiting, [], 0
        for first in range(0, len(waiting), 1000):  # MLflow's limit
            self._client.log_batch(self.run_id, metrics=waiting[first : first + 1000])
