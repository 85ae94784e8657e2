"""Who trains with a checkpoint: a lock on the file itself, which ends with its process, however that ends.

Each checkpoint is another file of the same name, and locked before it is put there; until the first is
written there is nothing to lock. The lock is POSIX's, which is a process's own: no fork inherits it, and a
run of this process that was broken off is in no other's way. On Windows, which replaces no file that is open,
and on file systems without locks nothing is locked, and nobody is held up.
"""

import errno
import io
import os

from .files import CheckpointError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

IN_USE = "it is in use: another process trains with it"


class LockedFile(io.FileIO):
    """Closed when nobody has it any more, which is no fault: Ctrl-C may come before it is kept."""

    __del__ = io.FileIO.close  # not a function of Python, in which Ctrl-C would be lost


class Hold:
    """Of one run on its checkpoint.

    By Python's files, which may be closed twice: Ctrl-C may come between the closing of one and its being
    forgotten.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._files: list[LockedFile] = []

    def take(self) -> None:
        """Lock the file that is there, if there is one, and no other.

        Raises
        ------
        CheckpointError
            If another process has.
        """
        held = [file for file in self._files if self._is_there(file)]
        if not held:
            n_before = len(self._files)
            self.take_too(self._path)
            held = self._files[n_before:]
        # but not a second one of the same file: to close it would unlock that
        for file in self._files:
            if file not in held:
                file.close()
        self._files = held

    def take_too(self, path: str) -> None:
        """Lock a file that is to be put there, too; errors as of `take`."""
        if fcntl is None:
            return
        try:
            file = LockedFile(path, "r+")
        except OSError:  # there is none yet, or it can only be read: then it is replaced, which takes no more
            return
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise CheckpointError(IN_USE) from None
            return  # a file system without locks
        self._files.append(file)

    def release(self) -> None:
        """Let others train with it."""
        while self._files:
            self._files.pop().close()

    def _is_there(self, file: LockedFile) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self._path))
        except (OSError, ValueError):  # gone, or closed
            return False
