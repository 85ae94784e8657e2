"""Models of tables: a network with what is done to columns before it and with its outputs behind it."""

import os
import warnings
from typing import Any

import numpy as np

from ..exchange.c.exported import write
from ..exchange.c.program import Affine, Program, check_destination, check_name
from ..loading import load_with_metadata
from ..network import Network
from .columns import TableError
from .pipeline import Pipeline, Score
from .tables import Table, is_data_frame, listed, table_of
from .targets import Target


class TableWarning(UserWarning):
    """Something about a table that makes predictions less certain: unknown categories, say."""


class TableModel:
    """What `numbabp train` saves: predictions for tables as they are, with their texts and gaps.

    A table is a path, a pandas.DataFrame, a pyarrow.Table, a mapping of columns by name, or an array with the
    columns in the order of `columns`. Columns are found by name; others don't matter.

    Parameters
    ----------
    network : Network
    pipeline : Pipeline
        What stands before and behind it.

    Attributes
    ----------
    network : Network
    preparation : Preparation
        What is done to columns; `preparation.told()` says it.
    target : Target
        What the outputs stand for.
    columns : list of str
        Those that a table must have.
    target_names : list of str
        Those that are predicted.
    classes_ : ndarray, or None for a regression
        Labels in the order of the columns of `predict_proba`; of several targets a list of ndarrays of two
        labels.
    """

    def __init__(self, network: Network, pipeline: Pipeline) -> None:
        self.network = network
        self.pipeline = pipeline
        self.preparation = pipeline.preparation
        self.target = pipeline.target
        self.target_names = list(self.target.names)
        self.classes_ = _classes(self.target)
        self.columns = list(self.preparation.columns)

    def __repr__(self) -> str:
        names = listed(self.target.names, 6)
        what = names
        if self.target.classes is not None:
            n_classes = len(self.target.classes[0])
            what += f" ({n_classes} classes{' each' if self.target.are_several else ''})"
        sizes = "-".join(map(str, self.network.layer_sizes))
        return f"<TableModel of {what} from {listed(self.columns, 6)}: {sizes} network>"

    def predict(self, table: Any) -> Any:
        """Labels of the classes, or amounts in the target's own unit.

        Parameters
        ----------
        table : path, pandas.DataFrame, pyarrow.Table, mapping, or array-like of shape (n, len(columns))

        Returns
        -------
        ndarray of shape (n,), or (n, n_targets) of several
            Of the labels' own dtype, or float64. Several targets of a pandas.DataFrame come as a
            pandas.DataFrame with their names and the same index; as an ndarray they stand in the order of
            `target_names`, as objects where their labels are of different kinds.

        Raises
        ------
        TableError
            If a column is not there, or is of another kind than in training.
        """
        predicted = self.target.decoded(self.outputs(table))
        if not self.target.are_several:
            return predicted[self.target_names[0]]
        if is_data_frame(table):
            return type(table)(predicted, index=table.index)
        columns = list(predicted.values())
        if len({column.dtype.kind for column in columns}) > 1:
            columns = [column.astype(object) for column in columns]
        return np.column_stack(columns)

    def predict_proba(self, table: Any) -> np.ndarray:
        """Probability of each class: float64 (n, n_classes), in the order of `classes_`.

        Of several targets float64 (n, n_targets): of the second class of each, as of scikit-learn's
        MLPClassifier with several labels.

        Raises
        ------
        AttributeError
            For a regression, which has none.
        TableError
            As for `predict`.
        """
        if self.classes_ is None:
            raise AttributeError("a regression has no probabilities: see predict.")
        return self.target.probabilities(self.outputs(table))

    def score(self, table: Any) -> float:
        """Accuracy, or R^2, on a table that has the target, too.

        Of several targets the part of the rows in which all are right, or the mean of R^2 over them.
        """
        return self._measured(table).overall

    def scores(self, table: Any) -> dict[str, float]:
        """Accuracy, or R^2, of each target by its name."""
        return dict(self._measured(table).by_target)

    def _measured(self, table: Any) -> Score:
        read = self.read(table)
        if self.preparation.missing:  # as it was in training
            read = read.with_values_of(self.target.columns)
        truth = self.target.encoded(self.target.found_in(read))
        inputs, notes = self.preparation.matrix(read)
        _warn(notes)
        return self.pipeline.measured(self.network, inputs, truth)

    def outputs(self, table: Any) -> np.ndarray:
        """What the network gives, in its own dtype and units: (n, n_outputs)."""
        inputs, notes = self.preparation.matrix(self.read(table))
        _warn(notes)
        return self.network.forward(inputs)

    def to_c(
        self, path: str | os.PathLike[str], *, name: str = "net", dtype: Any = None, samples: Any = None
    ) -> None:
        """Write the model as one file of C99, for inference: `Network.to_c` tells more.

        Inputs are numbers as tables have them, which constants in the file standardise, and a 1 or a 0 for
        every category; the head of the file lists them, with what to give for a number that is missing.
        Outputs are in the targets' own units.

        Parameters
        ----------
        path : str or path-like
            Where to, ending in .c or in .h.
        name : str
            What all names in the file begin with.
        dtype : {"float32", "float64"}, optional
            Of the numbers in the file; by default the network's.
        samples : table, optional
            A few rows that are written, too, with their outputs: ``int net_check(void)`` gives the number of
            those that come out differently where it runs.

        Raises
        ------
        ValueError, TypeError
            For an argument that is not allowed, naming it; and for a model that hashes texts.
        TableError
            As for `predict`, for the samples.
        OSError
            If the file can't be written; an existing one is left as it is.
        """
        destination, prefix = check_destination(path), check_name(name)
        network = self.network if dtype is None else self.network.astype(dtype)
        network.architecture.check_finite(network.parameters)
        preparation, target = self.preparation, self.target
        names = preparation.input_names
        rest = preparation.n_inputs - len(preparation.mean)
        shift, scale = (
            np.concatenate([column, np.full(rest, of_rest)])
            for column, of_rest in ((preparation.mean, 0.0), (preparation.scale, 1.0))
        )
        of_targets = None if target.classes is not None else Affine(target.mean, target.scale)
        has_classes = target.classes is not None and not target.are_several
        program = Program(
            network.architecture,
            network.parameters,
            prefix,
            destination.suffix == ".h",
            inputs=Affine.dividing(shift, scale, network.dtype),
            outputs=of_targets,
            classifies=has_classes,
            classes=self.classes_.tolist() if has_classes else None,
            input_names=names,
            samples=None if samples is None else self._samples(samples, network),
        )
        write(program, destination)

    def _samples(self, table: Any, network: Network) -> tuple[np.ndarray, np.ndarray]:
        """Inputs as they are before they are standardised, and outputs in the targets' units."""
        X, _ = self.preparation.filled(self.read(table), [])
        plain = X[:, : len(self.preparation.mean)]
        np.copyto(plain, self.preparation.mean, where=np.isnan(plain))
        inputs = X.copy()
        self.preparation.standardize(inputs)
        outputs = network.forward(inputs).astype(float)
        if self.target.classes is None:
            outputs = outputs * self.target.scale + self.target.mean
        return X.astype(network.dtype), outputs

    def read(self, table: Any, **told: Any) -> Table:
        """A table as `predict` takes it, read as in training; `told` are fields of `Reading` for a file."""
        if isinstance(table, str | os.PathLike):
            from .files.reading import Reading
            from .table_files import read_table

            told["missing"] = (*self.preparation.missing, *told.get("missing", ()))
            told["texts"] = (*self.preparation.texts, *told.get("texts", ()))
            return read_table(table, Reading(**told))
        return table_of(table, self.columns, self.preparation.texts, self.preparation.missing)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a safetensors file, which `numbabp.load` reads; see `Network.save`."""
        self.pipeline.save(self.network, path)


def load(path: str | os.PathLike[str]) -> Network | TableModel:
    """Read what `numbabp train`, `Network.save` or `TableModel.save` has written.

    Parameters
    ----------
    path : str or path-like
        A safetensors file.

    Returns
    -------
    Network or TableModel
        A network with the architecture and, bit for bit, the parameters that were saved; of a file by
        `numbabp train` with what is done to a table's columns, so that it takes tables.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not one of these, is truncated or was altered; it says what is wrong.
    """
    network, metadata = load_with_metadata(path)
    if not Pipeline.is_described(metadata):
        return network
    return TableModel(network, Pipeline.loaded(path, metadata, network))


def load_table_model(path: str | os.PathLike[str]) -> TableModel:
    """The same of a file that must be one by `numbabp train`; else a ValueError says that it is not."""
    network, metadata = load_with_metadata(path)
    return TableModel(network, Pipeline.loaded(path, metadata, network))


def _classes(target: Target) -> Any:
    if target.classes is None:
        return None
    return list(target.classes) if target.are_several else target.classes[0]


def _warn(notes: list[str]) -> None:
    for note in notes:
        warnings.warn(note, TableWarning, stacklevel=4)


__all__ = ["TableError", "TableModel", "TableWarning", "load", "load_table_model"]
