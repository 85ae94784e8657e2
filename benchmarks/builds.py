"""Commits built as users get them: from what git has, as a wheel, without what lies in the working tree.

`build` gives the folder of a commit, to be put on PYTHONPATH; dependencies are those of the interpreter at
hand. A folder appears whole or not at all, and is kept, by the commit's hash, for the next time.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDER = CHECKOUT / ".asv" / "builds"
"""Where builds are kept unless said otherwise; may be deleted at any time."""
PACKAGE = "numbabp"
_ANCESTOR = re.compile(r"(?P<of>.+?)(?:[~^]\d*)+")


class BuildError(Exception):
    """A commit that is not known or does not build; the message says which and why, in one line."""


class NoParentError(BuildError):
    """An ancestor was asked for that is not here."""


def find_commit(revision, repository=CHECKOUT):
    """The full hash of what git calls a revision.

    Raises
    ------
    NoParentError
        If it is an ancestor, as in HEAD~1, of a commit whose parent is not here.
    BuildError
        If there is no such commit.
    """
    found = _resolve(revision, repository)
    if found:
        return found
    ancestor = _ANCESTOR.fullmatch(revision)
    if ancestor and _resolve(ancestor["of"], repository):
        raise NoParentError(
            f"{revision} is not here: {ancestor['of']} is the first commit, or the clone is shallow."
        )
    raise BuildError(
        f"{revision!r} is no commit of {repository}; allowed: a hash, a branch, a tag, or one like HEAD~1."
    )


def is_package_the_same(base, head, repository=CHECKOUT):
    """Whether nothing under the package's folder differs between two commits."""
    done = _git(repository, "diff", "--quiet", base, head, "--", PACKAGE)
    if done.returncode not in (0, 1):
        raise BuildError(f"git diff of {base} and {head} failed: {_last_line(done.stderr)}")
    return done.returncode == 0


def build(revision, folder=FOLDER, repository=CHECKOUT):
    """The package of a commit, installed in a folder of its own.

    Parameters
    ----------
    revision : str
        What git knows a commit by.
    folder : Path
        Where builds are kept, each under its commit's hash.
    repository : Path
        The clone that has the commit.

    Returns
    -------
    Path
        To be put on PYTHONPATH.
    """
    commit = find_commit(revision, repository)
    folder = Path(folder).resolve()
    finished = folder / commit
    if finished.is_dir():
        return finished
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as scratch:
        source, target = Path(scratch, "source"), Path(scratch, "target")
        _check_out(commit, source, repository)
        _install(commit, source, target)
        with contextlib.suppress(OSError):  # another process may have been first
            os.rename(target, finished)
    if not finished.is_dir():
        raise BuildError(f"{finished} could not be made.")
    return finished


def environment_of(build_folder, numba_cache):
    """Environment variables with which an interpreter takes the package from a build."""
    return {
        **os.environ,
        "PYTHONPATH": str(build_folder),
        "NUMBA_CACHE_DIR": str(numba_cache),
        "PYTHONDONTWRITEBYTECODE": "",
    }


def _git(repository, *arguments, **options):
    if shutil.which("git") is None:
        raise BuildError("git is not installed.")
    return subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, **options)


def _resolve(revision, repository):
    done = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}")
    return done.stdout.decode().strip() if done.returncode == 0 else ""


def _check_out(commit, source, repository):
    archive = _git(repository, "archive", "--format=tar", commit)
    if archive.returncode != 0:
        raise BuildError(f"git archive of {commit} failed: {_last_line(archive.stderr)}")
    source.mkdir()
    with tempfile.TemporaryFile() as file:
        file.write(archive.stdout)
        file.seek(0)
        with tarfile.open(fileobj=file) as tar:
            tar.extractall(source, filter="data")


def _install(commit, source, target):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-compile", "--target", str(target)]
    if importlib.util.find_spec("hatchling") is not None:  # then nothing has to be fetched to build
        command.append("--no-build-isolation")
    done = subprocess.run([*command, str(source)], capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise BuildError(f"commit {commit} does not build: {_last_line(done.stderr)}")
    if not (target / PACKAGE / "__init__.py").is_file():
        raise BuildError(f"commit {commit} has no package {PACKAGE}.")


def _last_line(output):
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
