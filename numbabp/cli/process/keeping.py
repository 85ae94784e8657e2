"""What a command keeps that is ended before its time, or can't write its result where it was to go."""

import itertools
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .signals import Interrupted

ADVICE = "Name another one, or delete this one to begin anew."
"""Of a checkpoint that can't be gone on with; `fit` knows another way, which commands don't have."""
Save = Callable[[Path], None]
"""Writes a result into a file, or raises OSError."""


@dataclass
class Keeping:
    """A context for the whole of a command that trains; Ctrl-C and its kin leave it with what is kept.

    Attributes
    ----------
    what : str
        The work, such as "training".
    checkpoint : Path or None
        The file or folder that it is kept in.
    output : Path or None
        Where the result is to go.
    so_far : callable or None
        Saves what there is of the result before its time; ValueError if it is of no use.
    has_begun : callable
        Whether there is anything of the work to keep.
    """

    what: str
    checkpoint: Path | None
    output: Path | None = None
    so_far: Save | None = None
    has_begun: Callable[[], bool] = lambda: False
    _is_saved: bool = False

    def save(self, save: Save) -> None:
        """Put the result into `output`, if there is one.

        Raises
        ------
        OSError
            If that can't be done; the text says where the result is instead, if anywhere.
        """
        if self.output is None:
            return
        self.so_far = save
        try:
            save(self.output)
        except OSError as error:
            why = f"{self.output}: {error.strerror or error}"
            raise OSError(f"{why}; the model is saved to {save_somewhere(save, self.output)}.") from None
        self._is_saved = True

    def try_to_save(self, save: Save) -> list[OSError]:
        """`save`, but the error, if there is one, is for later."""
        try:
            self.save(save)
        except OSError as error:
            return [error]
        return []

    def __enter__(self) -> "Keeping":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(self._told()) from None

    def _told(self) -> str:
        """Keep what there is, and say where."""
        if self._is_saved:
            return f"the model is saved to {self.output}."
        if self.checkpoint is not None and self._is_begun(self.checkpoint):
            return f"the {self.what} is kept in {self.checkpoint}: the same command again goes on from there."
        if not self.has_begun():
            return f"nothing is saved: the {self.what} had not begun."
        hint = "" if self.checkpoint is not None else f" --checkpoint would keep the {self.what}."
        if self.output is None or self.so_far is None:
            return "nothing is saved." + hint
        marked = self.output.with_name(f"{self.output.stem}.interrupted{self.output.suffix}")
        try:
            path = save_somewhere(self.so_far, marked)
        except (OSError, ValueError, KeyboardInterrupt) as error:
            return " ".join(f"nothing is saved: {str(error) or 'interrupted again'}".split()) + hint
        way = (
            "" if self.checkpoint is not None else f" To go on with the {self.what}, give --checkpoint first."
        )
        return f"the network as it was is saved to {path}.{way}"

    @staticmethod
    def _is_begun(checkpoint: Path) -> bool:
        return any(checkpoint.iterdir()) if checkpoint.is_dir() else checkpoint.exists()


def kept_in(
    path: Path | None, beside: Mapping[str, Any] | None = None, told: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Argument of `fit` for a checkpoint, if there is to be one, with what else runs are told apart by.

    A run that is gone on with is `told` of.
    """
    if path is None:
        return {}
    from ...training.checkpoints.keeper import Checkpoint  # not for help

    return {"checkpoint": Checkpoint(str(path), beside=beside or {}, advice=ADVICE, told=told)}


def write_all(*results: tuple[str, Path | None, Save]) -> list[OSError]:
    """Write all that are asked for, and say so; what can't be written hinders no other, nor what is printed.

    Parameters
    ----------
    *results
        What is said of it, its file, and what writes it.

    Returns
    -------
    list of OSError
        Of those that can't be written.
    """
    failed = []
    for what, path, save in results:
        if path is not None:
            try:
                save(path)
                print(f"{what} {path}", file=sys.stderr, flush=True)  # before what comes on the other stream
            except OSError as error:
                failed.append(error)
    return failed


def save_somewhere(save: Save, wanted: Path) -> Path:
    """Save under a name that is free: in the folder of `wanted`, else the current or the temporary one.

    Raises
    ------
    OSError
        If none of them will do: that of the first.
    """
    errors = []
    for folder in dict.fromkeys([wanted.parent, Path(), Path(tempfile.gettempdir())]):
        try:
            return _save_new(save, folder / wanted.name)
        except OSError as error:
            errors.append(error)
    raise errors[0]


def _save_new(save: Save, wanted: Path) -> Path:
    for number in itertools.count(1):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        try:
            path.open("xb").close()  # taken, so that nobody else's comes to be replaced
        except FileExistsError:
            continue
        try:
            save(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path
    raise AssertionError  # names don't end
