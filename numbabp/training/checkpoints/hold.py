"""Who trains with a checkpoint: a lock on the file itself, which ends with its process, however that ends.

Each checkpoint is another file of the same name, and locked before it is put there; until the first is
written there is nothing to lock. The lock is POSIX's, which is a process's own: no fork inherits it, and a
run of this process that was broken off is in no other's way. On Windows, which replaces no file that is open,
and on file systems without locks nothing is locked, and nobody is held up.
"""

import errno
import os

from .files import CheckpointError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

IN_USE = "it is in use: another process trains with it"


class Hold:
    """Of one run on its checkpoint."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptors: list[int] = []

    def take(self) -> None:
        """Lock the file that is there, if there is one, and no other.

        Raises
        ------
        CheckpointError
            If another process has.
        """
        held = [descriptor for descriptor in self._descriptors if self._is_there(descriptor)]
        if not held:
            n_before = len(self._descriptors)
            self.take_too(self._path)
            held = self._descriptors[n_before:]
        # but not a second one of the same file: to close it would unlock that
        for descriptor in set(self._descriptors) - set(held):
            os.close(descriptor)
        self._descriptors = held

    def take_too(self, path: str) -> None:
        """Lock a file that is to be put there, too; errors as of `take`."""
        if fcntl is None:
            return
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:  # there is none yet, or it can only be read: then it is replaced, which takes no more
            return
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise CheckpointError(IN_USE) from None
            return  # a file system without locks
        self._descriptors.append(descriptor)

    def release(self) -> None:
        """Let others train with it."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except OSError:
            return False

    def __del__(self) -> None:
        self.release()
