"""The command `stream`: train on a table larger than memory, or on rows as they come."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..training.slicing import ENDING
from .console import Json, print_json, reported, warn
from .parameters import (
    Activation,
    Decimal,
    Dtype,
    Header,
    Ignore,
    Missing,
    Separator,
    Task,
    TaskName,
    Texts,
    hidden_layers,
    names_in,
    reading,
)
from .process.keeping import Keeping, kept_in
from .process.outputs import check_outputs
from .process.signals import SIGNALS

if TYPE_CHECKING:
    from ..data.pipeline import Pipeline
    from ..data.streamed.batches import Batches
    from ..network import Network
    from .scoring.prequential import Line, Prequential

POINT_ROWS = 1024
"""From one look at the figures to the next."""


@reported
def stream(
    data: Annotated[Path, typer.Argument(help="Table: CSV and its kin, .gz or not; - is standard input.")],
    target: Annotated[str, typer.Option("--target", help="Column to predict.")],
    output: Annotated[Path | None, typer.Option(help="Where to save the model.")] = None,
    hidden: Annotated[
        str,
        typer.Option(help="Units of the hidden layers, such as 100, or 100x50 or 100,50 for two; or none."),
    ] = "100",
    activation: Activation = "relu",
    learning_rate: Annotated[float, typer.Option(help="Learning rate.")] = 0.01,
    update_rule: Annotated[
        str, typer.Option(help="sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw.")
    ] = "sgd",
    l2: Annotated[float, typer.Option(help="L2 penalty.")] = 0.0,
    passes: Annotated[int, typer.Option(min=1, help="Passes over a file that can be read again.")] = 1,
    look: Annotated[
        int, typer.Option(min=2, help="Rows that kinds of columns, categories and classes are taken from.")
    ] = 10_000,
    hash_texts: Annotated[
        int,
        typer.Option(
            "--hash",
            min=0,
            max=1 << 16,
            help="Hash texts into so many inputs; by default each category has one.",
        ),
    ] = 0,
    classes: Annotated[
        str, typer.Option(help="Classes of the target that may come after --look, such as a,b,c.")
    ] = "",
    task: TaskName = Task.auto,
    ignore: Ignore = "",
    separator: Separator = None,
    decimal: Decimal = None,
    missing: Missing = "",
    text: Texts = "",
    header: Header = None,
    dtype: Dtype = "float32",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the weights.")] = 0,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Keep the training in this file: the same command again, on the same rows, passes over "
            "those that are learnt, and ends with the same model."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a network on a table larger than memory.

    Rows are learnt as they pass by, from files or standard input, and each is predicted before: the losses
    and scores that are printed, whenever the number of rows has doubled, are of these predictions. What is
    done to columns is settled by the first rows, and is saved with the model for predict.
    """
    from ..data.streamed.batches import Batches, Wanted
    from ..data.streamed.opening import open_rows
    from ..network import Network
    from .scoring.prequential import Prequential

    sizes = hidden_layers(hidden, "[x,]") if hidden.strip() else ()
    check_outputs({"--output": output, "--checkpoint": checkpoint}, {"the data": data})
    told = reading(separator, decimal, missing, text, header)
    with Keeping("stream", checkpoint, output) as keeping:
        rows = open_rows(data, told, look)
        if passes > 1 and not rows.comes_again:
            raise ValueError(f"--passes {passes} needs a file that can be read again; {data} passes by once.")
        wanted = Wanted(
            target, task.value, names_in(classes), names_in(ignore), told.missing, n_hashed=hash_texts
        )
        batches = Batches(rows, wanted, dtype)
        batches.pipeline.check_size()
        network = Network(**batches.pipeline.network_arguments(sizes, activation, dtype), random_state=seed)
        run = _Run(network, batches, Prequential(batches.pipeline.target))
        keeping.so_far, keeping.has_begun = run.save_unfinished, lambda: run.pipeline is not None
        if not as_json:
            run.begin()
        steps = {"learning_rate": learning_rate, "update_rule": update_rule, "l2": l2}
        begun = {"passes": passes, "seed": seed, "columns": batches.pipeline.digest()}
        tell = (lambda line: None) if as_json else run.tell
        run.learn({**steps, **kept_in(checkpoint, begun)}, passes, tell)
        ENDING.look()
        failed = keeping.try_to_save(run.save)
        ENDING.look()
        run.end(None if failed else output, as_json)
        if failed:
            raise failed[0]


@dataclass
class _Run:
    """A stream that is being learnt."""

    network: "Network"
    batches: "Batches"
    measured: "Prequential"
    pipeline: "Pipeline | None" = None
    seconds: float = 0.0
    _end: int = 0
    _coming: "deque[tuple[int, Pipeline]]" = field(default_factory=deque)

    def learn(self, steps: dict[str, Any], n_passes: int, tell: "Callable[[Line], None]") -> None:
        """Learn all rows, or those that are left if a checkpoint is gone on from."""
        history = self.network.fit_stream(
            self._come(n_passes),
            history_every=POINT_ROWS,
            callback=lambda n_rows, metrics: self._point(n_rows, metrics, tell),
            progress=False,
            **steps,
        )
        if not self._end:  # it was at its end
            for _ in self._come(n_passes):
                pass
            self._go_on(history, tell)
        line = self.measured.line()
        if line is not None:
            tell(line)
        self.seconds = history.seconds

    def _come(self, n_passes: int) -> "Iterator[tuple[Any, Any]]":
        """Inputs and targets, in the thread that reads."""
        from ..data.streamed.ahead import read_ahead

        for batch in read_ahead(self.batches.passes(n_passes), lambda: not SIGNALS.came):
            self.measured.comes(batch.targets)
            self._coming.append((batch.end, batch.pipeline))
            yield batch.inputs, batch.targets

    def _point(self, n_rows: int, metrics: "Mapping[str, float]", tell: "Callable[[Line], None]") -> None:
        """Take figures."""
        if not self._end and self.network.history is not None:
            self._go_on(self.network.history, tell)
        self._reach(n_rows)
        line = self.measured.add(n_rows, metrics)
        if line is not None:
            tell(line)

    def _go_on(self, history: Any, tell: "Callable[[Line], None]") -> None:
        """Take the figures of a run that is gone on with, whose rows have come again."""
        for line in self.measured.go_on(history):
            tell(line)
        self._reach(int(history.n_samples[-1]) if len(history.n_samples) else 0)

    def _reach(self, n_rows: int) -> None:
        """Have the pipeline of these rows."""
        while self.pipeline is None or (self._end < n_rows and self._coming):
            self._end, self.pipeline = self._coming.popleft()

    def save(self, path: Path) -> None:
        """Write the network with what was done to the last rows."""
        assert self.pipeline is not None
        self.pipeline.save(self.network, path)

    def save_unfinished(self, path: Path) -> None:
        """The same, before the end."""
        if self.pipeline is None:
            raise ValueError("training had not begun.")
        self.save(path)

    def begin(self) -> None:
        """Print what is done to columns, and the heading of the lines to come."""
        for line in (*self.batches.notes, *self.batches.pipeline.preparation.told()):
            typer.echo(line)
        typer.echo(f"{'-'.join(map(str, self.network.layer_sizes))} network")
        word = "accuracy" if self.batches.pipeline.target.classes is not None else "RMSE"
        typer.echo(f"{'rows':>12} {'loss':>10} {'over all':>10} {word:>10} {'over all':>10} {'constant':>10}")

    def tell(self, line: "Line") -> None:
        """Print a line."""
        since, all_ = line.since, line.over_all
        cells = (since.loss, all_.loss, since.score, all_.score, all_.constant_score)
        typer.echo(f"{line.rows:>12,} " + " ".join(f"{value:10.5g}" for value in cells))

    def end(self, output: Path | None, as_json: bool) -> None:
        """Print what came of it."""
        last, complaint = self.measured.lines[-1], self.measured.complaint()
        if complaint:
            warn(complaint)
        if as_json:
            print_json(
                {
                    "layer_sizes": self.network.layer_sizes,
                    "columns": [*self.batches.notes, *self.batches.pipeline.preparation.told()],
                    "rows": last.rows,
                    "seconds": self.seconds,
                    "missing_unmarked": self.batches.unmarked,
                    "n_left_out": self.batches.n_left_out,
                    "warnings": [complaint] if complaint else [],
                    "progress": [line.to_dict() for line in self.measured.lines],
                    "output": None if output is None else str(output),
                }
            )
            return
        if self.batches.n_left_out:
            typer.echo(f"left out: rows without a value of the target: {self.batches.n_left_out:,}")
        for name, n in self.batches.unmarked.items():
            typer.echo(f"column {name!r}: {n:,} missing values set to the mean; the first rows missed none")
        typer.echo(
            f"{last.rows:,} rows in {self.seconds:.3g} s: {last.rows / self.seconds:,.0f} rows a second"
        )
        if output is not None:
            typer.echo(f"saved to {output}")
