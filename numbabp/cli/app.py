"""The command line. Heavy imports stand inside the commands, so that help and version answer at once."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__
from ..training.progress import is_terminal
from ..training.slicing import ENDING
from .console import Commands, Json, help_alone, new_table, print_json, print_table, reported, warn
from .demos.commands import demo_app
from .evaluate import STANDARD_OUTPUT, evaluate
from .parameters import (
    Activation,
    Data,
    DatasetName,
    Decimal,
    Device,
    Dtype,
    Dtypes,
    Epochs,
    EscapeFormulas,
    Header,
    Ignore,
    Missing,
    Separator,
    Source,
    Targets,
    Task,
    TaskName,
    Texts,
    Uses,
    ValidationFraction,
    check_fractions,
    hidden_layers,
    reading,
    step_size,
)
from .process.keeping import Keeping, kept_in, write_all
from .process.outputs import check_folder, check_outputs
from .process.streams import tell
from .stream import stream

app = typer.Typer(
    name="numbabp",
    help="Exact per-sample training of dense neural networks, compiled.",
    cls=Commands,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if is_terminal(sys.stdout) else None,
)
app.add_typer(demo_app, name="demo")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"numbabp {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    help_alone(context)


@app.command()
@reported
def smoke(as_json: Json = False) -> None:
    """Check the figures of every kernel available here, on XOR.

    It takes about a minute where kernels have to be compiled, and then some seconds.
    """
    from . import smoke as smoke_run
    from .reports import report_smoke

    if not report_smoke(smoke_run.run, as_json):
        raise typer.Exit(1)


@app.command()
@reported
def train(
    data: Data = None,
    target: Targets = None,
    dataset: DatasetName = None,
    output: Annotated[Path | None, typer.Option(help="Where to save the model.")] = None,
    hidden: Annotated[
        str,
        typer.Option(help="Units of the hidden layers, such as 100, or 100x50 or 100,50 for two; or none."),
    ] = "100",
    activation: Activation = "relu",
    epochs: Epochs = 50,
    learning_rate: Annotated[float, typer.Option(help="First learning rate.")] = 0.01,
    schedule: Annotated[
        str, typer.Option(help="constant, invscaling, exponential, step, cosine, adaptive.")
    ] = "cosine",
    update_rule: Annotated[
        str, typer.Option(help="sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, rprop.")
    ] = "sgd",
    batch_size: Annotated[
        int | None, typer.Option(help="Samples a step; by default 1, or with rprop all.")
    ] = None,
    l2: Annotated[
        float | None,
        typer.Option(
            help="L2 penalty; by default 1 / training rows, which is that of scikit-learn's linear models."
        ),
    ] = None,
    validation_fraction: ValidationFraction = 0.2,
    early_stopping: Annotated[
        bool, typer.Option("--early-stopping", help="Stop when the validation loss no longer improves.")
    ] = False,
    task: TaskName = Task.auto,
    ignore: Ignore = "",
    separator: Separator = None,
    decimal: Decimal = None,
    missing: Missing = "",
    text: Texts = "",
    header: Header = None,
    dtype: Dtype = "float32",
    device: Device = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of the weights, the shuffles and the validation rows.")
    ] = 0,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            help="Part of the rows set aside to measure on where --early-stopping uses those of the "
            "validation; by default as many with --early-stopping, else none."
        ),
    ] = None,
    cv: Annotated[
        int | None,
        typer.Option(
            "--cv", help="Folds of a cross-validation of these settings, before the training itself."
        ),
    ] = None,
    baselines: Annotated[
        bool, typer.Option(help="Say what a constant and a linear model reach, and warn below them.")
    ] = True,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw the losses, and the confusion matrix or predicted against true values, into this file "
            "(PNG, SVG, PDF)."
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Keep the training in this file: the same command again goes on from where it stands, and "
            "ends with the same model."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a network on a table and save it.

    Numbers, booleans and dates are standardised, texts become an input a category, missing values are set to
    the mean and marked. What is done to each column is printed and saved with the model.
    """
    from ..data.split import Split
    from ..network import Network
    from . import plots
    from .reports import TrainingReport, report_training

    sizes = hidden_layers(hidden, "[x,]") if hidden.strip() else ()
    if plot is not None:
        plots.check(plot)
    check_outputs({"--output": output, "--plot": plot, "--checkpoint": checkpoint}, {"the data": data})
    if test_fraction is None:
        test_fraction = validation_fraction if early_stopping else 0.0
    check_fractions(validation_fraction, test_fraction)
    told = reading(separator, decimal, missing, text, header)
    with Keeping("training", checkpoint, output) as keeping:
        samples = Source(data, target, dataset, task, ignore, told).samples()
        split = Split.of(samples, validation_fraction, seed, test_fraction)
        if output is not None:
            split.pipeline.check_size()

        def begun(split: Split) -> Network:
            return Network(**split.pipeline.network_arguments(sizes, activation, dtype), random_state=seed)

        def fit(network: Network, split: Split, checkpoint: Path | None = None) -> Network:
            network.fit(
                split.inputs,
                split.targets,
                learning_rate=learning_rate,
                epochs=epochs,
                schedule=schedule,
                update_rule=update_rule,
                batch_size=step_size(update_rule, split.n_training) if batch_size is None else batch_size,
                l2=1 / split.n_training if l2 is None else l2,
                # classes have the accuracy
                monitor=() if split.pipeline.target.classes is not None else ("squared_error",),
                validation_data=split.held_out,
                early_stopping=early_stopping,
                device=device,
                progress=False if as_json else None,
                **kept_in(checkpoint, told=None if as_json else tell),
            )
            return network

        folds = None
        if cv is not None:
            from .scoring.cross_validation import cross_validate

            part = validation_fraction if early_stopping else 0.0
            folds = cross_validate(samples, cv, seed, lambda split: fit(begun(split), split), part)
        network = begun(split)
        keeping.has_begun = lambda: network.history is not None
        keeping.so_far = lambda path: split.pipeline.save_unfinished(network, path)
        fit(network, split, checkpoint)
        failed = keeping.try_to_save(lambda path: split.pipeline.save(network, path))
        saved_to = None if failed else output
        ENDING.look()
        history = network.history
        assert history is not None
        report = TrainingReport.of(network, history, split, seed if baselines else None, folds)
        if plot is not None:
            from .scoring.evaluation import of_split
            from .scoring.pictures import draw_training

            picture = draw_training(history, network.loss, of_split(split, network), report.measured)
            failed += write_all(("curves drawn into", plot, lambda path: plots.write(picture, path)))
        report_training(report, saved_to, as_json, None if failed else checkpoint)
        if failed:
            raise failed[0]


@app.command()
@reported
def sweep(
    data: Data = None,
    target: Targets = None,
    dataset: DatasetName = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            help="Values of learning_rate, momentum or l2, such as learning_rate=0.01,0.1; may be repeated. "
            "Without, they are 0.01, 0.9 and 0: train's l2 is 1 / training rows, but a sweep adds no penalty "
            "that is not among its settings."
        ),
    ] = None,
    hidden: Annotated[
        str,
        typer.Option(
            help="Layouts of hidden layers to try: 8,16 is one layer of 8, then one of 16 units; 16x8 is one "
            "layout of two layers; none is one without."
        ),
    ] = "100",
    seeds: Annotated[
        int, typer.Option(min=1, max=2**32, help="Networks of each setting, from --seed on.")
    ] = 32,
    output: Annotated[Path | None, typer.Option(help="CSV file for the table of all settings.")] = None,
    networks: Annotated[Path | None, typer.Option(help="CSV file for the table of all networks.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw loss and scores into this file (PNG, SVG, PDF).")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Where to save the best setting's best network, for predict.")
    ] = None,
    activation: Activation = "relu",
    epochs: Epochs = 50,
    schedule: Annotated[
        str, typer.Option(help="constant, invscaling, exponential, step, cosine.")
    ] = "constant",
    update_rule: Annotated[
        str | None,
        typer.Option(help="Of those of train; by default sgd, or momentum where --grid has it."),
    ] = None,
    validation_fraction: ValidationFraction = 0.2,
    task: TaskName = Task.auto,
    ignore: Ignore = "",
    separator: Separator = None,
    decimal: Decimal = None,
    missing: Missing = "",
    text: Texts = "",
    header: Header = None,
    dtype: Dtype = "float32",
    device: Device = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="First of the seeds; draws the order of rows too.")
    ] = 0,
    n_threads: Annotated[int | None, typer.Option(help="Threads; by default all there are.")] = None,
    escape_formulas: EscapeFormulas = False,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Keep the sweep in this folder, in a file a layout: the same command again goes on from "
            "where it stands, and ends with the same tables."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train and rank all combinations of settings, layouts and seeds.

    They learn from the same rows, all at once. A setting ranks by its median score over the seeds on rows set
    aside for it (on the training rows where there are none); a network that diverges counts as the worst. The
    best score of many is an optimistic one.
    """
    from ..data.table_files import write_csv
    from . import plots
    from . import sweep as sweeps
    from .reports import report_sweep

    if update_rule is None:  # who asks for values of momentum wants a rule that has it
        has_momentum = any(text.partition("=")[0].strip() == "momentum" for text in grid or ())
        update_rule = "momentum" if has_momentum else "sgd"
    values = sweeps.parse_grid(grid or (), update_rule)
    layouts = [hidden_layers(text) for text in hidden.split(",")]
    sweeps.check_distinct("--hidden", layouts)
    if seed + seeds > 2**32:  # scikit-learn's seeds have 32 bits
        raise ValueError(f"--seed and --seeds together must be at most {2**32}, got {seed} and {seeds}.")
    if plot is not None:
        plots.check(plot)
    results = {"--output": output, "--networks": networks, "--plot": plot, "--save": save}
    check_outputs(results, {"the data": data})
    if checkpoint is not None:
        of_layouts = map(sweeps.checkpoint_name, layouts)
        check_folder("--checkpoint", checkpoint, of_layouts, {"the data": data, **results})
    told = reading(separator, decimal, missing, text, header)
    with Keeping("sweep", checkpoint, save) as keeping:
        split = Source(data, target, dataset, task, ignore, told).split(validation_fraction, seed)
        keeping.has_begun = lambda: True
        result = sweeps.sweep(
            split,
            layouts,
            values,
            range(seed, seed + seeds),
            activation=activation,
            dtype=dtype,
            epochs=epochs,
            schedule=schedule,
            update_rule=update_rule,
            batch_size=step_size(update_rule, split.n_training),
            n_threads=n_threads,
            device=device,
            progress=False if as_json else None,
            kept=None if checkpoint is None else sweeps.Kept(checkpoint, None if as_json else tell),
        )
        ENDING.look()

        def table(path: Path, rows: list[dict[str, Any]]) -> None:
            write_csv(path, rows[0], [row.values() for row in rows], escape_formulas)

        def best(path: Path) -> None:
            keeping.save(lambda path: split.pipeline.save(result.outcomes[0].network, path))

        failed = write_all(
            ("settings written to", output, lambda path: table(path, result.of_settings)),
            ("networks written to", networks, lambda path: table(path, result.of_networks)),
            ("curves drawn into", plot, lambda path: plots.write(plots.draw_sweep(result), path)),
            ("the best setting's best network saved to", save, best),
        )
        report_sweep(result, split, output, as_json)
        if failed:
            raise failed[0]


@app.command()
@reported
def predict(
    model: Annotated[Path, typer.Argument(help="Model saved by numbabp train.")],
    data: Annotated[Path, typer.Argument(help="Table with the model's feature columns.")],
    output: Annotated[Path | None, typer.Option(help="CSV file to write; by default, or -, printed.")] = None,
    escape_formulas: EscapeFormulas = False,
    separator: Separator = None,
    decimal: Decimal = None,
    header: Header = None,
    as_json: Json = False,
) -> None:
    """Predict with a saved model.

    There is a column of predictions a target, and one a class with its probability.
    """
    from ..data.predictions import columns_of
    from ..data.table_files import csv_text, write_csv
    from ..data.table_model import load_table_model

    if output == STANDARD_OUTPUT:
        output = None
    check_outputs({"--output": output}, {"the model": model, "the data": data})
    saved = load_table_model(model)
    table = saved.read(data, separator=separator, decimal=decimal, has_header=header, part="test")
    columns, notes = columns_of(saved, table)
    for note in (*table.notes, *notes):
        typer.echo(f"note: {note}", err=True)
    if as_json:
        print_json({name: column.tolist() for name, column in columns.items()})
        return
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    if output is None:
        sys.stdout.write(csv_text(columns, rows, escape_formulas))
    else:
        write_csv(output, columns, rows, escape_formulas)
        typer.echo(f"{table.n_rows} predictions written to {output}.")


app.command()(evaluate)
app.command()(stream)


@app.command()
@reported
def warm(
    uses: Uses = None,
    dtype: Dtypes = None,
    as_json: Json = False,
) -> None:
    """Compile ahead what first runs would wait for.

    As when an image is built; it takes a minute or two.

    Machine code is for the processor that it is compiled on. Where an image is to run on others, set
    NUMBA_CPU_NAME=generic, here and there. Kernels for the sizes of one network are not among it.
    """
    from . import warm as ahead
    from .reports import report_warmed

    report_warmed(ahead.warm(uses or (), dtype or ahead.DTYPES), as_json)


@app.command()
@reported
def info(
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure what the planner should expect; a minute or so.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show versions, processor, threads and GPU.

    Also the cache folder, and where the planner's constants are from.
    """
    from .machine_facts import facts

    if calibrate:
        _calibrate()
    found = facts()
    if as_json:
        print_json(found)
        return
    table = new_table("", "")
    for name, value in found.items():
        table.add_row(name, ", ".join(value) if isinstance(value, list) else str(value))
    print_table(table)


def _calibrate() -> None:
    """Fit the planner's constants to this machine and keep them."""
    from ..planning.cpu_costs import keep
    from ..training.progress import Foot
    from .calibration import calibrate

    foot = Foot(sys.stderr)
    try:
        found = calibrate(lambda text: foot.show(f"measuring {text}"))
    finally:
        foot.hide()
    path = keep(found.machine)
    if found.n_measured < found.n_wanted:
        warn(
            f"only {found.n_measured} of {found.n_wanted} networks were measured, as time was up: the "
            "machine is busy. Try again when it is idle."
        )
    typer.echo(
        f"Predictions are {100 * found.error:.0f} % off (root mean square); the constants are kept in "
        f"{path}.",
        err=True,
    )
