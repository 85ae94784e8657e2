"""Bytes that pass by: of a file, a pipe or standard input, compressed or not; never all of them in memory."""

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..columns import TableError
from ..files.sources import STANDARD_INPUT, Source

PART_BYTES = 1 << 20
"""Read at a time: some thousand rows, which stay in the processor's cache."""
_GZIP = b"\x1f\x8b"


class Flow:
    """A file whose beginning is looked at before it is read, once if it is no regular file.

    Parameters
    ----------
    path : str or path-like
        `-` is standard input.

    Attributes
    ----------
    name : str
        What messages call it.
    head : bytes
        What has been looked at, uncompressed.
    is_whole : bool
        Whether that is all.
    comes_again : bool
        Whether it can be read more than once.

    Raises
    ------
    TableError
        If it can't be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.name = "standard input" if self.path == STANDARD_INPUT else self.path
        self.head = b""
        self.is_whole = False
        self.comes_again = self._is_regular()
        self._file: BinaryIO | None = self._opened()

    def look(self, n_bytes: int) -> None:
        """Have at least so many bytes in `head`, or all there are; only before they are read."""
        assert self._file is not None
        if len(self.head) < n_bytes and not self.is_whole:
            part = self._read(self._file, n_bytes - len(self.head))
            self.head += part
            self.is_whole = not part or len(self.head) < n_bytes

    def source(self, content: bytes | None = None) -> Source:
        """What has been looked at, or has been made of it, for those that read whole files."""
        return Source.of_bytes(self.path, self.name, self.head if content is None else content)

    def parts(self) -> Iterator[bytes]:
        """All bytes, from the first one on.

        Raises
        ------
        TableError
            If it is damaged or can't be read, or passes by once and has done so.
        """
        if self._file is None and not self.comes_again:
            raise TableError(f"{self.name} passes by once and can't be read again.")
        file, self._file = self._file, None
        if file is None:
            file = self._opened()
        elif self.head:
            yield self.head
        with file:
            while part := self._read(file, PART_BYTES):
                yield part

    def _is_regular(self) -> bool:
        try:
            mode = os.fstat(0).st_mode if self.path == STANDARD_INPUT else os.stat(self.path).st_mode
        except FileNotFoundError:
            raise TableError(f"{self.name}: there is no such file.") from None
        except OSError as error:
            raise TableError(f"{self.name}: {error.strerror or error}.") from None
        if stat.S_ISDIR(mode):
            raise TableError(f"{self.name}: is a folder, not a file.")
        return stat.S_ISREG(mode) and self.path != STANDARD_INPUT

    def _opened(self) -> BinaryIO:
        """A file of its bytes, uncompressed."""
        try:
            # without a buffer of Python's, whose lock a thread that waits for input would hold at the end
            is_input = self.path == STANDARD_INPUT
            raw: Any = io.FileIO(0 if is_input else self.path, "rb", closefd=not is_input)
            first = _read_full(raw, len(_GZIP))
            raw = _Again(first, raw)
            return gzip.GzipFile(fileobj=raw) if first == _GZIP else raw  # type: ignore[return-value]
        except OSError as error:
            raise TableError(f"{self.name}: {error.strerror or error}.") from None

    def _read(self, file: BinaryIO, n_bytes: int) -> bytes:
        """So many bytes, fewer only at the end."""
        try:
            return _read_full(file, n_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TableError(f"{self.name}: damaged, it can't be uncompressed: {error}.") from None
        except OSError as error:
            raise TableError(f"{self.name}: {error.strerror or error}.") from None


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

    def close(self) -> None:
        self._rest.close()
        super().close()


def _read_full(file: Any, n_bytes: int) -> bytes:
    """Read until there are so many, as pipes give few at a time."""
    parts, n = [], 0
    while n < n_bytes and (part := file.read(n_bytes - n)):
        parts.append(part)
        n += len(part)
    return b"".join(parts)
