"""Predictions as columns of a table."""

import warnings

import numpy as np

from .table_model import TableModel, TableWarning
from .tables import Table


def columns_of(model: TableModel, table: Table) -> tuple[dict[str, np.ndarray], list[str]]:
    """Predictions, and probabilities of the classes, by names of columns; and what there is to say of them.

    The first column has the target's name, then comes `P(name)` for each class. Where the target itself has
    such a name, it is `probability of P(name)`, which is said.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TableWarning)
        outputs = model.outputs(table)
    notes = [str(warning.message) for warning in caught]
    predicted = model.target.decoded(outputs)
    if model.classes_ is None:
        amounts = predicted.reshape(len(predicted), -1)
        return dict(zip(model.target.names, amounts.T, strict=True)), notes
    (target,) = model.target.names
    columns = {target: predicted.astype(str)}
    for label, column in zip(model.classes_, model.target.probabilities(outputs).T, strict=True):
        name = f"P({label})"
        while name in columns:
            name = f"probability of {name}"
        if name != f"P({label})":
            notes.append(f"the column for P({label}) is called {name!r}: another has that name")
        columns[name] = column
    return columns, notes
