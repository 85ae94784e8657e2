"""What moves on the terminal while something is under way: a bar over epochs, or a line that says what.

rich is imported where something is shown: training without a terminal has no use for it.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

SHOW_AFTER = 0.5
"""Seconds: shorter runs show nothing."""
COMPILING = "compiling what is not in the cache folder yet"
"""Said once where there is no terminal to show it."""
_foot = threading.Lock()
"""Of the terminal's foot, where there is room for one thing that moves."""


class ProgressBar:
    """A rich bar over epochs with the running loss, shown from `SHOW_AFTER` seconds on.

    Parameters
    ----------
    epochs
        Epochs to come; None where the end is open.
    enabled
        True: always; False: never; None: if standard error is a terminal.
    what
        Is counted instead of epochs.
    """

    def __init__(self, epochs: int | None, enabled: bool | None, what: str = "epoch") -> None:
        self._what = what
        self._enabled = is_terminal(sys.stderr) if enabled is None else enabled
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
        if self._bar is None and not self._start():
            return
        with suppress(OSError):
            self._bar.update(self._task, completed=epochs_done, loss=loss)

    def _start(self) -> bool:
        """Show the bar, unless something else is shown: whether it is."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        if not _foot.acquire(blocking=False):
            return False
        self._bar = Progress(
            TextColumn(
                self._what + " {task.completed:.0f}" + ("" if self._epochs is None else "/{task.total:.0f}"),
                markup=False,
            ),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.5g}", markup=False),
            TimeRemainingColumn(),
            console=new_console(stderr=True),
        )
        with suppress(OSError):
            self._bar.start()
        self._task = self._bar.add_task("training", total=self._epochs, loss=float("nan"))
        return True

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            with suppress(OSError):  # a terminal that was closed: what was trained is worth more
                self._bar.stop()
            _foot.release()


class Foot:
    """A line at the terminal's foot that says what is under way and for how long, and is gone afterwards.

    Nothing is shown where `stream` is no terminal, or something else is shown at its foot. What is written to
    the stream meanwhile, through `sys`, comes above the line.

    Parameters
    ----------
    stream
        `sys.stdout` or `sys.stderr`.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._line: Any = None

    def show(self, text: str) -> None:
        """Say that something is under way from now on, instead of what was before."""
        if not is_terminal(self._stream) or (self._line is None and not _foot.acquire(blocking=False)):
            return
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        if self._line is None:
            is_output = self._stream is sys.stdout
            self._line = Progress(
                SpinnerColumn("line"),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
                console=new_console(stderr=not is_output),
                transient=True,
                redirect_stdout=is_output,
                redirect_stderr=not is_output,
            )
            self._line.start()
        for task in self._line.task_ids:
            self._line.remove_task(task)
        self._line.add_task(text, total=None)

    def hide(self) -> None:
        """Take the line away."""
        if self._line is not None:
            with suppress(OSError):
                self._line.stop()
            self._line = None
            _foot.release()


def is_terminal(stream: Any) -> bool:
    """Whether someone looks at a stream, which may be None, where a program has none, or closed."""
    return stream is not None and not stream.closed and stream.isatty()


@contextmanager
def compiling_said() -> Iterator[None]:
    """Say when kernels are compiled, the wait of a first run: at a terminal's foot, else in one line."""
    from ..compiler.compile_events import compiling_watched

    if sys.stderr is None:
        yield
        return
    foot, is_said = Foot(sys.stderr), is_terminal(sys.stderr)

    def begin() -> None:
        nonlocal is_said
        foot.show("compiling")
        if not is_said:
            is_said = True
            print(COMPILING, file=sys.stderr, flush=True)

    with compiling_watched(begin, foot.hide):
        yield


def new_console(stderr: bool = False) -> Any:
    """A console of rich that prints what it is given: names may have brackets, which rich takes for markup.

    It is as wide as the terminal or COLUMNS says, and 140 characters wide into a file or pipe.
    """
    from rich.console import Console

    def console(width: int | None = None) -> Any:
        return Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width)

    found = console()
    return found if found.is_terminal or os.environ.get("COLUMNS") else console(140)
