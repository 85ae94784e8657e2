"""Batches for a network of tables that pass by, and what is done to their columns meanwhile.

Kinds of columns, categories and classes are those of the rows that have been looked at. Numbers are
standardised by the mean and the spread of all rows so far: of those that have been looked at to begin with,
and beyond them of all up to the end of the batch. Batches have so many
rows that how the rows arrive, from a file or through a pipe, changes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..columns import TEXT, Column, TableError, as_texts, column_of_texts
from ..numerals import plain_number
from ..pipeline import Pipeline
from ..preparation import Preparation
from ..tables import Table, listed
from ..targets import Target, read_target
from .moments import Moments, moments_of
from .opening import Rows

FIRST_ROWS, MOST_ROWS = 256, 4096
"""Of a batch: they grow so that all powers of two in between are the end of one;"""
MOST_VALUES = 1 << 20
"""but they have no more numbers than these, if that is a row."""


@dataclass(frozen=True)
class Batch:
    """Some rows as a network takes them.

    Attributes
    ----------
    inputs, targets : ndarray
        (n, n_inputs), and (n,) or (n, n_targets).
    end : int
        Rows up to its end, of all passes.
    pipeline : Pipeline
        What has been done to them, which is what a model is saved with after them.
    """

    inputs: np.ndarray
    targets: np.ndarray
    end: int
    pipeline: Pipeline


@dataclass(frozen=True)
class Wanted:
    """What is to be learnt of a stream, and from what.

    Attributes
    ----------
    target : str
        Column to predict.
    task : {"auto", "classification", "regression"}
    classes : tuple of str
        Of the target, besides those of the rows that are looked at.
    ignored : tuple of str
        Columns to leave out.
    missing : tuple of str
        Texts that stand for no value besides the common ones; rows whose target has none are left out then.
    n_hashed : int
        Inputs that texts are hashed into; with 0 each category has one.
    """

    target: str
    task: str = "auto"
    classes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    n_hashed: int = 0


class Batches:
    """What is done to the columns of a stream, and the batches that come of it.

    Parameters
    ----------
    rows : Rows
    wanted : Wanted
    dtype : str
        Of the inputs.

    Attributes
    ----------
    pipeline : Pipeline
        To begin with.
    notes : list of str
        What there is to say of how the rows are read.
    unmarked : dict of str to int
        How many values were missing in columns of numbers that missed none in the rows looked at.
    n_left_out : int
        Rows without a value of the target.

    Raises
    ------
    TableError
        If there is nothing to be learnt in these columns.
    """

    def __init__(self, rows: Rows, wanted: Wanted, dtype: str) -> None:
        self._rows, self._wanted, self._dtype = rows, wanted, dtype
        self.unmarked: dict[str, int] = {}
        self.n_left_out = 0
        look = self._with_target(rows.look)
        if look is None:
            raise TableError(f"{rows.look.path}: column {wanted.target!r} has no value in the first rows.")
        column, target = _target(look, wanted)
        for name in wanted.ignored:
            look.column(name)  # raises for one that there is not
        names = [name for name in look.columns if name not in {wanted.target, *wanted.ignored}]
        fitted = Preparation.fitted(
            look, names, np.arange(look.n_rows), wanted.missing, wanted.n_hashed, moments_of
        )
        preparation = _open_ended(fitted)
        self.pipeline = Pipeline(preparation, target)
        self._texts = {*preparation.texts, *([wanted.target] if column.kind == TEXT else [])}
        self._n_looked_at = look.n_rows
        self.notes = list(look.notes)
        self._n_plain = len(preparation.mean)
        self._moments = Moments(self._n_plain)
        for inputs, _ in self._filled(look):
            self._moments.add(inputs[:, : self._n_plain])

    @property
    def comes_again(self) -> bool:
        """Whether there can be a second pass."""
        return self._rows.comes_again

    def passes(self, n: int) -> Iterator[Batch]:
        """The batches of n passes; the mean and the spread are settled in the first."""
        pipeline, end = self.pipeline, 0
        for number in range(n):
            for inputs, targets in _cut(self._arrays(), pipeline.preparation.n_inputs):
                end += len(targets)
                n_new = min(len(targets), end - self._n_looked_at)
                if n_new > 0 and self._n_plain and number == 0:
                    pipeline = self._scaled_by(pipeline, inputs[len(inputs) - n_new :])
                pipeline.preparation.standardize(inputs)
                yield Batch(inputs.astype(self._dtype), targets, end, pipeline)

    def _scaled_by(self, pipeline: Pipeline, inputs: np.ndarray) -> Pipeline:
        """The same with the mean and the spread of these rows, too."""
        self._moments.add(inputs[:, : self._n_plain])
        mean, scale = self._moments.mean, self._moments.scale
        return replace(pipeline, preparation=replace(pipeline.preparation, mean=mean, scale=scale))

    def _arrays(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Inputs before they are standardised, and targets, as the tables come."""
        names = [*self.pipeline.preparation.columns, self._wanted.target]
        for whole in self._rows.tables(names, self._texts):
            table = self._with_target(whole)
            self.n_left_out += whole.n_rows - (0 if table is None else table.n_rows)
            if table is None:
                continue
            targets = self._encoded(table)
            start = 0
            for inputs, unmarked in self._filled(table):
                for name, n in unmarked.items():
                    self.unmarked[name] = self.unmarked.get(name, 0) + n
                yield inputs, targets[start : start + len(inputs)]
                start += len(inputs)

    def _filled(self, table: Table) -> Iterator[tuple[np.ndarray, dict[str, int]]]:
        """Inputs of a table, as many rows at a time as fit into a little memory."""
        preparation = self.pipeline.preparation
        n = max(1, MOST_VALUES // preparation.n_inputs)
        if table.n_rows <= n:
            yield preparation.filled(table, [])
            return
        for start in range(0, table.n_rows, n):
            part = table.rows(np.arange(start, min(start + n, table.n_rows)))
            yield preparation.filled(replace(part, first_row=table.first_row + start), [])

    def _with_target(self, table: Table) -> Table | None:
        """Rows that have a value of the target, if others are to be left out; None if there are none."""
        is_missing = table.column(self._wanted.target).is_missing
        if not self._wanted.missing or not is_missing.any():
            return table
        return None if is_missing.all() else table.rows(np.flatnonzero(~is_missing))

    def _encoded(self, table: Table) -> np.ndarray:
        """What is to be learnt of the target's column."""
        target, column = self.pipeline.target, table.column(self._wanted.target)
        what = f"{table.path}: target {column.name!r}"
        missing = np.flatnonzero(column.is_missing)
        if len(missing):
            raise TableError(
                f"{what} has no value in row {table.first_row + missing[0]}: leave such rows out, in the "
                "file or with --missing."
            )
        if column.kind == TEXT and (target.classes is None or target.classes[0].dtype.kind != "U"):
            text, row = _first_text(column)
            raise TableError(f"{what} has {text!r} in row {table.first_row + row}, but numbers before.")
        try:
            return target.encoded([column], table.first_row)
        except TableError as error:
            hint = "" if target.classes is None else " --classes names those that come later."
            raise TableError(f"{table.path}: {error}{hint}") from None


def _target(look: Table, wanted: Wanted) -> tuple[Column, Target]:
    """The target's column with the classes that are told of, and what the outputs stand for."""
    column, task = look.column(wanted.target), wanted.task
    if wanted.classes:
        if task == "regression":
            raise TableError("--classes go with --task classification.")
        told = column_of_texts(column.name, wanted.classes)
        if column.kind == TEXT:
            told = as_texts(column.name, wanted.classes)
        if told.kind != column.kind:
            raise TableError(
                f"{look.path}: target {column.name!r} has {column.kind}s, but --classes are "
                f"{told.kind}s: {listed(wanted.classes, 6)}."
            )
        task = "classification"
        column = replace(column, values=np.concatenate([column.values, told.values]))
    column, task = read_target(Table(look.path, {column.name: column}), column.name, task)
    if task == "classification":
        return column, Target.of_classes([column])
    mean, scale = moments_of(np.asarray(column.values, float)[:, np.newaxis])
    return column, Target((column.name,), None, mean, scale)


def _first_text(column: Column) -> tuple[str, int]:
    """The first that is no number, and its row."""
    if column.trouble is not None:
        return column.trouble.text, column.trouble.row - 1
    texts = enumerate(column.values.tolist())
    return next(((text, row) for row, text in texts if plain_number(text) is None), (column.values[0], 0))


def _open_ended(preparation: Preparation) -> Preparation:
    """With inputs for categories and for missing texts that the first rows don't have."""
    categories = {
        name: replace(own, has_missing=True, has_rare=True) for name, own in preparation.categories.items()
    }
    return replace(preparation, categories=categories)


def _cut(
    arrays: Iterator[tuple[np.ndarray, np.ndarray]], n_inputs: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same rows with batches of 256, 256, 512, 1024, 2048, 4096, 4096 and so on; the last as it is."""
    most = min(MOST_ROWS, 1 << max(0, (MOST_VALUES // n_inputs).bit_length() - 1))
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    n_waiting, wanted, end = 0, min(FIRST_ROWS, most), 0
    for pair in arrays:
        waiting.append(pair)
        n_waiting += len(pair[1])
        if n_waiting < wanted:
            continue
        inputs, targets = map(_joined, zip(*waiting, strict=True))
        start = 0
        while n_waiting >= wanted:
            yield inputs[start : start + wanted], targets[start : start + wanted]
            start, end, n_waiting = start + wanted, end + wanted, n_waiting - wanted
            wanted = min(max(end, FIRST_ROWS), most)
        waiting = [(inputs[start:], targets[start:])]
    if n_waiting:
        inputs, targets = map(_joined, zip(*waiting, strict=True))
        yield inputs, targets


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
