"""What moves on the terminal, or in a notebook, while something is under way: a bar, or a line of text.

rich is imported where something is shown: training without a terminal has no use for it.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from ..notebooks.bar import NotebookBar, in_notebook

SHOW_AFTER = 0.5
"""Seconds: shorter runs show nothing."""
COMPILING = "compiling what is not in the cache folder yet"
"""Said once where there is no terminal to show it."""
_foot = threading.Lock()
"""Of the terminal's foot, where there is room for one thing that moves."""


class ProgressBar:
    """A bar over epochs with the running loss, shown from `SHOW_AFTER` seconds on.

    rich's on a terminal, HTML in a notebook. It tells of kernels that are compiled meanwhile; their time does
    not count.

    Parameters
    ----------
    epochs
        Epochs to come; None where the end is open.
    enabled
        True: always; False: never; None: if standard error is a terminal, and in notebooks.
    what
        Is counted instead of epochs.
    """

    def __init__(self, epochs: int | None, enabled: bool | None, what: str = "epoch") -> None:
        self._in_notebook = enabled is not False and in_notebook()
        self._enabled = self._in_notebook or is_terminal(sys.stderr) if enabled is None else enabled
        self._waits = 0 if enabled else SHOW_AFTER
        self._show_at = time.perf_counter() + self._waits
        self._of = epochs, what
        self._bar: _OnTerminal | _InNotebook | None = None
        self._told_of_compiling = ExitStack()
        self._compiled_for = 0.0

    def __enter__(self) -> "ProgressBar":
        if self._enabled:
            from ..compiler.compile_events import compiling_watched

            self._notice: Foot | NotebookBar = NotebookBar() if self._in_notebook else Foot(sys.stderr)
            self._told_of_compiling.enter_context(compiling_watched(self._compiling, self._compiled))
        return self

    def _compiling(self) -> None:
        self._compiling_since = time.perf_counter()
        if self._bar is None:
            self._notice.show("compiling, once: it is kept on disk")

    def _compiled(self) -> None:
        now = time.perf_counter()
        self._compiled_for += now - self._compiling_since
        self._show_at = now + self._waits
        if isinstance(self._notice, Foot):
            self._notice.hide()
        elif self._bar is None:
            self._notice.show(f"compiled in {self._compiled_for:.1f} s")

    @property
    def is_shown(self) -> bool:
        """Whether `update` would show something."""
        return self._enabled and time.perf_counter() >= self._show_at

    def update(self, epochs_done: float, loss: float) -> None:
        """Move to `epochs_done`, with the loss to show."""
        if not self.is_shown:
            return
        if self._bar is None:
            if isinstance(self._notice, NotebookBar):
                self._bar = _InNotebook(*self._of, self._notice)
            elif _foot.acquire(blocking=False):  # nothing else is shown there
                self._bar = _OnTerminal(*self._of)
            else:
                return
        with suppress(OSError):
            self._bar.update(epochs_done, loss)

    def __exit__(self, *error: object) -> None:
        self._told_of_compiling.close()
        if self._bar is not None:
            with suppress(OSError):  # a terminal that was closed: what was trained is worth more
                self._bar.stop()
        elif self._enabled and isinstance(self._notice, NotebookBar):
            self._notice.close()


class _OnTerminal:
    """rich's bar at the terminal's foot, which is taken, and is free again after `stop`."""

    def __init__(self, epochs: int | None, what: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn(
                what + " {task.completed:.0f}" + ("" if epochs is None else "/{task.total:.0f}"),
                markup=False,
            ),
            BarColumn(),
            TextColumn("loss {task.fields[loss]:.5g}", markup=False),
            TimeRemainingColumn(),
            console=new_console(stderr=True),
        )
        with suppress(OSError):
            self._bar.start()
        self._task = self._bar.add_task("training", total=epochs, loss=float("nan"))

    def update(self, done: float, loss: float) -> None:
        self._bar.update(self._task, completed=done, loss=loss)

    def stop(self) -> None:
        try:
            self._bar.stop()
        finally:
            _foot.release()


class _InNotebook:
    """The same below a notebook's cell."""

    def __init__(self, epochs: int | None, what: str, bar: NotebookBar) -> None:
        self._epochs, self._what, self._bar = epochs, what, bar
        self._begun = time.perf_counter()

    def update(self, done: float, loss: float) -> None:
        of, seconds = "" if self._epochs is None else f"/{self._epochs}", time.perf_counter() - self._begun
        text = f"{self._what} {done:.0f}{of}, loss {loss:.5g}, {seconds:.1f} s"
        self._bar.show(text, done / self._epochs if self._epochs else 0.0)

    def stop(self) -> None:
        self._bar.close()


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
