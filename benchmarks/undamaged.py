"""Small whole files of every kind that is read, for benchmarks/mutations.py to damage."""

import gzip
import io
from pathlib import Path

import numpy as np

import numbabp as nbp

N = 24
X, Z = np.arange(N) / 7, np.arange(N) % 5
WORDS, Y = np.array(["red", "blue", "green"])[np.arange(N) % 3], np.arange(N) % 2
ROWS = list(zip(X.round(3), Z, WORDS, Y, strict=True))
COLUMNS = {"x": X, "z": Z, "words": WORDS, "y": Y}


def _delimited(mark):
    return "\n".join(mark.join(map(str, row)) for row in [tuple(COLUMNS), *ROWS]).encode()


def _npy():
    file = io.BytesIO()
    kinds = [("x", "<f8"), ("z", "<i8"), ("words", "<U5"), ("y", "<i8")]
    np.save(file, np.array(ROWS, kinds))
    return file.getvalue()


def _npz():
    file = io.BytesIO()
    np.savez_compressed(file, **COLUMNS)
    return file.getvalue()


def _parquet():
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(COLUMNS), file)
    return file.getvalue()


def _feather():
    import pyarrow
    import pyarrow.feather

    file = io.BytesIO()
    pyarrow.feather.write_feather(pyarrow.table(COLUMNS), file)
    return file.getvalue()


def _arff():
    head = "@relation some\n@attribute x numeric\n@attribute z integer\n@attribute words {red,blue,green}\n"
    return (head + "@attribute y {0,1}\n@data\n").encode() + b"\n".join(_delimited(",").split(b"\n")[1:])


def _libsvm():
    return "\n".join(f"{y} 1:{x:.3f} 2:{z}" for x, z, y in zip(X, Z, Y, strict=True)).encode()


def _fann():
    rows = [f"{x:.3f} {z}\n{y}" for x, z, y in zip(X, Z, Y, strict=True)]
    return "\n".join([f"{N} 2 1", *rows]).encode()


def _idx():
    """A column of bytes, x0 to x2."""
    pixels = np.stack([Z, Y, Z], axis=1).astype(">u1")
    return bytes([0, 0, 8, 2]) + np.array(pixels.shape, ">u4").tobytes() + pixels.tobytes()


TABLES = {
    "csv": lambda: _delimited(","),
    "tsv": lambda: _delimited("\t"),
    "csv.gz": lambda: gzip.compress(_delimited(","), mtime=0),
    "npy": _npy,
    "npz": _npz,
    "parquet": _parquet,
    "feather": _feather,
    "arff": _arff,
    "libsvm": _libsvm,
    "data": _fann,
    "idx": _idx,
}
"""By the ending of the name."""
TARGETS = {"libsvm": "target", "idx": "x1"}
"""What is to be predicted, where it is not y."""


def network():
    """With all that training goes on with."""
    net = nbp.Network((3, 2, 1), random_state=0)
    net.fit(np.zeros((2, 3)), [0, 1], epochs=2, update_rule="adam", kernel="general")
    return net


def population():
    """Likewise."""
    return nbp.Population((3, 2, 1), 3, random_state=0)


def run(path: Path):
    """One that is kept at a path, and goes on from what is there."""
    net = nbp.Network((3, 2, 1), random_state=0)
    options = {"update_rule": "adam", "kernel": "general", "checkpoint": path, "random_state": 0}
    net.fit(np.zeros((2, 3)), [0, 1], epochs=3, monitor=("absolute_error",), **options)
    return net
