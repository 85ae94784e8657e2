"""The command `evaluate`: how good a saved model is on a table that has the target."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import json_text, reported, warn
from .outputs import check_outputs

if TYPE_CHECKING:
    import numpy as np

    from ..data.tables import Table
    from .scoring.evaluation import Evaluation

STANDARD_OUTPUT = Path("-")


@reported
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model saved by numbabp train.")],
    data: Annotated[Path, typer.Argument(help="Table with the model's feature columns and its target.")],
    json: Annotated[
        Path | None,
        typer.Option(help="Write all figures into this JSON file; - prints them instead of tables."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw the confusion matrix, or predicted against true values, into this PNG, SVG or PDF."
        ),
    ] = None,
) -> None:
    """Measure a saved model on a table: how often it is right, or how far it is off.

    For classes: accuracy, precision, recall, F1, ROC AUC, log loss and the confusion matrix. For numbers:
    RMSE, MAE and R^2, in the target's units. The table should not be the one that the model was trained on.
    """
    from ..atomic_files import write_atomically
    from . import plots

    printed = json == STANDARD_OUTPUT
    if plot is not None:
        plots.check(plot)
    inputs = {"the model": model, "the data": data}
    check_outputs({"--json": None if printed else json, "--plot": plot}, inputs)
    found = _evaluation(model, data)
    if json is not None:
        text = json_text({"model": str(model), "data": str(data), **found.to_dict()}) + "\n"
        if printed:
            typer.echo(text, nl=False)
        else:
            write_atomically(json, lambda file: file.write(text.encode()))
    if plot is not None:
        from .scoring.pictures import draw_evaluation

        plots.write(draw_evaluation(found, f"{model.name} on {data.name}"), plot)
    if not printed:
        from .scoring.evaluation import print_evaluation

        typer.echo(f"{model} on {data}: {len(found.truth)} rows, target {found.target}")
        print_evaluation(found)
    for what, path in (("figures", None if printed else json), ("picture", plot)):
        if path is not None:
            typer.echo(f"{what} written to {path}", err=True)


def _evaluation(model: Path, data: Path) -> "Evaluation":
    import numpy as np

    from ..data.pipeline import Pipeline
    from ..data.table_files import read_table
    from ..loading import load_with_metadata
    from .scoring.evaluation import of_classes, of_numbers

    network, settings = load_with_metadata(model)
    pipeline = Pipeline.loaded(model, settings, network)
    table = read_table(data)
    target = pipeline.settings["target_name"]
    truth = known_values(table, target)
    columns = pipeline.predictions(network, table.features(pipeline.feature_names))
    if pipeline.classes is None:
        if truth.dtype.kind == "O":
            raise ValueError(
                f"{data}: column {target!r} has text, but the model predicts numbers: it is not its target."
            )
        return of_numbers(target, truth, columns[target])
    classes = pipeline.classes.tolist()
    probabilities = np.column_stack([columns[f"P({name})"] for name in classes])
    found = of_classes(target, class_names(truth), probabilities, classes)
    if found.unknown:
        shown = ", ".join(map(repr, found.unknown[:5])) + (" ..." if len(found.unknown) > 5 else "")
        n_rows = int(np.isin(found.truth, found.unknown).sum())
        warn(
            f"{data}: the model does not know {shown} of column {target!r} ({n_rows} rows); these rows count "
            "as errors, and the log loss is infinite."
        )
    return found


def known_values(table: "Table", name: str) -> "np.ndarray":
    """A column in which there is a value in every row.

    Raises
    ------
    TableError
        If there is none of that name, or a value is missing or infinite.
    """
    import numpy as np

    from ..data.tables import MISSING, TableError

    column = table.column(name)
    if column.dtype.kind == "O":
        bad = np.flatnonzero([str(value).strip().lower() in MISSING for value in column])
    else:
        bad = np.flatnonzero(~np.isfinite(column))
    if len(bad):
        raise TableError(
            f"{table.path}: target {name!r} has no value in row {bad[0] + 1}"
            f"{f' (and {len(bad) - 1} more)' if len(bad) > 1 else ''}; leave such rows out first."
        )
    return column


def class_names(column: "np.ndarray") -> "np.ndarray":
    """Classes as models name them: texts, and whole numbers without a decimal point."""
    if column.dtype.kind == "O":
        return column.astype(str)
    import numpy as np

    return np.array([str(int(value) if value.is_integer() else value) for value in column.tolist()])
