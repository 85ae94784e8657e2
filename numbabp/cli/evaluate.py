"""The command `evaluate`: how good a saved model is on a table that has the target."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import json_text, reported, warn
from .parameters import Decimal, Header, Separator
from .process.keeping import write_all
from .process.outputs import check_outputs

if TYPE_CHECKING:
    import numpy as np

    from ..data.columns import Column
    from .scoring.evaluation import Evaluation
    from .scoring.several import Evaluations

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
    """Measure how good a saved model is on a table.

    For classes: accuracy, precision, recall, F1, ROC AUC, log loss and the confusion matrix. For numbers:
    RMSE, MAE and R^2, in the target's units. For several targets: these of each, and how many rows are right
    in all. The table should not be the one that the model was trained on.
    """
    from ..atomic_files import write_atomically
    from . import plots
    from .scoring.evaluation import print_evaluation
    from .scoring.several import Evaluations, print_evaluations

    printed = json == STANDARD_OUTPUT
    if plot is not None:
        plots.check(plot)
    inputs = {"the model": model, "the data": data}
    check_outputs({"--json": None if printed else json, "--plot": plot}, inputs)
    told = {"separator": separator, "decimal": decimal, "has_header": header}
    of_each = _of_each(model, data, told)
    several = Evaluations.of(of_each) if len(of_each) > 1 else None
    text = ""
    if json is not None:
        figures = (several or of_each[0]).to_dict()
        text = json_text({"model": str(model), "data": str(data), **figures}) + "\n"

    def draw(path: Path) -> None:
        from .scoring.pictures import draw_evaluation

        title = f"{model.name} on {data.name}: {overall(of_each, several)}"
        plots.write(draw_evaluation(of_each, title), path)

    def write(path: Path) -> None:
        write_atomically(path, lambda file: file.write(text.encode()))

    to_write = None if printed else json
    failed = write_all(("figures written to", to_write, write), ("picture written to", plot, draw))
    if printed:
        typer.echo(text, nl=False)
    else:
        names = [found.target for found in of_each]
        word = "target" if several is None else "targets"
        typer.echo(f"{model} on {data}: {len(of_each[0].truth)} rows, {word} {', '.join(names)}")
        if several is None:
            print_evaluation(of_each[0])
        else:
            print_evaluations(several)
    if failed:
        raise failed[0]


def overall(of_each: "Sequence[Evaluation]", several: "Evaluations | None") -> str:
    """The figure that `score` gives, in words."""
    if several is None:
        found, words = of_each[0].metrics, {"accuracy": "accuracy", "r2": "R^2"}
    else:
        found, words = several.metrics, {"subset_accuracy": "subset accuracy", "mean_r2": "mean R^2"}
    name = next(name for name in words if name in found)
    return f"{words[name]} {found[name]:.4f}"


def _of_each(model: Path, data: Path, told: dict[str, Any]) -> "list[Evaluation]":
    """Of each of the model's targets."""
    from ..data.table_model import load_table_model
    from .scoring.evaluation import of_target

    saved = load_table_model(model)
    table = saved.read(data, part="test", **told)
    if saved.preparation.missing:  # as it was in training
        table = table.with_values_of(saved.target.columns)
    are_classes = saved.target.classes is not None
    values = [_truth(data, column, are_classes) for column in saved.target.found_in(table)]
    inputs, notes = saved.preparation.matrix(table)
    for note in (*table.notes, *notes):
        typer.echo(f"note: {note}", err=True)
    found = of_target(saved.target, values, saved.network.forward(inputs))
    for one in found:
        _tell_of_unknown(data, one)
    return found


def _truth(data: Path, column: "Column", are_classes: bool) -> "np.ndarray":
    """True values of a target: names of classes, or numbers."""
    import numpy as np

    from ..data.columns import TEXT

    target = column.name
    bad = np.flatnonzero(column.is_missing)
    if len(bad):
        others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise ValueError(
            f"{data}: target {target!r} has no value in row {bad[0] + 1}{others}; leave such rows out first."
        )
    if are_classes:
        return column.texts().astype(str)
    if column.kind == TEXT:
        trouble = f": {column.trouble}" if column.trouble else ""
        raise ValueError(
            f"{data}: column {target!r} has text, but the model predicts numbers: it is not its "
            f"target{trouble}."
        )
    truth = np.asarray(column.values, float)
    if not np.isfinite(truth).all():
        raise ValueError(f"{data}: target {target!r} has infinite values.")
    return truth


def _tell_of_unknown(data: Path, found: "Evaluation") -> None:
    """Warn of classes that the model has not learnt."""
    if not found.unknown:
        return
    shown = ", ".join(map(repr, found.unknown[:5])) + (" ..." if len(found.unknown) > 5 else "")
    n_rows = sum(name in found.unknown for name in found.truth.tolist())
    warn(
        f"{data}: the model does not know {shown} of column {found.target!r} ({n_rows} rows); these rows "
        "count as errors, and the log loss is infinite."
    )
