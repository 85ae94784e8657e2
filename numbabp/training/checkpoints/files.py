"""Checkpoints in files: whose run it is, where it stands, and the checks of what is read."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...atomic_files import PathLike, check_writable
from ...storage import CHECKPOINT_FORMAT as FORMAT
from ...tensor_files import parse_json, read_strings, read_tensors, write_tensors
from .standing import Standing

VERSION = 2
"""Of `FORMAT` and of what trains: raised when a run could not go on from an older file bit for bit."""
ADVICE = "Name another file, delete this one, or begin anew with resume=False of fit."
"""Where a file can't be gone on from."""
Identity = dict[str, Any]
"""What tells a run from others, as JSON takes it: by name, what it is trained on and how."""


class CheckpointError(ValueError):
    """A file that a run can't go on from, nor begin anew in: the run's own arguments are not to blame."""


class Whole(dict[str, Any]):
    """What a file holds by name; it says so where it lacks what is looked for."""

    def __missing__(self, name: str) -> Any:
        raise CheckpointError(f"the checkpoint lacks {name!r}: resume=False begins anew.")


class Found(NamedTuple):
    """What a file holds of a run."""

    identity: Identity
    standing: Standing


def write(
    path: PathLike, identity: Identity, standing: Standing, before: Callable[[str], Any] | None = None
) -> None:
    """Write a checkpoint, atomically; its arrays must not change meanwhile. See `write_atomically`."""
    strings = {
        "format": FORMAT,
        "version": str(VERSION),
        "run": json.dumps(identity),
        "standing": json.dumps(standing.facts, allow_nan=False),
    }
    write_tensors(path, strings, standing.arrays, before)


def read(path: PathLike) -> Found:
    """Read a checkpoint that `write` wrote.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is something else, damaged, or of another version.
    """
    strings, arrays = read_tensors(path, _check)
    run, facts = (parse_json(name, strings[name]) for name in ("run", "standing"))
    return Found(run, Standing(Whole(facts), Whole(arrays)))


def prepare(path: PathLike, resume: bool, advice: str = "") -> Found | None:
    """See what is at `path` before a run begins: what there is to go on from, if anything.

    Raises
    ------
    CheckpointError
        If the file can't be written, is no checkpoint, or is damaged; resume=False replaces a checkpoint,
        also one that is damaged, but nothing else. It ends with the `advice`.
    """
    try:
        check_writable(Path(path))
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    if not os.path.exists(path):
        return None
    try:
        _check_format(path, read_strings(path))
    except ValueError as error:
        raise CheckpointError(f"checkpoint {error} It is not replaced: name another path.") from None
    if not resume:
        return None
    try:
        return read(path)
    except ValueError as error:
        raise CheckpointError(f"checkpoint {error} {advice or 'resume=False begins anew.'}") from None


def is_checkpoint(path: PathLike) -> bool:
    """Whether there is a file that begins as one, whole or not."""
    try:
        _check_format(path, read_strings(path))
    except (OSError, ValueError):
        return False
    return True


def check_same_run(path: PathLike, found: Identity, asked: Identity, advice: str = "") -> None:
    """Raise CheckpointError for a file of another run, naming all that differs, and the `advice`."""
    differing = []
    for name in dict.fromkeys([*found, *asked]):
        there, here = (json.dumps(run.get(name)) for run in (found, asked))
        if there != here:
            told = len(there) + len(here) < 200 and not name.startswith("the ")
            differing.append(f"{name} ({there} there, {here} here)" if told else name)
    if differing:
        advice = advice or ADVICE
        raise CheckpointError(
            f"checkpoint {os.fspath(path)} is of another run; what differs: {', '.join(differing)}. {advice}"
        )


def _check_format(path: PathLike, strings: dict[str, str]) -> None:
    if strings.get("format") != FORMAT:
        raise ValueError(f"{os.fspath(path)}: not a checkpoint of numbabp.")


def _check(strings: dict[str, str]) -> None:
    if strings.get("version") != str(VERSION):
        raise ValueError(
            f"format version {strings.get('version')!r} is not known; this numbabp reads version {VERSION}"
        )
    for name in ("run", "standing"):
        if name not in strings:
            raise ValueError(f"its metadata lack {name!r}")
