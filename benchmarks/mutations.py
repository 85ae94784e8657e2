"""Files that are damaged at random: each is read, or refused in one line with an error that commands report.

    python benchmarks/mutations.py [--n 2000] [--seed 0] [KIND ...]

Kinds are endings of tables, read as `numbabp train` and `numbabp predict` read them, and what numbabp writes:
model, network, population and checkpoint, each of which goes through every loader there is, and is predicted
with or gone on from. In every second one of those, digests are taken to be right, for damage to get
past them. Whatever else is raised, said in several lines, or takes longer than `MOST_SECONDS`
or more memory than `MOST_BYTES`, is printed with the seed that shows it again. Not an asv suite.
"""

import argparse
import json
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import numbabp as nbp
from numbabp import loading, storage, tensor_files
from numbabp.cli.parameters import Source, Task
from numbabp.data.files.reading import Reading
from numbabp.data.predictions import columns_of
from numbabp.data.split import Split
from numbabp.data.table_model import TableWarning, load, load_table_model
from numbabp.training.checkpoints import files

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import undamaged

MOST_SECONDS = 20.0
MOST_BYTES = 4 << 30
REPORTED = (ValueError, nbp.DivergenceError, OSError, ImportError, MemoryError)
"""What the command line makes one line of."""
TEXTS = [
    b"",
    b",",
    b"\n",
    b'"',
    b"\0",
    b"nan",
    b"1e999",
    b"-1",
    b"9" * 400,
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"{",
]
NUMBERS = [n.to_bytes(8, "little") for n in (0, 1, 2**16, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)]


def mutated(content: bytes, rng: np.random.RandomState) -> bytes:
    """The content with one to four changes: of a byte, of a part, of what number bytes may stand for."""
    for _ in range(rng.randint(1, 5)):
        data, n = bytearray(content), len(content)
        at, to = sorted(rng.randint(0, n + 1, 2))
        kind = rng.randint(8)
        if kind == 0 and n:
            data[min(at, n - 1)] ^= 1 << rng.randint(8)
        elif kind == 1:
            data[at : min(to, at + 16)] = b""
        elif kind == 2:
            data[at:at] = data[at : min(to, at + 64)]
        elif kind == 3:
            data[at : at + rng.randint(3)] = TEXTS[rng.randint(len(TEXTS))]
        elif kind == 4:
            data[at : at + 4] = NUMBERS[rng.randint(len(NUMBERS))][:4]
        elif kind == 5:
            data[at : at + 8] = NUMBERS[rng.randint(len(NUMBERS))]
        elif kind == 6 and rng.randint(4) == 0:
            data = data[:at]
        else:
            data[at : at + 8] = rng.bytes(min(8, n - at))
        content = bytes(data)
    return content


def model(folder: Path) -> bytes:
    """Of a table, as `numbabp train` saves it."""
    split = _split("y", _written(folder / "train.csv", undamaged.TABLES["csv"]()))
    path = folder / "whole.safetensors"
    split.pipeline.save(nbp.Network(**split.pipeline.network_arguments((3,), "tanh", "float64")), path)
    return path.read_bytes()


def file_of(saved: Any, folder: Path) -> bytes:
    """What `save` writes of it."""
    saved.save(folder / "saved")
    return (folder / "saved").read_bytes()


def checkpoint(folder: Path) -> bytes:
    """Of a run that is finished."""
    undamaged.run(folder / "run")
    return (folder / "run").read_bytes()


def mutated_strings(content: bytes, rng: np.random.RandomState) -> bytes:
    """With changes in one of the texts of a safetensors file's header, whose length is right."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    strings, data = header["__metadata__"], content[8 + length :]
    names = sorted(set(strings) - {"sha256"})
    name = (
        max(names, key=lambda name: len(strings[name])) if rng.randint(4) else names[rng.randint(len(names))]
    )
    strings[name] = mutated(strings[name].encode(), rng).decode("utf-8", "replace")
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


class Right(str):
    """A digest that is what it should be, whatever that is."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


@contextmanager
def digests_taken_as_right() -> Iterator[None]:
    """As if damage had been signed."""
    modules = tensor_files, storage
    real = tensor_files.digest
    for module in modules:
        module.digest = lambda *_: Right()
    try:
        yield
    finally:
        for module in modules:
            module.digest = real


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _split(target: str, path: Path) -> Split:
    return Split.of(Source(path, [target], None, Task.auto, "", Reading()).samples(), 0.25, 0)


class Fuzzer:
    """Writes damaged files into a folder and has them read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.whole = {kind: make() for kind, make in undamaged.TABLES.items()}
        self.whole["model"] = model(folder)
        self.whole["network"] = file_of(undamaged.network(), folder)
        self.whole["population"] = file_of(undamaged.population(), folder)
        self.whole["checkpoint"] = checkpoint(folder)
        self._model = load_table_model(folder / "whole.safetensors")
        self._rows = folder / "train.csv"

    def failure(self, kind: str, seed: int) -> str:
        """What is wrong with how the file of a kind and a seed is dealt with; nothing if all is well."""
        rng = np.random.RandomState(seed)
        whole, is_table = self.whole[kind], kind in undamaged.TABLES
        is_signed = not is_table and not rng.randint(2)
        content = mutated_strings(whole, rng) if is_signed else mutated(whole, rng)
        path = self._folder / f"damaged.{kind if is_table else 'safetensors'}"
        uses = self._readers(kind) if is_table else LOADERS | {"load": self._load}
        with digests_taken_as_right() if is_signed else nullcontext():
            for name, use in uses.items():
                if wrong := _wrong(use, _written(path, content)):
                    return f"{kind} {seed}, {name}: {wrong}"
        return ""

    def _readers(self, kind: str) -> dict[str, Callable[[Path], Any]]:
        """As `numbabp train` and `numbabp predict` read tables."""
        return {"train": partial(_split, undamaged.TARGETS.get(kind, "y")), "predict": self._predict}

    def _predict(self, path: Path) -> None:
        columns_of(self._model, self._model.read(path))

    def _load(self, path: Path) -> None:
        loaded = load(path)
        if isinstance(loaded, nbp.Network):
            loaded.forward(np.zeros((1, loaded.architecture.n_inputs)))
        else:
            columns_of(loaded, loaded.read(self._rows))


LOADERS: dict[str, Callable[[Path], Any]] = {
    "load_table_model": load_table_model,
    "Network.load": loading.load,
    "load_metadata": loading.load_metadata,
    "Population.load": nbp.Population.load,
    "checkpoint": files.read,
    "going on": undamaged.run,
}
"""Each takes every file, its own kind or not; going on comes last, as it may write."""


def _wrong(use: Callable[[Path], None], path: Path) -> str:
    began = time.perf_counter()
    try:
        with warnings.catch_warnings(action="error"):
            warnings.simplefilter("ignore", TableWarning)
            use(path)
    except REPORTED as error:
        if not str(error).strip():
            return f"{type(error).__name__} without a word"
        if "\n" in str(error) and not isinstance(error, ImportError):
            return f"several lines: {str(error)!r}"
    except Exception:  # what is looked for
        return traceback.format_exc()
    seconds = time.perf_counter() - began
    return f"{seconds:.0f} s" if seconds > MOST_SECONDS else ""


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> int:
    """Exit status 1 if there is a failure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="by default all")
    parser.add_argument("--n", type=int, default=2000, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    arguments = parser.parse_args()
    _limit_memory()
    n_failures = 0
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder))
        for kind in arguments.kinds or fuzzer.whole:
            began = time.perf_counter()
            failures = [
                found
                for seed in range(arguments.seed, arguments.seed + arguments.n)
                if (found := fuzzer.failure(kind, seed))
            ]
            n_failures += len(failures)
            print(*failures, sep="\n", end="\n" if failures else "")
            seconds = time.perf_counter() - began
            print(f"{kind}: {arguments.n} files, {len(failures)} failures, {seconds:.0f} s")
    return 1 if n_failures else 0


if __name__ == "__main__":
    sys.exit(main())
