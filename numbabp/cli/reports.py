"""What smoke, train and sweep print."""

import math
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from ..data.pipeline import Split
from ..history import History
from ..network import Network
from ..training.progress import Foot, new_console
from .console import new_table, print_json, print_table
from .smoke import DTYPES, Row
from .sweep import Sweep, heading

SMOKE_HEADING = f"{'device':6}  {'kernel':10}  {'dtype':7}   ns/step      CUPS  largest error"
TOP = 10
"""Settings that a sweep prints."""


def report_smoke(run: Callable[[Callable[[str], object]], Iterator[Row]], as_json: bool) -> bool:
    """Print the rows of a smoke run as they are done, or all of them as JSON: whether none has failed.

    What is under way is said at the terminal's foot; where there is none, that kernels are compiled.
    """
    rows = []
    foot = Foot(sys.stderr if as_json or not sys.stdout.isatty() else sys.stdout)
    is_silent = as_json or sys.stdout.isatty() or sys.stderr.isatty()

    def tell(text: str) -> None:
        nonlocal is_silent
        foot.show(text)
        if text.startswith("compiling") and not is_silent:
            typer.echo("compiling what is not in the cache folder yet", err=True)
            is_silent = True

    width = new_console().width
    if not as_json:
        typer.echo(SMOKE_HEADING)
    try:
        for row in run(tell):
            rows.append(row)
            if not as_json:
                sys.stdout.write(_smoke_row(row, width) + "\n")  # above the foot, unlike what click writes
                sys.stdout.flush()
    finally:
        foot.hide()
    has_passed = all(row.passed is not False for row in rows)
    if as_json:
        in_order = sorted(rows, key=lambda row: (row.device, DTYPES.index(row.dtype)))
        print_json({"passed": has_passed, "rows": [asdict(row) for row in in_order]})
    return has_passed


def _smoke_row(row: Row, width: int) -> str:
    """A line of figures, or several with a note that is longer."""
    name = f"{row.device:6}  {row.kernel:10}  {row.dtype:7}  "
    verdict = {True: "pass", False: "FAIL", None: ""}[row.passed]
    if row.ns_per_step is None:
        note = " ".join(filter(None, (verdict, row.note)))
        lines = textwrap.wrap(note, max(20, width - len(name)), break_on_hyphens=False)
        return name + ("\n" + " " * len(name)).join(lines)
    return name + f"{row.ns_per_step:8.1f}  {row.cups:8.3g}  {row.largest_error:13.1e}  {verdict}"


def report_training(
    network: Network,
    history: History,
    split: Split,
    scores: dict[str, float],
    output: Path | None,
    as_json: bool,
) -> None:
    """Print how training went and what came of it."""
    metric = split.pipeline.metric
    if as_json:
        print_json(
            {
                "layer_sizes": network.layer_sizes,
                "n_training": split.n_training,
                "n_validation": split.n_validation,
                "metric": metric,
                "scores": scores,
                "history": history.to_dict(),
                "output": None if output is None else str(output),
            }
        )
        return
    steps = history.n_epochs * split.n_training
    typer.echo(f"{'-'.join(map(str, network.layer_sizes))} network, {split.n_training} training rows")
    typer.echo(
        f"{history.n_epochs} epochs in {history.seconds:.3g} s ({history.seconds / steps * 1e6:.3g} us a "
        f"sample), {history.stop_reason}; last loss {history.loss[-1]:.6g}"
    )
    for part, score in scores.items():
        typer.echo(f"{part} {metric} {score:.4f}")
    if output is not None:
        typer.echo(f"saved to {output}")


def report_sweep(result: Sweep, split: Split, output: Path | None, as_json: bool) -> None:
    """Print the best settings of a sweep, or all of them as JSON."""
    rows = [outcome.summary() for outcome in result.outcomes]
    if as_json:
        print_json(
            {
                "n_networks": result.n_networks,
                "n_training": split.n_training,
                "n_validation": split.n_validation,
                "metric": result.metric,
                "epochs": result.epochs,
                "seconds": result.seconds,
                "settings": rows,
            }
        )
        return
    typer.echo(
        f"{result.n_networks} networks: {len(rows)} settings, {rows[0]['n_seeds']} seeds each; "
        f"{split.n_training} training rows, {split.n_validation} validation rows; "
        f"{result.epochs} epochs in {result.seconds:.3g} s"
    )
    if result.fixed:
        typer.echo("all: " + ", ".join(f"{heading(name)} {_cell(v)}" for name, v in result.fixed.items()))
    typer.echo(f"{result.metric} over the seeds, and training loss:")
    columns = {
        **{name: heading(name) for name in result.varied},
        "score_q10": "10 %",
        "score_median": "median",
        "score_q90": "90 %",
        "score_best": "best",
        "loss_median": "median loss",
        "n_diverged": "diverged",
    }
    table = new_table(*columns.values())
    for row in rows[:TOP]:
        table.add_row(*(_cell(row[name]) for name in columns))
    print_table(table)
    if len(rows) > TOP:
        typer.echo(f"{len(rows) - TOP} more settings{'' if output else '; --output takes all'}")


def _cell(value: float | str) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    return str(value)
