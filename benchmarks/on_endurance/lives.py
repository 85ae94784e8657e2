"""Runs that are killed again and again until they end, and what must be true of them then.

    python -m benchmarks.on_endurance.lives --kills 100 [--cold] [--seed 0] [CASE ...]

Prints JSON: how many kills at what the runs were at, and each failure. With --cold the cache folder,
NUMBA_CACHE_DIR, is emptied before every run.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from numbabp.compiler.caching import DIGEST_BYTES
from numbabp.training.checkpoints import files

from .cases import CASES
from .failure import Failure
from .starting import Phase, Start, prepare

FRESH = 0.1
"""Share of the starts of a whole new Python."""
LONGEST_SECONDS = 300.0
SHARE = 0.6
"""A start lives for a time between none and this part of what a run takes."""
MOMENTS = ("any", "any", "training", "training", "writing")
"""From when on that time is counted: the start, or the first slice; or none is: a file is half written."""


class Subject:
    """A case, what comes of it when nobody disturbs it, and how long it takes.

    Parameters
    ----------
    name
        Of the case.
    cache
        Folder of machine code, to be emptied before every run; None if it is to be kept.
    """

    def __init__(self, name, cache=None):
        self.name, self.cache = name, cache
        self.expected = self._undisturbed(None)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            self._undisturbed(Path(folder))  # compiles
            self.begin()
            began = time.monotonic()
            found = self._undisturbed(Path(folder) / "again")
        self.seconds = time.monotonic() - began
        if found != self.expected:
            raise Failure(f"{name}: a run with checkpoints ends otherwise than one without")

    def _undisturbed(self, folder):
        """A digest; without a checkpoint if there is no folder."""
        with tempfile.TemporaryDirectory() as other:
            path = None
            if folder is not None:
                folder.mkdir(exist_ok=True)
                path = folder / "run"
            return finished(Start(self.name, path, Path(other) / "phase", False))

    def begin(self):
        """As if nothing had ever been compiled, if that is wanted."""
        if self.cache is not None:
            for each in self.cache.iterdir():
                remove(each)


def remove(path):
    if path.is_dir() and not path.is_symlink():
        for each in path.iterdir():
            remove(each)
    else:
        path.unlink()


def finished(start):
    """The digest of a start that is left alone."""
    if not start.wait(LONGEST_SECONDS):
        start.kill()
        raise Failure(f"it did not end in {LONGEST_SECONDS:.0f} s: {start.said}")
    if start.digest is None:
        raise Failure(f"it failed: {start.said}")
    return start.digest


def parts(path):
    """Files of a checkpoint, which may be a folder."""
    return [each for each in sorted(path.rglob("*")) if each.is_file()] if path.is_dir() else [path]


def progress(path):
    """How far the checkpoint has come, all of which must be readable; nothing if there is none."""
    arrays = {}
    for each in parts(path) if path.exists() else ():
        if each.suffix == ".tmp":
            continue
        try:
            arrays = files.read(each).standing.arrays
        except Exception as error:
            raise Failure(f"{each.name} can't be read: {error!r}") from error
    if not arrays or path.is_dir():  # whose parts come and go
        return (0,)
    if "position" in arrays:
        return tuple(arrays["position"][:2].tolist())
    return (int(arrays["n_epochs"].sum()),)


def live(subject, folder, draw, kills):
    """Kill and start a run until it ends; `kills` counts at what it was. Returns the number of starts."""
    subject.begin()
    path, phase = folder / "run", folder.with_name("phase")
    most, n_starts, in_vain, last, content = SHARE * subject.seconds, 0, 0, (0,), ""
    while True:
        n_starts += 1
        is_fresh = draw.random() < FRESH
        start = Start(subject.name, path, phase, is_fresh)
        if waited(start, draw, most + is_fresh * fresh_seconds(), phase, folder):
            break
        start.kill()
        if start.digest is not None:
            break
        kills[at(start.process, phase, [folder, subject.cache])] += 1
        if start.said and "compiling what is not" not in start.said:
            raise Failure(f"it complained: {start.said}")
        now = progress(path)
        if now < last:
            raise Failure(f"it went back from {last} to {now}")
        content, before = digest_of(path), content
        in_vain = in_vain + 1 if content == before else 0
        if in_vain % 5 == 4:  # on a machine that is busy
            most *= 1.5
        last = now
    check_end(subject, folder, start)
    return n_starts


def waited(start, draw, most, phase, folder):
    """Wait for a moment to kill it; True if it has ended before."""
    moment = draw.choice(MOMENTS)
    until = time.monotonic() + most
    while moment != "any" and Phase(phase).get() in ("starting", "compiling") and time.monotonic() < until:
        if start.wait(0.002):
            return True
    if moment == "writing":
        while not halves(start.process, [folder]) and time.monotonic() < until:
            if start.wait(0.0005):
                return True
        return False
    return start.wait(draw.uniform(0, most))


def halves(process, folders):
    """What a process has begun to write, but not put into place."""
    mark = f"-{process}-"
    return [left for folder in folders for left in folder.rglob(".*.tmp") if mark in left.name]


def at(process, phase, folders):
    """What a process was at when it was killed."""
    mark = f"-{process}-"
    for folder in filter(None, folders):
        if any(mark in left.name for left in folder.rglob(".*.tmp")):
            return "writing"

    return Phase(phase).get()


def check_end(subject, folder, start):
    """What must be true once a run has ended."""
    if start.digest is None:
        raise Failure(f"it failed: {start.said}")
    if start.digest != subject.expected:
        raise Failure(f"it ended with {start.digest} instead of {subject.expected}")
    names, wanted = sorted(os.listdir(folder)), sorted(["run", *CASES[subject.name].leaves])
    if names != wanted:
        raise Failure(f"{names} are there in the end instead of {wanted}")
    whole = digest_of(folder / "run")
    if finished(Start(subject.name, folder / "run", folder.with_name("phase"), False)) != subject.expected:
        raise Failure("started once more, it returns something else")
    if digest_of(folder / "run") != whole:
        raise Failure("started once more, it changes its checkpoint")
    if subject.cache is not None:
        check_cache(subject.cache)


def check_cache(folder):
    """Nothing is left over among the machine code, and all of it is whole."""
    for path in folder.rglob("*"):
        if path.name.endswith(".tmp"):
            raise Failure(f"{path.name} is left over in the cache folder")
        if path.is_file() and path.suffix == ".nbc":
            content = path.read_bytes()
            if hashlib.sha256(content[DIGEST_BYTES:]).digest() != content[:DIGEST_BYTES]:
                raise Failure(f"{path.name} is not whole")


def digest_of(path):
    """Of all files of a checkpoint; of none if it is not there."""
    result = hashlib.sha256()
    for each in parts(path) if path.exists() else ():
        result.update(each.name.encode() + each.read_bytes())
    return result.hexdigest()


_fresh_seconds = []


def fresh_seconds():
    """What a whole new Python takes to import all that is needed."""
    if not _fresh_seconds:
        began = time.monotonic()
        os.spawnv(
            os.P_WAIT, sys.executable, [sys.executable, "-c", "from benchmarks.on_endurance import lives"]
        )
        _fresh_seconds.append(time.monotonic() - began)
    return _fresh_seconds[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="by default all")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cold", action="store_true", help="empty the cache folder before every run")
    arguments = parser.parse_args()
    prepare()
    cache = Path(os.environ["NUMBA_CACHE_DIR"]) if arguments.cold else None
    report = lived(arguments.cases or list(CASES), arguments.kills, random.Random(arguments.seed), cache)
    print(json.dumps(report))
    return 1 if report["failures"] else 0


def lived(names, n_kills, draw, cache=None):
    """Lives of cases, in turns, until there were so many kills."""
    kills, failures, subjects = Counter(), [], {}
    n_lives = n_starts = turn = 0
    names = draw.sample(names, len(names))
    while sum(kills.values()) < n_kills and len(failures) < 10:
        name = names[turn % len(names)]
        turn += 1
        folder = Path(tempfile.mkdtemp(prefix="endurance-"))
        try:
            if name not in subjects:
                subjects[name] = Subject(name, cache)
            (folder / "kept").mkdir()
            n_starts += live(subjects[name], folder / "kept", draw, kills)
            n_lives += 1
        except Failure as failure:
            failures.append(f"{name}: {failure} ({folder} is kept)")
        else:
            shutil.rmtree(folder)
        print(f"{turn}: {name}, {sum(kills.values())} kills", file=sys.stderr, flush=True)
    return {
        "kills": dict(kills),
        "lives": n_lives,
        "starts": n_starts,
        "cases": len(subjects),
        "failures": failures,
    }


if __name__ == "__main__":
    sys.exit(main())
