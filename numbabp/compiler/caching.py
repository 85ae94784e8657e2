"""Machine code on disk, for Numba's compilers of both kinds: a file for each kernel, and no index of them.

Numba itself keeps an index for each function, which gives numbers to the files with the machine code of its
signatures and closures. It is read, changed and written without a lock: two processes that compile two sizes
of a specialised kernel at once give both the same number, and the next process loads the one for the other.
And a file that is cut short, or full of zeros, ends every later run. Here a file's name follows from all that
its content depends on; the content says so too, begins with its own digest, and is taken only if both are
right. So processes can't disturb each other: they write different files, or one with machine code of the same
function, in one piece.
"""

import hashlib
import os
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.serialize import dumps

from ..atomic_files import write_atomically
from .sources import digest_of

SUFFIX = ".nbc"
DIGEST_BYTES = hashlib.sha256().digest_size


class KernelFiles:
    """The files of one kernel, with what Numba asks of its `IndexDataCacheFile`: `load`, `save` and `flush`.

    Parameters
    ----------
    folder
        Where they lie.
    name
        What their names begin with: the kernel's, its line's and Python's.
    depends_on
        Digest of its sources, and versions of whatever else the machine code depends on.

    Notes
    -----
    Keys are tuples of strings, and of Numba's types, which their representation tells apart.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str, depends_on: tuple[str, ...]) -> None:
        self._folder, self._name, self._depends_on = Path(folder), name, depends_on
        self._generation = f"{name}.{_digest_of(*depends_on)[:8]}-"
        """What the names of all files begin with that this source can use."""

    def path(self, key: Any) -> Path:
        """The file of a key."""
        return self._folder / f"{self._generation}{_digest_of(repr(key))[:24]}{SUFFIX}"

    def load(self, key: Any) -> Any:
        """What was saved with the key; None if nothing was, or the file is damaged."""
        try:
            content = self.path(key).read_bytes()
        except OSError:
            return None
        digest, pickled = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if hashlib.sha256(pickled).digest() != digest:
            return None
        found = pickle.loads(pickled)
        if not (isinstance(found, tuple) and len(found) == 2 and found[0] == (self._depends_on, key)):
            return None
        return found[1]

    def save(self, key: Any, data: Any) -> None:
        """Write in one piece; what an older source has left of this kernel is removed."""
        pickled = dumps(((self._depends_on, key), data))
        content = hashlib.sha256(pickled).digest() + pickled
        path = self.path(key)
        _make_way(path)
        write_atomically(path, lambda file: file.write(content))
        self._remove(but=self._generation)

    def flush(self) -> None:
        """Remove all files of this kernel."""
        self._remove(but=None)

    def _remove(self, but: str | None) -> None:
        for path in self._folder.glob(f"{self._name}.*"):
            old = path.suffix in (SUFFIX, ".nbi") and not (but and path.name.startswith(but))
            if old:
                path.unlink(missing_ok=True)


def _make_way(path: Path) -> None:
    """Remove what would be kept, at a file's place, when it is replaced: a link, a folder, permissions."""
    if path.is_symlink() or (path.is_file() and not os.access(path, os.R_OK)):
        path.unlink()
    elif path.is_dir():
        path.rmdir()  # if it is empty


def cache_folder(kernel: Any) -> str | None:
    """Where a kernel's machine code is kept on disk, or None if it is compiled in every process."""
    return getattr(getattr(kernel, "_cache", None), "cache_path", None)


def _digest_of(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@cache
def package_cache(numbas: Any, *versions: str, kind: str = "") -> Any:
    """One of Numba's caches, with its files kept by `KernelFiles`.

    Numba looks only at the file that a kernel stands in, and would keep using the old machine code after an
    edit of, say, an activation. And a folder that can't be written must cost time, not raise.

    Parameters
    ----------
    numbas
        `FunctionCache`, or numba-cuda's `CUDACache`.
    versions
        Of other packages than Numba that have a part in the machine code, or what else does.
    kind
        Part of the files' names, where a function is compiled in more than one way.
    """

    class PackageCache(numbas):
        def __init__(self, function: Any) -> None:
            super().__init__(function)
            digest, suffix = digest_of(function)
            name = self._impl.filename_base + suffix + kind
            self._cache_file = KernelFiles(self.cache_path, name, (digest, numba.__version__, *versions))

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            try:
                return super().load_overload(sig, target_context)
            except Exception:  # whatever unpickling may raise, for classes that have changed
                return None

        def save_overload(self, sig: Any, data: Any) -> None:
            try:
                super().save_overload(sig, data)
            except OSError:
                self.disable()
            except RuntimeError:
                # nothing came from LLVM: Ctrl-C fell into its callback, where Python loses it; what is
                # compiled works, and is only not kept
                pass

    return PackageCache
