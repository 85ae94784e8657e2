"""Machine code on disk that is damaged, and processes that compile at once into one folder.

    python -m benchmarks.on_endurance.caches [--damages 1] [--races 20] [--seed 0] [--cases NAME ...]

NUMBA_CACHE_DIR must name a folder that may be emptied. Prints JSON: how often each kind of damage was tried,
the races, and each failure.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from numbabp.compiler import caching
from numbabp.compiler.compiling import kernel

from .cases import CASES, Case, digest
from .failure import Failure
from .lives import check_cache, finished, remove
from .starting import Start, prepare

NOBODY = 65534
SMALL = "small kernels"
N_SMALL = 4


def small_kernels(path):
    """A digest of what kernels of one source and of some sizes find."""
    return digest(*(stored(n) for n in range(N_SMALL)))


def stored(n):
    def store(out):
        for i in range(len(out)):
            out[i] = n + i

    out = np.zeros(3)
    kernel(store)(out)
    return out


CASES[SMALL] = Case(small_kernels)


def changed(change):
    """Damage of a file's content."""
    return lambda path, others, draw: path.write_bytes(change(path.read_bytes(), draw))


def bit_flipped(content, draw):
    at = draw.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]


def swapped(path, others, draw):
    """The contents of two files; of its own place if there is no other."""
    other = draw.choice(others or [path])
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def of_another_version(content, draw):
    """Whole, and signed, as another version of what it depends on would have left it."""
    pickled = caching.dumps(((("another", "version"), "key"), "data"))
    return caching.hashlib.sha256(pickled).digest() + pickled


def a_folder(path, others, draw):
    path.unlink()
    path.mkdir()


def a_link_to_nowhere(path, others, draw):
    path.unlink()
    path.symlink_to(path.parent / "absent" / "file")


def the_folder_is_gone(path, others, draw):
    shutil.rmtree(path.parent)


def an_index_beside(path, others, draw):
    """Numba's own, of which there is none here, and which is wrong."""
    path.with_name(path.stem.rpartition(".")[0] + ".nbi").write_bytes(draw.randbytes(100))
    path.unlink()


DAMAGE = {
    "zeros": changed(lambda content, draw: bytes(len(content))),
    "cut short": changed(lambda content, draw: content[: draw.randrange(len(content))]),
    "a bit": changed(bit_flipped),
    "empty": changed(lambda content, draw: b""),
    "swapped": swapped,
    "another version": changed(of_another_version),
    "a folder": a_folder,
    "no permission": lambda path, others, draw: path.chmod(0),
    "a link to nowhere": a_link_to_nowhere,
    "no folder": the_folder_is_gone,
    "a strange index": an_index_beside,
    "missing": lambda path, others, draw: path.unlink(),
    "garbage": changed(lambda content, draw: draw.randbytes(len(content))),
}


class Cache:
    """A folder of machine code, and runs that use it.

    Root may read everything: where the folder is root's, it is given to nobody, who then runs.
    """

    def __init__(self, folder, scratch):
        self.folder, self._phase = folder, scratch / "phase"
        self._user = NOBODY if os.geteuid() == 0 else None
        self._expected = {}

    def files(self):
        return sorted(self.folder.rglob("*.nbc"))

    def empty(self):
        for each in self.folder.iterdir():
            remove(each)

    def start(self, name):
        for each in [self.folder, *self.folder.rglob("*")]:
            if self._user is not None:
                os.chown(each, self._user, self._user, follow_symlinks=False)
        return Start(name, None, self._phase, False, self._user)

    def run(self, name):
        """Run a case; how much it had to compile."""
        return self.check(name, self.start(name))

    def check(self, name, start):
        """What came of a start, which must be what came of the first one; how much it compiled."""
        found = finished(start)
        if found != self._expected.setdefault(name, found):
            raise Failure(f"{name} finds {found} instead of {self._expected[name]}")
        n, said = start.compiled_and_said
        if said and "compiling what is not" not in said:
            raise Failure(f"{name} complains: {said}")
        return n

    def check_whole(self, name, names):
        """All of it is there again, and nothing has to be compiled."""
        missing = set(names) - {path.name for path in self.files() if path.is_file()}
        if missing:
            raise Failure(f"{missing} are not replaced")
        check_cache(self.folder)
        if n := self.run(name):
            raise Failure(f"{n} kernels had to be compiled once more")


def damaged(cache, name, kind, draw):
    """Damage a file of a case, run it twice, and look."""
    cache.empty()
    cache.run(name)
    paths = cache.files()
    path = draw.choice(paths)
    DAMAGE[kind](path, [other for other in paths if other != path], draw)
    n = cache.run(name)
    if n == 0 and not (kind == "swapped" and len(paths) == 1):
        raise Failure("it was not noticed")
    cache.check_whole(name, [path.name for path in paths])


def raced(cache, name, n_racers, is_damaged, draw):
    """Let processes compile at once, in a folder that is empty or has damaged files."""
    paths = cache.files() if is_damaged else []
    if not is_damaged:
        cache.empty()
    for path in paths:
        kinds = [kind for kind in DAMAGE if kind not in ("no folder", "swapped", "no permission")]
        DAMAGE[draw.choice(kinds)](path, [], draw)
    starts = [cache.start(name) for _ in range(n_racers)]
    for start in starts:
        cache.check(name, start)
    cache.check_whole(name, [path.name for path in paths])


def all_of(n_damages, n_races, names, draw, folder):
    """Damages of each kind, and races; a report."""
    tried, failures, n_raced = Counter(), [], 0
    scratch = Path(tempfile.mkdtemp(prefix="endurance-"))
    cache = Cache(folder, scratch)
    for name in names:
        cache.empty()
        cache.run(name)
        for kind in [kind for kind in DAMAGE for _ in range(n_damages)]:
            try:
                damaged(cache, name, kind, draw)
            except Failure as failure:
                failures.append(f"{name}, {kind}: {failure}")
            tried[kind] += 1
            print(f"{name}, {kind}", file=sys.stderr, flush=True)
    last = None
    for i in range(n_races):
        # one of ten is of kernels of the package
        name = draw.choice(names) if i % 10 == 9 else SMALL
        try:
            raced(cache, name, draw.randint(2, 4), last == name and i % 3 == 0, draw)
        except Failure as failure:
            failures.append(f"race {i} of {name}: {failure}")
        last, n_raced = name, n_raced + 1
        print(f"race {i} of {name}", file=sys.stderr, flush=True)
    shutil.rmtree(scratch)
    return {"damages": dict(tried), "races": n_raced, "cases": list(names), "failures": failures}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", nargs="*", default=[SMALL, "sequential"], metavar="NAME")
    parser.add_argument("--damages", type=int, default=1, help="of each kind, for each case")
    parser.add_argument("--races", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    prepare()
    folder, draw = Path(os.environ["NUMBA_CACHE_DIR"]), random.Random(arguments.seed)
    report = all_of(arguments.damages, arguments.races, arguments.cases, draw, folder)
    print(json.dumps(report))
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
