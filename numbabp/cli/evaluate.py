"""The command `evaluate`: how good a saved model is on a table that has the target."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import json_text, reported, warn
from .outputs import check_outputs
from .parameters import Decimal, Header, Separator

if TYPE_CHECKING:
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
    separator: Separator = None,
    decimal: Decimal = None,
    header: Header = None,
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
    told = {"separator": separator, "decimal": decimal, "has_header": header}
    found = _evaluation(model, data, told)
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


def _evaluation(model: Path, data: Path, told: dict[str, Any]) -> "Evaluation":
    import numpy as np

    from ..data.columns import TEXT
    from ..data.table_model import load_table_model
    from .scoring.evaluation import of_classes, of_numbers

    saved = load_table_model(model)
    if len(saved.target.names) > 1:
        raise ValueError(f"{model}: it has several targets, but evaluate measures one.")
    (target,) = saved.target.names
    table = saved.read(data, part="test", **told)
    column = table.column(target)
    bad = np.flatnonzero(column.is_missing)
    if len(bad):
        others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise ValueError(
            f"{data}: target {target!r} has no value in row {bad[0] + 1}{others}; leave such rows out first."
        )
    if saved.classes_ is None and column.kind == TEXT:
        trouble = f": {column.trouble}" if column.trouble else ""
        raise ValueError(
            f"{data}: column {target!r} has text, but the model predicts numbers: it is not its "
            f"target{trouble}."
        )
    inputs, notes = saved.preparation.matrix(table)
    for note in (*table.notes, *notes):
        typer.echo(f"note: {note}", err=True)
    outputs = saved.network.forward(inputs)
    if saved.classes_ is None:
        truth = np.asarray(column.values, float)
        if not np.isfinite(truth).all():
            raise ValueError(f"{data}: target {target!r} has infinite values.")
        return of_numbers(target, truth, saved.target.decoded(outputs))
    classes = saved.classes_.astype(str).tolist()
    found = of_classes(target, column.texts().astype(str), saved.target.probabilities(outputs), classes)
    if found.unknown:
        shown = ", ".join(map(repr, found.unknown[:5])) + (" ..." if len(found.unknown) > 5 else "")
        n_rows = int(np.isin(found.truth, found.unknown).sum())
        warn(
            f"{data}: the model does not know {shown} of column {target!r} ({n_rows} rows); these rows count "
            "as errors, and the log loss is infinite."
        )
    return found
