"""Files that appear whole or not at all.

A file is written under a temporary name beside its place, `.<name>.<where>-<process>-<random>.tmp`. What a
process that was killed has left of these is removed by the next file that is written in the same folder.
"""

import hashlib
import os
import platform
import re
import secrets
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

PathLike = str | os.PathLike[str]
OLD_SECONDS = 7 * 24 * 3600.0
"""A temporary file of another machine's process is left over when it was not written to so long."""

_TEMPORARY = re.compile(r"\..+\.([0-9a-f]{8})-([1-9][0-9]{0,9})-[0-9a-f]{16}\.tmp")


def write_atomically(
    path: PathLike, write: Callable[[BinaryIO], Any], before: Callable[[str], Any] | None = None
) -> None:
    """Have `write` fill a file, and put it at `path` whole, or not at all.

    `before` that is called with the path where it is until then.

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
    remove_leftovers(folder)
    mark = f"{where_processes_count()}-{os.getpid()}-{secrets.token_hex(8)}"
    temporary = os.path.join(folder, f".{os.path.basename(path)[:100]}.{mark}.tmp")
    try:
        with open(temporary, "xb") as file:
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode))
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            before(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        try:
            _remove(temporary)
        except KeyboardInterrupt:  # one more: this process is alive, and nobody else would
            _remove(temporary)
            raise
        if isinstance(error, OSError) and error.errno and error.filename in (temporary, None):
            error.filename = path  # also of a disk that is full
        raise
    if hasattr(os, "O_DIRECTORY"):  # on Windows a folder can't be synced
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def remove_leftovers(folder: PathLike) -> None:
    """Remove the temporary files of processes that are no more, and very old ones of other machines."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = _TEMPORARY.fullmatch(entry.name) if entry.name.endswith(".tmp") else None
            if name and _is_left_over(entry, name[1], int(name[2])):
                with suppress(OSError):
                    os.unlink(entry.path)


def _is_left_over(entry: "os.DirEntry[str]", where: str, process: int) -> bool:
    if not entry.is_file(follow_symlinks=False):
        return False
    if where == where_processes_count() and os.name == "posix":
        return not _is_alive(process)
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > OLD_SECONDS


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # on POSIX systems this asks, and sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


@cache
def where_processes_count() -> str:
    """Eight digits for this machine, or this container: where the numbers of processes mean the same."""
    namespace = 0
    with suppress(OSError):
        namespace = os.stat("/proc/self/ns/pid").st_ino
    return hashlib.sha256(f"{platform.node()} {namespace}".encode()).hexdigest()[:8]


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
