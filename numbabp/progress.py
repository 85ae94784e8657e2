"""A progress bar on the terminal."""

import sys
import time
from types import TracebackType
from typing import Any

SHOW_AFTER = 0.5
"""Seconds: shorter runs show nothing."""


class ProgressBar:
    """A rich bar over epochs with the running loss, shown from `SHOW_AFTER` seconds on.

    Parameters
    ----------
    epochs
        Epochs to come.
    enabled
        True: always; False: never; None: if standard error is a terminal.
    """

    def __init__(self, epochs: int, enabled: bool | None) -> None:
        self._enabled = sys.stderr.isatty() if enabled is None else enabled
        self._show_at = time.perf_counter() + (0 if enabled else SHOW_AFTER)
        self._epochs = epochs
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "ProgressBar":
        return self

    @property
    def is_shown(self) -> bool:
        """Whether `update` would show something."""
        return self._enabled and time.perf_counter() >= self._show_at

    def update(self, epochs_done: float, loss: float) -> None:
        """Move to `epochs_done`, with the loss to show."""
        if not self.is_shown:
            return
        if self._bar is None:
            self._start()
        self._bar.update(self._task, completed=epochs_done, loss=loss)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.5g}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task("training", total=self._epochs, loss=float("nan"))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
