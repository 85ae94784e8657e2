"""Build commits, install each into an environment that asv keeps, and measure them; all by asv."""

import contextlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from . import history

SUITES = ("__init__.py", "inner_loop.py", "population.py", "start_up.py")
MEASURED = [r"^inner_loop\.", r"^population\..*, 1\)$", r"^start_up\."]
"""What is measured of each commit: asv's regular expressions; on one processor, so with one thread."""
QUICK = [r"^start_up\.StartUp\.track_import$"]


class CannotMeasure(Exception):
    """What is missing, or went wrong, in words for the user."""


def measure(checkout: Path, commits: list[str], quick: bool, keep: bool) -> list[str]:
    """Measure commits with the suites of the work tree; returns those of which a benchmark failed.

    Results are written after each commit, into the history if they are to be kept. A commit's kernels are
    compiled into a cache of its own, so that none runs what was compiled for another.
    """
    machine = history.machine_at_hand(checkout)
    if keep and machine["machine"] != history.MACHINE:
        raise CannotMeasure(
            f"the history is of {history.MACHINE} alone, which benchmarks/history/README.md describes, and "
            f"this is another: {machine['cpu']}, {machine['num_cpu']} processors, {machine['ram']} bytes"
        )
    hashes = _full_hashes(checkout, commits)
    _say_what_is_built(checkout, hashes)
    config = history.configuration(checkout, history.measured(checkout))
    failed = []
    with tempfile.TemporaryDirectory() as name, _prepared(checkout, config, machine, Path(name)):
        for commit in hashes:
            _copy_results(history.kept(checkout), history.measured(checkout), machine["machine"], commit)
            if not _run(config, commit, machine["machine"], Path(name), QUICK if quick else MEASURED):
                failed.append(commit)
            if keep:
                _keep(checkout, machine["machine"], commit)
    return failed


def _copy_results(source: Path, target: Path, machine: str, commit: str) -> None:
    """Copy a commit's results; asv adds to those that it finds, which matters where it measures a part."""
    (target / machine).mkdir(parents=True, exist_ok=True)
    for path in (source / machine).glob(f"{commit[:8]}-*.json"):
        shutil.copy(path, target / machine)


def _full_hashes(checkout: Path, commits: list[str]) -> list[str]:
    """Full hashes of commits, the oldest first."""
    line = history.line_of_commits(checkout)
    wanted = {_full_hash(checkout, commit) for commit in commits}
    if elsewhere := wanted - set(line):
        raise CannotMeasure(
            f"{', '.join(sorted(commit[:8] for commit in elsewhere))}: neither HEAD nor one of its first "
            "parents, of which alone asv draws graphs"
        )
    return [commit for commit in line if commit in wanted]


def _full_hash(checkout: Path, commit: str) -> str:
    try:
        return history.git(checkout, "rev-parse", "--verify", f"{commit}^{{commit}}")
    except history.NoHistory:
        raise CannotMeasure(f"--measure {commit}: git knows no such commit") from None


def _say_what_is_built(checkout: Path, hashes: list[str]) -> None:
    for commit in hashes:
        print(f"Building {history.git(checkout, 'log', '-1', '--format=%h %s', commit)}")
    changed = history.git(checkout, "status", "--porcelain", "--", "numbabp", "pyproject.toml").splitlines()
    if changed:
        print(f"Not measured, for they are in no commit: changes of {len(changed)} files of the work tree")


@contextlib.contextmanager
def _prepared(checkout: Path, config, machine: dict, folder: Path):
    """What asv takes from its surroundings: the suites, the machine's description, one processor."""
    if importlib.util.find_spec("virtualenv") is None:
        raise CannotMeasure("virtualenv is missing, by which asv makes environments: pip install virtualenv")
    suites = folder / "benchmarks"
    suites.mkdir()
    for name in SUITES:
        shutil.copy(checkout / "benchmarks" / name, suites)
    config.benchmark_dir = str(suites)
    description = {machine["machine"]: machine, "version": 1}
    (folder / "machine.json").write_text(json.dumps(description), encoding="utf-8")
    # asv takes the first interpreter of this version that it finds, and the folder for the project's
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    cache = str(folder / "numba")
    with contextlib.chdir(checkout), _environment(PATH=path, NUMBA_CACHE_DIR=cache), _one_processor():
        yield


def _run(config, commit: str, machine: str, folder: Path, bench: list[str]) -> bool:
    """Whether every benchmark of the commit ran."""
    from asv.commands.run import Run
    from asv.util import ProcessError, UserError

    shutil.rmtree(folder / "numba", ignore_errors=True)
    try:
        status = Run.run(
            config,
            range_spec=[commit],
            bench=bench,
            show_stderr=True,
            machine=machine,
            _machine_file=str(folder / "machine.json"),
            pull=False,
        )
    except (UserError, ProcessError) as error:
        raise CannotMeasure(f"asv could not measure {commit[:8]}: {error}") from None
    return not status


def _keep(checkout: Path, machine: str, commit: str) -> None:
    source, target = history.measured(checkout), history.kept(checkout)
    _copy_results(source, target, machine, commit)
    shutil.copy(source / machine / "machine.json", target / machine)
    shutil.copy(source / "benchmarks.json", target)


@contextlib.contextmanager
def _one_processor():
    """Keep this process and its children on one processor, where the system lets them."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextlib.contextmanager
def _environment(**variables: str):
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
