"""What train and sweep print when they have finished."""

import math
from pathlib import Path

import typer

from .console import new_table, print_json, print_table
from .history import History
from .network import Network
from .pipeline import Split
from .sweep import Sweep, heading

TOP = 10
"""Settings that a sweep prints."""


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
