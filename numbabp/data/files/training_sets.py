"""Files of other programs that train: libsvm, FANN and ARFF."""

import csv
import io
import re
from typing import Any

import numpy as np

from ..columns import TableError, said
from .sources import Source

_LIBSVM = re.compile(rb"^[-+\w.,]+(?:\s+qid:\d+)?(?:\s+\d+:[-+\w.]+)+\s*(?:#.*)?$")
_FANN = re.compile(rb"^\s*\d+\s+\d+\s+\d+\s*$")
_WEIGHTED = re.compile(r"\n[^%@\n]*,\s*(\{\s*[-+\d.eE]+\s*\})\s*$", re.MULTILINE)
"""A row of an ARFF file with a weight behind it."""
MOST_VALUES = 1 << 28
"""Of a libsvm file with its zeros, which are in memory."""


def is_libsvm(head: bytes) -> bool:
    """Whether the first line is a target and then places with values."""
    return bool(_LIBSVM.match(_first_line(head)))


def is_fann(head: bytes, suffix: str = "") -> bool:
    """Whether the first line is three whole numbers, and the next has as many as the second of them says.

    With FANN's own ending numbers may go on in any line.
    """
    first = _first_line(head)
    if not _FANN.match(first):
        return False
    if suffix == ".data":
        return True
    second = head[len(first) :].strip().split(b"\n")[0]
    return len(second.split()) == int(first.split()[1])


def _first_line(head: bytes) -> bytes:
    return next((line for line in head.splitlines() if line.strip()), b"")


def read_libsvm(source: Source) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Columns 1, 2 and so on, named by their places, and the target."""
    from sklearn.datasets import load_svmlight_file

    try:
        with source.opened() as file:
            X, y = load_svmlight_file(io.BytesIO(file.read()), zero_based=True)
    except (ValueError, IndexError, OverflowError) as error:
        raise TableError(f"{source.name}: not a libsvm file: {said(error)}.") from None
    if X.shape[0] * X.shape[1] > MOST_VALUES:
        raise TableError(
            f"{source.name}: {X.shape[0]} rows of {X.shape[1]} columns are too many for a table in memory; "
            "in Python, MLPClassifier and MLPRegressor take what sklearn.datasets.load_svmlight_file gives."
        )
    dense = X.toarray()
    start = 0 if dense[:, 0].any() else 1
    return {**{str(j): dense[:, j] for j in range(start, dense.shape[1])}, "target": y}, ("target",)


def read_fann(source: Source) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Columns x1, x2 and so on; y, or y1, y2 and so on, are what is to come out."""
    with source.opened() as file:
        header, *numbers = file.readline().split(), *file.read().split()
    n, n_inputs, n_outputs = map(int, header)
    try:
        values = np.array(numbers, float)
    except ValueError as error:
        raise TableError(f"{source.name}: not a file of FANN's: {said(error)}.") from None
    if not n or len(values) != n * (n_inputs + n_outputs):
        raise TableError(
            f"{source.name}: not a file of FANN's: {n} pairs of {n_inputs} and {n_outputs} numbers are "
            f"{n * (n_inputs + n_outputs)} numbers, but there are {len(values)}."
        )
    values = values.reshape(n, n_inputs + n_outputs)
    outputs = ("y",) if n_outputs == 1 else tuple(f"y{k}" for k in range(1, n_outputs + 1))
    names = (*(f"x{j}" for j in range(1, n_inputs + 1)), *outputs)
    return dict(zip(names, values.T, strict=True)), outputs


def read_arff(source: Source) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Columns of an ARFF file by the names of its attributes; a `class` is there to be predicted."""
    with source.opened() as file:
        content = file.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    weighted = _WEIGHTED.search(text)
    if weighted:
        line = text.count("\n", 0, weighted.start() + 1) + 1
        raise TableError(
            f"{source.name}: line {line} gives its row a weight, {weighted[1]}, and tables have none: delete "
            "the weights, or take sample_weight of MLPClassifier or MLPRegressor in Python."
        )
    columns = _arff_by_scipy(text)
    if columns is None:
        columns = _arff_by_liac(source.name, text)
    return columns, tuple(name for name in columns if name.lower() == "class")


def _arff_by_scipy(text: str) -> dict[str, np.ndarray] | None:
    """None for what SciPy does not read: texts, sparse rows, and what is wrong."""
    from scipy.io import arff

    try:
        data, meta = arff.loadarff(io.StringIO(text))
    except (NotImplementedError, ValueError, StopIteration, arff.ArffError, IndexError, csv.Error):
        return None
    columns: dict[str, np.ndarray] = {}
    for name, kind in zip(meta.names(), meta.types(), strict=True):
        values = data[name]
        if kind == "nominal":
            values = np.array([None if v == b"?" else v.decode() for v in values.tolist()], object)
        columns[name] = values
    return columns


def _arff_by_liac(path: str, text: str) -> dict[str, np.ndarray]:
    try:
        import arff
    except ImportError:
        raise TableError(
            f"{path}: not an ARFF file, or one with texts, which needs liac-arff; "
            "install it with: pip install 'numbabp[tables]'"
        ) from None
    try:
        loaded: dict[str, Any] = arff.loads(text)
    except (arff.ArffException, ValueError, StopIteration, csv.Error) as error:
        raise TableError(f"{path}: not an ARFF file: {said(error)}.") from None
    columns: dict[str, np.ndarray] = {}
    for (name, kind), values in zip(loaded["attributes"], zip(*loaded["data"], strict=True), strict=True):
        is_number = isinstance(kind, str) and kind.upper() in ("NUMERIC", "REAL", "INTEGER")
        array = np.empty(len(values), object)
        array[:] = values
        columns[name] = array.astype(float) if is_number else array
    return columns
