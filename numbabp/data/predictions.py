"""Predictions as columns of a table."""

import warnings

import numpy as np

from .table_model import TableModel, TableWarning
from .tables import Table


def columns_of(model: TableModel, table: Table) -> tuple[dict[str, np.ndarray], list[str]]:
    """Predictions, and probabilities of the classes, by names of columns; and what there is to say of them.

    First come columns with the targets' names, then `P(class)` for each class, or of several targets
    `P(target=class)`. Where another column has such a name, it is `probability of P(class)`, which is said.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TableWarning)
        outputs = model.outputs(table)
    notes = [str(warning.message) for warning in caught]
    target = model.target
    columns = target.decoded(outputs)
    if target.classes is None:
        return columns, notes
    columns = {name: labels.astype(str) for name, labels in columns.items()}
    of_each = zip(target.names, target.classes, target.probabilities_of_each(outputs), strict=True)
    for name, classes, probabilities in of_each:
        for label, column in zip(classes, probabilities.T, strict=True):
            wanted = f"P({name}={label})" if target.are_several else f"P({label})"
            free = wanted
            while free in columns:
                free = f"probability of {free}"
            if free != wanted:
                notes.append(f"the column for {wanted} is called {free!r}: another has that name")
            columns[free] = column
    return columns, notes
