"""Files that appear whole or not at all."""

import os
import re
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

PathLike = str | os.PathLike[str]


def write_atomically(path: PathLike, write: Callable[[BinaryIO], Any]) -> None:
    """Have `write` fill a file, and put it at `path` whole, or not at all.

    Raises
    ------
    OSError
        If that fails; what was at `path` before is still there.
    """
    path = os.path.realpath(path)  # a link stays a link
    folder = os.path.dirname(path)
    mode = None
    with suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(f"{path} exists and is not a regular file.")
    temporary = os.path.join(folder, f"{_prefix(path)}{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode))
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno and error.filename in (temporary, None):
            error.filename = path  # also of a disk that is full
        raise
    if hasattr(os, "O_DIRECTORY"):  # on Windows a folder can't be synced
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(path: PathLike) -> None:
    """Remove what processes that were killed while they wrote this file have left beside it."""
    path = os.path.realpath(path)
    known = re.compile(re.escape(_prefix(path)) + r"[0-9a-f]{16}\.tmp")
    for entry in os.scandir(os.path.dirname(path)):
        if known.fullmatch(entry.name):
            with suppress(OSError):
                os.unlink(entry.path)


def _prefix(path: str) -> str:
    """What the names of files begin with that are to become this one."""
    return f".{os.path.basename(path)[:100]}."


def check_writable(path: Path) -> None:
    """Before any work is done, see whether its result can be saved.

    Raises
    ------
    ValueError
        If not; it says why.
    """
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}.")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} exists and is not a regular file.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path}: no permission to write in {path.parent}.")
