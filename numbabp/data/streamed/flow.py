"""Bytes that pass by: of files, a pipe or standard input, compressed or not; never all of them in memory."""

import codecs
import gzip
import io
import os
import select
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..columns import TableError
from ..files.sources import STANDARD_INPUT, Source

PART_BYTES = 1 << 20
"""Read at a time: some thousand rows, which stay in the processor's cache."""
PATIENCE_SECONDS = 0.05
"""So long a part of what comes through a pipe waits for more."""
_GZIP = b"\x1f\x8b"


class Flow:
    """Bytes whose beginning is looked at before they are read.

    Parameters
    ----------
    path, name : str
        Where they are from, and what messages call that.
    parts : callable
        Gives them from the first one on, uncompressed.
    comes_again : bool
        Whether it can be called more than once.

    Attributes
    ----------
    head : bytes
        What has been looked at.
    is_whole : bool
        Whether that is all.
    """

    def __init__(
        self, path: str, name: str, parts: Callable[[], Iterator[bytes]], comes_again: bool = True
    ) -> None:
        self.path, self.name, self.comes_again = path, name, comes_again
        self.head, self.is_whole = b"", False
        self._parts = parts
        self._rest: Iterator[bytes] | None = parts()

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> "Flow":
        """Of a file, a pipe or with `-` of standard input.

        Raises
        ------
        TableError
            If it is not there.
        """
        path = os.fspath(path)
        name = "standard input" if path == STANDARD_INPUT else path
        return cls(path, name, lambda: _parts_of(path, name), _is_regular(path, name))

    @classmethod
    def of_files(cls, folder: str, paths: Sequence[str], have_header: bool) -> "Flow":
        """Of files that begin with the same line, which comes once; or of files without such a line."""
        return cls(folder, folder, lambda: _joined(paths, have_header))

    def look(self, n_bytes: int) -> None:
        """Have at least so many bytes in `head`, or all there are; only before they are read."""
        assert self._rest is not None
        while len(self.head) < n_bytes and not self.is_whole:
            part = next(self._rest, b"")
            self.head += part
            self.is_whole = not part

    def source(self, content: bytes | None = None) -> Source:
        """What has been looked at, or has been made of it, for those that read whole files."""
        return Source.of_bytes(self.path, self.name, self.head if content is None else content)

    def parts(self) -> Iterator[bytes]:
        """All bytes, from the first one on.

        Raises
        ------
        TableError
            If they are damaged or can't be read, or pass by once and have done so.
        """
        rest, self._rest = self._rest, None
        if rest is None:
            if not self.comes_again:
                raise TableError(f"{self.name} passes by once and can't be read again.")
            rest = self._parts()
        else:
            head, self.head = self.head, b""
            if head:
                yield head
        yield from rest


def _is_regular(path: str, name: str) -> bool:
    if path == STANDARD_INPUT:
        return False
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        raise TableError(f"{name}: there is no such file.") from None
    except OSError as error:
        raise TableError(f"{name}: {error.strerror or error}.") from None


def _parts_of(path: str, name: str) -> Iterator[bytes]:
    """Of a file, uncompressed."""
    is_input = path == STANDARD_INPUT
    try:
        # without a buffer of Python's, whose lock a thread that waits for input would hold at the end
        with io.FileIO(0 if is_input else path, "rb", closefd=not is_input) as raw:
            first = _read_full(raw, len(_GZIP))
            if first != _GZIP and not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
                yield first
                while part := _read_what_comes(raw, PART_BYTES):
                    yield part
                return
            file: Any = _Again(first, raw)
            if first == _GZIP:
                file = gzip.GzipFile(fileobj=file)
            while part := _read_full(file, PART_BYTES):
                yield part
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TableError(f"{name}: damaged, it can't be uncompressed: {error}.") from None
    except OSError as error:
        raise TableError(f"{name}: {error.strerror or error}.") from None


def _joined(paths: Sequence[str], have_header: bool) -> Iterator[bytes]:
    """Of files one behind the other."""
    header: bytes | None = None
    for path in paths:
        last = b"\n"
        is_start = True
        for part in _parts_of(path, path):
            if is_start:
                part = part.removeprefix(codecs.BOM_UTF8)
                if have_header:
                    own, _, rest = part.partition(b"\n")
                    own = own.rstrip(b"\r")
                    if header is not None and own != header:
                        shown = own[:80].decode(errors="replace")
                        raise TableError(
                            f"{path}: begins with {shown!r}, not with the header of {paths[0]}; files of a "
                            "folder must have the same columns."
                        )
                    part = part if header is None else rest
                    header = own
                is_start = False
            if part:
                yield part
                last = part[-1:]
        if last != b"\n":
            yield b"\n"


class _Again(io.RawIOBase):
    """A file that can't go back, with bytes that have been read from it before it."""

    def __init__(self, first: bytes, rest: Any) -> None:
        self._first, self._rest = first, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n = min(len(self._first), len(buffer))
        if not n:
            return int(self._rest.readinto(buffer) or 0)
        buffer[:n], self._first = self._first[:n], self._first[n:]
        return n


def _read_what_comes(file: Any, n_bytes: int) -> bytes:
    """Read until there are so many, or nothing more comes for a while: who writes a pipe may wait, too."""
    part = file.read(n_bytes)
    parts, n = [part], len(part)
    while part and n < n_bytes and _is_ready(file):
        part = file.read(n_bytes - n)
        parts.append(part)
        n += len(part)
    return b"".join(parts)


def _is_ready(file: Any) -> bool:
    """Whether there is more to read soon; not where that can't be told, as of pipes on Windows."""
    try:
        return bool(select.select([file], [], [], PATIENCE_SECONDS)[0])
    except (OSError, ValueError):
        return False


def _read_full(file: Any, n_bytes: int) -> bytes:
    """Read until there are so many, as pipes give few at a time."""
    parts, n = [], 0
    while n < n_bytes and (part := file.read(n_bytes - n)):
        parts.append(part)
        n += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
