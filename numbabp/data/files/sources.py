"""Where a table's bytes come from: a file, compressed or not, a pipe, or standard input."""

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from ..columns import TableError

STANDARD_INPUT = "-"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Source:
    """Bytes that can be read again and again.

    Attributes
    ----------
    path : str
        As it was given.
    name : str
        What messages call it.
    head : bytes
        The first of them, uncompressed.
    """

    path: str
    name: str
    head: bytes
    _content: bytes | None
    _is_compressed: bool

    @classmethod
    def of(cls, path: str | os.PathLike[str], head_bytes: int = 1 << 16) -> "Source":
        """Look at the first bytes; what is no regular file is read here, and once.

        Raises
        ------
        TableError
            If there is no such file, or nothing in it.
        """
        path = os.fspath(path)
        name = "standard input" if path == STANDARD_INPUT else path
        content = _piped(path, name)
        source = cls(path, name, b"", content, False)
        with source.opened() as file:
            is_compressed = file.read(2) == _GZIP
        source = cls(path, name, b"", content, is_compressed)
        with source.opened() as file:
            head = file.read(head_bytes)
        if not head:
            raise TableError(f"{name}: the file is empty.")
        return cls(path, name, head, content, is_compressed)

    @classmethod
    def of_bytes(cls, path: str, name: str, content: bytes, head_bytes: int = 1 << 16) -> "Source":
        """Bytes that are there already and uncompressed, the beginning of a file say."""
        return cls(path, name, content[:head_bytes], content, False)

    @property
    def n_bytes(self) -> int:
        """How many there are, compressed if they are."""
        return os.path.getsize(self.path) if self._content is None else len(self._content)

    @property
    def suffix(self) -> str:
        """The ending of its name in lower case, without that of a compressed file."""
        path = Path(self.path)
        return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """A file of its bytes, uncompressed.

        Raises
        ------
        TableError
            If it can't be opened or read, or is damaged.
        """
        try:
            with open(self.path, "rb") if self._content is None else io.BytesIO(self._content) as raw:
                yield gzip.GzipFile(fileobj=raw) if self._is_compressed else raw  # type: ignore[misc]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TableError(f"{self.name}: damaged, it can't be uncompressed: {error}.") from None
        except OSError as error:
            raise TableError(f"{self.name}: {error.strerror or error}.") from None

    @contextmanager
    def opened_as_text(self, encoding: str) -> Iterator[IO[str]]:
        """A file of its text, with ends of lines as they are."""
        with self.opened() as file:
            yield io.TextIOWrapper(file, encoding=encoding, newline="")


def _piped(path: str, name: str) -> bytes | None:
    """All that a pipe gives; None for a regular file."""
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            return None
        if stat.S_ISDIR(mode):
            raise TableError(f"{name}: is a folder, not a file.")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise TableError(f"{name}: there is no such file.") from None
    except OSError as error:
        raise TableError(f"{name}: {error.strerror or error}.") from None
