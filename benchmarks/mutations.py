"""Files that are damaged at random: each is read, or refused in one line with an error that commands report.

    python benchmarks/mutations.py [--n 2000] [--seed 0] [KIND ...]

Kinds are csv, tsv, npz and parquet, read as `numbabp train` and `numbabp predict` read them, and model, read
by `numbabp.load` and predicted with; the digests in a model are made right again in every second one, for
damage to get past them. Whatever else is raised, said in several lines, or takes longer than `MOST_SECONDS`
or more memory than `MOST_BYTES`, is printed with the seed that shows it again. Not an asv suite.
"""

import argparse
import io
import json
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import numbabp as nbp
from numbabp.cli.parameters import Source, Task
from numbabp.data.files.reading import Reading
from numbabp.data.predictions import columns_of
from numbabp.data.split import Split
from numbabp.data.table_model import TableWarning, load, load_table_model
from numbabp.tensor_files import digest

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


def table(kind: str) -> bytes:
    """A small table of numbers, categories and gaps."""
    n = 24
    x, z = np.arange(n) / 7, np.arange(n) % 5
    words, y = np.array(["red", "blue", "green"])[np.arange(n) % 3], np.arange(n) % 2
    file = io.BytesIO()
    if kind == "npz":
        np.savez_compressed(file, x=x, z=z, words=words, y=y)
    elif kind == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"x": x, "z": z, "words": words, "y": y}), file)
    else:
        mark = "," if kind == "csv" else "\t"
        rows = [("x", "z", "words", "y"), *zip(x.round(3), z, words, y, strict=True)]
        file.write("\n".join(mark.join(map(str, row)) for row in rows).encode())
    return file.getvalue()


def model(folder: Path) -> bytes:
    """Of a table, as `numbabp train` saves it."""
    split = _split(_written(folder / "train.csv", table("csv")))
    path = folder / "whole.safetensors"
    split.pipeline.save(nbp.Network(**split.pipeline.network_arguments((3,), "tanh", "float64")), path)
    return path.read_bytes()


def mutated_model(content: bytes, parameters: np.ndarray, rng: np.random.RandomState) -> bytes:
    """Every second with its header's length and digest right, so that damage comes to be looked at."""
    if rng.randint(2):
        return mutated(content, rng)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    strings, data = header["__metadata__"], content[8 + length :]
    name = "metadata" if rng.randint(4) else "architecture"
    strings[name] = mutated(strings[name].encode(), rng).decode("utf-8", "replace")
    strings["sha256"] = digest([strings["architecture"], strings["metadata"]], parameters)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _split(path: Path) -> Split:
    return Split.of(Source(path, ["y"], None, Task.auto, "", Reading()).samples(), 0.25, 0)


class Fuzzer:
    """Writes damaged files into a folder and has them read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.whole = {kind: table(kind) for kind in ("csv", "tsv", "npz", "parquet")}
        self.whole["model"] = model(folder)
        self._model = load_table_model(folder / "whole.safetensors")
        self._rows = folder / "train.csv"

    def failure(self, kind: str, seed: int) -> str:
        """What is wrong with how the file of a kind and a seed is dealt with; nothing if all is well."""
        rng = np.random.RandomState(seed)
        whole = self.whole[kind]
        content = mutated(whole, rng)
        if kind == "model":
            content = mutated_model(whole, self._model.network.parameters, rng)
        path = _written(self._folder / f"damaged.{'safetensors' if kind == 'model' else kind}", content)
        uses = [self._load] if kind == "model" else [_split, self._predict]
        for use in uses:
            if wrong := _wrong(use, path):
                return f"{kind} {seed}: {wrong}"
        return ""

    def _predict(self, path: Path) -> None:
        columns_of(self._model, self._model.read(path))

    def _load(self, path: Path) -> None:
        loaded = load(path)
        if not isinstance(loaded, nbp.Network):
            columns_of(loaded, loaded.read(self._rows))


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
