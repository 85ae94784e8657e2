"""Tables in files of many kinds into columns, and rows into CSV."""

import csv
import io
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..atomic_files import write_atomically
from .columns import TableError, column_of_array
from .files.reading import Reading
from .files.sources import Source
from .tables import Table

TEXT = "text"
TABS = (".tsv", ".tab")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet may take a text for a formula by, as OWASP lists it under CSV injection."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
LIBSVM = (".svm", ".libsvm", ".svmlight")


def read_table(path: str | os.PathLike[str], reading: Reading | None = None) -> Table:
    """Read a table: CSV and its kin, Parquet, Feather, NPY, NPZ, IDX, ARFF, libsvm or FANN's, .gz or not.

    The first bytes tell what it is, or the ending of the name where they don't. `-` is standard input.

    Parameters
    ----------
    path : str or path-like
    reading : Reading, optional
        What is known of the file.

    Raises
    ------
    TableError
        If the file is not there, empty, damaged, or of no such kind.
    """
    return read_source(Source.of(path), reading or Reading())


def read_source(source: Source, reading: Reading) -> Table:
    """`read_table` of what has been opened."""
    kind = kind_of(source, reading)
    if kind == TEXT:
        from .files.text import read_delimited

        return _checked(read_delimited(source, with_separator(source, reading)))
    arrays, targets, notes = _arrays(source, kind, reading)
    wanted = set(reading.texts)
    columns = {
        name: column_of_array(name, values, reading.missing, name in wanted)
        for name, values in arrays.items()
    }
    absent = 0.0 if kind == "libsvm" else None
    return _checked(Table(source.name, columns, targets, tuple(notes), absent))


def with_separator(source: Source, reading: Reading) -> Reading:
    """With the separator that the name of a text file tells, if it does and none is told."""
    if reading.separator is None and source.suffix in TABS:
        return replace(reading, separator="\t")
    return reading


def _checked(table: Table) -> Table:
    if not table.columns:
        raise TableError(f"{table.path}: there are no columns.")
    if not table.n_rows:
        raise TableError(f"{table.path}: there are no rows.")
    return table


def kind_of(source: Source, reading: Reading) -> str:
    """Which kind of file it is, by its first bytes, or by its name where they don't tell."""
    from .files.arrays import is_idx
    from .files.strangers import stranger
    from .files.training_sets import is_fann, is_libsvm

    head, suffix = source.head, source.suffix
    by_suffix = {".parquet": "parquet", ".pq": "parquet", ".npy": "npy", ".npz": "npz", ".arff": "arff"}
    if suffix in by_suffix:
        return by_suffix[suffix]
    if why := stranger(head, suffix):
        raise TableError(f"{source.name}: {why}")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"FEA1")):
        return "feather"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if is_idx(head):
        return "idx"
    if suffix in LIBSVM or (suffix != ".csv" and is_libsvm(head)):
        return "libsvm"
    if reading.has_header is None and suffix != ".csv" and is_fann(head, suffix):
        return "fann"
    return TEXT


def _arrays(
    source: Source, kind: str, reading: Reading
) -> tuple[dict[str, np.ndarray], tuple[str, ...], Sequence[str]]:
    """Columns by name, those of them that are to be predicted, and what there is to say."""
    from .files import arrays, training_sets

    if kind in ("parquet", "feather"):
        from .files.arrow import read_arrow

        with source.opened() as file:
            columns, notes = read_arrow(source.name, file, kind)
        return columns, (), notes
    if kind == "npz":
        return *arrays.read_npz(source, reading.part), ()
    readers = {
        "npy": arrays.read_npy,
        "idx": arrays.read_idx,
        "libsvm": training_sets.read_libsvm,
        "fann": training_sets.read_fann,
        "arff": training_sets.read_arff,
    }
    notes = ["queries (qid) are left out"] if kind == "libsvm" and b" qid:" in source.head else []
    return *readers[kind](source), notes


def csv_text(names: Iterable[str], rows: Iterable[Iterable[Any]], escape_formulas: bool = False) -> str:
    """Text of a CSV file: the header, and rows of as many fields.

    With `escape_formulas` an apostrophe stands before texts, in the header too, that a spreadsheet may take
    for formulas. Numbers stay what they are, also those that are written as texts.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for row in itertools.chain([names], rows):
        cells = [_escaped(cell) for cell in row] if escape_formulas else list(row)
        # before Python 3.13 a carriage return was no reason for quotes, but a new line to who reads it
        has_return = any(isinstance(cell, str) and "\r" in cell for cell in cells)
        (quoting if has_return else writer).writerow(cells)
    return text.getvalue()


def _escaped(cell: Any) -> Any:
    is_formula = isinstance(cell, str) and cell.startswith(FORMULA) and not _NUMBER.fullmatch(cell)
    return "'" + cell if is_formula else cell


def write_csv(
    path: str | os.PathLike[str],
    names: Iterable[str],
    rows: Iterable[Iterable[Any]],
    escape_formulas: bool = False,
) -> None:
    """Put these into a CSV file, whole or not at all."""
    write_atomically(path, lambda file: file.write(csv_text(names, rows, escape_formulas).encode()))
