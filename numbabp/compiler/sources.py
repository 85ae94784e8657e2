"""Which source files a kernel's machine code depends on, and their digest.

Kernels are made of three folders alone: nothing in these imports from elsewhere in the package but how files
are written. A kernel depends on its own module, on what that imports, and so on; it does not matter whether
an import stands at the head of a file or within a function. So an edit elsewhere recompiles nothing, and one
of `kernels/tiny/train.py` the tiny kernel alone.

What a kernel is closed over counts as well: a factory may be given functions of modules that its own does not
know, such as those that `cuda.population` puts together. Numbers that it is closed over have a part in
Numba's key, wherever they come from.

Imports are looked for in the text, which takes a tenth of the time that parsing does.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

FOLDERS = ("compiler", "functions", "kernels")
PACKAGE = __name__.split(".")[:-2]
ROOT = str(Path(os.path.abspath(__file__)).parents[1])

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+(\((?:[^)#]|#.*)*\)|.*)|import[ \t]+(.*))", re.MULTILINE
)
_COMMENT = re.compile(r"#.*")
_NAME = re.compile(r"([\w.]+)(?:[ \t]+as[ \t]+\w+)?")


def digest_of(function: Any) -> tuple[str, str]:
    """Digest of all sources that a kernel's machine code follows from, and what to call it beside its name.

    Parameters
    ----------
    function
        What is to be compiled.

    Returns
    -------
    digest : str
    suffix : str
        Names the modules that the kernel's own does not import: kernels that a factory makes of functions of
        other modules are as many different ones.

    Raises
    ------
    OSError
        If the source of one can't be read.
    """
    return _digest_of_all(tuple(dict.fromkeys(map(_source_of, _functions_in(function)))))


@cache
def _digest_of_all(paths: tuple[str, ...]) -> tuple[str, str]:
    """What `digest_of` returns, from the file of a kernel and those of what it is closed over."""
    compiling = os.path.join(ROOT, "compiler", "compiling.py")  # also for kernels that others define
    files = _all_of((paths[0], compiling))
    foreign = [path for path in paths if path not in files]
    digest = hashlib.sha256()
    for path in sorted(files | _all_of(foreign)):
        digest.update(_scan(path)[0])
    return digest.hexdigest(), "".join(sorted(f"-{Path(path).stem}" for path in foreign))


def _functions_in(value: Any) -> Iterator[FunctionType]:
    """A function, those that it is closed over, and so on."""
    pending, seen = [value], set()
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, FunctionType):
            yield value
            pending += [cell.cell_contents for cell in value.__closure__ or ()]
        elif isinstance(value, (tuple, list)):
            pending += value
        else:  # Numba's own kinds of functions
            pending += [getattr(value, name) for name in ("py_func", "_defn") if hasattr(value, name)]


def _source_of(function: FunctionType) -> str:
    """The file of a function's module."""
    parts = function.__module__.split(".")
    found = _file_of(parts[len(PACKAGE) :]) if parts[: len(PACKAGE)] == PACKAGE else None
    return found or os.path.abspath(function.__code__.co_filename)


def _all_of(paths: Iterable[str]) -> frozenset[str]:
    """Files, what they import of the folders that kernels are made of, and so on."""
    pending, found = [*paths], set()
    while pending:
        path = pending.pop()
        if path not in found:
            found.add(path)
            pending += _scan(path)[1]
    return frozenset(found)


@cache
def _scan(path: str) -> tuple[bytes, tuple[str, ...]]:
    """Digest of a file's name and content, and the files of the folders that it imports itself."""
    content = Path(path).read_bytes()
    package: list[str] = []
    imported: list[str] = []
    name = os.path.basename(path)
    if path.startswith(ROOT + os.sep):
        name = path[len(ROOT) + 1 :]
        package = name.split(os.sep)[:-1]
        if package and package[0] in FOLDERS:  # a package is imported with whatever lies in it
            imported += filter(None, (_file_of(package[:n]) for n in range(1, len(package) + 1)))
    for source, names, modules in _IMPORT.findall(content.decode()):
        if source:
            imported += _files_of(source, names, package)
        else:
            for module in _NAME.findall(_COMMENT.sub("", modules)):
                imported += _files_of(module, "", package)
    digest = hashlib.sha256(name.replace(os.sep, "/").encode() + b"\0" + content).digest()
    return digest, tuple(imported)


def _files_of(source: str, names: str, package: list[str]) -> Iterator[str]:
    """The files, if of the folders, that `from source import names` in a module of `package` runs."""
    module = source.lstrip(".")
    parts = module.split(".") if module else []
    level = len(source) - len(module)
    if level:
        parts = package[: len(package) - level + 1] + parts
    elif parts[: len(PACKAGE)] == PACKAGE:
        parts = parts[len(PACKAGE) :]
    else:
        return
    if parts and parts[0] not in FOLDERS:
        return
    found = _file_of(parts) if parts else None
    if found:
        yield found
    if found is None or found.endswith("__init__.py"):  # names may be modules of a package
        for name in _NAME.findall(_COMMENT.sub("", names)):
            module_file = _file_of([*parts, name]) if [*parts, name][0] in FOLDERS else None
            if module_file:
                yield module_file


def _file_of(parts: list[str]) -> str | None:
    """The file of a module or package, if there is one."""
    return _file_named(os.path.join(ROOT, *parts))


@cache
def _file_named(stem: str) -> str | None:
    for path in (f"{stem}.py", os.path.join(stem, "__init__.py")):
        if os.path.isfile(path):
            return path
    return None
