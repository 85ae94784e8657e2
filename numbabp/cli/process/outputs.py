"""What a command writes: never over what it reads, and no two results into one file."""

import os
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...atomic_files import check_writable

OUTPUT_STREAMS = {"standard output": 1, "standard error": 2}
STANDARD_STREAM = "-"
"""What commands take for standard input, and for standard output where they offer it."""


def check_outputs(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | None]) -> None:
    """Before anything is read or computed, see whether results can be written where they are to go.

    Parameters
    ----------
    outputs, inputs
        Files by what the command line calls them, such as "--output"; None for those not asked for.

    Raises
    ------
    ValueError
        If a result would replace an input or another result - links and other spellings of a path count, and
        files that standard streams are - or can't be written.
    """
    kept = [(name, path) for name, path in inputs.items() if path is not None]
    for read, file in kept:
        for stream, descriptor in OUTPUT_STREAMS.items():
            if _is_stream(file, descriptor):
                raise ValueError(f"{stream} goes into {read} ({file}), which is read; choose another file.")
    for name, path in outputs.items():
        if path is None:
            continue
        _check_is_named(name, path)
        check_writable(path)
        for stream, descriptor in OUTPUT_STREAMS.items():
            if _is_stream(path, descriptor):
                raise ValueError(f"{name} {path} is the file that {stream} goes into; choose two names.")
        for other_name, other in kept:
            is_piped = other_name in inputs and str(other) == STANDARD_STREAM
            if not (_is_stream(path, 0) if is_piped else is_same_file(path, other)):
                continue
            if other_name in inputs:
                raise ValueError(
                    f"{name} {path} would replace {other_name} ({other}), which is read; choose another name."
                )
            also = "" if path == other else f" ({other})"
            raise ValueError(f"{name} and {other_name} are the same file, {path}{also}; choose two names.")
        kept.append((name, path))


def check_folder(name: str, folder: Path, files: Iterable[str], others: Mapping[str, Path | None]) -> None:
    """Likewise, of a folder that is made if it is not there, and of the files that come into it.

    Parameters
    ----------
    name
        What the command line calls it.
    files
        Their names.
    others
        All other files, inputs and outputs, as for `check_outputs`.

    Raises
    ------
    ValueError
        If it can't be one, or would hold another file of the command.
    """
    _check_is_named(name, folder)
    if folder.exists():
        if not folder.is_dir():
            raise ValueError(f"{name} {folder} is a file; it has to be a folder, or a name that is free.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ValueError(f"{name} {folder}: no permission to write there.")
    else:
        check_writable(folder)
    own = [folder, *map(folder.joinpath, files)]
    for other_name, other in others.items():
        if other is not None and any(is_same_file(path, other) for path in own):
            raise ValueError(f"{name} and {other_name} are the same file, {other}; choose two names.")


def is_same_file(a: Path, b: Path) -> bool:
    """Whether two paths are one file, or would be once it is written."""
    try:
        return os.path.samefile(a, b)
    except OSError:  # one of the two is not there
        return _key(a) == _key(b)


def _check_is_named(name: str, path: Path) -> None:
    if str(path) == STANDARD_STREAM:
        raise ValueError(f"{name} - is standard output, which is not offered here; name a file.")


def _is_stream(path: Path, descriptor: int) -> bool:
    """Whether a standard stream is this file."""
    try:
        opened = os.fstat(descriptor)
        return stat.S_ISREG(opened.st_mode) and os.path.samestat(opened, os.stat(path))
    except OSError:  # closed, or not there
        return False


def _key(path: Path) -> str:
    """A path without links and other spellings, also of a file that is not there yet."""
    real = os.path.normcase(os.path.realpath(path))
    return real.casefold() if sys.platform == "darwin" else real  # where capitals tell no files apart
