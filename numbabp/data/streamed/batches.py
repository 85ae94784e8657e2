"""Batches for a network of tables that pass by, and what is done to their columns meanwhile.

Kinds of columns, categories and classes are those of the rows that have been looked at. Numbers are
standardised by the mean and the spread of all rows so far: of those that have been looked at to begin with,
and beyond them of all up to the end of the batch, by scikit-learn's StandardScaler. Batches have so many
rows that how the rows arrive, from a file or through a pipe, changes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..columns import TEXT, TableError
from ..pipeline import Pipeline
from ..preparation import Preparation
from ..tables import Table
from ..targets import Target, read_targets
from .opening import Rows

FIRST_ROWS, MOST_ROWS = 256, 4096
"""Of a batch: they grow so that all powers of two in between are the end of one."""


@dataclass(frozen=True)
class Batch:
    """Some rows as a network takes them.

    Attributes
    ----------
    inputs, targets : ndarray
        (n, n_inputs), and (n,) or (n, n_targets).
    end : int
        Rows of the stream up to its end.
    pipeline : Pipeline
        What has been done to them, which is what a model is saved with after them.
    """

    inputs: np.ndarray
    targets: np.ndarray
    end: int
    pipeline: Pipeline


class Batches:
    """What is done to the columns of a stream, and the batches that come of it.

    Parameters
    ----------
    rows : Rows
    targets : sequence of str
        Columns to predict.
    task : {"auto", "classification", "regression"}
    ignored : sequence of str
        Columns to leave out.
    missing : sequence of str
        Texts that stand for no value besides the common ones; rows whose target has none are left out then.
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

    def __init__(
        self,
        rows: Rows,
        targets: Sequence[str],
        task: str,
        ignored: Sequence[str],
        missing: Sequence[str],
        dtype: str,
    ) -> None:
        from sklearn.preprocessing import StandardScaler

        self._rows, self._dtype = rows, dtype
        self._leaves_out = bool(missing)
        self.unmarked: dict[str, int] = {}
        self.n_left_out = 0
        look = rows.look.with_values_of(targets) if missing else rows.look
        columns, task = read_targets(look, targets, task)
        for name in ignored:
            look.column(name)  # raises for one that there is not
        names = [name for name in look.columns if name not in {*targets, *ignored}]
        preparation = _open_ended(Preparation.fitted(look, names, np.arange(look.n_rows), missing))
        target = Target.of_classes(columns) if task == "classification" else Target.of_amounts(columns)
        self.pipeline = Pipeline(preparation, target)
        self._texts = {*preparation.texts, *(column.name for column in columns if column.kind == TEXT)}
        self._n_looked_at = look.n_rows
        self._is_settled = False
        self.notes = list(look.notes)
        self._n_plain = len(preparation.mean)
        self._scaler = StandardScaler()
        if self._n_plain:
            self._scaler.fit(preparation.filled(look, [])[0][:, : self._n_plain])

    @property
    def comes_again(self) -> bool:
        """Whether there can be a second pass."""
        return self._rows.comes_again

    def __iter__(self) -> Iterator[Batch]:
        """The batches of one pass; the mean and the spread are settled in the first."""
        pipeline, end = self.pipeline, 0
        for inputs, targets in _cut(self._arrays()):
            end += len(targets)
            n_new = min(len(targets), end - self._n_looked_at)
            if n_new > 0 and self._n_plain and not self._is_settled:
                pipeline = self._scaled_by(pipeline, inputs[len(inputs) - n_new :])
            pipeline.preparation.standardize(inputs)
            yield Batch(inputs.astype(self._dtype), targets, end, pipeline)
        self.pipeline, self._is_settled = pipeline, True

    def _scaled_by(self, pipeline: Pipeline, inputs: np.ndarray) -> Pipeline:
        """The same with the mean and the spread of these rows, too."""
        self._scaler.partial_fit(inputs[:, : self._n_plain])
        mean, scale = self._scaler.mean_.copy(), self._scaler.scale_.copy()
        return replace(pipeline, preparation=replace(pipeline.preparation, mean=mean, scale=scale))

    def _arrays(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Inputs before they are standardised, and targets, as the tables come."""
        preparation, target = self.pipeline.preparation, self.pipeline.target
        names = [*preparation.columns, *target.names]
        for table in self._rows.tables(names, self._texts):
            if self._leaves_out:
                n_rows = table.n_rows
                table = table.with_values_of(target.names)
                self.n_left_out += n_rows - table.n_rows
            encoded = self._encoded(table)
            inputs, unmarked = preparation.filled(table, [])
            for name, n in unmarked.items():
                self.unmarked[name] = self.unmarked.get(name, 0) + n
            yield inputs, encoded

    def _encoded(self, table: Table) -> np.ndarray:
        """What is to be learnt of the targets' columns."""
        target = self.pipeline.target
        try:
            return target.encoded([table.column(name) for name in target.names], table.first_row)
        except TableError as error:
            hint = ""
            if target.classes is not None:
                hint = " --classes names classes that come later, --look looks at more rows."
            raise TableError(f"{table.path}: {error}{hint}") from None


def _open_ended(preparation: Preparation) -> Preparation:
    """With inputs for categories and for missing texts that the first rows don't have."""
    categories = {
        name: replace(own, has_missing=True, has_rare=True) for name, own in preparation.categories.items()
    }
    return replace(preparation, categories=categories)


def _cut(arrays: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same rows with batches of 256, 256, 512, 1024, 2048, 4096, 4096 and so on; the last as it is."""
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    n_waiting, wanted, end = 0, FIRST_ROWS, 0
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
            wanted = min(end, MOST_ROWS)
        waiting = [(inputs[start:], targets[start:])]
    if n_waiting:
        inputs, targets = map(_joined, zip(*waiting, strict=True))
        yield inputs, targets


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
