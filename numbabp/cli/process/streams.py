"""Standard streams: closed ones, and what is written to them that can't be."""

import errno
import os
import sys
import warnings
from contextlib import suppress
from typing import Any

_CANT_WRITE = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF}


def open_closed_ones() -> None:
    """Let nothing be read from, and everything written to nowhere by, streams that were closed at the start.

    Python has None for them, which most libraries don't expect; and the next file opened would take their
    place, so that what native code prints would end in it.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != descriptor and not _is_open(descriptor):
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
            nowhere = descriptor
        setattr(sys, name, os.fdopen(nowhere, "r" if name == "stdin" else "w", encoding="utf-8"))


def tell(message: str) -> None:
    """Say something on standard error, in a line; also where nobody is left to read it."""
    with suppress(OSError):
        print(f"numbabp: {message}", file=sys.stderr, flush=True)


def tell_warnings() -> None:
    """Say Python's warnings in a line each, from now on, without the line of source that they come from."""

    def show(message: Warning | str, *others: Any, **more: Any) -> None:
        tell(f"warning: {' '.join(str(message).split())}")

    warnings.showwarning = show


def give_up(stream: Any) -> None:
    """Write what is left in a stream's buffer to nowhere, so that the flush at exit doesn't fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def end_streams() -> None:
    """Write what is left in the streams' buffers, to nowhere if it can't be written: last of all.

    Python's own flush at exit would make 120 of the exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            give_up(stream)


def is_of_output(error: OSError) -> bool:
    """Whether it is standard output that can't be written: errors about files name them."""
    return error.filename is None and error.errno in _CANT_WRITE


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
