"""What demo, smoke, train and sweep print."""

import math
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from ..data.datasets import xor
from ..data.pipeline import Score
from ..data.split import Split
from ..history import History
from ..network import Network
from ..training.progress import Foot, is_terminal, new_console
from .console import new_table, print_json, print_table, warn
from .smoke import DTYPES, TOLERANCES, Row
from .sweep import Sweep, heading
from .xor_experiments import Experiment, difference_of_units, learn, n_right

if TYPE_CHECKING:
    from .scoring.baselines import Baselines
    from .scoring.cross_validation import Folds
    from .warm import Warmed

SMOKE_HEADING = f"{'device':6}  {'kernel':10}  {'dtype':7}   ns/step      CUPS  largest error"
SMOKE_COLUMNS = (
    "CUPS: weights updated a second; largest error: relative difference from known losses or weights, "
    f"allowed on the CPU {', '.join(f'{most:g} in {dtype}' for dtype, most in TOLERANCES['cpu'].items())}"
)
HEADERS = {
    "faithful": "The course notebook's run: squared error, learning rate 1, the four samples always in one "
    "order.\nThe loss that it prints is the binary cross-entropy.",
    "zeros": "The course notebook's run: squared error, learning rate -1, so that every step climbs the "
    "gradient.\nThe loss that it prints is the binary cross-entropy.",
}
"""What the course notebook's experiments with XOR are, by name."""
TOP = 10
"""Settings that a sweep prints."""
MOST_TARGETS = 30
"""Targets that a training prints the scores of."""


def report_xor(name: str, run: Experiment, as_json: bool) -> None:
    """Print how one of the `EXPERIMENTS` went and what the network has learnt."""
    outputs = run.network.forward(xor()[0])[:, 0]
    descending = learn(init="zeros") if name == "zeros" else None
    if as_json:
        more = {} if descending is None else {"learning_rate": -1.0, "descending": _descent(descending)}
        print_json(
            {
                "loss": run.losses.tolist(),
                "accuracy": run.accuracies.tolist(),
                "outputs": outputs.tolist(),
                "weights": [weights.tolist() for weights in run.network.weights],
                "biases": [biases.tolist() for biases in run.network.biases],
                "weights_by_epoch": [[layer.tolist() for layer in weights] for weights in run.weights],
                **more,
            }
        )
        return
    typer.echo(HEADERS[name] if name in HEADERS else _header(run))
    typer.echo("The loss is the four samples' sum; it and the accuracy are of each just before its update.")
    # the notebook's figures are there to be compared with it
    _print_epochs(
        run,
        max(1, len(run.losses) // 10) if name == "learn" else 1,
        repr if name == "faithful" else "{:.6g}".format,
    )
    if descending is not None:  # it is about the weights: what comes out is not worth a table
        _print_weights(run)
        _print_descent(descending)
    else:
        _print_outputs(outputs)


def _header(run: Experiment) -> str:
    """How a network was trained, and where it is not the usual one, which it is."""
    network, rate = run.network, run.history.learning_rate[0]
    text = f"Binary cross-entropy, learning rate {rate:g}, the four samples in a new order every epoch."
    if (network.layer_sizes, network.activations[0], network.init) != ((2, 10, 1), "sigmoid", "lecun_normal"):
        sizes, kinds = "-".join(map(str, network.layer_sizes)), "/".join(network.activations)
        text += f"\nA {sizes} network, {kinds}, weights by {network.init}."
    return text


def _print_epochs(run: Experiment, every: int, shown: Callable[[float], str]) -> None:
    """Loss and accuracy of some epochs, the last one among them."""
    n_epochs = len(run.losses)
    for epoch in range(n_epochs):
        if epoch % every == 0 or epoch == n_epochs - 1:
            loss, accuracy = float(run.losses[epoch]), run.accuracies[epoch]
            width = 20 if shown is repr else 9
            typer.echo(f"epoch {epoch:3d}   loss {shown(loss):<{width}}   accuracy {accuracy:g} %")


def _print_weights(run: Experiment) -> None:
    """How the hidden units stay equal."""
    typer.echo("\nWeights after each epoch, a column a hidden unit:")
    for epoch, (first, second) in enumerate(run.weights):
        for name, row in (("from a", first[0]), ("from b", first[1]), ("to output", second[:, 0])):
            typer.echo(f"epoch {epoch}  {name:9}  " + " ".join(f"{value:.8f}" for value in row))
    typer.echo(
        "The loss rises because the rate is negative, not because the weights began at zero. What that\n"
        "does: the hidden units begin equal, get equal gradients, and never differ: ten do the work of one."
    )


def _descent(run: Experiment) -> dict[str, Any]:
    """What comes of weights of zero where the steps go down the gradient."""
    return {
        "learning_rate": 1.0,
        "epochs": len(run.losses),
        "first_loss": float(run.losses[0]),
        "last_loss": float(run.losses[-1]),
        "difference_of_units": difference_of_units(run.network),
        "accuracy": 25.0 * n_right(run.network),
    }


def _print_descent(run: Experiment) -> None:
    """The same, and what comes of random weights."""
    found, drawn = _descent(run), learn()
    typer.echo(
        f"\nFrom zeros at learning rate +1 (binary cross-entropy, {found['epochs']} epochs) the loss goes "
        f"from {found['first_loss']:.3f} to\n{found['last_loss']:.3f}, the hidden units differ by "
        f"{found['difference_of_units']:g}, and {n_right(run.network)} of the 4 outputs are on the right "
        f"side of 1/2: {found['accuracy']:g} %.\nFrom random weights, trained the same way, the units differ "
        f"by {difference_of_units(drawn.network):.2g} and {n_right(drawn.network)} of 4 outputs are right."
    )


def _print_outputs(outputs: np.ndarray) -> None:
    """The truth table, and whether it is learnt."""
    X, y = xor()
    typer.echo("\n a  b   wanted   output")
    for (a, b), wanted, output in zip(X, y, outputs, strict=True):
        typer.echo(f" {a:.0f}  {b:.0f}   {wanted:6.0f}   {output:.4f}")
    is_learnt = np.array_equal(outputs > 0.5, y > 0.5)
    typer.echo("Learnt: every output is on the right side of 1/2." if is_learnt else "Not learnt.")


def report_smoke(run: Callable[[Callable[[str], object]], Iterator[Row]], as_json: bool) -> bool:
    """Print the rows of a smoke run as they are done, or all of them as JSON: whether none has failed.

    What is under way is said at the terminal's foot.
    """
    rows = []
    on_terminal = is_terminal(sys.stdout)
    foot = Foot(sys.stderr if as_json or not on_terminal else sys.stdout)
    width = new_console().width
    if not as_json:
        typer.echo(SMOKE_HEADING)
    try:
        for row in run(foot.show):
            rows.append(row)
            if not as_json:
                sys.stdout.write(_smoke_row(row, width) + "\n")  # above the foot, unlike what click writes
                sys.stdout.flush()
    finally:
        foot.hide()
    if not as_json:
        typer.echo("\n".join(textwrap.wrap(SMOKE_COLUMNS, width)))
    has_passed = all(row.passed is not False for row in rows)
    if as_json:  # as they are done rows come in pairs of dtypes; programs get one dtype after the other
        in_order = sorted(rows, key=lambda row: (row.device, DTYPES.index(row.dtype)))
        print_json({"passed": has_passed, "rows": [asdict(row) for row in in_order]})
    return has_passed


def _smoke_row(row: Row, width: int) -> str:
    """A line of figures, or several with a note that is longer."""
    name = f"{row.device:6}  {row.kernel:10}  {row.dtype:7}  "
    verdict = {True: "pass", False: "FAIL", None: ""}[row.passed]
    if row.ns_per_step is None:  # it has failed, or could not be tried
        note = " ".join(filter(None, (verdict, row.note)))
        lines = textwrap.wrap(note, max(20, width - len(name)), break_on_hyphens=False)
        return name + ("\n" + " " * len(name)).join(lines)
    return name + f"{row.ns_per_step:8.1f}  {row.cups:8.3g}  {row.largest_error:13.1e}  {verdict}"


def report_warmed(run: Iterator["Warmed"], as_json: bool) -> None:
    """Print what is compiled ahead as it is done, and where it is kept; or all of it as JSON."""
    found = []
    for done in run:
        found.append(done)
        if not as_json:
            count = f"{done.compiled} kernel{'s' * (done.compiled != 1)}"
            typer.echo(f"{done.use:12}  {done.dtype:7}  {count:>10} compiled in {done.seconds:.1f} s")
    folder = found[0].folder
    if as_json:
        print_json({"folder": folder, "uses": [asdict(done) for done in found]})
    else:
        typer.echo(f"All is kept in {folder}.")


@dataclass(frozen=True)
class TrainingReport:
    """What there is to tell of a training.

    Attributes
    ----------
    scores : dict of str to Score
        By part of the rows.
    baselines : Baselines or None
        What simpler models reach, unless nobody asked for them.
    complaint : str
        What is wrong with a network below them; else empty.
    folds : Folds or None
        Of a cross-validation.
    """

    network: Network
    history: History
    split: Split
    scores: dict[str, Score]
    baselines: "Baselines | None"
    complaint: str
    folds: "Folds | None"

    @classmethod
    def of(
        cls, network: Network, history: History, split: Split, seed: int | None, folds: "Folds | None"
    ) -> "TrainingReport":
        """Measure a network, and baselines if there is a seed for them."""
        scores = split.scores(network)
        if seed is None:
            return cls(network, history, split, scores, None, "", folds)
        from .scoring.baselines import Baselines, comparisons, complaint

        baselines = Baselines.of(split, seed)
        found = complaint(history, comparisons(split, scores, baselines))
        return cls(network, history, split, scores, baselines, found, folds)

    @property
    def measured(self) -> str:
        """The score that counts, in words."""
        part, score = list(self.scores.items())[-1]
        return f"{part} {self.split.pipeline.metric} {score.overall:.4f}"


def report_training(
    report: TrainingReport, output: Path | None, as_json: bool, checkpoint: Path | None = None
) -> None:
    """Print how training went, what came of it, and where it is."""
    if report.complaint:
        warn(report.complaint)
    if as_json:
        print_json(_described(report, output))
        return
    network, history, split, baselines = report.network, report.history, report.split, report.baselines
    for line in split.told():
        typer.echo(line)
    steps = history.n_epochs * split.n_training
    aside = {"validation": split.n_validation, "test": split.n_test}
    told = "".join(f", {n} {part} rows" for part, n in aside.items() if n)
    typer.echo(f"{'-'.join(map(str, network.layer_sizes))} network, {split.n_training} training rows{told}")
    typer.echo(
        f"{history.n_epochs} epochs in {history.seconds:.3g} s ({history.seconds / steps * 1e6:.3g} us a "
        f"sample), {history.stop_reason}; last loss {history.loss[-1]:.6g}"
    )
    metric = split.pipeline.metric
    for part, score in report.scores.items():
        typer.echo(f"{part} {metric} {_score(score.overall)}")
    if baselines is not None:
        few = f", fitted to {baselines.n_fitted} rows" if baselines.n_fitted < split.n_training else ""
        typer.echo(
            f"to compare, {baselines.part} {metric} of a constant {_score(baselines.constant.overall)}, "
            f"of a linear model {_score(baselines.linear.overall)}{few}"
        )
    if report.folds is not None:
        typer.echo(str(report.folds))
    if split.pipeline.target.are_several:
        _print_targets(report)
    if output is not None:
        typer.echo(f"saved to {output}")
    elif checkpoint is not None:
        typer.echo(f"no model saved (--output); the training is kept in {checkpoint}")


def _described(report: TrainingReport, output: Path | None) -> dict[str, Any]:
    """What goes into JSON."""
    split = report.split
    return {
        "layer_sizes": report.network.layer_sizes,
        "columns": split.told(),
        "targets": split.pipeline.target.names,
        "n_training": split.n_training,
        "n_validation": split.n_validation,
        "n_test": split.n_test,
        "metric": split.pipeline.metric,
        "scores": {part: score.overall for part, score in report.scores.items()},
        "scores_by_target": {part: dict(score.by_target) for part, score in report.scores.items()},
        "baselines": None if report.baselines is None else report.baselines.to_dict(),
        "warnings": [report.complaint] if report.complaint else [],
        "cross_validation": None if report.folds is None else report.folds.to_dict(),
        "history": report.history.to_dict(),
        "output": None if output is None else str(output),
    }


def _print_targets(report: TrainingReport) -> None:
    """A table of each target's scores, in the last part of the rows and in folds."""
    (part, score), folds = list(report.scores.items())[-1], report.folds
    columns = {part: score.by_target}
    if report.baselines is not None:
        columns |= {"constant": report.baselines.constant.by_target}
        columns |= {"linear model": report.baselines.linear.by_target}
    if folds is not None:
        columns |= {
            f"{len(folds.network)} folds": {name: s["network"].mean() for name, s in folds.by_target.items()}
        }
    names = report.split.pipeline.target.names
    table = new_table(f"{report.split.pipeline.target.metric} of", *columns)
    for name in names[:MOST_TARGETS]:
        table.add_row(name, *(_score(of_target[name]) for of_target in columns.values()))
    print_table(table)
    if len(names) > MOST_TARGETS:
        typer.echo(f"{len(names) - MOST_TARGETS} more targets; --json has all")


def _score(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def report_sweep(result: Sweep, split: Split, output: Path | None, as_json: bool) -> None:
    """Print the best settings of a sweep, or all of them as JSON."""
    rows = result.of_settings
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
