"""What a command writes: never over what it reads, and no two results into one file."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ...atomic_files import check_writable


def check_outputs(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | None]) -> None:
    """Before anything is read or computed, see whether results can be written where they are to go.

    Parameters
    ----------
    outputs, inputs
        Files by what the command line calls them, such as "--output"; None for those not asked for.

    Raises
    ------
    ValueError
        If a result would replace an input or another result - links and other spellings of a path count - or
        can't be written.
    """
    kept = [(name, path) for name, path in inputs.items() if path is not None]
    for name, path in outputs.items():
        if path is None:
            continue
        check_writable(path)
        for other_name, other in kept:
            if not is_same_file(path, other):
                continue
            if other_name in inputs:
                raise ValueError(
                    f"{name} {path} would replace {other_name} ({other}), which is read; choose another name."
                )
            also = "" if path == other else f" ({other})"
            raise ValueError(f"{name} and {other_name} are the same file, {path}{also}; choose two names.")
        kept.append((name, path))


def is_same_file(a: Path, b: Path) -> bool:
    """Whether two paths are one file, or would be once it is written."""
    try:
        return os.path.samefile(a, b)
    except OSError:  # one of the two is not there
        return _key(a) == _key(b)


def _key(path: Path) -> str:
    """A path without links and other spellings, also of a file that is not there yet."""
    real = os.path.normcase(os.path.realpath(path))
    return real.casefold() if sys.platform == "darwin" else real  # where capitals tell no files apart
